//! Nodes whose clock is off: by the alerts about it, and by what AWS says of requests that were signed there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::domain::kubernetes::node_problems::FORGOTTEN;
use crate::domain::text::log_line::{Line, is_older};
use crate::domain::text::windows::GRACE;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Node, Pod};
use crate::snapshot::monitoring::{ContainerLog, FiringAlert};
use crate::text::pattern::pattern;

/// Lines from the end of a log that are its latest.
const LATEST: usize = 5;
/// So many of them say it again and again: what was set right since would have been followed by something else.
const MOST: usize = 3;
/// Seconds over which they do: what a new node meets until its clock is set is said within less.
const GOES_ON: i64 = 120;
/// Seconds for which a line of a log tells of now.
const NOW: i64 = 900;
/// Seconds between the clocks of two machines that are no fault.
const SKEW: i64 = 120;
/// Seconds between the time that a line bears and the one that it names, where both are of one clock.
const SAME_CLOCK: i64 = 60;

/// A node whose clock is off.
#[derive(Debug)]
pub(crate) struct Off<'a> {
    pub(crate) node: &'a Node,
    /// Firing alerts about it.
    pub(crate) alerts: Vec<&'a FiringAlert>,
    /// What an agent on the node says of the service that sets its clock.
    pub(crate) unset: Option<&'a Condition>,
    /// A request that AWS refused for its time: who signed it, and the line.
    pub(crate) refused: Vec<(&'a Pod, &'a ContainerLog, &'a str)>,
    /// Who takes a certificate for not yet valid at a time that was over before its own pod was made, and the line.
    pub(crate) early: Vec<(&'a Pod, &'a ContainerLog, &'a str)>,
    /// Seconds by which the clock is ahead, negative where it is behind; of what AWS said.
    pub(crate) seconds: Option<i64>,
}

/// Such nodes, by their names.
pub(crate) fn all(snap: &Snapshot) -> Vec<Off<'_>> {
    let mut found: BTreeMap<&str, Off<'_>> = BTreeMap::new();
    let nodes = snap.nodes.items().unwrap_or_default();
    for alert in snap.prometheus_alerts().map(Vec::as_slice).unwrap_or_default() {
        let of = |node: &&Node| is_of(alert, node);
        if let Some(node) = nodes.iter().find(of).filter(|_| is_clock(snap, alert)) {
            entry(&mut found, node).alerts.push(alert);
        }
    }
    for node in nodes {
        if let Some(condition) = unset(snap, node) {
            entry(&mut found, node).unset = Some(condition);
        }
    }
    let logs = snap.component_logs.iter().flatten().chain(snap.part_logs.iter().flatten());
    for log in logs.chain(snap.crash_logs.iter().flatten()) {
        let Some(pod) = snap.pod_of_log(log) else { continue };
        let Some(node) = snap.node_of(pod) else { continue };
        let insists = insists(&log.text, snap.collected_at);
        let last = |at: usize| match at < LATEST {
            true if insists => Last::Again,
            true => Last::Once,
            false => Last::No,
        };
        let mut lines = log.text.lines().rev().enumerate();
        if let Some((line, behind)) = lines.find_map(|(at, l)| Some((l, early(snap, node, pod, l, last(at))?))) {
            let off = entry(&mut found, node);
            off.seconds = off.seconds.or(Some(-behind));
            off.early.push((pod, log, line));
        }
        let recent = |l: &&str| log.previous || !is_older(l, snap.collected_at, NOW);
        let alerted = found.get(node.metadata.name.as_str()).is_some_and(|off| !off.alerts.is_empty());
        let mut said = log.text.lines().rev().filter(recent);
        let Some((line, seconds)) = said.find_map(|l| Some((l, refused(l, alerted)?))) else { continue };
        let off = entry(&mut found, node);
        off.seconds = off.seconds.or(seconds);
        off.refused.push((pod, log, line));
    }
    found.into_values().collect()
}

/// The condition of node-problem-detector's plugin for NTP, where it is of now.
fn unset<'a>(snap: &Snapshot, node: &'a Node) -> Option<&'a Condition> {
    let all = node.status.conditions.iter();
    let condition = all.into_iter().find(|c| c.kind == "NTPProblem" && c.status == "True")?;
    let ago = |t: Option<jiff::Timestamp>| t.map(|t| snap.seconds_since(t));
    let begun = ago(condition.last_transition_time).is_none_or(|s| s >= GRACE);
    (begun && ago(condition.last_heartbeat_time).is_none_or(|s| s < FORGOTTEN)).then_some(condition)
}

fn entry<'a, 'm>(found: &'m mut BTreeMap<&'a str, Off<'a>>, node: &'a Node) -> &'m mut Off<'a> {
    let new = || Off { node, alerts: Vec::new(), unset: None, refused: Vec::new(), early: Vec::new(), seconds: None };
    found.entry(node.metadata.name.as_str()).or_insert_with(new)
}

/// By what its expression reads; without the rules, by its name.
fn is_clock(snap: &Snapshot, alert: &FiringAlert) -> bool {
    let rules = snap.prometheus_rules().map(Vec::as_slice).unwrap_or_default().iter().flat_map(|g| &g.rules);
    let mut own = rules.filter(|r| r.kind == "alerting" && r.name == alert.name()).peekable();
    let known = own.peek().is_some();
    alert.state == "firing"
        && (own.any(|r| r.query.contains("node_timex_")) || (!known && alert.name().starts_with("NodeClock")))
}

/// The alert is about this node, by its labels.
pub(crate) fn is_of(alert: &FiringAlert, node: &Node) -> bool {
    let instance = alert.label("instance");
    let host = instance.rsplit_once(':').map_or(instance, |(host, _)| host);
    let name = node.metadata.name.as_str();
    node.internal_ip() == Some(host) || [host, alert.label("node"), alert.label("nodename")].contains(&name)
}

/// AWS says that a request was signed at another time than its own.
pub(crate) fn is_refused(text: &str) -> bool {
    ["Signature expired: ", "Signature not yet current: ", "RequestTimeTooSkewed"].iter().any(|w| text.contains(w))
}

/// What AWS says of a request that was signed at another time than its own; the seconds in between, where it names them.
/// Other stores use some of its words, and their own clock may be the one that is off: those count with an alert only.
fn refused(line: &str, alerted: bool) -> Option<Option<i64>> {
    let signed = pattern!(
        r"Signature (?:expired|not yet current): (\d{8}T\d{6})Z is (?:now earlier|still later) than \d{8}T\d{6}Z \((\d{8}T\d{6})Z [-+]"
    );
    if let Some(found) = signed.captures(line).filter(|_| !Line::parse(line).is_record()) {
        let read =
            |at: usize| DateTime::strptime("%Y%m%dT%H%M%S", &found[at]).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        return Some(
            read(1).zip(read(2)).map(|(own, theirs)| own.timestamp().as_second() - theirs.timestamp().as_second()),
        );
    }
    let told = ["RequestTimeTooSkewed", "difference between the request time and the current time is too large"];
    let counts = |line| (alerted || is_of_aws(line)) && !Line::parse(line).is_record();
    (told.iter().any(|t| line.contains(t)) && counts(line)).then_some(None)
}

/// How the end of a log speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The line is older.
    No,
    /// It is among the last.
    Once,
    /// And most of the last say the same, over minutes.
    Again,
}

/// Most of the last lines of a log are of certificates that are not yet valid, and so for minutes, by its own clock.
fn insists(log: &str, now: Timestamp) -> bool {
    let last = log.lines().rev().filter(|l| !l.trim().is_empty()).take(LATEST);
    let said: Vec<Timestamp> = last.filter(|l| is_early(l)).filter_map(|l| Line::parse(l).written_at(now)).collect();
    let over = said.iter().max().zip(said.iter().min());
    said.len() >= MOST && over.is_some_and(|(to, from)| to.as_second() - from.as_second() >= GOES_ON)
}

fn is_early(line: &str) -> bool {
    times(line).is_some()
}

/// The time that a program takes for now, and the one from which on the certificate is valid.
fn times(line: &str) -> Option<(Timestamp, Timestamp)> {
    let found = pattern!(r"current time (\S+Z) is before (\S+Z)").captures(line)?;
    found[1].parse().ok().zip(found[2].parse().ok())
}

/// `x509: certificate has expired or is not yet valid: current time 2026-11-20T11:02:10Z is before 2026-11-20T23:14:05Z`, at a
/// time of before the API server made the pod that says it: the clock of its node is behind by at least these seconds. The
/// certificate is valid by now. A pod that is ready has got over it, a line may quote what another machine said, and where the
/// kubelet's heartbeats are of now the clock has been set right since, unless the program says nothing else to its end. Where
/// it says so again and again to its end, for minutes, it may be ready (its probe asks for nothing of the kind), and the times
/// that its lines bear are of the same clock, a moment later.
fn early(snap: &Snapshot, node: &Node, pod: &Pod, line: &str, last: Last) -> Option<i64> {
    let (own, valid) = times(line)?;
    let made = pod.metadata.creation_timestamp?.as_second();
    let parsed = Line::parse(line);
    let written = parsed.written_at(snap.collected_at);
    let quotes = match last {
        // Lines of before the pod was made are of a clock that is behind, too.
        Last::Again => written.is_some_and(|at| made - at.as_second() < SKEW),
        _ => written.is_some_and(|at| (at.as_second() - own.as_second()).abs() >= SAME_CLOCK),
    };
    if parsed.is_record() || quotes || (pod.is_ready() && last != Last::Again) {
        return None;
    }
    let behind = made - own.as_second();
    let heartbeat = node.status.conditions.iter().filter_map(|c| c.last_heartbeat_time).max();
    if last == Last::No && heartbeat.is_some_and(|t| snap.seconds_since(t) < behind - SKEW) {
        return None;
    }
    (behind >= SKEW && valid <= snap.collected_at).then_some(behind)
}

/// A host of AWS, or S3's id of its own host, which is base64; MinIO gives a hexadecimal one.
fn is_of_aws(line: &str) -> bool {
    let host = pattern!(r"amazonaws\.com|[Hh]ost ?[Ii][Dd]: [A-Za-z0-9+/]{40,}=");
    host.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_before_the_pod_is_the_nodes() {
        let snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let pod: Pod = serde_json::from_value(serde_json::json!({"metadata": {"name": "p", "namespace": "m",
            "creationTimestamp": "2026-11-21T02:41:25Z"}}))
        .expect("a pod");
        let node = |heartbeat: &str| -> Node {
            let conditions = serde_json::json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat}]);
            serde_json::from_value(serde_json::json!({"metadata": {"name": "n"}, "status": {"conditions": conditions}}))
                .expect("a node")
        };
        let behind = node("2026-11-20T02:59:00Z");
        let text = |own: &str, valid: &str| {
            format!("x509: certificate has expired or is not yet valid: current time {own} is before {valid}")
        };
        let said = |own: &str, valid: &str| early(&snap, &behind, &pod, &text(own, valid), Last::No);
        assert_eq!(said("2026-11-20T02:41:25Z", "2026-11-20T23:14:05Z"), Some(86400));
        assert_eq!(said("2026-11-21T02:45:00Z", "2026-11-21T02:46:00Z"), None, "after the pod was made");
        assert_eq!(said("2026-11-20T02:41:25Z", "2027-11-20T23:14:05Z"), None, "the certificate is of a time to come");
        let line = text("2026-11-20T02:41:25Z", "2026-11-20T23:14:05Z");
        let right = node("2026-11-21T02:58:00Z");
        assert_eq!(early(&snap, &right, &pod, &line, Last::No), None, "the kubelet's clock is right");
        assert_eq!(early(&snap, &right, &pod, &line, Last::Once), Some(86400), "it says so to the end");
        let quoted = format!("2026-11-21T02:50:00Z {line}");
        assert_eq!(early(&snap, &behind, &pod, &quoted, Last::No), None, "another machine said it");
        let own = format!("2026-11-20T02:41:26Z {line}");
        assert_eq!(early(&snap, &behind, &pod, &own, Last::No), Some(86400));
    }

    #[test]
    fn a_pod_that_is_ready_says_it_to_its_end() {
        let snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let pod: Pod = serde_json::from_value(serde_json::json!({"metadata": {"name": "p", "namespace": "m",
            "creationTimestamp": "2026-11-21T02:41:25Z"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}))
        .expect("a pod");
        let node: Node =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "n"}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-21T02:59:00Z"}]}}))
            .expect("a node");
        let said = |minute: u32| {
            format!(
                "ts=2026-11-20T14:{minute:02}:10Z level=error err=\"x509: certificate has expired or is not yet valid: current time 2026-11-20T14:{minute:02}:10Z is before 2026-11-20T23:14:05Z\""
            )
        };
        let log = |minutes: &[u32]| minutes.iter().map(|m| said(*m)).collect::<Vec<_>>().join("\n");
        assert!(insists(&log(&[10, 11, 12, 13]), snap.collected_at));
        assert!(!insists(&log(&[10, 11]), snap.collected_at), "twice is no rule");
        assert!(!insists(&log(&[10, 10, 10, 11]), snap.collected_at), "a start, until the clock is set");
        let moved_on = format!("{}\n{}", log(&[10, 11, 12]), "ts=2026-11-21T02:50:00Z level=info msg=done\n".repeat(3));
        assert!(!insists(&moved_on, snap.collected_at), "it has got over it");
        assert_eq!(early(&snap, &node, &pod, &said(13), Last::Again), Some(44_895));
        assert_eq!(early(&snap, &node, &pod, &said(13), Last::Once), None);
    }

    #[test]
    fn other_stores_and_queries_do_not_say_it() {
        let minio = "RequestTimeTooSkewed: The difference between the request time and the server's time is too large. status code: 403, request id: 17A9, host id: dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8";
        assert_eq!(refused(minio, false), None);
        assert_eq!(refused(minio, true), Some(None));
        let query = r#"level=info ts=2026-11-21T11:59:00Z component=querier query="{app=\"x\"} |= \"RequestTimeTooSkewed\" |= \"amazonaws.com\"""#;
        assert_eq!(refused(query, true), None);
        let s3 = "RequestTimeTooSkewed: The difference between the request time and the current time is too large. status code: 403, request id: 5F1E, host id: eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran+A=";
        assert_eq!(refused(s3, false), Some(None));
    }

    #[test]
    fn an_agent_says_that_nothing_sets_the_clock() {
        let of = |status: &str, since: &str| {
            let mut snap = crate::domain::testing::workload::snapshot(serde_json::json!([]));
            let node = serde_json::json!([{"metadata": {"name": "node-a"}, "status": {"conditions": [
                {"type": "NTPProblem", "status": status, "reason": "NTPIsDown", "lastTransitionTime": since}]}}]);
            snap.nodes = crate::snapshot::Listing::cluster(serde_json::from_value(node).expect("nodes"));
            all(&snap).len()
        };
        assert_eq!(of("True", "2026-11-21T11:00:00Z"), 1);
        assert_eq!(of("False", "2026-11-21T11:00:00Z"), 0);
        assert_eq!(of("True", "2026-11-21T11:59:40Z"), 0, "it has just begun");
    }

    #[test]
    fn aws_says_by_how_much_a_clock_is_off() {
        let behind = "api error InvalidSignatureException: Signature expired: 20261121T023000Z is now earlier than 20261121T023403Z (20261121T023903Z - 5 min.)";
        assert_eq!(refused(behind, false), Some(Some(-543)));
        let ahead = "SignatureDoesNotMatch: Signature not yet current: 20261121T025000Z is still later than 20261121T024403Z (20261121T023903Z + 5 min.)";
        assert_eq!(refused(ahead, false), Some(Some(657)));
        assert_eq!(refused("https://loki.s3.eu-west-1.amazonaws.com: RequestTimeTooSkewed", false), Some(None));
        assert_eq!(refused("SignatureDoesNotMatch: The request signature we calculated does not match", false), None);
    }
}
