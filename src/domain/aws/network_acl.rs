//! Network ACLs: which of the packets of an HTTPS connection to the internet a rule drops.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::aws::routing::Family;
use crate::domain::kubernetes::host::is_public;
use crate::domain::kubernetes::network_policy::Protocol;
use crate::snapshot::aws::{AclEntry, NetworkAcl};

/// A packet of an HTTPS connection as an ACL sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Packet {
    /// To port 443 on the internet.
    Out,
    /// The answer from the internet, to an ephemeral port.
    Answer,
    /// From the nodes into the NAT gateway's subnet, to port 443.
    IntoNat,
    /// The answer from the NAT gateway's subnet to the nodes.
    BackToNodes,
}

impl Packet {
    /// True where the ACL's outbound rules decide.
    pub(crate) fn is_egress(self) -> bool {
        matches!(self, Self::Out | Self::BackToNodes)
    }

    /// Words for messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Out => "outbound TCP 443 to the internet",
            Self::Answer => "inbound answers on ephemeral ports 1024-65535",
            Self::IntoNat => "inbound TCP 443 from the nodes to the NAT gateway",
            Self::BackToNodes => "outbound answers from the NAT gateway to the nodes",
        }
    }

    /// Ports that must all be open. Linux takes ephemeral ports from 32768-60999, a NAT gateway from 1024-65535.
    fn ports(self, through_nat: bool) -> &'static [u16] {
        match self {
            Self::Out | Self::IntoNat => &[443],
            Self::Answer if through_nat => &[1024, 32768, 65535],
            Self::Answer | Self::BackToNodes => &[32768, 46000, 60999],
        }
    }
}

/// A packet that an ACL drops, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dropped {
    pub(crate) packet: Packet,
    /// Rule number; 32767 is the final `*` rule.
    pub(crate) rule: u32,
}

/// The number of the final rule, which nobody can change.
pub(crate) const FINAL_RULE: u32 = 32767;

/// Addresses that stand for the internet.
fn internet(family: Family) -> Vec<IpAddr> {
    let text: &[&str] = match family {
        Family::V4 => &["8.8.8.8", "52.84.0.1", "140.82.112.3"],
        Family::V6 => &["2606:4700:4700::1111", "2a00:1450:4001::1"],
    };
    text.iter().filter_map(|a| a.parse().ok()).collect()
}

/// The ACL of a subnet.
pub(crate) fn of_subnet<'a>(acls: &'a [NetworkAcl], subnet: &str) -> Option<&'a NetworkAcl> {
    acls.iter().find(|a| a.associations.iter().any(|s| s.subnet_id == subnet))
}

/// Packets between nodes and the internet that the ACL of the nodes' subnet drops. `seen` are addresses that connections
/// were seen to fail for; without any, a packet counts as dropped only if no part of the internet is let through.
pub(crate) fn dropped_at_nodes(acl: &NetworkAcl, family: Family, seen: &[IpAddr]) -> Vec<Dropped> {
    [Packet::Out, Packet::Answer].into_iter().filter_map(|p| to_internet(acl, p, family, seen, false)).collect()
}

/// The same for the NAT gateway's subnet, for nodes at address `node`.
pub(crate) fn dropped_at_nat(acl: &NetworkAcl, node: IpAddr, seen: &[IpAddr]) -> Vec<Dropped> {
    let far = [Packet::Out, Packet::Answer].into_iter().filter_map(|p| to_internet(acl, p, Family::V4, seen, true));
    let near = [Packet::IntoNat, Packet::BackToNodes].into_iter();
    far.chain(near.filter_map(|p| p.ports(true).iter().find_map(|port| dropped(acl, p, node, *port)))).collect()
}

fn to_internet(acl: &NetworkAcl, packet: Packet, family: Family, seen: &[IpAddr], nat: bool) -> Option<Dropped> {
    let drops = |address: &IpAddr| packet.ports(nat).iter().find_map(|port| dropped(acl, packet, *address, *port));
    let seen: Vec<&IpAddr> = seen.iter().filter(|a| a.is_ipv4() == (family == Family::V4)).collect();
    if let Some(found) = seen.iter().find_map(|a| drops(a)) {
        return Some(found);
    }
    // An ACL that lets some public networks through is meant so.
    let rules = acl.entries.iter().filter(|e| e.egress == packet.is_egress() && e.rule_action == "allow");
    let allowed = rules.filter_map(cidr).map(|c| first_host(&c)).filter(|a| is_public(*a));
    let probes: Vec<IpAddr> = internet(family).into_iter().chain(allowed).collect();
    let drops: Vec<Option<Dropped>> = probes.iter().map(drops).collect();
    if drops.iter().all(Option::is_some) { drops.into_iter().flatten().next() } else { None }
}

fn dropped(acl: &NetworkAcl, packet: Packet, address: IpAddr, port: u16) -> Option<Dropped> {
    dropping_rule(acl, packet.is_egress(), Protocol::Tcp, address, port).map(|rule| Dropped { packet, rule })
}

/// The rule that drops a packet from or to `address`; `None` where it passes.
pub(crate) fn dropping_rule(
    acl: &NetworkAcl,
    egress: bool,
    protocol: Protocol,
    address: IpAddr,
    port: u16,
) -> Option<u32> {
    let mut rules: Vec<&AclEntry> = acl.entries.iter().filter(|e| e.egress == egress).collect();
    rules.sort_by_key(|e| e.rule_number);
    match rules.iter().find(|e| matches(e, protocol, address, port)) {
        Some(entry) if entry.rule_action == "allow" => None,
        Some(entry) => Some(entry.rule_number.min(FINAL_RULE)),
        None => Some(FINAL_RULE),
    }
}

/// For each dropped packet the number of a rule that would let it through: free, and before the one that drops it. `None`
/// if no number is left before it.
pub(crate) fn free_numbers(acl: &NetworkAcl, dropped: &[Dropped]) -> Vec<Option<u32>> {
    let used = |egress| acl.entries.iter().filter(|e| e.egress == egress).map(|e| e.rule_number).collect();
    let (mut outbound, mut inbound): (BTreeSet<u32>, BTreeSet<u32>) = (used(true), used(false));
    let pick = |d: &Dropped| {
        let used = if d.packet.is_egress() { &mut outbound } else { &mut inbound };
        let free = free_before(d.rule, used);
        used.extend(free);
        free
    };
    dropped.iter().map(pick).collect()
}

/// A number of a rule of one direction that comes before `rule`.
pub(crate) fn free_number(acl: &NetworkAcl, egress: bool, rule: u32) -> Option<u32> {
    free_before(rule, &acl.entries.iter().filter(|e| e.egress == egress).map(|e| e.rule_number).collect())
}

/// A free number before `rule`: a round one after the last for the final rule, else the next lower.
fn free_before(rule: u32, used: &BTreeSet<u32>) -> Option<u32> {
    if rule == FINAL_RULE {
        let last = used.range(..FINAL_RULE).next_back().copied().unwrap_or(0);
        let round = (last / 10 + 1) * 10;
        if round < FINAL_RULE {
            return Some(round);
        }
    }
    (1..rule).rev().find(|n| !used.contains(n))
}

fn matches(entry: &AclEntry, protocol: Protocol, address: IpAddr, port: u16) -> bool {
    let all = entry.protocol == "-1" || entry.protocol == "all";
    let (number, name) = match protocol {
        Protocol::Tcp => ("6", "tcp"),
        Protocol::Udp => ("17", "udp"),
    };
    let same = entry.protocol == number || entry.protocol == name;
    let in_range = entry.port_range.as_ref().is_none_or(|r| (r.from..=r.to).contains(&port));
    (all || (same && in_range)) && cidr(entry).is_some_and(|c| c.contains(&address))
}

fn cidr(entry: &AclEntry) -> Option<IpNet> {
    entry.cidr_block.as_deref().or(entry.ipv6_cidr_block.as_deref())?.parse().ok()
}

/// An address inside a network that stands for it.
pub(crate) fn first_host(net: &IpNet) -> IpAddr {
    net.hosts().next().unwrap_or(net.addr())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Number, egress, protocol, action, network, ports.
    type Rule<'a> = (u32, bool, &'a str, &'a str, &'a str, Option<(u16, u16)>);

    fn acl(rules: &[Rule<'_>]) -> NetworkAcl {
        let entries: Vec<_> = rules
            .iter()
            .map(|(number, egress, protocol, action, cidr, ports)| {
                json!({"RuleNumber": number, "Egress": egress, "Protocol": protocol, "RuleAction": action, "CidrBlock": cidr,
                    "PortRange": ports.map(|(from, to)| json!({"From": from, "To": to}))})
            })
            .collect();
        serde_json::from_value(json!({"NetworkAclId": "acl-1", "Entries": entries})).expect("an ACL")
    }

    const IN_ALL: Rule<'static> = (100, false, "-1", "allow", "0.0.0.0/0", None);
    const OUT_ALL: Rule<'static> = (100, true, "-1", "allow", "0.0.0.0/0", None);

    fn at_nodes(acl: &NetworkAcl) -> Vec<(Packet, u32, Option<u32>)> {
        let dropped = dropped_at_nodes(acl, Family::V4, &[]);
        let free = free_numbers(acl, &dropped);
        dropped.into_iter().zip(free).map(|(d, free)| (d.packet, d.rule, free)).collect()
    }

    #[test]
    fn the_default_acl_drops_nothing() {
        let acl = acl(&[IN_ALL, OUT_ALL, (32767, true, "-1", "deny", "0.0.0.0/0", None)]);
        assert_eq!(at_nodes(&acl), []);
        assert_eq!(dropped_at_nat(&acl, "10.0.1.5".parse().expect("ip"), &[]), []);
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let denied = acl(&[IN_ALL, OUT_ALL, (90, true, "6", "deny", "0.0.0.0/0", Some((443, 443)))]);
        assert_eq!(at_nodes(&denied), [(Packet::Out, 90, Some(89))]);
        let too_late = acl(&[IN_ALL, OUT_ALL, (110, true, "6", "deny", "0.0.0.0/0", Some((443, 443)))]);
        assert_eq!(at_nodes(&too_late), []);
        let other_port = acl(&[IN_ALL, OUT_ALL, (90, true, "6", "deny", "0.0.0.0/0", Some((25, 25)))]);
        assert_eq!(at_nodes(&other_port), []);
    }

    #[test]
    fn without_a_rule_for_answers_the_final_rule_drops_them() {
        let acl = acl(&[OUT_ALL, (100, false, "6", "allow", "10.0.0.0/16", Some((443, 443)))]);
        assert_eq!(at_nodes(&acl), [(Packet::Answer, FINAL_RULE, Some(110))]);
    }

    #[test]
    fn linux_needs_less_ports_than_a_nat_gateway() {
        let rules = [OUT_ALL, (100, false, "6", "allow", "0.0.0.0/0", Some((32768, 65535)))];
        assert_eq!(at_nodes(&acl(&rules)), []);
        let at_nat = dropped_at_nat(&acl(&rules), "10.0.1.5".parse().expect("ip"), &[]);
        let packets: Vec<Packet> = at_nat.iter().map(|d| d.packet).collect();
        assert_eq!(packets, [Packet::Answer, Packet::IntoNat]);
    }

    #[test]
    fn an_acl_that_lets_some_public_networks_through_is_meant_so() {
        let acl = acl(&[IN_ALL, (100, true, "6", "allow", "3.64.0.0/12", Some((443, 443)))]);
        assert_eq!(at_nodes(&acl), []);
        let seen = ["52.10.10.10".parse().expect("ip")];
        assert_eq!(dropped_at_nodes(&acl, Family::V4, &seen).len(), 1);
    }

    #[test]
    fn finds_a_free_number_before_the_rule() {
        assert_eq!(free_before(FINAL_RULE, &BTreeSet::from([100, 32767])), Some(110));
        assert_eq!(free_before(2, &BTreeSet::from([1, 2])), None);
        assert_eq!(free_before(100, &BTreeSet::from([99, 100])), Some(98));
    }
}
