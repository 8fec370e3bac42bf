use serde_json::json;

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::monitoring::ContainerLog;

fn with(part: &str, line: &str) -> Snapshot {
    let mut snap = snapshot(json!({"pods": [{
        "metadata": {"namespace": "monitoring", "name": "thanos-compact-0", "ownerReferences": [{"kind": "StatefulSet", "name": "thanos-compact", "controller": true}]},
        "spec": {"serviceAccountName": "thanos", "containers": [{"name": "thanos", "image": "quay.io/thanos/thanos:v0.35.0", "args": [part, "--objstore.config=$(OBJSTORE_CONFIG)"]}]},
        "status": {"phase": "Running"}
    }]}));
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "thanos-compact-0".into(),
        container: "thanos".into(),
        image: "quay.io/thanos/thanos:v0.35.0".into(),
        text: line.repeat(2).into(),
        ..ContainerLog::default()
    }]);
    snap
}

#[test]
fn each_trouble_has_a_fix() {
    let line = |msg: &str| format!("ts=2026-11-21T01:58:00Z level=error msg=\"{msg}\"\n");
    assert!(findings(&Thanos, &with("compact", &line("context canceled"))).is_empty());
    for (said, variant) in [
        (
            "critical error detected; halting: overlaps found while gathering blocks <ulid: 01EN2K69JMEZPBFBKKSN85P3XC>",
            "overlap",
        ),
        ("critical error detected; halting: out-of-order chunks", "halted"),
        ("upload: Access Denied.", "denied"),
        ("NoCredentialProviders: no valid providers", "credentials"),
        ("NoSuchBucket", "bucket"),
        (
            "WebIdentityErr: failed to retrieve credentials: failed to unmarshal error message, status code: 405",
            "bucket",
        ),
        (
            "upload s3 object: the region 'us-east-1' is wrong; expecting 'eu-west-1': AuthorizationHeaderMalformed",
            "bucket",
        ),
        ("https://b.s3.eu-west-1.amazonaws.com: i/o timeout", "store"),
        ("write /data/x: no space left on device", "disk-full"),
    ] {
        let found = findings(&Thanos, &with("compact", &line(said)));
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{said}");
    }
}

#[test]
fn an_overlapping_block_is_marked_with_the_containers_own_store() {
    let line = "ts=2026-11-21T01:58:00Z level=error msg=\"critical error detected; halting\" err=\"overlaps found <ulid: 01EN2K69JMEZPBFBKKSN85P3XC>\"\n";
    let found = findings(&Thanos, &with("compact", line));
    let steps = steps(&found[0]);
    assert!(steps.contains("--objstore.config=\"$OBJSTORE_CONFIG\" --id=01EN2K69JMEZPBFBKKSN85P3XC"), "{steps}");
}

#[test]
fn a_receiver_without_a_file_is_its_own_only_member() {
    let line = "ts=2026-11-21T01:58:00Z level=error msg=\"internal server error\" err=\"insufficient nodes; have 1, want 2\"\n";
    let steps = steps(&findings(&Thanos, &with("receive", &line.repeat(2)))[0]);
    assert!(steps.contains("1 receiver runs, with factor 1 and no hashring file"), "{steps}");
    assert!(!steps.contains("kubectl get configmaps"), "{steps}");
}

/// It reads the file at its start only, whoever holds it.
#[test]
fn a_corrected_store_is_read_at_the_next_start() {
    let line = "ts=2026-11-21T01:58:00Z level=error msg=\"upload s3 object: the region 'us-east-1' is wrong; expecting 'eu-west-1': AuthorizationHeaderMalformed\"\n";
    let steps = steps(&findings(&Thanos, &with("compact", line))[0]);
    assert!(steps.contains("kubectl rollout restart") && steps.contains("get-bucket-location"), "{steps}");
}
