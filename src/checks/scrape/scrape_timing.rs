//! Scrapes that take almost as long as they may, and timeouts that are longer than the interval.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::ChangeJob;
use crate::checks::support::scrape::{SHOW_TARGETS, Targets, targets_params};
use crate::checks::{Check, check};
use crate::domain::kubernetes::json_patch;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::window;
use crate::lint::go::duration;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Monitor, MonitorEndpoint};
use crate::snapshot::monitoring::ScrapeTarget;

check! {
    /// See the check's page.
    ScrapeTiming {
        id: "scrape-timing", suite: Scrape, severity: Warning,
        title: "scrapes take almost as long as they may, or come too seldom",
        requires: [PrometheusTargets],
        uses: [Monitors, MonitoringResources, OtherServers, Namespaces, Workloads, PrometheusFlags, ConfigMaps, Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Slow {
        job: String,
        interval: String,
        timeout: String,
        url: String,
    },
    Refused {
        kind: String,
        name: String,
        namespace: String,
        patch: String,
        timeout: String,
        interval: String,
        managed: String,
    },
    Gaps {
        job: String,
        interval: String,
        lookback: String,
        targets_path: Option<String>,
        targets_url: String,
        #[serde(flatten)]
        at: Box<ChangeJob>,
    },
}

/// The part of the timeout from which on a scrape is close to it.
const CLOSE: f64 = 0.8;
/// After how long without a sample a series is gone, unless the flag says otherwise.
const LOOKBACK: &str = "5m";
const LOOKBACK_FLAG: &str = "query.lookback-delta";
/// What an interval is where nobody says it: the operator's default.
const OPERATOR_INTERVAL: &str = "30s";

impl Check for ScrapeTiming {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let refused = refused(snap);
        let targets = match snap.prometheus_targets() {
            Ok(targets) => targets,
            Err(gap) if refused.is_empty() => return Err(gap),
            Err(_) => return Ok(Diagnosis::Findings(refused)),
        };
        let mut by_job: BTreeMap<&str, Vec<(&ScrapeTarget, f64)>> = BTreeMap::new();
        for target in targets.iter().filter(|t| t.health == "up") {
            let Some(part) = part_of_timeout(target).filter(|p| *p >= CLOSE) else { continue };
            by_job.entry(target.job()).or_default().push((target, part));
        }
        let slow = by_job.into_iter().map(|(job, all)| slow(snap, job, &all));
        Ok(Diagnosis::Findings(slow.chain(refused).chain(gaps(snap, targets)).collect()))
    }
}

/// Jobs whose series are gone before the next scrape.
fn gaps(snap: &Snapshot, targets: &[ScrapeTarget]) -> Vec<Finding> {
    // Only where some interval is longer than what is usual does it matter what the server was told.
    let is_long = |target: &ScrapeTarget| {
        window::interval(target).zip(duration(LOOKBACK).ok()).is_some_and(|(interval, usual)| interval > usual)
    };
    if !targets.iter().any(is_long) {
        return Vec::new();
    }
    let told = snap.prometheus_flags.as_ref().ok().and_then(|flags| flags.get(LOOKBACK_FLAG)).map(String::as_str);
    let lookback = told.unwrap_or(LOOKBACK);
    let Ok(most) = duration(lookback) else { return Vec::new() };
    let mut by_job: BTreeMap<&str, &ScrapeTarget> = BTreeMap::new();
    for target in targets.iter().filter(|t| window::interval(t).is_some_and(|interval| interval > most)) {
        by_job.entry(target.job()).or_insert(target);
    }
    by_job.into_iter().map(|(job, target)| gap(snap, job, target, lookback)).collect()
}

fn gap(snap: &Snapshot, job: &str, target: &ScrapeTarget, lookback: &str) -> Finding {
    let interval = &target.scrape_interval;
    let message = format!(
        "job {job} is scraped every {interval}, and Prometheus takes a series for gone {lookback} after its last sample: graphs of it have gaps, and alerts on it do not fire, or start over, between two scrapes"
    );
    let value = format!("{}: scrapeInterval {interval}", target.scrape_url);
    let mut seen = Evidence::new(format!("Prometheus /api/v1/targets, job {job}"), value, SHOW_TARGETS);
    seen.params = targets_params(snap, Some(job));
    let subject = ResourceRef::ScrapeJob { job: job.to_owned() };
    let Targets { targets_path, targets_url } = Targets::of(snap, Some(job));
    Finding::new(ScrapeTiming::META.id, Severity::Warning, subject, message)
        .key(format!("gaps {job}"))
        .evidence(seen)
        .fix(Fix::Gaps {
            job: job.to_owned(),
            interval: interval.clone(),
            lookback: lookback.to_owned(),
            targets_path,
            targets_url,
            at: Box::new(ChangeJob::of(snap, job)),
        })
}

/// How much of its timeout the last scrape took.
fn part_of_timeout(target: &ScrapeTarget) -> Option<f64> {
    let timeout = duration(&target.scrape_timeout).ok().filter(|ms| *ms > 0)?;
    // Milliseconds of a timeout are few: nothing is lost.
    Some(target.last_scrape_duration * 1000.0 / timeout as f64)
}

fn slow(snap: &Snapshot, job: &str, all: &[(&ScrapeTarget, f64)]) -> Finding {
    let (worst, part) = all.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("a group has a target");
    let many = if all.len() == 1 { "1 target".to_owned() } else { format!("{} targets", all.len()) };
    let message = format!(
        "{many} of job {job} take{} almost as long as they may: {:.1} s of a timeout of {} ({:.0} %) at {}; the next slow answer is a scrape that fails",
        if all.len() == 1 { "s" } else { "" },
        worst.last_scrape_duration,
        worst.scrape_timeout,
        part * 100.0,
        worst.scrape_url
    );
    let lines: Vec<String> = all
        .iter()
        .take(3)
        .map(|(t, _)| format!("{}: {:.2} s of {}", t.scrape_url, t.last_scrape_duration, t.scrape_timeout))
        .collect();
    let mut seen = Evidence::new(format!("Prometheus /api/v1/targets, job {job}"), lines.join("\n"), SHOW_TARGETS);
    seen.params = targets_params(snap, Some(job));
    Finding::new(ScrapeTiming::META.id, Severity::Warning, ResourceRef::ScrapeJob { job: job.to_owned() }, message)
        .key(format!("slow {job}"))
        .breaks_nothing()
        .depends_on(ResourceRef::ScrapeJob { job: job.to_owned() })
        .evidence(seen)
        .fix(Fix::Slow {
            job: job.to_owned(),
            interval: worst.scrape_interval.clone(),
            timeout: worst.scrape_timeout.clone(),
            url: worst.scrape_url.clone(),
        })
}

/// Monitors whose timeout is longer than their interval: the operator leaves them out.
fn refused(snap: &Snapshot) -> Vec<Finding> {
    let monitors = snap.monitors.items().unwrap_or_default().iter();
    let mut found = Vec::new();
    for monitor in monitors.filter(|m| m.metadata.deletion_timestamp.is_none()) {
        for (at, endpoint) in monitor.spec.endpoints.iter().enumerate() {
            found.extend(
                longer(snap, monitor, endpoint).map(|(timeout, interval)| too_long(monitor, at, &timeout, &interval)),
            );
        }
    }
    found
}

/// Timeout and interval of an endpoint, where the first is longer; of a server that selects it.
fn longer(snap: &Snapshot, monitor: &Monitor, endpoint: &MonitorEndpoint) -> Option<(String, String)> {
    let timeout = endpoint.scrape_timeout.clone().filter(|t| !t.is_empty())?;
    let kind = Kind::parse(&monitor.kind)?;
    let servers = selection::selecting(snap, kind, &monitor.metadata).ok()?;
    let server = servers.first()?;
    let of_server = server.spec.scrape_interval.as_deref().filter(|i| !i.is_empty()).unwrap_or(OPERATOR_INTERVAL);
    let interval = endpoint.interval.as_deref().filter(|i| !i.is_empty()).unwrap_or(of_server);
    (duration(&timeout).ok()? > duration(interval).ok()?).then(|| (timeout, interval.to_owned()))
}

fn too_long(monitor: &Monitor, at: usize, timeout: &str, interval: &str) -> Finding {
    let meta = &monitor.metadata;
    let list = if monitor.kind == "PodMonitor" { "podMetricsEndpoints" } else { "endpoints" };
    let message = format!(
        "{} {}/{}: scrapeTimeout {timeout} of endpoint {at} is longer than the interval of {interval}, so that the operator leaves it out",
        monitor.kind, meta.namespace, meta.name
    );
    let seen = Evidence::new(
        format!("{} {}/{} spec.{list}[{at}]", monitor.kind, meta.namespace, meta.name),
        format!("scrapeTimeout {timeout}, interval {interval}"),
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o yaml",
    );
    let kind = monitor.kind.to_ascii_lowercase();
    let reference = ResourceRef::kubernetes("monitoring.coreos.com", &monitor.kind, &meta.namespace, &meta.name);
    Finding::new(ScrapeTiming::META.id, Severity::Error, reference, message)
        .key(format!("timeout {}/{} {at}", meta.namespace, meta.name))
        .evidence(seen.with("kind", &kind).with("name", &meta.name).with("namespace", &meta.namespace))
        .fix(Fix::Refused {
            kind,
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            patch: json_patch::text(json_patch::swap(&format!("/spec/{list}/{at}/scrapeTimeout"), timeout, interval)),
            timeout: timeout.to_owned(),
            interval: interval.to_owned(),
            managed: managed_by(meta),
        })
}
