//! Windows of rules that are shorter than the interval at which what they read is scraped.

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr, MatrixSelector};

use crate::domain::prometheus::never::needed;
use crate::lint::go::duration;
use crate::lint::promql;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ScrapeTarget;

/// Functions that compare two samples of their window: over one they have no result.
const TWO_SAMPLES: &[&str] =
    &["rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing"];
/// Samples that a window should hold: one scrape may fail.
const WANTED: u64 = 4;

/// A window that holds no second sample.
#[derive(Debug, Clone)]
pub(crate) struct TooShort<'a> {
    pub(crate) function: String,
    /// As the expression has it: `x_total{job="a"}[1m]`.
    pub(crate) selector: String,
    /// A target of the job that it reads.
    pub(crate) target: &'a ScrapeTarget,
    /// Window of the expression, and one that is long enough.
    pub(crate) window: String,
    pub(crate) wanted: String,
    /// The interval with which the window is long enough.
    pub(crate) often: String,
}

/// The window without which an expression has no result, and which is too short for its job.
pub(crate) fn too_short<'a>(snap: &'a Snapshot, expression: &str) -> Option<TooShort<'a>> {
    let parsed = promql::parse(expression).ok().flatten()?;
    needed(&parsed, &|part| match part {
        Expr::Call(call) if TWO_SAMPLES.contains(&call.func.name) => of_call(snap, call),
        _ => None,
    })
}

fn of_call<'a>(snap: &'a Snapshot, call: &Call) -> Option<TooShort<'a>> {
    let matrix = call.args.args.iter().find_map(|arg| match arg.as_ref() {
        Expr::MatrixSelector(matrix) => Some(matrix),
        _ => None,
    })?;
    let target = most_often(snap, job(matrix)?)?;
    let (window, interval) = (u64::try_from(matrix.range.as_millis()).ok()?, interval(target)?);
    (window <= interval).then(|| TooShort {
        function: call.func.name.to_owned(),
        selector: matrix.to_string(),
        target,
        window: words(window),
        wanted: words(interval.saturating_mul(WANTED)),
        often: words(window / WANTED),
    })
}

/// The job that a selector asks for by its name.
fn job(matrix: &MatrixSelector) -> Option<&str> {
    let matchers = &matrix.vs.matchers;
    let job = matchers.matchers.iter().find(|m| m.name == "job" && matches!(m.op, MatchOp::Equal))?;
    (matchers.or_matchers.is_empty() && !job.value.is_empty()).then_some(job.value.as_str())
}

/// The target of a job that is scraped most often.
fn most_often<'a>(snap: &'a Snapshot, job: &str) -> Option<&'a ScrapeTarget> {
    let of_job = snap.prometheus_targets().ok()?.iter().filter(|t| t.labels.get("job").is_some_and(|j| j == job));
    of_job.min_by_key(|t| interval(t))
}

/// Milliseconds between two scrapes of a target.
pub(crate) fn interval(target: &ScrapeTarget) -> Option<u64> {
    duration(&target.scrape_interval).ok().filter(|ms| *ms > 0)
}

/// Milliseconds as a rule has them: `90s`, `8m`, `1h`.
fn words(ms: u64) -> String {
    match ms / 1000 {
        s if !ms.is_multiple_of(1000) => format!("{}ms", s * 1000 + ms % 1000),
        s if s.is_multiple_of(3600) && s > 0 => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) && s > 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::{snapshot, up};

    #[test]
    fn a_window_needs_two_samples() {
        let mut target = up("serviceMonitor/shop/web/0", "http://10.0.0.7:80/metrics");
        target["labels"] = json!({"job": "web"});
        target["scrapeInterval"] = json!("2m");
        let snap = snapshot(json!({"targets": [target]}));
        let of = |expression: &str| too_short(&snap, expression).map(|t| (t.function, t.window, t.wanted));
        let short = |function: &str, window: &str| Some((function.into(), window.into(), "8m".into()));
        assert_eq!(of("sum(rate(x_total{job=\"web\"}[1m])) > 1"), short("rate", "1m"));
        assert_eq!(of("increase(x_total{job=\"web\"}[2m]) > 1 and up"), short("increase", "2m"));
        for quiet in [
            "rate(x_total{job=\"web\"}[5m]) > 1",
            "rate(x_total{job=\"other\"}[1m]) > 1",
            "rate(x_total[1m]) > 1",
            "max_over_time(x{job=\"web\"}[1m]) > 1",
            "rate(x_total{job=\"web\"}[1m]) > 1 or up",
            "absent(rate(x_total{job=\"web\"}[1m]))",
        ] {
            assert_eq!(of(quiet), None, "{quiet}");
        }
    }
}
