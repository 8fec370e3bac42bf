//! VPC routing and NAT.

mod nat_egress;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&nat_egress::NatEgress];
