//! VPC routing, NAT, and the ports under which nodes serve.

mod acl;
mod choose;
mod demand;
mod fix;
pub(crate) mod host;
mod nat_egress;
mod node_port_range;
pub(crate) mod placement;
mod routing;
mod security_group;
mod survey;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&nat_egress::NatEgress, &node_port_range::NodePortRange];
