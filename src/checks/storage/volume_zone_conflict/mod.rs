//! A pod cannot be scheduled because no node is where its volume is.

mod case;
mod fix;

use std::collections::{BTreeMap, BTreeSet};

use case::Case;
use fix::Fix;

use crate::checks::{Check, check};
use crate::domain::aws::node_pool;
use crate::domain::kubernetes::scheduling;
use crate::domain::kubernetes::unschedulable::{concerns, unscheduled};
use crate::domain::kubernetes::volumes::{Bound, bound_volumes, is_local, place_of, reaches};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};

check! {
    /// See the check's page.
    VolumeZoneConflict {
        id: "volume-zone-conflict", suite: Storage, severity: Error,
        title: "no node is where a pod's volume is",
        requires: [Pods, PersistentVolumeClaims, PersistentVolumes, Nodes],
        uses: [Events, EksCluster, EksNodegroups, Subnets, Workloads, NodeMakers, PartLogs],
        fix: Fix,
    }
}

/// What keeps a pod and its volumes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// No node lies in the volume's zone.
    NoNode,
    /// The volume is a disk of one node, and the node is gone.
    NodeGone,
    /// Two volumes of one pod lie in different zones.
    Split,
    /// Nodes are there, but the pod's own selector or affinity rules them out.
    Selector,
}

impl Check for VolumeZoneConflict {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, Cause, String), Vec<&Pod>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| concerns(snap, p) && unscheduled(snap, p).is_some()) {
            let volumes = bound_volumes(snap, pod)?;
            if let Some((conflict, culprits)) = conflict(snap.nodes()?, pod, &volumes) {
                let place = culprits.iter().filter_map(|b| place_of(b.volume)).collect::<BTreeSet<_>>();
                let place = place.into_iter().collect::<Vec<_>>().join(", ");
                groups.entry((snap.owner_ref(pod), conflict, place)).or_default().push(pod);
            }
        }
        let mut findings = Vec::new();
        for ((owner, conflict, place), pods) in groups {
            findings.push(finding(snap, owner, conflict, &place, &pods)?);
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Which volumes keep a pod from every node, and how. Nodes that are full, cordoned or tainted are there: room is
/// another matter.
fn conflict<'a, 'b>(all: &[Node], pod: &Pod, volumes: &'b [Bound<'a>]) -> Option<(Cause, Vec<&'b Bound<'a>>)> {
    // A cluster without a node has no zone to speak of.
    if volumes.is_empty() || !all.iter().any(|n| !n.is_fargate()) {
        return None;
    }
    let stranded: Vec<&Bound<'_>> = volumes.iter().filter(|b| !all.iter().any(|n| reaches(b.volume, n))).collect();
    if let Some(first) = stranded.first() {
        let conflict = if is_local(first.volume) { Cause::NodeGone } else { Cause::NoNode };
        return Some((conflict, stranded));
    }
    let common: Vec<&Node> = all.iter().filter(|n| volumes.iter().all(|b| reaches(b.volume, n))).collect();
    let every = || volumes.iter().collect();
    if common.is_empty() {
        return Some((Cause::Split, every()));
    }
    // Where no node at all is what the pod asks for, its volume is not what is in the way.
    let is_meant = |n: &&Node| scheduling::chosen_by(pod, n);
    let elsewhere = all.iter().filter(|n| !n.is_fargate()).any(|n| is_meant(&n));
    (elsewhere && !common.iter().any(is_meant)).then(|| (Cause::Selector, every()))
}

fn finding(snap: &Snapshot, owner: ResourceRef, conflict: Cause, place: &str, pods: &[&Pod]) -> Result<Finding, Gap> {
    let pod = pods[0];
    let case = Case { snap, pod, volumes: bound_volumes(snap, pod)?, place };
    let culprit = case.culprit();
    let message = case.explain(conflict, culprit);
    let namespace = &pod.metadata.namespace;
    let mut finding = Finding::new(
        VolumeZoneConflict::META.id,
        Severity::Error,
        ResourceRef::persistent_volume(&culprit.volume.metadata.name),
        message,
    )
    .breaks(owner.clone())
    .fix(Fix::of(&case, conflict, culprit, &owner));
    finding.key = format!("{} {} {place}", owner.key(), finding.variant);
    // The nodes that the pod is meant for would lie where the volume is, if they were made.
    let broken = node_pool::broken(snap);
    let pools: BTreeSet<ResourceRef> = pods.iter().flat_map(|p| node_pool::awaited_by(snap, &broken, p)).collect();
    finding = pools.into_iter().fold(finding, Finding::depends_on);
    for other in pods {
        finding = finding.breaks(ResourceRef::pod(namespace, &other.metadata.name));
        for bound in
            bound_volumes(snap, other)?.iter().filter(|b| place_of(b.volume).is_some_and(|p| place.contains(&p)))
        {
            let volume = ResourceRef::persistent_volume(&bound.volume.metadata.name);
            finding = finding.breaks(volume.clone()).also(volume);
        }
    }
    for evidence in case.evidence(conflict) {
        finding = finding.evidence(evidence);
    }
    Ok(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::kubernetes::PersistentVolume;
    use serde_json::json;

    fn node(name: &str, zone: &str, labels: serde_json::Value) -> Node {
        let mut node: Node =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).expect("a node");
        node.metadata.labels.insert("topology.kubernetes.io/zone".into(), zone.into());
        node.metadata.labels.insert("kubernetes.io/hostname".into(), name.into());
        node
    }

    fn volume(key: &str, value: &str) -> PersistentVolume {
        serde_json::from_value(json!({"metadata": {"name": value}, "spec": {"nodeAffinity": {"required": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}]}}}}))
        .expect("a volume")
    }

    fn found(nodes: &[Node], pod: &Pod, volumes: &[PersistentVolume]) -> Option<Cause> {
        let bound: Vec<Bound<'_>> = volumes.iter().map(|volume| Bound { claim: "data", volume }).collect();
        conflict(nodes, pod, &bound).map(|(c, _)| c)
    }

    #[test]
    fn a_zone_with_a_node_is_no_conflict_whatever_the_node_has_left() {
        let mut full = node("a", "z1", json!({}));
        full.spec.unschedulable = true;
        let zone = "topology.kubernetes.io/zone";
        assert_eq!(found(&[full], &Pod::default(), &[volume(zone, "z1")]), None);
        assert_eq!(found(&[], &Pod::default(), &[volume(zone, "z1")]), None);
        assert_eq!(found(&[node("a", "z1", json!({}))], &Pod::default(), &[]), None);
    }

    #[test]
    fn tells_the_conflicts_apart() {
        let nodes = [node("a", "z1", json!({"pool": "x"})), node("b", "z2", json!({"pool": "y"}))];
        let zone = "topology.ebs.csi.aws.com/zone";
        let pod = Pod::default();
        assert_eq!(found(&nodes, &pod, &[volume(zone, "z3")]), Some(Cause::NoNode));
        assert_eq!(found(&nodes, &pod, &[volume(zone, "z1"), volume(zone, "z2")]), Some(Cause::Split));
        assert_eq!(found(&nodes, &pod, &[volume("kubernetes.io/hostname", "c")]), Some(Cause::NodeGone));
        let mut picky = Pod::default();
        picky.spec.node_selector.insert("pool".into(), "y".into());
        assert_eq!(found(&nodes, &picky, &[volume(zone, "z1")]), Some(Cause::Selector));
        assert_eq!(found(&nodes, &picky, &[volume(zone, "z2")]), None);
    }
}
