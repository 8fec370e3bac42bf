use super::*;
use crate::checks::support::testing::{findings, rendered, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::{Monitor, MonitoringResource};
use serde_json::json;

fn with(log: &str) -> Snapshot {
    let mut snap = snapshot(json!({}));
    let server: MonitoringResource = serde_json::from_value(json!({
        "metadata": {"namespace": "monitoring", "name": "k8s", "creationTimestamp": "2026-11-20T00:00:00Z"}
    }))
    .expect("a resource");
    let monitor: Monitor = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web", "creationTimestamp": "2026-11-20T00:00:00Z"},
        "spec": {"endpoints": [{"port": "a"}, {"port": "b", "bearerTokenFile": "/var/run/t", "tlsConfig": {"caFile": "/ca"}}]}
    }))
    .expect("a monitor");
    snap.monitoring_resources = Listing::cluster(vec![MonitoringResource { kind: "Prometheus".into(), ..server }]);
    snap.monitors = Listing::cluster(vec![Monitor { kind: "ServiceMonitor".into(), ..monitor }]);
    *snap.part_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "op-1".into(),
        container: "prometheus-operator".into(),
        image: "quay.io/prometheus-operator/prometheus-operator:v0.70.0".into(),
        text: log.into(),
        ..ContainerLog::default()
    }]);
    snap
}

const DENIED: &str = r#"level=warn ts=2026-11-21T01:00:00Z msg="skipping servicemonitor" error="it accesses file system via bearer token file which Prometheus specification prohibits" servicemonitor=shop/web namespace=monitoring prometheus=k8s"#;

#[test]
fn a_file_is_replaced_at_the_endpoint_that_names_it() {
    let found = findings(&OperatorRefuses, &with(DENIED));
    assert_eq!(found.len(), 1);
    let text = steps(&found[0]);
    assert!(
        text.contains("/spec/endpoints/1/bearerTokenFile") && text.contains("/spec/endpoints/1/tlsConfig/ca"),
        "{text}"
    );
    assert!(!text.contains("/spec/endpoints/0/"), "{text}");
    assert!(text.contains("name: metrics-token"), "{text}");
}

#[test]
fn an_object_made_again_since_is_another_one() {
    let mut snap = with(DENIED);
    let again = snap.monitors.items().expect("read")[0].clone();
    let mut again = again;
    again.metadata.creation_timestamp = Some("2026-11-21T01:30:00Z".parse().expect("a time"));
    snap.monitors = Listing::cluster(vec![again]);
    assert!(findings(&OperatorRefuses, &snap).is_empty());
}

#[test]
fn without_a_log_nothing_is_said_to_be_well() {
    let mut snap = with("");
    *snap.part_logs = Err(Gap::new("log", crate::model::GapCause::NotCollected, "no"));
    // No operator is among the workloads, so that nobody could have said anything.
    assert!(findings(&OperatorRefuses, &snap).is_empty());
}

/// What is in a Secret is taken out by its key and put back: an edit would show all that the Secret holds.
#[test]
fn a_file_in_a_secret_is_put_back_by_its_key() {
    let said = |kind: &str, text: &str| {
        let server = json!({"metadata": {"namespace": "monitoring", "name": "k8s"},
            "spec": {"additionalScrapeConfigs": {"name": "extra", "key": "jobs.yaml"}}});
        let server: MonitoringResource = serde_json::from_value(server).expect("a resource");
        let server = MonitoringResource { kind: kind.into(), ..server };
        let fix = fix::server(&with(""), &server, text);
        let made = Finding::new(OperatorRefuses::META.id, Severity::Error, server.reference(), text.to_owned());
        let made = rendered(&OperatorRefuses, made.fix(fix));
        (made.variant, steps(&made))
    };
    for (kind, text, variant, secret, key) in [
        ("Prometheus", "additional scrape configs: yaml: line 3: mapping values", "additional", "extra", "jobs.yaml"),
        (
            "Alertmanager",
            "provision alertmanager configuration: bad",
            "alertmanager",
            "alertmanager-k8s",
            "alertmanager.yaml",
        ),
    ] {
        let (found, steps) = said(kind, text);
        assert_eq!(found, variant, "{steps}");
        assert!(steps.contains(&format!("kubectl get secret {secret} -n monitoring -o jsonpath=")), "{steps}");
        assert!(steps.contains(&format!("| base64 -d > {key}")), "{steps}");
        assert!(steps.contains(&format!("kubectl patch secret {secret} -n monitoring --type=merge")), "{steps}");
        assert!(!steps.contains("kubectl edit"), "{steps}");
    }
}

/// Each operator writes the condition: it says what the log says, with the same way out.
#[test]
fn a_configuration_that_the_operator_refuses_is_mended_in_its_secret() {
    let mut snap = with("");
    let server = |made: &str, status: &str| {
        let server = json!({"metadata": {"namespace": "monitoring", "name": "main", "creationTimestamp": made},
            "status": {"conditions": [{"type": "Reconciled", "status": status, "reason": "ReconciliationFailed",
                "message": "provision alertmanager configuration: failed to initialize from secret: bad"}]}});
        let server: MonitoringResource = serde_json::from_value(server).expect("a resource");
        Listing::cluster(vec![MonitoringResource { kind: "Alertmanager".into(), ..server }])
    };
    snap.monitoring_resources = server("2026-11-20T00:00:00Z", "False");
    let found = findings(&OperatorRefuses, &snap);
    assert_eq!((found.len(), found[0].variant), (1, "alertmanager"), "{found:?}");
    let steps = steps(&found[0]);
    assert!(steps.contains("kubectl get secret alertmanager-main -n monitoring"), "{steps}");
    let verify: Vec<&str> = found[0].remediation.verify.iter().map(|s| s.command.as_str()).collect();
    assert!(
        verify[0].starts_with("kubectl wait --for=condition=Reconciled alertmanager/main -n monitoring"),
        "{verify:?}"
    );
    snap.monitoring_resources = server("2026-11-20T00:00:00Z", "True");
    assert!(findings(&OperatorRefuses, &snap).is_empty(), "it is taken");
}

/// What never had a StatefulSet keeps nothing.
#[test]
fn a_server_that_was_never_written_is_told_without_waiting() {
    let server =
        json!({"metadata": {"namespace": "monitoring", "name": "main", "creationTimestamp": "2026-11-21T01:59:00Z"}});
    let server: MonitoringResource = serde_json::from_value(server).expect("a resource");
    let server = MonitoringResource { kind: "Alertmanager".into(), ..server };
    let operator = json!({"metadata": {"namespace": "monitoring", "name": "prometheus-operator"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "prometheus-operator",
            "image": "quay.io/prometheus-operator/prometheus-operator:v0.93.1"}]}}}});
    let snap = snapshot(json!({"workloads": [operator]}));
    assert_eq!(missing_set(&snap, &server, false), None, "it is a minute old");
    assert_eq!(missing_set(&snap, &server, true).as_deref(), Some("alertmanager-main"));
}
