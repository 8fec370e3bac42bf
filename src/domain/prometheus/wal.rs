//! Did Prometheus end while it replayed its write-ahead log?

use jiff::Timestamp;

use crate::domain::text::log_line::Line;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};

/// Lines of the replay, in the order in which Prometheus writes them.
const REPLAY: &[&str] = &[
    "Replaying on-disk memory mappable chunks",
    "Replaying WAL",
    "WAL checkpoint loaded",
    "WAL segment loaded",
    "WBL segment loaded",
];
/// Lines after which the replay is over.
const DONE: &[&str] = &["WAL replay completed", "TSDB started", "Server is ready to receive web requests"];

/// The last line that a container wrote, if it ended in the middle of the replay.
pub(crate) fn replay(snap: &Snapshot, pod: &Pod, container: &Container) -> Option<String> {
    if container.program() != Some(Program::Prometheus) {
        return None;
    }
    let logs = snap.crash_logs.iter().flatten().filter(|l| l.is_of(&pod.metadata) && l.container == container.name);
    logs.filter_map(|l| unfinished(&l.text)).next()
}

/// True while the container's log ends in the middle of the replay: it is alive and answers nothing yet.
pub(crate) fn is_replaying(snap: &Snapshot, pod: &Pod) -> bool {
    let logs = snap.component_logs.iter().flatten().filter(|l| !l.previous);
    logs.filter(|l| l.is_of(&pod.metadata)).any(|l| unfinished(&l.text).is_some())
}

fn unfinished(log: &str) -> Option<String> {
    let mut last = None;
    for line in log.lines() {
        if REPLAY.iter().any(|r| line.contains(r)) {
            last = Some(line);
        } else if DONE.iter().any(|d| line.contains(d)) {
            last = None;
        }
    }
    last.map(|l| l.trim().to_owned())
}

/// The replay that a log is in the middle of, and how far it is.
pub(crate) fn running(log: &str, now: Timestamp) -> Option<(String, Progress)> {
    let line = unfinished(log)?;
    Some((line, progress(log, now).unwrap_or(Progress { segments: None, left: None })))
}

/// How far a replay is that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Segments that are read, and the last one; `None` before the first.
    pub(crate) segments: Option<(u64, u64)>,
    /// Seconds that the rest takes at the same pace.
    pub(crate) left: Option<i64>,
}

/// How far the replay is that a log is in the middle of.
fn progress(log: &str, now: Timestamp) -> Option<Progress> {
    unfinished(log)?;
    let start = log.rfind("Replaying WAL").map_or(log, |at| &log[at..]);
    let loaded: Vec<(Option<Timestamp>, u64, u64)> = start
        .lines()
        .filter(|l| l.contains("WAL segment loaded"))
        .filter_map(|raw| {
            let line = Line::parse(raw);
            Some((line.at, line.get("segment").parse().ok()?, line.get("maxSegment").parse().ok()?))
        })
        .collect();
    let (last_at, at, max) = loaded.last().copied()?;
    let (first_at, first, _) = loaded[0];
    let seconds = first_at.zip(last_at).map(|(a, b)| b.as_second() - a.as_second());
    let pace = seconds.filter(|s| *s > 0 && at > first).map(|s| s as f64 / (at - first) as f64);
    let since = last_at.map_or(0, |t| now.as_second() - t.as_second());
    let left = pace.map(|p| ((max.saturating_sub(at)) as f64 * p) as i64 - since).map(|s| s.max(0));
    Some(Progress { segments: Some((at, max)), left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_replay_is_told_by_its_pace() {
        let log = "time=2026-11-21T02:50:33Z level=INFO msg=\"Replaying WAL, this may take a while\"\ntime=2026-11-21T02:51:00Z level=INFO msg=\"WAL segment loaded\" component=tsdb segment=100 maxSegment=130\ntime=2026-11-21T02:52:00Z level=INFO msg=\"WAL segment loaded\" component=tsdb segment=110 maxSegment=130\n";
        let now = "2026-11-21T02:52:10Z".parse().expect("a time");
        let (_, progress) = running(log, now).expect("goes on");
        assert_eq!((progress.segments, progress.left), (Some((110, 130)), Some(110)));
        let done = format!("{log}time=2026-11-21T02:53:00Z level=INFO msg=\"WAL replay completed\"\n");
        assert!(running(&done, now).is_none());
    }

    #[test]
    fn a_replay_counts_if_nothing_came_after_it() {
        let start = "ts=1 msg=\"Replaying WAL, this may take a while\"\nts=2 msg=\"WAL segment loaded\" segment=3 maxSegment=9\n";
        assert!(unfinished(start).is_some_and(|l| l.contains("segment=3")));
        let tail =
            "time=1 level=INFO source=head.go:800 msg=\"WAL segment loaded\" component=tsdb segment=8 maxSegment=9\n";
        assert!(unfinished(tail).is_some());
        let done = format!(
            "{start}ts=3 msg=\"WAL replay completed\"\nts=4 msg=\"Server is ready to receive web requests.\"\n"
        );
        assert_eq!(unfinished(&done), None);
        assert_eq!(unfinished("level=error err=\"opening storage failed\"\n"), None);
        assert!(unfinished(&format!("{done}{start}")).is_some());
    }
}
