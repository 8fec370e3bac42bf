//! Pods that the scheduler finds no node for, and why: its message, taken apart. Source: `FitError` of kube-scheduler.

use std::collections::BTreeSet;

use crate::domain::kubernetes::index::owner_of;
use crate::domain::text::windows::GRACE;
pub(crate) use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// Pods of kube-system that storage, DNS, the network, nodes, load balancers and the stack's metrics hang on, by the beginning
/// of their names.
const SYSTEM: &[&str] = &[
    "ebs-csi-",
    "efs-csi-",
    "coredns",
    "aws-node",
    "kube-proxy",
    "metrics-server",
    "eks-pod-identity-agent",
    "aws-load-balancer-controller",
    "karpenter",
    "cluster-autoscaler",
];
/// The same of what adds nodes, in a namespace of its own.
const ADDS: &[&str] = &["karpenter", "cluster-autoscaler"];

/// Pods of the stack, and the storage, DNS and network pods of kube-system; those of other namespaces are their owners'
/// concern.
pub(crate) fn concerns(snap: &Snapshot, pod: &Pod) -> bool {
    let meta = &pod.metadata;
    let system = meta.namespace == "kube-system" && SYSTEM.iter().any(|p| meta.name.starts_with(p));
    // What adds nodes may wait for one itself; a further replica of it keeps nobody waiting.
    let adds = || {
        let prefix = ADDS.iter().find(|p| snap.scope.guests.contains(&meta.namespace) && meta.name.starts_with(**p));
        let all = snap.pods.items().unwrap_or_default();
        let runs = |prefix: &str| {
            let mut own = all.iter().filter(|p| p.metadata.namespace == meta.namespace);
            own.any(|p| p.metadata.name.starts_with(prefix) && p.is_ready())
        };
        prefix.is_some_and(|prefix| !runs(prefix))
    };
    (snap.scope.is_judged(&meta.namespace) || system || adds()) && waits(snap, pod)
}

/// Not a new pod that no node has been found for.
pub(crate) fn waits(snap: &Snapshot, pod: &Pod) -> bool {
    let meta = &pod.metadata;
    pod.status.phase == "Pending"
        && pod.spec.node_name.is_none()
        && meta.deletion_timestamp.is_none()
        && snap.age_seconds(meta) >= GRACE
        && !for_fargate(pod)
}

/// A DaemonSet's pod for a Fargate node: never scheduled, and never needed there.
pub(crate) fn for_fargate(pod: &Pod) -> bool {
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
pub(crate) fn unscheduled(snap: &Snapshot, pod: &Pod) -> Option<String> {
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

/// How the scheduler of Fargate begins to say that it cannot run a pod.
const UNSUPPORTED: &str = "Pod not supported on Fargate";

/// Why Fargate, which took the pod, does not run it. Source: the messages of fargate-scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OfFargate {
    /// It asks for what Fargate does not have.
    Unsupported,
    /// It asks for more CPU or memory than the largest size has.
    TooLarge,
    /// A quota of the account is used up.
    Quota,
    /// AWS has no room for it in these zones now.
    Capacity,
    /// AWS launches nothing for the account.
    Blocked,
    /// The profile's pod execution role is gone, or not admitted to the cluster.
    Role,
}

impl OfFargate {
    /// Reads its message.
    pub(crate) fn read(message: &str) -> Option<Self> {
        if message.trim_start().starts_with(UNSUPPORTED) {
            return Some(Self::Unsupported);
        }
        let lower = message.to_ascii_lowercase();
        if !lower.contains("fargate") {
            return None;
        }
        let has = |parts: &[&str]| parts.iter().any(|p| lower.contains(p));
        if has(&["exceed the max fargate configuration"]) {
            return Some(Self::TooLarge);
        }
        if has(&["reached the limit on the number of"]) {
            return Some(Self::Quota);
        }
        if has(&["account is currently blocked", "account is blocked", "account is suspended"]) {
            return Some(Self::Blocked);
        }
        if has(&["pod execution role", "podexecutionrole"]) {
            return Some(Self::Role);
        }
        has(&["capacity is unavailable"]).then_some(Self::Capacity)
    }
}

/// Fargate took the pod, and cannot run it.
pub(crate) fn is_of_fargate(message: &str) -> bool {
    OfFargate::read(message).is_some()
}

/// What it asks for that Fargate does not have.
pub(crate) fn unsupported(message: &str) -> &str {
    message.trim_start().trim_start_matches(UNSUPPORTED).trim_start_matches(':').trim()
}

/// A claim for one pod of the cluster is held by another one.
pub(crate) fn is_claim_in_use(message: &str) -> bool {
    message.contains("ReadWriteOncePod access mode already in-use by another pod")
}

/// What a claim waits for that nobody binds before it has a pod: a place for the pod.
pub(crate) fn consumer(namespace: &str, claim: &str) -> ResourceRef {
    ResourceRef::kubernetes("", "Consumer", namespace, claim)
}

use crate::domain::kubernetes::scheduling::{Signal, signal};

/// What kept a pod from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A claim of the pod is not bound, or does not exist.
    Volume,
    /// A bound volume lies in another zone.
    VolumeZone,
    /// Not enough CPU, memory or another resource.
    Resources,
    /// The node holds as many pods as it may.
    TooManyPods,
    /// The node is cordoned.
    Cordoned,
    /// The node is not ready.
    NotReady,
    /// A taint that the pod does not tolerate.
    Taint,
    /// An autoscaler takes the node away.
    Leaving,
    /// A driver or agent has not come up on the node yet.
    Starting,
    /// The node runs short of memory, disk or process ids.
    Pressure,
    /// Node selector or node affinity.
    Selector,
    /// Pod (anti-)affinity or topology spread.
    PodAffinity,
    /// A host port that is taken.
    Ports,
    /// The node takes no more EBS volumes.
    VolumeLimit,
    /// A device, interface or licence that the nodes offer by number.
    Extended,
    /// The nodes are Fargate's, and none is made for the pod.
    Fargate,
    /// The cluster has no node at all.
    NoNodes,
    /// Something else.
    Other,
}

impl From<Signal> for Cause {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::NotReady => Self::NotReady,
            Signal::Leaving => Self::Leaving,
            Signal::Starting => Self::Starting,
            Signal::Pressure => Self::Pressure,
            Signal::Cordoned => Self::Cordoned,
        }
    }
}

/// The reason that keeps most nodes away. What holds for the pod as a whole (its claims) comes without a count and wins.
pub(crate) fn main_reason(message: &str) -> Cause {
    main_reason_but(message, None)
}

/// The main reason among those that are not `ruled_out`.
pub(crate) fn main_reason_but(message: &str, ruled_out: Option<Cause>) -> Cause {
    // What preemption could or could not do is no cause.
    let message = message.split(" preemption:").next().unwrap_or(message);
    if message.contains("no nodes available") || message.starts_with("0/0 ") {
        return Cause::NoNodes;
    }
    let reasons = message.split_once(": ").map_or(message, |(_, rest)| rest);
    if of(reasons) == Cause::Volume {
        return Cause::Volume;
    }
    let mut counts: Vec<(u32, Cause)> = Vec::new();
    for part in reasons.trim_end_matches('.').split(", ") {
        let (count, text) = match part.split_once(' ') {
            Some((count, text)) if count.parse::<u32>().is_ok() => (count.parse().unwrap_or(1), text),
            _ => (1, part),
        };
        let reason = of(text);
        if Some(reason) == ruled_out {
            continue;
        }
        match counts.iter_mut().find(|(_, r)| *r == reason) {
            Some((sum, _)) => *sum += count,
            None => counts.push((count, reason)),
        }
    }
    // Taints, selectors and affinity rule nodes out by design; what keeps the pod from the rest is the fault.
    let by_design = |r: &Cause| {
        matches!(
            r,
            Cause::Cordoned
                | Cause::NotReady
                | Cause::Taint
                | Cause::Leaving
                | Cause::Starting
                | Cause::Pressure
                | Cause::Selector
                | Cause::PodAffinity
                | Cause::Other
        )
    };
    let told: Vec<_> = counts.iter().filter(|(_, r)| !by_design(r)).copied().collect();
    let pick = if told.is_empty() { counts } else { told };
    pick.into_iter().max_by_key(|(count, reason)| (*count, std::cmp::Reverse(*reason))).map_or(Cause::Other, |(_, r)| r)
}

fn of(text: &str) -> Cause {
    let has = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
    // The second is the wording since Kubernetes 1.34.
    if has(&["volume node affinity conflict", "PersistentVolume's node affinity", "no available volume zone"]) {
        return Cause::VolumeZone;
    }
    if has(&["exceed max volume count", "attachable volumes"]) {
        return Cause::VolumeLimit;
    }
    if has(&[
        "PersistentVolumeClaim",
        "persistentvolumeclaim",
        "binding volumes",
        "available persistent volumes to bind",
    ]) {
        return Cause::Volume;
    }
    if has(&["Too many pods"]) {
        return Cause::TooManyPods;
    }
    if let Some((_, resource)) = text.split_once("Insufficient ") {
        // Kubernetes' own resources have no domain.
        return if resource.contains('/') { Cause::Extended } else { Cause::Resources };
    }
    if has(&["node(s) were unschedulable"]) {
        return Cause::Cordoned;
    }
    if has(&["node(s) were not ready"]) {
        return Cause::NotReady;
    }
    if has(&["taint"]) {
        // Since Kubernetes 1.36 the message names no key: "had untolerated taint(s)".
        let key = text.split_once("taint {").and_then(|(_, rest)| rest.split([':', '}']).next());
        return key.and_then(|key| signal(key.trim())).map_or(Cause::Taint, Cause::from);
    }
    if has(&["topology spread", "pod affinity", "pod anti-affinity", "inter-pod"]) {
        return Cause::PodAffinity;
    }
    if has(&["node selector", "node affinity", "node(s) didn't match Pod's node", "didn't match node"]) {
        return Cause::Selector;
    }
    if has(&["free ports"]) {
        return Cause::Ports;
    }
    Cause::Other
}

/// The resources that the scheduler names as insufficient.
pub(crate) fn scarce(message: &str) -> BTreeSet<&str> {
    let names = message.split("Insufficient ").skip(1).filter_map(|rest| rest.split([',', ' ']).next());
    names.map(|n| n.trim_end_matches('.')).collect()
}

/// The one of them with a domain of its own: those are what a plugin announces.
pub(crate) fn scarce_extended(message: &str) -> Option<&str> {
    scarce(message).into_iter().find(|r| r.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_reason_that_keeps_most_nodes_away() {
        let cases = [
            ("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found", Cause::Volume),
            ("0/3 nodes are available: 3 pod has unbound immediate PersistentVolumeClaims.", Cause::Volume),
            (r#"0/3 nodes are available: persistentvolumeclaim "grafana" not found."#, Cause::Volume),
            (
                "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
                Cause::Resources,
            ),
            (
                "0/4 nodes are available: 1 Insufficient memory, 3 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }.",
                Cause::Resources,
            ),
            ("0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: gpu}.", Cause::Taint),
            (
                "0/2 nodes are available: 1 node(s) had volume node affinity conflict, 1 node(s) were unschedulable.",
                Cause::VolumeZone,
            ),
            (
                "0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity. no new claims to deallocate",
                Cause::VolumeZone,
            ),
            ("0/3 nodes are available: 3 Too many pods. preemption: 0/3", Cause::TooManyPods),
            (
                "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't match pod affinity rules.",
                Cause::TooManyPods,
            ),
            ("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.", Cause::Selector),
            ("0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.", Cause::PodAffinity),
            ("0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports.", Cause::Ports),
            ("0/2 nodes are available: 2 node(s) were unschedulable.", Cause::Cordoned),
            ("0/2 nodes are available: 1 node(s) were unschedulable, 1 Insufficient cpu.", Cause::Resources),
            (
                "0/2 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/unreachable: }.",
                Cause::NotReady,
            ),
            ("0/2 nodes are available: 2 node(s) had untolerated taint(s).", Cause::Taint),
            ("0/2 nodes are available: 2 node(s) had untolerated taint {karpenter.sh/disrupted: }.", Cause::Leaving),
            (
                "0/2 nodes are available: 2 node(s) had untolerated taint {ebs.csi.aws.com/agent-not-ready: }.",
                Cause::Starting,
            ),
            ("no nodes available to schedule pods", Cause::NoNodes),
            ("0/2 nodes are available: 2 node(s) exceed max volume count.", Cause::VolumeLimit),
            ("0/2 nodes are available: 2 Insufficient vpc.amazonaws.com/pod-eni. preemption: 0/2", Cause::Extended),
            ("running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded", Cause::Volume),
        ];
        for (message, reason) in cases {
            assert_eq!(main_reason(message), reason, "{message}");
        }
    }
}
