//! Why an expression can have no result: the selectors without which it has none, and why they select nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::token::{T_LOR, T_LUNLESS};
use promql_parser::parser::{Call, Expr, VectorSelector};
use promql_parser::util::visitor::{ExprVisitor, walk_expr};

use crate::domain::prometheus::exposed::{Hidden, Shown};
use crate::domain::prometheus::gateways::{self, Renaming};
use crate::domain::prometheus::renamed;
use crate::domain::prometheus::server::servers;
use crate::lint::promql;
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::text::near::near_metric;

/// Recording rules that are followed at most, one through the other.
const DEPTH: usize = 8;
/// Metrics that Prometheus makes itself.
const OWN: &[&str] = &["ALERTS", "ALERTS_FOR_STATE", "up"];

/// Why a selector selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// A name as recording rules give it, and no loaded rule records it; the name that was meant, where one is near.
    Unrecorded(Option<String>),
    /// The exporter calls it so today, and Prometheus has that.
    Renamed(&'static str),
    /// Prometheus has a metric of nearly this name.
    Near(String),
    /// OpenTelemetry has put unit or kind into the name: the name that Prometheus has.
    Suffixed(String),
    /// `le="1"`: label and value as Prometheus 3 keeps it.
    Whole { label: String, value: String, kept: String },
    /// A label that the exporter calls otherwise today.
    Label { label: String, now: &'static str },
    /// No target has this job; the one that was meant.
    Job { job: String, near: String },
    /// kube-state-metrics does not show the label, or none of these objects.
    Hidden(Hidden),
    /// kube-state-metrics is told to leave the metric out: by this argument.
    LeftOut(&'static str),
    /// No target has this job; what another program passes on keeps its job as `exported_job` in that pool.
    Exported { job: String, pool: String, source: &'static str },
    /// No such metric, and nothing tells why: what it counts may never have happened.
    Absent,
}

/// A selector that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nothing {
    pub(crate) metric: String,
    pub(crate) why: Why,
}

/// What Prometheus has.
pub(crate) struct Known<'a> {
    names: &'a BTreeSet<String>,
    /// Expressions of the recording rules by what they record.
    recorded: BTreeMap<&'a str, &'a str>,
    /// Values of the label `job`; `None` where they were not read.
    jobs: Option<BTreeSet<&'a str>>,
    /// Names of workloads and Services: what a job may be that is gone.
    there: BTreeSet<&'a str>,
    shown: Option<Shown<'a>>,
    renaming: Vec<Renaming<'a>>,
    /// Every server keeps whole numbers of `le` and `quantile` with a point.
    points: bool,
}

impl<'a> Known<'a> {
    /// Of the Prometheus that was asked.
    ///
    /// # Errors
    /// The gap, where names or rules were not read.
    pub(crate) fn of(snap: &'a Snapshot) -> Result<Self, Gap> {
        let rules = snap.prometheus_rules()?.iter().flat_map(|g| &g.rules);
        let recorded = rules.filter(|r| r.kind == "recording").map(|r| (r.name.as_str(), r.query.as_str()));
        let targets = snap.prometheus_targets.as_ref().ok();
        let jobs = targets.map(|all| all.iter().filter_map(|t| t.labels.get("job")).map(String::as_str).collect());
        let versions: Vec<_> = servers(snap).into_iter().map(|s| s.version(snap)).collect();
        let points = !versions.is_empty() && versions.iter().all(|v| v.is_some_and(|(major, _)| major >= 3));
        Ok(Self {
            names: snap.prometheus_metric_names()?,
            recorded: recorded.collect(),
            jobs,
            there: there(snap),
            shown: Shown::of(snap),
            renaming: gateways::renaming(snap),
            points,
        })
    }

    /// What an expression lacks to have a result; nothing where it can have one.
    pub(crate) fn lacks(&self, expression: &str) -> BTreeSet<Nothing> {
        self.through(expression, DEPTH)
    }

    /// What an expression finds absent because it asks for it by a name that it does not have: such an alert fires.
    pub(crate) fn misnamed(&self, expression: &str) -> BTreeSet<Nothing> {
        let Ok(Some(parsed)) = promql::parse(expression) else { return BTreeSet::new() };
        let mut all = Absences(Vec::new());
        let _ = walk_expr(&mut all, &parsed);
        all.0.iter().filter_map(|selector| self.of_absent(selector)).collect()
    }

    fn of_absent(&self, selector: &VectorSelector) -> Option<Nothing> {
        let metric = selector.name.as_deref()?;
        let nothing = |why| Some(Nothing { metric: metric.to_owned(), why });
        if !OWN.contains(&metric) && !self.names.contains(metric) && !self.recorded.contains_key(metric) {
            return match self.of_name(metric) {
                Why::Absent | Why::Unrecorded(None) => None,
                why => nothing(why),
            };
        }
        let jobs = self.jobs.as_ref()?;
        let mut asked = selector.matchers.matchers.iter().filter(|m| m.name == "job" && matches!(m.op, MatchOp::Equal));
        let job = asked.next()?.value.as_str();
        if job.is_empty() || jobs.contains(job) || self.there.contains(job) {
            return None;
        }
        let near = renamed_job(job, jobs)?;
        nothing(Why::Job { job: job.to_owned(), near: near.to_owned() })
    }

    fn through(&self, expression: &str, depth: usize) -> BTreeSet<Nothing> {
        match promql::parse(expression) {
            Ok(Some(parsed)) if depth > 0 => self.of_expr(&parsed, depth),
            _ => BTreeSet::new(),
        }
    }

    fn of_expr(&self, expr: &Expr, depth: usize) -> BTreeSet<Nothing> {
        match expr {
            Expr::VectorSelector(selector) => self.of_selector(selector, depth),
            Expr::MatrixSelector(matrix) => self.of_selector(&matrix.vs, depth),
            Expr::Aggregate(aggregate) => self.of_expr(&aggregate.expr, depth),
            Expr::Unary(unary) => self.of_expr(&unary.expr, depth),
            Expr::Paren(paren) => self.of_expr(&paren.expr, depth),
            Expr::Subquery(subquery) => self.of_expr(&subquery.expr, depth),
            Expr::Call(call) => self.of_call(call, depth),
            Expr::Binary(binary) => {
                let left = self.of_expr(&binary.lhs, depth);
                match binary.op.id() {
                    T_LUNLESS => left,
                    T_LOR if left.is_empty() => left,
                    T_LOR => {
                        let right = self.of_expr(&binary.rhs, depth);
                        if right.is_empty() { right } else { left.into_iter().chain(right).collect() }
                    }
                    _ => left.into_iter().chain(self.of_expr(&binary.rhs, depth)).collect(),
                }
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => BTreeSet::new(),
        }
    }

    fn of_call(&self, call: &Call, depth: usize) -> BTreeSet<Nothing> {
        // They say that something is not there; a scalar is there in any case.
        if matches!(call.func.name, "absent" | "absent_over_time" | "scalar" | "vector" | "time") {
            return BTreeSet::new();
        }
        call.args.args.iter().flat_map(|arg| self.of_expr(arg, depth)).collect()
    }

    fn of_selector(&self, selector: &VectorSelector, depth: usize) -> BTreeSet<Nothing> {
        let matchers = &selector.matchers;
        let equal = |name: &str| {
            matchers
                .matchers
                .iter()
                .find(|m| m.name == name && matches!(m.op, MatchOp::Equal))
                .map(|m| m.value.as_str())
        };
        let Some(metric) = selector.name.as_deref().or_else(|| equal("__name__")) else { return BTreeSet::new() };
        if OWN.contains(&metric) || !matchers.or_matchers.is_empty() {
            return BTreeSet::new();
        }
        if !self.names.contains(metric)
            && let Some(expression) = self.recorded.get(metric)
        {
            return self.through(expression, depth - 1);
        }
        let why = if self.names.contains(metric) {
            matchers.matchers.iter().find_map(|m| self.of_matcher(metric, m))
        } else {
            let label = matchers.matchers.iter().map(|m| m.name.as_str()).find(|l| l.contains('_'));
            let hidden =
                self.shown.and_then(|s| label.and_then(|l| s.hides(metric, Some(l))).or_else(|| s.hides(metric, None)));
            let left_out = || self.shown.and_then(|s| s.leaves_out(metric)).map(Why::LeftOut);
            hidden.map(Why::Hidden).or_else(left_out).or_else(|| Some(self.of_name(metric)))
        };
        why.map(|why| Nothing { metric: metric.to_owned(), why }).into_iter().collect()
    }

    fn of_name(&self, metric: &str) -> Why {
        if metric.contains(':') {
            let near = near_record(metric, self.recorded.keys().copied());
            return Why::Unrecorded(near.map(str::to_owned));
        }
        if let Some(now) = renamed::metric(metric).filter(|now| self.names.contains(renamed::bare(now))) {
            return Why::Renamed(now);
        }
        match near_metric(metric, self.names.iter().map(String::as_str)) {
            Some(near) => Why::Near(near.to_owned()),
            None => suffixed(metric, self.names).map_or(Why::Absent, |name| Why::Suffixed(name.to_owned())),
        }
    }

    fn of_matcher(&self, metric: &str, matcher: &Matcher) -> Option<Why> {
        let (label, value) = (matcher.name.as_str(), matcher.value.as_str());
        let positive =
            matches!(matcher.op, MatchOp::Re(_)) || matches!(matcher.op, MatchOp::Equal) && !value.is_empty();
        let must_be = positive || matches!(matcher.op, MatchOp::NotEqual) && value.is_empty();
        if let Some(now) = renamed::label(metric, label).filter(|_| must_be) {
            return Some(Why::Label { label: label.to_owned(), now });
        }
        if let Some(hidden) = self.shown.filter(|_| must_be).and_then(|s| s.hides(metric, Some(label))) {
            return Some(Why::Hidden(hidden));
        }
        if !matches!(matcher.op, MatchOp::Equal) {
            return None;
        }
        let whole = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let rounded = label == "le" && metric.ends_with("_bucket") || label == "quantile";
        if self.points && whole && rounded {
            return Some(Why::Whole { label: label.to_owned(), value: value.to_owned(), kept: format!("{value}.0") });
        }
        let jobs = self.jobs.as_ref().filter(|jobs| label == "job" && !value.is_empty() && !jobs.contains(value))?;
        let job = value.to_owned();
        match (near_job(value, jobs), self.renaming.first()) {
            (Some(near), _) => Some(Why::Job { job, near: near.to_owned() }),
            (None, Some(by)) => Some(Why::Exported { job, pool: by.pool.to_owned(), source: by.source }),
            (None, None) => None,
        }
    }
}

/// The selectors in `absent()`.
struct Absences(Vec<VectorSelector>);

impl ExprVisitor for Absences {
    type Error = Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        if let Expr::Call(call) = expr
            && matches!(call.func.name, "absent" | "absent_over_time")
        {
            self.0.extend(call.args.args.iter().filter_map(|arg| selector_of(arg)).cloned());
        }
        Ok(true)
    }
}

/// The one selector that an argument of `absent()` is about: `up{…}`, `up{…} == 1`, `up{…}[5m]`.
fn selector_of(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        Expr::Paren(paren) => selector_of(&paren.expr),
        Expr::Binary(binary) => selector_of(&binary.lhs).filter(|_| matches!(*binary.rhs, Expr::NumberLiteral(_))),
        _ => None,
    }
}

/// Units and kinds as OpenTelemetry's exporters write them into names.
const SUFFIXES: &[&str] = &[
    "milliseconds",
    "seconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "bytes",
    "kibibytes",
    "mebibytes",
    "gibibytes",
    "kilobytes",
    "megabytes",
    "ratio",
    "percent",
    "celsius",
    "hertz",
    "volts",
    "meters",
    "total",
];
/// What histograms, summaries and counters have behind the unit.
const KINDS: &[&str] = &["_bucket", "_count", "_sum", "_total"];

/// The one name that is this one with its unit, or with `_total`.
fn suffixed<'n>(metric: &str, names: &'n BTreeSet<String>) -> Option<&'n str> {
    let (base, kind) = KINDS.iter().find_map(|k| Some((metric.strip_suffix(k)?, *k))).unwrap_or((metric, ""));
    let with =
        |s: &&str| if kind == "_total" && *s == "total" { None } else { names.get(&format!("{base}_{s}{kind}")) };
    let both = |s: &&str| names.get(&format!("{base}_{s}_total")).filter(|_| kind.is_empty());
    let mut found = SUFFIXES.iter().filter_map(|s| with(s).or_else(|| both(s)));
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

/// Endings that people give the job of a program, or leave out: what exports its metrics, and what serves it.
const ENDINGS: &[&str] = &["-api", "-exporter", "-metrics", "-monitor", "-server", "-service", "-svc"];

/// The job that is meant, of one that `absent()` asks for. The program of that name may also be what is gone, so that a
/// common beginning is not enough (`checkout`, `checkout-worker`), and each digit counts (`postgres-1`, `postgres-2`).
fn renamed_job<'j>(job: &str, jobs: &BTreeSet<&'j str>) -> Option<&'j str> {
    let ends = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| ENDINGS.contains(&rest));
    let mut same = jobs.iter().filter(|j| ends(j, job) || ends(job, j));
    let near = near_job(job, jobs).or_else(|| match (same.next(), same.next()) {
        (Some(one), None) => Some(*one),
        _ => None,
    });
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    near.filter(|near| digits(near) == digits(job))
}

/// Names by which a job could be told that is there, or was meant to be.
fn there(snap: &Snapshot) -> BTreeSet<&str> {
    let workloads = snap.workloads.items().unwrap_or_default().iter().map(|w| w.metadata.name.as_str());
    let services = snap.services.items().unwrap_or_default().iter().map(|s| s.metadata.name.as_str());
    workloads.chain(services).collect()
}

/// The job that is meant: the same with a release's name before it, or nearly the same.
fn near_job<'j>(job: &str, jobs: &BTreeSet<&'j str>) -> Option<&'j str> {
    let longer: Vec<&&str> =
        jobs.iter().filter(|j| j.strip_suffix(job).is_some_and(|head| head.ends_with(['-', '/']))).collect();
    match longer.as_slice() {
        [one] => Some(**one),
        [] => near_metric(job, jobs.iter().copied()),
        _ => None,
    }
}

/// The recorded name that is meant: level and operations are often written in another way, the metric seldom is.
fn near_record<'r>(name: &str, recorded: impl Iterator<Item = &'r str> + Clone) -> Option<&'r str> {
    if let Some(near) = near_metric(name, recorded.clone()) {
        return Some(near);
    }
    let middle = |n: &str| n.split(':').nth(1).map(str::to_owned);
    let level = |n: &str| n.split(':').next().map(str::to_owned);
    let mut alike = recorded.filter(|r| middle(r) == middle(name) && level(r) == level(name));
    match (alike.next(), alike.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> (BTreeSet<String>, BTreeMap<&'static str, &'static str>) {
        let names = [
            "http_requests_total",
            "kube_pod_container_resource_limits",
            "http_request_duration_seconds_bucket",
            "container_memory_working_set_bytes",
            "kube_node_info",
        ];
        let recorded = [
            ("flash:errors:ratio_rate5m", "sum(rate(http_requests_total[5m]))"),
            ("flash:gone:sum", "sum(flash_gone_total)"),
        ];
        (names.into_iter().map(str::to_owned).collect(), recorded.into())
    }

    fn why(expression: &str) -> Vec<Why> {
        let (names, recorded) = known();
        let jobs = Some(BTreeSet::from(["stack-kube-state-metrics", "flash-api"]));
        let there = BTreeSet::new();
        let known = Known { names: &names, recorded, jobs, there, shown: None, renaming: Vec::new(), points: true };
        known.lacks(expression).into_iter().map(|n| n.why).collect()
    }

    #[test]
    fn what_can_have_a_result_is_quiet() {
        for expression in [
            "sum(rate(http_requests_total{code=~\"5..\"}[5m])) > 1",
            "absent(flash_orders_total)",
            "(sum(rate(flash_failures_total[5m])) or vector(0)) > 1",
            "http_requests_total unless flash_maintenance",
            "flash:errors:ratio_rate5m > 0.1",
            "rate(http_request_duration_seconds_bucket{le=\"0.5\"}[5m])",
            "http_request_duration_seconds_bucket{le=\"+Inf\"}",
            "kube_node_info{job=\"pushed-from-elsewhere\"}",
            "container_memory_working_set_bytes{container_name!=\"POD\"}",
            "up{job=\"x\"} == 0",
            "{__name__=~\"flash_.*\"}",
            "vector(1)",
            "sum(",
        ] {
            assert!(why(expression).is_empty(), "{expression}: {:?}", why(expression));
        }
    }

    #[test]
    fn names_of_opentelemetry_have_their_unit() {
        let names: BTreeSet<String> = [
            "http_server_duration_milliseconds_sum",
            "jobs_total",
            "queue_size_bytes",
            "queue_size_ratio",
            "io_bytes_total",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(suffixed("http_server_duration_sum", &names), Some("http_server_duration_milliseconds_sum"));
        assert_eq!(suffixed("jobs", &names), Some("jobs_total"));
        assert_eq!(suffixed("io", &names), Some("io_bytes_total"));
        assert_eq!(suffixed("io_total", &names), Some("io_bytes_total"));
        assert_eq!(suffixed("queue_size", &names), None, "one of two");
        assert_eq!(suffixed("http_server_duration_count", &names), None);
    }

    #[test]
    fn what_is_absent_by_another_name_is_told() {
        let (names, recorded) = known();
        let jobs = Some(BTreeSet::from(["checkout", "flash-api", "cart-worker", "postgres-1", "ledger"]));
        let there = BTreeSet::from(["ledger-api"]);
        let known = Known { names: &names, recorded, jobs, there, shown: None, renaming: Vec::new(), points: true };
        let jobs = |expression: &str| known.misnamed(expression).into_iter().map(|n| n.why).collect::<Vec<_>>();
        let job = |job: &str, near: &str| vec![Why::Job { job: job.into(), near: near.into() }];
        assert_eq!(jobs(r#"absent(up{job="checkout-api"} == 1)"#), job("checkout-api", "checkout"));
        assert_eq!(jobs(r#"absent_over_time(http_requests_total{job="flash"}[5m])"#), job("flash", "flash-api"));
        assert_eq!(jobs("absent(http_request_total)"), [Why::Near("http_requests_total".into())]);
        assert!(jobs(r#"absent(up{job="checkout"}) or absent(up{job="payments"}) or absent(orders_total)"#).is_empty());
        assert!(jobs(r#"up{job="checkout-api"} == 0"#).is_empty());
        assert!(jobs(r#"absent(up{job="cart"})"#).is_empty(), "a part of it is there, and it is gone");
        assert!(jobs(r#"absent(up{job="postgres-2"})"#).is_empty(), "another one of several");
        assert!(jobs(r#"absent(up{job="ledger-api"})"#).is_empty(), "a workload of this name is there");
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        for (expression, expected) in [
            (
                "http_requests_total / on (pod) kube_pod_container_resource_limits_memory_bytes",
                Why::Renamed("kube_pod_container_resource_limits{resource=\"memory\"}"),
            ),
            ("flash:errors:rate5m > 1", Why::Unrecorded(Some("flash:errors:ratio_rate5m".into()))),
            ("other:errors:rate5m > 1", Why::Unrecorded(None)),
            ("rate(http_request_total[5m]) > 1", Why::Near("http_requests_total".into())),
            ("rate(payments_failed_total[5m]) > 1", Why::Absent),
            ("flash:gone:sum > 1", Why::Absent),
            (
                "rate(http_request_duration_seconds_bucket{le=\"1\"}[5m])",
                Why::Whole { label: "le".into(), value: "1".into(), kept: "1.0".into() },
            ),
            (
                "container_memory_working_set_bytes{pod_name=~\"flash.*\"}",
                Why::Label { label: "pod_name".into(), now: "pod" },
            ),
            (
                "kube_node_info{job=\"kube-state-metrics\"}",
                Why::Job { job: "kube-state-metrics".into(), near: "stack-kube-state-metrics".into() },
            ),
        ] {
            assert_eq!(why(expression), [expected], "{expression}");
        }
    }
}
