//! Claims as evidence.

use crate::domain::kubernetes::chart::{installed, storage_values};
use crate::domain::kubernetes::claims::users;
use crate::domain::kubernetes::managed::release;
use crate::domain::kubernetes::owner::operator_owner;
use crate::model::{Evidence, Finding};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::PersistentVolumeClaim;

/// A class of block devices that the cluster has, the default one first.
pub(crate) fn block_class(snap: &Snapshot) -> String {
    let all = snap.storage_classes().unwrap_or_default();
    let block = |p: &str| ["ebs.csi", "aws-ebs", "disk.csi", "pd.csi"].iter().any(|b| p.contains(b));
    let mut classes: Vec<_> = all.iter().filter(|c| block(&c.provisioner)).collect();
    classes.sort_by_key(|c| (!c.is_default(), c.metadata.name != "gp3", c.metadata.name.clone()));
    classes.first().map_or_else(|| "gp3".to_owned(), |c| c.metadata.name.clone())
}

/// A claim as evidence: what it asks for and its phase.
pub(crate) fn claim_evidence(claim: &PersistentVolumeClaim) -> Evidence {
    let class = match claim.class() {
        Some("") => "no class (static)".to_owned(),
        Some(name) => format!("storageClassName {name}"),
        None => "no storageClassName".to_owned(),
    };
    Evidence::new(
        format!("PersistentVolumeClaim {}/{}", claim.metadata.namespace, claim.metadata.name),
        format!("phase {}, {class}", claim.status.phase),
        "kubectl get pvc -n {{ namespace }} {{ name }} -o yaml",
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

/// Values that say how the class of these claims is changed where it is kept: `releases`, one line for each part of a Helm
/// release with the path of its class; `orphans`, StatefulSets whose templates name the class and cannot be changed;
/// `set_namespace`.
pub(crate) fn set_values(made: Finding, snap: &Snapshot, claims: &[&PersistentVolumeClaim], class: &str) -> Finding {
    let mut flags: Vec<String> = Vec::new();
    let mut orphans: Vec<String> = Vec::new();
    let mut found: Option<Release> = None;
    for claim in claims {
        let user = users(snap, claim).into_iter().next();
        let meta = user.map_or(&claim.metadata, |w| &w.metadata);
        if let Some(workload) = user.filter(|w| w.kind == "StatefulSet" && operator_owner(&w.metadata).is_none()) {
            let name = workload.kubectl_name();
            if !orphans.contains(&name) {
                orphans.push(name);
            }
        }
        let values = storage_values(snap, meta).or_else(|| storage_values(snap, &claim.metadata));
        let (Some(values), Some((name, namespace))) = (values, release(meta)) else { continue };
        let (chart, version) = installed(snap, meta).unwrap_or_default();
        let place = Release { name: name.to_owned(), namespace: namespace.to_owned(), chart, version };
        if *found.get_or_insert_with(|| place.clone()) == place {
            let flag = format!("{}={class}", values.class);
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
    }
    let release = found.unwrap_or_default();
    let words: Vec<String> = flags.iter().flat_map(|f| ["--set".to_owned(), f.clone()]).collect();
    made.param("set_release", release.name)
        .param("set_release_namespace", release.namespace)
        .param("set_chart", release.chart)
        .param("set_version", release.version)
        .param("set_words", words)
        .param("set_paths", flags.join(", "))
        .param("set_flags", flags.iter().map(|f| format!("--set {f}")).collect::<Vec<_>>().join(" "))
        .param("orphans", orphans)
}
