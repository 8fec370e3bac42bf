//! Service meshes, told by the side-cars that they put into pods.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// A service mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mesh {
    /// Istio.
    Istio,
    /// Linkerd.
    Linkerd,
}

impl Mesh {
    /// The mesh that a pod is part of.
    pub(crate) fn of(pod: &Pod) -> Option<Self> {
        let side_car = |name: &str| [Self::Istio, Self::Linkerd].into_iter().find(|mesh| mesh.sidecar() == name);
        pod.all_containers().find_map(|c| side_car(&c.name))
    }

    /// Its side-car.
    pub(crate) fn sidecar(self) -> &'static str {
        match self {
            Self::Istio => "istio-proxy",
            Self::Linkerd => "linkerd-proxy",
        }
    }

    /// The annotation of a pod by which ports go past the side-car.
    pub(crate) fn exclusion(self) -> &'static str {
        match self {
            Self::Istio => "traffic.sidecar.istio.io/excludeInboundPorts",
            Self::Linkerd => "config.linkerd.io/skip-inbound-ports",
        }
    }

    /// How the names of the pods begin that give its side-cars their identity.
    fn authority(self) -> &'static str {
        match self {
            Self::Istio => "istiod",
            Self::Linkerd => "linkerd-identity",
        }
    }
}

/// Pods of the mesh's control plane for which the side-car of a pod waits: without an identity it never becomes ready, and the
/// pod with it. None where one of them is ready: then it is not for want of them.
pub(crate) fn awaited<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a Pod> {
    let Some(mesh) = Mesh::of(pod) else { return Vec::new() };
    let waits = pod.statuses().any(|s| s.name == mesh.sidecar() && !s.ready && s.state.terminated.is_none());
    if !waits {
        return Vec::new();
    }
    let is_authority = |p: &&Pod| p.metadata.name.starts_with(mesh.authority()) && !p.is_finished();
    let all: Vec<&Pod> = snap.pods.items().unwrap_or_default().iter().filter(is_authority).collect();
    if all.iter().any(|p| p.is_ready()) { Vec::new() } else { all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    #[test]
    fn a_side_car_waits_for_who_gives_it_its_identity() {
        let pod = |name: &str, container: &str, ready: bool| -> Value {
            json!({"metadata": {"name": name, "namespace": "x"}, "spec": {"containers": [{"name": container}]},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
                    "containerStatuses": [{"name": container, "ready": ready, "state": {"running": {}}}]}})
        };
        let awaited_by = |own: Value, others: Value| {
            let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
            snap.pods = Listing::cluster(serde_json::from_value(others).expect("pods"));
            let own: Pod = serde_json::from_value(own).expect("a pod");
            awaited(&snap, &own).iter().map(|p| p.metadata.name.clone()).collect::<Vec<_>>()
        };
        let grafana = || pod("grafana", "linkerd-proxy", false);
        let identity = |ready| pod("linkerd-identity-0", "identity", ready);
        assert_eq!(awaited_by(grafana(), json!([identity(false)])), ["linkerd-identity-0"]);
        assert!(awaited_by(grafana(), json!([identity(false), identity(true)])).is_empty(), "another one gives it");
        assert!(awaited_by(pod("grafana", "linkerd-proxy", true), json!([identity(false)])).is_empty());
        assert!(awaited_by(pod("grafana", "grafana", false), json!([identity(false)])).is_empty());
        assert!(awaited_by(pod("grafana", "istio-proxy", false), json!([identity(false)])).is_empty());
    }
}
