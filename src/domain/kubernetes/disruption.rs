//! PodDisruptionBudgets: whether one allows an eviction at all, and who waits for it.

use crate::domain::kubernetes::label_selector;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{DisruptionBudget, Event, Node, Pod};

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

impl Blocked<'_> {
    /// Somebody wants to evict a pod of it.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.nodes.is_empty() || !self.events.is_empty()
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
    let is_recent = |e: &&Event| e.last_seen().is_none_or(|t| snap.collected_at.as_second() - t.as_second() <= RECENT);
    snap.events.items().unwrap_or_default().iter().filter(is_own).filter(is_recent).collect()
}
