//! What AWS objects mean: placement, routing, network ACLs, security groups, trust policies, the EBS CSI driver.

pub(crate) mod ebs;
pub(crate) mod identity;
pub(crate) mod network_acl;
pub(crate) mod placement;
pub(crate) mod routing;
pub(crate) mod security_group;
pub(crate) mod trust;
