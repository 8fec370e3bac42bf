//! What relieves a node, and what keeps the user of its disk within bounds.

use serde_json::json;

use crate::checks::support::place::Place;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::chart::storage_values;
use crate::domain::kubernetes::eviction::{self, Eviction, Why};
use crate::domain::kubernetes::owner::{Target, workload};
use crate::model::{Finding, Program};
use crate::snapshot::kubernetes::{Container, Node, Pod};
use crate::snapshot::{Snapshot, parse_quantity};

const GI: f64 = 1_073_741_824.0;

/// The fix where one workload used the disk.
pub(super) fn user(made: Finding, snap: &Snapshot, pod: &Pod, told: &Eviction, nodes: &[&str]) -> Finding {
    let meta = &pod.metadata;
    let of_name = |name: &str| pod.spec.containers.iter().find(|c| c.name == name);
    let container = told.container.as_deref().and_then(of_name).or(match pod.spec.containers.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    let volumes = container.map(|c| eviction::unbounded(pod, c)).unwrap_or_default();
    let limited = match &told.why {
        Why::EmptyDirLimit { volume, .. } => Some(volume.as_str()),
        _ => None,
    };
    let volume = limited.or(volumes.first().map(|v| v.name.as_str()));
    let is_tsdb = container.is_some_and(|c| c.program() == Some(Program::Prometheus)) && volume.is_some();
    let variant = match (&told.why, is_tsdb, volume) {
        (_, true, _) => "tsdb",
        (Why::EmptyDirLimit { .. } | Why::StorageLimit(_), ..) => "limit",
        (_, _, Some(_)) => "empty-dir",
        _ => "own-files",
    };
    let used = told.used.as_deref().and_then(parse_quantity).unwrap_or(0.0);
    let size = ((used * 1.5 / GI).ceil() as u64).max(20);
    let target = Target::of(snap, pod);
    let labels = workload(snap, &target.owner).map_or(meta, |w| &w.metadata);
    let values = storage_values(snap, labels);
    let claim = format!("{}-data", target.name.rsplit('/').next().unwrap_or("prometheus"));
    let patch = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}, "template": {"spec": {"volumes": [
        {"name": volume, "emptyDir": null, "persistentVolumeClaim": {"claimName": claim}}]}}}});
    let bounded = json!({"spec": {"template": {"spec": {"volumes": [
        {"name": volume, "emptyDir": {"sizeLimit": format!("{size}Gi")}}]}}}});
    let storage = json!({"spec": {"storage": {"emptyDir": null, "volumeClaimTemplate": {"spec": {
        "resources": {"requests": {"storage": format!("{size}Gi")}}}}}, "retentionSize": retention(size)}});
    let in_place = target.in_place() && target.managed_by.is_empty();
    let made = made
        .fix(variant)
        .param("namespace", &meta.namespace)
        .param("target", &target.name)
        .param("volume", volume.unwrap_or_default())
        .param("claim", claim)
        .param("size", format!("{size}Gi"))
        .param("retention", retention(size))
        .param("patch", (in_place && target.name.starts_with("deployment/")).then(|| patch.to_string()))
        .param("bounded", (in_place && volume.is_some()).then(|| bounded.to_string()))
        .param("args", container.filter(|_| in_place).and_then(|c| retention_patch(pod, c, size)))
        .param("custom", target.custom.map(|(_, name)| name.to_owned()))
        .param("custom_patch", storage.to_string())
        .param("managed_by", &target.managed_by)
        .param("class_path", values.as_ref().map(|v| v.class.clone()))
        .param("size_path", values.as_ref().map(|v| v.size.clone()))
        .param("enable_path", values.as_ref().and_then(|v| v.enable.clone()))
        .param("container", container.map_or("<container>", |c| c.name.as_str()))
        .param("selector", selector(snap, pod));
    relief(made, snap, nodes.first().copied(), pod.spec.node_name.as_deref())
}

/// Nine tenths of the volume: the write-ahead log and compaction need the rest.
fn retention(size: u64) -> String {
    format!("{}GB", (size * 8).div_ceil(10).max(1))
}

/// A JSON patch that bounds the TSDB, where no argument does so yet.
fn retention_patch(pod: &Pod, container: &Container, size: u64) -> Option<String> {
    let at = pod.spec.containers.iter().position(|c| c.name == container.name)?;
    if arguments::has_flag(container, "storage.tsdb.retention.size") || container.args.is_empty() {
        return None;
    }
    let value = format!("--storage.tsdb.retention.size={}", retention(size));
    Some(
        json!([{"op": "add", "path": format!("/spec/template/spec/containers/{at}/args/-"), "value": value}])
            .to_string(),
    )
}

/// The labels that the workload selects its pods by.
fn selector(snap: &Snapshot, pod: &Pod) -> String {
    let owner = snap.owner_ref(pod);
    let selector = workload(snap, &owner).and_then(|w| w.spec.selector.as_ref());
    let labels = selector.and_then(|s| s.match_labels.clone()).unwrap_or_default();
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// The fix where nobody is known to have used it up.
pub(super) fn node(made: Finding, snap: &Snapshot, node: &Node, conditions: &[&str]) -> Finding {
    let variant = match conditions {
        all if all.contains(&"DiskPressure") => "node-disk",
        all if all.contains(&"MemoryPressure") => "node-memory",
        _ => "node-pids",
    };
    let made = made.fix(variant).param("namespace", snap.scope.stack.first().map_or("default", String::as_str));
    relief(made.param("selector", ""), snap, Some(&node.metadata.name), Some(&node.metadata.name))
}

/// Values of the steps that relieve a node; they are left out where it has recovered.
fn relief(made: Finding, snap: &Snapshot, short: Option<&str>, node: Option<&str>) -> Finding {
    let place = Place::of(snap);
    let find = |name: &str| snap.nodes.items().ok()?.iter().find(|n| n.metadata.name == name);
    let group = node.and_then(find).and_then(|n| n.metadata.label("eks.amazonaws.com/nodegroup"));
    made.param("short", short)
        .param("node", node.unwrap_or("<node>"))
        .param("group", group)
        .param("cluster", &place.cluster)
        .param("region", &place.region)
}
