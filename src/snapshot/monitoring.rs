//! What Prometheus and Alertmanager say of themselves.

#![allow(missing_docs, reason = "fields are the API fields of the same name")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::Text;
use super::kubernetes::Meta;
use crate::model::Program;

/// One entry of `activeTargets` of `/api/v1/targets`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScrapeTarget {
    pub discovered_labels: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub scrape_pool: String,
    pub scrape_url: String,
    pub last_error: String,
    pub health: String,
    pub scrape_interval: String,
    pub scrape_timeout: String,
    /// Seconds.
    pub last_scrape_duration: f64,
}

impl ScrapeTarget {
    /// The job that scrapes it: the pool's name, as in `scrape_configs`; the `job` label can be rewritten.
    pub fn job(&self) -> &str {
        if self.scrape_pool.is_empty() { self.labels.get("job").map_or("", String::as_str) } else { &self.scrape_pool }
    }
}

/// `status/buildinfo` and `status/runtimeinfo`, what checks read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrometheusRuntime {
    pub version: String,
    pub reload_config_success: Option<bool>,
    pub last_config_time: Option<Timestamp>,
    pub start_time: Option<Timestamp>,
    /// WAL corruptions since the start.
    pub corruption_count: u64,
    pub storage_retention: String,
}

/// One entry of `/api/v1/alerts`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FiringAlert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `firing`, `pending`.
    pub state: String,
    pub active_at: Option<Timestamp>,
    pub value: String,
}

impl FiringAlert {
    /// Its `alertname`.
    pub fn name(&self) -> &str {
        self.label("alertname")
    }

    /// A label's value, empty where there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// `/api/v1/alertmanagers`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiscoveredAlertmanagers {
    pub active_alertmanagers: Vec<AlertmanagerUrl>,
    pub dropped_alertmanagers: Vec<AlertmanagerUrl>,
}

/// One Alertmanager by the URL that alerts are posted to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AlertmanagerUrl {
    pub url: String,
}

/// What `/-/ready` answered.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// It answered that it is ready.
    pub ready: bool,
    /// What it said.
    pub text: String,
}

/// Samples of one target's last scrape (`scrape_samples_scraped`).
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSamples {
    pub instance: String,
    pub samples: f64,
}

/// One group of `/api/v1/rules`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RuleGroup {
    pub name: String,
    pub file: String,
    /// Seconds.
    pub interval: f64,
    /// Seconds that the last evaluation took.
    #[serde(rename = "evaluationTime")]
    pub evaluation_time: f64,
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    pub name: String,
    pub query: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub health: String,
    pub last_error: Option<String>,
    /// Seconds that the condition has to hold before an alert fires.
    pub duration: f64,
    pub labels: BTreeMap<String, String>,
    /// Alerts that it raised now.
    pub alerts: Vec<RuleAlert>,
}

/// One alert of an alerting rule.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleAlert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `firing`, `pending`.
    pub state: String,
    pub active_at: Option<Timestamp>,
}

/// `/api/v2/status` of Alertmanager.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagerStatus {
    /// Without it, it is no answer.
    pub config: AlertmanagerConfig,
    #[serde(default)]
    pub version_info: VersionInfo,
    #[serde(default)]
    pub cluster: GossipCluster,
}

/// The cluster of an Alertmanager, as it sees it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GossipCluster {
    /// The name that it has among its peers; empty where it has no cluster.
    pub name: String,
    /// The members that are there, itself among them; `None` where it has no cluster.
    pub peers: Option<Vec<GossipPeer>>,
}

/// A member of Alertmanager's cluster.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GossipPeer {
    pub name: String,
    /// Host and port of its gossip.
    pub address: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AlertmanagerConfig {
    /// The configuration as loaded; Alertmanager itself hides secrets (`<secret>`).
    pub original: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VersionInfo {
    pub version: String,
}

/// One entry of `/api/v2/silences`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Silence {
    pub id: String,
    pub comment: String,
    pub created_by: String,
    pub starts_at: String,
    pub ends_at: String,
    pub matchers: Vec<SilenceMatcher>,
    pub status: SilenceStatus,
}

/// `status` of a silence.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SilenceStatus {
    /// `active`, `pending`, `expired`.
    pub state: String,
}

/// `matchers[]` of a silence.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceMatcher {
    pub name: String,
    #[serde(default)]
    pub value: String,
    #[serde(default)]
    pub is_regex: bool,
    /// Versions before 0.22 know no other kind, and do not say so.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

/// One entry of `/api/v2/alerts/groups`: alerts that one receiver gets together.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AlertGroup {
    pub receiver: NamedReceiver,
    pub alerts: Vec<Alert>,
}

/// A receiver by its name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamedReceiver {
    pub name: String,
}

/// An alert as Alertmanager holds it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Alert {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub status: AlertStatus,
    pub fingerprint: String,
    pub starts_at: Option<Timestamp>,
}

/// `status` of an alert.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertStatus {
    /// `active`, `suppressed`, `unprocessed`.
    pub state: String,
    /// Ids of silences.
    pub silenced_by: Vec<String>,
    /// Fingerprints of alerts.
    pub inhibited_by: Vec<String>,
    /// Names of time intervals, since 0.28.
    pub muted_by: Vec<String>,
}

/// `status/tsdb`: what the head holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TsdbStatus {
    pub head_stats: HeadStats,
    /// Metrics with most series.
    pub series_count_by_metric_name: Vec<Counted>,
    /// Labels with most values.
    pub label_value_count_by_label_name: Vec<Counted>,
    /// `name=value` with most series.
    pub series_count_by_label_value_pair: Vec<Counted>,
}

/// `headStats`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeadStats {
    pub num_series: u64,
}

/// A name and how many there are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Counted {
    pub name: String,
    pub value: u64,
}

/// One sample of a text exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// The working set of a container in bytes, as Prometheus recorded it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerMemory {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    /// Now.
    pub now: Option<f64>,
    /// At most, within the last day.
    pub peak: Option<f64>,
}

/// The end of a container's log.
#[derive(Debug, Clone, Default)]
pub struct ContainerLog {
    pub namespace: String,
    pub pod: String,
    pub container: String,
    /// The program of the stack that wrote it.
    pub program: Option<Program>,
    /// The container's image.
    pub image: String,
    /// The log of the container before its last restart.
    pub previous: bool,
    pub text: Text,
}

impl ContainerLog {
    /// A container of this pod wrote it.
    pub fn is_of(&self, pod: &Meta) -> bool {
        self.namespace == pod.namespace && self.pod == pod.name
    }
}

/// What a scrape URL answered when asked through the API server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TargetAnswer {
    pub url: String,
    /// The first part of the body.
    pub body: String,
}
