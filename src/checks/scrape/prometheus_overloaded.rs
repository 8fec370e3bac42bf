//! Prometheus has more to do than it can: queries wait for others, scrapes come late.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::checks::support::scrape::api_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::{Target, operator_owner, workload};
use crate::domain::prometheus::targets::{prometheus_path, prometheus_pod};
use crate::lint::go::duration;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::Sample;
use crate::snapshot::{Snapshot, format_cpu, parse_quantity};

check! {
    /// See the check's page.
    PrometheusOverloaded {
        id: "prometheus-overloaded", suite: Scrape, severity: Warning,
        title: "Prometheus has more to do than it can",
        requires: [PrometheusMetrics],
        uses: [Pods, Services, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    pod: String,
    owner: String,
    managed_by: String,
    /// Its metrics through the API server; none where no Service leads there.
    metrics_path: Option<String>,
    /// The operator's resource that it is made from.
    resource: Option<String>,
    /// What it may use of the CPU at most; empty where nothing limits it.
    cpu_limit: String,
    /// The patch of that resource that gives it twice as much.
    cpu_patch: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Queries {
        /// How many run at once.
        concurrency: String,
    },
    Late {
        interval: String,
    },
}

/// Seconds in the queue from which on queries wait: it takes microseconds where there is room.
const WAITS: f64 = 1.0;
/// The part of its interval from which on a scrape is late.
const LATE: f64 = 1.5;

impl Check for PrometheusOverloaded {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let metrics = snap.prometheus_metrics()?;
        let pod = prometheus_pod(snap);
        let findings = [queries(metrics), late(metrics)].into_iter().flatten().map(|seen| finding(snap, pod, seen));
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// What its own metrics say.
struct Seen {
    what: String,
    metric: String,
    value: String,
    way: Way,
}

/// Queries wait until others are done: the time that nine of ten of the last minutes waited at most.
fn queries(metrics: &[Sample]) -> Option<Seen> {
    let waited = metrics.iter().find(|s| {
        let is = |name: &str, value: &str| s.labels.get(name).is_some_and(|v| v == value);
        s.name == "prometheus_engine_query_duration_seconds" && is("slice", "queue_time") && is("quantile", "0.9")
    })?;
    if waited.value.is_nan() || waited.value < WAITS {
        return None;
    }
    let most = metrics.iter().find(|s| s.name == "prometheus_engine_queries_concurrent_max").map(|s| s.value);
    let concurrency = most.map(|n| format!("{n:.0}")).unwrap_or_default();
    let all = if concurrency.is_empty() { String::new() } else { format!(", as {concurrency} run at once at most") };
    Some(Seen {
        what: format!("queries wait {:.1} s and longer for others before they begin{all}", waited.value),
        metric: "prometheus_engine_query_duration_seconds{slice=\"queue_time\",quantile=\"0.9\"}".into(),
        value: format!("{:.1}", waited.value),
        way: Way::Queries { concurrency },
    })
}

/// Scrapes do not come when they are due.
fn late(metrics: &[Sample]) -> Option<Seen> {
    let between = metrics.iter().filter(|s| {
        s.name == "prometheus_target_interval_length_seconds" && s.labels.get("quantile").is_some_and(|q| q == "0.9")
    });
    let part = |s: &Sample| {
        let interval = duration(s.labels.get("interval")?).ok().filter(|ms| *ms > 0)?;
        // Milliseconds of an interval are few: nothing is lost.
        Some(s.value * 1000.0 / interval as f64)
    };
    let latest = between.filter_map(|s| Some((s, part(s).filter(|p| *p >= LATE)?)));
    let (sample, _) = latest.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let interval = sample.labels.get("interval").cloned().unwrap_or_default();
    Some(Seen {
        what: format!("scrapes that are due every {interval} come {:.0} s apart", sample.value),
        metric: format!("prometheus_target_interval_length_seconds{{interval=\"{interval}\",quantile=\"0.9\"}}"),
        value: format!("{:.1}", sample.value),
        way: Way::Late { interval },
    })
}

fn finding(snap: &Snapshot, pod: Option<&Pod>, seen: Seen) -> Finding {
    let subject = pod.map_or_else(|| ResourceRef::service("", "prometheus"), |p| snap.owner_ref(p));
    let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.program() == Some(Program::Prometheus)));
    let cpu_limit = container.and_then(|c| c.resources.limits.get("cpu")).cloned().unwrap_or_default();
    let mut message = format!("Prometheus has more to do than it can: {}", seen.what);
    if !cpu_limit.is_empty() {
        let _ = write!(message, "; it may use {cpu_limit} CPUs at most");
    }
    let made_from = workload(snap, &subject).and_then(|w| operator_owner(&w.metadata));
    let request = container.and_then(|c| c.resources.requests.get("cpu")).map(String::as_str);
    let patch = json!({"spec": {"resources": twice(&cpu_limit, request)}}).to_string();
    let key = format!("{} {}", subject.key(), seen.metric);
    Finding::new(PrometheusOverloaded::META.id, Severity::Warning, subject.clone(), message)
        .key(key)
        .breaks_nothing()
        .evidence(api_evidence(snap, seen.metric, seen.value, "/metrics"))
        .fix(Fix {
            namespace: pod.map_or("<namespace>", |p| p.metadata.namespace.as_str()).to_owned(),
            pod: pod.map_or("<pod>", |p| p.metadata.name.as_str()).to_owned(),
            owner: subject.kubectl_name(),
            managed_by: pod.map(|p| Target::of(snap, p).managed_by).unwrap_or_default(),
            metrics_path: prometheus_path(snap, "/metrics"),
            resource: made_from.filter(|(kind, _)| *kind == "prometheus").map(|(_, name)| name.to_owned()),
            cpu_patch: patch,
            cpu_limit,
            way: seen.way,
        })
}

/// Twice as many CPUs. A request that is not set is as high as the limit: it stays what it is, so that the pod finds a node
/// as before.
fn twice(limit: &str, request: Option<&str>) -> Value {
    let cpus = parse_quantity(limit).filter(|cpus| *cpus > 0.0);
    let more = cpus.map_or_else(|| "<cpu>".to_owned(), |cpus| format_cpu(cpus * 2.0));
    json!({"limits": {"cpu": more}, "requests": {"cpu": request.unwrap_or(limit)}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::snapshot;

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Sample { name: name.into(), labels, value }
    }

    fn with(samples: Vec<Sample>) -> Vec<&'static str> {
        let mut snap = snapshot(json!({}));
        *snap.prometheus_metrics = Ok(samples);
        findings(&PrometheusOverloaded, &snap).iter().map(|f| f.variant).collect()
    }

    #[test]
    fn its_own_metrics_tell_of_waiting() {
        let queue = |quantile: &str, value: f64| {
            let labels = [("slice", "queue_time"), ("quantile", quantile)];
            sample("prometheus_engine_query_duration_seconds", &labels, value)
        };
        assert_eq!(with(vec![queue("0.9", 12.5)]), ["queries"]);
        assert!(with(vec![queue("0.9", 0.000_02), queue("0.99", 3.0)]).is_empty(), "one burst");
        assert!(with(vec![queue("0.9", f64::NAN)]).is_empty(), "nobody asked");
        let apart = |interval: &str, value: f64| {
            let labels = [("interval", interval), ("quantile", "0.9")];
            sample("prometheus_target_interval_length_seconds", &labels, value)
        };
        assert_eq!(with(vec![apart("30s", 71.2)]), ["late"]);
        assert!(with(vec![apart("30s", 30.01), apart("1m", 60.2)]).is_empty());
    }

    #[test]
    fn more_cpu_asks_no_node_for_more() {
        for (limit, request, expected) in [("500m", None, ("1", "500m")), ("1.5", Some("1"), ("3", "1"))] {
            let made = twice(limit, request);
            assert_eq!((&made["limits"]["cpu"], &made["requests"]["cpu"]), (&json!(expected.0), &json!(expected.1)));
        }
    }
}
