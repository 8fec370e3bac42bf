//! ScaledObjects of KEDA, of which it makes HorizontalPodAutoscalers.

use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta};

/// ScaledObject (`keda.sh`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScaledObject {
    pub metadata: Meta,
    pub spec: ScaledObjectSpec,
    pub status: ScaledObjectStatus,
}

/// `spec` of a ScaledObject.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaledObjectSpec {
    pub scale_target_ref: ScaledTarget,
}

/// `spec.scaleTargetRef`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScaledTarget {
    pub name: String,
    /// Empty: a Deployment.
    #[serde(deserialize_with = "null_default")]
    pub kind: String,
}

impl ScaledTarget {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        if self.kind.is_empty() { "Deployment" } else { &self.kind }
    }
}

/// `status` of a ScaledObject.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScaledObjectStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

impl ScaledObject {
    /// The condition by which it is not ready, where it is not.
    #[must_use]
    pub fn not_ready(&self) -> Option<&Condition> {
        let ready = self.status.conditions.iter().find(|c| c.kind == "Ready" && c.status == "False");
        ready.filter(|_| self.metadata.deletion_timestamp.is_none())
    }
}

objects!(ScaledObject);
