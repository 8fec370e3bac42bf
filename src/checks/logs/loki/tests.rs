//! What is said of Loki, Mimir and Tempo.

use serde_json::json;

use super::*;
use crate::checks::support::testing::findings;
use crate::domain::testing::snapshot;
use crate::snapshot::monitoring::ContainerLog;

fn with(err: &str) -> Snapshot {
    with_image("grafana/loki:3.0.0", err)
}

fn with_image(image: &str, err: &str) -> Snapshot {
    let mut snap = snapshot(json!({"pods": [{
        "metadata": {"namespace": "monitoring", "name": "loki-0", "ownerReferences": [{"kind": "StatefulSet", "name": "loki", "controller": true}]},
        "spec": {"serviceAccountName": "loki", "containers": [{"name": "loki", "image": image}]},
        "status": {"phase": "Running"}
    }]}));
    let line =
        format!("level=error ts=2026-11-21T01:58:00Z caller=flush.go:143 msg=\"failed to flush\" err=\"{err}\"\n");
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "loki-0".into(),
        container: "loki".into(),
        image: image.into(),
        text: line.repeat(3).into(),
        ..ContainerLog::default()
    }]);
    snap
}

#[test]
fn each_trouble_has_a_fix() {
    assert!(findings(&Loki, &with("context canceled")).is_empty());
    for (err, variant) in [
        ("AccessDenied: Access Denied", "denied"),
        ("NoSuchBucket: x", "bucket"),
        ("AccessDenied: not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/2", "key"),
        ("error fetching chunks: NoSuchKey: The specified key does not exist", "gone"),
        ("store put chunk: SlowDown: Please reduce your request rate.", "slow"),
        ("no schema config found for time 1795230300", "period"),
        ("unable to read rule dir /rules/fake: open /rules/fake: no such file or directory", "rule-folder"),
        ("no space left on device", "disk-full"),
        ("mkdir /loki: read-only file system", "read-only"),
        ("https://b.s3.eu-west-1.amazonaws.com: i/o timeout", "store"),
        ("at least 1 live replicas required, could only find 0", "ring"),
        ("joining memberlist cluster failed: Failed to resolve loki-memberlist: no such host", "members"),
        ("failed to run compaction", "compactor"),
        ("Code(429) desc = Maximum active stream limit exceeded", "streams"),
        ("Code(429) desc = Ingestion rate limit exceeded for user fake", "rate"),
        ("Code(429) desc = Per stream rate limit exceeded (limit: 3MB/sec) for stream: {app=x}", "stream-rate"),
        ("Code(400) desc = maximum of series (500) reached for a single query", "query-limit"),
        ("Code(429) desc = too many outstanding requests", "queries"),
    ] {
        let found = findings(&Loki, &with(err));
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{err}");
    }
    let mimir =
        "the query exceeded the maximum number of chunks (limit: 2000000 chunks) (err-mimir-max-chunks-per-query)";
    let found = findings(&Loki, &with_image("grafana/mimir:2.12.0", mimir));
    let shown = crate::checks::support::testing::steps(&found[0]);
    assert!(shown.contains("limits:\n  max_fetched_chunks_per_query: 4000000"), "{shown}");
    let of_writes = "per-user series limit of 150000 exceeded (err-mimir-max-series-per-user)";
    assert!(findings(&Loki, &with_image("grafana/mimir:2.12.0", of_writes)).is_empty(), "who sends tells of it");
    let queue = crate::checks::support::testing::steps(&findings(&Loki, &with("too many outstanding requests"))[0]);
    assert!(queue.contains("max_outstanding_requests_per_tenant: 32000"), "not less than Loki 3 has: {queue}");
    let found = findings(&Loki, &with("Code(400) desc = maximum of series (500) reached for a single query"));
    let shown = crate::checks::support::testing::steps(&found[0]);
    assert!(shown.contains("max_query_series: 1000\n") || shown.ends_with("max_query_series: 1000"), "{shown}");
}

/// Many open traces, large ones and many bytes are three things.
#[test]
fn the_limit_that_was_hit_is_told() {
    for (err, words, step) in [
        (
            "LIVE_TRACES_EXCEEDED: max live traces exceeded for tenant t: per-user traces limit (local: 10000 global: 0 actual local: 10000) exceeded",
            "more of them are open at once",
            "trace_idle_period",
        ),
        (
            "TRACE_TOO_LARGE: max size of trace (5000000) exceeded while adding 9 bytes to trace a1 for tenant t",
            "larger than one may be",
            "never ends",
        ),
    ] {
        let found = findings(&Loki, &with_image("grafana/tempo:2.6.0", err));
        assert!(found[0].message.contains(words), "{}", found[0].message);
        let shown = crate::checks::support::testing::steps(&found[0]);
        assert!(shown.contains(step) && !shown.contains("caller="), "{shown}");
    }
}
