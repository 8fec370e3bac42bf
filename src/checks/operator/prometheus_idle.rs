//! A Prometheus of the operator that scrapes nothing, or evaluates no rule: it runs, and watches nobody.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::server_text;
use crate::checks::support::pipeline::release_ref;
use crate::checks::support::scrape::{Api, api_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::release;
use crate::domain::kubernetes::webhooks;
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::MonitoringResource;

check! {
    /// See the check's page.
    PrometheusIdle {
        id: "prometheus-idle", suite: Operator, severity: Warning,
        title: "Prometheus has nothing to scrape, or no rules",
        requires: [MonitoringResources, PrometheusConfig, PrometheusRules],
        uses: [PrometheusTargets, Monitors, ProbeResources, ScrapeConfigResources, PrometheusRuleNames, OtherServers, Namespaces, Workloads, Webhooks],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Scrape {
        #[serde(flatten)]
        of: Of,
    },
    Rules {
        #[serde(flatten)]
        of: Of,
    },
}

/// The server, and how its answer shows what it has.
#[derive(Serialize, JsonSchema)]
struct Of {
    name: String,
    namespace: String,
    labels: Vec<Label>,
    release: String,
    #[serde(flatten)]
    api: Api,
    /// A filter of jq that counts.
    count: &'static str,
}

/// A label that the selector wants.
#[derive(Serialize, JsonSchema)]
struct Label {
    key: String,
    value: String,
}

/// Seconds that operator, kubelet and reloader take.
const YOUNG: i64 = 600;

impl Check for PrometheusIdle {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(server) = chain::answering(snap) else {
            return Ok(Diagnosis::NotApplicable("no Prometheus of the operator answers".into()));
        };
        let jobs = chain::loaded_jobs(snap);
        let rules = snap.prometheus_rules()?;
        if server.spec.paused || snap.age_seconds(&server.metadata) < YOUNG {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let mut findings = Vec::new();
        if jobs.as_ref().is_some_and(std::collections::BTreeSet::is_empty) {
            findings.push(without_jobs(snap, server));
        } else if jobs.is_none() {
            snap.prometheus_config()?;
        }
        // What is sent elsewhere may be judged there.
        let elsewhere = !server.spec.remote_write.is_empty()
            || snap.other_servers.items().unwrap_or_default().iter().any(|s| s.kind == "ThanosRuler");
        if rules.iter().all(|g| g.rules.is_empty()) && !elsewhere {
            findings.push(without_rules(snap, server));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

/// Labels that the selector of a kind wants.
fn labels(server: &MonitoringResource, kind: Kind) -> Vec<Label> {
    let (selector, _) = kind.selectors(&server.spec);
    let wanted = selector.and_then(|s| s.match_labels.as_ref());
    wanted.into_iter().flatten().map(|(k, v)| Label { key: k.clone(), value: v.clone() }).collect()
}

/// Objects of some kinds, and how many of them the server selects.
#[derive(Default)]
struct Counts {
    all: Vec<ResourceRef>,
    selected: usize,
    /// Some of the kinds could not be read.
    unread: bool,
}

impl Counts {
    fn of(snap: &Snapshot, server: &MonitoringResource, kinds: &[Kind]) -> Self {
        let mut found = Self::default();
        for kind in kinds {
            let Ok(objects) = selection::objects(snap, *kind) else {
                found.unread = true;
                continue;
            };
            for meta in objects {
                let by = selection::selecting(snap, *kind, meta).unwrap_or_default();
                found.selected += usize::from(by.iter().any(|s| s.reference() == server.reference()));
                found.all.push(kind.reference(&meta.namespace, &meta.name));
            }
        }
        found
    }

    /// Why the server has none of them; continues the sentence that says so.
    fn because(&self, what: &str) -> String {
        match (self.all.len(), self.selected) {
            (0, _) if self.unread => format!(" (which {what} there are was not read)"),
            (0, _) => format!(": there is no {what} in the cluster"),
            (n, 0) if self.unread => format!(": it selects none of the {n} that were read ({what})"),
            (n, 0) => format!(": it selects none of the {n} that there are ({what})"),
            (_, n) => format!(": it selects {n} ({what}), and none has come through to its configuration"),
        }
    }
}

fn base(snap: &Snapshot, server: &MonitoringResource, kinds: &[Kind], message: String, path: &str) -> Finding {
    let objects = Counts::of(snap, server, kinds).all;
    let meta = &server.metadata;
    let value = if kinds[0] == Kind::PrometheusRule { "no rule group" } else { "no scrape_configs" };
    let mut made = Finding::new(PrometheusIdle::META.id, Severity::Warning, server.reference(), message)
        .key(format!("{} {}", server.reference().key(), kinds[0].as_str()))
        .breaks_nothing()
        .depends_on(server.reference())
        .depends_on(server.set())
        .evidence(api_evidence(snap, format!("Prometheus {path}"), value.to_owned(), path));
    made = objects.into_iter().fold(made, Finding::depends_on);
    // What cannot be stored is not there: a webhook refuses it, or the release that brings it failed.
    for kind in kinds {
        let plural = format!("{}s", kind.as_str().to_ascii_lowercase());
        for hook in webhooks::all(snap).filter(|h| h.is_asked_about("monitoring.coreos.com", &plural)) {
            made = made.depends_on(webhooks::reference(hook.configuration));
        }
    }
    if let Some((name, namespace)) = release(meta) {
        made = made.depends_on(release_ref(namespace, name));
    }
    made
}

fn without_jobs(snap: &Snapshot, server: &MonitoringResource) -> Finding {
    let kinds = [Kind::ServiceMonitor, Kind::PodMonitor, Kind::Probe, Kind::ScrapeConfig];
    let why = Counts::of(snap, server, &kinds).because("ServiceMonitor, PodMonitor, Probe or ScrapeConfig");
    let message = format!("{} has nothing to scrape{why}", server_text(server));
    let of =
        Of::new(snap, server, Kind::ServiceMonitor, "/api/v1/targets?state=active", ".data.activeTargets | length");
    base(snap, server, &kinds, message, "/api/v1/status/config").fix(Fix::Scrape { of })
}

fn without_rules(snap: &Snapshot, server: &MonitoringResource) -> Finding {
    let kinds = [Kind::PrometheusRule];
    let why = Counts::of(snap, server, &kinds).because("PrometheusRule");
    let message = format!("{} has no rules, so that nothing can alert{why}", server_text(server));
    let of = Of::new(snap, server, Kind::PrometheusRule, "/api/v1/rules", "[.data.groups[].rules[]] | length");
    base(snap, server, &kinds, message, "/api/v1/rules").fix(Fix::Rules { of })
}

impl Of {
    fn new(snap: &Snapshot, server: &MonitoringResource, kind: Kind, path: &str, count: &'static str) -> Self {
        Self {
            name: server.metadata.name.clone(),
            namespace: server.metadata.namespace.clone(),
            labels: labels(server, kind),
            release: release(&server.metadata).map(|(name, _)| name.to_owned()).unwrap_or_default(),
            api: Api::of(snap, path),
            count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_not_said_to_be_absent() {
        let unread = Counts { unread: true, ..Counts::default() };
        assert_eq!(unread.because("PrometheusRule"), " (which PrometheusRule there are was not read)");
        assert_eq!(Counts::default().because("PrometheusRule"), ": there is no PrometheusRule in the cluster");
    }
}
