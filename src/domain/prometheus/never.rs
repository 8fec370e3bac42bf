//! Conditions that can never hold, whatever Prometheus measures.

use promql_parser::label::Labels;
use promql_parser::parser::token::{T_COUNT, T_EQLC, T_LOR, T_LSS, T_LTE, T_LUNLESS};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier};

use crate::lint::promql::{self, within};

/// Why an expression never has a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Never {
    /// A number of things is compared with less than one.
    Count {
        /// The comparison as it would hold when nothing is there; empty where it counts apart by labels.
        meant: String,
        /// The comparison is one part of the expression, and has to go with the others.
        is_part: bool,
    },
    /// `histogram_quantile` over buckets whose bounds were aggregated away.
    Quantile {
        /// The aggregation as it is, and as it keeps the bounds.
        aggregation: String,
        meant: String,
    },
}

/// Why an expression never has a result, where its form alone says so.
pub(crate) fn never(expression: &str) -> Option<Never> {
    let parsed = promql::parse(expression).ok().flatten()?;
    let whole = within(&parsed);
    needed(&parsed, &|part| match part {
        Expr::Binary(binary) => counted(binary).map(|_| Never::Count {
            meant: meant(binary),
            is_part: !matches!(whole, Expr::Binary(whole) if std::ptr::eq(whole, binary)),
        }),
        Expr::Call(call) => unbounded(call),
        _ => None,
    })
}

/// The first part of an expression of which something is known, among those without which the whole has no result.
pub(crate) fn needed<'e, T>(expr: &'e Expr, known: &impl Fn(&'e Expr) -> Option<T>) -> Option<T> {
    if let Some(found) = known(expr) {
        return Some(found);
    }
    match expr {
        Expr::Paren(paren) => needed(&paren.expr, known),
        Expr::Unary(unary) => needed(&unary.expr, known),
        Expr::Subquery(subquery) => needed(&subquery.expr, known),
        Expr::Aggregate(aggregate) => needed(&aggregate.expr, known),
        // They say that something is not there; a scalar is there in any case.
        Expr::Call(call) if matches!(call.func.name, "absent" | "absent_over_time" | "scalar" | "vector") => None,
        Expr::Call(call) => call.args.args.iter().find_map(|arg| needed(arg, known)),
        Expr::Binary(binary) => match binary.op.id() {
            // Where one side is left, it can still have a result.
            T_LOR => needed(&binary.lhs, known).filter(|_| needed(&binary.rhs, known).is_some()),
            T_LUNLESS => needed(&binary.lhs, known),
            _ => needed(&binary.lhs, known).or_else(|| needed(&binary.rhs, known)),
        },
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => None,
    }
}

/// `count(…) == 0`: where there is nothing to count, count() has no result.
fn counted(binary: &BinaryExpr) -> Option<&AggregateExpr> {
    let Expr::NumberLiteral(number) = within(&binary.rhs) else { return None };
    let Expr::Aggregate(aggregate) = within(&binary.lhs) else { return None };
    let below = match binary.op.id() {
        T_EQLC | T_LTE => number.val < 1.0,
        T_LSS => number.val <= 1.0,
        _ => false,
    };
    // With `bool` the comparison gives 0, and the alert fires.
    let is_filter = binary.modifier.as_ref().is_none_or(|m| !m.return_bool);
    (below && is_filter && aggregate.op.id() == T_COUNT).then_some(aggregate)
}

fn meant(binary: &BinaryExpr) -> String {
    match counted(binary) {
        Some(aggregate) if aggregate.modifier.is_none() => {
            format!("({aggregate} or vector(0)) {} {}", binary.op, within(&binary.rhs))
        }
        _ => String::new(),
    }
}

/// `histogram_quantile(0.9, sum by (job) (rate(x_bucket[5m])))`: without `le` no bucket has a bound.
fn unbounded(call: &Call) -> Option<Never> {
    if call.func.name != "histogram_quantile" {
        return None;
    }
    let Expr::Aggregate(aggregate) = within(call.args.args.get(1)?) else { return None };
    let has_bounds = match &aggregate.modifier {
        None => false,
        Some(LabelModifier::Include(labels)) => labels.labels.iter().any(|l| l == "le"),
        Some(LabelModifier::Exclude(labels)) => labels.labels.iter().all(|l| l != "le"),
    };
    if has_bounds || !of_buckets(&aggregate.expr) {
        return None;
    }
    let mut bounded = aggregate.clone();
    match bounded.modifier.get_or_insert_with(|| LabelModifier::Include(Labels::new(Vec::new()))) {
        LabelModifier::Include(labels) => labels.labels.push("le".to_owned()),
        LabelModifier::Exclude(labels) => labels.labels.retain(|l| l != "le"),
    }
    Some(Never::Quantile { aggregation: aggregate.to_string(), meant: bounded.to_string() })
}

/// Classic buckets: a native histogram has its bounds within.
fn of_buckets(expr: &Expr) -> bool {
    needed(expr, &|part| match part {
        Expr::VectorSelector(selector) => selector.name.as_deref(),
        Expr::MatrixSelector(matrix) => matrix.vs.name.as_deref(),
        _ => None,
    })
    .is_some_and(|name| name.ends_with("_bucket"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Option<(String, bool)> {
        match never(text) {
            Some(Never::Count { meant, is_part }) => Some((meant, is_part)),
            _ => None,
        }
    }

    #[test]
    fn a_count_is_never_less_than_one() {
        for text in
            ["count(up{job=\"a\"} == 1) == 0", "count(up) < 1", "(count by (job) (up)) == 0", "count(up) == 0 and up"]
        {
            assert!(count(text).is_some(), "{text}");
        }
        assert_eq!(count("count(up) == 0"), Some(("(count(up) or vector(0)) == 0".into(), false)));
        // What stands beside the comparison is not lost.
        let part = count("count(up) == 0 and on () (hour() > 8)").expect("it never holds");
        assert_eq!(part, ("(count(up) or vector(0)) == 0".into(), true));
        assert!(count("(count(up) == 0)").is_some_and(|(_, is_part)| !is_part));
        assert!(count("count by (job) (up) == 0").is_some_and(|(meant, _)| meant.is_empty()));
        for text in [
            "count(up) < 2",
            "count(up) == 0 or absent(up)",
            "(count(up) or vector(0)) == 0",
            "count(up) == bool 0",
            "sum(up) == 0",
            "count_over_time(up[5m]) == 0",
            "absent(up)",
            "absent(count(up) == 0)",
            "broken(",
        ] {
            assert_eq!(never(text), None, "{text}");
        }
    }

    #[test]
    fn a_quantile_needs_the_bounds_of_its_buckets() {
        let meant = |text: &str| match never(text) {
            Some(Never::Quantile { meant, .. }) => Some(meant),
            _ => None,
        };
        for (text, expected) in [
            (
                "histogram_quantile(0.99, sum by (job) (rate(x_bucket[5m]))) > 2",
                "sum by (job, le) (rate(x_bucket[5m]))",
            ),
            ("histogram_quantile(0.9, sum(rate(x_bucket[5m])))", "sum by (le) (rate(x_bucket[5m]))"),
            (
                "max(histogram_quantile(0.9, (sum without (le, pod) (rate(x_bucket[5m])))))",
                "sum without (pod) (rate(x_bucket[5m]))",
            ),
        ] {
            assert_eq!(meant(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "histogram_quantile(0.9, sum by (le, job) (rate(x_bucket[5m])))",
            "histogram_quantile(0.9, sum without (pod) (rate(x_bucket[5m])))",
            "histogram_quantile(0.9, rate(x_bucket[5m]))",
            "histogram_quantile(0.9, sum by (job) (rate(native_seconds[5m])))",
            "histogram_quantile(0.9, sum(rate(x_bucket[5m]))) or vector(0)",
        ] {
            assert_eq!(never(text), None, "{text}");
        }
    }
}
