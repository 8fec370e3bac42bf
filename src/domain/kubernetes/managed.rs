//! Who keeps an object as it is: what changes it in place is undone by Helm, Argo CD or Flux.

use crate::snapshot::kubernetes::{Meta, annotation};

/// The Helm release that an object is of, and its namespace.
pub(crate) fn release(meta: &Meta) -> Option<(&str, &str)> {
    let get = |name: &str| meta.annotations.get(name).map(String::as_str);
    let namespace = get(annotation::HELM_NAMESPACE).unwrap_or(&meta.namespace);
    Some((get(annotation::HELM_RELEASE)?, namespace))
}

/// The release of Helm 2 that made an object. Helm 3 knows nothing of it, even where it has a release of the same name.
pub(crate) fn of_tiller(meta: &Meta) -> Option<&str> {
    let is_tillers = meta.label("heritage") == Some("Tiller") && release(meta).is_none();
    is_tillers.then(|| meta.label("release")).flatten()
}

/// Says who keeps an object as it is; empty where nobody does, so that it can be edited in place.
pub(crate) fn managed_by(meta: &Meta) -> String {
    if let Some((release, namespace)) = release(meta) {
        return helm(release, namespace);
    }
    if let Some(id) = meta.annotations.get(annotation::ARGO_TRACKING) {
        return format!("Argo CD application {}", id.split(':').next().unwrap_or(id));
    }
    for (label, owner) in [
        ("argocd.argoproj.io/instance", "Argo CD application"),
        ("kustomize.toolkit.fluxcd.io/name", "Flux Kustomization"),
        ("helm.toolkit.fluxcd.io/name", "Flux HelmRelease"),
        ("helm.sh/chart", "Helm chart"),
    ] {
        if let Some(name) = meta.label(label) {
            return format!("{owner} {name}");
        }
    }
    // Charts of before the common labels.
    if let Some(release) = of_tiller(meta) {
        return format!("release {release} of Helm 2 (Tiller)");
    }
    if let (Some("Helm"), Some(release)) = (meta.label("heritage"), meta.label("release")) {
        return helm(release, &meta.namespace);
    }
    match meta.label("app.kubernetes.io/managed-by") {
        Some("Helm") => "Helm".to_owned(),
        // Sync waves, options and hooks are for Argo CD alone.
        _ if meta.annotations.keys().any(|k| k.starts_with("argocd.argoproj.io/")) => "Argo CD".to_owned(),
        _ => String::new(),
    }
}

/// Objects of the cluster have no namespace that would tell the release's.
fn helm(release: &str, namespace: &str) -> String {
    match namespace {
        "" => format!("Helm release {release}"),
        _ => format!("Helm release {release} in namespace {namespace}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_who_keeps_an_object() {
        let meta = |labels: serde_json::Value, annotations: serde_json::Value| -> Meta {
            serde_json::from_value(json!({"name": "x", "namespace": "n", "labels": labels, "annotations": annotations}))
                .expect("is metadata")
        };
        let helm =
            meta(json!({}), json!({"meta.helm.sh/release-name": "prom", "meta.helm.sh/release-namespace": "obs"}));
        assert_eq!(managed_by(&helm), "Helm release prom in namespace obs");
        assert_eq!(managed_by(&meta(json!({"app.kubernetes.io/managed-by": "Helm"}), json!({}))), "Helm");
        let argo = meta(json!({}), json!({"argocd.argoproj.io/tracking-id": "stack:apps/Deployment:n/x"}));
        assert_eq!(managed_by(&argo), "Argo CD application stack");
        assert_eq!(managed_by(&meta(json!({"app": "x"}), json!({}))), "");
        let mut old = meta(json!({"heritage": "Helm", "release": "prom"}), json!({}));
        assert_eq!(managed_by(&old), "Helm release prom in namespace n");
        old.namespace = String::new();
        assert_eq!(managed_by(&old), "Helm release prom");
        let labels = json!({"heritage": "Tiller", "release": "prom"});
        assert_eq!(managed_by(&meta(labels.clone(), json!({}))), "release prom of Helm 2 (Tiller)");
        // Helm 3 has taken it over.
        let adopted = meta(labels, json!({"meta.helm.sh/release-name": "prom"}));
        assert_eq!((of_tiller(&adopted), managed_by(&adopted)), (None, "Helm release prom in namespace n".to_owned()));
    }
}
