//! The way of a look-up between nodes: what the security groups of the nodes that run the DNS servers admit.

use crate::domain::aws::firewall::{Barrier, Firewall, Verdict, words};
use crate::domain::aws::interface::Interfaces;
use crate::domain::kubernetes::network_policy::Protocol;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

const PORT: u16 = 53;

/// Nodes with DNS servers that do not admit the look-ups of a pod's node.
#[derive(Debug, Clone)]
pub(crate) struct Closed<'a> {
    /// The group of these nodes that lacks the rule.
    pub(crate) group: &'a str,
    /// The group of the pod's node that the rule has to admit.
    pub(crate) source: &'a str,
    /// `udp`, `tcp`: what is not admitted.
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) server_nodes: Vec<&'a str>,
    /// The group's rules of now, in words.
    pub(crate) rules: String,
}

/// The servers' nodes that do not admit a pod's look-ups; `None` where all do, or where it is not known.
pub(crate) fn closed<'a>(snap: &'a Snapshot, pod: &'a Pod, servers: &[&'a Pod]) -> Option<Closed<'a>> {
    let firewall = Firewall::of(snap).ok()?;
    let interfaces = Interfaces::new(snap);
    let from = interfaces.of_pod(pod)?;
    let mut found: Option<Closed<'a>> = None;
    for server in servers {
        let to = interfaces.of_pod(server)?;
        let barrier = |protocol| match firewall.verdict(&from, &to, protocol, PORT) {
            Verdict::Blocked(all) => all.into_iter().find_map(|b| match b {
                Barrier::Ingress { group, source } => Some((group, source)),
                _ => None,
            }),
            _ => None,
        };
        // Look-ups go by UDP first.
        let Some((group, source)) = barrier(Protocol::Udp) else { continue };
        let node = server.spec.node_name.as_deref()?;
        match &mut found {
            Some(known) if known.group == group => known.server_nodes.push(node),
            Some(_) => {}
            None => {
                let tcp = barrier(Protocol::Tcp).map(|_| "tcp");
                let rules = firewall.group(group).map(|g| words(&g.ip_permissions, "from")).unwrap_or_default();
                found = Some(Closed {
                    group,
                    source,
                    protocols: std::iter::once("udp").chain(tcp).collect(),
                    server_nodes: vec![node],
                    rules,
                });
            }
        }
    }
    let mut found = found?;
    found.server_nodes.sort_unstable();
    found.server_nodes.dedup();
    Some(found)
}
