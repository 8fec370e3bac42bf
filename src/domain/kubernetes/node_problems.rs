//! Conditions beside the kubelet's own, with which agents say that a part of a node is broken: node-problem-detector, and
//! the node monitoring agent of EKS.

use crate::domain::kubernetes::refused_pod::{self, Refusal};
use crate::domain::kubernetes::{foundation, network_plugin};
use crate::domain::text::windows::{GRACE, RECENT};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Event, Node, Pod};

/// What of a node a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Kernel,
    Network,
    Storage,
    Runtime,
    Kubelet,
}

/// Of the node monitoring agent of EKS: False is the fault. Its AcceleratedHardwareReady is about GPUs alone.
const READY: &[(&str, Part)] = &[
    ("KernelReady", Part::Kernel),
    ("NetworkingReady", Part::Network),
    ("StorageReady", Part::Storage),
    ("ContainerRuntimeReady", Part::Runtime),
];

/// Of node-problem-detector, in the configurations that it brings and in those of managed clusters, and of network plugins:
/// True is the fault.
const PROBLEMS: &[(&str, Part)] = &[
    ("KernelDeadlock", Part::Kernel),
    ("CperHardwareErrorFatal", Part::Kernel),
    ("ReadonlyFilesystem", Part::Storage),
    ("XfsShutdown", Part::Storage),
    ("FilesystemCorruptionProblem", Part::Storage),
    ("CorruptDockerOverlay2", Part::Runtime),
    ("ContainerRuntimeUnhealthy", Part::Runtime),
    ("ContainerRuntimeProblem", Part::Runtime),
    ("FrequentContainerdRestart", Part::Runtime),
    ("FrequentDockerRestart", Part::Runtime),
    ("KubeletUnhealthy", Part::Kubelet),
    ("KubeletProblem", Part::Kubelet),
    ("FrequentKubeletRestart", Part::Kubelet),
    ("FrequentUnregisterNetDevice", Part::Network),
    ("NetworkUnavailable", Part::Network),
];

/// Parts of the agents' images.
const AGENTS: &[&str] = &["eks-node-monitoring-agent", "node-problem-detector"];

/// Seconds after which a condition that nobody wrote again is left over: agents write every five minutes.
pub(crate) const FORGOTTEN: i64 = 1800;

/// A part of a node that is said to be broken.
pub(crate) struct Problem<'a> {
    pub(crate) node: &'a Node,
    pub(crate) condition: &'a Condition,
    pub(crate) part: Part,
}

/// All of a node, but what has just begun or what nobody writes any more. What was said of a node whose kubelet is silent is old.
pub(crate) fn of<'a>(snap: &'a Snapshot, node: &'a Node) -> Vec<Problem<'a>> {
    if node.is_silent() {
        return Vec::new();
    }
    let ago = |t: Option<jiff::Timestamp>| t.map(|t| snap.seconds_since(t));
    let told = node.status.conditions.iter().filter_map(|c| Some((c, part_of(c)?)));
    let of_now = told.filter(|(c, _)| {
        ago(c.last_transition_time).is_none_or(|s| s >= GRACE)
            && ago(c.last_heartbeat_time).is_none_or(|s| s < FORGOTTEN)
    });
    of_now.map(|(condition, part)| Problem { node, condition, part }).collect()
}

fn part_of(condition: &Condition) -> Option<Part> {
    let (known, bad) = match condition.status.as_str() {
        "False" => (READY, true),
        "True" => (PROBLEMS, true),
        _ => (READY, false),
    };
    known.iter().find(|(kind, _)| bad && *kind == condition.kind).map(|(_, part)| *part)
}

impl<'a> Problem<'a> {
    /// The agent's pod on the node. EKS Auto Mode runs it outside of pods.
    pub(crate) fn agent(&self, snap: &'a Snapshot) -> Option<&'a Pod> {
        let images = |p: &Pod| p.spec.containers.iter().any(|c| AGENTS.iter().any(|a| c.image.contains(a)));
        self.here(snap).find(|p| images(p))
    }

    /// The agent said it again within the last hour.
    pub(crate) fn repeated(&self, snap: &'a Snapshot) -> Option<&'a Event> {
        let reason = self.condition.reason.as_deref().filter(|r| !r.is_empty())?;
        let events = snap.events_about("Node", &self.node.metadata, RECENT);
        events.into_iter().find(|e| e.reason == reason && e.times() > 1)
    }

    /// Pods that the node's kubelet has refused since, because it cannot write.
    pub(crate) fn refused(&self, snap: &'a Snapshot) -> Vec<&'a Pod> {
        let since = self.condition.last_transition_time;
        let is_later = |p: &&Pod| p.metadata.creation_timestamp.zip(since).is_none_or(|(made, since)| made >= since);
        let all = self.here(snap).filter(|p| matches!(refused_pod::of(p), Some(Refusal::Disk { .. })));
        all.filter(is_later).collect()
    }

    /// What happened on the node speaks against it: a pod was started there well after it was said, all that is looked at is ready,
    /// none was refused, and the agent did not say it again. Both agents keep what they said once until they are started again.
    pub(crate) fn is_disproved(&self, snap: &'a Snapshot) -> bool {
        let Some(since) = self.condition.last_transition_time else { return false };
        let looked_at = |p: &&Pod| snap.scope.is_judged(&p.metadata.namespace) || foundation::is_part(p);
        let all: Vec<&Pod> = self.here(snap).filter(|p| !p.is_finished()).filter(looked_at).collect();
        let began_since = |p: &Pod| {
            let began = p.statuses().filter_map(|s| s.state.running.as_ref()?.started_at).min();
            began.is_some_and(|t| t.as_second() - since.as_second() >= GRACE)
        };
        let plugin_well =
            self.part != Part::Network || network_plugin::agents(snap, &self.node.metadata.name).all(Pod::is_ready);
        plugin_well
            && self.repeated(snap).is_none()
            && self.refused(snap).is_empty()
            && all.iter().all(|p| p.is_ready())
            && all.iter().any(|p| began_since(p))
    }

    /// The pods on the node.
    pub(crate) fn here(&self, snap: &'a Snapshot) -> impl Iterator<Item = &'a Pod> {
        let name = self.node.metadata.name.as_str();
        let pods = snap.pods.items().unwrap_or_default().iter();
        pods.filter(move |p| p.spec.node_name.as_deref() == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::workload::{pod, snapshot};
    use serde_json::{Value, json};

    fn with(condition: Value) -> Snapshot {
        let mut snap = snapshot(json!([pod(json!({"name": "prometheus", "ready": true,
            "state": {"running": {"startedAt": "2026-11-21T10:00:00Z"}}}))]));
        let node = json!([{"metadata": {"name": "node-a"}, "status": {"conditions": [
            {"type": "Ready", "status": "True"}, condition]}}]);
        snap.nodes = crate::snapshot::Listing::cluster(serde_json::from_value(node).expect("nodes"));
        snap
    }

    fn parts(snap: &Snapshot) -> Vec<Part> {
        snap.nodes.items().expect("read").iter().flat_map(|n| of(snap, n)).map(|p| p.part).collect()
    }

    #[test]
    fn each_agent_has_its_own_way_to_say_no() {
        let said = |kind: &str, status: &str| {
            parts(&with(json!({"type": kind, "status": status, "lastTransitionTime": "2026-11-21T11:00:00Z"})))
        };
        assert_eq!(said("KernelReady", "False"), [Part::Kernel]);
        assert_eq!(said("KernelReady", "True"), []);
        assert_eq!(said("KernelReady", "Unknown"), []);
        assert_eq!(said("KernelDeadlock", "True"), [Part::Kernel]);
        assert_eq!(said("KernelDeadlock", "False"), []);
        assert_eq!(said("AcceleratedHardwareReady", "False"), []);
        assert_eq!(said("SomebodysReady", "False"), []);
    }

    #[test]
    fn what_nobody_writes_any_more_is_left_over() {
        let written = |at: &str| {
            parts(&with(
                json!({"type": "ReadonlyFilesystem", "status": "True", "lastTransitionTime": "2026-11-20T11:00:00Z",
                "lastHeartbeatTime": at}),
            ))
        };
        assert_eq!(written("2026-11-21T11:57:00Z"), [Part::Storage]);
        assert_eq!(written("2026-11-20T12:00:00Z"), []);
    }

    #[test]
    fn a_pod_that_was_refused_since_bears_it_out() {
        let mut snap =
            with(json!({"type": "ReadonlyFilesystem", "status": "True", "lastTransitionTime": "2026-11-21T09:00:00Z"}));
        let node = snap.nodes.items().expect("read")[0].clone();
        let mut ready = snap.pods.items().expect("read").to_vec();
        ready[0].status.conditions = serde_json::from_value(json!([{"type": "Ready", "status": "True"}])).expect("one");
        snap.pods = crate::snapshot::Listing::cluster(ready);
        assert!(of(&snap, &node)[0].is_disproved(&snap));
        let refused = json!({"metadata": {"name": "grafana", "namespace": "monitoring", "creationTimestamp": "2026-11-21T11:00:00Z"},
            "spec": {"nodeName": "node-a"}, "status": {"phase": "Failed", "reason": "UnexpectedAdmissionError",
            "message": "Pod was rejected: failed to write checkpoint file: read-only file system"}});
        let mut pods = snap.pods.items().expect("read").to_vec();
        pods.push(serde_json::from_value(refused).expect("a pod"));
        snap.pods = crate::snapshot::Listing::cluster(pods);
        assert!(!of(&snap, &node)[0].is_disproved(&snap));
    }

    #[test]
    fn pods_that_began_since_speak_against_it() {
        let disproved = |since: &str, running: &str, ready: bool| {
            let mut snap = with(json!({"type": "NetworkingReady", "status": "False", "lastTransitionTime": since}));
            let mut object =
                pod(json!({"name": "prometheus", "ready": ready, "state": {"running": {"startedAt": running}}}));
            object["status"]["conditions"] = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
            snap.pods = crate::snapshot::Listing::cluster(vec![serde_json::from_value(object).expect("a pod")]);
            let nodes = snap.nodes.items().expect("read").to_vec();
            of(&snap, &nodes[0])[0].is_disproved(&snap)
        };
        assert!(disproved("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", true));
        assert!(!disproved("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", false), "it is not ready");
        assert!(!disproved("2026-11-21T11:00:00Z", "2026-11-21T10:00:00Z", true), "it began before");
    }
}
