//! What has to be changed to change a pod: its workload, the operator's resource, or an EKS add-on.

use crate::checks::managed::managed_by;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Meta, MonitoringResource, Pod, Workload};
use crate::snapshot::{Snapshot, owner_of};

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
    match workload(snap, owner).and_then(operator_owner) {
        Some(_) => Settable::ByOperator,
        None => Settable::Yes,
    }
}

/// `deployment/prometheus`, as kubectl takes it.
pub(crate) fn owner_target(owner: &ResourceRef) -> String {
    match owner {
        ResourceRef::Kubernetes { kind, name, .. } => format!("{}/{name}", kind.to_ascii_lowercase()),
        other => other.name(),
    }
}

/// The workload that a reference names.
pub(crate) fn workload<'a>(snap: &'a Snapshot, owner: &ResourceRef) -> Option<&'a Workload> {
    let ResourceRef::Kubernetes { kind, namespace, name, .. } = owner else { return None };
    let all = snap.workloads.items().unwrap_or_default();
    all.iter().find(|w| w.kind == *kind && w.metadata.namespace == *namespace && w.metadata.name == *name)
}

fn operator_owner(workload: &Workload) -> Option<(&str, &str)> {
    owner_of(&workload.metadata).filter(|(kind, _)| matches!(*kind, "Prometheus" | "Alertmanager"))
}

fn operator_kind(kind: &str) -> Option<&'static str> {
    match kind {
        "Prometheus" | "prometheus" => Some("prometheus"),
        "Alertmanager" | "alertmanager" => Some("alertmanager"),
        _ => None,
    }
}

fn operator_labels(meta: &Meta) -> Option<(&'static str, &str)> {
    let label = |name: &str| meta.label(&format!("app.kubernetes.io/{name}"));
    let kind = operator_kind(label("name")?)?;
    (label("managed-by") == Some("prometheus-operator")).then_some((kind, label("instance")?))
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
    /// A StatefulSet, which waits for a broken pod: the pod has to be deleted.
    pub(crate) stateful: bool,
    /// Replicas that are wanted; 1 where not known.
    pub(crate) replicas: u32,
    meta: &'a Meta,
}

impl<'a> Target<'a> {
    /// The target of a pod.
    pub(crate) fn of(snap: &'a Snapshot, pod: &'a Pod) -> Self {
        let owner = snap.owner_ref(pod);
        let workload = workload(snap, &owner);
        let custom = workload.and_then(operator_owner).and_then(|(kind, name)| Some((operator_kind(kind)?, name)));
        // Without the workload, the labels tell that the operator gives its pods.
        let custom = if workload.is_none() { custom.or_else(|| operator_labels(&pod.metadata)) } else { custom };
        let meta = custom
            .and_then(|(kind, name)| resource(snap, kind, &pod.metadata.namespace, name))
            .map(|r| &r.metadata)
            .or(workload.map(|w| &w.metadata))
            .unwrap_or(&pod.metadata);
        Self {
            name: owner_target(&owner),
            settable: is_settable(snap, &owner),
            custom,
            addon: addon(snap, pod),
            managed_by: managed_by(meta),
            rolls: is_kind(&owner, &["Deployment", "DaemonSet"]),
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

fn is_kind(owner: &ResourceRef, kinds: &[&str]) -> bool {
    matches!(owner, ResourceRef::Kubernetes { kind, .. } if kinds.contains(&kind.as_str()))
}

fn resource<'a>(snap: &'a Snapshot, kind: &str, namespace: &str, name: &str) -> Option<&'a MonitoringResource> {
    let all = snap.monitoring_resources.items().unwrap_or_default();
    all.iter()
        .find(|r| r.kind.eq_ignore_ascii_case(kind) && r.metadata.namespace == namespace && r.metadata.name == name)
}

/// The EKS add-on that keeps a pod of kube-system.
fn addon(snap: &Snapshot, pod: &Pod) -> Option<&'static str> {
    if pod.metadata.namespace != "kube-system" {
        return None;
    }
    let parts = [
        ("ebs-csi-", "aws-ebs-csi-driver"),
        ("coredns-", "coredns"),
        ("aws-node-", "vpc-cni"),
        ("metrics-server-", "metrics-server"),
    ];
    let (_, addon) = parts.into_iter().find(|(prefix, _)| pod.metadata.name.starts_with(prefix))?;
    snap.eks_addons().ok()?.iter().any(|a| a.addon_name == addon).then_some(addon)
}

/// The chart's name without its version.
fn chart_of(meta: &Meta) -> Option<String> {
    let label = meta.label("helm.sh/chart").or(meta.label("chart"))?;
    let name = label.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    Some(name.map_or(label, |(name, _)| name).to_owned())
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
    (snap.scope.is_stack(&meta.namespace) || of_system) && meta.deletion_timestamp.is_none()
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
}
