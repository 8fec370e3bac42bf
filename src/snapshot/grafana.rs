//! What Grafana says of itself.

#![allow(missing_docs, reason = "fields are the API fields of the same name")]

use serde::Deserialize;
use serde_json::Value;

/// `/api/health`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    pub version: String,
    /// `ok` where Grafana reaches its own database.
    pub database: String,
}

/// One entry of `/api/datasources`, without its settings: those can hold credentials.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Datasource {
    pub uid: String,
    pub org_id: i64,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub access: String,
    pub url: String,
    pub is_default: bool,
    /// Provisioned from a file: it cannot be changed in the UI.
    pub read_only: bool,
}

/// `/api/datasources/uid/<uid>/health`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct DatasourceHealth {
    /// Of which datasource; set by the collector.
    #[serde(skip)]
    pub uid: String,
    /// `OK` or `ERROR`: without it, it is no answer.
    pub status: String,
    #[serde(default)]
    pub message: String,
}

/// `/api/dashboards/uid/<uid>`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Dashboard {
    pub meta: DashboardMeta,
    /// The dashboard's JSON.
    pub dashboard: Value,
}

/// `meta` of a dashboard.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DashboardMeta {
    /// Comes from a file: it cannot be saved in the UI.
    pub provisioned: bool,
}
