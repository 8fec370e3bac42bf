//! The jobs and targets that an exporter serves.

use std::collections::BTreeSet;

use crate::domain::prometheus::targets;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ScrapeTarget;

/// Targets that are the pod, or that ask it to probe.
fn targets_of<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a ScrapeTarget> {
    let ip = pod.status.pod_ip.as_deref().unwrap_or("-");
    let is_its = |t: &&ScrapeTarget| {
        let host = targets::Address::parse(&t.scrape_url).map(|a| a.host).unwrap_or_default();
        host == ip
            || t.labels.get("pod") == Some(&pod.metadata.name)
            || snap
                .service_by_host(&host)
                .is_some_and(|s| snap.pods_of_service(s).any(|p| p.metadata.name == pod.metadata.name))
    };
    targets::all(snap).iter().filter(is_its).collect()
}

/// The pod is scraped, and each time well.
pub(super) fn is_up(snap: &Snapshot, pod: &Pod) -> bool {
    let own = targets_of(snap, pod);
    !own.is_empty() && own.iter().all(|t| t.health == "up")
}

/// Jobs that scrape the pod, or ask it to probe: by their pool and by the label that their series have.
pub(super) fn jobs(snap: &Snapshot, pod: &Pod) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for target in targets_of(snap, pod) {
        found.push(target.job().to_owned());
        found.extend(target.labels.get("job").cloned());
    }
    found.sort();
    found.dedup();
    found
}

/// Targets that are probed by a module, and their jobs.
pub(super) fn asking(snap: &Snapshot, module: &str) -> Vec<ResourceRef> {
    by_parameter(snap, "module", module)
}

/// Targets by which a device is probed, and their jobs.
pub(super) fn probed(snap: &Snapshot, device: &str) -> Vec<ResourceRef> {
    by_parameter(snap, "target", device)
}

fn by_parameter(snap: &Snapshot, name: &str, value: &str) -> Vec<ResourceRef> {
    let label = format!("__param_{name}");
    let in_url = |t: &ScrapeTarget| {
        let url = url::Url::parse(&t.scrape_url).ok();
        url.is_some_and(|u| u.query_pairs().any(|(key, of)| key == name && of == value))
    };
    let asks = |t: &&ScrapeTarget| t.discovered_labels.get(&label).is_some_and(|v| v == value) || in_url(t);
    let probed: Vec<&ScrapeTarget> = targets::all(snap).iter().filter(asks).collect();
    let urls = probed.iter().map(|t| ResourceRef::ScrapeUrl { url: t.scrape_url.clone() });
    let jobs: BTreeSet<&str> =
        probed.iter().flat_map(|t| [Some(t.job()), t.labels.get("job").map(String::as_str)]).flatten().collect();
    urls.chain(jobs.into_iter().map(|job| ResourceRef::ScrapeJob { job: job.to_owned() })).collect()
}
