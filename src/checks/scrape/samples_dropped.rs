//! A target is up, but its samples do not arrive.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::{JobPlace, monitor_endpoint, monitor_list};
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
use crate::snapshot::monitoring::ScrapeTarget;

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
        let secret_path = format!("{{.data.{}}}", secret_key.replace('.', "\\."));
        Self { secret, secret_key, secret_namespace, secret_path }
    }
}

/// Why samples are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Duplicate,
    OutOfOrder,
    TooOld,
}

impl Loss {
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
    let mut last: BTreeMap<(String, Loss), Logged> = BTreeMap::new();
    for log in snap.logs_of(Program::Prometheus)? {
        for line in log.text.lines() {
            let line = Line::parse(line);
            let Some(loss) = Loss::of(&line.msg) else { continue };
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
fn shared_addresses(snap: &Snapshot, last: &BTreeMap<(String, Loss), Logged>) -> BTreeMap<String, Vec<String>> {
    let mut jobs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((job, _), logged) in last.iter().filter(|((_, loss), _)| *loss == Loss::Duplicate) {
        jobs.entry(logged.url.clone()).or_default().push(job.clone());
    }
    jobs.retain(|_, jobs| jobs.len() > 1);
    if jobs.is_empty() || snap.prometheus_targets.is_ok() { BTreeMap::new() } else { jobs }
}

fn job_of<'a>(snap: &'a Snapshot, url: &'a str) -> &'a str {
    targets::all(snap).iter().find(|t| t.scrape_url == url).map_or(url, |t| t.job())
}

fn lost(snap: &Snapshot, job: &str, loss: Loss, logged: &Logged, shared: &BTreeMap<String, Vec<String>>) -> Finding {
    let (namespace, pod, container) = &logged.pod;
    let merged = if loss == Loss::TooOld { None } else { merged::find(snap, job) };
    let known = || twice(snap, job, &logged.url).or_else(|| logged_twice(shared, job, &logged.url));
    let twice = if loss == Loss::Duplicate && merged.is_none() { known() } else { None };
    let clock = (loss == Loss::TooOld).then(|| kubelet(snap, &logged.url)).flatten();
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
        (Loss::Duplicate, None) => Way::Duplicate(answer),
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

/// Two targets whose samples are the same series: jobs and addresses.
struct Twice {
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
fn twice(snap: &Snapshot, job: &str, url: &str) -> Option<Twice> {
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
fn logged_twice(shared: &BTreeMap<String, Vec<String>>, job: &str, url: &str) -> Option<Twice> {
    let other = shared.get(url)?.iter().find(|other| *other != job)?;
    let mut pair = [(job.to_owned(), url.to_owned()), (other.clone(), url.to_owned())];
    pair.sort_by_key(rank);
    let [target, other] = pair;
    Some(Twice { target, other, labels: None })
}

/// Labels that name the Service of a target and its port, and so outlast its address, with the pattern of their values: where
/// all that they select is scraped by the other job as well, and none of it would be lost.
fn lasting(snap: &Snapshot, target: &ScrapeTarget, other: &str) -> Option<(Vec<&'static str>, String)> {
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
    fn message(&self) -> String {
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
    fn complete(&self, snap: &Snapshot, mut made: Finding) -> Finding {
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

/// The Secret with further jobs of the operator's Prometheus: namespace, name and key.
fn additional(snap: &Snapshot) -> Option<(String, String, String)> {
    let all = snap.monitoring_resources().ok()?;
    all.iter().filter(|r| r.kind == "Prometheus").find_map(|r| {
        let secret = r.spec.additional_scrape_configs.as_ref()?;
        Some((r.metadata.namespace.clone(), secret.name.clone(), secret.key.clone()))
    })
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
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::{snapshot, up};
    use crate::snapshot::monitoring::{ContainerLog, TargetSamples};
    use serde_json::json;

    fn with(log: &str, samples: f64) -> Snapshot {
        let mut target = up("web", "http://web.shop.svc:80/metrics");
        target["labels"] = json!({"job": "web"});
        let mut snap = snapshot(json!({"targets": [target]}));
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "prometheus-0".into(),
            container: "prometheus".into(),
            program: Some(Program::Prometheus),
            image: String::new(),
            previous: false,
            text: log.into(),
        }]);
        let samples = vec![TargetSamples { instance: "web.shop.svc:80".into(), samples }];
        *snap.scrape_samples = Ok([("web".to_owned(), samples)].into());
        snap
    }

    #[test]
    fn old_lines_and_targets_with_samples_are_quiet() {
        let old = r#"time=2026-11-20T22:00:00Z level=WARN msg="Error on ingesting out-of-order samples" scrape_pool=web target=http://web.shop.svc:80/metrics num_dropped=1"#;
        assert!(findings(&SamplesDropped, &with(old, 3.0)).is_empty());
        assert!(findings(&SamplesDropped, &with("level=info msg=\"Server is ready\"", 3.0)).is_empty());
    }

    #[test]
    fn two_jobs_with_the_same_labels_are_named_both() {
        let log = r#"time=2026-11-21T01:59:00Z level=WARN msg="Error on ingesting samples with different value but same timestamp" scrape_pool=web target=http://web.shop.svc:80/metrics num_dropped=2"#;
        let mut snap = with(log, 3.0);
        let target = |job: &str| {
            let mut made = up(job, "http://web.shop.svc:80/metrics");
            made["labels"] = json!({"job": "web", "instance": "web"});
            serde_json::from_value(made).expect("a target")
        };
        *snap.prometheus_targets = Ok(vec![target("serviceMonitor/shop/web/0"), target("web")]);
        let found = findings(&SamplesDropped, &snap);
        assert_eq!((found.len(), found[0].variant), (1, "twice"));
        assert!(found[0].message.contains("web and serviceMonitor/shop/web/0"), "{}", found[0].message);
    }

    /// A Service of which only one address is scraped twice is not left out whole.
    #[test]
    fn what_the_other_job_does_not_scrape_stays() {
        let with_targets = |shared: &[&str]| {
            let mut snap = snapshot(json!({}));
            let made = |job: &str, at: &str| {
                let mut made = up(job, &format!("http://{at}/metrics"));
                made["labels"] = json!({"job": "web", "instance": at});
                made["discoveredLabels"] = json!({"__meta_consul_service": "web", "__meta_consul_service_port": "80"});
                serde_json::from_value(made).expect("a target")
            };
            let consul = ["10.0.0.1:80", "10.0.0.2:80"].iter().map(|at| made("consul", at));
            let targets = consul.chain(shared.iter().map(|at| made("serviceMonitor/shop/web/0", at))).collect();
            *snap.prometheus_targets = Ok(targets);
            lasting(&snap, &targets::all(&snap)[0], "serviceMonitor/shop/web/0").map(|(labels, _)| labels)
        };
        let all = with_targets(&["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(all, Some(vec!["__meta_consul_service", "__meta_consul_service_port"]));
        assert_eq!(with_targets(&["10.0.0.1:80"]), None);
    }

    #[test]
    fn where_prometheus_cannot_be_asked_its_log_names_both_jobs() {
        let line = |job: &str, address: &str| {
            format!(
                "time=2026-11-21T01:59:00Z level=WARN msg=\"Error on ingesting samples with different value but same timestamp\" scrape_pool={job} target=http://{address}/metrics num_dropped=2\n"
            )
        };
        let seen = |other: &str| {
            let log = line("serviceMonitor/shop/web/0", "10.0.0.7:80") + &line("consul", other);
            let mut snap = with(&log, 3.0);
            *snap.prometheus_targets = Err(Gap::new("targets", crate::model::GapCause::Timeout, ""));
            let found = findings(&SamplesDropped, &snap);
            found.iter().map(|f| (f.variant, f.message.clone())).collect::<Vec<_>>()
        };
        let found = seen("10.0.0.7:80");
        let named =
            "two jobs scrape the same address, http://10.0.0.7:80/metrics: consul and serviceMonitor/shop/web/0";
        assert!(found.iter().all(|(v, m)| *v == "twice" && m.starts_with(named)), "{found:?}");
        assert_eq!(seen("10.0.0.8:80").iter().map(|f| f.0).collect::<Vec<_>>(), ["duplicate", "duplicate"]);
    }

    #[test]
    fn losses_are_told_apart_and_said_once() {
        let line = |msg: &str| {
            format!(
                "ts=2026-11-21T01:55:00Z level=warn msg=\"{msg}\" scrape_pool=web target=http://web.shop.svc:80/metrics num_dropped=2\n"
            )
        };
        let log = line("Error on ingesting samples with different value but same timestamp").repeat(3)
            + &line("Error on ingesting out-of-order samples");
        let found = findings(&SamplesDropped, &with(&log, 3.0));
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["duplicate", "timestamps"]);
        // Once, and minutes ago.
        assert_eq!(found.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Warning, Severity::Info]);
        assert_eq!(findings(&SamplesDropped, &with("", 0.0))[0].variant, "empty");
    }
}
