//! What relieves a node, and what keeps the user of its disk within bounds.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::pipeline::plural;
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::chart::storage_values;
use crate::domain::kubernetes::eviction::{self, Eviction, Why};
use crate::domain::kubernetes::owner::{Target, workload};
use crate::domain::kubernetes::scheduling::chosen_by;
use crate::domain::prometheus::tsdb::Retention;
use crate::domain::text::windows::RECENT;
use crate::model::Program;
use crate::snapshot::kubernetes::{Container, Event, Node, Pod, Workload};
use crate::snapshot::{Snapshot, parse_quantity};

const GI: f64 = 1_073_741_824.0;
const DAY: f64 = 86_400.0;

/// See the page's fixes: those of a workload that used the disk, then those of a node.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    node: String,
    /// The labels of the workload's pods; empty where there is none.
    selector: String,
    /// The node while it runs short: the steps that relieve it are left out where it has recovered.
    short: Option<String>,
    /// Its node group.
    group: Option<String>,
    /// The instance of the node whose shell Systems Manager reaches, while there may be something to remove there.
    instance: Option<String>,
    /// What filled the disk runs there no more: the condition ends by itself.
    gone: bool,
    /// The workload that used the disk may run on this node alone: moving others away helps nobody.
    alone: bool,
    #[serde(flatten)]
    way: Way,
}

/// A volume in place of what filled the node.
#[derive(Serialize, JsonSchema)]
struct Tsdb {
    target: String,
    volume: String,
    /// A claim in place of the emptyDir, and what Prometheus may keep on it.
    claim: String,
    size: String,
    retention: String,
    /// The time that the size is reckoned for, if there is one: `30 days`.
    keeps: Option<String>,
    /// Patches of a Deployment that nobody keeps.
    patch: Option<String>,
    args: Option<String>,
    /// The operator's resource, and its patch.
    custom: Option<String>,
    custom_patch: String,
    managed_by: String,
    /// Values of the chart.
    size_path: Option<String>,
    enable_path: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Tsdb(Box<Tsdb>),
    EmptyDir {
        target: String,
        volume: String,
        bounded: Option<String>,
        managed_by: String,
    },
    Limit {
        target: String,
        volume: String,
        container: String,
        managed_by: String,
    },
    OwnFiles {
        target: String,
        container: String,
    },
    /// The pod used next to nothing.
    Others,
    NodeDisk,
    NodeMemory,
    NodePids,
}

/// The fix where one workload used the disk.
pub(super) fn user(snap: &Snapshot, pod: &Pod, told: &Eviction, nodes: &[&str]) -> Fix {
    let short = nodes.first().copied();
    let node = pod.spec.node_name.as_deref();
    let owner = snap.owner_ref(pod);
    let left =
        |p: &&Pod| p.spec.node_name.as_deref() == short && p.status.phase != "Failed" && snap.owner_ref(p) == owner;
    let runs_there = snap.pods.items().unwrap_or_default().iter().any(|p| left(&p));
    let relief = short.and_then(|s| snap.nodes.items().ok()?.iter().find(|n| n.metadata.name == s));
    Fix {
        instance: relief.and_then(|n| prunable(snap, n)),
        gone: short.is_some() && !runs_there && matches!(told.why, Why::NodeLow(_)) && told.too_little(pod).is_none(),
        alone: relief.is_some_and(|n| only_on(snap, pod, n)),
        namespace: pod.metadata.namespace.clone(),
        node: node.unwrap_or("<node>").to_owned(),
        selector: selector(snap, pod),
        short: short.map(str::to_owned),
        group: node.and_then(|n| node_group(snap, n)),
        way: Way::of(snap, pod, told),
    }
}

impl Way {
    fn of(snap: &Snapshot, pod: &Pod, told: &Eviction) -> Self {
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
        let target = Target::of(snap, pod);
        let used = told.used.as_deref().and_then(parse_quantity).unwrap_or(0.0);
        let name = container.map_or("<container>", |c| c.name.as_str()).to_owned();
        if told.too_little(pod).is_some() {
            return Self::Others;
        }
        let of_tsdb = container.filter(|c| c.program() == Some(Program::Prometheus)).zip(volume);
        if let Some((container, volume)) = of_tsdb {
            return Self::tsdb(snap, pod, target, container, volume, used);
        }
        match (&told.why, volume) {
            (Why::EmptyDirLimit { .. } | Why::StorageLimit(_), _) => Self::Limit {
                target: target.name,
                volume: volume.unwrap_or_default().to_owned(),
                container: name,
                managed_by: target.managed_by,
            },
            (_, Some(volume)) => {
                let bounded = bound(used).filter(|_| in_place(&target)).map(|limit| {
                    json!({"spec": {"template": {"spec": {"volumes": [{"name": volume, "emptyDir": {"sizeLimit": limit}}]}}}})
                        .to_string()
                });
                Self::EmptyDir {
                    bounded,
                    target: target.name,
                    volume: volume.to_owned(),
                    managed_by: target.managed_by,
                }
            }
            _ => Self::OwnFiles { target: target.name, container: name },
        }
    }

    fn tsdb(snap: &Snapshot, pod: &Pod, target: Target<'_>, container: &Container, volume: &str, used: f64) -> Self {
        let kept = kept(pod, container);
        let grows = kept.map_or(1.0, |(seconds, age)| (seconds / age).max(1.0));
        let size = ((used * 1.5 * grows / GI).ceil() as u64).max(20);
        let labels = workload(snap, &target.owner).map_or(&pod.metadata, |w| &w.metadata);
        let values = storage_values(snap, labels);
        let claim = format!("{}-data", target.name.rsplit('/').next().unwrap_or("prometheus"));
        let patch = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}, "template": {"spec": {"volumes": [
            {"name": volume, "emptyDir": null, "persistentVolumeClaim": {"claimName": claim}}]}}}});
        let storage = json!({"spec": {"storage": {"emptyDir": null, "volumeClaimTemplate": {"spec": {
            "resources": {"requests": {"storage": format!("{size}Gi")}}}}}, "retentionSize": retention(size)}});
        let in_place = in_place(&target);
        Self::Tsdb(Box::new(Tsdb {
            volume: volume.to_owned(),
            claim,
            size: format!("{size}Gi"),
            retention: retention(size),
            keeps: kept.map(|(seconds, _)| plural((seconds / DAY).ceil() as usize, "day")),
            patch: (in_place && target.name.starts_with("deployment/")).then(|| patch.to_string()),
            args: if in_place { retention_patch(workload(snap, &target.owner), container, size) } else { None },
            custom: target.custom.map(|(_, name)| name.to_owned()),
            custom_patch: storage.to_string(),
            target: target.name,
            managed_by: target.managed_by,
            size_path: values.as_ref().map(|v| v.size.clone()),
            enable_path: values.and_then(|v| v.enable),
        }))
    }
}

/// A patch of it stays.
fn in_place(target: &Target<'_>) -> bool {
    target.in_place() && target.managed_by.is_empty()
}

/// The limit of an emptyDir that filled a node: seven tenths of what was in it then, so that it is reached before.
fn bound(used: f64) -> Option<String> {
    const MI: f64 = 1_048_576.0;
    let bytes = used * 0.7;
    match bytes {
        b if b >= 2.0 * GI => Some(format!("{}Gi", (b / GI).floor())),
        b if b >= 10.0 * MI => Some(format!("{}Mi", (b / MI).floor())),
        _ => None,
    }
}

/// How long Prometheus keeps data, and how long it had run when it was evicted; only where that says how much it will write.
fn kept(pod: &Pod, container: &Container) -> Option<(f64, f64)> {
    let seconds = Retention::of(container).seconds?;
    let ended = pod.condition("DisruptionTarget").and_then(|c| c.last_transition_time)?;
    let age = (ended.as_second() - pod.status.start_time?.as_second()) as f64;
    (age >= DAY).then_some((seconds, age))
}

/// The instance of a node where images can be removed: the kubelet has not just found that there are none.
fn prunable(snap: &Snapshot, node: &Node) -> Option<String> {
    let about = |e: &&Event| e.involved_object.kind == "Node" && e.involved_object.name == node.metadata.name;
    let recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    let mut events = snap.events.items().unwrap_or_default().iter().filter(about).filter(recent);
    if events.any(|e| e.reason == "FreeDiskSpaceFailed" && e.message.contains(" 0 bytes eligible")) {
        return None;
    }
    node.shell_instance().map(str::to_owned)
}

/// The pod's own choice leaves it no other node.
fn only_on(snap: &Snapshot, pod: &Pod, node: &Node) -> bool {
    let nodes = snap.nodes.items().unwrap_or_default();
    let other = |n: &&Node| n.metadata.name != node.metadata.name && n.is_ready();
    chosen_by(pod, node) && !nodes.iter().filter(other).any(|n| chosen_by(pod, n))
}

/// Eight tenths of the volume: the write-ahead log and compaction need the rest.
fn retention(size: u64) -> String {
    format!("{}GB", (size * 8).div_ceil(10).max(1))
}

/// A JSON patch that bounds the TSDB, where no argument does so yet.
fn retention_patch(owner: Option<&Workload>, container: &Container, size: u64) -> Option<String> {
    if arguments::has_flag(container, "storage.tsdb.retention.size") || container.args.is_empty() {
        return None;
    }
    let value = format!("--storage.tsdb.retention.size={}", retention(size));
    Some(arguments::adding(Some(owner?), &container.name, &value))
}

/// The labels that the workload selects its pods by.
fn selector(snap: &Snapshot, pod: &Pod) -> String {
    let owner = snap.owner_ref(pod);
    let selector = workload(snap, &owner).and_then(|w| w.spec.selector.as_ref());
    let labels = selector.and_then(|s| s.match_labels.clone()).unwrap_or_default();
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// The fix where nobody is known to have used it up.
pub(super) fn node(snap: &Snapshot, node: &Node, conditions: &[&str]) -> Fix {
    let name = &node.metadata.name;
    Fix {
        namespace: snap.scope.stack.first().map_or("default", String::as_str).to_owned(),
        node: name.clone(),
        selector: String::new(),
        short: Some(name.clone()),
        group: node_group(snap, name),
        instance: prunable(snap, node),
        gone: false,
        alone: false,
        way: match conditions {
            all if all.contains(&"DiskPressure") => Way::NodeDisk,
            all if all.contains(&"MemoryPressure") => Way::NodeMemory,
            _ => Way::NodePids,
        },
    }
}

fn node_group(snap: &Snapshot, node: &str) -> Option<String> {
    let node = snap.nodes.items().ok()?.iter().find(|n| n.metadata.name == node)?;
    node.metadata.label("eks.amazonaws.com/nodegroup").map(str::to_owned)
}
