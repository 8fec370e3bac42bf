use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::applicable as findings;
use crate::domain::testing::workload::{pod, snapshot};
use crate::snapshot::Listing;
use crate::snapshot::monitoring::ContainerMemory;

fn ended(reason: &str, at: &str) -> Value {
    json!({"terminated": {"reason": reason, "exitCode": 137, "finishedAt": at}})
}

fn run(status: Value) -> Vec<Finding> {
    findings(&OomKilled, &snapshot(json!([pod(status)])))
}

#[test]
fn a_sigkill_of_another_kind_is_no_lack_of_memory() {
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let status = json!({"name": "prometheus", "restartCount": 9, "state": waiting, "lastState": ended("Error", "2026-11-21T11:59:00Z")});
    assert!(run(status).is_empty());
}

#[test]
fn exit_137_counts_where_the_working_set_was_at_the_limit() {
    let status = json!({"name": "prometheus", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": ended("Error", "2026-11-21T11:59:00Z")});
    let mut snap = snapshot(json!([pod(status)]));
    let memory = ContainerMemory {
        namespace: "monitoring".into(),
        pod: "prom-6d5f9c7b8-x2x2x".into(),
        container: "prometheus".into(),
        now: None,
        peak: Some(1_073_000_000.0),
    };
    *snap.container_memory = Ok(vec![memory]);
    assert_eq!(findings(&OomKilled, &snap).len(), 1);
}

#[test]
fn old_kills_of_ready_containers_are_at_most_mentioned() {
    let running = json!({"running": {}});
    let status = |restarts: u32, at: &str| json!({"name": "prometheus", "ready": true, "restartCount": restarts, "state": running, "lastState": ended("OOMKilled", at)});
    let severity = |restarts, at| run(status(restarts, at)).first().map(|f| f.severity);
    assert_eq!(severity(1, "2026-11-21T11:30:00Z"), Some(Severity::Error));
    assert_eq!(severity(5, "2026-11-21T02:00:00Z"), Some(Severity::Warning));
    assert_eq!(severity(1, "2026-11-21T02:00:00Z"), Some(Severity::Info));
    assert_eq!(severity(9, "2026-10-01T02:00:00Z"), None);
}

#[test]
fn the_limit_is_doubled_unless_something_was_measured_above_it() {
    let status = json!({"name": "prometheus", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": ended("OOMKilled", "2026-11-21T11:59:00Z")});
    let found = &run(status.clone())[0];
    assert!(found.message.contains("2Gi (twice the limit) fits a node such as node-a"), "{}", found.message);
    assert_eq!(found.params.values()["request"], "2Gi");
    let mut snap = snapshot(json!([pod(status)]));
    let memory = ContainerMemory {
        namespace: "monitoring".into(),
        pod: "prom-6d5f9c7b8-x2x2x".into(),
        container: "prometheus".into(),
        now: None,
        peak: Some(3.0 * 1_073_741_824.0),
    };
    *snap.container_memory = Ok(vec![memory]);
    let found = &findings(&OomKilled, &snap)[0];
    assert_eq!(found.params.values()["limit"], "4Gi", "{}", found.message);
}

#[test]
fn an_evicted_pod_lacks_the_nodes_memory() {
    let mut gone = pod(json!({"name": "prometheus"}));
    let said = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 64404Ki. Container prometheus was using 3543820Ki, request is 1Gi, has larger consumption of memory. ";
    gone["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": said});
    gone["metadata"]["creationTimestamp"] = json!("2026-11-21T11:40:00Z");
    let found = findings(&OomKilled, &snapshot(json!([gone])));
    assert_eq!((found.len(), found[0].variant), (1, "node"));
    assert_eq!(found[0].params.values()["request"], serde_json::Value::Null, "it asks for its limit already");
    gone["metadata"]["creationTimestamp"] = json!("2026-11-20T11:40:00Z");
    assert!(findings(&OomKilled, &snapshot(json!([gone.clone()]))).is_empty());
    gone["metadata"]["creationTimestamp"] = json!("2026-11-21T11:40:00Z");
    gone["status"]["message"] = json!("The node was low on resource: ephemeral-storage.");
    assert!(findings(&OomKilled, &snapshot(json!([gone]))).is_empty());
}

#[test]
fn without_a_limit_it_is_the_node() {
    let mut bare = pod(json!({"name": "prometheus", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": ended("OOMKilled", "2026-11-21T11:59:00Z")}));
    bare["spec"]["containers"][0]["resources"] = json!({});
    let found = findings(&OomKilled, &snapshot(json!([bare])));
    assert_eq!(found[0].variant, "node");
}

#[test]
fn a_limit_that_no_node_can_hold_is_said_so() {
    let status = json!({"name": "prometheus", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": ended("OOMKilled", "2026-11-21T11:59:00Z")});
    let mut large = pod(status);
    large["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "7Gi"}, "requests": {"memory": "7Gi"}});
    let mut snap = snapshot(json!([large]));
    let found = &findings(&OomKilled, &snap)[0];
    assert_eq!(found.variant, "no-room", "{}", found.message);
    snap.nodes = Listing::default();
    assert_eq!(findings(&OomKilled, &snap)[0].variant, "raise");
}
