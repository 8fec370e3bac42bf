//! A node that is Ready, and was not several times within the last hours.

use super::{Fix, Instance, NodeNotReady, Way};
use crate::checks::support::seen::event_evidence;
use crate::domain::text::windows::RECENT;
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Node, Pod};

/// Times that it was not Ready: once is a restart of its kubelet, twice may be chance.
const OFTEN: u32 = 3;
/// Seconds within which these times lie: events are counted from the first on, which may be long ago.
const WITHIN: i64 = 2 * RECENT;

/// Nodes of the stack that come and go.
pub(super) fn findings<'a>(snap: &'a Snapshot, pods: &'a [Pod]) -> impl Iterator<Item = Finding> + 'a {
    let nodes = snap.nodes.items().unwrap_or_default().iter().filter(|n| n.is_ready());
    nodes.filter_map(move |node| {
        let (event, times) = gone(snap, node)?;
        let here = |p: &&Pod| p.spec.node_name.as_deref() == Some(node.metadata.name.as_str()) && !p.is_finished();
        let first = pods.iter().filter(|p| snap.scope.is_judged(&p.metadata.namespace)).find(here)?;
        Some(finding(node, first, event, times))
    })
}

/// The newest event of a node that is not Ready, and how often that was.
fn gone<'a>(snap: &'a Snapshot, node: &Node) -> Option<(&'a Event, u32)> {
    let now = snap.collected_at.as_second();
    let began = |e: &Event| e.first_timestamp.is_some_and(|t| now - t.as_second() <= WITHIN);
    let events = snap.events_about("Node", &node.metadata, RECENT);
    let told: Vec<&Event> = events.into_iter().filter(|e| e.reason == "NodeNotReady" && began(e)).collect();
    let times = told.iter().map(|e| e.times()).sum();
    (times >= OFTEN).then_some((*told.first()?, times))
}

fn finding(node: &Node, pod: &Pod, event: &Event, times: u32) -> Finding {
    let name = &node.metadata.name;
    let text = format!(
        "node {name} is Ready now, and was not {times} times within the last two hours: its pods are taken for dead each time"
    );
    let own = ResourceRef::node(name);
    Finding::new(NodeNotReady::META.id, Severity::Warning, own.clone(), text)
        .key("flapping")
        .breaks_nothing()
        .depends_on(own)
        .evidence(event_evidence(event))
        .fix(Fix {
            namespace: pod.metadata.namespace.clone(),
            node: name.clone(),
            way: Way::Flapping(Instance::of(node).kept()),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::workload::{pod, snapshot};
    use crate::snapshot::Listing;
    use serde_json::json;

    fn with(count: u32, first: &str) -> Snapshot {
        let mut snap = snapshot(json!([pod(json!({"name": "prometheus", "ready": true}))]));
        let event = json!([{"metadata": {"name": "e", "namespace": "default"}, "type": "Normal", "reason": "NodeNotReady",
            "message": "Node node-a status is now: NodeNotReady", "count": count, "firstTimestamp": first,
            "lastTimestamp": "2026-11-21T11:50:00Z", "involvedObject": {"kind": "Node", "name": "node-a"}}]);
        snap.events = Listing::cluster(serde_json::from_value(event).expect("events"));
        snap
    }

    #[test]
    fn a_node_that_comes_and_goes_is_told() {
        let found = findings(&NodeNotReady, &with(5, "2026-11-21T10:40:00Z"));
        assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Warning, "flapping"));
        assert!(steps(&found[0]).contains("kubectl describe node node-a"));
    }

    #[test]
    fn what_was_once_or_over_days_is_not() {
        assert_eq!(findings(&NodeNotReady, &with(2, "2026-11-21T10:40:00Z")), []);
        assert_eq!(findings(&NodeNotReady, &with(5, "2026-11-18T10:40:00Z")), []);
    }
}
