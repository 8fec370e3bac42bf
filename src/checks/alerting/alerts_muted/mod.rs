//! Alerts reach nobody: routes to receivers that send nothing, silences and intervals without end.

mod fix;
mod hours;
mod inhibited;
mod label;
mod namespaces;
mod relabelled;
mod shadowed;
mod silences;
#[cfg(test)]
mod tests;
mod unrouted;

use std::collections::BTreeSet;

use crate::checks::{Check, check};
use crate::domain::alertmanager::config::loaded;
use crate::domain::alertmanager::labels::Common;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::alertmanager::tree::{Labels, Tree, proves_alerting};
use crate::domain::kubernetes::proxy;
use crate::lint::alertmanager::matcher::Matcher;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef};
use crate::snapshot::Snapshot;
use fix::Fix;

check! {
    /// See the check's page.
    AlertsMuted {
        id: "alerts-muted", suite: Alerting, severity: Error,
        title: "alerts reach nobody",
        requires: [AlertmanagerStatus, AlertmanagerSilences, PrometheusConfig],
        uses: [AlertmanagerAlerts, PrometheusAlerts, Pods, ConfigMaps, Workloads, MonitoringResources],
        fix: Fix,
    }
}

impl Check for AlertsMuted {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.alertmanager_status.is_err()
            && snap.scope.alertmanager.is_none()
            && snap.pods().is_ok()
            && alertmanager_pods(snap).is_empty()
        {
            return Ok(Diagnosis::NotApplicable("no Alertmanager in the stack".into()));
        }
        let view = View::new(snap);
        let mut findings: Vec<Finding> = view.silences();
        findings.extend(view.inhibited());
        if let Some(tree) = &view.tree {
            findings.extend(view.routes(tree));
            let muted = tree.muted(snap.collected_at);
            findings.extend(muted.iter().map(|m| view.interval(tree, m)));
            findings.extend(view.muted_now(tree, &muted));
            findings.extend(view.shadowed(tree));
        }
        if findings.is_empty() && view.tree.is_none() {
            snap.alertmanager_status()?;
        }
        Ok(Diagnosis::Findings(findings))
    }
}

struct View<'a> {
    snap: &'a Snapshot,
    common: Common<'a>,
    tree: Option<Tree>,
    /// Text of the configuration, for line numbers.
    config: Option<&'a str>,
}

/// A firing alert that someone should hear of.
struct Lost {
    name: String,
    labels: Labels,
}

impl<'a> View<'a> {
    fn new(snap: &'a Snapshot) -> Self {
        let config = loaded(snap);
        Self { snap, common: Common::of(snap), tree: config.and_then(Tree::read), config }
    }

    /// Firing alerts all of whose receivers send nothing.
    fn lost(&self, tree: &Tree) -> Vec<Lost> {
        let mut heard = BTreeSet::new();
        let mut unheard = BTreeSet::new();
        for group in self.snap.alertmanager_alerts.iter().flatten() {
            let to = if tree.sends(&group.receiver.name) { &mut heard } else { &mut unheard };
            to.extend(group.alerts.iter().filter(|a| a.status.state != "suppressed").map(|a| a.labels.clone()));
        }
        unheard.into_iter().filter(|labels| !heard.contains(labels) && matters(labels)).map(lost).collect()
    }

    /// The workload of Alertmanager, else its Service.
    fn alertmanager(&self) -> ResourceRef {
        if let Some((pod, _)) = alertmanager_pods(self.snap).into_iter().next() {
            return self.snap.owner_ref(pod);
        }
        let at = self.snap.scope.alertmanager.as_ref();
        at.map_or_else(
            || ResourceRef::Receiver { name: "alertmanager".into() },
            |c| ResourceRef::service(&c.namespace, &c.service),
        )
    }

    fn alertmanager_namespace(&self) -> String {
        let pod = alertmanager_pods(self.snap).into_iter().next().map(|(pod, _)| pod.metadata.namespace.clone());
        let service = || self.snap.scope.alertmanager.as_ref().map(|c| c.namespace.clone());
        pod.or_else(service).unwrap_or_else(|| "<namespace>".to_owned())
    }

    /// Path of Alertmanager's API through the API server.
    fn path(&self, api: &str) -> String {
        self.snap.scope.alertmanager.as_ref().map_or_else(
            || format!("/api/v1/namespaces/<namespace>/services/<alertmanager-service>:9093/proxy{api}"),
            |c| proxy::of_component(c, api),
        )
    }

    /// Where a line of the configuration is. The one that runs is not the file: Alertmanager prints it with its defaults, in an
    /// order of its own.
    fn place(&self, line: usize) -> String {
        let runs = self.snap.alertmanager_status.as_ref().is_ok_and(|s| !s.config.original.is_empty());
        if runs { format!("line {line} of the running configuration") } else { format!("line {line} of the file") }
    }

    fn route_seen(&self, line: usize, value: String) -> Evidence {
        let text = self.config.and_then(|c| c.lines().nth(line.saturating_sub(1))).unwrap_or_default().trim();
        let value = if text.is_empty() { value } else { format!("{value} (line {line}: {text})") };
        self.seen("Alertmanager's configuration, route", value)
    }

    fn config_seen(&self, title: &str, line: usize, value: String) -> Evidence {
        self.seen(title, format!("{value} (line {line})"))
    }

    fn seen(&self, title: &str, value: String) -> Evidence {
        Evidence::new(title, value, "kubectl get --raw {{ path }}").with("path", self.path("/api/v2/status"))
    }

    fn alerts_seen(&self, value: String) -> Evidence {
        Evidence::new("Alertmanager, alerts by receiver", value, "kubectl get --raw {{ path }}")
            .with("path", self.path("/api/v2/alerts/groups"))
    }
}

/// An alert that someone wants to hear of: not one that proves alerting, not one that only informs.
fn matters(labels: &Labels) -> bool {
    let name = labels.get("alertname").map_or("", String::as_str);
    let severity = labels.get("severity").map_or("", String::as_str);
    !proves_alerting(name) && !matches!(severity, "none" | "info")
}

fn is_critical(labels: &Labels) -> bool {
    labels.get("severity").is_some_and(|s| matches!(s.as_str(), "critical" | "page" | "emergency" | "disaster"))
}

fn lost(labels: Labels) -> Lost {
    Lost { name: labels.get("alertname").cloned().unwrap_or_else(|| "an alert without a name".into()), labels }
}

fn show(matchers: &[Matcher]) -> String {
    matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(", ")
}

/// The first few names.
fn join(names: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = names.iter().take(5).copied().collect();
    let more =
        if names.len() > first.len() { format!(" and {} more", names.len() - first.len()) } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// `A fires now`, `A, B fire now`.
fn fire_now(names: &BTreeSet<&str>) -> String {
    format!("{} {} now", join(names), if names.len() == 1 { "fires" } else { "fire" })
}
