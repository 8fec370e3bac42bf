//! A rule's condition can never hold, whatever is measured.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::ChangeJob;
use crate::checks::support::rule::{ChangeRule, rule_evidence};
use crate::checks::support::scrape::api_evidence;
use crate::checks::{Check, check};
use crate::domain::prometheus::never::{Never, never};
use crate::domain::prometheus::reads::reads;
use crate::domain::prometheus::window::{TooShort, too_short};
use crate::domain::prometheus::{origin, targets};
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{Rule, RuleGroup};

check! {
    /// See the check's page.
    AlertNeverFires {
        id: "alert-never-fires", suite: Alerting, severity: Warning,
        title: "an alert's condition can never hold",
        requires: [PrometheusRules],
        uses: [PrometheusRuleObjects, PrometheusRuleNames, ConfigMaps, Workloads, Services, Pods, PrometheusTargets, PrometheusFlags],
        fix: Fix,
    }
}

/// See the page's fixes.
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
    Quantile {
        expr: String,
        aggregation: String,
        meant: String,
        rules_path: Option<String>,
        #[serde(flatten)]
        at: Box<ChangeRule>,
    },
    Window {
        expr: String,
        selector: String,
        window: String,
        wanted: String,
        often: String,
        interval: String,
        job: String,
        rules_path: Option<String>,
        #[serde(flatten)]
        at: Box<ChangeRule>,
    },
    Interval {
        job: String,
        interval: String,
        shorter: &'static str,
        rules: Vec<String>,
        rules_path: Option<String>,
        #[serde(flatten)]
        at: Box<ChangeJob>,
    },
}

/// Rules of one job whose windows are too short, from which on the job's interval is what to change.
const MANY: usize = 3;
/// Rules that are named in one line.
const NAMED: usize = 5;

impl Check for AlertNeverFires {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = || snap.prometheus_rules().into_iter().flatten().flat_map(|g| g.rules.iter().map(move |r| (g, r)));
        snap.prometheus_rules()?;
        let mut found: Vec<Finding> = all().filter_map(|(group, rule)| of_form(snap, group, rule)).collect();
        let mut by_job: BTreeMap<&str, Vec<Short<'_>>> = BTreeMap::new();
        let mut of_any: Vec<Short<'_>> = Vec::new();
        // What raises an alert has a result.
        for (group, rule) in all().filter(|(_, rule)| rule.alerts.is_empty()) {
            let Some(window) = too_short(snap, &rule.query) else { continue };
            let short = Short { group, rule, window };
            if short.window.of_any {
                of_any.push(short);
            } else {
                by_job.entry(short.window.target.job()).or_default().push(short);
            }
        }
        for (job, short) in by_job {
            // Rules of the stack are written for its own intervals.
            let is_of_job = short.len() >= MANY || short.iter().any(|s| origin::is_of_the_stack(snap, &s.group.file));
            if is_of_job {
                found.extend(of_interval(snap, job, &short));
            } else {
                found.extend(short.iter().map(|s| of_window(snap, s)));
            }
        }
        let shared = of_all_jobs(&of_any);
        found.extend(of_any.iter().map(|short| {
            let made = of_window(snap, short);
            match &shared {
                Some(cause) => made.cause(cause.clone()),
                None => made,
            }
        }));
        Ok(Diagnosis::Findings(found))
    }
}

/// What many rules have in common that name no job; `None` where there are few.
fn of_all_jobs(short: &[Short<'_>]) -> Option<Cause> {
    let first = short.first().filter(|_| short.len() >= MANY)?;
    let about = format!(
        "no job is scraped more often than every {}, and {} rules have no result: their windows are no longer than that and hold no second sample ({})",
        first.window.target.scrape_interval,
        short.len(),
        listed(short)
    );
    Some(Cause::keyed("interval of all jobs", about))
}

/// `A, B, C, D, E and 3 more`.
fn listed(short: &[Short<'_>]) -> String {
    let names: Vec<&str> = short.iter().take(NAMED).map(|s| s.rule.name.as_str()).collect();
    let more = short.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// A rule and its window.
struct Short<'a> {
    group: &'a RuleGroup,
    rule: &'a Rule,
    window: TooShort<'a>,
}

/// What the form of its expression alone says.
fn of_form(snap: &Snapshot, group: &RuleGroup, rule: &Rule) -> Option<Finding> {
    let never = never(&rule.query)?;
    // A record that counts what is not there is meant to have no result.
    if rule.kind != "alerting" && matches!(never, Never::Count { .. }) {
        return None;
    }
    let rules_path = targets::prometheus_path(snap, "/api/v1/rules");
    let (expr, at) = (rule.query.clone(), Box::new(ChangeRule::of(snap, group, &rule.name)));
    let (why, fix) = match never {
        Never::Count { meant, is_part } => (
            "where there is nothing to count, count() has no result, and never 0".to_owned(),
            Fix::Count { expr, meant, is_part, rules_path, at },
        ),
        Never::Quantile { aggregation, meant } => (
            "histogram_quantile() reads the bounds of the buckets from label le, which its aggregation drops"
                .to_owned(),
            Fix::Quantile { expr, aggregation, meant, rules_path, at },
        ),
    };
    Some(made(snap, group, rule, &why).fix(fix))
}

fn of_window(snap: &Snapshot, short: &Short<'_>) -> Finding {
    let Short { group, rule, window } = short;
    let interval = &window.target.scrape_interval;
    let named = window.target.labels.get("job").cloned().unwrap_or_default();
    let job = if window.of_any { String::new() } else { named };
    let who = if window.of_any {
        format!("no job is scraped more often than every {interval}")
    } else {
        format!("job {job} is scraped every {interval}")
    };
    let why = format!(
        "{}() needs two samples, and {who}, so that its window of {} holds one",
        window.function, window.window
    );
    let pool = window.target.job();
    let of_job = (!window.of_any).then(|| ResourceRef::ScrapeJob { job: pool.to_owned() });
    let seen = format!("scrape interval of {}: {interval}", window.target.scrape_url);
    made(snap, group, rule, &why).depends_on_all(of_job).evidence(targets_evidence(snap, pool, seen)).fix(Fix::Window {
        expr: rule.query.clone(),
        selector: window.selector.clone(),
        window: window.window.clone(),
        wanted: window.wanted.clone(),
        often: window.often.clone(),
        interval: interval.clone(),
        job,
        rules_path: targets::prometheus_path(snap, "/api/v1/rules"),
        at: Box::new(ChangeRule::of(snap, group, &rule.name)),
    })
}

/// Many rules of one job: it is the job that is unlike what they were written for.
fn of_interval(snap: &Snapshot, pool: &str, short: &[Short<'_>]) -> Option<Finding> {
    let target = short.first()?.window.target;
    let names: Vec<String> = short.iter().map(|s| s.rule.name.clone()).collect();
    let message = format!(
        "job {pool} is scraped every {}, and {} rules that read it have no result: their windows are no longer than that and hold no second sample ({})",
        target.scrape_interval,
        names.len(),
        listed(short)
    );
    let lines: Vec<String> = short.iter().take(NAMED).map(|s| s.rule.query.clone()).collect();
    let rules = api_evidence(snap, "Prometheus /api/v1/rules".to_owned(), lines.join("\n"), "/api/v1/rules");
    let interval = format!("scrape interval of {}: {}", target.scrape_url, target.scrape_interval);
    let subject = ResourceRef::ScrapeJob { job: pool.to_owned() };
    Some(
        Finding::new(AlertNeverFires::META.id, Severity::Warning, subject.clone(), message)
            .key(format!("interval {pool}"))
            .breaks_nothing()
            .depends_on(subject)
            .evidence(targets_evidence(snap, pool, interval))
            .evidence(rules)
            .fix(Fix::Interval {
                job: pool.to_owned(),
                interval: target.scrape_interval.clone(),
                shorter: "30s",
                rules: names,
                rules_path: targets::prometheus_path(snap, "/api/v1/rules"),
                at: Box::new(ChangeJob::of(snap, pool)),
            }),
    )
}

fn targets_evidence(snap: &Snapshot, pool: &str, value: String) -> Evidence {
    let asked: String = url::form_urlencoded::byte_serialize(pool.as_bytes()).collect();
    let path = format!("/api/v1/targets?state=active&scrapePool={asked}");
    api_evidence(snap, format!("Prometheus /api/v1/targets, job {pool}"), value, &path)
}

fn made(snap: &Snapshot, group: &RuleGroup, rule: &Rule, why: &str) -> Finding {
    let is_alert = rule.kind == "alerting";
    let (kind, effect) = if is_alert { ("alert", "can never fire") } else { ("recording rule", "never has a result") };
    let readers = if is_alert { String::new() } else { readers(snap, &rule.name) };
    let message = format!("{kind} {} of rule group {} {effect}: {why}{readers}", rule.name, group.name);
    let seen = rule_evidence(snap, group, rule, &rule.query);
    let subject = ResourceRef::Rule { group: group.name.clone(), rule: rule.name.clone() };
    Finding::new(AlertNeverFires::META.id, Severity::Warning, subject, message)
        .key(format!("{}/{}", group.name, rule.name))
        .breaks_nothing()
        .evidence(seen)
}

/// Alerts that read a record: `; alert A cannot fire`.
fn readers(snap: &Snapshot, record: &str) -> String {
    let all = snap.prometheus_rules().into_iter().flatten().flat_map(|g| &g.rules);
    let alerts: Vec<&str> = all
        .filter(|r| r.kind == "alerting" && reads(&r.query).iter().any(|read| read.metric == record))
        .map(|r| r.name.as_str())
        .take(NAMED)
        .collect();
    match alerts.as_slice() {
        [] => String::new(),
        [one] => format!("; alert {one} reads it"),
        all => format!("; alerts {} read it", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::{snapshot, up};

    /// What is found of rules with a window of a minute, where all is scraped each minute.
    fn of_rules(rules: &[Value]) -> Vec<Finding> {
        let mut target = up("web", "http://10.0.0.7:80/metrics");
        target["labels"] = json!({"job": "web"});
        target["scrapeInterval"] = json!("1m");
        let mut snap = snapshot(json!({"targets": [target]}));
        let group = json!({"name": "g", "file": "/etc/rules/g.yml", "rules": rules});
        *snap.prometheus_rules = Ok(vec![serde_json::from_value(group).expect("a group")]);
        *snap.prometheus_flags = Ok(BTreeMap::new());
        findings(&AlertNeverFires, &snap)
    }

    fn rule(name: &str, alerts: &Value) -> Value {
        json!({"name": name, "query": "rate(x_total[1m]) > 0", "type": "alerting", "health": "ok", "alerts": alerts})
    }

    #[test]
    fn many_rules_that_name_no_job_have_one_cause() {
        let none = json!([]);
        let many = of_rules(&[rule("A", &none), rule("B", &none), rule("C", &none)]);
        let causes: Vec<&Cause> = many.iter().filter_map(|f| f.cause.as_ref()).collect();
        assert_eq!(many.len(), causes.len());
        assert!(causes.iter().all(|c| c.message.contains("3 rules have no result") && c.message.contains("(A, B, C)")));
        let few = of_rules(&[rule("A", &none), rule("B", &none)]);
        assert!(few.len() == 2 && few.iter().all(|f| f.cause.is_none()));
    }

    #[test]
    fn what_raises_an_alert_has_a_result() {
        assert_eq!(of_rules(&[rule("A", &json!([{"state": "pending"}]))]).len(), 0);
    }
}
