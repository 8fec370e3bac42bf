//! Alerts fire, and Prometheus hands them to no Alertmanager.

mod case;
mod dropped;
mod finding;
mod fix;
mod missing;
mod prometheus;
#[cfg(test)]
mod tests;
mod undelivered;
mod undiscovered;

use std::collections::BTreeSet;

use crate::checks::{Check, check};
use crate::domain::alertmanager::tree::proves_alerting;
use crate::domain::prometheus::notifier;
use crate::domain::prometheus::server::servers;
use crate::model::{CheckMeta, Diagnosis, Gap, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{AlertmanagerUrl, FiringAlert};
use fix::Fix;

check! {
    /// See the check's page.
    AlertmanagerDisconnected {
        id: "alertmanager-disconnected", suite: Alerting, severity: Error,
        title: "Prometheus hands its alerts to no Alertmanager",
        requires: [ComponentLogs],
        uses: [
            PrometheusAlertmanagers, PrometheusAlerts, PrometheusMetrics, PrometheusConfig, PrometheusRules, PrometheusRuntime,
            Services, Pods, Workloads, ConfigMaps, MonitoringResources, OtherServers, NetworkPolicies,
            AlertmanagerAlerts,
        ],
        fix: Fix,
    }
}

impl Check for AlertmanagerDisconnected {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.scope.prometheus.is_none() && servers(snap).is_empty() && snap.logs_of(Program::Prometheus)?.is_empty()
        {
            return Ok(Diagnosis::NotApplicable("no Prometheus in the stack".into()));
        }
        let known = Known::of(snap);
        let undelivered = notifier::undelivered(snap)?;
        let mut findings = undelivered::findings(snap, &known, &undelivered);
        if findings.is_empty() {
            findings.extend(undiscovered::finding(snap, &known));
        }
        if findings.is_empty() {
            findings.extend(dropped::finding(snap, &known));
        }
        if findings.is_empty() {
            findings.extend(missing::finding(snap, &known));
        }
        match snap.prometheus_alertmanagers() {
            // No error in the log says nothing where nobody is sent to.
            Err(gap) if findings.is_empty() && known.discovered.is_none() => Err(gap),
            _ => Ok(Diagnosis::Findings(findings)),
        }
    }
}

/// What is known of the Alertmanagers that Prometheus sends to, and of the alerts that wait.
struct Known {
    /// URLs that alerts are posted to; empty where that could not be asked.
    active: Vec<String>,
    /// Those that relabelling left out.
    dropped: Vec<String>,
    /// How many it sends to; `None` where nothing says so.
    discovered: Option<usize>,
    /// Names of the alerts that fire now, without those that only prove that alerting works.
    firing: BTreeSet<String>,
    /// Some alert fires, or a rule could raise one; `None` where neither is known.
    alerts: Option<bool>,
}

impl Known {
    fn of(snap: &Snapshot) -> Self {
        let asked = snap.prometheus_alertmanagers().ok();
        let urls = |all: &[AlertmanagerUrl]| all.iter().map(|a| a.url.clone()).collect();
        let counted = snap.prometheus_metrics().ok().and_then(|all| {
            all.iter().find(|s| s.name == "prometheus_notifications_alertmanagers_discovered").map(|s| s.value as usize)
        });
        let fires = |a: &&FiringAlert| a.state == "firing";
        let now = snap.prometheus_alerts().ok();
        let any = now.is_some_and(|all| all.iter().any(|a| fires(&a)));
        let rules = snap.prometheus_rules().ok();
        let may = rules.map(|groups| groups.iter().flat_map(|g| &g.rules).any(|r| r.kind == "alerting"));
        Self {
            active: asked.map(|a| urls(&a.active_alertmanagers)).unwrap_or_default(),
            dropped: asked.map(|a| urls(&a.dropped_alertmanagers)).unwrap_or_default(),
            discovered: asked.map(|a| a.active_alertmanagers.len()).or(counted),
            firing: now
                .into_iter()
                .flatten()
                .filter(fires)
                .map(|a| a.name().to_owned())
                .filter(|n| !n.is_empty() && !proves_alerting(n))
                .collect(),
            alerts: if any { Some(true) } else { may },
        }
    }

    /// `; firing now: A, B and 3 more`; empty where nothing fires.
    fn firing_words(&self) -> String {
        const SHOWN: usize = 5;
        if self.firing.is_empty() {
            return String::new();
        }
        let first: Vec<&str> = self.firing.iter().take(SHOWN).map(String::as_str).collect();
        let more = self.firing.len() - first.len();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("; firing now, and nobody is told: {}{rest}", first.join(", "))
    }
}
