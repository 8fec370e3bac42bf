//! Whether it is known which kinds a cluster has beside those of Kubernetes itself.

use crate::model::Gap;
use crate::snapshot::{Snapshot, journal};

/// Nobody has to see objects of these API groups, for the cluster does not know them, or they could be looked for.
///
/// # Errors
/// The gap, where neither the CustomResourceDefinitions nor the list of APIs tells.
pub(crate) fn are_told(snap: &Snapshot, groups: &[&str]) -> Result<(), Gap> {
    // Either of the two is enough: what cannot be seen of the other decides nothing.
    let Err(gap) = journal::aside(|| snap.crds().map(|_| ())) else { return Ok(()) };
    let apis = journal::aside(|| snap.api_services().unwrap_or_default());
    let own = apis.iter().any(|a| a.spec.service.is_none());
    let known = apis.iter().any(|a| groups.contains(&a.spec.group.as_str()));
    if own && !known { Ok(()) } else { Err(gap) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::model::GapCause;
    use crate::snapshot::Listing;

    fn with(groups: &[&str]) -> Snapshot {
        let mut snap = snapshot(json!({}));
        snap.crds = Listing::missing(Gap::new("GET crds", GapCause::NotCollected, ""));
        let api = |group: &&str| json!({"metadata": {"name": format!("v1.{group}")}, "spec": {"group": group, "version": "v1"}});
        let all: Vec<_> = groups.iter().map(api).collect();
        snap.api_services = Listing::cluster(serde_json::from_value(json!(all)).expect("APIs"));
        snap
    }

    #[test]
    fn the_apis_tell_where_the_definitions_cannot_be_read() {
        let mut read = with(&[]);
        read.crds = Listing::cluster(Vec::new());
        assert!(are_told(&read, &["karpenter.sh"]).is_ok());
        assert!(are_told(&with(&["apps"]), &["karpenter.sh"]).is_ok());
        assert!(are_told(&with(&["apps", "karpenter.sh"]), &["karpenter.sh"]).is_err());
        assert!(are_told(&with(&[]), &["karpenter.sh"]).is_err());
    }
}
