//! Windows of rules that are shorter than the interval at which what they read is scraped.

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr, MatrixSelector};

use crate::domain::prometheus::gateways::takes_writes;
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
    /// A target of the job that it reads; where it names none, the one of all that is scraped most often.
    pub(crate) target: &'a ScrapeTarget,
    /// It names no job, and no job at all is scraped often enough.
    pub(crate) of_any: bool,
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
    let of_any = names_no_job(matrix);
    let target = if of_any { most_often(snap, None)? } else { most_often(snap, Some(job(matrix)?))? };
    let (window, interval) = (u64::try_from(matrix.range.as_millis()).ok()?, interval(target)?);
    (window <= interval && (!of_any || is_scraped(snap, matrix))).then(|| TooShort {
        function: call.func.name.to_owned(),
        selector: matrix.to_string(),
        target,
        of_any,
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

fn names_no_job(matrix: &MatrixSelector) -> bool {
    let matchers = &matrix.vs.matchers;
    matchers.or_matchers.is_empty() && !matchers.matchers.iter().any(|m| m.name == "job")
}

/// What it reads comes from scrapes: no rule records it, and nobody writes into the server as often as they like.
fn is_scraped(snap: &Snapshot, matrix: &MatrixSelector) -> bool {
    let Some(metric) = matrix.vs.name.as_deref().filter(|name| !name.contains(':')) else { return false };
    let Ok(groups) = snap.prometheus_rules() else { return false };
    let is_recorded = groups.iter().flat_map(|g| &g.rules).any(|r| r.kind == "recording" && r.name == metric);
    !is_recorded && snap.prometheus_flags.as_ref().is_ok_and(|flags| !takes_writes(flags))
}

/// The target of a job, or of any, that is scraped most often.
fn most_often<'a>(snap: &'a Snapshot, job: Option<&str>) -> Option<&'a ScrapeTarget> {
    let is_meant = |t: &&ScrapeTarget| job.is_none_or(|job| t.labels.get("job").is_some_and(|j| j == job));
    snap.prometheus_targets().ok()?.iter().filter(is_meant).min_by_key(|t| interval(t))
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
    fn a_window_without_a_job_is_judged_by_the_fastest() {
        let target = |job: &str, interval: &str| {
            let mut target = up(job, "http://10.0.0.7:80/metrics");
            target["labels"] = json!({ "job": job });
            target["scrapeInterval"] = json!(interval);
            target
        };
        let of = |fastest: &str, flags: serde_json::Value| {
            let targets = [target("web", "1m"), target("db", fastest)];
            let mut snap = snapshot(json!({"targets": targets}));
            *snap.prometheus_rules = Ok(Vec::new());
            *snap.prometheus_flags = Ok(serde_json::from_value(flags).expect("flags"));
            too_short(&snap, "sum(rate(x_total{code=\"500\"}[30s])) > 1").map(|t| (t.of_any, t.wanted))
        };
        assert_eq!(of("30s", json!({})), Some((true, "2m".into())));
        assert_eq!(of("10s", json!({})), None, "it may be that job's");
        assert_eq!(of("30s", json!({"web.enable-remote-write-receiver": "true"})), None, "others write as they like");
        let old = json!({"enable-feature": "exemplar-storage,remote-write-receiver"});
        assert_eq!(of("30s", old), None, "as the flag was called before");
    }

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
