//! A scrape target: object → loaded → Service → pods → endpoints → policy → security group → answer.

pub(super) mod monitor;

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::pod::QUOTED;
use super::words::count;
use super::{service, shown};
use crate::domain::kubernetes::service_port;
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::operator::selection::Kind;
use crate::domain::prometheus::origin::{job_line, monitor_of};
use crate::domain::prometheus::scrape_error::ScrapeFailure as Failure;
use crate::domain::prometheus::targets::{self, Address};
use crate::domain::text::shorten::shorten;
use crate::model::ResourceRef;
use crate::snapshot::kubernetes::{Meta, Pod};
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
        service::policy(b, &snap.pods_of_service(found).collect::<Vec<_>>(), target.health == "up");
    } else if let Some((namespace, name)) = &pod {
        pod_link(b, namespace, name, target.health == "up");
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
            return monitor::link(snap, monitor.kind, &monitor.namespace, &monitor.name);
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

fn pod_link(b: &mut Builder<'_>, namespace: &str, name: &str, answers: bool) {
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
    service::policy(b, &found.into_iter().collect::<Vec<&Pod>>(), answers);
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
        && let Some(found) = monitor::find(snap, &monitor.namespace, &monitor.name)
    {
        monitor::ends(b, found);
    }
    let about = about_job(snap, name);
    b.link("targets", about, Claims::Of(ANSWERS), || {
        let all = snap.prometheus_targets()?;
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/targets?state=active");
        Ok(broken(format!("Prometheus has {} and none of this name", count(all.len(), "target"))).with(shown))
    });
}
