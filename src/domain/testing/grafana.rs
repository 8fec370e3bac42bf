//! Snapshots for tests.

use serde_json::{Value, json};

use super as scrape;
use crate::snapshot::{Component, Snapshot};

/// A cluster with Prometheus and Grafana in namespace monitoring, and these objects. Everything was read.
pub(crate) fn snapshot(objects: Value) -> Snapshot {
    let mut snap = scrape::snapshot(objects);
    snap.scope.stack = vec!["monitoring".into(), "tools".into()];
    snap.scope.grafana = Some(Component {
        namespace: "monitoring".into(),
        service: "grafana".into(),
        port: 3000,
        scheme: "http",
        prefix: String::new(),
    });
    snap
}

/// A Grafana that mounts ConfigMap grafana-datasources as its datasources and grafana-dashboards as its dashboards.
pub(crate) fn grafana(labels: Value) -> Value {
    json!({
        "metadata": {"namespace": "monitoring", "name": "grafana", "labels": labels},
        "spec": {"replicas": 1, "template": {"metadata": {"labels": {"app": "grafana"}}, "spec": {
            "containers": [{"name": "grafana", "image": "grafana/grafana:11.2.0", "volumeMounts": [
                {"name": "datasources", "mountPath": "/etc/grafana/provisioning/datasources"},
                {"name": "dashboards", "mountPath": "/var/lib/grafana/dashboards"},
            ]}],
            "volumes": [
                {"name": "datasources", "configMap": {"name": "grafana-datasources"}},
                {"name": "dashboards", "configMap": {"name": "grafana-dashboards"}},
            ],
        }}}
    })
}

/// The ConfigMap with these datasources (YAML list items).
pub(crate) fn datasource_map(entries: &str) -> Value {
    json!({
        "metadata": {"namespace": "monitoring", "name": "grafana-datasources"},
        "data": {"datasources.yaml": format!("apiVersion: 1\ndatasources:\n{entries}\n")}
    })
}

/// The ConfigMap with a dashboard.
pub(crate) fn dashboard_map(dashboard: &Value) -> Value {
    json!({
        "metadata": {"namespace": "monitoring", "name": "grafana-dashboards"},
        "data": {"board.json": dashboard.to_string()}
    })
}
