//! What an expression reads: the metrics it names with their plain matchers.

use std::collections::BTreeMap;
use std::convert::Infallible;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::visitor::{ExprVisitor, walk_expr};

use crate::lint::promql;

/// One selector of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    /// Name of the metric; empty where it is not plain.
    pub(crate) metric: String,
    /// Labels that must have this very value.
    pub(crate) labels: BTreeMap<String, String>,
}

/// The selectors of an expression; none where it does not parse.
pub(crate) fn reads(expression: &str) -> Vec<Read> {
    let Ok(Some(parsed)) = promql::parse(expression) else { return Vec::new() };
    let mut all = All(Vec::new());
    let _ = walk_expr(&mut all, &parsed);
    all.0
}

struct All(Vec<Read>);

impl All {
    fn add(&mut self, selector: &VectorSelector) {
        let plain = selector.matchers.matchers.iter().filter(|m| matches!(m.op, MatchOp::Equal));
        let mut labels: BTreeMap<String, String> = plain.map(|m| (m.name.clone(), m.value.clone())).collect();
        let named = labels.remove("__name__");
        self.0.push(Read { metric: selector.name.clone().or(named).unwrap_or_default(), labels });
    }
}

impl ExprVisitor for All {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.add(selector),
            Expr::MatrixSelector(matrix) => self.add(&matrix.vs),
            _ => {}
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_metrics_and_plain_matchers() {
        let found = reads(r#"absent(up{job="kube-scheduler"} == 1) or rate(errors_total{code=~"5.."}[5m]) > 1"#);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].metric.as_str(), found[0].labels["job"].as_str()), ("up", "kube-scheduler"));
        assert!(found[1].metric == "errors_total" && found[1].labels.is_empty());
        assert!(reads("broken(").is_empty());
    }
}
