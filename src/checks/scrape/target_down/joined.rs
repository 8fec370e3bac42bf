//! Failures that something in the cluster explains: their words and their fixes.

use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::joined::{self, Joined, Mesh};
use crate::domain::prometheus::targets::Down;
use crate::model::{Evidence, Finding, Params, ResourceRef};
use crate::snapshot::Snapshot;

/// The section of the page, and the failure in words.
pub(super) fn family(snap: &Snapshot, down: &Down<'_>) -> Option<(&'static str, String)> {
    Some(match joined::of(snap, down)? {
        Joined::Argument { container, argument, .. } => {
            ("localhost", format!("connection refused: container {} listens on loopback only ({argument})", container.name))
        }
        Joined::KubeProxy { map: Some((_, _, value)) } => {
            let value = if value.is_empty() { "127.0.0.1:10249, its default" } else { &value };
            ("kube-proxy", format!("connection refused: kube-proxy serves its metrics on loopback only (metricsBindAddress {value})"))
        }
        Joined::KubeProxy { map: None } => (
            "kube-proxy",
            "connection refused: kube-proxy serves its metrics on 127.0.0.1:10249 only, unless metricsBindAddress says otherwise".into(),
        ),
        Joined::Mesh { mesh, .. } => (
            "mesh",
            format!("the side-car {} closes the connection: it takes only mutual TLS, and Prometheus is not part of the mesh", mesh.sidecar()),
        ),
    })
}

/// Adds what was seen, and what is to be changed.
pub(super) fn evidence(snap: &Snapshot, down: &Down<'_>, made: Finding) -> Finding {
    match joined::of(snap, down) {
        Some(Joined::Argument { pod, container, argument }) => {
            let meta = &pod.metadata;
            let source = format!("Pod {}/{}, arguments of container {}", meta.namespace, meta.name, container.name);
            let seen = Evidence::new(source, argument, "kubectl get pod -n {{ namespace }} {{ pod }} -o yaml");
            made.evidence(seen.with("namespace", &meta.namespace).with("pod", &meta.name))
        }
        Some(Joined::KubeProxy { map: Some((map, key, value)) }) => {
            let meta = &map.metadata;
            let source = format!("ConfigMap {}/{}, {key}", meta.namespace, meta.name);
            let seen = Evidence::new(
                source,
                format!("metricsBindAddress: {value:?}"),
                "kubectl get configmap -n {{ namespace }} {{ name }} -o yaml",
            );
            made.evidence(seen.with("namespace", &meta.namespace).with("name", &meta.name))
                .also(ResourceRef::config_map(&meta.namespace, &meta.name))
        }
        Some(Joined::Mesh { pod, mesh }) => {
            let meta = &pod.metadata;
            let source = format!("Pod {}/{}, containers", meta.namespace, meta.name);
            let seen = Evidence::new(source, mesh.sidecar(), "kubectl get pod -n {{ namespace }} {{ pod }} -o yaml");
            made.evidence(seen.with("namespace", &meta.namespace).with("pod", &meta.name))
        }
        _ => made,
    }
}

/// Values of the sections.
pub(super) fn set_params(snap: &Snapshot, down: &Down<'_>, params: &mut Params) {
    let found = joined::of(snap, down);
    let (mut argument, mut open, mut owner, mut keeper) = (None, None, None, String::new());
    let (mut map, mut annotation) = (None, None);
    let port = down.address.as_ref().map(|a| a.port.to_string()).unwrap_or_default();
    match &found {
        Some(Joined::Argument { pod, argument: said, .. }) => {
            let target = Target::of(snap, pod);
            let listens =
                ["127.0.0.1", "localhost"].iter().fold((*said).to_owned(), |text, l| text.replace(l, "0.0.0.0"));
            (argument, open) = (Some((*said).to_owned()), Some(listens.replace("[::1]", "[::]")));
            (owner, keeper) = (Some(target.name.clone()), target.managed_by);
        }
        Some(Joined::KubeProxy { map: Some((of, _, _)) }) => {
            map = Some(of.metadata.name.clone());
            keeper = managed_by(&of.metadata);
        }
        Some(Joined::Mesh { pod, mesh }) => {
            let target = Target::of(snap, pod);
            let patch =
                serde_json::json!({"spec": {"template": {"metadata": {"annotations": {mesh.exclusion(): port}}}}});
            annotation = Some((patch.to_string(), *mesh == Mesh::Istio));
            (owner, keeper) = (Some(target.name.clone()), target.managed_by);
        }
        _ => {}
    }
    params.set("argument", argument);
    params.set("open_argument", open);
    params.set("bound_owner", owner);
    params.set("bound_by", keeper);
    params.set("proxy_map", map.unwrap_or_else(|| "kube-proxy-config".into()));
    params.set("istio", annotation.as_ref().is_some_and(|(_, istio)| *istio));
    params.set("exclude_patch", annotation.map(|(patch, _)| patch).unwrap_or_default());
}
