//! Which nodes a volume can be on.

use crate::domain::kubernetes::{nodes, scheduling};
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

/// A volume that would keep a pod from running elsewhere: no other node that takes pods now can have it. `None` where one
/// can, where the pod is on no node, and where it could not be read.
pub(crate) fn tied_to_its_node<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<&'a PersistentVolume> {
    let own = pod.spec.node_name.as_deref()?;
    let volumes = bound_volumes(snap, pod).ok()?;
    snap.nodes().ok()?;
    let others: Vec<&Node> = nodes::open_to(snap, pod).filter(|n| n.metadata.name != own).collect();
    let reach_all = |n: &&Node| volumes.iter().all(|b| reaches(b.volume, n));
    if others.iter().any(reach_all) {
        return None;
    }
    // Of several volumes the one that no other node can have; else the first.
    let alone = volumes.iter().find(|b| !others.iter().any(|n| reaches(b.volume, n)));
    alone.or(volumes.first()).map(|b| b.volume)
}

/// Parts of the names of drivers and provisioners of file systems that are reached over the network.
const NETWORK: &[&str] =
    &["efs.csi.aws.com", "nfs", "fsx.csi.aws.com", "file.csi.azure.com", "filestore", "cephfs", "smb"];

/// True for a driver or provisioner of a file system that is reached over the network: owners and locks are the server's
/// there.
pub(crate) fn is_network(driver: &str) -> bool {
    NETWORK.iter().any(|n| driver.contains(n))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    /// A pod on n1, whose volume is in zone a, and other nodes: name, zone, cordoned.
    fn cluster(others: &[(&str, &str, bool)]) -> Snapshot {
        let node = |name: &str, zone: &str, off: bool| {
            json!({"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
                "spec": {"unschedulable": off}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        };
        let mut nodes = vec![node("n1", "a", true)];
        nodes.extend(others.iter().map(|(name, zone, off)| node(name, zone, *off)));
        let mut snap =
            snapshot(json!({"pods": [{"metadata": {"name": "p", "namespace": "m"}, "spec": {"nodeName": "n1",
            "containers": [], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}}]}));
        snap.nodes = Listing::cluster(serde_json::from_value(json!(nodes)).expect("nodes"));
        let claims = json!([{"metadata": {"name": "data", "namespace": "m"}, "spec": {"volumeName": "v"},
            "status": {"phase": "Bound"}}]);
        snap.persistent_volume_claims = Listing::cluster(serde_json::from_value(claims).expect("claims"));
        let volumes = json!([{"metadata": {"name": "v"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}]}}}}]);
        snap.persistent_volumes = Listing::cluster(serde_json::from_value(volumes).expect("volumes"));
        snap
    }

    fn tied(snap: &Snapshot) -> bool {
        tied_to_its_node(snap, &snap.pods.items().expect("pods")[0]).is_some()
    }

    #[test]
    fn a_pod_is_tied_where_no_other_node_of_the_zone_takes_pods() {
        assert!(tied(&cluster(&[("n2", "b", false)])));
        assert!(tied(&cluster(&[("n2", "a", true), ("n3", "b", false)])));
        assert!(!tied(&cluster(&[("n2", "a", false)])));
        let mut unread = cluster(&[("n2", "b", false)]);
        unread.persistent_volumes = Listing::default();
        assert!(!tied(&unread));
        let mut without = cluster(&[("n2", "b", false)]);
        without.persistent_volume_claims = Listing::cluster(Vec::new());
        assert!(!tied(&without));
    }
}
