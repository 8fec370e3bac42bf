//! A node that is Ready and of which nothing answers: its kubelet reports to the API server, and all that Prometheus asks at
//! the node's own address times out, on several ports, while other nodes answer on the same.

use std::collections::BTreeSet;

use crate::domain::kubernetes::network_policy::{Direction, Policies};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Down};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Node;

/// Ports that have to be silent: one alone may be a program's own fault.
const PORTS: usize = 2;

/// A node that answers nobody.
#[derive(Debug, Clone)]
pub(crate) struct SilentNode<'a> {
    pub(crate) node: &'a Node,
    pub(crate) address: &'a str,
    pub(crate) ports: BTreeSet<u16>,
    /// Its targets, all of them.
    pub(crate) down: Vec<Down<'a>>,
}

impl SilentNode<'_> {
    /// It is no instance of EC2: a machine of one's own, behind firewalls and routes of one's own.
    pub(crate) fn is_outside(&self) -> bool {
        self.node.is_hybrid()
    }
}

/// The nodes of this kind.
pub(crate) fn silent_nodes(snap: &Snapshot) -> Vec<SilentNode<'_>> {
    let Some(prometheus) = targets::prometheus_pod(snap) else { return Vec::new() };
    if !Policies::of(snap).isolating(prometheus, Direction::Egress).is_empty() {
        return Vec::new();
    }
    let down = targets::down(snap).unwrap_or_default();
    let nodes = snap.nodes.items().unwrap_or_default().iter();
    let others = nodes.filter(|n| Some(n.metadata.name.as_str()) != prometheus.spec.node_name.as_deref());
    others.filter_map(|node| silent(snap, node, &down)).collect()
}

fn silent<'a>(snap: &'a Snapshot, node: &'a Node, down: &[Down<'a>]) -> Option<SilentNode<'a>> {
    let address = node.internal_ip().filter(|_| node.is_ready() && !node.is_fargate())?;
    let at = |host: &str| host.trim_matches(['[', ']']) == address;
    let own: Vec<Down<'a>> = down.iter().filter(|d| d.address.as_ref().is_some_and(|a| at(&a.host))).cloned().collect();
    let ports: BTreeSet<u16> = own.iter().filter_map(|d| Some(d.address.as_ref()?.port)).collect();
    if ports.len() < PORTS || own.iter().any(|d| d.failure != ScrapeFailure::Timeout) {
        return None;
    }
    let parsed = targets::all(snap).iter().filter_map(|t| Some((t, targets::Address::parse(&t.scrape_url)?)));
    let mut answered: BTreeSet<u16> = BTreeSet::new();
    for (_, address) in parsed.filter(|(t, _)| t.health == "up") {
        if at(&address.host) {
            return None;
        }
        answered.insert(address.port);
    }
    // What no node answers on is no matter of this one.
    let elsewhere = ports.iter().all(|port| answered.contains(port));
    elsewhere.then_some(SilentNode { node, address, ports, down: own })
}
