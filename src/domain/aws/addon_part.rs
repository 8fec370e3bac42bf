//! The workloads of an add-on, and how many of their pods are missing.

use std::collections::BTreeSet;

use crate::domain::aws::addon::{self, ROLLOUT};
use crate::domain::kubernetes::unschedulable::for_fargate;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Addon;
use crate::snapshot::kubernetes::{Pod, Workload};

/// One workload of an add-on.
pub(crate) struct Part<'a> {
    pub(crate) workload: &'a Workload,
    /// Pods of it that are not Ready on nodes that are.
    pub(crate) unready: Vec<&'a Pod>,
    /// Pods it lacks that cannot run, because their node does not.
    pub(crate) on_dead_nodes: usize,
    /// Pods of a DaemonSet for Fargate nodes, which run none.
    pub(crate) on_fargate: usize,
    /// It was just made, or is just being rolled out.
    young: bool,
    /// Pods of it, or it itself, were made just now.
    fresh: bool,
}

impl Part<'_> {
    pub(crate) fn reference(&self) -> ResourceRef {
        let meta = &self.workload.metadata;
        ResourceRef::kubernetes("apps", &self.workload.kind, &meta.namespace, &meta.name)
    }

    /// `daemonset/aws-node`.
    pub(crate) fn target(&self) -> String {
        self.reference().kubectl_name()
    }

    pub(crate) fn counts(&self) -> String {
        format!("{} of {} pods ready", self.workload.ready(), self.workload.desired())
    }

    /// Pods that are missing although their node runs. DaemonSets count a stopped node's pod as wanted.
    pub(crate) fn missing(&self) -> usize {
        let short = self.workload.desired().saturating_sub(self.workload.ready()) as usize;
        if self.young { 0 } else { short.saturating_sub(self.on_dead_nodes + self.on_fargate) }
    }

    /// Pods are missing whose turn has just come.
    pub(crate) fn is_rolling(&self) -> bool {
        self.fresh && self.workload.desired() > self.workload.ready()
    }

    /// Nothing of it works.
    pub(crate) fn is_down(&self) -> bool {
        self.workload.desired() > 0 && self.workload.ready() == 0 && self.missing() > 0
    }
}

pub(crate) fn parts<'a>(snap: &'a Snapshot, name: &str, addon: Option<&Addon>) -> Vec<Part<'a>> {
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

/// The cluster has what EKS misses: of each of its workloads pods run, and none is missing on a node that does.
pub(crate) fn has_its_pods(snap: &Snapshot, addon: &Addon) -> bool {
    let parts = parts(snap, &addon.addon_name, Some(addon));
    let has_all = |p: &Part<'_>| p.workload.desired() == 0 || p.workload.ready() > 0 && p.missing() == 0;
    snap.nodes.is_whole() && !parts.is_empty() && parts.iter().all(has_all)
}
