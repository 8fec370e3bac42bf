//! On one node the addresses of Services lead nowhere.

mod rules;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::instance::Instance;
use crate::checks::support::seen::line_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::proxy_log;
use crate::domain::traffic::service_network::{Cut, cut_off};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};

check! {
    /// See the check's page.
    NodeServices {
        id: "node-services", suite: Network, severity: Error,
        title: "addresses of Services lead nowhere on a node",
        requires: [Nodes, Pods, Services],
        uses: [PartLogs, ComponentLogs, CrashLogs],
        fix: Fix,
    }
}

/// Pods whose words are shown.
const SHOWN: usize = 3;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Node {
        node: String,
        /// What it runs, where the other nodes run something else.
        system: String,
        /// One of the systems that is known to change the addresses of the interfaces of pods.
        ubuntu: bool,
        /// One of the systems whose packet filter is another than the containers' tools take it for.
        red_hat: bool,
        proxy: String,
        proxy_namespace: String,
        /// Whose pods get no answer.
        workloads: Vec<Owner>,
        #[serde(flatten)]
        instance: Instance,
    },
    Proxy {
        node: String,
        proxy: String,
        proxy_namespace: String,
        /// Another program holds the lock of the packet filter; the API server is not reached.
        locked: bool,
        api: bool,
        /// What shows the packet filter, as Systems Manager's commands take it.
        commands: String,
        /// What has to be ready again.
        workloads: Vec<Owner>,
        #[serde(flatten)]
        instance: Instance,
    },
}

/// A workload, as kubectl takes it.
#[derive(Serialize, JsonSchema)]
struct Owner {
    name: String,
    namespace: String,
}

impl Check for NodeServices {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let nodes = snap.nodes()?;
        snap.pods()?;
        let cut = cut_off(snap);
        let mut findings = rules::findings(snap, &cut);
        if findings.is_empty() && nodes.iter().filter(|n| !n.is_fargate()).count() < 2 {
            return Ok(Diagnosis::NotApplicable("there are no two nodes to compare".into()));
        }
        findings.extend(cut.iter().map(|cut| finding(snap, cut)));
        Ok(Diagnosis::Findings(findings))
    }
}

fn finding(snap: &Snapshot, cut: &Cut<'_>) -> Finding {
    let name = &cut.node.metadata.name;
    let proxy = proxy(snap, name);
    let system = other_system(snap, cut.node);
    let trouble = proxy.and_then(|p| proxy_log::trouble(snap, p));
    let why = match (proxy, &system) {
        (None, _) if lacks_proxy(snap, cut.node) => "; no kube-proxy is seen there".to_owned(),
        _ if let Some(trouble) = &trouble => format!("; {}", rules::words(trouble)),
        (Some(p), _) if !p.is_ready() => format!("; its kube-proxy ({}) is not ready", p.metadata.name),
        (_, Some(system)) => format!("; it runs {system}, unlike the nodes where they do"),
        (_, None) => String::new(),
    };
    let pods: Vec<String> =
        cut.silent.iter().map(|s| format!("{}/{}", s.pod.metadata.namespace, s.pod.metadata.name)).collect();
    let message = format!(
        "addresses of Services lead nowhere on node {name}: {} get no answer of the cluster's API at {}{why}",
        pods.join(", "),
        cut.address
    );
    let mut made = Finding::new(NodeServices::META.id, Severity::Error, ResourceRef::node(name), message);
    for silent in &cut.silent {
        let meta = &silent.pod.metadata;
        made = made.also(ResourceRef::pod(&meta.namespace, &meta.name));
    }
    made = made.breaks(ResourceRef::node(name));
    let shown = cut.silent.iter().take(SHOWN).map(|s| line_evidence(s.log, s.line));
    made = made.evidence_all(shown);
    // Its own words say why.
    if let Some(trouble) = trouble {
        let log = trouble.log;
        made = made.evidence(line_evidence(log, trouble.line));
    }
    if let Some(proxy) = proxy {
        made = made.depends_on(ResourceRef::pod(&proxy.metadata.namespace, &proxy.metadata.name));
    }
    let info = &cut.node.status.node_info;
    let seen = Evidence::new(
        format!("Node {name}, status.nodeInfo"),
        format!("{}, kernel {}", info.os_image, info.kernel_version),
        "kubectl get nodes -o wide",
    );
    let image = info.os_image.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| image.contains(w));
    made.evidence(seen).fix(Fix::Node {
        node: name.clone(),
        ubuntu: has(&["ubuntu", "debian", "flatcar"]),
        red_hat: has(&["red hat", "rocky", "almalinux", "oracle linux", "centos", "flatcar"]),
        system: system.unwrap_or_default(),
        proxy: proxy.map(|p| p.metadata.name.clone()).unwrap_or_default(),
        proxy_namespace: proxy.map(|p| p.metadata.namespace.clone()).unwrap_or_default(),
        workloads: cut
            .silent
            .iter()
            .map(|s| Owner { name: snap.owner_ref(s.pod).kubectl_name(), namespace: s.pod.metadata.namespace.clone() })
            .collect(),
        instance: Instance::of(cut.node),
    })
}

/// The kube-proxy of a node.
fn proxy<'a>(snap: &'a Snapshot, node: &str) -> Option<&'a Pod> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    pods.filter(|p| p.spec.node_name.as_deref() == Some(node)).find(|p| proxy_log::is_proxy(p))
}

/// No kube-proxy runs on a node, while others have one; EKS Auto Mode keeps it in the node's own system.
fn lacks_proxy(snap: &Snapshot, node: &Node) -> bool {
    let nodes = snap.nodes.items().unwrap_or_default().iter();
    let mut others = nodes.filter(|n| n.metadata.name != node.metadata.name);
    snap.pods.covers("kube-system")
        && !node.is_auto_mode()
        && proxy(snap, &node.metadata.name).is_none()
        && others.any(|n| proxy(snap, &n.metadata.name).is_some())
}

/// The system of a node, where no other node runs it.
fn other_system(snap: &Snapshot, node: &Node) -> Option<String> {
    let own = &node.status.node_info.os_image;
    let mut others = snap.nodes.items().unwrap_or_default().iter().filter(|n| n.metadata.name != node.metadata.name);
    let alone = others.all(|n| n.status.node_info.os_image != *own);
    (alone && !own.is_empty()).then(|| own.clone())
}
