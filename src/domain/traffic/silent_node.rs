//! A node that is Ready and of which nothing answers: its kubelet reports to the API server, and all that Prometheus asks at
//! the node's own address times out, on several ports, while other nodes answer on the same.

use std::collections::BTreeSet;

use crate::domain::kubernetes::network_policy::{Direction, Policies};
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
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
    let found: Vec<SilentNode<'_>> = others.filter_map(|node| silent(node, &down)).collect();
    if found.is_empty() {
        return found;
    }
    let up = targets::all(snap).iter().filter(|t| t.health == "up");
    let up: Vec<Address> = up.filter_map(|t| Address::parse(&t.scrape_url)).collect();
    let answered: BTreeSet<u16> = up.iter().map(|a| a.port).collect();
    let answers = |silent: &SilentNode<'_>| up.iter().any(|a| is_at(&a.host, silent.address));
    // What no node answers on is no matter of this one.
    found.into_iter().filter(|s| !answers(s) && s.ports.is_subset(&answered)).collect()
}

/// A node that is well for Kubernetes, and of which no target answers on several ports.
fn silent<'a>(node: &'a Node, down: &[Down<'a>]) -> Option<SilentNode<'a>> {
    let address = node.internal_ip().filter(|_| node.is_ready() && !node.is_fargate())?;
    let is_own = |d: &&Down<'_>| d.address.as_ref().is_some_and(|a| is_at(&a.host, address));
    let own: Vec<Down<'a>> = down.iter().filter(is_own).cloned().collect();
    let ports: BTreeSet<u16> = own.iter().filter_map(|d| Some(d.address.as_ref()?.port)).collect();
    let times_out = own.iter().all(|d| d.failure == ScrapeFailure::Timeout);
    (ports.len() >= PORTS && times_out).then_some(SilentNode { node, address, ports, down: own })
}

fn is_at(host: &str, address: &str) -> bool {
    host.trim_matches(['[', ']']) == address
}
