//! Port-forwards that work, and what mends those that do not.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Part;
use crate::domain::kubernetes::forwarding::way_round;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::own_address::{declared, listens_on};
use crate::domain::kubernetes::service_port::reached;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod, ServicePort};

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    service_name: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    ServicePort {
        /// The port of the Service, and the one that the container listens on.
        service_port: u16,
        container_port: u16,
        #[serde(flatten)]
        to_service: ToService,
        #[serde(flatten)]
        to_pod: ToPod,
    },
    TargetPort {
        #[serde(flatten)]
        to_pod: ToPod,
        /// The patch that leads the Service to where the container listens, where that is known.
        patch: Option<String>,
    },
    Restarted {
        pod_name: String,
        #[serde(flatten)]
        to_service: ToService,
    },
    Node {
        node: String,
        /// Its own instance, where its security groups are in question.
        own_instance: Option<String>,
        /// An instance to go through instead, and the parameters of its session.
        instance: Option<String>,
        forward: String,
    },
}

/// A port-forward to a Service: `svc/NAME 3000:80`.
#[derive(Serialize, JsonSchema)]
struct ToService {
    service: String,
    service_ports: String,
}

/// One to a pod: `pod/NAME 3000:3000`.
#[derive(Serialize, JsonSchema)]
struct ToPod {
    pod: String,
    pod_ports: String,
}

/// Ports that work: of the Service, and of the container.
struct Ports {
    local: u16,
    of_service: u16,
    of_pod: u16,
}

impl Ports {
    fn of(part: &Part<'_>, pod: &Pod, port: Option<&ServicePort>) -> Self {
        let local = part.program.port();
        let ports = &part.service.spec.ports;
        let listens = listens_on(pod);
        let main = ports.iter().find(|p| listens.is_some() && reached(part.service, p.port, pod) == listens);
        let port = port.or(main).or(ports.first());
        let of_pod = listens.or_else(|| reached(part.service, port?.port, pod)).unwrap_or(local);
        Self { local, of_service: port.map_or(of_pod, |p| p.port), of_pod }
    }

    fn to_service(&self, part: &Part<'_>) -> ToService {
        let service = format!("svc/{}", part.service.metadata.name);
        ToService { service, service_ports: format!("{}:{}", self.local, self.of_service) }
    }

    fn to_pod(&self, pod: &Pod) -> ToPod {
        let name = format!("pod/{}", pod.metadata.name);
        ToPod { pod: name, pod_ports: format!("{}:{}", self.local, self.of_pod) }
    }
}

impl Fix {
    fn of(part: &Part<'_>, way: Way) -> Self {
        let meta = &part.service.metadata;
        Self { namespace: meta.namespace.clone(), service_name: meta.name.clone(), way }
    }

    /// Somebody asked the pod for a port that is the Service's.
    pub(super) fn service_port(part: &Part<'_>, pod: &Pod, port: Option<&ServicePort>) -> Self {
        let ports = Ports::of(part, pod, port);
        let way = Way::ServicePort {
            service_port: ports.of_service,
            container_port: ports.of_pod,
            to_service: ports.to_service(part),
            to_pod: ports.to_pod(pod),
        };
        Self::of(part, way)
    }

    /// The Service leads to where nothing listens.
    pub(super) fn target_port(part: &Part<'_>, pod: &Pod, port: &ServicePort, place: usize) -> Self {
        let path = format!("/spec/ports/{place}");
        // Where another port leads there already, this one is meant for something else.
        let is_taken = |right: &u16| {
            let others = part.service.spec.ports.iter().filter(|p| p.port != port.port);
            others.filter_map(|p| reached(part.service, p.port, pod)).any(|taken| taken == *right)
        };
        let right = listens_on(pod).or_else(|| declared(pod).first().copied()).filter(|right| !is_taken(right));
        let patch = right.map(|right| {
            let target = json_patch::replace(&format!("{path}/targetPort"), right);
            json_patch::text([json_patch::test(&format!("{path}/port"), port.port), target])
        });
        Self::of(part, Way::TargetPort { to_pod: Ports::of(part, pod, Some(port)).to_pod(pod), patch })
    }

    /// The pod is well again.
    pub(super) fn restarted(part: &Part<'_>, pod: &Pod) -> Self {
        let to_service = Ports::of(part, pod, None).to_service(part);
        Self::of(part, Way::Restarted { pod_name: pod.metadata.name.clone(), to_service })
    }

    /// The kubelet of its node is not reached: Session Manager forwards to any host that another node reaches.
    pub(super) fn node(snap: &Snapshot, part: &Part<'_>, pod: &Pod, node: &Node, refused: bool) -> Self {
        let nodes = snap.nodes.items().unwrap_or_default();
        let other = way_round(nodes, Some(&node.metadata.name)).filter(|i| Some(*i) != node.instance_id());
        let port = listens_on(pod).or_else(|| declared(pod).first().copied()).unwrap_or(3000).to_string();
        let host = pod.status.pod_ip.as_deref().unwrap_or("<pod-ip>");
        let forward = json!({"host": [host], "portNumber": [port], "localPortNumber": [port]});
        let way = Way::Node {
            node: node.metadata.name.clone(),
            own_instance: node.instance_id().filter(|_| refused).map(str::to_owned),
            instance: other.map(str::to_owned),
            forward: forward.to_string(),
        };
        Self::of(part, way)
    }
}
