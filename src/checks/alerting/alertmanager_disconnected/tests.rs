//! Tests of the check.

use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{service, slice, snapshot};
use crate::model::{Finding, Program, Severity};
use crate::snapshot::kubernetes::MonitoringResource;
use crate::snapshot::monitoring::{
    AlertmanagerUrl, ContainerLog, DiscoveredAlertmanagers, FiringAlert, PrometheusRuntime,
};
use crate::snapshot::{Component, Snapshot};

const AM: &str = "http://alertmanager.monitoring.svc:9093/api/v2/alerts";

fn pod(program: &str, args: &[&str]) -> Value {
    json!({
        "metadata": {"namespace": "monitoring", "name": format!("{program}-0"), "labels": {"app": program},
            "ownerReferences": [{"kind": "StatefulSet", "name": program, "controller": true}]},
        "spec": {"containers": [{"name": program, "image": format!("quay.io/prometheus/{program}:v3.5.0"), "args": args}]},
        "status": {"phase": "Running", "podIP": "10.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]}
    })
}

/// A stack with one Alertmanager, an alert that fires, and this log of Prometheus.
fn with(log: &str, active: &[&str]) -> Snapshot {
    let mut snap = snapshot(json!({
        "pods": [pod("prometheus", &[]), pod("alertmanager", &["--web.route-prefix=/am"])],
        "services": [service("monitoring", "alertmanager", &[9093]), service("monitoring", "prometheus", &[9090])],
        "endpoint_slices": [slice("monitoring", "alertmanager", 1, 0)],
    }));
    snap.scope.alertmanager = Some(Component {
        namespace: "monitoring".into(),
        service: "alertmanager".into(),
        port: 9093,
        scheme: "http",
        prefix: String::new(),
    });
    *snap.component_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "prometheus-0".into(),
        container: "prometheus".into(),
        program: Some(Program::Prometheus),
        text: log.into(),
        ..ContainerLog::default()
    }]);
    let urls = |all: &[&str]| all.iter().map(|u| AlertmanagerUrl { url: (*u).to_owned() }).collect();
    *snap.prometheus_alertmanagers =
        Ok(DiscoveredAlertmanagers { active_alertmanagers: urls(active), dropped_alertmanagers: Vec::new() });
    let alert: FiringAlert = serde_json::from_value(
        json!({"state": "firing", "labels": {"alertname": "NodeDown", "severity": "critical", "team": "a"}}),
    )
    .expect("an alert");
    *snap.prometheus_alerts = Ok(vec![alert]);
    snap
}

fn error(url: &str, err: &str) -> String {
    format!(
        "time=2026-11-21T01:59:30Z level=ERROR msg=\"Error sending alerts\" component=notifier alertmanager={url} count=2 err=\"{err}\"\n"
    )
}

fn one(snap: &Snapshot) -> Finding {
    let mut found = findings(&AlertmanagerDisconnected, snap);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The last error is of an hour ago; what Alertmanager has says whether it is over.
#[test]
fn alerts_that_never_arrived_are_not_over() {
    let mut snap = with("level=INFO msg=\"Server is ready\"", &[AM]);
    let alert = |since: &str| -> FiringAlert {
        serde_json::from_value(json!({"state": "firing", "activeAt": since, "labels": {"alertname": "NodeDown"}}))
            .expect("an alert")
    };
    *snap.prometheus_config = Ok("alerting:\n  alertmanagers: []\n".into());
    *snap.prometheus_alerts = Ok(vec![alert("2026-11-21T01:30:00Z")]);
    assert!(findings(&AlertmanagerDisconnected, &snap).is_empty(), "what Alertmanager has is not known");
    *snap.alertmanager_alerts = Ok(Vec::new());
    let found = one(&snap);
    assert_eq!((found.variant, found.severity), ("missing", Severity::Warning));
    assert!(found.message.contains("NodeDown"), "{}", found.message);
    *snap.prometheus_alerts = Ok(vec![alert("2026-11-21T01:58:00Z")]);
    assert!(findings(&AlertmanagerDisconnected, &snap).is_empty(), "it may be on its way");
    *snap.prometheus_alerts = Ok(vec![alert("2026-11-21T01:30:00Z")]);
    let held = json!([{"receiver": {"name": "a"}, "alerts": [{"labels": {"alertname": "NodeDown"}}]}]);
    *snap.alertmanager_alerts = Ok(serde_json::from_value(held).expect("groups"));
    assert!(findings(&AlertmanagerDisconnected, &snap).is_empty(), "it arrived");
}

#[test]
fn a_stack_that_delivers_is_quiet() {
    assert!(findings(&AlertmanagerDisconnected, &with("level=INFO msg=\"Server is ready\"", &[AM])).is_empty());
    let over = error(AM, "bad response status 503 Service Unavailable").replace("01:59", "01:20");
    assert!(findings(&AlertmanagerDisconnected, &with(&over, &[AM])).is_empty());
}

#[test]
fn without_rules_nobody_needs_an_alertmanager() {
    let mut snap = with("", &[]);
    *snap.prometheus_alerts = Ok(Vec::new());
    *snap.prometheus_rules = Ok(Vec::new());
    assert!(findings(&AlertmanagerDisconnected, &snap).is_empty());
}

#[test]
fn a_server_that_just_started_may_still_look_for_them() {
    let mut snap = with("", &[]);
    let start_time = Some("2026-11-21T01:59:00Z".parse().expect("a time"));
    *snap.prometheus_runtime = Ok(PrometheusRuntime { start_time, ..PrometheusRuntime::default() });
    assert!(findings(&AlertmanagerDisconnected, &snap).is_empty());
}

#[test]
fn what_was_not_seen_is_not_healthy() {
    let mut snap = with("", &[AM]);
    *snap.prometheus_alertmanagers = Err(crate::snapshot::not_collected(crate::model::Fact::PrometheusAlertmanagers));
    assert!(AlertmanagerDisconnected.diagnose(&snap).is_err());
}

#[test]
fn each_answer_has_its_own_fix() {
    for (err, variant, words) in [
        ("bad response status 404 Not Found", "path", "its API lies under /am, and / is asked"),
        ("bad response status 410 Gone", "api-version", "no API v1"),
        ("bad response status 403 Forbidden", "credential", "403"),
        ("bad response status 503 Service Unavailable", "server", "not available"),
        ("Post \\\"http://x\\\": x509: certificate signed by unknown authority", "authority", "authority"),
        ("Post \\\"http://x\\\": x509: certificate has expired or is not yet valid: …", "expired", "expired"),
        ("Post \\\"http://x\\\": dial tcp: lookup am on 10.0.0.2:53: no such host", "name", "does not resolve"),
        ("Post \\\"http://x\\\": dial tcp 10.0.0.9:9093: connect: connection refused", "unreachable", "refused"),
        ("Post \\\"http://x\\\": context deadline exceeded", "unreachable", "timeout"),
    ] {
        let found = one(&with(&error(AM, err), &[AM]));
        assert_eq!((found.variant, found.severity), (variant, Severity::Error), "{err}");
        assert!(found.message.contains(words) && found.message.contains("NodeDown"), "{}", found.message);
    }
}

/// Where the path is right, another path is no fix.
#[test]
fn a_path_that_is_right_is_not_changed() {
    let url = "http://alertmanager.monitoring.svc:9093/am/api/v2/alerts";
    let found = one(&with(&error(url, "bad response status 404 Not Found"), &[url]));
    assert_eq!(found.variant, "another", "{}", found.message);
    assert!(found.message.contains("something else answers there"), "{}", found.message);
    let outside = "http://am.example.com/api/v2/alerts";
    let found = one(&with(&error(outside, "bad response status 404 Not Found"), &[outside]));
    assert!(found.variant == "path" && steps(&found).contains("<prefix>"), "{}", steps(&found));
}

#[test]
fn one_of_two_is_a_warning() {
    let other = "http://10.0.0.77:9093/api/v2/alerts";
    let refused = error(other, "Post \\\"http://x\\\": dial tcp 10.0.0.77:9093: connect: connection refused");
    let found = one(&with(&refused, &[AM, other]));
    assert_eq!((found.severity, found.variant), (Severity::Warning, "stale"));
    assert!(found.message.contains("the other Alertmanager still gets the alerts"), "{}", found.message);
}

#[test]
fn a_port_that_the_service_lacks_is_named() {
    let url = "http://alertmanager.monitoring.svc:9999/api/v2/alerts";
    let found = one(&with(&error(url, "Post \\\"http://x\\\": dial tcp: connect: connection refused"), &[url]));
    assert!(found.message.contains("no port 9999") && steps(&found).contains("9093"), "{}", steps(&found));
}

#[test]
fn none_known_names_the_configuration_and_what_fires() {
    let mut snap = with("", &[]);
    *snap.prometheus_config = Ok("scrape_configs: []\n".into());
    let found = one(&snap);
    assert_eq!((found.variant, found.severity), ("not-configured", Severity::Error));
    assert!(steps(&found).contains("alertmanager.monitoring.svc:9093"), "{}", steps(&found));
    *snap.prometheus_config =
        Ok("alerting:\n  alertmanagers:\n    - kubernetes_sd_configs: [{role: endpoints}]\n".into());
    assert_eq!(one(&snap).variant, "not-found");
}

#[test]
fn relabelling_that_drops_all_alerts_is_named_and_one_that_drops_some_is_not() {
    let config = |value: &str| {
        format!(
            "global:\n  external_labels: {{env: test}}\nalerting:\n  alert_relabel_configs:\n    - {{source_labels: [{value}], action: drop}}\n"
        )
    };
    let mut snap = with("", &[AM]);
    *snap.prometheus_config = Ok(config("env], regex: [test").replace("regex: [test]", "regex: test"));
    assert_eq!(one(&snap).variant, "alert-relabel");
    *snap.prometheus_config = Ok(config("team], regex: [b").replace("regex: [b]", "regex: b"));
    assert!(findings(&AlertmanagerDisconnected, &snap).is_empty());
}

/// Discovery of a whole namespace always leaves out what is not Alertmanager.
#[test]
fn what_discovery_leaves_out_blames_relabelling_only_where_it_is_a_ready_alertmanager() {
    let with_pods = |ready: &str| {
        let mut snap = with("", &[]);
        let mut alertmanager = pod("alertmanager", &[]);
        alertmanager["status"]["podIP"] = json!("10.0.0.7");
        alertmanager["status"]["conditions"][0]["status"] = json!(ready);
        let pods = json!([pod("prometheus", &[]), alertmanager]);
        snap.pods = crate::snapshot::Listing::cluster(serde_json::from_value(pods).expect("pods"));
        *snap.prometheus_config =
            Ok("alerting:\n  alertmanagers:\n    - kubernetes_sd_configs: [{role: endpoints}]\n".into());
        snap
    };
    let dropped = |snap: &mut Snapshot, hosts: &[&str]| {
        let url = |host: &&str| AlertmanagerUrl { url: format!("http://{host}/api/v2/alerts") };
        let dropped_alertmanagers = hosts.iter().map(url).collect();
        *snap.prometheus_alertmanagers =
            Ok(DiscoveredAlertmanagers { active_alertmanagers: Vec::new(), dropped_alertmanagers });
    };
    let others = ["10.0.0.9:9090", "10.0.0.21:8080", "10.0.0.22:8443"];
    let mut snap = with_pods("True");
    dropped(&mut snap, &others);
    assert_eq!(one(&snap).variant, "not-found", "the Alertmanager is not among them");
    let mut snap = with_pods("False");
    dropped(&mut snap, &["10.0.0.7:9093", "10.0.0.9:9090"]);
    assert_eq!(one(&snap).variant, "not-found", "nobody wants one that is not ready");
    let mut snap = with_pods("True");
    dropped(&mut snap, &["10.0.0.7:9093", "10.0.0.9:9090", "10.0.0.7:8080"]);
    let found = one(&snap);
    assert_eq!(found.variant, "relabelled");
    assert!(found.message.contains("10.0.0.7:8080") && !found.message.contains("10.0.0.9"), "{}", found.message);
    dropped(&mut snap, &["10.0.0.7:1", "10.0.0.7:2", "10.0.0.7:3", "10.0.0.7:4", "10.0.0.7:5"]);
    assert!(one(&snap).message.contains("and 2 more"), "{}", one(&snap).message);
}

#[test]
fn a_list_that_a_reload_has_emptied_is_given_time() {
    let mut snap = with("", &[]);
    let loaded = |at: &str| {
        let last_config_time = Some(at.parse().expect("a time"));
        Ok(PrometheusRuntime { last_config_time, ..PrometheusRuntime::default() })
    };
    *snap.prometheus_runtime = loaded("2026-11-21T01:59:50Z");
    assert!(findings(&AlertmanagerDisconnected, &snap).is_empty());
    *snap.prometheus_runtime = loaded("2026-11-21T01:59:20Z");
    one(&snap);
}

/// The operator's Alertmanager without pods is what has to be mended, and not the relabelling that the operator writes.
#[test]
fn an_alertmanager_of_the_operator_that_is_switched_off_is_named() {
    let mut snap = with("", &[]);
    let mut own = pod("prometheus", &[]);
    own["metadata"]["labels"] = json!({"operator.prometheus.io/name": "k8s", "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/managed-by": "prometheus-operator", "prometheus": "k8s"});
    snap.pods = crate::snapshot::Listing::cluster(serde_json::from_value(json!([own])).expect("pods"));
    let mut front = service("monitoring", "alertmanager", &[9093]);
    front["spec"]["selector"] = json!({"app.kubernetes.io/name": "alertmanager", "alertmanager": "main"});
    snap.services = crate::snapshot::Listing::cluster(serde_json::from_value(json!([front])).expect("Services"));
    let server = |kind: &str, name: &str, spec: Value| {
        let made = json!({"metadata": {"namespace": "monitoring", "name": name}, "spec": spec});
        let made: MonitoringResource = serde_json::from_value(made).expect("a server");
        MonitoringResource { kind: kind.into(), ..made }
    };
    let alerting = json!({"alerting": {"alertmanagers": [{"name": "alertmanager", "port": 9093}]}});
    snap.monitoring_resources = crate::snapshot::Listing::cluster(vec![
        server("Prometheus", "k8s", alerting),
        server("Alertmanager", "main", json!({"replicas": 0})),
    ]);
    *snap.prometheus_alertmanagers = Ok(DiscoveredAlertmanagers {
        active_alertmanagers: Vec::new(),
        dropped_alertmanagers: vec![AlertmanagerUrl { url: "http://10.0.0.9:9090/api/v2/alerts".into() }],
    });
    let found = one(&snap);
    assert_eq!(found.variant, "no-pod", "{}", found.message);
    let alertmanager = snap.monitoring_resources.items().expect("read")[1].reference();
    assert!(found.depends_on.contains(&alertmanager), "{:?}", found.depends_on);
    let steps = steps(&found);
    assert!(steps.contains("kubectl patch alertmanager main -n monitoring --type=merge"), "{steps}");
    assert!(steps.contains("spec.replicas is 0"), "{steps}");
}

/// What Alertmanager says of the alerts that it refuses: its own log has it, for the pod that is asked.
#[test]
fn refused_alerts_are_told_by_alertmanager() {
    let url = "http://10.0.0.9:9093/api/v2/alerts";
    let bad = |minute: &str| {
        format!(
            "time=2026-11-21T01:{minute}:30Z level=ERROR msg=\"Failed to validate alerts\" component=api version=v2 err=\"invalid label set: invalid name \\\"cluster-name\\\"\"\n"
        )
    };
    let mut snap = with(&error(url, "bad response status 400 Bad Request"), &[url]);
    let own = json!({
        "metadata": {"namespace": "monitoring", "name": "alertmanager-0"},
        "spec": {"containers": [{"name": "alertmanager", "image": "quay.io/prometheus/alertmanager:v0.26.0"}]},
        "status": {"podIP": "10.0.0.9", "phase": "Running"}
    });
    snap.pods = crate::snapshot::Listing::cluster(serde_json::from_value(json!([own])).expect("pods"));
    let told = |snap: &mut Snapshot, text: String| {
        let mut logs = snap.component_logs.as_ref().expect("logs").clone();
        logs.retain(|l| l.program == Some(Program::Prometheus));
        logs.push(ContainerLog {
            namespace: "monitoring".into(),
            pod: "alertmanager-0".into(),
            container: "alertmanager".into(),
            program: Some(Program::Alertmanager),
            text: text.into(),
            ..ContainerLog::default()
        });
        *snap.component_logs = Ok(logs);
    };
    told(&mut snap, bad("59"));
    let found = one(&snap);
    assert_eq!((found.variant, found.severity), ("refused", Severity::Warning), "{}", found.message);
    assert!(found.message.contains("cluster-name") && !found.message.contains("nobody is told"), "{}", found.message);
    *snap.prometheus_config = Ok("global:\n  external_labels: {cluster-name: a}\n".into());
    let found = one(&snap);
    assert_eq!((found.variant, found.severity), ("refused", Severity::Error), "{}", found.message);
    told(&mut snap, bad("20"));
    assert_eq!(one(&snap).variant, "server", "what it said before is not why it refuses now");
}
