//! Values of fixes that say where a scrape job is configured.

use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::origin::{Line, Monitor, job_line, monitor_of, reader_of};
use crate::model::Params;
use crate::snapshot::Snapshot;

/// Values that say where a job is configured and how a change takes effect: `monitor_kind`, `monitor`,
/// `monitor_namespace`, `monitor_list`; `config_map`, `config_namespace`, `config_key`, `config_line`, `config_jsonpath`,
/// `managed_by`; `reader`, `reader_namespace`, `reloads`. What is not known is null.
pub(crate) fn set_params(snap: &Snapshot, job: &str, params: &mut Params) {
    let monitor = monitor_of(job);
    params.set("monitor_kind", monitor.as_ref().map(|m| m.kind));
    params.set("monitor", monitor.as_ref().map(|m| m.name.as_str()));
    params.set("monitor_namespace", monitor.as_ref().map(|m| m.namespace.as_str()));
    params.set("monitor_list", monitor.as_ref().and_then(Monitor::list));
    let line = if monitor.is_none() { job_line(snap, job) } else { None };
    set_line_params(snap, line, params);
}

/// The values of the ConfigMap and its reader for a line that is known.
pub(crate) fn set_line_params(snap: &Snapshot, line: Option<Line<'_>>, params: &mut Params) {
    let map = line.map(|l| &l.config_map.metadata);
    params.set("config_map", map.map(|m| m.name.as_str()));
    params.set("config_namespace", map.map(|m| m.namespace.as_str()));
    params.set("config_key", line.map(|l| l.key));
    params.set("config_line", line.map(|l| l.number));
    params.set("config_jsonpath", line.map(|l| format!("{{.data.{}}}", l.key.replace('.', "\\."))));
    params.set("managed_by", map.map(managed_by));
    let reader = reader_of(snap, line.map(|l| l.config_map));
    params.set("reader", reader.as_ref().map_or("<deployment or statefulset of Prometheus>", |r| r.name.as_str()));
    let namespace = reader.as_ref().map(|r| r.namespace.as_str()).or(map.map(|m| m.namespace.as_str()));
    params.set("reader_namespace", namespace.unwrap_or("<namespace>"));
    params.set("reloads", reader.as_ref().is_some_and(|r| r.reloads));
}
