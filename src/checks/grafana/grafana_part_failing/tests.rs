use super::fix::prometheus_of;
use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::grafana::{grafana, snapshot};
use crate::model::Program;
use crate::snapshot::monitoring::ContainerLog;
use serde_json::json;

fn with(line: &str) -> Snapshot {
    let mut snap = snapshot(json!({"workloads": [grafana(json!({"app": "grafana"}))]}));
    let at = snap.collected_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let text = format!("{}\n", line.replace("NOW", &at)).repeat(3);
    let log = ContainerLog {
        program: Some(Program::Grafana),
        namespace: "monitoring".into(),
        pod: "grafana-0".into(),
        container: "grafana".into(),
        text: text.into(),
        ..ContainerLog::default()
    };
    *snap.component_logs = Ok(vec![log]);
    snap
}

#[test]
fn each_part_has_its_fix() {
    for (line, variant) in [
        ("logger=secrets t=NOW level=error msg=\"Failed to decrypt secret\" error=\"data key not found\"", "secrets"),
        (
            "logger=authn.service t=NOW level=warn msg=\"Failed to authenticate request\" client=auth.client.azuread error=\"oauth2: invalid_client\"",
            "login-client",
        ),
        (
            "logger=rendering t=NOW level=error msg=\"Could not render\" error=\"Get \\\"http://r:8081/render\\\": EOF\"",
            "rendering",
        ),
        (
            "logger=plugins t=NOW level=error msg=\"Plugin validation failed\" pluginId=a-b error=\"plugin 'a-b' has no signature\"",
            "signature",
        ),
    ] {
        let found = findings(&GrafanaPartFailing, &with(line));
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), [variant], "{line}");
        assert!(!steps(&found[0]).is_empty());
    }
    assert!(findings(&GrafanaPartFailing, &with("logger=x t=NOW level=error msg=y")).is_empty());
    // That of a datasource is not Grafana's own.
    let of_source =
        "logger=tsdb.postgres t=NOW level=error msg=\"Query error\" error=\"pq: sorry, too many clients already\"";
    assert!(findings(&GrafanaPartFailing, &with(of_source)).is_empty());
}

#[test]
fn a_data_key_that_is_not_there_is_no_matter_of_the_secret_key() {
    let told = |error: &str| {
        let line = format!("logger=secrets t=NOW level=error msg=\"Failed to decrypt secret\" error=\"{error}\"");
        let found = findings(&GrafanaPartFailing, &with(&line));
        format!("{} {}", found[0].message, steps(&found[0]))
    };
    let gone = told("data key not found");
    assert!(gone.contains("not in that database") && !gone.contains("rollout restart"), "{gone}");
    let other = told("cipher: message authentication failed");
    assert!(other.contains("another secret_key") && other.contains("rollout restart"), "{other}");
}

#[test]
fn an_address_that_nothing_knows_is_not_offered() {
    let url = |root: &str| {
        let line = format!(
            "logger=live t=NOW level=warn msg=\"Request Origin is not authorized\" requestOrigin=https://graphs.corp appUrl={root}"
        );
        steps(&findings(&GrafanaPartFailing, &with(&line))[0])
    };
    let unset = url("http://localhost:3000/");
    assert!(unset.contains("root_url: \"https://graphs.corp/\""), "{unset}");
    let other = url("https://grafana.corp/");
    assert!(other.contains("root_url: \"<url>\""), "{other}");
}

#[test]
fn a_database_that_was_not_seen_may_be_a_common_one() {
    let line = "logger=authn.service t=NOW level=warn msg=\"Failed to authenticate request\" client=auth.client.session error=\"user token not found\"";
    let of = |field: &str, value: serde_json::Value| {
        let mut deployment = grafana(json!({"app": "grafana"}));
        deployment["spec"]["template"]["spec"]["containers"][0][field] = value;
        let template = deployment["spec"]["template"]["spec"].clone();
        let pods = ["grafana-5d4f8c7b9-abcde", "grafana-5d4f8c7b9-fghij"].map(|name| {
            let owner = json!([{"kind": "ReplicaSet", "name": "grafana-5d4f8c7b9", "controller": true}]);
            let labels = json!({"app": "grafana", "pod-template-hash": "5d4f8c7b9"});
            json!({"metadata": {"namespace": "monitoring", "name": name, "labels": labels, "ownerReferences": owner},
                "spec": template, "status": {"phase": "Running"}})
        });
        let mut snap = with(line);
        let objects = snapshot(json!({"workloads": [deployment], "pods": pods}));
        (snap.workloads, snap.pods) = (objects.workloads, objects.pods);
        findings(&GrafanaPartFailing, &snap).len()
    };
    assert_eq!(of("env", json!([])), 1);
    assert_eq!(of("env", json!([{"name": "GF_DATABASE_URL", "value": "mysql://u:p@db/grafana"}])), 0);
    assert_eq!(of("envFrom", json!([{"secretRef": {"name": "grafana-database"}}])), 0);
}

#[test]
fn plugins_that_are_allowed_stay_so_and_a_changed_one_is_not_allowed() {
    let line = |why: &str| {
        format!(
            "logger=plugins t=NOW level=error msg=\"Plugin validation failed\" pluginId=a-b error=\"plugin 'a-b' {why}\""
        )
    };
    let mut deployment = grafana(json!({"app": "grafana"}));
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS", "value": "c-d, e-f"}]);
    let steps_of = |why: &str| {
        let mut snap = with(&line(why));
        snap.workloads = snapshot(json!({"workloads": [deployment.clone()]})).workloads;
        steps(&findings(&GrafanaPartFailing, &snap)[0])
    };
    assert!(steps_of("has no signature").contains("UNSIGNED_PLUGINS=c-d,e-f,a-b"), "{}", steps_of("has no signature"));
    assert!(!steps_of("has modified signature").contains("set env"));
}

#[test]
fn the_prometheus_that_is_asked_is_the_one_that_gets_more_time() {
    let owner = json!([{"kind": "ReplicaSet", "name": "second-5d4f8c7b9", "controller": true}]);
    let labels = json!({"app": "second", "pod-template-hash": "5d4f8c7b9"});
    let objects = |by: serde_json::Value| {
        snapshot(json!({
            "services": [{"metadata": {"namespace": "monitoring", "name": "second"}, "spec": {"selector": {"app": "second"}}}],
            "pods": [{"metadata": {"namespace": "monitoring", "name": "second-5d4f8c7b9-abcde", "labels": labels, "ownerReferences": owner},
                "status": {"phase": "Running"}}],
            "workloads": [{"metadata": {"namespace": "monitoring", "name": "second", "ownerReferences": by}}]}))
    };
    let of = |by: serde_json::Value| {
        let snap = objects(by);
        let service = &snap.services.items().expect("they were read")[0];
        prometheus_of(&snap, service).map(|(namespace, name)| format!("{namespace}/{name}"))
    };
    let by = |kind: &str| json!([{"kind": kind, "name": "second", "controller": true}]);
    assert_eq!(of(by("Prometheus")).as_deref(), Some("monitoring/second"));
    assert_eq!(of(by("ThanosRuler")), None);
    assert_eq!(of(json!([])), None);
}
