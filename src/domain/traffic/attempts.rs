//! Connections inside the VPC that get no answer, whoever opens them: pods, the kubelet's callers, the control plane.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::domain::aws::interface::{Interface, Interfaces};
use crate::domain::aws::vpc_cni;
use crate::domain::kubernetes::network_policy::Protocol;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::{service_host, service_port};
use crate::domain::text::dial;
use crate::domain::text::log_line;
use crate::domain::text::windows::RECENT;
use crate::domain::traffic::flows::{self, Kind, Map};
use crate::domain::traffic::router_log;
use crate::domain::traffic::seen::Seen;
use crate::model::{Gap, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod, Service, annotation};
use crate::text::pattern::pattern;

/// Who opens a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Party<'a> {
    Pod(&'a Pod),
    /// The node itself: its kubelet.
    Node(&'a Node),
    ControlPlane,
}

/// Where a connection leads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spot<'a> {
    Pod(&'a Pod),
    Address(IpAddr),
    ControlPlane,
}

/// A connection that gets no answer.
#[derive(Debug, Clone)]
pub(crate) struct Attempt<'a> {
    pub(crate) from: Party<'a>,
    /// All ends among which a Service chooses, each with the port that it listens on.
    pub(crate) to: Vec<(Spot<'a>, u16)>,
    pub(crate) protocol: Protocol,
    /// What fails, for the message: `job web times out`.
    pub(crate) symptom: String,
    pub(crate) seen: Seen,
    pub(crate) breaks: Vec<ResourceRef>,
}

impl<'a> Party<'a> {
    /// Its network interface.
    pub(crate) fn interface(self, all: &Interfaces<'a>) -> Option<Interface<'a>> {
        match self {
            Self::Pod(pod) => all.of_pod(pod),
            Self::Node(node) => all.of_node(node),
            Self::ControlPlane => all.of_control_plane(),
        }
    }
}

impl<'a> Spot<'a> {
    /// Its network interface.
    pub(crate) fn interface(self, all: &Interfaces<'a>) -> Option<Interface<'a>> {
        match self {
            Self::Pod(pod) => all.of_pod(pod),
            Self::Address(ip) => all.of_address(ip),
            Self::ControlPlane => all.of_control_plane(),
        }
    }
}

/// All that were seen.
pub(crate) fn failing(snap: &Snapshot) -> Vec<Attempt<'_>> {
    let map = Map::new(snap, false);
    let logged = logged(snap);
    // What a line tells is taken once, with all that it breaks.
    let is_told = |flow: &flows::Flow<'_>| logged.iter().any(|attempt| attempt.seen == flow.seen);
    let flows = flows::failing(snap, &map).unwrap_or_default().into_iter().filter(|flow| !is_told(flow));
    let mut all: Vec<Attempt<'_>> = flows.map(of_flow).collect();
    all.extend(api_services(snap));
    all.extend(webhooks(snap));
    all.extend(proxied(snap));
    all.extend(probes(snap));
    all.extend(logged);
    all
}

/// Who connects, to which spots and ports one may get, and how.
type Connection<'a> = (Party<'a>, Vec<(Spot<'a>, u16)>, Protocol);

/// Scrapes that succeed: a model of the groups that would drop them is wrong.
pub(crate) fn working(snap: &Snapshot) -> Vec<Connection<'_>> {
    let map = Map::new(snap, false);
    let all = flows::working(snap, &map).into_iter();
    all.map(|(from, to)| (Party::Pod(from), to.ends.iter().filter_map(spot).collect(), to.protocol)).collect()
}

fn of_flow(flow: flows::Flow<'_>) -> Attempt<'_> {
    let to = match flow.to.kind {
        Kind::Internet => Vec::new(),
        Kind::ApiServer => vec![(Spot::ControlPlane, 443)],
        _ => flow.to.ends.iter().filter_map(spot).collect(),
    };
    Attempt {
        from: Party::Pod(flow.from),
        to,
        protocol: flow.to.protocol,
        symptom: flow.symptom,
        seen: flow.seen,
        breaks: flow.breaks,
    }
}

fn spot<'a>(end: &flows::End<'a>) -> Option<(Spot<'a>, u16)> {
    let spot = match end.peer.pod {
        Some(pod) => Spot::Pod(pod),
        None => Spot::Address(*end.peer.addresses.first()?),
    };
    Some((spot, end.port))
}

/// The control plane asks the server of an API and gets no answer.
fn api_services(snap: &Snapshot) -> Vec<Attempt<'_>> {
    let mut all = Vec::new();
    for api in snap.api_services.items().unwrap_or_default() {
        let Some(condition) = api.available().filter(|c| c.status == "False") else { continue };
        let message = condition.message.as_deref().unwrap_or_default();
        if !is_silence(message) {
            continue;
        }
        let name = &api.metadata.name;
        let service = api.spec.service.as_ref();
        let of_service = || {
            let reference = service?;
            let found = snap.services.find(&reference.namespace, &reference.name).ok().flatten()?;
            Some(behind(snap, found, reference.port.unwrap_or(443)))
        };
        let to = match url_address(message) {
            Some((ip, port)) => vec![(Spot::Address(ip), port)],
            None => of_service().unwrap_or_default(),
        };
        let mut breaks = vec![ResourceRef::kubernetes("apiregistration.k8s.io", "APIService", "", name)];
        breaks.extend(service.map(|s| ResourceRef::service(&s.namespace, &s.name)));
        all.push(Attempt {
            from: Party::ControlPlane,
            to,
            protocol: Protocol::Tcp,
            symptom: format!("APIService {name} is not available"),
            seen: Seen::ApiService { name: name.clone(), message: message.to_owned() },
            breaks,
        });
    }
    all
}

/// The control plane calls an admission webhook and gets no answer.
fn webhooks(snap: &Snapshot) -> Vec<Attempt<'_>> {
    let call = pattern!(r#"failed calling webhook "([^"]+)".*?https://([^/:"]+)(?::(\d+))?"#);
    let mut all: Vec<Attempt<'_>> = Vec::new();
    let mut known = BTreeSet::new();
    for event in snap.events.items().unwrap_or_default() {
        let old = !event.is_within(RECENT, snap.collected_at);
        let Some(found) = call.captures(&event.message).filter(|_| !old && is_silence(&event.message)) else {
            continue;
        };
        let (webhook, host) = (found[1].to_owned(), &found[2]);
        let port = found.get(3).and_then(|p| p.as_str().parse().ok()).unwrap_or(443);
        let Some(name) = service_host::in_cluster(snap, host, "") else { continue };
        let Ok(Some(service)) = snap.services.find(&name.namespace, &name.service) else { continue };
        if !known.insert(webhook.clone()) {
            continue;
        }
        let object = &event.involved_object;
        let configurations = snap.webhooks.items().unwrap_or_default().iter();
        let of_webhook = configurations.filter(|c| c.webhooks.iter().any(|w| w.name == webhook));
        let mut breaks: Vec<ResourceRef> = of_webhook
            .map(|c| ResourceRef::kubernetes("admissionregistration.k8s.io", &c.kind, "", &c.metadata.name))
            .collect();
        breaks.push(ResourceRef::service(&name.namespace, &name.service));
        all.push(Attempt {
            from: Party::ControlPlane,
            to: behind(snap, service, port),
            protocol: Protocol::Tcp,
            symptom: format!("admission webhook {webhook} does not answer"),
            seen: Seen::ObjectEvent {
                kind: object.kind.clone(),
                namespace: object.namespace.clone(),
                name: object.name.clone(),
                message: event.message.clone(),
            },
            breaks,
        });
    }
    all
}

/// The connection over which the kubelet asks a pod how it is.
pub(crate) fn probed(pod: &Pod) -> ResourceRef {
    let name = format!("kubelet to {}/{}", pod.metadata.namespace, pod.metadata.name);
    ResourceRef::kubernetes("", "Connection", "", name)
}

/// The kubelet asks pods with security groups of their own, and gets no answer: to others no group stands in between.
fn probes(snap: &Snapshot) -> Vec<Attempt<'_>> {
    if !vpc_cni::guards_probes(snap) {
        return Vec::new();
    }
    let own = |p: &&Pod| p.metadata.annotations.contains_key(annotation::POD_ENI);
    let mut all = Vec::new();
    for pod in snap.pods.items().unwrap_or_default().iter().filter(own) {
        let Some(node) = snap.node_of(pod) else { continue };
        let ip: Option<IpAddr> = pod.status.pod_ip.as_deref().and_then(|ip| ip.parse().ok());
        let told = snap.events_about("Pod", &pod.metadata, RECENT);
        let found = told.iter().filter(|e| e.reason == "Unhealthy" && is_silence(&e.message)).find_map(|event| {
            let (at, port) = dial::unanswered(&event.message).or_else(|| url_address(&event.message))?;
            (Some(at) == ip).then_some((event, port))
        });
        let Some((event, port)) = found else { continue };
        let owner = snap.owner_ref(pod);
        all.push(Attempt {
            from: Party::Node(node),
            to: vec![(Spot::Pod(pod), port)],
            protocol: Protocol::Tcp,
            symptom: format!("the kubelet gets no answer to its probes of {owner}"),
            seen: Seen::Event {
                namespace: pod.metadata.namespace.clone(),
                pod: pod.metadata.name.clone(),
                message: event.message.clone(),
            },
            breaks: vec![probed(pod), ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name), owner],
        });
    }
    all
}

/// The API server does not reach what it should pass requests on to: a pod's port, a node's kubelet.
fn proxied(snap: &Snapshot) -> Vec<Attempt<'_>> {
    let gaps = [
        snap.prometheus_targets.as_ref().err(),
        snap.prometheus_config.as_ref().err(),
        snap.alertmanager_status.as_ref().err(),
        snap.grafana_health.as_ref().err(),
        snap.component_logs.as_ref().err(),
        snap.crash_logs.as_ref().err(),
        snap.part_logs.as_ref().err(),
    ];
    let mut all = Vec::new();
    let mut known = BTreeSet::new();
    for gap in gaps.into_iter().flatten() {
        let Some((ip, port)) = dial::unanswered(&gap.message).filter(|a| known.insert(*a)) else { continue };
        let (what, breaks) = reached(snap, gap, ip, port);
        all.push(Attempt {
            from: Party::ControlPlane,
            to: vec![(Spot::Address(ip), port)],
            protocol: Protocol::Tcp,
            symptom: format!("the API server does not reach {what}"),
            seen: Seen::Proxy { what: gap.what.clone(), message: gap.message.clone() },
            breaks,
        });
    }
    all
}

fn reached(snap: &Snapshot, gap: &Gap, ip: IpAddr, port: u16) -> (String, Vec<ResourceRef>) {
    let nodes = snap.nodes.items().unwrap_or_default();
    if port == KUBELET_PORT
        && let Some(node) = nodes.iter().find(|n| n.internal_ip() == Some(&ip.to_string()))
    {
        let name = &node.metadata.name;
        return (format!("the kubelet of node {name}"), vec![ResourceRef::port(name, port)]);
    }
    match snap.pod_by_ip(&ip.to_string()) {
        Some(pod) => {
            (snap.owner_ref(pod).to_string(), vec![ResourceRef::kubernetes("", "Endpoint", "", ip.to_string())])
        }
        None => (gap.what.clone(), Vec::new()),
    }
}

/// Logs of other parts that tell of addresses without an answer: metrics-server's kubelets, an operator's webhooks.
fn logged(snap: &Snapshot) -> Vec<Attempt<'_>> {
    let mut all: Vec<Attempt<'_>> = Vec::new();
    let mut known = BTreeSet::new();
    for log in snap.part_logs.iter().flatten() {
        let Some(from) = snap.pod_of_log(log) else { continue };
        // What routes requests for everybody tells of everybody's pods: those of the stack are among the flows.
        if router_log::is_controller(&log.image) {
            continue;
        }
        for line in log.text.lines().rev() {
            let by_url = || is_silence(line).then(|| url_address(line)).flatten();
            let Some((ip, port)) = dial::unanswered(line).or_else(by_url) else { continue };
            if !log_line::is_within(line, snap.collected_at, RECENT) {
                continue;
            }
            if !known.insert((log.namespace.clone(), log.pod.clone(), ip, port)) {
                continue;
            }
            let owner = snap.owner_ref(from);
            let mut breaks = vec![ResourceRef::pod(&log.namespace, &log.pod), owner.clone()];
            if !from.is_ready() {
                let services = snap.services.items().unwrap_or_default().iter();
                let here = services.filter(|s| s.metadata.namespace == log.namespace);
                let of_pod = here.filter(|s| snap.pods_of_service(s).any(|p| p.metadata.name == log.pod));
                breaks.extend(of_pod.map(|s| ResourceRef::service(&s.metadata.namespace, &s.metadata.name)));
            }
            all.push(Attempt {
                from: Party::Pod(from),
                to: vec![(Spot::Address(ip), port)],
                protocol: Protocol::Tcp,
                symptom: format!("{owner} gets no answer"),
                seen: Seen::line(log, line),
                breaks,
            });
        }
    }
    all
}

/// The running pods of a Service with the port that they listen on.
fn behind<'a>(snap: &'a Snapshot, service: &'a Service, port: u16) -> Vec<(Spot<'a>, u16)> {
    let running = snap.pods_of_service(service).filter(|p| p.status.phase == "Running");
    running.filter_map(|p| Some((Spot::Pod(p), service_port::reached(service, port, p)?))).collect()
}

/// No answer at all; what refuses or answers was reached.
pub(crate) fn is_silence(text: &str) -> bool {
    [
        "i/o timeout",
        "context deadline exceeded",
        "Client.Timeout exceeded",
        "request canceled while waiting for connection",
    ]
    .iter()
    .any(|t| text.contains(t))
}

/// The address and port of a URL that got no answer: `Get "https://10.0.1.9:10250/metrics": context deadline exceeded`.
fn url_address(text: &str) -> Option<(IpAddr, u16)> {
    let url = pattern!(r#"https?://\[?([0-9]+\.[0-9.]+|[0-9a-fA-F]*:[0-9a-fA-F:]+)\]?:(\d+)/"#);
    let found = url.captures(text)?;
    Some((found[1].parse().ok()?, found[2].parse().ok()?))
}
