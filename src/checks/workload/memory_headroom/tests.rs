use serde_json::json;

use super::*;
use crate::checks::support::testing::applicable as findings;
use crate::domain::testing::workload::{pod, snapshot};
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::PodMetrics;

fn with_use(memory: &str, last_state: serde_json::Value) -> Snapshot {
    let status = json!({"name": "prometheus", "ready": true, "state": {"running": {}}, "lastState": last_state});
    let mut snap = snapshot(json!([pod(status)]));
    let used = json!([{"metadata": {"name": "prom-6d5f9c7b8-x2x2x", "namespace": "monitoring"},
        "containers": [{"name": "prometheus", "usage": {"memory": memory}}]}]);
    snap.pod_metrics = Listing::cluster(serde_json::from_value::<Vec<PodMetrics>>(used).expect("metrics"));
    snap
}

#[test]
fn warns_above_eighty_per_cent_of_the_limit() {
    assert!(findings(&MemoryHeadroom, &with_use("819Mi", json!({}))).is_empty());
    let found = findings(&MemoryHeadroom, &with_use("900Mi", json!({})));
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("900Mi of its memory limit of 1Gi (87 %"), "{}", found[0].message);
    assert_eq!(found[0].params.values()["limit"], "1536Mi");
}

#[test]
fn leaves_alone_what_has_no_limit_or_was_just_killed() {
    let killed = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-21T11:50:00Z"}});
    assert!(findings(&MemoryHeadroom, &with_use("900Mi", killed)).is_empty());
    let mut snap = with_use("900Mi", json!({}));
    let mut pods = snap.pods().expect("pods").to_vec();
    pods[0].spec.containers[0].resources.limits.clear();
    snap.pods = Listing::cluster(pods);
    assert!(findings(&MemoryHeadroom, &snap).is_empty());
}

#[test]
fn a_limit_whose_use_is_not_known_is_not_called_healthy() {
    let mut snap = with_use("900Mi", json!({}));
    snap.pod_metrics = Listing::default();
    assert!(MemoryHeadroom.diagnose(&snap).is_err());
}
