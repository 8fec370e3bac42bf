//! A scrape target: object → loaded → Service → pods → endpoints → policy → security group → answer.

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::pod::QUOTED;
use super::words::{count, few};
use super::{service, shown};
use crate::domain::kubernetes::service_port;
use crate::domain::prometheus::operator::chain::{self, End};
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::origin::{job_line, monitor_of};
use crate::domain::prometheus::scrape_error::ScrapeFailure as Failure;
use crate::domain::prometheus::targets::{self, Address};
use crate::domain::text::shorten::shorten;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Meta, Monitor, Pod, Service};
use crate::snapshot::monitoring::ScrapeTarget;
use crate::snapshot::{Fetched, Platform, Snapshot};

const ANSWERS: &[&str] = &[
    "container-insights-metric",
    "monitor-without-targets",
    "samples-dropped",
    "target-down",
    "target-not-metrics",
    "target-service-missing",
];
const OBJECTS: &[&str] = &[
    "discovery-failing",
    "job-without-targets",
    "monitor-without-targets",
    "operator-refuses",
    "prometheus-config",
    "reload-refused",
    "servicemonitor-unselected",
];

/// The chain of the targets that a name stands for: a job, a pool, or an instance.
pub(super) fn chain(b: &mut Builder<'_>, name: &str) {
    let mut own: Vec<&ScrapeTarget> = targets::all(b.snap).iter().filter(|t| is_called(t, name)).collect();
    // One that fails says more than one that works.
    own.sort_by_key(|t| (rank(t), t.scrape_url.clone()));
    if own.len() > 1 {
        b.note(one_of(&own));
    }
    match own.first() {
        Some(target) => of_target(b, target),
        None => without_target(b, name),
    }
}

/// How many there are, how they fare, and which one is shown.
fn one_of(own: &[&ScrapeTarget]) -> String {
    let down = own.iter().filter(|t| t.health == "down").count();
    let state = match (down, own.len()) {
        (0, _) => "none of them down".to_owned(),
        (n, all) if n == all => "all of them down".to_owned(),
        (n, _) => format!("{n} of them down"),
    };
    let shown = own.first().map_or("", |t| t.scrape_url.as_str());
    format!("{}, {state}; shown: {shown}", count(own.len(), "target"))
}

fn rank(target: &ScrapeTarget) -> u8 {
    match target.health.as_str() {
        "down" => 0,
        "up" => 2,
        _ => 1,
    }
}

/// Names by which a target is asked for.
pub(super) fn names(target: &ScrapeTarget) -> impl Iterator<Item = &str> {
    let label = |name: &str| target.labels.get(name).map(String::as_str);
    [Some(target.job()), label("job"), label("instance")].into_iter().flatten().filter(|n| !n.is_empty())
}

fn is_called(target: &ScrapeTarget, name: &str) -> bool {
    names(target).any(|n| n == name) || target.scrape_url == name
}

/// The chain of one target.
pub(super) fn of_target(b: &mut Builder<'_>, target: &ScrapeTarget) {
    let snap = b.snap;
    object(b, target.job());
    let Some(address) = Address::parse(&target.scrape_url) else {
        answer(b, target);
        return;
    };
    let pod = targets::pod_of(snap, target, &address);
    let behind = targets::service_of(snap, target, &address);
    if let Some((namespace, name)) = &behind {
        let about = vec![ResourceRef::service(namespace, name)];
        b.link("service", about, Claims::Of(&["target-service-missing"]), || {
            service_link(snap, namespace, name, &address)
        });
    }
    if let Some(found) = targets::existing_service_of(snap, target, &address) {
        service::behind(b, found);
        service::policy(b, &snap.pods_of_service(found).collect::<Vec<_>>());
    } else if let Some((namespace, name)) = &pod {
        pod_link(b, namespace, name);
    }
    way(b, target);
    answer(b, target);
}

/// Where the job is written, and whether Prometheus runs with it.
pub(super) fn object(b: &mut Builder<'_>, job: &str) {
    let snap = b.snap;
    let about = about_job(snap, job);
    b.link("object", about, Claims::Of(OBJECTS), || {
        if let Some(monitor) = monitor_of(job) {
            return monitor_link(snap, monitor.kind, &monitor.namespace, &monitor.name);
        }
        if let Some(line) = job_line(snap, job) {
            let meta = &line.config_map.metadata;
            let text = format!("line {} of {} in ConfigMap {}/{}", line.number, line.key, meta.namespace, meta.name);
            return Ok(right(text).with(shown::written("configmap", meta)));
        }
        let loaded = chain::loaded_jobs(snap).is_some_and(|jobs| jobs.contains(job));
        snap.prometheus_config()?;
        let text = if loaded { "a job of the loaded configuration" } else { "no job of the loaded configuration" };
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/status/config");
        let is_scraped = targets::all(snap).iter().any(|t| t.job() == job);
        Ok(match (loaded, is_scraped) {
            (true, _) => right(text),
            (false, true) => untold("it is scraped, and where it is written was not seen"),
            (false, false) => broken(text),
        }
        .with(shown))
    });
}

fn about_job(snap: &Snapshot, job: &str) -> Vec<ResourceRef> {
    let mut about = vec![ResourceRef::scrape_job(job)];
    if let Some(monitor) = monitor_of(job)
        && let Some(kind) = Kind::parse(monitor.kind)
    {
        about.push(kind.reference(&monitor.namespace, &monitor.name));
    }
    about.extend(job_line(snap, job).map(|line| line.config_map.reference()));
    about
}

fn monitor_link(snap: &Snapshot, kind: &str, namespace: &str, name: &str) -> Fetched<Seen> {
    let Some(kind) = Kind::parse(kind) else { return Ok(untold(format!("{kind} {namespace}/{name}"))) };
    let all = selection::objects(snap, kind)?;
    if all.is_empty() {
        return Ok(untold(format!("{} {namespace}/{name}; no object of the kind was seen", kind.as_str())));
    }
    let Some(object) = all.into_iter().find(|m| m.namespace == namespace && m.name == name) else {
        return Ok(broken(format!("{} {namespace}/{name} does not exist", kind.as_str())));
    };
    selected(snap, kind, object)
}

/// Whether a server selects an object of the operator.
fn selected(snap: &Snapshot, kind: Kind, object: &Meta) -> Fetched<Seen> {
    let servers = selection::selecting(snap, kind, object)?;
    let shown = shown::written(kind.kubectl(), object);
    let named = format!("{} {}/{}", kind.as_str(), object.namespace, object.name);
    Ok(match servers.first() {
        Some(server) => right(format!("{named}, selected by {}", server.reference())).with(shown),
        None => broken(format!("no server selects {named}")).with(shown),
    })
}

fn service_link(snap: &Snapshot, namespace: &str, name: &str, address: &Address) -> Fetched<Seen> {
    let shown = shown::object("service", &meta(namespace, name));
    let Some(found) = snap.services.find(namespace, name)? else {
        return Ok(broken(format!("there is no Service {namespace}/{name}")).with(shown));
    };
    if service_port::is_headless(found) || snap.service_by_host(&address.host).is_none() {
        return Ok(right(format!("{namespace}/{name}")).with(shown));
    }
    Ok(match service_port::find(found, address.port) {
        Some(_) => right(format!("{namespace}/{name}, port {}", address.port)).with(shown),
        None => broken(format!("{namespace}/{name} does not offer port {}", address.port)).with(shown),
    })
}

fn meta(namespace: &str, name: &str) -> Meta {
    Meta { namespace: namespace.to_owned(), name: name.to_owned(), ..Meta::default() }
}

fn pod_link(b: &mut Builder<'_>, namespace: &str, name: &str) {
    let snap = b.snap;
    let found = snap.pods.find(namespace, name).ok().flatten();
    let owner = found.map(|p| snap.owner_ref(p));
    let about = [ResourceRef::pod(namespace, name)].into_iter().chain(owner).collect();
    b.link("pod", about, Claims::Of(&[]), || {
        Ok(match snap.pods.find(namespace, name)? {
            Some(pod) if pod.is_ready() => right(format!("{namespace}/{name} is ready")),
            Some(pod) => {
                broken(format!("{namespace}/{name} is not ready")).with(shown::described("pod", &pod.metadata))
            }
            None => broken(format!("pod {namespace}/{name} does not exist any more")),
        })
    });
    service::policy(b, &found.into_iter().collect::<Vec<&Pod>>());
}

/// What lies between Prometheus and the pod, below Kubernetes.
fn way(b: &mut Builder<'_>, target: &ScrapeTarget) {
    if b.snap.platform != Platform::Eks {
        return;
    }
    let passed = "nothing that was found to be dropped is on this way";
    let verdict = b.verdict("security-group-blocks", passed);
    let own = [ResourceRef::scrape_job(target.job()), ResourceRef::scrape_url(&target.scrape_url)];
    let by_policy = b.breaks("network-policy-blocks", &own);
    b.link("security group", Vec::new(), Claims::Cause(&["nat-egress", "security-group-blocks"]), || {
        Ok(match (target.health.as_str(), Failure::classify(&target.last_error)) {
            ("up", _) => right("connections arrive"),
            ("down", Failure::NoSuchHost(_) | Failure::Dns) => {
                idle("the name does not resolve: no connection was tried")
            }
            ("down", Failure::Refused | Failure::Reset) => idle("connections are refused, and not dropped"),
            ("down", Failure::Timeout) if by_policy => idle("a policy drops the connections before"),
            ("down", Failure::Timeout | Failure::NoRoute | Failure::Credentials | Failure::Other) => return verdict,
            ("down", _) => right("connections arrive: something answers"),
            _ => idle("it was not scraped yet"),
        })
    });
}

fn answer(b: &mut Builder<'_>, target: &ScrapeTarget) {
    let snap = b.snap;
    let about = vec![ResourceRef::scrape_job(target.job()), ResourceRef::scrape_url(&target.scrape_url)];
    b.link("answer", about, Claims::Of(ANSWERS), || {
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/targets?state=active");
        Ok(match target.health.as_str() {
            "up" => {
                let took = target.last_scrape_duration;
                right(format!("{} answers with metrics, in {took:.2} s", target.scrape_url)).with(shown)
            }
            "down" => {
                let again = format!("Get {:?}: ", target.scrape_url);
                let error = target.last_error.strip_prefix(&again).unwrap_or(&target.last_error);
                broken(format!("{}: {}", target.scrape_url, shorten(error, QUOTED))).with(shown)
            }
            _ => idle(format!("{} was not scraped yet", target.scrape_url)).with(shown),
        })
    });
}

/// A job or a monitor that has no target at all.
fn without_target(b: &mut Builder<'_>, name: &str) {
    let snap = b.snap;
    object(b, name);
    if let Some(monitor) = monitor_of(name)
        && let Some(found) = monitor_object(snap, &monitor.namespace, &monitor.name)
    {
        ends(b, found);
    }
    let about = about_job(snap, name);
    b.link("targets", about, Claims::Of(ANSWERS), || {
        let all = snap.prometheus_targets()?;
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/targets?state=active");
        Ok(broken(format!("Prometheus has {} and none of this name", count(all.len(), "target"))).with(shown))
    });
}

fn monitor_object<'a>(snap: &'a Snapshot, namespace: &str, name: &str) -> Option<&'a Monitor> {
    let all = snap.monitors.items().unwrap_or_default();
    all.iter().find(|m| m.metadata.namespace == namespace && m.metadata.name == name)
}

/// The chain of a ServiceMonitor or PodMonitor.
pub(super) fn of_monitor(b: &mut Builder<'_>, monitor: &Monitor) {
    let snap = b.snap;
    let Some(kind) = Kind::parse(&monitor.kind) else { return };
    let meta = &monitor.metadata;
    let jobs: Vec<String> = (0..monitor.spec.endpoints.len().max(1))
        .flat_map(|at| chain::job_names(kind, &meta.namespace, &meta.name, at))
        .collect();
    let mut own: Vec<&ScrapeTarget> = targets::all(snap).iter().filter(|t| jobs.iter().any(|j| j == t.job())).collect();
    own.sort_by_key(|t| (rank(t), t.scrape_url.clone()));
    if let Some(target) = own.first() {
        b.note(one_of(&own));
        of_target(b, target);
        return;
    }
    let about = vec![kind.reference(&meta.namespace, &meta.name)];
    b.link("selected", about.clone(), Claims::Of(OBJECTS), || selected(snap, kind, meta));
    ends(b, monitor);
    b.link("targets", about, Claims::Of(ANSWERS), || {
        snap.prometheus_targets()?;
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/targets?state=active");
        Ok(broken("Prometheus has no target of it").with(shown))
    });
}

/// From a monitor to what it finds.
fn ends(b: &mut Builder<'_>, monitor: &Monitor) {
    let snap = b.snap;
    let Some(server) = Kind::parse(&monitor.kind)
        .and_then(|kind| selection::selecting(snap, kind, &monitor.metadata).ok())
        .and_then(|all| all.into_iter().next())
        .or_else(|| chain::answering(snap))
    else {
        return;
    };
    let Some(endpoint) = monitor.spec.endpoints.first() else { return };
    let meta = &monitor.metadata;
    let about = Kind::parse(&monitor.kind).map(|k| k.reference(&meta.namespace, &meta.name)).into_iter().collect();
    b.link("services", about, Claims::Of(&["monitor-without-targets"]), || {
        let shown = shown::written(&monitor.kind.to_ascii_lowercase(), meta);
        let names = |all: &[&Service]| few(all.iter().map(|s| s.metadata.name.as_str()), 3);
        Ok(match chain::walk(snap, server, monitor, endpoint) {
            End::NoService(_) => broken("no Service meets its selector in the namespaces that it looks at").with(shown),
            End::NoPort { services, .. } => {
                broken(format!("{} has no port of that name", names(&services))).with(shown)
            }
            End::NoTargetPort { services, .. } => {
                broken(format!("no container behind {} has that target port", names(&services))).with(shown)
            }
            End::NoEndpoints(services) => broken(format!("{} has no address", names(&services))).with(shown),
            End::NoPod => broken("no pod meets its selector").with(shown),
            End::NoPodPort { .. } => broken("no container of its pods has a port of that name").with(shown),
            End::Found => right("its selector and its port lead to something").with(shown),
            End::Unknown => untold("whether its selector leads to something cannot be told").with(shown),
        })
    });
}
