//! What to do where a program does not reach something that it needs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::kept::Kept;
use crate::checks::support::named::Named;
use crate::domain::crash::Crash;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::model::{Program, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// Values of the shared steps `reach`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Reach {
    advice: String,
    host: String,
    port: String,
    /// The name is not found: no connection is tried.
    unresolved: bool,
    /// The namespace of the Service that it names.
    of_namespace: Option<String>,
    service_namespace: Option<String>,
    /// The label by which the Service's EndpointSlices are found.
    service: Option<String>,
    is_grafana: bool,
    container: String,
    pod: String,
    #[serde(flatten)]
    named: Named,
    #[serde(flatten)]
    kept: Kept,
}

impl Reach {
    /// `named` is where the address stands.
    pub(crate) fn of(
        snap: &Snapshot,
        (pod, container): (&Pod, &Container),
        target: &Target<'_>,
        crash: &Crash,
        named: Named,
    ) -> Self {
        let meta = &pod.metadata;
        let (name, port) = crash.unreached().unwrap_or_default();
        let service = snap.service_by_host(name).map(|s| s.metadata.clone());
        let of_cluster = in_cluster(snap, name, &meta.namespace);
        let own = std::iter::once(container).chain(&pod.spec.containers);
        Self {
            unresolved: crash.reason.contains("is not found in the DNS"),
            of_namespace: of_cluster.map(|s| s.namespace),
            advice: crash.advice.clone(),
            host: name.to_owned(),
            port: port.unwrap_or("443").to_owned(),
            service_namespace: service.as_ref().map(|m| m.namespace.clone()),
            service: service.map(|m| format!("kubernetes.io/service-name={}", m.name)),
            is_grafana: own.into_iter().any(|c| c.program() == Some(Program::Grafana)),
            container: container.name.clone(),
            pod: meta.name.clone(),
            named,
            kept: Kept::of(target),
        }
    }
}

/// On what it hangs that a pod reaches the addresses of Services: they lead somewhere by kube-proxy, on each node by its own.
pub(crate) fn way_to_services(snap: &Snapshot, pod: &Pod) -> Vec<ResourceRef> {
    let node = &pod.spec.node_name;
    let here = snap.pods.items().unwrap_or_default().iter().filter(|p| p.spec.node_name == *node);
    let proxies = here.filter(|p| p.spec.containers.iter().any(|c| c.image.contains("kube-proxy")));
    let others = proxies.map(|p| &p.metadata).filter(|meta| meta.name != pod.metadata.name);
    let agents = others.map(|meta| ResourceRef::pod(&meta.namespace, &meta.name));
    node.iter().map(|name| ResourceRef::node(name)).chain(agents).collect()
}
