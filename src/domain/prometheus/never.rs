//! Conditions that can never hold, whatever Prometheus measures.

use promql_parser::parser::token::{T_COUNT, T_EQLC, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Expr};

use crate::lint::promql;

/// A condition that never holds: a number of things is compared with less than one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Never {
    /// Whether it counts apart by labels.
    pub(crate) by_labels: bool,
    /// The comparison as it would hold when nothing is there; empty where it counts apart by labels.
    pub(crate) meant: String,
}

/// Why an expression never has a result, where its form alone says so.
pub(crate) fn never(expression: &str) -> Option<Never> {
    let parsed = promql::parse(expression).ok().flatten()?;
    of(&parsed)
}

fn of(expr: &Expr) -> Option<Never> {
    match expr {
        Expr::Paren(paren) => of(&paren.expr),
        Expr::Binary(binary) => match binary.op.id() {
            // Where one side is left, it can still have a result.
            T_LOR => of(&binary.lhs).filter(|_| of(&binary.rhs).is_some()),
            T_LAND => of(&binary.lhs).or_else(|| of(&binary.rhs)),
            T_LUNLESS => of(&binary.lhs),
            _ => compared(binary),
        },
        _ => None,
    }
}

/// `count(…) == 0`: where there is nothing to count, count() has no result.
fn compared(binary: &BinaryExpr) -> Option<Never> {
    let Expr::NumberLiteral(number) = within(&binary.rhs) else { return None };
    let Expr::Aggregate(aggregate) = within(&binary.lhs) else { return None };
    let below = match binary.op.id() {
        T_EQLC | T_LTE => number.val < 1.0,
        T_LSS => number.val <= 1.0,
        _ => false,
    };
    // With `bool` the comparison gives 0, and the alert fires.
    let is_filter = binary.modifier.as_ref().is_none_or(|m| !m.return_bool);
    (below && is_filter && aggregate.op.id() == T_COUNT).then(|| told(binary, aggregate))
}

fn told(binary: &BinaryExpr, aggregate: &AggregateExpr) -> Never {
    let by_labels = aggregate.modifier.is_some();
    let meant = match by_labels {
        true => String::new(),
        false => format!("({} or vector(0)) {} {}", within(&binary.lhs), binary.op, within(&binary.rhs)),
    };
    Never { by_labels, meant }
}

fn within(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => within(&paren.expr),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_never_less_than_one() {
        for text in
            ["count(up{job=\"a\"} == 1) == 0", "count(up) < 1", "(count by (job) (up)) == 0", "count(up) == 0 and up"]
        {
            assert!(never(text).is_some(), "{text}");
        }
        assert_eq!(never("count(up) == 0").map(|n| n.meant).as_deref(), Some("(count(up) or vector(0)) == 0"));
        for text in [
            "count(up) < 2",
            "count(up) == 0 or absent(up)",
            "(count(up) or vector(0)) == 0",
            "count(up) == bool 0",
            "sum(up) == 0",
            "count_over_time(up[5m]) == 0",
            "absent(up)",
            "broken(",
        ] {
            assert_eq!(never(text), None, "{text}");
        }
    }
}
