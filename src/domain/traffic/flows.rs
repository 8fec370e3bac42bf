//! Connections that were seen to get no answer: who opens them, to whom, on which port. Refused ones are left out: policies
//! drop, they do not refuse.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::alertmanager::config::{Config, known_host};
use crate::domain::alertmanager::log::{RECENT, recent_failures};
use crate::domain::alertmanager::notify_error::{self, Cause};
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::host::{Place, is_public, place};
use crate::domain::kubernetes::network_policy::{Peer, Protocol};
use crate::domain::kubernetes::proxy_env::has_proxy;
use crate::domain::kubernetes::service_port;
use crate::domain::prometheus::notifier;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::domain::text::dial::{self, Dial, Outcome};
use crate::domain::text::log_line::is_now;
use crate::domain::text::send_error::SendFailure;
use crate::domain::traffic::router_log;
use crate::domain::traffic::seen::Seen;
use crate::model::{Gap, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};
use crate::text::pattern::pattern;

const DNS_PORT: u16 = 53;

/// What a connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Pods.
    Pods,
    /// The cluster's DNS.
    Dns,
    /// The API server.
    ApiServer,
    /// An address that is no pod's.
    Address,
    /// A host on the internet.
    Internet,
}

/// One end that a connection may reach, with the port that it listens on: policies see the pod's port, not the Service's.
#[derive(Debug, Clone)]
pub(crate) struct End<'a> {
    pub(crate) peer: Peer<'a>,
    pub(crate) port: u16,
}

/// Where a connection leads.
#[derive(Debug, Clone)]
pub(crate) struct Destination<'a> {
    pub(crate) kind: Kind,
    /// All ends among which a Service chooses.
    pub(crate) ends: Vec<End<'a>>,
    /// As messages call it, where it is no pod.
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
}

/// A connection that gets no answer.
#[derive(Debug, Clone)]
pub(crate) struct Flow<'a> {
    pub(crate) from: &'a Pod,
    pub(crate) to: Destination<'a>,
    /// What fails, for the message: `job web times out`.
    pub(crate) symptom: String,
    /// How that was seen.
    pub(crate) seen: Seen,
    pub(crate) breaks: Vec<ResourceRef>,
    /// The scrape job, where it is a scrape.
    pub(crate) job: Option<&'a str>,
}

/// Finds destinations.
pub(crate) struct Map<'a> {
    snap: &'a Snapshot,
    /// The plugin may see the cluster IP instead of what is behind it.
    sees_cluster_ip: bool,
}

impl<'a> Map<'a> {
    pub(crate) fn new(snap: &'a Snapshot, sees_cluster_ip: bool) -> Self {
        Self { snap, sees_cluster_ip }
    }

    /// Where a target is scraped; `None` where that is not known well enough.
    fn of_target(&self, down: &Down<'a>, address: &Address) -> Option<Destination<'a>> {
        if let Some((namespace, name)) = targets::pod_of(self.snap, down.target, address) {
            let pod = self.snap.pods.find(&namespace, &name).ok().flatten()?;
            return pods(vec![(pod, address.port)], None);
        }
        let own = targets::prometheus_pod(self.snap).map_or("", |p| p.metadata.namespace.as_str());
        self.of_host(&address.host, address.port, own)
    }

    fn of_host(&self, host: &str, port: u16, own_namespace: &str) -> Option<Destination<'a>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return self.of_address(ip, port);
        }
        match place(self.snap, host, own_namespace) {
            Place::Cluster(name) => {
                let service = self.snap.services.find(&name.namespace, &name.service).ok().flatten()?;
                self.of_service(service, port)
            }
            Place::Public => Some(Destination {
                kind: Kind::Internet,
                ends: vec![End { peer: Peer::internet(), port }],
                name: host.to_owned(),
                protocol: Protocol::Tcp,
            }),
            Place::Private => None,
        }
    }

    /// Where nobody answered; a host of the internet is reached in too many ways.
    fn of_dial(&self, dial: Dial<'_>, own_namespace: &str) -> Option<Destination<'a>> {
        let port = dial.port.filter(|_| dial.outcome == Outcome::Silent)?;
        match dial.host.parse() {
            Ok(ip) => self.of_address(ip, port),
            Err(_) => self.of_host(dial.host, port, own_namespace).filter(|to| to.kind == Kind::Pods),
        }
    }

    fn of_address(&self, ip: IpAddr, port: u16) -> Option<Destination<'a>> {
        if let Some(pod) = self.snap.pod_by_ip(&ip.to_string()) {
            return pods(vec![(pod, port)], None);
        }
        if self.is_api_server(ip, port) {
            return Some(self.api_server(ip, port));
        }
        if let Some(service) = self.snap.service_by_host(&ip.to_string()) {
            return self.of_service(service, port);
        }
        let nodes = self.snap.nodes.items().unwrap_or_default();
        let is_node = nodes.iter().any(|n| n.internal_ip() == Some(&ip.to_string()));
        let peer = Peer { unseen: !is_public(ip) && !is_node, ..Peer::address(ip) };
        let kind = if is_public(ip) { Kind::Internet } else { Kind::Address };
        Some(Destination { kind, ends: vec![End { peer, port }], name: ip.to_string(), protocol: Protocol::Tcp })
    }

    /// The ready pods of a Service. Without any, it is not the policies that keep the connection from being answered.
    fn of_service(&self, service: &'a Service, port: u16) -> Option<Destination<'a>> {
        if !self.snap.pods.covers(&service.metadata.namespace) {
            return None;
        }
        let ip = service.spec.cluster_ip.as_deref();
        let ready = self.snap.pods_of_service(service).filter(|p| p.is_ready());
        let ends: Vec<(&Pod, u16)> =
            ready.filter_map(|p| Some((p, service_port::reached(service, port, p)?))).collect();
        pods(ends, ip.and_then(|ip| ip.parse().ok()))
    }

    /// The API server by the cluster IP of Service `kubernetes`, the first address of the Service network.
    fn is_api_server(&self, ip: IpAddr, port: u16) -> bool {
        match self.snap.services.find("default", "kubernetes").ok().flatten() {
            Some(service) => service.spec.cluster_ip.as_deref() == Some(&ip.to_string()),
            None => port == 443 && matches!(ip, IpAddr::V4(v4) if v4.octets()[2..] == [0, 1] && v4.is_private()),
        }
    }

    /// Most plugins see the network interfaces of the control plane instead of the cluster IP. Where these lie is known by
    /// the cluster's subnets.
    fn api_server(&self, ip: IpAddr, port: u16) -> Destination<'a> {
        let networks = control_plane_networks(self.snap);
        let known = !networks.is_empty();
        let anywhere = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
        let networks = if known { networks } else { anywhere.iter().filter_map(|n| n.parse().ok()).collect() };
        let addresses = if self.sees_cluster_ip { vec![ip] } else { Vec::new() };
        let peer = Peer { addresses, networks, ..Peer::default() };
        let name = "the API server".to_owned();
        Destination { kind: Kind::ApiServer, ends: vec![End { peer, port }], name, protocol: Protocol::Tcp }
    }

    /// The pods of the cluster's DNS; `None` where another resolver is asked.
    pub(crate) fn dns(&self, resolver: Option<IpAddr>) -> Option<Destination<'a>> {
        let service = self.snap.services.find("kube-system", "kube-dns").ok().flatten();
        let cluster_ip: Option<IpAddr> = service.and_then(|s| s.spec.cluster_ip.as_deref()?.parse().ok());
        if resolver.is_some() && resolver != cluster_ip {
            return None;
        }
        let all = self.snap.pods.items().ok()?.iter().filter(|p| p.metadata.namespace == "kube-system");
        let app = |pod: &Pod, name: &str| pod.metadata.label("k8s-app") == Some(name);
        // A cache on each node answers instead, from the network of the node.
        if all.clone().any(|p| app(p, "node-local-dns")) {
            return None;
        }
        let ready = all.filter(|p| app(p, "kube-dns") && p.is_ready()).map(|p| (p, DNS_PORT)).collect();
        let found = pods(ready, cluster_ip)?;
        Some(Destination { kind: Kind::Dns, name: "the cluster's DNS".to_owned(), protocol: Protocol::Udp, ..found })
    }
}

/// Subnets that hold the interfaces of the control plane.
pub(crate) fn control_plane_networks(snap: &Snapshot) -> Vec<IpNet> {
    let Ok(cluster) = snap.eks_cluster() else { return Vec::new() };
    let of_cluster = |id: &String| cluster.resources_vpc_config.subnet_ids.contains(id);
    let subnets = snap.subnets.iter().flatten().filter(|s| of_cluster(&s.subnet_id));
    subnets.filter_map(|s| s.cidr_block.parse().ok()).collect()
}

/// Pods that run; a pod that does not is no matter of policies.
fn pods(all: Vec<(&Pod, u16)>, cluster_ip: Option<IpAddr>) -> Option<Destination<'_>> {
    let runs = |p: &Pod| p.status.phase == "Running" && p.metadata.deletion_timestamp.is_none();
    let ends: Vec<End<'_>> = all
        .into_iter()
        .filter(|(pod, _)| runs(pod))
        .map(|(pod, port)| {
            let mut peer = Peer::pod(pod);
            peer.addresses.extend(cluster_ip);
            End { peer, port }
        })
        .collect();
    (!ends.is_empty()).then(|| Destination { kind: Kind::Pods, ends, name: String::new(), protocol: Protocol::Tcp })
}

/// Connections that get no answer, from scrapes, notifications and logs.
///
/// # Errors
/// The gap, if Prometheus could not be asked and nothing else was seen to fail.
pub(crate) fn failing<'a>(snap: &'a Snapshot, map: &Map<'a>) -> Result<Vec<Flow<'a>>, Gap> {
    let mut all = notifications(snap, map);
    // Alertmanager's log is read as that of notifications already.
    let told =
        |f: &Flow<'_>| all.iter().any(|n| n.from.metadata.name == f.from.metadata.name && n.to.kind == f.to.kind);
    let more: Vec<Flow<'_>> = logged(snap, map).into_iter().filter(|f| !told(f)).collect();
    all.extend(more);
    all.extend(handovers(snap, map));
    match scrapes(snap, map) {
        Ok(found) => all.extend(found),
        Err(gap) if all.is_empty() => return Err(gap),
        Err(_) => {}
    }
    Ok(all)
}

/// What is scraped without fault, from the same pod: policies that would not admit it are not enforced.
pub(crate) fn working<'a>(snap: &'a Snapshot, map: &Map<'a>) -> Vec<(&'a Pod, Destination<'a>)> {
    let Some(from) = targets::prometheus_pod(snap) else { return Vec::new() };
    let up = targets::all(snap).iter().filter(|t| t.health == "up");
    up.filter_map(|target| {
        let address = Address::parse(&target.scrape_url)?;
        let as_down = Down { target, failure: ScrapeFailure::Other, address: None };
        Some((from, map.of_target(&as_down, &address)?))
    })
    .collect()
}

fn scrapes<'a>(snap: &'a Snapshot, map: &Map<'a>) -> Result<Vec<Flow<'a>>, Gap> {
    let down = targets::down(snap)?;
    let Some(from) = targets::prometheus_pod(snap) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for target in down.iter().filter(|d| d.redirected_to().is_none()) {
        let Some(address) = &target.address else { continue };
        let error = &target.target.last_error;
        let by_name = address.host.parse::<IpAddr>().is_err();
        let destinations = match target.failure {
            // The look-up of a name takes as long as the scrape may.
            ScrapeFailure::Timeout => {
                vec![map.of_target(target, address), by_name.then(|| map.dns(None)).flatten()]
            }
            ScrapeFailure::Dns if is_silence(error) => vec![map.dns(resolver(error))],
            _ => continue,
        };
        for to in destinations.into_iter().flatten() {
            let verb = if target.failure == ScrapeFailure::Dns { "cannot resolve its target" } else { "times out" };
            all.push(Flow {
                from,
                to,
                symptom: format!("job {} {verb}", target.target.job()),
                seen: Seen::Target {
                    job: target.target.job().to_owned(),
                    url: target.target.scrape_url.clone(),
                    error: target.target.last_error.clone(),
                },
                breaks: vec![ResourceRef::ScrapeUrl { url: target.target.scrape_url.clone() }],
                job: Some(target.target.job()),
            });
        }
    }
    Ok(all)
}

fn notifications<'a>(snap: &'a Snapshot, map: &Map<'a>) -> Vec<Flow<'a>> {
    let config = Config::of(snap);
    let pods = alertmanager_pods(snap);
    let mut all = Vec::new();
    for failure in recent_failures(snap) {
        let of_pod = |p: &&Pod| p.metadata.name == failure.pod && p.metadata.namespace == failure.namespace;
        let from = pods.iter().map(|(pod, _)| *pod).find(of_pod);
        let Some(from) = from.filter(|p| !has_proxy(p)) else { continue };
        let cause = &failure.cause;
        let destinations = match Cause::classify(cause, &failure.integration) {
            Cause::Timeout => match dial::unanswered(cause) {
                Some((ip, port)) => vec![map.of_address(ip, port)],
                None => {
                    let entry = config
                        .as_ref()
                        .and_then(|c| c.integration(&failure.receiver, &failure.integration, failure.index));
                    let host = notify_error::host(cause)
                        .or_else(|| config.as_ref()?.host(entry, &failure.integration))
                        .or_else(|| known_host(&failure.integration));
                    let own = &failure.namespace;
                    let port = if failure.integration == "email" { 587 } else { 443 };
                    // The port of a Service is in a URL that the log hides.
                    let public = host.filter(|h| place(snap, h, own) == Place::Public);
                    vec![public.and_then(|h| map.of_host(&h, port, own)), map.dns(None)]
                }
            },
            Cause::Dns if is_silence(cause) => vec![map.dns(resolver(cause))],
            _ => continue,
        };
        for to in destinations.into_iter().flatten() {
            let name = if failure.receiver.is_empty() { &failure.integration } else { &failure.receiver };
            all.push(Flow {
                from,
                to,
                symptom: format!("receiver {name} gets no notification"),
                seen: in_log(&failure.namespace, &failure.pod, "", cause),
                breaks: Vec::new(),
                job: None,
            });
        }
    }
    all
}

/// Alerts that Prometheus cannot hand over to an Alertmanager in time.
fn handovers<'a>(snap: &'a Snapshot, map: &Map<'a>) -> Vec<Flow<'a>> {
    let failing = notifier::undelivered(snap).map(|u| u.failing).unwrap_or_default();
    let in_time = failing.into_iter().filter(|f| f.failure == SendFailure::Timeout);
    in_time
        .filter_map(|failing| {
            let at = &failing.at;
            let from = snap.pods.find(&at.namespace, &at.pod).ok().flatten().filter(|p| !has_proxy(p))?;
            let address = Address::parse(&failing.url)?;
            Some(Flow {
                from,
                to: map.of_host(&address.host, address.port, &at.namespace)?,
                symptom: format!("Prometheus cannot hand its alerts to {}", address.host_port()),
                seen: in_log(&at.namespace, &at.pod, &at.container, &failing.line),
                breaks: vec![handover(&failing.url)],
                job: None,
            })
        })
        .collect()
}

/// The connection over which Prometheus hands alerts to this URL.
pub(crate) fn handover(url: &str) -> ResourceRef {
    ResourceRef::kubernetes("", "Connection", "", format!("alerts {url}"))
}

/// The connection of a workload that a line tells of, as it dials in vain.
pub(crate) fn connection(owner: &ResourceRef, line: &str) -> Option<ResourceRef> {
    let to = match (resolver(line), Dial::read(line)) {
        (Some(resolver), _) => format!("{resolver}:{DNS_PORT}"),
        (None, Some(Dial { host, port, .. })) => format!("{host}:{}", port?),
        (None, None) => return None,
    };
    Some(ResourceRef::kubernetes("", "Connection", "", format!("{} to {to}", owner.key())))
}

/// What the logs say of connections that time out: `dial tcp 172.20.0.1:443: i/o timeout`.
fn logged<'a>(snap: &'a Snapshot, map: &Map<'a>) -> Vec<Flow<'a>> {
    let mut all: Vec<Flow<'a>> = Vec::new();
    let logs = snap.component_logs.iter().flatten().chain(snap.crash_logs.iter().flatten());
    for log in logs.chain(snap.part_logs.iter().flatten()) {
        let Some(from) = snap.pod_of_log(log) else { continue };
        if has_proxy(from) {
            continue;
        }
        let is_router = router_log::is_controller(&log.image);
        for line in log.text.lines().rev() {
            let to = match (resolver(line), Dial::read(line)) {
                (Some(resolver), _) => map.dns(Some(resolver)),
                (None, Some(dial)) => map.of_dial(dial, &log.namespace),
                (None, None) => None,
            };
            let Some(to) = to.filter(|_| is_now(log, line, snap.collected_at, RECENT)) else { continue };
            // What routes requests for everybody tells of everybody's pods.
            if is_router
                && !to.ends.iter().any(|end| end.peer.pod.is_some_and(|p| snap.scope.is_stack(&p.metadata.namespace)))
            {
                continue;
            }
            let known = |f: &Flow<'_>| {
                f.from.metadata.name == from.metadata.name
                    && (f.to.kind, &f.to.name, f.to.ends.first().map(|e| (e.port, &e.peer.addresses)))
                        == (to.kind, &to.name, to.ends.first().map(|e| (e.port, &e.peer.addresses)))
            };
            if all.iter().any(known) {
                continue;
            }
            let owner = snap.owner_ref(from);
            // A container that exits over it takes its pod down.
            let breaks = match log.previous {
                true => vec![ResourceRef::pod(&log.namespace, &log.pod), owner.clone()],
                false => connection(&owner, line).into_iter().collect(),
            };
            let symptom = if log.previous { format!("{owner} exits") } else { format!("{owner} gets no answer") };
            all.push(Flow { from, to, symptom, seen: Seen::line(log, line), breaks, job: None });
        }
    }
    all
}

fn in_log(namespace: &str, pod: &str, container: &str, line: &str) -> Seen {
    Seen::Log {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        previous: false,
        line: line.to_owned(),
    }
}

/// No answer at all; a server that says SERVFAIL was reached.
fn is_silence(error: &str) -> bool {
    error.contains("i/o timeout") || error.contains("Temporary failure in name resolution")
}

/// The DNS server of a look-up in vain.
fn resolver(line: &str) -> Option<IpAddr> {
    let lookup = pattern!(r"lookup \S+ on \[?([0-9a-fA-F.:]+?)\]?:53: .*i/o timeout");
    lookup.captures(line)?[1].parse().ok()
}
