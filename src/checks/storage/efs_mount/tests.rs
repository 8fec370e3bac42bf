use serde_json::json;

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::Listing;

fn snap(message: &str) -> Snapshot {
    let mut snap = snapshot(json!({
        "pods": [{"metadata": {"name": "grafana-0", "namespace": "monitoring"},
            "spec": {"nodeName": "n1", "containers": [{"name": "grafana"}],
                "volumes": [{"name": "storage", "persistentVolumeClaim": {"claimName": "grafana"}}]},
            "status": {"phase": "Pending"}}],
        "events": [{"reason": "FailedMount", "message": message, "lastTimestamp": "2026-11-21T01:59:00Z",
            "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "grafana-0"}}],
    }));
    snap.persistent_volumes = Listing::cluster(
        serde_json::from_value(json!([{"metadata": {"name": "pv-efs"},
            "spec": {"claimRef": {"namespace": "monitoring", "name": "grafana"},
                "csi": {"driver": "efs.csi.aws.com", "volumeHandle": "fs-0a1::fsap-0b2"}}}]))
        .expect("a volume"),
    );
    snap
}

#[test]
fn other_events_are_no_fault_of_it() {
    assert!(findings(&EfsMount, &snap("configmap \"grafana\" not found")).is_empty());
}

#[test]
fn each_fault_names_the_file_system() {
    let found = findings(
        &EfsMount,
        &snap(
            "MountVolume.SetUp failed for volume \"pv-efs\" : Output: Failed to resolve \"fs-0a1.efs.eu-west-1.amazonaws.com\"",
        ),
    );
    assert!(found[0].message.contains("file system fs-0a1 of EFS is not mounted: its name does not resolve"));
    assert!(steps(&found[0]).contains("aws efs describe-mount-targets --file-system-id fs-0a1"));
    assert!(!found[0].message.contains("nor may"));
    let found = findings(
        &EfsMount,
        &snap(
            "MountVolume.SetUp failed for volume \"pv-efs\" : Output: Failed to resolve \"fs-0a1.efs.eu-west-1.amazonaws.com\". The file system mount target ip address cannot be found, please pass mount target ip address via mount options. \nUser: arn:aws:sts::111122223333:assumed-role/nodes/i-0a is not authorized to perform: elasticfilesystem:DescribeMountTargets on the specified resource",
        ),
    );
    assert!(found[0].message.contains("nor may nodes ask EFS"), "{}", found[0].message);
    assert!(steps(&found[0]).contains("AmazonEFSCSIDriverPolicy"));
    let found =
        findings(&EfsMount, &snap("MountVolume.SetUp failed for volume \"pv-efs\" : mount.nfs4: Connection timed out"));
    assert!(steps(&found[0]).contains("--port 2049"), "{}", steps(&found[0]));
}

/// Grafana runs, and the driver's pod on its node was made at a time.
fn mounted(driver: &str, said: &str) -> Snapshot {
    let mut snap = snapshot(json!({
        "pods": [
            {"metadata": {"name": "grafana-0", "namespace": "monitoring", "creationTimestamp": "2026-11-20T02:00:00Z",
                    "ownerReferences": [{"kind": "StatefulSet", "name": "grafana", "controller": true}]},
                "spec": {"nodeName": "n1", "containers": [{"name": "grafana",
                        "volumeMounts": [{"name": "storage", "mountPath": "/var/lib/grafana"}]}],
                    "volumes": [{"name": "storage", "persistentVolumeClaim": {"claimName": "grafana"}}]},
                "status": {"phase": "Running", "containerStatuses": [{"name": "grafana", "ready": false}],
                    "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T01:22:00Z"}]}},
            {"metadata": {"name": "efs-csi-node-x", "namespace": "kube-system", "creationTimestamp": driver,
                    "ownerReferences": [{"kind": "DaemonSet", "name": "efs-csi-node", "controller": true}]},
                "spec": {"nodeName": "n1", "containers": [{"name": "efs-plugin"}]},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}],
        "events": [{"reason": "Unhealthy", "message": said, "lastTimestamp": "2026-11-21T01:59:00Z",
            "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "grafana-0"}}],
    }));
    let set = json!({"metadata": {"name": "efs-csi-node", "namespace": "kube-system"}, "spec": {"template": {"spec":
        {"containers": [{"name": "efs-plugin", "image": "eks/aws-efs-csi-driver:v1.6.0"}]}}}});
    let mut set: crate::snapshot::kubernetes::Workload = serde_json::from_value(set).expect("a DaemonSet");
    set.kind = "DaemonSet".into();
    snap.workloads = Listing::cluster(vec![set]);
    let node = json!([{"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]);
    snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
    snap.persistent_volumes = self::snap("").persistent_volumes;
    snap
}

#[test]
fn a_mount_hangs_once_the_pod_of_the_driver_is_another_one() {
    let silent = "Readiness probe failed: Get \"http://10.0.1.5:3000/api/health\": context deadline exceeded";
    let found = findings(&EfsMount, &mounted("2026-11-21T01:20:00Z", silent));
    assert_eq!((found.len(), found[0].variant), (1, "hangs"));
    assert!(found[0].message.contains("was replaced 40 minutes ago (efs-csi-node-x)"), "{}", found[0].message);
    assert!(steps(&found[0]).contains("kubectl exec -n monitoring grafana-0 -c grafana -- ls /var/lib/grafana"));
    for (driver, said) in [
        ("2026-11-19T01:20:00Z", silent),
        ("2026-11-21T00:20:00Z", silent),
        ("2026-11-21T01:20:00Z", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    ] {
        assert!(findings(&EfsMount, &mounted(driver, said)).is_empty(), "{driver} {said}");
    }
}
