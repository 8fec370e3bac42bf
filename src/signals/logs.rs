//! Errors in the logs of the stack and of what it stands on, those that say the same together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{around, is_ours, seconds_ago};
use crate::domain::aws::node_pool_said;
use crate::domain::grafana::provisioned::{self, Datasource};
use crate::domain::grafana::unread;
use crate::domain::kubernetes::store::Store;
use crate::domain::kubernetes::{metrics_server, settings};
use crate::domain::loki::agent::Agent;
use crate::domain::loki::engine_log::{self, Engine};
use crate::domain::loki::gateway_log;
use crate::domain::programs::{self, known};
use crate::domain::prometheus::{exporter_log, operator};
use crate::domain::text::complaint::{Group, groups, said_at};
use crate::domain::text::lasting::LASTS;
use crate::domain::text::log_line::{Line, written_at};
use crate::domain::text::passing::{is_of_the_asker, is_tried_again};
use crate::domain::text::redact::redact;
use crate::domain::traffic::router_log;
use crate::model::{Counted, Evidence, Program, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;

/// Seconds within which an error is of now: what compacts does so every two hours.
const RECENT: i64 = 3 * 3600;
/// Seconds within which even one error is of now.
const FRESH: i64 = 1800;
/// Seconds after which a call that is made again within minutes would have failed again.
const SETTLED: i64 = 300;
/// The same, of one that failed several times; and how long it has to have failed to be more than one bad moment.
const PAST: i64 = 900;
const LASTING: i64 = 3600;
/// Seconds after its start in which a program may complain of what is not there yet.
const START: i64 = 180;
/// Lines after the last error from which on a log without times has moved on.
const MOVED_ON: usize = 50;
/// Seconds between two errors of a program that nobody here knows, from which on it comes through between them.
const APART: i64 = 1800;
/// Errors of one program that are told apart.
const PER_OWNER: usize = 4;

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    let logs = [snap.component_logs(), snap.part_logs()];
    let current = logs.into_iter().flatten().flatten().filter(|l| !l.previous);
    // Replicas say the same: their lines are one complaint of their owner.
    let mut owners: BTreeMap<String, BTreeMap<String, Said<'_>>> = BTreeMap::new();
    for log in current {
        let of_owner = owners.entry(format!("{} {}", snap.owner_of_log(log).key(), log.container)).or_default();
        let text = operator::log::without_the_past(snap, log, metrics_server::without_gone_nodes(snap, log));
        for group in groups(&text, snap.collected_at) {
            let weight = weigh(snap, log, &group);
            if weight == Weight::Nothing {
                continue;
            }
            match of_owner.get_mut(&group.key) {
                Some(said) => said.add(weight, log, &group),
                None => {
                    of_owner.insert(group.key.clone(), Said { weight, logs: vec![log], group });
                }
            }
        }
    }
    let mut all = Vec::new();
    for said in owners.into_values() {
        let mut said: Vec<Said<'_>> = said.into_values().collect();
        said.sort_by_key(|s| (std::cmp::Reverse(s.weight), std::cmp::Reverse(s.group.count)));
        all.extend(said.iter().take(PER_OWNER).map(|s| signal(snap, s)));
    }
    all
}

/// One complaint of the replicas of a program.
struct Said<'a> {
    weight: Weight,
    logs: Vec<&'a ContainerLog>,
    group: Group,
}

impl<'a> Said<'a> {
    fn add(&mut self, weight: Weight, log: &'a ContainerLog, group: &Group) {
        self.weight = self.weight.max(weight);
        self.logs.push(log);
        self.group.count += group.count;
        self.group.first = self.group.first.into_iter().chain(group.first).min();
    }
}

fn weigh(snap: &Snapshot, log: &ContainerLog, group: &Group) -> Weight {
    let started = snap
        .pod_of_log(log)
        .and_then(|p| p.statuses().find(|s| s.name == log.container))
        .and_then(|s| s.running_since());
    let Some(last) = group.last else {
        // The log does not say when: only what goes on is of now.
        return match group.count >= 3 && group.lines_since < MOVED_ON {
            true if is_calm(snap, log, group) || is_strange(snap, log) => Weight::Note,
            true => ours(snap, log),
            false => Weight::Nothing,
        };
    };
    let start_up = started.is_some_and(|s| last.as_second() - s.as_second() < START);
    let ago = seconds_ago(snap, last);
    if start_up && ago > START || ago > RECENT {
        return Weight::Nothing;
    }
    if start_up {
        return Weight::Note;
    }
    if is_calm(snap, log, group) || is_over(snap, log, group, ago) || is_behind(snap, log, group, ago) {
        return Weight::Note;
    }
    // What an exporter measures comes and goes; one that goes on is told of.
    if exporter_log::is_exporter(&log.image) && (group.count < 3 || ago > FRESH / 2) {
        return Weight::Note;
    }
    // Of a program that nobody here knows a moment's complaint tells nothing.
    let lasted = group.first.zip(group.last).map_or(0, |(first, last)| last.as_second() - first.as_second());
    // And tries hours apart that fail tell of none between them.
    let is_rare = i64::try_from(group.count).is_ok_and(|count| lasted > count * APART);
    if is_prober(snap, log) || is_strange(snap, log) && (group.count < 3 || lasted < LASTS || is_rare) {
        return Weight::Note;
    }
    // A warning that carries an error may pass by itself once.
    let goes_on = group.count >= 3 || (group.is_error && (group.count > 1 || ago <= FRESH));
    if goes_on { ours(snap, log) } else { Weight::Note }
}

/// No check reads the log by the words of its own kind, and its pod is well.
fn is_strange(snap: &Snapshot, log: &ContainerLog) -> bool {
    unread(snap, log).is_some_and(|(pod, _)| pod.is_ready())
}

/// It asks others whether they are well, and says so where they are not.
fn is_prober(snap: &Snapshot, log: &ContainerLog) -> bool {
    unread(snap, log).is_some_and(|(_, container)| known::probes(container))
}

/// The container of a log that no check reads by the words of its own kind.
fn unread<'a>(snap: &'a Snapshot, log: &ContainerLog) -> Option<(&'a Pod, &'a Container)> {
    let pod = snap.pod_of_log(log)?;
    let container = pod.spec.containers.iter().find(|c| c.name == log.container)?;
    programs::is_unread(snap, pod, container).then_some((pod, container))
}

/// What a program calls an error and is none: who asked has gone, or a file went with its container.
fn is_calm(snap: &Snapshot, log: &ContainerLog, group: &Group) -> bool {
    let text = &group.text;
    // What Grafana cannot fetch is judged by a check, by what it is.
    if is_of_the_asker(text, group.count) || text.contains("Failed to install plugin") {
        return true;
    }
    if log.program == Some(Program::Grafana) && is_of_strangers(snap, log, text) {
        return true;
    }
    if log.program.is_some_and(|program| says_beforehand(program, text)) {
        return true;
    }
    // Snapshots are asked for by a side-car of every CSI driver; without their kinds nobody has one.
    if log.container.contains("snapshotter")
        && text.contains("VolumeSnapshot")
        && text.contains("could not find the requested")
    {
        return true;
    }
    // Collectors that find nothing on a machine of a cloud; of the others a check tells.
    if exporter_log::is_of_node(&log.image) && text.starts_with("collector failed") {
        return true;
    }
    let of_store = Store::of_image(&log.image).is_some()
        && (text.contains("context canceled") || text.contains("failed to record query metrics"));
    // What of these logs is a fault is judged by checks: a search engine complains of much, a gateway of each browser, and what
    // makes nodes of each one that AWS has not.
    let of_engine = Engine::of_image(&log.image).is_some();
    let is_judged = of_engine && (!group.is_error || engine_log::trouble(text).is_some())
        || node_pool_said::is_controller(&log.image)
        || gateway_log::store_of(snap, log).is_some()
        || router_log::is_controller(&log.image) && router_log::is_of_request(text);
    let of_agent = Agent::of_image(&log.image).is_some() && is_missing_file(text);
    // Where the file of a container that runs is missing, the agent lacks a directory of the node.
    of_store
        || is_judged
        || of_agent && !log.text.lines().any(|line| is_missing_file(line) && is_of_running(snap, line))
}

/// Something works, and will not for ever, or works without an adornment: matchers that the next parser does not take, and that this
/// one takes; a picture that nobody makes, beside an alert that is sent.
fn says_beforehand(program: Program, text: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    match program {
        Program::Alertmanager => {
            has(&["moving to a new parser for labels and matchers"])
                && has(&["instead parsed the input using the classic"])
        }
        Program::Grafana => has(&["no image renderer found", "No image renderer available"]),
        Program::Prometheus => false,
    }
}

/// Logins to Grafana that fail for a wrong name or password, by none of the cluster's own programs: somebody who is not to come
/// in, or who mistyped. Who it was has to be known.
fn is_of_strangers(snap: &Snapshot, log: &ContainerLog, text: &str) -> bool {
    const FAILED: &[&str] =
        &["nvalid username or password", "password-auth.", "too many consecutive incorrect login attempts"];
    const UNKNOWN: &str = "user not found";
    let is_refused = |line: &str| Line::parse(line).get("status") == "401";
    let is_login = |line: &str| {
        let asked = || is_refused(line) || line.contains("authn");
        FAILED.iter().any(|w| line.contains(w)) || line.contains(UNKNOWN) && asked()
    };
    let of_login = || log.text.lines().any(|line| line.contains(UNKNOWN) && is_login(line));
    if !(is_login(text) || text.contains(UNKNOWN) && of_login()) {
        return false;
    }
    let Some(pods) = snap.pods.items().ok().filter(|_| snap.pods.is_whole()) else { return false };
    let addresses: BTreeSet<IpAddr> =
        pods.iter().filter(|p| !p.spec.host_network).filter_map(|p| p.status.pod_ip.as_deref()?.parse().ok()).collect();
    let own = |line: &str| {
        let address: IpAddr = Line::parse(line).get("remote_addr").trim_matches(['[', ']', '"']).parse().ok()?;
        Some(address.is_loopback() || addresses.contains(&address))
    };
    let refused = log.text.lines().filter(|line| is_login(line) || is_refused(line));
    let known: Vec<bool> = refused.filter_map(own).collect();
    !known.is_empty() && !known.contains(&true)
}

/// A call that is made again within minutes, as log agents make those to their store, and that did not fail again: once,
/// or in one bad moment, as while the API server was updated.
fn is_over(snap: &Snapshot, log: &ContainerLog, group: &Group, ago: i64) -> bool {
    // An autoscaler asks anew every few seconds, for as long as a pod has no values: each new pod has none at first.
    if group.text.contains("no metrics known for pod") {
        return ago >= SETTLED;
    }
    if Agent::of_image(&log.image).is_some() && is_delivered_since(snap, log, group) {
        return true;
    }
    let sends = || ["flush", "end batch", "ending batch", "end log events"].iter().any(|w| group.text.contains(w));
    if !(is_tried_again(&group.text) || Agent::of_image(&log.image).is_some() && sends()) {
        return false;
    }
    let lasted = group.last.zip(group.first).map_or(0, |(last, first)| last.as_second() - first.as_second());
    if group.count < 3 { ago >= SETTLED && lasted < LASTING } else { ago >= PAST && lasted < LASTING }
}

/// Fluent Bit says so when what it had to keep was taken after all: `flush chunk '…' succeeded at retry 11`.
fn is_delivered_since(snap: &Snapshot, log: &ContainerLog, group: &Group) -> bool {
    let Some(last) = group.last else { return false };
    let mut delivered = log.text.lines().rev().filter(|l| l.contains("succeeded at retry")).map(Line::parse);
    delivered.any(|line| said_at(&line, snap.collected_at).is_some_and(|at| at > last))
}

/// It came again and again, has not come for ten times as long as it took to come again, and the program has written since.
/// Nobody waits longer than half an hour between two tries. Lines of one moment tell nothing of when it would come again: what
/// compacts says several at once, every two hours, and a configuration that is refused is refused once.
fn is_behind(snap: &Snapshot, log: &ContainerLog, group: &Group, ago: i64) -> bool {
    let (Some(first), Some(last)) = (group.first, group.last) else { return false };
    let (Ok(count), lasted) = (i64::try_from(group.count), last.as_second() - first.as_second()) else { return false };
    if count < 3 || lasted < LASTS || ago <= FRESH || ago * (count - 1) < 10 * lasted {
        return false;
    }
    let newest = log.text.lines().rev().find_map(|line| written_at(line, snap.collected_at));
    newest.is_some_and(|at| at.as_second() - last.as_second() > FRESH)
}

fn is_missing_file(text: &str) -> bool {
    text.contains("stat failed") && text.contains("no such file or directory")
}

/// True if a path `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log` is what a container writes now.
fn is_of_running(snap: &Snapshot, text: &str) -> bool {
    let Some((_, path)) = text.split_once("/var/log/pods/") else { return false };
    let mut parts = path.split('/');
    let (Some(of_pod), Some(container), Some(file)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let [namespace, name, uid] = of_pod.split('_').collect::<Vec<_>>()[..] else { return false };
    let Some(restarts) = file.split_once(".log").and_then(|(number, _)| number.parse::<u32>().ok()) else {
        return false;
    };
    let pod = snap.pods.find(namespace, name).ok().flatten().filter(|p| p.metadata.uid == uid);
    let status = pod.and_then(|p| p.statuses().find(|s| s.name == container));
    status.is_some_and(|s| s.running_since().is_some() && restarts >= s.restart_count)
}

fn ours(snap: &Snapshot, log: &ContainerLog) -> Weight {
    if is_ours(snap, &log.namespace) { Weight::Weighs } else { Weight::Note }
}

fn signal(snap: &Snapshot, Said { weight, logs, group }: &Said<'_>) -> Signal {
    let log = logs[0];
    let subject = snap.owner_of_log(log);
    let place = match logs.len() {
        1 => format!("the log of {}", log.pod),
        n => format!("the logs of {n} pods of {}", subject.name()),
    };
    let counted = Counted::Errors { count: group.count, place };
    let said = redact(&group.text);
    let evidence = Evidence::new(
        format!("log of {}/{}, container {}", log.namespace, log.pod, log.container),
        said.clone(),
        "kubectl logs -n {{ namespace }} {{ pod }} -c {{ container }} --since=3h",
    )
    .with("namespace", &log.namespace)
    .with("pod", &log.pod)
    .with("container", &log.container);
    let named = snap.pod_of_log(log).map(|p| named(snap, p, log, &group.text)).unwrap_or_default();
    let pods = logs.iter().filter_map(|l| snap.pod_of_log(l));
    Signal::counting(SignalKind::Log, subject, counted, evidence)
        .text(said)
        .since(group.first)
        .weight(*weight)
        .next(named)
        .about(pods.flat_map(|p| around(snap, p)))
        .about(lacked(snap, log, &group.text))
        .explained_by_checks(judges(log, &group.text))
}

/// The datasources that Grafana is provisioned with and does not have, where it is asked for one in vain.
fn lacked(snap: &Snapshot, log: &ContainerLog, said: &str) -> Vec<ResourceRef> {
    if log.program != Some(Program::Grafana) || !unread::is_of_missing(said) {
        return Vec::new();
    }
    let instances = provisioned::instances(snap).unwrap_or_default();
    unread::lacking(snap, &instances).iter().map(Datasource::reference).collect()
}

/// What the message names that is set for the container, and where: nobody else may know what it means.
fn named(snap: &Snapshot, pod: &Pod, log: &ContainerLog, said: &str) -> String {
    let Some(container) = pod.all_containers().find(|c| c.name == log.container) else { return String::new() };
    let all = settings::named(snap, pod, container, said);
    let places: Vec<String> = all.iter().map(|s| redact(&s.place())).collect();
    if places.is_empty() { String::new() } else { format!("it names {}", places.join(", ")) }
}

/// Checks that judge what a program complains of.
fn judges(log: &ContainerLog, text: &str) -> &'static [&'static str] {
    match log.program {
        Some(Program::Alertmanager) if text.contains("otify") => &["alertmanager-notify"],
        Some(Program::Alertmanager) if text.contains("cluster") || text.contains("peer") => &["alertmanager-cluster"],
        Some(Program::Grafana) if text.contains("otify") || text.contains("Failed to send") => &["grafana-alerting"],
        Some(Program::Grafana) if unread::is_of_missing(text) => &["dashboard-datasource"],
        // The store says it itself, and is told of.
        Some(Program::Grafana) if text.contains("err-mimir-max-") => &["loki"],
        Some(Program::Grafana) if text.contains("Error received from") || text.contains("ealth check") => {
            &["grafana-datasource"]
        }
        Some(Program::Prometheus) if text.contains("rror sending alert") => &["alertmanager-disconnected"],
        Some(Program::Prometheus) if text.contains("valuating rule") => &["rule-failing"],
        Some(Program::Prometheus) if text.contains("remote") => &["remote-write-failing"],
        Some(Program::Prometheus)
            if ["discovery", "ailed to list", "refresh target groups"].iter().any(|w| text.contains(w)) =>
        {
            &["discovery-failing"]
        }
        // Who asks VictoriaMetrics repeats why it is refused.
        _ if text.contains("number of matching timeseries exceeds") => &["victoria-metrics"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;
    use crate::snapshot::Listing;

    fn with(lines: &[&str]) -> Vec<Signal> {
        let mut snap = snapshot();
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "monitoring".into(),
            pod: "prometheus-0".into(),
            container: "config-reloader".into(),
            text: lines.join("\n").into(),
            ..ContainerLog::default()
        }]);
        read(&snap)
    }

    #[test]
    fn what_goes_on_weighs_with_its_count_and_words() {
        let found = with(&[
            "level=error ts=2026-11-21T00:40:00Z msg=\"compaction failed\" err=\"segment 525\"",
            "level=info ts=2026-11-21T01:00:00Z msg=fine",
            "level=error ts=2026-11-21T02:40:00Z msg=\"compaction failed\" err=\"segment 526\"",
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].title, "2 errors in the log of prometheus-0");
        assert_eq!((found[0].text.as_str(), found[0].weight), ("compaction failed: segment 526", Weight::Weighs));
        assert_eq!(found[0].subject.kind_label(), "StatefulSet");
    }

    #[test]
    fn warnings_the_past_and_the_start_are_calm() {
        assert!(with(&["level=warn ts=2026-11-21T02:59:00Z msg=slow"]).is_empty());
        assert!(with(&["level=error ts=2026-11-20T12:00:00Z msg=over"; 9]).is_empty());
        // The container runs since 02:00.
        assert!(with(&["level=error ts=2026-11-21T02:00:20Z msg=\"not there yet\""; 9]).is_empty());
        let once = with(&["level=warn ts=2026-11-21T02:59:00Z msg=refused err=\"timeout\""]);
        assert_eq!(once[0].weight, Weight::Note);
    }

    #[test]
    fn a_call_that_did_not_fail_again_is_over() {
        let weight = |minutes: &[u32]| {
            let line = |m: &u32| {
                format!(
                    "level=error ts=2026-11-21T02:{m:02}:00Z msg=\"list failed\" err=\"dial tcp: connection refused\""
                )
            };
            let lines: Vec<String> = minutes.iter().map(line).collect();
            with(&lines.iter().map(String::as_str).collect::<Vec<_>>())[0].weight
        };
        assert_eq!(weight(&[50]), Weight::Note);
        assert_eq!(weight(&[58]), Weight::Weighs, "it may come again");
        assert_eq!(weight(&[30, 31, 32, 33]), Weight::Note, "a bad moment");
        assert_eq!(weight(&[40, 45, 50, 55]), Weight::Weighs);
    }

    #[test]
    fn what_was_delivered_after_all_is_over() {
        let weight = |at: &str| {
            let failed = |m: u32| {
                format!(
                    "[2026/11/21 01:{m:02}:04] [error] [output:es:es.0] no upstream connections available to logs:443"
                )
            };
            let mut lines: Vec<String> = (10..50).step_by(4).map(failed).collect();
            lines.push(format!(
                "[2026/11/21 {at}] [ info] [engine] flush chunk '1-1.flb' succeeded at retry 11: task_id=3"
            ));
            let mut snap = snapshot();
            *snap.part_logs = Ok(vec![ContainerLog {
                namespace: "monitoring".into(),
                pod: "fluent-bit-0".into(),
                container: "fluent-bit".into(),
                image: "fluent/fluent-bit:3.2.10".into(),
                text: lines.join("\n").into(),
                ..ContainerLog::default()
            }]);
            read(&snap)[0].weight
        };
        assert_eq!(weight("01:55:00"), Weight::Note);
        assert_eq!(weight("01:30:00"), Weight::Weighs, "it failed again");
    }

    #[test]
    fn what_came_every_minute_and_stopped_is_over() {
        let weight = |minutes: &[u32], newest: &str| {
            let line =
                |m: &u32| format!("level=error ts=2026-11-21T01:{m:02}:00Z msg=\"flush failed\" err=\"no bucket\"");
            let mut lines: Vec<String> = minutes.iter().map(line).collect();
            lines.push(format!("level=info ts={newest} msg=flushed"));
            let mut snap = snapshot();
            *snap.part_logs = Ok(vec![ContainerLog {
                namespace: "monitoring".into(),
                pod: "loki-0".into(),
                container: "loki".into(),
                text: lines.join("\n").into(),
                ..ContainerLog::default()
            }]);
            read(&snap)[0].weight
        };
        assert_eq!(weight(&[12, 13, 14, 15], "2026-11-21T02:57:00Z"), Weight::Note);
        assert_eq!(weight(&[12, 13, 14, 15], "2026-11-21T01:15:30Z"), Weight::Weighs, "it has written nothing since");
        assert_eq!(weight(&[5, 25, 45], "2026-11-21T02:57:00Z"), Weight::Weighs, "it may come again");
        assert_eq!(weight(&[15, 15, 15], "2026-11-21T02:57:00Z"), Weight::Weighs, "one moment, as of a reload");
    }

    #[test]
    fn new_pods_have_values_soon() {
        let weight = |minute: u32| {
            let line = format!(
                "level=error ts=2026-11-21T02:{minute:02}:00Z msg=\"unable to fetch pod metrics for pod shop/api-1: no metrics known for pod\""
            );
            with(&[line.as_str(); 3])[0].weight
        };
        assert_eq!((weight(50), weight(59)), (Weight::Note, Weight::Weighs));
    }

    #[test]
    fn strangers_at_the_door_of_grafana_are_no_fault() {
        let weight = |address: &str| {
            let line = format!(
                "logger=authn.service t=2026-11-21T02:59:00Z level=warn msg=\"Failed to authenticate request\" client=auth.client.form error=\"[password-auth.failed] no user found\"\nlogger=context t=2026-11-21T02:59:00Z level=info msg=\"Request Completed\" status=401 remote_addr={address} size=67\n"
            );
            let mut snap = snapshot();
            *snap.component_logs = Ok(vec![ContainerLog {
                namespace: "monitoring".into(),
                pod: "prometheus-0".into(),
                program: Some(Program::Grafana),
                text: line.repeat(9).into(),
                ..ContainerLog::default()
            }]);
            read(&snap)[0].weight
        };
        assert_eq!(weight("203.0.113.9"), Weight::Note);
        assert_eq!(weight("127.0.0.1"), Weight::Weighs, "a side-car of its own");
        assert_eq!(weight("[::1]"), Weight::Weighs);
        assert_eq!(weight(""), Weight::Weighs, "nobody knows who it was");
    }

    #[test]
    fn what_went_with_whoever_asked_is_calm() {
        let with = |image: &str, line: &str| {
            let mut snap = snapshot();
            let mut pods = snap.pods.items().expect("were read").to_vec();
            pods[0].metadata.uid = "now".into();
            snap.pods = Listing::cluster(pods);
            *snap.part_logs = Ok(vec![ContainerLog {
                namespace: "monitoring".into(),
                pod: "prometheus-0".into(),
                image: image.into(),
                text: format!("{line}\n").repeat(9).into(),
                ..ContainerLog::default()
            }]);
            read(&snap)[0].weight
        };
        let gone = "level=error ts=2026-11-21T02:59:00Z msg=\"error contacting scheduler\" err=\"rpc error: code = Canceled desc = context canceled\"";
        assert_eq!(with("grafana/loki:3.2.1", gone), Weight::Note);
        assert_eq!(with("grafana/loki:3.2.1", &gone.replace("context canceled", "x")), Weight::Weighs);
        let tails = |why: &str| {
            format!(
                "ts=2026-11-21T02:59:00Z level=warn msg=\"tailer stopped; will retry\" target=shop/api-0:api err=\"{why}\""
            )
        };
        assert_eq!(with("grafana/alloy:v1.5.0", &tails("http2: response body closed")), Weight::Note);
        let file = |pod: &str| {
            format!(
                "level=error ts=2026-11-21T02:59:00Z msg=\"failed to tail file, stat failed\" error=\"stat /var/log/pods/{pod}/config-reloader/0.log: no such file or directory\""
            )
        };
        assert_eq!(with("grafana/promtail:3.0.0", &file("shop_api-5c69c69b5d-f897r_1")), Weight::Note);
        assert_eq!(with("grafana/promtail:3.0.0", &file("monitoring_prometheus-0_before")), Weight::Note);
        assert_eq!(with("grafana/promtail:3.0.0", &file("monitoring_prometheus-0_now")), Weight::Weighs);
    }

    #[test]
    fn secrets_are_not_quoted() {
        let found =
            with(&["level=error ts=2026-11-21T02:59:00Z msg=\"post https://hooks.slack.com/services/T0/B0/XYZ\""]);
        assert!(!found[0].text.contains("XYZ") && !found[0].evidence.value.contains("XYZ"));
    }
}
