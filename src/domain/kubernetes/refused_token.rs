//! Programs whose token the API server does not take any more, in the words that their clients log.

use std::sync::OnceLock;

use regex::Regex;

use crate::domain::text::log_line::written_at;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;

/// Seconds for which a line tells of now.
const NOW: i64 = 900;
/// Lines from which on it is no hiccup of the API server.
const LEAST: usize = 3;
/// Days after which EKS takes no token any more that was never read again.
const EXTENDED: i64 = 90;

/// A program that is answered with 401.
pub(crate) struct Refused<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) log: &'a ContainerLog,
    /// The newest line that says so.
    pub(crate) line: &'a str,
    pub(crate) why: Why,
}

/// Why its token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It reads its token once, and runs for longer than that is taken: so many days.
    Old(i64),
    /// Its ServiceAccount was recreated since it started.
    Remade,
    /// It is not known.
    Unknown,
}

/// All of them, one line for each pod.
pub(crate) fn all(snap: &Snapshot) -> Vec<Refused<'_>> {
    static SAYS: OnceLock<Option<Regex>> = OnceLock::new();
    let says = SAYS.get_or_init(|| {
        Regex::new(r"(?i)failed to (?:list|watch) \*?[\w.]+(?:, Kind=\S+)?: (?:the server has asked for the client to provide credentials|unauthorized\b)").ok()
    });
    let Some(says) = says else { return Vec::new() };
    let mut found: Vec<Refused<'_>> = Vec::new();
    for log in snap.part_logs.iter().flatten().filter(|l| !l.previous) {
        let recent = |l: &&str| {
            let at = written_at(l, snap.collected_at);
            at.is_some_and(|t| snap.collected_at.as_second() - t.as_second() <= NOW)
        };
        let told: Vec<&str> = log.text.lines().filter(|l| says.is_match(l)).filter(recent).collect();
        let Some(pod) = snap.pods.find(&log.namespace, &log.pod).ok().flatten() else { continue };
        let is_known = found.iter().any(|f| f.log.namespace == log.namespace && f.log.pod == log.pod);
        if told.len() < LEAST || is_known {
            continue;
        }
        if let Some(line) = told.last() {
            found.push(Refused { pod, log, line, why: why(snap, pod) });
        }
    }
    found
}

fn why(snap: &Snapshot, pod: &Pod) -> Why {
    let started = pod.status.start_time.or(pod.metadata.creation_timestamp);
    let account = snap.service_accounts.find(&pod.metadata.namespace, pod.spec.account()).ok().flatten();
    let made = account.and_then(|a| a.metadata.creation_timestamp);
    if started.zip(made).is_some_and(|(started, made)| made > started) {
        return Why::Remade;
    }
    let days = started.map(|t| (snap.collected_at.as_second() - t.as_second()) / 86400);
    days.filter(|d| *d >= EXTENDED).map_or(Why::Unknown, Why::Old)
}
