//! Did Prometheus end while it replayed its write-ahead log?

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
    let logs = snap.crash_logs.iter().flatten().filter(|l| {
        l.namespace == pod.metadata.namespace && l.pod == pod.metadata.name && l.container == container.name
    });
    logs.filter_map(|l| unfinished(&l.text)).next()
}

/// True while the container's log ends in the middle of the replay: it is alive and answers nothing yet.
pub(crate) fn is_replaying(snap: &Snapshot, pod: &Pod) -> bool {
    let logs = snap.component_logs.iter().flatten().filter(|l| !l.previous);
    logs.filter(|l| l.namespace == pod.metadata.namespace && l.pod == pod.metadata.name)
        .any(|l| unfinished(&l.text).is_some())
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

#[cfg(test)]
mod tests {
    use super::*;

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
