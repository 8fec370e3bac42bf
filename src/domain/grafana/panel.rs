//! What a panel of a dashboard asks Prometheus for, and whether it is the Prometheus that was asked.

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use crate::domain::grafana::dashboards::text_of;
use crate::domain::grafana::provisioned::{self, Instance};
use crate::domain::grafana::url::{self, Written};
use crate::lint::promql;
use crate::snapshot::Snapshot;

/// Metrics that are there only while something happens.
const PASSING: &[&str] = &["ALERTS", "ALERTS_FOR_STATE"];

/// The only Prometheus that this Grafana knows is the one that was asked.
pub(crate) fn asks_our_prometheus(snap: &Snapshot, instance: Instance<'_>) -> bool {
    let Some(at) = &snap.scope.prometheus else { return false };
    let all = provisioned::datasources(snap, instance);
    let mut of_kind = all.iter().filter(|d| d.kind == "prometheus");
    let (Some(only), None) = (of_kind.next(), of_kind.next()) else { return false };
    let Some(written) = Written::parse(&only.url) else { return false };
    let service = url::service_behind(snap, instance.namespace(), &written).ok().flatten();
    service.is_some_and(|s| s.metadata.namespace == at.namespace && s.metadata.name == at.service)
}

/// What one panel asks for.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) metrics: BTreeSet<String>,
}

/// The metrics of a panel that asks Prometheus; `None` for one that asks something else, or whose metric is a variable.
pub(crate) fn read(panel: &Value) -> Option<Panel> {
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
