//! Prometheus and Alertmanager: their APIs, and what scrape URLs answer.

mod exposition;
mod prometheus;
mod scraped;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::prometheus::{config, container_memory, more, rules, runtime, scrape_samples, targets};
use super::Plan;
use super::client::Client;
use super::source::{App, FetchError, Request};
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::monitoring::{AlertGroup, AlertmanagerStatus, Silence};
use crate::snapshot::{Component, Reading, Snapshot};
use exposition::metrics;
pub(super) use scraped::ask_targets;
use scraped::scraped_namespaces;

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

async fn receivers(api: &Api<'_>) -> Result<Vec<String>, Gap> {
    #[derive(Deserialize)]
    struct Receiver {
        name: String,
    }
    Ok(api.plain::<Vec<Receiver>>("/api/v2/receivers").await?.into_iter().map(|r| r.name).collect())
}
