//! Alertmanager says that somebody posts alerts to version 1 of its API, which it has no more since 0.27.

use crate::domain::text::lasting::{RECENT, SEVERAL};
use crate::domain::text::log_line::Line;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// One Alertmanager to which alerts are posted so.
#[derive(Debug)]
pub(crate) struct Posted<'a> {
    pub(crate) log: &'a ContainerLog,
    /// The last line that says so.
    pub(crate) line: &'a str,
    pub(crate) times: usize,
}

/// By the logs of all of them.
pub(crate) fn posted(snap: &Snapshot) -> Vec<Posted<'_>> {
    let logs = snap.logs_of(Program::Alertmanager).unwrap_or_default();
    let found = logs.into_iter().filter_map(|log| {
        let lines: Vec<&str> = log.text.lines().filter(|raw| is_posted(snap, raw)).collect();
        Some(Posted { log, line: lines.last()?, times: lines.len() })
    });
    found.filter(|p| p.times >= SEVERAL).collect()
}

fn is_posted(snap: &Snapshot, raw: &str) -> bool {
    if !raw.contains("removed endpoint") {
        return false;
    }
    let line = Line::parse(raw);
    line.get("method") == "POST" && line.get("path").ends_with("/alerts") && !line.is_older(snap.collected_at, RECENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(minutes: &[u32], request: &str) -> Vec<usize> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let line = |m: &u32| {
            format!(
                "ts=2026-11-21T02:{m}:00Z caller=v1_deprecation_router.go:51 level=warn component=api version=v1 msg=\"v1 API received a request on a removed endpoint\" {request}\n"
            )
        };
        let text = minutes.iter().map(line).collect::<String>().into();
        let program = Some(Program::Alertmanager);
        *snap.component_logs = Ok(vec![ContainerLog { text, program, ..ContainerLog::default() }]);
        posted(&snap).iter().map(|p| p.times).collect()
    }

    #[test]
    fn alerts_that_are_posted_count_and_single_requests_do_not() {
        assert_eq!(times(&[50, 53, 56], "path=/am/api/v1/alerts method=POST"), [3]);
        assert!(times(&[50, 53, 56], "path=/api/v1/status method=GET").is_empty(), "somebody looks");
        assert!(times(&[56], "path=/api/v1/alerts method=POST").is_empty(), "once");
        assert!(times(&[10, 12, 14], "path=/api/v1/alerts method=POST").is_empty(), "it was mended");
    }
}
