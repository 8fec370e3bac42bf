//! Looks at every subnet with nodes: its way to the internet, its network ACL, the nodes' addresses and security groups.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::domain::aws::network_acl::{self, Dropped};
use crate::domain::aws::placement::Placement;
use crate::domain::aws::routing::{self, Family, Network, Way};
use crate::domain::aws::security_group::closed_groups;
use crate::domain::aws::vpc_cni;
use crate::domain::traffic::egress_demand::Demands;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{NatGateway, RouteTable, Subnet};
use crate::snapshot::kubernetes::Node;

/// What is wrong with the way of a subnet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The routing, seen from this table.
    Routing { fault: routing::Cause, table: String, family: Family },
    /// A route to an internet gateway, but nodes without public addresses.
    NoPublicAddress { gateway: String, table: String },
    /// A route to an internet gateway, and a CNI that leaves pods their private addresses, which no gateway passes.
    ExternalSnat { gateway: String, table: String },
    /// A network ACL drops packets.
    Acl { acl: String, dropped: Vec<Dropped>, nat_side: bool, family: Family, vpc_cidr: String },
    /// No security group of the nodes lets HTTPS out.
    SecurityGroup { groups: BTreeSet<String> },
}

impl Cause {
    /// A default route is there, so the internet was meant to be reached.
    pub(crate) fn shows_intent(&self) -> bool {
        matches!(self, Self::Routing { fault, .. } if *fault != routing::Cause::NoRoute)
    }
}

/// One trouble with all subnets that share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Affected<'a> {
    pub(crate) subnets: Vec<&'a Subnet>,
    pub(crate) nodes: Vec<&'a Node>,
}

/// Everything a survey reads.
pub(crate) struct Survey<'a> {
    pub(crate) snap: &'a Snapshot,
    pub(crate) at: &'a Placement<'a>,
    pub(crate) net: Network<'a>,
    pub(crate) family: Family,
    pub(crate) demands: &'a Demands,
}

impl<'a> Survey<'a> {
    /// The troubles of these subnets, each with the subnets that have it. `Err` where a subnet has no route table in
    /// what was read and nothing else is wrong.
    pub(crate) fn run(&self, subnets: &BTreeMap<&'a str, Vec<&'a Node>>) -> Result<BTreeMap<Cause, Affected<'a>>, Gap> {
        let mut found: BTreeMap<Cause, Affected<'a>> = BTreeMap::new();
        let mut unread = None;
        let known = self.snap.subnets()?;
        for (id, nodes) in subnets {
            let Some(subnet) = known.iter().find(|s| s.subnet_id == *id) else { continue };
            let Some(table) = self.net.table_of(id) else {
                unread = Some(no_table(id));
                continue;
            };
            for (trouble, nodes) in self.troubles(subnet, table, nodes) {
                let affected = found.entry(trouble).or_default();
                affected.subnets.push(subnet);
                affected.nodes.extend(nodes);
            }
        }
        match unread {
            Some(gap) if found.is_empty() => Err(gap),
            _ => Ok(found),
        }
    }

    fn troubles(&self, subnet: &'a Subnet, table: &'a RouteTable, nodes: &[&'a Node]) -> Vec<(Cause, Vec<&'a Node>)> {
        let (family, way) = match self.way(table) {
            Ok(found) => found,
            Err(fault) => {
                // The broken table may be the NAT gateway's; all subnets behind it share the trouble.
                let table = match &fault {
                    routing::Cause::GatewayGone { table, .. } => table.clone(),
                    _ => table.route_table_id.clone(),
                };
                return vec![(Cause::Routing { fault, table, family: self.family }, nodes.to_vec())];
            }
        };
        let mut found = Vec::new();
        if let Way::Internet(gateway) = way
            && family == Family::V4
        {
            let without: Vec<&Node> = nodes.iter().copied().filter(|n| self.lacks_public_address(n)).collect();
            if !without.is_empty() {
                let table = table.route_table_id.clone();
                found.push((Cause::NoPublicAddress { gateway: gateway.to_owned(), table }, without));
            } else if vpc_cni::is_on(self.snap, vpc_cni::EXTERNAL_SNAT) {
                let table = table.route_table_id.clone();
                found.push((Cause::ExternalSnat { gateway: gateway.to_owned(), table }, nodes.to_vec()));
            }
        }
        let nat = match way {
            Way::Nat(nat) => Some(nat),
            _ => None,
        };
        found.extend(self.acl_troubles(subnet, table, nat, family).into_iter().map(|t| (t, nodes.to_vec())));
        found.extend(self.closed_nodes(nodes, family));
        found
    }

    /// The way that works. Pods of an IPv6 cluster reach IPv4 hosts through their node's IPv4 address, so that such a
    /// subnet is cut off only if neither way works.
    fn way(&self, table: &'a RouteTable) -> Result<(Family, Way<'a>), routing::Cause> {
        let own = self.net.way(table, self.family).map(|w| (self.family, w));
        match self.family {
            Family::V4 => own,
            Family::V6 => {
                own.or_else(|fault| self.net.way(table, Family::V4).map(|w| (Family::V4, w)).map_err(|_| fault))
            }
        }
    }

    /// True only where the node is known to have no public address: by its instance, which AWS knows.
    fn lacks_public_address(&self, node: &Node) -> bool {
        let external = node.status.addresses.iter().any(|a| a.kind == "ExternalIP");
        !external && self.at.instance(node).is_some_and(|i| i.public_ip_address.is_none())
    }

    fn acl_troubles(
        &self,
        subnet: &Subnet,
        table: &RouteTable,
        nat: Option<&NatGateway>,
        family: Family,
    ) -> Vec<Cause> {
        let Ok(acls) = self.snap.network_acls() else { return Vec::new() };
        let seen: Vec<IpAddr> =
            self.demands.of(&subnet.subnet_id).map(|d| d.addresses.iter().copied().collect()).unwrap_or_default();
        let own = network_acl::of_subnet(acls, &subnet.subnet_id);
        let of_nat = nat.and_then(|n| network_acl::of_subnet(acls, &n.subnet_id));
        let vpc_cidr = vpc_cidr(table, subnet);
        let trouble = |acl: &str, dropped: Vec<Dropped>, nat_side: bool| Cause::Acl {
            acl: acl.to_owned(),
            dropped,
            nat_side,
            family,
            vpc_cidr: vpc_cidr.clone(),
        };
        let mut found = Vec::new();
        let same = matches!((own, of_nat), (Some(a), Some(b)) if a.network_acl_id == b.network_acl_id);
        // One ACL for both: what the NAT gateway needs includes what the nodes need.
        if let Some(acl) = own.filter(|_| !same) {
            let dropped = network_acl::dropped_at_nodes(acl, family, &seen);
            if !dropped.is_empty() {
                found.push(trouble(&acl.network_acl_id, dropped, false));
            }
        }
        let node = subnet.cidr_block.parse().ok().map(|net| network_acl::first_host(&net));
        if let (Some(acl), Some(node), Family::V4) = (of_nat, node, family) {
            let dropped = network_acl::dropped_at_nat(acl, node, &seen);
            if !dropped.is_empty() {
                found.push(trouble(&acl.network_acl_id, dropped, true));
            }
        }
        found
    }

    fn closed_nodes(&self, nodes: &[&'a Node], family: Family) -> Vec<(Cause, Vec<&'a Node>)> {
        // The snapshot holds no IPv6 ranges of security groups.
        let (Ok(groups), Family::V4) = (self.snap.security_groups(), family) else { return Vec::new() };
        let mut by_groups: BTreeMap<BTreeSet<String>, Vec<&'a Node>> = BTreeMap::new();
        for node in nodes {
            let closed = self.at.instance(node).map(|i| closed_groups(i, groups)).unwrap_or_default();
            if !closed.is_empty() {
                by_groups.entry(closed).or_default().push(node);
            }
        }
        by_groups.into_iter().map(|(groups, nodes)| (Cause::SecurityGroup { groups }, nodes)).collect()
    }
}

/// The VPC's own network around a subnet, from the table's local route.
fn vpc_cidr(table: &RouteTable, subnet: &Subnet) -> String {
    let local = table.routes.iter().filter(|r| r.gateway_id.as_deref() == Some("local"));
    let own: Option<ipnet::IpNet> = subnet.cidr_block.parse().ok();
    local
        .filter_map(|r| r.destination_cidr_block.as_deref()?.parse::<ipnet::IpNet>().ok())
        .find(|net| own.as_ref().is_some_and(|o| net.contains(o)))
        .map_or_else(|| subnet.cidr_block.clone(), |net| net.to_string())
}

fn no_table(subnet: &str) -> Gap {
    let message = format!("the answer holds no route table for {subnet}, and no main table");
    Gap::new("ec2:DescribeRouteTables", crate::model::GapCause::BadAnswer, message)
}
