//! A node: node group → registered → Ready → network → pressure.

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::pod::{QUOTED, on_node};
use super::shown;
use super::words::few;
use crate::domain::kubernetes::network_plugin;
use crate::domain::text::shorten::shorten;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::Node;
use crate::snapshot::{Fetched, Snapshot};

/// The label by which EKS names the group of a node.
const GROUP: &str = "eks.amazonaws.com/nodegroup";
/// Conditions that say that something runs short.
const PRESSURE: &[&str] = &["DiskPressure", "MemoryPressure", "PIDPressure"];

/// The chain of a node.
pub(super) fn chain(b: &mut Builder<'_>, node: &Node) {
    let snap = b.snap;
    let name = node.metadata.name.as_str();
    let own = || vec![ResourceRef::node(name)];
    if let Some(group) = node.metadata.label(GROUP) {
        let about = vec![ResourceRef::aws("eks", "nodegroup", group)];
        b.link("node group", about, Claims::Of(&["node-join", "nodegroup-failed"]), || node_group(snap, group));
    }
    b.link("registered", Vec::new(), Claims::Of(&[]), || {
        Ok(right(format!("the cluster knows it; kubelet {}", node.status.node_info.kubelet_version))
            .with(shown::object("node", &node.metadata)))
    });
    b.link("ready", own(), Claims::Of(&["node-join", "node-not-ready"]), || on_node(snap, name));
    b.link("network", own(), Claims::Of(&["ip-exhaustion", "pod-without-network"]), || network(snap, node));
    b.link("pressure", own(), Claims::Of(&["node-pressure"]), || Ok(pressure(node)));
    b.link("scheduling", own(), Claims::Of(&[]), || Ok(open(node)));
}

fn node_group(snap: &Snapshot, name: &str) -> Fetched<Seen> {
    let groups = snap.eks_nodegroups()?;
    let Some(group) = groups.iter().find(|g| g.nodegroup_name == name) else {
        return Ok(broken(format!("EKS knows no node group {name}")));
    };
    if let Some(issue) = group.health.issues.first() {
        return Ok(broken(format!("{name}: {}: {}", issue.code, shorten(&issue.message, QUOTED))));
    }
    Ok(right(format!("{name} is {}, and EKS has no complaint", group.status)))
}

fn network(snap: &Snapshot, node: &Node) -> Fetched<Seen> {
    if node.is_fargate() || node.is_auto_mode() {
        return Ok(idle("EKS runs its network"));
    }
    snap.pods.covered("kube-system")?;
    Ok(match network_plugin::agents(snap, &node.metadata.name).min_by_key(|p| p.is_ready()) {
        None => untold("no pod of a network plugin that is known was seen on it"),
        Some(pod) if pod.is_ready() => right(format!("{} is ready", pod.metadata.name)),
        Some(pod) => broken(format!("{} is not ready", pod.metadata.name)).with(shown::described("pod", &pod.metadata)),
    })
}

fn pressure(node: &Node) -> Seen {
    let known = node.status.conditions.iter().filter(|c| PRESSURE.contains(&c.kind.as_str()));
    let pressed: Vec<&str> = known.clone().filter(|c| c.status == "True").map(|c| c.kind.as_str()).collect();
    let shown = shown::described("node", &node.metadata);
    if !pressed.is_empty() {
        return broken(few(pressed, PRESSURE.len())).with(shown);
    }
    if known.clone().count() == 0 || known.clone().any(|c| c.status != "False") {
        return untold("the node does not say whether it runs short of anything").with(shown);
    }
    right("neither disk, memory nor process ids run short")
}

fn open(node: &Node) -> Seen {
    let keeps = |t: &&k8s_openapi::api::core::v1::Taint| matches!(t.effect.as_str(), "NoSchedule" | "NoExecute");
    let taints: Vec<&str> = node.spec.taints.iter().filter(keeps).map(|t| t.key.as_str()).collect();
    if node.spec.unschedulable {
        return idle("cordoned: it takes no new pods");
    }
    if taints.is_empty() {
        right("it takes pods")
    } else {
        idle(format!("it takes pods that tolerate {}", few(taints, 3)))
    }
}
