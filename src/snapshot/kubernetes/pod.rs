//! Pods, their containers and volumes.

use super::meta::null_default;
use super::{Condition, Map, Meta, PhaseOnly};
use crate::text::pattern::pattern;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Meta,
    pub spec: PodSpec,
    pub status: PodStatus,
}

/// `spec` of a Pod or of a Pod template.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    pub node_name: Option<String>,
    pub node_selector: Map,
    pub affinity: Option<Affinity>,
    pub tolerations: Vec<Toleration>,
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub volumes: Vec<Volume>,
    #[serde(deserialize_with = "null_default")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    pub service_account_name: Option<String>,
    pub priority_class_name: Option<String>,
    pub host_network: bool,
    pub dns_policy: Option<String>,
    pub dns_config: Option<DnsConfig>,
    #[serde(deserialize_with = "null_default")]
    pub image_pull_secrets: Vec<NamedSource>,
    pub security_context: Option<PodSecurityContext>,
    #[serde(deserialize_with = "null_default")]
    pub readiness_gates: Vec<ReadinessGate>,
}

/// `dnsConfig` of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DnsConfig {
    #[serde(deserialize_with = "null_default")]
    pub nameservers: Vec<String>,
}

/// `readinessGates[]`: a condition that somebody else sets, without which the pod is not Ready.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadinessGate {
    pub condition_type: String,
}

impl PodSpec {
    /// The ServiceAccount that pods of it run as.
    pub fn account(&self) -> &str {
        self.service_account_name.as_deref().filter(|n| !n.is_empty()).unwrap_or("default")
    }
}

/// `securityContext` of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSecurityContext {
    pub run_as_user: Option<i64>,
    pub fs_group: Option<i64>,
}

/// `spec.containers[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub command: Vec<String>,
    pub args: Vec<String>,
    pub image_pull_policy: Option<String>,
    /// All of them by name; see [`EnvVar`] for what is kept of their values.
    #[serde(deserialize_with = "keep_known_env")]
    pub env: Vec<EnvVar>,
    #[serde(deserialize_with = "null_default")]
    pub env_from: Vec<EnvFrom>,
    pub ports: Vec<ContainerPort>,
    pub resources: Resources,
    pub liveness_probe: Option<Probe>,
    pub readiness_probe: Option<Probe>,
    pub startup_probe: Option<Probe>,
    pub restart_policy: Option<String>,
    pub security_context: Option<ContainerSecurity>,
    #[serde(deserialize_with = "null_default")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// `securityContext` of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerSecurity {
    /// Nothing can be written but into volumes.
    pub read_only_root_filesystem: Option<bool>,
}

impl Container {
    /// The value of an environment variable, of those that are kept.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|e| e.name == name)?.value.as_deref()
    }
}

/// `volumeMounts[]` of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    pub name: String,
    pub mount_path: String,
    pub sub_path: Option<String>,
    pub read_only: bool,
}

/// `env[]` of a container. Kept are the values of proxy, AWS credential-source and VPC CNI variables, of those that name a host, a
/// region, a queue, a bucket or the cluster in one word, where Grafana is served, what it installs and which ConfigMaps its
/// side-cars load, and where a mesh's control plane answers; those of others may be secret, and are dropped: the name alone tells
/// that it is set. Of variables from a ConfigMap or Secret, the reference.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    pub name: String,
    pub value: Option<String>,
    pub value_from: Option<EnvSource>,
}

/// `valueFrom` of a variable: where its value comes from, never the value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSource {
    pub config_map_key_ref: Option<KeyRef>,
    pub secret_key_ref: Option<KeyRef>,
}

/// A key of a ConfigMap or Secret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeyRef {
    pub name: String,
    pub key: String,
    pub optional: bool,
}

/// `envFrom[]` of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    pub config_map_ref: Option<NamedSource>,
    pub secret_ref: Option<NamedSource>,
}

/// Passwords of Grafana that stand in its documents and in those of its charts.
pub const DEFAULT_PASSWORDS: &[&str] = &["admin", "prom-operator"];

fn keep_known_env<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<EnvVar>, D::Error> {
    let all: Vec<EnvVar> = null_default(d)?;
    let known = |e: EnvVar| if is_known(&e) { e } else { EnvVar { value: None, ..e } };
    Ok(all.into_iter().map(known).collect())
}

/// A variable whose value is no secret.
fn is_known(variable: &EnvVar) -> bool {
    let name = variable.name.to_ascii_uppercase();
    // What everybody knows is no secret.
    let default = name == "GF_SECURITY_ADMIN_PASSWORD"
        && variable.value.as_deref().is_some_and(|v| DEFAULT_PASSWORDS.contains(&v));
    default
        || name.ends_with("_PROXY")
        || names_an_address(&name) && variable.value.as_deref().is_some_and(is_bare_address)
        || names_a_place(&name) && variable.value.as_deref().is_some_and(|v| !v.contains(['@', '/', ' ']))
        || matches!(
            name.as_str(),
            "AWS_REGION"
                | "AWS_ROLE_ARN"
                | "AWS_WEB_IDENTITY_TOKEN_FILE"
                | "AWS_CONTAINER_CREDENTIALS_FULL_URI"
                | "CA_ADDR"
                | "GF_DATABASE_HOST"
                | "GF_DATABASE_TYPE"
                | "GF_INSTALL_PLUGINS"
                | "GF_PATHS_CONFIG"
                | "GF_AUTH_BASIC_ENABLED"
                | "GF_PLUGINS_PREINSTALL"
                | "GF_PLUGINS_PREINSTALL_SYNC"
                | "GF_SERVER_HTTP_PORT"
                | "GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS"
                | "GF_SERVER_ROOT_URL"
                | "GF_SERVER_SERVE_FROM_SUB_PATH"
                | "LABEL"
                | "LABEL_VALUE"
                | "POD_SECURITY_GROUP_ENFORCING_MODE"
                | "DISABLE_TCP_EARLY_DEMUX"
                | "FOLDER"
                | "METHOD"
                | "NAMESPACE"
                | "RESOURCE"
                | "REQ_URL"
                | "ENABLE_PREFIX_DELEGATION"
                | "WARM_PREFIX_TARGET"
                | "WARM_ENI_TARGET"
                | "WARM_IP_TARGET"
                | "MINIMUM_IP_TARGET"
                | "MAX_ENI"
                | "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"
                | "AWS_VPC_K8S_CNI_EXTERNALSNAT"
                | "NETWORK_POLICY_ENFORCING_MODE"
        )
}

/// Variables that say where another program is.
fn names_an_address(name: &str) -> bool {
    ["URL", "URI", "ADDR", "ADDRESS", "ENDPOINT", "SERVER"].iter().any(|end| name.ends_with(end))
}

/// Scheme, host and port, and nothing that could be a secret: no user, no query, and a path only within the cluster, as hooks
/// elsewhere have their token in it.
fn is_bare_address(value: &str) -> bool {
    let address = pattern!(r"^(?:[a-z][a-z0-9+]*://)?([A-Za-z0-9.-]+)(?::\d{1,5})?(/[\w./-]*)?$");
    address.captures(value).is_some_and(|found| {
        let host = found[1].trim_end_matches('.');
        let of_cluster = host.ends_with(".svc") || host.ends_with(".cluster.local");
        of_cluster || found.get(2).is_none_or(|path| path.as_str() == "/")
    })
}

/// Variables that say where something is, in one word.
fn names_a_place(name: &str) -> bool {
    ["_REGION", "_HOST", "_QUEUE", "_BUCKET", "CLUSTER_NAME"].iter().any(|end| name.ends_with(end))
}

/// `ports[]` of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    pub name: Option<String>,
    pub container_port: u16,
    pub host_port: Option<u16>,
    pub protocol: Option<String>,
}

/// `resources` of a container, quantities as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    pub requests: Map,
    pub limits: Map,
}

/// A probe, by what it asks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Probe {
    pub http_get: Option<HttpGet>,
    pub tcp_socket: Option<PortOnly>,
    pub exec: Option<Value>,
    pub grpc: Option<Value>,
}

/// `httpGet` of a probe.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpGet {
    pub path: Option<String>,
    pub port: Value,
    pub scheme: Option<String>,
}

/// `tcpSocket` of a probe.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PortOnly {
    pub port: Value,
}

/// `spec.volumes[]`, the sources that checks read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    pub name: String,
    pub persistent_volume_claim: Option<ClaimSource>,
    pub config_map: Option<NamedSource>,
    pub secret: Option<SecretSource>,
    pub projected: Option<ProjectedSources>,
    pub empty_dir: Option<Value>,
    /// A folder or file of the node.
    pub host_path: Option<HostPath>,
    /// A claim of the pod's own, which Kubernetes makes for it.
    pub ephemeral: Option<Value>,
}

/// `hostPath` of a volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct HostPath {
    /// Where it lies on the node.
    pub path: String,
}

/// `projected` of a volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ProjectedSources {
    #[serde(deserialize_with = "null_default")]
    pub sources: Vec<ProjectedSource>,
}

/// One source of a projected volume, those that hold files people write.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    pub config_map: Option<NamedSource>,
    pub secret: Option<NamedSource>,
}

/// `items[]` of a source: which key becomes which file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeyToPath {
    pub key: String,
    pub path: String,
}

/// `persistentVolumeClaim` of a volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSource {
    pub claim_name: String,
    pub read_only: bool,
}

/// A source that is named by `name`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamedSource {
    pub name: String,
    pub optional: bool,
    /// The keys that are mounted and their file names; empty: all keys.
    #[serde(deserialize_with = "null_default")]
    pub items: Vec<KeyToPath>,
}

/// `secret` of a volume: its name, never its data.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretSource {
    pub secret_name: String,
    pub optional: bool,
    #[serde(deserialize_with = "null_default")]
    pub items: Vec<KeyToPath>,
}

/// `status` of a Pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub phase: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub conditions: Vec<Condition>,
    pub container_statuses: Vec<ContainerStatus>,
    pub init_container_statuses: Vec<ContainerStatus>,
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    #[serde(rename = "hostIP")]
    pub host_ip: Option<String>,
    pub start_time: Option<Timestamp>,
}

/// `status.containerStatuses[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: String,
    pub image: String,
    /// What was really pulled: `<repository>@sha256:…`.
    #[serde(rename = "imageID")]
    pub image_id: String,
    pub ready: bool,
    /// Its startup probe has passed, or it has none.
    pub started: Option<bool>,
    pub restart_count: u32,
    pub state: ContainerState,
    pub last_state: ContainerState,
}

impl ContainerStatus {
    /// How it ended last: the current state, else the one before it.
    pub fn ended(&self) -> Option<&Terminated> {
        self.state.terminated.as_ref().or(self.last_state.terminated.as_ref())
    }

    /// Since when it runs.
    pub fn running_since(&self) -> Option<Timestamp> {
        self.state.running.as_ref()?.started_at
    }

    /// It ended within so many seconds before `now`.
    pub fn ended_within(&self, seconds: i64, now: Timestamp) -> bool {
        let at = self.ended().and_then(|t| t.finished_at);
        at.is_some_and(|t| now.as_second() - t.as_second() <= seconds)
    }
}

/// `state` and `lastState` of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    pub waiting: Option<Waiting>,
    pub running: Option<Running>,
    pub terminated: Option<Terminated>,
}

/// `state.running`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    pub started_at: Option<Timestamp>,
}

/// `state.waiting`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    pub reason: String,
    pub message: Option<String>,
}

/// `state.terminated`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    pub reason: String,
    pub exit_code: i32,
    pub message: Option<String>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

impl ContainerStatus {
    /// The kernel killed it for its memory when it ended last.
    pub fn oom_killed(&self) -> bool {
        self.ended().is_some_and(|t| t.reason == "OOMKilled")
    }
}

impl Pod {
    /// A condition by type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }

    /// The Ready condition is True.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|c| c.status == "True")
    }

    /// Ran to its end (`Succeeded`, `Failed`): no longer part of any Service and no longer on its node.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Statuses of its init containers and containers.
    pub fn statuses(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.status.init_container_statuses.iter().chain(&self.status.container_statuses)
    }

    /// With the claims that Kubernetes makes for its generic ephemeral volumes, as claims that it mounts.
    #[must_use]
    pub fn with_own_claims(mut self) -> Self {
        let pod = &self.metadata.name;
        for volume in self.spec.volumes.iter_mut().filter(|v| v.ephemeral.is_some()) {
            let claim_name = format!("{pod}-{}", volume.name);
            volume.persistent_volume_claim = Some(ClaimSource { claim_name, read_only: false });
        }
        self
    }

    /// Names of the claims it mounts.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref()).map(|c| c.claim_name.as_str())
    }

    /// Containers and init containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.spec.init_containers.iter().chain(&self.spec.containers)
    }
}

/// A pod on a node with what it asks for: enough to compute free capacity.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodOnNode {
    pub metadata: Meta,
    pub spec: PodOnNodeSpec,
    pub status: PhaseOnly,
}

/// `spec` of [`PodOnNode`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodOnNodeSpec {
    pub node_name: Option<String>,
    pub host_network: bool,
    pub containers: Vec<ContainerRequests>,
    #[serde(deserialize_with = "null_default")]
    pub init_containers: Vec<ContainerRequests>,
}

/// A container with its requests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerRequests {
    pub resources: Resources,
    #[serde(deserialize_with = "null_default")]
    pub ports: Vec<ContainerPort>,
    pub restart_policy: Option<String>,
}

/// What the containers of a pod use, `metrics.k8s.io`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodMetrics {
    pub metadata: Meta,
    #[serde(deserialize_with = "null_default")]
    pub containers: Vec<ContainerUsage>,
}

/// `containers[]` of [`PodMetrics`]: quantities by resource.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerUsage {
    pub name: String,
    pub usage: Map,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_of_a_secret_variable_is_kept() {
        let container: Container = serde_json::from_value(json!({"name": "grafana", "env": [
            {"name": "GF_DATABASE_URL", "value": "mysql://grafana:hunter2@db/grafana"},
            {"name": "GF_SECURITY_SECRET_KEY", "value": "hunter2"},
            {"name": "gf_security_secret_key", "value": "hunter2"},
            {"name": "GF_DATABASE_PASSWORD", "value": "hunter2"},
            {"name": "GF_SECURITY_ADMIN_PASSWORD", "value": "hunter2"},
            {"name": "GF_DATABASE_TYPE", "value": "mysql"},
        ]}))
        .expect("a container");
        let kept = container.env.iter().map(|e| (e.name.as_str(), e.value.as_deref())).collect::<Vec<_>>();
        let unseen = |name| (name, None);
        let secret = ["GF_DATABASE_URL", "GF_SECURITY_SECRET_KEY", "gf_security_secret_key"];
        let names = [&secret[..], &["GF_DATABASE_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD"]].concat();
        let names: Vec<_> = names.into_iter().map(unseen).collect();
        assert_eq!(kept, [names.as_slice(), &[("GF_DATABASE_TYPE", Some("mysql"))]].concat());
    }

    #[test]
    fn addresses_of_programs_are_kept_without_what_could_be_a_secret() {
        let kept = |name: &str, value: &str| {
            let made = json!({"name": "x", "env": [{"name": name, "value": value}]});
            let container: Container = serde_json::from_value(made).expect("a container");
            container.env[0].value.is_some()
        };
        assert!(kept("ALERTMANAGER_URI", "http://alertmanager.monitoring.svc:9093"));
        assert!(kept("PROMETHEUS_URL", "http://prometheus.monitoring.svc.cluster.local:9090/prometheus"));
        assert!(kept("JIRA_URL", "https://acme.atlassian.net/") && kept("REDIS_ADDR", "redis-master:6379"));
        assert!(!kept("SLACK_URL", "https://hooks.slack.com/services/T0/B0/hunter2"));
        assert!(!kept("DB_URL", "postgres://a:hunter2@db.svc/x") && !kept("API_URL", "https://a.svc/?key=hunter2"));
        assert!(!kept("NOTE", "http://a.svc"));
    }
}
