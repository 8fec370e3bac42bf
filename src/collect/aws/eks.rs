//! The cluster in EKS: its add-ons, node groups and profiles, their updates, and the identities of its pods.

use std::collections::BTreeSet;

use futures::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;

use super::ask::{call, details, field, list};
use crate::collect::Plan;
use crate::collect::client::Client;
use crate::collect::source::AwsCall;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::aws::{
    Addon, Address, FargateProfile, Nodegroup, OidcProvider, PodIdentityAssociation, Update, Updated,
};
use crate::snapshot::{Fetched, Reading, Snapshot, not_collected};

/// Seconds within which an add-on or a node group was changed whose updates are read.
const UPDATES_SINCE: i64 = 24 * 3600;

/// Add-ons and node groups whose updates are read at most.
const MOST_UPDATED: usize = 8;

/// Pod Identity associations whose roles are read at most.
const MOST_ASSOCIATIONS: usize = 24;

/// Updates of each that are read at most.
const MOST_READ: usize = 40;

pub(super) type EksFacts = (
    Fetched<Vec<Addon>>,
    Fetched<Vec<Nodegroup>>,
    Fetched<Vec<String>>,
    Fetched<Vec<PodIdentityAssociation>>,
    Reading<Vec<OidcProvider>>,
);

pub(super) async fn eks_facts(client: &Client, plan: &Plan, cluster: &str) -> EksFacts {
    macro_rules! fact {
        ($fact:ident, $call:expr) => {
            async { if plan.wants(Fact::$fact) { $call.await } else { Err(not_collected(Fact::$fact)) } }
        };
    }
    let name = || cluster.to_owned();
    futures::join!(
        fact!(EksAddons, addons(client, cluster)),
        fact!(EksNodegroups, nodegroups(client, cluster)),
        fact!(
            EksFargateProfiles,
            list(client, AwsCall::ListFargateProfiles { cluster: name() }, "fargateProfileNames")
        ),
        fact!(
            PodIdentityAssociations,
            list(client, AwsCall::ListPodIdentityAssociations { cluster: name() }, "associations")
        ),
        async {
            if plan.wants(Fact::IamOidcProviders) {
                providers(client).await
            } else {
                Err(not_collected(Fact::IamOidcProviders)).into()
            }
        },
    )
}

pub(super) type MoreFacts = (Fetched<Vec<FargateProfile>>, Fetched<Vec<String>>, Fetched<Vec<Address>>);

pub(super) async fn more_facts(client: &Client, plan: &Plan, cluster: &str) -> MoreFacts {
    macro_rules! fact {
        ($fact:ident, $call:expr) => {
            async { if plan.wants(Fact::$fact) { $call.await } else { Err(not_collected(Fact::$fact)) } }
        };
    }
    let entries = AwsCall::ListAccessEntries { cluster: cluster.to_owned() };
    futures::join!(
        fact!(FargateProfiles, fargate_profiles(client, cluster)),
        fact!(AccessEntries, list(client, entries, "accessEntries")),
        fact!(Addresses, list(client, AwsCall::DescribeAddresses, "Addresses")),
    )
}

async fn fargate_profiles(client: &Client, cluster: &str) -> Fetched<Vec<FargateProfile>> {
    let call = AwsCall::ListFargateProfiles { cluster: cluster.to_owned() };
    let names: Vec<String> = list(client, call, "fargateProfileNames").await?;
    let call = |name: String| AwsCall::DescribeFargateProfile { cluster: cluster.to_owned(), name };
    let calls = names.into_iter().map(|n| field(client, call(n), "fargateProfile")).collect();
    details("eks:DescribeFargateProfile", calls).await
}

async fn addons(client: &Client, cluster: &str) -> Fetched<Vec<Addon>> {
    let names: Vec<String> = list(client, AwsCall::ListAddons { cluster: cluster.to_owned() }, "addons").await?;
    let call = |name: String| AwsCall::DescribeAddon { cluster: cluster.to_owned(), name };
    details("eks:DescribeAddon", names.into_iter().map(|n| field(client, call(n), "addon")).collect()).await
}

async fn nodegroups(client: &Client, cluster: &str) -> Fetched<Vec<Nodegroup>> {
    let names: Vec<String> =
        list(client, AwsCall::ListNodegroups { cluster: cluster.to_owned() }, "nodegroups").await?;
    let call = |name: String| AwsCall::DescribeNodegroup { cluster: cluster.to_owned(), name };
    details("eks:DescribeNodegroup", names.into_iter().map(|n| field(client, call(n), "nodegroup")).collect()).await
}

/// Updates of the add-ons and node groups that were changed a short time ago: of others nobody asks.
pub(super) async fn updates(
    client: &Client,
    plan: &Plan,
    cluster: &str,
    addons: &Fetched<Vec<Addon>>,
    nodegroups: &Fetched<Vec<Nodegroup>>,
) -> Reading<Vec<Update>> {
    if !plan.wants(Fact::EksUpdates) {
        return Err(not_collected(Fact::EksUpdates)).into();
    }
    let is_new = |at: &Option<String>| {
        let at = at.as_deref().and_then(|t| t.parse::<Timestamp>().ok());
        at.is_some_and(|t| plan.collected_at.as_second() - t.as_second() < UPDATES_SINCE)
    };
    let addons = addons.iter().flatten().filter(|a| is_new(&a.modified_at));
    let groups = nodegroups.iter().flatten().filter(|n| is_new(&n.modified_at));
    let changed = addons
        .map(|a| Updated::Addon(a.addon_name.clone()))
        .chain(groups.map(|n| Updated::Nodegroup(n.nodegroup_name.clone())));
    let each = changed.take(MOST_UPDATED).map(|of| updates_of(client, cluster, of));
    let (found, gaps): (Vec<_>, Vec<_>) = join_all(each).await.into_iter().unzip();
    let mut found = found.concat();
    let is_old = |u: &Update| u.created_at.is_some() && !is_new(&u.created_at);
    found.retain(|u| !is_old(u));
    Reading::with_holes(Ok(found), gaps.concat())
}

async fn updates_of(client: &Client, cluster: &str, of: Updated) -> (Vec<Update>, Vec<Gap>) {
    let call = AwsCall::ListUpdates { cluster: cluster.to_owned(), of: of.clone() };
    let ids: Vec<String> = match list(client, call, "updateIds").await {
        Ok(ids) => ids,
        Err(gap) => return (Vec::new(), vec![gap]),
    };
    // The list says nothing of when they were: which are new is known once they are read.
    let left = ids.len().saturating_sub(MOST_READ);
    let details = ids.into_iter().take(MOST_READ).map(|id| {
        field::<Update>(client, AwsCall::DescribeUpdate { cluster: cluster.to_owned(), of: of.clone(), id }, "update")
    });
    let mut read = (Vec::new(), Vec::new());
    if left > 0 {
        let (Updated::Addon(name) | Updated::Nodegroup(name)) = &of;
        let text = format!("{left} updates of {name} were not read, and the list does not say which are the newest");
        read.1.push(Gap::new("eks:DescribeUpdate", GapCause::NotCollected, text));
    }
    for answer in join_all(details).await {
        match answer {
            Ok(update) => read.0.push(Update { of: Some(of.clone()), ..update }),
            Err(error) => read.1.push(error.into_gap("eks:DescribeUpdate")),
        }
    }
    read
}

/// Reads the roles of the Pod Identity associations, which their list lacks: those of the cluster's own programs and of the pods
/// that were read.
pub(in crate::collect) async fn roles_of_associations(client: &Client, snap: &mut Snapshot) {
    let Some(cluster) = snap.target.cluster.clone() else { return };
    let accounts: BTreeSet<(&str, &str)> = snap
        .pods
        .items()
        .unwrap_or_default()
        .iter()
        .map(|p| (p.metadata.namespace.as_str(), p.spec.account()))
        .collect();
    let is_used = |a: &PodIdentityAssociation| {
        a.namespace == "kube-system" || accounts.contains(&(a.namespace.as_str(), a.service_account.as_str()))
    };
    let listed = snap.pod_identity_associations.as_deref().unwrap_or_default();
    let used: Vec<String> = listed.iter().filter(|a| is_used(a)).map(|a| a.association_id.clone()).collect();
    let left = used.len().saturating_sub(MOST_ASSOCIATIONS);
    let reads = used.into_iter().take(MOST_ASSOCIATIONS).map(|id| async {
        let call = AwsCall::DescribePodIdentityAssociation { cluster: cluster.clone(), id: id.clone() };
        (id, field::<PodIdentityAssociation>(client, call, "association").await)
    });
    let mut gaps = Vec::new();
    if left > 0 {
        let message = format!("the roles of {left} associations whose pods run were not asked for");
        gaps.push(Gap::new("eks:DescribePodIdentityAssociation", GapCause::Truncated, message));
    }
    for (id, read) in join_all(reads).await {
        let listed = snap.pod_identity_associations.as_deref_mut().unwrap_or_default();
        match (read, listed.iter_mut().find(|a| a.association_id == id)) {
            (Ok(detail), Some(association)) => association.role_arn = detail.role_arn,
            (Ok(_), None) => {}
            (Err(error), _) => gaps.push(error.into_gap("eks:DescribePodIdentityAssociation")),
        }
    }
    snap.pod_identity_associations = snap.pod_identity_associations.clone().lacking(gaps);
}

async fn providers(client: &Client) -> Reading<Vec<OidcProvider>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        arn: String,
    }
    let call_ = AwsCall::ListOpenIdConnectProviders;
    let listed: Vec<Listed> = match list(client, call_, "OpenIDConnectProviderList").await {
        Ok(listed) => listed,
        Err(gap) => return Err(gap).into(),
    };
    let details = listed.into_iter().map(|l| async move {
        let url = l.arn.split_once("oidc-provider/").map(|(_, url)| url.to_owned()).unwrap_or_default();
        let call_ = AwsCall::GetOpenIdConnectProvider { arn: l.arn.clone() };
        // The ARN alone says which issuer it is for; which audiences it has is not known then.
        match call::<OidcProvider>(client, call_).await {
            Ok(read) => (OidcProvider { arn: l.arn, ..read }, None),
            Err(error) => {
                let gap = error.into_gap("iam:GetOpenIDConnectProvider");
                (OidcProvider { arn: l.arn, url, ..Default::default() }, Some(gap))
            }
        }
    });
    let (found, gaps): (Vec<_>, Vec<_>) = join_all(details).await.into_iter().unzip();
    Reading::with_holes(Ok(found), gaps.into_iter().flatten().collect())
}
