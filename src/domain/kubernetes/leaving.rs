//! Pods and nodes on their way out: what they do not do any more is no fault.

use crate::domain::kubernetes::nodes::not_ready;
use crate::domain::kubernetes::scheduling::{self, Signal};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};

/// Seconds after its grace period in which a pod ends.
const ENDING: i64 = 120;
/// Seconds in which a node that was drained is gone.
const DRAIN: i64 = 900;

/// A node that an autoscaler or somebody takes away, and that stopped a moment ago: it is not to come back.
pub(crate) fn node(snap: &Snapshot, node: &Node) -> bool {
    // A candidate that may yet stay is marked as one to avoid.
    let mut marks = node.spec.taints.iter().filter(|t| t.effect != "PreferNoSchedule");
    let deleted = node.metadata.deletion_timestamp;
    if deleted.is_none() && !marks.any(|t| scheduling::signal(&t.key) == Some(Signal::Leaving)) {
        return false;
    }
    // How long the drain takes says nothing: it began to be missed when it stopped.
    let stopped = not_ready(node).and_then(|c| c.last_transition_time);
    stopped.max(deleted).is_some_and(|t| snap.seconds_since(t) <= DRAIN)
}

/// A pod that was told to end a moment ago, or whose node leaves.
pub(crate) fn pod(snap: &Snapshot, pod: &Pod) -> bool {
    let told = pod.metadata.deletion_timestamp;
    let ends = told.is_some_and(|t| snap.seconds_since(t) <= ENDING);
    ends || snap.node_of(pod).is_some_and(|n| node(snap, n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    #[test]
    fn a_node_leaves_for_a_while_only() {
        let mut snap = Snapshot::empty("2026-11-21T02:00:00Z".parse().expect("is a time"));
        let made = |taint: &str, since: &str| -> Node {
            serde_json::from_value(
                json!({"metadata": {"name": "n1"}, "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]},
                "status": {"conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": since}]}}),
            )
            .expect("is a node")
        };
        assert!(node(&snap, &made("karpenter.sh/disrupted", "2026-11-21T01:55:00Z")));
        assert!(!node(&snap, &made("karpenter.sh/disrupted", "2026-11-21T01:20:00Z")), "it should be gone");
        assert!(!node(&snap, &made("node.kubernetes.io/unreachable", "2026-11-21T01:55:00Z")));
        let here = |meta: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": meta, "spec": {"nodeName": "n1"}})).expect("is a pod")
        };
        assert!(pod(&snap, &here(json!({"name": "a", "deletionTimestamp": "2026-11-21T02:00:20Z"}))));
        assert!(!pod(&snap, &here(json!({"name": "a", "deletionTimestamp": "2026-11-21T01:40:20Z"}))), "it hangs");
        assert!(!pod(&snap, &here(json!({"name": "a"}))));
        snap.nodes = Listing::cluster(vec![made("ToBeDeletedByClusterAutoscaler", "2026-11-21T01:55:00Z")]);
        assert!(pod(&snap, &here(json!({"name": "a"}))));
    }
}
