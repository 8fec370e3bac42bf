//! Failures that something in the cluster explains: their words and their fixes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::scrape::target_down::cause::Cause;
use crate::checks::support::seen::line_evidence;
use crate::domain::kubernetes::mesh::Mesh;
use crate::domain::kubernetes::owner::Target;
use crate::domain::prometheus::joined::{self, Joined};
use crate::domain::prometheus::targets::Down;
use crate::model::{Evidence, Finding, ResourceRef};
use crate::snapshot::Snapshot;

/// The way in which it fails, and that in words.
pub(super) fn family(snap: &Snapshot, down: &Down<'_>) -> Option<(Cause, String)> {
    Some(match joined::of(snap, down)? {
        Joined::Argument { container, argument, .. } => {
            (Cause::Localhost, format!("connection refused: container {} listens on loopback only ({argument})", container.name))
        }
        Joined::KubeProxy { map: Some((_, _, value)) } => {
            let value = if value.is_empty() { "127.0.0.1:10249, its default" } else { &value };
            (Cause::KubeProxy, format!("connection refused: kube-proxy serves its metrics on loopback only (metricsBindAddress {value})"))
        }
        Joined::KubeProxy { map: None } => (
            Cause::KubeProxy,
            "connection refused: kube-proxy serves its metrics on 127.0.0.1:10249 only, unless metricsBindAddress says otherwise".into(),
        ),
        Joined::Review { why, .. } => (
            Cause::Review,
            format!("refused by kube-rbac-proxy, which cannot ask the API server who asks: {why}"),
        ),
        Joined::Gathering { why, .. } => {
            (Cause::ServerError, format!("HTTP 500, it cannot gather its metrics, and says why: {why}"))
        }
        Joined::Mesh { mesh, .. } => (
            Cause::Mesh,
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
            let seen = Evidence::new(source, argument, "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml");
            made.evidence(seen.with("namespace", &meta.namespace).with("pod", &meta.name))
        }
        Some(Joined::KubeProxy { map: Some((map, key, value)) }) => {
            let meta = &map.metadata;
            let source = format!("ConfigMap {}/{}, {key}", meta.namespace, meta.name);
            let seen = Evidence::new(
                source,
                format!("metricsBindAddress: {value:?}"),
                "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml",
            );
            made.evidence(seen.with("namespace", &meta.namespace).with("name", &meta.name))
                .also(ResourceRef::config_map(&meta.namespace, &meta.name))
        }
        Some(Joined::Mesh { pod, mesh }) => {
            let meta = &pod.metadata;
            let source = format!("Pod {}/{}, containers", meta.namespace, meta.name);
            let seen = Evidence::new(source, mesh.sidecar(), "kubectl get pod {{ pod }} -n {{ namespace }} -o yaml");
            made.evidence(seen.with("namespace", &meta.namespace).with("pod", &meta.name))
        }
        Some(Joined::Review { log, line, .. }) => {
            let seen = line_evidence(log, line);
            made.evidence(seen).depends_on(ResourceRef::service("default", "kubernetes"))
        }
        Some(Joined::Gathering { pod, log, line, .. }) => {
            made.evidence(line_evidence(log, line)).also(snap.owner_ref(pod))
        }
        _ => made,
    }
}

/// Who cannot ask: its pod and container, and the DaemonSet or Deployment of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Asks {
    proxy_container: String,
    proxy_pod: String,
    proxy_node: Option<String>,
}

impl Asks {
    /// Of the kube-rbac-proxy in front of a target.
    pub(super) fn of(snap: &Snapshot, down: &Down<'_>) -> Self {
        match joined::of(snap, down) {
            Some(Joined::Review { pod, log, .. }) => Self {
                proxy_container: log.container.clone(),
                proxy_pod: log.pod.clone(),
                proxy_node: pod.spec.node_name.clone(),
            },
            _ => Self { proxy_container: "kube-rbac-proxy".into(), proxy_pod: "<pod>".into(), proxy_node: None },
        }
    }
}

/// An argument, and as it has to be.
#[derive(Serialize, JsonSchema)]
pub(super) struct Bound {
    argument: String,
    open_argument: String,
    bound_owner: Option<String>,
    bound_by: String,
}

impl Bound {
    /// The argument that makes the target listen on loopback.
    pub(super) fn of(snap: &Snapshot, down: &Down<'_>) -> Self {
        let Some(Joined::Argument { pod, argument, .. }) = joined::of(snap, down) else {
            return Self {
                argument: "<argument>".to_owned(),
                open_argument: "<argument>".to_owned(),
                bound_owner: None,
                bound_by: String::new(),
            };
        };
        let target = Target::of(snap, pod);
        let open = ["127.0.0.1", "localhost"].iter().fold(argument.to_owned(), |text, l| text.replace(l, "0.0.0.0"));
        Self {
            argument: argument.to_owned(),
            open_argument: open.replace("[::1]", "[::]"),
            bound_owner: Some(target.name.clone()),
            bound_by: target.managed_by,
        }
    }
}

/// The ConfigMap with kube-proxy's configuration.
pub(super) fn proxy_map(snap: &Snapshot, down: &Down<'_>) -> String {
    match joined::of(snap, down) {
        Some(Joined::KubeProxy { map: Some((map, ..)) }) => map.metadata.name.clone(),
        _ => "kube-proxy-config".to_owned(),
    }
}

/// How a port goes past the side-car.
#[derive(Serialize, JsonSchema)]
pub(super) struct Past {
    istio: bool,
    exclude_patch: String,
    bound_owner: Option<String>,
    bound_by: String,
}

impl Past {
    /// Of the target's mesh.
    pub(super) fn of(snap: &Snapshot, down: &Down<'_>) -> Self {
        let Some(Joined::Mesh { pod, mesh }) = joined::of(snap, down) else {
            return Self { istio: false, exclude_patch: String::new(), bound_owner: None, bound_by: String::new() };
        };
        let target = Target::of(snap, pod);
        let port = down.address.as_ref().map(|a| a.port.to_string()).unwrap_or_default();
        let patch = serde_json::json!({"spec": {"template": {"metadata": {"annotations": {mesh.exclusion(): port}}}}});
        Self {
            istio: mesh == Mesh::Istio,
            exclude_patch: patch.to_string(),
            bound_owner: Some(target.name.clone()),
            bound_by: target.managed_by,
        }
    }
}
