//! Prometheus and Alertmanager: their APIs, and what scrape URLs answer.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Plan;
use super::client::Client;
use super::source::{App, FetchError, Request};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{Address, existing_service_of, service_port};
use crate::domain::prometheus::tsdb::FAILURES;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::monitoring::{
    AlertGroup, AlertmanagerStatus, ContainerMemory, DiscoveredAlertmanagers, FiringAlert, PrometheusRuntime,
    Readiness, RuleGroup, Sample, ScrapeTarget, Silence, TargetAnswer, TargetSamples, TsdbStatus,
};
use crate::snapshot::{Component, Reading, Snapshot};

/// Scrape URLs that are asked at most.
const MAX_ANSWERS: usize = 10;
/// Namespaces that are read at most because Prometheus fails to scrape something there.
const MAX_SCRAPED: usize = 25;

/// The envelope of the Prometheus API.
#[derive(Deserialize)]
struct Answer<T> {
    status: String,
    data: Option<T>,
    error: Option<String>,
}

struct Api<'a> {
    client: &'a Client,
    app: App,
    at: Option<Component>,
    /// Why its Service would not have been found.
    unseen: Option<Gap>,
}

impl Api<'_> {
    fn request(&self, path: &str, query: &str) -> Request {
        Request::App { app: self.app, at: self.at.clone(), path: path.into(), query: query.into() }
    }

    fn absent(&self, request: &Request, error: FetchError) -> Gap {
        match error {
            FetchError::NotFound(message) => {
                let hint = format!("if it runs under a path prefix, give --{}-url URL with it", self.app.as_str());
                Gap::new(request.label(), GapCause::BadAnswer, format!("not found: {message}")).hint(hint)
            }
            other => where_unknown(self.unseen.as_ref(), other.into_gap(&request.label())),
        }
    }

    /// One answer of the Prometheus API.
    async fn data<T: DeserializeOwned + Send + 'static>(&self, path: &str, query: &str) -> Result<T, Gap> {
        let request = self.request(path, query);
        let answer: Answer<T> = self.client.json(&request).await.map_err(|e| self.absent(&request, e))?;
        match answer {
            Answer { data: Some(data), status, .. } if status == "success" => Ok(data),
            Answer { error, status, .. } => {
                let message = error.unwrap_or_else(|| format!("status {status:?} without data"));
                Err(Gap::new(request.label(), GapCause::BadAnswer, message))
            }
        }
    }

    /// One plain JSON answer (Alertmanager).
    async fn plain<T: DeserializeOwned + Send + 'static>(&self, path: &str) -> Result<T, Gap> {
        let request = self.request(path, "");
        self.client.json(&request).await.map_err(|e| self.absent(&request, e))
    }

    async fn text(&self, path: &str) -> Result<String, Gap> {
        let request = self.request(path, "");
        self.client.text(&request).await.map_err(|e| self.absent(&request, e))
    }
}

/// A program that was not found among Services that could not be read is not known to be absent.
pub(super) fn where_unknown(unseen: Option<&Gap>, gap: Gap) -> Gap {
    match unseen {
        Some(unseen) if gap.cause == GapCause::NotConfigured && gap.message.ends_with("Service was found") => Gap {
            cause: unseen.cause.clone(),
            message: format!("where it is is not known, for Services could not be read: {}", unseen.message),
            hint: unseen.hint.clone(),
            ..gap
        },
        _ => gap,
    }
}

/// Asks Prometheus and Alertmanager, and finds the scraped namespaces.
pub(super) async fn gather(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let unseen = || snap.services.gaps().first().cloned();
    let prometheus = Api { client, app: App::Prometheus, at: snap.scope.prometheus.clone(), unseen: unseen() };
    let alertmanager = Api { client, app: App::Alertmanager, at: snap.scope.alertmanager.clone(), unseen: unseen() };
    let namespaces = snap.scope.stack.clone();
    let (
        targets,
        samples,
        config,
        rules,
        runtime,
        names,
        own_metrics,
        memory,
        status,
        metrics,
        silences,
        receivers,
        alerts,
        more,
    ) = futures::join!(
        async {
            let found = if plan.wants(Fact::PrometheusTargets) {
                targets(&prometheus).await
            } else {
                Err(crate::snapshot::not_collected(Fact::PrometheusTargets))
            };
            match found {
                Ok((active, dropped)) => (Reading::from(Ok(active)), Reading::from(dropped)),
                Err(gap) => (Err(gap.clone()).into(), Err(gap).into()),
            }
        },
        wanted(plan, Fact::ScrapeSamples, scrape_samples(&prometheus)),
        wanted(plan, Fact::PrometheusConfig, config(&prometheus)),
        wanted(plan, Fact::PrometheusRules, rules(&prometheus)),
        wanted(plan, Fact::PrometheusRuntime, runtime(&prometheus)),
        wanted(
            plan,
            Fact::PrometheusMetricNames,
            prometheus.data::<BTreeSet<String>>("/api/v1/label/__name__/values", "")
        ),
        wanted(plan, Fact::PrometheusMetrics, metrics(&prometheus)),
        wanted(plan, Fact::ContainerMemory, container_memory(&prometheus, &namespaces)),
        wanted(plan, Fact::AlertmanagerStatus, alertmanager.plain::<AlertmanagerStatus>("/api/v2/status")),
        wanted(plan, Fact::AlertmanagerMetrics, metrics(&alertmanager)),
        wanted(plan, Fact::AlertmanagerSilences, alertmanager.plain::<Vec<Silence>>("/api/v2/silences")),
        wanted(plan, Fact::AlertmanagerReceivers, receivers(&alertmanager)),
        wanted(plan, Fact::AlertmanagerAlerts, alertmanager.plain::<Vec<AlertGroup>>("/api/v2/alerts/groups")),
        more(&prometheus, plan),
    );
    let (firing, alertmanagers, flags, ready, counters, tsdb) = more;
    snap.prometheus_tsdb = tsdb;
    snap.prometheus_alerts = firing;
    snap.prometheus_alertmanagers = alertmanagers;
    snap.prometheus_flags = flags;
    snap.prometheus_ready = ready;
    snap.prometheus_counters = counters;
    (snap.prometheus_targets, snap.dropped_targets) = targets;
    snap.scrape_samples = samples;
    snap.prometheus_config = config;
    snap.prometheus_rules = rules;
    snap.prometheus_runtime = runtime;
    snap.prometheus_metric_names = names;
    snap.prometheus_metrics = own_metrics;
    snap.container_memory = memory;
    snap.alertmanager_status = status;
    snap.alertmanager_metrics = metrics;
    snap.alertmanager_silences = silences;
    snap.alertmanager_receivers = receivers;
    snap.alertmanager_alerts = alerts;
    snap.scope.scraped = scraped_namespaces(snap);
}

/// What a call answers, where some check wants the fact.
async fn wanted<T, A: Into<Reading<T>>>(plan: &Plan, fact: Fact, call: impl Future<Output = A>) -> Reading<T> {
    if plan.wants(fact) { call.await.into() } else { Err(crate::snapshot::not_collected(fact)).into() }
}

type More = (
    Reading<Vec<FiringAlert>>,
    Reading<DiscoveredAlertmanagers>,
    Reading<BTreeMap<String, String>>,
    Reading<Readiness>,
    Reading<Vec<Sample>>,
    Reading<TsdbStatus>,
);

/// What else Prometheus says of itself.
async fn more(api: &Api<'_>, plan: &Plan) -> More {
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
type Targets = (Vec<ScrapeTarget>, Result<BTreeMap<String, u64>, Gap>);

async fn targets(api: &Api<'_>) -> Result<Targets, Gap> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        active_targets: Vec<ScrapeTarget>,
        // Since 2.49. Dropped targets themselves are not asked for: a large cluster has tens of thousands.
        dropped_target_counts: Option<BTreeMap<String, u64>>,
    }
    let answer: Answer = api.data("/api/v1/targets", "state=active").await?;
    let dropped = answer.dropped_target_counts.ok_or_else(|| {
        let gap = Gap::new("prometheus dropped targets", GapCause::NotCollected, "this Prometheus does not count them");
        gap.hint("Prometheus 2.49 and later do")
    });
    Ok((answer.active_targets, dropped))
}

/// One query for all targets: what came, target by target, says more than a filtered answer that is empty.
async fn scrape_samples(api: &Api<'_>) -> Result<BTreeMap<String, Vec<TargetSamples>>, Gap> {
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

async fn config(api: &Api<'_>) -> Result<String, Gap> {
    #[derive(Deserialize)]
    struct Config {
        yaml: String,
    }
    Ok(api.data::<Config>("/api/v1/status/config", "").await?.yaml)
}

async fn rules(api: &Api<'_>) -> Result<Vec<RuleGroup>, Gap> {
    #[derive(Deserialize)]
    struct Groups {
        groups: Vec<RuleGroup>,
    }
    Ok(api.data::<Groups>("/api/v1/rules", "").await?.groups)
}

async fn runtime(api: &Api<'_>) -> Reading<PrometheusRuntime> {
    let (build, runtime) = futures::join!(
        api.data::<PrometheusRuntime>("/api/v1/status/buildinfo", ""),
        api.data::<PrometheusRuntime>("/api/v1/status/runtimeinfo", "")
    );
    let holes = build.as_ref().err().cloned().into_iter().collect();
    let version = build.map(|b| b.version).unwrap_or_default();
    Reading::with_holes(runtime.map(|runtime| PrometheusRuntime { version, ..runtime }), holes)
}

async fn receivers(api: &Api<'_>) -> Result<Vec<String>, Gap> {
    #[derive(Deserialize)]
    struct Receiver {
        name: String,
    }
    Ok(api.plain::<Vec<Receiver>>("/api/v2/receivers").await?.into_iter().map(|r| r.name).collect())
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

async fn metrics(api: &Api<'_>) -> Result<Vec<Sample>, Gap> {
    let text = api.text("/metrics").await?;
    let samples = parse_exposition(&text);
    if samples.is_empty() {
        return Err(Gap::new(api.request("/metrics", "").label(), GapCause::BadAnswer, "the answer holds no metric"));
    }
    Ok(samples)
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
async fn container_memory(api: &Api<'_>, namespaces: &[String]) -> Reading<Vec<ContainerMemory>> {
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

/// Reads the samples of a text exposition; lines that are none are skipped.
fn parse_exposition(text: &str) -> Vec<Sample> {
    text.lines().filter(|l| !l.starts_with('#')).filter_map(parse_sample).collect()
}

fn parse_sample(line: &str) -> Option<Sample> {
    let (name, rest) = match line.find('{') {
        Some(brace) if !line[..brace].contains(' ') => (&line[..brace], &line[brace..]),
        _ => {
            let (name, value) = line.split_once(' ')?;
            let value = value.split_whitespace().next()?.parse().ok()?;
            return Some(Sample { name: name.to_owned(), labels: BTreeMap::new(), value });
        }
    };
    let (labels, rest) = parse_labels(rest.strip_prefix('{')?)?;
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Reads `a="x",b="y"} rest` with the format's escapes.
fn parse_labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = rest.char_indices();
        loop {
            let (at, letter) = letters.next()?;
            match letter {
                '"' => {
                    text = &rest[at + 1..];
                    break;
                }
                '\\' => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                other => value.push(other),
            }
        }
        labels.insert(name.to_owned(), value);
    }
}

/// Namespaces where Prometheus fails to scrape; none where it cannot be asked.
fn scraped_namespaces(snap: &Snapshot) -> BTreeSet<String> {
    let of_services = snap.services.items().unwrap_or_default().iter().map(|s| s.metadata.namespace.as_str());
    // Pods may be scraped where no Service is.
    let named = snap.namespaces.items().unwrap_or_default().iter().map(|n| n.metadata.name.as_str());
    let known: BTreeSet<&str> = of_services.chain(named).collect();
    let Ok(targets) = snap.prometheus_targets() else { return BTreeSet::new() };
    let own = snap.scope.prometheus.as_ref().map_or("", |p| p.namespace.as_str());
    let down = targets.iter().filter(|t| t.health != "up");
    let by_name = down.clone().filter_map(|t| {
        let url = Url::parse(&t.scrape_url).ok()?;
        let host = url.host_str()?.to_owned();
        match in_cluster(snap, &host, own) {
            Some(service) => Some(service.namespace),
            None => snap.service_by_host(&host).map(|s| s.metadata.namespace.clone()),
        }
    });
    let by_discovery = down.filter_map(|t| t.discovered_labels.get("__meta_kubernetes_namespace").cloned());
    // An exporter answers its scrapes whether it measures something or not: its own log tells.
    let by_exporter = targets.iter().filter(|t| is_of_exporter(t)).filter_map(|t| t.labels.get("namespace").cloned());
    by_name
        .chain(by_discovery)
        .chain(by_exporter)
        .filter(|n| !snap.scope.is_stack(n) && (known.contains(n.as_str()) || known.is_empty()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .take(MAX_SCRAPED)
        .collect()
}

/// A target of an exporter of another program, by the name of its job, container or Service.
fn is_of_exporter(target: &ScrapeTarget) -> bool {
    let mut named = ["job", "container", "service"].iter().filter_map(|label| target.labels.get(*label));
    named.any(|name| name.contains("exporter") && !name.contains("node-exporter"))
}

/// Asks the scrape URLs that answered something else than metrics, through the API server: what do they say?
pub(super) async fn ask_targets(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if !plan.wants(Fact::TargetAnswers) {
        return;
    }
    let Ok(targets) = snap.prometheus_targets() else { return };
    let mut wanted: BTreeMap<String, Request> = BTreeMap::new();
    for target in targets.iter().filter(|t| t.health == "down") {
        let failure = ScrapeFailure::classify(&target.last_error);
        if !matches!(failure, ScrapeFailure::NotMetrics | ScrapeFailure::BlankContentType) {
            continue;
        }
        let Some(address) = Address::parse(&target.scrape_url) else { continue };
        let Some(service) = existing_service_of(snap, target, &address) else { continue };
        let Some(port) = service_port(service, target, &address) else { continue };
        let request = Request::Service {
            namespace: service.metadata.namespace.clone(),
            service: service.metadata.name.clone(),
            scheme: address.scheme,
            port,
            path: address.path,
        };
        wanted.insert(target.scrape_url.clone(), request);
    }
    let wanted: Vec<(String, Request)> = wanted.into_iter().take(MAX_ANSWERS).collect();
    let answers = join_all(wanted.iter().map(|(_, request)| client.text(request))).await;
    // An answer only sharpens a finding, that of a target that is down; one that is missing is no gap of the report.
    let answers = wanted.into_iter().zip(answers);
    *snap.target_answers =
        Ok(answers.filter_map(|((url, _), body)| Some(TargetAnswer { url, body: body.ok()? })).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_with_escapes_and_timestamps() {
        let text = "# HELP a b\na{x=\"1\",y=\"q\\\"}{ \\n\"} 3 1700000000\nplain 2e3\nbroken{\nnot a sample at all\n";
        let samples = parse_exposition(text);
        assert_eq!(samples.len(), 2, "{samples:?}");
        assert_eq!(samples[0].labels["y"], "q\"}{ \n");
        assert_eq!((samples[0].value, samples[1].value), (3.0, 2000.0));
    }
}
