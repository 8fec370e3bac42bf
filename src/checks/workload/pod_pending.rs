//! A pod of the stack finds no node.

use std::collections::BTreeMap;

use super::capacity::{amount, largest_free, largest_node, requests};
use super::target::{Settable, is_settable, owner_target};
use super::unschedulable::{Reason, main_reason};
use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Container, PersistentVolumeClaim, Pod};
use crate::snapshot::{Platform, Snapshot, owner_of, parse_quantity};

/// Seconds for which a pod may be Pending: a node may just be starting.
const GRACE: i64 = 60;
/// Seconds for which events count.
const RECENT: i64 = 3600;

check! {
    /// See the check's page.
    PodPending {
        id: "pod-pending", suite: Workload, page: "workload/pod_pending.md", severity: Error,
        title: "a pod of the stack finds no node",
        requires: [Pods],
        uses: [PersistentVolumeClaims, Nodes, Events, NodeRequests, Workloads],
    }
}

impl Check for PodPending {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, Reason), Vec<(&Pod, String)>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| concerns(snap, p)) {
            let Some(message) = unscheduled(snap, pod) else { continue };
            let reason = reason(snap, pod, &message);
            groups.entry((snap.owner_ref(pod), reason)).or_default().push((pod, message));
        }
        let findings = groups.into_iter().map(|((owner, reason), pods)| finding(snap, owner, reason, &pods));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// Pods of the stack, and the storage, DNS and network pods of kube-system; those of other namespaces are their owners'
/// concern.
fn concerns(snap: &Snapshot, pod: &Pod) -> bool {
    let meta = &pod.metadata;
    let system = meta.namespace == "kube-system"
        && ["ebs-csi-controller", "coredns", "aws-node"].iter().any(|p| meta.name.starts_with(p));
    (snap.scope.is_stack(&meta.namespace) || system)
        && pod.status.phase == "Pending"
        && pod.spec.node_name.is_none()
        && meta.deletion_timestamp.is_none()
        && snap.age_seconds(meta) >= GRACE
        && !waits_on_fargate(pod)
}

/// A DaemonSet's pod for a Fargate node: never scheduled, and never needed there.
fn waits_on_fargate(pod: &Pod) -> bool {
    if owner_of(&pod.metadata).is_none_or(|(kind, _)| kind != "DaemonSet") {
        return false;
    }
    let node_affinity = pod.spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = node_affinity.and_then(|n| n.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_some_and(|r| {
        let fields = r.node_selector_terms.iter().flat_map(|t| t.match_fields.iter().flatten());
        fields.flat_map(|f| f.values.iter().flatten()).any(|v| v.starts_with("fargate-"))
    })
}

/// What the scheduler says: the condition is current, the event a fallback.
fn unscheduled(snap: &Snapshot, pod: &Pod) -> Option<String> {
    let condition = pod.condition("PodScheduled").filter(|c| c.status == "False");
    // A scheduling gate is set on purpose.
    if condition.is_some_and(|c| c.reason.as_deref() == Some("SchedulingGated")) {
        return None;
    }
    if let Some(message) = condition.and_then(|c| c.message.clone()).filter(|m| !m.is_empty()) {
        return Some(message);
    }
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let said = events.into_iter().find(|e| e.reason == "FailedScheduling").map(|e| e.message.clone());
    said.or_else(|| condition.map(|c| c.reason.clone().unwrap_or_default()))
}

/// The scheduler's reason; a claim that is not bound counts even where the message is gone.
fn reason(snap: &Snapshot, pod: &Pod, message: &str) -> Reason {
    match main_reason(message) {
        Reason::Other if !unbound(snap, pod).is_empty() => Reason::Volume,
        reason => reason,
    }
}

/// The pod's claims that are not bound.
fn unbound<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a PersistentVolumeClaim> {
    let claims = snap.persistent_volume_claims.items().unwrap_or_default().iter();
    claims
        .filter(|c| c.metadata.namespace == pod.metadata.namespace && c.status.phase != "Bound")
        .filter(|c| pod.claims().any(|name| name == c.metadata.name))
        .collect()
}

fn finding(snap: &Snapshot, owner: ResourceRef, reason: Reason, pods: &[(&Pod, String)]) -> Finding {
    let (pod, message) = &pods[0];
    let namespace = &pod.metadata.namespace;
    let refs: Vec<ResourceRef> =
        pods.iter().map(|(p, _)| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)).collect();
    let who = match pods {
        [(one, _)] => format!("pod {}/{} finds no node", namespace, one.metadata.name),
        many => format!("{} pods of {owner} find no node", many.len()),
    };
    let claims: Vec<&PersistentVolumeClaim> = pods.iter().flat_map(|(p, _)| unbound(snap, p)).collect();
    let missing = missing_claim(message);
    let room = Room::of(snap, pod, message);
    let variant = if missing.is_some() { "claim-missing" } else { reason.variant() };
    let why = explain(reason, message, &claims, &room);
    let condition = Evidence::new(
        format!("Pod {namespace}/{}, condition PodScheduled", pod.metadata.name),
        message.clone(),
        "kubectl describe pod -n {{ namespace }} {{ pod }}",
    );
    let mut finding = Finding::new(PodPending::META.id, Severity::Error, refs[0].clone(), format!("{who}: {why}"))
        .key(format!("{} {variant}", owner.key()))
        .fix(variant)
        .param("namespace", namespace)
        .param("pod", &pod.metadata.name)
        .param(
            "pods",
            refs.iter()
                .map(ResourceRef::name)
                .filter_map(|n| n.rsplit('/').next().map(str::to_owned))
                .collect::<Vec<_>>(),
        )
        .param("claims", claims.iter().map(|c| c.metadata.name.clone()).collect::<Vec<_>>())
        .param("has_claims", !claims.is_empty())
        .param("claim", missing.clone().unwrap_or_else(|| "<claim>".into()))
        .param("owner", owner_target(&owner))
        .param("settable", is_settable(snap, &owner) == Settable::Yes)
        .param("operator", is_settable(snap, &owner) == Settable::ByOperator)
        .param("container", largest_container(pod))
        .param("on_eks", snap.platform == Platform::Eks)
        .param("room", room.text())
        .evidence(condition.with("namespace", namespace).with("pod", &pod.metadata.name));
    for resource in &refs {
        finding = finding.breaks(resource.clone()).also(resource.clone());
    }
    finding = finding.breaks(owner);
    if reason == Reason::Volume {
        for claim in &claims {
            finding = finding.depends_on(ResourceRef::pvc(&claim.metadata.namespace, &claim.metadata.name));
        }
    }
    if let (Reason::Resources, Some(evidence)) = (reason, room.evidence()) {
        finding = finding.evidence(evidence);
    }
    finding
}

/// The container that asks for most memory.
fn largest_container(pod: &Pod) -> String {
    let asked = |c: &Container| c.resources.requests.get("memory").and_then(|q| parse_quantity(q)).unwrap_or(0.0);
    let largest = pod.spec.containers.iter().max_by(|a, b| asked(a).total_cmp(&asked(b)));
    largest.map_or_else(|| "<container>".to_owned(), |c| c.name.clone())
}

/// The claim that the scheduler says does not exist.
fn missing_claim(message: &str) -> Option<String> {
    let rest = message.split_once("persistentvolumeclaim \"")?.1;
    let (name, after) = rest.split_once('"')?;
    after.trim_start().starts_with("not found").then(|| name.to_owned())
}

fn explain(reason: Reason, message: &str, claims: &[&PersistentVolumeClaim], room: &Room) -> String {
    match reason {
        Reason::Volume => match (missing_claim(message), claims) {
            (Some(name), _) => format!("its PersistentVolumeClaim {name} does not exist"),
            (None, [one]) => format!("its PersistentVolumeClaim {} is not bound", one.metadata.name),
            (None, []) => "its volumes are not bound".into(),
            (None, many) => format!("{} of its PersistentVolumeClaims are not bound", many.len()),
        },
        Reason::Resources => match room.text() {
            text if text.is_empty() => "no node has enough resources left".into(),
            text => format!("no node has room: {text}"),
        },
        Reason::VolumeZone => "its volume lies in a zone where no node takes it".into(),
        Reason::TooManyPods => "the nodes hold as many pods as they may".into(),
        Reason::Taint => "it does not tolerate the nodes' taints".into(),
        Reason::Selector => "its node selector or node affinity matches no node".into(),
        Reason::PodAffinity => "its pod affinity or topology spread cannot be met".into(),
        Reason::Ports => "its host port is taken on every node".into(),
        Reason::VolumeLimit => "the nodes can attach no more EBS volumes".into(),
        Reason::NoNodes => "the cluster has no node".into(),
        Reason::Other => message.lines().next().unwrap_or_default().chars().take(200).collect(),
    }
}

/// What the pod asks for against what the nodes have.
struct Room {
    lines: Vec<String>,
}

impl Room {
    fn of(snap: &Snapshot, pod: &Pod, message: &str) -> Self {
        let mut lines = Vec::new();
        for resource in ["cpu", "memory"].into_iter().filter(|r| message.contains(&format!("Insufficient {r}"))) {
            let asked = amount(resource, requests(pod, resource));
            let line = match (largest_free(snap, pod, resource), largest_node(snap, pod, resource)) {
                // A node that seems to have room is kept from the pod by something else.
                (Some((_, free)), _) if free >= requests(pod, resource) => format!("it requests {asked} {resource}"),
                (Some((node, free)), _) => {
                    format!(
                        "it requests {asked} {resource}, and the node with most left ({node}) has {}",
                        amount(resource, free)
                    )
                }
                (None, Some((node, all))) => {
                    format!(
                        "it requests {asked} {resource}; the largest node ({node}) has {} in all",
                        amount(resource, all)
                    )
                }
                (None, None) => format!("it requests {asked} {resource}"),
            };
            lines.push(line);
        }
        Self { lines }
    }

    fn text(&self) -> String {
        self.lines.join("; ")
    }

    fn evidence(&self) -> Option<Evidence> {
        (!self.lines.is_empty()).then(|| {
            Evidence::new("requests against allocatable of the nodes", self.lines.join("\n"), "kubectl describe nodes")
        })
    }
}
