//! A PrometheusRule that Prometheus selects and has not loaded.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::operator::{Loaded, Operator, server_text};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::operator::{chain, deployment, log};
use crate::domain::prometheus::recorded::is_settled;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Severity};
use crate::snapshot::kubernetes::{Meta, MonitoringResource, PrometheusRule};
use crate::snapshot::monitoring::RuleGroup;
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    RuleNotLoaded {
        id: "rule-not-loaded", suite: Operator, severity: Error,
        title: "a PrometheusRule is not loaded",
        requires: [MonitoringResources, PrometheusRuleNames, PrometheusRules],
        uses: [PrometheusRuleObjects, OtherServers, Namespaces, Workloads, PrometheusConfig, PrometheusRuntime, PartLogs],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    NotLoaded {
        rule: String,
        namespace: String,
        managed: String,
        server: String,
        server_namespace: String,
        #[serde(flatten)]
        operator: Operator,
        #[serde(flatten)]
        loaded: Loaded,
    },
}

/// Objects that the message names.
const NAMED: usize = 2;

impl Check for RuleNotLoaded {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(server) = chain::answering(snap) else {
            return Ok(Diagnosis::NotApplicable("no Prometheus of the operator answers".into()));
        };
        let loaded = snap.prometheus_rules()?;
        let refused = log::said(snap).unwrap_or_default().refused;
        let mut missing: Vec<(&Meta, Vec<&str>)> = Vec::new();
        // Rules by another way than the operator's ConfigMaps have files of other names.
        let by_operator = loaded.is_empty() || loaded.iter().any(|g| g.file.contains("-rulefiles-"));
        for meta in selection::objects(snap, Kind::PrometheusRule)?.into_iter().filter(|_| by_operator) {
            // A rule of which only the name is known is told by the file that the operator makes of it.
            let groups = journal::aside(|| group_names(snap, meta));
            let same = |r: &log::Refused<'_>| r.namespace == meta.namespace && r.name == meta.name;
            let told = refused.iter().any(|r| r.kind == Kind::PrometheusRule && same(r));
            let empty = groups.as_ref().is_some_and(Vec::is_empty);
            let groups = lacking(meta, groups.unwrap_or_default(), loaded);
            let Some(groups) = groups.filter(|_| !told && !empty && is_settled(snap, meta)) else { continue };
            let servers = selection::selecting(snap, Kind::PrometheusRule, meta)?;
            if servers.iter().any(|s| s.reference() == server.reference()) {
                missing.push((meta, groups));
            }
        }
        if missing.is_empty() || server.spec.paused {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        Ok(Diagnosis::Findings(vec![finding(snap, server, &missing)]))
    }
}

/// Names of its groups that have a rule; `None` where only its name is known.
fn group_names<'a>(snap: &'a Snapshot, meta: &Meta) -> Option<Vec<&'a str>> {
    let rule: &PrometheusRule = snap.prometheus_rule_objects.find(&meta.namespace, &meta.name).ok()??;
    let groups = rule.spec.get("groups").and_then(|g| g.as_array()).map(Vec::as_slice).unwrap_or_default();
    let has_rules = |g: &&serde_json::Value| g.get("rules").and_then(|r| r.as_array()).is_some_and(|r| !r.is_empty());
    Some(groups.iter().filter(has_rules).filter_map(|g| g.get("name")?.as_str()).collect())
}

/// The groups of an object that are not loaded, by the file that the operator makes of it, or by name; `None` where all are.
fn lacking<'a>(meta: &Meta, groups: Vec<&'a str>, loaded: &[RuleGroup]) -> Option<Vec<&'a str>> {
    let file = format!("/{}-{}", meta.namespace, meta.name);
    let of_it = |g: &&RuleGroup| g.file.rsplit_once(&file).is_some_and(|(_, rest)| rest.starts_with(['-', '.']));
    let own: Vec<&RuleGroup> = loaded.iter().filter(of_it).collect();
    if own.is_empty() {
        let any = loaded.iter().any(|g| groups.contains(&g.name.as_str()));
        return (!any).then_some(groups);
    }
    let missing: Vec<&str> = groups.into_iter().filter(|name| own.iter().all(|g| g.name != *name)).collect();
    (!missing.is_empty()).then_some(missing)
}

/// None of its groups is there, as far as they are known.
fn is_whole(snap: &Snapshot, meta: &Meta, missing: &[&str]) -> bool {
    group_names(snap, meta).is_none_or(|all| all.len() == missing.len())
}

fn finding(snap: &Snapshot, server: &MonitoringResource, missing: &[(&Meta, Vec<&str>)]) -> Finding {
    let reference = |meta: &Meta| Kind::PrometheusRule.reference(&meta.namespace, &meta.name);
    let (meta, groups) = &missing[0];
    let names: Vec<String> = missing.iter().map(|(r, _)| format!("{}/{}", r.namespace, r.name)).collect();
    let what = if names.len() == 1 { "PrometheusRule" } else { "PrometheusRules" };
    let lacks = match (names.len(), is_whole(snap, meta, groups)) {
        (1, false) => format!("lacks its group {}, as if it had not read the object's last change", groups.join(", ")),
        (1, true) => "has none of its groups".to_owned(),
        _ => "lacks groups of theirs".to_owned(),
    };
    let more = names.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "{what} {}{rest} {} selected by {}, and Prometheus {lacks}",
        names[..names.len() - more].join(", "),
        if names.len() == 1 { "is" } else { "are" },
        server_text(server),
    );
    let runtime = snap.prometheus_runtime().ok();
    let since = runtime.and_then(|r| r.last_config_time).map(|t| format!("; configuration of {t}")).unwrap_or_default();
    let path = "/api/v1/rules";
    let seen = crate::checks::support::scrape::api_evidence(
        snap,
        "Prometheus /api/v1/rules".to_owned(),
        format!("no group of it{since}"),
        path,
    );
    let object = Evidence::new(
        format!("PrometheusRule {}/{}", meta.namespace, meta.name),
        if groups.is_empty() { "selected".to_owned() } else { format!("groups {}", groups.join(", ")) },
        "kubectl get prometheusrule {{ name }} -n {{ namespace }} -o yaml",
    );
    let mut made = Finding::new(RuleNotLoaded::META.id, Severity::Error, reference(meta), message)
        .also_all(missing.iter().skip(1).map(|(r, _)| reference(r)))
        .key(format!("{} not-loaded", server.reference().key()))
        .depends_on(server.reference())
        .depends_on(server.set())
        .evidence(seen)
        .evidence(object.with("name", &meta.name).with("namespace", &meta.namespace))
        .fix(Fix::NotLoaded {
            rule: meta.name.clone(),
            namespace: meta.namespace.clone(),
            managed: managed_by(meta),
            server: server.metadata.name.clone(),
            server_namespace: server.metadata.namespace.clone(),
            operator: Operator::of(snap),
            loaded: Loaded::of(snap, Kind::PrometheusRule, &meta.namespace, &meta.name),
        });
    for (rule, _) in missing {
        made = made.depends_on(reference(rule));
    }
    for one in deployment::operators(snap) {
        made = made.depends_on(one.workload.reference());
    }
    made
}
