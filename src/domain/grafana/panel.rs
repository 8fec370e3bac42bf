//! What a panel of a dashboard asks Prometheus for, and whether it is the Prometheus that was asked.

use std::collections::BTreeSet;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, LabelModifier, VectorSelector};
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
    let mut names = Names(Some(BTreeSet::new()));
    // The visitor cannot fail.
    let _ = walk_expr(&mut names, &parsed(expr)?);
    names.0
}

/// An expression of a dashboard, with what Grafana puts in place of its variables for times.
fn parsed(expr: &str) -> Option<Expr> {
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
    promql::parse(&text).ok().flatten()
}

/// What a panel asks metrics by, and how it sets them apart: its label, and the metric.
pub(crate) fn labels(panel: &Value) -> Vec<Asked> {
    let mut all = Vec::new();
    let targets = panel.get("targets").and_then(Value::as_array).into_iter().flatten();
    for expr in targets.filter_map(|t| t.get("expr").and_then(Value::as_str)) {
        let Some(parsed) = parsed(expr) else { continue };
        let mut found = Labels::default();
        let _ = walk_expr(&mut found, &parsed);
        let Labels { mut asked, made } = found;
        // What groups names no metric of its own. A label that the expression makes is there, wherever it comes from.
        asked.retain(|a| !a.metric.is_empty() || !made.contains(&a.label));
        let metric = asked.iter().find(|a| !a.metric.is_empty()).map(|a| a.metric.clone());
        for group in asked.iter_mut().filter(|a| a.metric.is_empty()) {
            group.metric = metric.clone().unwrap_or_default();
        }
        all.extend(asked);
    }
    all
}

/// One label that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) metric: String,
    pub(crate) label: String,
    /// What it is to be, as it is written; empty where it only groups.
    pub(crate) value: String,
    /// A series without the label is certainly left out.
    pub(crate) is_needed: bool,
}

/// Collects labels.
#[derive(Default)]
struct Labels {
    asked: Vec<Asked>,
    /// Those that the expression makes, or takes from other metrics.
    made: BTreeSet<String>,
}

impl Labels {
    fn add(&mut self, selector: &VectorSelector) {
        let metric = selector.name.clone().unwrap_or_default();
        for matcher in &selector.matchers.matchers {
            // What a variable stands for is not known.
            let is_variable = matcher.value.contains('$');
            let is_needed = !is_variable
                && match &matcher.op {
                    MatchOp::Equal => !matcher.value.is_empty(),
                    MatchOp::NotEqual => matcher.value.is_empty(),
                    MatchOp::Re(re) => !re.is_match(""),
                    MatchOp::NotRe(re) => re.is_match(""),
                };
            self.asked.push(Asked {
                metric: metric.clone(),
                label: matcher.name.clone(),
                value: matcher.value.clone(),
                is_needed,
            });
        }
    }
}

impl ExprVisitor for Labels {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.add(selector),
            Expr::MatrixSelector(selector) => self.add(&selector.vs),
            Expr::Aggregate(aggregate) => {
                let Some(LabelModifier::Include(by)) = &aggregate.modifier else { return Ok(true) };
                let group = |label: &String| Asked {
                    metric: String::new(),
                    label: label.clone(),
                    value: String::new(),
                    is_needed: false,
                };
                self.asked.extend(by.labels.iter().map(group));
            }
            Expr::Call(call) if matches!(call.func.name, "label_replace" | "label_join") => {
                if let Some(Expr::StringLiteral(label)) = call.args.args.get(1).map(|a| &**a) {
                    self.made.insert(label.val.clone());
                }
            }
            Expr::Binary(binary) => {
                let taken = binary.modifier.as_ref().and_then(|m| m.card.labels());
                self.made.extend(taken.into_iter().flat_map(|l| l.labels.iter().cloned()));
            }
            _ => {}
        }
        Ok(true)
    }
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
