//! The condition of an alert as its expression has it: what is measured, the bound, and on which side of it the alert fires.

use std::collections::BTreeSet;

use promql_parser::parser::Expr;
use promql_parser::parser::token::{T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_NEQ};

use crate::lint::promql::{self, within};

/// Letters of what is measured beyond which only its metrics are named.
const SHORT: usize = 110;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Something is compared with a number.
    Bound {
        /// What is measured, as PromQL.
        measured: String,
        /// `above 0.2`, `at 1`.
        side: String,
    },
    /// It fires as long as this has no series.
    Absent(String),
}

impl Condition {
    /// Of an expression: its first comparison with a number, what an alert adds with `and` or `unless` aside.
    pub(crate) fn of(expression: &str) -> Option<Self> {
        first(&promql::parse(expression).ok().flatten()?)
    }

    /// A query that people can read, of which the result shows where each series stands, those that do not fire as well.
    pub(crate) fn query(&self) -> Option<&str> {
        let (Self::Bound { measured: query, .. } | Self::Absent(query)) = self;
        is_short(query).then_some(query)
    }

    /// In words: it fires while `x` is above 3 (4 at the last evaluation).
    pub(crate) fn words(&self, value: &str, metrics: &[&str]) -> String {
        match self {
            Self::Absent(query) => format!("it fires as long as `{query}` has no series"),
            Self::Bound { measured, side } => {
                let what = match (is_short(measured), metrics) {
                    (true, _) => format!("`{measured}`"),
                    (false, []) => "what it measures".to_owned(),
                    (false, metrics) => format!("what it makes of {}", listed(metrics)),
                };
                let now = number(value).map_or(String::new(), |value| format!(" ({value} at the last evaluation)"));
                format!("it fires while {what} is {side}{now}")
            }
        }
    }
}

fn is_short(query: &str) -> bool {
    query.chars().count() <= SHORT
}

/// The first few of them, each once.
fn listed(metrics: &[&str]) -> String {
    let mut seen = BTreeSet::new();
    let all: Vec<&str> = metrics.iter().copied().filter(|m| seen.insert(*m)).collect();
    match all.as_slice() {
        [one] => format!("`{one}`"),
        [one, other] => format!("`{one}` and `{other}`"),
        [one, other, ..] => format!("`{one}`, `{other}` and {} more", all.len() - 2),
        [] => String::new(),
    }
}

fn first(expr: &Expr) -> Option<Condition> {
    match within(expr) {
        Expr::Call(call) if call.func.name == "absent" || call.func.name == "absent_over_time" => {
            Some(Condition::Absent(within(call.args.args.first()?).to_string()))
        }
        Expr::Binary(binary) => {
            let side = match binary.op.id() {
                T_LAND | T_LOR | T_LUNLESS => return first(&binary.lhs),
                T_GTR => "above",
                T_GTE => "at or above",
                T_LSS => "below",
                T_LTE => "at or below",
                T_EQLC => "at",
                T_NEQ => "not at",
                _ => return None,
            };
            let Expr::NumberLiteral(bound) = within(&binary.rhs) else { return None };
            // A comparison in a comparison, as in `(a > 0) / b > 0.1`, stays in what is measured.
            Some(Condition::Bound {
                measured: within(&binary.lhs).to_string(),
                side: format!("{side} {}", plain(bound.val)),
            })
        }
        _ => None,
    }
}

/// `4.2e-02` as `0.042`; `None` where it is no number.
fn number(value: &str) -> Option<String> {
    value.parse().ok().filter(|v: &f64| v.is_finite()).map(plain)
}

/// With four digits that count, and without zeros that do not.
fn plain(value: f64) -> String {
    if value == value.trunc() || value.abs() >= 10_000.0 {
        return format!("{value:.0}");
    }
    let digits = 3.0 - value.abs().log10().floor().min(3.0);
    let text = format!("{value:.*}", digits.clamp(0.0, 12.0) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_measured_and_the_bound() {
        let words = |expression: &str, value: &str| {
            Condition::of(expression).map(|c| c.words(value, &["a_total", "b", "a_total", "c"]))
        };
        let told = |expression: &str, value: &str| words(expression, value).unwrap_or_default();
        assert_eq!(
            told(r#"(node_systemd_unit_state{state="failed"} == 1)"#, "1e+00"),
            r#"it fires while `node_systemd_unit_state{state="failed"}` is at 1 (1 at the last evaluation)"#
        );
        assert_eq!(
            told("rate(a_total[5m]) > 0.01 and on () b > 3", "4.1234567e-02"),
            "it fires while `rate(a_total[5m])` is above 0.01 (0.04123 at the last evaluation)"
        );
        assert_eq!(told(r#"absent(up{job="x"} == 1)"#, "1"), r#"it fires as long as `up{job="x"} == 1` has no series"#);
        assert_eq!(told("a >= 1e6", ""), "it fires while `a` is at or above 1000000");
        assert!(words("a > b", "1").is_none() && words("vector(1)", "1").is_none() && words("a >", "1").is_none());
        let long = format!("sum by (a) (rate({}[5m])) < 2", "x".repeat(200));
        assert_eq!(
            told(&long, "1.5"),
            "it fires while what it makes of `a_total`, `b` and 1 more is below 2 (1.5 at the last evaluation)"
        );
    }

    #[test]
    fn numbers_are_for_people() {
        for (value, wanted) in [
            (0.2, "0.2"),
            (12345.678, "12346"),
            (0.000_012_345, "0.00001235"),
            (99.999, "100"),
            (1_230.4, "1230"),
            (1.0, "1"),
        ] {
            assert_eq!(plain(value), wanted);
        }
    }
}
