//! Snapshots for tests.

pub(crate) mod grafana;
pub(crate) mod workload;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::snapshot::kubernetes::Workload;
use crate::snapshot::monitoring::ScrapeTarget;
use crate::snapshot::{Component, Listing, Platform, Scope, Snapshot};

fn read<T: DeserializeOwned>(value: &Value, name: &str) -> Listing<T> {
    let items = value.get(name).cloned().unwrap_or_else(|| json!([]));
    Listing::cluster(serde_json::from_value(items).expect("is a list of such objects"))
}

/// A cluster with Prometheus in namespace monitoring, and these objects. Everything was read.
pub(crate) fn snapshot(objects: Value) -> Snapshot {
    let mut snap = Snapshot::empty("2026-11-21T02:00:00Z".parse().expect("is a time"));
    snap.platform = Platform::Eks;
    snap.scope = Scope {
        discovered: true,
        named: false,
        gaps: Vec::new(),
        stack: vec!["monitoring".into()],
        scraped: BTreeSet::new(),
        parts: BTreeSet::new(),
        guests: BTreeSet::new(),
        all: BTreeSet::new(),
        prometheus: Some(Component {
            namespace: "monitoring".into(),
            service: "prometheus".into(),
            port: 9090,
            scheme: "http",
            prefix: String::new(),
        }),
        alertmanager: None,
        grafana: None,
        given: std::collections::BTreeMap::new(),
    };
    snap.services = read(&objects, "services");
    snap.pods = read(&objects, "pods");
    snap.config_maps = read(&objects, "config_maps");
    snap.endpoint_slices = read(&objects, "endpoint_slices");
    snap.events = read(&objects, "events");
    snap.network_policies = read(&objects, "network_policies");
    snap.namespaces = read(&objects, "namespaces");
    snap.workloads = read::<Workload>(&objects, "workloads").map(|mut w| {
        w.kind = "Deployment".into();
        w
    });
    *snap.prometheus_targets =
        Ok(serde_json::from_value(objects.get("targets").cloned().unwrap_or_else(|| json!([]))).expect("are targets"));
    snap
}

/// A target.
pub(crate) fn target(value: Value) -> ScrapeTarget {
    serde_json::from_value(value).expect("is a target")
}

/// A target of a job that is down.
pub(crate) fn down(job: &str, url: &str, error: &str) -> Value {
    json!({
        "scrapePool": job, "scrapeUrl": url, "health": "down", "lastError": error, "scrapeInterval": "15s",
        "scrapeTimeout": "10s", "lastScrapeDuration": 0.01
    })
}

/// A target of a job that is up.
pub(crate) fn up(job: &str, url: &str) -> Value {
    json!({"scrapePool": job, "scrapeUrl": url, "health": "up"})
}

/// The error of a name that does not resolve.
pub(crate) fn no_such_host(url: &str, host: &str) -> String {
    format!("Get \"{url}\": dial tcp: lookup {host} on 172.20.0.10:53: no such host")
}

/// A Service that selects `app=<name>`.
pub(crate) fn service(namespace: &str, name: &str, ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports.iter().map(|p| json!({"port": p, "targetPort": p})).collect();
    json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": "172.20.0.9", "selector": {"app": name}, "ports": ports}
    })
}

/// A Deployment with one replica, mounting a ConfigMap.
pub(crate) fn workload(namespace: &str, name: &str, labels: Value, config_map: Option<&str>) -> Value {
    let volumes: Vec<Value> = config_map.iter().map(|c| json!({"name": "config", "configMap": {"name": c}})).collect();
    json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080}]}], "volumes": volumes}
            }
        }
    })
}

/// A ConfigMap with a prometheus.yml.
pub(crate) fn config_map(namespace: &str, name: &str, text: &str) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "data": {"prometheus.yml": text}})
}

/// A pod of a Deployment with label `app`, an hour old.
pub(crate) fn pod(namespace: &str, app: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({
        "metadata": {
            "namespace": namespace, "name": format!("{app}-5d9-abcde"), "creationTimestamp": "2026-11-21T01:00:00Z",
            "labels": {"app": app, "pod-template-hash": "5d9"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{app}-5d9"), "controller": true}]
        },
        "spec": {
            "nodeName": "node-1", "serviceAccountName": app,
            "containers": [{"name": app, "ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}}]
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": status}],
            "containerStatuses": [{"name": app, "ready": ready, "restartCount": 0, "state": {"running": {}}}]
        }
    })
}

/// The EndpointSlice of a Service with so many ready and unready addresses.
pub(crate) fn slice(namespace: &str, service: &str, ready: usize, unready: usize) -> Value {
    let endpoint = |ready: bool| json!({"addresses": ["10.0.0.7"], "conditions": {"ready": ready}});
    let endpoints: Vec<Value> =
        (0..ready).map(|_| endpoint(true)).chain((0..unready).map(|_| endpoint(false))).collect();
    json!({
        "metadata": {"namespace": namespace, "name": format!("{service}-x"), "labels": {"kubernetes.io/service-name": service}},
        "endpoints": endpoints, "ports": [{"port": 8080}]
    })
}
