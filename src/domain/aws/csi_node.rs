//! Whether a CSI driver runs on a node, and why not: its DaemonSet against the node.

use k8s_openapi::api::core::v1::Taint;

use crate::domain::aws::ebs;
use crate::domain::kubernetes::{claims, scheduling};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, PersistentVolumeClaim, Pod, StorageClass, Workload, annotation};

/// Why a driver does not run on a node.
#[derive(Debug, Clone)]
pub(crate) enum Why<'a> {
    /// The cluster has no DaemonSet of the driver.
    NoDaemonSet,
    /// A taint of the node that the DaemonSet does not tolerate.
    Taint(&'a Workload, Taint),
    /// The DaemonSet's selector or affinity leaves the node out.
    LeftOut(&'a Workload),
    /// Its pod is there and is not Ready.
    NotReady(&'a Workload, &'a Pod),
    /// Its pod is Ready, or none is there although nothing keeps it away.
    Unknown(&'a Workload),
    /// A Fargate node: no DaemonSet runs there.
    Fargate,
    /// A node of EKS Auto Mode, which takes volumes of its own driver only.
    AutoMode,
    /// A node that is not of EKS Auto Mode does not take volumes of its driver.
    NotAutoMode,
}

/// The CSINode of a node, as others depend on it.
pub(crate) fn reference(node: &str) -> ResourceRef {
    ResourceRef::kubernetes("storage.k8s.io", "CSINode", "", node)
}

/// The CSINode does not list the driver. `None` where it could not be read.
pub(crate) fn lacks_driver(snap: &Snapshot, node: &str, driver: &str) -> Option<bool> {
    let found = snap.csi_nodes.named(node).ok()?;
    // A list that was not asked for is empty.
    if found.is_none() && snap.csi_nodes.items().is_ok_and(<[_]>::is_empty) {
        return None;
    }
    Some(!found.is_some_and(|n| n.spec.drivers.iter().any(|d| d.name == driver)))
}

/// A provisioner is a CSI driver: by the way that they are named, or as some node has it. Others (local-path, those of NFS
/// directories) have nothing on the nodes, and no CSINode lists them.
pub(crate) fn is_driver(snap: &Snapshot, provisioner: &str) -> bool {
    provisioner.split(['.', '/', '-']).any(|word| word == "csi") || is_registered(snap, provisioner)
}

/// A driver that runs on some node. Not each of them has a CSIDriver of its own.
pub(crate) fn is_registered(snap: &Snapshot, driver: &str) -> bool {
    let nodes = snap.csi_nodes.items().unwrap_or_default();
    nodes.iter().flat_map(|n| &n.spec.drivers).any(|d| d.name == driver)
}

/// The node that an error of the provisioner names: `no topology key found on CSINode ip-10-0-1-1…`.
pub(crate) fn named_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("CSINode ")?;
    let name = rest.split([' ', '"', ',', ':']).next()?.trim_end_matches('.');
    (!name.is_empty()).then_some(name)
}

/// The node for which a claim's volume is to be made: the one that the provisioner names, or that the scheduler chose.
pub(crate) fn wanted_on<'a>(snap: &'a Snapshot, claim: &'a PersistentVolumeClaim) -> Option<&'a str> {
    let told = claims::events(snap, claim)
        .into_iter()
        .find(|e| e.reason == "ProvisioningFailed")
        .and_then(|e| named_in(&e.message));
    told.or_else(|| claim.metadata.annotations.get(annotation::SELECTED_NODE).map(String::as_str))
}

/// The node that keeps a claim waiting, since the driver of its class does not run there.
pub(crate) fn keeps_waiting<'a>(
    snap: &'a Snapshot,
    claim: &'a PersistentVolumeClaim,
    class: &StorageClass,
) -> Option<&'a str> {
    let node = wanted_on(snap, claim)?;
    (lacks_driver(snap, node, ebs::driver_of(&class.provisioner)) == Some(true)).then_some(node)
}

/// The DaemonSet that brings a driver to the nodes.
pub(crate) fn daemon_set<'a>(snap: &'a Snapshot, driver: &str) -> Option<&'a Workload> {
    let image = match driver {
        ebs::DRIVER => "ebs-csi-driver",
        "efs.csi.aws.com" => "efs-csi-driver",
        _ => return None,
    };
    let all = snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "DaemonSet");
    let runs = |w: &&Workload| w.spec.template.spec.containers.iter().any(|c| c.image.contains(image));
    // Charts make one for Windows as well.
    all.filter(runs).min_by_key(|w| (w.metadata.name.contains("windows"), w.metadata.name.clone()))
}

/// Why a driver does not run on a node.
pub(crate) fn why<'a>(snap: &'a Snapshot, driver: &str, node: &Node) -> Why<'a> {
    if node.is_fargate() {
        return Why::Fargate;
    }
    match (driver, node.is_auto_mode()) {
        (ebs::DRIVER, true) => return Why::AutoMode,
        (ebs::AUTO_MODE, false) => return Why::NotAutoMode,
        _ => {}
    }
    let Some(daemons) = daemon_set(snap, driver) else { return Why::NoDaemonSet };
    let own = |p: &&Pod| snap.owner_ref(p) == daemons.reference() && p.metadata.deletion_timestamp.is_none();
    let here = |p: &&Pod| p.spec.node_name.as_deref() == Some(node.metadata.name.as_str());
    if let Some(pod) = snap.pods.items().unwrap_or_default().iter().filter(own).find(here) {
        return if pod.is_ready() { Why::Unknown(daemons) } else { Why::NotReady(daemons, pod) };
    }
    let made = Pod { spec: daemons.spec.template.spec.clone(), ..Pod::default() };
    // The DaemonSet controller tolerates what comes and goes by itself.
    if let Some(taint) = scheduling::untolerated(&made, node).find(|t| !scheduling::is_condition(t)) {
        return Why::Taint(daemons, taint.clone());
    }
    if !scheduling::chosen_by(&made, node) {
        return Why::LeftOut(daemons);
    }
    Why::Unknown(daemons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn cluster(template: serde_json::Value) -> Snapshot {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let mut spec = json!({"containers": [{"name": "ebs-plugin", "image": "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:v1.50.0"}]});
        for (key, value) in template.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let set = json!({"metadata": {"name": "ebs-csi-node", "namespace": "kube-system"}, "spec": {"template": {"spec": spec}}});
        let set = Workload { kind: "DaemonSet".into(), ..serde_json::from_value(set).expect("a DaemonSet") };
        snap.workloads = Listing::cluster(vec![set]);
        snap.pods = Listing::cluster(Vec::new());
        snap
    }

    fn node(spec: serde_json::Value, labels: serde_json::Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": "n", "labels": labels}, "spec": spec})).expect("a node")
    }

    #[test]
    fn the_taint_that_keeps_the_driver_away_is_named() {
        let taints = json!({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
            {"key": "dedicated", "value": "db", "effect": "NoSchedule"}]});
        let tainted = node(taints, json!({}));
        let snap = cluster(json!({}));
        assert!(matches!(why(&snap, ebs::DRIVER, &tainted), Why::Taint(_, t) if t.key == "dedicated"));
        let snap = cluster(json!({"tolerations": [{"operator": "Exists"}]}));
        assert!(matches!(why(&snap, ebs::DRIVER, &tainted), Why::Unknown(_)));
        let snap = cluster(json!({"nodeSelector": {"storage": "yes"}}));
        assert!(matches!(why(&snap, ebs::DRIVER, &node(json!({}), json!({}))), Why::LeftOut(_)));
    }

    #[test]
    fn drivers_and_nodes_of_auto_mode_belong_together() {
        let auto = node(json!({}), json!({"eks.amazonaws.com/compute-type": "auto"}));
        let snap = cluster(json!({}));
        assert!(matches!(why(&snap, ebs::DRIVER, &auto), Why::AutoMode));
        assert!(matches!(why(&snap, ebs::AUTO_MODE, &node(json!({}), json!({}))), Why::NotAutoMode));
        let fargate = node(json!({}), json!({"eks.amazonaws.com/compute-type": "fargate"}));
        assert!(matches!(why(&snap, ebs::DRIVER, &fargate), Why::Fargate));
    }

    #[test]
    fn a_provisioner_without_a_part_on_the_nodes_is_no_driver() {
        let snap = cluster(json!({}));
        for name in [ebs::DRIVER, ebs::AUTO_MODE, "efs.csi.aws.com", "nfs.csi.k8s.io"] {
            assert!(is_driver(&snap, name), "{name}");
        }
        for name in ["rancher.io/local-path", "cluster.local/nfs-subdir-external-provisioner", "openebs.io/local"] {
            assert!(!is_driver(&snap, name), "{name}");
        }
    }

    #[test]
    fn the_node_is_read_from_the_error() {
        let text =
            "error generating accessibility requirements: no topology key found on CSINode ip-10-0-1-1.ec2.internal";
        assert_eq!(named_in(text), Some("ip-10-0-1-1.ec2.internal"));
        assert_eq!(named_in("something else"), None);
    }
}
