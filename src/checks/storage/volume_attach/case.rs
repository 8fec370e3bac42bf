//! One pod with the volume that it waits for.

use super::fault::Cause;
use crate::domain::aws::csi_node;
use crate::domain::aws::ebs;
use crate::domain::aws::efs;
use crate::domain::aws::xfs::{self, Newer};
use crate::domain::kubernetes::owner::workload;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, PersistentVolume, Pod, VolumeAttachment, Workload};

/// Reason of the kubelet's events while it gives the files of a volume to the pod's group.
const OWNERSHIP: &str = "VolumePermissionChangeInProgress";
/// Seconds that the end of a pod and the detaching of its volume may take after its grace period.
const DETACHING: i64 = 60;

/// One pod with the volume that it waits for.
pub(super) struct Case<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) pod: &'a Pod,
    pub(super) node: &'a str,
    pub(super) fault: Cause,
    pub(super) claim: String,
    pub(super) volume: Option<&'a PersistentVolume>,
    pub(super) event: Option<&'a Event>,
    pub(super) attachment: Option<&'a VolumeAttachment>,
    pub(super) message: String,
}

impl<'a> Case<'a> {
    pub(super) fn of(snap: &'a Snapshot, pod: &'a Pod) -> Option<Self> {
        let node = pod.spec.node_name.as_deref()?;
        let mut volumes: Vec<(&str, &str, Option<&PersistentVolume>)> = volumes(snap, pod);
        // What EFS says is another check's to read.
        volumes.retain(|(.., v)| v.and_then(|v| v.spec.csi.as_ref()).is_none_or(|c| c.driver != efs::DRIVER));
        // Events about ConfigMaps and Secrets are not about volumes that are attached.
        let about = |message: &str| {
            volumes.iter().find(|(name, claim, volume)| {
                let by_volume = volume.is_some_and(|v| message.contains(&v.metadata.name));
                by_volume || quoted(message, name) || quoted(message, claim) || unmounted(message, name)
            })
        };
        let events = snap.events_about("Pod", &pod.metadata, RECENT);
        let telling = events
            .into_iter()
            .filter(|e| {
                matches!(e.reason.as_str(), "FailedAttachVolume" | "FailedMount" | "FailedMapVolume" | OWNERSHIP)
            })
            .filter_map(|e| Some((e, about(&e.message)?)));
        let told = telling.map(|(e, v)| (Cause::classify(&format!("{} {}", attach_word(e), e.message)), e, v));
        // The newest of those that say most: max_by_key keeps the last, so the order is turned round.
        let mut told: Vec<_> = told.collect();
        told.reverse();
        let best = told.into_iter().max_by_key(|(fault, ..)| fault.weight());
        let failed = || {
            let of_node =
                snap.volume_attachments.items().unwrap_or_default().iter().filter(|a| a.spec.node_name == node);
            of_node.filter_map(|a| Some((a, a.status.attach_error.as_ref()?))).find_map(|(a, error)| {
                let name = a.spec.source.persistent_volume_name.as_deref()?;
                let volume = volumes.iter().find(|(.., v)| v.is_some_and(|v| v.metadata.name == name))?;
                Some((a, &error.message, volume))
            })
        };
        let case = |fault, claim: &str, volume, event: Option<&'a Event>, attachment, message: &str| Self {
            snap,
            pod,
            node,
            fault,
            claim: claim.to_owned(),
            volume,
            event,
            attachment,
            message: said(message),
        };
        match (best, failed()) {
            (Some((fault, event, (_, claim, volume))), _) if fault.weight() > 0 => {
                Some(case(fault, claim, *volume, Some(event), None, &event.message))
            }
            (_, Some((attachment, message, (_, claim, volume)))) => {
                let fault = Cause::classify(&format!("AttachVolume {message}"));
                Some(case(fault, claim, *volume, None, Some(attachment), message))
            }
            (Some((fault, event, (_, claim, volume))), None) => {
                Some(case(fault, claim, *volume, Some(event), None, &event.message))
            }
            (None, None) => None,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.pod.metadata.namespace, self.pod.metadata.name)
    }

    /// Other pods that hold the claim.
    pub(super) fn holders(&self) -> Vec<&'a Pod> {
        let namespace = &self.pod.metadata.namespace;
        let pods = self.snap.pods.items().unwrap_or_default().iter();
        let others = pods.filter(|p| p.metadata.namespace == *namespace && p.metadata.name != self.pod.metadata.name);
        let elsewhere = |p: &&Pod| p.spec.node_name.as_deref().is_some_and(|n| n != self.node);
        others.filter(elsewhere).filter(|p| !p.is_finished() && p.claims().any(|c| c == self.claim)).collect()
    }

    /// Nodes other than the pod's to which the volume is attached.
    pub(super) fn attachments(&self) -> Vec<&'a VolumeAttachment> {
        let Some(volume) = self.volume else { return Vec::new() };
        let all = self.snap.volume_attachments.items().unwrap_or_default().iter();
        let of_it =
            all.filter(|a| a.spec.source.persistent_volume_name.as_deref() == Some(volume.metadata.name.as_str()));
        of_it.filter(|a| a.spec.node_name != self.node).collect()
    }

    /// The holder whose end the pod only has to wait for: it is being deleted, on a node that lives, and no other holds on.
    pub(super) fn ending(&self) -> Option<&'a Pod> {
        let holders = self.holders();
        let ends = |p: &&Pod| {
            p.metadata.deletion_timestamp.is_some() && !p.spec.node_name.as_deref().is_some_and(|n| self.is_dead(n))
        };
        (self.fault == Cause::MultiAttach && holders.iter().all(ends)).then(|| holders.first().copied()).flatten()
    }

    /// Its grace period runs: the API server sets the time at which it is to be over.
    pub(super) fn is_in_grace(&self, pod: &Pod) -> bool {
        pod.metadata.deletion_timestamp.is_some_and(|t| self.snap.seconds_since(t) <= DETACHING)
    }

    pub(super) fn is_dead(&self, node: &str) -> bool {
        let nodes = self.snap.nodes.items().unwrap_or_default();
        let found = nodes.iter().find(|n| n.metadata.name == node);
        !nodes.is_empty() && found.is_none_or(|n| !n.is_ready())
    }

    /// The workload that owns the pod.
    pub(super) fn workload(&self) -> Option<&'a Workload> {
        workload(self.snap, &self.snap.owner_ref(self.pod))
    }

    /// Its PersistentVolume tells the scheduler where it lies.
    pub(super) fn names_zone(&self) -> bool {
        self.volume.is_some_and(|v| v.spec.node_affinity.is_some())
    }

    /// Its file system is newer than the node's kernel.
    pub(super) fn newer_file_system(&self) -> Option<Newer> {
        let node = self.snap.nodes.named(self.node).ok().flatten()?;
        xfs::newer(self.snap, node, self.volume?)
    }

    /// Volumes on the node, and how many its driver says that it takes.
    fn count(&self) -> (usize, Option<usize>) {
        let all = self.snap.volume_attachments.items().unwrap_or_default().iter();
        let on_node = all.filter(|a| a.spec.node_name == self.node && a.spec.attacher == ebs::DRIVER).count();
        let node = self.snap.csi_nodes.named(self.node).ok().flatten();
        let driver = node.and_then(|n| n.spec.drivers.iter().find(|d| d.name == ebs::DRIVER));
        (on_node, driver.and_then(|d| d.allocatable.as_ref()).and_then(|a| a.count))
    }

    /// Far fewer volumes are on the node than it takes: interfaces and instance store take slots as well, but not that many.
    pub(super) fn has_room(&self) -> bool {
        let (on_node, limit) = self.count();
        on_node > 0 && limit.is_some_and(|limit| on_node * 2 < limit)
    }

    /// Volumes on the node against what its driver says it takes.
    pub(super) fn counts(&self) -> String {
        match self.count() {
            (0, None) => format!("node {}", self.node),
            (n, Some(limit)) => format!("node {} has {n} volumes, its driver says that it takes {limit}", self.node),
            (n, None) => format!("node {} has {n} volumes", self.node),
        }
    }

    pub(super) fn depends_on(&self) -> Vec<ResourceRef> {
        let snap = self.snap;
        let driver = self.volume.and_then(|v| v.spec.csi.as_ref()).map_or(ebs::DRIVER, |c| c.driver.as_str());
        let is_ebs = driver == ebs::DRIVER;
        let driver = ResourceRef::csi_driver(driver);
        match self.fault {
            Cause::Iam | Cause::Kms if is_ebs => {
                let mut all = vec![ebs::credentials_ref(snap)];
                if let Ok(cluster) = snap.eks_cluster() {
                    all.push(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
                }
                all
            }
            Cause::NodePlugin => vec![driver, csi_node::reference(self.node)],
            Cause::Timeout | Cause::Stuck => vec![driver],
            Cause::NoInstance => vec![ResourceRef::node(self.node)],
            Cause::MultiAttach => {
                let attached = self.attachments().into_iter().map(|a| a.spec.node_name.as_str());
                let held = self.holders().into_iter().filter_map(|p| p.spec.node_name.as_deref());
                attached.chain(held).filter(|n| self.is_dead(n)).map(ResourceRef::node).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Volumes of a pod that come from claims: name in the pod, claim, PersistentVolume.
fn volumes<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<(&'a str, &'a str, Option<&'a PersistentVolume>)> {
    let claims = snap.persistent_volume_claims.items().unwrap_or_default();
    let volume_of = |claim: &str| {
        let found =
            claims.iter().find(|c| c.metadata.namespace == pod.metadata.namespace && c.metadata.name == claim)?;
        snap.persistent_volumes.named(found.spec.volume_name.as_deref()?).ok().flatten()
    };
    let of_claims =
        pod.spec.volumes.iter().filter_map(|v| Some((v.name.as_str(), v.persistent_volume_claim.as_ref()?)));
    of_claims.map(|(name, claim)| (name, claim.claim_name.as_str(), volume_of(&claim.claim_name))).collect()
}

fn quoted(message: &str, name: &str) -> bool {
    message.contains(&format!("volume \"{name}\""))
}

/// `unmounted volumes=[storage config]` names the volume.
fn unmounted(message: &str, name: &str) -> bool {
    let list = message.split_once("unmounted volumes=[").and_then(|(_, rest)| rest.split_once(']'));
    list.is_some_and(|(names, _)| names.split_whitespace().any(|n| n == name))
}

/// The reason of the event is part of what it says.
fn attach_word(event: &Event) -> &'static str {
    if event.reason == "FailedAttachVolume" { "AttachVolume" } else { "" }
}

/// What mount says, or the first line, cut to what a sentence holds.
fn said(message: &str) -> String {
    let output = message.lines().find_map(|l| l.trim().strip_prefix("Output: mount: "));
    // `mount: <target>: <reason>`
    let reason = output.and_then(|o| o.split_once(": ")).map(|(_, reason)| reason.trim());
    let line = message.lines().next().unwrap_or_default();
    match reason.filter(|r| !r.is_empty()) {
        Some(reason) => format!("mount says: {}", shorten(reason, 250)),
        None => shorten(line, 300),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_says_why() {
        let text = "MountVolume.MountDevice failed for volume \"pvc-1\" : rpc error: code = Internal desc = mount failed: exit status 32\nMounting command: mount\nOutput: mount: /var/lib/kubelet/x/globalmount: wrong fs type, bad option, bad superblock on /dev/nvme1n1\n";
        assert_eq!(said(text), "mount says: wrong fs type, bad option, bad superblock on /dev/nvme1n1");
        assert_eq!(said("Multi-Attach error"), "Multi-Attach error");
    }

    #[test]
    fn the_volume_is_named_in_a_list() {
        assert!(
            unmounted("unmounted volumes=[data config], unattached", "data")
                && !unmounted("unmounted volumes=[config]", "data")
        );
    }
}
