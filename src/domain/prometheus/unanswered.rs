//! Services that Prometheus is to scrape, and where nobody can answer.

use std::collections::BTreeSet;

use super::configured;
use super::targets::{self, Address};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};
use crate::snapshot::monitoring::ScrapeTarget;

/// Pods behind Services without a ready endpoint, of which targets are down; where Prometheus cannot be asked, of which its
/// configuration has targets.
pub(crate) fn pods(snap: &Snapshot) -> Vec<&Pod> {
    let configured = configured::targets(snap);
    let asked = targets::down(snap);
    let wanted: Vec<&ScrapeTarget> =
        asked.map_or_else(|_| configured.iter().collect(), |down| down.iter().map(|d| d.target).collect());
    let named: BTreeSet<(String, String)> = wanted
        .into_iter()
        .filter_map(|target| targets::service_of(snap, target, &Address::parse(&target.scrape_url)?))
        .collect();
    let service = |(namespace, name): &(String, String)| snap.services.find(namespace, name).ok().flatten();
    let empty = |s: &&Service| matches!(snap.endpoints_of(s), Some((0, _)));
    named.iter().filter_map(service).filter(empty).flat_map(|s| snap.pods_of_service(s)).collect()
}
