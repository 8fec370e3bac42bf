//! Alerts that Alertmanager itself refuses, by its log. Of what is sent together it takes those that are right, and answers 400 for
//! the rest; Prometheus' log has the 400 only.

use crate::domain::prometheus::running_config;
use crate::domain::text::between::between;
use crate::domain::text::log_line::Line;
use crate::lint::yaml::Node;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// Alerts that fire are sent again each minute.
const AGAIN: i64 = 300;

/// What one Alertmanager says of alerts that it refuses.
pub(crate) struct Refused {
    /// What is wrong with the first of them.
    pub(crate) said: String,
    /// The line with it.
    pub(crate) line: String,
    /// The label whose name it does not take.
    pub(crate) label: Option<String>,
    /// Prometheus puts it on every alert; `None` where its configuration was not read.
    pub(crate) is_external: Option<bool>,
    pub(crate) container: String,
}

/// The last that this pod of Alertmanager said within minutes.
pub(crate) fn by(snap: &Snapshot, pod: &Pod) -> Option<Refused> {
    let logs = snap.logs_of(Program::Alertmanager).ok()?;
    let of_pod = logs.iter().find(|l| l.is_of(&pod.metadata))?;
    let line = of_pod
        .text
        .lines()
        .rev()
        .map(Line::parse)
        .find(|l| !l.is_older(snap.collected_at, AGAIN) && is_of_alerts(l))?;
    // API v1 names the class first; several refused alerts follow each other.
    let said = line.err.trim_start_matches("bad_data: ").split("; ").next().unwrap_or_default().to_owned();
    let named = between(&said, "invalid name \"", "\"")
        .or_else(|| said.strip_suffix(" is not a valid label name").map(|name| name.trim_matches('"')));
    let label = named.filter(|l| !l.is_empty()).map(str::to_owned);
    let is_external = label.as_deref().and_then(|l| is_external(snap, l));
    Some(Refused { line: line.raw.to_owned(), container: of_pod.container.clone(), said, label, is_external })
}

fn is_of_alerts(line: &Line<'_>) -> bool {
    match line.msg.as_str() {
        "Failed to validate alerts" => !line.err.is_empty(),
        "API error" => line.err.starts_with("bad_data: "),
        _ => false,
    }
}

fn is_external(snap: &Snapshot, label: &str) -> Option<bool> {
    let config = running_config::document(snap)?;
    let labels = config.at(&["global", "external_labels"]).and_then(Node::entries).unwrap_or_default();
    Some(labels.iter().any(|(name, _)| name.as_str() == Some(label)))
}
