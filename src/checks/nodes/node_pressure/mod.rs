//! The kubelet evicts pods of the stack for disk space, or a node runs short: who used it.

mod fix;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fix::Fix;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::eviction::{self, Eviction, Why};
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::nodes::node_disk;
use crate::domain::kubernetes::owner::workload;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Event, Node, Pod};
use crate::snapshot::{Snapshot, format_bytes, parse_quantity};

check! {
    /// See the check's page.
    NodePressure {
        id: "node-pressure", suite: Nodes, severity: Error,
        title: "a node runs short of disk, memory or process ids",
        requires: [Nodes, Pods],
        uses: [Events, Workloads, StorageClasses, MonitoringResources],
        fix: Fix,
    }
}

impl Check for NodePressure {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let nodes = snap.nodes()?;
        let short: Vec<Short<'_>> = nodes.iter().filter_map(Short::of).collect();
        let mut users: BTreeMap<ResourceRef, Vec<(&Pod, Eviction)>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| snap.scope.is_judged(&p.metadata.namespace)) {
            if let Some(told) = eviction::of(pod).filter(Eviction::is_of_disk) {
                users.entry(snap.owner_ref(pod)).or_default().push((pod, told));
            }
        }
        let mut findings = Vec::new();
        let mut told: BTreeSet<&str> = BTreeSet::new();
        let mut users: Vec<User<'_>> =
            users.iter().filter_map(|(owner, evicted)| User::of(snap, owner, evicted, &short)).collect();
        users.sort_by(|a, b| b.amount().total_cmp(&a.amount()));
        for user in &users {
            // A node is relieved once, whoever filled it.
            let relieved: Vec<&str> = user.nodes.iter().copied().filter(|n| told.insert(*n)).collect();
            findings.push(user.finding(snap, &relieved));
        }
        let rest = short.iter().filter(|s| !told.contains(s.node.metadata.name.as_str()));
        findings.extend(rest.map(|s| s.finding(snap)));
        let well = nodes.iter().filter(|n| n.is_ready() && Short::of(n).is_none());
        let no_room = no_room(snap);
        findings.extend(well.filter_map(|n| nearly_full(snap, n, &no_room)));
        Ok(Diagnosis::Findings(findings))
    }
}

/// Evictions for its own limit within an hour from which on a pod will not last, though it is replaced each time.
const AGAIN: usize = 3;

/// A node that runs short now.
struct Short<'a> {
    node: &'a Node,
    /// `DiskPressure`, `MemoryPressure`, `PIDPressure`.
    conditions: Vec<&'a str>,
}

impl<'a> Short<'a> {
    fn of(node: &'a Node) -> Option<Self> {
        let all = node.status.conditions.iter();
        let conditions: Vec<&str> =
            all.filter(|c| c.kind.ends_with("Pressure") && c.status == "True").map(|c| c.kind.as_str()).collect();
        (!conditions.is_empty()).then_some(Self { node, conditions })
    }

    /// Nobody is known to have used it up.
    fn finding(&self, snap: &Snapshot) -> Finding {
        let name = &self.node.metadata.name;
        let what: Vec<&str> = self.conditions.iter().map(|c| words(c)).collect();
        let here: Vec<&Pod> = stack_pods(snap, name).collect();
        // Evicted pods of others would be somebody else's to see to.
        let severity = if here.is_empty() { Severity::Warning } else { Severity::Error };
        let message = format!("node {name} runs short of {} ({})", what.join(" and "), self.conditions.join(", "));
        Finding::new(NodePressure::META.id, severity, ResourceRef::node(name), message)
            .breaks(ResourceRef::node(name))
            .key(format!("{name} {}", self.conditions.join(",")))
            .evidence(condition_evidence(self))
            .fix(fix::node(snap, self.node, &self.conditions))
    }
}

/// What kubelets say that want to remove images again and again, and find none that they may remove.
fn no_room(snap: &Snapshot) -> Vec<&Event> {
    let says = |e: &&Event| matches!(e.reason.as_str(), "FreeDiskSpaceFailed" | "ImageGCFailed");
    let now = |e: &&Event| e.involved_object.kind == "Node" && e.times() > 1 && e.is_within(RECENT, snap.collected_at);
    snap.events_of_nodes().filter(says).filter(now).collect()
}

/// The disk is fuller than it should be.
fn nearly_full(snap: &Snapshot, node: &Node, no_room: &[&Event]) -> Option<Finding> {
    // What it said before it had room again is over.
    let room = node.status.conditions.iter().find(|c| c.kind == "DiskPressure").and_then(|c| c.last_transition_time);
    let since = |e: &Event| e.last_seen().is_none_or(|said| room.is_none_or(|at| said > at));
    let event = *no_room.iter().find(|e| e.involved_object.name == node.metadata.name && since(e))?;
    let name = &node.metadata.name;
    let message = format!(
        "the disk of node {name} is nearly full: the kubelet wants room and finds no image to remove ({})",
        shorten(&event.message, 200)
    );
    Some(
        Finding::new(NodePressure::META.id, Severity::Warning, ResourceRef::node(name), message)
            .key(format!("{name} images"))
            .evidence(event_evidence(event))
            .breaks_nothing()
            .fix(fix::node(snap, node, &["DiskPressure"])),
    )
}

fn words(condition: &str) -> &'static str {
    match condition {
        "MemoryPressure" => "memory",
        "PIDPressure" => "process ids",
        _ => "disk space",
    }
}

fn stack_pods<'a>(snap: &'a Snapshot, node: &'a str) -> impl Iterator<Item = &'a Pod> {
    let of_daemon_set = |p: &&Pod| owner_of(&p.metadata).is_some_and(|(kind, _)| kind == "DaemonSet");
    // The pods of a DaemonSet are on every node.
    let pods = snap.pods.items().unwrap_or_default().iter().filter(move |p| !of_daemon_set(p));
    pods.filter(move |p| p.spec.node_name.as_deref() == Some(node) && snap.scope.is_judged(&p.metadata.namespace))
}

fn condition_evidence(short: &Short<'_>) -> Evidence {
    let name = &short.node.metadata.name;
    let all = short.node.status.conditions.iter().filter(|c| short.conditions.contains(&c.kind.as_str()));
    let said: Vec<String> =
        all.map(|c| format!("{}={} {}", c.kind, c.status, c.message.as_deref().unwrap_or_default())).collect();
    Evidence::new(format!("Node {name}, conditions"), said.join("\n"), "kubectl describe node {{ node }}")
        .with("node", name)
}

/// Folders of nodes that pods mount for other things than to fill them: sockets, devices, the system's own.
const OF_SYSTEM: &[&str] =
    &["/dev", "/etc", "/lib", "/proc", "/run", "/sys", "/usr", "/var/run", "/opt/cni", "/var/lib/cni"];

/// Pods of a node that may write to its disk without that it counts as theirs: to which folders.
fn writers(snap: &Snapshot, node: &str) -> Vec<(ResourceRef, String)> {
    let here = |p: &&Pod| p.spec.node_name.as_deref() == Some(node) && !p.is_finished();
    let mut found = Vec::new();
    for pod in snap.pods.items().unwrap_or_default().iter().filter(here) {
        let written = |name: &str| {
            pod.spec.containers.iter().flat_map(|c| &c.volume_mounts).any(|m| m.name == name && !m.read_only)
        };
        for volume in pod.spec.volumes.iter().filter(|v| written(&v.name)) {
            let Some(path) = volume.host_path.as_ref().map(|h| h.path.trim_end_matches('/')) else { continue };
            let is_system = OF_SYSTEM.iter().any(|s| Path::new(path).starts_with(s)) || path.ends_with(".sock");
            // The kubelet's own folder is mounted by drivers of volumes.
            let is_kubelets = path.starts_with("/var/lib/kubelet") || path.is_empty() || path.starts_with("/var/log");
            if !is_system && !is_kubelets {
                found.push((ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name), path.to_owned()));
            }
        }
    }
    found
}

fn writers_evidence(writers: &[(ResourceRef, String)], node: &str) -> Option<Evidence> {
    const SHOWN: usize = 6;
    let lines: Vec<String> = writers.iter().take(SHOWN).map(|(pod, path)| format!("{pod}: {path}")).collect();
    let show = "kubectl get pods -A --field-selector spec.nodeName={{ node }} -o json | jq -r '.items[] | . as $p | .spec.volumes[]? | select(.hostPath) | [$p.metadata.namespace, $p.metadata.name, .hostPath.path] | @tsv'";
    let source = format!("folders of node {node} that pods write to, which count as nobody's");
    (!lines.is_empty()).then(|| Evidence::new(source, lines.join("\n"), show).with("node", node))
}

/// A workload whose pods the kubelet evicts.
struct User<'a> {
    owner: &'a ResourceRef,
    evicted: &'a [(&'a Pod, Eviction)],
    /// The eviction that tells most.
    telling: &'a (&'a Pod, Eviction),
    /// Nodes that run short now and from which its pods were evicted.
    nodes: Vec<&'a str>,
    short: &'a [Short<'a>],
}

impl<'a> User<'a> {
    /// Pods that were evicted once and are replaced by ones that work are history.
    fn of(
        snap: &Snapshot,
        owner: &'a ResourceRef,
        evicted: &'a [(&'a Pod, Eviction)],
        short: &'a [Short<'a>],
    ) -> Option<Self> {
        let from = |s: &Short<'_>| {
            evicted.iter().any(|(p, _)| p.spec.node_name.as_deref() == Some(s.node.metadata.name.as_str()))
        };
        let nodes: Vec<&str> = short
            .iter()
            .filter(|s| s.conditions.contains(&"DiskPressure") && from(s))
            .map(|s| s.node.metadata.name.as_str())
            .collect();
        let lacks = workload(snap, owner).is_none_or(|w| w.ready() < w.desired());
        let recent = evicted.iter().any(|(p, _)| eviction::is_recent(snap, p));
        let own = |why: &Why| matches!(why, Why::EmptyDirLimit { .. } | Why::StorageLimit(_));
        let again = evicted.iter().filter(|(p, told)| own(&told.why) && eviction::is_recent(snap, p)).count() >= AGAIN;
        if nodes.is_empty() && !(lacks && recent) && !again {
            return None;
        }
        let telling = evicted.iter().max_by_key(|(pod, told)| {
            let own = !matches!(told.why, Why::NodeWasShort(_));
            (own, told.used.is_some(), pod.status.start_time)
        })?;
        // A pod that only arrived at a node that was short already did not fill it.
        let only_victim = matches!(telling.1.why, Why::NodeWasShort(_));
        (!only_victim).then_some(Self { owner, evicted, telling, nodes, short })
    }

    /// Bytes that the largest of its containers used, where that is told.
    fn amount(&self) -> f64 {
        self.telling.1.used.as_deref().and_then(parse_quantity).unwrap_or(0.0)
    }

    fn finding(&self, snap: &Snapshot, relieved: &[&str]) -> Finding {
        let (pod, told) = self.telling;
        let meta = &pod.metadata;
        let lacks = workload(snap, self.owner).is_none_or(|w| w.ready() < w.desired());
        let severity = if lacks || !self.nodes.is_empty() { Severity::Error } else { Severity::Warning };
        let mut made = Finding::new(NodePressure::META.id, severity, self.owner.clone(), self.message())
            .breaks(self.owner.clone())
            .key(format!("evicted {}", self.owner.key()))
            .evidence(
                Evidence::new(
                    format!("Pod {}/{}, status Evicted", meta.namespace, meta.name),
                    pod.status.message.as_deref().unwrap_or_default().trim(),
                    "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.status.reason}: {.status.message}'",
                )
                .with("namespace", &meta.namespace)
                .with("pod", &meta.name),
            );
        for (pod, _) in self.evicted {
            made = made.breaks(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
        for short in self.short.iter().filter(|s| self.nodes.contains(&s.node.metadata.name.as_str())) {
            made = made.breaks(ResourceRef::node(&short.node.metadata.name)).evidence(condition_evidence(short));
        }
        if told.too_little(pod).is_some()
            && let Some(node) = pod.spec.node_name.as_deref()
        {
            made = made.depends_on(node_disk(node));
            made.evidence.extend(writers_evidence(&writers(snap, node), node));
        }
        made.fix(fix::user(snap, pod, told, relieved))
    }

    fn message(&self) -> String {
        let (pod, told) = self.telling;
        let node = pod.spec.node_name.as_deref().unwrap_or("its node");
        let times = match self.evicted.len() {
            1 => String::new(),
            n => format!(" ({n} of its pods in all)"),
        };
        let who = format!("pod {}/{} of {} was evicted{times}", pod.metadata.namespace, pod.metadata.name, self.owner);
        match &told.why {
            Why::EmptyDirLimit { volume, limit } => {
                format!("{who}: its emptyDir {volume} holds more than its sizeLimit of {limit}")
            }
            Why::StorageLimit(limit) => {
                format!("{who}: it wrote more than its limit of {limit} of ephemeral storage")
            }
            Why::NodeLow(resource) if told.too_little(pod).is_some() => {
                let used = told.too_little(pod).map(format_bytes).unwrap_or_default();
                let now = if self.nodes.is_empty() { "" } else { ", which has disk pressure now," };
                format!(
                    "{who}: node {node}{now} was low on {resource}, and the pod used no more than {used} of it: something else fills the disk"
                )
            }
            Why::NodeLow(resource) | Why::NodeWasShort(resource) => {
                let used = self.used();
                let now = if self.nodes.is_empty() { "" } else { ", which has disk pressure now," };
                format!("{who}: {used}node {node}{now} was low on {resource}")
            }
        }
    }

    /// What the largest user used, and where it lies.
    fn used(&self) -> String {
        let (pod, told) = self.telling;
        let Some(name) = &told.container else { return String::new() };
        let amount = told.used.as_deref().and_then(parse_quantity).map(format_bytes);
        let amount = amount.map(|a| format!(" {a}")).unwrap_or_default();
        let container = pod.spec.containers.iter().find(|c| c.name == *name);
        let volumes: Vec<&str> = container
            .map(|c| eviction::unbounded(pod, c))
            .unwrap_or_default()
            .iter()
            .map(|v| v.name.as_str())
            .collect();
        let little = told.next_to_nothing().is_some();
        let place = match volumes.as_slice() {
            // The kubelet does not count there what lies in them.
            [one] if little => format!(" beside what its emptyDir {one} holds, which has no sizeLimit,"),
            [_, _, ..] if little => {
                format!(" beside what its emptyDirs {} hold, which have no sizeLimit,", volumes.join(", "))
            }
            [] => ", in its own file system and its logs,".to_owned(),
            [one] => format!(" of the node's disk, with emptyDir {one}, which has no sizeLimit,"),
            many => format!(" of the node's disk, with the emptyDirs {}, which have no sizeLimit,", many.join(", ")),
        };
        format!("container {name} used{amount}{place} when ")
    }
}

#[cfg(test)]
mod tests;
