//! VPC routing and NAT.

mod acl;
mod choose;
mod demand;
mod fix;
pub(crate) mod host;
mod ip_exhaustion;
mod nat_egress;
pub(crate) mod placement;
mod routing;
mod security_group;
mod survey;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&nat_egress::NatEgress, &ip_exhaustion::IpExhaustion];
