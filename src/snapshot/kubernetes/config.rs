//! ConfigMaps and ServiceAccounts.

use super::meta::null_default;
use super::{Map, Meta};
use serde::Deserialize;
use std::collections::BTreeMap;

/// ConfigMap; text only.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    pub metadata: Meta,
    #[serde(deserialize_with = "null_default")]
    pub data: Map,
    /// Keys whose content is no text; it is not kept.
    #[serde(rename = "binaryData", deserialize_with = "null_default")]
    pub binary_data: BTreeMap<String, serde::de::IgnoredAny>,
}

/// ServiceAccount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceAccount {
    pub metadata: Meta,
}

/// The annotation with which a ServiceAccount asks for an IAM role (IRSA).
pub const ROLE_ANNOTATION: &str = super::annotation::ROLE_ARN;

impl ServiceAccount {
    /// ARN of the IAM role that it asks for.
    pub fn role_arn(&self) -> Option<&str> {
        self.metadata.annotations.get(ROLE_ANNOTATION).map(String::as_str).filter(|arn| !arn.is_empty())
    }

    /// Name of that role.
    pub fn role_name(&self) -> Option<&str> {
        self.role_arn()?.rsplit('/').next()
    }
}
