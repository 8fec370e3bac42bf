//! What is said of an endpoint that finds nothing, and what of it was seen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fault, Named, Way};
use crate::checks::support::operator::{Operator, Server, found_text, labels, server_text};
use crate::domain::kubernetes::gitops;
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::selector::{self, Unmet};
use crate::domain::prometheus::operator::chain::{self, End, Near};
use crate::domain::prometheus::operator::selection::Kind;
use crate::domain::prometheus::operator::{deployment, kubelet_services};
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Monitor, MonitorEndpoint, MonitoringResource, Service};

/// The words of a fault, and what mends it.
pub(super) struct Words<'a> {
    pub(super) way: Way,
    pub(super) why: String,
    pub(super) services: Vec<&'a Service>,
}

/// A JSON patch of one operation.
fn add(path: &str, value: serde_json::Value) -> String {
    json_patch::text([json_patch::add(path, value)])
}

/// The field of a monitor's spec that holds its endpoints.
fn endpoints_field(monitor: &Monitor) -> &'static str {
    if monitor.kind == Kind::PodMonitor.as_str() { "podMetricsEndpoints" } else { "endpoints" }
}

fn named(service: &Service) -> String {
    format!("{}/{}", service.metadata.namespace, service.metadata.name)
}

fn list(services: &[&Service]) -> String {
    services.iter().take(3).map(|s| named(s)).collect::<Vec<_>>().join(", ")
}

fn where_looked(server: &MonitoringResource, monitor: &Monitor) -> String {
    match chain::namespaces(server, monitor) {
        None => "any namespace".to_owned(),
        Some(names) => format!("namespace {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// `at` is the number of the endpoint.
pub(super) fn words<'a>(
    snap: &Snapshot,
    server: &MonitoringResource,
    monitor: &Monitor,
    at: usize,
    fault: &Fault<'a>,
) -> Words<'a> {
    let wants = selector::text(&monitor.spec.selector);
    let endpoint = &monitor.spec.endpoints[at];
    let list_field = endpoints_field(monitor);
    let named_port = |meant: &Option<String>| {
        let path = format!("/spec/{list_field}/{at}/port");
        let seen = endpoint.port.as_deref();
        meant.as_deref().zip(seen).map(|(meant, seen)| json_patch::text(json_patch::swap(&path, seen, meant)))
    };
    let of = |way, why: String, services: Vec<&'a Service>| Words { way, why, services };
    let port = endpoint.port.as_deref().unwrap_or_default();
    match fault {
        Fault::Walk(End::NoService(None))
            if kubelet_services::is_meant(monitor) && !deployment::operators(snap).is_empty() =>
        {
            no_kubelets(snap, server, monitor)
        }
        Fault::Walk(End::NoService(near)) => no_service(server, monitor, near.as_ref()),
        Fault::Walk(End::NoPort { services, meant, numeric }) => {
            let names: BTreeSet<&str> =
                services.iter().flat_map(|s| &s.spec.ports).filter_map(|p| p.name.as_deref()).collect();
            let has = if names.is_empty() {
                "none that has a name".to_owned()
            } else {
                names.into_iter().collect::<Vec<_>>().join(", ")
            };
            let what = if *numeric {
                format!("port {port:?} is a number, and has to be the name of a port")
            } else {
                format!("no port is named {port:?}")
            };
            let service = services.first().map(|s| s.metadata.name.clone());
            let way = Way::Port { at, service, patch: named_port(meant) };
            of(way, format!("{what}: Service {} has {has}", list(services)), services.clone())
        }
        Fault::Walk(End::NoTargetPort { services, known }) => {
            let target = endpoint.target_port.as_ref().map(ToString::to_string).unwrap_or_default();
            let why = format!(
                "targetPort {target} is no port of the containers behind Service {}: they declare {}",
                list(services),
                known.join(", ")
            );
            of(Way::TargetPort, why, services.clone())
        }
        Fault::Walk(End::NoNamedTarget { service, at, target, known, meant }) => {
            let declare = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let why = format!(
                "Service {} leads its port {port:?} to a port of the containers that is named {target:?}, and they declare {declare}: its addresses carry no port",
                named(service)
            );
            let way = Way::ServiceTarget {
                service: Named::of(service),
                service_managed: managed_by(&service.metadata),
                patch: meant.map(|meant| {
                    let path = format!("/spec/ports/{at}/targetPort");
                    let named = json_patch::test(&format!("/spec/ports/{at}/name"), port);
                    let swap = json_patch::swap(&path, *target, meant);
                    json_patch::text([[named].as_slice(), &swap].concat())
                }),
            };
            of(way, why, vec![*service])
        }
        Fault::Walk(End::NoEndpoints(services)) if services.iter().all(|s| s.spec.selector.is_empty()) => {
            no_selector(snap, services, port)
        }
        Fault::Walk(End::NoEndpoints(services)) => {
            let service_namespace = services.first().map(|s| s.metadata.namespace.clone());
            let why = format!("Service {} has no endpoint", list(services));
            of(Way::Endpoints { service_namespace }, why, services.clone())
        }
        Fault::Walk(End::NoPod) => {
            let way = Way::NoPod { namespaces: chain::namespaces(server, monitor) };
            of(way, format!("no pod in {} has {wants}", where_looked(server, monitor)), Vec::new())
        }
        Fault::Walk(End::NoPodPort { pods, known, meant }) => {
            let (whose, they) = match pods.len() {
                1 => ("the only pod".to_owned(), "it declares"),
                n => (format!("{n} pods"), "they declare"),
            };
            let why = format!(
                "no container of {whose} has a port named {port:?}: {they} {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            );
            of(Way::Port { at, service: None, patch: named_port(meant) }, why, Vec::new())
        }
        Fault::Dropped(count) => {
            let n = count
                .filter(|n| *n > 0)
                .map(|n| format!("all {n} that were discovered"))
                .unwrap_or_else(|| "whatever is discovered".into());
            of(Way::Dropped { list: list_field }, format!("relabelling drops {n}"), Vec::new())
        }
        Fault::NotLoaded if server.spec.paused => {
            let why = format!("{} is paused, and the operator writes nothing for it", server_text(server));
            of(Way::Paused(Server::of(server)), why, Vec::new())
        }
        Fault::NotLoaded => {
            let way = Way::NotLoaded { server: Server::of(server), operator: Operator::of(snap) };
            of(way, "its job is not in the configuration that Prometheus runs with".to_owned(), Vec::new())
        }
        Fault::Walk(End::Found | End::Unknown) => of(Way::Dropped { list: list_field }, String::new(), Vec::new()),
    }
}

fn no_service<'a>(server: &MonitoringResource, monitor: &Monitor, near: Option<&Near<'a>>) -> Words<'a> {
    let wants = selector::text(&monitor.spec.selector);
    let looked = where_looked(server, monitor);
    let services: Vec<&Service> = near.map(Near::service).into_iter().collect();
    let mut why = format!("no Service in {looked} has {wants}");
    let way = match near {
        None => Way::NoService { namespaces: chain::namespaces(server, monitor), selector: wants },
        Some(Near::Namespace(service)) => {
            why.push_str(&format!("; Service {} has", named(service)));
            let mut names: BTreeSet<String> = monitor.spec.namespace_selector.match_names.iter().cloned().collect();
            names.insert(service.metadata.namespace.clone());
            let patch = add("/spec/namespaceSelector", serde_json::json!({"matchNames": names}));
            Way::Namespace { service: Named::of(service), patch }
        }
        Some(Near::PodLabels(service, unmet)) => {
            why.push_str(&format!(
                "; the pods of Service {} have it, the Service itself has {}",
                named(service),
                found_text(unmet)
            ));
            Way::ServiceLabels {
                service: Named::of(service),
                service_managed: managed_by(&service.metadata),
                service_labels: labels(unmet),
            }
        }
        Some(Near::Labels(service, unmet)) => {
            why.push_str(&format!("; Service {} has {}", named(service), found_text(unmet)));
            let patch = selector_of(monitor, unmet);
            Way::Selector { service: Named::of(service), service_labels: labels(unmet), patch }
        }
    };
    Words { way, why, services }
}

/// Nobody has written the addresses of a Service that selects no pods.
fn no_selector<'a>(snap: &Snapshot, services: &[&'a Service], port: &str) -> Words<'a> {
    let service = services[0];
    let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
    let own = gitops::excluding(snap, &["Endpoints", "EndpointSlice"], namespace, name);
    let mut why = format!("Service {} selects no pods, and nobody has written addresses for it", list(services));
    if let Some(application) = own {
        why.push_str(&format!(
            ": Application {} of Argo CD has them, and the settings of Argo CD exclude their kind",
            application.metadata.name
        ));
    }
    let seen = service.spec.ports.iter().find(|p| p.name.as_deref() == Some(port)).or(service.spec.ports.first());
    let target = seen.and_then(|p| u16::try_from(p.target_port.as_u64()?).ok());
    let way = Way::NoSelector {
        service: Named::of(service),
        port: port.to_owned(),
        number: target.or(seen.map(|p| p.port)).unwrap_or_default(),
        application: own.map(|o| o.metadata.name.clone()),
        application_namespace: own.map(|o| o.metadata.namespace.clone()).unwrap_or_default(),
        sync_patch: own.map(|o| gitops::sync_patch(&o.spec.sync_policy.sync_options)).unwrap_or_default(),
    };
    Words { way, why, services: services.to_vec() }
}

/// The operator makes the Service of the kubelets, where it is asked to, and makes it again where it is gone.
fn no_kubelets<'a>(snap: &Snapshot, server: &MonitoringResource, monitor: &Monitor) -> Words<'a> {
    let asked = kubelet_services::kept(snap).into_iter().next();
    let looked = where_looked(server, monitor);
    let wants = selector::text(&monitor.spec.selector);
    let why = match &asked {
        Some(name) => format!(
            "no Service in {looked} has {wants}: the operator is asked to keep Service {name} for the kubelets, and has not made it"
        ),
        None => format!(
            "no Service in {looked} has {wants}: the operator makes it, where --kubelet-service asks for it, and no operator has that flag"
        ),
    };
    let operators = deployment::operators(snap);
    let operator_managed = operators.first().map(|o| managed_by(&o.workload.metadata)).unwrap_or_default();
    Words { way: Way::Kubelet { asked, operator: Operator::of(snap), operator_managed }, why, services: Vec::new() }
}

/// The patch by which the monitor asks for what a Service has, where it asks for the same labels with other values.
fn selector_of(monitor: &Monitor, unmet: &[Unmet]) -> Option<String> {
    let equal: BTreeMap<&str, &str> =
        unmet.iter().filter_map(|u| Some((u.key.as_str(), u.found.as_deref()?))).collect();
    let mut all = monitor.spec.selector.match_labels.clone().unwrap_or_default();
    if equal.len() != unmet.len() || !equal.keys().all(|k| all.contains_key(*k)) {
        return None;
    }
    all.extend(equal.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())));
    Some(add("/spec/selector/matchLabels", serde_json::json!(all)))
}

pub(super) fn monitor_seen(kind: Kind, monitor: &Monitor, at: usize, endpoint: &MonitorEndpoint) -> Evidence {
    let meta = &monitor.metadata;
    let target = endpoint.target_port.as_ref().filter(|t| !t.is_null()).map(|t| format!(", targetPort {t}"));
    let port = endpoint.port.as_deref().map(|p| format!(", port {p}"));
    let names = &monitor.spec.namespace_selector;
    let scope = match (names.any, names.match_names.is_empty()) {
        (true, _) => "any namespace".to_owned(),
        (_, true) => "its own namespace".to_owned(),
        _ => format!("namespaces {}", names.match_names.join(", ")),
    };
    let value = format!(
        "selector {} in {scope}; endpoint {at}{}{}",
        selector::text(&monitor.spec.selector),
        port.unwrap_or_default(),
        target.unwrap_or_default()
    );
    Evidence::new(
        format!("{} {}/{}", kind.as_str(), meta.namespace, meta.name),
        value,
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("kind", kind.kubectl())
    .with("name", &meta.name)
    .with("namespace", &meta.namespace)
}

pub(super) fn service_seen(service: &Service) -> Evidence {
    let labels: Vec<String> = service.metadata.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let ports: Vec<String> = service
        .spec
        .ports
        .iter()
        .map(|p| {
            format!(
                "{} {}→{}",
                p.name.as_deref().unwrap_or("(no name)"),
                p.port,
                p.target_port.as_str().map_or_else(|| p.target_port.to_string(), str::to_owned)
            )
        })
        .collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    Evidence::new(
        format!("Service {}", named(service)),
        format!("labels {labels}; ports {}", ports.join(", ")),
        "kubectl get service {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("name", &service.metadata.name)
    .with("namespace", &service.metadata.namespace)
}
