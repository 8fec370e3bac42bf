//! PodDisruptionBudgets: whether one allows an eviction at all, and who waits for it.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::domain::kubernetes::label_selector;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{BudgetSpec, DisruptionBudget, Event, Node, Pod};

/// Seconds for which an event tells of now.
const RECENT: i64 = 3600;

/// Why a budget allows no eviction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Why {
    /// It wants as many healthy pods as there are pods: it never will.
    Never,
    /// Pods are not healthy, so that no other may go.
    Unhealthy,
}

/// A budget that allows no eviction now.
#[derive(Debug)]
pub(crate) struct Blocked<'a> {
    /// Why.
    pub(crate) why: Why,
    /// Its pods, of those in scope.
    pub(crate) pods: Vec<&'a Pod>,
    /// Cordoned nodes on which it has pods.
    pub(crate) nodes: Vec<&'a Node>,
    /// Events in which an eviction was refused because of it.
    pub(crate) events: Vec<&'a Event>,
}

impl<'a> Blocked<'a> {
    /// Somebody wants to evict a pod of it.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.nodes.is_empty() || !self.events.is_empty()
    }

    /// Its pods that are not ready.
    pub(crate) fn unready(&self) -> impl Iterator<Item = &'a Pod> + '_ {
        self.pods.iter().copied().filter(|p| !p.is_ready())
    }

    /// A pod that runs and is not ready is on a node that is being drained: that one could go at once. The policy lets
    /// nothing else go: pods that are ready stay under the budget, and those that never started are free to go anyway.
    pub(crate) fn waits_for_unready(&self) -> bool {
        let is_drained = |p: &Pod| self.nodes.iter().any(|n| p.spec.node_name.as_deref() == Some(&n.metadata.name));
        self.unready().any(|p| p.status.phase == "Running" && is_drained(p))
    }

    /// Its pods that would be moved: those on the nodes that are being drained, else all.
    pub(crate) fn moving(&self) -> impl Iterator<Item = &'a Pod> + '_ {
        let is_drained = |p: &Pod| self.nodes.iter().any(|n| p.spec.node_name.as_deref() == Some(&n.metadata.name));
        self.pods.iter().copied().filter(move |p| self.nodes.is_empty() || is_drained(p))
    }
}

/// With two pods instead of one it would let one go.
pub(crate) fn lets_one_of_two_go(spec: &BudgetSpec) -> bool {
    // Percentages are rounded up, both of what has to stay and of what may go.
    let of_two = |value: &IntOrString| match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let percent: i32 = text.trim_end_matches('%').parse().ok()?;
            Some((2 * percent + 99) / 100)
        }
    };
    match (&spec.min_available, &spec.max_unavailable) {
        (Some(min), _) => of_two(min).is_some_and(|n| n < 2),
        (None, Some(max)) => of_two(max).is_some_and(|n| n > 0),
        (None, None) => true,
    }
}

/// A budget as a resource.
pub(crate) fn reference(budget: &DisruptionBudget) -> ResourceRef {
    ResourceRef::kubernetes("policy", "PodDisruptionBudget", &budget.metadata.namespace, &budget.metadata.name)
}

/// What a budget blocks; `None` where it allows an eviction, or has no pods.
pub(crate) fn blocked<'a>(snap: &'a Snapshot, budget: &DisruptionBudget) -> Option<Blocked<'a>> {
    let status = &budget.status;
    if status.disruptions_allowed > 0 || status.expected_pods == 0 || budget.metadata.deletion_timestamp.is_some() {
        return None;
    }
    // The numbers are still those of what was asked for before.
    if status.observed_generation.zip(budget.metadata.generation).is_some_and(|(seen, now)| seen < now) {
        return None;
    }
    let why = if status.desired_healthy >= status.expected_pods { Why::Never } else { Why::Unhealthy };
    let pods = pods(snap, budget);
    let on = |node: &&Node| pods.iter().any(|p| p.spec.node_name.as_deref() == Some(node.metadata.name.as_str()));
    let nodes = snap.nodes.items().unwrap_or_default().iter().filter(|n| n.spec.unschedulable).filter(on).collect();
    Some(Blocked { why, nodes, events: events(snap, budget, &pods), pods })
}

fn pods<'a>(snap: &'a Snapshot, budget: &DisruptionBudget) -> Vec<&'a Pod> {
    // An absent selector selects nothing, an empty one all pods of the namespace.
    let Some(selector) = &budget.spec.selector else { return Vec::new() };
    let all = snap.pods.items().unwrap_or_default().iter();
    all.filter(|p| p.metadata.namespace == budget.metadata.namespace && !p.is_finished())
        .filter(|p| label_selector::selects(selector, &p.metadata.labels))
        .collect()
}

/// Refused evictions: the API server's words about a pod of it, and Karpenter's, which name the budget.
fn events<'a>(snap: &'a Snapshot, budget: &DisruptionBudget, pods: &[&Pod]) -> Vec<&'a Event> {
    let name = format!("{}/{}", budget.metadata.namespace, budget.metadata.name);
    let names = |message: &str| {
        message.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.'))).any(|word| word == name)
    };
    let is_own = |e: &&Event| {
        let refused = e.message.contains("would violate the pod's disruption budget");
        let object = &e.involved_object;
        let of_pod = pods.iter().any(|p| {
            (object.kind == "Pod" && object.name == p.metadata.name && object.namespace == p.metadata.namespace)
                || e.message.contains(p.metadata.name.as_str())
        });
        (refused && of_pod) || (e.message.contains("prevents pod evictions") && names(&e.message))
    };
    let is_recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    snap.events.items().unwrap_or_default().iter().filter(is_own).filter(is_recent).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_second_pod_helps_where_the_budget_then_lets_one_go() {
        let helps = |spec: Value| lets_one_of_two_go(&serde_json::from_value(spec).expect("a budget"));
        assert!(helps(json!({"minAvailable": 1})) && helps(json!({"minAvailable": "50%"})));
        assert!(helps(json!({"maxUnavailable": 1})) && helps(json!({"maxUnavailable": "10%"})));
        assert!(!helps(json!({"minAvailable": "100%"})) && !helps(json!({"minAvailable": "51%"})));
        assert!(!helps(json!({"maxUnavailable": 0})) && !helps(json!({"maxUnavailable": "0%"})));
    }

    #[test]
    fn only_an_unready_pod_on_a_drained_node_can_be_let_go() {
        let pod = |name: &str, node: &str, ready: &str, phase: &str| -> Pod {
            serde_json::from_value(
                json!({"metadata": {"name": name, "namespace": "m"}, "spec": {"nodeName": node, "containers": []},
                "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}}),
            )
            .expect("a pod")
        };
        let node: Node = serde_json::from_value(json!({"metadata": {"name": "n1"}})).expect("a node");
        let waits = |pods: &[Pod]| {
            let pods = pods.iter().collect();
            Blocked { why: Why::Unhealthy, pods, nodes: vec![&node], events: Vec::new() }.waits_for_unready()
        };
        assert!(waits(&[pod("a", "n1", "False", "Running"), pod("b", "n2", "True", "Running")]));
        assert!(!waits(&[pod("a", "n1", "True", "Running"), pod("b", "n2", "False", "Running")]));
        assert!(!waits(&[pod("a", "n1", "False", "Pending")]));
    }
}
