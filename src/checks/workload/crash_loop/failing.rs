//! Containers that are crash-looping.

use crate::checks::workload::crash_loop::cause::{self, Cause};
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::start_error;
use crate::domain::prometheus::oom;
use crate::domain::text::windows::GRACE;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Pod, Terminated};

/// Seconds within which an end is recent.
const RECENT: i64 = 900;

/// Restarts of a Job's container that are its way to try again; `backoffLimit` is 6 unless set.
const JOB_RETRIES: u32 = 4;
/// Seconds that a container may take to become ready after one restart.
const SETTLES: i64 = 120;

/// A container that is crash-looping.
pub(super) struct Failing<'a> {
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) status: &'a ContainerStatus,
    pub(super) is_init: bool,
    /// It is up in between.
    pub(super) is_ready: bool,
    pub(super) cause: Cause,
}

/// Those of a pod.
pub(super) fn failing<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<Failing<'a>> {
    let over =
        pod.is_finished() || pod.metadata.deletion_timestamp.is_some() || snap.age_seconds(&pod.metadata) < GRACE;
    if over {
        return Vec::new();
    }
    let init = pod.status.init_container_statuses.iter().map(|s| (s, true));
    let all = init.chain(pod.status.container_statuses.iter().map(|s| (s, false)));
    all.filter(|(status, _)| ends_again(snap, pod, status) && !oom::is_reported(snap, pod, &status.name))
        .filter_map(|(status, is_init)| {
            let container = pod.all_containers().find(|c| c.name == status.name)?;
            let cause = Cause::of(snap, pod, container, status);
            Some(Failing { pod, container, status, is_init, is_ready: status.ready, cause })
        })
        .collect()
}

/// Exits and is restarted. What ran out of memory, and what never started, is the matter of other checks.
fn ends_again(snap: &Snapshot, pod: &Pod, status: &ContainerStatus) -> bool {
    let never_began =
        |t: &Terminated| t.message.as_deref().is_some_and(|m| start_error::Cause::of_end(&t.reason, m).is_some());
    if status.restart_count == 0 || status.ended().is_some_and(|t| t.reason == "OOMKilled" || never_began(t)) {
        return false;
    }
    // A Job tries again by design.
    let retries = owner_of(&pod.metadata).is_some_and(|(kind, _)| kind == "Job") && status.restart_count < JOB_RETRIES;
    if retries {
        return false;
    }
    let recent_failure = recent_failure(snap, pod, status);
    if let Some(waiting) = &status.state.waiting {
        // Another reason (ImagePullBackOff, CreateContainerConfigError) says why it cannot even start.
        return waiting.reason == "CrashLoopBackOff" || waiting.reason.is_empty() && recent_failure;
    }
    if status.state.terminated.is_some() {
        return recent_failure;
    }
    if !status.ready {
        // One restart is none again, and a container that just began is not ready yet.
        let since = status.running_since().map(|t| snap.seconds_since(t));
        let settles = since.is_some_and(|s| s < SETTLES) && status.restart_count < 2;
        return recent_failure && !settles;
    }
    // Ready in between: only where that happens more than once an hour on average.
    let age = snap.age_seconds(&pod.metadata);
    status.restart_count >= 3 && age / i64::from(status.restart_count) < 3600 && recent_failure
}

fn recent_failure(snap: &Snapshot, pod: &Pod, status: &ContainerStatus) -> bool {
    // 143 is a polite end, and with 255 and no word the node itself went away.
    let asked = |t: &Terminated| t.exit_code == 143 || t.exit_code == 255 && t.reason == "Unknown";
    let failed = status.ended().is_some_and(|t| t.exit_code != 0 && !asked(t));
    // Who is asked to go by the kubelet, because its probe fails, may go without an error (Prometheus and Grafana exit with 0).
    let killed = || pod.all_containers().any(|c| c.name == status.name && cause::probe(snap, pod, c).is_some());
    status.ended_within(RECENT, snap.collected_at) && (failed || (status.ended().is_some() && killed()))
}
