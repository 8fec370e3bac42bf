//! Values of the ways to fix what is around the program, or what nobody knows closer.

use crate::checks::support::instance::Instance;
use crate::checks::support::kept::Kept;
use crate::checks::support::named::Named;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(super) struct ApiGone {
    /// The API group, where one is named.
    pub(super) group: String,
    /// The version of the cluster.
    pub(super) version: String,
    pub(super) image: String,
    /// The container with its image, as `kubectl set image` takes it; empty where that does not last.
    pub(super) newer: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CrdMissing {
    /// Those of the Prometheus operator; empty where the kind is of another program.
    pub(super) crds: String,
    /// The add-on of EKS that brings the kind, where one does.
    pub(super) addon: &'static str,
    pub(super) cluster: String,
    /// The kind that is missing and its group; the group is empty where it is the operator's.
    pub(super) kind: String,
    pub(super) group: String,
    pub(super) vpc_cni: bool,
    pub(super) pod: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ExternalLabels {
    pub(super) operator_kind: String,
    pub(super) operator_name: String,
    /// The fields by which its resource switches the operator's own labels off.
    pub(super) cleared: String,
    pub(super) labels_patch: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct NoToken {
    pub(super) patch: &'static str,
    pub(super) account: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Outgrown {
    pub(super) container: String,
    /// Its image, with a tag to choose.
    pub(super) newer_image: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Kernel {
    pub(super) setting: String,
    pub(super) kube_proxy: bool,
    pub(super) pod: String,
    pub(super) container: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct MapCount {
    pub(super) reason: String,
    pub(super) wanted: String,
    pub(super) node: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PacketFilter {
    /// It only looks whether another one has written the rules.
    pub(super) validates: bool,
    pub(super) commands: String,
    pub(super) instance: Option<String>,
    pub(super) node: String,
    pub(super) patch: &'static str,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Gpu {
    pub(super) node: String,
    /// The node has no GPU of NVIDIA.
    pub(super) without: bool,
    /// Keeps the pods to nodes that have one, where there are such; empty else.
    pub(super) affinity: String,
    /// The words after `aws eks create-nodegroup` that make a group whose image has the driver.
    pub(super) create: Vec<String>,
    /// The container may not be started with NVIDIA's runtime.
    pub(super) runtime: bool,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Architecture {
    pub(super) image: String,
    pub(super) arch: String,
    pub(super) other: &'static str,
    pub(super) selector_patch: Option<String>,
    pub(super) node: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Cache {
    /// What it waits for, as kubectl takes it; empty where its log does not say.
    pub(super) resource: String,
    pub(super) user: String,
    pub(super) account: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Cloud {
    pub(super) advice: String,
    /// What is not there; empty where something else is wrong.
    pub(super) absent: &'static str,
    pub(super) karpenter: bool,
    pub(super) container: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) named: Named,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct MemoryMap {
    pub(super) node: String,
    pub(super) pod: String,
    pub(super) container: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Metadata {
    pub(super) pod: String,
    pub(super) instance: String,
    /// Patches that tell the program what it would ask for.
    pub(super) without: Vec<String>,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct StoreBucket {
    pub(super) program: &'static str,
    pub(super) reason: String,
    pub(super) pod: String,
    /// The Service of a store in the cluster; empty where it is another.
    pub(super) store: String,
    pub(super) store_namespace: String,
    /// The Job that was to make the buckets, and failed.
    pub(super) job: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct StoreDenied {
    pub(super) program: &'static str,
    pub(super) reason: String,
    pub(super) account: String,
    /// The role that the pod is meant to have.
    pub(super) role: Option<String>,
    /// How it is to have it: `irsa`, `pod-identity`, or `node` where it has none of its own.
    pub(super) identity: &'static str,
    /// The store named nobody: it may have been asked without credentials.
    pub(super) nobody: bool,
    pub(super) partition: String,
    pub(super) bucket: String,
    pub(super) pod: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Ends {
    pub(super) container: String,
    pub(super) previous: bool,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Other {
    pub(super) container: String,
    pub(super) previous: bool,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) named: Named,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Probe {
    pub(super) container: String,
    pub(super) is_prometheus: bool,
    /// Where it says that it listens, where that is not where its probe asks; and where that does.
    pub(super) listens: String,
    pub(super) asked: Option<u16>,
    /// What it is still at when it is ended, and what gives it time for that; empty where nobody knows.
    pub(super) work: &'static str,
    pub(super) startup_patch: String,
    /// It is a part of the cluster, whose probe comes with it.
    pub(super) below: bool,
    /// The instance whose log of the VPC CNI is read, and what reads it.
    pub(super) instance: Option<String>,
    pub(super) commands: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ProbeLocal {
    pub(super) container: String,
    pub(super) address: String,
    /// It is an OpenTelemetry Collector.
    pub(super) collector: bool,
    /// The ConfigMap with its configuration; empty where an operator makes it, or nobody knows it.
    pub(super) config_map: String,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ProbeLogin {
    pub(super) container: String,
    /// A number, or the name of a port: what is quoted is taken for a name.
    pub(super) port: serde_json::Value,
    pub(super) is_prometheus: bool,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ProbePath {
    pub(super) container: String,
    pub(super) asked: String,
    /// Where it answers such a probe, and one that asks whether it is ready; none where that is not known.
    pub(super) meant: Option<String>,
    pub(super) ready: Option<String>,
    pub(super) is_prometheus: bool,
    pub(super) pod: String,
    #[serde(flatten)]
    pub(super) kept: Kept,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Runtime {
    pub(super) node: String,
    pub(super) pod: String,
    /// Somebody makes the pod again.
    pub(super) remade: bool,
    /// Another node can take it.
    pub(super) elsewhere: bool,
    pub(super) filters: bool,
    #[serde(flatten)]
    pub(super) instance: Instance,
}
