//! Which cluster this is: its name, region, account and partition, as far as they are known.

use crate::snapshot::Snapshot;

/// What is known of the cluster's place in AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    /// Name of the EKS cluster.
    pub(crate) cluster: Option<&'a str>,
    /// Region.
    pub(crate) region: Option<&'a str>,
    /// Account id.
    pub(crate) account: Option<&'a str>,
    /// `aws`, `aws-cn`, `aws-us-gov`: the second part of ARNs.
    pub(crate) partition: &'a str,
}

impl<'a> Identity<'a> {
    /// From the cluster itself, else from what kubeconfig, flags or the bundle say.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let target = &snap.target;
        let cluster = snap.eks_cluster().ok();
        let region = cluster.and_then(|c| c.region()).or(target.region.as_deref());
        Self {
            cluster: target.cluster.as_deref().or(cluster.map(|c| c.name.as_str())),
            region,
            account: cluster.and_then(|c| c.account()).or(target.account.as_deref()),
            partition: cluster.map_or_else(|| partition(region.unwrap_or_default()), |c| c.partition()),
        }
    }
}

/// The partition of a region.
fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_follows_from_the_region_where_the_cluster_was_not_read() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(Identity::of(&snap).partition, "aws");
        snap.target.region = Some("cn-north-1".into());
        snap.target.account = Some("111122223333".into());
        let identity = Identity::of(&snap);
        assert_eq!((identity.partition, identity.region), ("aws-cn", Some("cn-north-1")));
        assert_eq!((identity.account, identity.cluster), (Some("111122223333"), None));
    }
}
