//! VPC routing and NAT, network policies, and the ways to the stack's ports.

mod acl;
mod blocked;
mod choose;
mod demand;
mod dns;
mod dns_evidence;
mod dns_path;
mod fix;
mod flows;
pub(crate) mod host;
mod ip_exhaustion;
mod nat_egress;
mod network_policy_blocks;
mod node_join;
mod node_port_range;
pub(crate) mod placement;
pub(crate) mod policy;
mod policy_fix;
mod port_forward;
mod routing;
mod security_group;
mod survey;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &nat_egress::NatEgress,
    &network_policy_blocks::NetworkPolicyBlocks,
    &port_forward::PortForward,
    &node_join::NodeJoin,
    &node_port_range::NodePortRange,
    &ip_exhaustion::IpExhaustion,
    &dns::Dns,
];
