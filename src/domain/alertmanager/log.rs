//! Reads notification failures from Alertmanager's log: logfmt of every version (`ts=`/`time=`) and JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::text::log_line;
pub(crate) use crate::domain::text::windows::RECENT;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::text::pattern::pattern;

/// One failed attempt, or one notification given up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// When; `None` where the line does not say.
    pub(crate) at: Option<Timestamp>,
    /// Receiver; empty in lines of versions that do not name it.
    pub(crate) receiver: String,
    /// Integration without its number: `slack`, `webhook`.
    pub(crate) integration: String,
    /// Its number within the receiver.
    pub(crate) index: usize,
    /// The notification was given up, not only retried.
    pub(crate) lost: bool,
    /// What went wrong, without Alertmanager's words about retries. May hold secrets: see [`redact`].
    pub(crate) cause: String,
    /// Namespace of the pod.
    pub(crate) namespace: String,
    /// The pod that said so.
    pub(crate) pod: String,
}

/// Failures of the last hour in all of Alertmanager's logs, in their order. Retries that succeeded later are left out.
pub(crate) fn recent_failures(snap: &Snapshot) -> Vec<Failure> {
    failures_of(snap, Program::Alertmanager)
}

/// The same in the logs of a program that has Alertmanager in it: Grafana's own alerting says it in the same words.
pub(crate) fn failures_of(snap: &Snapshot, program: Program) -> Vec<Failure> {
    let mut all = Vec::new();
    for log in snap.logs_of(program).unwrap_or_default() {
        let mut found: Vec<Failure> = Vec::new();
        for line in log.text.lines() {
            let fields = log_line::fields(line);
            let at =
                fields.get("ts").or(fields.get("time")).or(fields.get("t")).and_then(|t| t.parse::<Timestamp>().ok());
            if at.is_some_and(|t| snap.seconds_since(t) > RECENT) {
                continue;
            }
            if fields.get("msg").is_some_and(|m| m == "Notify success") {
                forget_retries(&mut found, &fields);
            }
            found.extend(failures(&fields).into_iter().map(|f| Failure {
                at,
                namespace: log.namespace.clone(),
                pod: log.pod.clone(),
                ..f
            }));
        }
        all.append(&mut found);
    }
    all
}

/// Alertmanager logs a success only where an attempt had failed before: what was being retried has arrived.
fn forget_retries(found: &mut Vec<Failure>, fields: &BTreeMap<String, String>) {
    let receiver = fields.get("receiver").map_or("", String::as_str);
    let (integration, index) = integration(fields.get("integration").map_or("", String::as_str));
    found.retain(|f| f.lost || f.receiver != receiver || f.integration != integration || f.index != index);
}

fn failures(fields: &BTreeMap<String, String>) -> Vec<Failure> {
    let get = |name: &str| fields.get(name).map_or("", String::as_str);
    let (message, error) = (get("msg"), get("err"));
    let found = match message {
        m if m.starts_with("Notify for alerts failed") || m.starts_with("Error on notify") => given_up(error),
        m if m.starts_with("Notify attempt failed") || m.starts_with("Notify attempt") && !error.is_empty() => {
            let (integration, index) = integration(get("integration"));
            vec![failure(get("receiver"), integration, index, false, error)]
        }
        _ => Vec::new(),
    };
    // On a reload and at shutdown Alertmanager breaks off what it is sending, and sends it again afterwards.
    found.into_iter().filter(|f| !f.cause.ends_with("context canceled")).collect()
}

fn failure(receiver: &str, integration: &str, index: usize, lost: bool, cause: &str) -> Failure {
    Failure {
        at: None,
        receiver: receiver.to_owned(),
        integration: integration.to_owned(),
        index,
        lost,
        cause: cause.trim().to_owned(),
        namespace: String::new(),
        pod: String::new(),
    }
}

/// `slack[0]` → (`slack`, 0).
fn integration(text: &str) -> (&str, usize) {
    match text.split_once('[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse().unwrap_or(0)),
        None => (text, 0),
    }
}

/// Errors of one group's integrations, joined: `team/slack[0]: notify retry canceled after 9 attempts: …; team/email[0]: …`.
/// A receiver of an AlertmanagerConfig has slashes in its name.
fn given_up(error: &str) -> Vec<Failure> {
    let head = pattern!(r"(?:^|; |\n)([^;\n]+?)/([a-z][a-z0-9_]*)\[(\d+)\]: ");
    let heads: Vec<_> = head.captures_iter(error).collect();
    if heads.is_empty() {
        return older_wording(error).into_iter().collect();
    }
    let ends = heads.iter().skip(1).map(|c| c.get_match().start()).chain([error.len()]);
    heads
        .iter()
        .zip(ends)
        .map(|(c, end)| {
            let cause = after_retries(&error[c.get_match().end()..end]);
            failure(&c[1], &c[2], c[3].parse().unwrap_or(0), true, cause)
        })
        .collect()
}

/// Before 0.22: `cancelling notify retry for "slack" due to unrecoverable error: …`.
fn older_wording(error: &str) -> Option<Failure> {
    let old = pattern!(r#"(?s)^cancell?ing notify retry for "([^"]+)"[^:]*: (.*)$"#);
    match old.captures(error) {
        Some(c) => Some(failure("", &c[1], 0, true, &c[2])),
        None if error.is_empty() => None,
        None => Some(failure("", "", 0, true, error)),
    }
}

fn after_retries(text: &str) -> &str {
    let retries = pattern!(r"^notify retry cancell?ed(?: due to unrecoverable error)?(?: after \d+ attempts?)?: ");
    retries.find(text).map_or(text, |m| &text[m.end()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::monitoring::ContainerLog;

    fn read(log: &str) -> Vec<Failure> {
        let mut snap = Snapshot::empty("2026-11-21T03:28:36Z".parse().expect("a time"));
        let log = ContainerLog {
            namespace: "monitoring".into(),
            pod: "am-0".into(),
            program: Some(Program::Alertmanager),
            text: log.into(),
            ..ContainerLog::default()
        };
        *snap.component_logs = Ok(vec![log]);
        recent_failures(&snap)
    }

    fn short(failures: &[Failure]) -> Vec<String> {
        failures
            .iter()
            .map(|f| format!("{}/{}[{}] {} {}", f.receiver, f.integration, f.index, f.lost, f.cause))
            .collect()
    }

    #[test]
    fn reads_the_wording_of_0_25() {
        let log = r#"level=warn ts=2026-11-21T03:26:41.729Z caller=notify.go:732 component=dispatcher receiver=slack integration=slack[0] msg="Notify attempt failed, will retry later" attempts=1 err="Post \"https://hooks.slack.com/services/REDACTED\": dial tcp 3.68.175.98:443: i/o timeout"
level=error ts=2026-11-21T03:27:36.729Z caller=dispatch.go:352 component=dispatcher msg="Notify for alerts failed" num_alerts=1 err="slack/slack[0]: notify retry canceled after 9 attempts: Post \"https://hooks.slack.com/services/REDACTED\": context deadline exceeded""#;
        assert_eq!(
            short(&read(log)),
            [
                r#"slack/slack[0] false Post "https://hooks.slack.com/services/REDACTED": dial tcp 3.68.175.98:443: i/o timeout"#,
                r#"slack/slack[0] true Post "https://hooks.slack.com/services/REDACTED": context deadline exceeded"#
            ]
        );
    }

    #[test]
    fn reads_the_wording_of_0_33_and_json() {
        let log = r#"time=2026-11-21T03:17:48.142Z level=ERROR source=dispatch.go:580 msg="Notify for alerts failed" component=dispatcher aggrGroup="{}:{alertname=\"InstanceDown\", env=\"prod\"}" num_alerts=1 err="pagerduty-oncall/pagerduty[0]: notify retry canceled due to unrecoverable error after 1 attempts: unexpected status code 400: Event object is invalid: Invalid routing key"
{"time":"2026-11-21T03:18:00Z","level":"ERROR","msg":"Notify for alerts failed","num_alerts":1,"err":"a/webhook[1]: notify retry canceled after 7 attempts: EOF"}"#;
        assert_eq!(
            short(&read(log)),
            [
                "pagerduty-oncall/pagerduty[0] true unexpected status code 400: Event object is invalid: Invalid routing key",
                "a/webhook[1] true EOF"
            ]
        );
    }

    #[test]
    fn reads_several_integrations_of_one_group_and_receivers_with_slashes() {
        let log = r#"ts=2026-11-21T03:18:00Z level=error msg="Notify for alerts failed" err="monitoring/team/ops/slack[0]: notify retry canceled after 2 attempts: x: y; monitoring/team/ops/email[1]: notify retry canceled due to unrecoverable error after 1 attempts: z""#;
        assert_eq!(
            short(&read(log)),
            ["monitoring/team/ops/slack[0] true x: y", "monitoring/team/ops/email[1] true z"]
        );
    }

    #[test]
    fn old_lines_and_broken_off_sends_do_not_count() {
        let log = r#"ts=2026-11-21T02:18:00Z msg="Notify for alerts failed" err="a/slack[0]: x"
ts=2026-11-21T03:18:00Z msg="Notify for alerts failed" err="a/slack[0]: notify retry canceled after 1 attempts: context canceled""#;
        assert_eq!(read(log), []);
    }

    #[test]
    fn a_retry_that_succeeded_does_not_count() {
        let retry = r#"ts=2026-11-21T03:18:00Z msg="Notify attempt failed, will retry later" receiver=a integration=slack[0] err=EOF"#;
        assert_eq!(read(retry).len(), 1);
        let success =
            r#"ts=2026-11-21T03:18:09Z level=info msg="Notify success" receiver=a integration=slack[0] attempts=2"#;
        assert_eq!(read(&format!("{retry}\n{success}")), []);
    }
}
