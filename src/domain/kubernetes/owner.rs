//! What has to be changed to change a pod: its workload, the resource of the Prometheus operator, or an EKS add-on.

use serde_json::{Value, json};

use crate::domain::kubernetes::chart::chart_of;
use crate::domain::kubernetes::eks_addons::of_pod;
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::managed::managed_by;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Meta, MonitoringResource, Pod, PodSpec, Workload};

/// Whether the pod template of an owner can be changed in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settable {
    Yes,
    /// Its resource of the operator has to be changed instead.
    ByOperator,
    /// A bare pod or a Job: the field cannot be changed.
    No,
}

/// Whether the pod template of an owner can be changed in place.
pub(crate) fn is_settable(snap: &Snapshot, owner: &ResourceRef) -> Settable {
    let ResourceRef::Kubernetes { kind, .. } = owner else { return Settable::No };
    if !matches!(kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet") {
        return Settable::No;
    }
    match workload(snap, owner).and_then(|w| operator_owner(&w.metadata)) {
        Some(_) => Settable::ByOperator,
        None => Settable::Yes,
    }
}

/// `kubectl rollout status` tells of it: it refuses bare pods and Jobs, and what replaces no pods by itself (`OnDelete`).
pub(crate) fn has_rollout(snap: &Snapshot, owner: &ResourceRef) -> bool {
    let on_delete = |w: &Workload| w.spec.update_strategy.kind.as_deref() == Some("OnDelete");
    is_kind(owner, &["Deployment", "StatefulSet", "DaemonSet"]) && !workload(snap, owner).is_some_and(on_delete)
}

/// `deployment/prometheus`: the workload of a pod as kubectl takes it; `None` for a pod of its own.
pub(crate) fn workload_name(snap: &Snapshot, pod: &Pod) -> Option<String> {
    let owner = snap.owner_ref(pod);
    (!is_kind(&owner, &["Pod"])).then(|| owner.kubectl_name())
}

/// The workload that a reference names.
pub(crate) fn workload<'a>(snap: &'a Snapshot, owner: &ResourceRef) -> Option<&'a Workload> {
    let ResourceRef::Kubernetes { kind, namespace, name, .. } = owner else { return None };
    let all = snap.workloads.items().unwrap_or_default();
    all.iter().find(|w| w.kind == *kind && w.metadata.namespace == *namespace && w.metadata.name == *name)
}

/// The workload that a pod, which is gone by now, was of: by its name.
pub(crate) fn workload_of_name<'a>(snap: &'a Snapshot, namespace: &str, pod: &str) -> Option<&'a Workload> {
    let own = |w: &&Workload| {
        let rest = pod.strip_prefix(w.metadata.name.as_str()).and_then(|r| r.strip_prefix('-'));
        w.metadata.namespace == namespace
            && rest.is_some_and(|r| r.split('-').count() == if w.kind == "Deployment" { 2 } else { 1 })
    };
    snap.workloads.items().unwrap_or_default().iter().filter(own).max_by_key(|w| w.metadata.name.len())
}

/// Kinds that Kubernetes itself has: their objects are changed where they are.
const PLAIN: &[&str] =
    &["ReplicaSet", "ReplicationController", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Node"];

/// The resource that an operator, whosever it is, made an object from, and would make it from again: its kind and name.
pub(crate) fn maker(meta: &Meta) -> Option<(&str, &str)> {
    let own = meta.controller().filter(|owner| !PLAIN.contains(&owner.kind.as_str()))?;
    Some((&own.kind, &own.name))
}

/// The same in a sentence: `the LokiStack resource logging`.
pub(crate) fn made_from(meta: &Meta) -> Option<String> {
    maker(meta).map(|(kind, name)| format!("the {kind} resource {name}"))
}

/// Who keeps an object as it is: the resource that an operator makes it from, else Helm, Argo CD or Flux; empty where nobody
/// does, so that it can be edited in place.
pub(crate) fn keeper(meta: &Meta) -> String {
    made_from(meta).unwrap_or_else(|| managed_by(meta))
}

/// The operator's resource that an object was made from, by its owner: kind and name, as kubectl takes them.
pub(crate) fn operator_owner(meta: &Meta) -> Option<(&'static str, &str)> {
    let (kind, name) = owner_of(meta)?;
    let kind = match kind {
        "Prometheus" => "prometheus",
        "Alertmanager" => "alertmanager",
        _ => return None,
    };
    Some((kind, name))
}

/// The same for a pod whose workload was not read, by the labels that the operator gives.
fn operator_labels(meta: &Meta) -> Option<(&'static str, &str)> {
    let label = |name: &str| meta.label(&format!("app.kubernetes.io/{name}"));
    let is_made = label("managed-by") == Some("prometheus-operator");
    let of_kind = |kind: &'static str| {
        let own = meta.label("operator.prometheus.io/name").or(label("instance"));
        let own = own.filter(|_| is_made && label("name") == Some(kind));
        // Operators of before the common labels: the StatefulSet has the resource's name.
        let is_set = |name: &&str| {
            let set = format!("{kind}-{name}");
            meta.controller().is_some_and(|o| o.kind == "StatefulSet" && o.name.starts_with(&set))
        };
        let name = meta.label(kind).filter(|name| is_made || is_set(name)).or(own)?;
        Some((kind, name))
    };
    of_kind("prometheus").or_else(|| of_kind("alertmanager"))
}

/// The operator's resource that a pod was made from: kind and name, as kubectl takes them.
pub(crate) fn operator_resource<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<(&'static str, &'a str)> {
    match workload(snap, &snap.owner_ref(pod)) {
        Some(workload) => operator_owner(&workload.metadata),
        None => operator_labels(&pod.metadata),
    }
}

/// Beside a program runs another container that makes it load its files when they change.
pub(crate) fn reloads(spec: &PodSpec) -> bool {
    spec.containers.iter().any(|c| c.name.contains("reload") || c.image.contains("reload"))
}

/// Where a pod's template is kept, and who keeps it.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The owner of the pod.
    pub(crate) owner: ResourceRef,
    /// `deployment/prometheus`.
    pub(crate) name: String,
    /// Whether it can be changed in place.
    pub(crate) settable: Settable,
    /// Kind and name of the operator's resource, as kubectl takes them.
    pub(crate) custom: Option<(&'static str, &'a str)>,
    /// The EKS add-on that keeps it.
    pub(crate) addon: Option<&'static str>,
    /// Who else keeps it; empty where nobody does.
    pub(crate) managed_by: String,
    /// A Deployment or DaemonSet: a new rollout replaces the pod.
    pub(crate) rolls: bool,
    /// `kubectl rollout status` tells of it.
    pub(crate) has_rollout: bool,
    /// A StatefulSet, which waits for a broken pod: the pod has to be deleted.
    pub(crate) stateful: bool,
    /// Replicas that are wanted; 1 where not known.
    pub(crate) replicas: u32,
    /// The object that is changed: the operator's resource, the workload, else the pod itself.
    pub(crate) meta: &'a Meta,
}

impl<'a> Target<'a> {
    /// What is patched, and the patch: the operator's resource, from which it makes the pods anew, with the one, else the
    /// workload's template with the other; nothing where the pods cannot be changed in place.
    pub(crate) fn patched(&self, resource: &Value, template: &Value) -> (Option<String>, String) {
        match (self.custom, self.settable) {
            (Some((kind, name)), _) => (Some(format!("{kind}/{name}")), json!({"spec": resource}).to_string()),
            (None, Settable::Yes) => (Some(self.name.clone()), json!({"spec": {"template": template}}).to_string()),
            _ => (None, String::new()),
        }
    }

    /// The target of a pod.
    pub(crate) fn of(snap: &'a Snapshot, pod: &'a Pod) -> Self {
        let owner = snap.owner_ref(pod);
        let workload = workload(snap, &owner);
        let custom = operator_resource(snap, pod);
        let meta = custom
            .and_then(|(kind, name)| resource(snap, kind, &pod.metadata.namespace, name))
            .map(|r| &r.metadata)
            .or(workload.map(|w| &w.metadata))
            .unwrap_or(&pod.metadata);
        Self {
            name: owner.kubectl_name(),
            settable: is_settable(snap, &owner),
            custom,
            addon: addon(snap, pod),
            managed_by: managed_by(meta),
            rolls: is_kind(&owner, &["Deployment", "DaemonSet"]),
            has_rollout: has_rollout(snap, &owner),
            stateful: is_kind(&owner, &["StatefulSet"]),
            replicas: workload.map_or(1, Workload::desired).max(1),
            owner,
            meta,
        }
    }

    /// The operator's resource, for the graph of causes.
    pub(crate) fn operator_ref(&self, namespace: &str) -> Option<ResourceRef> {
        let (kind, name) = self.custom?;
        let kind = if kind == "prometheus" { "Prometheus" } else { "Alertmanager" };
        Some(ResourceRef::kubernetes("monitoring.coreos.com", kind, namespace, name))
    }

    /// `prometheus` or `alertmanager`: the operator's resource that it was made from; empty else.
    pub(crate) fn operator_kind(&self) -> &'static str {
        self.custom.map_or("", |(kind, _)| kind)
    }

    /// Name of the operator's resource; empty where there is none.
    pub(crate) fn operator_name(&self) -> &str {
        self.custom.map_or("", |(_, name)| name)
    }

    /// True where `kubectl set` and `kubectl patch` on the workload itself last.
    pub(crate) fn in_place(&self) -> bool {
        self.settable == Settable::Yes && self.addon.is_none()
    }

    /// Where a container's `field` (`resources`, `image`) lies in the values of the Helm chart that made the target; empty
    /// where the chart is not known.
    pub(crate) fn values_path(&self, snap: &Snapshot, container: &str, field: &str) -> String {
        let part = match chart_of(self.meta).as_deref() {
            Some("kube-prometheus-stack") => stack_part(container),
            Some("prometheus") if container.starts_with("prometheus-server") => Some("server"),
            Some("prometheus") => None,
            // A part of the umbrella chart has its values below its own name.
            Some(chart @ ("grafana" | "kube-state-metrics" | "prometheus-node-exporter")) => {
                if is_part_of_stack(snap, self.meta) {
                    stack_part(chart)
                } else {
                    return field.to_owned();
                }
            }
            _ => None,
        };
        part.map(|part| format!("{part}.{field}")).unwrap_or_default()
    }
}

pub(crate) fn is_kind(owner: &ResourceRef, kinds: &[&str]) -> bool {
    matches!(owner, ResourceRef::Kubernetes { kind, .. } if kinds.contains(&kind.as_str()))
}

/// The resource of the Prometheus operator that such a name means.
pub(crate) fn resource<'a>(
    snap: &'a Snapshot,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Option<&'a MonitoringResource> {
    let all = snap.monitoring_resources.items().unwrap_or_default();
    all.iter()
        .find(|r| r.kind.eq_ignore_ascii_case(kind) && r.metadata.namespace == namespace && r.metadata.name == name)
}

/// The EKS add-on that keeps a pod, where the cluster has it.
fn addon(snap: &Snapshot, pod: &Pod) -> Option<&'static str> {
    let addon = of_pod(&pod.metadata.namespace, &pod.metadata.name)?;
    snap.eks_addons().ok()?.iter().any(|a| a.addon_name == addon).then_some(addon)
}

fn release_of(meta: &Meta) -> Option<&str> {
    meta.label("release").or(meta.label("app.kubernetes.io/instance"))
}

/// The release that made an object is one of kube-prometheus-stack.
fn is_part_of_stack(snap: &Snapshot, meta: &Meta) -> bool {
    let resources = snap.monitoring_resources.items().unwrap_or_default().iter().map(|r| &r.metadata);
    let workloads = snap.workloads.items().unwrap_or_default().iter().map(|w| &w.metadata);
    let release = release_of(meta);
    release.is_some()
        && resources
            .chain(workloads)
            .any(|m| release_of(m) == release && chart_of(m).as_deref() == Some("kube-prometheus-stack"))
}

/// Where kube-prometheus-stack keeps the values of a container.
fn stack_part(container: &str) -> Option<&'static str> {
    Some(match container {
        "prometheus" => "prometheus.prometheusSpec",
        "alertmanager" => "alertmanager.alertmanagerSpec",
        "kube-prometheus-stack" => "prometheusOperator",
        "config-reloader" | "init-config-reloader" => "prometheusOperator.prometheusConfigReloader",
        "grafana" => "grafana",
        "kube-state-metrics" => "kube-state-metrics",
        "node-exporter" | "prometheus-node-exporter" => "prometheus-node-exporter",
        _ => return None,
    })
}

/// Pods that these checks look at: those of the stack, and of kube-system those whose names begin so.
pub(crate) fn in_scope(snap: &Snapshot, pod: &Pod, system: &[&str]) -> bool {
    let meta = &pod.metadata;
    let of_system = meta.namespace == "kube-system" && system.iter().any(|p| meta.name.starts_with(p));
    (snap.scope.is_judged(&meta.namespace) || of_system) && meta.deletion_timestamp.is_none()
}

/// Words in the names of images that a monitoring stack is made of.
const PARTS: &[&str] = &[
    "prometheus",
    "alertmanager",
    "grafana",
    "exporter",
    "kube-state-metrics",
    "thanos",
    "loki",
    "promtail",
    "tempo",
    "mimir",
    "cortex",
    "victoria",
    "pushgateway",
    "metrics",
    "operator",
    "reload",
    "sidecar",
    "otel",
    "opentelemetry",
    "fluent",
    "cloudwatch",
    "alloy",
    "agent",
];

/// A pod of the stack itself: by its images, or because it was made together with one. Applications may share the
/// namespace; their faults are worth a warning, not an alarm.
pub(crate) fn is_of_stack(snap: &Snapshot, pod: &Pod) -> bool {
    let is_part = |p: &Pod| {
        let images =
            p.spec.containers.iter().map(|c| c.image.rsplit('/').next().unwrap_or_default().to_ascii_lowercase());
        images.into_iter().any(|i| PARTS.iter().any(|part| i.contains(part)))
            || p.spec.containers.iter().any(|c| c.program().is_some())
    };
    if pod.metadata.namespace == "kube-system" || is_part(pod) {
        return true;
    }
    let kin = |p: &Pod| {
        ["release", "app.kubernetes.io/instance", "app.kubernetes.io/part-of"]
            .iter()
            .any(|l| p.metadata.label(l).is_some() && p.metadata.label(l) == pod.metadata.label(l))
    };
    let mut others =
        snap.pods.items().unwrap_or_default().iter().filter(|p| p.metadata.namespace == pod.metadata.namespace);
    others.any(|p| is_part(p) && kin(p))
}

/// Another pod of the same owner does its work.
pub(crate) fn others_ready(snap: &Snapshot, owner: &ResourceRef, pods: &[&Pod]) -> bool {
    let all = snap.pods.items().unwrap_or_default().iter();
    all.filter(|p| p.is_ready() && p.metadata.deletion_timestamp.is_none())
        .filter(|p| !pods.iter().any(|mine| mine.metadata.name == p.metadata.name))
        .any(|p| snap.owner_ref(p) == *owner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::Listing;

    fn snapshot(labels: serde_json::Value) -> (Snapshot, Pod) {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let owner = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
        let set = json!({"metadata": {"name": "prometheus-main", "namespace": "obs", "ownerReferences": owner("Prometheus", "main")}});
        let mut set: Workload = serde_json::from_value(set).expect("a workload");
        set.kind = "StatefulSet".into();
        snap.workloads = Listing::cluster(vec![set]);
        let custom = json!({"metadata": {"name": "main", "namespace": "obs", "labels": labels}});
        let mut custom: MonitoringResource = serde_json::from_value(custom).expect("a resource");
        custom.kind = "Prometheus".into();
        snap.monitoring_resources = Listing::cluster(vec![custom]);
        let pod = json!({"metadata": {"name": "prometheus-main-0", "namespace": "obs", "ownerReferences": owner("StatefulSet", "prometheus-main")}});
        (snap, serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn the_operators_resource_is_what_has_to_be_changed() {
        let (snap, pod) = snapshot(json!({"chart": "kube-prometheus-stack-88.5.3", "release": "mon"}));
        let target = Target::of(&snap, &pod);
        assert_eq!(
            (target.name.as_str(), target.custom),
            ("statefulset/prometheus-main", Some(("prometheus", "main")))
        );
        assert!(!target.in_place());
        assert_eq!(target.values_path(&snap, "prometheus", "resources"), "prometheus.prometheusSpec.resources");
        let (snap, pod) = snapshot(json!({}));
        assert_eq!(Target::of(&snap, &pod).values_path(&snap, "prometheus", "resources"), "");
    }

    #[test]
    fn an_operators_object_is_kept_by_its_resource() {
        let meta = |kind: &str| -> Meta {
            let owner = json!([{"kind": kind, "name": "logging", "controller": true}]);
            let labels = json!({"app.kubernetes.io/managed-by": "Helm"});
            let meta = json!({"name": "c", "namespace": "obs", "labels": labels, "ownerReferences": owner});
            serde_json::from_value(meta).expect("is metadata")
        };
        assert_eq!(keeper(&meta("LokiStack")), "the LokiStack resource logging");
        assert_eq!(keeper(&meta("Deployment")), "Helm");
        assert_eq!(maker(&meta("Deployment")), None);
    }

    #[test]
    fn a_rollout_is_of_what_replaces_its_pods() {
        let (mut snap, pod) = snapshot(json!({}));
        assert!(Target::of(&snap, &pod).has_rollout);
        let set = json!({"metadata": {"name": "prometheus-main", "namespace": "obs"}, "spec": {"updateStrategy": {"type": "OnDelete"}}});
        let mut set: Workload = serde_json::from_value(set).expect("a workload");
        set.kind = "StatefulSet".into();
        snap.workloads = Listing::cluster(vec![set]);
        assert!(!Target::of(&snap, &pod).has_rollout, "kubectl rollout status refuses OnDelete");
        assert!(!has_rollout(&snap, &ResourceRef::pod("obs", "alone")));
    }
}
