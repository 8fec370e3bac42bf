//! Chooses what a fix uses: the NAT gateway, the public subnet, the gateways that are there.

use crate::domain::aws::routing::{Cause, Family};
use crate::domain::traffic::survey::{Affected, Survey};
use crate::snapshot::aws::{NatGateway, RouteTable, Subnet, Tag, name_tag};

impl<'a> Survey<'a> {
    /// A route table by its id.
    pub(crate) fn table(&self, id: &str) -> Option<&'a RouteTable> {
        self.net.tables.iter().find(|t| t.route_table_id == id)
    }

    /// A route table with its name, for messages.
    pub(crate) fn named_table(&self, id: &str) -> String {
        self.table(id).map_or_else(|| id.to_owned(), |t| named(id, &t.tags))
    }

    /// A NAT gateway by its id.
    pub(crate) fn nat(&self, id: &str) -> Option<&'a NatGateway> {
        self.net.nats.iter().find(|n| n.nat_gateway_id == id)
    }

    /// The availability zone of a subnet.
    pub(crate) fn zone_of(&self, subnet: &str) -> Option<&'a str> {
        let all = self.snap.subnets.as_ref().ok()?;
        all.iter().find(|s| s.subnet_id == subnet).map(|s| s.availability_zone.as_str())
    }

    /// A NAT gateway that works: the one in the zone of most of these subnets, else any.
    pub(crate) fn nat_for(&self, subnets: &[&Subnet]) -> Option<&'a NatGateway> {
        let near = |nat: &NatGateway| {
            let zone = self.zone_of(&nat.subnet_id);
            subnets.iter().filter(|s| Some(s.availability_zone.as_str()) == zone).count()
        };
        let mut all: Vec<&NatGateway> = self.net.working_nats().collect();
        all.sort_by_key(|n| (std::cmp::Reverse(near(n)), n.nat_gateway_id.clone()));
        all.into_iter().next()
    }

    /// A note on zones, where the NAT gateway's is not that of all the subnets.
    pub(crate) fn zones(&self, nat: Option<&NatGateway>, affected: &Affected<'_>) -> String {
        let Some(zone) = nat.and_then(|n| self.zone_of(&n.subnet_id)) else { return String::new() };
        let other = affected.subnets.iter().any(|s| s.availability_zone != zone);
        if other { zone.to_owned() } else { String::new() }
    }

    /// Other subnets that the table routes: the fix changes them, too.
    pub(crate) fn others(&self, table: Option<&RouteTable>, affected: &Affected<'_>) -> Vec<String> {
        let Some(table) = table else { return Vec::new() };
        let all = self.snap.subnets.iter().flatten();
        all.filter(|s| !affected.subnets.iter().any(|a| a.subnet_id == s.subnet_id))
            .filter(|s| self.net.table_of(&s.subnet_id).is_some_and(|t| t.route_table_id == table.route_table_id))
            .map(|s| named(&s.subnet_id, &s.tags))
            .collect()
    }

    /// A subnet where a NAT gateway can live, in the zone of the cut-off subnets if there is one.
    pub(crate) fn public_subnet(&self, affected: &Affected<'_>) -> Option<&'a str> {
        let all = self.snap.subnets.iter().flatten().filter(|s| self.net.is_public(&s.subnet_id));
        let near = |s: &&Subnet| affected.subnets.iter().any(|a| a.availability_zone == s.availability_zone);
        let mut all: Vec<&Subnet> = all.collect();
        all.sort_by_key(|s| (!near(s), s.subnet_id.clone()));
        all.first().map(|s| s.subnet_id.as_str())
    }

    /// A table without default route that no subnet of the nodes uses may become a public one.
    pub(crate) fn can_become_public(&self, table: &str) -> bool {
        let nodes = self.snap.nodes().unwrap_or_default();
        let used = nodes.iter().filter_map(|n| self.net.table_of(self.at.of_node(n)?));
        let used = used.into_iter().any(|t| t.route_table_id == table);
        let free = self.table(table).is_some_and(|t| matches!(self.net.way(t, Family::V4), Err(Cause::NoRoute)));
        free && !used && self.net.attached_gateway().is_some()
    }

    /// An egress-only internet gateway that some table of the VPC routes to.
    pub(crate) fn egress_only_gateway(&self) -> Option<&'a str> {
        let routes = self.net.tables.iter().flat_map(|t| &t.routes).filter(|r| r.state != "blackhole");
        routes.into_iter().find_map(|r| r.egress_only_internet_gateway_id.as_deref())
    }
}

/// An id with its Name tag.
pub(crate) fn named(id: &str, tags: &[Tag]) -> String {
    match name_tag(tags) {
        "" => id.to_owned(),
        name => format!("{id} ({name})"),
    }
}
