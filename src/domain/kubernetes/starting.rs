//! Init containers and side-cars that keep the other containers of their pod from starting.

use crate::domain::text::log_line::is_within;
use crate::domain::text::windows::STARTING;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Pod, Terminated};
use crate::text::pattern::pattern;
use jiff::Timestamp;

/// Seconds that a side-car may take to start, and an init container to do its work.
const SIDE_CAR: i64 = 180;
const INIT: i64 = 600;
/// Last lines that are looked at, and seconds for which one tells of now.
const LAST: usize = 3;
const MOMENT: i64 = 300;
/// Seconds for which a pod is new, and those that its containers may take to become ready for the first time.
const NEW: i64 = 300;
const FIRST_RUN: i64 = 120;

/// The container that the others wait for.
pub(crate) struct Held<'a> {
    pub(crate) container: &'a Container,
    pub(crate) status: &'a ContainerStatus,
    /// It runs beside the others, once it has started; else it has to come to its end first.
    pub(crate) side_car: bool,
}

/// A pod that is on its way: it is new, or its containers that are not ready run for the first time since a moment ago. A
/// database is made, plugins are loaded.
pub(crate) fn is_young(snap: &Snapshot, pod: &Pod) -> bool {
    let made = snap.age_seconds(&pod.metadata);
    let ago = |t: Timestamp| snap.seconds_since(t);
    let first = |s: &ContainerStatus| s.restart_count == 0 && s.running_since().is_some_and(|t| ago(t) < FIRST_RUN);
    let mut late = pod.status.container_statuses.iter().filter(|s| !s.ready).peekable();
    let known = pod.metadata.creation_timestamp.is_some();
    known && (made < STARTING || made < NEW && late.peek().is_some() && late.all(first))
}

/// The container that runs, and that the others of its pod wait for.
pub(crate) fn held(pod: &Pod) -> Option<Held<'_>> {
    let waits = |s: &ContainerStatus| s.state.waiting.as_ref().is_some_and(|w| w.reason == "PodInitializing");
    let others = &pod.status.container_statuses;
    if pod.spec.node_name.is_none() || pod.is_finished() || others.is_empty() || !others.iter().all(waits) {
        return None;
    }
    let mut running = pod.status.init_container_statuses.iter().filter(|s| s.state.running.is_some());
    running.find_map(|status| {
        let container = pod.spec.init_containers.iter().find(|c| c.name == status.name)?;
        let side_car = container.restart_policy.as_deref() == Some("Always");
        let over = if side_car { status.started == Some(true) } else { status.ready };
        (!over).then_some(Held { container, status, side_car })
    })
}

/// The same, where it takes longer than it may.
pub(crate) fn stuck<'a>(snap: &Snapshot, pod: &'a Pod) -> Option<Held<'a>> {
    let held = held(pod)?;
    let least = if held.side_car { SIDE_CAR } else { INIT };
    // A side-car that is started again and again is young each time; what has to come to its end begins anew.
    let again = held.side_car && held.status.restart_count > 0;
    let since = pod.status.start_time.filter(|_| again).or(held.status.running_since())?;
    let alive = pod.metadata.deletion_timestamp.is_none();
    (alive && snap.seconds_since(since) >= least).then_some(held)
}

/// What ended it: an error of its own, and not the kubelet, which ends a side-car whose startup probe fails.
pub(crate) fn failed_by_itself(held: &Held<'_>) -> bool {
    let by_kubelet = |t: &Terminated| match t.exit_code {
        0 | 143 => true,
        // The same, of a program that does not heed SIGTERM.
        137 => t.reason != "OOMKilled",
        _ => false,
    };
    held.status.restart_count > 0 && held.status.ended().is_some_and(|t| !by_kubelet(t))
}

/// What the log says of a container that has not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It wrote a moment ago, and no failure.
    Works,
    /// Its last lines tell of a failure.
    Fails,
    /// It says neither: much work is done without a word.
    Unknown,
}

/// How an init container gets on, by the last lines of its log.
pub(crate) fn progress(text: &str, now: Timestamp) -> Progress {
    let last: Vec<&str> = text.lines().rev().filter(|l| !l.trim().is_empty()).take(LAST).collect();
    if last.iter().any(|l| says_failure(l)) {
        return Progress::Fails;
    }
    let recent = |l: &&str| is_within(l, now, MOMENT);
    if last.iter().any(recent) { Progress::Works } else { Progress::Unknown }
}

/// A line tells of something that failed, or that is waited for.
pub(crate) fn says_failure(line: &str) -> bool {
    let words = pattern!(
        r"(?i)refused|timed? ?out|\bwait|unavailable|no route|deadline|fail|error|unreachable|unable|denied|cannot|can't|could not|no such|not (?:exist|found|ready)|retry|unauthorized|forbidden"
    );
    words.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(init: serde_json::Value, status: serde_json::Value, main: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "m"},
            "spec": {"nodeName": "a", "initContainers": [init], "containers": [{"name": "main"}]},
            "status": {"phase": "Pending", "initContainerStatuses": [status],
                "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": main}}}]}}))
        .expect("a pod")
    }

    #[test]
    fn the_others_wait_for_a_side_car_until_it_has_started() {
        let init = json!({"name": "proxy", "restartPolicy": "Always"});
        let running = |started: bool| json!({"name": "proxy", "started": started, "ready": false, "state": {"running": {"startedAt": "2026-11-21T02:00:00Z"}}});
        let own = pod(init.clone(), running(false), "PodInitializing");
        assert!(held(&own).is_some_and(|h| h.side_car));
        assert!(held(&pod(init.clone(), running(true), "PodInitializing")).is_none());
        assert!(held(&pod(init, running(false), "CrashLoopBackOff")).is_none());
        let init = json!({"name": "wait"});
        let work = json!({"name": "wait", "ready": false, "state": {"running": {}}});
        assert!(held(&pod(init, work, "PodInitializing")).is_some_and(|h| !h.side_car));
    }

    #[test]
    fn what_has_to_end_is_young_when_it_begins_anew() {
        let snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let state = |name: &str| json!({"name": name, "ready": false, "restartCount": 1, "state": {"running": {"startedAt": "2026-11-21T02:59:00Z"}}});
        let of = |init: serde_json::Value, name: &str| {
            let mut own = pod(init, state(name), "PodInitializing");
            own.status.start_time = "2026-11-18T03:00:00Z".parse().ok();
            own
        };
        assert!(stuck(&snap, &of(json!({"name": "restore"}), "restore")).is_none());
        assert!(stuck(&snap, &of(json!({"name": "proxy", "restartPolicy": "Always"}), "proxy")).is_some());
    }

    #[test]
    fn what_the_kubelet_ends_did_not_fail_by_itself() {
        let failed = |code: i32, reason: &str| {
            let status = json!({"name": "proxy", "started": false, "restartCount": 3, "state": {"running": {}},
                "lastState": {"terminated": {"exitCode": code, "reason": reason}}});
            let own = pod(json!({"name": "proxy", "restartPolicy": "Always"}), status, "PodInitializing");
            held(&own).is_some_and(|h| failed_by_itself(&h))
        };
        assert!(!failed(143, "Error") && !failed(137, "Error") && !failed(0, "Completed"));
        assert!(failed(137, "OOMKilled") && failed(1, "Error"));
    }

    #[test]
    fn work_is_told_from_failure_and_silence() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().expect("a time");
        assert_eq!(progress("2026-11-21T02:59:10Z INFO applied migration 41 of 90\n", now), Progress::Works);
        assert_eq!(progress("2026-11-21T02:59:10Z dial tcp: connection refused\n", now), Progress::Fails);
        assert_eq!(progress("2026-11-21T02:10:10Z INFO restoring\n", now), Progress::Unknown);
        assert_eq!(progress("", now), Progress::Unknown);
    }
}
