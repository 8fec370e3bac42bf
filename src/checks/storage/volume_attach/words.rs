//! Why a volume does not come up: what mends it, and the end of the sentence.

use super::case::Case;
use super::fault::{self, BucketCause, Cause};
use super::fix::{Ebs, Held, NoInstance, Way, Workload};
use crate::domain::aws::xfs::Newer;
use crate::domain::text::windows::minute;
use crate::snapshot::kubernetes::Pod;

impl Case<'_> {
    pub(super) fn explain(&self) -> (Way, String) {
        let (node, pod) = (self.node.to_owned(), self.pod.metadata.name.clone());
        match self.fault {
            Cause::MultiAttach => self.multi_attach(),
            Cause::Limit => (Way::limit(self), format!("the node takes no more volumes ({})", self.counts())),
            Cause::Stuck if self.has_room() => {
                let why = format!("EC2 does not finish attaching it; {}, so that the node is not full", self.counts());
                (Way::stuck(self), why)
            }
            Cause::Stuck => (Way::limit(self), format!("it stays in attaching; {}: {}", self.counts(), self.message)),
            Cause::Gone => (Way::gone(self), format!("EC2 does not know it any more: {}", self.message)),
            Cause::NodePlugin => {
                (Way::NodePlugin { node }, format!("the CSI driver does not run on the node: {}", self.message))
            }
            Cause::Iam => (Way::Iam { pod }, format!("AWS refuses it: {}", self.message)),
            Cause::Kms => {
                (Way::Kms(Ebs::of(self)), format!("the key that encrypts it cannot be used: {}", self.message))
            }
            Cause::Timeout => (Way::Timeout(Ebs::of(self)), format!("nobody answers: {}", self.message)),
            Cause::FileSystem => match self.newer_file_system() {
                Some(newer) => (Way::newer(self, &newer), newer_text(&newer, self.message.as_str())),
                None => (Way::file_system(self), format!("its file system cannot be mounted: {}", self.message)),
            },
            Cause::Helper => (
                Way::Helper { pod },
                format!("the node has no program that mounts such a file system: {}", self.message),
            ),
            Cause::Throttled => (
                Way::Throttled { pod },
                format!("EC2 takes no more calls from this account for the moment: {}", self.message),
            ),
            Cause::Bucket(BucketCause::NoPod) => (
                Way::mountpoint(self),
                format!("the pod of Mountpoint that mounts its bucket does not run on the node: {}", self.message),
            ),
            Cause::Bucket(fault) => {
                let way = Way::bucket(self);
                let words = match fault {
                    BucketCause::Credentials => "nobody gives the driver credentials for its bucket",
                    BucketCause::Denied => "the driver may not use its bucket",
                    BucketCause::Missing => "its bucket does not exist in this region",
                    BucketCause::NoPod | BucketCause::Other => "its bucket cannot be mounted",
                };
                (way, format!("{words}: {}", self.message))
            }
            Cause::NoInstance => no_instance(self),
            Cause::OtherZone => {
                let unsaid = if self.names_zone() { "" } else { ", and its PersistentVolume does not say in which" };
                (Way::other_zone(self), format!("it lies in another zone than the node{unsaid}: {}", self.message))
            }
            Cause::NoDevice => (
                Way::no_device(self),
                format!("Kubernetes takes it for attached, and the node has no device of it: {}", self.message),
            ),
            Cause::Ownership => (
                Way::ownership(self),
                "the kubelet still gives each of its files to the pod's fsGroup, and tells that this takes long; the pod starts when it is done".to_owned(),
            ),
            Cause::Mount => (Way::mount(self), self.message.clone()),
        }
    }

    /// Who holds a volume that is attached elsewhere: the fix depends on it.
    fn multi_attach(&self) -> (Way, String) {
        let holders = self.holders();
        let own = self.snap.owner_ref(self.pod);
        let on = |p: &Pod| p.spec.node_name.clone().unwrap_or_default();
        if let Some(holder) = self.ending() {
            let (name, node) = (&holder.metadata.name, on(holder));
            let end = holder.metadata.deletion_timestamp.map(minute).unwrap_or_default();
            let overdue = !self.is_in_grace(holder);
            let text = if overdue {
                format!("pod {name} on node {node} should have ended at {end} and still holds it")
            } else {
                format!("it waits until pod {name} on node {node} has ended, at {end} at the latest")
            };
            return (Way::Ending { holder: name.clone(), overdue }, text);
        }
        if let Some(holder) = holders.iter().find(|p| self.is_dead(&on(p))) {
            let (name, node) = (holder.metadata.name.clone(), on(holder));
            let text = format!("pod {name} still holds it on node {node}, which is not Ready");
            return (Way::DeadNode { holder: name, holder_node: node }, text);
        }
        // One that stays says more than one that is about to end.
        if let Some(holder) = holders.iter().find(|p| p.metadata.deletion_timestamp.is_none()).or(holders.first()) {
            let text = format!("pod {} holds it on node {}", holder.metadata.name, on(holder));
            if self.snap.owner_ref(holder) != own {
                return (Way::Shared(Held::by(self, Some(holder))), text);
            }
            let workload = self.workload();
            return match workload {
                Some(w) if w.kind == "Deployment" && w.desired() > 1 => {
                    let text = format!("{text}; {} replicas share one claim", w.desired());
                    (Way::Replicas(Workload::of(self)), text)
                }
                Some(w) if w.kind == "Deployment" && w.spec.strategy.kind.as_deref() != Some("Recreate") => (
                    Way::RollingUpdate {
                        node: self.node.to_owned(),
                        holder: holder.metadata.name.clone(),
                        workload: Workload::of(self),
                    },
                    format!("{text}, and its strategy RollingUpdate starts the new pod before the old one is gone"),
                ),
                _ => (Way::Held(Held::by(self, Some(holder))), text),
            };
        }
        let attachments = self.attachments();
        let Some(stale) = attachments.first() else {
            return (Way::Held(Held::by(self, None)), "it is still attached to another node".into());
        };
        let node = &stale.spec.node_name;
        let text = if self.is_dead(node) {
            format!("it is still attached to node {node}, which is not there or not Ready")
        } else {
            format!("it is still attached to node {node}, where no pod uses it")
        };
        (Way::stale(self), text)
    }
}

/// The driver makes file systems that the kernel of the node does not know.
fn newer_text(newer: &Newer, said: &str) -> String {
    let (major, minor) = newer.needs;
    format!(
        "the kernel of the node ({}) does not know the XFS file systems that version 1.{} of the EBS CSI driver makes, which need {major}.{minor}: {said}",
        newer.kernel, newer.driver
    )
}

/// EC2 knows no such instance where the driver asks.
fn no_instance(case: &Case<'_>) -> (Way, String) {
    let instance = fault::instance(&case.message).unwrap_or("<instance-id>").to_owned();
    let way = NoInstance::of(case, instance.clone());
    let why = match (way.asks_elsewhere(), way.is_known()) {
        (Some(asked), _) => format!(
            "the driver asks EC2 in {asked} for the node's instance {instance}, and the cluster is in {}",
            way.region()
        ),
        (None, true) => format!(
            "EC2 does not tell the driver of the node's instance {instance}, which is there: the driver asks another region or account"
        ),
        (None, false) => format!("EC2 does not tell the driver of the node's instance {instance}"),
    };
    (Way::NoInstance(way), why)
}
