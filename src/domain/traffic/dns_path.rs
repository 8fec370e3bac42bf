//! The way of a look-up between nodes: what the security groups of the nodes that run the DNS servers admit.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::aws::placement::Placement;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Instance, IpPermission, SecurityGroup};
use crate::snapshot::kubernetes::{Node, Pod, annotation};

const PORT: i32 = 53;

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
    let groups = snap.security_groups.as_ref().ok()?;
    let from = End::of(snap, pod)?;
    let ends: Option<Vec<End<'a>>> = servers.iter().map(|s| End::of(snap, s)).collect();
    let mut found: Option<Closed<'a>> = None;
    for end in ends?.iter().filter(|e| e.instance.instance_id != from.instance.instance_id) {
        let own: Option<Vec<&SecurityGroup>> =
            ids(end.instance).map(|id| groups.iter().find(|g| g.group_id == id)).collect();
        let own = own.filter(|all| !all.is_empty())?;
        let admits = |protocol: &str| own.iter().any(|g| g.ip_permissions.iter().any(|r| from.passes(r, protocol)));
        let protocols: Vec<&'static str> = ["udp", "tcp"].into_iter().filter(|p| !admits(p)).collect();
        // Look-ups go by UDP first.
        if !protocols.contains(&"udp") {
            continue;
        }
        let group = own.iter().find(|g| !ids(from.instance).any(|id| id == g.group_id)).or(own.first())?;
        let source = ids(from.instance).find(|id| !ids(end.instance).any(|o| o == *id)).or(ids(from.instance).next())?;
        match &mut found {
            Some(known) if known.group == group.group_id => known.server_nodes.push(&end.node.metadata.name),
            Some(_) => {}
            None => {
                found = Some(Closed {
                    group: &group.group_id,
                    source,
                    protocols,
                    server_nodes: vec![&end.node.metadata.name],
                    rules: words(group),
                });
            }
        }
    }
    let mut found = found?;
    found.server_nodes.sort_unstable();
    found.server_nodes.dedup();
    Some(found)
}

/// A pod that sends and receives through the first network interface's groups of its instance.
struct End<'a> {
    node: &'a Node,
    instance: &'a Instance,
    addresses: Vec<IpAddr>,
}

impl<'a> End<'a> {
    fn of(snap: &'a Snapshot, pod: &'a Pod) -> Option<Self> {
        if pod.metadata.annotations.contains_key(annotation::POD_ENI) {
            return None;
        }
        let node = snap.nodes.named(pod.spec.node_name.as_deref()?).ok().flatten()?;
        let instance = Placement::new(snap).instance(node)?;
        let ip: IpAddr = pod.status.pod_ip.as_deref()?.parse().ok()?;
        let subnet = snap.subnets.iter().flatten().find(|s| Some(&s.subnet_id) == instance.subnet_id.as_ref())?;
        // An address from elsewhere is an overlay's, or of an interface with other groups.
        let is_native = subnet.cidr_block.parse::<IpNet>().is_ok_and(|net| net.contains(&ip));
        if !is_native || instance.security_groups.is_empty() {
            return None;
        }
        let of_node = node.internal_ip().and_then(|ip| ip.parse().ok());
        Some(Self { node, instance, addresses: std::iter::once(ip).chain(of_node).collect() })
    }

    /// Whether a rule lets in what comes from here.
    fn passes(&self, rule: &IpPermission, protocol: &str) -> bool {
        let number = if protocol == "udp" { "17" } else { "6" };
        let same = rule.ip_protocol == protocol || rule.ip_protocol == number;
        let ports = rule.from_port.unwrap_or(0)..=rule.to_port.unwrap_or(65535);
        if !(rule.ip_protocol == "-1" || (same && ports.contains(&PORT))) {
            return false;
        }
        // What a prefix list holds is not known, and what cannot be read may hold anything.
        let holds =
            |cidr: &str| cidr.parse::<IpNet>().map_or(true, |net| self.addresses.iter().any(|ip| net.contains(ip)));
        !rule.prefix_list_ids.is_empty()
            || rule.ip_ranges.iter().any(|r| holds(&r.cidr_ip))
            || rule.user_id_group_pairs.iter().any(|p| ids(self.instance).any(|id| id == p.group_id))
    }
}

fn ids(instance: &Instance) -> impl Iterator<Item = &str> {
    instance.security_groups.iter().map(|g| g.group_id.as_str())
}

/// `all from sg-1; tcp 443-443 from 10.0.0.0/16`.
fn words(group: &SecurityGroup) -> String {
    let rules: Vec<String> = group
        .ip_permissions
        .iter()
        .map(|r| {
            let sources = r.user_id_group_pairs.iter().map(|p| p.group_id.as_str());
            let sources: Vec<&str> = sources.chain(r.ip_ranges.iter().map(|i| i.cidr_ip.as_str())).collect();
            let what = match (r.ip_protocol.as_str(), r.from_port, r.to_port) {
                ("-1", ..) => "all".to_owned(),
                (protocol, Some(from), Some(to)) => format!("{protocol} {from}-{to}"),
                (protocol, ..) => protocol.to_owned(),
            };
            format!("{what} from {}", sources.join(", "))
        })
        .collect();
    if rules.is_empty() { "no inbound rule".to_owned() } else { rules.join("; ") }
}
