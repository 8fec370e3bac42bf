//! What the side-cars say that make Prometheus or Alertmanager load their files again.

use jiff::Timestamp;

use crate::domain::text::log_line::{Level, Line};
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

/// Seconds for which a refusal counts: a reloader tries again every few seconds.
const RECENT: i64 = 1800;
/// Refusals from which on it is not the start of the pod.
const SEVERAL: usize = 2;

/// Why a reload was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// The lifecycle API is switched off.
    LifecycleOff,
    /// A login is asked for.
    Login,
    /// The path is not there: another prefix.
    Path,
    /// The configuration refers to an environment variable that the side-car does not have.
    Variable,
}

/// What a reloader says.
#[derive(Debug, Clone)]
pub(crate) struct Refused<'a> {
    pub(crate) refusal: Refusal,
    pub(crate) log: &'a ContainerLog,
    pub(crate) times: usize,
    pub(crate) last: Option<Timestamp>,
    pub(crate) text: String,
}

/// Reloads that were refused and not taken since.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn refused(snap: &Snapshot) -> Result<Vec<Refused<'_>>, Gap> {
    Ok(snap.part_logs()?.iter().filter(|l| !l.previous && is_reloader(l)).filter_map(|l| of_log(snap, l)).collect())
}

fn is_reloader(log: &ContainerLog) -> bool {
    ["config-reloader", "configmap-reload"].iter().any(|w| log.image.contains(w) || log.container.contains(w))
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Option<Refused<'a>> {
    let mut found: Option<Refused<'a>> = None;
    for raw in log.text.lines() {
        let line = Line::parse(raw);
        let text = line.text();
        if line.level == Level::Info && text.contains("Reload triggered")
            || text.contains("successfully triggered reload")
        {
            found = None;
            continue;
        }
        let Some(refusal) = refusal(&text) else { continue };
        if line.is_older(snap.collected_at, RECENT) {
            continue;
        }
        let refused = found.get_or_insert_with(|| Refused { refusal, log, times: 0, last: None, text: String::new() });
        refused.refusal = refusal;
        refused.times += 1;
        refused.last = line.at.or(refused.last);
        refused.text = text;
    }
    found.filter(|r| r.times >= SEVERAL)
}

/// The environment variable that the configuration refers to in vain.
pub(crate) fn variable(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("found reference to unset environment variable ")?;
    rest.trim_start_matches(['\\', '"']).split(['\\', '"', ' ']).next().filter(|name| !name.is_empty())
}

/// `trigger reload: received non-200 response: 403 Forbidden`, `Received response code 403 , expected 200`.
fn refusal(text: &str) -> Option<Refusal> {
    // Newer ones go on with the reference as it is, and say so once.
    if variable(text).is_some() && text.contains("function failed") {
        return Some(Refusal::Variable);
    }
    let code = ["received non-200 response: ", "Received response code ", "eceived response code: "]
        .iter()
        .find_map(|mark| text.split_once(mark))
        .and_then(|(_, rest)| rest.get(..3))?;
    match code {
        "403" => Some(Refusal::LifecycleOff),
        "401" => Some(Refusal::Login),
        "404" | "405" => Some(Refusal::Path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Refusal> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        *snap.part_logs = Ok(vec![ContainerLog {
            container: "config-reloader".into(),
            text: text.into(),
            ..ContainerLog::default()
        }]);
        refused(&snap).expect("a log").first().map(|r| r.refusal)
    }

    #[test]
    fn a_refusal_lasts_until_a_reload_is_taken() {
        let line = "ts=2026-11-21T02:50:00Z level=error msg=\"function failed. Retrying in next tick\" err=\"trigger reload: received non-200 response: 403 Forbidden; have you set `--web.enable-lifecycle` Prometheus flag?\"\n";
        assert_eq!(read(&line.repeat(2)), Some(Refusal::LifecycleOff));
        assert_eq!(read(line), None, "once");
        let taken = "ts=2026-11-21T02:51:00Z level=info msg=\"Reload triggered\" cfg_in=/etc/x\n";
        assert_eq!(read(&format!("{}{taken}", line.repeat(5))), None);
        assert_eq!(read(&line.replace("403 Forbidden", "500 x").repeat(5)), None, "the configuration is at fault");
        let unset = "ts=2026-11-21T02:50:00Z level=error msg=\"function failed. Retrying in next tick\" err=\"expand environment variables: found reference to unset environment variable \\\"CLUSTER_ID\\\"\"\n";
        assert_eq!(read(&unset.repeat(2)), Some(Refusal::Variable));
        assert_eq!(variable("found reference to unset environment variable \"CLUSTER_ID\""), Some("CLUSTER_ID"));
        assert_eq!(
            read(&"2026/11/21 02:50:00 error: Received response code 404 , expected 200\n".repeat(3)),
            Some(Refusal::Path)
        );
    }
}
