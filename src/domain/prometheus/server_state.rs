//! What a server of Prometheus made of its configuration.

use crate::domain::prometheus::server::{Server, servers};
use crate::domain::text::log_line;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;

/// Whether it runs, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It does not start; what its log says of the configuration, where there is a log.
    Crashing(Option<String>),
    /// It runs with an older configuration; what its log says.
    ReloadFailed(Option<String>),
    /// It runs.
    Running,
    /// No pod of it was seen.
    Unknown,
}

impl State {
    /// The faulty file does harm now.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Crashing(_) | Self::ReloadFailed(_))
    }
}

/// What became of the configuration.
pub(crate) fn state(snap: &Snapshot, server: Server<'_>) -> State {
    let pods: Vec<&Pod> = snap.pods_of_workload(server.workload).collect();
    if pods.is_empty() {
        return State::Unknown;
    }
    if let Some(crashing) = pods.iter().find(|p| crashes(p, &server.container.name)) {
        let logs = snap.crash_logs().ok().into_iter().chain(snap.component_logs().ok()).flatten();
        let mut own = logs.filter(|l| is_of(l, crashing, &server.container.name)).peekable();
        return match own.peek() {
            None => State::Crashing(None),
            Some(_) => match own.find_map(|l| complaint(&l.text)) {
                Some(Some(error)) => State::Crashing(Some(error)),
                // It stops for another reason.
                _ => State::Running,
            },
        };
    }
    reload(snap, server, &pods)
}

fn reload(snap: &Snapshot, server: Server<'_>, pods: &[&Pod]) -> State {
    let logs = snap.logs_of(Program::Prometheus).unwrap_or_default();
    let said = logs
        .iter()
        .filter(|l| pods.iter().any(|p| is_of(l, p, &server.container.name)))
        .find_map(|l| complaint(&l.text));
    // What Prometheus says of itself is newer than its log.
    let only = servers(snap).len() == 1;
    let runtime = snap.prometheus_runtime().ok().and_then(|r| r.reload_config_success).filter(|_| only);
    let metrics = || {
        let samples = snap.prometheus_metrics().ok().filter(|_| only)?.iter();
        let mut success = samples.filter(|s| s.name == "prometheus_config_last_reload_successful");
        success.next().map(|s| s.value > 0.0)
    };
    match (runtime.or_else(metrics), said) {
        (Some(true), _) => State::Running,
        (Some(false), said) => State::ReloadFailed(said.flatten()),
        (None, Some(Some(error))) => State::ReloadFailed(Some(error)),
        (None, _) => State::Running,
    }
}

fn is_of(log: &ContainerLog, pod: &Pod, container: &str) -> bool {
    log.is_of(&pod.metadata) && log.container == container
}

fn crashes(pod: &Pod, container: &str) -> bool {
    pod.status.container_statuses.iter().filter(|s| s.name == container && !s.ready).any(|s| {
        let waits = s.state.waiting.as_ref().is_some_and(|w| w.reason == "CrashLoopBackOff");
        let ended = s.state.terminated.as_ref().or(s.last_state.terminated.as_ref());
        waits || s.restart_count > 0 && ended.is_some_and(|t| t.exit_code != 0)
    })
}

/// The last thing that a log says of loading the configuration: `Some(None)` if it was loaded, or the error.
fn complaint(log: &str) -> Option<Option<String>> {
    let mut last = None;
    let mut rules: Option<String> = None;
    for line in log.lines() {
        let fields = log_line::fields(line);
        let said = fields.get("msg").map(String::as_str).unwrap_or_default();
        let error = || fields.get("err").or(fields.get("error")).cloned();
        if said.starts_with("Completed loading of configuration file") {
            last = Some(None);
            rules = None;
        } else if said == "loading groups failed" {
            rules = error();
        } else if [
            "Error loading config",
            "Error reloading config",
            "Failed to apply configuration",
            "Failed to reload",
        ]
        .iter()
        .any(|w| said.starts_with(w))
        {
            // The rule manager's line says more than the summary after it.
            last = Some(rules.clone().or_else(error).or_else(|| Some(said.to_owned())));
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_log_counts() {
        let ok = "level=INFO msg=\"Completed loading of configuration file\" filename=/x\n";
        let bad = "level=error msg=\"Error reloading config\" err=\"couldn't load configuration: yaml: line 3: x\"\n";
        let rules = "level=error component=\"rule manager\" msg=\"loading groups failed\" err=\"/r.yml: 6:15: unclosed\"\n\
                     level=error msg=\"Failed to apply configuration\" err=\"error loading rules, previous rule set restored\"\n\
                     level=error msg=\"Error reloading config\" err=\"one or more errors occurred\"\n";
        assert_eq!(complaint(""), None);
        assert_eq!(complaint(&format!("{bad}{ok}")), Some(None));
        assert_eq!(
            complaint(&format!("{ok}{bad}")).flatten().as_deref(),
            Some("couldn't load configuration: yaml: line 3: x")
        );
        assert_eq!(complaint(&format!("{ok}{rules}")).flatten().as_deref(), Some("/r.yml: 6:15: unclosed"));
    }
}
