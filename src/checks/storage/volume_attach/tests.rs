use super::*;
use crate::snapshot::Listing;
use serde_json::json;

/// Two pods of a Deployment on two nodes that share a claim; the old one is deleted so that it ends at `ends`.
fn handover(ends: Option<&str>, old_node_ready: &str) -> Vec<Finding> {
    let mut snap = Snapshot::empty("2026-11-21T12:00:00Z".parse().expect("a time"));
    snap.scope.stack = vec!["monitoring".into()];
    let pod = |name: &str, node: &str, phase: &str| {
        json!({"metadata": {"namespace": "monitoring", "name": name, "uid": name, "creationTimestamp": "2026-11-21T11:50:00Z"},
            "spec": {"nodeName": node, "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
            "status": {"phase": phase}})
    };
    let mut old = pod("old", "node-a", "Running");
    old["metadata"]["deletionTimestamp"] = json!(ends);
    let node = |name: &str, ready: &str| {
        json!({"metadata": {"name": name}, "spec": {"providerID": format!("aws:///eu-west-1a/i-{name}")},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    };
    let event = json!({"metadata": {"namespace": "monitoring", "name": "e"}, "reason": "FailedAttachVolume", "type": "Warning",
        "message": "Multi-Attach error for volume \"data\" Volume is already used by pod(s) old",
        "lastTimestamp": "2026-11-21T11:55:00Z",
        "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "new", "uid": "new"}});
    let pods = json!([old, pod("new", "node-b", "Pending")]);
    snap.pods = Listing::cluster(serde_json::from_value(pods).expect("pods"));
    snap.nodes = Listing::cluster(
        serde_json::from_value(json!([node("node-a", old_node_ready), node("node-b", "True")])).expect("nodes"),
    );
    snap.events = Listing::cluster(serde_json::from_value(json!([event])).expect("events"));
    snap.persistent_volume_claims = Listing::cluster(Vec::new());
    snap.persistent_volumes = Listing::cluster(Vec::new());
    snap.volume_attachments = Listing::cluster(Vec::new());
    match VolumeAttach.diagnose(&snap).expect("can be told") {
        Diagnosis::Findings(found) => found,
        Diagnosis::NotApplicable(why) => panic!("{why}"),
    }
}

#[test]
fn a_volume_that_is_being_handed_over_is_no_fault() {
    let of = |ends, ready| {
        let found = handover(ends, ready);
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].severity, found[0].variant)
    };
    assert_eq!(of(Some("2026-11-21T12:03:00Z"), "True"), (Severity::Info, "ending"));
    assert_eq!(of(Some("2026-11-21T11:50:00Z"), "True"), (Severity::Error, "ending"));
    assert_eq!(of(Some("2026-11-21T12:03:00Z"), "Unknown"), (Severity::Error, "dead-node"));
    assert_eq!(of(None, "True"), (Severity::Error, "shared"));
    let dead = handover(Some("2026-11-21T11:50:00Z"), "Unknown");
    assert!(dead[0].depends_on.contains(&ResourceRef::node("node-a")), "{:?}", dead[0].depends_on);
}
