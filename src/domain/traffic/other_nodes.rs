//! Targets that time out on every node but Prometheus' own: something between the nodes drops the connections.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::kubernetes::network_policy::{Direction, Policies};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};
use crate::snapshot::monitoring::ScrapeTarget;

/// One port that is reached on Prometheus' own node alone.
#[derive(Debug, Clone)]
pub(crate) struct OtherNodes<'a> {
    pub(crate) port: u16,
    /// Prometheus' node.
    pub(crate) own: &'a str,
    /// The nodes whose targets time out.
    pub(crate) nodes: BTreeSet<&'a str>,
    /// Those targets.
    pub(crate) down: Vec<Down<'a>>,
    /// The first that is up on the own node.
    pub(crate) up: &'a ScrapeTarget,
}

/// The ports with this pattern, if it has no other explanation in the cluster.
pub(crate) fn other_nodes(snap: &Snapshot) -> Vec<OtherNodes<'_>> {
    let Some(prometheus) = targets::prometheus_pod(snap) else { return Vec::new() };
    let Some(own) = prometheus.spec.node_name.as_deref() else { return Vec::new() };
    let policies = Policies::of(snap);
    if !policies.isolating(prometheus, Direction::Egress).is_empty() {
        return Vec::new();
    }
    let mut by_port: BTreeMap<u16, Vec<(&ScrapeTarget, &Node)>> = BTreeMap::new();
    for target in targets::all(snap).iter().filter(|t| t.health != "unknown") {
        let Some(address) = Address::parse(&target.scrape_url) else { continue };
        let pod = pod_of(snap, target, &address);
        if pod.is_some_and(|p| !policies.isolating(p, Direction::Ingress).is_empty() || !p.is_ready()) {
            continue;
        }
        if let Some(node) = node_of(snap, target, &address, pod) {
            by_port.entry(address.port).or_default().push((target, node));
        }
    }
    let down = targets::down(snap).unwrap_or_default();
    by_port.into_iter().filter_map(|(port, all)| pattern(snap, own, port, &all, &down)).collect()
}

fn pattern<'a>(
    snap: &'a Snapshot,
    own: &'a str,
    port: u16,
    all: &[(&'a ScrapeTarget, &Node)],
    down: &[Down<'a>],
) -> Option<OtherNodes<'a>> {
    let timed_out = |t: &ScrapeTarget| {
        down.iter()
            .find(|d| d.target.scrape_url == t.scrape_url && d.target.job() == t.job())
            .filter(|d| d.failure == ScrapeFailure::Timeout)
    };
    type OnNodes<'t, 'n> = Vec<(&'t ScrapeTarget, &'n Node)>;
    let (here, there): (OnNodes<'_, '_>, OnNodes<'_, '_>) =
        all.iter().copied().partition(|(_, node)| node.metadata.name == own);
    let up = here.first()?.0;
    if here.iter().any(|(t, _)| t.health != "up") || there.is_empty() {
        return None;
    }
    let failed: Option<Vec<Down<'_>>> = there.iter().map(|(t, _)| timed_out(t).cloned()).collect();
    let failed = failed?;
    let nodes = snap.nodes.items().ok()?.iter();
    let names: BTreeSet<&str> = nodes
        .filter(|n| n.is_ready() && there.iter().any(|(_, of)| of.metadata.name == n.metadata.name))
        .map(|n| n.metadata.name.as_str())
        .collect();
    // One node alone may have a fault of its own; and what hangs on dead nodes is explained by that.
    let all_ready = there.iter().all(|(_, n)| n.is_ready());
    (all_ready && names.len() >= 2).then_some(OtherNodes { port, own, nodes: names, down: failed, up })
}

fn pod_of<'a>(snap: &'a Snapshot, target: &ScrapeTarget, address: &Address) -> Option<&'a Pod> {
    let (namespace, name) = targets::pod_of(snap, target, address)?;
    snap.pods.find(&namespace, &name).ok().flatten()
}

fn node_of<'a>(snap: &'a Snapshot, target: &ScrapeTarget, address: &Address, pod: Option<&Pod>) -> Option<&'a Node> {
    let by_name = |name: &str| snap.nodes.named(name).ok().flatten();
    if let Some(name) = pod.and_then(|p| p.spec.node_name.as_deref()) {
        return by_name(name);
    }
    if let Some(name) = targets::node_of(target, address) {
        return by_name(&name);
    }
    snap.nodes.items().ok()?.iter().find(|n| n.internal_ip() == Some(address.host.as_str()))
}
