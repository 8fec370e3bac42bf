//! A scrape target names a Service that does not exist.

mod fix;
mod missing;

use std::collections::BTreeMap;

use fix::Fix;
use missing::Missing;

use crate::checks::{Check, check};
use crate::domain::prometheus::configured;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ScrapeTarget;

check! {
    /// See the check's page.
    TargetServiceMissing {
        id: "target-service-missing", suite: Scrape, severity: Error,
        title: "a scrape target names a Service that does not exist",
        requires: [Services],
        uses: [PrometheusTargets, PrometheusConfig, MonitoringResources, ConfigMaps, Workloads, Pods, Nodes],
        fix: Fix,
    }
}

impl Check for TargetServiceMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let configured = configured::targets(snap);
        // Where Prometheus cannot be asked, its configuration still names Services; that others are scraped is not known.
        let (all, down, mut unseen) = match targets::down(snap) {
            Ok(down) => (targets::all(snap), down, None),
            Err(gap) => (configured.as_slice(), configured.iter().filter_map(unasked).collect(), Some(gap)),
        };
        let mut missing: BTreeMap<(String, String), Vec<&Down<'_>>> = BTreeMap::new();
        for target in &down {
            let Some(host) = unresolved_host(target).and_then(|h| targets::cluster_host(snap, h)) else { continue };
            match snap.services.find(&host.namespace, &host.service) {
                Ok(None) => missing.entry((host.namespace, host.service)).or_default().push(target),
                Ok(Some(_)) => {}
                Err(gap) => unseen = unseen.or(Some(gap)),
            }
        }
        let missing = missing.into_iter().map(|((namespace, name), down)| Missing { namespace, name, down, all });
        let finding = |missing: Missing<'_>| {
            let (meant, line) = (missing.meant(snap), missing.lines(snap).into_iter().next());
            missing.finding(snap, meant, line).fix(Fix::of(&missing, snap, meant, line))
        };
        let found: Vec<Finding> = missing.filter(|m| m.is_certain(snap)).map(finding).collect();
        // What was found stays found, whatever else could not be seen.
        match unseen {
            Some(gap) if found.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(found)),
        }
    }
}

/// A target that nobody has scraped here: a name that no Service has is one that DNS does not know.
fn unasked(target: &ScrapeTarget) -> Option<Down<'_>> {
    let address = Address::parse(&target.scrape_url)?;
    let failure = ScrapeFailure::NoSuchHost(address.host.clone());
    Some(Down { target, failure, address: Some(address) })
}

/// The host that DNS does not know.
fn unresolved_host<'a>(down: &'a Down<'_>) -> Option<&'a str> {
    let own = down.address.as_ref().map(|a| a.host.as_str());
    match &down.failure {
        ScrapeFailure::NoSuchHost(host) if !host.is_empty() => Some(host),
        ScrapeFailure::NoSuchHost(_) | ScrapeFailure::Dns => own,
        _ => None,
    }
}

#[cfg(test)]
mod tests;
