//! What scales workloads and what keeps their pods from being evicted.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec, MetricStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta};

/// HorizontalPodAutoscaler, autoscaling/v2.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Autoscaler {
    pub metadata: Meta,
    pub spec: AutoscalerSpec,
    pub status: AutoscalerStatus,
}

/// `spec` of a HorizontalPodAutoscaler.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerSpec {
    pub scale_target_ref: ScaleTarget,
    pub min_replicas: Option<u32>,
    pub max_replicas: u32,
    #[serde(deserialize_with = "null_default")]
    pub metrics: Vec<MetricSpec>,
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
}

/// `spec.scaleTargetRef`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaleTarget {
    pub api_version: String,
    pub kind: String,
    pub name: String,
}

/// `status` of a HorizontalPodAutoscaler.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerStatus {
    pub current_replicas: Option<u32>,
    pub desired_replicas: u32,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "null_default")]
    pub current_metrics: Vec<MetricStatus>,
}

/// PodDisruptionBudget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DisruptionBudget {
    pub metadata: Meta,
    pub spec: BudgetSpec,
    pub status: BudgetStatus,
}

/// `spec` of a PodDisruptionBudget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetSpec {
    pub selector: Option<LabelSelector>,
    pub min_available: Option<IntOrString>,
    pub max_unavailable: Option<IntOrString>,
    /// `AlwaysAllow` lets pods go that run and are not ready, whatever the budget says.
    pub unhealthy_pod_eviction_policy: Option<String>,
}

/// `status` of a PodDisruptionBudget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    pub current_healthy: u32,
    pub desired_healthy: u32,
    pub disruptions_allowed: u32,
    pub expected_pods: u32,
    pub observed_generation: Option<i64>,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

objects!(Autoscaler, DisruptionBudget);
