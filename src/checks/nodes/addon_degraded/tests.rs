use serde_json::{Value, json};

use super::AddonDegraded;
use crate::checks::support::testing::{findings, steps};
use crate::domain::aws::{addon, addon_part};
use crate::domain::testing::snapshot;
use crate::model::{Finding, Severity};
use crate::snapshot::kubernetes::Workload;
use crate::snapshot::{Listing, Snapshot};

/// An add-on with a DaemonSet of two pods, of which one is not ready, made at a time.
fn snap(health: Value, made: &str) -> Snapshot {
    let pod = |name: &str, node: &str, ready: bool, made: &str| {
        json!({"metadata": {"name": name, "namespace": "kube-system", "creationTimestamp": made,
                "ownerReferences": [{"kind": "DaemonSet", "name": "ebs-csi-node", "controller": true}]},
            "spec": {"nodeName": node, "containers": [{"name": "ebs-plugin", "image": "aws-ebs-csi-driver:v1"}]},
            "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}})
    };
    let mut snap = snapshot(json!({"pods": [
        pod("ebs-csi-node-a", "node-a", true, "2026-11-20T02:00:00Z"), pod("ebs-csi-node-b", "node-b", false, made)]}));
    let node = |name: &str| json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    snap.nodes = Listing::cluster(serde_json::from_value(json!([node("node-a"), node("node-b")])).expect("nodes"));
    let set = json!({"kind": "DaemonSet", "metadata": {"name": "ebs-csi-node", "namespace": "kube-system",
        "creationTimestamp": "2026-11-01T02:00:00Z"}, "status": {"desiredNumberScheduled": 2, "numberReady": 1}});
    let mut set: Workload = serde_json::from_value(set).expect("a DaemonSet");
    set.kind = "DaemonSet".into();
    snap.workloads = Listing::cluster(vec![set]);
    let addon = json!([{"addonName": "aws-ebs-csi-driver", "status": "DEGRADED", "addonVersion": "v1.54.0-eksbuild.1",
        "modifiedAt": "2026-11-21T01:57:00Z", "health": {"issues": [health]}}]);
    *snap.eks_addons = Ok(serde_json::from_value(addon).expect("an add-on"));
    *snap.eks_cluster = Ok(serde_json::from_value(json!({"name": "c", "version": "1.34",
        "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c"}))
    .expect("a cluster"));
    snap
}

fn one(snap: &Snapshot) -> Finding {
    let mut all = findings(&AddonDegraded, snap);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn short() -> Value {
    json!({"code": "InsufficientNumberOfReplicas", "message": "it doesn't have the desired number of replicas."})
}

#[test]
fn pods_that_are_on_their_way_are_no_fault() {
    let calm = |snap: &Snapshot| {
        snap.eks_addons.iter().flatten().all(|a| addon::only_counts(a) && addon_part::has_its_pods(snap, a))
    };
    let rolling = snap(short(), "2026-11-21T01:59:40Z");
    let found = one(&rolling);
    assert_eq!((found.severity, found.variant, calm(&rolling)), (Severity::Info, "artefact", true));
    assert!(found.message.contains("are on their way"), "{}", found.message);
    let late = snap(short(), "2026-11-21T01:40:00Z");
    let found = one(&late);
    assert_eq!((found.severity, found.variant, calm(&late)), (Severity::Error, "replicas", false));
}

#[test]
fn an_object_that_is_not_valid_wants_another_version() {
    let said = "DaemonSet.apps \"ebs-csi-node-windows\" is invalid: spec.template.spec.containers[1].livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type";
    let mut snap = snap(json!({"code": "UnsupportedAddonModification", "message": said}), "2026-11-20T02:00:00Z");
    let found = one(&snap);
    let told = steps(&found);
    assert_eq!(found.variant, "objects");
    assert!(told.contains("--addon-version '<version>'"), "{told}");
    assert!(!told.contains("kubectl delete"), "{told}");
    let mut all = snap.workloads.items().expect("workloads").to_vec();
    let mut windows = all[0].clone();
    windows.metadata.name = "ebs-csi-node-windows".into();
    windows.status.desired_number_scheduled = 0;
    windows.status.number_ready = 0;
    all.push(windows);
    snap.workloads = Listing::cluster(all);
    let told = steps(&one(&snap));
    assert!(told.contains("kubectl delete daemonset.apps/ebs-csi-node-windows -n kube-system"), "{told}");
}
