//! Programs of the stack whose logs nobody else here reads, and what they say again and again that they cannot do: whatever they
//! are, a connection, a certificate, a login and a volume fail in the words of their language.

pub(crate) mod known;

use std::collections::BTreeMap;

use crate::domain::alertmanager::bridge;
use crate::domain::crash::{self, Crash};
use crate::domain::kubernetes::mesh::Mesh;
use crate::domain::kubernetes::{forbidden, not_served};
use crate::domain::prometheus::exporter_log;
use crate::domain::text::answer::Answer;
use crate::domain::text::lasting::{LASTS, Lasting, SEVERAL};
use crate::domain::text::log_line::{Line, age};
use crate::domain::text::passing::is_of_the_asker;
use crate::domain::text::{dial, stack};
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;

/// Seconds after its start in which a program may complain of what is not there yet.
const START: i64 = 180;
/// Seconds for which something is of now, and for how many tries it is when they are rarer.
const NOW: i64 = 600;
const TRIES: i64 = 3;
/// Nobody waits longer between two tries of what matters.
const LONGEST: i64 = 1800;
/// Lines after the last of them from which on a log without times has moved on.
const MOVED_ON: usize = 50;
/// Namespaces in which everybody's programs run beside those of a stack.
const SHARED: &[&str] = &["default", "kube-system"];

/// What fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A connection, its TLS, or a file of its own, as what ends a program does.
    Own(Box<Crash>),
    /// Another program's answer, and who gave it, where that is told.
    Refused(Answer, Option<String>),
}

impl Cause {
    /// What tells it from another cause of the same program.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Own(crash) => {
                let about = crash.what.as_deref().or(crash.file.as_deref()).unwrap_or_default();
                format!("{:?} {about}", crash.class)
            }
            Self::Refused(answer, host) => format!("{answer:?} {}", host.as_deref().unwrap_or_default()),
        }
    }

    /// Reads a line.
    fn read(line: &Line<'_>) -> Option<Self> {
        // A warning that something failed says as much as an error where it is said again and again.
        let line = line.as_error();
        // What the API server refuses is judged for every program at once.
        if forbidden::denied(line.raw).is_some() || not_served::Asked::read(line.raw).is_some() {
            return None;
        }
        let text = line.text();
        let whole = stack::without(&text);
        if let Some(crash) = crash::of_line(&line) {
            return Some(Self::Own(Box::new(crash)));
        }
        let host = dial::host(whole).or_else(|| dial::host(line.raw));
        let answer = Answer::read(whole)?;
        // Without a host a status may be one that it gave itself.
        let outbound = host.is_some() || matches!(answer, Answer::Login | Answer::Rights) || is_of_api(whole);
        outbound.then_some(Self::Refused(answer, host))
    }
}

/// The words of an API's client, which name no host.
fn is_of_api(text: &str) -> bool {
    ["'ok': False", "\"ok\":false", "oauth2:"].iter().any(|w| text.contains(w))
}

/// What one program says.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) log: &'a ContainerLog,
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) cause: Cause,
    pub(crate) times: usize,
    /// The newest line that says so.
    pub(crate) line: &'a str,
}

/// It runs in a namespace of the stack, and no check reads its log by the words of its own kind.
pub(crate) fn is_unread(snap: &Snapshot, pod: &Pod, container: &Container) -> bool {
    let namespace = pod.metadata.namespace.as_str();
    let is_mesh = [Mesh::Istio, Mesh::Linkerd].iter().any(|m| m.sidecar() == container.name);
    snap.scope.is_stack(namespace) && !SHARED.contains(&namespace) && !is_mesh && !known::has_reader(pod, container)
}

/// The same, or one of which another check reads a part alone: what passes alerts on, and exporters.
pub(crate) fn is_judged(snap: &Snapshot, pod: &Pod, container: &Container) -> bool {
    let in_part = bridge::is_bridge(&container.image) || exporter_log::exporter(container);
    is_unread(snap, pod, container) || in_part && snap.scope.is_stack(&pod.metadata.namespace)
}

/// What an exporter says is read here where it is about its own files.
fn concerns(container: &Container, cause: &Cause) -> bool {
    let own_files = || matches!(cause, Cause::Own(crash) if crash.class.is_storage());
    !exporter_log::exporter(container) || own_files()
}

/// What such programs fail at now, by their logs.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(pod) = snap.pod_of_log(log).filter(|p| p.metadata.deletion_timestamp.is_none()) else { continue };
        let Some(container) = pod.spec.containers.iter().find(|c| c.name == log.container) else { continue };
        let status = pod.statuses().find(|s| s.name == log.container);
        let runs = status.and_then(|s| s.running_since()).is_some_and(|since| snap.seconds_since(since) >= START);
        if runs && is_judged(snap, pod, container) {
            let own = of_log(snap, log).into_iter().filter(|told| concerns(container, &told.cause));
            found.extend(own.map(|told| Failing {
                log,
                pod,
                container,
                cause: told.cause,
                times: told.times,
                line: told.line,
            }));
        }
    }
    Ok(found)
}

/// One cause in a log.
struct Told<'a> {
    cause: Cause,
    times: usize,
    ages: Option<Lasting>,
    line: &'a str,
    at: usize,
}

/// Causes that a log speaks of again and again, and still.
fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Vec<Told<'a>> {
    let mut all: BTreeMap<String, Told<'a>> = BTreeMap::new();
    let lines: Vec<&str> = log.text.lines().collect();
    for (at, raw) in lines.iter().enumerate() {
        let line = Line::parse(raw);
        if line.is_record() {
            continue;
        }
        let Some(cause) = Cause::read(&line) else { continue };
        let age = age(raw, snap.collected_at);
        let told = all.entry(cause.key()).or_insert_with(|| Told {
            cause: cause.clone(),
            times: 0,
            ages: age.map(Lasting::before),
            line: raw,
            at,
        });
        told.times += 1;
        if let (Some(ages), Some(age)) = (&mut told.ages, age) {
            ages.add(age);
        }
        (told.cause, told.line, told.at) = (cause, raw, at);
    }
    all.retain(|_, told| {
        let goes_on = told.ages.map_or(lines.len() - told.at <= MOVED_ON, goes_on);
        told.times >= SEVERAL && goes_on && !is_of_the_asker(told.line, told.times)
    });
    all.into_values().collect()
}

/// It lasts, and the next try is not long overdue.
fn goes_on(ages: Lasting) -> bool {
    let between = ages.lasts() / i64::try_from(ages.times.max(2) - 1).unwrap_or(1);
    ages.is_several() && ages.lasts() >= LASTS && ages.is_within((TRIES * between).clamp(NOW, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(line: &str) -> Option<String> {
        Cause::read(&Line::parse(line)).map(|c| c.key())
    }

    #[test]
    fn failures_are_read_in_any_language() {
        for (line, wanted) in [
            (
                r#"level=error msg="Failed to query Alertmanager" error="Get \"http://alertmanager-main.monitoring.svc:9093/metrics\": dial tcp: lookup alertmanager-main.monitoring.svc on 10.100.0.10:53: no such host" alertmanager=default"#,
                Some("Unreached alertmanager-main.monitoring.svc:9093"),
            ),
            (
                "requests.exceptions.ConnectTimeout: HTTPConnectionPool(host='prometheus.prod.svc', port=9090): Max retries exceeded with url: /api (Caused by ConnectTimeoutError(<urllib3.connection.HTTPConnection object>, 'Connection to prometheus.prod.svc timed out. (connect timeout=5)'))",
                Some("Unreached prometheus.prod.svc:9090"),
            ),
            ("error: Error: getaddrinfo ENOTFOUND hooks.example.org", Some("Unreached hooks.example.org")),
            (
                "java.net.ConnectException: Connection refused: kafka-0.kafka.svc/10.0.3.4:9092",
                Some("Unreached 10.0.3.4:9092"),
            ),
            ("Caused by: java.net.UnknownHostException: kafka-0.kafka.svc", Some("Unreached kafka-0.kafka.svc")),
            (
                r#"time=x level=ERROR msg="error persisting metrics" err="write /data/m234: no space left on device""#,
                Some("DiskFull /data/m234"),
            ),
            (
                r#"level=error msg="error notifying receiver" err="request failed with status: 401 Unauthorized, url: https://acme.atlassian.net/rest""#,
                Some("Login acme.atlassian.net"),
            ),
            ("ERROR Slack said {'ok': False, 'error': 'not_in_channel'}", Some("Rights ")),
            (r#"level=error msg="GET /missing" status=404"#, None),
            (
                r#"E1121 02:50:00.1 1 reflector.go:1] configmaps is forbidden: User "system:serviceaccount:m:t" cannot list resource "configmaps" in API group "" at the cluster scope"#,
                None,
            ),
            (
                "django.db.utils.OperationalError: (2003, \"Can't connect to MySQL server on 'oncall-mariadb:3306' (111)\")",
                Some("Unreached oncall-mariadb:3306"),
            ),
            ("started in 404 ms", None),
        ] {
            assert_eq!(cause(line).as_deref(), wanted, "{line}");
        }
    }
}
