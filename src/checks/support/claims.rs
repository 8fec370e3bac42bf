//! Claims as evidence.

use crate::model::Evidence;
use crate::snapshot::kubernetes::PersistentVolumeClaim;

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
