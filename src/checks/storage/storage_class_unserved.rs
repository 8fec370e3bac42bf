//! On EKS Auto Mode, claims name a class of the driver that is installed as an add-on elsewhere: nothing serves it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::claims::{ClassChange, claim_evidence};
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claims;
use crate::domain::kubernetes::managed::managed_by;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{PersistentVolumeClaim, StorageClass};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    StorageClassUnserved {
        id: "storage-class-unserved", suite: Storage, severity: Error,
        title: "a StorageClass is not served by EKS Auto Mode",
        requires: [PersistentVolumeClaims, StorageClasses, CsiDrivers, Workloads],
        uses: [Events, Nodes, EksCluster, EksAddons, MonitoringResources, Services],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// The class to use instead.
    wanted: String,
    namespace: String,
    /// Nodes that EKS does not manage are there too.
    mixed: bool,
    /// Who keeps the class that nothing serves; empty where nobody is known to.
    class_kept_by: String,
    #[serde(flatten)]
    change: ClassChange,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    CreateClass {
        /// What the old class says of its volumes.
        keeps: bool,
        grows: bool,
    },
    UseClass,
}

impl Check for StorageClassUnserved {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("not on EKS".into()));
        }
        let pending = ebs::pending_claims(snap)?;
        if pending.is_empty() || !ebs::is_auto_mode(snap) || !ebs::is_missing(snap)? {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let mut classes: BTreeMap<&str, (&StorageClass, Vec<&PersistentVolumeClaim>)> = BTreeMap::new();
        for claim in pending {
            // What names no class, or one that does not exist, is another check's matter.
            let Some(class) = claims::class_of(snap, claim)? else { continue };
            classes.entry(&class.metadata.name).or_insert_with(|| (class, Vec::new())).1.push(claim);
        }
        Ok(Diagnosis::Findings(classes.values().map(|(class, claims)| finding(snap, class, claims)).collect()))
    }
}

fn finding(snap: &Snapshot, class: &StorageClass, claims: &[&PersistentVolumeClaim]) -> Finding {
    let place = Place::of(snap);
    let name = &class.metadata.name;
    let first = claims[0];
    let waits = match claims {
        [one] => format!("PersistentVolumeClaim {}/{} waits", one.metadata.namespace, one.metadata.name),
        many => format!("{} PersistentVolumeClaims wait", many.len()),
    };
    let message = format!(
        "StorageClass {name} has the provisioner {}, which nothing serves on cluster {}: EKS Auto Mode makes volumes with {}; {waits} for it",
        class.provisioner,
        place.cluster,
        ebs::AUTO_MODE
    );
    let existing = snap.storage_classes.items().unwrap_or_default().iter().find(|c| c.provisioner == ebs::AUTO_MODE);
    let wanted = existing.map_or("auto-ebs-gp3", |c| c.metadata.name.as_str());
    let way = match existing {
        Some(_) => Way::UseClass,
        None => Way::CreateClass {
            keeps: class.reclaim_policy.as_deref() == Some("Retain"),
            grows: class.allow_volume_expansion == Some(true),
        },
    };
    let others = snap.nodes.items().unwrap_or_default().iter().any(|n| !n.is_auto_mode() && !n.is_fargate());
    let mut made =
        Finding::new(StorageClassUnserved::META.id, Severity::Error, ResourceRef::storage_class(name), message)
            .breaks(ResourceRef::storage_class(name))
            .breaks(ResourceRef::csi_driver(ebs::DRIVER))
            .key(format!("{name} provisioner"))
            .fix(Fix {
                wanted: wanted.to_owned(),
                namespace: first.metadata.namespace.clone(),
                mixed: others,
                class_kept_by: managed_by(&class.metadata),
                change: ClassChange::of(snap, claims, wanted),
                way,
            })
            .evidence(class_evidence(class))
            .evidence(driver_evidence(snap));
    for claim in claims {
        made = made.breaks(ResourceRef::pvc(&claim.metadata.namespace, &claim.metadata.name));
    }
    let waiting = claims::events(snap, first).into_iter().find(|e| e.reason == "ExternalProvisioning");
    made.evidence(waiting.map_or_else(|| claim_evidence(first), event_evidence))
}

fn class_evidence(class: &StorageClass) -> Evidence {
    let kept = match managed_by(&class.metadata) {
        by if by.is_empty() => by,
        by => format!("; it comes from {by}"),
    };
    Evidence::new(
        format!("StorageClass {}", class.metadata.name),
        format!("provisioner {}{kept}", class.provisioner),
        "kubectl get storageclass {{ class }} -o yaml",
    )
    .with("class", &class.metadata.name)
}

fn driver_evidence(snap: &Snapshot) -> Evidence {
    let names: Vec<&str> =
        snap.csi_drivers.items().unwrap_or_default().iter().map(|d| d.metadata.name.as_str()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { format!("only {}", names.join(", ")) };
    Evidence::new("CSIDrivers of the cluster", names, "kubectl get csidrivers")
}
