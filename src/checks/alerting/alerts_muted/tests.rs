//! What must stay quiet first, then what must not.

use serde_json::json;

use super::*;
use crate::checks::support::testing::{self, steps};
use crate::model::Severity;
use crate::pages;
use crate::snapshot::monitoring::{AlertmanagerConfig, AlertmanagerStatus};

const RECEIVERS: &str = "receivers:\n  - name: 'null'\n  - name: slack\n    slack_configs: [{channel: a}]\n";

fn snapshot(route: &str, external: &str, silences: serde_json::Value, alerts: serde_json::Value) -> Snapshot {
    let mut snap = Snapshot::empty("2026-11-21T03:28:36Z".parse().expect("a time"));
    let original = if route.contains("receivers:") { route.to_owned() } else { format!("{route}{RECEIVERS}") };
    let config = AlertmanagerConfig { original };
    *snap.alertmanager_status = Ok(AlertmanagerStatus { config, ..AlertmanagerStatus::default() });
    *snap.prometheus_config = Ok(format!("global:\n  external_labels: {external}\n"));
    *snap.alertmanager_silences = Ok(serde_json::from_value(silences).expect("silences"));
    let groups = alerts.as_array().expect("a list").iter().map(|a| {
        json!({"receiver": {"name": a["to"]}, "alerts": [{"labels": a["labels"], "status": {"state": a["state"].as_str().unwrap_or("active"), "silencedBy": [], "mutedBy": []}}]})
    });
    let groups: Vec<serde_json::Value> = groups.collect();
    *snap.alertmanager_alerts = Ok(serde_json::from_value(json!(groups)).expect("groups"));
    snap
}

fn findings(snap: &Snapshot) -> Vec<(Severity, &'static str, String)> {
    let Diagnosis::Findings(all) = AlertsMuted.diagnose(snap).expect("evaluated") else { panic!("not applicable") };
    all.into_iter()
        .map(|f| {
            pages::fix(&AlertsMuted::META, f.variant, &f.params).expect("renders");
            for evidence in &f.evidence {
                pages::command(evidence.reproduce_template, &evidence.params).expect("renders");
            }
            (f.severity, f.variant, f.message)
        })
        .collect()
}

const TEST_TO_NULL: &str =
    "route:\n  receiver: slack\n  routes:\n    - matchers: [env = test]\n      receiver: 'null'\n";

fn silence(value: &str, regex: bool, name: &str, starts: &str, ends: &str) -> serde_json::Value {
    json!([{"id": "s1", "comment": "c", "createdBy": "ops", "startsAt": starts, "endsAt": ends, "status": {"state": "active"},
        "matchers": [{"name": name, "value": value, "isRegex": regex, "isEqual": true}]}])
}

#[test]
fn what_is_meant_is_left_alone() {
    let watchdog = "route:\n  receiver: slack\n  routes:\n    - matchers: ['alertname =~ \"Watchdog|InfoInhibitor\"']\n      receiver: 'null'\n";
    let firing = json!([{"to": "null", "labels": {"alertname": "Watchdog", "severity": "none"}}]);
    assert_eq!(findings(&snapshot(watchdog, "{env: prod}", json!([]), firing.clone())), []);
    assert_eq!(findings(&snapshot(TEST_TO_NULL, "{env: prod}", json!([]), json!([]))), []);
    // What the chart installs, with nothing but the Watchdog firing.
    let chart = "route:\n  receiver: 'null'\n  routes: [{matchers: ['alertname=\"Watchdog\"'], receiver: 'null'}]\nreceivers: [{name: 'null'}]\n";
    assert_eq!(findings(&snapshot(chart, "{}", json!([]), firing)), []);
    // Short, narrow, or over.
    let plain = "route:\n  receiver: slack\n";
    let quiet = [
        silence("KubeCPUOvercommit", false, "alertname", "2026-11-01T00:00:00Z", "2026-12-24T00:00:00Z"),
        silence("critical", false, "severity", "2026-11-21T03:00:00Z", "2026-11-21T05:00:00Z"),
        silence(".+", true, "alertname", "2026-11-20T03:00:00Z", "2026-11-21T03:00:00Z"),
        silence("dev", false, "namespace", "2026-11-21T03:00:00Z", "2026-12-24T00:00:00Z"),
    ];
    for silence in quiet {
        assert_eq!(findings(&snapshot(plain, "{}", silence.clone(), json!([]))), [], "{silence}");
    }
    let maintenance = silence(".+", true, "alertname", "2026-11-21T03:00:00Z", "2026-11-21T05:00:00Z");
    let found = findings(&snapshot(plain, "{}", maintenance, json!([])));
    assert_eq!((found.len(), found[0].0), (1, Severity::Info));
}

#[test]
fn an_external_label_that_leads_to_nobody() {
    let firing = json!([{"to": "null", "labels": {"alertname": "ApiDown", "severity": "critical", "env": "test"}}]);
    let found = findings(&snapshot(TEST_TO_NULL, "{env: test, cluster: c}", json!([]), firing.clone()));
    assert_eq!((found.len(), found[0].0, found[0].1), (1, Severity::Error, "label-unknown"));
    assert!(found[0].2.contains("env=\"test\"") && found[0].2.contains("ApiDown"), "{found:?}");
    // Where Prometheus cannot be asked, what all firing alerts share tells.
    let mut snap = snapshot(TEST_TO_NULL, "{}", json!([]), firing);
    *snap.prometheus_config = Err(Gap::new("config", crate::model::GapCause::NotCollected, ""));
    assert_eq!(findings(&snap).len(), 1);
}

#[test]
fn a_tree_that_leads_to_nobody() {
    let found = findings(&snapshot("route: {receiver: 'null'}\n", "{}", json!([]), json!([])));
    assert_eq!((found[0].0, found[0].1), (Severity::Warning, "nobody"));
    let empty = "route: {receiver: team}\nreceivers: [{name: team}]\n";
    assert_eq!(findings(&snapshot(empty, "{}", json!([]), json!([])))[0].0, Severity::Warning);
}

#[test]
fn routes_that_all_ask_for_a_namespace() {
    let route = "route:\n  receiver: 'null'\n  routes:\n  - receiver: monitoring/alertmanagerconfig/slack-notifications\n    matchers:\n    - namespace=\"monitoring\"\n    continue: true\nreceivers:\n- name: 'null'\n- name: monitoring/alertmanagerconfig/slack-notifications\n  slack_configs: [{channel: a}]\n";
    let quiet = findings(&snapshot(route, "{}", json!([]), json!([])));
    assert_eq!((quiet.len(), quiet[0].0, quiet[0].1), (1, Severity::Info, "namespace"));
    let firing = json!([{"to": "null", "labels": {"alertname": "InstanceNotReporting", "severity": "critical"}}]);
    let found = findings(&snapshot(route, "{}", json!([]), firing));
    assert_eq!(found[0].0, Severity::Warning);
    assert!(found[0].2.contains("InstanceNotReporting without a namespace label"), "{found:?}");
}

#[test]
fn silences_without_end() {
    let plain = "route:\n  receiver: slack\n";
    for long in [
        silence(".+", true, "alertname", "2026-11-21T03:00:00Z", "2036-01-01T00:00:00Z"),
        silence("prod", false, "env", "2026-11-21T03:00:00Z", "2036-01-01T00:00:00Z"),
        silence("prod", false, "env", "2026-11-19T03:00:00Z", "2026-11-22T00:00:00Z"),
        silence("critical", false, "severity", "2026-11-21T03:00:00Z", "2026-12-24T00:00:00Z"),
    ] {
        let found = findings(&snapshot(plain, "{env: prod}", long, json!([])));
        assert_eq!((found.len(), found[0].0, found[0].1), (1, Severity::Warning, "silence"));
        assert!(found[0].2.contains("s1") && found[0].2.contains("ops"), "{found:?}");
    }
}

#[test]
fn a_rule_that_compares_nothing_mutes_what_it_should_not() {
    let route = |equal: &str| {
        format!(
            "route:\n  receiver: slack\ninhibit_rules:\n  - source_matchers: [severity = critical]\n    target_matchers: [severity = warning]\n{equal}"
        )
    };
    let of = |equal: &str, namespace: &str| {
        let mut snap = snapshot(&route(equal), "{}", json!([]), json!([]));
        let alert = |name: &str, severity: &str, namespace: &str, by: serde_json::Value| {
            json!({"fingerprint": name, "startsAt": "2026-11-01T00:00:00Z", "labels": {"alertname": name, "severity": severity, "namespace": namespace},
                "status": {"state": "active", "silencedBy": [], "mutedBy": [], "inhibitedBy": by}})
        };
        let alerts = [
            alert("NodeDown", "critical", "kube-system", json!([])),
            alert("QueueFull", "warning", namespace, json!(["NodeDown"])),
        ];
        let groups = json!([{"receiver": {"name": "slack"}, "alerts": alerts}]);
        *snap.alertmanager_alerts = Ok(serde_json::from_value(groups).expect("groups"));
        snap
    };
    let with = |equal: &str, namespace: &str| findings(&of(equal, namespace));
    assert_eq!(with("    equal: [namespace]\n", "kube-system"), [], "a rule that compares what both have is meant");
    let found = with("", "shop");
    assert_eq!((found[0].0, found[0].1), (Severity::Warning, "inhibit"));
    assert!(found[0].2.contains("since 2026-11-01"), "{}", found[0].2);
    assert_eq!(with("    equal: [cluster]\n", "shop")[0].0, Severity::Warning, "two missing labels are equal");
    // The rule is told whole: without its matchers it would mute everything.
    let told = steps(&testing::findings(&AlertsMuted, &of("", "shop"))[0]);
    for line in ["source_matchers:", "target_matchers:", "severity=", "- namespace"] {
        assert!(told.contains(line), "{line}: {told}");
    }
}
