//! Which nodes a pod or a volume can go to: labels, taints, zones.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Taint};

use crate::snapshot::kubernetes::{Map, Node, Pod};

/// Labels that name a node's zone, the present one first.
const ZONE_LABELS: &[&str] =
    &["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone", "topology.ebs.csi.aws.com/zone"];

/// True for a label that names a zone.
pub(crate) fn is_zone_label(key: &str) -> bool {
    ZONE_LABELS.contains(&key) || (key.starts_with("topology.") && key.ends_with("/zone"))
}

/// The zone a node lies in.
pub(crate) fn zone(node: &Node) -> Option<&str> {
    ZONE_LABELS.iter().find_map(|label| node.metadata.label(label))
}

/// The zones of some nodes, each once.
pub(crate) fn zones<'a>(nodes: impl Iterator<Item = &'a Node>) -> BTreeSet<&'a str> {
    nodes.filter_map(zone).collect()
}

/// Does a node match a required node affinity, be it a pod's or a volume's? Terms are alternatives.
///
/// Zones are compared by what they are, not by which of the zone labels names them: a node whose CSI plugin has not
/// registered yet lacks the driver's own label, but lies in its zone all the same.
pub(crate) fn matches(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| matches_term(term, node))
}

fn matches_term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let labels = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let is_empty = labels.is_empty() && fields.is_empty();
    !is_empty
        && labels.iter().all(|r| requirement(r, label_of(&r.key, node)))
        && fields.iter().all(|r| requirement(r, (r.key == "metadata.name").then_some(node.metadata.name.as_str())))
}

fn label_of<'a>(key: &str, node: &'a Node) -> Option<&'a str> {
    let own = node.metadata.label(key);
    if is_zone_label(key) { own.or_else(|| zone(node)) } else { own }
}

fn requirement(r: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = r.values.as_deref().unwrap_or_default();
    let number = || Some((value?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match r.operator.as_str() {
        "In" => value.is_some_and(|v| values.iter().any(|w| w == v)),
        "NotIn" => value.is_none_or(|v| !values.iter().any(|w| w == v)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number().is_some_and(|(have, than)| have > than),
        "Lt" => number().is_some_and(|(have, than)| have < than),
        _ => true,
    }
}

/// The pod's own choice of nodes: `nodeSelector` and required node affinity.
pub(crate) fn chosen_by(pod: &Pod, node: &Node) -> bool {
    has_labels(&pod.spec.node_selector, node) && required_affinity(pod).is_none_or(|s| matches(s, node))
}

/// `nodeSelector` alone.
pub(crate) fn has_labels(wanted: &Map, node: &Node) -> bool {
    wanted.iter().all(|(key, value)| node.metadata.label(key) == Some(value))
}

/// The pod's required node affinity.
pub(crate) fn required_affinity(pod: &Pod) -> Option<&NodeSelector> {
    let affinity = pod.spec.affinity.as_ref()?.node_affinity.as_ref()?;
    affinity.required_during_scheduling_ignored_during_execution.as_ref()
}

/// Taints of a node that keep the pod away.
pub(crate) fn untolerated<'a>(pod: &'a Pod, node: &'a Node) -> impl Iterator<Item = &'a Taint> {
    let hard = node.spec.taints.iter().filter(|t| matches!(t.effect.as_str(), "NoSchedule" | "NoExecute"));
    hard.filter(|taint| {
        !pod.spec.tolerations.iter().any(|t| {
            let effect = t.effect.as_deref().is_none_or(|e| e.is_empty() || e == taint.effect);
            let key = t.key.as_deref().is_none_or(|k| k.is_empty() || k == taint.key);
            let value = t.operator.as_deref() == Some("Exists")
                || t.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("");
            effect && key && value
        })
    })
}

/// Every taint that keeps pods away is tolerated.
pub(crate) fn tolerates(pod: &Pod, node: &Node) -> bool {
    untolerated(pod, node).next().is_none()
}

/// `key=value:effect`, as kubectl writes it.
pub(crate) fn taint_text(taint: &Taint) -> String {
    match taint.value.as_deref().filter(|v| !v.is_empty()) {
        Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
        None => format!("{}:{}", taint.key, taint.effect),
    }
}

/// What a node affinity asks of a node's labels.
pub(crate) fn requirement_text(r: &NodeSelectorRequirement) -> String {
    let values = r.values.as_deref().unwrap_or_default().join(", ");
    match r.operator.as_str() {
        "Exists" => format!("a label {}", r.key),
        "DoesNotExist" => format!("no label {}", r.key),
        operator => format!("{} {operator} ({values})", r.key),
    }
}

/// What a taint means that Kubernetes, the cloud, an autoscaler or a driver sets and takes away by itself. Nothing should
/// tolerate it: it says that the node does not work, or not yet, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    /// The node is not Ready, cut off or shut down.
    NotReady,
    /// An autoscaler takes the node away.
    Leaving,
    /// The node is new, and a driver or agent has not come up on it yet.
    Starting,
    /// The node runs short of memory, disk or process ids.
    Pressure,
    /// Somebody cordoned the node.
    Cordoned,
}

/// The meaning of a taint's key, if it is such a signal.
pub(crate) fn signal(key: &str) -> Option<Signal> {
    let (domain, name) = key.split_once('/').unwrap_or(("", key));
    match domain {
        "node.kubernetes.io" => Some(match name {
            "unschedulable" => Signal::Cordoned,
            "memory-pressure" | "disk-pressure" | "pid-pressure" | "out-of-disk" => Signal::Pressure,
            _ => Signal::NotReady,
        }),
        "node.cloudprovider.kubernetes.io" if name == "uninitialized" => Some(Signal::Starting),
        "node.cloudprovider.kubernetes.io" => Some(Signal::NotReady),
        "karpenter.sh" if matches!(name, "disrupted" | "disruption") => Some(Signal::Leaving),
        "karpenter.sh" if name == "unregistered" => Some(Signal::Starting),
        _ if key == "ToBeDeletedByClusterAutoscaler" || key == "DeletionCandidateOfClusterAutoscaler" => {
            Some(Signal::Leaving)
        }
        "aws-node-termination-handler" => Some(Signal::Leaving),
        _ if !domain.is_empty()
            && (name == "agent-not-ready" || name.ends_with("-not-ready") || name == "not-ready") =>
        {
            Some(Signal::Starting)
        }
        _ => None,
    }
}

/// A taint that comes and goes by itself.
pub(crate) fn is_condition(taint: &Taint) -> bool {
    signal(&taint.key).is_some()
}

/// What keeps a pod from a node that would otherwise do, if nothing but signals does. The state of the node counts even
/// where its taint is tolerated for a while, or was not set yet.
pub(crate) fn kept_by(pod: &Pod, node: &Node) -> Option<Signal> {
    let mut signals = Vec::new();
    for taint in untolerated(pod, node) {
        signals.push(signal(&taint.key)?);
    }
    if node.status.conditions.iter().any(|c| c.kind == "Ready" && c.status != "True") {
        signals.push(Signal::NotReady);
    }
    if node.spec.unschedulable {
        signals.push(Signal::Cordoned);
    }
    signals.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(labels: serde_json::Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n1", "labels": labels}})).expect("a node")
    }

    fn selector(key: &str, operator: &str, values: &[&str]) -> NodeSelector {
        serde_json::from_value(json!({"nodeSelectorTerms": [
            {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]}))
        .expect("a selector")
    }

    #[test]
    fn a_volume_goes_to_nodes_of_its_zone() {
        let a = node(json!({"topology.kubernetes.io/zone": "eu-west-1a", "size": "8"}));
        assert!(matches(&selector("topology.kubernetes.io/zone", "In", &["eu-west-1a"]), &a));
        assert!(matches(&selector("topology.ebs.csi.aws.com/zone", "In", &["eu-west-1a"]), &a));
        assert!(!matches(&selector("topology.kubernetes.io/zone", "In", &["eu-west-1b"]), &a));
        assert!(matches(&selector("size", "Gt", &["4"]), &a) && !matches(&selector("size", "Lt", &["4"]), &a));
        assert!(matches(&selector("gpu", "DoesNotExist", &[]), &a) && matches(&selector("gpu", "NotIn", &["x"]), &a));
        assert!(!matches(&NodeSelector::default(), &a));
    }

    #[test]
    fn tolerations_are_read_as_the_scheduler_reads_them() {
        let mut node = node(json!({}));
        node.spec.taints = serde_json::from_value(json!([{"key": "dedicated", "value": "db", "effect": "NoSchedule"},
            {"key": "x", "effect": "PreferNoSchedule"}]))
        .expect("taints");
        let pod = |tolerations: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"tolerations": tolerations}}))
                .expect("pod")
        };
        assert!(!tolerates(&pod(json!([])), &node));
        assert!(!tolerates(&pod(json!([{"key": "dedicated", "value": "web"}])), &node));
        assert!(tolerates(&pod(json!([{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])), &node));
        assert!(tolerates(&pod(json!([{"operator": "Exists"}])), &node));
    }

    #[test]
    fn signals_are_told_from_taints_that_mean_it() {
        for (key, meaning) in [
            ("node.kubernetes.io/unreachable", Some(Signal::NotReady)),
            ("node.kubernetes.io/unschedulable", Some(Signal::Cordoned)),
            ("node.kubernetes.io/disk-pressure", Some(Signal::Pressure)),
            ("node.cloudprovider.kubernetes.io/uninitialized", Some(Signal::Starting)),
            ("karpenter.sh/disrupted", Some(Signal::Leaving)),
            ("karpenter.sh/unregistered", Some(Signal::Starting)),
            ("ToBeDeletedByClusterAutoscaler", Some(Signal::Leaving)),
            ("DeletionCandidateOfClusterAutoscaler", Some(Signal::Leaving)),
            ("ebs.csi.aws.com/agent-not-ready", Some(Signal::Starting)),
            ("efs.csi.aws.com/agent-not-ready", Some(Signal::Starting)),
            ("node.cilium.io/agent-not-ready", Some(Signal::Starting)),
            ("eks.amazonaws.com/network-agent-not-ready", Some(Signal::Starting)),
            ("dedicated", None),
            ("node-role.kubernetes.io/control-plane", None),
            ("eks.amazonaws.com/compute-type", None),
            ("nvidia.com/gpu", None),
        ] {
            assert_eq!(signal(key), meaning, "{key}");
        }
    }

    #[test]
    fn a_node_is_kept_from_a_pod_by_its_state_unless_a_taint_means_it() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"tolerations":
            [{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]}}))
        .expect("a pod");
        let of = |ready: &str, taints: serde_json::Value, unschedulable: bool| {
            let node = json!({"metadata": {"name": "n"}, "spec": {"taints": taints, "unschedulable": unschedulable},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            kept_by(&pod, &serde_json::from_value(node).expect("a node"))
        };
        let taint = |key: &str, effect: &str| json!([{"key": key, "effect": effect}]);
        assert_eq!(of("True", json!([]), false), None);
        assert_eq!(of("Unknown", taint("node.kubernetes.io/unreachable", "NoExecute"), false), Some(Signal::NotReady));
        assert_eq!(of("True", taint("node.kubernetes.io/unschedulable", "NoSchedule"), true), Some(Signal::Cordoned));
        assert_eq!(of("True", taint("karpenter.sh/disrupted", "NoSchedule"), false), Some(Signal::Leaving));
        assert_eq!(of("True", taint("dedicated", "NoSchedule"), false), None);
        // Not meant for the pod anyway.
        assert_eq!(of("Unknown", taint("dedicated", "NoSchedule"), false), None);
    }
}
