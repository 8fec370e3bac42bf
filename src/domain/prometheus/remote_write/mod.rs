//! Remote writes that fail: what Prometheus' log says, who receives, and what the answer means.

pub(crate) mod answer;
pub(crate) mod collector;
pub(crate) mod config;
pub(crate) mod queue;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::kubernetes::store::Store;
use crate::domain::prometheus::collector_log::is_collector;
use crate::domain::prometheus::notifier::Place;
use crate::domain::text::log_line::Line;
use crate::domain::text::send_error::SendFailure;
use crate::model::{Gap, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use queue::Queue;

/// Seconds for which samples that were thrown away are worth a finding.
const LOST: i64 = 900;
/// Seconds for which a send that is tried again counts: the back-off is at most some seconds, a repeated line comes each
/// minute.
const RETRY: i64 = 300;

/// One remote write of one Prometheus that fails.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    /// The URL as the log has it.
    pub(crate) url: String,
    /// Name of the queue: the configured one, or a hash.
    pub(crate) name: String,
    /// Samples that were thrown away within the time; 0 where all are tried again.
    pub(crate) lost: u64,
    /// Lines that say so.
    pub(crate) times: usize,
    pub(crate) since: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) failure: SendFailure,
    pub(crate) error: String,
    pub(crate) line: String,
    pub(crate) at: Place,
    /// Who writes.
    pub(crate) by: &'static str,
}

impl Failing {
    /// The newest failure, with what was lost and said before it.
    fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let since = before.since.or(self.since);
        Self { lost: before.lost + self.lost, times: before.times + self.times, since, ..self }
    }
}

/// Remote writes that fail now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing>, Gap> {
    let mut found = Vec::new();
    let prometheus = snap.logs_of(Program::Prometheus)?;
    for log in prometheus.into_iter().chain(agents(snap)).chain(stores(snap)) {
        let mut lost: BTreeMap<String, Failing> = BTreeMap::new();
        let mut retried: BTreeMap<String, Failing> = BTreeMap::new();
        for raw in log.text.lines().filter(|l| l.contains("recoverable error") || l.contains("Failed to send batch")) {
            let line = Line::parse(raw);
            let (into, within) = if line.msg.starts_with("Failed to send batch") {
                (&mut retried, RETRY)
            } else if line.msg == "non-recoverable error" {
                (&mut lost, LOST)
            } else {
                continue;
            };
            let old = line.is_older(snap.collected_at, within);
            // At shutdown what is being sent is broken off.
            if old || line.err.is_empty() || line.err.ends_with("context canceled") {
                continue;
            }
            add(into, log, &line);
        }
        retried.retain(|url, f| !lost.contains_key(url) && is_stuck(snap, f));
        found.extend(lost.into_values().chain(retried.into_values()));
    }
    found.extend(collector::failing(snap));
    Ok(found)
}

/// Logs of programs that have Prometheus' remote write in them and say what it does in its words.
pub(crate) fn agents(snap: &Snapshot) -> Vec<&ContainerLog> {
    let is_agent = |log: &&ContainerLog| {
        let image = log.image.split('@').next().unwrap_or_default();
        !log.previous
            && (image.contains("grafana/alloy")
                || is_old_agent(image)
                || is_collector(image)
                || collector::is_vmagent(image))
    };
    snap.part_logs().map(Vec::as_slice).unwrap_or_default().iter().filter(is_agent).collect()
}

/// Stores that make samples of what they get (Tempo's metrics generator, Loki's ruler) and write them in the same words.
fn stores(snap: &Snapshot) -> impl Iterator<Item = &ContainerLog> {
    let all = snap.part_logs().map(Vec::as_slice).unwrap_or_default().iter();
    all.filter(|log| !log.previous && store(log).is_some())
}

/// Mimir writes to nobody.
fn store(log: &ContainerLog) -> Option<&'static str> {
    Store::of_image(&log.image).filter(|s| *s != Store::Mimir).map(Store::name)
}

/// The Grafana Agent, which Alloy took the place of.
pub(crate) fn is_old_agent(image: &str) -> bool {
    image.contains("grafana/agent")
}

fn writer(log: &ContainerLog) -> &'static str {
    if log.program == Some(Program::Prometheus) {
        return "Prometheus";
    }
    store(log).unwrap_or(if is_old_agent(&log.image) { "Grafana Agent" } else { "Alloy" })
}

fn add(into: &mut BTreeMap<String, Failing>, log: &ContainerLog, line: &Line<'_>) {
    let url = line.get("url").to_owned();
    let number = |name: &str| line.get(name).parse::<u64>().unwrap_or(0);
    let lost = number("failedSampleCount") + number("count");
    let made = Failing {
        name: line.get("remote_name").to_owned(),
        lost,
        times: 1,
        since: line.at,
        last: line.at,
        failure: SendFailure::classify(&line.err),
        error: line.err.clone(),
        line: line.raw.to_owned(),
        by: writer(log),
        at: Place::of(log),
        url: url.clone(),
    };
    let made = made.after(into.remove(&url));
    into.insert(url, made);
}

/// A send that is tried again is a fault where it does not get through: its queue says so, or it is said again and again.
fn is_stuck(snap: &Snapshot, failing: &Failing) -> bool {
    match Queue::of(snap, &failing.name, &failing.url).and_then(|q| q.is_behind()) {
        Some(behind) => behind,
        None => failing.times >= 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::Sample;

    const RETRIED: &str = r#"ts=2026-11-21T02:59:50.978Z caller=dedupe.go:112 component=remote level=warn remote_name=4e28b2 url=http://mimir:8080/api/v1/push msg="Failed to send batch, retrying" err="Post \"http://mimir:8080/api/v1/push\": context deadline exceeded""#;
    const REFUSED: &str = r#"time=2026-11-21T02:59:40.685Z level=ERROR source=queue_manager.go:1668 msg="non-recoverable error" component=remote remote_name=fa url=http://mimir:8080/api/v1/push failedSampleCount=2000 failedHistogramCount=0 failedExemplarCount=0 err="server returned HTTP status 429 Too Many Requests: slow down""#;

    fn with(text: &str, samples: &[(&str, f64)]) -> Snapshot {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let log = ContainerLog { program: Some(Program::Prometheus), text: text.into(), ..ContainerLog::default() };
        *snap.component_logs = Ok(vec![log]);
        if !samples.is_empty() {
            let labels = || [("remote_name".to_owned(), "4e28b2".to_owned())].into();
            let made = samples.iter().map(|(name, value)| Sample {
                name: format!("prometheus_remote_storage_{name}"),
                labels: if *name == "highest_timestamp_in_seconds" { BTreeMap::new() } else { labels() },
                value: *value,
            });
            *snap.prometheus_metrics = Ok(made.collect());
        }
        snap
    }

    #[test]
    fn a_retry_that_succeeded_is_quiet() {
        assert!(failing(&with(RETRIED, &[])).expect("a log").is_empty(), "once");
        assert_eq!(failing(&with(&format!("{RETRIED}\n{RETRIED}"), &[])).expect("a log").len(), 1);
        let now = 1_795_230_000.0;
        let current = [
            ("highest_timestamp_in_seconds", now),
            ("queue_highest_sent_timestamp_seconds", now - 3.0),
            ("samples_pending", 40.0),
        ];
        assert!(failing(&with(&format!("{RETRIED}\n{RETRIED}"), &current)).expect("a log").is_empty());
        let behind = [("highest_timestamp_in_seconds", now), ("queue_highest_sent_timestamp_seconds", now - 400.0)];
        assert_eq!(failing(&with(RETRIED, &behind)).expect("a log").len(), 1);
    }

    #[test]
    fn a_store_that_writes_samples_is_read_too() {
        let mut snap = with("", &[]);
        let log = |image: &str| ContainerLog { image: image.into(), text: REFUSED.into(), ..ContainerLog::default() };
        *snap.part_logs = Ok(vec![log("docker.io/grafana/tempo:2.6.1")]);
        assert_eq!(failing(&snap).expect("a log")[0].by, "Tempo");
        *snap.part_logs = Ok(vec![log("docker.io/library/nginx:1")]);
        assert!(failing(&snap).expect("a log").is_empty());
    }

    #[test]
    fn samples_thrown_away_count_at_once_and_not_for_ever() {
        let found = failing(&with(&format!("{REFUSED}\n{REFUSED}"), &[])).expect("a log");
        assert_eq!((found[0].lost, found[0].failure.status()), (4000, Some(429)));
        assert!(failing(&with(&REFUSED.replace("02:59", "02:29"), &[])).expect("a log").is_empty());
    }
}
