//! Two targets that write the same series.

use std::collections::BTreeMap;

use super::{Fix, Secret, Way, additional};
use crate::checks::support::origin::monitor_list;
use crate::checks::support::scrape::api_evidence;
use crate::domain::prometheus::origin::{job_line, monitor_of};
use crate::domain::prometheus::targets;
use crate::model::{Finding, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ScrapeTarget;

/// Two targets whose samples are the same series: jobs and addresses.
pub(super) struct Twice {
    target: (String, String),
    other: (String, String),
    /// Their labels, where Prometheus told them.
    labels: Option<String>,
}

/// One pair is one finding, whichever of the two the log names: the object of the operator comes second, since the
/// broader job is the one to narrow.
fn rank((job, url): &(String, String)) -> (bool, String, String) {
    (monitor_of(job).is_some(), job.clone(), url.clone())
}

/// The other target that gives the same series as this one.
pub(super) fn twice(snap: &Snapshot, job: &str, url: &str) -> Option<Twice> {
    let of_job = |t: &&ScrapeTarget| t.scrape_url == url && t.job() == job;
    let target = targets::all(snap).iter().find(of_job)?;
    let others = targets::twins(snap, target);
    let other = others.iter().copied().find(|t| t.job() != job).or_else(|| others.first().copied())?;
    let mut pair = [target, other];
    let named = |t: &ScrapeTarget| (t.job().to_owned(), t.scrape_url.clone());
    pair.sort_by_key(|t| rank(&named(t)));
    let labels = pair.map(|t| {
        let all: Vec<String> = t.labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
        format!("{} {}: {{{}}}", t.job(), t.scrape_url, all.join(", "))
    });
    Some(Twice { target: named(pair[0]), other: named(pair[1]), labels: Some(labels.join("\n")) })
}

/// The same from the log alone: one address, at which two jobs lose samples as duplicates.
pub(super) fn logged_twice(shared: &BTreeMap<String, Vec<String>>, job: &str, url: &str) -> Option<Twice> {
    let other = shared.get(url)?.iter().find(|other| *other != job)?;
    let mut pair = [(job.to_owned(), url.to_owned()), (other.clone(), url.to_owned())];
    pair.sort_by_key(rank);
    let [target, other] = pair;
    Some(Twice { target, other, labels: None })
}

/// Labels that name the Service of a target and its port, and so outlast its address, with the pattern of their values: where
/// all that they select is scraped by the other job as well, and none of it would be lost.
pub(super) fn lasting(snap: &Snapshot, target: &ScrapeTarget, other: &str) -> Option<(Vec<&'static str>, String)> {
    const SETS: &[&[&str]] = &[
        &["__meta_kubernetes_namespace", "__meta_kubernetes_service_name", "__meta_kubernetes_endpointslice_port"],
        &["__meta_kubernetes_namespace", "__meta_kubernetes_service_name", "__meta_kubernetes_endpoint_port_name"],
        &["__meta_consul_service", "__meta_consul_service_port"],
    ];
    SETS.iter().find_map(|labels| {
        let value = |t: &ScrapeTarget, label: &str| t.discovered_labels.get(label).cloned();
        let values: Option<Vec<String>> = labels.iter().map(|l| value(target, l)).collect();
        let is_selected =
            |t: &ScrapeTarget| t.job() == target.job() && labels.iter().all(|l| value(t, l) == value(target, l));
        let stays = |t: &ScrapeTarget| targets::twins(snap, t).iter().any(|o| o.job() == other && !is_selected(o));
        let values = values.filter(|_| targets::all(snap).iter().filter(|t| is_selected(t)).all(stays))?;
        Some((labels.to_vec(), values.iter().map(|v| literal(v)).collect::<Vec<_>>().join(";")))
    })
}

/// The pattern that matches a value alone.
fn literal(value: &str) -> String {
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    if is_plain { value.replace('.', "\\.") } else { regex::escape(value) }
}

impl Twice {
    pub(super) fn message(&self) -> String {
        let ((job, url), (other_job, other)) = (&self.target, &self.other);
        let lost =
            "each scrape of the one finds the samples of the other (duplicate samples), and Prometheus drops them";
        let labels = if self.labels.is_some() { " with the same labels" } else { "" };
        match (job == other_job, url == other) {
            (false, true) => {
                format!("two jobs scrape the same address{labels}, {url}: {job} and {other_job}; {lost}")
            }
            (false, false) => {
                format!(
                    "two jobs give different targets the same labels: {job} ({url}) and {other_job} ({other}); {lost}"
                )
            }
            (true, _) => format!("job {job} gives two targets the same labels: {url} and {other}; {lost}"),
        }
    }

    /// Where both are configured, and what takes one of them out.
    pub(super) fn complete(&self, snap: &Snapshot, mut made: Finding) -> Finding {
        let ((job, url), (other, _)) = (&self.target, &self.other);
        if let Some(labels) = &self.labels {
            let source = "Prometheus /api/v1/targets".to_owned();
            made = made.evidence(api_evidence(snap, source, labels.clone(), "/api/v1/targets?state=active"));
        }
        made.subjects = vec![ResourceRef::ScrapeJob { job: job.clone() }];
        if job != other {
            made = made.also(ResourceRef::ScrapeJob { job: other.clone() });
        }
        made.key = format!("{job}/{other}/twice");
        let target = targets::all(snap).iter().find(|t| t.job() == job && t.scrape_url == *url);
        let (source_labels, pattern) = target.and_then(|t| lasting(snap, t, other)).unwrap_or_else(|| {
            let host = targets::Address::parse(url).map(|a| a.host_port()).unwrap_or_default();
            (vec!["__address__"], literal(&host))
        });
        let way = Way::Twice {
            other: other.clone(),
            same_job: job == other,
            here: whereabouts(snap, job),
            there: whereabouts(snap, other),
            source_labels,
            pattern,
            monitor_list: monitor_list(job),
            secret: Secret::of(snap, job),
        };
        made.fix(Fix::of(snap, job, way))
    }
}

/// Where a job is configured, in words.
fn whereabouts(snap: &Snapshot, job: &str) -> String {
    if let Some(monitor) = monitor_of(job) {
        return format!("{} {}/{}", monitor.kind, monitor.namespace, monitor.name);
    }
    if let Some(line) = job_line(snap, job) {
        let map = &line.config_map.metadata;
        return format!("{} line {} in ConfigMap {}/{}", line.key, line.number, map.namespace, map.name);
    }
    match additional(snap) {
        Some((namespace, name, key)) => format!("additionalScrapeConfigs: key {key} of Secret {namespace}/{name}"),
        None => "Prometheus' configuration".to_owned(),
    }
}
