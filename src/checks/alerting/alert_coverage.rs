//! Faults of every cluster that no alert watches, and alerts that fire at once or say nothing of how bad it is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::scrape::{Api, api_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::parts;
use crate::domain::prometheus::coverage::{self, Core};
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::operator::selection::Kind;
use crate::domain::prometheus::origin;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::monitoring::{Rule, RuleGroup};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    AlertCoverage {
        id: "alert-coverage", suite: Alerting, severity: Info,
        title: "faults of every cluster that no alert watches",
        requires: [PrometheusRules],
        uses: [MonitoringResources, PrometheusConfig, PrometheusRuleNames, PrometheusMetricNames, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Add {
        missing: Vec<Missing>,
        namespace: String,
        labels: Vec<Label>,
        operated: bool,
        /// Programs that measure what the alerts read, and of which none runs.
        unmeasured: Vec<&'static str>,
        #[serde(flatten)]
        api: Api,
    },
    Complete {
        hasty: Vec<String>,
        bare: Vec<String>,
        #[serde(flatten)]
        api: Api,
    },
}

/// An alert that is proposed.
#[derive(Serialize, JsonSchema)]
struct Missing {
    alert: String,
    expr: String,
    wait: String,
}

/// A label that the server's selector wants.
#[derive(Serialize, JsonSchema)]
struct Label {
    key: String,
    value: String,
}

/// Where Prometheus tells what it has loaded.
const RULES: &str = "/api/v1/rules?type=alert";

/// Alerts that are named.
const NAMED: usize = 5;

impl Check for AlertCoverage {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let groups = snap.prometheus_rules()?;
        if coverage::alerts(groups).next().is_none() {
            return Ok(Diagnosis::NotApplicable("Prometheus has no alerting rule at all".into()));
        }
        let mut missing = coverage::missing(groups);
        // What nobody measures no alert can watch.
        if let Ok(names) = snap.prometheus_metric_names() {
            missing.retain(|core| names.iter().any(|name| core.is_measured_by(name)));
        }
        let mut findings = Vec::new();
        if !missing.is_empty() {
            findings.push(uncovered(snap, &missing));
        }
        let own: Vec<RuleGroup> = groups.iter().filter(|g| !origin::is_of_the_stack(snap, &g.file)).cloned().collect();
        let names = |keep: fn(&Rule) -> bool| -> Vec<String> {
            let mut all: Vec<String> = coverage::alerts(&own).filter(|r| keep(r)).map(|r| r.name.clone()).collect();
            all.sort();
            all.dedup();
            all
        };
        let (hasty, bare) = (names(coverage::is_hasty), names(coverage::lacks_severity));
        if !hasty.is_empty() || !bare.is_empty() {
            findings.push(incomplete(snap, hasty, bare));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn rules() -> ResourceRef {
    ResourceRef::Rule { group: String::new(), rule: "all alerting rules".to_owned() }
}

fn uncovered(snap: &Snapshot, missing: &[Core]) -> Finding {
    let names: Vec<&str> = missing.iter().map(|c| c.name()).collect();
    let server = chain::answering(snap);
    let selector = server.and_then(|s| Kind::PrometheusRule.selectors(&s.spec).0).and_then(|s| s.match_labels.as_ref());
    let proposed = missing.iter().map(|core| {
        let (alert, expr, wait) = core.alert();
        Missing { alert: alert.to_owned(), expr: expr.to_owned(), wait: wait.to_owned() }
    });
    let fix = Fix::Add {
        missing: proposed.collect(),
        namespace: server.map_or_else(|| "monitoring".to_owned(), |s| s.metadata.namespace.clone()),
        labels: selector.into_iter().flatten().map(|(k, v)| Label { key: k.clone(), value: v.clone() }).collect(),
        operated: server.is_some(),
        unmeasured: unmeasured(snap, missing),
        api: Api::of(snap, RULES),
    };
    let message = format!("no alert watches {}, judging by their expressions", names.join(", "));
    let seen = api_evidence(
        snap,
        "Prometheus /api/v1/rules?type=alert".to_owned(),
        format!("no expression reads what tells of {}", names.join(", ")),
        RULES,
    );
    Finding::new(AlertCoverage::META.id, Severity::Info, rules(), message).key("coverage").fix(fix).evidence(seen)
}

/// Who would have to measure it and does not run, by the workloads that were read.
fn unmeasured(snap: &Snapshot, missing: &[Core]) -> Vec<&'static str> {
    // A word beside the alerts: what cannot be seen changes nothing of them.
    let there = journal::aside(|| parts::all(snap));
    if there.is_empty() || journal::aside(|| snap.prometheus_metric_names().is_ok()) {
        return Vec::new();
    }
    let mut needed: Vec<_> = missing.iter().map(|core| core.measured_by()).collect();
    needed.sort();
    needed.dedup();
    needed.retain(|part| !there.iter().any(|(p, _)| p == part));
    needed.into_iter().map(parts::Part::name).collect()
}

fn incomplete(snap: &Snapshot, hasty: Vec<String>, bare: Vec<String>) -> Finding {
    let list = |names: &[String]| {
        let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if names.len() > NAMED { format!("{shown} and {} more", names.len() - NAMED) } else { shown }
    };
    let mut parts = Vec::new();
    if !hasty.is_empty() {
        parts.push(format!("fire at the first sample, without for: {}", list(&hasty)));
    }
    if !bare.is_empty() {
        parts.push(format!("have no label severity: {}", list(&bare)));
    }
    let message = format!("alerts {}", parts.join("; alerts "));
    let seen = api_evidence(snap, "Prometheus /api/v1/rules?type=alert".to_owned(), parts.join("\n"), RULES);
    Finding::new(AlertCoverage::META.id, Severity::Info, rules(), message)
        .key("complete")
        .fix(Fix::Complete { hasty, bare, api: Api::of(snap, RULES) })
        .evidence(seen)
}
