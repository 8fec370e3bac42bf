//! A rule fails each time Prometheus evaluates it, or what it makes is thrown away.

mod lost;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::rule::{ChangeRule, rule_evidence};
use crate::checks::support::scrape::{Api, api_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{is_kind, workload};
use crate::domain::prometheus::duplicates::{Twice, alerts_on, services, twice};
use crate::domain::prometheus::origin::monitor_of;
use crate::domain::prometheus::targets::{self, Address};
use crate::model::{Cause, CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{Rule, RuleGroup, ScrapeTarget};

check! {
    /// See the check's page.
    RuleFailing {
        id: "rule-failing", suite: Scrape, severity: Error,
        title: "a rule fails each time it is evaluated",
        requires: [PrometheusRules],
        uses: [ComponentLogs, PrometheusMetrics, PrometheusTargets, PrometheusRuleObjects, ConfigMaps, Workloads, Services, Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    #[serde(flatten)]
    api: Api,
    #[serde(flatten)]
    at: ChangeRule,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Matching {
        expr: String,
    },
    /// kube-state-metrics is scraped twice.
    Twice {
        expr: String,
        metric: String,
        first: String,
        second: String,
        pool: String,
        monitor_kind: Option<&'static str>,
        monitor: Option<String>,
        monitor_namespace: Option<String>,
    },
    /// The same scrape finds two of it, so that the scrape itself has to stay.
    Replicas {
        expr: String,
        metric: String,
        first: String,
        second: String,
        pool: String,
        /// The one workload of both.
        workload: Option<String>,
        namespace: Option<String>,
        managed: String,
    },
    SameLabels {
        expr: String,
    },
    Limit {
        expr: String,
        group: String,
    },
    Timeout {
        expr: String,
    },
    Template,
    Slow {
        group: String,
        interval: String,
        /// Twice what it takes.
        longer: String,
    },
    /// What it makes is thrown away: another one writes the same series.
    Lost {
        record: String,
        /// Where the other one is kept; empty where none was found.
        twin: String,
        same_query: bool,
        query: String,
        twin_query: String,
    },
    Ahead {
        query: String,
        head: Api,
    },
    Other {
        expr: String,
    },
}

impl Check for RuleFailing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut findings = Vec::new();
        let groups = snap.prometheus_rules()?;
        for group in groups {
            for rule in &group.rules {
                findings.extend(evaluation(snap, group, rule));
                findings.extend(annotation(snap, group, rule));
            }
            findings.extend(slow(snap, group));
        }
        findings.extend(lost::all(snap, groups));
        Ok(Diagnosis::Findings(findings))
    }
}

/// Why an evaluation fails: what mends it, and the words for it.
fn reason(snap: &Snapshot, error: &str, group: &RuleGroup, rule: &Rule) -> (Way, String) {
    let expr = rule.query.clone();
    let has = |part: &str| error.contains(part);
    if has("many-to-many matching not allowed")
        && let Some(found) = twice(snap, error)
    {
        return of_two(snap, found, expr);
    }
    if has("many-to-many matching not allowed") {
        let side = if has("on the left hand-side") { "left" } else { "right" };
        return (
            Way::Matching { expr },
            format!("many-to-many matching: several series on the {side} side match one on the other"),
        );
    }
    if has("matching must be explicit") {
        let kind = if has("one-to-many") { "one-to-many" } else { "many-to-one" };
        return (Way::Matching { expr }, format!("{kind} matching must be explicit (group_left or group_right)"));
    }
    if has("same labelset") {
        return (Way::SameLabels { expr }, "its result has several series with the same labelset".into());
    }
    if has("exceeded limit of") {
        return (Way::Limit { expr, group: group.name.clone() }, format!("it {error}: the group's limit"));
    }
    if has("timed out in query queue") {
        return (Way::Timeout { expr }, "its query waits for others until it is given up (query queue)".into());
    }
    if has("query timed out") || has("context deadline exceeded") {
        return (Way::Timeout { expr }, "its query timed out".into());
    }
    if has("too many samples") {
        return (Way::Timeout { expr }, "its query loads too many samples".into());
    }
    (Way::Other { expr }, error.lines().next().unwrap_or_default().to_owned())
}

/// Two targets say the same. What is not of the stack's own namespace is the one to leave out.
fn of_two(snap: &Snapshot, found: Twice<'_>, expr: String) -> (Way, String) {
    let name = |t: &ScrapeTarget| {
        let service = t.labels.get("service").map(|s| format!(" (Service {s})")).unwrap_or_default();
        format!("{}{service}", t.labels.get("instance").map_or("", String::as_str))
    };
    let [first, second] = found.targets;
    let why = format!(
        "kube-state-metrics is scraped twice, so that {} has each series from {} and from {}",
        found.metric,
        name(first),
        name(second)
    );
    if first.scrape_pool == second.scrape_pool {
        return (replicas(snap, &found, [name(first), name(second)], expr), why);
    }
    let monitor = monitor_of(&second.scrape_pool);
    let way = Way::Twice {
        expr,
        metric: found.metric,
        first: name(first),
        second: name(second),
        pool: second.scrape_pool.clone(),
        monitor_kind: monitor.as_ref().map(|m| m.kind),
        monitor_namespace: monitor.as_ref().map(|m| m.namespace.clone()),
        monitor: monitor.map(|m| m.name),
    };
    (way, why)
}

/// Two of one scrape: without the monitor none would be left.
fn replicas(snap: &Snapshot, found: &Twice<'_>, [first, second]: [String; 2], expr: String) -> Way {
    let behind = |target: &ScrapeTarget| {
        let address = Address::parse(&target.scrape_url)?;
        let (namespace, pod) = targets::pod_of(snap, target, &address)?;
        Some(snap.owner_ref(snap.pods.find(&namespace, &pod).ok().flatten()?))
    };
    let [a, b] = found.targets.map(behind);
    let one = a.filter(|a| b.as_ref() == Some(a) && is_kind(a, &["Deployment", "StatefulSet"]));
    let known = one.as_ref().and_then(|o| workload(snap, o));
    Way::Replicas {
        expr,
        metric: found.metric.clone(),
        first,
        second,
        pool: found.targets[0].scrape_pool.clone(),
        workload: known.and(one.as_ref()).map(ResourceRef::kubectl_name),
        namespace: known.map(|w| w.metadata.namespace.clone()),
        managed: known.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
    }
}

/// `; alert A reads it`.
fn readers(snap: &Snapshot, rule: &Rule) -> String {
    let groups = snap.prometheus_rules().map(Vec::as_slice).unwrap_or_default();
    let alerts: Vec<&str> = alerts_on(groups, &rule.name).into_iter().collect();
    match alerts.as_slice() {
        [] => String::new(),
        [one] => format!("; alert {one} reads it"),
        [first, rest @ ..] => format!("; alert {first} and {} more read it", rest.len()),
    }
}

fn evaluation(snap: &Snapshot, group: &RuleGroup, rule: &Rule) -> Option<Finding> {
    let error = rule.last_error.as_deref().filter(|e| rule.health == "err" && !e.is_empty())?;
    let (way, why) = reason(snap, error, group, rule);
    let alerting = rule.kind == "alerting";
    let message = if alerting {
        format!("alert {} of rule group {} cannot fire: {why}", rule.name, group.name)
    } else {
        let readers = readers(snap, rule);
        format!("recording rule {} of rule group {} makes no data: {why}{readers}", rule.name, group.name)
    };
    // A slow query may succeed the next time; one that does not match never will.
    let severity = if alerting && !matches!(way, Way::Timeout { .. }) { Severity::Error } else { Severity::Warning };
    let evidence = rule_evidence(snap, group, rule, error);
    let mut made = finding(snap, severity, group, rule, way, message).evidence(evidence);
    // Two of one thing break each rule that joins with it.
    if let Some(found) = error.contains("many-to-many").then(|| twice(snap, error)).flatten() {
        let mut from = found.targets.map(|t| t.scrape_url.as_str());
        from.sort_unstable();
        let what = format!("several rules fail: {why}");
        made = made.cause(Cause::keyed(format!("twice {}", from.join(" ")), what));
    }
    // One that is there for no good reason says why there are two.
    Some(services(error).iter().fold(made, |made, (ns, name)| made.depends_on(ResourceRef::service(ns, name))))
}

/// A template that fails only when the alert fires: the text of the notification is the error.
fn annotation(snap: &Snapshot, group: &RuleGroup, rule: &Rule) -> Option<Finding> {
    let broken = |text: &str| text.contains("<error expanding template:");
    let mut all = rule.alerts.iter().flat_map(|a| a.annotations.iter().chain(&a.labels));
    let (name, text) = all.find(|(_, text)| broken(text))?;
    let inner = text.split("error expanding template: ").nth(1).unwrap_or(text).trim_end_matches('>');
    // The template's name and the place in it say nothing that the rule does not.
    let why = inner.rsplit_once(" at <").map_or(inner, |(_, why)| why).replacen(">:", ":", 1);
    let message = format!("annotation {name} of alert {} is an error text: its template fails at {why}", rule.name);
    let source = format!("Prometheus /api/v1/rules, alert {} annotation {name}", rule.name);
    let evidence = api_evidence(snap, source, text.clone(), "/api/v1/rules");
    Some(finding(snap, Severity::Warning, group, rule, Way::Template, message).evidence(evidence))
}

/// A group that takes longer than its interval: evaluations are left out.
fn slow(snap: &Snapshot, group: &RuleGroup) -> Option<Finding> {
    if group.interval <= 0.0 || group.evaluation_time <= group.interval {
        return None;
    }
    let missed = missed(snap, group);
    // One slow evaluation is no fault; where the counter is there, it decides.
    if missed == Some(0.0) {
        return None;
    }
    let counted = missed.map_or(String::new(), |n| format!("; {n} evaluations missed so far"));
    let message = format!(
        "rule group {} takes {:.1} s, longer than its interval of {} s{counted}",
        group.name, group.evaluation_time, group.interval
    );
    let source = format!("Prometheus /api/v1/rules, group {} ({})", group.name, group.file);
    let value = format!("evaluationTime {:.3} s, interval {} s", group.evaluation_time, group.interval);
    let evidence = api_evidence(snap, source, value, "/api/v1/rules");
    let way = Way::Slow {
        group: group.name.clone(),
        interval: format!("{}s", group.interval),
        longer: format!("{}s", (group.evaluation_time * 2.0).ceil().max(1.0)),
    };
    Some(finding(snap, Severity::Warning, group, &Rule::default(), way, message).evidence(evidence))
}

/// `prometheus_rule_group_iterations_missed_total` of a group.
fn missed(snap: &Snapshot, group: &RuleGroup) -> Option<f64> {
    let samples = snap.prometheus_metrics().ok()?;
    let key = format!("{};{}", group.file, group.name);
    let mine = samples.iter().find(|s| {
        s.name == "prometheus_rule_group_iterations_missed_total" && s.labels.get("rule_group") == Some(&key)
    });
    mine.map(|s| s.value)
}

fn finding(snap: &Snapshot, severity: Severity, group: &RuleGroup, rule: &Rule, way: Way, message: String) -> Finding {
    let subject = ResourceRef::Rule { group: group.name.clone(), rule: rule.name.clone() };
    let word = if rule.name.is_empty() { &group.name } else { &rule.name };
    let mut at = ChangeRule::of(snap, group, word);
    // The group's own word for it says more than its name.
    at.file.clone_from(&group.file);
    let mut made = Finding::new(RuleFailing::META.id, severity, subject, message).fix(Fix {
        api: Api::of(snap, "/api/v1/rules"),
        at,
        way,
    });
    made.key = format!("{}/{}/{}", group.name, rule.name, made.variant);
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use serde_json::{Value, json};

    fn with(groups: Value) -> Snapshot {
        let mut snap = snapshot(json!({}));
        *snap.prometheus_rules = Ok(serde_json::from_value(groups).expect("are rule groups"));
        snap
    }

    #[test]
    fn rules_that_work_and_slow_ones_that_missed_nothing_are_quiet() {
        let mut snap = with(json!([
            {"name": "g", "file": "/r/a.yml", "interval": 30, "evaluationTime": 31, "rules": [
                {"name": "up:sum", "type": "recording", "health": "ok"},
                {"name": "New", "type": "alerting", "health": "unknown", "lastError": null},
                {"name": "Down", "type": "alerting", "health": "ok", "alerts": [{"annotations": {"summary": "<b>is down</b>"}}]},
            ]},
        ]));
        *snap.prometheus_metrics = Ok(vec![crate::snapshot::monitoring::Sample {
            name: "prometheus_rule_group_iterations_missed_total".into(),
            labels: [("rule_group".to_owned(), "/r/a.yml;g".to_owned())].into(),
            value: 0.0,
        }]);
        assert!(findings(&RuleFailing, &snap).is_empty());
    }

    #[test]
    fn failures_are_told_apart() {
        let snap = with(json!([{"name": "g", "file": "/r/a.yml", "interval": 30, "rules": [
            {"name": "a", "type": "recording", "health": "err", "lastError": "vector cannot contain metrics with the same labelset"},
            {"name": "B", "type": "alerting", "health": "err", "lastError": "exceeded limit of 1 with 2 series"},
            {"name": "c", "type": "recording", "health": "err", "lastError": "query timed out in expression evaluation"},
            {"name": "D", "type": "alerting", "health": "ok", "alerts": [{"annotations": {
                "summary": "<error expanding template: error executing template __alert_D: template: __alert_D:1:122: executing \"__alert_D\" at <.Labels.x.y>: can't evaluate field y in type string>"}}]},
        ]}]));
        let found = findings(&RuleFailing, &snap);
        let variants: Vec<_> = found.iter().map(|f| (f.variant, f.severity)).collect();
        assert_eq!(
            variants,
            [
                ("same-labels", Severity::Warning),
                ("limit", Severity::Error),
                ("timeout", Severity::Warning),
                ("template", Severity::Warning)
            ]
        );
        assert!(found[3].message.contains(".Labels.x.y: can't evaluate field y"), "{}", found[3].message);
    }

    #[test]
    fn two_of_one_scrape_keep_their_monitor() {
        const ERROR: &str = r#"found duplicate series for the match group {pod="a"} on the right hand-side of the operation: [{__name__="kube_pod_owner", instance="10.0.0.1:8080", job="ksm", pod="a"}, {__name__="kube_pod_owner", instance="10.0.0.2:8080", job="ksm", pod="a"}];many-to-many matching not allowed: matching labels must be unique on one side"#;
        let variants = |pools: [&str; 2]| {
            let mut snap = with(json!([{"name": "g", "file": "/r/a.yml", "interval": 30, "rules": [
                {"name": "a", "type": "recording", "health": "err", "query": "up", "lastError": ERROR}]}]));
            let target = |n: usize| {
                json!({"labels": {"instance": format!("10.0.0.{}:8080", n + 1), "job": "ksm"},
                "scrapeUrl": format!("http://10.0.0.{}:8080/metrics", n + 1), "scrapePool": pools[n], "health": "up"})
            };
            *snap.prometheus_targets = Ok(serde_json::from_value(json!([target(0), target(1)])).expect("are targets"));
            let found = findings(&RuleFailing, &snap);
            (found[0].variant, steps(&found[0]).contains("kubectl edit servicemonitor"))
        };
        let monitor = |name: &str| format!("serviceMonitor/monitoring/{name}/0");
        assert_eq!(variants([&monitor("ksm"), &monitor("ksm")]), ("replicas", false));
        assert_eq!(variants([&monitor("ksm"), &monitor("other")]), ("twice", true));
    }
}
