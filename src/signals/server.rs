//! What Prometheus says of itself: rules that fail, a reload that failed, no Alertmanager, a broken WAL.

use std::collections::BTreeMap;

use crate::domain::prometheus::targets::{prometheus_path, prometheus_pod};
use crate::domain::prometheus::tsdb::FAILURES;
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;

/// Counters that only grow, so that they may tell of what is long over.
const PASSING: &[&str] = &[
    "prometheus_notifications_dropped_total",
    "prometheus_notifications_errors_total",
    "prometheus_remote_storage_samples_dropped_total",
    "prometheus_remote_storage_samples_failed_total",
];

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    [rules(snap), reload(snap), alertmanagers(snap), counters(snap)].concat()
}

/// What is about Prometheus itself: its pods and their surroundings, else its Service.
fn server(snap: &Snapshot) -> (ResourceRef, Vec<ResourceRef>) {
    match prometheus_pod(snap) {
        Some(pod) => (snap.owner_ref(pod), super::around(snap, pod)),
        None => {
            let service = snap.scope.prometheus.as_ref().map(|p| ResourceRef::service(&p.namespace, &p.service));
            (service.unwrap_or_else(|| ResourceRef::service("", "prometheus")), Vec::new())
        }
    }
}

fn shown(snap: &Snapshot, source: &str, value: String, path: &str) -> Evidence {
    let path = prometheus_path(snap, path).unwrap_or_default();
    Evidence::new(source, value, "{% if path %}kubectl get --raw {{ path }}{% endif %}").with("path", path)
}

fn rules(snap: &Snapshot) -> Vec<Signal> {
    let groups = snap.prometheus_rules().map(Vec::as_slice).unwrap_or_default();
    let bad = groups.iter().flat_map(|g| g.rules.iter().filter(|r| r.health == "err").map(move |r| (g, r)));
    bad.map(|(group, rule)| {
        let error = rule.last_error.as_deref().map(redact).unwrap_or_default();
        let subject = ResourceRef::Rule { group: group.name.clone(), rule: rule.name.clone() };
        let evidence = shown(snap, &format!("rule {}", rule.name), error.clone(), "/api/v1/rules");
        Signal::new(SignalKind::Server, subject, format!("rule {} fails", rule.name), evidence)
            .text(error)
            .about([ResourceRef::Rule { group: group.name.clone(), rule: String::new() }])
            .explained_by_checks(&["rule-failing"])
    })
    .collect()
}

fn reload(snap: &Snapshot) -> Vec<Signal> {
    let Ok(runtime) = snap.prometheus_runtime() else { return Vec::new() };
    if runtime.reload_config_success != Some(false) {
        return Vec::new();
    }
    let (subject, about) = server(snap);
    let evidence = shown(snap, "reloadConfigSuccess", "false".into(), "/api/v1/status/runtimeinfo");
    let signal = Signal::new(SignalKind::Server, subject, "Prometheus could not load its configuration", evidence)
        .text("it still runs with the one before")
        .since(runtime.last_config_time)
        .about(about)
        .explained_by_checks(&["prometheus-config", "rule-invalid"]);
    vec![signal]
}

/// It is told to send alerts and finds nobody to send them to.
fn alertmanagers(snap: &Snapshot) -> Vec<Signal> {
    let Ok(found) = snap.prometheus_alertmanagers() else { return Vec::new() };
    let configured = snap.prometheus_config().is_ok_and(|c| c.lines().any(|l| l.trim_end() == "  alertmanagers:"));
    if !found.active_alertmanagers.is_empty() || !configured {
        return Vec::new();
    }
    let (subject, about) = server(snap);
    let value = format!("0 active, {} dropped", found.dropped_alertmanagers.len());
    let evidence = shown(snap, "Alertmanagers that Prometheus knows", value, "/api/v1/alertmanagers");
    let alertmanager = snap.scope.alertmanager.as_ref().map(|a| ResourceRef::service(&a.namespace, &a.service));
    let signal = Signal::new(SignalKind::Server, subject, "Prometheus knows no Alertmanager", evidence)
        .text("alerts fire and nobody is told")
        .about(about)
        .about(alertmanager)
        .explained_by_checks(&["alertmanager-disconnected", "discovery-failing"]);
    vec![signal]
}

fn counters(snap: &Snapshot) -> Vec<Signal> {
    let own = snap.prometheus_metrics().map(Vec::as_slice).unwrap_or_default();
    let recorded = snap.prometheus_counters().map(Vec::as_slice).unwrap_or_default();
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for sample in own.iter().chain(recorded) {
        if let Some(name) = FAILURES.iter().chain(PASSING).find(|n| **n == sample.name) {
            let entry = worst.entry(name).or_default();
            *entry = entry.max(sample.value);
        }
    }
    let corruptions = snap.prometheus_runtime().map(|r| r.corruption_count).unwrap_or_default();
    if corruptions > 0 {
        worst.entry("prometheus_tsdb_wal_corruptions_total").or_insert(corruptions as f64);
    }
    let (subject, about) = server(snap);
    let path = "/api/v1/query?query=";
    worst
        .into_iter()
        .filter(|(_, value)| *value > 0.0)
        .map(|(name, value)| {
            let evidence = shown(snap, name, value.to_string(), &format!("{path}{name}"));
            let signal = Signal::new(SignalKind::Server, subject.clone(), format!("{name} is {value}"), evidence)
                .about(about.clone())
                .explained_by_checks(judges(name));
            if FAILURES.contains(&name) { signal } else { signal.weight(Weight::Note) }
        })
        .collect()
}

fn judges(counter: &str) -> &'static [&'static str] {
    match counter {
        c if c.contains("remote_storage") => &["remote-write-failing"],
        c if c.contains("notifications") => &["alertmanager-disconnected"],
        _ => &["prometheus-storage"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;
    use crate::snapshot::monitoring::{PrometheusRuntime, Sample};

    #[test]
    fn a_broken_wal_weighs_and_a_counter_of_the_past_does_not() {
        let mut snap = snapshot();
        let sample = |name: &str| Sample { name: name.into(), labels: BTreeMap::new(), value: 3.0 };
        *snap.prometheus_runtime = Ok(PrometheusRuntime { corruption_count: 14, ..PrometheusRuntime::default() });
        *snap.prometheus_counters = Ok(vec![
            sample("prometheus_tsdb_compactions_failed_total"),
            sample("prometheus_notifications_errors_total"),
        ]);
        let found: Vec<(String, Weight)> = counters(&snap).into_iter().map(|s| (s.title, s.weight)).collect();
        assert_eq!(
            found,
            [
                ("prometheus_notifications_errors_total is 3".to_owned(), Weight::Note),
                ("prometheus_tsdb_compactions_failed_total is 3".to_owned(), Weight::Weighs),
                ("prometheus_tsdb_wal_corruptions_total is 14".to_owned(), Weight::Weighs),
            ]
        );
    }

    #[test]
    fn no_alertmanager_is_a_signal_only_where_one_is_wanted() {
        let mut snap = snapshot();
        *snap.prometheus_alertmanagers = Ok(Default::default());
        *snap.prometheus_config = Ok("global: {}\n".into());
        assert!(alertmanagers(&snap).is_empty());
        *snap.prometheus_config = Ok("alerting:\n  alertmanagers:\n  - static_configs: []\n".into());
        assert_eq!(alertmanagers(&snap).len(), 1);
    }
}
