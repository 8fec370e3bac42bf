use super::*;
use crate::snapshot::Scope;
use crate::snapshot::monitoring::ContainerLog;
use serde_json::{Value, json};

const BACK_OFF: &str = r#"{"waiting": {"reason": "CrashLoopBackOff"}}"#;

fn snapshot(status: Value, log: &str) -> Snapshot {
    let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
    snap.scope = Scope { stack: vec!["monitoring".into()], discovered: true, ..Scope::default() };
    let pod = json!({
        "metadata": {"name": "prometheus-0", "namespace": "monitoring", "creationTimestamp": "2026-11-21T01:00:00Z",
            "ownerReferences": [{"kind": "StatefulSet", "name": "prometheus", "controller": true}]},
        "spec": {"containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0", "args": ["--storage.tsdb.retention.size=10Gi"],
            "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}]}],
            "volumes": [{"name": "config", "configMap": {"name": "conf"}}]},
        "status": {"phase": "Running", "containerStatuses": [status]}});
    snap.pods = crate::snapshot::Listing::cluster(vec![serde_json::from_value(pod).expect("is a pod")]);
    let text = "scrape_configs:\n  - job_name: a\n    metric_path: /x\n";
    let map = json!({"metadata": {"name": "conf", "namespace": "monitoring"}, "data": {"prometheus.yml": text}});
    snap.config_maps = crate::snapshot::Listing::cluster(vec![serde_json::from_value(map).expect("is a ConfigMap")]);
    *snap.crash_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "prometheus-0".into(),
        container: "prometheus".into(),
        previous: true,
        text: log.into(),
        ..ContainerLog::default()
    }]);
    snap
}

fn status(state: &str, restarts: u32, ready: bool, exit: i32, reason: &str, finished: &str) -> Value {
    json!({"name": "prometheus", "ready": ready, "restartCount": restarts,
        "state": serde_json::from_str::<Value>(state).expect("is JSON"),
        "lastState": {"terminated": {"exitCode": exit, "reason": reason, "finishedAt": finished}}})
}

fn found(snap: &Snapshot) -> Vec<Finding> {
    match CrashLoop.diagnose(snap) {
        Ok(Diagnosis::Findings(found)) => found,
        other => panic!("{other:?}"),
    }
}

const NOW: &str = "2026-11-21T02:59:00Z";
const RUNNING: &str = r#"{"running": {"startedAt": "2026-11-21T02:59:30Z"}}"#;

#[test]
fn quiet_where_it_is_well_or_another_check_s_matter() {
    for (what, status) in [
        ("restarted long ago", status(RUNNING, 4, true, 2, "Error", "2026-11-20T02:00:00Z")),
        ("restarted once just now", status(RUNNING, 1, true, 2, "Error", NOW)),
        ("out of memory", status(BACK_OFF, 4, false, 137, "OOMKilled", NOW)),
        ("no image", status(r#"{"waiting": {"reason": "ImagePullBackOff"}}"#, 1, false, 2, "Error", NOW)),
        ("never restarted", status(RUNNING, 0, false, 2, "Error", NOW)),
        ("slow to become ready", status(RUNNING, 1, false, 0, "Completed", NOW)),
    ] {
        assert_eq!(found(&snapshot(status, "")), [], "{what}");
    }
}

#[test]
fn names_the_place_the_config_map_and_what_was_meant() {
    let log = r#"level=error msg="Error loading config (--config.file=/etc/prometheus/prometheus.yml)" file=/etc/prometheus/prometheus.yml err="parsing YAML file /etc/prometheus/prometheus.yml: yaml: unmarshal errors:\n  line 3: field metric_path not found in type config.ScrapeConfig""#;
    let snap = snapshot(status(BACK_OFF, 7, false, 2, "Error", NOW), log);
    let all = found(&snap);
    assert_eq!(
        all[0].message,
        "Prometheus exits with code 2 (7 restarts): /etc/prometheus/prometheus.yml line 3: field metric_path not found (metrics_path?)"
    );
    assert_eq!(all[0].depends_on, [ResourceRef::config_map("monitoring", "conf")]);
    assert_eq!(all[0].variant, "config");
    let values = all[0].params.values();
    assert_eq!((values["new_key"].as_str(), values["new_value"].as_str()), (Some("metrics_path"), Some("/x")));
    assert!(all[0].broken().contains(&ResourceRef::pod("monitoring", "prometheus-0")));
}

#[test]
fn what_an_operator_makes_is_edited_at_its_resource() {
    let log = r#"level=error msg="Error loading config" file=/etc/prometheus/prometheus.yml err="parsing YAML file /etc/prometheus/prometheus.yml: yaml: unmarshal errors:\n  line 3: field metric_path not found in type config.ScrapeConfig""#;
    let mut snap = snapshot(status(BACK_OFF, 7, false, 2, "Error", NOW), log);
    let steps = |snap: &Snapshot| {
        crate::checks::support::testing::steps(&crate::checks::support::testing::findings(&CrashLoop, snap)[0])
    };
    assert!(steps(&snap).contains("kubectl edit configmap conf"), "{}", steps(&snap));
    let owner = json!([{"kind": "LokiStack", "name": "logging", "controller": true}]);
    let map = json!({"metadata": {"name": "conf", "namespace": "monitoring", "ownerReferences": owner},
        "data": {"prometheus.yml": "scrape_configs:\n  - job_name: a\n    metric_path: /x\n"}});
    snap.config_maps = crate::snapshot::Listing::cluster(vec![serde_json::from_value(map).expect("is a ConfigMap")]);
    let told = steps(&snap);
    assert!(told.contains("kubectl edit lokistack logging -n monitoring"), "{told}");
    assert!(!told.contains("edit configmap") && told.contains("An operator makes the ConfigMap"), "{told}");
}

#[test]
fn a_file_that_was_corrected_since_needs_a_new_pod() {
    let log = r#"level=error msg="Error loading config" file=/etc/prometheus/prometheus.yml err="parsing YAML file /etc/prometheus/prometheus.yml: yaml: unmarshal errors:\n  line 3: field scrape_intervall not found in type config.plain""#;
    let all = found(&snapshot(status(BACK_OFF, 7, false, 2, "Error", NOW), log));
    assert_eq!(all[0].variant, "config-corrected");
}

#[test]
fn a_refused_value_is_traced_to_its_flag() {
    let log = "Error parsing command line arguments: units: unknown unit Gi in 10Gi\nusage: prometheus [<flags>]";
    let all = found(&snapshot(status(BACK_OFF, 7, false, 2, "Error", NOW), log));
    assert!(all[0].message.contains("--storage.tsdb.retention.size=10Gi: unknown unit Gi"), "{}", all[0].message);
    assert_eq!(all[0].params.values()["new_arg"].as_str(), Some("--storage.tsdb.retention.size=10GB"));
}

#[test]
fn without_log_it_is_still_found() {
    let mut snap = snapshot(status(BACK_OFF, 7, false, 1, "Error", NOW), "");
    *snap.crash_logs = Err(Gap::new("log", crate::model::GapCause::Unreachable, "no"));
    assert_eq!(found(&snap)[0].variant, "other");
}

/// Without the file's flag it would start, and let everybody in.
#[test]
fn a_web_configuration_is_not_left_out() {
    let log = r#"level=error msg="Unable to validate web configuration file" err="open /etc/web/web.yml: no such file or directory""#;
    let snap = snapshot(status(BACK_OFF, 7, false, 1, "Error", NOW), log);
    let found = crate::checks::support::testing::findings(&CrashLoop, &snap);
    assert_eq!(found[0].variant, "web-config");
    let steps = crate::checks::support::testing::steps(&found[0]);
    assert!(steps.contains("Leaving the flag out would serve without TLS and without a password"), "{steps}");
}

/// A Deployment whose revision 8 never got ready; so many pods of revision 7 are. By its log, nobody knows why.
fn unknown(log: &str, ready_before: u32) -> Finding {
    let mut snap = snapshot(status(BACK_OFF, 7, false, 1, "Error", NOW), log);
    let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
    let from = json!({"secretKeyRef": {"name": "login", "key": "cookie-secret"}});
    let container = |image: &str| json!({"name": "prometheus", "image": image, "env": [{"name": "PROXY_COOKIE_SECRET", "valueFrom": from}]});
    let meta = |name: &str, at: &str, owner: Value, revision: &str| {
        json!({"name": name, "namespace": "monitoring", "creationTimestamp": at, "ownerReferences": owner,
            "labels": {"pod-template-hash": "new"}, "annotations": {"deployment.kubernetes.io/revision": revision}})
    };
    let pod = json!({"metadata": meta("prometheus-0", "2026-11-21T01:00:00Z", owner("ReplicaSet", "proxy-new"), ""),
        "spec": {"containers": [container("proxy:7")]},
        "status": {"phase": "Running", "containerStatuses": [status(BACK_OFF, 7, false, 1, "Error", NOW)]}});
    snap.pods = crate::snapshot::Listing::cluster(vec![serde_json::from_value(pod).expect("is a pod")]);
    let set = |name: &str, revision: &str, image: &str, at: &str, ready: u32| {
        json!({"metadata": meta(name, at, owner("Deployment", "proxy"), revision),
            "spec": {"template": {"spec": {"containers": [container(image)]}}}, "status": {"readyReplicas": ready}})
    };
    let sets = json!([
        set("proxy-new", "8", "proxy:7", "2026-11-21T01:00:00Z", 0),
        set("proxy-old", "7", "proxy:5", "2026-11-01T01:00:00Z", ready_before)
    ]);
    snap.replica_sets = crate::snapshot::Listing::cluster(serde_json::from_value(sets).expect("are ReplicaSets"));
    let deployment = json!({"metadata": {"name": "proxy", "namespace": "monitoring"}});
    let mut deployment: crate::snapshot::kubernetes::Workload = serde_json::from_value(deployment).expect("a workload");
    deployment.kind = "Deployment".into();
    snap.workloads = crate::snapshot::Listing::cluster(vec![deployment]);
    let mut found = crate::checks::support::testing::findings(&CrashLoop, &snap);
    found.pop().expect("a finding")
}

#[test]
fn nothing_is_made_of_words_that_name_nothing() {
    let found = unknown("it went wrong", 0);
    assert!(found.message.ends_with("its log ends with: it went wrong"), "{}", found.message);
    let steps = crate::checks::support::testing::steps(&found);
    assert!(!["undo", "edit", "patch", "set env"].iter().any(|verb| steps.contains(verb)), "{steps}");
}

#[test]
fn unknown_words_lead_to_what_is_set_and_to_what_was_changed() {
    let found = unknown("cookie_secret must be 16, 24, or 32 bytes, but is 44 bytes", 1);
    for wanted in [
        "it names variable PROXY_COOKIE_SECRET (key cookie-secret of Secret login)",
        "a pod of revision 7 runs; revision 8, made 2026-11-21 01:00 UTC, differs in image of container prometheus proxy:5 → proxy:7",
    ] {
        assert!(found.message.contains(wanted), "{}", found.message);
    }
    let steps = crate::checks::support::testing::steps(&found);
    for wanted in [
        "kubectl rollout undo deployment/proxy -n monitoring",
        "--to-revision=7",
        "kubectl patch secret login -n monitoring",
        "kubectl rollout restart deployment/proxy",
    ] {
        assert!(steps.contains(wanted), "{wanted}\n{steps}");
    }
    assert!(!steps.contains("kubectl set env"), "{steps}");
}

#[test]
fn a_hook_that_fails_is_told_where_the_program_says_nothing() {
    let ended = || status(BACK_OFF, 6, false, 137, "Error", "2026-11-21T02:58:00Z");
    let with = |message: &str, log: &str| {
        let mut snap = snapshot(ended(), log);
        let event = json!({"metadata": {"name": "e", "namespace": "monitoring"}, "type": "Warning", "reason": "FailedPostStartHook",
            "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "prometheus-0"}, "message": message,
            "lastTimestamp": "2026-11-21T02:58:00Z"});
        snap.events = crate::snapshot::Listing::cluster(vec![serde_json::from_value(event).expect("is an event")]);
        found(&snap).iter().map(|f| f.message.clone()).collect::<Vec<_>>()
    };
    let said = r#"Exec lifecycle hook ([sh -c x]) for Container "prometheus" in Pod "p" failed - error: command 'sh -c x' exited with 127: x: not found, message: """#;
    let told = with(said, "level=info msg=started");
    assert!(told[0].contains("its postStart hook fails: command 'sh -c x' exited with 127: x: not found"), "{told:?}");
    assert!(with("PostStartHook failed", "")[0].contains("its postStart hook fails"));
    let other = said.replace("Container \"prometheus\"", "Container \"other\"");
    assert!(!with(&other, "")[0].contains("postStart"), "it is of another container");
}

#[test]
fn of_several_things_none_is_changed_for_what_was_said() {
    let said = "both PROXY_COOKIE_SECRET and PROXY_TOKEN are set: environment variable PROXY_TOKEN must not be set";
    let found = unknown(said, 0);
    let steps = crate::checks::support::testing::steps(&found);
    assert!(steps.contains("kubectl edit deployment/proxy"), "{steps}");
    assert!(!["patch secret", "set env", "rollout restart"].iter().any(|verb| steps.contains(verb)), "{steps}");
}

#[test]
fn a_flag_that_only_a_new_image_does_not_know_has_two_ways() {
    let said = "prometheus: error: unknown long flag '--web.no-such-thing'";
    let found = unknown(said, 1);
    let options: Vec<&str> = found.remediation.options.iter().map(|o| o.title.as_str()).collect();
    assert_eq!(options, ["Correct it", "Go back to the version that knows it"]);
    let steps = crate::checks::support::testing::steps(&found);
    assert!(steps.contains("kubectl rollout undo deployment/proxy -n monitoring --to-revision=7"), "{steps}");
    // Where nobody knows that another one ran, there is one way.
    let found = unknown(said, 0);
    assert!(found.remediation.options.is_empty(), "{:?}", found.remediation.options);
}

/// A container of this name that ends again and again.
fn named(name: &str) -> Value {
    let mut status = status(BACK_OFF, 6, false, 1, "Error", NOW);
    status["name"] = json!(name);
    status
}

/// Parts of one Mimir, by name, and what the log of each says last.
fn parts(of: &[(&str, &str)]) -> Snapshot {
    let mut snap = snapshot(status(BACK_OFF, 6, false, 1, "Error", NOW), "");
    let pod = |name: &str| {
        json!({"metadata": {"name": format!("{name}-0"), "namespace": "monitoring", "creationTimestamp": "2026-11-21T01:00:00Z",
                "labels": {"app.kubernetes.io/instance": "mimir"},
                "ownerReferences": [{"kind": "StatefulSet", "name": name, "controller": true}]},
            "spec": {"containers": [{"name": "mimir", "image": "grafana/mimir:2.16.0"}]},
            "status": {"phase": "Running", "containerStatuses": [named("mimir")]}})
    };
    let pods = of.iter().map(|(name, _)| serde_json::from_value(pod(name)).expect("is a pod")).collect();
    snap.pods = crate::snapshot::Listing::cluster(pods);
    let logs = of.iter().map(|(name, text)| ContainerLog {
        namespace: "monitoring".into(),
        pod: format!("{name}-0"),
        container: "mimir".into(),
        previous: true,
        text: format!("level=error ts=2026-11-21T02:58:00Z caller=mimir.go:992 msg=\"module failed\" module=sanity-check err=\"{text}\"\n").into(),
        ..ContainerLog::default()
    });
    *snap.crash_logs = Ok(logs.collect());
    snap
}

#[test]
fn parts_that_end_for_one_reason_are_one_finding() {
    let bucket = "sanity check failed: object storage: blocks storage: The specified bucket does not exist";
    let same = found(&parts(&[("compactor", bucket), ("ingester", bucket)]));
    assert_eq!(same.len(), 1);
    assert!(same[0].message.ends_with("; so do statefulset/ingester"), "{}", same[0].message);
    let denied = "sanity check failed: object storage: blocks storage: Access Denied";
    assert_eq!(found(&parts(&[("compactor", bucket), ("ingester", denied)])).len(), 2, "each has a reason of its own");
}

#[test]
fn a_provisioning_file_is_traced_to_its_config_map() {
    let said = r#"logger=provisioning t=2026-11-21T02:58:00Z level=error msg="Failed to provision alerting" error="failure to map file alerts.yaml: failure parsing rules: rule 'Blocked' failed to parse: empty duration string""#;
    let mut snap = snapshot(status(BACK_OFF, 6, false, 1, "Error", NOW), said);
    for log in snap.crash_logs.as_mut().expect("logs") {
        log.container = "grafana".into();
    }
    let pod = json!({
        "metadata": {"name": "prometheus-0", "namespace": "monitoring", "creationTimestamp": "2026-11-21T01:00:00Z"},
        "spec": {"containers": [{"name": "grafana", "image": "grafana/grafana:12.1.0", "volumeMounts": [
                {"name": "config", "mountPath": "/etc/grafana/provisioning/alerting/alerts.yaml", "subPath": "alerts.yaml"}]}],
            "volumes": [{"name": "config", "configMap": {"name": "grafana"}}]},
        "status": {"phase": "Running", "containerStatuses": [named("grafana")]}});
    snap.pods = crate::snapshot::Listing::cluster(vec![serde_json::from_value(pod).expect("is a pod")]);
    let map =
        json!({"metadata": {"name": "grafana", "namespace": "monitoring"}, "data": {"alerts.yaml": "apiVersion: 1\n"}});
    snap.config_maps = crate::snapshot::Listing::cluster(vec![serde_json::from_value(map).expect("is a ConfigMap")]);
    let all = crate::checks::support::testing::findings(&CrashLoop, &snap);
    let steps = crate::checks::support::testing::steps(&all[0]);
    assert!(steps.contains("is key alerts.yaml of ConfigMap grafana"), "{steps}");
    assert!(steps.contains("kubectl edit configmap grafana -n monitoring"), "{steps}");
    assert!(!steps.contains("grafana_datasource"), "{steps}");
}
