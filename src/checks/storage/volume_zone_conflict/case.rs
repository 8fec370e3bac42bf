//! A pod, its volumes and the nodes, and what is said of them.

use super::Cause;
use crate::domain::kubernetes::scheduling;
use crate::domain::kubernetes::unschedulable::unscheduled;
use crate::domain::kubernetes::volumes::{Bound, keys, place_of, reaches};
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};

/// What a pod's finding is about.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) pod: &'a Pod,
    pub(super) volumes: Vec<Bound<'a>>,
    pub(super) place: &'a str,
}

impl<'a> Case<'a> {
    /// The volume that the message names.
    pub(super) fn culprit(&self) -> &Bound<'a> {
        let nodes = self.snap.nodes.items().unwrap_or_default();
        let stranded = self.volumes.iter().find(|b| !nodes.iter().any(|n| reaches(b.volume, n)));
        stranded.unwrap_or(&self.volumes[0])
    }

    fn nodes(&self) -> impl Iterator<Item = &'a Node> {
        self.snap.nodes.items().unwrap_or_default().iter().filter(|n| !n.is_fargate())
    }

    /// Zones with a node that takes pods.
    pub(super) fn live_zones(&self) -> Vec<&'a str> {
        scheduling::zones(self.nodes().filter(|n| n.is_ready() && !n.spec.unschedulable)).into_iter().collect()
    }

    /// Zones with a node that the pod may go to, by its selector and affinity.
    pub(super) fn pod_zones(&self) -> Vec<&'a str> {
        let fits = |n: &&Node| n.is_ready() && !n.spec.unschedulable && scheduling::chosen_by(self.pod, n);
        scheduling::zones(self.nodes().filter(fits)).into_iter().collect()
    }

    pub(super) fn explain(&self, conflict: Cause, culprit: &Bound<'_>) -> String {
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

    pub(super) fn evidence(&self, conflict: Cause) -> Vec<Evidence> {
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
