//! Alertmanager fails to deliver notifications.

mod case;
mod finding;
mod fix;
mod template_error;
mod templates;
#[cfg(test)]
mod tests;
mod values;
mod words;

use std::collections::BTreeMap;

use crate::checks::{Check, check};
use crate::domain::alertmanager::group::groups;
use crate::domain::alertmanager::log::recent_failures;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::proxy;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, GapCause, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use fix::Fix;

check! {
    /// See the check's page.
    AlertmanagerNotify {
        id: "alertmanager-notify", suite: Alerting, severity: Error,
        title: "Alertmanager fails to deliver notifications",
        requires: [ComponentLogs],
        uses: [AlertmanagerMetrics, AlertmanagerStatus, ConfigMaps, Pods, Nodes, Instances, Subnets, Services, NetworkPolicies, Namespaces, PartLogs, Probes, Workloads],
        fix: Fix,
    }
}

/// Share of failed notifications above which counters alone are worth a warning, as in Alertmanager's own mixin.
const FAILED_SHARE: f64 = 0.01;

impl Check for AlertmanagerNotify {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let logs = match snap.logs_of(Program::Alertmanager) {
            Ok(logs) => logs,
            Err(gap) => return without_logs(snap, gap),
        };
        if logs.is_empty() {
            return no_logs(snap);
        }
        // What the logs do not hold, counters since the start cannot add: they do not say that it still fails.
        let at = Placement::new(snap);
        let groups = groups(recent_failures(snap));
        let mut findings: Vec<Finding> = groups.iter().map(|g| finding::finding(Self::META.id, snap, &at, g)).collect();
        findings.extend(templates::undefined(Self::META.id, snap, &groups));
        match unread_log(snap) {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// Logs that are there but empty of pods: is there an Alertmanager at all?
fn no_logs(snap: &Snapshot) -> Result<Diagnosis, Gap> {
    snap.pods()?;
    for namespace in &snap.scope.stack {
        if !snap.pods.covers(namespace) {
            snap.pods.find(namespace, "")?;
        }
    }
    let pods = alertmanager_pods(snap);
    match pods.iter().find(|(p, _)| p.status.phase == "Running") {
        Some((pod, _)) => Err(log_gap(&pod.metadata.namespace, &pod.metadata.name)),
        None if pods.is_empty() => Ok(Diagnosis::NotApplicable("no Alertmanager pod in the stack".into())),
        None => Ok(Diagnosis::NotApplicable("no Alertmanager pod is running".into())),
    }
}

/// A running Alertmanager whose log is not among those that were read.
fn unread_log(snap: &Snapshot) -> Option<Gap> {
    let logs = snap.logs_of(Program::Alertmanager).ok()?;
    let pods = alertmanager_pods(snap);
    let mut running = pods.into_iter().map(|(pod, _)| pod).filter(|p| p.status.phase == "Running");
    let unread = running.find(|p| !logs.iter().any(|l| l.is_of(&p.metadata)));
    unread.map(|p| log_gap(&p.metadata.namespace, &p.metadata.name))
}

fn log_gap(namespace: &str, pod: &str) -> Gap {
    Gap::new(format!("log of pod {namespace}/{pod}"), GapCause::NotCollected, "the log was not read")
}

/// The counters, where no log can be read: a share of failures is worth a warning, nothing is no proof of health.
fn without_logs(snap: &Snapshot, gap: Gap) -> Result<Diagnosis, Gap> {
    let mut by_integration: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for sample in snap.alertmanager_metrics.iter().flatten() {
        let Some(integration) = sample.labels.get("integration") else { continue };
        let counts = by_integration.entry(integration).or_default();
        match sample.name.as_str() {
            "alertmanager_notifications_total" => counts.0 += sample.value,
            "alertmanager_notifications_failed_total" => counts.1 += sample.value,
            _ => {}
        }
    }
    let failing =
        by_integration.into_iter().filter(|(_, (all, failed))| *failed > 0.0 && *failed >= all * FAILED_SHARE);
    let findings: Vec<Finding> =
        failing.map(|(integration, (all, failed))| from_counters(snap, integration, all, failed)).collect();
    if findings.is_empty() { Err(gap) } else { Ok(Diagnosis::Findings(findings)) }
}

fn from_counters(snap: &Snapshot, integration: &str, all: f64, failed: f64) -> Finding {
    let message = format!(
        "{failed} of {all} {integration} notifications failed since Alertmanager started; its log, which says why, could not be read"
    );
    let name = snap.scope.alertmanager.as_ref();
    let namespace = name.map_or("<namespace>", |c| c.namespace.as_str());
    let seen = Evidence::new(
        "alertmanager_notifications_failed_total",
        format!("{integration}: {failed} of {all}"),
        "kubectl get --raw {{ path }}",
    );
    let path = name.map_or_else(
        || "/api/v1/namespaces/<namespace>/services/<alertmanager-service>:9093/proxy/metrics".to_owned(),
        |c| proxy::of_component(c, "/metrics"),
    );
    Finding::new(
        AlertmanagerNotify::META.id,
        Severity::Warning,
        ResourceRef::Receiver { name: integration.to_owned() },
        message,
    )
    .evidence(seen.with("path", &path))
    .key(format!("counters/{integration}"))
    .fix(Fix::counters(namespace, path))
}
