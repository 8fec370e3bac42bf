//! A Service: selector → pods → endpoints → port → policy → ingress.

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::pod::is_young;
use super::shown;
use super::words::{count, few};
use crate::domain::kubernetes::endpoints::{self, selector};
use crate::domain::kubernetes::network_policy::{self, Direction, Policies};
use crate::domain::kubernetes::{ingress, service_port};
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Ingress, Pod, Service};
use crate::snapshot::{Fetched, Snapshot};

const NO_ENDPOINTS: &[&str] = &["service-no-endpoints"];
/// Names of pods in a link.
const NAMES: usize = 3;

/// The chain of a Service.
pub(super) fn chain(b: &mut Builder<'_>, service: &Service) {
    let snap = b.snap;
    behind(b, service);
    b.link("port", Vec::new(), Claims::Of(&[]), || ports(snap, service));
    policy(b, &snap.pods_of_service(service).collect::<Vec<_>>(), false);
    for found in ingresses(snap, service) {
        b.link("ingress", vec![ingress::reference(&found.metadata)], Claims::All, || Ok(ingress_link(snap, found)));
    }
}

/// From the Service to the addresses behind it.
pub(super) fn behind(b: &mut Builder<'_>, service: &Service) {
    let snap = b.snap;
    let meta = &service.metadata;
    let own = || vec![ResourceRef::service(&meta.namespace, &meta.name)];
    b.link("selector", own(), Claims::Of(NO_ENDPOINTS), || selected(snap, service));
    if is_elsewhere(service) {
        return;
    }
    let pods: Vec<&Pod> = snap.pods_of_service(service).collect();
    if !pods.is_empty() {
        let refs = pods.iter().flat_map(|p| [pod_ref(p), snap.owner_ref(p)]).chain(own()).collect();
        b.link("pods", refs, Claims::Of(NO_ENDPOINTS), || pods_ready(snap, service, &pods));
    }
    b.link("endpoints", own(), Claims::Of(NO_ENDPOINTS), || endpoints(snap, service));
}

fn pod_ref(pod: &Pod) -> ResourceRef {
    ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name)
}

/// It stands for another name, or somebody else keeps its endpoints.
fn is_elsewhere(service: &Service) -> bool {
    service.spec.kind.as_deref() == Some("ExternalName")
}

fn selected(snap: &Snapshot, service: &Service) -> Fetched<Seen> {
    if let Some(name) = service.spec.external_name.as_deref().filter(|_| is_elsewhere(service)) {
        return Ok(right(format!("it stands for {name}, which is not a part of the cluster")));
    }
    if service.spec.selector.is_empty() {
        return Ok(idle("it selects no pods: its endpoints are kept by somebody else"));
    }
    snap.pods.covered(&service.metadata.namespace)?;
    let pods: Vec<&Pod> = snap.pods_of_service(service).collect();
    let shown = shown::object("service", &service.metadata);
    if pods.is_empty() {
        snap.workloads.covered(&service.metadata.namespace)?;
        let reason = endpoints::Cause::of(snap, service);
        let why = reason.as_ref().map(|r| r.words(snap, service)).unwrap_or_default();
        let is_off = matches!(reason, Some(endpoints::Cause::ScaledToZero(_)));
        let seen =
            if is_off { idle(format!("it has no pod: {why}")) } else { broken(format!("it selects no pod: {why}")) };
        return Ok(seen.with(shown));
    }
    Ok(right(format!("{} selects {}", selector(service), count(pods.len(), "pod"))).with(shown))
}

fn pods_ready(snap: &Snapshot, service: &Service, pods: &[&Pod]) -> Fetched<Seen> {
    let ready = pods.iter().filter(|p| p.is_ready()).count();
    if ready == 0 && pods.iter().all(|p| is_young(snap, p)) {
        return Ok(idle(format!("{}, just starting", count(pods.len(), "pod"))));
    }
    if ready == 0 {
        let why = endpoints::Cause::of(snap, service).map(|r| r.words(snap, service));
        let text = why.unwrap_or_else(|| "none of its pods is ready".to_owned());
        return Ok(broken(text).with(shown::described("pod", &pods[0].metadata)));
    }
    let names = pods.iter().filter(|p| !p.is_ready()).map(|p| p.metadata.name.as_str());
    let rest = few(names, NAMES);
    let but = if rest.is_empty() { String::new() } else { format!("; not ready: {rest}") };
    Ok(right(format!("{ready} of {} ready{but}", count(pods.len(), "pod"))))
}

fn endpoints(snap: &Snapshot, service: &Service) -> Fetched<Seen> {
    let meta = &service.metadata;
    snap.endpoint_slices.covered(&meta.namespace)?;
    let (ready, unready) = snap.endpoints_of(service).unwrap_or_default();
    let mut shown = shown::object("endpointslices", meta);
    shown.reproduce_template = "kubectl get endpointslices -n {{ namespace }} -l kubernetes.io/service-name={{ name }}";
    let is_off = matches!(endpoints::Cause::of(snap, service), Some(endpoints::Cause::ScaledToZero(_)))
        || service.spec.selector.is_empty();
    let mut pods = snap.pods_of_service(service).peekable();
    let is_new = pods.peek().is_some() && pods.all(|p| is_young(snap, p));
    Ok(match (ready, unready) {
        (0, 0) if is_off => idle("it has no address").with(shown),
        (0, 0) => broken("it has no address").with(shown),
        (0, _) if is_new => idle("no address is ready yet").with(shown),
        (0, 1) => broken("1 address, not ready").with(shown),
        (0, n) => broken(format!("{}, none of them ready", count_of(n, "address", "addresses"))).with(shown),
        (n, _) => right(format!("{} ready", count_of(n, "address", "addresses"))).with(shown),
    })
}

fn count_of(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

fn ports(snap: &Snapshot, service: &Service) -> Fetched<Seen> {
    let pods: Vec<&Pod> = snap.pods_of_service(service).collect();
    let Some(first) = pods.first() else { return Ok(idle("there is no pod to look at")) };
    let mut shown_ports = Vec::new();
    for (_, port) in service_port::tcp(service) {
        let name = port.name.as_deref().map(|n| format!(" ({n})")).unwrap_or_default();
        match service_port::target(port, first) {
            Some(target) => shown_ports.push(format!("{}{name} → {target}", port.port)),
            None => {
                let wanted = port.target_port.as_str().unwrap_or_default();
                let text =
                    format!("port {}{name} goes to {wanted:?}, and no container has a port of that name", port.port);
                return Ok(broken(text).with(shown::written("service", &service.metadata)));
            }
        }
    }
    Ok(match shown_ports.as_slice() {
        [] => idle("it has no TCP port"),
        all => right(all.join(", ")),
    })
}

/// Whether NetworkPolicies keep others from these pods; `answers` where what asks them was seen to get an answer.
pub(super) fn policy(b: &mut Builder<'_>, pods: &[&Pod], answers: bool) {
    let snap = b.snap;
    let Some(namespace) = pods.first().map(|p| p.metadata.namespace.as_str()) else { return };
    let policies = Policies::of(snap);
    let isolating: Vec<_> = pods.iter().flat_map(|p| policies.isolating(p, Direction::Ingress)).collect();
    let mut about: Vec<ResourceRef> = Vec::new();
    for reference in isolating.iter().map(|p| network_policy::reference(p)) {
        if !about.contains(&reference) {
            about.push(reference);
        }
    }
    let names: Vec<String> = about.iter().map(ResourceRef::name).collect();
    let (isolates, admits) = if names.len() == 1 { ("isolates", "it admits") } else { ("isolate", "they admit") };
    let names = few(names.iter().map(String::as_str), NAMES);
    b.link("policy", about, Claims::Cause(&["network-policy-blocks"]), || {
        snap.network_policies.covered(namespace)?;
        let Some(first) = isolating.first() else { return Ok(right("no NetworkPolicy isolates its pods")) };
        let seen = if answers {
            right(format!("{names} {isolates} its pods, and what asks them gets through"))
        } else {
            untold(format!("{names} {isolates} its pods; whom {admits} was not looked at here"))
        };
        Ok(seen.with(shown::described("networkpolicy", &first.metadata)))
    });
}

fn ingresses<'a>(snap: &'a Snapshot, service: &Service) -> Vec<&'a Ingress> {
    let leads = |i: &&Ingress| {
        i.metadata.namespace == service.metadata.namespace
            && ingress::backends(i).iter().filter_map(|b| b.service.as_ref()).any(|s| s.name == service.metadata.name)
    };
    snap.ingresses.items().unwrap_or_default().iter().filter(leads).collect()
}

fn ingress_link(snap: &Snapshot, found: &Ingress) -> Seen {
    use ingress::Served;
    let name = &found.metadata.name;
    let shown = shown::described("ingress", &found.metadata);
    match ingress::served(snap, found) {
        Some(Served::NoSuchClass(class)) => broken(format!("{name}: IngressClass {class} does not exist")).with(shown),
        Some(Served::NoClass) => broken(format!("{name} names no class, and none is the default")).with(shown),
        _ if ingress::has_address(&found.status.load_balancer) => right(format!("{name} has an address")).with(shown),
        _ => broken(format!("{name} has no address")).with(shown),
    }
}
