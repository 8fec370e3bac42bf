//! EC2: what the cluster's VPC consists of.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, Filter};
use serde_json::{Value, json};

use super::{document, explain};
use crate::collect::source::{AwsCall, FetchError};
use crate::snapshot::aws::{
    AclAssociation, AclEntry, Address, AddressPrefix, AssociationState, CidrAssociation, GatewayAttachment, GroupPair,
    Instance, InstanceState, InternetGateway, IpPermission, IpRange, Ipv6CidrAssociation, Ipv6Range, MetadataOptions,
    NatGateway, NatGatewayAddress, NetworkAcl, NetworkInterface, PortRange, PrivateAddress, Route, RouteTable,
    RouteTableAssociation, SecurityGroup, Subnet, Tag, Vpc, VpcEndpoint,
};

pub(super) async fn send(client: &Client, call: &AwsCall) -> Result<Value, FetchError> {
    match call {
        AwsCall::DescribeSubnets { vpc } => {
            let request = client.describe_subnets().filters(filter("vpc-id", &[vpc]));
            document(call, json!({"Subnets": each(list!(call, request), subnet)}))
        }
        AwsCall::DescribeRouteTables { vpc } => {
            let request = client.describe_route_tables().filters(filter("vpc-id", &[vpc]));
            document(call, json!({"RouteTables": each(list!(call, request), route_table)}))
        }
        AwsCall::DescribeNatGateways { vpc } => {
            let request = client.describe_nat_gateways().filter(filter("vpc-id", &[vpc]));
            document(call, json!({"NatGateways": each(list!(call, request), nat_gateway)}))
        }
        AwsCall::DescribeInternetGateways { vpc } => {
            let request = client.describe_internet_gateways().filters(filter("attachment.vpc-id", &[vpc]));
            document(call, json!({"InternetGateways": each(list!(call, request), internet_gateway)}))
        }
        AwsCall::DescribeNetworkAcls { vpc } => {
            let request = client.describe_network_acls().filters(filter("vpc-id", &[vpc]));
            document(call, json!({"NetworkAcls": each(list!(call, request), network_acl)}))
        }
        AwsCall::DescribeSecurityGroups { vpc } => {
            let request = client.describe_security_groups().filters(filter("vpc-id", &[vpc]));
            document(call, json!({"SecurityGroups": each(list!(call, request), security_group)}))
        }
        AwsCall::DescribeInstances { vpc } => {
            let request = client.describe_instances().filters(filter("vpc-id", &[vpc]));
            let request = request.filters(filter("instance-state-name", &["running", "pending"]));
            let reservations: Vec<_> = each(
                list!(call, request),
                |r: types::Reservation| json!({"Instances": each(r.instances.unwrap_or_default(), instance)}),
            );
            document(call, json!({"Reservations": reservations}))
        }
        AwsCall::DescribeVpcEndpoints { vpc } => {
            let request = client.describe_vpc_endpoints().filters(filter("vpc-id", &[vpc]));
            document(call, json!({"VpcEndpoints": each(list!(call, request), vpc_endpoint)}))
        }
        AwsCall::DescribeVpcs { vpc: id } => {
            let request = client.describe_vpcs().vpc_ids(id);
            document(call, json!({"Vpcs": each(list!(call, request), vpc)}))
        }
        AwsCall::DescribeAddresses => {
            let answer = client.describe_addresses().send().await.map_err(|e| explain(call, &e))?;
            document(call, json!({"Addresses": each(answer.addresses.unwrap_or_default(), address)}))
        }
        _ => unreachable!("only EC2 calls are sent here: {call:?}"),
    }
}

fn filter(name: &str, values: &[&str]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.iter().map(ToString::to_string).collect())).build()
}

fn each<T, U>(items: Vec<T>, convert: impl Fn(T) -> U) -> Vec<U> {
    items.into_iter().map(convert).collect()
}

fn tags(found: Option<Vec<types::Tag>>) -> Vec<Tag> {
    let tag = |t: types::Tag| Tag { key: t.key.unwrap_or_default(), value: t.value.unwrap_or_default() };
    each(found.unwrap_or_default(), tag)
}

fn vpc(v: types::Vpc) -> Vpc {
    let association =
        |a: types::VpcCidrBlockAssociation| CidrAssociation { cidr_block: a.cidr_block.unwrap_or_default() };
    Vpc {
        vpc_id: v.vpc_id.unwrap_or_default(),
        cidr_block: v.cidr_block.unwrap_or_default(),
        cidr_block_association_set: each(v.cidr_block_association_set.unwrap_or_default(), association),
        dhcp_options_id: v.dhcp_options_id.unwrap_or_default(),
    }
}

fn address(a: types::Address) -> Address {
    Address {
        public_ip: a.public_ip.unwrap_or_default(),
        allocation_id: a.allocation_id.unwrap_or_default(),
        association_id: a.association_id,
        network_interface_id: a.network_interface_id,
        tags: tags(a.tags),
    }
}

fn subnet(s: types::Subnet) -> Subnet {
    Subnet {
        subnet_id: s.subnet_id.unwrap_or_default(),
        vpc_id: s.vpc_id.unwrap_or_default(),
        cidr_block: s.cidr_block.unwrap_or_default(),
        ipv6_cidr_block_association_set: each(s.ipv6_cidr_block_association_set.unwrap_or_default(), |a| {
            Ipv6CidrAssociation { ipv6_cidr_block: a.ipv6_cidr_block.unwrap_or_default() }
        }),
        availability_zone: s.availability_zone.unwrap_or_default(),
        map_public_ip_on_launch: s.map_public_ip_on_launch.unwrap_or_default(),
        available_ip_address_count: s.available_ip_address_count.and_then(|n| u32::try_from(n).ok()),
        tags: tags(s.tags),
    }
}

fn route_table(t: types::RouteTable) -> RouteTable {
    RouteTable {
        route_table_id: t.route_table_id.unwrap_or_default(),
        vpc_id: t.vpc_id.unwrap_or_default(),
        associations: each(t.associations.unwrap_or_default(), |a| RouteTableAssociation {
            main: a.main.unwrap_or_default(),
            subnet_id: a.subnet_id,
            association_state: a
                .association_state
                .and_then(|s| s.state)
                .map(|s| AssociationState { state: s.as_str().to_owned() }),
        }),
        routes: each(t.routes.unwrap_or_default(), route),
        tags: tags(t.tags),
        owner_id: t.owner_id,
    }
}

fn route(r: types::Route) -> Route {
    Route {
        destination_cidr_block: r.destination_cidr_block,
        destination_ipv6_cidr_block: r.destination_ipv6_cidr_block,
        destination_prefix_list_id: r.destination_prefix_list_id,
        gateway_id: r.gateway_id,
        nat_gateway_id: r.nat_gateway_id,
        transit_gateway_id: r.transit_gateway_id,
        network_interface_id: r.network_interface_id,
        instance_id: r.instance_id,
        vpc_peering_connection_id: r.vpc_peering_connection_id,
        egress_only_internet_gateway_id: r.egress_only_internet_gateway_id,
        local_gateway_id: r.local_gateway_id,
        carrier_gateway_id: r.carrier_gateway_id,
        core_network_arn: r.core_network_arn,
        state: r.state.map_or(String::new(), |s| s.as_str().to_owned()),
    }
}

fn nat_gateway(g: types::NatGateway) -> NatGateway {
    NatGateway {
        nat_gateway_id: g.nat_gateway_id.unwrap_or_default(),
        vpc_id: g.vpc_id.unwrap_or_default(),
        subnet_id: g.subnet_id.unwrap_or_default(),
        state: g.state.map_or(String::new(), |s| s.as_str().to_owned()),
        connectivity_type: g.connectivity_type.map(|t| t.as_str().to_owned()),
        failure_code: g.failure_code,
        failure_message: g.failure_message,
        nat_gateway_addresses: each(g.nat_gateway_addresses.unwrap_or_default(), |a| NatGatewayAddress {
            public_ip: a.public_ip,
        }),
        tags: tags(g.tags),
    }
}

fn internet_gateway(g: types::InternetGateway) -> InternetGateway {
    InternetGateway {
        internet_gateway_id: g.internet_gateway_id.unwrap_or_default(),
        attachments: each(g.attachments.unwrap_or_default(), |a| GatewayAttachment {
            state: a.state.map_or(String::new(), |s| s.as_str().to_owned()),
            vpc_id: a.vpc_id.unwrap_or_default(),
        }),
    }
}

fn network_acl(a: types::NetworkAcl) -> NetworkAcl {
    NetworkAcl {
        network_acl_id: a.network_acl_id.unwrap_or_default(),
        vpc_id: a.vpc_id.unwrap_or_default(),
        is_default: a.is_default.unwrap_or_default(),
        associations: each(a.associations.unwrap_or_default(), |a| AclAssociation {
            subnet_id: a.subnet_id.unwrap_or_default(),
        }),
        entries: each(a.entries.unwrap_or_default(), acl_entry),
    }
}

fn acl_entry(e: types::NetworkAclEntry) -> AclEntry {
    AclEntry {
        rule_number: e.rule_number.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        egress: e.egress.unwrap_or_default(),
        protocol: e.protocol.unwrap_or_default(),
        rule_action: e.rule_action.map_or(String::new(), |a| a.as_str().to_owned()),
        cidr_block: e.cidr_block,
        ipv6_cidr_block: e.ipv6_cidr_block,
        port_range: e.port_range.and_then(port_range),
    }
}

/// Ports that no packet has (-1) stand for all ports, as no range does.
fn port_range(range: types::PortRange) -> Option<PortRange> {
    let port = |p: Option<i32>| p.and_then(|p| u16::try_from(p).ok());
    Some(PortRange { from: port(range.from)?, to: port(range.to)? })
}

fn security_group(g: types::SecurityGroup) -> SecurityGroup {
    SecurityGroup {
        group_id: g.group_id.unwrap_or_default(),
        group_name: g.group_name.unwrap_or_default(),
        vpc_id: g.vpc_id.unwrap_or_default(),
        ip_permissions: each(g.ip_permissions.unwrap_or_default(), ip_permission),
        ip_permissions_egress: each(g.ip_permissions_egress.unwrap_or_default(), ip_permission),
    }
}

fn ip_permission(p: types::IpPermission) -> IpPermission {
    IpPermission {
        ip_protocol: p.ip_protocol.unwrap_or_default(),
        from_port: p.from_port,
        to_port: p.to_port,
        ip_ranges: each(p.ip_ranges.unwrap_or_default(), |r| IpRange { cidr_ip: r.cidr_ip.unwrap_or_default() }),
        ipv6_ranges: each(p.ipv6_ranges.unwrap_or_default(), |r| Ipv6Range {
            cidr_ipv6: r.cidr_ipv6.unwrap_or_default(),
        }),
        user_id_group_pairs: each(p.user_id_group_pairs.unwrap_or_default(), |g| GroupPair {
            group_id: g.group_id.unwrap_or_default(),
        }),
        prefix_list_ids: each(p.prefix_list_ids.unwrap_or_default(), |l| json!({"PrefixListId": l.prefix_list_id})),
    }
}

fn instance(i: types::Instance) -> Instance {
    Instance {
        instance_id: i.instance_id.unwrap_or_default(),
        subnet_id: i.subnet_id,
        vpc_id: i.vpc_id,
        private_ip_address: i.private_ip_address,
        private_dns_name: i.private_dns_name,
        public_ip_address: i.public_ip_address,
        security_groups: each(i.security_groups.unwrap_or_default(), |g| GroupPair {
            group_id: g.group_id.unwrap_or_default(),
        }),
        source_dest_check: i.source_dest_check,
        state: i.state.and_then(|s| s.name).map(|name| InstanceState { name: name.as_str().to_owned() }),
        instance_type: i.instance_type.map(|t| t.as_str().to_owned()),
        network_interfaces: each(i.network_interfaces.unwrap_or_default(), network_interface),
        metadata_options: i.metadata_options.map(metadata_options),
    }
}

fn metadata_options(m: types::InstanceMetadataOptionsResponse) -> MetadataOptions {
    MetadataOptions {
        http_tokens: m.http_tokens.map(|t| t.as_str().to_owned()),
        http_put_response_hop_limit: m.http_put_response_hop_limit,
        http_endpoint: m.http_endpoint.map(|e| e.as_str().to_owned()),
    }
}

fn network_interface(n: types::InstanceNetworkInterface) -> NetworkInterface {
    NetworkInterface {
        network_interface_id: n.network_interface_id.unwrap_or_default(),
        subnet_id: n.subnet_id,
        groups: each(n.groups.unwrap_or_default(), |g| GroupPair { group_id: g.group_id.unwrap_or_default() }),
        private_ip_addresses: each(n.private_ip_addresses.unwrap_or_default(), |a| PrivateAddress {
            private_ip_address: a.private_ip_address.unwrap_or_default(),
        }),
        ipv4_prefixes: each(n.ipv4_prefixes.unwrap_or_default(), |p| AddressPrefix {
            ipv4_prefix: p.ipv4_prefix.unwrap_or_default(),
        }),
    }
}

fn vpc_endpoint(e: types::VpcEndpoint) -> VpcEndpoint {
    VpcEndpoint {
        vpc_endpoint_id: e.vpc_endpoint_id.unwrap_or_default(),
        vpc_id: e.vpc_id.unwrap_or_default(),
        service_name: e.service_name.unwrap_or_default(),
        vpc_endpoint_type: e.vpc_endpoint_type.map_or(String::new(), |t| t.as_str().to_owned()),
        state: e.state.map_or(String::new(), |s| s.as_str().to_owned()),
        route_table_ids: e.route_table_ids.unwrap_or_default(),
        subnet_ids: e.subnet_ids.unwrap_or_default(),
        groups: each(e.groups.unwrap_or_default(), |g| GroupPair { group_id: g.group_id.unwrap_or_default() }),
        private_dns_enabled: e.private_dns_enabled,
        policy_document: e.policy_document,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_ports_are_no_range() {
        let range = |from, to| port_range(types::PortRange::builder().from(from).to(to).build());
        assert!(matches!(range(53, 53), Some(PortRange { from: 53, to: 53 })));
        assert!(range(-1, -1).is_none());
    }
}
