//! Pods that wait for their scheduling gates: somebody set them on purpose, and has to take them away.

use super::fix::Fix;
use super::way::Way;
use crate::domain::kubernetes::unschedulable::concerns;
use crate::domain::text::windows::minute;
use crate::model::{CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// Seconds from which on it is worth a line: a queue lets its pods wait for a while.
const LONG: i64 = 600;

/// A line for each pod that has waited for long.
pub(super) fn findings(snap: &Snapshot, id: CheckId) -> Vec<Finding> {
    let all = snap.pods.items().unwrap_or_default().iter();
    all.filter(|p| concerns(snap, p) && snap.age_seconds(&p.metadata) >= LONG && is_gated(p))
        .map(|p| finding(snap, id, p))
        .collect()
}

fn is_gated(pod: &Pod) -> bool {
    pod.condition("PodScheduled").is_some_and(|c| c.status == "False" && c.reason.as_deref() == Some("SchedulingGated"))
}

fn finding(snap: &Snapshot, id: CheckId, pod: &Pod) -> Finding {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    let since = pod.metadata.creation_timestamp.map(|t| format!(" since {}", minute(t)));
    let message = format!(
        "pod {namespace}/{name} waits for its scheduling gates{}: whoever set them has to take them away",
        since.unwrap_or_default()
    );
    let said = pod.condition("PodScheduled").and_then(|c| c.message.clone()).unwrap_or_default();
    let seen = Evidence::new(
        format!("Pod {namespace}/{name}, condition PodScheduled"),
        format!("SchedulingGated: {said}"),
        "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.spec.schedulingGates[*].name}'",
    );
    Finding::new(id, Severity::Info, ResourceRef::pod(namespace, name), message)
        .key("gated")
        .breaks_nothing()
        .evidence(seen.with("namespace", namespace).with("pod", name))
        .fix(Fix::of(snap, &snap.owner_ref(pod), namespace, Way::Gated { pod: name.clone() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    #[test]
    fn only_what_has_waited_for_long_is_a_line() {
        let found = |made: &str, reason: &str| {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": "x"});
            let snap = snapshot(json!({"pods": [{
                "metadata": {"namespace": "monitoring", "name": "gated", "creationTimestamp": made},
                "spec": {"containers": []}, "status": {"phase": "Pending", "conditions": [condition]}}]}));
            findings(&snap, CheckId("pod-pending")).len()
        };
        assert_eq!(found("2026-11-21T01:00:00Z", "SchedulingGated"), 1);
        assert_eq!(found("2026-11-21T01:55:00Z", "SchedulingGated"), 0);
        assert_eq!(found("2026-11-21T01:00:00Z", "Unschedulable"), 0);
    }
}
