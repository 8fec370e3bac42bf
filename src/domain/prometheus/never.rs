//! Conditions that can never hold, whatever Prometheus measures.

use promql_parser::parser::token::{T_COUNT, T_EQLC, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Expr};

use crate::lint::promql;

/// A condition that never holds: a number of things is compared with less than one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Never {
    /// The comparison as it would hold when nothing is there; empty where it counts apart by labels.
    pub(crate) meant: String,
    /// The comparison is one part of the expression, and has to go with the others.
    pub(crate) is_part: bool,
}

/// Why an expression never has a result, where its form alone says so.
pub(crate) fn never(expression: &str) -> Option<Never> {
    let parsed = promql::parse(expression).ok().flatten()?;
    let comparison = of(&parsed)?;
    let is_whole = matches!(within(&parsed), Expr::Binary(whole) if std::ptr::eq(whole, comparison));
    Some(Never { meant: meant(comparison), is_part: !is_whole })
}

/// The comparison that never holds, and lets the whole have no result.
fn of(expr: &Expr) -> Option<&BinaryExpr> {
    let Expr::Binary(binary) = within(expr) else { return None };
    match binary.op.id() {
        // Where one side is left, it can still have a result.
        T_LOR => of(&binary.lhs).filter(|_| of(&binary.rhs).is_some()),
        T_LAND => of(&binary.lhs).or_else(|| of(&binary.rhs)),
        T_LUNLESS => of(&binary.lhs),
        _ => counted(binary).map(|_| binary),
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
        // What stands beside the comparison is not lost.
        let part = never("count(up) == 0 and on () (hour() > 8)").expect("it never holds");
        assert_eq!((part.meant.as_str(), part.is_part), ("(count(up) or vector(0)) == 0", true));
        assert!(never("(count(up) == 0)").is_some_and(|n| !n.is_part));
        assert!(never("count by (job) (up) == 0").is_some_and(|n| n.meant.is_empty()));
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
