//! The ways to give a pod its node, with the values of their pages.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Placeholder;

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Volume {
        claims: Vec<String>,
    },
    ClaimMissing {
        claim: String,
        /// A claim of the namespace that is nearly called so; empty where none is.
        meant: String,
        /// Nothing recreates the pod: what it mounts cannot be changed.
        bare: bool,
    },
    Resources {
        room: String,
        container: String,
        /// The words that ask for less of what is short.
        less: String,
        /// What no node has even where nothing else runs there.
        too_large: Vec<String>,
        settable: bool,
        /// MiB that its memcached fills, whatever it requests.
        cache: Option<u64>,
        /// The values of the chart of Loki or Mimir for that cache; empty where it is of neither.
        cache_values: &'static str,
        /// The operator makes the workload.
        operator: bool,
        /// The pod, where its StatefulSet updates none while this one is not ready.
        held_pod: Option<String>,
    },
    Preempted {
        /// The field selector of the node's pods.
        on_node: String,
        /// The operator's resource, and its patch.
        custom_kind: Option<&'static str>,
        custom_name: Option<String>,
        custom_patch: &'static str,
        settable: bool,
        /// Who came instead has a priority above which none can be given.
        outranked: bool,
        /// Who came instead is of a DaemonSet.
        is_daemon: bool,
        patch: &'static str,
        managed: String,
    },
    ExtendedResource {
        resource: String,
        /// The columns that show what each node offers of it.
        resource_path: String,
        /// It is a branch interface of the VPC.
        is_branch: bool,
        /// EKS may not make the interfaces on which they stand.
        trunk_denied: bool,
        cluster_role: Placeholder,
        policy_arn: String,
    },
    Fargate {
        cluster: String,
        /// The pod asks for a node of EC2.
        annotated: bool,
        /// The workload's template has the annotation.
        in_template: bool,
        /// The profile that selects the pod.
        profile: Option<String>,
        rolls: bool,
        annotation_patch: &'static str,
        execution_role: String,
        /// Where nodes of EC2 could be made.
        subnets: Vec<String>,
    },
    TooManyPods {
        /// The CNI could assign prefixes.
        prefixes: bool,
    },
    Taint {
        /// Empty where only the scheduler counts it.
        taint_key: String,
        taint_value: String,
        taint_effect: String,
        taint_word: String,
        nodes: Vec<String>,
        settable: bool,
        operator: bool,
    },
    Cordoned(Nodes),
    NotReady(Nodes),
    NodeLeaving {
        karpenter: bool,
        autoscaler: String,
        autoscaler_namespace: String,
    },
    NodeStarting {
        nodes: Vec<String>,
        first_node: String,
        /// What has to come up there.
        drivers: String,
        ebs: bool,
        /// The cloud's controller has not looked at the node yet; on EKS it is of the control plane.
        cloud: bool,
        eks: bool,
        /// Cilium's agent there, where it is ready and its taint stays all the same.
        ready_agents: Vec<String>,
        agents_namespace: String,
    },
    NodePressure(Nodes),
    Selector {
        pod: String,
        room: String,
        settable: bool,
        operator: bool,
        /// The labels that a person may give a node.
        labels: Vec<String>,
        /// A node group whose nodes would have what it asks for, and that has none.
        group: String,
    },
    PodAffinity {
        pod: String,
    },
    Zone,
    Ports {
        room: String,
    },
    VolumeLimit,
    NoPools {
        /// The configuration that switches the built-in pools on.
        compute: String,
        role: Placeholder,
        role_known: bool,
        cluster: String,
    },
    NoNodes {
        /// A node group that is scaled to zero, and what starts one node in it.
        empty_group: Option<String>,
        scaling: String,
        cluster: String,
        on_eks: bool,
    },
    Quota {
        quota: String,
        /// The patch that makes room for one more pod.
        hard: Option<String>,
        #[serde(flatten)]
        kept: Kept,
    },
    QuotaMustSpecify {
        is_job: bool,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        #[serde(flatten)]
        kept: Kept,
    },
    LimitRange {
        /// Empty where the range is not known.
        range: String,
        range_patch: Option<String>,
        /// What each container would have to ask for: `-c prometheus --limits=memory=2Gi`.
        changes: Vec<Vec<String>>,
        settable: bool,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        #[serde(flatten)]
        kept: Kept,
    },
    PodSecurity {
        managed: String,
    },
    ServiceAccount {
        account: String,
        #[serde(flatten)]
        kept: Kept,
    },
    PriorityClass {
        priority_class: String,
        #[serde(flatten)]
        kept: Kept,
    },
    RuntimeClass(Kept),
    LongName {
        long: String,
        /// The Prometheus operator makes the workload, of this object.
        operated: bool,
        stateful: bool,
        owner_name: String,
        managed: String,
    },
    /// The template itself is refused.
    Invalid {
        field: String,
        custom: Option<&'static str>,
        custom_name: Option<String>,
        #[serde(flatten)]
        kept: Kept,
    },
    Refused,
    Gated {
        pod: String,
    },
    Other {
        pod: String,
    },
}

/// Nodes that the pod is kept from; none where they are not known.
#[derive(Serialize, JsonSchema)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<String>,
}

/// A workload, and who keeps it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Kept {
    pub(super) managed: String,
    pub(super) owner_name: String,
}
