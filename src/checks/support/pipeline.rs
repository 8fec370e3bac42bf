//! What checks of the pipeline say alike: a Helm release as a resource, an APIService as evidence.

use crate::domain::kubernetes::gitops;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::kubernetes::{ApiService, Autoscaler, GitOpsObject};

/// A Helm release, for the graph of causes.
pub(crate) fn release_ref(namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::kubernetes("helm.sh", "HelmRelease", namespace, name)
}

/// What an Application, Kustomization or HelmRelease says of itself.
pub(crate) fn sync_evidence(object: &GitOpsObject, says: impl Into<String>) -> Evidence {
    let (namespace, name) = (&object.metadata.namespace, &object.metadata.name);
    let source = format!("{} {namespace}/{name} status", object.kind);
    Evidence::new(source, says, "kubectl get {{ resource }} {{ name }} -n {{ namespace }} -o yaml")
        .with("resource", gitops::resource(object))
        .with("namespace", namespace)
        .with("name", name)
}

/// The condition of an APIService as evidence.
pub(crate) fn api_evidence(api: &ApiService) -> Evidence {
    let condition = api.available();
    let text = |value: Option<&String>| value.map(String::as_str).unwrap_or_default().to_owned();
    let value = condition
        .map(|c| format!("Available {} ({}): {}", c.status, text(c.reason.as_ref()), text(c.message.as_ref())));
    let source = format!("APIService {}", api.metadata.name);
    Evidence::new(source, value.unwrap_or_default(), "kubectl describe apiservice {{ name }}")
        .with("name", &api.metadata.name)
}

/// What an autoscaler says of its metrics.
pub(crate) fn autoscaler_evidence(hpa: &Autoscaler) -> Evidence {
    let meta = &hpa.metadata;
    let active = hpa.status.conditions.iter().find(|c| c.kind == "ScalingActive");
    let value = active.map(|c| {
        format!("ScalingActive {}: {}", c.status, c.message.as_deref().or(c.reason.as_deref()).unwrap_or_default())
    });
    Evidence::new(
        format!("HorizontalPodAutoscaler {}/{}", meta.namespace, meta.name),
        value.unwrap_or_else(|| "has not said anything of its metrics yet".into()),
        "kubectl describe hpa {{ name }} -n {{ namespace }}",
    )
    .with("namespace", &meta.namespace)
    .with("name", &meta.name)
}

/// `1 node`, `3 nodes`.
pub(crate) fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
