//! Which kinds a cluster has beside those of Kubernetes itself, and how their objects are read.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Client, IfAbsent};
use super::source::Request;
use crate::model::Gap;
use crate::snapshot::kubernetes::{
    FluxSource, GatewayObject, GitOpsObject, Issuing, Monitor, MonitoringResource, NodeMaker, Object, Operated,
    SecretMaker, WebhookConfiguration,
};
use crate::snapshot::{Listing, Snapshot};

/// What is known of the kinds.
#[derive(Default)]
pub(super) struct Kinds {
    /// The definitions that were read, by plural and group.
    defined: BTreeSet<String>,
    /// Why these need not be all.
    gap: Option<Gap>,
    /// The API groups that the server serves, asked for only where the definitions cannot be read.
    served: Option<BTreeSet<String>>,
}

/// Objects of one kind, in whatever version the cluster serves.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// API group.
    group: &'static str,
    /// Versions, the newest first.
    versions: &'static [&'static str],
    /// Plural.
    resource: &'static str,
    /// What one of them is: `NodePool`.
    kind: &'static str,
    /// Where all of them cannot be read, those of the namespaces that may be read do.
    by_namespace: bool,
}

impl Kind {
    /// Of the cluster, or lying anywhere: all are read.
    pub(super) const fn all(
        group: &'static str,
        versions: &'static [&'static str],
        resource: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { group, versions, resource, kind, by_namespace: false }
    }

    /// All, or those of the namespaces that may be read.
    pub(super) const fn wide(
        group: &'static str,
        versions: &'static [&'static str],
        resource: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { by_namespace: true, ..Self::all(group, versions, resource, kind) }
    }
}

/// Objects of several kinds that are one list: the API does not say in a list of which kind they are.
pub(super) trait OfKind: Object + DeserializeOwned + Send + 'static {
    /// The same object, with what it is.
    fn of_kind(self, kind: &str) -> Self;
}

macro_rules! of_kind {
    ($($object:ident),*) => {
        $(impl OfKind for $object {
            fn of_kind(self, kind: &str) -> Self {
                Self { kind: kind.to_owned(), ..self }
            }
        })*
    };
}

of_kind!(
    FluxSource,
    GatewayObject,
    GitOpsObject,
    Issuing,
    Monitor,
    MonitoringResource,
    NodeMaker,
    Operated,
    SecretMaker,
    WebhookConfiguration
);

impl Kinds {
    /// By the definitions; where nobody may see them, by the APIs that the server serves: that may be seen by everybody.
    pub(super) async fn of(client: &Client, snap: &Snapshot) -> Self {
        let defined = snap.crds.items().unwrap_or_default().iter().map(|c| c.metadata.name.clone()).collect();
        let gap = snap.crds.gaps().first().cloned();
        let served = match &gap {
            Some(_) => served(client, snap).await,
            None => None,
        };
        Self { defined, gap, served }
    }

    /// The objects of several kinds as one list, each with what it is.
    pub(super) async fn several<T: OfKind>(
        &self,
        client: &Client,
        table: &[Kind],
        scope: &BTreeSet<String>,
    ) -> Listing<T> {
        let lists = join_all(table.iter().map(|kind| self.read::<T>(client, *kind, scope))).await;
        let each = lists.into_iter().zip(table).map(|(list, of)| list.map(|object| object.of_kind(of.kind)));
        each.reduce(Listing::merge).unwrap_or_else(|| Listing::cluster(Vec::new()))
    }

    /// The objects of a kind: none where the cluster does not know it. Where nobody can tell, they are asked for, and what
    /// cannot be read then is a gap.
    pub(super) async fn read<T>(&self, client: &Client, kind: Kind, scope: &BTreeSet<String>) -> Listing<T>
    where
        T: Object + DeserializeOwned + Send + 'static,
    {
        let unsure = match self.knows(kind) {
            Ok(true) => None,
            Ok(false) => return Listing::cluster(Vec::new()),
            Err(gap) => Some(gap),
        };
        let found = of_versions(client, kind, scope).await;
        match (unsure, found.items()) {
            // Nobody recorded them: it is not even known whether there could be any.
            (Some(gap), Err(own)) if own.is_not_collected() => Listing::missing(gap.clone()),
            _ => found,
        }
    }

    /// Whether the cluster knows a kind.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn knows(&self, kind: Kind) -> Result<bool, &Gap> {
        let is_defined = self.defined.contains(&format!("{}.{}", kind.resource, kind.group));
        match (&self.gap, &self.served) {
            _ if is_defined => Ok(true),
            (None, _) => Ok(false),
            (Some(_), Some(groups)) if !groups.contains(kind.group) => Ok(false),
            (Some(gap), _) => Err(gap),
        }
    }
}

/// The API groups that the server serves, as far as it says so.
async fn served(client: &Client, snap: &Snapshot) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Groups {
        groups: Vec<Group>,
    }
    #[derive(Deserialize)]
    struct Group {
        name: String,
    }
    let apis = snap.api_services.items().unwrap_or_default();
    let has_own = apis.iter().any(|a| a.spec.service.is_none());
    if has_own && snap.api_services.is_whole() {
        return Some(apis.iter().map(|a| a.spec.group.clone()).collect());
    }
    let known = client.json::<Groups>(&Request::kubernetes("/apis")).await.ok()?;
    Some(known.groups.into_iter().map(|g| g.name).collect())
}

/// Reads the newest version that has objects: for a while two are served, or the older one alone.
async fn of_versions<T>(client: &Client, kind: Kind, scope: &BTreeSet<String>) -> Listing<T>
where
    T: Object + DeserializeOwned + Send + 'static,
{
    let Kind { group, versions, resource, by_namespace, .. } = kind;
    let mut all: Option<Listing<T>> = None;
    for version in versions {
        let prefix = format!("/apis/{group}/{version}");
        let found = match by_namespace {
            true => client.wide_list(&prefix, resource, scope, IfAbsent::Empty).await,
            false => client.cluster_list(&format!("{prefix}/{resource}"), IfAbsent::Empty).await,
        };
        let has_objects = matches!(found.items(), Ok([_, ..]));
        all = Some(match all {
            Some(newer) => either(newer, found),
            None => found,
        });
        if has_objects {
            break;
        }
    }
    all.unwrap_or_else(|| Listing::cluster(Vec::new()))
}

/// The objects of a kind of which one of two versions is served; a gap of either counts.
fn either<T>(newer: Listing<T>, older: Listing<T>) -> Listing<T> {
    match (newer.items().err(), older.items()) {
        // A recording need not hold a version that nobody uses.
        (_, Err(gap)) if gap.is_not_collected() => newer,
        (Some(_), Ok([])) => newer,
        (gap, _) => older.with_gap(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GapCause;

    const POOLS: Kind = Kind::all("karpenter.sh", &["v1"], "nodepools", "NodePool");

    fn kinds(defined: &[&str], gap: Option<Gap>, served: Option<&[&str]>) -> Kinds {
        let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect();
        Kinds { defined: owned(defined), gap, served: served.map(owned) }
    }

    #[test]
    fn the_apis_tell_where_the_definitions_cannot_be_read() {
        let gap = || Some(Gap::new("GET crds", GapCause::NotCollected, ""));
        assert_eq!(kinds(&[], None, None).knows(POOLS), Ok(false));
        assert_eq!(kinds(&["nodepools.karpenter.sh"], None, None).knows(POOLS), Ok(true));
        // Half of the list names it, or need not.
        assert_eq!(kinds(&["nodepools.karpenter.sh"], gap(), None).knows(POOLS), Ok(true));
        assert!(kinds(&["a.b"], gap(), None).knows(POOLS).is_err());
        assert_eq!(kinds(&[], gap(), Some(&["apps"])).knows(POOLS), Ok(false));
        assert!(kinds(&[], gap(), Some(&["apps", "karpenter.sh"])).knows(POOLS).is_err());
    }

    #[test]
    fn an_older_version_that_was_not_recorded_is_not_missing() {
        let missing = || Listing::<u8>::missing(Gap::new("older", GapCause::NotCollected, ""));
        assert!(either(Listing::cluster(vec![1]), missing()).gaps().is_empty());
        assert_eq!(either(missing(), Listing::cluster(vec![1])).gaps().len(), 1);
        let refused = Gap::new("newer", GapCause::Timeout, "");
        assert_eq!(either(Listing::missing(refused.clone()), missing()).gaps(), [refused]);
    }
}
