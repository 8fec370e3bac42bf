//! Nodes that are not Ready, and nodes that a pod could be on.

use std::collections::BTreeSet;

use crate::domain::kubernetes::scheduling;
use crate::domain::kubernetes::volumes::{bound_volumes, reaches};
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Node, Pod};

/// The port of a kubelet.
pub(crate) const KUBELET_PORT: u16 = 10250;

/// The disk of a node, as far as folders of the node are written to.
pub(crate) fn node_disk(node: &str) -> ResourceRef {
    ResourceRef::kubernetes("", "NodeDisk", "", node)
}

/// The nodes on which these pods sit and which are not Ready: their state explains that of the pods.
pub(crate) fn dead_nodes<'a>(snap: &Snapshot, pods: impl Iterator<Item = &'a Pod>) -> Vec<ResourceRef> {
    let names: BTreeSet<&str> = pods.filter_map(|p| p.spec.node_name.as_deref()).collect();
    let nodes = names.into_iter().filter_map(|name| snap.nodes.named(name).ok().flatten());
    nodes.filter(|n| not_ready(n).is_some()).map(|n| ResourceRef::node(&n.metadata.name)).collect()
}

/// The condition Ready, where it is not True.
pub(crate) fn not_ready(node: &Node) -> Option<&Condition> {
    node.status.conditions.iter().find(|c| c.kind == "Ready" && c.status != "True")
}

/// Nodes that take pods now, and that the pod's selector and its tolerations admit, whatever its volumes and their room.
pub(crate) fn open_to<'a>(snap: &'a Snapshot, pod: &'a Pod) -> impl Iterator<Item = &'a Node> {
    let all = snap.nodes.items().unwrap_or_default().iter();
    let is_open = |n: &&Node| n.is_ready() && !n.spec.unschedulable && !n.is_fargate();
    all.filter(is_open).filter(|n| scheduling::chosen_by(pod, n) && scheduling::tolerates(pod, n))
}

/// Something makes the pod again when it is deleted, and a node other than its own takes it then.
pub(crate) fn can_move(snap: &Snapshot, pod: &Pod) -> bool {
    let volumes = bound_volumes(snap, pod).unwrap_or_default();
    let is_other = |n: &&Node| Some(n.metadata.name.as_str()) != pod.spec.node_name.as_deref();
    let takes = |n: &Node| volumes.iter().all(|b| reaches(b.volume, n));
    pod.metadata.controller().is_some_and(|o| o.kind != "DaemonSet") && open_to(snap, pod).filter(is_other).any(takes)
}

/// Nodes that the pod's selector and its volumes admit, whatever their taints and their room.
pub(crate) fn could_take<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a Node> {
    let volumes = bound_volumes(snap, pod).unwrap_or_default();
    let all = snap.nodes.items().unwrap_or_default().iter();
    all.filter(|n| !n.is_fargate() && scheduling::chosen_by(pod, n) && volumes.iter().all(|b| reaches(b.volume, n)))
        .collect()
}

/// The node that is not Ready and that Karpenter, or EKS Auto Mode, made for a pod, by its newest word:
/// `Pod should schedule on: nodeclaim/default-26pwv, node/ip-10-0-1-2.ec2.internal`.
pub(crate) fn nominated<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Node> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
    let newest = events.filter(|e| e.reason == "Nominated").max_by_key(|e| e.last_seen())?;
    let name = newest.message.split([' ', ',']).find_map(|word| word.strip_prefix("node/"))?;
    snap.nodes.named(name).ok().flatten().filter(|n| not_ready(n).is_some())
}
