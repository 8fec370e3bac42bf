use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::workload::{pod, snapshot};
use crate::snapshot::Listing;

const LOW: &str = "The node was low on resource: ephemeral-storage. Threshold quantity: 2139512454, available: 1993624Ki. Container prometheus was using 10711684Ki, request is 0, has larger consumption of ephemeral-storage. ";

fn evicted(message: &str, started: &str) -> Value {
    let mut made = pod(json!({"name": "prometheus"}));
    made["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": message, "startTime": started});
    made["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    made["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/prometheus"}]);
    made
}

fn with(pods: Value, pressure: &str, ready: u32) -> Snapshot {
    let mut snap = snapshot(pods);
    let node = json!([{"metadata": {"name": "node-a"}, "status": {"conditions": [
        {"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": pressure, "message": "kubelet says so"}]}}]);
    snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
    let mut workload = snap.workloads.items().expect("workloads")[0].clone();
    workload.status.ready_replicas = ready;
    snap.workloads = Listing::cluster(vec![workload]);
    snap
}

#[test]
fn pods_that_were_evicted_once_and_replaced_are_history() {
    let old = evicted(LOW, "2026-11-01T10:00:00Z");
    assert_eq!(findings(&NodePressure, &with(json!([old]), "False", 1)), []);
    let recent = evicted(LOW, "2026-11-21T11:40:00Z");
    assert_eq!(findings(&NodePressure, &with(json!([recent]), "False", 1)), []);
    assert_eq!(findings(&NodePressure, &with(json!([]), "False", 1)), []);
}

#[test]
fn an_empty_dir_without_limit_that_filled_the_node_is_named() {
    let found = findings(&NodePressure, &with(json!([evicted(LOW, "2026-11-21T11:40:00Z")]), "True", 0));
    assert_eq!((found.len(), found[0].variant, found[0].severity), (1, "tsdb", Severity::Error));
    let message = &found[0].message;
    assert!(message.contains("container prometheus used 10.2Gi of the node's disk, with emptyDir data"), "{message}");
    let broken: Vec<String> = found[0].broken().iter().map(ToString::to_string).collect();
    assert!(broken.contains(&"Node node-a".to_owned()), "{broken:?}");
    let text = steps(&found[0]);
    assert!(text.contains("persistentVolumeClaim") && text.contains("retention.size"), "{text}");
    assert!(!text.contains("kubectl debug"), "the kubelet rejects it under disk pressure: {text}");
    assert!(text.contains("the condition ends by itself"), "nothing of it runs there any more: {text}");
    assert!(!text.contains("aws ssm"), "an instance that is not known is not asked: {text}");
}

#[test]
fn whoever_used_nothing_did_not_fill_the_disk() {
    let mut agent = pod(json!({"name": "agent"}));
    agent["spec"]["volumes"] = json!([{"name": "state", "hostPath": {"path": "/var/fluent-bit/state"}}, {"name": "run", "hostPath": {"path": "/run"}}]);
    agent["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "state", "mountPath": "/state"}, {"name": "run", "mountPath": "/run"}]);
    let mut idle = evicted(&LOW.replace("10711684Ki", "24Ki"), "2026-11-21T11:40:00Z");
    // What lies in an emptyDir is not counted in what the kubelet says.
    let found = findings(&NodePressure, &with(json!([idle]), "True", 0));
    assert_eq!((found.len(), found[0].variant), (1, "tsdb"));
    assert!(found[0].message.contains("used 24Ki beside what its emptyDir data holds"), "{}", found[0].message);
    idle["spec"]["volumes"] = json!([]);
    idle["spec"]["containers"][0]["volumeMounts"] = json!([]);
    let found = findings(&NodePressure, &with(json!([idle, agent]), "True", 0));
    assert_eq!((found.len(), found[0].variant), (1, "others"));
    assert!(found[0].message.ends_with("something else fills the disk"), "{}", found[0].message);
    let text = steps(&found[0]);
    assert!(!text.contains("persistentVolumeClaim") && !text.contains("ends by itself"), "{text}");
    let seen = found[0].evidence.iter().map(|e| e.value.as_str()).collect::<Vec<_>>().join(" ");
    assert!(seen.contains("/var/fluent-bit/state") && !seen.contains(": /run"), "{seen}");
}

#[test]
fn room_that_was_found_since_is_no_alarm() {
    let of = |changed: &str| {
        let mut snap = with(json!([]), "False", 1);
        let mut nodes = snap.nodes.items().expect("nodes").to_vec();
        for condition in &mut nodes[0].status.conditions {
            condition.last_transition_time = Some(changed.parse().expect("a time"));
        }
        snap.nodes = Listing::cluster(nodes);
        snap.events = Listing::cluster(
            serde_json::from_value(
                json!([{"metadata": {"name": "e", "namespace": "default"}, "type": "Warning", "count": 7,
                "reason": "FreeDiskSpaceFailed", "message": "but only found 0 bytes eligible to free.",
                "involvedObject": {"kind": "Node", "name": "node-a"}, "lastTimestamp": "2026-11-21T11:40:00Z"}]),
            )
            .expect("events"),
        );
        findings(&NodePressure, &snap).len()
    };
    assert_eq!((of("2026-11-21T11:30:00Z"), of("2026-11-21T11:45:00Z")), (1, 0));
}

#[test]
fn a_limit_lies_below_what_filled_the_node() {
    let mut pod = evicted(&LOW.replace("prometheus", "app"), "2026-11-21T11:40:00Z");
    pod["spec"]["containers"][0]["name"] = json!("app");
    pod["spec"]["containers"][0]["image"] = json!("shop/cache:1");
    let found = findings(&NodePressure, &with(json!([pod]), "True", 0));
    assert_eq!(found[0].variant, "empty-dir");
    let text = steps(&found[0]);
    assert!(text.contains("\"sizeLimit\":\"7Gi\""), "10.2Gi filled it: {text}");
}

#[test]
fn the_volume_is_as_large_as_what_is_to_be_kept() {
    let mut pod = evicted(LOW, "2026-11-10T11:40:00Z");
    pod["spec"]["containers"][0]["args"] = json!(["--storage.tsdb.retention.time=33d"]);
    pod["status"]["conditions"] =
        json!([{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-11-21T11:40:00Z"}]);
    let text = steps(&findings(&NodePressure, &with(json!([pod]), "True", 0))[0]);
    assert!(text.contains("46Gi") && text.contains("33 days"), "10.2Gi in 11 days: {text}");
}

#[test]
fn images_are_not_removed_where_the_kubelet_found_none() {
    let late = evicted("Pod The node had condition: [DiskPressure]. ", "2026-11-21T11:40:00Z");
    let mut snap = with(json!([late]), "True", 0);
    let mut nodes = snap.nodes.items().expect("nodes").to_vec();
    nodes[0].spec.provider_id = Some("aws:///eu-west-1a/i-0a1".into());
    snap.nodes = Listing::cluster(nodes);
    let text = steps(&findings(&NodePressure, &snap)[0]);
    assert!(text.contains("--instance-ids i-0a1") && text.contains("nerdctl -n k8s.io image prune"), "{text}");
    snap.events = Listing::cluster(
        serde_json::from_value(json!([{"metadata": {"name": "e", "namespace": "default"}, "type": "Warning",
            "reason": "FreeDiskSpaceFailed", "message": "but only found 0 bytes eligible to free.",
            "involvedObject": {"kind": "Node", "name": "node-a"}, "lastTimestamp": "2026-11-21T11:40:00Z"}]))
        .expect("events"),
    );
    let text = steps(&findings(&NodePressure, &snap)[0]);
    assert!(!text.contains("aws ssm") && text.contains("kubectl drain node-a"), "{text}");
}

#[test]
fn a_pod_that_came_to_a_full_node_did_not_fill_it() {
    let late = evicted("Pod The node had condition: [DiskPressure]. ", "2026-11-21T11:40:00Z");
    let found = findings(&NodePressure, &with(json!([late]), "True", 0));
    assert_eq!((found.len(), found[0].variant), (1, "node-disk"));
    assert!(found[0].message.starts_with("node node-a runs short of disk space"), "{}", found[0].message);
}

#[test]
fn a_limit_that_was_exceeded_is_told_from_a_full_node() {
    let limit = evicted("Usage of EmptyDir volume \"data\" exceeds the limit \"1Gi\". ", "2026-11-21T11:40:00Z");
    let found = findings(&NodePressure, &with(json!([limit]), "False", 0));
    assert_eq!((found.len(), found[0].variant), (1, "tsdb"));
    assert!(found[0].message.contains("more than its sizeLimit of 1Gi"), "{}", found[0].message);
}
