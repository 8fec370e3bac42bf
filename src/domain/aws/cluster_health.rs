//! What EKS says is wrong with a cluster itself, and what follows from it.

use crate::snapshot::aws::{Cluster, HealthIssue, Subnet};

/// What is wrong with a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The KMS key of its Secrets is disabled, or marked for deletion: it can be switched on again.
    KeyOff { deletion: bool },
    /// The key is gone, or the cluster's grant for it: nobody can bring that back.
    KeyLost,
    /// The cluster's role does not exist, or does not let EKS assume it.
    Role,
    /// Subnets that the cluster names do not exist, or have no addresses left.
    Subnets,
    /// Security groups that the cluster names do not exist.
    SecurityGroups,
    /// Something else.
    Other,
}

impl Fault {
    /// Reads the code of an issue.
    pub(crate) fn of(issue: &HealthIssue) -> Self {
        match issue.code.as_str() {
            "KmsKeyDisabled" => Self::KeyOff { deletion: false },
            "KmsKeyMarkedForDeletion" => Self::KeyOff { deletion: true },
            "KmsKeyNotFound" | "KmsGrantRevoked" => Self::KeyLost,
            "IamRoleNotFound" | "AccessDenied" => Self::Role,
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

/// The subnets that a cluster names and that exist with addresses to spare, if they lie in two zones at least.
pub(crate) fn usable_subnets(cluster: &Cluster, subnets: &[Subnet], issue: &HealthIssue) -> Option<Vec<String>> {
    let named = &cluster.resources_vpc_config.subnet_ids;
    let bad = |id: &String| issue.resource_ids.contains(id) || issue.message.contains(id.as_str());
    let good: Vec<&Subnet> = subnets.iter().filter(|s| named.contains(&s.subnet_id) && !bad(&s.subnet_id)).collect();
    let first = good.first()?;
    let spread = good.iter().any(|s| s.availability_zone != first.availability_zone);
    spread.then(|| good.iter().map(|s| s.subnet_id.clone()).collect())
}

/// The security groups that a cluster names besides its own, without those that are gone.
pub(crate) fn usable_groups(cluster: &Cluster, issue: &HealthIssue) -> Vec<String> {
    let gone = |id: &&String| issue.resource_ids.contains(*id) || issue.message.contains(id.as_str());
    cluster.resources_vpc_config.security_group_ids.iter().filter(|id| !gone(id)).cloned().collect()
}
