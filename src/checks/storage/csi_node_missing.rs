//! The driver of a class does not run on the node where a volume is to be.

use std::collections::BTreeMap;

use serde_json::json;

use crate::checks::support::addon;
use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::addon::with_values;
use crate::domain::aws::csi_node::{self, Why};
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claims;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::scheduling::taint_text;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Addon;
use crate::snapshot::kubernetes::{Node, Workload, annotation};

check! {
    /// See the check's page.
    CsiNodeMissing {
        id: "csi-node-missing", suite: Storage, severity: Error,
        title: "the CSI driver does not run on the node where a volume is to be",
        requires: [Nodes, PersistentVolumeClaims, StorageClasses, CsiNodes],
        uses: [Pods, Events, Workloads, PersistentVolumes, EksCluster, EksAddons],
    }
}

/// Seconds for which a node may be without the driver: its pod takes some to register.
const NEW: i64 = 180;

impl Check for CsiNodeMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let nodes = snap.nodes()?;
        let mut wanted: BTreeMap<(&str, &str), Vec<ResourceRef>> = BTreeMap::new();
        for (claim, node, driver) in asked(snap)? {
            wanted.entry((node, driver)).or_default().push(claim);
        }
        let mut findings = Vec::new();
        for ((node, driver), victims) in wanted {
            let Some(node) = nodes.iter().find(|n| n.metadata.name == node) else { continue };
            let is_new = node.metadata.creation_timestamp.is_some() && snap.age_seconds(&node.metadata) < NEW;
            if is_new || csi_node::lacks_driver(snap, &node.metadata.name, driver) != Some(true) {
                continue;
            }
            findings.push(finding(snap, node, driver, &victims));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Volumes that a driver is to bring to a node: claims that wait, with their node; and claims of pods that wait there.
fn asked(snap: &Snapshot) -> Result<Vec<(ResourceRef, &str, &str)>, Gap> {
    let mut all = Vec::new();
    for claim in claims::pending(snap)? {
        let Some(class) = claims::class_of(snap, claim)? else { continue };
        let chosen = claim.metadata.annotations.get(annotation::SELECTED_NODE).map(String::as_str);
        let told = claims::events(snap, claim)
            .into_iter()
            .find(|e| e.reason == "ProvisioningFailed")
            .and_then(|e| csi_node::named_in(&e.message));
        if let Some(node) = told.or(chosen) {
            let claim = ResourceRef::pvc(&claim.metadata.namespace, &claim.metadata.name);
            all.push((claim, node, driver_of(&class.provisioner)));
        }
    }
    let volumes = snap.persistent_volumes.items().unwrap_or_default();
    let waiting = snap.pods.items().unwrap_or_default().iter().filter(|p| p.status.phase == "Pending");
    for pod in waiting.filter(|p| snap.scope.is_judged(&p.metadata.namespace)) {
        let Some(node) = pod.spec.node_name.as_deref() else { continue };
        for name in pod.claims() {
            let of_claim = volumes.iter().find(|v| {
                v.spec.claim_ref.as_ref().is_some_and(|r| r.name == name && r.namespace == pod.metadata.namespace)
            });
            let Some(driver) = of_claim.and_then(|v| v.spec.csi.as_ref()).map(|c| c.driver.as_str()) else { continue };
            all.push((ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name), node, driver));
        }
    }
    Ok(all)
}

/// The driver that serves a provisioner: calls of the in-tree plugin are migrated.
fn driver_of(provisioner: &str) -> &str {
    if provisioner == ebs::IN_TREE { ebs::DRIVER } else { provisioner }
}

fn finding(snap: &Snapshot, node: &Node, driver: &str, victims: &[ResourceRef]) -> Finding {
    let name = &node.metadata.name;
    let why = csi_node::why(snap, driver, node);
    let subject = csi_node::reference(name);
    let first = victims.first().map(ToString::to_string).unwrap_or_default();
    let more = if victims.len() > 1 { format!(" and {} more", victims.len() - 1) } else { String::new() };
    let message =
        format!("the driver {driver} does not run on node {name}, where {first}{more} needs it: {}", words(&why));
    let mut made = Finding::new(CsiNodeMissing::META.id, Severity::Error, subject.clone(), message)
        .breaks(subject)
        .key(format!("{driver} {}", variant(&why)))
        .fix(variant(&why))
        .evidence(csi_evidence(snap, name));
    for victim in victims {
        made = made.breaks(victim.clone());
    }
    match &why {
        Why::NoDaemonSet => made = made.depends_on(ResourceRef::csi_driver(driver)),
        Why::NotReady(_, pod) => {
            made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
        _ => {}
    }
    made = made.depends_on(ResourceRef::node(name));
    if let Some(daemons) = daemons_of(&why) {
        made = made.evidence(daemons_evidence(daemons, node));
    }
    params(made, snap, node, driver, &why)
}

fn variant(why: &Why<'_>) -> &'static str {
    match why {
        Why::NoDaemonSet => "no-daemon-set",
        Why::Taint(..) => "taint",
        Why::LeftOut(_) => "left-out",
        Why::NotReady(..) => "not-ready",
        Why::Unknown(_) => "unknown",
        Why::Fargate => "fargate",
        Why::AutoMode | Why::NotAutoMode => "auto-mode",
    }
}

fn words(why: &Why<'_>) -> String {
    match why {
        Why::NoDaemonSet => "no DaemonSet of the driver was found".into(),
        Why::Taint(set, taint) => {
            format!("DaemonSet {} does not tolerate the node's taint {}", set.metadata.name, taint_text(taint))
        }
        Why::LeftOut(set) => {
            format!("the node selector or affinity of DaemonSet {} leaves the node out", set.metadata.name)
        }
        Why::NotReady(_, pod) => format!("its pod {} there is not Ready", pod.metadata.name),
        Why::Unknown(set) => format!("DaemonSet {} has not registered it there", set.metadata.name),
        Why::Fargate => "it is a Fargate node, which runs no DaemonSet and takes no EBS volume".into(),
        Why::AutoMode => format!("it is a node of EKS Auto Mode, which takes volumes of {} only", ebs::AUTO_MODE),
        Why::NotAutoMode => "it is not a node of EKS Auto Mode, and only those take volumes of its driver".into(),
    }
}

fn daemons_of<'a>(why: &Why<'a>) -> Option<&'a Workload> {
    match why {
        Why::Taint(set, _) | Why::LeftOut(set) | Why::NotReady(set, _) | Why::Unknown(set) => Some(set),
        _ => None,
    }
}

fn csi_evidence(snap: &Snapshot, node: &str) -> Evidence {
    let found = snap.csi_nodes.named(node).ok().flatten();
    let drivers: Vec<&str> = found.iter().flat_map(|n| &n.spec.drivers).map(|d| d.name.as_str()).collect();
    let value = match (found, drivers.as_slice()) {
        (None, _) => "there is none".to_owned(),
        (Some(_), []) => "no driver".to_owned(),
        (Some(_), names) => names.join(", "),
    };
    Evidence::new(format!("CSINode {node}, drivers"), value, "kubectl get csinode {{ node }} -o yaml")
        .with("node", node)
}

fn daemons_evidence(set: &Workload, node: &Node) -> Evidence {
    let taints: Vec<String> = node.spec.taints.iter().map(taint_text).collect();
    let tolerations = set.spec.template.spec.tolerations.iter().map(|t| {
        let value = t.value.as_deref().map(|v| format!("={v}")).unwrap_or_default();
        format!("{}{value}:{}", t.key.as_deref().unwrap_or("*"), t.effect.as_deref().unwrap_or("*"))
    });
    let list = |all: Vec<String>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    let meta = &set.metadata;
    Evidence::new(
        format!("DaemonSet {}/{} against node {}", meta.namespace, meta.name, node.metadata.name),
        format!("taints of the node: {}\ntolerations of the DaemonSet: {}", list(taints), list(tolerations.collect())),
        "kubectl get daemonset -n {{ namespace }} {{ name }} -o jsonpath='{.spec.template.spec.tolerations}'",
    )
    .with("namespace", &meta.namespace)
    .with("name", &meta.name)
}

fn params(made: Finding, snap: &Snapshot, node: &Node, driver: &str, why: &Why<'_>) -> Finding {
    let place = Place::of(snap);
    let set = daemons_of(why);
    let pod = match why {
        Why::NotReady(_, pod) => Some(pod.metadata.name.as_str()),
        _ => None,
    };
    let taint = match why {
        Why::Taint(_, taint) => Some(taint),
        _ => None,
    };
    let name = if driver == ebs::DRIVER { ebs::ADDON } else { "aws-efs-csi-driver" };
    let addon = addon::named(snap, name);
    let values = addon.and_then(tolerate_all);
    let managed = set.map(|s| managed_by(&s.metadata)).unwrap_or_default();
    let toleration = taint.map(|t| {
        let value = json!({"key": t.key, "operator": "Exists", "effect": t.effect});
        // A list that is not there takes no further item.
        let patch = match set.is_some_and(|s| !s.spec.template.spec.tolerations.is_empty()) {
            true => json!([{"op": "add", "path": "/spec/template/spec/tolerations/-", "value": value}]),
            false => json!([{"op": "add", "path": "/spec/template/spec/tolerations", "value": [value]}]),
        };
        patch.to_string()
    });
    let by_hand = addon.is_none() && managed.is_empty();
    made.param("node", &node.metadata.name)
        .param("driver", driver)
        .param("cluster", &place.cluster)
        .param("region", &place.region)
        .param("addon", addon.map(|a| a.addon_name.clone()))
        .param("values", values)
        .param("kept_role", addon::kept_role(addon))
        .param("managed_by", if addon.is_some() { String::new() } else { managed })
        .param("toleration", toleration.filter(|_| by_hand))
        .param("set", set.map_or("ebs-csi-node", |s| s.metadata.name.as_str()))
        .param("namespace", set.map_or(ebs::NAMESPACE, |s| s.metadata.namespace.as_str()))
        .param("pod", pod)
        .param("taint", taint.map(taint_text))
        .param("field", format!("spec.nodeName={}", node.metadata.name))
}

/// The add-on's configuration with the node plugin on every node; what it holds already is kept, and where that cannot be
/// read there is none: an update replaces all of it.
fn tolerate_all(addon: &Addon) -> Option<String> {
    let node = match addon.addon_name.as_str() {
        ebs::ADDON => json!({"tolerateAllTaints": true}),
        _ => json!({"tolerations": [{"operator": "Exists"}]}),
    };
    with_values(Some(addon), &json!({"node": node}))
}
