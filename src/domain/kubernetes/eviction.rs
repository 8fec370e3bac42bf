//! Evicted pods: what ran short, and who used it. Source: the messages of the kubelet's eviction manager.

use std::collections::BTreeMap;

use crate::domain::kubernetes::owner::workload_of_name;
use crate::domain::text::windows::RECENT;
use crate::model::Gap;
use crate::snapshot::kubernetes::{Container, Event, Pod, Volume, Workload};
use crate::snapshot::{Snapshot, parse_quantity};

/// Evictions within an hour that are more than an adjustment.
const OFTEN: u32 = 3;

/// Why the kubelet ended a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The node ran short of this resource: `ephemeral-storage`, `memory`, `inodes`, `pids`.
    NodeLow(String),
    /// The node was short already when the pod arrived: these conditions.
    NodeWasShort(String),
    /// An emptyDir holds more than its limit.
    EmptyDirLimit { volume: String, limit: String },
    /// A container, or the pod, wrote more than its limit of ephemeral storage.
    StorageLimit(String),
}

/// One eviction as the kubelet tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Eviction {
    pub(crate) why: Why,
    /// The container that used most, where it is told.
    pub(crate) container: Option<String>,
    /// What it used, as written.
    pub(crate) used: Option<String>,
    /// Bytes that the node lacked, where it is told.
    pub(crate) lacked: Option<u64>,
}

/// Bytes with which nobody fills a disk.
const LITTLE: f64 = 67_108_864.0;

impl Eviction {
    /// Reads the message of a pod with reason Evicted.
    pub(crate) fn read(message: &str) -> Option<Self> {
        let quoted = |after: &str| message.split_once(after)?.1.split('"').next().map(str::to_owned);
        if let Some(volume) = quoted("Usage of EmptyDir volume \"") {
            let limit = quoted("exceeds the limit \"").unwrap_or_default();
            return Some(Self { why: Why::EmptyDirLimit { volume, limit }, container: None, used: None, lacked: None });
        }
        if message.contains("local ephemeral storage limit")
            || message.contains("ephemeral local storage usage exceeds")
        {
            let limit = quoted("storage limit \"").unwrap_or_else(|| limit_of_pod(message));
            let container = word_after(message, "Container ");
            return Some(Self { why: Why::StorageLimit(limit), container, used: None, lacked: None });
        }
        if let Some((_, rest)) = message.split_once("low on resource: ") {
            let resource = rest.split(['.', ' ']).next().unwrap_or_default().to_owned();
            let told = largest(rest);
            let (container, used) = told.map_or((None, None), |(c, u)| (Some(c), Some(u)));
            return Some(Self { why: Why::NodeLow(resource), container, used, lacked: lacked(rest) });
        }
        let (_, rest) = message.split_once("node had condition: [")?;
        let conditions = rest.split(']').next().unwrap_or_default().to_owned();
        Some(Self { why: Why::NodeWasShort(conditions), container: None, used: None, lacked: None })
    }

    /// What the largest of its containers used, if that is too little to have filled the disk: less than the node lacked, or next to
    /// nothing. The kubelet counts the file system and the logs of each container there, and no emptyDir: of a pod with one nobody
    /// knows.
    pub(crate) fn too_little(&self, pod: &Pod) -> Option<f64> {
        let writes = pod.spec.volumes.iter().any(is_on_disk);
        self.next_to_nothing().filter(|_| !writes && matches!(self.why, Why::NodeLow(_)))
    }

    /// The same, of what the message counts alone.
    pub(crate) fn next_to_nothing(&self) -> Option<f64> {
        let used = parse_quantity(self.used.as_deref()?)?;
        (used < LITTLE.min(self.lacked.map_or(LITTLE, |bytes| bytes as f64))).then_some(used)
    }

    /// It is about disk space.
    pub(crate) fn is_of_disk(&self) -> bool {
        match &self.why {
            Why::NodeLow(resource) => {
                matches!(resource.as_str(), "ephemeral-storage" | "inodes" | "imagefs" | "nodefs" | "nodefsInodes")
            }
            Why::NodeWasShort(conditions) => conditions.contains("DiskPressure"),
            Why::EmptyDirLimit { .. } | Why::StorageLimit(_) => true,
        }
    }
}

fn limit_of_pod(message: &str) -> String {
    message.split_once("limit of containers ").map_or("", |(_, rest)| rest.trim().trim_end_matches('.')).to_owned()
}

/// `Threshold quantity: 2139512454, available: 1993624Ki`: the difference.
fn lacked(message: &str) -> Option<u64> {
    let after =
        |word: &str| parse_quantity(message.split_once(word)?.1.split([',', ' ']).next()?.trim_end_matches('.'));
    let missing = after("Threshold quantity: ")? - after("available: ")?;
    (missing > 0.0).then_some(missing as u64)
}

fn word_after(message: &str, before: &str) -> Option<String> {
    message.split_once(before)?.1.split(' ').next().map(str::to_owned)
}

/// `Container prometheus was using 10711684Ki, request is 0, …`: the one that used most.
fn largest(message: &str) -> Option<(String, String)> {
    let each = message.split("ontainer ").skip(1).filter_map(|part| {
        let (name, rest) = part.split_once(" was using ")?;
        let used = rest.split([',', ' ']).next()?.trim_end_matches('.');
        Some((name.to_owned(), used.to_owned()))
    });
    each.max_by(|a, b| {
        let bytes = |text: &str| parse_quantity(text).unwrap_or(0.0);
        bytes(&a.1).total_cmp(&bytes(&b.1))
    })
}

/// The eviction of a pod that the kubelet ended; `None` for other pods.
pub(crate) fn of(pod: &Pod) -> Option<Eviction> {
    let evicted = pod.status.phase == "Failed" && pod.status.reason.as_deref() == Some("Evicted");
    Eviction::read(pod.status.message.as_deref().filter(|_| evicted)?)
}

/// The pod was evicted within the last hour. Pods that were evicted stay as a record until they are collected.
pub(crate) fn is_recent(snap: &Snapshot, pod: &Pod) -> bool {
    let told = snap.events_about("Pod", &pod.metadata, RECENT).iter().any(|e| e.reason == "Evicted");
    let since = pod.condition("DisruptionTarget").and_then(|c| c.last_transition_time).or(pod.status.start_time);
    told || since.is_some_and(|t| snap.seconds_since(t) <= RECENT)
}

/// A workload whose pods somebody evicts again and again.
#[derive(Debug)]
pub(crate) struct Often<'a> {
    pub(crate) workload: &'a Workload,
    /// What tells of it, and the newest of that.
    pub(crate) events: Vec<&'a Event>,
    pub(crate) newest: &'a Event,
    pub(crate) times: u32,
}

impl Often<'_> {
    /// It runs one of the servers of the stack.
    pub(crate) fn is_server(&self) -> bool {
        self.workload.spec.template.spec.containers.iter().any(|c| c.program().is_some())
    }
}

/// The workloads whose pods were evicted often within the last hour, by the events that tell of it. The pods are gone.
pub(crate) fn often<'a>(snap: &'a Snapshot, tells: impl Fn(&Event) -> bool) -> Result<Vec<Often<'a>>, Gap> {
    snap.workloads()?;
    let now = snap.collected_at.as_second();
    let recent = |e: &&Event| e.last_seen().is_some_and(|t| now - t.as_second() <= RECENT);
    let judged = |e: &&Event| snap.scope.is_judged(&e.involved_object.namespace);
    let mut evicted: BTreeMap<_, (&Workload, Vec<&Event>)> = BTreeMap::new();
    for event in snap.events()?.iter().filter(|e| tells(e)).filter(judged).filter(recent) {
        let object = &event.involved_object;
        if let Some(workload) = workload_of_name(snap, &object.namespace, &object.name) {
            evicted.entry(workload.reference()).or_insert_with(|| (workload, Vec::new())).1.push(event);
        }
    }
    let all = evicted.into_values().filter_map(|(workload, events)| {
        let newest = events.iter().copied().max_by_key(|e| e.last_seen())?;
        let times = events.iter().map(|e| e.times()).sum();
        Some(Often { workload, events, newest, times })
    });
    Ok(all.filter(|o| o.times >= OFTEN).collect())
}

/// Volumes of the node's disk that a container writes to and that have no limit.
pub(crate) fn unbounded<'a>(pod: &'a Pod, container: &Container) -> Vec<&'a Volume> {
    let mounted = |v: &&Volume| container.volume_mounts.iter().any(|m| m.name == v.name && !m.read_only);
    pod.spec.volumes.iter().filter(mounted).filter(|v| is_unbounded(v)).collect()
}

fn is_unbounded(volume: &Volume) -> bool {
    let free = |e: &serde_json::Value| e.get("sizeLimit").is_none_or(serde_json::Value::is_null);
    is_on_disk(volume) && volume.empty_dir.as_ref().is_some_and(free)
}

/// An emptyDir that lies on the disk of the node.
fn is_on_disk(volume: &Volume) -> bool {
    let of_disk = |e: &serde_json::Value| e.get("medium").and_then(serde_json::Value::as_str) != Some("Memory");
    volume.empty_dir.as_ref().is_some_and(of_disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kubelet_says() {
        let low = "The node was low on resource: ephemeral-storage. Threshold quantity: 2139512454, available: 1993624Ki. Container sidecar was using 4Ki, request is 0, has larger consumption of ephemeral-storage. Container prometheus was using 10711684Ki, request is 0, has larger consumption of ephemeral-storage. ";
        let read = Eviction::read(low).expect("an eviction");
        assert_eq!(read.why, Why::NodeLow("ephemeral-storage".into()));
        assert_eq!((read.container.as_deref(), read.used.as_deref()), (Some("prometheus"), Some("10711684Ki")));
        let pod = Pod::default();
        assert!(read.is_of_disk() && read.too_little(&pod).is_none());
        let idle = Eviction::read(&low.replace("10711684Ki", "24Ki")).expect("an eviction");
        assert_eq!(idle.too_little(&pod), Some(24.0 * 1024.0));
        let memory = Eviction::read(
            "The node was low on resource: memory. Container x was using 3Gi, which exceeds its request of 1Gi. ",
        )
        .expect("one");
        assert!(!memory.is_of_disk() && memory.used.as_deref() == Some("3Gi"));
        let volume = Eviction::read("Usage of EmptyDir volume \"storage\" exceeds the limit \"1Gi\". ").expect("one");
        assert_eq!(volume.why, Why::EmptyDirLimit { volume: "storage".into(), limit: "1Gi".into() });
        let container =
            Eviction::read("Container web exceeded its local ephemeral storage limit \"2Gi\". ").expect("one");
        assert_eq!((container.why, container.container.as_deref()), (Why::StorageLimit("2Gi".into()), Some("web")));
        let pod = Eviction::read("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ")
            .expect("one");
        assert_eq!(pod.why, Why::StorageLimit("1Gi".into()));
        let late = Eviction::read("Pod The node had condition: [DiskPressure]. ").expect("one");
        assert!(late.is_of_disk());
        assert_eq!(Eviction::read("Pod was terminated"), None);
    }
}
