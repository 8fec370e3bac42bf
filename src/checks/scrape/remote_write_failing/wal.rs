//! Remote writes that stand still, for Prometheus cannot read on in its own write-ahead log.

use std::collections::BTreeMap;

use super::fix::Fix;
use super::{RemoteWriteFailing, targets};
use crate::checks::support::seen::line_evidence;
use crate::domain::prometheus::targets::Address;
use crate::domain::text::log_line::{Line, is_within};
use crate::domain::text::redact::redact;
use crate::model::{Finding, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// Seconds within which it is said again: the log is tried every five seconds.
const NOW: i64 = 300;
/// Times from which on it does not get over it by itself.
const SEVERAL: usize = 5;

/// The last line of one remote write.
struct Said<'a> {
    log: &'a ContainerLog,
    raw: &'a str,
    err: String,
    times: usize,
}

/// Those of which the log says so now.
pub(super) fn all(snap: &Snapshot) -> Vec<Finding> {
    let mut said: BTreeMap<(String, String), Said<'_>> = BTreeMap::new();
    for log in snap.logs_of(Program::Prometheus).unwrap_or_default().into_iter().filter(|l| !l.previous) {
        for raw in log.text.lines().filter(|l| l.contains("error tailing WAL")) {
            let line = Line::parse(raw);
            if line.msg != "error tailing WAL" || line.err.is_empty() {
                continue;
            }
            let own = (log.pod.clone(), line.get("url").to_owned());
            let times = said.get(&own).map_or(0, |s| s.times) + 1;
            said.insert(own, Said { log, raw, err: line.err, times });
        }
    }
    let lasts = |s: &Said<'_>| s.times >= SEVERAL && is_within(s.raw, snap.collected_at, NOW);
    said.into_iter().filter(|(_, s)| lasts(s)).map(|((_, url), s)| finding(snap, &url, &s)).collect()
}

fn finding(snap: &Snapshot, url: &str, said: &Said<'_>) -> Finding {
    let log = said.log;
    let pod = snap.pod_of_log(log).or_else(|| targets::prometheus_pod(snap));
    let subject = pod.map_or_else(|| ResourceRef::pod(&log.namespace, &log.pod), |p| snap.owner_ref(p));
    let host = Address::parse(url).map_or_else(|| redact(url), |a| a.host_port());
    let message = format!(
        "Prometheus' remote write to {host} stands still: it cannot read on in its write-ahead log ({}), and sends nothing until it is started again",
        redact(&said.err)
    );
    let mut made = Finding::new(RemoteWriteFailing::META.id, Severity::Error, subject.clone(), message)
        .key(format!("{} {host}/wal", subject.key()))
        .evidence(line_evidence(log, said.raw))
        .fix(Fix::wal(snap, pod, log));
    made.breaks = Some(Vec::new());
    made
}
