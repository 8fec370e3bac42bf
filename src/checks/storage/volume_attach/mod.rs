//! A pod has a node, but its volume does not come up there.

mod fault;
mod fix;

use std::collections::BTreeMap;

use fault::{BucketFault, Fault};
use fix::{Ebs, Fix, Held, NoInstance, Way};

use crate::checks::support::pipeline::plural;
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::csi_node;
use crate::domain::aws::ebs;
use crate::domain::aws::efs;
use crate::domain::aws::xfs::{self, Newer};
use crate::domain::kubernetes::owner::workload;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, PersistentVolume, Pod, VolumeAttachment, Workload};

/// Reason of the kubelet's events while it gives the files of a volume to the pod's group.
const OWNERSHIP: &str = "VolumePermissionChangeInProgress";
/// Seconds for which a volume may take to come up.
const GRACE: i64 = 120;
/// Seconds that the end of a pod and the detaching of its volume may take after its grace period.
const DETACHING: i64 = 60;

check! {
    /// See the check's page.
    VolumeAttach {
        id: "volume-attach", suite: Storage, severity: Error,
        title: "a volume cannot be attached or mounted",
        requires: [Pods, Events],
        uses: [PersistentVolumeClaims, PersistentVolumes, VolumeAttachments, CsiNodes, Nodes, Workloads, EksCluster, EksAddons, Instances],
        fix: Fix,
    }
}

impl Check for VolumeAttach {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.events()?;
        let mut groups: BTreeMap<(ResourceRef, Fault), Vec<Case<'_>>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| waits(snap, p)) {
            if let Some(case) = Case::of(snap, pod) {
                groups.entry((snap.owner_ref(pod), case.fault)).or_default().push(case);
            }
        }
        let findings = groups.into_iter().map(|((owner, fault), cases)| finding(owner, fault, &cases));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// A pod of the stack that has a node, mounts a claim, and of which no container has started.
fn waits(snap: &Snapshot, pod: &Pod) -> bool {
    let since = pod.condition("PodScheduled").filter(|c| c.status == "True").and_then(|c| c.last_transition_time);
    let age = since.map_or_else(|| snap.age_seconds(&pod.metadata), |t| snap.seconds_since(t));
    let statuses = || pod.status.container_statuses.iter().chain(&pod.status.init_container_statuses);
    let started = statuses().any(|s| {
        s.state.running.is_some()
            || s.state.terminated.is_some()
            || s.last_state.terminated.is_some()
            || s.state
                .waiting
                .as_ref()
                .is_some_and(|w| !matches!(w.reason.as_str(), "ContainerCreating" | "PodInitializing"))
    });
    snap.scope.is_judged(&pod.metadata.namespace)
        && pod.status.phase == "Pending"
        && pod.spec.node_name.is_some()
        && pod.metadata.deletion_timestamp.is_none()
        && pod.claims().next().is_some()
        && age >= GRACE
        && !started
}

/// One pod with the volume that it waits for.
struct Case<'a> {
    snap: &'a Snapshot,
    pod: &'a Pod,
    node: &'a str,
    fault: Fault,
    claim: String,
    volume: Option<&'a PersistentVolume>,
    event: Option<&'a Event>,
    attachment: Option<&'a VolumeAttachment>,
    message: String,
}

impl<'a> Case<'a> {
    fn of(snap: &'a Snapshot, pod: &'a Pod) -> Option<Self> {
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
        let told = telling.map(|(e, v)| (Fault::classify(&format!("{} {}", attach_word(e), e.message)), e, v));
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
                let fault = Fault::classify(&format!("AttachVolume {message}"));
                Some(case(fault, claim, *volume, None, Some(attachment), message))
            }
            (Some((fault, event, (_, claim, volume))), None) => {
                Some(case(fault, claim, *volume, Some(event), None, &event.message))
            }
            (None, None) => None,
        }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.pod.metadata.namespace, self.pod.metadata.name)
    }

    /// Other pods that hold the claim.
    fn holders(&self) -> Vec<&'a Pod> {
        let namespace = &self.pod.metadata.namespace;
        let pods = self.snap.pods.items().unwrap_or_default().iter();
        let others = pods.filter(|p| p.metadata.namespace == *namespace && p.metadata.name != self.pod.metadata.name);
        let elsewhere = |p: &&Pod| p.spec.node_name.as_deref().is_some_and(|n| n != self.node);
        others.filter(elsewhere).filter(|p| !p.is_finished() && p.claims().any(|c| c == self.claim)).collect()
    }

    /// Nodes other than the pod's to which the volume is attached.
    fn attachments(&self) -> Vec<&'a VolumeAttachment> {
        let Some(volume) = self.volume else { return Vec::new() };
        let all = self.snap.volume_attachments.items().unwrap_or_default().iter();
        let of_it =
            all.filter(|a| a.spec.source.persistent_volume_name.as_deref() == Some(volume.metadata.name.as_str()));
        of_it.filter(|a| a.spec.node_name != self.node).collect()
    }

    /// The holder whose end the pod only has to wait for: it is being deleted, on a node that lives, and no other holds on.
    fn ending(&self) -> Option<&'a Pod> {
        let holders = self.holders();
        let ends = |p: &&Pod| {
            p.metadata.deletion_timestamp.is_some() && !p.spec.node_name.as_deref().is_some_and(|n| self.is_dead(n))
        };
        (self.fault == Fault::MultiAttach && holders.iter().all(ends)).then(|| holders.first().copied()).flatten()
    }

    /// Its grace period runs: the API server sets the time at which it is to be over.
    fn is_in_grace(&self, pod: &Pod) -> bool {
        pod.metadata.deletion_timestamp.is_some_and(|t| self.snap.seconds_since(t) <= DETACHING)
    }

    fn is_dead(&self, node: &str) -> bool {
        let nodes = self.snap.nodes.items().unwrap_or_default();
        let found = nodes.iter().find(|n| n.metadata.name == node);
        !nodes.is_empty() && found.is_none_or(|n| !n.is_ready())
    }

    /// The workload that owns the pod.
    fn workload(&self) -> Option<&'a Workload> {
        workload(self.snap, &self.snap.owner_ref(self.pod))
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
                    (Way::Replicas(fix::Workload::of(self)), text)
                }
                Some(w) if w.kind == "Deployment" && w.spec.strategy.kind.as_deref() != Some("Recreate") => (
                    Way::RollingUpdate {
                        node: self.node.to_owned(),
                        holder: holder.metadata.name.clone(),
                        workload: fix::Workload::of(self),
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

    fn explain(&self) -> (Way, String) {
        let (node, pod) = (self.node.to_owned(), self.pod.metadata.name.clone());
        match self.fault {
            Fault::MultiAttach => self.multi_attach(),
            Fault::Limit => (Way::limit(self), format!("the node takes no more volumes ({})", self.counts())),
            Fault::Stuck => (Way::limit(self), format!("it stays in attaching; {}: {}", self.counts(), self.message)),
            Fault::Gone => (Way::gone(self), format!("EC2 does not know it any more: {}", self.message)),
            Fault::NodePlugin => {
                (Way::NodePlugin { node }, format!("the CSI driver does not run on the node: {}", self.message))
            }
            Fault::Iam => (Way::Iam { pod }, format!("AWS refuses it: {}", self.message)),
            Fault::Kms => {
                (Way::Kms(Ebs::of(self)), format!("the key that encrypts it cannot be used: {}", self.message))
            }
            Fault::Timeout => (Way::Timeout(Ebs::of(self)), format!("nobody answers: {}", self.message)),
            Fault::FileSystem => match self.newer_file_system() {
                Some(newer) => (Way::newer(self, &newer), newer_text(&newer, self.message.as_str())),
                None => (Way::file_system(self), format!("its file system cannot be mounted: {}", self.message)),
            },
            Fault::Helper => (
                Way::Helper { pod },
                format!("the node has no program that mounts such a file system: {}", self.message),
            ),
            Fault::Throttled => (
                Way::Throttled { pod, region: Place::of(self.snap).region },
                format!("EC2 takes no more calls of this account for the moment: {}", self.message),
            ),
            Fault::Bucket(BucketFault::NoPod) => (
                Way::mountpoint(self),
                format!("the pod of Mountpoint that mounts its bucket does not run on the node: {}", self.message),
            ),
            Fault::Bucket(fault) => {
                let way = Way::bucket(self);
                let words = match fault {
                    BucketFault::Credentials => "nobody gives the driver credentials for its bucket",
                    BucketFault::Denied => "the driver may not use its bucket",
                    BucketFault::Missing => "its bucket does not exist in this region",
                    BucketFault::NoPod | BucketFault::Other => "its bucket cannot be mounted",
                };
                (way, format!("{words}: {}", self.message))
            }
            Fault::NoInstance => no_instance(self),
            Fault::OtherZone => {
                let unsaid = if self.names_zone() { "" } else { ", and its PersistentVolume does not say in which" };
                (Way::other_zone(self), format!("it lies in another zone than the node{unsaid}: {}", self.message))
            }
            Fault::NoDevice => (
                Way::no_device(self),
                format!("Kubernetes takes it for attached, and the node has no device of it: {}", self.message),
            ),
            Fault::Ownership => (
                Way::ownership(self),
                "the kubelet still gives each of its files to the pod's fsGroup, and tells that this takes long; the pod starts when it is done".to_owned(),
            ),
            Fault::Mount => (Way::mount(self), self.message.clone()),
        }
    }

    /// Its PersistentVolume tells the scheduler where it lies.
    fn names_zone(&self) -> bool {
        self.volume.is_some_and(|v| v.spec.node_affinity.is_some())
    }

    /// Its file system is newer than the node's kernel.
    fn newer_file_system(&self) -> Option<Newer> {
        let node = self.snap.nodes.named(self.node).ok().flatten()?;
        xfs::newer(self.snap, node, self.volume?)
    }

    /// Volumes on the node against what its driver says it takes.
    fn counts(&self) -> String {
        let all = self.snap.volume_attachments.items().unwrap_or_default().iter();
        let on_node = all.filter(|a| a.spec.node_name == self.node && a.spec.attacher == ebs::DRIVER).count();
        let node = self.snap.csi_nodes.named(self.node).ok().flatten();
        let driver = node.and_then(|n| n.spec.drivers.iter().find(|d| d.name == ebs::DRIVER));
        let limit = driver.and_then(|d| d.allocatable.as_ref()).and_then(|a| a.count);
        match (on_node, limit) {
            (0, None) => format!("node {}", self.node),
            (n, Some(limit)) => format!("node {} has {n} volumes, its driver says that it takes {limit}", self.node),
            (n, None) => format!("node {} has {n} volumes", self.node),
        }
    }

    fn depends_on(&self) -> Vec<ResourceRef> {
        let snap = self.snap;
        let driver = self.volume.and_then(|v| v.spec.csi.as_ref()).map_or(ebs::DRIVER, |c| c.driver.as_str());
        let is_ebs = driver == ebs::DRIVER;
        let driver = ResourceRef::csi_driver(driver);
        match self.fault {
            Fault::Iam | Fault::Kms if is_ebs => {
                let mut all = vec![ebs::credentials_ref(snap)];
                if let Ok(cluster) = snap.eks_cluster() {
                    all.push(ResourceRef::aws("iam", "oidc-provider", cluster.issuer_host_path()));
                }
                all
            }
            Fault::NodePlugin => vec![driver, csi_node::reference(self.node)],
            Fault::Timeout | Fault::Stuck => vec![driver],
            Fault::NoInstance => vec![ResourceRef::node(self.node)],
            Fault::MultiAttach => {
                let attached = self.attachments().into_iter().map(|a| a.spec.node_name.as_str());
                let held = self.holders().into_iter().filter_map(|p| p.spec.node_name.as_deref());
                attached.chain(held).filter(|n| self.is_dead(n)).map(ResourceRef::node).collect()
            }
            _ => Vec::new(),
        }
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

fn finding(owner: ResourceRef, fault: Fault, cases: &[Case<'_>]) -> Finding {
    let case = &cases[0];
    let (way, why) = case.explain();
    let namespace = &case.pod.metadata.namespace;
    let volume = case.volume.map_or_else(
        || format!("the volume of claim {}", case.claim),
        |v| format!("volume {} (claim {})", v.metadata.name, case.claim),
    );
    let attaches = case.event.is_none_or(|e| e.reason == "FailedAttachVolume");
    let verb = match fault {
        Fault::NoDevice => "mounted",
        Fault::FileSystem | Fault::Helper | Fault::NodePlugin | Fault::Bucket(_) => "mounted",
        Fault::Mount if !attaches => "mounted",
        _ => "attached",
    };
    let message = match fault {
        Fault::Ownership => format!("{volume} of pod {} is not ready on node {}: {why}", case.name(), case.node),
        _ => format!("{volume} of pod {} cannot be {verb} on node {}: {why}", case.name(), case.node),
    };
    // Handing a volume over takes as long as the old pod takes to end.
    let severity = match case.ending() {
        Some(holder) if case.is_in_grace(holder) => Severity::Info,
        // It comes to its end by itself.
        _ if fault == Fault::Ownership => Severity::Warning,
        _ => Severity::Error,
    };
    let mut finding = Finding::new(VolumeAttach::META.id, severity, owner.clone(), message)
        .breaks(owner.clone())
        .fix(Fix::of(case, &owner, way));
    finding.key = format!("{} {}", owner.key(), finding.variant);
    for case in cases {
        let pod = ResourceRef::pod(namespace, &case.pod.metadata.name);
        finding = finding.breaks(pod.clone()).also(pod);
        if let Some(volume) = case.volume {
            finding = finding.breaks(ResourceRef::persistent_volume(&volume.metadata.name));
            // The driver's log names it by its own id.
            if let Some(id) = volume.ebs_id() {
                finding = finding.breaks(ResourceRef::aws("ec2", "volume", id));
            }
        }
        if let Some(id) = fault::instance(&case.message).filter(|_| fault == Fault::NoInstance) {
            finding = finding.breaks(ResourceRef::aws("ec2", "instance", id));
        }
        for resource in case.depends_on() {
            finding = finding.depends_on(resource);
        }
    }
    for evidence in evidence(case) {
        finding = finding.evidence(evidence);
    }
    finding
}

fn evidence(case: &Case<'_>) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = case.event.map(event_evidence).into_iter().collect();
    if let Some(attachment) = case.attachment {
        all.push(
            Evidence::new(
                format!("VolumeAttachment {}, status.attachError", attachment.metadata.name),
                case.message.clone(),
                "kubectl get volumeattachment {{ name }} -o yaml",
            )
            .with("name", &attachment.metadata.name),
        );
    }
    if case.fault == Fault::MultiAttach {
        for holder in case.holders() {
            all.push(
                Evidence::new(
                    format!(
                        "Pod {}/{} mounts claim {} too",
                        holder.metadata.namespace, holder.metadata.name, case.claim
                    ),
                    format!("{} on node {}", holder.status.phase, holder.spec.node_name.as_deref().unwrap_or_default()),
                    "kubectl get pod {{ pod }} -n {{ namespace }} -o wide",
                )
                .with("namespace", &holder.metadata.namespace)
                .with("pod", &holder.metadata.name),
            );
        }
        for attachment in case.attachments() {
            let state = if attachment.status.attached { "attached" } else { "not attached yet" };
            all.push(Evidence::new(
                format!("VolumeAttachment {}", attachment.metadata.name),
                format!("{state} to node {}", attachment.spec.node_name),
                "kubectl get volumeattachments",
            ));
        }
        if let Some(workload) = case.workload().filter(|w| w.kind == "Deployment") {
            let strategy = workload.spec.strategy.kind.as_deref().unwrap_or("RollingUpdate");
            all.push(
                Evidence::new(
                    format!("Deployment {}/{}", workload.metadata.namespace, workload.metadata.name),
                    format!("strategy {strategy}, {}", plural(workload.desired() as usize, "replica")),
                    "kubectl get deployment {{ name }} -n {{ namespace }} -o jsonpath='{.spec.strategy}'",
                )
                .with("namespace", &workload.metadata.namespace)
                .with("name", &workload.metadata.name),
            );
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    /// Two pods of a Deployment on two nodes that share a claim; the old one is deleted so that it ends at `ends`.
    fn handover(ends: Option<&str>, old_node_ready: &str) -> Vec<Finding> {
        let mut snap = Snapshot::empty("2026-11-21T12:00:00Z".parse().expect("a time"));
        snap.scope.stack = vec!["monitoring".into()];
        let pod = |name: &str, node: &str, phase: &str| {
            json!({"metadata": {"namespace": "monitoring", "name": name, "uid": name, "creationTimestamp": "2026-11-21T11:50:00Z"},
                "spec": {"nodeName": node, "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
                "status": {"phase": phase}})
        };
        let mut old = pod("old", "node-a", "Running");
        old["metadata"]["deletionTimestamp"] = json!(ends);
        let node = |name: &str, ready: &str| {
            json!({"metadata": {"name": name}, "spec": {"providerID": format!("aws:///eu-west-1a/i-{name}")},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}})
        };
        let event = json!({"metadata": {"namespace": "monitoring", "name": "e"}, "reason": "FailedAttachVolume", "type": "Warning",
            "message": "Multi-Attach error for volume \"data\" Volume is already used by pod(s) old",
            "lastTimestamp": "2026-11-21T11:55:00Z",
            "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "new", "uid": "new"}});
        let pods = json!([old, pod("new", "node-b", "Pending")]);
        snap.pods = Listing::cluster(serde_json::from_value(pods).expect("pods"));
        snap.nodes = Listing::cluster(
            serde_json::from_value(json!([node("node-a", old_node_ready), node("node-b", "True")])).expect("nodes"),
        );
        snap.events = Listing::cluster(serde_json::from_value(json!([event])).expect("events"));
        snap.persistent_volume_claims = Listing::cluster(Vec::new());
        snap.persistent_volumes = Listing::cluster(Vec::new());
        snap.volume_attachments = Listing::cluster(Vec::new());
        match VolumeAttach.diagnose(&snap).expect("can be told") {
            Diagnosis::Findings(found) => found,
            Diagnosis::NotApplicable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_volume_that_is_being_handed_over_is_no_fault() {
        let of = |ends, ready| {
            let found = handover(ends, ready);
            assert_eq!(found.len(), 1, "{found:?}");
            (found[0].severity, found[0].variant)
        };
        assert_eq!(of(Some("2026-11-21T12:03:00Z"), "True"), (Severity::Info, "ending"));
        assert_eq!(of(Some("2026-11-21T11:50:00Z"), "True"), (Severity::Error, "ending"));
        assert_eq!(of(Some("2026-11-21T12:03:00Z"), "Unknown"), (Severity::Error, "dead-node"));
        assert_eq!(of(None, "True"), (Severity::Error, "shared"));
        let dead = handover(Some("2026-11-21T11:50:00Z"), "Unknown");
        assert!(dead[0].depends_on.contains(&ResourceRef::node("node-a")), "{:?}", dead[0].depends_on);
    }

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
