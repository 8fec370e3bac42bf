//! What the control plane cannot reach in an overlay is run in the network of its nodes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::domain::aws::overlay;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::{owner, service_port};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, ServiceReference, Workload};

/// Ports that are tried in the place of the kubelet's.
const PORTS: &[u16] = &[4443, 9443, 8443, 10260];
/// Values of charts that do it, by the base name of an image.
const VALUES: &[(&str, &str)] = &[
    ("metrics-server", "hostNetwork.enabled, containerPort"),
    ("prometheus-operator", "prometheusOperator.hostNetwork, prometheusOperator.tls.internalPort"),
    ("prometheus-adapter", "hostNetwork.enabled, listenPort"),
    ("cert-manager-webhook", "webhook.hostNetwork, webhook.securePort"),
    ("keda-metrics-apiserver", "metricsServer.useHostNetwork"),
    ("aws-load-balancer-controller", "hostNetwork"),
];

/// Values of the shared step `host-network`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HostNetwork {
    /// `deployment/name`.
    served_by: String,
    served_namespace: String,
    /// The networks of the VPC.
    networks: String,
    /// A JSON patch; empty where it has to be set by hand.
    network_patch: String,
    /// It listens on the kubelet's port.
    clash: bool,
    /// `None` where it has to be chosen by hand.
    host_port: Option<u16>,
    /// Who keeps it, and what of its values does it.
    kept_by: String,
    chart_values: String,
}

impl HostNetwork {
    /// A pod in an overlay that listens on a port; `None` where the VPC gives its address, or that is not known. Its port
    /// can move only where its Service names it.
    fn of(snap: &Snapshot, pod: &Pod, port: u16, is_named: bool) -> Option<Self> {
        let networks = overlay::outside_of(snap, pod)?;
        let owner = snap.owner_ref(pod);
        let workload = owner::workload(snap, &owner);
        let clash = port == KUBELET_PORT;
        let to = if clash { free_port(snap).filter(|_| is_named) } else { Some(port) };
        let patch = workload.zip(to).and_then(|(w, to)| patch(w, port, clash.then_some(to)));
        let host_port = to.filter(|_| !clash || patch.is_some());
        Some(Self {
            served_by: owner.kubectl_name(),
            served_namespace: pod.metadata.namespace.clone(),
            networks: networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            network_patch: patch.unwrap_or_default(),
            clash,
            host_port,
            kept_by: workload.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
            chart_values: chart_values(pod).to_owned(),
        })
    }

    /// Of what stands behind a port of a Service.
    pub(crate) fn behind(snap: &Snapshot, called: &ServiceReference) -> Option<Self> {
        let service = snap.services.find(&called.namespace, &called.name).ok()??;
        let pod = snap.pods_of_service(service).next()?;
        let mut ports = service.spec.ports.iter();
        let port = ports.find(|p| called.port.is_none_or(|wanted| p.port == wanted))?;
        Self::of(snap, pod, service_port::target(port, pod)?, port.target_port.is_string())
    }

    /// Why it is not reached, as the end of a sentence.
    pub(crate) fn why(&self, service: &str) -> String {
        format!(
            "the pods of Service {service} have addresses of an overlay and none of the VPC ({}), and the control plane has no route to them",
            self.networks
        )
    }
}

/// A port that nothing in the network of a node has; `None` where each that is tried is taken.
pub(crate) fn free_port(snap: &Snapshot) -> Option<u16> {
    let pods = snap.pods.items().unwrap_or_default();
    let is_taken = |port: u16| {
        let ports = pods.iter().flat_map(|p| p.spec.containers.iter().map(move |c| (p, c)));
        ports
            .flat_map(|(p, c)| c.ports.iter().map(move |q| (p, q)))
            .any(|(p, q)| q.host_port == Some(port) || (p.spec.host_network && q.container_port == port))
    };
    PORTS.iter().copied().find(|p| !is_taken(*p))
}

/// Values of the chart of a pod's program that set its network and port; empty where they are not known.
pub(crate) fn chart_values(pod: &Pod) -> &'static str {
    let known = |c: &Container| VALUES.iter().find(|(image, _)| *image == base_of(&c.image)).map(|(_, values)| *values);
    pod.spec.containers.iter().find_map(known).unwrap_or_default()
}

/// A JSON patch that moves a workload into the network of its nodes, and to another port where that is needed. `None` where
/// the port stands in no argument.
fn patch(workload: &Workload, port: u16, to: Option<u16>) -> Option<String> {
    let mut operations = vec![
        json_patch::add("/spec/template/spec/hostNetwork", true),
        json_patch::add("/spec/template/spec/dnsPolicy", "ClusterFirstWithHostNet"),
    ];
    if let Some(to) = to {
        operations.extend(moved(workload, port, to)?);
    }
    Some(json_patch::text(operations))
}

/// A JSON patch that gives a workload another port. `None` where the port stands in no argument.
pub(crate) fn port_patch(workload: &Workload, port: u16, to: u16) -> Option<String> {
    moved(workload, port, to).map(json_patch::text)
}

fn moved(workload: &Workload, port: u16, to: u16) -> Option<Vec<Value>> {
    let containers = workload.spec.template.spec.containers.iter().enumerate();
    let (at, container) = containers.into_iter().find(|(_, c)| c.ports.iter().any(|p| p.container_port == port))?;
    let path = format!("/spec/template/spec/containers/{at}");
    let old = port.to_string();
    let names = |arg: &str| arg.len() > old.len() && arg.rsplit([':', '=']).next() == Some(old.as_str());
    let (word, argument) = container.args.iter().enumerate().find(|(_, a)| names(a))?;
    let changed = format!("{}{to}", argument.strip_suffix(old.as_str())?);
    let mut operations = vec![json_patch::test(&format!("{path}/name"), container.name.as_str())];
    operations.extend(json_patch::swap(&format!("{path}/args/{word}"), argument.as_str(), changed));
    let mut replace = |path: String| operations.extend(json_patch::swap(&path, port, to));
    for (index, p) in container.ports.iter().enumerate().filter(|(_, p)| p.container_port == port) {
        replace(format!("{path}/ports/{index}/containerPort"));
        // In the network of a node they are the same.
        if p.host_port == Some(port) {
            replace(format!("{path}/ports/{index}/hostPort"));
        }
    }
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    for (kind, probe) in probes {
        let Some(probe) = probe else { continue };
        let http = probe.http_get.as_ref().map(|asked| ("httpGet", &asked.port));
        let tcp = probe.tcp_socket.as_ref().map(|asked| ("tcpSocket", &asked.port));
        for (way, asked) in http.into_iter().chain(tcp) {
            if asked.as_u64() == Some(port.into()) {
                replace(format!("{path}/{kind}/{way}/port"));
            }
        }
    }
    Some(operations)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_moves_with_the_argument_that_names_it() {
        let with = |args: Value| -> Workload {
            serde_json::from_value(json!({"metadata": {"name": "w"}, "spec": {"template": {"spec": {"containers": [
                {"name": "w", "args": args, "ports": [{"name": "https", "containerPort": 10250}]}]}}}}))
            .expect("a workload")
        };
        let own = port_patch(&with(json!(["--v=2", "--secure-port=10250"])), 10250, 4443).expect("a patch");
        assert!(
            own.contains("args/1") && own.contains("--secure-port=4443") && own.contains("ports/0/containerPort"),
            "{own}"
        );
        let listen = patch(&with(json!(["--web.listen-address=:10250"])), 10250, Some(4443)).expect("a patch");
        assert!(listen.contains("--web.listen-address=:4443") && listen.contains("hostNetwork"), "{listen}");
        assert_eq!(port_patch(&with(json!(["--v=2"])), 10250, 4443), None);
    }

    #[test]
    fn what_else_says_the_number_moves_with_the_port() {
        let workload: Workload =
            serde_json::from_value(json!({"metadata": {"name": "w"}, "spec": {"template": {"spec": {
            "containers": [{"name": "w", "args": ["--secure-port=10250"],
                "ports": [{"name": "https", "containerPort": 10250, "hostPort": 10250}],
                "livenessProbe": {"httpGet": {"path": "/livez", "port": 10250}},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 10250}},
                "startupProbe": {"tcpSocket": {"port": "https"}}}]}}}}))
            .expect("a workload");
        let patch = port_patch(&workload, 10250, 4443).expect("a patch");
        assert!(patch.contains("ports/0/hostPort") && patch.contains("readinessProbe/httpGet/port"), "{patch}");
        assert!(patch.contains("livenessProbe/httpGet/port"), "{patch}");
        let all: Vec<serde_json::Value> = serde_json::from_str(&patch).expect("a list");
        let kept = all.iter().filter(|o| o["op"] == "replace" && o["value"].to_string().contains("10250"));
        assert!(!patch.contains("startupProbe") && kept.count() == 0, "{patch}");
    }
}
