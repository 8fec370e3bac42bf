//! A pod of the stack finds no node.

mod cache;
mod detail;
mod fargate;
mod fix;
mod gated;
mod not_created;
mod preemption;
mod quota;
mod range;
mod refusal;
mod way;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::{Check, check};
use crate::domain::aws::{ebs, node_group, node_pool, scale_up};
use crate::domain::kubernetes::capacity::any_has_room;
use crate::domain::kubernetes::nodes::{could_take, nominated};
use crate::domain::kubernetes::owner::{Settable, is_settable};
use crate::domain::kubernetes::scheduling::{self, Signal};
use crate::domain::kubernetes::unschedulable::{
    self, concerns, is_claim_in_use, is_of_fargate, main_reason, main_reason_but, scarce, unscheduled, waits,
};
use crate::domain::kubernetes::volumes::{bound_volumes, reaches};
use crate::domain::prometheus::unanswered;
use crate::domain::text::shorten::shorten;
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Node, PersistentVolumeClaim, Pod};
use crate::snapshot::{Snapshot, journal};
use detail::Detail;
use fix::{Asked, Fix};

check! {
    /// See the check's page.
    PodPending {
        id: "pod-pending", suite: Workload, severity: Error,
        title: "a pod of the stack finds no node",
        requires: [Pods],
        uses: [PersistentVolumeClaims, PersistentVolumes, Nodes, Events, NodeRequests, Workloads, Jobs, ResourceQuotas, LimitRanges, EksCluster, AccessEntries, EksNodegroups, FargateProfiles, CsiNodes, Webhooks, Subnets, NodeMakers, PartLogs, KubernetesVersion, Services, EndpointSlices, PrometheusTargets, PrometheusConfig, ConfigMaps, MonitoringResources, OtherServers],
        fix: Fix,
    }
}

/// Seconds within which the drivers and agents of a new node come up.
const SETTING_UP: i64 = 600;

impl Check for PodPending {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut groups: BTreeMap<(ResourceRef, unschedulable::Cause), Vec<(&Pod, String)>> = BTreeMap::new();
        let own = snap.pods()?.iter().filter(|p| concerns(snap, p));
        // What is scraped elsewhere waits for the same nodes. It only adds to the stack's own.
        let scraped =
            journal::aside(|| unanswered::pods(snap)).into_iter().filter(|p| waits(snap, p) && !concerns(snap, p));
        let scraped: BTreeMap<(&str, &str), &Pod> =
            scraped.map(|p| ((p.metadata.namespace.as_str(), p.metadata.name.as_str()), p)).collect();
        for pod in own.chain(scraped.into_values()) {
            // What Fargate cannot run is told of its profile, and who holds a claim of that claim.
            let told = |m: &String| is_of_fargate(m) || is_claim_in_use(m);
            let Some(message) = unscheduled(snap, pod).filter(|m| !told(m)) else { continue };
            let reason = reason(snap, pod, &message);
            groups.entry((snap.owner_ref(pod), reason)).or_default().push((pod, message));
        }
        // What would add a node has to run for that. All pods are gone through once, and not for each that waits.
        let mut makers: BTreeSet<ResourceRef> = scale_up::makers_down(snap).iter().map(|p| snap.owner_ref(p)).collect();
        // One that AWS refuses runs, and adds nothing.
        let account = |p: &Pod| ResourceRef::service_account(&p.metadata.namespace, p.spec.account());
        makers.extend(scale_up::makers(snap).map(account));
        let findings = groups.into_iter().map(|((owner, reason), pods)| {
            let found = finding(snap, owner, reason, &pods);
            let wants = matches!(
                reason,
                unschedulable::Cause::Resources
                    | unschedulable::Cause::TooManyPods
                    | unschedulable::Cause::Selector
                    | unschedulable::Cause::NoNodes
            );
            if wants { found.depends_on_all(makers.iter().cloned()) } else { found }
        });
        let findings = findings.chain(not_created::findings(snap, Self::META.id));
        Ok(Diagnosis::Findings(findings.chain(gated::findings(snap, Self::META.id)).collect()))
    }
}

/// The scheduler's reason; a claim that is not bound counts even where the message is gone.
fn reason(snap: &Snapshot, pod: &Pod, message: &str) -> unschedulable::Cause {
    let told = match main_reason(message) {
        // A node is there; what keeps the pod from it is the fault.
        unschedulable::Cause::VolumeZone if zone_has_nodes(snap, pod) => {
            match main_reason_but(message, Some(unschedulable::Cause::VolumeZone)) {
                unschedulable::Cause::Other => unschedulable::Cause::VolumeZone,
                reason => reason,
            }
        }
        unschedulable::Cause::Other if !unbound(snap, pod).is_empty() => unschedulable::Cause::Volume,
        reason => reason,
    };
    match told {
        unschedulable::Cause::Taint | unschedulable::Cause::NoNodes if fargate::is_only_kind(snap) => {
            unschedulable::Cause::Fargate
        }
        unschedulable::Cause::Taint => {
            signal_of(snap, pod).map_or(unschedulable::Cause::Taint, unschedulable::Cause::from)
        }
        unschedulable::Cause::Resources if room_on_unset(snap, pod) => unschedulable::Cause::Starting,
        reason => reason,
    }
}

/// A node has room, and has not been set up long after it came: it lacks no node, it lacks that one.
fn room_on_unset(snap: &Snapshot, pod: &Pod) -> bool {
    let late = |n: &&Node| snap.age_seconds(&n.metadata) >= SETTING_UP;
    let unset = |n: &&Node| scheduling::kept_by(pod, n) == Some(Signal::Starting);
    any_has_room(snap, pod, could_take(snap, pod).into_iter().filter(late).filter(unset))
}

/// What keeps the pod from the nodes that are meant for it: taints that were set on purpose rule the others out.
fn signal_of(snap: &Snapshot, pod: &Pod) -> Option<Signal> {
    let meant = could_take(snap, pod).into_iter().filter_map(|n| scheduling::kept_by(pod, n));
    let mut counts: BTreeMap<Signal, usize> = BTreeMap::new();
    for signal in meant {
        *counts.entry(signal).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(signal, n)| (*n, std::cmp::Reverse(*signal))).map(|(signal, _)| signal)
}

/// Some node is where all volumes of the pod are.
fn zone_has_nodes(snap: &Snapshot, pod: &Pod) -> bool {
    let volumes = bound_volumes(snap, pod).unwrap_or_default();
    let all = snap.nodes.items().unwrap_or_default();
    !volumes.is_empty()
        && all.iter().any(|n| volumes.iter().all(|b| reaches(b.volume, n)) && scheduling::chosen_by(pod, n))
}

/// The pod's claims that are not bound.
fn unbound<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a PersistentVolumeClaim> {
    let claim = |name| snap.persistent_volume_claims.find(&pod.metadata.namespace, name).ok().flatten();
    pod.claims().filter_map(claim).filter(|c| c.status.phase != "Bound").collect()
}

/// The way where EKS Auto Mode is to make the nodes, and what it lacks.
const NO_POOLS: &str = "no-pools";
const LACKS_POOLS: &str = "EKS Auto Mode is on, and there is no NodePool by which it would make one";

fn finding(snap: &Snapshot, owner: ResourceRef, reason: unschedulable::Cause, pods: &[(&Pod, String)]) -> Finding {
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
    let detail = Detail::of(snap, pod, reason, message);
    let preempted = preemption::of(snap, pod, reason);
    let way = match (&missing, &preempted) {
        (Some(claim), _) => Asked { snap, owner: &owner, pod, detail: &detail, message }.without_claim(claim),
        (None, Some(preempted)) => preempted.way(is_settable(snap, &owner) == Settable::Yes),
        (None, None) => Asked { snap, owner: &owner, pod, detail: &detail, message }.way(reason, &claims),
    };
    let mut why = explain(reason, message, &claims, &detail);
    if reason == unschedulable::Cause::NoNodes && fix::lacks_pools(snap) {
        why = format!("{why}: {LACKS_POOLS}");
    }
    if let Some(preempted) = &preempted {
        why = format!("{}, and now {why}", preempted.words());
    }
    let condition = Evidence::new(
        format!("Pod {namespace}/{}, condition PodScheduled", pod.metadata.name),
        message.clone(),
        "kubectl describe pod {{ pod }} -n {{ namespace }}",
    );
    let mut finding = Finding::new(PodPending::META.id, Severity::Error, refs[0].clone(), format!("{who}: {why}"))
        .fix(Fix::of(snap, &owner, namespace, way))
        .evidence(condition.with("namespace", namespace).with("pod", &pod.metadata.name));
    finding.key = format!("{} {}", owner.key(), finding.variant);
    match (&preempted, shared_cause(reason, finding.variant, message, &detail)) {
        (Some(preempted), _) => finding = finding.evidence(preempted.evidence()),
        (None, Some(cause)) => finding = finding.cause(cause),
        (None, None) => {}
    }
    finding = refs.iter().cloned().fold(finding, Finding::breaks).also_all(refs.iter().cloned());
    finding = finding.breaks(owner);
    if reason == unschedulable::Cause::Volume {
        let claims = claims.iter().map(|c| ResourceRef::pvc(&c.metadata.namespace, &c.metadata.name));
        finding = finding.depends_on_all(claims);
    }
    let bound = pods.iter().flat_map(|(pod, _)| bound_volumes(snap, pod).unwrap_or_default());
    finding = finding.depends_on_all(bound.map(|bound| ResourceRef::persistent_volume(&bound.volume.metadata.name)));
    if matches!(reason, unschedulable::Cause::NotReady | unschedulable::Cause::Pressure) {
        for node in &detail.nodes {
            finding = finding.depends_on(ResourceRef::node(node));
        }
    }
    // The node that was made for it and never became Ready.
    if reason != unschedulable::Cause::Volume {
        let nodes: BTreeSet<&str> =
            pods.iter().filter_map(|(p, _)| nominated(snap, p)).map(|n| n.metadata.name.as_str()).collect();
        finding = finding.depends_on_all(nodes.into_iter().map(ResourceRef::node));
    }
    // A driver that is not well never takes its taint away.
    if detail.signals.iter().any(|key| key.starts_with(ebs::DRIVER)) {
        finding = finding.depends_on(ResourceRef::csi_driver(ebs::DRIVER));
    }
    if reason == unschedulable::Cause::NoNodes {
        for group in snap.eks_nodegroups.iter().flatten() {
            finding = finding.depends_on(ResourceRef::aws("eks", "nodegroup", &group.nodegroup_name));
        }
    }
    // A group that failed has the nodes that the pod was meant for.
    if reason != unschedulable::Cause::Volume {
        let groups: BTreeSet<ResourceRef> =
            pods.iter().flat_map(|(p, _)| node_group::missing_groups(snap, p)).collect();
        finding = groups.into_iter().fold(finding, Finding::depends_on);
    }
    // Who should add a node and does not is deeper than that there is none.
    if reason != unschedulable::Cause::Volume {
        let broken = node_pool::broken(snap);
        let awaited = |p: &Pod| node_pool::awaited_by(snap, &broken, p);
        let pools: BTreeSet<ResourceRef> = pods.iter().flat_map(|(p, _)| awaited(p)).collect();
        finding = pools.into_iter().fold(finding, Finding::depends_on);
    }
    if !matches!(reason, unschedulable::Cause::Volume | unschedulable::Cause::VolumeZone) {
        let told = pods.iter().filter_map(|(p, _)| Some((p, scale_up::refused(snap, p)?.1)));
        let culprits: BTreeSet<ResourceRef> = told.flat_map(|(p, why)| scale_up::culprits(snap, p, &why)).collect();
        finding = culprits.into_iter().fold(finding, Finding::depends_on);
    }
    let profiles = (reason == unschedulable::Cause::Fargate).then(|| fargate::evidence(snap));
    finding.evidence_all(detail.evidence()).evidence_all(profiles)
}

/// What pods of several owners are kept by alike: they are one finding about it. Claims and zones are each pod's own.
fn shared_cause(reason: unschedulable::Cause, name: &str, message: &str, detail: &Detail) -> Option<Cause> {
    let what = match reason {
        // Without the nodes only the scheduler names the taint, if it does.
        unschedulable::Cause::Taint => {
            detail.taint.as_ref().map_or_else(|| said_taint(message), scheduling::taint_text)
        }
        // One driver or agent does not come up, on however many nodes.
        unschedulable::Cause::Starting if !detail.signals.is_empty() => format!("taint {}", detail.signals.join(", ")),
        unschedulable::Cause::Cordoned
        | unschedulable::Cause::NotReady
        | unschedulable::Cause::Leaving
        | unschedulable::Cause::Starting
        | unschedulable::Cause::Pressure => detail.nodes.join(", "),
        unschedulable::Cause::Selector => detail.text(),
        unschedulable::Cause::Resources | unschedulable::Cause::Extended => {
            scarce(message).into_iter().collect::<Vec<_>>().join(", ")
        }
        unschedulable::Cause::Fargate => detail.text(),
        unschedulable::Cause::NoNodes if name == NO_POOLS => LACKS_POOLS.to_owned(),
        unschedulable::Cause::TooManyPods | unschedulable::Cause::NoNodes | unschedulable::Cause::VolumeLimit => {
            String::new()
        }
        unschedulable::Cause::Volume
        | unschedulable::Cause::VolumeZone
        | unschedulable::Cause::PodAffinity
        | unschedulable::Cause::Ports
        | unschedulable::Cause::Other => return None,
    };
    let general = general(reason).replacen("it does", "they do", 1).replacen("it could", "they could", 1);
    let general =
        general.replacen("its node selector or node affinity matches", "their node selector or affinity matches", 1);
    let colon = if what.is_empty() { "" } else { ": " };
    Some(Cause::keyed(format!("{name} {what}"), format!("several pods find no node: {general}{colon}{what}")))
}

/// The taint that the scheduler names; empty where it only counts.
fn said_taint(message: &str) -> String {
    let named = message.split_once("untolerated taint {").and_then(|(_, rest)| rest.split_once('}'));
    named.map_or_else(String::new, |(taint, _)| taint.trim().trim_end_matches(':').to_owned())
}

/// The claim that the scheduler says does not exist.
fn missing_claim(message: &str) -> Option<String> {
    let rest = message.split_once("persistentvolumeclaim \"")?.1;
    let (name, after) = rest.split_once('"')?;
    after.trim_start().starts_with("not found").then(|| name.to_owned())
}

fn explain(reason: unschedulable::Cause, message: &str, claims: &[&PersistentVolumeClaim], detail: &Detail) -> String {
    match reason {
        unschedulable::Cause::Volume => match (missing_claim(message), claims) {
            (Some(name), _) => format!("its PersistentVolumeClaim {name} does not exist"),
            (None, [one]) => format!("its PersistentVolumeClaim {} is not bound", one.metadata.name),
            (None, []) => "its volumes are not bound".into(),
            (None, many) => format!("{} of its PersistentVolumeClaims are not bound", many.len()),
        },
        unschedulable::Cause::Other => shorten(message.lines().next().unwrap_or_default(), 300),
        reason => {
            let general = match general(reason).strip_prefix("the nodes that it could go to ") {
                Some(are) if detail.only => format!("the only node that it could go to {}", singular(are)),
                _ => general(reason).to_owned(),
            };
            match detail.text() {
                text if text.is_empty() => general,
                text => format!("{general}: {text}"),
            }
        }
    }
}

/// Of one node what is said of several.
fn singular(are: &str) -> String {
    match are.strip_prefix("are ") {
        Some(rest) => format!("is {rest}"),
        None => are.replacen("run short", "runs short", 1),
    }
}

fn general(reason: unschedulable::Cause) -> &'static str {
    match reason {
        unschedulable::Cause::Resources => "no node has room",
        unschedulable::Cause::Extended => "the nodes do not offer enough of what it asks for",
        unschedulable::Cause::Fargate => {
            "the cluster has only Fargate nodes, each for the one pod that it was made for"
        }
        unschedulable::Cause::VolumeZone => "its volume lies in a zone where no node takes it",
        unschedulable::Cause::TooManyPods => "the nodes hold as many pods as they may",
        unschedulable::Cause::Cordoned => "the nodes that it could go to are cordoned",
        unschedulable::Cause::NotReady => "the nodes that it could go to are not Ready",
        unschedulable::Cause::Taint => "it does not tolerate the nodes' taints",
        unschedulable::Cause::Leaving => "the nodes that it could go to are being taken away",
        unschedulable::Cause::Starting => "the nodes that it could go to are not set up yet",
        unschedulable::Cause::Pressure => "the nodes that it could go to run short of memory, disk or process ids",
        unschedulable::Cause::Selector => "its node selector or node affinity matches no node",
        unschedulable::Cause::PodAffinity => "its pod affinity or topology spread cannot be met",
        unschedulable::Cause::Ports => "the host port is taken on every node",
        unschedulable::Cause::VolumeLimit => "the nodes can attach no more EBS volumes",
        unschedulable::Cause::NoNodes => "the cluster has no node",
        unschedulable::Cause::Volume | unschedulable::Cause::Other => "no node takes it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_is_told_as_one() {
        let of = |reason| singular(general(reason).strip_prefix("the nodes that it could go to ").expect("of nodes"));
        assert_eq!(of(unschedulable::Cause::Leaving), "is being taken away");
        assert_eq!(of(unschedulable::Cause::NotReady), "is not Ready");
        assert_eq!(of(unschedulable::Cause::Pressure), "runs short of memory, disk or process ids");
    }
}
