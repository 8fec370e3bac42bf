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

/// A taint that Kubernetes or the cloud sets on a node that does not work or is on its way in or out.
pub(crate) fn is_condition(taint: &Taint) -> bool {
    taint.key.starts_with("node.kubernetes.io/") || taint.key.starts_with("node.cloudprovider.kubernetes.io/")
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
}
