//! Values of fixes that say where a scrape job is configured.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::origin::{Line, Monitor, job_line, monitor_of, reader_of};
use crate::model::Params;
use crate::snapshot::Snapshot;

/// Where a job is configured and how a change takes effect: the values of the shared steps `change-job`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChangeJob {
    pub(crate) monitor_kind: Option<&'static str>,
    pub(crate) monitor: Option<String>,
    pub(crate) monitor_namespace: Option<String>,
    pub(crate) config_map: Option<String>,
    pub(crate) config_namespace: Option<String>,
    pub(crate) config_key: Option<String>,
    pub(crate) config_line: Option<usize>,
    pub(crate) config_jsonpath: Option<String>,
    pub(crate) managed_by: Option<String>,
    pub(crate) reader: String,
    pub(crate) reader_namespace: String,
    pub(crate) reloads: bool,
}

impl ChangeJob {
    /// Of a job.
    pub(crate) fn of(snap: &Snapshot, job: &str) -> Self {
        let monitor = monitor_of(job);
        let line = if monitor.is_none() { job_line(snap, job) } else { None };
        Self {
            monitor_kind: monitor.as_ref().map(|m| m.kind),
            monitor_namespace: monitor.as_ref().map(|m| m.namespace.clone()),
            monitor: monitor.map(|m| m.name),
            ..Self::of_line(snap, line)
        }
    }

    /// Of a line that is known.
    pub(crate) fn of_line(snap: &Snapshot, line: Option<Line<'_>>) -> Self {
        let map = line.map(|l| &l.config_map.metadata);
        let reader = reader_of(snap, line.map(|l| l.config_map));
        let namespace = reader.as_ref().map(|r| r.namespace.clone()).or(map.map(|m| m.namespace.clone()));
        Self {
            monitor_kind: None,
            monitor: None,
            monitor_namespace: None,
            config_map: map.map(|m| m.name.clone()),
            config_namespace: map.map(|m| m.namespace.clone()),
            config_key: line.map(|l| l.key.to_owned()),
            config_line: line.map(|l| l.number),
            config_jsonpath: line.map(|l| format!("{{.data.{}}}", l.key.replace('.', "\\."))),
            managed_by: map.map(managed_by),
            reloads: reader.as_ref().is_some_and(|r| r.reloads),
            reader: reader.map_or_else(|| "<deployment or statefulset of Prometheus>".to_owned(), |r| r.name),
            reader_namespace: namespace.unwrap_or_else(|| "<namespace>".to_owned()),
        }
    }

    fn set(&self, params: &mut Params) {
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(self) {
            fields.into_iter().for_each(|(name, value)| params.set(name, value));
        }
    }
}

/// The values of [`ChangeJob`], and `monitor_list`: the list in the monitor's spec that holds the endpoints.
pub(crate) fn set_params(snap: &Snapshot, job: &str, params: &mut Params) {
    ChangeJob::of(snap, job).set(params);
    params.set("monitor_list", monitor_of(job).as_ref().and_then(Monitor::list));
}

/// The values of [`ChangeJob`] that say where a line is.
pub(crate) fn set_line_params(snap: &Snapshot, line: Option<Line<'_>>, params: &mut Params) {
    let line = serde_json::to_value(ChangeJob::of_line(snap, line));
    let Ok(serde_json::Value::Object(fields)) = line else { return };
    for (name, value) in fields.into_iter().filter(|(name, _)| !name.starts_with("monitor")) {
        params.set(name, value);
    }
}
