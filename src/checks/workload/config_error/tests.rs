use serde_json::{Value, json};

use super::held::closest;
use super::*;
use crate::checks::support::testing::applicable as findings;
use crate::domain::testing::workload::{event, pod, snapshot};
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::ConfigMap;

fn making(created: &str) -> Value {
    let mut made = pod(json!({"name": "prometheus", "state": {"waiting": {"reason": "ContainerCreating"}}}));
    made["status"]["phase"] = json!("Pending");
    made["metadata"]["creationTimestamp"] = json!(created);
    made["spec"]["volumes"] = json!([{"name": "config", "configMap": {"name": "prom-config"}}]);
    made["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "config", "mountPath": "/etc/prometheus"}]);
    made["spec"]["containers"][0]["args"] = json!(["--config.file=/etc/prometheus/prometheus.yml"]);
    made
}

fn waiting(reason: &str, message: &str) -> Value {
    let mut made = making("2026-11-21T11:00:00Z");
    made["status"]["containerStatuses"][0]["state"] = json!({"waiting": {"reason": reason, "message": message}});
    made
}

fn with_maps(pods: Value, maps: Value) -> Snapshot {
    let mut snap = snapshot(pods);
    snap.config_maps = Listing::cluster(serde_json::from_value::<Vec<ConfigMap>>(maps).expect("ConfigMaps"));
    snap
}

fn map(name: &str, key: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "monitoring"}, "data": {key: "x"}})
}

fn only(snap: &Snapshot) -> Finding {
    let mut all = findings(&ConfigError, snap);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

const MOUNT: &str = r#"MountVolume.SetUp failed for volume "config" : configmap "prom-config" not found"#;

#[test]
fn young_pods_and_what_was_made_since_are_left_alone() {
    let mut snap = snapshot(json!([making("2026-11-21T11:59:30Z")]));
    snap.events = Listing::cluster(vec![event("FailedMount", MOUNT)]);
    assert!(findings(&ConfigError, &snap).is_empty());
    let mut snap = with_maps(json!([making("2026-11-21T11:00:00Z")]), json!([map("prom-config", "prometheus.yml")]));
    snap.events = Listing::cluster(vec![event("FailedMount", MOUNT)]);
    assert!(findings(&ConfigError, &snap).is_empty());
    let cache =
        waiting("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting for the condition");
    assert!(findings(&ConfigError, &snapshot(json!([cache]))).is_empty());
    assert!(findings(&ConfigError, &snapshot(json!([waiting("CrashLoopBackOff", "back-off")]))).is_empty());
}

#[test]
fn without_events_nobody_knows_why_a_pod_is_in_the_making() {
    let mut snap = snapshot(json!([making("2026-11-21T11:00:00Z")]));
    snap.events = Listing::default();
    assert!(ConfigError.diagnose(&snap).is_err());
}

#[test]
fn a_missing_config_map_is_told_by_events_or_by_the_list() {
    let mut snap = snapshot(json!([making("2026-11-21T11:00:00Z")]));
    snap.events = Listing::cluster(vec![event("FailedMount", MOUNT)]);
    let found = only(&snap);
    assert_eq!(found.variant, "config-map");
    assert_eq!(found.params.values()["flags"], json!(["--from-file=prometheus.yml"]));
    let snap = with_maps(json!([making("2026-11-21T11:00:00Z")]), json!([map("other", "x")]));
    assert_eq!(only(&snap).variant, "config-map");
}

#[test]
fn a_near_name_counts_only_if_it_holds_what_is_wanted() {
    let near = with_maps(json!([making("2026-11-21T11:00:00Z")]), json!([map("prom-confg", "prometheus.yml")]));
    let found = only(&near);
    assert_eq!((found.variant, &found.params.values()["near"]), ("config-map-name", &json!("prom-confg")));
    assert!(
        found.params.values()["near_patch"]
            .as_str()
            .is_some_and(|p| p.contains(r#""configMap":{"name":"prom-confg"}"#))
    );
    let without = with_maps(json!([making("2026-11-21T11:00:00Z")]), json!([map("prom-confg", "rules.yml")]));
    assert_eq!(only(&without).variant, "config-map");
}

#[test]
fn a_sub_path_without_its_key_is_told_from_other_mounts() {
    let said = r#"error mounting "/var/lib/kubelet/pods/1/volume-subpaths/config/prometheus/0" to rootfs at "/etc/prometheus/prometheus.yml": not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?"#;
    let mut crashed = waiting("CrashLoopBackOff", "back-off");
    crashed["status"]["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"reason": "StartError", "exitCode": 128, "message": said}});
    crashed["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "config", "mountPath": "/etc/prometheus/prometheus.yml", "subPath": "prometheus.yml"}]);
    let found = only(&with_maps(json!([crashed.clone()]), json!([map("prom-config", "prometheus.yaml")])));
    assert_eq!((found.variant, &found.params.values()["near_key"]), ("config-map-key", &json!("prometheus.yaml")));
    crashed["spec"]["containers"][0]["volumeMounts"] =
        json!([{"name": "config", "mountPath": "/etc/prometheus/prometheus.yml"}]);
    let found = only(&with_maps(json!([crashed]), json!([map("prom-config", "prometheus.yml")])));
    assert_eq!(found.variant, "sub-path", "{}", found.message);
}

#[test]
fn secrets_and_users_are_named() {
    let mut missing = waiting("CreateContainerConfigError", "secret \"login\" not found");
    let from = json!({"secretKeyRef": {"name": "login", "key": "admin-password"}});
    missing["spec"]["containers"][0]["env"] = json!([{"name": "PASSWORD", "valueFrom": from}]);
    let found = only(&snapshot(json!([missing])));
    assert_eq!(found.variant, "secret");
    assert_eq!(found.params.values()["flags"], json!(["--from-file=admin-password"]));
    let root = waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root");
    let found = only(&snapshot(json!([root])));
    assert_eq!(found.variant, "root");
    assert!(found.params.values()["root_patch"].as_str().is_some_and(|p| p.contains("65534")));
}

#[test]
fn names_that_are_near_enough() {
    let all = ["prometheus-server-config", "grafana-dashboards", "alertmanager-config", "kube-root-ca.crt"];
    let near = |name: &str| closest(name, all.into_iter());
    assert_eq!(near("prometheus-config"), Some("prometheus-server-config"));
    assert_eq!(near("alertmanager-cofnig"), Some("alertmanager-config"));
    assert_eq!(near("grafana-datasources"), None);
    assert_eq!(near("config"), None);
}
