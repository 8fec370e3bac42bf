//! Who Prometheus is to a target that refuses it, and which Kubernetes permission the target asks for.

use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::prometheus::rbac_proxy::{self, Asked};
use crate::domain::prometheus::targets::{self, Address};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ScrapeTarget;

/// What decides whether a scrape is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The kubelet, asked directly.
    Kubelet,
    /// The kubelet behind the API server's node proxy.
    NodeProxy,
    /// The metrics of the EKS control plane, an API of their own.
    EksControlPlane,
    /// The API server.
    ApiServer,
    /// kube-rbac-proxy in front of an exporter.
    RbacProxy,
    /// The application itself.
    Application,
}

impl Guard {
    /// What decides about a target.
    pub(crate) fn of(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> Self {
        if address.path.starts_with("/apis/metrics.eks.amazonaws.com/") {
            return Self::EksControlPlane;
        }
        if address.path.starts_with("/api/v1/nodes/") && address.path.contains("/proxy/") {
            return Self::NodeProxy;
        }
        let service = targets::service_of(snap, target, address);
        if service.is_some_and(|(namespace, name)| namespace == "default" && name == "kubernetes") {
            return Self::ApiServer;
        }
        match targets::pod_of(snap, target, address) {
            Some((namespace, name)) => {
                let pod = snap.pods.find(&namespace, &name).ok().flatten();
                let proxied = pod.is_some_and(|p| p.spec.containers.iter().any(rbac_proxy::is_it));
                if proxied { Self::RbacProxy } else { Self::Application }
            }
            // The operator's own webhook listens on 10250 too, but in a pod.
            None if address.port == KUBELET_PORT => Self::Kubelet,
            None => Self::Application,
        }
    }

    /// The word for the fixes; `None`: the application decides.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Kubelet => Some("kubelet"),
            Self::NodeProxy => Some("node-proxy"),
            Self::EksControlPlane => Some("eks-control-plane"),
            Self::ApiServer => Some("api-server"),
            Self::RbacProxy => Some("kube-rbac-proxy"),
            Self::Application => None,
        }
    }

    /// What `kubectl auth can-i get` asks.
    pub(crate) fn asks(self, path: &str) -> Vec<String> {
        match self {
            // `nodes/metrics` would be read as a node called metrics.
            Self::Kubelet => vec!["nodes".into(), "--subresource=metrics".into()],
            Self::NodeProxy => vec!["nodes".into(), "--subresource=proxy".into()],
            Self::EksControlPlane => {
                let part = if path.contains("/ksh/") { "ksh" } else { "kcm" };
                vec![format!("{part}.metrics.eks.amazonaws.com"), "--subresource=metrics".into()]
            }
            Self::ApiServer | Self::RbacProxy | Self::Application => vec![path.to_owned()],
        }
    }
}

/// What the target asks for, where that is not of the path alone.
pub(crate) fn asked(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> Asked {
    if Guard::of(snap, target, address) != Guard::RbacProxy {
        return Asked::Path;
    }
    let pod = targets::pod_of(snap, target, address)
        .and_then(|(namespace, name)| snap.pods.find(&namespace, &name).ok().flatten());
    pod.map_or(Asked::Path, |pod| rbac_proxy::asked(snap, pod, address.port))
}

/// The permission that Prometheus' service account lacks where Kubernetes decides.
pub(crate) fn lacking(snap: &Snapshot, target: &ScrapeTarget, address: &Address) -> Option<String> {
    let guard = Guard::of(snap, target, address);
    guard.word()?;
    let asked = match asked(snap, target, address) {
        Asked::Path => guard.asks(address.bare_path()).join(" ").replace(" --subresource=", "/"),
        Asked::Resource(attributes) => attributes.words(),
        Asked::Hidden(_) => return None,
    };
    let pod = targets::prometheus_pod(snap)?;
    let account = pod.spec.account();
    // Its roles are not read: the target alone says no.
    Some(format!("ServiceAccount {}/{account} probably may not get {asked}", pod.metadata.namespace))
}
