//! What Prometheus refuses in an expression. The parser's own limits are no fault of the expression.

pub(super) mod position;
mod tokens;

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::visitor::{ExprVisitor, walk_expr};

use crate::lint::Version;
use crate::lint::go::regex_fault;
use crate::lint::promql::parse;
use crate::lint::rules::Features;
use crate::text::near::near;

use tokens::{Word, string, words};

/// Functions and the version that brought them.
const SINCE: &[(&str, Version)] = &[
    ("clamp", (2, 25)),
    ("sgn", (2, 25)),
    ("last_over_time", (2, 26)),
    ("present_over_time", (2, 29)),
    ("histogram_count", (2, 40)),
    ("histogram_sum", (2, 40)),
    ("histogram_fraction", (2, 40)),
    ("histogram_stddev", (2, 49)),
    ("histogram_stdvar", (2, 49)),
    ("histogram_avg", (2, 51)),
    ("sort_by_label", (2, 51)),
    ("sort_by_label_desc", (2, 51)),
    ("mad_over_time", (2, 53)),
    ("limitk", (2, 54)),
    ("limit_ratio", (2, 54)),
    ("double_exponential_smoothing", (3, 0)),
    ("info", (3, 0)),
    ("ts_of_max_over_time", (3, 5)),
    ("ts_of_min_over_time", (3, 5)),
    ("ts_of_last_over_time", (3, 5)),
    ("ts_of_first_over_time", (3, 7)),
    ("first_over_time", (3, 7)),
    ("histogram_quantiles", (3, 11)),
    ("start_timestamp", (3, 14)),
];

/// Experimental functions that no longer are, and since when.
const STABLE: &[(&str, Version)] = &[("first_over_time", (3, 14))];
/// The version since which durations are computed without a flag.
const COMPUTES_DURATIONS: Version = (3, 14);

/// Functions and aggregations that have to be switched on.
const EXPERIMENTAL: &[&str] = &[
    "double_exponential_smoothing",
    "first_over_time",
    "histogram_quantiles",
    "info",
    "limit_ratio",
    "limitk",
    "mad_over_time",
    "sort_by_label",
    "sort_by_label_desc",
    "start_timestamp",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// Words of newer syntax: what the parser says about such an expression may be its own limit.
const NEWER: &[&str] = &[
    "fill",
    "fill_left",
    "fill_right",
    "anchored",
    "smoothed",
    "step",
    "range",
    "start",
    "end",
    "min_of",
    "max_of",
    "start_timestamp",
    "histogram_quantiles",
    "limitk",
    "limit_ratio",
    "info",
];

/// What is wrong with an expression, and what was meant.
pub(super) fn fault(
    expr: &str,
    version: Option<Version>,
    features: Option<Features>,
) -> Option<(String, Option<String>)> {
    let words = words(expr);
    let calls = || words.iter().filter(|w| w.call).map(|w| w.text);
    if let Some(version) = version {
        if let Some((name, since)) = SINCE.iter().find(|(n, since)| version < *since && calls().any(|c| c == *n)) {
            let message = format!("unknown function with name {name:?}: known since {}.{} only", since.0, since.1);
            return Some((message, None));
        }
        if version < (2, 54)
            && let Some(message) = newer_syntax(expr).or_else(|| duration_as_number(expr, &words))
        {
            return Some((message, None));
        }
        if version >= (3, 0) && calls().any(|c| c == "holt_winters") {
            let meant = "double_exponential_smoothing".to_owned();
            // The new name is one that a flag switches on.
            let is_on = features.is_some_and(|f| f.experimental_functions);
            let message = "unknown function with name \"holt_winters\": renamed in 3.0 to double_exponential_smoothing, which needs --enable-feature=promql-experimental-functions";
            return Some((message.into(), is_on.then_some(meant)));
        }
    }
    if let Some(features) = features
        && let Some(message) = switched_off(expr, &words, version, features)
    {
        return Some((message, None));
    }
    let renamed = words
        .iter()
        .any(|w| w.text == "holt_winters")
        .then(|| expr.replace("holt_winters", "double_exponential_smoothing"));
    match parse(renamed.as_deref().unwrap_or(expr)) {
        Ok(parsed) => parsed.and_then(|parsed| refused(&parsed)),
        Err(message) => judge(expr, &message, &words, version),
    }
}

/// What Prometheus says of an expression that it loads and cannot use.
pub(crate) const NO_RESULT: &str = "rule result is not a vector or scalar";

/// Of what parses, what Prometheus would refuse all the same.
fn refused(expr: &Expr) -> Option<(String, Option<String>)> {
    let mut regexes = Regexes(None);
    let _ = walk_expr(&mut regexes, expr);
    if let Some(fault) = regexes.0 {
        return Some((fault, None));
    }
    match expr.value_type() {
        ValueType::Matrix => Some((format!("{NO_RESULT}: it is a range vector"), None)),
        ValueType::String => Some((format!("{NO_RESULT}: it is a string"), None)),
        _ => None,
    }
}

struct Regexes(Option<String>);

impl Regexes {
    fn look(&mut self, selector: &VectorSelector) {
        use promql_parser::label::MatchOp;
        let all = selector.matchers.matchers.iter().chain(selector.matchers.or_matchers.iter().flatten());
        for matcher in all.filter(|m| matches!(m.op, MatchOp::Re(_) | MatchOp::NotRe(_))) {
            if let Some(fault) = regex_fault(&matcher.value) {
                self.0.get_or_insert(format!("label matcher {}: error parsing regexp: {fault}", matcher.name));
            }
        }
    }
}

impl ExprVisitor for Regexes {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.look(selector),
            Expr::MatrixSelector(matrix) => self.look(&matrix.vs),
            _ => {}
        }
        Ok(true)
    }
}

/// Whether a rejection is Prometheus' too.
fn judge(expr: &str, message: &str, words: &[Word<'_>], version: Option<Version>) -> Option<(String, Option<String>)> {
    if let Some(regex) = message.strip_prefix("illegal regex for ") {
        let fault = regex_fault(regex)?;
        return Some((format!("error parsing regexp: {fault}"), None));
    }
    let old = version.is_some_and(|v| v < (3, 0));
    // Names in quotes and arithmetic in durations came with 3.x; the parser knows only a part of them.
    let quoted_name = expr.contains("{\"") || expr.contains("{'") || expr.contains("(\"") && expr.contains("by");
    if !old && (quoted_name || duration_arithmetic(expr) || words.iter().any(|w| NEWER.contains(&w.text))) {
        return None;
    }
    if let Some(name) = message.strip_prefix("unknown function with name '").and_then(|r| r.strip_suffix('\'')) {
        let known = words.iter().find(|w| w.text == name)?;
        let meant = near_function(known.text).map(str::to_owned);
        // Functions of newer versions, and those of Thanos.
        let other = version.is_none_or(|v| v > (3, 8)) && meant.is_none() || name.starts_with('x') && meant.is_some();
        if other {
            return None;
        }
        return Some((format!("unknown function with name {name:?}"), meant));
    }
    let meant = range_meant(expr, message);
    let message = message
        .replace("type matrix", "type range vector")
        .replace("type vector", "type instant vector")
        .replace("got vector", "got instant vector")
        .replace("got matrix", "got range vector")
        .replace('\'', "\"");
    Some((message, meant))
}

/// What is said of an experimental function whose flag is not set.
pub(crate) const NOT_SWITCHED_ON: &str = "--enable-feature=promql-experimental-functions is not set";

/// What is read only where a flag switches it on.
fn switched_off(expr: &str, words: &[Word<'_>], version: Option<Version>, features: Features) -> Option<String> {
    let aggregates = |w: &Word<'_>| matches!(w.text, "limitk" | "limit_ratio");
    let stable =
        |w: &Word<'_>| STABLE.iter().any(|(name, since)| *name == w.text && version.is_some_and(|v| v >= *since));
    let used = words.iter().find(|w| EXPERIMENTAL.contains(&w.text) && !stable(w) && (w.call || aggregates(w)));
    if let Some(used) = used.filter(|_| !features.experimental_functions) {
        return Some(format!("{:?} is experimental, and {NOT_SWITCHED_ON}", used.text));
    }
    let computed = version.is_some_and(|v| (3, 0) <= v && v < COMPUTES_DURATIONS) && duration_arithmetic(expr);
    (computed && !features.duration_expressions)
        .then(|| "a duration is computed, and --enable-feature=promql-duration-expr is not set".to_owned())
}

/// `> 100d`: a duration where a number stands, which old versions do not read.
fn duration_as_number(expr: &str, words: &[Word<'_>]) -> Option<String> {
    let is_duration = |text: &str| {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        digits > 0 && crate::lint::go::duration(text).is_ok() && text != "0"
    };
    let stands_alone = |w: &&Word<'_>| {
        let before = expr[..w.at].trim_end().trim_end_matches(['-', '+']).trim_end();
        !before.ends_with(['[', ':']) && !before.ends_with("offset") && !before.ends_with("OFFSET")
    };
    let found = words.iter().filter(|w| is_duration(w.text)).find(stands_alone)?;
    let seconds = crate::lint::go::duration(found.text).ok()? as f64 / 1000.0;
    Some(format!(
        "bad number or duration syntax: {:?} stands where a number has to; only parsers of 2.54 and later read it, as {seconds} (seconds): write that, or the number that is meant",
        found.text
    ))
}

/// Names in quotes and durations without a unit, which old versions do not read.
fn newer_syntax(expr: &str) -> Option<String> {
    let mut last = ' ';
    let mut braces = false;
    let mut rest = expr;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' | '\'' | '`' => {
                if braces && matches!(last, '{' | ',') {
                    return Some("unexpected string in label matching, expected identifier or \"}\"".into());
                }
                string(rest, c)
            }
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '[' => {
                let inner = rest[1..].split(']').next().unwrap_or_default();
                let bare = |part: &str| !part.trim().is_empty() && part.trim().chars().all(|c| c.is_ascii_digit());
                if inner.split(':').any(bare) {
                    return Some(format!("missing unit character in duration: [{inner}]"));
                }
                1
            }
            c => c.len_utf8(),
        };
        match c {
            '{' => braces = true,
            '}' => braces = false,
            _ => {}
        }
        if !c.is_whitespace() {
            last = c;
        }
        rest = &rest[length..];
    }
    None
}

/// `[5m * 2]`, `offset (1h)`, `[step()]`
fn duration_arithmetic(expr: &str) -> bool {
    let mut inside = false;
    let mut quote = None;
    for c in expr.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '[') => inside = true,
            (None, ']') => inside = false,
            (None, '+' | '-' | '*' | '/' | '(' | '%' | '^') if inside => return true,
            _ => {}
        }
    }
    let compact: String = expr.chars().filter(|c| !c.is_whitespace()).collect();
    compact.contains("offset(") || compact.contains("offset-(")
}

/// `rate(up)` → `rate(up[5m])`, where the argument is a plain selector.
fn range_meant(expr: &str, message: &str) -> Option<String> {
    let expr = expr.trim_end();
    if !message.starts_with("expected type matrix in call to function") || expr.contains('\n') {
        return None;
    }
    let call = format!("{}(", message.split('\'').nth(1)?);
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let mut out = String::new();
    let mut rest = expr;
    while let Some(at) = rest.find(&call) {
        let (before, after) = rest.split_at(at + call.len());
        out.push_str(before);
        rest = after;
        let argument = &after[..after.find(')')?];
        if !before[..at].ends_with(is_name) && !argument.contains(['(', '[']) {
            out.push_str(argument.trim_end());
            out.push_str("[5m]");
            rest = &after[argument.len()..];
        }
    }
    out.push_str(rest);
    (out != expr).then_some(out)
}

/// Functions that every version has.
const FUNCTIONS: &[&str] = &[
    "abs",
    "absent",
    "absent_over_time",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "day_of_month",
    "day_of_week",
    "days_in_month",
    "delta",
    "deriv",
    "exp",
    "floor",
    "histogram_quantile",
    "hour",
    "idelta",
    "increase",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "max_over_time",
    "min_over_time",
    "minute",
    "month",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "scalar",
    "sgn",
    "sort",
    "sort_desc",
    "sqrt",
    "stddev_over_time",
    "sum_over_time",
    "time",
    "timestamp",
    "vector",
    "year",
];

/// Aggregations that every version has.
const AGGREGATIONS: &[&str] =
    &["avg", "bottomk", "count", "count_values", "group", "max", "min", "quantile", "stddev", "stdvar", "sum", "topk"];

/// The function or aggregation that a misspelt one resembles.
pub(crate) fn near_function(name: &str) -> Option<&'static str> {
    near(name, FUNCTIONS.iter().chain(AGGREGATIONS).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_syntax_is_no_fault_of_an_unknown_version() {
        for expr in [
            "{\"http.server.duration\", job=\"a\"}",
            "sum by (\"service.name\") (up)",
            "rate(up[5m * 2])",
            "limitk(2, up)",
            "info(up)",
            "holt_winters(up[5m], 0.5, 0.5)",
            "ts_of_max_over_time(up[5m])",
        ] {
            assert_eq!(fault(expr, None, None), None, "{expr}");
        }
        assert!(fault("holt_winters(up[5m], 0.5, 0.5)", Some((3, 5)), None).is_some());
        assert!(fault("holt_winters(up[5m], 0.5, 0.5)", Some((2, 42)), None).is_none());
        assert!(fault("info(up)", Some((2, 42)), None).is_some());
        assert!(fault("{\"a.b\"}", Some((2, 42)), None).is_some());
    }

    #[test]
    fn what_has_to_be_switched_on_is_a_fault_without_it() {
        let off = Some(Features::default());
        let on = Some(Features { experimental_functions: true, duration_expressions: true });
        for expr in ["limitk(2, up)", "limitk by (job) (2, up)", "mad_over_time(up[5m])", "rate(up[5m * 2])"] {
            assert!(fault(expr, Some((3, 5)), off).is_some(), "{expr}");
            assert_eq!(fault(expr, Some((3, 5)), on), None, "{expr}");
        }
        assert_eq!(fault("rate(up{job=\"limitk\"}[5m])", Some((3, 5)), off), None);
    }

    #[test]
    fn a_duration_is_a_number_since_2_54() {
        for expr in ["time() - x > 100d", "x > 5m", "x > 1h30m"] {
            assert!(fault(expr, Some((2, 53)), None).is_some(), "{expr}");
        }
        let (message, _) = fault("time() - x > 100d", Some((2, 53)), None).expect("a fault");
        assert!(message.contains("read it, as 8640000 (seconds)"), "{message}");
        for expr in ["rate(x[5m]) > 1", "x offset 5m > 1", "x offset -5m", "max_over_time(x[1h:5m])", "x{job=\"5m\"}"] {
            assert_eq!(fault(expr, Some((2, 53)), None), None, "{expr}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (expr, why) in [
            ("sum(rate(up[5m])", "unclosed left parenthesis"),
            ("rate(up)", "expected type range vector in call to function"),
            ("ratee(up[5m])", "unknown function with name \"ratee\""),
            ("up{job=~\"(?!a).*\"}", "error parsing regexp"),
            ("up[5m]", "not a vector or scalar"),
            ("sum(up[5m])", "expected type instant vector"),
            ("up and", ""),
            ("up{job=a}", ""),
            ("\"text\"", "not a vector or scalar"),
        ] {
            let found = fault(expr, None, None).map(|f| f.0);
            assert!(found.as_deref().is_some_and(|f| f.contains(why)), "{expr}: {found:?}");
        }
        assert_eq!(
            fault("sum(rate(a{b=\"c\"})) > 1", None, None).and_then(|f| f.1).as_deref(),
            Some("sum(rate(a{b=\"c\"}[5m])) > 1")
        );
    }
}
