//! The cluster's place in AWS as commands name it: what is not known is a placeholder.

use crate::domain::aws::identity::Identity;
use crate::model::Placeholder;
use crate::snapshot::{Snapshot, journal};

/// The region; empty where it is not known.
pub(crate) fn region(snap: &Snapshot) -> String {
    Identity::of(snap).region.unwrap_or_default().to_owned()
}

/// Cluster name, region and account for commands; placeholders where they are not known.
pub(crate) struct Place {
    pub(crate) cluster: String,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) partition: String,
}

impl Place {
    /// Of the cluster of a snapshot.
    pub(crate) fn of(snap: &Snapshot) -> Self {
        let known = Identity::of(snap);
        Self {
            cluster: known.cluster.unwrap_or("<cluster-name>").to_owned(),
            region: known.region.unwrap_or("<region>").to_owned(),
            account: known.account.unwrap_or("<account-id>").to_owned(),
            partition: known.partition.to_owned(),
        }
    }

    /// ARN of a role of the account.
    pub(crate) fn role_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    /// The cluster's own role.
    pub(crate) fn cluster_role(snap: &Snapshot) -> Placeholder {
        // A value of a command: no verdict hangs on it.
        let cluster = journal::aside(|| snap.eks_cluster().ok());
        let role = cluster.and_then(|c| c.role_arn.rsplit('/').next());
        Placeholder::new("cluster-role")
            .how("aws eks describe-cluster --query cluster.roleArn")
            .candidates(role.filter(|r| !r.is_empty()))
    }

    /// What AWS' host names and service principals end with.
    pub(crate) fn dns_suffix(&self) -> &'static str {
        if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    /// ARN of a policy that AWS keeps, by what stands after `policy/`.
    pub(crate) fn policy_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.partition)
    }

    /// ARN of the OIDC provider of an issuer (without scheme).
    pub(crate) fn provider_arn(&self, issuer: &str) -> String {
        format!("arn:{}:iam::{}:oidc-provider/{issuer}", self.partition, self.account)
    }
}
