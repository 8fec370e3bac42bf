//! Jobs and targets that Prometheus cannot make, which only its log tells of.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Fix, JobWithoutTargets, Way};
use crate::checks::support::origin::ConfigLine;
use crate::checks::support::scrape::Targets;
use crate::checks::support::seen::line_evidence;
use crate::domain::prometheus::origin::monitor_of;
use crate::domain::prometheus::pool_log::{self, Cause, Failing};
use crate::domain::prometheus::targets;
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::{Snapshot, journal};

/// One finding for each job of the running configuration.
pub(super) fn findings(snap: &Snapshot, jobs: &BTreeSet<&str>) -> Vec<Finding> {
    let known = pool_log::failing(snap).into_iter().filter(|f| jobs.contains(f.job.as_str()));
    let is_there = |f: &Failing<'_>| targets::all(snap).iter().any(|t| t.job() == f.job);
    // A pool that was made since has targets.
    let still = known.filter(|f| matches!(f.fault, Cause::Address { .. }) || !is_there(f));
    still.map(|f| finding(snap, &f)).collect()
}

fn finding(snap: &Snapshot, failing: &Failing<'_>) -> Finding {
    let job = &failing.job;
    let mut listed_in = None;
    let (message, way) = match &failing.fault {
        Cause::Client { error, file } => {
            let source = file.as_deref().and_then(pool_log::source).filter(|_| monitor_of(job).is_some());
            let (namespace, secret, key) = source.unwrap_or_default();
            let message = format!(
                "scrape job {job} has no target: Prometheus cannot make its HTTP client, though it counts the configuration as loaded: {error}"
            );
            let file = file.clone().unwrap_or_default();
            (message, Way::Client { file, source: secret, source_namespace: namespace, source_key: key })
        }
        Cause::Address { address, file } => {
            listed_in.clone_from(file);
            let message = format!(
                "scrape job {job} leaves out a target: {address:?} is no host and port; scheme and path have fields of their own"
            );
            (message, of_address(snap, job, address))
        }
    };
    let log = failing.log;
    let subject = ResourceRef::ScrapeJob { job: job.clone() };
    Finding::new(JobWithoutTargets::META.id, Severity::Error, subject, message)
        .key(format!("{job} pool"))
        .evidence(line_evidence(log, failing.line))
        .fix(Fix { line: ConfigLine::of_job(snap, job), targets: Targets::of(snap, Some(job)), listed_in, way })
}

/// `https://blackbox.example/probe`: scheme, host and port, path.
fn taken_apart(address: &str) -> (Option<&str>, &str, &str) {
    let (scheme, rest) = address.split_once("://").map_or((None, address), |(scheme, rest)| (Some(scheme), rest));
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    (scheme, host, path)
}

fn of_address(snap: &Snapshot, job: &str, address: &str) -> Way {
    let (scheme, host, path) = taken_apart(address);
    let monitor = monitor_of(job);
    let probes = journal::aside(|| snap.probe_resources.items().unwrap_or_default());
    // Its URL is no URL: the operator makes the address of it.
    let probe = monitor
        .as_ref()
        .filter(|m| m.kind == "probe")
        .and_then(|m| probes.iter().find(|p| p.metadata.namespace == m.namespace && p.metadata.name == m.name));
    let patch = probe.filter(|p| p.spec.prober.url == address).map(|p| {
        let mut prober = json!({"url": host});
        if let (Some(scheme), None) = (scheme, &p.spec.prober.scheme) {
            prober["scheme"] = json!(scheme);
        }
        if path.len() > 1 && p.spec.prober.path.is_none() {
            prober["path"] = json!(path);
        }
        json!({"spec": {"prober": prober}}).to_string()
    });
    Way::Address {
        address: address.to_owned(),
        host: host.to_owned(),
        monitor_kind: monitor.as_ref().map(|m| if m.kind == "probe" { "probe.monitoring.coreos.com" } else { m.kind }),
        monitor: monitor.as_ref().map(|m| m.name.clone()),
        monitor_namespace: monitor.map(|m| m.namespace),
        patch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        assert_eq!(taken_apart("https://b.example:9115/probe"), (Some("https"), "b.example:9115", "/probe"));
        assert_eq!(taken_apart("b.example/metrics"), (None, "b.example", "/metrics"));
    }
}
