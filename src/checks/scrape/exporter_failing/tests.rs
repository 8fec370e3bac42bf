use super::fix::{login, selinux};
use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::monitoring::ContainerLog;
use serde_json::json;

fn with(image: &str, line: &str) -> Snapshot {
    let mut snap = snapshot(json!({"pods": [{
        "metadata": {"namespace": "monitoring", "name": "pg-0", "ownerReferences": [{"kind": "StatefulSet", "name": "pg", "controller": true}]},
        "spec": {"containers": [{"name": "exporter", "image": image, "env": [
            {"name": "DATA_SOURCE_PASS", "valueFrom": {"secretKeyRef": {"name": "pg-login", "key": "password"}}}]}]},
        "status": {"phase": "Running"}
    }]}));
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "pg-0".into(),
        container: "exporter".into(),
        image: image.into(),
        text: format!("{line}\n").repeat(3).into(),
        ..ContainerLog::default()
    }]);
    snap
}

#[test]
fn collectors_of_the_node_that_rules_read_are_told_and_others_are_not() {
    let image = "quay.io/prometheus/node-exporter:v1.9.1";
    let line = |name: &str| {
        format!(
            "level=ERROR source=collector.go:168 msg=\"collector failed\" name={name} duration_seconds=0.0005 err=\"open /host/proc/1/mounts: permission denied\""
        )
    };
    let found = findings(&ExporterFailing, &with(image, &line("filesystem")));
    assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["collector"]);
    assert!(found[0].message.contains("collector filesystem of node-exporter gives nothing"), "{}", found[0].message);
    let interface = line("netclass")
        .replace("/host/proc/1/mounts: permission denied", "/host/sys/class/net/eni1/mtu: no such file or directory");
    for harmless in [line("rapl"), line("pressure"), interface] {
        let other = ExporterFailing.diagnose(&with(image, &harmless));
        assert!(matches!(other, Ok(Diagnosis::NotApplicable(_))), "{harmless}");
    }
    assert_eq!((selinux("Bottlerocket OS 1.40.0"), selinux("Amazon Linux 2023.6")), ("super_t", ""));
}

#[test]
fn values_of_statsd_that_contradict_each_other_are_told() {
    let line = r#"ts=2026-11-21T02:49:05.1Z caller=exporter.go:138 level=info msg="Failed to update metric" metric=dag_processing error="a metric with name dag_processing is already registered""#;
    let found = findings(&ExporterFailing, &with("prom/statsd-exporter:v0.26.1", line));
    assert!(found[0].message.contains("values of metric dag_processing"), "{}", found[0].message);
    assert!(findings(&ExporterFailing, &with("prom/redis-exporter:v1", line)).is_empty());
}

#[test]
fn a_login_that_is_refused_names_the_secret() {
    let image = "quay.io/prometheuscommunity/postgres-exporter:v0.16.0";
    let line = r#"level=error msg="error scraping dsn" err="Error opening connection to database (postgresql://exporter:PASSWORD_REMOVED@db.example:5432/postgres): pq: password authentication failed for user \"exporter\"""#;
    let found = findings(&ExporterFailing, &with(image, line));
    assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["login"]);
    assert!(
        found[0].message.contains("db.example:5432 does not accept the login of user exporter"),
        "{}",
        found[0].message
    );
    assert!(steps(&found[0]).contains("pg-login"), "{}", steps(&found[0]));
    assert!(findings(&ExporterFailing, &with(image, "level=info msg=\"Listening on\" address=:9187")).is_empty());
    let other = ExporterFailing.diagnose(&with("grafana/grafana:11", line));
    assert!(matches!(other, Ok(Diagnosis::NotApplicable(_))), "no exporter");
}

/// A push replaces its own group before it is compared with the others.
#[test]
fn a_push_that_is_refused_is_not_helped_by_deleting_its_own_group() {
    let line = r#"time=2026-11-21T02:49:05.1Z level=ERROR source=push.go:133 msg="pushed metrics are invalid or inconsistent with existing metrics" method=PUT err="collected metric \"took_seconds\" { label:{name:\"job\" value:\"backup\"} counter:{value:12}} should be a Gauge""#;
    let found = findings(&ExporterFailing, &with("prom/pushgateway:v1.11.0", line));
    assert!(found[0].message.contains("another group holds it as Gauge"), "{}", found[0].message);
    let text = steps(&found[0]);
    assert!(text.contains(r#"select(has("took_seconds"))"#) && !text.contains("/metrics/job/backup"), "{text}");
}

#[test]
fn the_password_goes_to_its_own_key_alone() {
    let of = |env: serde_json::Value| {
        let container = serde_json::from_value(json!({"name": "exporter", "image": "x", "env": env}));
        login(&container.expect("a container"))
    };
    let from = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "pg", "key": key}}});
    let found = |key: &str, whole: bool| Some(("pg".to_owned(), key.to_owned(), whole));
    let user = from("DATA_SOURCE_USER", "username");
    assert_eq!(of(json!([user, from("DATA_SOURCE_PASS", "password")])), found("password", false));
    assert_eq!(of(json!([user, from("DATA_SOURCE_URI", "uri")])), None);
    assert_eq!(of(json!([from("DATA_SOURCE_NAME", "dsn")])), found("dsn", true));
    assert_eq!(of(json!([from("MONGODB_URI", "uri")])), found("uri", true));
}

#[test]
fn a_text_file_that_does_not_parse_is_named() {
    let line = r#"time=2026-11-21T02:49:05.1Z level=ERROR source=textfile.go:248 msg="failed to collect textfile data" collector=textfile file=backup.prom err="failed to parse textfile data from \"/textfile/backup.prom\": text format parsing error in line 4: second TYPE line for metric name \"backup_ok\", or TYPE reported after samples""#;
    let mut snap = with("quay.io/prometheus/node-exporter:v1.9.1", line);
    let found = findings(&ExporterFailing, &snap);
    assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["textfile"]);
    assert!(found[0].message.contains("its text file backup.prom: failed to parse"), "{}", found[0].message);
    assert!(!steps(&found[0]).contains("kubectl debug"), "where it lies is not known");
    let pods = json!([{
        "metadata": {"namespace": "monitoring", "name": "pg-0"},
        "spec": {
            "nodeName": "node-a",
            "containers": [{
                "name": "exporter", "image": "quay.io/prometheus/node-exporter:v1.9.1",
                "args": ["--collector.textfile.directory=/textfile/all"],
                "volumeMounts": [{"name": "text", "mountPath": "/textfile"}]
            }],
            "volumes": [{"name": "text", "hostPath": {"path": "/var/lib/metrics/"}}]
        },
        "status": {"phase": "Running"}
    }]);
    snap.pods = crate::snapshot::Listing::cluster(serde_json::from_value(pods).expect("pods"));
    let shown = steps(&findings(&ExporterFailing, &snap)[0]);
    assert!(shown.contains("debug node/node-a") && shown.contains("/host/var/lib/metrics/all/backup.prom"), "{shown}");
}
