//! Deployments, StatefulSets and DaemonSets.

use super::meta::null_default;
use super::{Condition, Meta, PersistentVolumeClaim, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

/// Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Set by the collector: lists do not carry it on each item.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: WorkloadSpec,
    pub status: WorkloadStatus,
}

/// `spec` of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSpec {
    pub replicas: Option<u32>,
    pub selector: Option<LabelSelector>,
    pub template: PodTemplate,
    pub volume_claim_templates: Vec<PersistentVolumeClaim>,
    pub service_name: Option<String>,
    pub strategy: Strategy,
    /// Of a StatefulSet or DaemonSet.
    pub update_strategy: Strategy,
    /// A Deployment whose rollout is held.
    pub paused: bool,
    pub progress_deadline_seconds: Option<u32>,
    pub pod_management_policy: Option<String>,
}

/// `spec.strategy` of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub rolling_update: RollingUpdate,
}

/// How many pods an update makes beyond, and takes away from, those that are wanted: a number or a percentage.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    pub max_surge: serde_json::Value,
    pub max_unavailable: serde_json::Value,
    /// Of a StatefulSet: pods with a lower number keep the template they have.
    pub partition: Option<u64>,
}

/// `spec.template`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    pub metadata: Meta,
    pub spec: PodSpec,
}

/// `status` of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadStatus {
    pub ready_replicas: u32,
    pub number_ready: u32,
    pub desired_number_scheduled: u32,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    pub observed_generation: Option<i64>,
    pub replicas: u32,
    pub updated_replicas: u32,
    pub available_replicas: u32,
    pub unavailable_replicas: u32,
    /// Of a StatefulSet: the template's revision before and after the update that runs.
    pub current_revision: Option<String>,
    pub update_revision: Option<String>,
    /// Of a DaemonSet.
    pub current_number_scheduled: u32,
    pub number_available: u32,
    pub number_unavailable: u32,
    pub number_misscheduled: u32,
    pub updated_number_scheduled: u32,
}

impl Workload {
    /// Replicas it wants: `spec.replicas` (1 where unset), or the nodes a DaemonSet wants to run on.
    pub fn desired(&self) -> u32 {
        if self.kind == "DaemonSet" { self.status.desired_number_scheduled } else { self.spec.replicas.unwrap_or(1) }
    }

    /// Replicas that are ready.
    pub fn ready(&self) -> u32 {
        if self.kind == "DaemonSet" { self.status.number_ready } else { self.status.ready_replicas }
    }
}
