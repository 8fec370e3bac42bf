//! VPC routing and NAT, network policies, and the ways to the stack's ports.

mod coredns_failing;
mod dns;
mod dns_policy;
mod gateway_route;
mod ingress;
mod ip_exhaustion;
mod listens_on_loopback;
mod nat_egress;
mod network_plugin_unready;
mod network_policy_blocks;
mod no_local_endpoint;
mod node_join;
mod node_port_range;
mod node_services;
mod pod_without_network;
mod port_forward;
mod readiness_gate;
mod security_group_blocks;
mod vpc_endpoint_missing;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &nat_egress::NatEgress,
    &network_policy_blocks::NetworkPolicyBlocks,
    &security_group_blocks::SecurityGroupBlocks,
    &vpc_endpoint_missing::VpcEndpointMissing,
    &port_forward::PortForward,
    &no_local_endpoint::NoLocalEndpoint,
    &listens_on_loopback::ListensOnLoopback,
    &node_join::NodeJoin,
    &node_services::NodeServices,
    &node_port_range::NodePortRange,
    &ip_exhaustion::IpExhaustion,
    &pod_without_network::PodWithoutNetwork,
    &network_plugin_unready::NetworkPluginUnready,
    &coredns_failing::CorednsFailing,
    &dns::Dns,
    &dns_policy::DnsPolicy,
    &ingress::IngressBroken,
    &gateway_route::GatewayRoute,
    &readiness_gate::ReadinessGate,
];
