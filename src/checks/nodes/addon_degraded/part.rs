//! What is seen of the workloads of an add-on.

use std::collections::BTreeSet;

use crate::domain::aws::addon_part::Part;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Pod, Workload};

/// Letters of what the kubelet says that are shown.
const QUOTED: usize = 200;

pub(super) fn has_driver(parts: &[Part<'_>]) -> bool {
    let image = |c: &crate::snapshot::kubernetes::Container| c.image.contains("ebs-csi-driver");
    parts.iter().any(|p| p.workload.spec.template.spec.containers.iter().any(image))
}

/// Nodes that are not Ready, with pods of a workload.
pub(super) fn lost_nodes<'a>(snap: &'a Snapshot, workload: &'a Workload) -> BTreeSet<&'a str> {
    let nodes = snap.nodes.items().unwrap_or_default();
    let is_lost = |name: &&str| nodes.iter().any(|n| n.metadata.name == *name && !n.is_ready());
    snap.pods_of_workload(workload).filter_map(|p| p.spec.node_name.as_deref()).filter(is_lost).collect()
}

/// What the kubelet says again and again of a pod that runs and is not ready.
pub(super) fn unanswered<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Event> {
    let runs = pod.status.phase == "Running" && pod.statuses().all(|s| s.state.waiting.is_none());
    let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter().filter(|_| runs);
    events.into_iter().find(|e| e.reason == "Unhealthy" && e.times() > 1)
}

pub(super) fn part_evidence(snap: &Snapshot, part: &Part<'_>) -> Evidence {
    let mut lines = vec![part.counts()];
    if part.workload.kind == "DaemonSet" && part.on_dead_nodes > 0 {
        lines.push(format!("{} nodes are not Ready; their pods count as wanted", part.on_dead_nodes));
    }
    for pod in part.unready.iter().take(5) {
        let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
        let waiting = statuses.filter_map(|s| Some((s, s.state.waiting.as_ref()?))).find(|(_, w)| !w.reason.is_empty());
        let why = waiting.map_or_else(
            || match unanswered(snap, pod) {
                Some(event) => format!("{}; {}", pod.status.phase, shorten(event.message.trim(), QUOTED)),
                None => pod.status.phase.clone(),
            },
            |(status, waiting)| format!("container {} {}", status.name, waiting.reason),
        );
        lines.push(format!("pod {}: {why}", pod.metadata.name));
    }
    Evidence::new(
        format!("{} {}/{}", part.workload.kind, part.workload.metadata.namespace, part.workload.metadata.name),
        lines.join("\n"),
        "kubectl get {{ target }} -n {{ namespace }} -o wide",
    )
    .with("namespace", &part.workload.metadata.namespace)
    .with("target", part.target())
}
