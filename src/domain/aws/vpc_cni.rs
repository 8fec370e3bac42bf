//! How the VPC CNI is set up, by the variables of its DaemonSet.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Workload, annotation};

/// Pods keep their own addresses towards the internet: something else has to translate them.
pub(crate) const EXTERNAL_SNAT: &str = "AWS_VPC_K8S_CNI_EXTERNALSNAT";
/// Nodes take blocks of sixteen addresses.
pub(crate) const PREFIXES: &str = "ENABLE_PREFIX_DELEGATION";
/// How many network interfaces a node gets at most; the instance's own limit where it is not above 0.
const MOST: &str = "MAX_ENI";
/// Pods have subnets of their own, which ENIConfigs name.
pub(crate) const CUSTOM_NETWORK: &str = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG";

/// The managed policy by which EKS makes interfaces for pods that have security groups of their own.
pub(crate) const BRANCH_POLICY: &str = "AmazonEKSVPCResourceController";

/// The node's kernel takes answers for a pod's interface as they come; of the init container.
const EARLY_DEMUX: &str = "DISABLE_TCP_EARLY_DEMUX";
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
    own(snap).next().is_some() && env(snap, GROUP_MODE) != Some("standard")
}

/// The kubelet's connections to a pod with security groups of its own get no answer: they leave by the VPC and come back by the pod's
/// interface, which the node's kernel does not expect unless it is told so (DISABLE_TCP_EARLY_DEMUX).
pub(crate) fn loses_probes(snap: &Snapshot, pod: &Pod) -> bool {
    let mut env = own(snap).flat_map(|w| &w.spec.template.spec.init_containers).flat_map(|c| &c.env);
    guards_probes(snap)
        && pod.metadata.annotations.contains_key(annotation::POD_ENI)
        && !env.any(|e| e.name == EARLY_DEMUX && e.value.as_deref() == Some("true"))
}

/// Its DaemonSet, where that was read.
fn own(snap: &Snapshot) -> impl Iterator<Item = &Workload> {
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    workloads.filter(|w| w.metadata.name == "aws-node" && w.metadata.namespace == "kube-system")
}

/// The value of a variable; `None` where it is not set, or the DaemonSet was not read.
pub(crate) fn env<'a>(snap: &'a Snapshot, name: &str) -> Option<&'a str> {
    let mut env = own(snap).flat_map(|w| &w.spec.template.spec.containers).flat_map(|c| &c.env);
    env.find(|e| e.name == name).and_then(|e| e.value.as_deref())
}

/// How many network interfaces a node gets at most, where that is set.
pub(crate) fn most_interfaces(snap: &Snapshot) -> Option<usize> {
    env(snap, MOST)?.parse().ok().filter(|n| *n > 0)
}

/// A switch is on.
pub(crate) fn is_on(snap: &Snapshot, name: &str) -> bool {
    env(snap, name) == Some("true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;
    use serde_json::json;

    #[test]
    fn probes_of_pods_with_their_own_groups_are_lost_unless_the_kernel_is_told() {
        let with = |init: serde_json::Value| {
            let spec = json!({"containers": [{"name": "aws-node", "image": "amazon-k8s-cni"}],
                "initContainers": [{"name": "aws-vpc-cni-init", "image": "amazon-k8s-cni-init", "env": init}]});
            snapshot(
                json!({"workloads": [{"kind": "DaemonSet", "metadata": {"namespace": "kube-system", "name": "aws-node"},
                "spec": {"template": {"spec": spec}}}]}),
            )
        };
        let pod = |annotations: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p", "annotations": annotations}})).expect("a pod")
        };
        let own = pod(json!({annotation::POD_ENI: "[]"}));
        assert!(loses_probes(&with(json!([])), &own));
        assert!(!loses_probes(&with(json!([{"name": EARLY_DEMUX, "value": "true"}])), &own));
        assert!(!loses_probes(&with(json!([])), &pod(json!({}))), "it has the node's groups");
    }

    #[test]
    fn what_was_not_read_guards_nothing() {
        assert!(!guards_probes(&Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"))));
        let with = |env: serde_json::Value| {
            let containers = json!([{"name": "aws-node", "image": "amazon-k8s-cni", "env": env}]);
            snapshot(
                json!({"workloads": [{"kind": "DaemonSet", "metadata": {"namespace": "kube-system", "name": "aws-node"},
                "spec": {"template": {"spec": {"containers": containers}}}}]}),
            )
        };
        assert!(guards_probes(&with(json!([]))), "strict unless it is set");
        assert!(!guards_probes(&with(json!([{"name": GROUP_MODE, "value": "standard"}]))));
    }
}
