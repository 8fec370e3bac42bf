//! The Prometheus operator's resources.

use super::meta::null_default;
use super::{Condition, Meta, PersistentVolumeClaim};
use serde::Deserialize;
use serde_json::Value;

/// PrometheusRule of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PrometheusRule {
    pub metadata: Meta,
    /// As it is: what is wrong with it is the question.
    pub spec: Value,
}

/// Prometheus or Alertmanager resource of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MonitoringResource {
    /// Set by the collector: `Prometheus` or `Alertmanager`.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: MonitoringSpec,
    pub status: MonitoringStatus,
}

/// `status` of a Prometheus or Alertmanager resource.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MonitoringStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// `spec` of a Prometheus or Alertmanager resource.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringSpec {
    pub replicas: Option<u32>,
    pub route_prefix: Option<String>,
    pub storage: Option<MonitoringStorage>,
    pub additional_scrape_configs: Option<KeySelector>,
    pub config_secret: Option<String>,
}

/// A key of a Secret, by name: never its data.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeySelector {
    pub name: String,
    pub key: String,
}

/// `spec.storage`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringStorage {
    pub volume_claim_template: Option<PersistentVolumeClaim>,
}
