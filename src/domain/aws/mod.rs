//! What AWS objects mean: access, refusals, load balancers, node groups, placement, routing, network ACLs, security groups, trust policies, the EBS CSI driver.

pub(crate) mod access;
pub(crate) mod addon;
pub(crate) mod balancer;
pub(crate) mod consolidation;
pub(crate) mod credentials;
pub(crate) mod csi_node;
pub(crate) mod denied;
pub(crate) mod ebs;
pub(crate) mod efs;
pub(crate) mod endpoints;
pub(crate) mod firewall;
pub(crate) mod hours;
pub(crate) mod identity;
pub(crate) mod interface;
pub(crate) mod network_acl;
pub(crate) mod node_group;
pub(crate) mod node_pool;
pub(crate) mod oidc_provider;
pub(crate) mod placement;
pub(crate) mod resolver;
pub(crate) mod routing;
pub(crate) mod scale_up;
pub(crate) mod secret_makers;
pub(crate) mod security_group;
pub(crate) mod trust;
pub(crate) mod vpc_cni;
