//! Snapshots for tests.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::snapshot::kubernetes::{Event, Node, Pod, Workload};
use crate::snapshot::{Listing, Platform, Scope, Snapshot};

/// The clock of these tests.
pub(crate) const NOW: &str = "2026-11-21T12:00:00Z";

/// A stack in `monitoring` with one node, nothing else.
pub(crate) fn snapshot(pods: Value) -> Snapshot {
    let mut snap = Snapshot::empty(NOW.parse::<Timestamp>().expect("a time"));
    snap.platform = Platform::Other;
    snap.scope = Scope { stack: vec!["monitoring".into()], discovered: true, ..Scope::default() };
    snap.pods = Listing::cluster(serde_json::from_value::<Vec<Pod>>(pods).expect("pods"));
    let node = json!([{"metadata": {"name": "node-a", "labels": {"kubernetes.io/arch": "arm64"}},
        "status": {"allocatable": {"memory": "8Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}}]);
    snap.nodes = Listing::cluster(serde_json::from_value::<Vec<Node>>(node).expect("nodes"));
    snap.workloads = Listing::cluster(vec![deployment("prom")]);
    snap.events = Listing::cluster(Vec::new());
    snap
}

/// A Deployment of the stack.
pub(crate) fn deployment(name: &str) -> Workload {
    let value = json!({"metadata": {"name": name, "namespace": "monitoring"}, "spec": {"replicas": 1}});
    Workload { kind: "Deployment".into(), ..serde_json::from_value(value).expect("a workload") }
}

/// A pod of Deployment `prom` with one container `prometheus` and this status of it.
pub(crate) fn pod(status: Value) -> Value {
    json!({
        "metadata": {"name": "prom-6d5f9c7b8-x2x2x", "namespace": "monitoring", "uid": "u1",
            "creationTimestamp": "2026-11-21T10:00:00Z", "labels": {"pod-template-hash": "6d5f9c7b8"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "prom-6d5f9c7b8", "controller": true}]},
        "spec": {"nodeName": "node-a", "containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0",
            "resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}}]},
        "status": {"phase": "Running", "containerStatuses": [status]}
    })
}

/// An event about the pod of [`pod`].
pub(crate) fn event(reason: &str, message: &str) -> Event {
    let value = json!({"metadata": {"name": "e", "namespace": "monitoring"}, "type": "Warning", "reason": reason,
        "message": message, "lastTimestamp": "2026-11-21T11:58:00Z",
        "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "prom-6d5f9c7b8-x2x2x", "uid": "u1"}});
    serde_json::from_value(value).expect("an event")
}
