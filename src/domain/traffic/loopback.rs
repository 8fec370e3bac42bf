//! Programs that listen on the loopback of their own pod, at a port to which a Service leads: whoever connects is refused.

use crate::domain::kubernetes::endpoints::probe_port;
use crate::domain::kubernetes::image::{base_of, tag_of, version};
use crate::domain::kubernetes::mesh::Mesh;
use crate::domain::kubernetes::mounts::{File, Mounts};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::kubernetes::service_port::{self, is_headless};
use crate::domain::prometheus::joined::local_argument;
use crate::domain::prometheus::targets;
use crate::domain::text::listening;
use crate::domain::text::log_line::is_within;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod, Service, ServicePort};
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;
use serde_json::Value;

/// Seconds for which what a client says is of now.
const NOW: i64 = 900;

/// What tells that it does.
#[derive(Debug, Clone)]
pub(crate) enum How<'a> {
    /// An argument binds the port.
    Argument(&'a str),
    /// A receiver of its configuration does, by what stands there or by the default of its version.
    Receiver { file: File<'a>, receiver: Receiver },
    /// It says so itself when it starts.
    Said { log: &'a ContainerLog, line: &'a str },
}

/// A receiver of an OpenTelemetry Collector, or of Tempo, which has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receiver {
    /// Its path below `receivers`.
    pub(crate) path: &'static [&'static str],
    /// The port that it has by itself.
    pub(crate) port: u16,
}

/// Receivers that take what others send, by their own ports.
const RECEIVERS: &[Receiver] = &[
    Receiver { path: &["otlp", "protocols", "grpc"], port: 4317 },
    Receiver { path: &["otlp", "protocols", "http"], port: 4318 },
    Receiver { path: &["zipkin"], port: 9411 },
    Receiver { path: &["jaeger", "protocols", "grpc"], port: 14250 },
    Receiver { path: &["jaeger", "protocols", "thrift_http"], port: 14268 },
];

/// A port of a Service that leads to a program which is deaf there.
#[derive(Debug)]
pub(crate) struct Deaf<'a> {
    pub(crate) service: &'a Service,
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    /// The port in the pod.
    pub(crate) port: u16,
    /// The port of the Service that leads there.
    pub(crate) offered: u16,
    pub(crate) how: How<'a>,
}

impl Deaf<'_> {
    /// It is sure without a client that is refused. Some say in their logs from which host they are to be looked at, wherever
    /// they listen; and an argument without a port may be about another one, or about whom the program asks.
    pub(crate) fn is_sure(&self) -> bool {
        match self.how {
            How::Receiver { .. } => true,
            How::Argument(argument) => argument.ends_with(&format!(":{}", self.port)),
            How::Said { .. } => false,
        }
    }
}

/// One for each port of a Service. A port that anybody reaches, as a probe or Prometheus does, is none.
pub(crate) fn all(snap: &Snapshot) -> Vec<Deaf<'_>> {
    let services = snap.services.items().unwrap_or_default().iter().filter(|s| !s.spec.selector.is_empty());
    services.flat_map(|service| of_service(snap, service)).collect()
}

fn of_service<'a>(snap: &'a Snapshot, service: &'a Service) -> Vec<Deaf<'a>> {
    let Some(pod) = snap.pods_of_service(service).find(|p| is_plain(p)) else { return Vec::new() };
    let of_port = |(_, offered): (usize, &'a ServicePort)| {
        let port = service_port::target(offered, pod)?;
        let container = serving(pod, offered, port)?;
        let how = (!is_reached(snap, pod, port)).then(|| how(snap, pod, container, port)).flatten()?;
        Some(Deaf { service, pod, container, port, offered: offered.port, how })
    };
    service_port::tcp(service).filter_map(of_port).collect()
}

/// Ready, with an address of its own, and with nobody before it who passes connections on to its loopback.
fn is_plain(pod: &Pod) -> bool {
    pod.is_ready() && !pod.spec.host_network && Mesh::of(pod).is_none()
}

/// The container to which a port of a Service leads: the one that names the port, or the only one there is.
fn serving<'a>(pod: &'a Pod, offered: &ServicePort, port: u16) -> Option<&'a Container> {
    let declares = |c: &&Container| {
        c.ports.iter().any(|p| match &offered.target_port {
            Value::String(name) => p.name.as_deref() == Some(name),
            _ => p.container_port == port,
        })
    };
    let mut declaring = pod.spec.containers.iter().filter(declares);
    match (declaring.next(), declaring.next(), pod.spec.containers.as_slice()) {
        (Some(one), None, _) | (None, None, [one]) => Some(one),
        _ => None,
    }
}

/// Somebody gets in at the port: a probe, without which the pod would not be ready, or Prometheus.
fn is_reached(snap: &Snapshot, pod: &Pod, port: u16) -> bool {
    let probed = pod.spec.containers.iter().any(|container| {
        let probes = [&container.readiness_probe, &container.liveness_probe, &container.startup_probe];
        probes.into_iter().flatten().any(|probe| {
            let asked = [
                probe.http_get.as_ref().map(|p| &p.port),
                probe.tcp_socket.as_ref().map(|p| &p.port),
                probe.grpc.as_ref().and_then(|p| p.get("port")),
            ];
            asked.into_iter().flatten().any(|p| probe_port(container, p) == Some(u64::from(port)))
        })
    });
    let ip = pod.status.pod_ip.as_deref();
    let scraped = || {
        targets::all(snap).iter().filter(|t| t.health == "up").any(|t| {
            let address = targets::Address::parse(&t.scrape_url);
            address.is_some_and(|a| a.port == port && Some(a.host.as_str()) == ip)
        })
    };
    probed || scraped()
}

fn how<'a>(snap: &'a Snapshot, pod: &'a Pod, container: &'a Container, port: u16) -> Option<How<'a>> {
    if let Some(argument) = local_argument(container, port) {
        return Some(How::Argument(argument));
    }
    let said = said(snap, pod, container, port);
    // What it says of a port that is open is newer than any file.
    if said.is_some_and(|(_, _, local)| !local) {
        return None;
    }
    let by_file = receiver(snap, pod, container, port).map(|(file, receiver)| How::Receiver { file, receiver });
    by_file.or_else(|| said.map(|(log, line, _)| How::Said { log, line }))
}

/// What the container's log says of the port: the line, and whether the loopback alone leads to it. One listener that is open
/// is enough.
fn said<'a>(
    snap: &'a Snapshot,
    pod: &Pod,
    container: &Container,
    port: u16,
) -> Option<(&'a ContainerLog, &'a str, bool)> {
    let logs = snap.part_logs.as_ref().map(Vec::as_slice).unwrap_or_default().iter();
    let mut own = logs.filter(|l| !l.previous && l.is_of(&pod.metadata) && l.container == container.name);
    own.find_map(|log| {
        let told = log.text.lines().flat_map(|line| {
            listening::addresses(line).into_iter().filter(|b| b.port == port).map(move |b| (line, b.local))
        });
        let (line, _) = told.clone().last()?;
        Some((log, line, told.clone().all(|(_, local)| local)))
    })
}

/// The receiver that is to listen at the port, where it does so on the loopback: by its own words, or as its version does
/// where nothing is written.
fn receiver<'a>(snap: &'a Snapshot, pod: &'a Pod, container: &'a Container, port: u16) -> Option<(File<'a>, Receiver)> {
    let (root, since): (&[&str], _) = match base_of(&container.image) {
        "tempo" => (&["distributor", "receivers"], (2, 7, 0)),
        name if name.starts_with("opentelemetry-collector") || name.starts_with("otelcol") => {
            (&["receivers"], (0, 104, 0))
        }
        _ => return None,
    };
    // Collectors that somebody else builds may count versions of their own. The feature gate could be switched off for some.
    let is_gated = container.args.iter().chain(&container.command).any(|a| a.contains("UseLocalHostAsDefaultHost"));
    let by_default =
        !is_gated && tag_of(&container.image).and_then(version).is_some_and(|v| v >= since && v.0 == since.0);
    for file in Mounts::of_pod(snap, pod, container).files() {
        let Some(document) = yaml::document(file.text).ok().flatten() else { continue };
        let Some(receivers) = document.at(root) else { continue };
        if let Some(receiver) = RECEIVERS.iter().find(|r| is_deaf(receivers, r, port, by_default)) {
            return Some((file, *receiver));
        }
    }
    None
}

fn is_deaf(receivers: &Node, receiver: &Receiver, port: u16, by_default: bool) -> bool {
    // Of a protocol that is not named there is no listener; one without settings is there.
    let Some((last, before)) = receiver.path.split_last() else { return false };
    let Some(own) = receivers.at(before).and_then(|n| n.get(last)) else { return false };
    match own.get("endpoint").and_then(Node::as_str) {
        Some(endpoint) => {
            let (host, written) = endpoint.rsplit_once(':').unwrap_or((endpoint, ""));
            listening::is_loopback(host) && written == port.to_string()
        }
        None => by_default && receiver.port == port,
    }
}

/// A client that is refused at such a port now: its log, and the line.
pub(crate) fn refused<'a>(snap: &'a Snapshot, deaf: &Deaf<'_>) -> Option<(&'a ContainerLog, &'a str)> {
    let logs = snap.component_logs.iter().flatten().chain(snap.part_logs.iter().flatten()).filter(|l| !l.previous);
    logs.into_iter().find_map(|log| {
        let is_it =
            |l: &&str| l.contains("refused") && asks(snap, deaf, log, l) && is_within(l, snap.collected_at, NOW);
        log.text.lines().rev().find(is_it).map(|line| (log, line))
    })
}

/// A line names the port by the Service, as the pod that wrote it resolves its name, or by the address of either.
fn asks(snap: &Snapshot, deaf: &Deaf<'_>, log: &ContainerLog, line: &str) -> bool {
    let (meta, ip) = (&deaf.service.metadata, deaf.service.spec.cluster_ip.as_deref());
    let own = deaf.pod.status.pod_ip.as_deref();
    let offers = |port: u16| {
        let mut all = service_port::tcp(deaf.service);
        all.any(|(_, p)| p.port == port && service_port::target(p, deaf.pod) == Some(deaf.port))
    };
    let place = pattern!(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9][A-Za-z0-9.-]*)):(\d{2,5})(?:[^\w.]|\.?$|\.[^\w])");
    place.captures_iter(line).any(|found| {
        let host = found.get(1).or(found.get(2)).map_or("", |m| m.as_str());
        let Ok(port) = found[3].parse::<u16>() else { return false };
        if own == Some(host) {
            return port == deaf.port;
        }
        let is_service = || {
            in_cluster(snap, host, &log.namespace)
                .is_some_and(|s| s.service == meta.name && s.namespace == meta.namespace)
        };
        (ip == Some(host) || is_service()) && (offers(port) || is_headless(deaf.service) && port == deaf.port)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    const CONFIG: &str = "distributor:\n  receivers:\n    otlp:\n      protocols:\n        grpc: null\n";

    fn with(image: &str, config: &str, log: &str, probe: Option<u16>) -> Snapshot {
        let probe = probe.map(|port| json!({"tcpSocket": {"port": port}}));
        let mut snap = snapshot(json!({
            "pods": [{"metadata": {"namespace": "t", "name": "tempo-0", "labels": {"app": "tempo"}},
                "spec": {"volumes": [{"name": "c", "configMap": {"name": "tempo"}}],
                    "containers": [{"name": "tempo", "image": image, "readinessProbe": probe,
                        "ports": [{"name": "otlp", "containerPort": 4317}],
                        "volumeMounts": [{"name": "c", "mountPath": "/conf"}]}]},
                "status": {"phase": "Running", "podIP": "10.0.1.5", "conditions": [{"type": "Ready", "status": "True"}]}}],
            "services": [{"metadata": {"namespace": "t", "name": "tempo"},
                "spec": {"clusterIP": "172.20.1.1", "selector": {"app": "tempo"}, "ports": [{"port": 4317, "targetPort": "otlp"}]}}],
            "config_maps": [{"metadata": {"namespace": "t", "name": "tempo"}, "data": {"tempo.yaml": config}}],
        }));
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "t".into(),
            pod: "tempo-0".into(),
            container: "tempo".into(),
            image: image.into(),
            text: log.into(),
            ..ContainerLog::default()
        }]);
        snap
    }

    #[test]
    fn who_listens_on_its_loopback_alone_is_deaf() {
        let of = |image: &str, config: &str, log: &str, probe| all(&with(image, config, log, probe)).len();
        let local = "msg=\"Starting GRPC server\" component=tempo endpoint=localhost:4317\n";
        let open = "msg=\"Starting GRPC server\" component=tempo endpoint=0.0.0.0:4317\n";
        assert_eq!(of("grafana/tempo:2.7.0", CONFIG, "", None), 1, "by the default of its version");
        assert_eq!(of("grafana/tempo:2.6.1", CONFIG, "", None), 0, "an older version listens everywhere");
        assert_eq!(of("grafana/tempo:2.6.1", CONFIG, local, None), 1, "it says so");
        assert_eq!(of("grafana/tempo:2.7.0", CONFIG, open, None), 0, "it says otherwise");
        assert_eq!(of("grafana/tempo:2.7.0", CONFIG, local, Some(4317)), 0, "a probe gets in");
        assert_eq!(of("grafana/tempo:2.7.0", "", "", None), 0, "nothing is known");
        let written = |endpoint: &str| CONFIG.replace("grpc: null", &format!("grpc:\n          endpoint: {endpoint}"));
        assert_eq!(of("grafana/tempo:2.7.0", &written("0.0.0.0:4317"), "", None), 0);
        assert_eq!(of("grafana/tempo:2.6.1", &written("127.0.0.1:4317"), "", None), 1, "it is written so");
    }

    #[test]
    fn a_client_that_is_refused_is_found() {
        let mut snap = with("grafana/tempo:2.7.0", CONFIG, "", None);
        let log = ContainerLog {
            namespace: "o".into(),
            text: "2026-11-21T01:58:00Z error dial tcp 172.20.1.1:4317: connect: connection refused\n".into(),
            ..ContainerLog::default()
        };
        *snap.part_logs = Ok(vec![log]);
        let found = all(&snap);
        assert!(refused(&snap, &found[0]).is_some());
        let mut says = |namespace: &str, said: &str| {
            let text = format!("2026-11-21T01:58:00Z error {said}\n").into();
            *snap.part_logs = Ok(vec![ContainerLog { namespace: namespace.into(), text, ..ContainerLog::default() }]);
            let found = all(&snap);
            refused(&snap, &found[0]).is_some()
        };
        assert!(says("o", "ipv4:172.20.1.1:4317: Failed to connect to remote host: Connection refused"));
        assert!(says("t", "http://tempo:4317/v1/traces: connection refused"));
        assert!(says("o", "connect tempo.t.svc.cluster.local:4317: connection refused"));
        assert!(!says("o", "http://tempo:4317/v1/traces: connection refused"), "one of its own namespace");
        assert!(!says("t", "http://my-tempo:4317/v1/traces: connection refused"));
        *snap.part_logs = Ok(Vec::new());
        let found = all(&snap);
        assert!(refused(&snap, &found[0]).is_none());
    }
}
