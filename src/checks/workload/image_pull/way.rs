//! What gets the image, and what each way's commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use super::registry::{Ecr, Login};
use crate::checks::support::instance::Instance;

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Retired {
        why: String,
        /// The image is one of Bitnami's, or of kubectl.
        bitnami: bool,
        kubectl_image: bool,
        #[serde(flatten)]
        set: SetImage,
    },
    MetricsServer {
        why: String,
        image: String,
        /// Name and namespace of the Helm release.
        release: Option<Vec<String>>,
        cluster: String,
    },
    Rewritten {
        current: String,
        /// What the template names.
        written: String,
        /// Policy of Kyverno; empty where another webhook does it.
        policy: String,
        policy_rule: String,
        rolls: bool,
    },
    NotFound {
        /// Where people see which tags there are.
        repository_url: Option<String>,
        running: Option<String>,
        #[serde(flatten)]
        set: SetImage,
    },
    EcrNotFound {
        running: Option<String>,
        #[serde(flatten)]
        set: SetImage,
        #[serde(flatten)]
        ecr: Ecr,
    },
    EcrCached {
        running: Option<String>,
        #[serde(flatten)]
        set: SetImage,
        #[serde(flatten)]
        ecr: Ecr,
        /// What repositories of the cache begin with.
        prefix: String,
        node_role: String,
        import_policy: String,
        fargate: bool,
    },
    EcrLedOn {
        #[serde(flatten)]
        ecr: Ecr,
        current: String,
        registry: String,
        asked: String,
        node: String,
    },
    InvalidName {
        current: String,
        running: Option<String>,
        #[serde(flatten)]
        set: SetImage,
    },
    Never {
        in_place: bool,
        policy_patch: String,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        managed_by: String,
    },
    RateLimit {
        /// The same image is known to be elsewhere.
        known: bool,
        rolls: bool,
        server: String,
        #[serde(flatten)]
        set: SetImage,
        #[serde(flatten)]
        login: Login,
    },
    Unauthorized {
        /// The registry is Docker Hub.
        hub: bool,
        current: String,
        repository: String,
        repository_url: Option<String>,
        rolls: bool,
        server: String,
        #[serde(flatten)]
        login: Login,
    },
    EcrAuth {
        node_role: String,
        pull_policy: String,
        secret: String,
        has_secret: bool,
        fargate: bool,
        #[serde(flatten)]
        ecr: Ecr,
    },
    EcrOtherAccount {
        own_account: String,
        account: String,
        region: String,
        repository: String,
        repository_policy: String,
        current: String,
        node_role: String,
        pull_policy: String,
    },
    EcrToken {
        region: String,
        host: String,
        #[serde(flatten)]
        login: Login,
    },
    Platform {
        current: String,
        container: String,
        arch: String,
        /// Another architecture of which the cluster has nodes, and the patch that runs it there.
        other_arch: Option<String>,
        arch_patch: Option<String>,
        in_place: bool,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        running: Option<String>,
    },
    Format {
        /// Where people see which tags there are.
        repository_url: Option<String>,
        /// The image, as skopeo names it.
        source: String,
        #[serde(flatten)]
        set: SetImage,
    },
    Dns {
        host: String,
        current: String,
        eks: bool,
        vpc: String,
    },
    Network {
        host: String,
        node: String,
        pod: String,
        subnet: Option<String>,
    },
    Mirror {
        host: String,
        mirror: String,
        node: String,
        /// The instance of the node, where a session on it can be opened, and what is run there.
        instance: Option<String>,
        show_hosts: String,
    },
    EcrEndpoints {
        interfaces: Vec<String>,
        gateways: Vec<String>,
        region: String,
        vpc: String,
        subnets: Vec<String>,
        group: String,
    },
    Html {
        /// The host that pulls ask.
        host: String,
        node: String,
        instance: Option<String>,
        /// What shows how the node asks it, as Systems Manager's commands take it.
        show_way: String,
    },
    Tls {
        host: String,
    },
    Server {
        host: String,
        pod: String,
        /// The same image elsewhere.
        image: Option<String>,
        container: String,
        in_place: bool,
    },
    Disk {
        node: String,
    },
    Layers {
        node: String,
        field: String,
        /// What replaces the node.
        #[serde(flatten)]
        instance: Instance,
    },
    PullRate {
        /// What the kubelet tells of its own configuration.
        configuration: String,
    },
    Other {
        pod: String,
    },
}

/// Another image: the values of the shared steps `image-kept` and `job-again`, and of the step before them.
#[derive(Serialize, JsonSchema)]
pub(super) struct SetImage {
    pub(super) container: String,
    pub(super) image: String,
    pub(super) in_place: bool,
    /// The broken pod that its StatefulSet waits for, whatever its template says; else empty.
    pub(super) waiting_pod: String,
    /// The operator's resource of which it is the main container.
    pub(super) custom: Option<&'static str>,
    pub(super) custom_name: Option<String>,
    pub(super) custom_patch: String,
    /// It is a side-car that the operator makes.
    pub(super) custom_side: bool,
    /// The template cannot be changed; that of a Job neither.
    pub(super) fixed: bool,
    pub(super) job: bool,
    pub(super) managed_by: String,
    pub(super) values_path: String,
    /// The add-on of EKS that sets it; empty where none does.
    pub(super) addon: &'static str,
}
