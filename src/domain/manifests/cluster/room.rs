//! Pods of the files against the limits, the quotas and the nodes that there are.

use std::collections::{BTreeMap, BTreeSet};

use super::{Lacks, Need};
use crate::domain::aws::scale_up;
use crate::domain::kubernetes::capacity::{amount, largest_node, requests};
use crate::domain::kubernetes::limit_range::{Bound, left_by};
use crate::domain::manifests::given::{Parts, objects};
use crate::lint::yaml::Node;
use crate::lint::{Place, Problem};
use crate::model::Gap;
use crate::snapshot::kubernetes::{self, Container, Pod, ResourceQuota, Resources, Workload};
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::snapshot::{Snapshot, parse_quantity};

/// A workload of the files.
struct Own<'a> {
    file: &'a ManifestFile,
    object: &'a Manifest,
    workload: Workload,
}

/// The workloads of the files, as they will be applied.
fn all(snap: &Snapshot) -> Vec<Own<'_>> {
    let parts = Parts::of(snap);
    let mut all: Vec<Own<'_>> = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, object) in objects(snap) {
        let is_own = matches!(object.kind.as_str(), "Deployment" | "StatefulSet") && object.group() == "apps";
        // What Kustomize puts together may ask for something else, and of two with one name one is applied.
        if !is_own || parts.holds(file) || !seen.insert((&object.kind, &object.namespace, &object.name)) {
            continue;
        }
        let workload = object.as_object().map(|w: Workload| Workload { kind: object.kind.clone(), ..w });
        all.extend(workload.map(|workload| Own { file, object, workload }));
    }
    all
}

/// Containers that a LimitRange does not let be.
pub(super) fn bounds(snap: &Snapshot) -> Result<Vec<Need<'_>>, Gap> {
    let mut found = Vec::new();
    for own in all(snap).iter().filter(|own| !own.object.namespace.is_empty()) {
        found.extend(own.bounds(snap)?);
    }
    Ok(found)
}

/// Pods that no node is large enough for.
pub(super) fn sizes(snap: &Snapshot) -> Result<Vec<Need<'_>>, Gap> {
    let mut found = Vec::new();
    for own in all(snap).iter().filter(|own| own.workload.spec.replicas != Some(0)) {
        found.extend(own.room(snap)?);
    }
    Ok(found)
}

impl<'a> Own<'a> {
    fn template(&self) -> Option<&'a Node> {
        self.object.node.at(&["spec", "template", "spec"])
    }

    fn containers(&self) -> &'a Node {
        self.template().and_then(|t| t.get("containers")).unwrap_or(&self.object.node)
    }

    /// Where a container asks for so much.
    fn place(&self, side: &str, resource: &str, asked: &str) -> Place {
        let all = self.containers();
        let named = all.items().unwrap_or_default().iter().filter_map(|c| c.at(&["resources", side, resource]));
        let mut same = named.filter(|n| n.as_str() == Some(asked));
        same.next().map_or(all.place, |n| n.place)
    }

    /// LimitRanges of the namespace that its containers leave.
    fn bounds(&self, snap: &Snapshot) -> Result<Vec<Need<'a>>, Gap> {
        let spec = &self.workload.spec.template.spec;
        let asks = |r: &Resources| !r.limits.is_empty() || !r.requests.is_empty();
        if !spec.containers.iter().any(|c| asks(&c.resources)) {
            return Ok(Vec::new());
        }
        snap.limit_ranges.covered(&self.object.namespace)?;
        let need = |bound: Bound| {
            let asked = bound.asked.clone().unwrap_or_default();
            let side = if self.place("limits", &bound.resource, &asked) == self.containers().place {
                "requests"
            } else {
                "limits"
            };
            let place = self.place(side, &bound.resource, &asked);
            let message =
                format!("a LimitRange of namespace {} refuses its pods: {}", self.object.namespace, bound.text());
            let path = format!("spec.template.spec.containers.resources.{side}.{}", bound.resource);
            self.need(Lacks::Bound(self.object.namespace.clone()), Problem::new(place, path, message))
        };
        Ok(left_by(snap, &self.object.namespace, spec).into_iter().map(need).collect())
    }

    /// No node that admits a pod is as large as what it asks for, and nothing makes others.
    fn room(&self, snap: &Snapshot) -> Result<Option<Need<'a>>, Gap> {
        let template = &self.workload.spec.template;
        let pod = Pod { metadata: template.metadata.clone(), spec: template.spec.clone(), ..Pod::default() };
        for resource in ["cpu", "memory"] {
            let asked = requests(&pod, resource);
            if asked <= 0.0 {
                continue;
            }
            if !snap.nodes()?.iter().any(|n| n.is_ready()) {
                return Ok(None);
            }
            // Where no node admits it at all, others may be made for it.
            let Some((node, all)) = largest_node(snap, &pod, resource).filter(|(_, all)| asked > *all) else {
                continue;
            };
            if nodes_are_made(snap)? {
                return Ok(None);
            }
            let message = format!(
                "a pod asks for {} of {resource}, and no node that takes it is that large: {node} has {}",
                amount(resource, asked),
                amount(resource, all)
            );
            let problem = Problem::new(self.containers().place, "spec.template.spec.containers", message);
            return Ok(Some(self.need(Lacks::Room, problem)));
        }
        Ok(None)
    }

    fn need(&self, lacks: Lacks, problem: Problem) -> Need<'a> {
        Need { file: self.file, object: self.object, lacks, problem }
    }

    /// What it takes of a quota, by the quota's own keys.
    fn takes(&self, key: &str) -> f64 {
        takes(&self.workload, key)
    }
}

/// Karpenter, the autoscaler or EKS itself add nodes, of other sizes perhaps.
fn nodes_are_made(snap: &Snapshot) -> Result<bool, Gap> {
    let nodes = snap.nodes()?;
    let by_label =
        |n: &kubernetes::Node| n.is_auto_mode() || n.metadata.labels.keys().any(|k| k.starts_with("karpenter.sh/"));
    if nodes.iter().any(by_label) || scale_up::makers(snap).next().is_some() {
        return Ok(true);
    }
    // One that has a namespace of its own may run there unseen.
    let is_unseen =
        |name: &str| ["autoscaler", "karpenter"].iter().any(|n| name.contains(n)) && !snap.pods.covers(name);
    if snap.namespaces()?.iter().any(|n| is_unseen(&n.metadata.name)) {
        return Ok(true);
    }
    // A cluster without the kinds of Karpenter has none of them.
    Ok(!snap.node_makers.items()?.is_empty())
}

/// What a workload takes of a quota.
fn takes(workload: &Workload, key: &str) -> f64 {
    let replicas = f64::from(workload.spec.replicas.unwrap_or(1));
    let template = &workload.spec.template;
    let pod = || Pod { metadata: template.metadata.clone(), spec: template.spec.clone(), ..Pod::default() };
    let limit = |resource: &str| -> f64 {
        let of = |c: &Container| parse_quantity(c.resources.limits.get(resource)?);
        template.spec.containers.iter().filter_map(of).sum()
    };
    let each = match key {
        "pods" | "count/pods" => 1.0,
        "cpu" | "requests.cpu" => requests(&pod(), "cpu"),
        "memory" | "requests.memory" => requests(&pod(), "memory"),
        "limits.cpu" => limit("cpu"),
        "limits.memory" => limit("memory"),
        _ => return 0.0,
    };
    each * replicas
}

/// Quotas of namespaces that the files together use up.
pub(super) fn quotas(snap: &Snapshot) -> Result<Vec<Need<'_>>, Gap> {
    let all = all(snap);
    let mut by_namespace: BTreeMap<&str, Vec<&Own<'_>>> = BTreeMap::new();
    for own in all.iter().filter(|own| !own.object.namespace.is_empty()) {
        by_namespace.entry(own.object.namespace.as_str()).or_default().push(own);
    }
    let mut found = Vec::new();
    for (namespace, own) in by_namespace {
        snap.resource_quotas.covered(namespace)?;
        let quotas = snap.resource_quotas.items()?.iter().filter(|q| q.metadata.namespace == namespace);
        for quota in quotas.filter(|q| !q.is_scoped()) {
            found.extend(used_up(snap, namespace, quota, &own)?);
        }
    }
    Ok(found)
}

fn used_up<'a>(
    snap: &Snapshot,
    namespace: &str,
    quota: &ResourceQuota,
    own: &[&Own<'a>],
) -> Result<Option<Need<'a>>, Gap> {
    for (key, hard) in &quota.status.hard {
        let used = quota.status.used.get(key).and_then(|u| parse_quantity(u));
        let (Some(hard_value), Some(used_value)) = (parse_quantity(hard), used) else { continue };
        let asked: f64 = own.iter().map(|o| o.takes(key)).sum();
        if asked <= 0.0 || used_value + asked <= hard_value {
            continue;
        }
        // What is there already has its part of it.
        let mut before = 0.0;
        for one in own {
            let same = snap.workloads.find(namespace, &one.object.name)?.filter(|w| w.kind == one.workload.kind);
            before += same.map_or(0.0, |w| takes(w, key));
        }
        let more = asked - before;
        if more <= 0.0 || used_value + more <= hard_value {
            continue;
        }
        let Some(first) = own.iter().find(|o| o.takes(key) > 0.0) else { continue };
        let resource = key.rsplit('.').next().unwrap_or(key);
        let message = format!(
            "ResourceQuota {} of namespace {namespace} leaves {} of {key} ({} of {hard} are used), and the files ask for {} more",
            quota.metadata.name,
            number(resource, (hard_value - used_value).max(0.0)),
            quota.status.used.get(key).map(String::as_str).unwrap_or_default(),
            number(resource, more)
        );
        let lacks = Lacks::Quota { namespace: namespace.to_owned(), quota: quota.metadata.name.clone() };
        let problem = Problem::new(first.containers().place, "spec.template.spec.containers", message);
        return Ok(Some(first.need(lacks, problem)));
    }
    Ok(None)
}

fn number(resource: &str, value: f64) -> String {
    if matches!(resource, "cpu" | "memory") { amount(resource, value) } else { format!("{value}") }
}
