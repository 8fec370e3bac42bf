//! Pods that a controller wants to make and the API server refuses: what the controller says of it.

use crate::domain::kubernetes::unschedulable::RECENT;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Workload};

/// What the controllers said of it: the newest event of the workload, or of the ReplicaSets of a Deployment.
pub(crate) fn event<'a>(snap: &'a Snapshot, workload: &Workload) -> Option<&'a Event> {
    let meta = &workload.metadata;
    let is_own = |e: &&Event| {
        let object = &e.involved_object;
        let set = |name: &str| {
            let hash = name.strip_prefix(meta.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
            hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
        };
        object.namespace == meta.namespace
            && match (workload.kind.as_str(), object.kind.as_str()) {
                ("Deployment", "ReplicaSet") => set(&object.name),
                (kind, other) => kind == other && object.name == meta.name,
            }
    };
    let recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    let events = snap.events.items().unwrap_or_default().iter();
    let failed = events.filter(|e| e.reason == "FailedCreate").filter(is_own).filter(recent);
    // One refusal may be a race with a deletion; the controllers try again and again.
    failed.filter(|e| e.times() > 1).max_by_key(|e| e.last_seen())
}

/// A Deployment says so in its conditions as well.
pub(crate) fn condition(workload: &Workload) -> Option<&str> {
    let failure = workload.status.conditions.iter().find(|c| c.kind == "ReplicaFailure" && c.status == "True")?;
    failure.message.as_deref()
}

/// What is said of a workload of which pods are refused now.
pub(crate) fn said<'a>(snap: &'a Snapshot, workload: &'a Workload) -> Option<&'a str> {
    // A Deployment whose pods are not refused any more says so, while the event stays for an hour.
    if workload.kind == "Deployment" && !workload.status.conditions.is_empty() {
        return condition(workload);
    }
    event(snap, workload).map(|e| e.message.as_str())
}

/// Nobody refused it: what the API server asks before it makes a pod took too long.
pub(crate) fn is_slow(message: &str) -> bool {
    message.contains("request did not complete within requested timeout")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    #[test]
    fn a_deployment_says_so_itself() {
        let snap =
            snapshot(json!({"events": [{"reason": "FailedCreate", "message": "Error creating: Timeout", "count": 9,
            "lastTimestamp": "2026-11-21T01:59:00Z",
            "involvedObject": {"kind": "DaemonSet", "namespace": "kube-system", "name": "agent"}}]}));
        let of = |kind: &str, conditions: serde_json::Value| {
            let made = json!({"metadata": {"namespace": "kube-system", "name": "agent"}, "status": {"conditions": conditions}});
            let made: Workload = serde_json::from_value(made).expect("a workload");
            let made = Workload { kind: kind.into(), ..made };
            said(&snap, &made).map(str::to_owned)
        };
        let refused = json!([{"type": "ReplicaFailure", "status": "True", "message": "Timeout: request did not complete within requested timeout"}]);
        assert!(of("Deployment", refused).is_some_and(|m| is_slow(&m)));
        assert_eq!(of("Deployment", json!([{"type": "Available", "status": "True"}])), None);
        assert_eq!(of("DaemonSet", json!([])).as_deref(), Some("Error creating: Timeout"));
        assert_eq!(of("StatefulSet", json!([])), None);
    }
}
