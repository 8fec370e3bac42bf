//! The cluster's place in AWS as commands name it: what is not known is a placeholder.

use crate::domain::aws::identity::Identity;
use crate::snapshot::Snapshot;

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

    /// What AWS' host names and service principals end with.
    pub(crate) fn dns_suffix(&self) -> &'static str {
        if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    /// ARN of the managed policy for the driver.
    pub(crate) fn policy_arn(&self) -> String {
        format!("arn:{}:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy", self.partition)
    }

    /// ARN of the OIDC provider of an issuer (without scheme).
    pub(crate) fn provider_arn(&self, issuer: &str) -> String {
        format!("arn:{}:iam::{}:oidc-provider/{issuer}", self.partition, self.account)
    }
}
