//! Which nodes a volume can be on.

use crate::domain::kubernetes::scheduling;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, PersistentVolume, Pod};

/// A volume that a pod is bound to, by its claim.
pub(crate) struct Bound<'a> {
    /// Name of the claim.
    pub(crate) claim: &'a str,
    /// The volume.
    pub(crate) volume: &'a PersistentVolume,
}

/// The volumes of a pod that are tied to some nodes.
///
/// # Errors
/// A gap, if claims or volumes could not be read.
pub(crate) fn bound_volumes<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Result<Vec<Bound<'a>>, Gap> {
    let mut found = Vec::new();
    for claim in pod.claims() {
        let Some(read) = snap.persistent_volume_claims.find(&pod.metadata.namespace, claim)? else { continue };
        let Some(name) = read.spec.volume_name.as_deref().filter(|_| read.status.phase == "Bound") else { continue };
        let Some(volume) = snap.persistent_volumes.named(name)? else { continue };
        if volume.spec.node_affinity.as_ref().is_some_and(|a| a.required.is_some()) {
            found.push(Bound { claim, volume });
        }
    }
    Ok(found)
}

/// True where a volume can be attached to a node.
pub(crate) fn reaches(volume: &PersistentVolume, node: &Node) -> bool {
    let required = volume.spec.node_affinity.as_ref().and_then(|a| a.required.as_ref());
    !node.is_fargate() && required.is_none_or(|r| scheduling::matches(r, node))
}

/// A disk of one node.
pub(crate) fn is_local(volume: &PersistentVolume) -> bool {
    keys(volume).iter().any(|(key, _)| *key == "kubernetes.io/hostname" || *key == "metadata.name")
}

/// Label keys and values that a volume is tied to.
pub(crate) fn keys(volume: &PersistentVolume) -> Vec<(&str, &[String])> {
    let required = volume.spec.node_affinity.as_ref().and_then(|a| a.required.as_ref());
    let terms = required.iter().flat_map(|r| &r.node_selector_terms);
    let all = terms.flat_map(|t| t.match_expressions.iter().flatten().chain(t.match_fields.iter().flatten()));
    all.map(|r| (r.key.as_str(), r.values.as_deref().unwrap_or_default())).collect()
}

/// Where a volume is: its zone, else its node, else whatever label it is tied to.
pub(crate) fn place_of(volume: &PersistentVolume) -> Option<String> {
    let keys = keys(volume);
    let zone = keys.iter().find(|(key, _)| scheduling::is_zone_label(key));
    let chosen = zone.or_else(|| keys.iter().find(|(key, _)| *key == "kubernetes.io/hostname")).or(keys.first())?;
    Some(chosen.1.join(" or "))
}
