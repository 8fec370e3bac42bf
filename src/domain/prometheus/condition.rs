//! The condition of an alert's expression: what is compared with what, so that it can be said in words and asked alone.

use promql_parser::parser::token::{
    T_ADD, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LSS, T_LTE, T_LUNLESS, T_MAX, T_MIN, T_MUL, T_NEQ, T_SUB,
};
use promql_parser::parser::{BinaryExpr, Expr};

use crate::lint::promql::{self, within};

/// When an alert fires.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// A value compares with a bound.
    Compared {
        /// What is measured.
        left: String,
        /// How it compares.
        how: Comparison,
        /// The bound: a number, else an expression.
        bound: Bound,
        /// Something else has to hold, too.
        more: bool,
    },
    /// Something is not there.
    Absent {
        /// What is missed.
        what: String,
    },
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    Number(f64),
    Expression(String),
}

/// A comparison that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Other,
}

impl Comparison {
    fn of(operator: &BinaryExpr) -> Option<Self> {
        match operator.op.id() {
            T_GTR => Some(Self::Above),
            T_GTE => Some(Self::AtLeast),
            T_LSS => Some(Self::Below),
            T_LTE => Some(Self::AtMost),
            T_EQLC => Some(Self::Equal),
            T_NEQ => Some(Self::Other),
            _ => None,
        }
    }

    /// The same, seen from the other side.
    fn turned(self) -> Self {
        match self {
            Self::Above => Self::Below,
            Self::AtLeast => Self::AtMost,
            Self::Below => Self::Above,
            Self::AtMost => Self::AtLeast,
            same => same,
        }
    }
}

/// The condition that decides whether an alert fires, and that its value is of; none where an expression does not parse, or
/// where several conditions stand for each other.
pub(crate) fn condition(expression: &str) -> Option<Condition> {
    of(&promql::parse(expression).ok()??)
}

fn of(expr: &Expr) -> Option<Condition> {
    match expr {
        Expr::Paren(inner) => of(&inner.expr),
        // The least or the greatest of what fires: its value is one of theirs.
        Expr::Aggregate(outer) if matches!(outer.op.id(), T_MIN | T_MAX) => of(&outer.expr),
        Expr::Call(call) if call.func.name == "absent" || call.func.name == "absent_over_time" => {
            Some(Condition::Absent { what: call.args.first()?.to_string() })
        }
        Expr::Binary(binary) => of_binary(binary),
        _ => None,
    }
}

fn of_binary(binary: &BinaryExpr) -> Option<Condition> {
    if let Some(how) = Comparison::of(binary) {
        // With `bool` it gives 0 or 1, and filters nothing.
        if binary.modifier.as_ref().is_some_and(|m| m.return_bool) {
            return None;
        }
        let (left, right) = (within(&binary.lhs), within(&binary.rhs));
        let (left, how, bound) = match (number(left), number(right)) {
            (Some(_), Some(_)) => return None,
            (None, Some(bound)) => (left, how, Bound::Number(bound)),
            (Some(bound), None) => (right, how.turned(), Bound::Number(bound)),
            (None, None) => (left, how, Bound::Expression(right.to_string())),
        };
        return Some(Condition::Compared { left: left.to_string(), how, bound, more: false });
    }
    match (binary.op.id(), of(&binary.lhs)) {
        // What stands on the left gives the value.
        (T_LAND | T_LUNLESS, Some(Condition::Compared { left, how, bound, .. })) => {
            Some(Condition::Compared { left, how, bound, more: true })
        }
        _ => None,
    }
}

/// The value of an expression of numbers alone.
pub(super) fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(literal) => Some(literal.val),
        Expr::Paren(inner) => number(&inner.expr),
        Expr::Unary(negated) => number(&negated.expr).map(|v| -v),
        Expr::Binary(binary) => {
            let (left, right) = (number(&binary.lhs)?, number(&binary.rhs)?);
            match binary.op.id() {
                T_ADD => Some(left + right),
                T_SUB => Some(left - right),
                T_MUL => Some(left * right),
                T_DIV => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// An expression without its matchers, for people.
pub(crate) fn without_matchers(expression: &str) -> String {
    let (mut told, mut depth, mut quote, mut escaped) = (String::new(), 0_usize, None, false);
    for c in expression.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '{' => depth += 1,
            None if c == '}' && depth > 0 => {
                depth -= 1;
                continue;
            }
            None => {}
        }
        if depth == 0 {
            told.push(c);
        }
    }
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_of(expression: &str) -> Option<(String, Comparison, f64, bool)> {
        match condition(expression)? {
            Condition::Compared { left, how, bound: Bound::Number(bound), more } => {
                Some((without_matchers(&left), how, bound, more))
            }
            _ => None,
        }
    }

    #[test]
    fn what_is_compared_with_a_number_is_told_apart() {
        let told = number_of(r#"max_over_time(peers{job="a}b"}[5m]) > 0"#);
        assert_eq!(told, Some(("max_over_time(peers[5m])".into(), Comparison::Above, 0.0, false)));
        let told = number_of("(errors / all) > (14.4 * 0.01) and on (cluster) short > 1");
        assert!(
            matches!(told, Some((left, Comparison::Above, bound, true)) if left == "errors / all" && (bound - 0.144).abs() < 1e-9)
        );
        assert!(matches!(number_of("5 > min(free)"), Some((_, Comparison::Below, 5.0, false))));
        assert!(matches!(
            number_of("min by (a) (max_over_time(ready[5m]) == 0)"),
            Some((_, Comparison::Equal, 0.0, _))
        ));
    }

    #[test]
    fn what_is_no_plain_condition_is_none() {
        for expression in ["vector(1)", "a > 1 or b > 2", "a unless b", "sum(a > 1)", "1 > 0", "a > bool 1", "broken("]
        {
            assert_eq!(condition(expression), None, "{expression}");
        }
        assert!(matches!(condition("absent(up{job=\"a\"} == 1)"), Some(Condition::Absent { .. })));
        assert!(matches!(condition("a != b"), Some(Condition::Compared { bound: Bound::Expression(_), .. })));
    }
}
