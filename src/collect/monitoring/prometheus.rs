//! What Prometheus' API is asked.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde::Deserialize;

use super::{Api, wanted};
use crate::collect::Plan;
use crate::domain::prometheus::operator::deployment::{Version, version};
use crate::domain::prometheus::tsdb::FAILURES;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::Reading;
use crate::snapshot::monitoring::{
    ContainerMemory, DiscoveredAlertmanagers, FiringAlert, PrometheusRuntime, Readiness, RuleGroup, Sample,
    ScrapeTarget, TargetSamples, TsdbStatus,
};

pub(super) type More = (
    Reading<Vec<FiringAlert>>,
    Reading<DiscoveredAlertmanagers>,
    Reading<BTreeMap<String, String>>,
    Reading<Readiness>,
    Reading<Vec<Sample>>,
    Reading<TsdbStatus>,
);

/// What else Prometheus says of itself.
pub(super) async fn more(api: &Api<'_>, plan: &Plan) -> More {
    futures::join!(
        wanted(plan, Fact::PrometheusAlerts, alerts(api)),
        wanted(plan, Fact::PrometheusAlertmanagers, api.data::<DiscoveredAlertmanagers>("/api/v1/alertmanagers", "")),
        wanted(plan, Fact::PrometheusFlags, api.data::<BTreeMap<String, String>>("/api/v1/status/flags", "")),
        wanted(plan, Fact::PrometheusReady, ready(api)),
        wanted(plan, Fact::PrometheusCounters, own_counters(api)),
        wanted(plan, Fact::PrometheusTsdb, api.data::<TsdbStatus>("/api/v1/status/tsdb", "")),
    )
}

async fn alerts(api: &Api<'_>) -> Result<Vec<FiringAlert>, Gap> {
    #[derive(Deserialize)]
    struct Alerts {
        alerts: Vec<FiringAlert>,
    }
    Ok(api.data::<Alerts>("/api/v1/alerts", "").await?.alerts)
}

/// `503 Service Unavailable` is an answer here: it is alive and not ready.
async fn ready(api: &Api<'_>) -> Result<Readiness, Gap> {
    match api.text("/-/ready").await {
        Ok(text) => Ok(Readiness { ready: true, text: text.trim().to_owned() }),
        // Prometheus' own words, whole: those of whatever is on the way to it are others.
        Err(gap) if gap.message.trim() == "Service Unavailable" => Ok(Readiness { ready: false, text: gap.message }),
        Err(gap) => Err(gap),
    }
}

/// Active targets, and how many relabelling dropped of each pool.
pub(super) type Targets = (Vec<ScrapeTarget>, Result<BTreeMap<String, u64>, Gap>);

pub(super) async fn targets(api: &Api<'_>) -> Result<Targets, Gap> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        active_targets: Vec<ScrapeTarget>,
        dropped_target_counts: Option<BTreeMap<String, u64>>,
    }
    let answer: Answer = api.data("/api/v1/targets", "state=active").await?;
    let dropped = match answer.dropped_target_counts {
        Some(counts) => Ok(counts),
        None => dropped(api).await,
    };
    Ok((answer.active_targets, dropped))
}

/// The counts come only beside the dropped targets themselves, of which a large cluster has tens of thousands: a pool that
/// does not exist has none, and the counts are those of all pools.
const COUNTS_ALONE: &str = "state=dropped&scrapePool=-";

/// How many relabelling dropped of each pool. What does not count them would answer with all of them: it is not asked.
async fn dropped(api: &Api<'_>) -> Result<BTreeMap<String, u64>, Gap> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        dropped_target_counts: Option<BTreeMap<String, u64>>,
    }
    let unknown = || {
        let gap = Gap::new("prometheus dropped targets", GapCause::NotCollected, "this Prometheus does not count them");
        gap.hint("Prometheus 2.49 and later do")
    };
    let build = api.data::<PrometheusRuntime>("/api/v1/status/buildinfo", "").await.map_err(|_| unknown())?;
    if version(&build.version).is_none_or(|v| v < COUNTS_SINCE) {
        return Err(unknown());
    }
    match api.data::<Answer>("/api/v1/targets", COUNTS_ALONE).await {
        Ok(answer) => answer.dropped_target_counts.ok_or_else(unknown),
        // A bundle of before the counts were asked for.
        Err(gap) if gap.cause == GapCause::NotCollected => Err(unknown()),
        Err(gap) => Err(gap),
    }
}

/// It counts what it drops since then.
const COUNTS_SINCE: Version = (2, 49, 0);

/// One query for all targets: what came, target by target, says more than a filtered answer that is empty.
pub(super) async fn scrape_samples(api: &Api<'_>) -> Result<BTreeMap<String, Vec<TargetSamples>>, Gap> {
    #[derive(Deserialize)]
    struct Vector {
        result: Vec<Series>,
    }
    #[derive(Deserialize)]
    struct Series {
        metric: BTreeMap<String, String>,
        value: (f64, String),
    }
    let vector: Vector = api.data("/api/v1/query", "query=scrape_samples_scraped").await?;
    let mut by_job: BTreeMap<String, Vec<TargetSamples>> = BTreeMap::new();
    for Series { mut metric, value } in vector.result {
        let Ok(samples) = value.1.parse() else { continue };
        let instance = metric.remove("instance").unwrap_or_default();
        by_job.entry(metric.remove("job").unwrap_or_default()).or_default().push(TargetSamples { instance, samples });
    }
    Ok(by_job)
}

pub(super) async fn config(api: &Api<'_>) -> Result<String, Gap> {
    #[derive(Deserialize)]
    struct Config {
        yaml: String,
    }
    Ok(api.data::<Config>("/api/v1/status/config", "").await?.yaml)
}

pub(super) async fn rules(api: &Api<'_>) -> Result<Vec<RuleGroup>, Gap> {
    #[derive(Deserialize)]
    struct Groups {
        groups: Vec<RuleGroup>,
    }
    Ok(api.data::<Groups>("/api/v1/rules", "").await?.groups)
}

pub(super) async fn runtime(api: &Api<'_>) -> Reading<PrometheusRuntime> {
    let (build, runtime) = futures::join!(
        api.data::<PrometheusRuntime>("/api/v1/status/buildinfo", ""),
        api.data::<PrometheusRuntime>("/api/v1/status/runtimeinfo", "")
    );
    let holes = build.as_ref().err().cloned().into_iter().collect();
    let version = build.map(|b| b.version).unwrap_or_default();
    Reading::with_holes(runtime.map(|runtime| PrometheusRuntime { version, ..runtime }), holes)
}

/// Counters that tell what Prometheus itself fails at.
const OWN_COUNTERS: &[&str] = &[
    "prometheus_config_last_reload_successful",
    "prometheus_notifications_alertmanagers_discovered",
    "prometheus_notifications_dropped_total",
    "prometheus_notifications_errors_total",
    "prometheus_remote_storage_samples_dropped_total",
    "prometheus_remote_storage_samples_failed_total",
    "prometheus_remote_storage_samples_pending",
    "prometheus_remote_storage_samples_retried_total",
    "prometheus_rule_evaluation_failures_total",
];

/// What Prometheus recorded of itself and of its replicas: one query, or the queries one by one that a bundle holds.
async fn own_counters(api: &Api<'_>) -> Reading<Vec<Sample>> {
    let sample = |point: Point| {
        let value = point.number()?;
        Some(Sample { name: point.metric.get("__name__")?.clone(), labels: point.metric, value })
    };
    let own: Vec<&str> = OWN_COUNTERS.iter().chain(FAILURES).copied().collect();
    let all = format!("{{__name__=~\"{}\"}}", own.join("|"));
    match query(api, &all).await {
        Ok(points) => return Ok(points.into_iter().filter_map(sample).collect()).into(),
        Err(gap) if gap.is_not_collected() => {}
        Err(gap) => return Err(gap).into(),
    }
    let answers = join_all(own.iter().map(|name| query(api, name))).await;
    let gaps: Vec<Gap> = answers.iter().filter_map(|answer| answer.as_ref().err().cloned()).collect();
    Reading::of_parts(answers.into_iter().flatten().flatten().filter_map(sample).collect(), gaps)
}

/// One sample of an instant query.
#[derive(Deserialize)]
struct Point {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl Point {
    fn number(&self) -> Option<f64> {
        self.value.1.parse().ok().filter(|v: &f64| v.is_finite())
    }
}

/// The result of an instant query.
async fn query(api: &Api<'_>, expression: &str) -> Result<Vec<Point>, Gap> {
    #[derive(Deserialize)]
    struct Vector {
        result: Vec<Point>,
    }
    let query = format!("query={}", crate::collect::client::url_encode(expression));
    Ok(api.data::<Vector>("/api/v1/query", &query).await?.result)
}

/// Working sets of the containers of some namespaces, now and at most within a day.
pub(super) async fn container_memory(api: &Api<'_>, namespaces: &[String]) -> Reading<Vec<ContainerMemory>> {
    let series =
        format!("container_memory_working_set_bytes{{container!=\"\",namespace=~\"{}\"}}", namespaces.join("|"));
    let now = format!("max by (namespace, pod, container) ({series})");
    let peak = format!("max by (namespace, pod, container) (max_over_time({series}[1d]))");
    let (now, peak) = futures::join!(query(api, &now), query(api, &peak));
    let gaps: Vec<Gap> = [&now, &peak].into_iter().filter_map(|answer| answer.as_ref().err().cloned()).collect();
    let (now, peak) = (now.unwrap_or_default(), peak.unwrap_or_default());
    let mut found: BTreeMap<(String, String, String), ContainerMemory> = BTreeMap::new();
    for (points, is_peak) in [(now, false), (peak, true)] {
        for point in points {
            let label = |name: &str| point.metric.get(name).cloned().unwrap_or_default();
            let (namespace, pod, container) = (label("namespace"), label("pod"), label("container"));
            let entry = found
                .entry((namespace.clone(), pod.clone(), container.clone()))
                .or_insert_with(|| ContainerMemory { namespace, pod, container, ..ContainerMemory::default() });
            let place = if is_peak { &mut entry.peak } else { &mut entry.now };
            *place = point.number();
        }
    }
    Reading::of_parts(found.into_values().collect(), gaps)
}
