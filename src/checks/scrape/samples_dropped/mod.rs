//! A target is up, but its samples do not arrive.

mod twice;

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use twice::{logged_twice, twice};

use crate::checks::support::origin::{JobPlace, monitor_endpoint, monitor_list, path_of_key};
use crate::checks::support::scrape::api_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::prometheus::merged::{self, Merged};
use crate::domain::prometheus::origin::{job_line, monitor_of};
use crate::domain::prometheus::targets;
use crate::domain::text::log_line::Line;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    SamplesDropped {
        id: "samples-dropped", suite: Scrape, severity: Warning,
        title: "a target is up, but its samples do not arrive",
        requires: [ComponentLogs],
        uses: [ScrapeSamples, PrometheusTargets, PrometheusConfig, ConfigMaps, Workloads, Services, Pods, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    job: String,
    /// It is the job that has to be changed.
    changes_job: bool,
    #[serde(flatten)]
    place: JobPlace,
    /// Which of the monitor's endpoints it is of, from 1.
    monitor_endpoint: Option<usize>,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Duplicate(Answer),
    Twice {
        other: String,
        same_job: bool,
        /// Where both are configured, in words.
        here: String,
        there: String,
        /// The labels that tell the target, and their values as relabelling takes them.
        source_labels: Vec<&'static str>,
        pattern: String,
        monitor_list: Option<&'static str>,
        #[serde(flatten)]
        secret: Secret,
    },
    /// Metric relabelling took away what told the targets apart.
    Merged {
        lost: Vec<String>,
        monitor_list: Option<&'static str>,
    },
    Timestamps {
        monitor_list: Option<&'static str>,
        #[serde(flatten)]
        answer: Answer,
    },
    /// The kubelet puts the time of its node on what it says of containers.
    Clock {
        node: String,
    },
    Empty {
        #[serde(flatten)]
        answer: Answer,
        /// What a federation selects, and the server that it asks.
        matches: Vec<String>,
        origin: String,
    },
}

/// What a target answers.
#[derive(Serialize, JsonSchema)]
struct Answer {
    url: String,
    /// Through the API server.
    answer_path: Option<String>,
}

/// The Secret with further jobs of the operator's Prometheus; empty where the job is in none.
#[derive(Serialize, JsonSchema)]
struct Secret {
    secret: String,
    secret_key: String,
    secret_namespace: String,
    secret_path: String,
}

impl Fix {
    fn of(snap: &Snapshot, job: &str, way: Way) -> Self {
        let changes_job = matches!(way, Way::Timestamps { .. } | Way::Twice { .. } | Way::Merged { .. });
        Self {
            job: job.to_owned(),
            changes_job,
            place: JobPlace::of(snap, job),
            monitor_endpoint: monitor_endpoint(job),
            way,
        }
    }
}

impl Answer {
    fn of(snap: &Snapshot, url: &str) -> Self {
        let target = targets::all(snap).iter().find(|t| t.scrape_url == url);
        let address = targets::Address::parse(url);
        let answer_path = target.zip(address.as_ref()).and_then(|(t, a)| targets::answer_path(snap, t, a));
        Self { url: url.to_owned(), answer_path }
    }
}

impl Secret {
    /// Of a job that stands in no file that can be seen.
    fn of(snap: &Snapshot, job: &str) -> Self {
        let found = additional(snap).filter(|_| monitor_of(job).is_none());
        let Some((secret_namespace, secret, secret_key)) = found else {
            let none = String::new;
            return Self { secret: none(), secret_key: none(), secret_namespace: none(), secret_path: none() };
        };
        let secret = if job_line(snap, job).is_some() { String::new() } else { secret };
        let secret_path = path_of_key(&secret_key);
        Self { secret, secret_key, secret_namespace, secret_path }
    }
}

/// Why samples are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Duplicate,
    OutOfOrder,
    TooOld,
}

impl Cause {
    fn of(message: &str) -> Option<Self> {
        let has = |part: &str| message.contains(part);
        // Results of rules are rule-failing.
        if !has("Error on ingesting") || has("rule evaluation") {
            return None;
        }
        if has("different value but same timestamp") {
            Some(Self::Duplicate)
        } else if has("out-of-order samples") {
            Some(Self::OutOfOrder)
        } else if has("too old or are too far into the future") {
            Some(Self::TooOld)
        } else {
            None
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Duplicate => "the target exposes a series twice with different values (duplicate samples)",
            Self::OutOfOrder => "the target exposes timestamps that are out of order",
            Self::TooOld => "the target exposes timestamps that are too old or in the future",
        }
    }
}

impl Check for SamplesDropped {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut findings = logged(snap)?;
        findings.extend(empty(snap));
        Ok(Diagnosis::Findings(findings))
    }
}

/// One line of Prometheus' log of each job and kind of loss: the last one.
struct Logged {
    pod: (String, String, String),
    url: String,
    line: String,
    at: Option<Timestamp>,
    times: usize,
}

/// Seconds within which a single line still is of now: an exporter that starts over often says it once.
const NOW: i64 = 600;
/// Seconds in which what goes on would have been said again: it is scraped each minute.
const AGAIN: i64 = 120;

fn logged(snap: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let mut last: BTreeMap<(String, Cause), Logged> = BTreeMap::new();
    for log in snap.logs_of(Program::Prometheus)? {
        for line in log.text.lines() {
            let line = Line::parse(line);
            let Some(loss) = Cause::of(&line.msg) else { continue };
            if line.is_older(snap.collected_at, RECENT) {
                continue;
            }
            let (pool, url) = (line.get("scrape_pool"), line.get("target"));
            let job = if pool.is_empty() { job_of(snap, url) } else { pool };
            let pod = (log.namespace.clone(), log.pod.clone(), log.container.clone());
            let key = (job.to_owned(), loss);
            let times = last.get(&key).map_or(0, |l| l.times) + 1;
            last.insert(key, Logged { pod, url: url.to_owned(), line: line.raw.to_owned(), at: line.at, times });
        }
    }
    let shared = shared_addresses(snap, &last);
    let goes_on = |l: &Logged| l.times >= 3 || l.at.is_none_or(|t| snap.seconds_since(t) < NOW);
    let of_now = last.into_iter().filter(|(_, logged)| goes_on(logged));
    let mut findings: Vec<Finding> = Vec::new();
    for ((job, loss), logged) in of_now {
        let mut made = lost(snap, &job, loss, &logged, &shared);
        let age = logged.at.map_or(0, |t| snap.seconds_since(t));
        // Two jobs that meet lose them for good, whatever was last said.
        if logged.times < 3 && age > AGAIN && !matches!(made.variant, "merged" | "twice") {
            made.severity = made.severity.min(Severity::Info);
        }
        // Targets that were merged lose samples in both ways.
        if !findings.iter().any(|f| f.variant == "merged" && f.key == made.key) {
            findings.push(made);
        }
    }
    Ok(findings)
}

/// Addresses of which the log says that two jobs lose samples as duplicates: pairs of jobs. Prometheus itself tells more,
/// where it can be asked.
fn shared_addresses(snap: &Snapshot, last: &BTreeMap<(String, Cause), Logged>) -> BTreeMap<String, Vec<String>> {
    let mut jobs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((job, _), logged) in last.iter().filter(|((_, loss), _)| *loss == Cause::Duplicate) {
        jobs.entry(logged.url.clone()).or_default().push(job.clone());
    }
    jobs.retain(|_, jobs| jobs.len() > 1);
    if jobs.is_empty() || snap.prometheus_targets.is_ok() { BTreeMap::new() } else { jobs }
}

fn job_of<'a>(snap: &'a Snapshot, url: &'a str) -> &'a str {
    targets::all(snap).iter().find(|t| t.scrape_url == url).map_or(url, |t| t.job())
}

fn lost(snap: &Snapshot, job: &str, loss: Cause, logged: &Logged, shared: &BTreeMap<String, Vec<String>>) -> Finding {
    let (namespace, pod, container) = &logged.pod;
    let merged = if loss == Cause::TooOld { None } else { merged::find(snap, job) };
    let known = || twice(snap, job, &logged.url).or_else(|| logged_twice(shared, job, &logged.url));
    let twice = if loss == Cause::Duplicate && merged.is_none() { known() } else { None };
    let clock = (loss == Cause::TooOld).then(|| kubelet(snap, &logged.url)).flatten();
    let message = match (&twice, &merged) {
        (Some(twice), _) => twice.message(),
        (None, Some(merged)) => of_merged(job, merged),
        (None, None) if clock.is_some() => format!(
            "Prometheus drops samples of job {job}: the kubelet of node {} puts its time on them, and that is too old or too far in the future for Prometheus ({})",
            clock.as_deref().unwrap_or_default(),
            logged.url
        ),
        (None, None) => format!("Prometheus drops samples of job {job}: {} ({})", loss.words(), logged.url),
    };
    let template = "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=1h | grep {{ pattern }}";
    let evidence = Evidence::new(format!("log of pod {namespace}/{pod}"), logged.line.clone(), template)
        .with("namespace", namespace)
        .with("pod", pod)
        .with("container", container)
        .with("pattern", "Error on ingesting");
    let answer = Answer::of(snap, &logged.url);
    let way = match (loss, merged) {
        (_, Some(merged)) => Way::Merged { lost: merged.lost, monitor_list: monitor_list(job) },
        (Cause::Duplicate, None) => Way::Duplicate(answer),
        (_, None) if clock.is_some() => Way::Clock { node: clock.unwrap_or_default() },
        _ => Way::Timestamps { monitor_list: monitor_list(job), answer },
    };
    let made = finding(snap, job, way, message).evidence(evidence);
    match twice {
        Some(twice) => twice.complete(snap, made),
        None => made,
    }
}

/// The node whose kubelet is the target.
fn kubelet(snap: &Snapshot, url: &str) -> Option<String> {
    let target = targets::all(snap).iter().find(|t| t.scrape_url == url)?;
    let address = targets::Address::parse(url).filter(|a| a.port == KUBELET_PORT)?;
    targets::node_of(target, &address)
}

fn of_merged(job: &str, merged: &Merged) -> String {
    let [first, second] = &merged.urls;
    format!(
        "metric relabelling of job {job} takes away all that tells its {} targets apart ({}), so that {first} and {second} write the same series, and Prometheus drops samples of both",
        merged.targets,
        merged.lost.join(", ")
    )
}

/// The Secret with further jobs of the operator's Prometheus: namespace, name and key.
fn additional(snap: &Snapshot) -> Option<(String, String, String)> {
    let all = snap.monitoring_resources().ok()?;
    all.iter().filter(|r| r.kind == "Prometheus").find_map(|r| {
        let secret = r.spec.additional_scrape_configs.as_ref()?;
        Some((r.metadata.namespace.clone(), secret.name.clone(), secret.key.clone()))
    })
}

/// Jobs all of whose targets are up and give nothing.
fn empty(snap: &Snapshot) -> Vec<Finding> {
    let (Ok(samples), Ok(active)) = (snap.scrape_samples(), snap.prometheus_targets()) else { return Vec::new() };
    let mut findings = Vec::new();
    for (job, targets) in samples {
        let mine: Vec<_> = active.iter().filter(|t| t.labels.get("job") == Some(job)).collect();
        if mine.is_empty() || mine.iter().any(|t| t.health != "up") || targets.iter().any(|t| t.samples > 0.0) {
            continue;
        }
        let url = &mine[0].scrape_url;
        let matches = federated(url);
        let message = match matches.is_empty() {
            true => format!("targets of job {job} are up and expose no metrics (0 samples, {url})"),
            false => format!(
                "job {job} federates nothing (0 samples): the other Prometheus has no series that match[] selects, {}",
                matches.join(", ")
            ),
        };
        let source = format!("Prometheus query scrape_samples_scraped, job {job}");
        let path = "/api/v1/query?query=scrape_samples_scraped%20%3D%3D%200";
        let evidence = api_evidence(snap, source, "0".to_owned(), path);
        let origin = url.split("/federate").next().unwrap_or_default().to_owned();
        let way = Way::Empty { answer: Answer::of(snap, url), matches, origin };
        findings.push(finding(snap, mine[0].job(), way, message).evidence(evidence));
    }
    findings
}

/// The selectors of a federation's URL.
fn federated(url: &str) -> Vec<String> {
    let parsed = url::Url::parse(url).ok().filter(|u| u.path().ends_with("/federate"));
    let all = parsed.iter().flat_map(|u| u.query_pairs()).filter(|(key, _)| key == "match[]");
    all.map(|(_, value)| value.into_owned()).collect()
}

fn finding(snap: &Snapshot, job: &str, way: Way, message: String) -> Finding {
    let subject = ResourceRef::ScrapeJob { job: job.to_owned() };
    let mut made = Finding::new(SamplesDropped::META.id, Severity::Warning, subject, message);
    made = made.fix(Fix::of(snap, job, way));
    made.key = format!("{job}/{}", made.variant);
    made
}

#[cfg(test)]
mod tests;
