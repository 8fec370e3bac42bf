//! Programs of the stack whose logs nobody else here reads, and what they say again and again that they cannot do: whatever they
//! are, a connection, a certificate, a login and a volume fail in the words of their language.

pub(crate) mod known;
mod record;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::alertmanager::bridge;
use crate::domain::crash::{self, Crash};
use crate::domain::kubernetes::mesh::Mesh;
use crate::domain::kubernetes::{forbidden, not_served};
use crate::domain::prometheus::exporter_log;
use crate::domain::text::answer::Answer;
use crate::domain::text::complaint::age;
use crate::domain::text::lasting::{Lasting, SEVERAL};
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::passing::{is_of_the_asker, is_tried_again};
use crate::domain::text::{dial, stack};
use crate::model::{Gap, ResourceRef};
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Snapshot, journal};

/// Seconds after its start in which a program may complain of what is not there yet.
const START: i64 = 180;
/// Seconds for which something is of now, and for how many tries it is when they are rarer.
const NOW: i64 = 600;
const TRIES: i64 = 3;
/// Nobody waits longer between two tries of what matters.
const LONGEST: i64 = 1800;
/// Times from which on something goes on in a log whose lines do not say when, and warnings of calls that are made again tell of
/// more than a hiccup; and for how many seconds the latter.
const MANY: usize = 10;
const OFTEN: i64 = 600;
/// Peers of one program that are told of, those it fails at most: whoever fails at many has one cause, or asks for others.
const PEERS: usize = 3;
/// Namespaces in which everybody's programs run beside those of a stack.
const SHARED: &[&str] = &["default", "kube-system"];
/// Workloads of such programs in one namespace from which on it is not the stack's own.
const CROWD: usize = 20;

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
        // Without a host it may be what it answered itself.
        let outbound = host.is_some() || is_of_client(whole);
        (outbound && !record::names_client(&line)).then_some(Self::Refused(answer, host))
    }

    /// Whom it does not reach, trust or satisfy: the host, without a port.
    pub(crate) fn peer(&self) -> Option<&str> {
        match self {
            Self::Own(crash) => crash.unreached().map(|(host, _)| host),
            Self::Refused(_, host) => host.as_deref().map(|h| h.rsplit_once(':').map_or(h, |(name, _)| name)),
        }
    }

    /// It is told because of something that the program does not need: the metadata of a cloud, where it looks which one it is
    /// in, and those who count who uses it or has a newer version of it.
    fn is_beside(&self) -> bool {
        const METADATA: &[&str] = &["169.254.169.254", "metadata.google.internal", "metadata.azure"];
        const WORDS: &[&str] = &[
            "analytics",
            "checkpoint-api",
            "mixpanel",
            "posthog",
            "segment",
            "sentry",
            "stats",
            "telemetry",
            "update",
            "updates",
            "usage",
        ];
        let Some(host) = self.peer() else { return false };
        let is_public = host.contains('.') && !host.contains(".svc");
        METADATA.iter().any(|m| host.starts_with(m)) || is_public && host.split('.').any(|word| WORDS.contains(&word))
    }
}

/// The words of those who asked, which name no host.
fn is_of_client(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "'ok': False",
        "\"ok\":false",
        "oauth2:",
        // Axios, Node's client
        "Request failed with status code",
        "pq: ",
        "psycopg",
        "SQLSTATE",
        "OperationalError",
        "PSQLException",
        "SQLException",
        "server error (FATAL",
        "MongoServerError",
        "SaslAuthenticationException",
        "AuthenticationFailureException",
        "Error 1045",
        "Error 1142",
        "Error 1227",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "equest failed with status",
        "unexpected status code",
        "expected 200 response",
        "server returned",
        "server responded",
    ];
    WORDS.iter().any(|w| text.contains(w))
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

/// Such programs, where they are beside a stack: among many others it is the stack that is the guest.
pub(crate) struct Strangers<'a> {
    snap: &'a Snapshot,
    crowded: BTreeSet<&'a str>,
}

impl<'a> Strangers<'a> {
    /// Those of a snapshot.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let mut owners: BTreeMap<&str, BTreeSet<ResourceRef>> = BTreeMap::new();
        for pod in snap.pods.items().unwrap_or_default() {
            if pod.spec.containers.iter().any(|c| is_unread(snap, pod, c)) {
                owners.entry(&pod.metadata.namespace).or_default().insert(snap.owner_ref(pod));
            }
        }
        let crowded = owners.into_iter().filter(|(_, all)| all.len() > CROWD).map(|(namespace, _)| namespace).collect();
        Self { snap, crowded }
    }

    /// A program that no check knows.
    pub(crate) fn has(&self, pod: &Pod, container: &Container) -> bool {
        is_unread(self.snap, pod, container) && !self.crowded.contains(pod.metadata.namespace.as_str())
    }

    /// The same, or one of which another check reads a part alone: what passes alerts on, and exporters.
    pub(crate) fn judges(&self, pod: &Pod, container: &Container) -> bool {
        let in_part = bridge::is_bridge(&container.image) || exporter_log::exporter(container);
        self.has(pod, container) || in_part && self.snap.scope.is_stack(&pod.metadata.namespace)
    }
}

/// What an exporter says is read here where it is about its own files, and so is what probes: it fails at others by design. Of
/// what the API server feeds it is the way there, and its own files.
fn concerns(container: &Container, cause: &Cause) -> bool {
    let Cause::Own(crash) = cause else { return !in_part(container) && !known::probes(container) };
    if known::is_fed_by_cluster(container) {
        // The program beside it starts when it does.
        let beside = cause.peer().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "::1"));
        return crash.class.is_storage() || crash.unreached().is_some() && !beside;
    }
    crash.class.is_storage() || !(exporter_log::exporter(container) || known::probes(container))
}

/// Another check reads a part of what it says.
fn in_part(container: &Container) -> bool {
    exporter_log::exporter(container) || known::is_fed_by_cluster(container)
}

/// What such programs fail at now, by their logs.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let (mut found, strangers) = (Vec::new(), Strangers::of(snap));
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(pod) = snap.pod_of_log(log).filter(|p| p.metadata.deletion_timestamp.is_none()) else { continue };
        let Some(container) = pod.spec.containers.iter().find(|c| c.name == log.container) else { continue };
        let status = pod.statuses().find(|s| s.name == log.container);
        let runs = status.and_then(|s| s.running_since()).is_some_and(|since| snap.seconds_since(since) >= START);
        let fed = || known::is_fed_by_cluster(container) && snap.scope.is_stack(&pod.metadata.namespace);
        if runs && (strangers.judges(pod, container) || fed()) {
            let own = told(&log.text, snap.collected_at).into_iter().filter(|told| concerns(container, &told.cause));
            found.extend(own.map(|told| Failing {
                log,
                pod,
                container,
                cause: named(snap, pod, told.cause),
                times: told.times,
                line: told.line,
            }));
        }
    }
    Ok(found)
}

/// With what the cluster knows of whom it asks.
fn named(snap: &Snapshot, pod: &Pod, cause: Cause) -> Cause {
    let Cause::Own(mut crash) = cause else { return cause };
    // It only adds to what is told.
    journal::aside(|| {
        crash::name_service(snap, pod, &mut crash);
        crash::name_backend(snap, pod, &mut crash);
    });
    Cause::Own(crash)
}

/// One cause in a log.
struct Told<'a> {
    cause: Cause,
    times: usize,
    /// In a log whose lines say when.
    ages: Option<Lasting>,
    line: &'a str,
    /// Where the last line stands, and the most lines between two of them.
    at: usize,
    apart: usize,
    /// By warnings alone, of calls that are made again.
    passes: bool,
}

impl<'a> Told<'a> {
    fn first(cause: Cause, line: &'a str, at: usize, age: Option<i64>) -> Self {
        Self { cause, times: 0, ages: age.map(Lasting::before), line, at, apart: 1, passes: true }
    }

    fn add(&mut self, cause: Cause, line: &Line<'a>, at: usize, age: Option<i64>) {
        // Who failed hours ago has come through since: it begins anew.
        if self.ages.zip(age).is_some_and(|(ages, age)| ages.last() - age > LONGEST) {
            *self = Self::first(cause.clone(), line.raw, at, age);
        }
        self.times += 1;
        self.ages = self.ages.or(age.map(Lasting::before));
        if let (Some(ages), Some(age)) = (&mut self.ages, age) {
            ages.add(age);
        }
        self.apart = self.apart.max(at - self.at);
        self.passes &= record::level(line) == Level::Warning && is_tried_again(line.raw);
        (self.cause, self.line, self.at) = (cause, line.raw, at);
    }

    /// It lasts, and the next try is not long overdue. A log that never says when has moved on where more follows than stood
    /// between two tries.
    fn goes_on(&self, lines: usize) -> bool {
        let Some(ages) = self.ages else { return self.times >= MANY && lines - self.at <= self.apart };
        let between = ages.lasts() / i64::try_from(ages.times.max(2) - 1).unwrap_or(1);
        let is_now = ages.is_within((TRIES * between).clamp(NOW, LONGEST));
        let is_hiccup = self.passes && (ages.times < MANY || ages.lasts() < OFTEN);
        ages.lasted() && is_now && !is_hiccup
    }
}

/// Causes that a log speaks of again and again, and still.
fn told(text: &str, now: Timestamp) -> Vec<Told<'_>> {
    let mut all: BTreeMap<String, Told<'_>> = BTreeMap::new();
    let mut lines = 0;
    // A line without a time, as those of a stack, is of the one before it.
    let mut ago = None;
    for raw in text.lines() {
        ago = age(raw, now).or(ago);
        // Frames of a stack belong to what is said above them.
        if raw.trim().is_empty() || raw.starts_with([' ', '\t']) && !raw.trim_start().starts_with('{') {
            continue;
        }
        lines += 1;
        let line = Line::parse(raw);
        if record::is_record(&line) {
            continue;
        }
        let Some(cause) = Cause::read(&line).filter(|cause| !cause.is_beside()) else { continue };
        let told = all.entry(cause.key()).or_insert_with(|| Told::first(cause.clone(), line.raw, lines, ago));
        told.add(cause, &line, lines, ago);
    }
    all.retain(|_, told| told.times >= SEVERAL && told.goes_on(lines) && !is_of_the_asker(told.line, told.times));
    let mut all: Vec<Told<'_>> = all.into_values().collect();
    all.sort_by_key(|told| Reverse(told.times));
    let mut peers = 0;
    all.retain(|told| {
        peers += usize::from(told.cause.peer().is_some());
        told.cause.peer().is_none() || peers <= PEERS
    });
    all
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
            (
                r#"{"err":"Error: net::ERR_NAME_NOT_RESOLVED at http://g.example.org/d/a","level":"error","message":"Render request failed"}"#,
                Some("Unreached g.example.org"),
            ),
            (
                r#"ERR Failed to query prometheus at http://p.obs.svc:80. Error: Get "http://p.obs.svc:80/api/v1/query?query=up": dial tcp: lookup p.obs.svc on 172.20.0.10:53: no such host"#,
                Some("Unreached p.obs.svc:80"),
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
            (
                r#"{"level":50,"time":1795231248835,"err":{"type":"AxiosError","message":"Request failed with status code 404"},"msg":"posting to Teams failed"}"#,
                Some("NotFound "),
            ),
            ("started in 404 ms", None),
        ] {
            assert_eq!(cause(line).as_deref(), wanted, "{line}");
        }
    }

    fn found(lines: impl Iterator<Item = String>) -> Vec<String> {
        let text = lines.collect::<Vec<_>>().join("\n");
        let now = "2026-11-21T03:00:00Z".parse().expect("a time");
        told(&text, now).iter().map(|t| t.cause.key()).collect()
    }

    #[test]
    fn what_it_answers_itself_is_no_failure_of_its_own() {
        for line in [
            r#"10.0.1.5 - - [21/Nov/2026:02:50:00 +0000] "GET /x HTTP/1.1" 401 153 "https://a.example.org/" "x""#,
            r#"level=warn msg="authentication failed for user bob" remote_addr=10.0.1.5"#,
            "2026-11-21 02:50:00.1 UTC [77] FATAL:  password authentication failed for user \"bob\"",
            "level=error msg=\"query returned 500 rows from http://db.svc/\"",
        ] {
            assert_eq!(cause(line).filter(|_| !record::is_record(&Line::parse(line))), None, "{line}");
        }
    }

    #[test]
    fn a_hiccup_now_and_then_does_not_go_on() {
        let refused = "dial tcp 10.0.13.9:9200: connect: connection refused";
        let at = |time: &str, level: &str| format!("level={level} ts=2026-11-21T{time}Z msg=x err=\"{refused}\"");
        let each = |minutes: &[u32], level: &str| found(minutes.iter().map(|m| at(&format!("02:{m:02}:00"), level)));
        assert_eq!(each(&[50, 52, 54, 56, 58], "error").len(), 1);
        assert!(each(&[50, 52, 54, 56, 58], "warn").is_empty(), "it is tried again");
        assert_eq!(each(&(40..60).collect::<Vec<u32>>(), "warn").len(), 1, "in vain");
        let rare = ["00:01:00", "01:01:00", "01:57:00", "02:57:00"];
        assert!(found(rare.into_iter().map(|t| at(t, "error"))).is_empty());
    }

    #[test]
    fn lines_without_a_time_are_of_the_one_before() {
        let exception =
            "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://acme.example.org/x";
        let tries = |hour: u32| {
            found((50..60).flat_map(move |m| {
                let head = format!("2026-11-21 {hour:02}:{m}:00,123 ERROR sync failed");
                [head, "Traceback (most recent call last):".into(), "  File \"a.py\", line 1".into(), exception.into()]
            }))
        };
        assert_eq!(tries(2), ["Login acme.example.org"]);
        assert!(tries(0).is_empty(), "it is over");
    }

    #[test]
    fn a_log_that_never_says_when() {
        let refused = || (0..12).map(|_| "Error: connect ECONNREFUSED 10.0.3.4:5432".to_owned());
        assert_eq!(found(refused()).len(), 1);
        let then = ["connected to the database", "listening on :8080"].map(str::to_owned);
        assert!(found(refused().chain(then)).is_empty(), "it started");
        assert!(found(refused().take(5)).is_empty());
    }

    #[test]
    fn what_is_not_needed_is_no_failure() {
        for host in ["stats.grafana.org", "169.254.169.254", "o1.ingest.sentry.io"] {
            let line = |m: u32| {
                format!(
                    "level=error ts=2026-11-21T02:{m}:00Z msg=x err=\"Get \\\"https://{host}/\\\": dial tcp 1.2.3.4:443: i/o timeout\""
                )
            };
            assert!(found((50..60).map(line)).is_empty(), "{host}");
        }
    }

    #[test]
    fn who_fails_at_many_is_told_of_a_few() {
        let line = |m: u32, host: u32| {
            format!(
                "level=error ts=2026-11-21T02:{m}:00Z msg=x err=\"dial tcp 10.0.0.{host}:80: connect: connection refused\""
            )
        };
        assert_eq!(found((50..60).flat_map(|m| (1..9).map(move |host| line(m, host)))).len(), PEERS);
    }
}
