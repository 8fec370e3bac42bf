//! Whether a flow inside the VPC passes the security groups and the network ACLs on its way.
//!
//! Only what is known for certain to be dropped is a barrier: prefix lists, groups and addresses that were not read leave
//! the answer open.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::aws::interface::Interface;
use crate::domain::aws::network_acl::{self, of_subnet};
use crate::domain::kubernetes::network_policy::Protocol;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{IpPermission, NetworkAcl, SecurityGroup};

/// An ephemeral port of Linux: answers go to these.
const EPHEMERAL: u16 = 46000;

/// What drops a flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Barrier<'a> {
    /// No group of the receiver admits the sender. `group` is the one to add the rule to, `source` the sender's group.
    Ingress { group: &'a str, source: &'a str },
    /// No group of the sender lets it out. `group` is the sender's, `destination` the receiver's.
    Egress { group: &'a str, destination: &'a str },
    /// A network ACL of one of the subnets drops the request or its answer.
    Acl { acl: &'a str, egress: bool, rule: u32, answer: bool },
}

/// Whether a flow passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// Nothing on the way drops it.
    Passes,
    /// This does; fixing one of several is not enough.
    Blocked(Vec<Barrier<'a>>),
    /// Cannot be told.
    Unknown,
}

/// The groups and ACLs of the VPC.
pub(crate) struct Firewall<'a> {
    groups: &'a [SecurityGroup],
    acls: &'a [NetworkAcl],
}

/// What one rule says of a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    No,
    Maybe,
    Yes,
}

impl<'a> Firewall<'a> {
    /// # Errors
    /// The gap, if the security groups could not be read.
    pub(crate) fn of(snap: &'a Snapshot) -> Result<Self, Gap> {
        let acls = snap.network_acls.as_ref().map(Vec::as_slice).unwrap_or_default();
        Ok(Self { groups: snap.security_groups()?, acls })
    }

    /// A group by its id.
    pub(crate) fn group(&self, id: &str) -> Option<&'a SecurityGroup> {
        self.groups.iter().find(|g| g.group_id == id)
    }

    /// Whether `from` reaches `port` of `to`.
    pub(crate) fn verdict(
        &self,
        from: &Interface<'a>,
        to: &Interface<'a>,
        protocol: Protocol,
        port: u16,
    ) -> Verdict<'a> {
        let same = |a: Option<&str>, b: Option<&str>| a.is_some() && a == b;
        if same(from.instance, to.instance) || (!from.addresses.is_empty() && from.addresses == to.addresses) {
            return Verdict::Passes;
        }
        let inbound = self.side(to, from, protocol, port, |g| &g.ip_permissions);
        let outbound = self.side(from, to, protocol, port, |g| &g.ip_permissions_egress);
        let mut barriers = Vec::new();
        if inbound == Says::No {
            let (group, source) = self.pair(to, from, |g| &g.ip_permissions);
            barriers.push(Barrier::Ingress { group, source });
        }
        if outbound == Says::No {
            let (group, destination) = self.pair(from, to, |g| &g.ip_permissions_egress);
            barriers.push(Barrier::Egress { group, destination });
        }
        barriers.extend(self.acl_barriers(from, to, protocol, port));
        match barriers.is_empty() {
            false => Verdict::Blocked(barriers),
            true if inbound == Says::Yes && outbound == Says::Yes => Verdict::Passes,
            true => Verdict::Unknown,
        }
    }

    /// What the groups of `own` say of `other`.
    fn side(
        &self,
        own: &Interface<'a>,
        other: &Interface<'a>,
        protocol: Protocol,
        port: u16,
        rules: impl Fn(&SecurityGroup) -> &Vec<IpPermission>,
    ) -> Says {
        let of_group = |id: &&str| match self.group(id) {
            Some(group) => rules(group).iter().map(|r| says(r, other, protocol, port)).max().unwrap_or(Says::No),
            None => Says::Maybe,
        };
        own.groups.iter().map(of_group).max().unwrap_or(Says::Maybe)
    }

    /// Which group of `own` a missing rule belongs into, and which group of `other` it names: those that rules of now
    /// connect already, else a group that only one of them has.
    fn pair(
        &self,
        own: &Interface<'a>,
        other: &Interface<'a>,
        rules: impl Fn(&SecurityGroup) -> &Vec<IpPermission>,
    ) -> (&'a str, &'a str) {
        let names = |id: &str, peer: &str| {
            let all = self.group(id).map(|g| rules(g).as_slice()).unwrap_or_default();
            all.iter().any(|r| r.user_id_group_pairs.iter().any(|p| p.group_id == peer))
        };
        let pairs = || own.groups.iter().flat_map(|g| other.groups.iter().map(move |o| (*g, *o)));
        let connected = pairs().find(|(group, peer)| names(group, peer));
        let apart = || {
            let group = own.groups.iter().find(|g| !other.groups.contains(g)).or(own.groups.first());
            let peer = other.groups.iter().find(|g| !own.groups.contains(g)).or(other.groups.first());
            (group.copied().unwrap_or_default(), peer.copied().unwrap_or_default())
        };
        connected.unwrap_or_else(apart)
    }

    /// The ACL of the receiver's subnet, where it drops what comes from each other network in which the control plane may stand. From
    /// its own subnet nothing passes an ACL, so that this tells only of connections that were seen to fail.
    pub(crate) fn acl_of_receiver(
        &self,
        from: &Interface<'a>,
        to: &Interface<'a>,
        protocol: Protocol,
        port: u16,
    ) -> Option<Barrier<'a>> {
        let there = to.addresses.first()?;
        let acl = of_subnet(self.acls, to.subnet?).filter(|_| from.control_plane)?;
        let others = from.networks.iter().filter(|n| !n.contains(there));
        let dropped = others.map(|n| network_acl::dropping_rule(acl, false, protocol, n.network(), port));
        let rule = dropped.collect::<Option<Vec<u32>>>()?.into_iter().next()?;
        Some(Barrier::Acl { acl: &acl.network_acl_id, egress: false, rule, answer: false })
    }

    fn acl_barriers(
        &self,
        from: &Interface<'a>,
        to: &Interface<'a>,
        protocol: Protocol,
        port: u16,
    ) -> Vec<Barrier<'a>> {
        let (Some(near), Some(far)) = (from.subnet, to.subnet) else { return Vec::new() };
        let (Some(here), Some(there)) = (from.addresses.first(), to.addresses.first()) else { return Vec::new() };
        if near == far {
            return Vec::new();
        }
        let packets: [(&str, bool, &IpAddr, u16, bool); 4] = [
            (near, true, there, port, false),
            (far, false, here, port, false),
            (far, true, here, EPHEMERAL, true),
            (near, false, there, EPHEMERAL, true),
        ];
        let dropped = packets.into_iter().filter_map(|(subnet, egress, address, port, answer)| {
            let acl = of_subnet(self.acls, subnet)?;
            let rule = network_acl::dropping_rule(acl, egress, protocol, *address, port)?;
            Some(Barrier::Acl { acl: &acl.network_acl_id, egress, rule, answer })
        });
        dropped.collect()
    }
}

fn says(rule: &IpPermission, other: &Interface<'_>, protocol: Protocol, port: u16) -> Says {
    if !covers(rule, protocol, port) {
        return Says::No;
    }
    if rule.user_id_group_pairs.iter().any(|p| other.groups.contains(&p.group_id.as_str())) {
        return Says::Yes;
    }
    let v6 = rule.ipv6_ranges.iter().map(|r| &r.cidr_ipv6);
    let by_range = rule.ip_ranges.iter().map(|r| &r.cidr_ip).chain(v6).map(|cidr| in_range(cidr, other)).max();
    // What a prefix list holds is not known.
    let by_list = if rule.prefix_list_ids.is_empty() { Says::No } else { Says::Maybe };
    by_range.unwrap_or(Says::No).max(by_list)
}

fn in_range(cidr: &str, other: &Interface<'_>) -> Says {
    let Ok(net) = cidr.parse::<IpNet>() else { return Says::Maybe };
    if other.addresses.iter().any(|ip| net.contains(ip)) {
        return Says::Yes;
    }
    let (all, some) = (
        !other.networks.is_empty() && other.networks.iter().all(|n| net.contains(n)),
        other.networks.iter().any(|n| net.contains(n) || n.contains(&net)),
    );
    match (all, some) {
        (true, _) => Says::Yes,
        (false, true) => Says::Maybe,
        // Where it lies is not known at all.
        (false, false) if other.addresses.is_empty() && other.networks.is_empty() => Says::Maybe,
        (false, false) => Says::No,
    }
}

/// Whether a rule speaks of this protocol and port.
fn covers(rule: &IpPermission, protocol: Protocol, port: u16) -> bool {
    let number = match protocol {
        Protocol::Tcp => "6",
        Protocol::Udp => "17",
    };
    let same = rule.ip_protocol.eq_ignore_ascii_case(protocol.as_str()) || rule.ip_protocol == number;
    let (from, to) = (rule.from_port.unwrap_or(0), rule.to_port.unwrap_or(65535));
    let in_ports = from < 0 || (from..=to).contains(&i32::from(port));
    rule.ip_protocol == "-1" || (same && in_ports)
}

/// The rules of a group in words: `all from sg-1; tcp 443 from 10.0.0.0/16`.
pub(crate) fn words(rules: &[IpPermission], preposition: &str) -> String {
    let one = |r: &IpPermission| {
        let groups = r.user_id_group_pairs.iter().map(|p| p.group_id.as_str());
        let ranges = r.ip_ranges.iter().map(|i| i.cidr_ip.as_str());
        let v6 = r.ipv6_ranges.iter().map(|i| i.cidr_ipv6.as_str());
        let lists = r.prefix_list_ids.iter().filter_map(|l| l.get("PrefixListId")?.as_str());
        let peers: Vec<&str> = groups.chain(ranges).chain(v6).chain(lists).collect();
        let what = match (r.ip_protocol.as_str(), r.from_port, r.to_port) {
            ("-1", ..) => "all".to_owned(),
            (protocol, Some(from), Some(to)) if from == to => format!("{protocol} {from}"),
            (protocol, Some(from), Some(to)) => format!("{protocol} {from}-{to}"),
            (protocol, ..) => protocol.to_owned(),
        };
        format!("{what} {preposition} {}", peers.join(", "))
    };
    let all: Vec<String> = rules.iter().map(one).collect();
    if all.is_empty() { "no rule".to_owned() } else { all.join("; ") }
}

#[cfg(test)]
#[path = "firewall_tests.rs"]
mod tests;
