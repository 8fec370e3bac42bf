//! Values of fixes that say where a scrape job is configured.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::origin::{Line, Monitor, job_line, monitor_of, reader_of};
use crate::snapshot::Snapshot;

/// A line of a ConfigMap, none where it is not known, and who reads it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ConfigLine {
    pub(crate) config_map: Option<String>,
    pub(crate) config_namespace: Option<String>,
    pub(crate) config_key: Option<String>,
    pub(crate) config_line: Option<usize>,
    pub(crate) managed_by: Option<String>,
    pub(crate) reader: String,
    pub(crate) reader_namespace: String,
    pub(crate) reloads: bool,
}

/// Where a job is configured: in a monitor or in a line.
#[derive(Serialize, JsonSchema)]
pub(crate) struct JobPlace {
    pub(crate) monitor_kind: Option<&'static str>,
    pub(crate) monitor: Option<String>,
    pub(crate) monitor_namespace: Option<String>,
    #[serde(flatten)]
    pub(crate) line: ConfigLine,
}

impl JobPlace {
    /// Of a job.
    pub(crate) fn of(snap: &Snapshot, job: &str) -> Self {
        Self::at(snap, job, own_line(snap, job))
    }

    fn at(snap: &Snapshot, job: &str, line: Option<Line<'_>>) -> Self {
        let monitor = monitor_of(job);
        Self {
            monitor_kind: monitor.as_ref().map(|m| m.kind),
            monitor_namespace: monitor.as_ref().map(|m| m.namespace.clone()),
            monitor: monitor.map(|m| m.name),
            line: ConfigLine::of(snap, line),
        }
    }
}

/// The line of a job that no monitor makes.
fn own_line<'a>(snap: &'a Snapshot, job: &str) -> Option<Line<'a>> {
    if monitor_of(job).is_none() { job_line(snap, job) } else { None }
}

/// Where a job is configured and how a change takes effect: the values of the shared steps `change-job`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChangeJob {
    #[serde(flatten)]
    pub(crate) place: JobPlace,
    pub(crate) config_jsonpath: Option<String>,
    /// Which of the monitor's endpoints it is of, from 1.
    pub(crate) monitor_endpoint: Option<usize>,
}

impl ChangeJob {
    /// Of a job.
    pub(crate) fn of(snap: &Snapshot, job: &str) -> Self {
        Self::at(snap, job, None)
    }

    /// The same at a line that is known to be at fault, where one is.
    pub(crate) fn at(snap: &Snapshot, job: &str, line: Option<Line<'_>>) -> Self {
        let line = line.or_else(|| own_line(snap, job));
        Self {
            place: JobPlace::at(snap, job, line),
            config_jsonpath: jsonpath(line),
            monitor_endpoint: monitor_endpoint(job),
        }
    }
}

impl ConfigLine {
    /// The line of a job.
    pub(crate) fn of_job(snap: &Snapshot, job: &str) -> Self {
        Self::of(snap, own_line(snap, job))
    }

    /// Of a line.
    pub(crate) fn of(snap: &Snapshot, line: Option<Line<'_>>) -> Self {
        let map = line.map(|l| &l.config_map.metadata);
        let reader = reader_of(snap, line.map(|l| l.config_map));
        let namespace = reader.as_ref().map(|r| r.namespace.clone()).or(map.map(|m| m.namespace.clone()));
        Self {
            config_map: map.map(|m| m.name.clone()),
            config_namespace: map.map(|m| m.namespace.clone()),
            config_key: line.map(|l| l.key.to_owned()),
            config_line: line.map(|l| l.number),
            managed_by: map.map(managed_by),
            reloads: reader.as_ref().is_some_and(|r| r.reloads),
            reader: reader.map_or_else(|| "<deployment or statefulset of Prometheus>".to_owned(), |r| r.name),
            reader_namespace: namespace.unwrap_or_else(|| "<namespace>".to_owned()),
        }
    }
}

/// The JSONPath of the key that a line is in.
fn jsonpath(line: Option<Line<'_>>) -> Option<String> {
    line.map(|l| path_of_key(l.key))
}

/// The JSONPath of a key of a ConfigMap or Secret.
pub(crate) fn path_of_key(key: &str) -> String {
    format!("{{.data.{}}}", key.replace('.', "\\."))
}

/// Which of its monitor's endpoints a job is of, from 1.
pub(crate) fn monitor_endpoint(job: &str) -> Option<usize> {
    monitor_of(job).and_then(|m| m.endpoint).map(|at| at + 1)
}

/// The field of a job's monitor that holds its endpoints.
pub(crate) fn monitor_list(job: &str) -> Option<&'static str> {
    monitor_of(job).as_ref().and_then(Monitor::list)
}
