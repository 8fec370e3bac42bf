//! Pods get no sandbox on a node: its network plugin does not answer, or the image of the sandbox is not there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::instance::Instance;
use crate::checks::support::seen::{event_evidence, pod_evidence};
use crate::checks::{Check, check};
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::runtime_error::{self, Known};
use crate::domain::kubernetes::sandbox::{self, Cause};
use crate::domain::kubernetes::{foundation, network_plugin, nodes, system};
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Event, Pod};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    PodWithoutNetwork {
        id: "pod-without-network", suite: Network, severity: Error,
        title: "pods get no sandbox on a node",
        requires: [Pods, Events],
        uses: [Nodes, Workloads, PersistentVolumeClaims, PersistentVolumes, Subnets, Instances],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Plugin {
        node: String,
        /// The plugin's pod there.
        plugin: Option<String>,
        plugin_namespace: String,
        /// Of which DaemonSet; empty where that is not known.
        plugin_owner: String,
        vpc_cni: bool,
        field: String,
    },
    NoAddress {
        node: String,
        plugin: Option<String>,
        plugin_namespace: String,
        cilium: bool,
        calico: bool,
        /// The pods that wait and that somebody makes again, where they could go to other nodes.
        namespace: String,
        pods: Vec<String>,
    },
    Token {
        node: String,
        /// The plugin whose token it is, and its pod there; the pod is none where none is seen.
        kind: String,
        plugin: Option<String>,
        plugin_namespace: String,
        field: String,
    },
    LeftBehind {
        node: String,
        kind: String,
        field: String,
        namespace: String,
        pod: String,
        #[serde(flatten)]
        instance: Instance,
    },
    Image {
        node: String,
    },
    ImageGone {
        node: String,
        #[serde(flatten)]
        instance: Instance,
    },
    Runtime {
        namespace: String,
        pod: String,
        node: String,
        /// Another node can take it.
        elsewhere: bool,
        filters: bool,
        #[serde(flatten)]
        instance: Instance,
    },
    Other {
        namespace: String,
        pod: String,
        node: String,
    },
}

impl Check for PodWithoutNetwork {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.events()?;
        let mut groups: BTreeMap<(&str, Cause), Vec<(&Pod, &Event)>> = BTreeMap::new();
        let waiting: Vec<&Pod> = snap.pods()?.iter().filter(|p| waits(snap, p)).collect();
        for pod in waiting.iter().copied() {
            let Some(node) = pod.spec.node_name.as_deref() else { continue };
            let Some((event, fault)) = refused(snap, pod) else { continue };
            groups.entry((node, fault)).or_default().push((pod, event));
        }
        // Of a try that still hangs the runtime only says that it holds the name.
        for pod in waiting.iter().copied() {
            let Some(event) = echo(snap, pod).filter(|_| refused(snap, pod).is_none()) else { continue };
            let own = groups.iter_mut().find(|((node, _), _)| pod.spec.node_name.as_deref() == Some(*node));
            if let Some((_, all)) = own {
                all.push((pod, event));
            }
        }
        Ok(Diagnosis::Findings(
            groups.into_iter().map(|((node, fault), all)| finding(snap, node, fault, &all)).collect(),
        ))
    }
}

/// A pod of the stack, or of what it stands on, that has a node and has not begun there.
fn waits(snap: &Snapshot, pod: &Pod) -> bool {
    let begun = pod.statuses().any(|s| s.state.running.is_some() || s.state.terminated.is_some());
    (snap.scope.is_judged(&pod.metadata.namespace) || foundation::is_part(pod))
        && pod.status.phase == "Pending"
        && pod.metadata.deletion_timestamp.is_none()
        && snap.age_seconds(&pod.metadata) >= GRACE
        && !begun
        && !system::is_astray(snap, pod)
}

/// What the kubelet said last of the sandbox. Once may be a moment in which the plugin starts.
fn refused<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<(&'a Event, Cause)> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
    let mut sandbox = events.filter(|e| e.reason == "FailedCreatePodSandBox" && e.times() > 1);
    sandbox.find_map(|e| Some((e, Cause::read(&e.message)?)))
}

/// That an earlier try still holds the sandbox's name.
fn echo<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Event> {
    let mut events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
    events.find(|e| e.reason == "FailedCreatePodSandBox" && e.times() > 1 && sandbox::is_echo(&e.message))
}

fn finding(snap: &Snapshot, node: &str, fault: Cause, all: &[(&Pod, &Event)]) -> Finding {
    let (first, event) = all[0];
    let plugin = network_plugin::pod_on(snap, node, &event.message);
    let who = match all {
        [(pod, _)] => format!("pod {}/{} gets no sandbox", pod.metadata.namespace, pod.metadata.name),
        many => format!("{} pods get no sandbox", many.len()),
    };
    let kind = sandbox::plugin(&event.message);
    let left = network_plugin::left_behind(snap, node, &event.message).filter(|_| is_of_plugin(fault));
    let why = match (fault, plugin) {
        (Cause::Plugin | Cause::Token | Cause::Binary, _) if left.is_some() => format!(
            "its configuration there asks the network plugin {}, of which no pod is seen on the node: it was removed and its file stayed, or it does not come up there",
            left.unwrap_or_default()
        ),
        (Cause::Token, _) => format!(
            "the cluster's API refuses the token that the network plugin {} keeps on the node: it is no longer valid",
            kind.unwrap_or("CNI")
        ),
        (Cause::Plugin, Some(p)) if !p.is_ready() => {
            format!("the network plugin ({}) does not answer there: it is not ready", p.metadata.name)
        }
        (Cause::Plugin, Some(p)) => format!("the network plugin ({}) does not answer there", p.metadata.name),
        (Cause::Plugin, None) => match kind {
            Some(kind) => format!("the network plugin {kind} does not answer there"),
            None => "no network plugin answers there".to_owned(),
        },
        (Cause::NoAddress, Some(p)) => {
            format!("the network plugin ({}) has no address left to give there", p.metadata.name)
        }
        (Cause::NoAddress, None) => "the network plugin has no address left to give there".to_owned(),
        (Cause::Binary, _) => "the program of the network plugin is not on the node".to_owned(),
        (Cause::Image, _) if is_gone(snap, node, &event.message) => {
            "the image of the sandbox (pause) is not on it any more, and the runtime asks for it without credentials"
                .to_owned()
        }
        (Cause::Image, _) => "the image of the sandbox (pause) cannot be pulled".to_owned(),
        (Cause::Runtime(known), _) => {
            let said = runtime_error::of_node(&event.message).map_or("", |(said, _)| said);
            let meaning = known.meaning().map(|m| format!(": {m}")).unwrap_or_default();
            format!("the container runtime fails ({}){meaning}", shorten(said, 300))
        }
        (Cause::Other, _) => shorten(event.message.lines().next().unwrap_or_default(), 300),
    };
    let subject = ResourceRef::node(node);
    let mut made =
        Finding::new(PodWithoutNetwork::META.id, Severity::Error, subject, format!("{who} on node {node}: {why}"))
            .key(format!("{node} {fault:?}"))
            .evidence(event_evidence(event))
            .depends_on(ResourceRef::node(node));
    let mut broken = Vec::new();
    for (pod, _) in all {
        broken.push(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        broken.push(snap.owner_ref(pod));
    }
    made = broken.into_iter().fold(made, Finding::breaks);
    if let Some(plugin) = plugin.filter(|_| is_of_plugin(fault)) {
        made = made
            .evidence(pod_evidence(plugin))
            .depends_on(ResourceRef::pod(&plugin.metadata.namespace, &plugin.metadata.name));
    }
    if let Some(plugin) = plugin.filter(|p| fault == Cause::Plugin && !p.is_ready()) {
        made = made.also(ResourceRef::pod(&plugin.metadata.namespace, &plugin.metadata.name));
    }
    if fault == Cause::Image
        && !is_gone(snap, node, &event.message)
        && let Some(subnet) = Placement::new(snap).of_pod(first)
    {
        made = made.depends_on(ResourceRef::aws("ec2", "subnet", subnet));
    }
    made.fix(fix(snap, node, fault, all, plugin, left))
}

/// The plugin itself does not do its part.
fn is_of_plugin(fault: Cause) -> bool {
    matches!(fault, Cause::Plugin | Cause::Token | Cause::Binary)
}

/// `left`: the plugin of which only the configuration is there.
fn fix(
    snap: &Snapshot,
    node: &str,
    fault: Cause,
    all: &[(&Pod, &Event)],
    plugin: Option<&Pod>,
    left: Option<&str>,
) -> Fix {
    let (first, event) = all[0];
    if let (Some(kind), Some(own)) = (left, snap.nodes.named(node).ok().flatten()) {
        return Fix::LeftBehind {
            kind: kind.to_owned(),
            field: format!("spec.nodeName={node}"),
            namespace: first.metadata.namespace.clone(),
            pod: first.metadata.name.clone(),
            instance: Instance::of(own),
            node: node.to_owned(),
        };
    }
    let node = node.to_owned();
    match fault {
        Cause::NoAddress => {
            let lower = event.message.to_ascii_lowercase();
            let namespace = first.metadata.namespace.clone();
            let own = all.iter().map(|(p, _)| *p).filter(|p| p.metadata.namespace == namespace);
            let waiting = own.filter(|p| nodes::can_move(snap, p));
            Fix::NoAddress {
                plugin: plugin.map(|p| p.metadata.name.clone()),
                plugin_namespace: plugin.map_or("kube-system", |p| p.metadata.namespace.as_str()).to_owned(),
                cilium: lower.contains("cilium"),
                calico: lower.contains("calico"),
                pods: waiting.map(|p| p.metadata.name.clone()).collect(),
                namespace,
                node,
            }
        }
        Cause::Token => Fix::Token {
            field: format!("spec.nodeName={node}"),
            kind: sandbox::plugin(&event.message).unwrap_or("CNI").to_owned(),
            plugin_namespace: plugin.map_or("kube-system", |p| p.metadata.namespace.as_str()).to_owned(),
            plugin: plugin.map(|p| p.metadata.name.clone()),
            node,
        },
        Cause::Plugin | Cause::Binary => Fix::Plugin {
            field: format!("spec.nodeName={node}"),
            plugin_namespace: plugin.map_or("kube-system", |p| p.metadata.namespace.as_str()).to_owned(),
            plugin_owner: match plugin {
                Some(pod) => snap.owner_ref(pod).kubectl_name(),
                None if snap.platform == Platform::Eks => "daemonset/aws-node".to_owned(),
                None => String::new(),
            },
            vpc_cni: snap.platform == Platform::Eks,
            plugin: plugin.map(|p| p.metadata.name.clone()),
            node,
        },
        Cause::Image => match snap.nodes.named(&node).ok().flatten() {
            Some(own) if is_gone(snap, &node, &event.message) => Fix::ImageGone { instance: Instance::of(own), node },
            _ => Fix::Image { node },
        },
        Cause::Runtime(_) | Cause::Other => {
            let (namespace, pod) = (first.metadata.namespace.clone(), first.metadata.name.clone());
            match (fault, snap.nodes.named(&node).ok().flatten()) {
                (Cause::Runtime(known), Some(own)) => Fix::Runtime {
                    elsewhere: nodes::can_move(snap, first),
                    filters: known == Known::Filters,
                    instance: Instance::of(own),
                    namespace,
                    pod,
                    node,
                },
                _ => Fix::Other { namespace, pod, node },
            }
        }
    }
}

/// The node had the image, or nothing would run on it; and the registry asks for credentials, which the kubelet has and the
/// runtime, where it pulls by itself, has not.
fn is_gone(snap: &Snapshot, node: &str, message: &str) -> bool {
    let refused = ["401 Unauthorized", "no basic auth credentials", "authorization failed"];
    let here = |p: &&Pod| p.spec.node_name.as_deref() == Some(node);
    let runs = |p: &Pod| p.statuses().any(|s| s.state.running.is_some());
    refused.iter().any(|r| message.contains(r)) && snap.pods.items().unwrap_or_default().iter().filter(here).any(runs)
}
