//! Jobs whose targets have series with labels of their own (those of other jobs, of the objects of a cluster), and whether Prometheus
//! lets them keep those.

use std::collections::BTreeMap;

use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::mesh::Mesh;
use crate::domain::prometheus::running_config;
use crate::domain::prometheus::targets;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ScrapeTarget;

/// The flags with which a server takes what others write, and the features that were the same in older versions.
const RECEIVERS: &[&str] = &["web.enable-remote-write-receiver", "web.enable-otlp-receiver"];
const OLD_RECEIVERS: &[&str] = &["remote-write-receiver", "otlp-write-receiver"];

/// A server with these flags takes what others write: series of any job, as often as they like.
pub(crate) fn takes_writes(flags: &BTreeMap<String, String>) -> bool {
    let features = flags.get("enable-feature").map(String::as_str).unwrap_or_default();
    RECEIVERS.iter().any(|name| flags.get(*name).is_some_and(|value| value == "true"))
        || features.split([',', ' ', '[', ']']).any(|feature| OLD_RECEIVERS.contains(&feature))
}

/// A job that renames the labels of what is passed on: `job` becomes `exported_job`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Renaming<'a> {
    /// The scrape pool.
    pub(crate) pool: &'a str,
    /// `Pushgateway`, or another Prometheus.
    pub(crate) source: &'static str,
}

/// The jobs of Pushgateways and of federation that do not honour labels.
pub(crate) fn renaming(snap: &Snapshot) -> Vec<Renaming<'_>> {
    let Some(config) = running_config::document(snap) else { return Vec::new() };
    let mut found: Vec<Renaming<'_>> = targets::all(snap)
        .iter()
        .filter_map(|target| {
            let source = source(snap, target)?;
            (honours(&config, target.job()) == Some(false)).then(|| Renaming { pool: target.job(), source })
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    // What others write into it may have any job.
    let is_written = || snap.prometheus_flags.as_ref().is_ok_and(takes_writes);
    if found.is_empty() || is_written() { Vec::new() } else { found }
}

/// A job of kube-state-metrics that does not honour labels: its series are about other objects, and Prometheus gives them the
/// namespace and the pod of kube-state-metrics itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overwriting<'a> {
    pub(crate) pool: &'a str,
    /// The labels of the target that stand in the place of its own: `namespace`.
    pub(crate) labels: Vec<&'a str>,
    /// Its own namespace, which all series have.
    pub(crate) namespace: &'a str,
}

/// Labels of kube-state-metrics' series that targets of Kubernetes have as well.
const OF_OBJECTS: &[&str] = &["namespace", "pod", "container", "service", "node"];

/// Such jobs; not those that give the labels back by relabelling, or whose rules read `exported_namespace`.
pub(crate) fn overwriting(snap: &Snapshot) -> Vec<Overwriting<'_>> {
    let Some(config) = running_config::document(snap) else { return Vec::new() };
    let reads_exported = || {
        let groups = snap.prometheus_rules().map(Vec::as_slice).unwrap_or_default();
        groups.iter().flat_map(|g| &g.rules).any(|r| r.query.contains("exported_namespace"))
    };
    let mut found: Vec<Overwriting<'_>> = Vec::new();
    for target in targets::all(snap).iter().filter(|t| t.health == "up") {
        let pool = target.job();
        let labels: Vec<&str> = OF_OBJECTS.iter().copied().filter(|l| target.labels.contains_key(*l)).collect();
        let Some(namespace) = target.labels.get("namespace").filter(|_| !found.iter().any(|o| o.pool == pool)) else {
            continue;
        };
        let Some(job) = job_of(&config, pool) else { continue };
        let honours = job.get("honor_labels").is_some_and(Node::is_true);
        if !honours && !gives_back(job) && !is_of_itself(target) && runs_behind(snap, target, &["kube-state-metrics"]) {
            found.push(Overwriting { pool, labels, namespace });
        }
    }
    if found.is_empty() || reads_exported() { Vec::new() } else { found }
}

/// The port at which kube-state-metrics shows what it is doing itself: by its number, or by the name that charts give it.
fn is_of_itself(target: &ScrapeTarget) -> bool {
    let named = target.labels.get("endpoint").is_some_and(|e| ["self", "telemetry"].iter().any(|w| e.contains(w)));
    named || targets::Address::parse(&target.scrape_url).is_some_and(|a| matches!(a.port, 8081 | 9443))
}

/// Its relabelling of samples reads or writes the labels that were moved aside.
fn gives_back(job: &Node) -> bool {
    let rules = job.get("metric_relabel_configs").and_then(Node::items).unwrap_or_default();
    let names = |rule: &Node| {
        let sources =
            rule.get("source_labels").and_then(Node::items).unwrap_or_default().iter().filter_map(Node::as_str);
        let others = ["regex", "target_label"].into_iter().filter_map(|key| rule.get(key)?.as_str());
        sources.chain(others).any(|name| name.contains("exported_"))
    };
    rules.iter().any(names)
}

fn source(snap: &Snapshot, target: &ScrapeTarget) -> Option<&'static str> {
    let address = targets::Address::parse(&target.scrape_url)?;
    if address.bare_path().ends_with("/federate") {
        return Some("the other Prometheus");
    }
    runs_behind(snap, target, &["pushgateway", "prometheus-pushgateway"]).then_some("Pushgateway")
}

/// A target is a container of one of these images.
fn runs_behind(snap: &Snapshot, target: &ScrapeTarget, images: &[&str]) -> bool {
    let Some(address) = targets::Address::parse(&target.scrape_url) else { return false };
    let is_image = |image: &str| images.contains(&base_of(image));
    // The port of a mesh's side-car shows what the side-car does, whose pod it may be.
    let of_mesh = |pod: &Pod| {
        let side_car = Mesh::of(pod).map(Mesh::sidecar);
        let own = pod.all_containers().filter(|c| Some(c.name.as_str()) == side_car);
        own.flat_map(|c| &c.ports).any(|p| p.container_port == address.port)
    };
    let runs = |pod: &Pod| pod.spec.containers.iter().any(|c| is_image(&c.image)) && !of_mesh(pod);
    let named = targets::pod_of(snap, target, &address);
    let pod = named.and_then(|(namespace, name)| snap.pods.find(&namespace, &name).ok().flatten());
    let behind =
        || targets::existing_service_of(snap, target, &address).into_iter().flat_map(|s| snap.pods_of_service(s));
    pod.is_some_and(runs) || behind().any(runs)
}

/// `honor_labels` of a job; `None` where the configuration does not have the job.
fn honours(config: &Node, job: &str) -> Option<bool> {
    Some(job_of(config, job)?.get("honor_labels").is_some_and(Node::is_true))
}

fn job_of<'n>(config: &'n Node, job: &str) -> Option<&'n Node> {
    let jobs = config.get("scrape_configs")?.items()?;
    jobs.iter().find(|j| j.get("job_name").and_then(Node::as_str) == Some(job))
}
