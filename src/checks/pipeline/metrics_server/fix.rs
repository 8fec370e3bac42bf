//! Which fix a metrics API gets that does not answer, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::addon;
use crate::checks::support::host_network::{self, HostNetwork};
use crate::domain::aws::firewall::{Firewall, Verdict};
use crate::domain::aws::interface::Interfaces;
use crate::domain::kubernetes::api_services::{self, Unavailable};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::endpoints::Cause;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::metrics_server::{self, Failed, KubeletCause, OwnNode};
use crate::domain::kubernetes::network_policy::Protocol;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::snapshot::kubernetes::Workload;
use crate::snapshot::{Platform, Snapshot, journal};

/// Lets the kubelet's probes, which come without a name, see whether it is ready.
const OPEN_PATHS: &str = "--authorization-always-allow-paths=/livez,/readyz";
/// A port of its own where the kubelet has 10250.
const OTHER_PORT: u16 = 10251;
/// Takes the kubelets' certificates as they are.
const INSECURE: &str = "--kubelet-insecure-tls";
/// Asks the nodes by their addresses.
const BY_ADDRESS: &str = "--kubelet-preferred-address-types=InternalIP";

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// The API is given up: nothing is there to be looked at afterwards.
    gone: bool,
    #[serde(flatten)]
    way: Way,
}

impl From<Way> for Fix {
    fn from(way: Way) -> Self {
        Self { gone: matches!(way, Way::LeftBehind { .. }), way }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    InstallAddon(Cluster),
    InstallManifest,
    InstallLocal,
    LeftBehind {
        namespace: String,
        is_eks: bool,
        #[serde(flatten)]
        cluster: Cluster,
    },
    Reinstall {
        namespace: String,
        service: String,
        managed_by: String,
        #[serde(flatten)]
        addon: Addon,
    },
    ScaledToZero {
        namespace: String,
        workload: String,
        managed_by: String,
    },
    NotReady {
        namespace: String,
        workload: String,
        /// One of its pods; empty where there is none.
        pod: String,
        /// It has ended before.
        crashed: bool,
    },
    Blocked {
        namespace: String,
        /// The port of its pods.
        api_port: String,
        is_eks: bool,
        #[serde(flatten)]
        cluster: Cluster,
        /// Security groups: of the control plane, and of the nodes.
        cluster_group: String,
        node_group: String,
        /// Kubelets do not answer it in time either.
        kubelet: bool,
        /// The security groups admit it: something else drops it.
        admitted: bool,
    },
    Overlay(HostNetwork),
    KubeletBlocked {
        namespace: String,
        nodes: Vec<String>,
        is_eks: bool,
        node_group: String,
    },
    InsecureTls {
        namespace: String,
        workload: String,
        insecure_patch: String,
    },
    KubeletCertificate {
        is_eks: bool,
    },
    KubeletDenied {
        namespace: String,
        #[serde(flatten)]
        addon: Addon,
    },
    /// The role is right: other kubelets let it read.
    KubeletAuthorization {
        namespace: String,
        node: String,
        nodes: Vec<String>,
    },
    KubeletName {
        namespace: String,
        workload: String,
        managed_by: String,
        address_patch: String,
    },
    /// Its pod listens on the port of the kubelet with which it shares its address.
    OwnPort {
        namespace: String,
        workload: String,
        /// Empty where its port is not told in one place each.
        port_patch: String,
        managed_by: String,
    },
    /// Its pod does not reach the kubelet of its own node, as none does on Fargate.
    OwnNode {
        node: String,
    },
    /// The kubelet's probes are forbidden.
    ProbesForbidden {
        namespace: String,
        workload: String,
        paths_patch: String,
        managed_by: String,
    },
    Look {
        namespace: String,
        workload: String,
    },
}

/// The cluster as commands of AWS name it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Cluster {
    cluster: String,
}

impl Cluster {
    fn of(snap: &Snapshot) -> Self {
        Self { cluster: snap.target.cluster.as_deref().unwrap_or("<cluster>").to_owned() }
    }
}

/// The EKS add-on.
#[derive(Serialize, JsonSchema)]
pub(super) struct Addon {
    is_addon: bool,
    /// Options that repeat what was given to it.
    kept: Vec<String>,
    #[serde(flatten)]
    cluster: Cluster,
}

impl Addon {
    fn of(snap: &Snapshot) -> Self {
        let addon = addon::named(snap, "metrics-server");
        Self { is_addon: addon.is_some(), kept: addon::kept(addon), cluster: Cluster::of(snap) }
    }
}

/// What serves the API.
pub(super) struct Server<'a> {
    namespace: String,
    service: String,
    workload: String,
    /// Empty where nobody keeps it, or it is not known.
    managed_by: String,
    deployment: Option<&'a Workload>,
}

impl<'a> Server<'a> {
    /// As it usually is. What is printed hangs on it, no verdict.
    pub(super) fn usual(snap: &'a Snapshot, namespace: &str) -> Self {
        let all = journal::aside(|| snap.workloads.items().unwrap_or_default());
        let mut own =
            all.iter().filter(|w| w.metadata.namespace == "kube-system" && w.metadata.name == "metrics-server");
        let deployment = own.find(|w| w.kind == "Deployment");
        Self {
            namespace: namespace.to_owned(),
            service: "metrics-server".to_owned(),
            workload: "deployment/metrics-server".to_owned(),
            managed_by: deployment.map(|d| managed_by(&d.metadata)).unwrap_or_default(),
            deployment,
        }
    }

    /// The one behind an API.
    pub(super) fn of(snap: &'a Snapshot, silent: &Unavailable<'a>) -> Self {
        let usual = Self::usual(snap, &silent.service.namespace);
        let service = silent.service.name.clone();
        let looks_like = match &silent.fault {
            api_services::Cause::NoEndpoints(Some(reason)) => reason.workload(),
            _ => None,
        };
        match served_by(snap, silent).or(looks_like) {
            Some(found) => Self {
                service,
                workload: found.kubectl_name(),
                managed_by: managed_by(&found.metadata),
                deployment: Some(found),
                ..usual
            },
            None => Self { service, ..usual },
        }
    }
}

/// The Deployment that serves the API.
fn served_by<'a>(snap: &'a Snapshot, silent: &Unavailable<'a>) -> Option<&'a Workload> {
    let service = snap.services.find(&silent.service.namespace, &silent.service.name).ok()??;
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    workloads
        .filter(|w| w.metadata.namespace == service.metadata.namespace)
        .find(|w| crate::domain::kubernetes::index::selects(&service.spec.selector, &w.spec.template.metadata.labels))
}

/// There is none.
pub(super) fn install(snap: &Snapshot) -> Fix {
    let way = match snap.platform {
        Platform::Eks => Way::InstallAddon(Cluster::of(snap)),
        _ if metrics_server::is_local_cluster(snap) => Way::InstallLocal,
        _ => Way::InstallManifest,
    };
    way.into()
}

/// It is there and does not answer; `is_left` where nothing stands behind it any more.
pub(super) fn silent(snap: &Snapshot, silent: &Unavailable<'_>, failed: &[Failed<'_>], is_left: bool) -> Fix {
    let server = Server::of(snap, silent);
    let is_eks = snap.platform == Platform::Eks;
    let way = match &silent.fault {
        _ if is_left => Way::LeftBehind { namespace: server.namespace, is_eks, cluster: Cluster::of(snap) },
        // Where nothing makes its pods, there is nothing to look at.
        api_services::Cause::NoService
        | api_services::Cause::NoPort
        | api_services::Cause::NoEndpoints(Some(Cause::NoWorkload)) => Way::Reinstall {
            namespace: server.namespace,
            service: server.service,
            managed_by: server.managed_by,
            addon: Addon::of(snap),
        },
        api_services::Cause::NoEndpoints(Some(Cause::ScaledToZero(_))) => {
            Way::ScaledToZero { namespace: server.namespace, workload: server.workload, managed_by: server.managed_by }
        }
        // It is not ready until one kubelet has answered.
        api_services::Cause::NoEndpoints(Some(Cause::NotReady(_))) if !failed.is_empty() => {
            Way::of_kubelets(snap, failed, server, false)
        }
        api_services::Cause::NoEndpoints(Some(reason)) if super::forbids_probes(snap, reason) => Way::ProbesForbidden {
            paths_patch: arguments::adding(server.deployment, "metrics-server", OPEN_PATHS),
            namespace: server.namespace,
            workload: server.workload,
            managed_by: server.managed_by,
        },
        api_services::Cause::NoEndpoints(_) | api_services::Cause::Refused => {
            let pods = match &silent.fault {
                api_services::Cause::NoEndpoints(Some(reason)) => reason.pods(),
                _ => &[],
            };
            let pod = pods.first();
            Way::NotReady {
                namespace: server.namespace,
                workload: server.workload,
                crashed: pod.is_some_and(|p| p.statuses().any(|s| s.restart_count > 0)),
                pod: pod.map(|p| p.metadata.name.clone()).unwrap_or_default(),
            }
        }
        api_services::Cause::Timeout => match HostNetwork::behind(snap, silent.service) {
            Some(overlay) => Way::Overlay(overlay),
            None => Way::blocked(snap, silent, failed, server),
        },
        api_services::Cause::Certificate | api_services::Cause::Status | api_services::Cause::Other => {
            Way::Look { namespace: server.namespace, workload: server.workload }
        }
    };
    way.into()
}

/// It gets nothing from kubelets.
pub(super) fn kubelets(snap: &Snapshot, failed: &[Failed<'_>]) -> Fix {
    let others = metrics_server::others_answer(snap, failed);
    Way::of_kubelets(snap, failed, Server::usual(snap, &failed[0].log.namespace), others).into()
}

impl Way {
    fn blocked(snap: &Snapshot, silent: &Unavailable<'_>, failed: &[Failed<'_>], server: Server<'_>) -> Self {
        Self::Blocked {
            namespace: server.namespace,
            api_port: called_port(silent).unwrap_or_else(|| "<container-port>".to_owned()),
            is_eks: snap.platform == Platform::Eks,
            cluster: Cluster::of(snap),
            cluster_group: snap.eks_cluster().map_or_else(
                |_| "<cluster-security-group>".to_owned(),
                |c| c.resources_vpc_config.cluster_security_group_id.clone(),
            ),
            node_group: node_group(snap),
            kubelet: failed.iter().any(|f| f.fault == KubeletCause::Timeout),
            admitted: admitted(snap, silent),
        }
    }

    /// `others`: other kubelets answer.
    fn of_kubelets(snap: &Snapshot, failed: &[Failed<'_>], server: Server<'_>, others: bool) -> Self {
        let Server { namespace, workload, managed_by, deployment, .. } = server;
        let is_eks = snap.platform == Platform::Eks;
        let adding = |argument| arguments::adding(deployment, "metrics-server", argument);
        // Where others fail as well, they have another reason.
        match metrics_server::own_node(snap, &failed[0]).filter(|_| failed.len() == 1) {
            Some(OwnNode::OnItsPort) => {
                // Empty where its port is not told in one place each.
                let patch = deployment.and_then(|d| host_network::port_patch(d, KUBELET_PORT, OTHER_PORT));
                let port_patch = patch.unwrap_or_default();
                return Self::OwnPort { namespace, workload, port_patch, managed_by };
            }
            Some(OwnNode::Unreached) => return Self::OwnNode { node: failed[0].node.clone() },
            None => {}
        }
        match failed[0].fault {
            KubeletCause::NoAddressInCertificate | KubeletCause::UnknownAuthority
                if metrics_server::is_local_cluster(snap) =>
            {
                Self::InsecureTls { namespace, workload, insecure_patch: adding(INSECURE) }
            }
            KubeletCause::NoAddressInCertificate
            | KubeletCause::UnknownAuthority
            | KubeletCause::NoCertificate
            | KubeletCause::Expired => Self::KubeletCertificate { is_eks },
            KubeletCause::Timeout => Self::KubeletBlocked {
                namespace,
                nodes: failed.iter().map(|f| f.node.clone()).collect(),
                is_eks: is_eks && failed.iter().all(|f| has_security_groups(snap, &f.node)),
                node_group: node_group(snap),
            },
            KubeletCause::Forbidden | KubeletCause::Unauthorized if others => Self::KubeletAuthorization {
                namespace,
                node: failed[0].node.clone(),
                nodes: failed.iter().map(|f| f.node.clone()).collect(),
            },
            KubeletCause::Forbidden | KubeletCause::Unauthorized => {
                Self::KubeletDenied { namespace, addon: Addon::of(snap) }
            }
            KubeletCause::NoHost => {
                Self::KubeletName { namespace, workload, managed_by, address_patch: adding(BY_ADDRESS) }
            }
            KubeletCause::Refused | KubeletCause::Other => Self::Look { namespace, workload },
        }
    }
}

/// A node that is an instance of EC2, as far as it says: a hybrid node lies behind the firewalls of somebody else.
fn has_security_groups(snap: &Snapshot, node: &str) -> bool {
    let node = snap.nodes.named(node).ok().flatten();
    node.is_none_or(|n| n.spec.provider_id.is_none() || n.instance_id().is_some())
}

/// The security groups are known to let the control plane through to the pods.
fn admitted(snap: &Snapshot, silent: &Unavailable<'_>) -> bool {
    let service = snap.services.find(&silent.service.namespace, &silent.service.name).ok().flatten();
    let port = called_port(silent).and_then(|p| p.parse().ok());
    let (Some(service), Some(port), Ok(firewall)) = (service, port, Firewall::of(snap)) else { return false };
    let interfaces = Interfaces::new(snap);
    let Some(from) = interfaces.of_control_plane() else { return false };
    let mut ends = snap.pods_of_service(service).filter_map(|p| interfaces.of_pod(p)).peekable();
    ends.peek().is_some() && ends.all(|to| firewall.verdict(&from, &to, Protocol::Tcp, port) == Verdict::Passes)
}

/// The security group that all nodes share, where it is one and not the cluster's own.
fn node_group(snap: &Snapshot) -> String {
    let own = snap.eks_cluster().map(|c| c.resources_vpc_config.cluster_security_group_id.clone()).unwrap_or_default();
    let groups: Vec<String> = super::security_groups(snap).into_iter().filter(|g| *g != own).collect();
    match groups.as_slice() {
        [one] => one.clone(),
        [] if !own.is_empty() && snap.instances().is_ok_and(|i| !i.is_empty()) => own,
        _ => "<node-security-group>".to_owned(),
    }
}

/// The port of the pod that the condition's URL has.
fn called_port(silent: &Unavailable<'_>) -> Option<String> {
    let message = silent.condition.message.as_deref()?;
    let host = message.split_once("https://")?.1.split('/').next()?;
    let port = host.rsplit_once(':')?.1;
    port.chars().all(|c| c.is_ascii_digit()).then(|| port.to_owned())
}
