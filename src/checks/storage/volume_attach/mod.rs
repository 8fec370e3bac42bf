//! A pod has a node, but its volume does not come up there.

mod case;
mod fault;
mod fix;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use case::Case;
use fault::Cause;
use fix::Fix;

use crate::checks::support::pipeline::plural;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// Seconds for which a volume may take to come up.
const GRACE: i64 = 120;

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
        let mut groups: BTreeMap<(ResourceRef, Cause), Vec<Case<'_>>> = BTreeMap::new();
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

fn finding(owner: ResourceRef, fault: Cause, cases: &[Case<'_>]) -> Finding {
    let case = &cases[0];
    let (way, why) = case.explain();
    let namespace = &case.pod.metadata.namespace;
    let volume = case.volume.map_or_else(
        || format!("the volume of claim {}", case.claim),
        |v| format!("volume {} (claim {})", v.metadata.name, case.claim),
    );
    let attaches = case.event.is_none_or(|e| e.reason == "FailedAttachVolume");
    let verb = match fault {
        Cause::NoDevice => "mounted",
        Cause::FileSystem | Cause::Helper | Cause::NodePlugin | Cause::Bucket(_) => "mounted",
        Cause::Mount if !attaches => "mounted",
        _ => "attached",
    };
    let message = match fault {
        Cause::Ownership => format!("{volume} of pod {} is not ready on node {}: {why}", case.name(), case.node),
        _ => format!("{volume} of pod {} cannot be {verb} on node {}: {why}", case.name(), case.node),
    };
    // Handing a volume over takes as long as the old pod takes to end.
    let severity = match case.ending() {
        Some(holder) if case.is_in_grace(holder) => Severity::Info,
        // It comes to its end by itself.
        _ if fault == Cause::Ownership => Severity::Warning,
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
        if let Some(id) = fault::instance(&case.message).filter(|_| fault == Cause::NoInstance) {
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
    if case.fault == Cause::MultiAttach {
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
