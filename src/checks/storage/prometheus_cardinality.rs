//! One metric is most of what Prometheus holds in memory: a label with countless values.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::scrape::api_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::proxy;
use crate::domain::prometheus::memory::limit_of;
use crate::domain::prometheus::origin::monitor_of;
use crate::domain::prometheus::server::servers;
use crate::domain::prometheus::targets;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::monitoring::{Counted, TsdbStatus};
use crate::snapshot::{Snapshot, format_bytes, journal};

check! {
    /// See the check's page.
    PrometheusCardinality {
        id: "prometheus-cardinality", suite: Storage, severity: Warning,
        title: "one metric is most of what Prometheus holds",
        requires: [PrometheusTsdb],
        uses: [PrometheusTargets, PrometheusConfig, Services, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Drop {
        metric: String,
        label: String,
        job: String,
        count_path: String,
        status_path: String,
        monitor_kind: String,
        monitor: String,
        monitor_namespace: String,
        monitor_list: String,
        /// It is what histogram_quantile reads.
        is_histogram: bool,
    },
}

/// Share of all series from which on one metric stands out.
const SHARE: f64 = 0.3;
/// Series of one metric from which on it is worth a warning: about four.
const MANY: u64 = 500_000;
/// Bytes of memory that a series takes in the head, with what the heap needs on top.
const PER_SERIES: f64 = 8192.0;
/// Values of a label from which on they are countless.
const VALUES: u64 = 10_000;

impl Check for PrometheusCardinality {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let status = snap.prometheus_tsdb()?;
        if snap.scope.prometheus.is_none() {
            snap.services()?;
        }
        Ok(Diagnosis::Findings(finding(snap, status).into_iter().collect()))
    }
}

/// The metric that stands out.
fn top<'a>(snap: &Snapshot, status: &'a TsdbStatus) -> Option<&'a Counted> {
    let most = status.series_count_by_metric_name.iter().max_by_key(|c| c.value)?;
    let share = most.value as f64 / status.head_stats.num_series.max(1) as f64;
    (most.value >= snap.thresholds.metric_series && share >= SHARE).then_some(most)
}

/// The label with countless values, where one has them.
fn label(status: &TsdbStatus) -> Option<&Counted> {
    let all = status.label_value_count_by_label_name.iter().filter(|l| l.name != "__name__" && l.value >= VALUES);
    all.max_by_key(|l| l.value)
}

/// The job whose series the metric's are: as many of one job at least.
fn job<'a>(status: &'a TsdbStatus, metric: &Counted) -> Option<&'a str> {
    let jobs =
        status.series_count_by_label_value_pair.iter().filter_map(|p| Some((p.name.strip_prefix("job=")?, p.value)));
    jobs.filter(|(_, series)| *series >= metric.value).min_by_key(|(_, series)| *series).map(|(job, _)| job)
}

/// The memory limit of the only server, where the metric alone is beyond it.
fn limit(snap: &Snapshot, metric: &Counted) -> Option<String> {
    // A word beside the verdict: without it nothing is judged otherwise.
    let all = journal::aside(|| servers(snap));
    let [server] = all.as_slice() else { return None };
    let limit = limit_of(server.container).filter(|l| *l < metric.value as f64 * PER_SERIES)?;
    Some(format_bytes(limit))
}

fn finding(snap: &Snapshot, status: &TsdbStatus) -> Option<Finding> {
    let at = snap.scope.prometheus.as_ref()?;
    let metric = top(snap, status)?;
    let all = status.head_stats.num_series;
    let percent = (metric.value as f64 / all.max(1) as f64 * 100.0).round();
    let cost = format_bytes(metric.value as f64 * PER_SERIES);
    let label = label(status);
    let job = job(status, metric);
    let why = label.map(|l| format!("; label {} has {} values", l.name, l.value)).unwrap_or_default();
    let whose = job.map(|j| format!(" (job {j})")).unwrap_or_default();
    let limit = limit(snap, metric).map(|l| format!(" (its limit is {l})")).unwrap_or_default();
    let message = format!(
        "metric {}{whose} is {} of the {all} series in Prometheus' head ({percent} %), at some 8 KiB each about {cost} of memory{limit}{why}",
        metric.name, metric.value
    );
    let severity = if metric.value >= MANY && percent >= 50.0 { Severity::Warning } else { Severity::Info };
    let labels: Vec<String> =
        status.label_value_count_by_label_name.iter().take(3).map(|l| format!("{} {}", l.name, l.value)).collect();
    let seen =
        format!("{} {} of {all} series; labels with most values: {}", metric.name, metric.value, labels.join(", "));
    let name = label.map_or_else(|| "<label>".to_owned(), |l| l.name.clone());
    let counted = format!("count(count by ({name}) ({{__name__=\"{}\"}}))", metric.name);
    let query = url::form_urlencoded::byte_serialize(counted.as_bytes()).collect::<String>();
    // The operator's name of the pool, where the targets tell it.
    let pool = job.and_then(|job| {
        let named = |t: &&crate::snapshot::monitoring::ScrapeTarget| t.labels.get("job").is_some_and(|j| j == job);
        targets::all(snap).iter().find(named).map(|t| t.job().to_owned())
    });
    let monitor = pool.as_deref().and_then(monitor_of);
    let fix = Fix::Drop {
        is_histogram: metric.name.ends_with("_bucket"),
        metric: metric.name.clone(),
        label: name,
        job: pool.clone().or_else(|| job.map(str::to_owned)).unwrap_or_else(|| "<job>".into()),
        count_path: proxy::of_component(at, &format!("/api/v1/query?query={query}")),
        status_path: proxy::of_component(at, "/api/v1/status/tsdb"),
        monitor_kind: monitor.as_ref().map(|m| m.kind.to_owned()).unwrap_or_default(),
        monitor_list: monitor.as_ref().and_then(|m| m.list()).unwrap_or_default().to_owned(),
        monitor_namespace: monitor.as_ref().map(|m| m.namespace.clone()).unwrap_or_default(),
        monitor: monitor.map(|m| m.name).unwrap_or_default(),
    };
    let subject = ResourceRef::service(&at.namespace, &at.service);
    Some(
        Finding::new(PrometheusCardinality::META.id, severity, subject, message)
            .key(format!("metric {}", metric.name))
            .breaks_nothing()
            .evidence(api_evidence(snap, "Prometheus, /api/v1/status/tsdb".into(), seen, "/api/v1/status/tsdb"))
            .fix(fix),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;

    fn with(all: u64, top: u64) -> Snapshot {
        let container = json!({"name": "prometheus", "image": "prom/prometheus:v3.5.0", "resources": {"limits": {"memory": "2Gi"}}});
        let mut snap = snapshot(json!({"workloads": [{"metadata": {"namespace": "monitoring", "name": "prometheus"},
            "spec": {"template": {"spec": {"containers": [container]}}}}]}));
        *snap.prometheus_tsdb = Ok(serde_json::from_value(json!({
            "headStats": {"numSeries": all},
            "seriesCountByMetricName": [{"name": "http_request_duration_seconds_bucket", "value": top}, {"name": "up", "value": 9}],
            "labelValueCountByLabelName": [{"name": "__name__", "value": 900_000}, {"name": "path", "value": 210_000}],
            "seriesCountByLabelValuePair": [{"name": "job=shop", "value": top}],
        }))
        .expect("a status"));
        snap
    }

    #[test]
    fn what_is_spread_or_small_is_quiet() {
        assert!(findings(&PrometheusCardinality, &with(5_000_000, 400_000)).is_empty());
        assert!(findings(&PrometheusCardinality, &with(100_000, 90_000)).is_empty());
    }

    #[test]
    fn the_metric_its_label_and_its_cost_are_named() {
        let found = findings(&PrometheusCardinality, &with(4_200_000, 3_600_000));
        assert_eq!(found[0].severity, Severity::Warning);
        assert!(found[0].message.contains("label path has 210000 values"), "{}", found[0].message);
        assert!(found[0].message.contains("(its limit is 2Gi)"), "{}", found[0].message);
        let fits = &findings(&PrometheusCardinality, &with(400_000, 200_000))[0].message;
        assert!(!fits.contains("its limit"), "{fits}");
        assert!(steps(&found[0]).contains("count%28count+by+%28path%29"), "{}", steps(&found[0]));
        assert_eq!(findings(&PrometheusCardinality, &with(400_000, 200_000))[0].severity, Severity::Info);
    }
}
