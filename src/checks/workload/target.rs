//! What has to be changed and started anew: the workload of a pod, and the resource of the operator above it.

use crate::checks::managed::managed_by;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Pod, Workload};
use crate::snapshot::{Snapshot, owner_of};

/// The workload of a pod as commands name it.
pub(crate) struct Target {
    /// `deployment/prometheus`; `pod/x` where nothing owns it.
    pub(crate) owner: String,
    /// A Deployment or DaemonSet: a new rollout replaces the pod.
    pub(crate) rolls: bool,
    /// A StatefulSet, which waits for a broken pod: the pod has to be deleted.
    pub(crate) stateful: bool,
    /// Replicas that are wanted; 1 where not known.
    pub(crate) replicas: u32,
    /// `prometheus` or `alertmanager`: the operator's resource that it was made from; empty else.
    pub(crate) operator_kind: &'static str,
    /// Its name.
    pub(crate) operator_name: String,
    /// Who keeps it as it is; empty where nobody does.
    pub(crate) managed: String,
}

impl Target {
    pub(crate) fn of(snap: &Snapshot, pod: &Pod) -> Self {
        let (kind, name) = owner_of(&pod.metadata).unwrap_or(("Pod", &pod.metadata.name));
        let workloads = snap.workloads.items().unwrap_or_default().iter();
        let workload = workloads
            .filter(|w| w.kind == kind && w.metadata.name == name)
            .find(|w| w.metadata.namespace == pod.metadata.namespace);
        let (operator_kind, operator_name) = operator_of(pod, workload);
        Self {
            owner: format!("{}/{name}", kind.to_ascii_lowercase()),
            rolls: matches!(kind, "Deployment" | "DaemonSet"),
            stateful: kind == "StatefulSet",
            replicas: workload.map_or(1, Workload::desired).max(1),
            operator_kind,
            operator_name,
            managed: managed_by(workload.map_or(&pod.metadata, |w| &w.metadata)),
        }
    }

    /// The operator's resource, for the graph of causes.
    pub(crate) fn operator_ref(&self, namespace: &str) -> Option<ResourceRef> {
        let kind = match self.operator_kind {
            "prometheus" => "Prometheus",
            "alertmanager" => "Alertmanager",
            _ => return None,
        };
        Some(ResourceRef::kubernetes("monitoring.coreos.com", kind, namespace, &self.operator_name))
    }
}

/// By the owner of the StatefulSet, else by the labels that the operator gives its pods.
fn operator_of(pod: &Pod, workload: Option<&Workload>) -> (&'static str, String) {
    let kind = |kind: &str| match kind {
        "Prometheus" | "prometheus" => "prometheus",
        "Alertmanager" | "alertmanager" => "alertmanager",
        _ => "",
    };
    if let Some(above) = workload.and_then(|w| w.metadata.controller()) {
        return (kind(&above.kind), above.name.clone());
    }
    let meta = &pod.metadata;
    let label = |name: &str| meta.label(&format!("app.kubernetes.io/{name}")).unwrap_or_default();
    if label("managed-by") != "prometheus-operator" || kind(label("name")).is_empty() {
        return ("", String::new());
    }
    (kind(label("name")), label("instance").to_owned())
}
