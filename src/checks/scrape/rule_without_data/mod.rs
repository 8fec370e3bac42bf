//! A rule reads what Prometheus does not have: it is evaluated without an error, and never has a result.

mod fix;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::scrape::rule_without_data::fix::{Correction, Fix, correct, correction, elsewhere};
use crate::checks::support::origin::ChangeJob;
use crate::checks::support::rule::rule_evidence;
use crate::checks::support::scrape::api_evidence;
use crate::checks::{Check, check};
use crate::domain::prometheus::exposed::{Hidden, Shown};
use crate::domain::prometheus::gateways::{self, Overwriting};
use crate::domain::prometheus::no_result::{Known, Nothing, Why};
use crate::domain::prometheus::operator::serves;
use crate::domain::prometheus::{origin, targets};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::monitoring::{Rule, RuleGroup};
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    RuleWithoutData {
        id: "rule-without-data", suite: Scrape, severity: Warning,
        title: "a rule reads what Prometheus does not have",
        requires: [PrometheusRules, PrometheusMetricNames],
        uses: [PrometheusTargets, PrometheusRuntime, PrometheusRuleNames, PrometheusRuleObjects, ConfigMaps, Workloads, Services, Pods, PrometheusConfig, PrometheusFlags, PrometheusAlerts],
        fix: Fix,
    }
}

/// Rules that are named in one line.
const NAMED: usize = 5;

impl Check for RuleWithoutData {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let known = Known::of(snap)?;
        let mut findings = Vec::new();
        let mut unexplained: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        // What comes with the stack is also about parts that nobody runs here.
        for group in snap.prometheus_rules()?.iter().filter(|g| !origin::is_of_the_stack(snap, &g.file)) {
            // One that fails says why itself.
            for rule in group.rules.iter().filter(|r| r.health != "err") {
                if fires(rule) {
                    let misnamed = known.misnamed(&rule.query);
                    if !misnamed.is_empty() {
                        findings.push(finding(snap, group, rule, &misnamed.iter().collect::<Vec<_>>()));
                    }
                    // What fires has a result.
                    continue;
                }
                let lacks = known.lacks(&rule.query);
                let told: Vec<&Nothing> = lacks.iter().filter(|n| n.why != Why::Absent).collect();
                if !told.is_empty() {
                    findings.push(finding(snap, group, rule, &told));
                } else if rule.kind == "alerting" {
                    for nothing in &lacks {
                        unexplained.entry(nothing.metric.clone()).or_default().insert(rule.name.clone());
                    }
                }
            }
        }
        findings.extend(gateways::overwriting(snap).iter().map(|job| overwriting(snap, job)));
        findings.extend(absent(snap, &unexplained));
        Ok(Diagnosis::Findings(findings))
    }
}

fn fires(rule: &Rule) -> bool {
    rule.alerts.iter().any(|a| a.state == "firing")
}

fn finding(snap: &Snapshot, group: &RuleGroup, rule: &Rule, lacks: &[&Nothing]) -> Finding {
    let alerting = rule.kind == "alerting";
    let words: Vec<String> = lacks.iter().map(|n| words(n)).collect();
    let effect = match alerting {
        true if fires(rule) => "probably fires for something that is there by another name",
        true => "cannot fire",
        false => "makes no data",
    };
    let kind = if alerting { "alert" } else { "recording rule" };
    let message = format!("{kind} {} of rule group {} {effect}: {}", rule.name, group.name, words.join("; "));
    let severity = if alerting { Severity::Warning } else { Severity::Info };
    let subject = ResourceRef::Rule { group: group.name.clone(), rule: rule.name.clone() };
    let seen = rule_evidence(snap, group, rule, &rule.query);
    let corrections: Vec<Correction> = lacks.iter().filter_map(|n| correction(n)).collect();
    let rules_path = targets::prometheus_path(snap, "/api/v1/rules");
    let fix = match lacks.iter().find(|n| n.why == Why::Unrecorded(None)) {
        Some(unrecorded) if corrections.is_empty() => Fix::Record {
            name: unrecorded.metric.clone(),
            expr: rule.query.clone(),
            rules_path,
            operated: serves(snap, "prometheusrules"),
            operated_by: origin::rule_object(snap, &group.file).map(|(name, namespace)| format!("{namespace}/{name}")),
        },
        _ if corrections.is_empty() => match lacks.iter().find_map(|n| elsewhere(snap, n)) {
            Some(fix) => fix,
            None => correct(snap, group, rule, lacks, corrections),
        },
        _ => correct(snap, group, rule, lacks, corrections),
    };
    let mut made = Finding::new(RuleWithoutData::META.id, severity, subject, message)
        .key(format!("{}/{}", group.name, rule.name))
        .fix(fix)
        .evidence(seen);
    for nothing in lacks {
        match &nothing.why {
            Why::Job { job, .. } => made = made.depends_on(ResourceRef::ScrapeJob { job: job.clone() }),
            Why::Hidden(hidden) => made.evidence.extend(shown(snap, hidden)),
            _ => {}
        }
    }
    made
}

/// Alerts that fire and have the namespace of kube-state-metrics for one that they are about.
fn misnamed_alerts(snap: &Snapshot, namespace: &str) -> Vec<String> {
    // They only show what it does.
    let alerts = journal::aside(|| snap.prometheus_alerts()).map(Vec::as_slice).unwrap_or_default().iter();
    let firing = alerts.filter(|a| a.state == "firing" && a.label("namespace") == namespace);
    let misnamed =
        firing.filter(|a| !matches!(a.label("exported_namespace"), "") && a.label("exported_namespace") != namespace);
    let mut names: Vec<String> =
        misnamed.map(|a| format!("{} (of namespace {})", a.name(), a.label("exported_namespace"))).collect();
    names.sort();
    names.dedup();
    names
}

/// All series of kube-state-metrics have the namespace of kube-state-metrics: no rule finds those of another one.
fn overwriting(snap: &Snapshot, job: &Overwriting<'_>) -> Finding {
    let moved: Vec<String> = job.labels.iter().map(|label| format!("exported_{label}")).collect();
    let message = format!(
        "job {} does not honour the labels of kube-state-metrics: each of its series has namespace=\"{}\", and what it is about is in {}; rules and dashboards that ask for a namespace find nothing, and alerts about them name namespace {}",
        job.pool,
        job.namespace,
        moved.join(", "),
        job.namespace
    );
    let subject = ResourceRef::ScrapeJob { job: job.pool.to_owned() };
    let seen = api_evidence(
        snap,
        format!("Prometheus' configuration, job {}", job.pool),
        "honor_labels is not set".to_owned(),
        "/api/v1/status/config",
    );
    // Alerts that name what measures instead of what is measured: who is told goes by their labels.
    let misnamed = misnamed_alerts(snap, job.namespace);
    let message = match misnamed.as_slice() {
        [] => message,
        some => format!("{message}. So do {} now, and routes by namespace miss them", some.join(", ")),
    };
    Finding::new(RuleWithoutData::META.id, Severity::Warning, subject, message)
        .key(format!("honor_labels {}", job.pool))
        .breaks_nothing()
        .evidence(seen)
        .fix(Fix::HonorLabels {
            pool: job.pool.to_owned(),
            asked: None,
            rules_path: targets::prometheus_path(snap, "/api/v1/rules"),
            at: Box::new(ChangeJob::of(snap, job.pool)),
        })
}

/// What kube-state-metrics is told to show.
fn shown(snap: &Snapshot, hidden: &Hidden) -> Option<Evidence> {
    let shown = Shown::of(snap)?;
    let value = match shown.named(hidden.argument) {
        none if none.is_empty() => format!("no --{}", hidden.argument),
        value => format!("--{}={value}", hidden.argument),
    };
    let template = "kubectl get {{ target }} -n {{ namespace }} -o jsonpath='{.spec.template.spec.containers[*].args}'";
    let workload = shown.workload;
    let seen = Evidence::new(format!("arguments of {}", workload.reference()), value, template);
    Some(seen.with("target", workload.reference().kubectl_name()).with("namespace", &workload.metadata.namespace))
}

/// A series of it may begin only when what it counts happens for the first time.
fn is_counter(metric: &str) -> bool {
    ["_total", "_count", "_bucket", "_sum"].iter().any(|end| metric.ends_with(end))
}

/// How a metric begins, where others begin alike and are there: whoever has it is scraped.
fn family(snap: &Snapshot, metric: &str) -> Option<String> {
    let (end, _) = metric.match_indices('_').nth(1)?;
    let prefix = &metric[..=end];
    let names = snap.prometheus_metric_names().ok()?;
    names.iter().any(|n| n.starts_with(prefix)).then(|| prefix.to_owned())
}

/// One line for all alerts whose metrics are not there, and nothing tells why.
fn absent(snap: &Snapshot, missing: &BTreeMap<String, BTreeSet<String>>) -> Option<Finding> {
    let rules: BTreeSet<&String> = missing.values().flatten().collect();
    let shown: Vec<String> = missing
        .iter()
        .take(NAMED)
        .map(|(metric, of)| match rules.len() {
            1 => metric.clone(),
            _ => format!("{metric} ({})", of.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
        })
        .collect();
    let more = missing.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let first = rules.first()?;
    let siblings: BTreeSet<String> = missing.keys().filter_map(|m| family(snap, m)).collect();
    let counted = missing.keys().any(|m| is_counter(m));
    let why = match siblings.first() {
        Some(first) => format!("others of {first}* are there, so the relabelling of their job may drop it"),
        None if counted => "what is counted may never have happened, or is not scraped".to_owned(),
        None => "what has it is not scraped, or does not show it".to_owned(),
    };
    let message = format!(
        "{} cannot fire yet: Prometheus has no {}{more}; {why}",
        if rules.len() == 1 { format!("alert {first}") } else { format!("{} alerts", rules.len()) },
        shown.join(", ")
    );
    let pattern: BTreeSet<&str> = missing.keys().map(|m| m.split(['_', ':']).next().unwrap_or(m)).collect();
    let fix = Fix::Supply {
        rules: rules.iter().map(|r| (*r).clone()).collect(),
        names_path: targets::prometheus_path(snap, "/api/v1/label/__name__/values"),
        rules_path: targets::prometheus_path(snap, "/api/v1/rules"),
        pattern: pattern.into_iter().collect::<Vec<_>>().join("|"),
        siblings,
        counted,
    };
    let subject = ResourceRef::Rule {
        group: String::new(),
        rule: rules.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", "),
    };
    let seen = api_evidence(
        snap,
        "Prometheus /api/v1/label/__name__/values".to_owned(),
        format!("not there: {}", missing.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
        "/api/v1/label/__name__/values",
    );
    let mut made =
        Finding::new(RuleWithoutData::META.id, Severity::Info, subject, message).key("absent").fix(fix).evidence(seen);
    made.breaks = Some(Vec::new());
    Some(made)
}

fn words(nothing: &Nothing) -> String {
    let metric = &nothing.metric;
    match &nothing.why {
        Why::Unrecorded(Some(near)) => format!("it reads {metric}, which no loaded rule records ({near} is recorded)"),
        Why::Unrecorded(None) => format!("it reads {metric}, which no loaded rule records"),
        Why::Renamed(now) => format!("it reads {metric}, which is called {now} now"),
        Why::Near(near) => format!("it reads {metric}, which Prometheus does not have ({near}?)"),
        Why::Suffixed(now) => {
            format!("it reads {metric}, which Prometheus has as {now}, with its unit or kind in the name")
        }
        Why::Whole { label, value, kept } => {
            format!("it asks {metric} for {label}={value:?}, which Prometheus 3 keeps as {label}={kept:?}")
        }
        Why::Label { label, now } => {
            format!("it asks {metric} for label {label}, which is called {now} since Kubernetes 1.16")
        }
        Why::Job { job, near } => format!("it asks {metric} for job={job:?}, and no target has that job ({near}?)"),
        Why::Hidden(hidden) if hidden.label.is_empty() => {
            format!(
                "it reads {metric}, and kube-state-metrics shows nothing of {} (--{})",
                hidden.resource, hidden.argument
            )
        }
        Why::Hidden(Hidden { resource, label, argument }) => format!(
            "it asks {metric} for label {label}, which kube-state-metrics does not show (--{argument} does not name it for {resource})"
        ),
        Why::LeftOut(argument) => {
            format!("it reads {metric}, which kube-state-metrics is told to leave out (--{argument})")
        }
        Why::Exported { job, pool, source } => format!(
            "it asks {metric} for job={job:?}, and no target has that job; what {source} passes on has its own job as exported_job, as job {pool} does not honour labels"
        ),
        Why::Absent => format!("it reads {metric}, which Prometheus does not have"),
    }
}
