//! Resources of the Prometheus Operator: what its servers select, and what they are asked to select.
//!
//! Credentials are references to Secrets, never their data.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde_json::Value;

use super::meta::null_default;
use super::{Condition, Map, Meta, PersistentVolumeClaim, Resources};

/// PrometheusRule of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PrometheusRule {
    pub metadata: Meta,
    /// As it is: what is wrong with it is the question.
    pub spec: Value,
    pub status: ConfigStatus,
}

/// Prometheus, Alertmanager, PrometheusAgent or ThanosRuler resource of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MonitoringResource {
    /// Set by the collector: `Prometheus`, `Alertmanager`, `PrometheusAgent`, `ThanosRuler`.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: MonitoringSpec,
    pub status: MonitoringStatus,
}

/// `status` of such a resource.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    pub paused: bool,
    pub replicas: u32,
    pub available_replicas: u32,
    pub unavailable_replicas: u32,
}

/// `spec` of such a resource. Selectors: `None` selects nothing (a namespace selector: only the own namespace), an empty
/// one everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringSpec {
    pub replicas: Option<u32>,
    pub shards: Option<u32>,
    pub paused: bool,
    pub version: Option<String>,
    pub image: Option<String>,
    pub route_prefix: Option<String>,
    pub external_url: Option<String>,
    pub service_account_name: Option<String>,
    pub storage: Option<MonitoringStorage>,
    pub resources: Resources,
    pub retention: Option<String>,
    pub retention_size: Option<String>,
    pub scrape_interval: Option<String>,
    pub evaluation_interval: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub external_labels: Map,
    /// The external labels that the operator adds: with another name, with none (``), or switched off.
    pub replica_external_label_name: Option<String>,
    pub replica_external_label_name_clear: bool,
    pub prometheus_external_label_name: Option<String>,
    pub prometheus_external_label_name_clear: bool,
    pub additional_scrape_configs: Option<KeySelector>,
    pub additional_alert_manager_configs: Option<KeySelector>,
    pub additional_alert_relabel_configs: Option<KeySelector>,
    pub config_secret: Option<String>,
    pub service_monitor_selector: Option<LabelSelector>,
    pub service_monitor_namespace_selector: Option<LabelSelector>,
    pub pod_monitor_selector: Option<LabelSelector>,
    pub pod_monitor_namespace_selector: Option<LabelSelector>,
    pub probe_selector: Option<LabelSelector>,
    pub probe_namespace_selector: Option<LabelSelector>,
    pub scrape_config_selector: Option<LabelSelector>,
    pub scrape_config_namespace_selector: Option<LabelSelector>,
    pub rule_selector: Option<LabelSelector>,
    pub rule_namespace_selector: Option<LabelSelector>,
    pub alertmanager_config_selector: Option<LabelSelector>,
    pub alertmanager_config_namespace_selector: Option<LabelSelector>,
    pub alertmanager_config_matcher_strategy: Option<MatcherStrategy>,
    pub alertmanager_configuration: Option<GlobalConfiguration>,
    pub alerting: Option<Alerting>,
    #[serde(deserialize_with = "null_default")]
    pub remote_write: Vec<RemoteWrite>,
    /// Programs other than Prometheus may not name files of its pod.
    #[serde(rename = "arbitraryFSAccessThroughSMs")]
    pub arbitrary_fs_access: Option<FileAccess>,
    pub ignore_namespace_selectors: bool,
    pub override_honor_labels: bool,
    pub enforced_namespace_label: Option<String>,
    pub enforced_sample_limit: Option<u64>,
    pub enforced_target_limit: Option<u64>,
    pub enforced_body_size_limit: Option<String>,
}

/// A key of a Secret or ConfigMap, by name: never its data.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeySelector {
    pub name: String,
    pub key: String,
    pub optional: bool,
}

/// `spec.storage`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitoringStorage {
    pub volume_claim_template: Option<PersistentVolumeClaim>,
    pub empty_dir: Option<Value>,
    pub ephemeral: Option<Value>,
}

/// `spec.alertmanagerConfigMatcherStrategy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MatcherStrategy {
    /// `OnNamespace` (the default), `OnNamespaceExceptForAlertmanagerNamespace`, `None`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// `spec.alertmanagerConfiguration`: one AlertmanagerConfig as the global configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GlobalConfiguration {
    pub name: String,
}

/// `spec.arbitraryFSAccessThroughSMs`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FileAccess {
    pub deny: bool,
}

/// `spec.alerting`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Alerting {
    #[serde(deserialize_with = "null_default")]
    pub alertmanagers: Vec<AlertmanagerEndpoint>,
}

/// `spec.alerting.alertmanagers[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertmanagerEndpoint {
    pub namespace: Option<String>,
    pub name: String,
    /// Name or number of the Service's port.
    pub port: Value,
    pub scheme: Option<String>,
    pub path_prefix: Option<String>,
    pub api_version: Option<String>,
    pub tls_config: Option<TlsConfig>,
}

/// `spec.remoteWrite[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RemoteWrite {
    pub url: String,
    pub name: Option<String>,
    pub remote_timeout: Option<String>,
    pub sigv4: Option<Sigv4>,
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub bearer_token_file: Option<String>,
    pub tls_config: Option<TlsConfig>,
    pub proxy_url: Option<String>,
    pub queue_config: Option<Value>,
}

/// `sigv4` of a remote write: with which AWS identity it signs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sigv4 {
    pub region: Option<String>,
    pub role_arn: Option<String>,
    pub profile: Option<String>,
    pub access_key: Option<KeySelector>,
    pub secret_key: Option<KeySelector>,
}

/// `basicAuth`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BasicAuth {
    pub username: Option<KeySelector>,
    pub password: Option<KeySelector>,
}

/// `authorization`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authorization {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub credentials: Option<KeySelector>,
    pub credentials_file: Option<String>,
}

/// `oauth2`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OAuth2 {
    pub client_id: Option<SecretOrConfigMap>,
    pub client_secret: Option<KeySelector>,
    pub token_url: String,
}

/// `tlsConfig`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsConfig {
    pub ca: Option<SecretOrConfigMap>,
    pub cert: Option<SecretOrConfigMap>,
    pub key_secret: Option<KeySelector>,
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub server_name: Option<String>,
    pub insecure_skip_verify: Option<bool>,
}

/// A key of a Secret or of a ConfigMap.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretOrConfigMap {
    pub secret: Option<KeySelector>,
    pub config_map: Option<KeySelector>,
}

/// `status` of the resources that a server selects; written since operator 0.86, behind a feature gate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConfigStatus {
    #[serde(deserialize_with = "null_default")]
    pub bindings: Vec<Binding>,
}

/// `status.bindings[]`: one server that selected the resource, and whether it took it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Binding {
    pub group: String,
    pub resource: String,
    pub namespace: String,
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// ServiceMonitor or PodMonitor.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "super::dropped::RawMonitor")]
pub struct Monitor {
    /// Set by the collector: `ServiceMonitor`, `PodMonitor`.
    pub kind: String,
    pub metadata: Meta,
    pub spec: MonitorSpec,
    pub status: ConfigStatus,
    /// Misspelt fields of the manifest that was applied last, which the API server dropped.
    pub dropped: Vec<Dropped>,
}

/// A field that the API server dropped, for the schema of the kind does not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// `spec.endpoints[0].metricRelabeling`.
    pub path: String,
    /// `metricRelabelings`.
    pub meant: String,
}

/// `spec` of a ServiceMonitor or PodMonitor.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitorSpec {
    pub selector: LabelSelector,
    pub namespace_selector: NamespaceSelector,
    /// `podMetricsEndpoints` of a PodMonitor.
    #[serde(alias = "podMetricsEndpoints", deserialize_with = "null_default")]
    pub endpoints: Vec<MonitorEndpoint>,
    pub job_label: Option<String>,
    pub sample_limit: Option<u64>,
    pub target_limit: Option<u64>,
    pub label_limit: Option<u64>,
    pub body_size_limit: Option<String>,
    pub scrape_class: Option<String>,
    pub fallback_scrape_protocol: Option<String>,
}

/// `namespaceSelector` of what selects Services, pods or Ingresses: empty means the own namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceSelector {
    pub any: bool,
    #[serde(deserialize_with = "null_default")]
    pub match_names: Vec<String>,
}

impl NamespaceSelector {
    /// True where objects of `namespace` are looked at, for a resource that lies in `own`.
    pub fn selects(&self, namespace: &str, own: &str) -> bool {
        if self.any {
            return true;
        }
        if self.match_names.is_empty() { namespace == own } else { self.match_names.iter().any(|n| n == namespace) }
    }
}

/// `endpoints[]` of a ServiceMonitor, `podMetricsEndpoints[]` of a PodMonitor.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitorEndpoint {
    /// Name of the port.
    pub port: Option<String>,
    pub target_port: Option<Value>,
    pub port_number: Option<u16>,
    pub path: Option<String>,
    pub scheme: Option<String>,
    pub interval: Option<String>,
    pub scrape_timeout: Option<String>,
    pub honor_labels: bool,
    pub bearer_token_file: Option<String>,
    pub bearer_token_secret: Option<KeySelector>,
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub oauth2: Option<OAuth2>,
    pub tls_config: Option<TlsConfig>,
    pub params: Option<Value>,
    pub proxy_url: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub relabelings: Vec<Value>,
    #[serde(deserialize_with = "null_default")]
    pub metric_relabelings: Vec<Value>,
}

/// Probe of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ProbeResource {
    pub metadata: Meta,
    pub spec: ProbeSpec,
    pub status: ConfigStatus,
}

/// `spec` of a Probe.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbeSpec {
    pub job_name: Option<String>,
    pub module: Option<String>,
    pub interval: Option<String>,
    pub scrape_timeout: Option<String>,
    pub prober: Prober,
    pub targets: ProbeTargets,
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub bearer_token_secret: Option<KeySelector>,
    pub tls_config: Option<TlsConfig>,
}

/// `spec.prober`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prober {
    pub url: String,
    pub scheme: Option<String>,
    pub path: Option<String>,
    pub proxy_url: Option<String>,
}

/// `spec.targets`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProbeTargets {
    pub static_config: Option<StaticTargets>,
    pub ingress: Option<IngressTargets>,
}

/// `spec.targets.staticConfig`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StaticTargets {
    #[serde(rename = "static", deserialize_with = "null_default")]
    pub targets: Vec<String>,
}

/// `spec.targets.ingress`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTargets {
    pub selector: LabelSelector,
    pub namespace_selector: NamespaceSelector,
}

/// ScrapeConfig of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScrapeConfigResource {
    pub metadata: Meta,
    /// As it is: it mirrors Prometheus' own `scrape_config`.
    pub spec: Value,
    pub status: ConfigStatus,
}

/// AlertmanagerConfig of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AlertmanagerConfigResource {
    pub metadata: Meta,
    pub spec: AlertmanagerConfigSpec,
    pub status: ConfigStatus,
}

/// `spec` of an AlertmanagerConfig, as it is: routes and receivers are trees of their own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertmanagerConfigSpec {
    pub route: Value,
    #[serde(deserialize_with = "null_default")]
    pub receivers: Vec<Value>,
    #[serde(deserialize_with = "null_default")]
    pub inhibit_rules: Vec<Value>,
}

objects!(PrometheusRule, Monitor, MonitoringResource, ProbeResource, ScrapeConfigResource, AlertmanagerConfigResource);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_monitor_has_its_endpoints_under_another_name() {
        let text = r#"{"metadata":{"name":"m"},"spec":{"selector":{},"podMetricsEndpoints":[{"port":"web"}]}}"#;
        let monitor: Monitor = serde_json::from_str(text).expect("a PodMonitor");
        assert_eq!(monitor.spec.endpoints[0].port.as_deref(), Some("web"));
    }

    #[test]
    fn an_empty_namespace_selector_means_the_own_namespace() {
        let selector = NamespaceSelector::default();
        assert!(selector.selects("a", "a") && !selector.selects("b", "a"));
        let named = NamespaceSelector { any: false, match_names: vec!["b".into()] };
        assert!(named.selects("b", "a") && !named.selects("a", "a"));
    }

    #[test]
    fn an_absent_selector_is_not_an_empty_one() {
        let read = |text| serde_json::from_str::<MonitoringSpec>(text).expect("a spec").service_monitor_selector;
        assert!(read("{}").is_none());
        assert!(read(r#"{"serviceMonitorSelector":{}}"#).is_some());
    }
}
