//! What EKS says is wrong with a cluster itself, and what follows from it.

use crate::snapshot::aws::{Cluster, HealthIssue, Subnet};

/// What is wrong with a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The KMS key of its Secrets is disabled, or marked for deletion: it can be switched on again.
    KeyOff { deletion: bool },
    /// The key is gone, or the cluster's grant for it: nobody can bring that back.
    KeyLost,
    /// The cluster's role does not exist.
    Role,
    /// The role exists, and lacks rights, or does not let EKS assume it.
    RoleAccess,
    /// Subnets that the cluster names do not exist, or have no addresses left.
    Subnets,
    /// Security groups that the cluster names do not exist.
    SecurityGroups,
    /// Something else.
    Other,
}

impl Cause {
    /// Reads the code of an issue.
    pub(crate) fn of(issue: &HealthIssue) -> Self {
        match issue.code.as_str() {
            "KmsKeyDisabled" => Self::KeyOff { deletion: false },
            "KmsKeyMarkedForDeletion" => Self::KeyOff { deletion: true },
            "KmsKeyNotFound" | "KmsGrantRevoked" => Self::KeyLost,
            "IamRoleNotFound" => Self::Role,
            "AccessDenied" => Self::RoleAccess,
            "Ec2SubnetNotFound" | "InsufficientFreeAddresses" => Self::Subnets,
            "Ec2SecurityGroupNotFound" => Self::SecurityGroups,
            _ => Self::Other,
        }
    }

    /// Secrets cannot be read, so that no pod that needs one starts.
    pub(crate) fn locks_secrets(self) -> bool {
        matches!(self, Self::KeyOff { .. } | Self::KeyLost)
    }
}

/// The policies that AWS manages and that the role of a cluster needs; Auto Mode works with the same role.
pub(crate) fn role_policies(cluster: &Cluster) -> Vec<&'static str> {
    let more: &[&str] = if cluster.is_auto_mode() { AUTO_MODE_POLICIES } else { &[] };
    std::iter::once("AmazonEKSClusterPolicy").chain(more.iter().copied()).collect()
}

const AUTO_MODE_POLICIES: &[&str] = &[
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
];

/// The name of a role, and its path, by its ARN: `arn:aws:iam::111122223333:role/teams/shop-cluster`. The path is empty
/// where it has none.
pub(crate) fn role_of(arn: &str) -> Option<(&str, String)> {
    let (path, name) = arn.split_once(":role")?.1.rsplit_once('/')?;
    let path = if path.is_empty() { String::new() } else { format!("{path}/") };
    (!name.is_empty()).then_some((name, path))
}

/// The subnets that a cluster names and that exist with addresses to spare, if they lie in two zones at least and the
/// issue is about another one: to name the same ones again would change nothing.
pub(crate) fn usable_subnets(cluster: &Cluster, subnets: &[Subnet], issue: &HealthIssue) -> Option<Vec<String>> {
    let named = &cluster.resources_vpc_config.subnet_ids;
    let bad = |id: &String| issue.resource_ids.contains(id) || issue.message.contains(id.as_str());
    let good: Vec<&Subnet> = subnets.iter().filter(|s| named.contains(&s.subnet_id) && !bad(&s.subnet_id)).collect();
    let first = good.first().filter(|_| good.len() < named.len())?;
    let spread = good.iter().any(|s| s.availability_zone != first.availability_zone);
    spread.then(|| good.iter().map(|s| s.subnet_id.clone()).collect())
}

/// The security groups that a cluster names besides its own, without those that are gone: `None` where none is left, or
/// the issue does not say which are gone.
pub(crate) fn usable_groups(cluster: &Cluster, issue: &HealthIssue) -> Option<Vec<String>> {
    let named = &cluster.resources_vpc_config.security_group_ids;
    let gone = |id: &&String| issue.resource_ids.contains(*id) || issue.message.contains(id.as_str());
    let left: Vec<String> = named.iter().filter(|id| !gone(id)).cloned().collect();
    (!left.is_empty() && left.len() < named.len()).then_some(left)
}
