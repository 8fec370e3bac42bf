//! The driver of a class does not run on the node where a volume is to be.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Taint;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::addon;
use crate::checks::support::place::Place;
use crate::checks::support::seen::pod_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::addon::with_values;
use crate::domain::aws::csi_node::{self, Why};
use crate::domain::aws::ebs;
use crate::domain::kubernetes::claims;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::scheduling::{self, taint_text};
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Addon;
use crate::snapshot::kubernetes::{Node, Pod, Workload};

check! {
    /// See the check's page.
    CsiNodeMissing {
        id: "csi-node-missing", suite: Storage, severity: Error,
        title: "the CSI driver does not run on the node where a volume is to be",
        requires: [Nodes, PersistentVolumeClaims, StorageClasses, CsiNodes],
        uses: [Pods, Events, Workloads, PersistentVolumes, EksCluster, EksAddons],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    node: String,
    /// The driver is meant to run on this node, and not the pod on another one.
    serves: bool,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Taint {
        taint: String,
        namespace: String,
        /// The driver's DaemonSet.
        set: String,
        cluster: String,
        /// The add-on that keeps the DaemonSet, its configuration that tolerates the taint, and the options that keep its role.
        addon: Option<String>,
        values: Option<String>,
        kept_role: Vec<String>,
        /// Who else keeps it; empty where nobody does.
        managed_by: String,
        /// The patch of a DaemonSet that nobody keeps.
        toleration: Option<String>,
    },
    LeftOut {
        namespace: String,
        set: String,
        addon: Option<String>,
        managed_by: String,
    },
    NotReady {
        namespace: String,
        pod: String,
    },
    Unknown {
        namespace: String,
        set: String,
        /// The field selector of the node's pods.
        field: String,
    },
    NoDaemonSet {
        driver: String,
    },
    AutoMode,
    Fargate {
        cluster: String,
    },
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
        if let Some(node) = csi_node::wanted_on(snap, claim) {
            let claim = ResourceRef::pvc(&claim.metadata.namespace, &claim.metadata.name);
            let driver = ebs::driver_of(&class.provisioner);
            if csi_node::is_driver(snap, driver) {
                all.push((claim, node, driver));
            }
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
        .fix(Fix {
            node: name.clone(),
            serves: !matches!(why, Why::Fargate | Why::AutoMode | Why::NotAutoMode),
            way: Way::of(snap, node, driver, &why),
        })
        .evidence(csi_evidence(snap, name));
    // Of several nodes it is one finding.
    let alike = match &why {
        Why::Taint(..) | Why::LeftOut(_) | Why::NoDaemonSet | Why::Unknown(_) => format!(": {}", words(&why)),
        Why::NotReady(..) | Why::Fargate | Why::AutoMode | Why::NotAutoMode => String::new(),
    };
    let all = format!("the driver {driver} does not run on several nodes where volumes are to be{alike}");
    let key = format!("{driver} {}", made.variant);
    made = made.cause(Cause::keyed(key, all));
    for victim in victims {
        made = made.breaks(victim.clone());
    }
    made = made.depends_on(ResourceRef::node(name));
    match &why {
        Why::NoDaemonSet => made.depends_on(ResourceRef::csi_driver(driver)),
        Why::NotReady(_, pod) => {
            let own = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
            made.also(own.clone()).depends_on(own).evidence(pod_evidence(pod))
        }
        Why::Taint(set, _) => made.evidence(taints_evidence(set, node)),
        Why::LeftOut(set) => made.evidence(selection_evidence(set, node)),
        Why::Unknown(_) | Why::Fargate | Why::AutoMode | Why::NotAutoMode => made,
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

/// The taints of the node, and what the driver's DaemonSet tolerates.
fn taints_evidence(set: &Workload, node: &Node) -> Evidence {
    let taints: Vec<String> = node.spec.taints.iter().map(taint_text).collect();
    let tolerations = set.spec.template.spec.tolerations.iter().map(|t| {
        let value = t.value.as_deref().map(|v| format!("={v}")).unwrap_or_default();
        format!("{}{value}:{}", t.key.as_deref().unwrap_or("*"), t.effect.as_deref().unwrap_or("*"))
    });
    against(
        set,
        node,
        format!(
            "taints of the node: {}\ntolerations of the DaemonSet: {}",
            listed(taints),
            listed(tolerations.collect())
        ),
        "kubectl get daemonset {{ name }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.tolerations}'",
    )
}

/// What the driver's DaemonSet asks of its nodes, and which of those labels the node has.
fn selection_evidence(set: &Workload, node: &Node) -> Evidence {
    let asks = Pod { spec: set.spec.template.spec.clone(), ..Pod::default() };
    let mut keys: BTreeSet<&str> = asks.spec.node_selector.keys().map(String::as_str).collect();
    let selector = asks.spec.node_selector.iter().map(|(k, v)| format!("{k}={v}"));
    let mut wanted: Vec<String> = selector.collect();
    for term in scheduling::required_affinity(&asks).iter().flat_map(|s| &s.node_selector_terms) {
        let all = term.match_expressions.iter().flatten();
        keys.extend(all.clone().map(|r| r.key.as_str()));
        wanted.push(all.map(scheduling::requirement_text).collect::<Vec<_>>().join(" and "));
    }
    let has = keys.into_iter().map(|k| match node.metadata.label(k) {
        Some(value) => format!("{k}={value}"),
        None => format!("no {k}"),
    });
    against(
        set,
        node,
        format!("the DaemonSet asks for: {}\nthe node has: {}", listed(wanted), listed(has.collect())),
        "kubectl get daemonset {{ name }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.nodeSelector} {.spec.template.spec.affinity}'",
    )
}

fn listed(all: Vec<String>) -> String {
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn against(set: &Workload, node: &Node, value: String, reproduce: &'static str) -> Evidence {
    let meta = &set.metadata;
    let source = format!("DaemonSet {}/{} against node {}", meta.namespace, meta.name, node.metadata.name);
    Evidence::new(source, value, reproduce).with("namespace", &meta.namespace).with("name", &meta.name)
}

impl Way {
    fn of(snap: &Snapshot, node: &Node, driver: &str, why: &Why<'_>) -> Self {
        match why {
            Why::Taint(set, taint) => Self::tolerated(snap, driver, set, taint),
            Why::LeftOut(set) => {
                let (addon, managed_by) = kept(snap, driver, set);
                Self::LeftOut {
                    namespace: set.metadata.namespace.clone(),
                    set: set.metadata.name.clone(),
                    addon: addon.map(|a| a.addon_name.clone()),
                    managed_by,
                }
            }
            Why::NotReady(set, pod) => {
                Self::NotReady { namespace: set.metadata.namespace.clone(), pod: pod.metadata.name.clone() }
            }
            Why::Unknown(set) => Self::Unknown {
                namespace: set.metadata.namespace.clone(),
                set: set.metadata.name.clone(),
                field: format!("spec.nodeName={}", node.metadata.name),
            },
            Why::NoDaemonSet => Self::NoDaemonSet { driver: driver.to_owned() },
            Why::AutoMode | Why::NotAutoMode => Self::AutoMode,
            Why::Fargate => {
                let Place { cluster, .. } = Place::of(snap);
                Self::Fargate { cluster }
            }
        }
    }

    fn tolerated(snap: &Snapshot, driver: &str, set: &Workload, taint: &Taint) -> Self {
        let Place { cluster, .. } = Place::of(snap);
        let (addon, managed_by) = kept(snap, driver, set);
        let by_hand = addon.is_none() && managed_by.is_empty();
        let value = json!({"key": taint.key, "operator": "Exists", "effect": taint.effect});
        // A list that is not there takes no further item.
        let patch = match set.spec.template.spec.tolerations.is_empty() {
            false => json_patch::add("/spec/template/spec/tolerations/-", value),
            true => json_patch::add("/spec/template/spec/tolerations", [value]),
        };
        Self::Taint {
            taint: taint_text(taint),
            namespace: set.metadata.namespace.clone(),
            set: set.metadata.name.clone(),
            cluster,
            addon: addon.map(|a| a.addon_name.clone()),
            values: addon.and_then(tolerate_all),
            kept_role: addon::kept_role(addon),
            managed_by,
            toleration: by_hand.then(|| json_patch::text([patch])),
        }
    }
}

/// The add-on that keeps the driver's DaemonSet, or who else does.
fn kept<'a>(snap: &'a Snapshot, driver: &str, set: &Workload) -> (Option<&'a Addon>, String) {
    let name = if driver == ebs::DRIVER { ebs::ADDON } else { "aws-efs-csi-driver" };
    let addon = addon::named(snap, name);
    (addon, if addon.is_some() { String::new() } else { managed_by(&set.metadata) })
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
