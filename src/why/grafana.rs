//! A panel: dashboard → datasource → metric → labels → value; and a datasource: defined → URL → Service → health.

use std::collections::BTreeSet;

use serde_json::Value;

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::words::few;
use super::{service, shown};
use crate::domain::grafana::dashboards::{self, Dashboard, text_of};
use crate::domain::grafana::datasources::{self, health, shown_url};
use crate::domain::grafana::panel::{self, asks_our_prometheus};
use crate::domain::grafana::provisioned::{self, Datasource, Instance};
use crate::domain::grafana::url::{self, Cause, Written};
use crate::domain::prometheus::reads::reads;
use crate::domain::prometheus::targets;
use crate::domain::text::shorten::shorten;
use crate::model::{Evidence, Severity};
use crate::snapshot::{Fetched, Snapshot};
use crate::text::near::near_metric;

const NAMES: usize = 3;
const MISSING_METRIC: &str = "dashboard-missing-metric";
const NOT_OURS: &str = "whether it asks the Prometheus that was looked at is not known";
const QUERY: &str = "{% if path %}kubectl get --raw {{ path }}{% endif %}";

/// Each query of the panel has a datasource of its own.
const MIXED: &str = "-- Mixed --";
/// Datasources that every Grafana has in it.
const BUILT_IN: &[&str] = &["grafana", "-- Grafana --", "-- Dashboard --", "__expr__", "-100"];

/// Every dashboard that has panels.
pub(super) fn dashboards(snap: &Snapshot) -> Vec<Dashboard<'_>> {
    let instances = provisioned::instances(snap).unwrap_or_default();
    dashboards::with_word(snap, &instances, &["\"targets\""])
}

/// The chain of one panel.
pub(super) fn panel(b: &mut Builder<'_>, dashboard: &Dashboard<'_>, panel: &Value) {
    let snap = b.snap;
    let about = || vec![dashboard.reference(), dashboard.subject()];
    b.link("dashboard", about(), Claims::Of(&["grafana-provisioning", "grafana-sidecar"]), || Ok(loaded(dashboard)));
    let used = source(snap, dashboard.instance, panel);
    let of_source = used.as_ref().map(Datasource::reference).into_iter().chain(about()).collect();
    let (named, _) = reference(panel);
    if dashboard.left_by_import(&named).is_some() {
        let text = format!("it asks datasource {named}, which only the import dialogue fills in");
        b.link("datasource", of_source, Claims::Of(&["dashboard-datasource"]), || Ok(broken(text)));
        return idle_links(b, &["metric", "labels", "value"], "no datasource is asked");
    }
    // What the report says of other panels of the dashboard does not break this one.
    let claims = match used {
        None => Claims::Of(&["grafana-datasource", "dashboard-datasource"]),
        Some(_) => Claims::Of(&["grafana-datasource"]),
    };
    b.link("datasource", of_source, claims, || datasource_of(snap, dashboard, panel, used.as_ref()));
    let read = panel::read(panel);
    let own = dashboard.reference();
    let is_reported = b
        .report
        .findings
        .iter()
        .any(|f| f.check.0 == MISSING_METRIC && f.severity > Severity::Info && f.broken().contains(&own));
    b.link("metric", vec![own], Claims::IfBroken(&[MISSING_METRIC]), || {
        metric(snap, dashboard.instance, read.as_ref(), is_reported)
    });
    if b.is_broken("metric") {
        return idle_links(b, &["labels", "value"], "there is no series");
    }
    b.link("labels", Vec::new(), Claims::Of(&[]), || labels(snap, dashboard.instance, panel));
    b.link("value", Vec::new(), Claims::Of(&[]), || Ok(value(snap, dashboard.instance, panel)));
}

/// Links that do not count, for one before them is broken.
fn idle_links(b: &mut Builder<'_>, titles: &[&str], why: &str) {
    for title in titles {
        b.link(title, Vec::new(), Claims::Of(&[]), || Ok(idle(why)));
    }
}

fn loaded(dashboard: &Dashboard<'_>) -> Seen {
    match dashboard.file {
        Some(file) => {
            let meta = &file.config_map.metadata;
            right(format!("{}, in ConfigMap {}/{}", dashboard.title, meta.namespace, meta.name))
                .with(shown::written("configmap", meta))
        }
        None => right(format!("{}, kept in Grafana itself", dashboard.title)),
    }
}

/// What a panel says of its datasource: uid or name, and type.
fn reference(panel: &Value) -> (String, String) {
    let is_mixed = |v: &&Value| text_of(v, "uid") == MIXED || v.as_str() == Some(MIXED);
    let own = panel.get("datasource").filter(|v| !v.is_null()).filter(|v| !is_mixed(v));
    let of_target = || panel.get("targets")?.as_array()?.iter().find_map(|t| t.get("datasource"));
    match own.or_else(of_target) {
        Some(Value::String(name)) => (name.clone(), String::new()),
        Some(object) => (text_of(object, "uid"), text_of(object, "type")),
        None => (String::new(), String::new()),
    }
}

/// The datasource that a panel asks.
fn source<'a>(snap: &'a Snapshot, instance: Instance<'a>, panel: &Value) -> Option<Datasource<'a>> {
    let (named, kind) = reference(panel);
    let all = datasources::all(snap, &[instance]);
    let by_name = all.iter().find(|d| !named.is_empty() && (d.uid == named || d.name == named));
    let is_variable = named.is_empty() || named.contains('$') || named == "default";
    let fits = |d: &&Datasource<'_>| kind.is_empty() || d.kind == kind;
    let by_kind = || all.iter().filter(|_| is_variable).filter(fits).max_by_key(|d| d.is_default);
    by_name.or_else(by_kind).cloned()
}

fn datasource_of(
    snap: &Snapshot,
    dashboard: &Dashboard<'_>,
    panel: &Value,
    used: Option<&Datasource<'_>>,
) -> Fetched<Seen> {
    let Some(used) = used else {
        let (named, kind) = reference(panel);
        if BUILT_IN.contains(&named.as_str()) || kind == "datasource" {
            return Ok(idle("it takes its data from Grafana itself"));
        }
        let what = if named.is_empty() { format!("of type {kind}") } else { named };
        let known = datasources::all(snap, &[dashboard.instance]);
        let names = few(known.iter().map(|d| d.name.as_str()), NAMES);
        if known.is_empty() || snap.grafana_datasources.is_err() {
            snap.grafana_datasources()?;
            return Ok(untold(format!("it asks datasource {what}, and no datasource of this Grafana could be seen")));
        }
        return Ok(broken(format!("it asks datasource {what}, which Grafana does not have; it has {names}")));
    };
    leads(snap, used, &format!("{} ({})", used.name, shown_url(&used.url)))
}

/// Where the URL of a datasource leads. Of what is no Service here nothing but Grafana's own word tells.
fn leads(snap: &Snapshot, datasource: &Datasource<'_>, shown: &str) -> Fetched<Seen> {
    const UNASKED: &str = "whether it answers was not asked";
    if let Some(verdict) = url::judge(snap, datasource)? {
        return Ok(broken(format!("{shown}: {}", fault(&verdict.fault))));
    }
    if datasource.direct {
        return Ok(untold(format!("{shown} is asked by browsers, not by Grafana; {UNASKED}")));
    }
    if datasource.url.trim().is_empty() {
        return Ok(untold(format!("{} has no URL of its own; {UNASKED}", datasource.name)));
    }
    let behind = match Written::parse(&datasource.url) {
        Some(written) => url::service_behind(snap, datasource.instance.namespace(), &written)?,
        None => None,
    };
    Ok(match behind {
        Some(_) => right(shown),
        None => untold(format!("{shown} is not a Service that was seen; {UNASKED}")),
    })
}

fn fault(fault: &Cause<'_>) -> String {
    match fault {
        Cause::NoUrl => "it has no URL".to_owned(),
        Cause::Loopback => "that is Grafana's own container".to_owned(),
        Cause::UnknownService(host) => format!("there is no Service {}/{}", host.namespace, host.service),
        Cause::Port(service) => format!("Service {} does not offer this port", service.metadata.name),
        Cause::Scheme(service) => format!("Service {} serves the other scheme", service.metadata.name),
        Cause::Prefix(_, prefix) => format!("what is there serves below {prefix:?}"),
        Cause::Agent(service, _) => {
            format!("Service {} is a Prometheus in agent mode, which answers no query", service.metadata.name)
        }
        Cause::NoEndpoints(service, _) => format!("Service {} has no ready endpoint", service.metadata.name),
    }
}

/// Whether the metrics are there, by the names that Prometheus has; `is_reported`: the report says that they should be.
fn metric(snap: &Snapshot, instance: Instance<'_>, read: Option<&panel::Panel>, is_reported: bool) -> Fetched<Seen> {
    let Some(read) = read else { return Ok(untold("it does not ask Prometheus for a metric by its plain name")) };
    let names = snap.prometheus_metric_names()?;
    if !asks_our_prometheus(snap, instance) {
        return Ok(untold(NOT_OURS));
    }
    let missing: Vec<&str> = read.metrics.iter().map(String::as_str).filter(|m| !names.contains(*m)).collect();
    let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/label/__name__/values");
    let Some(first) = missing.first() else {
        return Ok(right(format!("Prometheus has {}", few(read.metrics.iter().map(String::as_str), NAMES))).with(shown));
    };
    let near = near_metric(first, names.iter().map(String::as_str)).map(|n| format!("; there is {n}"));
    // Else it is a side of an `or`, or a counter of what did not happen yet.
    let is_mistaken = missing.len() == read.metrics.len() && (near.is_some() || is_reported);
    let text = format!("Prometheus has no {}{}", few(missing.iter().copied(), NAMES), near.unwrap_or_default());
    Ok(if is_mistaken { broken(text) } else { untold(text) }.with(shown))
}

fn expressions(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel.get("targets").and_then(Value::as_array).into_iter().flatten();
    targets.filter_map(|t| t.get("expr")?.as_str())
}

/// Whether the jobs that it asks for are scraped: other labels are not known without asking for each.
fn labels(snap: &Snapshot, instance: Instance<'_>, panel: &Value) -> Fetched<Seen> {
    if !asks_our_prometheus(snap, instance) {
        return Ok(untold(NOT_OURS));
    }
    let all: Vec<_> = expressions(panel).flat_map(reads).collect();
    let plain = |r: &crate::domain::prometheus::reads::Read| !r.metric.contains(':');
    let jobs: BTreeSet<&str> =
        all.iter().filter(|r| plain(r)).filter_map(|r| r.labels.get("job")).map(String::as_str).collect();
    let jobs: Vec<&str> = jobs.into_iter().filter(|j| !j.contains('$')).collect();
    if jobs.is_empty() {
        return Ok(untold("which labels its series have was not asked").with(series(snap, &all)));
    }
    snap.prometheus_targets()?;
    let known: BTreeSet<&str> =
        targets::all(snap).iter().filter_map(|t| t.labels.get("job")).map(String::as_str).collect();
    let missing: Vec<&str> = jobs.iter().copied().filter(|j| !known.contains(j)).collect();
    Ok(if missing.is_empty() {
        right(format!("job {} is scraped", few(jobs, NAMES))).with(series(snap, &all))
    } else {
        // What was pushed, or has the labels of others (`honor_labels`), names jobs that are no target's.
        untold(format!("it asks for job {}, and no target has this label", few(missing, NAMES)))
            .with(series(snap, &all))
    })
}

/// The command that shows the series of a metric.
fn series(snap: &Snapshot, read: &[crate::domain::prometheus::reads::Read]) -> Evidence {
    let metric = read.first().map_or("", |r| r.metric.as_str());
    let path = format!("/api/v1/series?match[]={metric}&limit=20");
    let known = targets::prometheus_path(snap, &path).filter(|_| !metric.is_empty());
    Evidence::new(format!("series of {metric}"), "", QUERY).with("path", known.unwrap_or_default())
}

fn query(snap: &Snapshot, panel: &Value) -> Evidence {
    let expression = expressions(panel).next().unwrap_or_default();
    let encoded: String = ::url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
    let path = targets::prometheus_path(snap, &format!("/api/v1/query?query={encoded}"));
    let path = path.filter(|_| !expression.is_empty() && !expression.contains('$'));
    Evidence::new("the expression".to_owned(), expression, QUERY).with("path", path.unwrap_or_default())
}

fn value(snap: &Snapshot, instance: Instance<'_>, panel: &Value) -> Seen {
    if !asks_our_prometheus(snap, instance) {
        return untold(NOT_OURS);
    }
    let expression = expressions(panel).next().map(|e| shorten(e, super::pod::QUOTED));
    untold(match expression {
        Some(expression) => format!("what {expression} gives was not asked"),
        None => "it has no expression that Prometheus could be asked".to_owned(),
    })
    .with(query(snap, panel))
}

/// Every datasource that could be seen.
pub(super) fn all_datasources(snap: &Snapshot) -> Vec<Datasource<'_>> {
    datasources::all(snap, &provisioned::instances(snap).unwrap_or_default())
}

/// The chain of a datasource.
pub(super) fn datasource(b: &mut Builder<'_>, datasource: &Datasource<'_>) {
    let snap = b.snap;
    let own = || vec![datasource.reference()];
    b.link("defined", own(), Claims::Of(&["grafana-default-datasource", "grafana-provisioning"]), || {
        Ok(match datasource.file {
            Some(file) => {
                let meta = &file.config_map.metadata;
                right(format!("{} of ConfigMap {}/{}", file.key, meta.namespace, meta.name))
                    .with(shown::written("configmap", meta))
            }
            None => right("kept in Grafana itself"),
        })
    });
    b.link("url", own(), Claims::Of(&["grafana-datasource"]), || leads(snap, datasource, &shown_url(&datasource.url)));
    let written = Written::parse(&datasource.url);
    let namespace = datasource.instance.namespace();
    let behind = written.and_then(|w| url::service_behind(snap, namespace, &w).ok().flatten());
    if let Some(found) = behind {
        service::behind(b, found);
    }
    b.link("health", own(), Claims::Of(&["grafana-datasource"]), || match health(snap, datasource) {
        Some(("OK", _)) => Ok(right("Grafana says that it works")),
        Some((status, message)) => Ok(broken(format!("Grafana says {status}: {message}"))),
        None => snap.grafana_datasource_health().map(|_| idle("Grafana does not say whether it works")),
    });
}
