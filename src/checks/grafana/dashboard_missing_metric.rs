//! A dashboard asks for metrics that Prometheus does not have.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use crate::checks::support::grafana::{none_runs, running};
use crate::checks::{Check, check};
use crate::domain::grafana::dashboards::{self, Dashboard, text_of};
use crate::domain::grafana::provisioned::{self, Instance};
use crate::domain::grafana::url::{self, Written};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::proxy;
use crate::lint::promql;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::text::near::near_metric;

check! {
    /// See the check's page.
    DashboardMissingMetric {
        id: "dashboard-missing-metric", suite: Grafana, severity: Warning,
        title: "a dashboard asks for metrics that Prometheus does not have",
        requires: [ConfigMaps, Workloads, PrometheusMetricNames],
        uses: [Services, GrafanaDatasources, GrafanaDashboards, PrometheusTargets],
    }
}

/// Metrics that are there only while something happens.
const PASSING: &[&str] = &["ALERTS", "ALERTS_FOR_STATE"];

impl Check for DashboardMissingMetric {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let names = snap.prometheus_metric_names()?;
        // Which Prometheus a datasource asks, the Services tell: without them no instance is known to ask ours.
        let _ = snap.services();
        let own: Vec<Instance<'_>> = instances.iter().copied().filter(|i| asks_our_prometheus(snap, *i)).collect();
        // A Prometheus without a single series is the matter of others.
        if own.is_empty() || names.is_empty() {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let all = dashboards::with_word(snap, &own, &["\"expr\""]);
        Ok(Diagnosis::Findings(all.iter().filter_map(|d| finding(snap, names, d)).collect()))
    }
}

/// The only Prometheus that this Grafana knows is the one that was asked.
fn asks_our_prometheus(snap: &Snapshot, instance: Instance<'_>) -> bool {
    let Some(at) = &snap.scope.prometheus else { return false };
    let all = provisioned::datasources(snap, instance);
    let mut of_kind = all.iter().filter(|d| d.kind == "prometheus");
    let (Some(only), None) = (of_kind.next(), of_kind.next()) else { return false };
    let Some(written) = Written::parse(&only.url) else { return false };
    let service = url::service_behind(snap, instance.namespace(), &written).ok().flatten();
    service.is_some_and(|s| s.metadata.namespace == at.namespace && s.metadata.name == at.service)
}

/// What one panel asks for.
struct Panel {
    title: String,
    metrics: BTreeSet<String>,
}

fn finding(snap: &Snapshot, names: &BTreeSet<String>, dashboard: &Dashboard<'_>) -> Option<Finding> {
    // A chart brings dashboards for parts that nobody runs here.
    let managed = dashboard.file.is_some_and(|f| !managed_by(&f.config_map.metadata).is_empty());
    if managed {
        return None;
    }
    let panels: Vec<Panel> = dashboard.panels().into_iter().filter_map(read).collect();
    let lacks = |p: &Panel| p.metrics.iter().all(|m| !names.contains(m));
    let empty: Vec<&Panel> = panels.iter().filter(|p| lacks(p)).collect();
    if empty.is_empty() {
        return None;
    }
    let missing: BTreeSet<&str> = empty.iter().flat_map(|p| &p.metrics).map(String::as_str).collect();
    let meant: BTreeMap<&str, &str> =
        missing.iter().filter_map(|m| Some((*m, near_metric(m, names.iter().map(String::as_str))?))).collect();
    let whole = empty.len() == panels.len();
    // A counter of something that did not happen yet is not there either.
    let severity = if whole || !meant.is_empty() { Severity::Warning } else { Severity::Info };
    let listed = |m: &&str| meant.get(m).map_or_else(|| (*m).to_owned(), |near| format!("{m} ({near}?)"));
    let list = missing.iter().map(listed).collect::<Vec<_>>().join(", ");
    let shown = if whole {
        "none of its panels shows data".to_owned()
    } else {
        format!("{} of {} panels are empty", empty.len(), panels.len())
    };
    let message =
        format!("dashboard {} asks for metrics that Prometheus does not have: {list}; {shown}", dashboard.title);
    let titles: Vec<String> = empty
        .iter()
        .map(|p| {
            format!("panel {:?}: {}", p.title, p.metrics.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        })
        .collect();
    let made = Finding::new(DashboardMissingMetric::META.id, severity, dashboard.subject(), message)
        .evidence(crate::checks::support::grafana::in_dashboard(dashboard, titles.join("\n")))
        .fix(if meant.is_empty() { "expose" } else { "rename" });
    let mut made = crate::checks::support::grafana::named_in(dashboard, made);
    // Nothing else fails for it.
    made.breaks = Some(vec![dashboard.reference()]);
    for target in snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default().iter().filter(|t| t.health == "down")
    {
        made = made.depends_on(ResourceRef::ScrapeJob { job: target.job().to_owned() });
    }
    let at = snap.scope.prometheus.as_ref()?;
    let proxy = proxy::of_component(at, "/api/v1/label/__name__/values");
    let corrections: Vec<BTreeMap<&str, &str>> =
        meant.iter().map(|(old, new)| BTreeMap::from([("old", *old), ("new", *new)])).collect();
    let pattern = missing.iter().map(|m| stem(m)).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("|");
    Some(made.param("names_path", proxy).param("corrections", corrections).param("pattern", pattern))
}

/// The beginning of a name: the application or exporter that it belongs to.
fn stem(metric: &str) -> &str {
    metric.split(['_', ':']).next().unwrap_or(metric)
}

/// The metrics of a panel that asks Prometheus; `None` for one that asks something else, or whose metric is a variable.
fn read(panel: &Value) -> Option<Panel> {
    let of_prometheus = |holder: &Value| match holder.get("datasource") {
        Some(Value::Object(reference)) => reference.get("type").and_then(Value::as_str) == Some("prometheus"),
        Some(Value::String(name)) => name.to_ascii_lowercase().contains("prometheus") || name == "default",
        _ => true,
    };
    if !of_prometheus(panel) {
        return None;
    }
    let mut metrics = BTreeSet::new();
    for target in panel.get("targets").and_then(Value::as_array).into_iter().flatten() {
        if !of_prometheus(target) || target.get("hide").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        metrics.extend(of_expression(target.get("expr").and_then(Value::as_str)?)?);
    }
    metrics.retain(|m| !PASSING.contains(&m.as_str()));
    (!metrics.is_empty()).then(|| Panel { title: text_of(panel, "title"), metrics })
}

/// The metrics that an expression selects by name. `None` where that cannot be told.
fn of_expression(expr: &str) -> Option<BTreeSet<String>> {
    let mut text = expr.to_owned();
    for variable in [
        "$__rate_interval",
        "${__rate_interval}",
        "$__interval",
        "${__interval}",
        "$__range",
        "${__range}",
        "$interval",
        "${interval}",
    ] {
        text = text.replace(variable, "5m");
    }
    let parsed = promql::parse(&text).ok().flatten()?;
    let mut names = Names(Some(BTreeSet::new()));
    // The visitor cannot fail.
    let _ = walk_expr(&mut names, &parsed);
    names.0
}

/// Collects names; nothing once a selector goes by something else than its name.
struct Names(Option<BTreeSet<String>>);

impl Names {
    fn add(&mut self, selector: &VectorSelector) {
        let by_label = selector.matchers.matchers.iter().find(|m| m.name == "__name__");
        let name = match (&selector.name, by_label) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(m)) if m.op == MatchOp::Equal => Some(m.value.clone()),
            _ => None,
        };
        match (name.filter(|n| !n.contains('$')), &mut self.0) {
            (Some(name), Some(all)) => {
                all.insert(name);
            }
            (None, all) => *all = None,
            (Some(_), None) => {}
        }
    }
}

impl ExprVisitor for Names {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.add(selector),
            Expr::MatrixSelector(selector) => self.add(&selector.vs),
            _ => {}
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::grafana::{dashboard_map, datasource_map, grafana, snapshot};
    use crate::domain::testing::service;
    use serde_json::json;

    fn with(panels: &Value) -> Snapshot {
        let mut snap = snapshot(json!({
            "services": [service("monitoring", "prometheus", &[9090])],
            "workloads": [grafana(json!({"app": "grafana"}))],
            "config_maps": [
                datasource_map("- {name: Prometheus, type: prometheus, url: 'http://prometheus:9090', isDefault: true}"),
                dashboard_map(&json!({"title": "Orders", "uid": "orders", "panels": panels})),
            ],
        }));
        let names = ["up", "orders_created_total", "http_request_duration_seconds_bucket"];
        *snap.prometheus_metric_names = Ok(names.into_iter().map(str::to_owned).collect());
        snap
    }

    fn panel(expr: &str) -> Value {
        json!({"title": "t", "datasource": {"type": "prometheus", "uid": "x"}, "targets": [{"expr": expr}]})
    }

    #[test]
    fn what_is_there_or_cannot_be_told_is_quiet() {
        for expr in [
            "sum(rate(orders_created_total{status=\"ok\"}[$__rate_interval]))",
            "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
            "rate({__name__=~\"nosuch_.*\"}[5m])",
            "$metric",
            "orders_created_total or nosuch_total",
            "ALERTS{alertstate=\"firing\"}",
        ] {
            assert!(findings(&DashboardMissingMetric, &with(&json!([panel(expr)]))).is_empty(), "{expr}");
        }
        let logs = json!([{"title": "t", "datasource": {"type": "loki"}, "targets": [{"expr": "rate(nosuch[5m])"}]}]);
        assert!(findings(&DashboardMissingMetric, &with(&logs)).is_empty());
    }

    #[test]
    fn an_empty_dashboard_is_found_and_a_near_name_proposed() {
        let found = findings(&DashboardMissingMetric, &with(&json!([panel("rate(order_created_total[5m])")])));
        assert_eq!((found[0].severity, found[0].variant), (Severity::Warning, "rename"));
        assert!(found[0].message.contains("order_created_total (orders_created_total?)"), "{}", found[0].message);
        let some = with(&json!([panel("up"), panel("sum(payments_failed_total)")]));
        assert_eq!(findings(&DashboardMissingMetric, &some)[0].severity, Severity::Info);
    }
}
