//! From a selected monitor to its targets: Services, named ports, endpoints, and the scrape pool in the loaded configuration.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::kubernetes::selector::{self, Unmet};
use crate::domain::kubernetes::service_port;
use crate::domain::prometheus::operator::selection::Kind;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ContainerPort, Monitor, MonitorEndpoint, MonitoringResource, Pod, Service};
use crate::text::near;

/// The server whose API was asked: by the external label that the operator sets, else the only one.
pub(crate) fn answering(snap: &Snapshot) -> Option<&MonitoringResource> {
    let servers = snap.monitoring_resources().ok()?;
    let mut servers = servers.iter().filter(|r| r.kind == "Prometheus");
    let config = snap.prometheus_config().ok().and_then(|c| yaml::document(c).ok()).flatten();
    let label = config.as_ref().and_then(|c| c.at(&["global", "external_labels", "prometheus"]));
    if let Some((namespace, name)) = label.and_then(Node::as_str).and_then(|l| l.split_once('/'))
        && let Some(found) = servers.clone().find(|s| s.metadata.namespace == namespace && s.metadata.name == name)
    {
        return Some(found);
    }
    let first = servers.next()?;
    servers.next().is_none().then_some(first)
}

/// Names of the jobs in the loaded configuration; `None` where it is not known.
pub(crate) fn loaded_jobs(snap: &Snapshot) -> Option<BTreeSet<String>> {
    let config = yaml::document(snap.prometheus_config().ok()?).ok()??;
    let jobs = config.get("scrape_configs").and_then(Node::items).unwrap_or_default().iter();
    Some(jobs.filter_map(|j| j.get("job_name")?.as_str().map(str::to_owned)).collect())
}

/// The jobs that the operator makes of an object; of the endpoint `at` where it has several.
pub(crate) fn job_names(kind: Kind, namespace: &str, name: &str, at: usize) -> Vec<String> {
    match kind {
        // Before 0.44 the name said no kind.
        Kind::ServiceMonitor => {
            vec![format!("serviceMonitor/{namespace}/{name}/{at}"), format!("{namespace}/{name}/{at}")]
        }
        Kind::PodMonitor => vec![format!("podMonitor/{namespace}/{name}/{at}"), format!("{namespace}/{name}/{at}")],
        Kind::Probe => vec![format!("probe/{namespace}/{name}")],
        Kind::ScrapeConfig => vec![format!("scrapeConfig/{namespace}/{name}")],
        Kind::PrometheusRule | Kind::AlertmanagerConfig => Vec::new(),
    }
}

/// A Service that was nearly meant.
#[derive(Debug, Clone)]
pub(crate) enum Near<'a> {
    /// Its labels differ: what is not met.
    Labels(&'a Service, Vec<Unmet>),
    /// It meets the selector, in a namespace that the monitor does not look at.
    Namespace(&'a Service),
    /// It selects such pods, but has not their labels itself.
    PodLabels(&'a Service, Vec<Unmet>),
}

impl<'a> Near<'a> {
    /// The Service.
    pub(crate) fn service(&self) -> &'a Service {
        match self {
            Self::Labels(service, _) | Self::Namespace(service) | Self::PodLabels(service, _) => service,
        }
    }
}

/// Where the way of an endpoint of a monitor ends.
#[derive(Debug, Clone)]
pub(crate) enum End<'a> {
    /// No Service meets the selector in the namespaces that the monitor looks at.
    NoService(Option<Near<'a>>),
    /// None of the Services has a port of that name.
    NoPort { services: Vec<&'a Service>, meant: Option<String>, numeric: bool },
    /// No container of the pods behind has that port.
    NoTargetPort { services: Vec<&'a Service>, known: Vec<String> },
    /// Its port of a Service leads to a port by a name that no container of the pods behind has: the addresses carry no port.
    NoNamedTarget { service: &'a Service, at: usize, target: &'a str, known: Vec<String>, meant: Option<u16> },
    /// The Services have no address at all.
    NoEndpoints(Vec<&'a Service>),
    /// No pod meets the selector (PodMonitor).
    NoPod,
    /// No container of the pods has a port of that name (PodMonitor).
    NoPodPort { pods: Vec<&'a Pod>, known: Vec<String>, meant: Option<String> },
    /// As far as the objects tell, targets are found.
    Found,
    /// Something that decides is not known.
    Unknown,
}

/// The namespaces that a monitor looks at; `None`: all.
pub(crate) fn namespaces(server: &MonitoringResource, monitor: &Monitor) -> Option<BTreeSet<String>> {
    let own = || Some(BTreeSet::from([monitor.metadata.namespace.clone()]));
    let selector = &monitor.spec.namespace_selector;
    if server.spec.ignore_namespace_selectors {
        return own();
    }
    if selector.any {
        return None;
    }
    if selector.match_names.is_empty() { own() } else { Some(selector.match_names.iter().cloned().collect()) }
}

/// Walks from an endpoint of a monitor to its targets.
pub(crate) fn walk<'a>(
    snap: &'a Snapshot,
    server: &MonitoringResource,
    monitor: &Monitor,
    endpoint: &MonitorEndpoint,
) -> End<'a> {
    let scope = namespaces(server, monitor);
    if monitor.kind == "PodMonitor" {
        return walk_pods(snap, monitor, endpoint, scope.as_ref());
    }
    let known = match &scope {
        None => snap.services.is_whole(),
        Some(names) => names.iter().all(|n| snap.services.covers(n)),
    };
    if !known {
        return End::Unknown;
    }
    let all = snap.services.items().unwrap_or_default();
    // Every cluster has this Service: a list without it is not the whole list.
    let api = |s: &Service| s.metadata.namespace == "default" && s.metadata.name == "kubernetes";
    if scope.as_ref().is_some_and(|names| names.contains("default")) && !all.iter().any(api) {
        return End::Unknown;
    }
    let inside = |s: &&Service| scope.as_ref().is_none_or(|names| names.contains(&s.metadata.namespace));
    let wants = &monitor.spec.selector;
    let services: Vec<&Service> =
        all.iter().filter(inside).filter(|s| selector::selects(wants, &s.metadata.labels)).collect();
    if services.is_empty() {
        return End::NoService(near_service(all, monitor, scope.as_ref()));
    }
    match port(snap, endpoint, &services) {
        Ok(services) => match has_endpoints(snap, &services) {
            Some(false) => End::NoEndpoints(services),
            Some(true) => End::Found,
            None => End::Unknown,
        },
        Err(end) => end,
    }
}

/// The Services that have the endpoint's port, or where the way ends.
fn port<'a>(
    snap: &'a Snapshot,
    endpoint: &MonitorEndpoint,
    services: &[&'a Service],
) -> Result<Vec<&'a Service>, End<'a>> {
    if let Some(name) = endpoint.port.as_deref().filter(|n| !n.is_empty()) {
        let has = |s: &&&Service| s.spec.ports.iter().any(|p| p.name.as_deref() == Some(name));
        let with: Vec<&Service> = services.iter().filter(has).copied().collect();
        if !with.is_empty() {
            return unnamed_target(snap, name, &with).map_or(Ok(with), Err);
        }
        let number: Option<u16> = name.parse().ok();
        let ports = || services.iter().flat_map(|s| &s.spec.ports);
        let names: BTreeSet<&str> = ports().filter_map(|p| p.name.as_deref()).collect();
        let by_number = ports().find(|p| number == Some(p.port) || number.is_some_and(|n| p.target_port == n));
        let similar = || names.iter().copied().find(|n| near::typo(n, name, 2) || n.contains(name) || name.contains(n));
        let only = || names.iter().copied().next().filter(|_| names.len() == 1);
        let meant = by_number.and_then(|p| p.name.as_deref()).or_else(similar).or_else(only).map(str::to_owned);
        return Err(End::NoPort { services: services.to_vec(), meant, numeric: number.is_some() });
    }
    let Some(target) = endpoint.target_port.as_ref().filter(|t| !t.is_null()) else { return Ok(services.to_vec()) };
    let by_service =
        |s: &&&Service| s.spec.ports.iter().any(|p| p.target_port == *target || same_number(&p.target_port, target));
    let with: Vec<&Service> = services.iter().filter(by_service).copied().collect();
    if !with.is_empty() {
        return Ok(with);
    }
    if !services.iter().all(|s| snap.pods.covers(&s.metadata.namespace)) {
        return Ok(services.to_vec());
    }
    let pods: Vec<&Pod> = services.iter().flat_map(|s| snap.pods_of_service(s)).collect();
    let known = container_ports(&pods);
    // Who has no pod fails further down; what declares no port at all may listen on any.
    if pods.is_empty() || pods.iter().any(|p| has_port(p, target)) {
        return Ok(services.to_vec());
    }
    Err(End::NoTargetPort { services: services.to_vec(), known })
}

/// None of the Services leads anywhere by their port of a name.
fn unnamed_target<'a>(snap: &'a Snapshot, name: &str, services: &[&'a Service]) -> Option<End<'a>> {
    let mut first = None;
    for &service in services {
        let (at, port) = service.spec.ports.iter().enumerate().find(|(_, p)| p.name.as_deref() == Some(name))?;
        let target = port.target_port.as_str()?;
        let pods: Vec<&Pod> = snap.pods_of_service(service).collect();
        let led = pods.iter().any(|p| service_port::named(p, target).is_some());
        if pods.is_empty() || led || !snap.pods.covers(&service.metadata.namespace) {
            return None;
        }
        let is_tcp = |p: &&ContainerPort| matches!(p.protocol.as_deref(), None | Some("TCP" | ""));
        let declared = pods.iter().flat_map(|p| &p.spec.containers).flat_map(|c| &c.ports);
        let ports: BTreeSet<u16> = declared.filter(is_tcp).map(|p| p.container_port).collect();
        let meant = ports.first().copied().filter(|_| ports.len() == 1);
        first.get_or_insert(End::NoNamedTarget { service, at, target, known: container_ports(&pods), meant });
    }
    first
}

/// `8080` and `"8080"`.
fn same_number(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    number(a).is_some() && number(a) == number(b)
}

fn has_port(pod: &Pod, wanted: &Value) -> bool {
    let number = wanted.as_u64().or_else(|| wanted.as_str()?.parse().ok());
    let ports = pod.spec.containers.iter().flat_map(|c| &c.ports);
    ports.into_iter().any(|p| {
        number.is_some_and(|n| u64::from(p.container_port) == n)
            || p.name.as_deref() == wanted.as_str() && p.name.is_some()
    })
}

/// `http (8080)`, in order.
fn container_ports(pods: &[&Pod]) -> Vec<String> {
    let ports = pods.iter().flat_map(|p| &p.spec.containers).flat_map(|c| &c.ports);
    let all: BTreeSet<String> = ports
        .map(|p| match p.name.as_deref() {
            Some(name) => format!("{name} ({})", p.container_port),
            None => p.container_port.to_string(),
        })
        .collect();
    all.into_iter().collect()
}

/// One of the Services has an address, ready or not; `None` where they were not read.
fn has_endpoints(snap: &Snapshot, services: &[&Service]) -> Option<bool> {
    let mut unknown = false;
    for service in services {
        match snap.endpoints_of(service) {
            Some((0, 0)) => {}
            Some(_) => return Some(true),
            None => unknown = true,
        }
    }
    (!unknown).then_some(false)
}

fn near_service<'a>(all: &'a [Service], monitor: &Monitor, scope: Option<&BTreeSet<String>>) -> Option<Near<'a>> {
    let wants = &monitor.spec.selector;
    let inside = |s: &&Service| scope.is_none_or(|names| names.contains(&s.metadata.namespace));
    let own = |s: &Service| {
        let mut words = [s.metadata.name.as_str(), monitor.metadata.name.as_str()];
        words.sort_by_key(|w| w.len());
        words[1].contains(words[0])
    };
    let by_pods =
        all.iter().filter(inside).find(|s| !s.spec.selector.is_empty() && selector::selects(wants, &s.spec.selector));
    if let Some(service) = by_pods {
        return Some(Near::PodLabels(service, selector::unmet(wants, &service.metadata.labels)));
    }
    if let Some(scope) = scope
        && let Some(service) = all.iter().find(|s| {
            !scope.contains(&s.metadata.namespace)
                && !selector::text(wants).is_empty()
                && selector::selects(wants, &s.metadata.labels)
        })
    {
        return Some(Near::Namespace(service));
    }
    // One label has another value, or the Service bears the monitor's name: then its labels are what was meant.
    let requirements = selector::unmet(wants, &crate::snapshot::kubernetes::Map::new()).len();
    let slips = all.iter().filter(inside).filter_map(|s| {
        let unmet = selector::unmet(wants, &s.metadata.labels);
        let differs = unmet.iter().all(|u| u.found.is_some()) && unmet.len() < requirements.max(2);
        let close = unmet.iter().any(|u| {
            u.value().zip(u.found.as_deref()).is_some_and(|(a, b)| near::typo(a, b, 2) || near::same_service(a, b))
        });
        (close || own(s) && (differs || unmet.len() < requirements || unmet.len() == 1)).then_some((
            !close,
            unmet.len(),
            s,
            unmet,
        ))
    });
    slips
        .min_by_key(|(far, count, s, _)| (*far, *count, s.metadata.namespace.clone(), s.metadata.name.clone()))
        .map(|(_, _, service, unmet)| Near::Labels(service, unmet))
}

fn walk_pods<'a>(
    snap: &'a Snapshot,
    monitor: &Monitor,
    endpoint: &MonitorEndpoint,
    scope: Option<&BTreeSet<String>>,
) -> End<'a> {
    let known = match scope {
        None => snap.pods.is_whole(),
        Some(names) => names.iter().all(|n| snap.pods.covers(n)),
    };
    if !known {
        return End::Unknown;
    }
    let all = snap.pods.items().unwrap_or_default().iter().filter(|p| !p.is_finished());
    let inside = all.filter(|p| scope.is_none_or(|names| names.contains(&p.metadata.namespace)));
    let pods: Vec<&Pod> = inside.filter(|p| selector::selects(&monitor.spec.selector, &p.metadata.labels)).collect();
    if pods.is_empty() {
        return End::NoPod;
    }
    let Some(name) = endpoint.port.as_deref().filter(|n| !n.is_empty()) else { return End::Found };
    let ports = || pods.iter().flat_map(|p| p.all_containers()).flat_map(|c| &c.ports);
    let names: BTreeSet<&str> = ports().filter_map(|p| p.name.as_deref()).collect();
    if names.contains(name) {
        return End::Found;
    }
    let number: Option<u16> = name.parse().ok();
    let by_number = ports().find(|p| number == Some(p.container_port)).and_then(|p| p.name.clone());
    let similar = || names.iter().find(|n| near::typo(n, name, 2) || n.contains(name) || name.contains(*n));
    let meant = by_number.or_else(|| similar().map(|n| (*n).to_owned()));
    let known = container_ports(&pods);
    End::NoPodPort { pods, known, meant }
}
