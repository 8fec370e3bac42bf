//! Service meshes, told by the side-cars that they put into pods.

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
}
