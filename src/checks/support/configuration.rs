//! Values of fixes that change the configuration of a program.

use schemars::JsonSchema;
use serde::Serialize;

/// The object that holds a configuration, and who keeps it: the values of the shared steps `edit-configuration`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Configuration {
    /// `configmap` or `secret`; empty where it is not known.
    pub(crate) config_kind: &'static str,
    pub(crate) config_name: String,
    pub(crate) managed_by: String,
}
