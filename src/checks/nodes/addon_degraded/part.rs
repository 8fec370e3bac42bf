//! The workloads of an add-on, and which of their pods are missing.

use std::collections::BTreeSet;

use crate::domain::aws::addon::{self, ROLLOUT};
use crate::domain::kubernetes::unschedulable::for_fargate;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Addon;
use crate::snapshot::kubernetes::{Event, Pod, Workload};

/// Letters of what the kubelet says that are shown.
const QUOTED: usize = 200;

pub(super) fn has_driver(parts: &[Part<'_>]) -> bool {
    let image = |c: &crate::snapshot::kubernetes::Container| c.image.contains("ebs-csi-driver");
    parts.iter().any(|p| p.workload.spec.template.spec.containers.iter().any(image))
}

/// One workload of an add-on.
pub(super) struct Part<'a> {
    pub(super) workload: &'a Workload,
    /// Pods of it that are not Ready on nodes that are.
    pub(super) unready: Vec<&'a Pod>,
    /// Pods it lacks that cannot run, because their node does not.
    pub(super) on_dead_nodes: usize,
    /// Pods of a DaemonSet for Fargate nodes, which run none.
    pub(super) on_fargate: usize,
    /// It was just made, or is just being rolled out.
    young: bool,
    /// Pods of it, or it itself, were made just now.
    fresh: bool,
}

impl Part<'_> {
    pub(super) fn reference(&self) -> ResourceRef {
        let meta = &self.workload.metadata;
        ResourceRef::kubernetes("apps", &self.workload.kind, &meta.namespace, &meta.name)
    }

    /// `daemonset/aws-node`.
    pub(super) fn target(&self) -> String {
        self.reference().kubectl_name()
    }

    pub(super) fn counts(&self) -> String {
        format!("{} of {} pods ready", self.workload.ready(), self.workload.desired())
    }

    /// Pods that are missing although their node runs. DaemonSets count a stopped node's pod as wanted.
    pub(super) fn missing(&self) -> usize {
        let short = self.workload.desired().saturating_sub(self.workload.ready()) as usize;
        if self.young { 0 } else { short.saturating_sub(self.on_dead_nodes + self.on_fargate) }
    }

    /// Pods are missing whose turn has just come.
    pub(super) fn is_rolling(&self) -> bool {
        self.fresh && self.workload.desired() > self.workload.ready()
    }

    /// Nothing of it works.
    pub(super) fn is_down(&self) -> bool {
        self.workload.desired() > 0 && self.workload.ready() == 0 && self.missing() > 0
    }
}

pub(super) fn parts<'a>(snap: &'a Snapshot, name: &str, addon: Option<&Addon>) -> Vec<Part<'a>> {
    addon::workloads(snap, name, addon).into_iter().map(|workload| part(snap, workload)).collect()
}

fn part<'a>(snap: &'a Snapshot, workload: &'a Workload) -> Part<'a> {
    let nodes = snap.nodes.items().unwrap_or_default();
    let dead: BTreeSet<&str> = nodes.iter().filter(|n| !n.is_ready()).map(|n| n.metadata.name.as_str()).collect();
    let pods = snap.pods_of_workload(workload);
    let unready = pods.filter(|p| !p.is_ready() && p.metadata.deletion_timestamp.is_none());
    let (on_fargate, unready): (Vec<&Pod>, Vec<&Pod>) = unready.partition(|p| for_fargate(p));
    let on_dead = |p: &&Pod| p.spec.node_name.as_deref().is_some_and(|n| dead.contains(n));
    let fresh = snap.age_seconds(&workload.metadata) < ROLLOUT
        || (!unready.is_empty() && unready.iter().all(|p| snap.age_seconds(&p.metadata) < ROLLOUT));
    let young = fresh
        // A node that has just joined has no pod yet.
        || (workload.kind == "DaemonSet" && unready.is_empty() && on_fargate.is_empty() && workload.ready() > 0);
    let on_dead_nodes = match workload.kind.as_str() {
        // A node that is off has a pod there that is not Ready, or none at all.
        "DaemonSet" => dead.len(),
        _ => unready.iter().filter(|p| on_dead(p)).count(),
    };
    Part {
        workload,
        unready: unready.into_iter().filter(|p| !on_dead(p)).collect(),
        on_dead_nodes,
        on_fargate: on_fargate.len(),
        young,
        fresh,
    }
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
