//! Grafana's own alerting: a rule cannot be evaluated, or a contact point does not take what is sent.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::grafana::{At, none_runs, of_pod, running};
use crate::checks::support::seen::{line_evidence, log_evidence};
use crate::checks::support::services;
use crate::checks::{Check, check};
use crate::domain::alertmanager::group::{Group, groups};
use crate::domain::alertmanager::log::failures_of;
use crate::domain::grafana::provisioned::Instance;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::text::lasting::SEVERAL;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::redact::redact;
use crate::domain::text::shape::shape;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;
use crate::snapshot::monitoring::ContainerLog;

check! {
    /// See the check's page.
    GrafanaAlerting {
        id: "grafana-alerting", suite: Grafana, severity: Error,
        title: "Grafana's own alerts are not evaluated or not delivered",
        requires: [ConfigMaps, Workloads, ComponentLogs],
        uses: [Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    ContactPoint {
        #[serde(flatten)]
        at: At,
        receiver: String,
        detail: String,
        advice: String,
    },
    /// What switches the mail on is written by another name.
    Mail {
        #[serde(flatten)]
        at: At,
        receiver: String,
        detail: String,
        /// As it is written.
        word: String,
        config_map: String,
        config_namespace: String,
        /// Who keeps the ConfigMap; empty where nobody does.
        managed_by: String,
    },
    Replicas {
        #[serde(flatten)]
        at: At,
        managed_by: String,
        /// The chart calls its headless Service after it.
        workload: String,
    },
    Rule {
        #[serde(flatten)]
        at: At,
        rules: Vec<String>,
        detail: String,
        no_source: bool,
        /// What the words mean; empty where they say it.
        advice: &'static str,
    },
}

/// Seconds for which an evaluation that failed counts: rules are evaluated every minute or so.
const RECENT: i64 = 1800;
/// Seconds for which an alert counts that was sent.
const SENT: i64 = 6 * 3600;
/// What is said of a rule's queries, and what it means.
const OF_RULES: &[(&str, &str)] = &[
    (
        "input data must be a wide series but got type long",
        "The query gives a table, or rows with a label in a column, and the rule wants numbers: for SQL choose the format Table without a time column (each other column is a label, one is the number), or Time series ordered by time; for Prometheus and Loki make it an instant query. A range needs a Reduce before the threshold.",
    ),
    (
        "looks like time series data, only reduced data can be alerted on",
        "The query gives a range, and the condition wants one number for each series: put an expression Reduce (last, mean) between the two, or make it an instant query.",
    ),
    (
        "frame cannot uniquely be identified by its labels",
        "Two rows of the result have the same labels: group the query by what tells them apart, or aggregate it (`sum by (…)`).",
    ),
    (
        "duplicate results with labels",
        "Two series of the result have the same labels: aggregate the query by the labels that are to stay (`sum by (…)`).",
    ),
];
/// Where grafana.ini says how its replicas find each other.
const SECTION: &str = "unified_alerting";

impl Check for GrafanaAlerting {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let Some(instances) = running(snap)? else { return Ok(none_runs()) };
        let logs = snap.logs_of(Program::Grafana)?;
        let mut findings: Vec<Finding> = groups(failures_of(snap, Program::Grafana))
            .iter()
            .filter_map(|g| Some(undelivered(snap, of_pod(snap, &instances, &g.sample.pod)?, g)))
            .collect();
        for log in logs.into_iter().filter(|l| !l.previous) {
            let Some(instance) = of_pod(snap, &instances, &log.pod) else { continue };
            findings.extend(failing_rules(snap, log).values().filter_map(|f| unevaluated(instance, log, f)));
        }
        findings.extend(instances.iter().filter_map(|i| each_for_itself(snap, *i)));
        Ok(Diagnosis::Findings(findings))
    }
}

/// What a replica writes when it hands an alert to its own Alertmanager, or that one sends it on.
const SENDS: &[&str] = &["Sending alerts to local notifier", "Notify success", "Notify for alerts failed"];

/// The last line of a log that says so.
fn sent<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Option<&'a str> {
    log.text.lines().rev().find(|raw| {
        let line = Line::parse(raw);
        let of_alerting = line.get("logger").starts_with("ngalert") && SENDS.contains(&line.msg.as_str());
        of_alerting && line.written_at(snap.collected_at).is_some_and(|t| snap.seconds_since(t) <= SENT)
    })
}

/// Several replicas that do not know each other: each sends every alert.
fn each_for_itself(snap: &Snapshot, instance: Instance<'_>) -> Option<Finding> {
    let pods = instance.pods(snap);
    let ready = pods.iter().filter(|p| p.is_ready()).count();
    // An update runs two for a moment.
    if ready < 2
        || instance.workload.desired() < 2
        || ["ha_peers", "ha_redis_address"].iter().any(|k| instance.setting(snap, SECTION, k) != Ok(None))
    {
        return None;
    }
    let logs = snap.logs_of(Program::Grafana).ok()?;
    let own = logs.iter().filter(|l| !l.previous && pods.iter().any(|p| p.metadata.name == l.pod));
    let senders: Vec<(&ContainerLog, String)> = own.filter_map(|l| Some((*l, sent(snap, l)?.to_owned()))).collect();
    let [(log, _), _, ..] = senders.as_slice() else { return None };
    let message = format!(
        "each of the {ready} replicas of Grafana ({}) sends every alert of its own rules: they do not know each other (no ha_peers)",
        instance.kubectl_name()
    );
    let fix = Fix::Replicas {
        at: At::of(instance, &log.container),
        managed_by: managed_by(&instance.workload.metadata),
        workload: instance.workload.metadata.name.clone(),
    };
    let made = Finding::new(GrafanaAlerting::META.id, Severity::Warning, instance.reference(), message)
        .key(format!("replicas {}", instance.reference().key()))
        .breaks_nothing();
    let made = senders.iter().take(2).fold(made, |made, (log, line)| made.evidence(line_evidence(log, line)));
    Some(made.fix(fix))
}

fn undelivered(snap: &Snapshot, instance: Instance<'_>, group: &Group) -> Finding {
    let sample = &group.sample;
    let detail = redact(&sample.cause);
    let receiver = if sample.receiver.is_empty() { "<contact point>" } else { &sample.receiver };
    let count = match group.lost {
        1 => "1 notification was lost in the last hour".to_owned(),
        n => format!("{n} notifications were lost in the last hour"),
    };
    let message = format!(
        "contact point {receiver} ({}) of Grafana ({}) does not take what is sent: {detail}; {count}",
        sample.integration,
        instance.kubectl_name()
    );
    let severity = if group.lost > 0 { Severity::Error } else { Severity::Warning };
    let container = &instance.container.name;
    let at = At::of(instance, container);
    let fix = match misspelt(snap, instance, &sample.cause) {
        Some((map, word)) => Fix::Mail {
            at,
            receiver: receiver.to_owned(),
            detail,
            word: word.to_owned(),
            config_map: map.metadata.name.clone(),
            config_namespace: map.metadata.namespace.clone(),
            managed_by: managed_by(&map.metadata),
        },
        None => Fix::ContactPoint {
            at,
            receiver: receiver.to_owned(),
            advice: services::advice(&sample.integration, &sample.cause).to_owned(),
            detail,
        },
    };
    Finding::new(GrafanaAlerting::META.id, severity, ResourceRef::Receiver { name: receiver.to_owned() }, message)
        .key(format!("notify {receiver}/{}/{:?}", sample.integration, group.reason))
        .evidence(log_evidence(&sample.namespace, &sample.pod, container, false, &sample.cause))
        .fix(fix)
}

/// What switches the mail on, where it is written by another name: the ConfigMap, and how it is written there.
fn misspelt<'a>(snap: &'a Snapshot, instance: Instance<'a>, cause: &str) -> Option<(&'a ConfigMap, &'a str)> {
    let is_off = cause.contains("SMTP not configured");
    if !is_off || instance.setting(snap, "smtp", "enabled").is_ok_and(|s| s.is_some()) {
        return None;
    }
    instance.slip(snap, "smtp", "enabled")
}

/// Rules that fail in one way.
#[derive(Default)]
struct Failing {
    rules: BTreeSet<String>,
    times: usize,
    error: String,
    line: String,
}

fn failing_rules(snap: &Snapshot, log: &ContainerLog) -> BTreeMap<String, Failing> {
    let mut found: BTreeMap<String, Failing> = BTreeMap::new();
    for line in log.text.lines().map(Line::parse).filter(|l| l.level == Level::Error) {
        let recent = !line.is_older(snap.collected_at, RECENT);
        let fails =
            line.msg.starts_with("Failed to evaluate rule") || line.msg.starts_with("Failed to build rule evaluator");
        if !recent || !fails || !line.get("logger").starts_with("ngalert") {
            continue;
        }
        let failing = found.entry(shape(&line.err)).or_default();
        failing.times += 1;
        failing.rules.insert(line.get("rule_uid").to_owned());
        failing.error.clone_from(&line.err);
        line.raw.clone_into(&mut failing.line);
    }
    found
}

fn unevaluated(instance: Instance<'_>, log: &ContainerLog, failing: &Failing) -> Option<Finding> {
    if failing.times < SEVERAL {
        return None;
    }
    let rules: Vec<String> = failing.rules.iter().filter(|r| !r.is_empty()).take(5).cloned().collect();
    let detail = redact(&failing.error);
    let count = match failing.rules.len() {
        1 => "an alert rule".to_owned(),
        n => format!("{n} alert rules"),
    };
    let message = format!(
        "{count} of Grafana ({}) cannot be evaluated ({}): {detail}",
        instance.kubectl_name(),
        rules.join(", ")
    );
    let fix = Fix::Rule {
        at: At::of(instance, &log.container),
        rules,
        no_source: detail.contains("data source not found"),
        advice: OF_RULES.iter().find(|(words, _)| detail.contains(*words)).map_or("", |(_, advice)| *advice),
        detail,
    };
    Some(
        Finding::new(GrafanaAlerting::META.id, Severity::Warning, instance.reference(), message)
            .key(format!("rule {}", shape(&failing.error)))
            .breaks_nothing()
            .evidence(line_evidence(log, &failing.line))
            .fix(fix),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::grafana::{grafana, snapshot};

    fn with(line: &str, times: usize) -> Vec<Finding> {
        let mut snap = snapshot(json!({"workloads": [grafana(json!({}))]}));
        *snap.component_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "grafana-1".into(),
            container: "grafana".into(),
            program: Some(Program::Grafana),
            text: format!("{line}\n").repeat(times).into(),
            ..ContainerLog::default()
        }]);
        findings(&GrafanaAlerting, &snap)
    }

    const RULE: &str = "logger=ngalert.scheduler rule_uid=abc org_id=1 t=2026-11-21T01:55:00Z level=error msg=\"Failed to evaluate rule\" error=\"failed to build query 'A': data source not found\" attempt=3";

    #[test]
    fn a_hiccup_and_the_past_are_quiet() {
        assert!(with(RULE, 2).is_empty());
        assert!(with(&RULE.replace("01:55", "00:55"), 9).is_empty());
    }

    #[test]
    fn rules_and_contact_points_are_told() {
        let rule = with(RULE, 3);
        assert!(rule[0].message.contains("data source not found"), "{}", rule[0].message);
        let notify = with(
            "logger=ngalert.notifier t=2026-11-21T01:55:00Z level=error component=dispatcher msg=\"Notify for alerts failed\" num_alerts=1 err=\"oncall/telegram[0]: notify retry canceled due to unrecoverable error after 1 attempts: telegram: Bad Request: chat not found (400)\"",
            1,
        );
        assert_eq!((notify[0].variant, notify[0].severity), ("contact-point", Severity::Error));
        assert!(steps(&notify[0]).contains("chat_id"), "{}", steps(&notify[0]));
    }

    #[test]
    fn a_misspelt_switch_of_the_mail_is_named() {
        let line = "logger=ngalert.notifier t=2026-11-21T01:55:00Z level=error component=dispatcher msg=\"Notify for alerts failed\" num_alerts=1 err=\"oncall/email[0]: notify retry canceled due to unrecoverable error after 1 attempts: failed to send email to addresses: <a@b.example>: SMTP not configured, check your grafana.ini config file's [smtp] section\"";
        let with = |key: &str| {
            let mut own = grafana(json!({}));
            let spec = &mut own["spec"]["template"]["spec"];
            spec["containers"][0]["volumeMounts"] =
                json!([{"name": "config", "mountPath": "/etc/grafana/grafana.ini", "subPath": "grafana.ini"}]);
            spec["volumes"] = json!([{"name": "config", "configMap": {"name": "grafana"}}]);
            let text = format!("[smtp]\n{key} = true\nhost = mail.example:587\n");
            let map =
                json!({"metadata": {"namespace": "monitoring", "name": "grafana"}, "data": {"grafana.ini": text}});
            let mut snap = snapshot(json!({"workloads": [own], "config_maps": [map]}));
            *snap.component_logs = Ok(vec![ContainerLog {
                namespace: "monitoring".into(),
                pod: "grafana-1".into(),
                container: "grafana".into(),
                program: Some(Program::Grafana),
                text: line.into(),
                ..ContainerLog::default()
            }]);
            steps(&findings(&GrafanaAlerting, &snap)[0])
        };
        let slip = with("enable");
        assert!(slip.contains("`enable`") && slip.contains("kubectl edit configmap grafana -n monitoring"), "{slip}");
        assert!(!with("enabled").contains("kubectl edit"));
    }
}
