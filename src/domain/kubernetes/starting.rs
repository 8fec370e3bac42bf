//! Init containers and side-cars that keep the other containers of their pod from starting.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Pod};

/// Seconds that a side-car may take to start, and an init container to do its work.
const SIDE_CAR: i64 = 180;
const INIT: i64 = 600;

/// The container that the others wait for.
pub(crate) struct Held<'a> {
    pub(crate) container: &'a Container,
    pub(crate) status: &'a ContainerStatus,
    /// It runs beside the others, once it has started; else it has to come to its end first.
    pub(crate) side_car: bool,
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
    // One that is started again and again is young each time.
    let since = pod.status.start_time.filter(|_| held.status.restart_count > 0).or(held.status.running_since())?;
    let alive = pod.metadata.deletion_timestamp.is_none();
    (alive && snap.collected_at.as_second() - since.as_second() >= least).then_some(held)
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
}
