//! Values of fixes that change the configuration of a program.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::path_of_key;
use crate::domain::kubernetes::mounts::Origin;

/// The object that holds a configuration, and who keeps it: the values of the shared steps `edit-configuration`.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Configuration {
    /// `configmap` or `secret`; empty where it is not known.
    pub(crate) config_kind: &'static str,
    pub(crate) config_name: String,
    /// The key of a Secret, and its JSONPath.
    pub(crate) file_key: String,
    pub(crate) file_path: String,
    pub(crate) managed_by: String,
}

impl Configuration {
    /// Of what fills the file.
    pub(crate) fn of(origin: Option<Origin>, managed_by: String) -> Self {
        match origin {
            Some(Origin::ConfigMap { name, .. }) => Self::of_map(name, managed_by),
            Some(Origin::Secret { name, key }) => Self {
                config_kind: "secret",
                config_name: name,
                file_path: path_of_key(&key),
                file_key: key,
                managed_by,
            },
            _ => Self { managed_by, ..Self::default() },
        }
    }

    /// In a ConfigMap; with an empty name it is not known.
    pub(crate) fn of_map(config_name: String, managed_by: String) -> Self {
        let config_kind = if config_name.is_empty() { "" } else { "configmap" };
        Self { config_kind, config_name, managed_by, ..Self::default() }
    }
}
