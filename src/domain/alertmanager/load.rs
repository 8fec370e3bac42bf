//! What Alertmanager's log says of loading its configuration, at start and on reload.

use jiff::Timestamp;

use crate::domain::text::log_line::fields;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// A configuration that Alertmanager refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// When; `None` where the line does not say.
    pub(crate) at: Option<Timestamp>,
    /// Why, in Alertmanager's words.
    pub(crate) why: String,
    /// The line is in the log before the last restart.
    pub(crate) previous: bool,
}

/// The last thing that a log says of loading: `Some(None)` where it succeeded, `None` where it says nothing.
fn last_load(text: &str) -> Option<Option<(Option<Timestamp>, String)>> {
    let mut last = None;
    for line in text.lines().filter(|l| l.contains("onfiguration file") || l.contains("failed to apply new config")) {
        let fields = fields(line);
        let get = |name: &str| fields.get(name).map(String::as_str);
        let at = get("ts").or(get("time")).and_then(|t| t.parse().ok());
        let message = get("msg").unwrap_or_default().to_ascii_lowercase();
        let failed = message.contains("error loading configuration file")
            || message.contains("loading configuration file failed")
            || message.contains("failed to apply new config");
        if failed {
            last = Some(Some((at, get("err").or(get("error")).unwrap_or_default().trim().to_owned())));
        } else if message.starts_with("completed loading of configuration file") {
            last = Some(None);
        }
    }
    last
}

/// The refusal with which the logs of a pod end. A running Alertmanager that loaded later is none.
pub(crate) fn refusal(snap: &Snapshot, pod: &Pod) -> Option<Refusal> {
    let of_pod = |l: &&crate::snapshot::monitoring::ContainerLog| {
        l.is_of(&pod.metadata) && l.program.is_none_or(|p| p == Program::Alertmanager)
    };
    let logs: Vec<_> =
        snap.component_logs.iter().flatten().chain(snap.crash_logs.iter().flatten()).filter(of_pod).collect();
    // The current log speaks before the one of the container that is gone.
    let current = logs.iter().filter(|l| !l.previous).find_map(|l| last_load(&l.text).map(|said| (false, said)));
    let previous = || logs.iter().filter(|l| l.previous).find_map(|l| last_load(&l.text).map(|said| (true, said)));
    let (previous, said) = current.or_else(previous)?;
    // What a container said before a restart counts only while the pod does not get up.
    said.filter(|_| !previous || !pod.is_ready()).map(|(at, why)| Refusal { at, why, previous })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let loaded = "ts=2026-11-21T03:13:52.965Z level=info msg=\"Completed loading of configuration file\" file=/x";
        let failed = "time=2026-11-21T03:23:30.444Z level=ERROR msg=\"Loading configuration file failed\" err=\"undefined receiver \\\"a\\\" used in route\"";
        let start = "time=2026-11-21T03:13:48.514Z level=ERROR msg=\"error loading configuration file\" err=\"x\"";
        let subscribers = "ts=2026-11-21T03:13:52.972Z msg=\"one or more config change subscribers failed to apply new config\" err=\"failed to parse templates\"";
        assert_eq!(last_load("level=info msg=Listening"), None);
        assert_eq!(last_load(&format!("{failed}\n{loaded}")), Some(None));
        let why = |text: &str| last_load(text).flatten().map(|(_, why)| why);
        assert_eq!(why(&format!("{loaded}\n{failed}")).as_deref(), Some("undefined receiver \"a\" used in route"));
        assert_eq!(why(start).as_deref(), Some("x"));
        assert_eq!(why(&format!("{loaded}\n{subscribers}")).as_deref(), Some("failed to parse templates"));
    }
}
