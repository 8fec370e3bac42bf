//! A monitor that Prometheus selects finds no target: no Service, no such port, no endpoint, or all of them dropped.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::{
    Label, Loaded, Operator, Server, StackRelease, found_text, labels, server_text,
};
use crate::checks::support::scrape::{SHOW_TARGETS, targets_params};
use crate::checks::{Check, check};
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::selector::{self, Unmet};
use crate::domain::prometheus::operator::chain::{self, End, Near};
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::operator::{deployment, kubelet_services, log};
use crate::domain::prometheus::targets::is_control_plane_name;
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Monitor, MonitorEndpoint, MonitoringResource, Service};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    MonitorWithoutTargets {
        id: "monitor-without-targets", suite: Operator, severity: Error,
        title: "a monitor finds no target",
        requires: [MonitoringResources, Monitors, Services],
        uses: [
            OtherServers, Namespaces, Workloads, Pods, EndpointSlices, PrometheusConfig, PrometheusTargets, DroppedTargets,
            PrometheusRuntime, PartLogs,
        ],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    kind: &'static str,
    /// Its kind as kubectl takes it.
    resource: &'static str,
    monitor: String,
    namespace: String,
    managed: String,
    /// It is to be switched off: no targets will come.
    off: bool,
    #[serde(flatten)]
    loaded: Loaded,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    NoService {
        /// None where it looks at all of them.
        namespaces: Option<BTreeSet<String>>,
        selector: String,
    },
    /// The Service of the kubelets, which the operator makes.
    Kubelet {
        /// `namespace/name` of the one that an operator is asked to keep.
        asked: Option<String>,
        #[serde(flatten)]
        operator: Operator,
        operator_managed: String,
    },
    Namespace {
        #[serde(flatten)]
        service: Named,
        patch: String,
    },
    ServiceLabels {
        #[serde(flatten)]
        service: Named,
        service_managed: String,
        service_labels: Vec<Label>,
    },
    Selector {
        #[serde(flatten)]
        service: Named,
        service_labels: Vec<Label>,
        /// The monitor's selector as the Service has its labels, where it can have them.
        patch: Option<String>,
    },
    Port {
        /// The number of the endpoint.
        at: usize,
        service: Option<String>,
        /// Names the port that is meant.
        patch: Option<String>,
    },
    TargetPort,
    /// The Service's own targetPort is no port of the containers.
    ServiceTarget {
        #[serde(flatten)]
        service: Named,
        service_managed: String,
        /// Leads to the only port that the containers declare.
        patch: Option<String>,
    },
    Endpoints {
        service_namespace: Option<String>,
    },
    ControlPlane(StackRelease),
    NoPod {
        namespaces: Option<BTreeSet<String>>,
    },
    Dropped {
        /// The field of the monitor's spec that holds its endpoints.
        list: &'static str,
    },
    Paused(Server),
    NotLoaded {
        #[serde(flatten)]
        server: Server,
        #[serde(flatten)]
        operator: Operator,
    },
}

/// A Service as commands name it.
#[derive(Serialize, JsonSchema)]
struct Named {
    service: String,
    service_namespace: String,
}

impl Named {
    fn of(service: &Service) -> Self {
        Self { service: service.metadata.name.clone(), service_namespace: service.metadata.namespace.clone() }
    }
}

/// Seconds within which a new object need not be in the configuration: operator, kubelet and reloader take their time.
const YOUNG: i64 = 300;

impl Check for MonitorWithoutTargets {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if selection::servers(snap, Kind::ServiceMonitor)?.is_empty() {
            return Ok(Diagnosis::NotApplicable("no Prometheus of the Prometheus Operator".into()));
        }
        snap.services()?;
        let view = View::new(snap);
        let mut findings = Vec::new();
        for monitor in snap.monitors()?.iter().filter(|m| m.metadata.deletion_timestamp.is_none()) {
            let Some(kind) = Kind::parse(&monitor.kind) else { continue };
            // Whom nobody selects is told of elsewhere.
            let Some(server) = selection::selecting(snap, kind, &monitor.metadata)?.into_iter().next() else {
                continue;
            };
            findings.extend(view.judge(kind, monitor, server));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

struct View<'a> {
    snap: &'a Snapshot,
    /// The server whose API answered, and what it has loaded.
    answering: Option<&'a MonitoringResource>,
    jobs: Option<BTreeSet<String>>,
    active: Option<BTreeMap<&'a str, usize>>,
    refused: BTreeSet<(Kind, String, String)>,
}

/// What one endpoint of a monitor comes to.
enum Fault<'a> {
    Walk(End<'a>),
    /// The job is there; relabelling drops everything.
    Dropped(Option<u64>),
    /// The job is not in the configuration that Prometheus runs with.
    NotLoaded,
}

impl<'a> View<'a> {
    fn new(snap: &'a Snapshot) -> Self {
        let active = snap.prometheus_targets().ok().map(|targets| {
            let mut counts = BTreeMap::new();
            for target in targets {
                *counts.entry(target.job()).or_default() += 1;
            }
            counts
        });
        let said = log::said(snap).unwrap_or_default();
        let refused = said.refused.into_iter().map(|r| (r.kind, r.namespace, r.name)).collect();
        Self { snap, answering: chain::answering(snap), jobs: chain::loaded_jobs(snap), active, refused }
    }

    /// The first endpoint that finds nothing; the monitor's other endpoints mostly fail for the same reason.
    fn judge(&self, kind: Kind, monitor: &'a Monitor, server: &'a MonitoringResource) -> Option<Finding> {
        let meta = &monitor.metadata;
        // What the operator leaves out cannot have targets: its refusal is the finding.
        if self.refused.contains(&(kind, meta.namespace.clone(), meta.name.clone())) {
            return None;
        }
        let asked = self.answering.is_some_and(|s| s.reference() == server.reference());
        monitor.spec.endpoints.iter().enumerate().find_map(|(at, endpoint)| {
            let jobs = chain::job_names(kind, &meta.namespace, &meta.name, at);
            let fault = self.fault(server, monitor, endpoint, &jobs, asked)?;
            Some(self.finding(kind, monitor, server, at, endpoint, fault))
        })
    }

    fn fault(
        &self,
        server: &MonitoringResource,
        monitor: &Monitor,
        endpoint: &MonitorEndpoint,
        jobs: &[String],
        asked: bool,
    ) -> Option<Fault<'a>> {
        let active = self.active.as_ref().filter(|_| asked);
        if active.is_some_and(|a| jobs.iter().any(|j| a.contains_key(j.as_str()))) {
            return None;
        }
        let end = chain::walk(self.snap, server, monitor, endpoint);
        match end {
            End::Found | End::Unknown => {}
            // Addresses that someone else keeps may stand in Endpoints alone.
            End::NoEndpoints(ref services)
                if active.is_none() && services.iter().all(|s| s.spec.selector.is_empty()) => {}
            end => return Some(Fault::Walk(end)),
        }
        let loaded = self.jobs.as_ref().filter(|_| asked)?;
        let Some(job) = jobs.iter().find(|j| loaded.contains(*j)) else {
            let young = self.snap.age_seconds(&monitor.metadata) < YOUNG;
            return (!young).then_some(Fault::NotLoaded);
        };
        // Each shard keeps its part only.
        if active.is_none() || server.spec.shards.unwrap_or(1) > 1 || matches!(end, End::Unknown) {
            return None;
        }
        let dropped = self.snap.dropped_targets().ok().map(|all| all.get(job).copied().unwrap_or(0));
        (self.settled() && may_drop(endpoint)).then_some(Fault::Dropped(dropped))
    }

    /// Discovery had a minute since the configuration was loaded.
    fn settled(&self) -> bool {
        let runtime = self.snap.prometheus_runtime().ok();
        let loaded = runtime.and_then(|r| r.last_config_time.max(r.start_time));
        loaded.is_none_or(|t| self.snap.seconds_since(t) > 60)
    }

    fn finding(
        &self,
        kind: Kind,
        monitor: &'a Monitor,
        server: &'a MonitoringResource,
        at: usize,
        endpoint: &MonitorEndpoint,
        fault: Fault<'a>,
    ) -> Finding {
        let meta = &monitor.metadata;
        let subject = kind.reference(&meta.namespace, &meta.name);
        let mut words = words(self.snap, server, monitor, at, &fault);
        if self.is_hidden(monitor, &fault) {
            words.way = Way::ControlPlane(StackRelease::of(server));
        }
        let job = chain::job_names(kind, &meta.namespace, &meta.name, at).swap_remove(0);
        let severity = self.severity(monitor, &fault);
        let message = format!(
            "{} {}/{} is selected by {} and has no target: {}",
            kind.as_str(),
            meta.namespace,
            meta.name,
            server_text(server),
            words.why
        );
        let mut made = Finding::new(MonitorWithoutTargets::META.id, severity, subject.clone(), message)
            .breaks(subject.clone())
            .breaks(ResourceRef::ScrapeJob { job: job.clone() })
            .depends_on(subject)
            .depends_on(ResourceRef::ScrapeJob { job: job.clone() });
        made = self.dependencies(&fault, monitor, server).into_iter().fold(made, Finding::depends_on);
        if matches!(words.way, Way::Paused(_)) {
            let text = format!(
                "{} is paused: what its monitors ask for is not written into its configuration",
                server_text(server)
            );
            made = made.cause(Cause::resource(server.reference(), text));
        }
        made.evidence.push(monitor_seen(kind, monitor, at, endpoint));
        made.evidence.extend(words.services.iter().take(3).map(|s| service_seen(s)));
        made.evidence.extend(self.targets_seen(&job, &fault));
        made = made.fix(Fix {
            kind: kind.as_str(),
            resource: kind.kubectl(),
            monitor: meta.name.clone(),
            namespace: meta.namespace.clone(),
            managed: managed_by(meta),
            off: matches!(words.way, Way::ControlPlane(_)),
            loaded: Loaded::of(self.snap, kind, &meta.namespace, &meta.name),
            way: words.way,
        });
        made.key = made.variant.to_owned();
        made
    }

    /// The monitor is for a part of the control plane, which EKS keeps to itself.
    fn is_hidden(&self, monitor: &Monitor, fault: &Fault<'_>) -> bool {
        matches!(fault, Fault::Walk(End::NoEndpoints(_) | End::NoService(None)))
            && self.snap.platform != Platform::Other
            && is_control_plane_name(&monitor.metadata.name)
    }

    fn severity(&self, monitor: &Monitor, fault: &Fault<'_>) -> Severity {
        match fault {
            _ if self.is_hidden(monitor, fault) => Severity::Info,
            // An application at zero, or not deployed: nothing is there to be scraped.
            Fault::Walk(End::NoEndpoints(services)) => {
                if services.iter().all(|s| s.spec.selector.is_empty()) {
                    Severity::Warning
                } else {
                    Severity::Info
                }
            }
            Fault::Walk(End::NoService(None) | End::NoPod) => Severity::Warning,
            Fault::Walk(_) | Fault::NotLoaded => Severity::Error,
            Fault::Dropped(_) => Severity::Warning,
        }
    }

    fn dependencies(&self, fault: &Fault<'_>, monitor: &Monitor, server: &MonitoringResource) -> Vec<ResourceRef> {
        let services = |all: &[&Service]| {
            all.iter().map(|s| ResourceRef::service(&s.metadata.namespace, &s.metadata.name)).collect::<Vec<_>>()
        };
        match fault {
            Fault::Walk(End::NoEndpoints(all)) => services(all),
            Fault::Walk(End::NoService(None)) if kubelet_services::is_meant(monitor) => {
                deployment::operators(self.snap).iter().map(|o| o.workload.reference()).collect()
            }
            Fault::NotLoaded => {
                let operators = deployment::operators(self.snap);
                let mut all: Vec<ResourceRef> = operators.iter().map(|o| o.workload.reference()).collect();
                all.push(server.reference());
                all.push(server.set());
                all
            }
            _ => Vec::new(),
        }
    }

    fn targets_seen(&self, job: &str, fault: &Fault<'_>) -> Option<Evidence> {
        let value = match fault {
            Fault::NotLoaded => {
                let runtime = self.snap.prometheus_runtime().ok();
                let since =
                    runtime.and_then(|r| r.last_config_time).map(|t| format!(", loaded {t}")).unwrap_or_default();
                format!("no such job in the configuration that Prometheus runs with{since}")
            }
            Fault::Dropped(Some(n)) => format!("no active target, {n} dropped"),
            _ if self.active.is_some() => "no active target".to_owned(),
            _ => return None,
        };
        let mut seen = Evidence::new(format!("Prometheus scrape pool {job}"), value, SHOW_TARGETS);
        seen.params = targets_params(self.snap, Some(job));
        Some(seen)
    }
}

/// The endpoint has relabelings of its own that can drop a target; the operator's fit what was walked.
fn may_drop(endpoint: &MonitorEndpoint) -> bool {
    let action = |r: &serde_json::Value| r.get("action").and_then(|a| a.as_str()).map(str::to_ascii_lowercase);
    let drops = ["keep", "drop", "keepequal", "dropequal"];
    endpoint.relabelings.iter().filter_map(action).any(|a| drops.contains(&a.as_str()))
}

/// The words of a fault, and what mends it.
struct Words<'a> {
    way: Way,
    why: String,
    services: Vec<&'a Service>,
}

/// A JSON patch of one operation.
fn add(path: &str, value: &serde_json::Value) -> String {
    serde_json::json!([{"op": "add", "path": path, "value": value}]).to_string()
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
fn words<'a>(
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
            let why = format!(
                "no container of {} pods has a port named {port:?}: they declare {}",
                pods.len(),
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
            let patch = add("/spec/namespaceSelector", &serde_json::json!({"matchNames": names}));
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
    Some(add("/spec/selector/matchLabels", &serde_json::json!(all)))
}

fn monitor_seen(kind: Kind, monitor: &Monitor, at: usize, endpoint: &MonitorEndpoint) -> Evidence {
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

fn service_seen(service: &Service) -> Evidence {
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
