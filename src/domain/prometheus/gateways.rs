//! Jobs whose targets pass on series of other jobs, and whether Prometheus lets those keep their labels.

use crate::domain::kubernetes::image::base_of;
use crate::domain::prometheus::running_config;
use crate::domain::prometheus::targets;
use crate::lint::yaml::Node;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ScrapeTarget;

/// The flag with which a server takes what others write.
const RECEIVER: &str = "web.enable-remote-write-receiver";

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
    let takes_writes = || snap.prometheus_flags.as_ref().is_ok_and(|f| f.get(RECEIVER).is_some_and(|on| on == "true"));
    if found.is_empty() || takes_writes() { Vec::new() } else { found }
}

fn source(snap: &Snapshot, target: &ScrapeTarget) -> Option<&'static str> {
    let address = targets::Address::parse(&target.scrape_url)?;
    if address.bare_path().ends_with("/federate") {
        return Some("the other Prometheus");
    }
    let is_image = |image: &str| matches!(base_of(image), "pushgateway" | "prometheus-pushgateway");
    let runs = |pod: &Pod| pod.spec.containers.iter().any(|c| is_image(&c.image));
    let named = targets::pod_of(snap, target, &address);
    let pod = named.and_then(|(namespace, name)| snap.pods.find(&namespace, &name).ok().flatten());
    let behind =
        || targets::existing_service_of(snap, target, &address).into_iter().flat_map(|s| snap.pods_of_service(s));
    (pod.is_some_and(runs) || behind().any(runs)).then_some("Pushgateway")
}

/// `honor_labels` of a job; `None` where the configuration does not have the job.
fn honours(config: &Node, job: &str) -> Option<bool> {
    let jobs = config.get("scrape_configs")?.items()?;
    let found = jobs.iter().find(|j| j.get("job_name").and_then(Node::as_str) == Some(job))?;
    Some(found.get("honor_labels").is_some_and(Node::is_true))
}
