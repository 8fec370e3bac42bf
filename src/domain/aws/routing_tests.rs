//! Every way out and every fault of the routing.

use serde_json::json;

use super::*;

struct Vpc {
    tables: Vec<RouteTable>,
    nats: Vec<NatGateway>,
    gateways: Vec<InternetGateway>,
}

impl Vpc {
    /// A private subnet whose default route is `route` and a public one that holds NAT gateway nat-1.
    fn new(route: serde_json::Value) -> Self {
        let local = json!({"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"});
        let routes = if route.is_null() { vec![local.clone()] } else { vec![local.clone(), route] };
        let public = json!({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"});
        Self {
            tables: from(json!([
                {"RouteTableId": "rtb-main", "VpcId": "vpc-1", "Associations": [{"Main": true}], "Routes": [local]},
                {"RouteTableId": "rtb-private", "VpcId": "vpc-1", "Associations": [{"SubnetId": "private"}], "Routes": routes},
                {"RouteTableId": "rtb-public", "VpcId": "vpc-1",
                 "Associations": [{"SubnetId": "public", "AssociationState": {"State": "associated"}}], "Routes": [local, public]}
            ])),
            nats: from(
                json!([{"NatGatewayId": "nat-1", "SubnetId": "public", "State": "available", "ConnectivityType": "public"}]),
            ),
            gateways: from(
                json!([{"InternetGatewayId": "igw-1", "Attachments": [{"State": "available", "VpcId": "vpc-1"}]}]),
            ),
        }
    }

    fn way(&self, family: Family) -> Result<String, Cause> {
        let net = self.network();
        let table = net.table_of("private").expect("a table");
        net.way(table, family).map(|w| match w {
            Way::Nat(nat) => nat.nat_gateway_id.clone(),
            Way::Internet(id) => id.to_owned(),
            Way::Beyond => "beyond".to_owned(),
        })
    }

    fn network(&self) -> Network<'_> {
        Network { vpc: "vpc-1", account: Some("1"), tables: &self.tables, nats: &self.nats, gateways: &self.gateways }
    }
}

fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).expect("test data")
}

fn to_nat() -> Vpc {
    Vpc::new(json!({"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}))
}

fn default_to(field: &str, id: &str, state: &str) -> Vpc {
    Vpc::new(json!({"DestinationCidrBlock": "0.0.0.0/0", field: id, "State": state}))
}

#[test]
fn a_working_nat_gateway_is_a_way_out() {
    assert_eq!(to_nat().way(Family::V4), Ok("nat-1".into()));
}

#[test]
fn an_unassociated_subnet_uses_the_main_table() {
    let vpc = to_nat();
    let table = vpc.network().table_of("other").expect("main");
    assert_eq!(table.route_table_id, "rtb-main");
    assert!(matches!(vpc.network().way(table, Family::V4), Err(Cause::NoRoute)));
}

#[test]
fn an_association_that_ended_does_not_count() {
    let mut vpc = to_nat();
    vpc.tables[1].associations[0].association_state = Some(from(json!({"State": "disassociated"})));
    assert_eq!(vpc.network().table_of("private").map(|t| t.route_table_id.as_str()), Some("rtb-main"));
}

#[test]
fn a_table_without_default_route_leads_nowhere() {
    assert_eq!(Vpc::new(serde_json::Value::Null).way(Family::V4), Err(Cause::NoRoute));
    // One half of the internet is not the internet.
    let half = Vpc::new(json!({"DestinationCidrBlock": "0.0.0.0/1", "NatGatewayId": "nat-1", "State": "active"}));
    assert_eq!(half.way(Family::V4), Err(Cause::NoRoute));
}

#[test]
fn two_halves_are_a_default_route() {
    let mut vpc = default_to("NatGatewayId", "nat-1", "active");
    vpc.tables[1].routes[1].destination_cidr_block = Some("0.0.0.0/1".into());
    let mut high = vpc.tables[1].routes[1].clone();
    high.destination_cidr_block = Some("128.0.0.0/1".into());
    vpc.tables[1].routes.push(high);
    assert_eq!(vpc.way(Family::V4), Ok("nat-1".into()));
}

#[test]
fn what_lies_beyond_other_gateways_is_not_judged() {
    for (field, id) in [
        ("TransitGatewayId", "tgw-1"),
        ("VpcPeeringConnectionId", "pcx-1"),
        ("NetworkInterfaceId", "eni-1"),
        ("InstanceId", "i-1"),
        ("GatewayId", "vpce-1"),
        ("GatewayId", "vgw-1"),
        ("LocalGatewayId", "lgw-1"),
        ("CoreNetworkArn", "arn:aws:networkmanager::1:core-network/c"),
    ] {
        assert_eq!(default_to(field, id, "active").way(Family::V4), Ok("beyond".into()), "{id}");
    }
    let listed = Vpc::new(json!({"DestinationPrefixListId": "pl-1", "TransitGatewayId": "tgw-1", "State": "active"}));
    assert_eq!(listed.way(Family::V4), Ok("beyond".into()));
    let endpoint = Vpc::new(json!({"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "State": "active"}));
    assert_eq!(endpoint.way(Family::V4), Err(Cause::NoRoute));
}

#[test]
fn a_target_that_is_gone_is_a_blackhole() {
    let vpc = default_to("TransitGatewayId", "tgw-1", "blackhole");
    assert_eq!(vpc.way(Family::V4), Err(Cause::Blackhole { target: "tgw-1".into() }));
}

#[test]
fn nat_gateways_that_do_not_work_are_told_by_their_state() {
    let gone = |state: &str| Err(Cause::NatGone { nat: "nat-1".into(), state: state.into() });
    for state in ["failed", "deleting", "deleted"] {
        let mut vpc = to_nat();
        vpc.nats[0].state = state.into();
        assert_eq!(vpc.way(Family::V4), gone(state));
    }
    let mut vpc = to_nat();
    vpc.nats.clear();
    assert_eq!(vpc.way(Family::V4), gone("not found"));
    assert_eq!(default_to("NatGatewayId", "nat-1", "blackhole").way(Family::V4), gone("blackhole"));
    let mut vpc = to_nat();
    vpc.nats[0].state = "pending".into();
    assert_eq!(vpc.way(Family::V4), Err(Cause::NatPending { nat: "nat-1".into() }));
}

#[test]
fn in_a_shared_vpc_the_owners_gateways_are_not_seen() {
    let mut vpc = to_nat();
    vpc.nats.clear();
    vpc.tables[1].owner_id = Some("2".into());
    assert_eq!(vpc.way(Family::V4), Ok("beyond".into()));
}

#[test]
fn a_nat_gateway_in_a_private_subnet_is_stranded() {
    let mut vpc = to_nat();
    vpc.nats[0].subnet_id = "private".into();
    let fault = vpc.way(Family::V4).expect_err("routes to itself");
    assert!(
        matches!(&fault, Cause::NatStranded { via: Some(via), nat_table, .. } if via == "nat-1" && nat_table == "rtb-private")
    );
    vpc.nats[0].subnet_id = "other".into();
    let fault = vpc.way(Family::V4).expect_err("no default route");
    assert!(matches!(&fault, Cause::NatStranded { via: None, nat_table, .. } if nat_table == "rtb-main"));
    assert_eq!(vpc.network().working_nats().count(), 0);
}

#[test]
fn a_nat_gateway_behind_a_firewall_or_without_subnet_works() {
    let mut vpc = to_nat();
    vpc.tables[2].routes[1].gateway_id = Some("vpce-firewall".into());
    assert_eq!(vpc.way(Family::V4), Ok("beyond".into()));
    let mut regional = to_nat();
    regional.nats[0].subnet_id.clear();
    assert_eq!(regional.way(Family::V4), Ok("nat-1".into()));
}

#[test]
fn a_private_nat_gateway_needs_something_else_behind_it() {
    let mut vpc = to_nat();
    vpc.nats[0].connectivity_type = Some("private".into());
    assert_eq!(vpc.way(Family::V4), Err(Cause::NatPrivate { nat: "nat-1".into() }));
    vpc.tables[2].routes[1] =
        from(json!({"DestinationCidrBlock": "0.0.0.0/0", "TransitGatewayId": "tgw-1", "State": "active"}));
    assert_eq!(vpc.way(Family::V4), Ok("beyond".into()));
}

#[test]
fn an_internet_gateway_must_be_attached() {
    assert_eq!(default_to("GatewayId", "igw-1", "active").way(Family::V4), Ok("igw-1".into()));
    let gone = |table: &str| Err(Cause::GatewayGone { gateway: "igw-1".into(), table: table.into() });
    let mut vpc = default_to("GatewayId", "igw-1", "active");
    vpc.gateways.clear();
    assert_eq!(vpc.way(Family::V4), gone("rtb-private"));
    let mut vpc = to_nat();
    vpc.gateways[0].attachments[0].vpc_id = "vpc-2".into();
    assert_eq!(vpc.way(Family::V4), gone("rtb-public"));
}

#[test]
fn ipv6_leaves_through_its_own_default_route() {
    let v6 = json!({"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1", "State": "active"});
    assert_eq!(Vpc::new(v6).way(Family::V6), Ok("beyond".into()));
    assert_eq!(to_nat().way(Family::V6), Err(Cause::NoRoute));
}
