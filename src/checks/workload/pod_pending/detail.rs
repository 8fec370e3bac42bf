//! What exactly keeps a pod from the nodes: computed from its spec and the nodes, as the scheduler only counts.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Taint;

use crate::checks::workload::pod_pending::fargate;
use crate::domain::kubernetes::capacity::{amount, largest_free, largest_node, left, requests};
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::nodes::could_take;
use crate::domain::kubernetes::scheduling::{self, Signal};
use crate::domain::kubernetes::unschedulable::{Cause, scarce_extended};
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::DAY;
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ContainerPort, Event, Meta, Node, Pod};

/// Longest part of a message that stands in the sentence.
const QUOTED: usize = 200;
/// Nodes whose numbers are shown.
const SHOWN_NODES: usize = 5;

/// What is to be said of one pod beside the reason.
#[derive(Default)]
pub(super) struct Detail {
    lines: Vec<String>,
    /// What a sentence takes of the lines, where it says the rest itself.
    said: Vec<String>,
    /// There is one node alone to which the pod could go.
    pub(super) only: bool,
    source: &'static str,
    reproduce: &'static str,
    /// The taint that most nodes have and the pod does not tolerate.
    pub(super) taint: Option<Taint>,
    /// Keys of the taints that come and go by themselves.
    pub(super) signals: Vec<String>,
    /// Nodes that the fix names.
    pub(super) nodes: Vec<String>,
    /// Resources of which no node has enough left.
    pub(super) short: Vec<&'static str>,
    /// What the pod asks for and no node has even where nothing else runs there.
    pub(super) too_large: Vec<String>,
    /// What is shown instead of the lines, where they say less.
    seen: Vec<String>,
}

impl Detail {
    pub(super) fn of(snap: &Snapshot, pod: &Pod, reason: Cause, message: &str) -> Self {
        let all: Vec<&Node> = snap.nodes.items().unwrap_or_default().iter().filter(|n| !n.is_fargate()).collect();
        match reason {
            Cause::Resources => room(snap, pod, message),
            Cause::Taint => taints(pod, &all, message),
            Cause::Cordoned => {
                let source = "spec.unschedulable of the nodes";
                named(&could_take(snap, pod), &all, |n| n.spec.unschedulable, source, "is cordoned")
            }
            Cause::NotReady => {
                let source = "condition Ready of the nodes";
                named(&could_take(snap, pod), &all, |n| !n.is_ready(), source, "is not Ready")
            }
            Cause::Leaving => signals(pod, &could_take(snap, pod), Signal::Leaving, "is being taken away"),
            Cause::Starting => signals(pod, &could_take(snap, pod), Signal::Starting, "is not set up yet"),
            Cause::Pressure => signals(pod, &could_take(snap, pod), Signal::Pressure, "runs short"),
            Cause::Selector => selector(pod, &all),
            Cause::TooManyPods => too_many(snap, &all),
            Cause::PodAffinity => affinity(pod, &all),
            Cause::Ports => ports(snap, pod),
            Cause::VolumeLimit => limits(snap),
            Cause::Extended => offers(snap, &all, message),
            Cause::Fargate => Self { said: vec![fargate::why(snap, pod)], ..Self::default() },
            Cause::Volume | Cause::VolumeZone | Cause::NoNodes | Cause::Other => Self::default(),
        }
    }

    pub(super) fn text(&self) -> String {
        let lines = if self.said.is_empty() { &self.lines } else { &self.said };
        let more = lines.len().saturating_sub(3);
        let shown = lines.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    }

    pub(super) fn evidence(&self) -> Option<Evidence> {
        let seen = if self.seen.is_empty() { &self.lines } else { &self.seen };
        (!seen.is_empty()).then(|| Evidence::new(self.source, seen.join("\n"), self.reproduce))
    }
}

/// Why EKS makes no trunk interface, on which those of pods stand, where it says so.
pub(super) fn trunk_failure<'a>(snap: &'a Snapshot, resource: &str) -> Option<&'a Event> {
    if !resource.ends_with("/pod-eni") {
        return None;
    }
    let of_node = |e: &&Event| e.involved_object.kind == "Node" && e.reason == "TrunkENICreationFailed";
    let all = snap.events_of_nodes().filter(of_node);
    all.filter(|e| e.is_within(DAY, snap.collected_at)).max_by_key(|e| e.last_seen())
}

/// How many nodes offer the resource that is named.
fn offers(snap: &Snapshot, all: &[&Node], message: &str) -> Detail {
    let Some(name) = scarce_extended(message) else { return Detail::default() };
    let offering = all.iter().filter(|n| n.status.allocatable.get(name).is_some_and(|q| q.as_str() != "0")).count();
    let line = match offering {
        0 => match trunk_failure(snap, name) {
            Some(event) => format!("no node offers {name}: {}", shorten(&event.message, QUOTED)),
            None => format!("no node offers {name}"),
        },
        n => format!("{n} of {} nodes offer {name}, and none has as much of it left as the pod asks for", all.len()),
    };
    Detail {
        lines: vec![line],
        source: "allocatable of the nodes",
        reproduce: "kubectl get nodes -o custom-columns=NAME:.metadata.name,ALLOCATABLE:.status.allocatable",
        ..Detail::default()
    }
}

/// What the pod asks for against what the nodes have.
fn room(snap: &Snapshot, pod: &Pod, message: &str) -> Detail {
    let mut made = Detail {
        source: "requests against allocatable of the nodes",
        reproduce: "kubectl describe nodes",
        ..Detail::default()
    };
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        if !message.contains(&format!("Insufficient {resource}")) {
            continue;
        }
        let asked = amount(resource, requests(pod, resource));
        made.short.push(resource);
        if largest_node(snap, pod, resource).is_some_and(|(_, all)| all < requests(pod, resource)) {
            made.too_large.push(format!("{asked} {resource}"));
        }
        let mut nodes = left(snap, pod, resource).unwrap_or_default();
        nodes.sort_by(|a, b| b.free.total_cmp(&a.free));
        let shown = nodes.iter().take(SHOWN_NODES).map(|l| {
            let (all, free) = (amount(resource, l.all), amount(resource, l.free));
            format!("{}: {all} {resource} allocatable, {free} not requested yet", l.node)
        });
        made.seen.extend(shown);
        let line = match (largest_free(snap, pod, resource), largest_node(snap, pod, resource)) {
            // A node that seems to have room is kept from the pod by something else.
            (Some((_, free)), _) if free >= requests(pod, resource) => format!("it requests {asked} {resource}"),
            (Some((node, free)), _) => {
                let free = amount(resource, free);
                format!("it requests {asked} {resource}, and the node with most left ({node}) has {free}")
            }
            (None, Some((node, all))) => {
                let all = amount(resource, all);
                format!("it requests {asked} {resource}; the largest node ({node}) has {all} in all")
            }
            (None, None) => format!("it requests {asked} {resource}"),
        };
        made.lines.push(line);
    }
    made
}

fn taints(pod: &Pod, all: &[&Node], message: &str) -> Detail {
    let mut found: BTreeMap<String, (Taint, usize)> = BTreeMap::new();
    for taint in all.iter().flat_map(|n| scheduling::untolerated(pod, n)) {
        found.entry(scheduling::taint_text(taint)).or_insert_with(|| (taint.clone(), 0)).1 += 1;
    }
    let most = found.values().filter(|(t, _)| !scheduling::is_condition(t)).max_by_key(|(_, n)| *n);
    let told = told_taint(message);
    let mut lines: Vec<String> =
        found.iter().map(|(text, (_, n))| format!("{text} on {n} of {} nodes", all.len())).collect();
    if let (true, Some(taint)) = (lines.is_empty(), &told) {
        lines.push(format!("{}={}", taint.key, taint.value.as_deref().unwrap_or_default()));
    }
    Detail {
        taint: most.map(|(t, _)| t.clone()).or(told),
        lines,
        source: "taints of the nodes that the pod does not tolerate",
        reproduce: "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints",
        ..Detail::default()
    }
}

/// The taint that the scheduler names: `untolerated taint {dedicated: gpu}`. It does not say the effect.
fn told_taint(message: &str) -> Option<Taint> {
    let (inner, _) = message.split_once("taint {")?.1.split_once('}')?;
    let (key, value) = inner.split_once(':')?;
    let value = Some(value.trim().to_owned()).filter(|v| !v.is_empty());
    let taint = Taint { key: key.trim().to_owned(), value, effect: "NoSchedule".into(), ..Taint::default() };
    (!scheduling::is_condition(&taint)).then_some(taint)
}

/// Those of the nodes it could go to that are so; where none is, those of all.
fn named(near: &[&Node], all: &[&Node], is: fn(&Node) -> bool, source: &'static str, what: &str) -> Detail {
    let names =
        |nodes: &[&Node]| -> Vec<String> { nodes.iter().filter(|n| is(n)).map(|n| n.metadata.name.clone()).collect() };
    let hit = Some(names(near)).filter(|n| !n.is_empty()).unwrap_or_else(|| names(all));
    Detail {
        lines: hit.iter().map(|n| format!("{n} {what}")).collect(),
        said: hit.clone(),
        only: near.len() == 1,
        nodes: hit,
        source,
        reproduce: "kubectl get nodes",
        ..Detail::default()
    }
}

/// Nodes with taints that come and go by themselves.
fn signals(pod: &Pod, near: &[&Node], signal: Signal, what: &str) -> Detail {
    let mut made = Detail {
        source: "taints of the nodes that the pod does not tolerate",
        reproduce: "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints",
        only: near.len() == 1,
        ..Detail::default()
    };
    for node in near {
        let all = scheduling::untolerated(pod, node).filter(|t| scheduling::signal(&t.key) == Some(signal));
        let taints: Vec<&Taint> = all.collect();
        if taints.is_empty() {
            continue;
        }
        let texts: Vec<String> = taints.iter().map(|t| scheduling::taint_text(t)).collect();
        let taints_of = format!("(taint {})", texts.join(", "));
        made.lines.push(format!("{} {what} {taints_of}", node.metadata.name));
        made.said.push(format!("{} {taints_of}", node.metadata.name));
        made.nodes.push(node.metadata.name.clone());
        made.signals
            .extend(taints.iter().map(|t| t.key.clone()).filter(|k| !made.signals.contains(k)).collect::<Vec<_>>());
    }
    made
}

/// Which label no node has, and what comes near.
fn selector(pod: &Pod, all: &[&Node]) -> Detail {
    let mut lines = Vec::new();
    for (key, value) in &pod.spec.node_selector {
        if !all.iter().any(|n| n.metadata.label(key) == Some(value)) {
            lines.push(format!("no node has {key}={value}{}", near(all, key)));
        }
    }
    let terms = scheduling::required_affinity(pod).map(|s| s.node_selector_terms.as_slice()).unwrap_or_default();
    for requirement in terms.iter().flat_map(|t| t.match_expressions.iter().flatten()) {
        let one = k8s_openapi::api::core::v1::NodeSelectorTerm {
            match_expressions: Some(vec![requirement.clone()]),
            ..Default::default()
        };
        let alone = k8s_openapi::api::core::v1::NodeSelector { node_selector_terms: vec![one] };
        if !all.iter().any(|n| scheduling::matches(&alone, n)) {
            lines.push(format!(
                "no node has {}{}",
                scheduling::requirement_text(requirement),
                near(all, &requirement.key)
            ));
        }
    }
    if lines.is_empty() && !pod.spec.node_selector.is_empty() {
        let labels: Vec<String> = pod.spec.node_selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
        lines.push(format!("no single node has all that it asks for ({})", labels.join(", ")));
    }
    Detail {
        lines,
        source: "what the pod asks of its node against the nodes' labels",
        reproduce: "kubectl get nodes --show-labels",
        ..Detail::default()
    }
}

/// Other values of the label, or a label whose key is almost the same.
fn near(all: &[&Node], key: &str) -> String {
    let values: BTreeSet<&str> = all.iter().filter_map(|n| n.metadata.label(key)).collect();
    if !values.is_empty() {
        return format!(" (nodes have {})", values.iter().map(|v| format!("{key}={v}")).collect::<Vec<_>>().join(", "));
    }
    let last = |k: &str| k.rsplit('/').next().unwrap_or(k).to_ascii_lowercase();
    // Short words are told from others by each of their letters.
    let typo = |k: &str| k.len().min(key.len()) >= 6 && crate::text::near::is_slip(k, key, 2);
    let alike = |k: &str| last(k) == last(key) || typo(k);
    let mut keys = all.iter().flat_map(|n| &n.metadata.labels).filter(|(k, _)| alike(k.as_str()));
    keys.next().map_or_else(String::new, |(k, v)| format!(" (nodes have {k}={v})"))
}

fn too_many(snap: &Snapshot, all: &[&Node]) -> Detail {
    let pods = snap.node_requests.items().unwrap_or_default();
    let whole = snap.node_requests.gaps().is_empty() && !pods.is_empty();
    let running = |node: &str| {
        let on = pods.iter().filter(|p| p.spec.node_name.as_deref() == Some(node));
        on.filter(|p| !matches!(p.status.phase.as_str(), "Succeeded" | "Failed")).count()
    };
    let line = |n: &&Node| {
        let limit = n.status.allocatable.get("pods")?;
        let name = &n.metadata.name;
        let kind = n.metadata.label("node.kubernetes.io/instance-type").map(|t| format!(" ({t})")).unwrap_or_default();
        Some(match whole {
            true => format!("node {name}{kind} runs {} of at most {limit} pods", running(name)),
            false => format!("node {name}{kind} takes at most {limit} pods"),
        })
    };
    Detail {
        lines: all.iter().filter_map(line).collect(),
        source: "allocatable pods of the nodes",
        reproduce: "kubectl get nodes -o custom-columns=NAME:.metadata.name,PODS:.status.allocatable.pods",
        ..Detail::default()
    }
}

fn affinity(pod: &Pod, all: &[&Node]) -> Detail {
    let mut lines = Vec::new();
    let spread = pod.spec.topology_spread_constraints.iter().filter(|c| c.when_unsatisfiable == "DoNotSchedule");
    for constraint in spread {
        let key = &constraint.topology_key;
        lines.push(format!("its pods must be spread over {key} with a skew of at most {}", constraint.max_skew));
    }
    let rules = pod.spec.affinity.as_ref();
    let anti = rules.and_then(|a| a.pod_anti_affinity.as_ref());
    for term in anti.iter().flat_map(|a| a.required_during_scheduling_ignored_during_execution.iter().flatten()) {
        let places = domains(all, &term.topology_key);
        lines.push(format!("it must not share its {} with others like it, and there are {places}", term.topology_key));
    }
    let own = rules.and_then(|a| a.pod_affinity.as_ref());
    for term in own.iter().flat_map(|a| a.required_during_scheduling_ignored_during_execution.iter().flatten()) {
        lines.push(format!("it must share its {} with pods that its pod affinity selects", term.topology_key));
    }
    Detail {
        lines,
        source: "affinity and topology spread of the pod",
        reproduce: "kubectl get nodes --show-labels",
        ..Detail::default()
    }
}

/// How many different values of a label the nodes have.
fn domains(all: &[&Node], key: &str) -> usize {
    all.iter().filter_map(|n| n.metadata.label(key)).collect::<BTreeSet<_>>().len()
}

fn ports(snap: &Snapshot, pod: &Pod) -> Detail {
    let wanted = host_ports(pod.spec.host_network, pod.spec.containers.iter().map(|c| c.ports.as_slice()));
    let mut lines = Vec::new();
    // All pods of the cluster are known where one finds no node; else those in scope.
    let everywhere = snap.node_requests.items().unwrap_or_default().iter();
    let held = everywhere.filter(|p| !matches!(p.status.phase.as_str(), "Succeeded" | "Failed")).map(|p| {
        let ports = host_ports(p.spec.host_network, p.spec.containers.iter().map(|c| c.ports.as_slice()));
        (&p.metadata, p.spec.node_name.as_deref(), ports)
    });
    let mut held: Vec<_> = held.collect();
    let in_scope = snap.pods.items().unwrap_or_default().iter().filter(|p| !p.is_finished());
    let known: BTreeSet<(&str, &str)> = held.iter().map(|(m, ..)| (m.namespace.as_str(), m.name.as_str())).collect();
    let others = in_scope.filter(|p| !known.contains(&(p.metadata.namespace.as_str(), p.metadata.name.as_str())));
    let others: Vec<_> = others
        .map(|p| {
            let ports = host_ports(p.spec.host_network, p.spec.containers.iter().map(|c| c.ports.as_slice()));
            (&p.metadata, p.spec.node_name.as_deref(), ports)
        })
        .collect();
    held.extend(others);
    let mut holders: BTreeSet<String> = BTreeSet::new();
    // The other pods of a DaemonSet are on other nodes, each on its own.
    let own = owner_of(&pod.metadata).filter(|(kind, _)| *kind == "DaemonSet");
    let is_twin = |meta: &Meta| own.is_some() && meta.namespace == pod.metadata.namespace && owner_of(meta) == own;
    for (meta, node, ports) in held.into_iter().filter(|(meta, ..)| !is_twin(meta)) {
        let Some(node) = node else { continue };
        for port in ports.into_iter().filter(|p| wanted.contains(p)) {
            let owner = owner_of(meta).map_or_else(
                || format!("Pod {}/{}", meta.namespace, meta.name),
                |(kind, name)| format!("{kind} {}/{name}", meta.namespace),
            );
            lines.push(format!("host port {port} of node {node} is held by pod {}/{}", meta.namespace, meta.name));
            holders.insert(format!("host port {port} is held by {owner}"));
        }
    }
    // The owner says it for all nodes at once.
    if holders.len() == 1 && lines.len() > 1 {
        lines = holders.into_iter().collect();
    }
    if lines.is_empty() && !wanted.is_empty() {
        lines.push(format!(
            "it asks for host port {}",
            wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
        ));
    }
    Detail {
        lines,
        source: "host ports",
        reproduce: "kubectl get pods -A -o custom-columns='NS:.metadata.namespace,NAME:.metadata.name,NODE:.spec.nodeName,PORTS:.spec.containers[*].ports[*].hostPort'",
        ..Detail::default()
    }
}

/// Ports of the host that containers ask for: on the host's network all of theirs.
fn host_ports<'a>(host_network: bool, containers: impl Iterator<Item = &'a [ContainerPort]>) -> Vec<u16> {
    let ports = containers.flatten();
    ports.filter_map(|port| port.host_port.or(host_network.then_some(port.container_port))).collect()
}

fn limits(snap: &Snapshot) -> Detail {
    let nodes = snap.csi_nodes.items().unwrap_or_default().iter();
    let line = |n: &crate::snapshot::kubernetes::CsiNode| {
        let driver = n.spec.drivers.iter().find(|d| d.name.starts_with("ebs.csi."))?;
        let count = driver.allocatable.as_ref()?.count?;
        Some(format!("node {} takes {count} EBS volumes", n.metadata.name))
    };
    Detail {
        lines: nodes.filter_map(line).collect(),
        source: "CSINodes, allocatable volumes of the EBS CSI driver",
        reproduce: "kubectl get csinodes -o custom-columns='NAME:.metadata.name,LIMITS:.spec.drivers[*].allocatable.count'",
        ..Detail::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_the_label_that_is_missing_and_what_comes_near() {
        let node: Node =
            serde_json::from_value(json!({"metadata": {"name": "a", "labels": {"disktype": "hdd", "role": "web"}}}))
                .expect("a node");
        let pod = |selector: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"nodeSelector": selector}}))
                .expect("a pod")
        };
        let text = |selector| crate::checks::workload::pod_pending::detail::selector(&pod(selector), &[&node]).text();
        assert_eq!(text(json!({"disktype": "ssd"})), "no node has disktype=ssd (nodes have disktype=hdd)");
        assert_eq!(text(json!({"disk-type": "ssd"})), "no node has disk-type=ssd (nodes have disktype=hdd)");
        assert_eq!(text(json!({"zone": "x"})), "no node has zone=x");
        assert!(text(json!({"role": "web", "disktype": "hdd"})).starts_with("no single node"));
    }
}
