//! An alert's condition can never hold, whatever is measured.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::rule::ChangeRule;
use crate::checks::support::scrape::api_evidence;
use crate::checks::{Check, check};
use crate::domain::prometheus::never::never;
use crate::domain::prometheus::targets;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{Rule, RuleGroup};

check! {
    /// See the check's page.
    AlertNeverFires {
        id: "alert-never-fires", suite: Alerting, severity: Warning,
        title: "an alert's condition can never hold",
        requires: [PrometheusRules],
        uses: [PrometheusRuleObjects, ConfigMaps, Workloads, Services, Pods],
        fix: Fix,
    }
}

/// See the page's fix.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Count {
        expr: String,
        /// The comparison as it is meant; empty where that cannot be told.
        meant: String,
        /// It is one part of the expression.
        is_part: bool,
        rules_path: Option<String>,
        #[serde(flatten)]
        at: Box<ChangeRule>,
    },
}

impl Check for AlertNeverFires {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = snap.prometheus_rules()?.iter().flat_map(|g| g.rules.iter().map(move |r| (g, r)));
        let alerts = all.filter(|(_, rule)| rule.kind == "alerting");
        Ok(Diagnosis::Findings(alerts.filter_map(|(group, rule)| finding(snap, group, rule)).collect()))
    }
}

fn finding(snap: &Snapshot, group: &RuleGroup, rule: &Rule) -> Option<Finding> {
    let never = never(&rule.query)?;
    let message = format!(
        "alert {} of rule group {} can never fire: where there is nothing to count, count() has no result, and never 0",
        rule.name, group.name
    );
    let seen = api_evidence(
        snap,
        format!("Prometheus /api/v1/rules, rule {} ({})", rule.name, group.file),
        rule.query.clone(),
        "/api/v1/rules",
    );
    let subject = ResourceRef::Rule { group: group.name.clone(), rule: rule.name.clone() };
    let made = Finding::new(AlertNeverFires::META.id, Severity::Warning, subject, message)
        .key(format!("{}/{}", group.name, rule.name))
        .breaks_nothing()
        .evidence(seen);
    Some(made.fix(Fix::Count {
        expr: rule.query.clone(),
        meant: never.meant,
        is_part: never.is_part,
        rules_path: targets::prometheus_path(snap, "/api/v1/rules"),
        at: Box::new(ChangeRule::of(snap, group, &rule.name)),
    }))
}
