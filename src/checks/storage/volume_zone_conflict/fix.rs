//! What brings a node to the volume, or the volume's data to the nodes.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::Cause;
use super::case::Case;
use crate::checks::support::claims::LostVolume;
use crate::checks::support::moved::Moved;
use crate::checks::support::node_group::create;
use crate::checks::support::place::Place;
use crate::domain::kubernetes::owner::has_rollout;
use crate::domain::kubernetes::scheduling;
use crate::domain::kubernetes::volumes::Bound;
use crate::model::{Placeholder, ResourceRef};
use crate::snapshot::aws::{Nodegroup, Subnet, name_tag};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
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

impl Fix {
    pub(super) fn of(case: &Case<'_>, conflict: Cause, culprit: &Bound<'_>, owner: &ResourceRef) -> Self {
        Self {
            namespace: case.pod.metadata.namespace.clone(),
            target: owner.kubectl_name(),
            has_rollout: has_rollout(case.snap, owner),
            way: case.way(conflict, culprit, owner),
        }
    }
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

impl<'a> Case<'a> {
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
}
