//! Claims as evidence, and how the class of claims is changed where it is kept.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::domain::kubernetes::chart::{installed, storage_values};
use crate::domain::kubernetes::claims::{is_asked_for, is_made_again, maker, pending, provisioning_error, users};
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::managed::{managed_by, release};
use crate::domain::kubernetes::owner::operator_owner;
use crate::model::{Evidence, Placeholder};
use crate::snapshot::kubernetes::{Meta, PersistentVolume, PersistentVolumeClaim, Pod};
use crate::snapshot::{Snapshot, journal};

/// A class of block devices that the cluster has, the default one first; open where none was seen, for no cluster has one
/// of itself that it could be.
pub(crate) fn block_class(snap: &Snapshot) -> Placeholder {
    let all = snap.storage_classes().unwrap_or_default();
    let block = |p: &str| ["ebs.csi", "aws-ebs", "disk.csi", "pd.csi"].iter().any(|b| p.contains(b));
    let mut classes: Vec<_> = all.iter().filter(|c| block(&c.provisioner)).collect();
    let served = Served::of(snap);
    let is_stuck = |name: &str| served.stuck.iter().any(|s| s == name);
    classes.sort_by_key(|c| {
        let name = &c.metadata.name;
        (is_stuck(name), !c.is_default(), name != "gp3", name.clone())
    });
    let seen = match (served.bound.as_slice(), served.stuck.as_slice()) {
        ([], []) => String::new(),
        ([], stuck) => format!("; of {} no claim is Bound", stuck.join(", ")),
        (bound, _) => format!("; claims of {} are Bound", bound.join(", ")),
    };
    let how = format!("a class of `kubectl get storageclass` whose driver runs{seen}");
    let class = Placeholder::new("storage-class").how(how);
    class.candidates(classes.first().map(|c| c.metadata.name.clone()))
}

/// What becomes of the claims of each class.
pub(crate) struct Served {
    /// Classes that have Bound claims.
    pub(crate) bound: Vec<String>,
    /// Classes of which no claim is Bound, and whose provisioner was asked in vain.
    pub(crate) stuck: Vec<String>,
}

impl Served {
    /// By the claims that could be read: it only sharpens advice.
    pub(crate) fn of(snap: &Snapshot) -> Self {
        journal::aside(|| {
            let all = snap.persistent_volume_claims.items().unwrap_or_default().iter();
            let bound: BTreeSet<&str> = all.filter(|c| c.status.phase == "Bound").filter_map(|c| c.class()).collect();
            let waiting = pending(snap).unwrap_or_default().into_iter();
            let failing = waiting.filter(|c| provisioning_error(snap, c).is_some() || is_asked_for(snap, c));
            let stuck: BTreeSet<&str> = failing.filter_map(|c| c.class()).filter(|c| !bound.contains(c)).collect();
            let named =
                |names: BTreeSet<&str>| names.into_iter().filter(|n| !n.is_empty()).map(str::to_owned).collect();
            Self { bound: named(bound), stuck: named(stuck) }
        })
    }
}

/// A claim as evidence: what it asks for and its phase.
pub(crate) fn claim_evidence(claim: &PersistentVolumeClaim) -> Evidence {
    let class = match claim.class() {
        Some("") => "no class (static)".to_owned(),
        Some(name) => format!("storageClassName {name}"),
        None => "no storageClassName".to_owned(),
    };
    let modes = match claim.spec.access_modes.as_slice() {
        [] => String::new(),
        modes => format!(", {}", modes.join(" and ")),
    };
    Evidence::new(
        format!("PersistentVolumeClaim {}/{}", claim.metadata.namespace, claim.metadata.name),
        format!("phase {}, {class}{modes}", claim.status.phase),
        "kubectl get pvc {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("namespace", &claim.metadata.namespace)
    .with("name", &claim.metadata.name)
}

/// A Helm release as a command names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Release {
    name: String,
    namespace: String,
    chart: String,
    version: String,
}

/// A resource out of which an operator makes the StatefulSet of a claim, and the patch that names another class in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Operated {
    kind: &'static str,
    name: String,
    patch: String,
}

/// Who makes the claims of one namespace: what has to be deleted, and what comes again of itself.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Makers {
    /// StatefulSets that somebody applies: their templates cannot be changed.
    orphans: Vec<String>,
    /// Claims that nobody makes again before the class is changed.
    own_claims: Vec<String>,
    /// What the Prometheus operator makes StatefulSets of; it recreates them when the class changes.
    operated: Vec<Operated>,
    /// StatefulSets that an operator recreates, with their Pending claims and the pods that wait for those.
    operated_sets: Vec<String>,
    operated_claims: Vec<String>,
    operated_pods: Vec<String>,
    /// Who else keeps StatefulSets: other operators, Helm releases, GitOps.
    #[serde(serialize_with = "listed")]
    kept_by: Vec<String>,
}

fn listed<S: serde::Serializer>(all: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&all.join(", "))
}

impl Makers {
    fn of(snap: &Snapshot, claims: &[&PersistentVolumeClaim], class: &str) -> Self {
        let mut made = Self::default();
        for claim in claims {
            let set = maker(snap, claim).map(|(set, _)| set);
            let name = claim.metadata.name.clone();
            match set.map(|set| (set, operator_owner(&set.metadata), owner_of(&set.metadata))) {
                Some((set, Some((kind, resource)), _)) => {
                    let storage =
                        json!({"spec": {"storage": {"volumeClaimTemplate": {"spec": {"storageClassName": class}}}}});
                    let resource = Operated { kind, name: resource.to_owned(), patch: storage.to_string() };
                    push(&mut made.operated, resource);
                    push(&mut made.operated_sets, set.kubectl_name());
                    made.operated_pods.extend(waiting_pods(snap, claim));
                    made.operated_claims.push(name);
                }
                Some((set, None, Some((kind, owner)))) => {
                    push(&mut made.kept_by, format!("{kind} {owner} makes {}", set.kubectl_name()));
                }
                Some((set, None, None)) => {
                    let managed = managed_by(&set.metadata);
                    if !managed.is_empty() {
                        push(&mut made.kept_by, managed);
                    }
                    match installation(&set.metadata) {
                        Some(resource) => {
                            push(&mut made.kept_by, format!("{resource} makes {}", set.kubectl_name()));
                            push(&mut made.operated_sets, set.kubectl_name());
                            made.operated_pods.extend(waiting_pods(snap, claim));
                            made.operated_claims.push(name);
                        }
                        None => {
                            push(&mut made.orphans, set.kubectl_name());
                            made.own_claims.push(name);
                        }
                    }
                }
                None => made.own_claims.push(name),
            }
        }
        made
    }
}

/// The resource out of which the ClickHouse operator makes a StatefulSet. It says so in labels, and owns nothing.
fn installation(set: &Meta) -> Option<String> {
    set.label("clickhouse.altinity.com/chi").map(|name| format!("ClickHouseInstallation {name}"))
}

fn push<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// Pods that have no node, for they wait for a claim.
fn waiting_pods(snap: &Snapshot, claim: &PersistentVolumeClaim) -> Vec<String> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let mounts = |p: &&Pod| {
        let claims = p.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref());
        p.metadata.namespace == claim.metadata.namespace
            && p.spec.node_name.is_none()
            && claims.into_iter().any(|c| c.claim_name == claim.metadata.name)
    };
    pods.filter(mounts).map(|p| p.metadata.name.clone()).collect()
}

/// Values of the shared step `claims-class`, which changes the class of Pending claims where it is kept: the Helm release
/// with the path of each part's class, and who makes the claims.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ClassChange {
    set_class: String,
    /// Empty where no release is known.
    set_release: String,
    set_release_namespace: String,
    set_chart: String,
    set_version: String,
    /// `--set` and the values.
    set_words: Vec<String>,
    claims_namespace: String,
    #[serde(flatten)]
    makers: Makers,
}

impl ClassChange {
    /// Of claims that are to have another class.
    pub(crate) fn of(snap: &Snapshot, claims: &[&PersistentVolumeClaim], class: &str) -> Self {
        let namespace = claims.first().map(|c| c.metadata.namespace.as_str()).unwrap_or_default();
        let here: Vec<&PersistentVolumeClaim> =
            claims.iter().filter(|c| c.metadata.namespace == namespace).copied().collect();
        let mut flags: Vec<String> = Vec::new();
        let mut found: Option<Release> = None;
        for claim in claims {
            let user = users(snap, claim).into_iter().next();
            let meta = user.map_or(&claim.metadata, |w| &w.metadata);
            let values = storage_values(snap, meta).or_else(|| storage_values(snap, &claim.metadata));
            let (Some(values), Some((name, namespace))) = (values, release(meta)) else { continue };
            let (chart, version) = installed(snap, meta).unwrap_or_default();
            let place = Release { name: name.to_owned(), namespace: namespace.to_owned(), chart, version };
            if *found.get_or_insert_with(|| place.clone()) == place {
                push(&mut flags, format!("{}={class}", values.class));
            }
        }
        let Release { name, namespace: home, chart, version } = found.unwrap_or_default();
        Self {
            set_class: class.to_owned(),
            set_release: name,
            set_release_namespace: home,
            set_chart: chart,
            set_version: if version.is_empty() { "<version>".to_owned() } else { version },
            set_words: flags.into_iter().flat_map(|f| ["--set".to_owned(), f]).collect(),
            claims_namespace: namespace.to_owned(),
            makers: Makers::of(snap, &here, class),
        }
    }
}

/// Claims that wait: those of the namespace of the first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Waiting {
    namespace: String,
    pvcs: Vec<String>,
}

impl Waiting {
    /// Of claims, which may be none.
    pub(crate) fn of(claims: &[&PersistentVolumeClaim]) -> Self {
        let namespace = claims.first().map(|c| c.metadata.namespace.clone()).unwrap_or_default();
        let here = claims.iter().filter(|c| c.metadata.namespace == namespace);
        Self { pvcs: here.map(|c| c.metadata.name.clone()).collect(), namespace }
    }
}

/// Values of the shared step `claim-given-up`: whether a StatefulSet makes the claim again, and what becomes of its volume.
#[derive(Serialize, JsonSchema)]
pub(crate) struct GivenUp {
    claim_made_again: bool,
    volume_gone: bool,
    reclaim: String,
}

impl GivenUp {
    /// Of a claim and the volume that it is bound to.
    pub(crate) fn of(snap: &Snapshot, namespace: &str, claim: &str, volume: Option<&PersistentVolume>) -> Self {
        let all = snap.persistent_volume_claims.items().unwrap_or_default();
        let mut same = all.iter().filter(|c| c.metadata.namespace == namespace && c.metadata.name == claim);
        Self {
            claim_made_again: same.next().is_some_and(|c| journal::aside(|| is_made_again(snap, c))),
            volume_gone: volume.is_none(),
            reclaim: volume.and_then(|v| v.spec.persistent_volume_reclaim_policy.clone()).unwrap_or_default(),
        }
    }
}

/// A volume that is given up, and its claim.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LostVolume {
    volume: String,
    claim: String,
    #[serde(flatten)]
    given_up: GivenUp,
}

impl LostVolume {
    /// Of a claim and the volume that it is bound to.
    pub(crate) fn of(snap: &Snapshot, namespace: &str, claim: &str, volume: Option<&PersistentVolume>) -> Self {
        Self {
            volume: volume.map_or("<volume>", |v| v.metadata.name.as_str()).to_owned(),
            claim: claim.to_owned(),
            given_up: GivenUp::of(snap, namespace, claim, volume),
        }
    }

    /// Of a claim whose volume is not there any more.
    pub(crate) fn gone(snap: &Snapshot, namespace: &str, claim: &str, volume: &str) -> Self {
        Self { volume: volume.to_owned(), ..Self::of(snap, namespace, claim, None) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::Workload;

    fn made(labels: Value, annotations: Value) -> Makers {
        let set = json!({"metadata": {"namespace": "m", "name": "db", "labels": labels, "annotations": annotations},
            "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
        let claim = json!({"metadata": {"namespace": "m", "name": "data-db-0"}, "status": {"phase": "Pending"}});
        let mut snap = snapshot(json!({}));
        let set: Workload = serde_json::from_value(set).expect("a StatefulSet");
        snap.workloads = Listing::cluster(vec![Workload { kind: "StatefulSet".to_owned(), ..set }]);
        let claim: PersistentVolumeClaim = serde_json::from_value(claim).expect("a claim");
        Makers::of(&snap, &[&claim], "gp3")
    }

    #[test]
    fn who_keeps_a_set_is_named() {
        let annotations = json!({"meta.helm.sh/release-name": "s", "meta.helm.sh/release-namespace": "m"});
        let made = made(json!({}), annotations);
        assert_eq!(made.kept_by, ["Helm release s in namespace m"]);
        assert_eq!((made.orphans, made.own_claims), (vec!["statefulset/db".to_owned()], vec!["data-db-0".to_owned()]));
    }

    /// Applied manifests do not bring it back.
    #[test]
    fn what_an_operator_makes_is_left_to_it() {
        let made = made(json!({"clickhouse.altinity.com/chi": "signoz"}), json!({}));
        assert_eq!(made.kept_by, ["ClickHouseInstallation signoz makes statefulset/db"]);
        assert!(made.orphans.is_empty() && made.own_claims.is_empty());
        assert_eq!(made.operated_claims, ["data-db-0"]);
    }
}
