//! How the VPC CNI is set up, by the variables of its DaemonSet.

use crate::snapshot::Snapshot;

/// Pods keep their own addresses towards the internet: something else has to translate them.
pub(crate) const EXTERNAL_SNAT: &str = "AWS_VPC_K8S_CNI_EXTERNALSNAT";
/// Nodes take blocks of sixteen addresses.
pub(crate) const PREFIXES: &str = "ENABLE_PREFIX_DELEGATION";
/// Pods have subnets of their own, which ENIConfigs name.
pub(crate) const CUSTOM_NETWORK: &str = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG";

/// `standard`: what stays on a node passes no group of a pod.
const GROUP_MODE: &str = "POD_SECURITY_GROUP_ENFORCING_MODE";
/// `strict`: what no policy selects gets and sends nothing.
const POLICY_MODE: &str = "NETWORK_POLICY_ENFORCING_MODE";

/// Pods that no NetworkPolicy selects are cut off (enforcing mode strict).
pub(crate) fn is_strict(snap: &Snapshot) -> bool {
    env(snap, POLICY_MODE) == Some("strict")
}

/// The node's own connections to a pod pass the groups of the pod, too: the kubelet's probes among them.
pub(crate) fn guards_probes(snap: &Snapshot) -> bool {
    env(snap, GROUP_MODE) != Some("standard")
}

/// The value of a variable; `None` where it is not set, or the DaemonSet was not read.
pub(crate) fn env<'a>(snap: &'a Snapshot, name: &str) -> Option<&'a str> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let own = workloads.filter(|w| w.metadata.name == "aws-node" && w.metadata.namespace == "kube-system");
    let mut env = own.flat_map(|w| &w.spec.template.spec.containers).flat_map(|c| &c.env);
    env.find(|e| e.name == name).and_then(|e| e.value.as_deref())
}

/// A switch is on.
pub(crate) fn is_on(snap: &Snapshot, name: &str) -> bool {
    env(snap, name) == Some("true")
}
