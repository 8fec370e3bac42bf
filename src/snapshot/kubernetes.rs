//! Kubernetes objects, cut to the fields that some check reads. Field names and meaning are the API's own.

#![allow(missing_docs, reason = "fields are the API fields of the same name")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Affinity, NodeSelector, Taint, Toleration, TopologySelectorTerm, TopologySpreadConstraint,
};
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Strings by name: labels, annotations, selectors.
pub type Map = BTreeMap<String, String>;

fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// `metadata`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub namespace: String,
    pub uid: String,
    #[serde(deserialize_with = "null_default")]
    pub labels: Map,
    #[serde(deserialize_with = "keep_known_annotations")]
    pub annotations: Map,
    #[serde(deserialize_with = "null_default")]
    pub owner_references: Vec<OwnerReference>,
    pub creation_timestamp: Option<Timestamp>,
    pub deletion_timestamp: Option<Timestamp>,
}

/// Annotations can be large (last-applied-configuration); only those that some check reads are kept.
fn keep_known_annotations<'de, D: Deserializer<'de>>(d: D) -> Result<Map, D::Error> {
    let all: Map = null_default(d)?;
    Ok(all
        .into_iter()
        .filter(|(k, _)| {
            k.starts_with("meta.helm.sh/")
                || k.starts_with("storageclass.")
                || k.starts_with("volume.")
                || k.starts_with("pv.kubernetes.io/")
                || k.starts_with("eks.amazonaws.com/")
                || k.starts_with("argocd.argoproj.io/")
                || k.starts_with("kustomize.toolkit.fluxcd.io/")
                || k.starts_with("prometheus.io/")
        })
        .collect())
}

impl Meta {
    /// The controller's owner reference.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|o| o.controller)
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

/// `metadata.ownerReferences[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    pub kind: String,
    pub name: String,
    pub controller: bool,
}

/// Anything with `metadata`.
pub trait Object {
    /// Its metadata.
    fn meta(&self) -> &Meta;
}

macro_rules! object {
    ($($kind:ident),*) => { $(impl Object for $kind { fn meta(&self) -> &Meta { &self.metadata } })* };
}
object!(
    Pod,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    CsiDriver,
    Node,
    Service,
    EndpointSlice,
    Event,
    Workload,
    ConfigMap,
    PrometheusRule,
    ServiceAccount,
    NetworkPolicy,
    ResourceQuota,
    VolumeAttachment,
    CsiNode,
    MonitoringResource,
    ObjectName,
    PodOnNode,
    PodMetrics
);

/// An object of which only the metadata is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ObjectName {
    pub metadata: Meta,
}

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
    pub host_network: bool,
    #[serde(deserialize_with = "null_default")]
    pub image_pull_secrets: Vec<NamedSource>,
    pub security_context: Option<PodSecurityContext>,
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
    #[serde(deserialize_with = "keep_known_env")]
    pub env: Vec<EnvVar>,
    #[serde(deserialize_with = "null_default")]
    pub env_from: Vec<EnvFrom>,
    pub ports: Vec<ContainerPort>,
    pub resources: Resources,
    pub readiness_probe: Option<Probe>,
    pub restart_policy: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// A program of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// Prometheus.
    Prometheus,
    /// Alertmanager.
    Alertmanager,
    /// Grafana.
    Grafana,
}

impl Container {
    /// Which program of the stack it runs, by its image, else by its name. Side-cars are none.
    pub fn program(&self) -> Option<Program> {
        let image = self.image.split('@').next().unwrap_or_default();
        let image = image.rsplit('/').next().and_then(|i| i.split(':').next()).unwrap_or_default();
        match (image, self.name.as_str()) {
            ("prometheus", _) | (_, "prometheus" | "prometheus-server") => Some(Program::Prometheus),
            ("alertmanager" | "prometheus-alertmanager", _) | (_, "alertmanager") => Some(Program::Alertmanager),
            ("grafana" | "grafana-oss" | "grafana-enterprise", _) | (_, "grafana") => Some(Program::Grafana),
            _ => None,
        }
    }
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

/// `env[]` of a container, only proxy, AWS credential-source and VPC CNI variables, where Grafana is served and which
/// ConfigMaps its side-cars load: values of others may be secret. Of variables from a ConfigMap or Secret, the reference.
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

fn keep_known_env<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<EnvVar>, D::Error> {
    let all: Vec<EnvVar> = null_default(d)?;
    Ok(all
        .into_iter()
        .filter(|e| {
            let name = e.name.to_ascii_uppercase();
            e.value_from.as_ref().is_some_and(|f| f.config_map_key_ref.is_some() || f.secret_key_ref.is_some())
                || name.ends_with("_PROXY")
                || matches!(
                    name.as_str(),
                    "AWS_ROLE_ARN"
                        | "AWS_WEB_IDENTITY_TOKEN_FILE"
                        | "AWS_CONTAINER_CREDENTIALS_FULL_URI"
                        | "GF_SERVER_HTTP_PORT"
                        | "GF_SERVER_ROOT_URL"
                        | "GF_SERVER_SERVE_FROM_SUB_PATH"
                        | "LABEL"
                        | "LABEL_VALUE"
                        | "FOLDER"
                        | "NAMESPACE"
                        | "RESOURCE"
                        | "ENABLE_PREFIX_DELEGATION"
                        | "WARM_PREFIX_TARGET"
                        | "WARM_ENI_TARGET"
                        | "WARM_IP_TARGET"
                        | "MINIMUM_IP_TARGET"
                        | "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"
                )
        })
        .collect())
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

/// `status.conditions[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub last_transition_time: Option<Timestamp>,
}

/// `status.containerStatuses[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    pub name: String,
    pub ready: bool,
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
    pub finished_at: Option<Timestamp>,
}

impl ContainerStatus {
    /// How the container ended last: just now, or before its last restart.
    pub fn last_end(&self) -> Option<&Terminated> {
        self.state.terminated.as_ref().or(self.last_state.terminated.as_ref())
    }

    /// The kernel killed it for its memory when it ended last.
    pub fn oom_killed(&self) -> bool {
        self.last_end().is_some_and(|t| t.reason == "OOMKilled")
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

    /// Names of the claims it mounts.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref()).map(|c| c.claim_name.as_str())
    }

    /// Containers and init containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.spec.init_containers.iter().chain(&self.spec.containers)
    }
}

/// PersistentVolumeClaim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolumeClaim {
    pub metadata: Meta,
    pub spec: ClaimSpec,
    pub status: ClaimStatus,
}

/// `spec` of a PersistentVolumeClaim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    pub storage_class_name: Option<String>,
    pub volume_name: Option<String>,
    pub access_modes: Vec<String>,
    pub resources: Resources,
    pub selector: Option<LabelSelector>,
    pub volume_mode: Option<String>,
}

/// `status` of a PersistentVolumeClaim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClaimStatus {
    pub phase: String,
}

impl PersistentVolumeClaim {
    /// The class it names: the spec's, or the pre-1.6 annotation that the API still honours. `Some("")` asks for no class.
    pub fn class(&self) -> Option<&str> {
        self.metadata
            .annotations
            .get("volume.beta.kubernetes.io/storage-class")
            .or(self.spec.storage_class_name.as_ref())
            .map(String::as_str)
    }
}

/// PersistentVolume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    pub metadata: Meta,
    pub spec: VolumeSpec,
    pub status: ClaimStatus,
}

/// `spec` of a PersistentVolume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    pub storage_class_name: Option<String>,
    pub capacity: Map,
    pub access_modes: Vec<String>,
    pub claim_ref: Option<ClaimRef>,
    pub csi: Option<CsiVolume>,
    pub aws_elastic_block_store: Option<AwsVolume>,
    pub volume_mode: Option<String>,
    pub node_affinity: Option<VolumeNodeAffinity>,
}

/// `spec.claimRef`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClaimRef {
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
}

/// `spec.csi`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CsiVolume {
    pub driver: String,
    pub volume_handle: String,
}

/// `spec.awsElasticBlockStore`: the in-tree way to name an EBS volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AwsVolume {
    /// `vol-0123`, or `aws://zone/vol-0123`.
    #[serde(rename = "volumeID")]
    pub volume_id: String,
}

impl PersistentVolume {
    /// Id of the EBS volume behind it.
    pub fn ebs_id(&self) -> Option<&str> {
        let handle = self.spec.csi.as_ref().map(|c| c.volume_handle.as_str());
        let handle = handle.or(self.spec.aws_elastic_block_store.as_ref().map(|v| v.volume_id.as_str()))?;
        handle.rsplit('/').next().filter(|id| id.starts_with("vol-"))
    }
}

/// `spec.nodeAffinity`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeNodeAffinity {
    pub required: Option<NodeSelector>,
}

/// StorageClass.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageClass {
    pub metadata: Meta,
    pub provisioner: String,
    pub parameters: Map,
    pub volume_binding_mode: Option<String>,
    pub reclaim_policy: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub allowed_topologies: Vec<TopologySelectorTerm>,
    pub allow_volume_expansion: Option<bool>,
}

impl StorageClass {
    /// Marked as the cluster's default.
    pub fn is_default(&self) -> bool {
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|k| self.metadata.annotations.get(*k).is_some_and(|v| v == "true"))
    }

    /// Binds when a pod that uses the claim is scheduled.
    pub fn waits_for_consumer(&self) -> bool {
        self.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer")
    }
}

/// CSIDriver.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiDriver {
    pub metadata: Meta,
}

/// VolumeAttachment: a volume that the attach-detach controller wants on a node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeAttachment {
    pub metadata: Meta,
    pub spec: AttachmentSpec,
    pub status: AttachmentStatus,
}

/// `spec` of a VolumeAttachment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSpec {
    pub attacher: String,
    pub node_name: String,
    pub source: AttachmentSource,
}

/// `spec.source`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSource {
    pub persistent_volume_name: Option<String>,
}

/// `status` of a VolumeAttachment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentStatus {
    pub attached: bool,
    pub attach_error: Option<AttachmentError>,
}

/// `status.attachError`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AttachmentError {
    pub message: String,
}

/// CSINode: which drivers run on a node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiNode {
    pub metadata: Meta,
    pub spec: CsiNodeSpec,
}

/// `spec` of a CSINode.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiNodeSpec {
    #[serde(deserialize_with = "null_default")]
    pub drivers: Vec<CsiNodeDriver>,
}

/// `spec.drivers[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CsiNodeDriver {
    pub name: String,
    pub allocatable: Option<VolumeCount>,
}

/// `allocatable` of a driver on a node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeCount {
    pub count: Option<usize>,
}

/// Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    pub metadata: Meta,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

/// `spec` of a Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    #[serde(rename = "providerID")]
    pub provider_id: Option<String>,
    pub taints: Vec<Taint>,
    pub unschedulable: bool,
}

/// `status` of a Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    pub allocatable: Map,
    pub conditions: Vec<Condition>,
    pub addresses: Vec<NodeAddress>,
    pub node_info: NodeInfo,
}

/// `status.addresses[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    #[serde(rename = "type")]
    pub kind: String,
    pub address: String,
}

/// `status.nodeInfo`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    pub kubelet_version: String,
    pub os_image: String,
    pub architecture: String,
}

impl Node {
    /// A Fargate virtual node: runs no DaemonSet and takes no EBS volume.
    pub fn is_fargate(&self) -> bool {
        self.metadata.label("eks.amazonaws.com/compute-type") == Some("fargate")
            || self.metadata.name.starts_with("fargate-")
    }

    /// A node that EKS Auto Mode manages.
    pub fn is_auto_mode(&self) -> bool {
        self.metadata.label("eks.amazonaws.com/compute-type") == Some("auto")
    }

    /// EC2 instance id from `spec.providerID` (`aws:///zone/i-0123`).
    pub fn instance_id(&self) -> Option<&str> {
        let id = self.spec.provider_id.as_deref()?.strip_prefix("aws://")?.rsplit('/').next()?;
        id.starts_with("i-").then_some(id)
    }

    /// Primary address inside the VPC.
    pub fn internal_ip(&self) -> Option<&str> {
        self.status.addresses.iter().find(|a| a.kind == "InternalIP").map(|a| a.address.as_str())
    }

    /// The Ready condition is True.
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
    }
}

/// Service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    pub metadata: Meta,
    pub spec: ServiceSpec,
}

/// `spec` of a Service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    pub selector: Map,
    pub ports: Vec<ServicePort>,
    pub external_name: Option<String>,
    pub publish_not_ready_addresses: bool,
}

/// `spec.ports[]` of a Service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    pub name: Option<String>,
    pub port: u16,
    pub target_port: Value,
    pub node_port: Option<u16>,
    pub protocol: Option<String>,
}

/// EndpointSlice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    pub metadata: Meta,
    #[serde(deserialize_with = "null_default")]
    pub endpoints: Vec<Endpoint>,
    #[serde(deserialize_with = "null_default")]
    pub ports: Vec<EndpointPort>,
}

impl EndpointSlice {
    /// The Service it belongs to.
    pub fn service(&self) -> Option<&str> {
        self.metadata.label("kubernetes.io/service-name")
    }
}

/// `endpoints[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    #[serde(deserialize_with = "null_default")]
    pub addresses: Vec<String>,
    pub conditions: EndpointConditions,
    pub target_ref: Option<ObjectReference>,
}

/// `conditions` of an endpoint; a missing `ready` counts as true, as the API says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    pub ready: Option<bool>,
}

/// `ports[]` of an EndpointSlice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    pub name: Option<String>,
    pub port: Option<u16>,
}

/// A reference to an object.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ObjectReference {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
}

/// Event, core/v1. Scheduler events carry `eventTime` and `series`, others `firstTimestamp` and `lastTimestamp`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    pub metadata: Meta,
    #[serde(rename = "type", deserialize_with = "null_default")]
    pub kind: String,
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
    #[serde(deserialize_with = "null_default")]
    pub message: String,
    pub involved_object: ObjectReference,
    pub count: Option<u32>,
    pub first_timestamp: Option<Timestamp>,
    pub last_timestamp: Option<Timestamp>,
    pub event_time: Option<Timestamp>,
    pub series: Option<EventSeries>,
}

/// `series` of an Event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventSeries {
    pub count: u32,
    pub last_observed_time: Option<Timestamp>,
}

impl Event {
    /// When it was last seen.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.series
            .as_ref()
            .and_then(|s| s.last_observed_time)
            .or(self.last_timestamp)
            .or(self.event_time)
            .or(self.first_timestamp)
            .or(self.metadata.creation_timestamp)
    }

    /// How often it was seen.
    pub fn times(&self) -> u32 {
        self.series.as_ref().map(|s| s.count).or(self.count).unwrap_or(1).max(1)
    }
}

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
}

/// `spec.strategy` of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Strategy {
    #[serde(rename = "type")]
    pub kind: Option<String>,
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
    pub conditions: Vec<Condition>,
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

/// PrometheusRule of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PrometheusRule {
    pub metadata: Meta,
    /// As it is: what is wrong with it is the question.
    pub spec: Value,
}

/// ServiceAccount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceAccount {
    pub metadata: Meta,
}

/// The annotation with which a ServiceAccount asks for an IAM role (IRSA).
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

impl ServiceAccount {
    /// ARN of the IAM role that it asks for.
    pub fn role_arn(&self) -> Option<&str> {
        self.metadata.annotations.get(ROLE_ANNOTATION).map(String::as_str).filter(|arn| !arn.is_empty())
    }
}

/// NetworkPolicy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NetworkPolicy {
    pub metadata: Meta,
    pub spec: Option<NetworkPolicySpec>,
}

/// ResourceQuota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResourceQuota {
    pub metadata: Meta,
    pub status: QuotaStatus,
}

/// `status` of a ResourceQuota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    pub hard: Map,
    pub used: Map,
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
    pub containers: Vec<ContainerRequests>,
    #[serde(deserialize_with = "null_default")]
    pub init_containers: Vec<ContainerRequests>,
}

/// A container with its requests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerRequests {
    pub resources: Resources,
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

/// `status` of which only the phase is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PhaseOnly {
    pub phase: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_image_or_container() {
        let program = |name: &str, image: &str| {
            Container { name: name.into(), image: image.into(), ..Container::default() }.program()
        };
        assert_eq!(program("alertmanager", "x"), Some(Program::Alertmanager));
        let pinned = "registry:5000/prom/alertmanager:v0.27.0@sha256:00";
        assert_eq!(program("main", pinned), Some(Program::Alertmanager));
        assert_eq!(program("config-reloader", "prometheus-config-reloader:v0.80.0"), None);
        assert_eq!(program("prometheus-server", "quay.io/prometheus/prometheus:v3.5.0"), Some(Program::Prometheus));
    }
}
