//! Tests of the check.

use serde_json::json;

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// A DaemonSet's pod of an agent that writes this.
fn with(image: &str, log: &str, config: &str) -> Snapshot {
    let mut snap = snapshot(json!({
        "pods": [{
            "metadata": {"namespace": "monitoring", "name": "agent-x1", "ownerReferences": [{"kind": "DaemonSet", "name": "agent", "controller": true}]},
            "spec": {"containers": [{"name": "agent", "image": image, "volumeMounts": [{"name": "c", "mountPath": "/etc/agent"}]}],
                "volumes": [{"name": "c", "configMap": {"name": "agent-config"}}]},
            "status": {"phase": "Running"}
        }],
        "config_maps": [{"metadata": {"namespace": "monitoring", "name": "agent-config"}, "data": {"agent.conf": config}}],
    }));
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "agent-x1".into(),
        container: "agent".into(),
        image: image.into(),
        text: log.into(),
        ..ContainerLog::default()
    }]);
    snap
}

const OUTPUT: &str = "[OUTPUT]\n    Name loki\n    Host loki.monitoring.svc\n    Port 3100\n    Labels job=fluentbit\n";

fn one(snap: &Snapshot) -> Finding {
    let mut found = findings(&LogAgent, snap);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn an_agent_that_delivers_is_quiet() {
    let log = "[2026/11/21 01:52:11] [ warn] [input] tail.0 paused (mem buf overlimit)\n[2026/11/21 01:52:12] [ info] [input] tail.0 resume (mem buf overlimit)\n";
    assert!(findings(&LogAgent, &with("fluent/fluent-bit:3", log, OUTPUT)).is_empty());
}

#[test]
fn streams_that_pods_share_want_labels() {
    let log = "[2026/11/21 01:52:02] [error] [output:loki:loki.0] loki.monitoring.svc:3100, HTTP status=400 Not retrying.\nentry ignored, reason: 'entry too far behind' for stream: {job=\"fluentbit\"},\ntotal ignored: 1 out of 214\n";
    let found = one(&with("fluent/fluent-bit:3", log, OUTPUT));
    assert_eq!((found.variant, found.severity), ("labels", Severity::Warning));
    let told = steps(&found);
    assert!(told.contains("agent-config") && told.contains("pod_name"), "{told}");
    let distinct = log.replace("{job=\"fluentbit\"}", "{job=\"fluentbit\", pod=\"a\"}");
    assert_eq!(one(&with("fluent/fluent-bit:3", &distinct, OUTPUT)).variant, "late");
}

#[test]
fn a_missing_tenant_stops_everything() {
    let log = "level=error ts=2026-11-21T01:58:00Z component=client host=loki:3100 msg=\"final error sending batch\" status=401 tenant= error=\"server returned HTTP status 401 Unauthorized (401): no org id\"\n";
    for (image, word) in [
        ("grafana/promtail:2.9", "tenant_id:"),
        ("grafana/alloy:v1", "tenant_id ="),
        ("fluent/fluent-bit:3", "tenant_id"),
    ] {
        let log = if image.contains("fluent") {
            "[2026/11/21 01:58:02] [error] [output:loki:loki.0] loki:3100, HTTP status=401 Not retrying.\nno org id\n"
        } else {
            log
        };
        let found = one(&with(image, log, OUTPUT));
        assert_eq!((found.variant, found.severity), ("tenant", Severity::Error), "{image}");
        assert!(steps(&found).contains(word), "{image}: {}", steps(&found));
    }
}

#[test]
fn every_reason_has_a_fix() {
    for text in [
        "HTTP status=401 no auth",
        "HTTP status=404",
        "HTTP status=413",
        "HTTP status=429 Ingestion rate limit",
        "HTTP status=502",
        "HTTP status=400 has timestamp too old",
        "HTTP status=400 entry for stream '{job=\"a\"}' has timestamp too new: 2026-11-21 13:48:03 +0000 UTC",
        "HTTP status=400 includes structured metadata, but this feature is disallowed",
        "HTTP status=400 error parsing labels: parse error at line 1, col 50",
        "could not push logs: The client noticed that the server is not Elasticsearch and we do not support this unknown product.",
        "HTTP status=400 entry has 17 label names; limit 15",
        "HTTP status=400 mapper_parsing_exception",
        "HTTP status=403 index read-only",
        "HTTP status=400 unknown parameter [_type]",
        "HTTP status=400 maximum shards open",
        "getaddrinfo(host='loki', err=4): Domain name not found",
        "certificate verify failed",
        "TCP connection failed: loki:3100 (Connection refused)",
        "error writing positions file",
    ] {
        let log = format!("[2026/11/21 01:58:02] [error] [output:loki:loki.0] loki:3100, {text}\n").repeat(3);
        one(&with("fluent/fluent-bit:3", &log, OUTPUT));
    }
}
