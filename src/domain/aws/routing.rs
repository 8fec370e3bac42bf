//! The way of a subnet's traffic to the internet: its effective route table, the default route, and what that leads to.

use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{InternetGateway, NatGateway, Route, RouteTable};

/// IPv4 or IPv6 egress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// `0.0.0.0/0`.
    V4,
    /// `::/0`.
    V6,
}

impl Family {
    /// The default route's destination.
    pub(crate) fn anywhere(self) -> &'static str {
        match self {
            Self::V4 => "0.0.0.0/0",
            Self::V6 => "::/0",
        }
    }

    /// Parts of the internet with the destinations that cover each, the most specific first. Two halves instead of one
    /// default are common with VPN and inspection set-ups; 2000::/3 is all of public IPv6.
    fn parts(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::V4 => &[&["0.0.0.0/1", "0.0.0.0/0"], &["128.0.0.0/1", "0.0.0.0/0"]],
            Self::V6 => &[&["2000::/3", "::/1", "::/0"]],
        }
    }

    fn destination(self, route: &Route) -> Option<&str> {
        match self {
            Self::V4 => route.destination_cidr_block.as_deref(),
            Self::V6 => route.destination_ipv6_cidr_block.as_deref(),
        }
    }
}

/// What keeps a subnet's traffic from the internet. Ids are those of AWS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The table has no default route.
    NoRoute,
    /// The default route's target is gone (transit gateway, network interface, instance …).
    Blackhole { target: String },
    /// The default route leads to a NAT gateway that does not work any more; `state` is AWS's, or `not found`.
    NatGone { nat: String, state: String },
    /// The NAT gateway is being made.
    NatPending { nat: String },
    /// The NAT gateway's own subnet has no way to an internet gateway; `via` is what its default route leads to.
    NatStranded { nat: String, nat_subnet: String, nat_table: String, via: Option<String> },
    /// A NAT gateway with private connectivity, behind which there is nothing.
    NatPrivate { nat: String },
    /// The internet gateway is not attached to the VPC. `table` holds the route: the subnet's or the NAT gateway's.
    GatewayGone { gateway: String, table: String },
}

/// A way to the internet that works as far as AWS shows it.
#[derive(Debug, Clone)]
pub(crate) enum Way<'a> {
    /// Through a public NAT gateway.
    Nat(&'a NatGateway),
    /// Straight through an internet gateway: needs public addresses (IPv4).
    Internet(&'a str),
    /// Through something that AWS's route tables do not show further: transit gateway, peering, appliance, endpoint.
    Beyond,
}

/// The VPC's routing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network<'a> {
    pub(crate) vpc: &'a str,
    /// Account of the cluster; a table of another account means a shared VPC.
    pub(crate) account: Option<&'a str>,
    pub(crate) tables: &'a [RouteTable],
    pub(crate) nats: &'a [NatGateway],
    pub(crate) gateways: &'a [InternetGateway],
}

impl<'a> Network<'a> {
    /// The routing of the cluster's VPC.
    ///
    /// # Errors
    /// The gap, if a part of it could not be read.
    pub(crate) fn of(snap: &'a Snapshot) -> Result<Self, Gap> {
        let cluster = snap.eks_cluster()?;
        Ok(Self {
            vpc: &cluster.resources_vpc_config.vpc_id,
            account: cluster.account(),
            tables: snap.route_tables()?,
            nats: snap.nat_gateways()?,
            gateways: snap.internet_gateways()?,
        })
    }

    /// The table that routes a subnet's traffic: the associated one, else the VPC's main table.
    pub(crate) fn table_of(&self, subnet: &str) -> Option<&'a RouteTable> {
        let holds = |table: &&RouteTable, wanted: &dyn Fn(&crate::snapshot::aws::RouteTableAssociation) -> bool| {
            table.associations.iter().any(|a| {
                let associated =
                    a.association_state.as_ref().is_none_or(|s| s.state.is_empty() || s.state == "associated");
                associated && wanted(a)
            })
        };
        let explicit = self.tables.iter().find(|t| holds(t, &|a| a.subnet_id.as_deref() == Some(subnet)));
        explicit.or_else(|| self.tables.iter().find(|t| t.vpc_id == self.vpc && holds(t, &|a| a.main)))
    }

    /// The way of `table`'s subnets to the internet.
    pub(crate) fn way(&self, table: &'a RouteTable, family: Family) -> Result<Way<'a>, Cause> {
        let mut first = None;
        for part in family.parts() {
            let route = part.iter().find_map(|d| table.routes.iter().find(|r| family.destination(r) == Some(*d)));
            let way = match route {
                Some(route) => self.follow(table, route)?,
                None if has_opaque_route(table) => Way::Beyond,
                None => return Err(Cause::NoRoute),
            };
            first.get_or_insert(way);
        }
        first.ok_or(Cause::NoRoute)
    }

    /// The destination of the default route as the table has it, for commands that replace it.
    pub(crate) fn default_destination(table: &RouteTable, family: Family) -> &'static str {
        let has = |d: &&&str| table.routes.iter().any(|r| family.destination(r) == Some(**d));
        family.parts().iter().flat_map(|p| p.iter()).find(has).copied().unwrap_or(family.anywhere())
    }

    fn follow(&self, table: &'a RouteTable, route: &'a Route) -> Result<Way<'a>, Cause> {
        let dead = route.state == "blackhole";
        if let Some(nat) = route.nat_gateway_id.as_deref() {
            return self.through_nat(table, nat, dead);
        }
        if let Some(gateway) = route.gateway_id.as_deref().filter(|g| g.starts_with("igw-")) {
            return match !dead && (self.is_attached(gateway) || self.is_foreign(table)) {
                true => Ok(Way::Internet(gateway)),
                false => Err(Cause::GatewayGone { gateway: gateway.to_owned(), table: table.route_table_id.clone() }),
            };
        }
        if dead {
            return Err(Cause::Blackhole { target: target(route).to_owned() });
        }
        Ok(Way::Beyond)
    }

    fn through_nat(&self, table: &'a RouteTable, id: &str, dead: bool) -> Result<Way<'a>, Cause> {
        let gone = |state: &str| Cause::NatGone { nat: id.to_owned(), state: state.to_owned() };
        let Some(nat) = self.nats.iter().find(|n| n.nat_gateway_id == id) else {
            // Who only shares the VPC's subnets does not see its owner's NAT gateways.
            return if self.is_foreign(table) && !dead { Ok(Way::Beyond) } else { Err(gone("not found")) };
        };
        match nat.state.as_str() {
            "available" if dead => Err(gone("blackhole")),
            "available" => self.behind(nat),
            "pending" => Err(Cause::NatPending { nat: id.to_owned() }),
            other => Err(gone(other)),
        }
    }

    /// Whether an available NAT gateway leads anywhere itself.
    fn behind(&self, nat: &'a NatGateway) -> Result<Way<'a>, Cause> {
        let private = nat.connectivity_type.as_deref() == Some("private");
        // A regional NAT gateway has no subnet; AWS routes it.
        let Some(table) = self.table_of(&nat.subnet_id).filter(|_| !nat.subnet_id.is_empty()) else {
            return Ok(if private { Way::Beyond } else { Way::Nat(nat) });
        };
        let route = table.routes.iter().find(|r| r.destination_cidr_block.as_deref() == Some("0.0.0.0/0"));
        let split = || table.routes.iter().any(|r| r.destination_cidr_block.as_deref() == Some("0.0.0.0/1"));
        let stranded = |via: Option<&str>| Cause::NatStranded {
            nat: nat.nat_gateway_id.clone(),
            nat_subnet: nat.subnet_id.clone(),
            nat_table: table.route_table_id.clone(),
            via: via.map(str::to_owned),
        };
        let private_fault = || Cause::NatPrivate { nat: nat.nat_gateway_id.clone() };
        let Some(route) = route else {
            return match (split() || has_opaque_route(table), private) {
                (true, _) => Ok(Way::Beyond),
                (false, true) => Err(private_fault()),
                (false, false) => Err(stranded(None)),
            };
        };
        // NAT gateways cannot be chained; one that routes to itself is the commonest form.
        if let Some(other) = route.nat_gateway_id.as_deref() {
            return Err(if private { private_fault() } else { stranded(Some(other)) });
        }
        match self.follow(table, route)? {
            // A private NAT gateway keeps private addresses: an internet gateway drops them.
            Way::Internet(_) if private => Err(private_fault()),
            Way::Internet(_) => Ok(Way::Nat(nat)),
            other => Ok(other),
        }
    }

    fn is_attached(&self, gateway: &str) -> bool {
        self.gateways.iter().any(|g| {
            g.internet_gateway_id == gateway
                && g.attachments
                    .iter()
                    .any(|a| a.vpc_id == self.vpc && matches!(a.state.as_str(), "available" | "attached"))
        })
    }

    /// The attached internet gateway of the VPC; there is at most one.
    pub(crate) fn attached_gateway(&self) -> Option<&'a str> {
        let id = |g: &'a InternetGateway| g.internet_gateway_id.as_str();
        self.gateways.iter().map(id).find(|g| self.is_attached(g))
    }

    fn is_foreign(&self, table: &RouteTable) -> bool {
        matches!((self.account, table.owner_id.as_deref()), (Some(own), Some(owner)) if !owner.is_empty() && own != owner)
    }

    /// A subnet whose traffic goes straight to the internet gateway: where a NAT gateway can live.
    pub(crate) fn is_public(&self, subnet: &str) -> bool {
        self.table_of(subnet).is_some_and(|t| matches!(self.way(t, Family::V4), Ok(Way::Internet(_))))
    }

    /// NAT gateways that work: available, public, with a way out of their own.
    pub(crate) fn working_nats(&self) -> impl Iterator<Item = &'a NatGateway> {
        self.nats.iter().filter(|n| {
            n.state == "available"
                && n.connectivity_type.as_deref() != Some("private")
                && matches!(self.behind(n), Ok(Way::Nat(_)))
        })
    }
}

/// What a customer-managed prefix list holds is not known: it may hold the default. Those of AWS services lead to gateway
/// endpoints (`vpce-`).
fn has_opaque_route(table: &RouteTable) -> bool {
    table.routes.iter().any(|r| {
        r.destination_prefix_list_id.is_some()
            && r.state != "blackhole"
            && !r.gateway_id.as_deref().is_some_and(|g| g.starts_with("vpce-"))
    })
}

/// The id of a route's target.
pub(crate) fn target(route: &Route) -> &str {
    [
        &route.nat_gateway_id,
        &route.transit_gateway_id,
        &route.vpc_peering_connection_id,
        &route.instance_id,
        &route.network_interface_id,
        &route.egress_only_internet_gateway_id,
        &route.local_gateway_id,
        &route.carrier_gateway_id,
        &route.core_network_arn,
        &route.gateway_id,
    ]
    .into_iter()
    .find_map(|t| t.as_deref())
    .unwrap_or("a target that is not named")
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
