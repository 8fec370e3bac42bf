//! What the form of an alert alone says of it: that its condition never holds, or always, and which labels its result has.

mod labels;
mod range;

use promql_parser::parser::token::{T_EQLC, T_GTE, T_GTR, T_LAND, T_LSS, T_LTE, T_LUNLESS, T_NEQ};
use promql_parser::parser::{BinaryExpr, Expr};

use super::condition::number;
use super::never::needed;
use crate::lint::promql::{self, within};
pub(crate) use labels::{labels, printed};
use range::Range;

/// What is odd about a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// No value is within both of its comparisons.
    Contradiction,
    /// `absent()` is 1 or nothing, and compared with something else.
    Absent,
    /// What is never negative is to be below 0.
    Negative(&'static str),
    /// What is 0 or 1 is to be something else.
    Boolean(String),
    /// A comparison with `bool` has a result in any case.
    Bool,
    /// Nothing is compared.
    Unconditional,
    /// One sample of what is 0 or 1 decides.
    OneSample(String),
}

/// What is odd about the condition of an alert; `waits`: it has to hold for some time.
pub(crate) fn form(expression: &str, waits: bool) -> Option<Form> {
    let parsed = promql::parse(expression).ok().flatten()?;
    let never = needed(&parsed, &|part| match part {
        Expr::Binary(binary) => contradicts(binary),
        _ => None,
    });
    never.or_else(|| always(&parsed)).or_else(|| one_sample(&parsed).filter(|_| !waits))
}

/// What is compared with a number, and the values that are left.
fn compared(expr: &Expr) -> Option<(&Expr, Range)> {
    let Expr::Binary(binary) = within(expr) else { return None };
    let is_filter = binary.modifier.as_ref().is_none_or(|m| !m.return_bool);
    let range = Range::of(binary.op.id(), number(&binary.rhs)?)?;
    is_filter.then_some((within(&binary.lhs), range))
}

fn contradicts(binary: &BinaryExpr) -> Option<Form> {
    if binary.op.id() == T_LAND {
        // Of different series both may hold.
        let all = binary.modifier.as_ref().is_none_or(|m| m.matching.is_none());
        let ((one, left), (other, right)) = (compared(&binary.lhs)?, compared(&binary.rhs)?);
        return (all && one.to_string() == other.to_string() && !left.meets(right)).then_some(Form::Contradiction);
    }
    let is_filter = binary.modifier.as_ref().is_none_or(|m| !m.return_bool);
    let number = number(&binary.rhs).filter(|_| is_filter)?;
    let lhs = within(&binary.lhs);
    if let Some(name) = zero_or_one(lhs) {
        let holds = |value: f64| match Range::of(binary.op.id(), number) {
            Some(range) => range.holds(value),
            None => true,
        };
        return (!holds(0.0) && !holds(1.0)).then_some(Form::Boolean(name));
    }
    if matches!(lhs, Expr::Call(call) if matches!(call.func.name, "absent" | "absent_over_time")) {
        let one = match binary.op.id() {
            T_NEQ => (number - 1.0).abs() > f64::EPSILON,
            op => Range::of(op, number)?.holds(1.0),
        };
        return (!one).then_some(Form::Absent);
    }
    let range = Range::of(binary.op.id(), number)?;
    if let Some((_, before)) = compared(lhs) {
        return (!before.meets(range)).then_some(Form::Contradiction);
    }
    let not_negative = Range { from: 0.0, with_from: true, to: f64::INFINITY, with_to: true };
    let function = never_negative(lhs)?;
    (!not_negative.meets(range)).then_some(Form::Negative(function))
}

/// The function whose result is never negative.
fn never_negative(expr: &Expr) -> Option<&'static str> {
    let known = ["rate", "irate", "increase", "changes", "resets", "count_over_time"];
    match expr {
        Expr::Call(call) => known.into_iter().find(|name| *name == call.func.name),
        _ => None,
    }
}

/// A selector of a metric that is 0 or 1.
fn zero_or_one(expr: &Expr) -> Option<String> {
    let Expr::VectorSelector(selector) = expr else { return None };
    selector.name.clone().filter(|name| matches!(name.as_str(), "up" | "probe_success"))
}

fn is_comparison(op: u16) -> bool {
    matches!(op, T_EQLC | T_NEQ | T_GTR | T_GTE | T_LSS | T_LTE)
}

fn always(parsed: &Expr) -> Option<Form> {
    if let Expr::Binary(binary) = within(parsed)
        && is_comparison(binary.op.id())
        && binary.modifier.as_ref().is_some_and(|m| m.return_bool)
    {
        return Some(Form::Bool);
    }
    // Other series may be there only where something is wrong.
    let measures = |expr: &Expr| matches!(expr, Expr::Call(call) if matches!(call.func.name, "rate" | "irate" | "increase" | "histogram_quantile"));
    let filters = |expr: &Expr| match expr {
        Expr::Binary(binary) => is_comparison(binary.op.id()) || matches!(binary.op.id(), T_LAND | T_LUNLESS),
        Expr::Call(call) => matches!(call.func.name, "absent" | "absent_over_time"),
        _ => false,
    };
    (any(parsed, &measures) && !any(parsed, &filters)).then_some(Form::Unconditional)
}

/// `up == 0` and nothing else.
fn one_sample(parsed: &Expr) -> Option<Form> {
    let (of, range) = compared(parsed)?;
    let name = zero_or_one(of)?;
    (range.holds(0.0) && !range.holds(1.0)).then_some(Form::OneSample(name))
}

fn any(expr: &Expr, is_it: &dyn Fn(&Expr) -> bool) -> bool {
    is_it(expr)
        || match expr {
            Expr::Paren(paren) => any(&paren.expr, is_it),
            Expr::Unary(unary) => any(&unary.expr, is_it),
            Expr::Subquery(subquery) => any(&subquery.expr, is_it),
            Expr::Aggregate(aggregate) => any(&aggregate.expr, is_it),
            Expr::Binary(binary) => any(&binary.lhs, is_it) || any(&binary.rhs, is_it),
            Expr::Call(call) => call.args.args.iter().any(|arg| any(arg, is_it)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_that_may_hold_or_not_are_quiet() {
        for text in [
            "up == 0",
            "up < 1 and on (job) up > 0",
            "x > 5 and x < 10",
            "x > 5 and y < 3",
            "5 < (x > 1)",
            "absent(up)",
            "absent(up) == 1",
            "absent(up{job=\"a\"} == 1)",
            "rate(x[5m]) <= 0",
            "rate(x[5m]) == 0",
            "rate(x[5m]) - rate(y[5m]) < 0",
            "delta(x[5m]) < 0",
            "sum(up) > 1",
            "vector(1)",
            "ALERTS{alertstate=\"firing\"}",
            "job:errors:ratio",
            "rate(x[5m]) and on (job) up",
            "(x > bool 5) == 1",
            "x > 5 or x < 3",
            "broken(",
        ] {
            assert_eq!(form(text, true), None, "{text}");
        }
    }

    #[test]
    fn what_never_or_always_holds_is_told() {
        for (text, expected) in [
            ("x > 5 and x < 3", Form::Contradiction),
            ("x > 5 < 3", Form::Contradiction),
            ("sum(x > 5) and (x == 1 and x == 2)", Form::Contradiction),
            ("absent(up) == 0", Form::Absent),
            ("absent(up) > 1", Form::Absent),
            ("absent_over_time(up[5m]) != 1", Form::Absent),
            ("rate(x[5m]) < 0", Form::Negative("rate")),
            ("increase(x[5m]) == -1", Form::Negative("increase")),
            ("up > 1", Form::Boolean("up".into())),
            ("probe_success == 2", Form::Boolean("probe_success".into())),
            ("x > bool 5", Form::Bool),
            ("sum(rate(x[5m])) / sum(rate(y[5m]))", Form::Unconditional),
        ] {
            assert_eq!(form(text, true), Some(expected), "{text}");
        }
        assert_eq!(form("up{job=\"a\"} == 0", false), Some(Form::OneSample("up".into())));
        assert_eq!(form("sum(up) == 0", false), None);
    }

    #[test]
    fn labels_follow_from_the_form() {
        let lacks = |text: &str, label: &str| labels(text).expect("it parses").lacks(label);
        for (text, label) in [
            ("sum by (job) (up) > 1", "instance"),
            ("sum(up) > 1", "job"),
            ("sum without (pod) (x) > 1", "pod"),
            ("sum by (job) (x) / on (job) sum by (job) (y) > 1", "instance"),
            ("x / ignoring (code) y > 1", "code"),
            ("100 * sum by (job) (x) > 1", "instance"),
            ("max by (a) (sum by (b) (x))", "a"),
            ("histogram_quantile(0.9, sum by (le, job) (rate(x[5m]))) > 1", "le"),
        ] {
            assert!(lacks(text, label), "{text} {label}");
        }
        for (text, label) in [
            ("up == 0", "instance"),
            ("sum by (job, instance) (up) > 1", "instance"),
            ("topk(3, x) > 1", "pod"),
            ("count_values(\"version\", x) > 1", "version"),
            ("sum by (job) (x) * on (job) group_left (team) y > 1", "team"),
            ("label_replace(sum by (job) (x), \"team\", \"a\", \"\", \"\") > 1", "team"),
            ("sum by (job) (x) or sum by (pod) (y)", "pod"),
            ("absent(up{job=\"a\"})", "job"),
            ("x > 1 and on (job) sum by (job) (y) > 1", "pod"),
        ] {
            assert!(!lacks(text, label), "{text} {label}");
        }
    }

    #[test]
    fn what_a_template_asks_about_is_not_printed() {
        let text =
            "{{ $labels.job }} {{- with $labels.cluster }} on {{ $labels.cluster }}{{ end }} {{ $labels.pod | title }}";
        assert_eq!(printed(text), ["job", "pod"].map(str::to_owned).into());
    }
}
