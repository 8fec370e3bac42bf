//! A pod cannot be scheduled because no node is where its volume is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::owner::has_rollout;
use crate::domain::kubernetes::volumes::{Bound, bound_volumes, is_local, keys, place_of, reaches};
use std::collections::{BTreeMap, BTreeSet};

use crate::checks::support::claims::LostVolume;
use crate::checks::support::moved::Moved;
use crate::checks::support::node_group::create;
use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::node_pool;
use crate::domain::kubernetes::scheduling;
use crate::domain::kubernetes::unschedulable::{concerns, unscheduled};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Nodegroup, Subnet, name_tag};
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

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    target: String,
    has_rollout: bool,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Zone {
        pod: String,
        /// The zone of the volume.
        place: String,
        #[serde(flatten)]
        lost: LostVolume,
        #[serde(flatten)]
        moved: Moved,
        cluster: String,
        /// The node group that has a subnet there, empty where none has one, and its size with one more node.
        group: String,
        scaling: String,
        /// What a new group would be made of.
        can_create: bool,
        new_group: String,
        subnet: String,
        node_role: String,
    },
    ZoneOther {
        volume: String,
    },
    NodeGone {
        pod: String,
        place: String,
        #[serde(flatten)]
        lost: LostVolume,
    },
    Split,
    Selector {
        pod: String,
        owner: String,
        claim: String,
        place: String,
        #[serde(flatten)]
        moved: Moved,
        cluster: String,
        /// The node group of the nodes that the pod may go to, empty where it is not known, with one more node.
        own_group: String,
        own_scaling: String,
        /// The words after `aws eks create-nodegroup` of one like it in the volume's zone.
        twin: Option<Vec<String>>,
    },
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

/// The size of a group with one more node.
fn one_more(group: Option<&Nodegroup>) -> String {
    let scaling = group.map(|g| &g.scaling_config);
    let desired = scaling.and_then(|s| s.desired_size).map(|n| n + 1);
    let max = scaling.and_then(|s| s.max_size);
    match (desired, max) {
        (Some(n), Some(max)) if n > max => format!("maxSize={n},desiredSize={n}"),
        (Some(n), _) => format!("desiredSize={n}"),
        _ => "desiredSize=<one-more>".to_owned(),
    }
}

/// What a pod's finding is about.
struct Case<'a> {
    snap: &'a Snapshot,
    pod: &'a Pod,
    volumes: Vec<Bound<'a>>,
    place: &'a str,
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
    .fix(Fix {
        namespace: namespace.clone(),
        target: owner.kubectl_name(),
        has_rollout: has_rollout(snap, &owner),
        way: case.way(conflict, culprit, &owner),
    });
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

impl<'a> Case<'a> {
    /// The volume that the message names.
    fn culprit(&self) -> &Bound<'a> {
        let nodes = self.snap.nodes.items().unwrap_or_default();
        let stranded = self.volumes.iter().find(|b| !nodes.iter().any(|n| reaches(b.volume, n)));
        stranded.unwrap_or(&self.volumes[0])
    }

    fn nodes(&self) -> impl Iterator<Item = &'a Node> {
        self.snap.nodes.items().unwrap_or_default().iter().filter(|n| !n.is_fargate())
    }

    /// Zones with a node that takes pods.
    fn live_zones(&self) -> Vec<&'a str> {
        scheduling::zones(self.nodes().filter(|n| n.is_ready() && !n.spec.unschedulable)).into_iter().collect()
    }

    /// Zones with a node that the pod may go to, by its selector and affinity.
    fn pod_zones(&self) -> Vec<&'a str> {
        let fits = |n: &&Node| n.is_ready() && !n.spec.unschedulable && scheduling::chosen_by(self.pod, n);
        scheduling::zones(self.nodes().filter(fits)).into_iter().collect()
    }

    fn explain(&self, conflict: Cause, culprit: &Bound<'_>) -> String {
        let name = format!("{}/{}", self.pod.metadata.namespace, self.pod.metadata.name);
        let volume = format!("its volume {} (claim {})", culprit.volume.metadata.name, culprit.claim);
        let zones = scheduling::zones(self.nodes()).into_iter().collect::<Vec<_>>().join(", ");
        let zones = if zones.is_empty() { "carry no zone label".to_owned() } else { format!("are in {zones}") };
        let place = self.place;
        let what = match conflict {
            Cause::NoNode => format!("{volume} is in {place}, and the cluster's nodes {zones}"),
            Cause::NodeGone => format!("{volume} is a disk of node {place}, which is not there"),
            Cause::Split => {
                let all: Vec<String> = self
                    .volumes
                    .iter()
                    .map(|b| format!("{} in {}", b.claim, place_of(b.volume).unwrap_or_default()))
                    .collect();
                format!("its volumes are in different zones ({})", all.join("; "))
            }
            Cause::Selector => {
                format!("{volume} is in {place}, where no node has what its node selector or affinity asks for")
            }
        };
        format!("pod {name} cannot be scheduled: {what}")
    }

    fn way(&self, conflict: Cause, culprit: &Bound<'_>, owner: &ResourceRef) -> Way {
        let pod = self.pod.metadata.name.clone();
        let place = self.place.to_owned();
        let namespace = &self.pod.metadata.namespace;
        let lost = || LostVolume::of(self.snap, namespace, culprit.claim, Some(culprit.volume));
        match conflict {
            Cause::NoNode if culprit.volume.ebs_id().is_some() => self.zone(pod, culprit, lost()),
            Cause::NoNode => Way::ZoneOther { volume: culprit.volume.metadata.name.clone() },
            Cause::NodeGone => Way::NodeGone { pod, place, lost: lost() },
            Cause::Split => Way::Split,
            Cause::Selector => self.selector(pod, culprit, owner),
        }
    }

    /// A node in the volume's zone: of a group that reaches it, or of a new one.
    fn zone(&self, pod: String, culprit: &Bound<'_>, lost: LostVolume) -> Way {
        let Place { cluster, .. } = Place::of(self.snap);
        let subnets = self.snap.subnets.as_deref().unwrap_or_default();
        let group = self.group_in(self.place, subnets);
        let model = self.snap.eks_nodegroups.as_deref().unwrap_or_default().first();
        let subnet = self.subnet(subnets);
        Way::Zone {
            pod,
            place: self.place.to_owned(),
            lost,
            moved: self.moved(culprit, "zone", self.live_zones().into_iter().take(1).collect()),
            cluster,
            group: group.map(|g| g.nodegroup_name.clone()).unwrap_or_default(),
            scaling: one_more(group),
            can_create: group.is_none() && model.is_some() && subnet.is_some(),
            new_group: format!("monitoring-{}", self.place),
            subnet: subnet.map(|s| s.subnet_id.clone()).unwrap_or_default(),
            node_role: model.map(|g| g.node_role.clone()).unwrap_or_default(),
        }
    }

    /// A node of the pod's own kind in the volume's zone, or the volume where those nodes are.
    fn selector(&self, pod: String, culprit: &Bound<'_>, owner: &ResourceRef) -> Way {
        let at = Place::of(self.snap);
        let subnets = self.snap.subnets.as_deref().unwrap_or_default();
        let own = self.own_group();
        let twin = own.zip(self.subnet(subnets)).filter(|(g, _)| !self.reaches_zone(g, subnets)).map(|(g, subnet)| {
            let name = format!("{}-{}", g.nodegroup_name, self.place);
            create(g, &at, &name, std::slice::from_ref(&subnet.subnet_id))
        });
        Way::Selector {
            pod,
            owner: owner.name(),
            claim: culprit.claim.to_owned(),
            place: self.place.to_owned(),
            moved: self.moved(culprit, "zone-of-the-nodes", self.pod_zones()),
            own_group: own.map(|g| g.nodegroup_name.clone()).unwrap_or_default(),
            own_scaling: one_more(own),
            twin,
            cluster: at.cluster,
        }
    }

    /// The volume's data in one of these zones.
    fn moved(&self, culprit: &Bound<'_>, name: &str, zones: Vec<&str>) -> Moved {
        Moved::of(self.snap, self.pod, culprit.volume, Placeholder::new(name).candidates(zones))
    }

    /// A subnet in the volume's zone, a private one first.
    fn subnet<'s>(&self, subnets: &'s [Subnet]) -> Option<&'s Subnet> {
        let private = |s: &&Subnet| !s.map_public_ip_on_launch && !name_tag(&s.tags).contains("public");
        let in_zone = || subnets.iter().filter(|s| s.availability_zone == self.place);
        in_zone().find(private).or_else(|| in_zone().next())
    }

    /// The node group whose nodes the pod may go to, by its selector and affinity.
    fn own_group(&self) -> Option<&'a Nodegroup> {
        let nodes = self.snap.nodes.items().unwrap_or_default();
        let named = nodes.iter().filter(|n| scheduling::chosen_by(self.pod, n)).find_map(|n| {
            n.metadata.label("eks.amazonaws.com/nodegroup").or(n.metadata.label("alpha.eksctl.io/nodegroup-name"))
        })?;
        self.snap.eks_nodegroups.iter().flatten().find(|g| g.nodegroup_name == named)
    }

    fn reaches_zone(&self, group: &Nodegroup, subnets: &[Subnet]) -> bool {
        subnets.iter().any(|s| s.availability_zone == self.place && group.subnets.contains(&s.subnet_id))
    }

    /// A node group that has a subnet in the zone, that with the fewest other zones first.
    fn group_in(&self, zone: &str, subnets: &[Subnet]) -> Option<&'a Nodegroup> {
        let zone_of = |id: &String| subnets.iter().find(|s| s.subnet_id == *id).map(|s| s.availability_zone.as_str());
        let groups = self.snap.eks_nodegroups.as_deref().unwrap_or_default().iter();
        groups
            .filter(|g| g.subnets.iter().any(|s| zone_of(s) == Some(zone)))
            .min_by_key(|g| g.subnets.iter().filter_map(zone_of).collect::<BTreeSet<_>>().len())
    }

    fn evidence(&self, conflict: Cause) -> Vec<Evidence> {
        let mut all = Vec::new();
        for bound in &self.volumes {
            let name = &bound.volume.metadata.name;
            let tied: Vec<String> =
                keys(bound.volume).iter().map(|(key, values)| format!("{key} in {}", values.join(", "))).collect();
            all.push(
                Evidence::new(
                    format!("PersistentVolume {name}, spec.nodeAffinity (claim {})", bound.claim),
                    tied.join("; "),
                    "kubectl get pv {{ volume }} -o jsonpath='{.spec.nodeAffinity.required}'",
                )
                .with("volume", name),
            );
        }
        let nodes: Vec<String> = self
            .nodes()
            .take(20)
            .map(|n| {
                let state = match (n.is_ready(), n.spec.unschedulable) {
                    (false, _) => ", not Ready",
                    (true, true) => ", cordoned",
                    _ => "",
                };
                format!("{} in {}{state}", n.metadata.name, scheduling::zone(n).unwrap_or("no zone"))
            })
            .collect();
        all.push(Evidence::new(
            "nodes and their zones",
            nodes.join("\n"),
            "kubectl get nodes -L topology.kubernetes.io/zone",
        ));
        if conflict == Cause::Selector {
            let selector: Vec<String> = self.pod.spec.node_selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let text = if selector.is_empty() { "required node affinity".into() } else { selector.join(", ") };
            all.push(
                Evidence::new(
                    format!("Pod {}/{}, what it asks of its node", self.pod.metadata.namespace, self.pod.metadata.name),
                    text,
                    "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml",
                )
                .with("namespace", &self.pod.metadata.namespace)
                .with("pod", &self.pod.metadata.name),
            );
        }
        let said = unscheduled(self.snap, self.pod).unwrap_or_default();
        all.push(
            Evidence::new(
                format!("Pod {}/{}, condition PodScheduled", self.pod.metadata.namespace, self.pod.metadata.name),
                said,
                "kubectl describe pod {{ pod }} -n {{ namespace }}",
            )
            .with("namespace", &self.pod.metadata.namespace)
            .with("pod", &self.pod.metadata.name),
        );
        all
    }
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
