//! No StorageClass is the default one while claims name none, or more than one is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::claims::{ClassChange, Waiting, claim_evidence};
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claim_templates::{self, Template};
use crate::domain::kubernetes::claims;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::skew;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{PersistentVolumeClaim, StorageClass};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    DefaultStorageClass {
        id: "default-storage-class", suite: Storage, severity: Warning,
        title: "no StorageClass is the default one, or several are",
        requires: [StorageClasses, PersistentVolumeClaims],
        uses: [Workloads, MonitoringResources, PersistentVolumes, Events, EksCluster, KubernetesVersion],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Mark {
        class: String,
        #[serde(flatten)]
        claims: Waiting,
        retroactive: bool,
        #[serde(flatten)]
        change: Box<ClassChange>,
    },
    Create {
        class: String,
        provisioner: &'static str,
        /// A class that there is.
        old: Option<String>,
        #[serde(flatten)]
        claims: Waiting,
        retroactive: bool,
    },
    CreateOther {
        class: &'static str,
        provisioner: &'static str,
        #[serde(flatten)]
        claims: Waiting,
    },
    Several {
        winner: String,
        losers: Vec<String>,
        /// The first of them.
        other: String,
        managed: String,
    },
}

impl Check for DefaultStorageClass {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let classes = snap.storage_classes()?;
        snap.persistent_volume_claims()?;
        let mut defaults: Vec<&StorageClass> = classes.iter().filter(|c| c.is_default()).collect();
        // The newest wins, then the first by name: the order of the API server's admission plugin.
        defaults.sort_by_key(|c| (std::cmp::Reverse(c.metadata.creation_timestamp), c.metadata.name.clone()));
        let finding = match defaults.as_slice() {
            [] => none(snap, classes)?,
            [_] => None,
            [winner, losers @ ..] => Some(several(snap, winner, losers)),
        };
        Ok(Diagnosis::Findings(finding.into_iter().collect()))
    }
}

/// Claims that wait for a class, and templates from which such claims would be made.
fn none(snap: &Snapshot, classes: &[StorageClass]) -> Result<Option<Finding>, Gap> {
    let pending = claims::pending(snap)?;
    let without_class: Vec<&PersistentVolumeClaim> =
        pending.into_iter().filter(|c| c.class().is_none() && claims::is_unbound(c)).collect();
    let owners: Vec<ResourceRef> = claim_templates::of_stack(snap)
        .into_iter()
        .filter(|t| t.class.is_none() && !has_free_volume(snap))
        .map(|t: Template<'_>| t.owner)
        .collect();
    if without_class.is_empty() && owners.is_empty() {
        return Ok(None);
    }
    Ok(Some(none_finding(snap, classes, &without_class, &owners)))
}

/// A volume made by hand without a class would do.
fn has_free_volume(snap: &Snapshot) -> bool {
    let volumes = snap.persistent_volumes.items().unwrap_or_default();
    volumes
        .iter()
        .any(|v| v.status.phase == "Available" && v.spec.storage_class_name.as_deref().unwrap_or("").is_empty())
}

fn none_finding(
    snap: &Snapshot,
    classes: &[StorageClass],
    pending: &[&PersistentVolumeClaim],
    owners: &[ResourceRef],
) -> Finding {
    let who = match (pending, owners) {
        ([], [owner]) => format!("{owner} makes claims that name none"),
        ([], many) => format!("{} resources make claims that name none", many.len()),
        ([one], _) => {
            format!("PersistentVolumeClaim {}/{} names none", one.metadata.namespace, one.metadata.name)
        }
        (many, _) => format!("{} Pending PersistentVolumeClaims name none", many.len()),
    };
    let have: Vec<&str> = classes.iter().map(|c| c.metadata.name.as_str()).collect();
    let there =
        if have.is_empty() { "there is no class at all".to_owned() } else { format!("there is {}", have.join(", ")) };
    let message = format!("no StorageClass is the default one ({there}), and {who}");
    let severity = if pending.is_empty() { Severity::Warning } else { Severity::Error };
    let mut finding =
        Finding::new(DefaultStorageClass::META.id, severity, ResourceRef::default_storage_class(), message)
            .key("none")
            .breaks(ResourceRef::default_storage_class())
            .fix(remedy(snap, classes, pending))
            .evidence(Evidence::new(
                "annotation storageclass.kubernetes.io/is-default-class of the StorageClasses",
                if have.is_empty() {
                    "there is no StorageClass".into()
                } else {
                    format!("not \"true\" on {}", have.join(", "))
                },
                "kubectl get storageclass",
            ));
    for claim in pending {
        finding = finding
            .breaks(ResourceRef::pvc(&claim.metadata.namespace, &claim.metadata.name))
            .evidence(claim_evidence(claim));
        let said = claims::events(snap, claim).into_iter().find(|e| e.message.contains("no storage class is set"));
        if let Some(event) = said {
            finding = finding.evidence(event_evidence(event));
        }
    }
    for owner in owners {
        let evidence = Evidence::new(
            owner.to_string(),
            "no storageClassName in its volume claim template",
            "kubectl get {{ owner }} -n {{ namespace }} -o yaml",
        );
        let evidence = evidence.with("owner", owner.kubectl_name());
        finding = finding.evidence(evidence.with("namespace", claim_templates::namespace_of(owner)));
    }
    finding
}

/// Claims without a class take up a default class that is set later: since 1.26 as beta, on by default.
fn assigned_later(snap: &Snapshot) -> bool {
    skew::of_server(snap).is_none_or(|minor| minor >= 26)
}

/// How to get a default class: mark one of a CSI driver, else make one.
fn remedy(snap: &Snapshot, classes: &[StorageClass], pending: &[&PersistentVolumeClaim]) -> Fix {
    let (claims, retroactive) = (Waiting::of(pending), assigned_later(snap));
    let auto_mode = snap.eks_cluster().is_ok_and(|c| c.auto_mode_storage());
    let own = if auto_mode { ebs::AUTO_MODE } else { ebs::DRIVER };
    if let Some(class) = claims::candidate(classes, own) {
        let change = Box::new(ClassChange::of(snap, pending, class));
        return Fix::Mark { class: class.to_owned(), claims, retroactive, change };
    }
    let name = |wanted: &str| {
        let taken = classes.iter().any(|c| c.metadata.name == wanted);
        if taken { format!("{wanted}-csi") } else { wanted.to_owned() }
    };
    let on_ebs = auto_mode || snap.platform == Platform::Eks || classes.iter().any(|c| ebs::serves(&c.provisioner));
    let first = classes.first().map(|c| c.metadata.name.clone());
    if on_ebs {
        return Fix::Create { class: name("gp3"), provisioner: own, old: first, claims, retroactive };
    }
    match first {
        None => Fix::CreateOther { class: "standard", provisioner: "<provisioner>", claims },
        Some(class) => {
            let change = Box::new(ClassChange::of(snap, pending, &class));
            Fix::Mark { class, claims, retroactive, change }
        }
    }
}

fn several(snap: &Snapshot, winner: &StorageClass, losers: &[&StorageClass]) -> Finding {
    let mut names: Vec<&str> = vec![&winner.metadata.name];
    names.extend(losers.iter().map(|c| c.metadata.name.as_str()));
    let message = format!(
        "{} StorageClasses are marked as the default one ({}): a claim without a class takes {}, the newest",
        names.len(),
        names.join(", "),
        winner.metadata.name
    );
    let subject = ResourceRef::storage_class(&winner.metadata.name);
    let made = |class: &StorageClass| {
        let claims = snap.persistent_volume_claims.items().unwrap_or_default().iter();
        let of_class =
            claims.filter(|c| snap.scope.is_judged(&c.metadata.namespace) && c.class() == Some(&class.metadata.name));
        of_class.map(|c| format!("{}/{}", c.metadata.namespace, c.metadata.name)).collect::<Vec<_>>()
    };
    let others: Vec<String> = losers.iter().map(|c| c.metadata.name.clone()).collect();
    let mut finding = Finding::new(DefaultStorageClass::META.id, Severity::Warning, subject, message)
        .also_all(losers.iter().map(|c| ResourceRef::storage_class(&c.metadata.name)))
        .key("several")
        .fix(Fix::Several {
            winner: winner.metadata.name.clone(),
            other: others.first().cloned().unwrap_or_default(),
            losers: others,
            managed: losers.iter().map(|c| managed_by(&c.metadata)).find(|m| !m.is_empty()).unwrap_or_default(),
        });
    for class in std::iter::once(winner).chain(losers.iter().copied()) {
        let claims = made(class);
        let used = if claims.is_empty() { "no claim of the stack".to_owned() } else { claims.join(", ") };
        let born = class.metadata.creation_timestamp.map_or_else(String::new, |t| format!(", made {t}"));
        finding = finding.evidence(
            Evidence::new(
                format!("StorageClass {}", class.metadata.name),
                format!("is-default-class \"true\", {}{born}; used by {used}", class.provisioner),
                "kubectl get storageclass {{ class }} -o yaml",
            )
            .with("class", &class.metadata.name),
        );
    }
    finding
}
