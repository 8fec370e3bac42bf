//! Resources of the operators that make parts of a stack: of Grafana, Loki and Tempo.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta};

/// Grafana, GrafanaDashboard, GrafanaDatasource (`grafana.integreatly.org`), LokiStack (`loki.grafana.com`), TempoStack or
/// TempoMonolithic (`tempo.grafana.com`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Operated {
    /// Set by the collector.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: OperatedSpec,
    pub status: OperatedStatus,
}

/// `spec` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperatedSpec {
    /// Of what goes into a Grafana: the labels of those that get it.
    #[serde(deserialize_with = "null_default")]
    pub instance_selector: LabelSelector,
    pub allow_cross_namespace_import: bool,
    pub storage: OperatedStorage,
}

/// `spec.storage` of a LokiStack or a TempoStack.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OperatedStorage {
    pub secret: OperatedSecret,
}

/// `spec.storage.secret`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OperatedSecret {
    pub name: String,
    /// `s3`, `gcs`, `azure` …
    #[serde(rename = "type")]
    pub kind: String,
}

/// `status` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperatedStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// Of a Grafana: the step that it is at, how that went, and what was said.
    pub stage: String,
    pub stage_status: String,
    pub last_message: String,
    /// What versions without conditions say of a selector that matches no Grafana.
    #[serde(rename = "NoMatchingInstances")]
    pub no_matching_instances: bool,
}

objects!(Operated);
