//! Pods that are not ready, restart, or failed, by what owns them; and workloads that lack pods or are made again and again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{around, is_ours, once, seconds_ago};
use crate::domain::kubernetes::unschedulable::for_fargate;
use crate::domain::kubernetes::{nodes, owner};
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ContainerStatus, Pod, Workload};

/// Seconds that a pod may take to be ready.
const PATIENCE: i64 = 180;
/// Seconds within which a restart is of now.
const RECENT: i64 = 3600;
/// Restarts of a container from which on they are no accident.
const RESTARTS: u32 = 3;
/// Seconds that a container runs from which on it may have settled: twice the longest back-off; and how many times as long as it
/// ran before it ended.
const SETTLED: i64 = 600;
const MUCH_LONGER: i64 = 10;
/// The exit code of what was killed, mostly for its memory.
const KILLED: i32 = 137;

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    type Troubled<'a> = (ResourceRef, Vec<(&'a Pod, Trouble)>);
    let mut owners: BTreeMap<String, Troubled<'_>> = BTreeMap::new();
    for pod in snap.pods.items().unwrap_or_default() {
        let Some(trouble) = trouble(snap, pod) else { continue };
        let owner = snap.owner_ref(pod);
        owners.entry(owner.key()).or_insert_with(|| (owner, Vec::new())).1.push((pod, trouble));
    }
    let mut all: Vec<Signal> = owners.values().map(|(owner, pods)| signal(snap, owner, pods)).collect();
    let lacking = snap.workloads.items().unwrap_or_default().iter();
    all.extend(lacking.filter(|w| !owners.contains_key(&w.reference().key())).filter_map(|w| lacks_pods(snap, w)));
    all.extend(snap.workloads.items().unwrap_or_default().iter().filter_map(|w| made_again(snap, w)));
    all
}

/// What is wrong with a pod.
struct Trouble {
    what: String,
    since: Option<Timestamp>,
    weight: Weight,
}

fn trouble(snap: &Snapshot, pod: &Pod) -> Option<Trouble> {
    // The node says it for all its pods; a DaemonSet's pod for a Fargate node is never needed.
    let other = !nodes::dead_nodes(snap, std::iter::once(pod)).is_empty() || for_fargate(pod);
    let ours = if is_ours(snap, &pod.metadata.namespace) && !other { Weight::Weighs } else { Weight::Note };
    if pod.status.phase == "Succeeded" || (pod.status.phase == "Failed" && snap.owner_ref(pod).kind_label() == "Job") {
        return None;
    }
    if pod.status.phase == "Failed" {
        let what = pod.status.reason.clone().unwrap_or_else(|| "Failed".into());
        // What was evicted or killed stays in the list; only a replacement that is missing is a fault of now.
        let weight = if is_replaced(snap, pod) { Weight::Note } else { ours };
        return Some(Trouble { what, since: pod.status.start_time, weight });
    }
    if let Some(at) = pod.metadata.deletion_timestamp.filter(|t| seconds_ago(snap, *t) > PATIENCE) {
        return Some(Trouble { what: "Terminating".into(), since: Some(at), weight: ours });
    }
    let ready = pod.condition("Ready").filter(|c| c.status == "True");
    let Some(_) = ready else {
        let what = waits_for(pod);
        // A gate is set on purpose, and what is being deleted is about to go.
        let goes = pod.metadata.deletion_timestamp.is_some();
        let calm = goes || is_starting(snap, pod) || what == "SchedulingGated";
        let weight = if calm { Weight::Note } else { ours };
        // A pod that has been ready before, or may have been, did not begin to fail when it was made.
        let since = if restarts(pod) > 0 {
            pod.condition("Ready").and_then(|c| c.last_transition_time)
        } else {
            not_ready_since(pod)
        };
        return Some(Trouble { what, since, weight });
    };
    let again = pod.statuses().filter(|s| s.restart_count >= RESTARTS && s.ended_within(RECENT, snap.collected_at));
    let again = again.filter(|s| !has_settled(snap, s));
    let worst = again.max_by_key(|s| s.restart_count)?;
    let reason = worst.ended().map_or(String::new(), |t| format!(" ({}, exit code {})", t.reason, t.exit_code));
    let what = format!("container {} restarted {} times{reason}", worst.name, worst.restart_count);
    Some(Trouble { what, since: worst.ended().and_then(|t| t.finished_at), weight: ours })
}

/// It is ready, and runs many times as long as before, and beyond the longest back-off: what ended it is mended.
fn has_settled(snap: &Snapshot, status: &ContainerStatus) -> bool {
    let Some(since) = status.running_since().filter(|_| status.ready) else { return false };
    let runs = seconds_ago(snap, since);
    // Whoever was killed may be killed again when there is more to do.
    let lived = status
        .ended()
        .filter(|t| t.exit_code != KILLED)
        .and_then(|t| Some(t.finished_at?.as_second() - t.started_at?.as_second()));
    runs >= SETTLED && lived.is_some_and(|before| (0..=runs / MUCH_LONGER).contains(&before))
}

fn not_ready_since(pod: &Pod) -> Option<Timestamp> {
    let changed = pod.condition("Ready").and_then(|c| c.last_transition_time);
    changed.max(pod.metadata.creation_timestamp)
}

/// Not ready for a few minutes only, and never restarted: it may yet come up.
pub(super) fn is_starting(snap: &Snapshot, pod: &Pod) -> bool {
    not_ready_since(pod).is_some_and(|t| seconds_ago(snap, t) < PATIENCE) && restarts(pod) == 0
}

fn restarts(pod: &Pod) -> u32 {
    pod.statuses().map(|s| s.restart_count).max().unwrap_or_default()
}

/// Its workload has all the replicas that it wants, or another pod of its owner is ready.
fn is_replaced(snap: &Snapshot, pod: &Pod) -> bool {
    let owner = snap.owner_ref(pod);
    if let Some(workload) = owner::workload(snap, &owner) {
        return workload.ready() >= workload.desired();
    }
    let mut pods = snap.pods.items().unwrap_or_default().iter();
    pods.any(|p| p.is_ready() && p.metadata.name != pod.metadata.name && snap.owner_ref(p) == owner)
}

/// Why it is not ready, in Kubernetes' own words.
fn waits_for(pod: &Pod) -> String {
    let waiting = |s: &ContainerStatus| s.state.waiting.as_ref().map(|w| w.reason.clone()).filter(|r| !r.is_empty());
    let reasons = once(pod.statuses().filter_map(waiting));
    if !reasons.is_empty() && reasons != "PodInitializing" {
        return reasons;
    }
    if let Some(scheduled) = pod.condition("PodScheduled").filter(|c| c.status == "False") {
        return scheduled.reason.clone().unwrap_or_else(|| "Pending".into());
    }
    let ended = pod.statuses().find_map(|s| s.state.terminated.as_ref().filter(|t| t.exit_code != 0));
    match ended {
        Some(end) => end.reason.clone(),
        None if pod.status.phase == "Running" => "not ready".into(),
        None => pod.status.phase.clone(),
    }
}

fn signal(snap: &Snapshot, owner: &ResourceRef, pods: &[(&Pod, Trouble)]) -> Signal {
    let weight = pods.iter().map(|(_, t)| t.weight).max().unwrap_or(Weight::Note);
    let heavy = || pods.iter().filter(|(_, t)| t.weight == weight);
    let whats = once(heavy().map(|(_, t)| t.what.clone()));
    let names = heavy().map(|(p, _)| p.metadata.name.clone()).collect::<Vec<_>>();
    let title = match names.as_slice() {
        [only] => format!("pod {only} {whats}"),
        many => format!("{} pods of {} {whats}", many.len(), owner.name()),
    };
    let first = pods[0].0;
    let message = heavy().find_map(|(p, _)| {
        let unscheduled =
            p.condition("PodScheduled").filter(|c| c.status == "False").and_then(|c| c.message.as_deref());
        let waiting = p.statuses().find_map(|s| s.state.waiting.as_ref()?.message.as_deref());
        p.status.message.as_deref().or(unscheduled).or(waiting).map(redact)
    });
    let evidence =
        Evidence::new(format!("pods of {owner}"), whats, "kubectl describe pod {{ names }} -n {{ namespace }}")
            .with("namespace", &first.metadata.namespace)
            .with("names", &names);
    let since = heavy().filter_map(|(_, t)| t.since).min();
    Signal::new(SignalKind::Pod, owner.clone(), title, evidence)
        .text(message.unwrap_or_default())
        .since(since)
        .weight(weight)
        .about(pods.iter().flat_map(|(p, _)| around(snap, p)))
}

/// A workload that wants pods and has none that could be in trouble themselves.
fn lacks_pods(snap: &Snapshot, workload: &Workload) -> Option<Signal> {
    let (ready, desired) = (workload.ready(), workload.desired());
    let meta = &workload.metadata;
    if ready >= desired || !is_ours(snap, &meta.namespace) || snap.pods.items().is_err() {
        return None;
    }
    let progress = workload.status.conditions.iter().find(|c| c.status == "False" || c.kind == "ReplicaFailure");
    let young = meta.creation_timestamp.is_some_and(|t| seconds_ago(snap, t) < PATIENCE);
    let evidence = Evidence::new(
        format!("{} {}/{}: status", workload.kind, meta.namespace, meta.name),
        format!("{ready} of {desired} ready"),
        "kubectl describe {{ name }} -n {{ namespace }}",
    )
    .with("namespace", &meta.namespace)
    .with("name", workload.kubectl_name());
    let about = owner::operator_owner(meta).map(|(kind, name)| {
        let kind = if kind == "prometheus" { "Prometheus" } else { "Alertmanager" };
        ResourceRef::kubernetes("monitoring.coreos.com", kind, &meta.namespace, name)
    });
    let title = format!("{} {}: {ready} of {desired} ready", workload.kind, workload.reference().name());
    let signal = Signal::new(SignalKind::Pod, workload.reference(), title, evidence)
        .text(progress.and_then(|c| c.message.as_deref()).map_or(String::new(), redact))
        .since(progress.and_then(|c| c.last_transition_time))
        .about(about);
    Some(if young { signal.weight(Weight::Note) } else { signal })
}

/// A StatefulSet that is minutes old while the operator's resource behind it is much older: it was deleted and made
/// again, and its pods with it.
fn made_again(snap: &Snapshot, workload: &Workload) -> Option<Signal> {
    let meta = &workload.metadata;
    let (kind, name) = owner::operator_owner(meta).filter(|_| workload.kind == "StatefulSet")?;
    let resources = snap.monitoring_resources.items().ok()?.iter();
    let behind = resources.map(|r| &r.metadata).find(|m| m.namespace == meta.namespace && m.name == name)?;
    let (own, older) = (seconds_ago(snap, meta.creation_timestamp?), seconds_ago(snap, behind.creation_timestamp?));
    if own > 900 || older < 3600 + own {
        return None;
    }
    let evidence = Evidence::new(
        format!("StatefulSet {}/{}: metadata.creationTimestamp", meta.namespace, meta.name),
        format!("made {} s before this look, its {kind} resource {} h before", own, older / 3600),
        "kubectl get statefulset {{ name }} -n {{ namespace }} --watch",
    )
    .with("namespace", &meta.namespace)
    .with("name", &meta.name);
    let kind = if kind == "prometheus" { "Prometheus" } else { "Alertmanager" };
    let title = format!("StatefulSet {}/{} was deleted and made again", meta.namespace, meta.name);
    Some(
        Signal::new(SignalKind::Pod, workload.reference(), title, evidence)
            .since(meta.creation_timestamp)
            .next("read the log of the operator: it deletes what it cannot change, or another operator does")
            .about([ResourceRef::kubernetes("monitoring.coreos.com", kind, &meta.namespace, name)]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;
    use serde_json::json;

    fn with(status: serde_json::Value) -> Vec<Signal> {
        let mut snap = snapshot();
        let pod = json!({"metadata": {"name": "loki-0", "namespace": "monitoring"}, "status": status});
        snap.pods = crate::snapshot::Listing::cluster(vec![serde_json::from_value(pod).expect("a pod")]);
        read(&snap)
    }

    #[test]
    fn a_pod_that_is_not_ready_is_named_with_its_reason() {
        let found = with(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False",
            "lastTransitionTime": "2026-11-21T01:00:00Z"}], "containerStatuses": [{"name": "loki", "restartCount": 9,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}));
        assert_eq!(found[0].title, "pod loki-0 CrashLoopBackOff");
        assert_eq!(found[0].weight, Weight::Weighs);
    }

    #[test]
    fn a_single_old_restart_is_no_signal() {
        let restarted = |count: u32, at: &str| {
            with(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
                {"name": "loki", "ready": true, "restartCount": count,
                 "lastState": {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": at}}}]}))
        };
        assert!(restarted(1, "2026-11-19T00:00:00Z").is_empty());
        assert!(restarted(9, "2026-11-19T00:00:00Z").is_empty());
        assert_eq!(restarted(9, "2026-11-21T02:50:00Z").len(), 1);
    }

    #[test]
    fn a_container_that_runs_much_longer_than_before_has_settled() {
        let runs_since = |at: &str| {
            with(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
                {"name": "loki", "ready": true, "restartCount": 9, "state": {"running": {"startedAt": at}},
                 "lastState": {"terminated": {"reason": "Error", "exitCode": 1,
                    "startedAt": "2026-11-21T02:30:00Z", "finishedAt": "2026-11-21T02:30:46Z"}}}]}))
        };
        assert!(runs_since("2026-11-21T02:36:00Z").is_empty());
        assert_eq!(runs_since("2026-11-21T02:56:00Z").len(), 1, "it may end again");
    }

    #[test]
    fn a_pod_that_starts_may_take_its_time() {
        let found = with(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False",
            "lastTransitionTime": "2026-11-21T02:59:00Z"}]}));
        assert_eq!(found[0].weight, Weight::Note);
    }
}
