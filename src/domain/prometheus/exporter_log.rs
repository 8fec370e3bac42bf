//! What exporters say of what they measure: their target is up, and the metrics are missing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::answer::{LOGIN, RIGHTS};
use crate::domain::text::lasting::{RECENT, SEVERAL};
use crate::domain::text::log_line::{Level, Line};
use crate::model::Gap;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Container;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Why an exporter does not measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// User and password, or the key, are not accepted.
    Login,
    /// The user is known, and may not read what is measured.
    Rights,
    /// Its name does not resolve.
    Name,
    /// Nobody answers.
    Unreached,
    /// TLS.
    Tls,
    /// A probe names a module that blackbox-exporter's configuration does not have.
    Module,
    /// It may not open sockets for ICMP.
    Socket,
    /// A device does not answer over SNMP.
    Snmp,
    /// Pushgateway takes no push that contradicts what it holds.
    Pushed,
    /// AWS answers fewer calls in a second than it makes.
    Throttled,
    /// node-exporter: a collector of its own gives nothing.
    Collector,
    /// node-exporter: a file of the textfile collector does not parse, so nothing of it is exported.
    Textfile,
    /// statsd-exporter: a metric comes in a form that contradicts the one before.
    Conflict,
}

/// Words, in the order in which they are looked for.
const WORDS: &[(Why, &[&str])] = &[
    (Why::Module, &["Unknown module"]),
    (
        Why::Conflict,
        &[
            "A change of configuration created inconsistent metrics",
            "is already registered",
            "inconsistent label names",
        ],
    ),
    (Why::Throttled, THROTTLED),
    (
        Why::Socket,
        &["icmp 0.0.0.0: socket: operation not permitted", "ip6:ipv6-icmp ::: socket: operation not permitted"],
    ),
    (Why::Pushed, &["pushed metrics are invalid or inconsistent"]),
    (
        Why::Snmp,
        &[
            "equest timeout (after",
            "scrape canceled",
            "scrape cancelled",
            "error walking target",
            "error getting target",
        ],
    ),
    (Why::Login, LOGIN),
    (Why::Rights, RIGHTS),
    (Why::Tls, &["x509:", "SSL is not enabled on the server", "tls: ", "certificate verify failed"]),
    (Why::Name, &["no such host", "server misbehaving", "Name or service not known"]),
    (
        Why::Unreached,
        &[
            "connection refused",
            "i/o timeout",
            "deadline exceeded",
            "run out of available brokers",
            "no route to host",
            "connection reset",
            "server selection error",
            "Couldn't connect to redis instance",
        ],
    ),
];

/// What AWS says of too many calls.
const THROTTLED: &[&str] =
    &["Rate exceeded", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"];

/// What one exporter's pod says.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) why: Why,
    pub(crate) log: &'a ContainerLog,
    pub(crate) times: usize,
    pub(crate) last: Option<Timestamp>,
    pub(crate) line: String,
    /// What it says.
    pub(crate) said: String,
    /// The same, with the address that stands in a field of its own.
    pub(crate) text: String,
}

/// An exporter that measures another program. Those that measure the node and the cluster have checks of their own.
pub(crate) fn is_exporter(image: &str) -> bool {
    let name = base_of(image);
    // What sends events of Kubernetes to other places exports them, and measures nothing.
    let others = ["node-exporter", "node_exporter", "event-exporter", "event_exporter"];
    let measures = name.contains("exporter") && !others.iter().any(|other| name.contains(other));
    measures || matches!(name, "pushgateway" | "prometheus-pushgateway")
}

/// It measures its node.
pub(crate) fn is_of_node(image: &str) -> bool {
    matches!(base_of(image), "node-exporter" | "node_exporter" | "prometheus-node-exporter")
}

/// Collectors of node-exporter that dashboards and rules of nodes read; others find nothing on most machines, as that of the
/// pressure where a kernel does not count it.
const CORE: &[&str] = &["cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netclass", "netdev", "stat", "vmstat"];

/// The collector of node-exporter that a line says has failed, where others rely on it.
pub(crate) fn failed_collector<'a>(line: &'a Line<'_>) -> Option<&'a str> {
    let name = Some(line.get("name")).filter(|_| line.msg == "collector failed")?;
    // An interface goes with its pod, and may do so while it is read.
    let gone = name == "netclass" && line.err.contains("/net/") && line.err.contains("no such file");
    (CORE.contains(&name) && !gone).then_some(name)
}

/// What a line of node-exporter says.
fn of_the_node(line: &Line<'_>) -> Option<&'static Why> {
    if failed_collector(line).is_some() {
        return Some(&Why::Collector);
    }
    (line.msg == "failed to collect textfile data").then_some(&Why::Textfile)
}

/// Collectors that a log says have failed lately, each once.
pub(crate) fn collectors(snap: &Snapshot, text: &str) -> Vec<String> {
    let lines = text.lines().map(Line::parse).filter(|l| !l.is_older(snap.collected_at, RECENT));
    let mut all: Vec<String> = lines.filter_map(|l| failed_collector(&l).map(str::to_owned)).collect();
    all.sort();
    all.dedup();
    all
}

/// It makes metrics of what is sent to it.
fn is_of_statsd(image: &str) -> bool {
    base_of(image).contains("statsd")
}

/// It measures what CloudWatch has.
fn is_of_cloudwatch(image: &str) -> bool {
    base_of(image).contains("cloudwatch")
}

/// The container of an exporter.
pub(crate) fn exporter(container: &Container) -> bool {
    is_exporter(&container.image)
}

/// What the exporters' logs say now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous && (is_exporter(&l.image) || is_of_node(&l.image))) {
        let mut by_why: BTreeMap<Why, Failing<'_>> = BTreeMap::new();
        for line in log.text.lines().map(Line::parse) {
            // snmp-exporter tells what it cannot ask as information.
            let bad = matches!(line.level, Level::Warning | Level::Error)
                || is_plain_error(&line)
                || line.msg.starts_with("Error scraping target")
                // So does statsd-exporter of what it throws away, in older versions.
                || line.msg == "Failed to update metric";
            let old = line.is_older(snap.collected_at, RECENT);
            if !bad || old {
                continue;
            }
            let text = line.text();
            // What AWS refuses it is told of any pod.
            let of_aws = is_of_cloudwatch(&log.image);
            let told = |(why, words): &&(Why, &[&str])| {
                (!of_aws || *why == Why::Throttled) && words.iter().any(|w| text.contains(w))
            };
            let of_node = is_of_node(&log.image);
            // What Go's client library says of a metric is another program's own matter.
            let of_words = || WORDS.iter().filter(|(w, _)| *w != Why::Conflict || is_of_statsd(&log.image)).find(told);
            let of_others = || of_words().map(|(why, _)| why);
            let found = if of_node { of_the_node(&line) } else { of_others() };
            let Some(why) = found else { continue };
            let failing = by_why.entry(*why).or_insert_with(|| Failing {
                why: *why,
                log,
                times: 0,
                last: None,
                line: String::new(),
                said: String::new(),
                text: String::new(),
            });
            failing.times += 1;
            failing.last = line.at.or(failing.last);
            line.raw.clone_into(&mut failing.line);
            text.clone_into(&mut failing.said);
            // The URL often stands in a field of its own.
            let url = [line.get("dsn"), line.get("url"), line.get("target"), line.get("uri")];
            failing.text =
                url.iter().fold(text, |text, url| if url.is_empty() { text } else { format!("{text} {url}") });
        }
        // What is said most is what it is about.
        found.extend(by_why.into_values().filter(|f| f.times >= SEVERAL).max_by_key(|f| f.times));
    }
    Ok(found)
}

/// Loggers that write no level field (logrus' text on a terminal, klog's own).
fn is_plain_error(line: &Line<'_>) -> bool {
    line.level == Level::Unknown && ["ERRO", "WARN", "error", "Error"].iter().any(|w| line.raw.contains(w))
}

/// `host:port` of what is measured.
pub(crate) fn measured(text: &str) -> Option<String> {
    let host = pattern!(
        r#"(?x)
            (?: [a-z+]+://(?:[^\s"'/@]*@)? | @?tcp\( | dial\ tcp:?\ (?:lookup\ )? | lookup\  | (?:getting|walking)\ target\  )
            ([a-zA-Z0-9][\w.-]*\w (?::\d{2,5})?)"#
    );
    host.captures(text).map(|c| c[1].to_owned())
}

/// The metric that a push is refused for, and its job.
pub(crate) fn pushed(text: &str) -> Option<(String, String)> {
    let plain = text.replace('\\', "");
    let metric = plain.split_once("collected metric ")?.1.trim_start_matches('"').split(['"', ' ']).next()?.to_owned();
    let job = plain.split_once("name:\"job\" value:\"").and_then(|(_, rest)| rest.split('"').next());
    Some((metric, job.unwrap_or_default().to_owned()))
}

/// The type that the held metric has, and the one that is pushed: `Gauge`, `counter`.
pub(crate) fn pushed_types(text: &str) -> Option<(String, String)> {
    let plain = text.replace('\\', "");
    let (before, after) = plain.split_once(" should be a ")?;
    let held = after.split(|c: char| !c.is_ascii_alphabetic()).next().filter(|t| !t.is_empty())?;
    let types = ["counter", "gauge", "histogram", "summary", "untyped"];
    let sent = types.iter().find(|t| before.contains(&format!(" {t}:{{")))?;
    Some((held.to_owned(), (*sent).to_owned()))
}

/// The user that is not let in.
pub(crate) fn user(text: &str) -> Option<String> {
    let user =
        pattern!(r#"(?:for user|for role) \\?["']?([\w.-]+)|user \\?["']([\w.-]+)\\?["']|NOPERM User ([\w.-]+)"#);
    let found = user.captures(text)?;
    found.iter().skip(1).flatten().next().map(|name| name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(image: &str, line: &str, times: usize) -> Vec<(Why, Option<String>)> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let text = format!("{line}\n").repeat(times);
        let log = ContainerLog { image: image.into(), text: text.into(), ..ContainerLog::default() };
        *snap.part_logs = Ok(vec![log]);
        failing(&snap).expect("a log").into_iter().map(|f| (f.why, measured(&f.text))).collect()
    }

    #[test]
    fn tells_why_nothing_is_measured() {
        for (image, line, why, host) in [
            (
                "quay.io/prometheuscommunity/postgres-exporter:v0.16.0",
                r#"time=2026-11-21T02:50:00.494Z level=ERROR source=postgres_exporter.go:681 msg="error scraping dsn" err="Error opening connection to database (postgresql://exporter:PASSWORD_REMOVED@db.example:5432/postgres?sslmode=require): pq: password authentication failed for user \"exporter\"""#,
                Why::Login,
                "db.example:5432",
            ),
            (
                "prom/mysqld-exporter:v0.15.1",
                r#"ts=2026-11-21T02:50:00.1Z caller=exporter.go:152 level=error msg="Error pinging mysqld" err="Error 1045 (28000): Access denied for user 'exporter'@'10.0.1.5' (using password: YES)""#,
                Why::Login,
                "",
            ),
            (
                "oliver006/redis_exporter:v1.58.0",
                r#"time="2026-11-21T02:50:00Z" level=error msg="Couldn't connect to redis instance (redis://cache.shop.svc:6379)""#,
                Why::Unreached,
                "cache.shop.svc:6379",
            ),
            (
                "quay.io/prometheus/pushgateway:v1.11.0",
                r#"time=2026-11-21T02:50:00.1Z level=ERROR source=push.go:133 msg="pushed metrics are invalid or inconsistent with existing metrics" method=PUT source=10.0.140.9:39112 err="pushed metrics must not have timestamps""#,
                Why::Pushed,
                "",
            ),
            (
                "quay.io/prometheus/snmp-exporter:v0.28.0",
                r#"time=2026-11-21T02:50:00.1Z level=INFO source=collector.go:478 msg="Error scraping target" auth=public_v2 target=10.9.0.5 module=if_mib err="error getting target 10.9.0.5: request timeout (after 3 retries)""#,
                Why::Snmp,
                "10.9.0.5",
            ),
            (
                "quay.io/prometheuscommunity/yet-another-cloudwatch-exporter:v0.62.1",
                r#"{"time":"2026-11-21T02:50:27.1Z","level":"ERROR","msg":"GetMetricData error","err":"operation error CloudWatch: GetMetricData, exceeded maximum number of attempts, 5, https response error StatusCode: 400, RequestID: 4fea, api error Throttling: Rate exceeded"}"#,
                Why::Throttled,
                "",
            ),
            (
                "quay.io/prometheus/blackbox-exporter:v0.25.0",
                r#"ts=2026-11-21T02:50:00.1Z caller=handler.go:53 level=error msg="Unknown module" module=http_2xx_auth"#,
                Why::Module,
                "",
            ),
        ] {
            let host = Some(host.to_owned()).filter(|h| !h.is_empty());
            assert_eq!(read(image, line, 3), [(why, host)], "{line}");
            assert!(read(image, line, 2).is_empty(), "a hiccup");
            assert!(read("grafana/grafana:11", line, 9).is_empty(), "no exporter");
        }
        assert_eq!(user("pq: password authentication failed for user \"exporter\"").as_deref(), Some("exporter"));
        assert_eq!(user("Access denied for user 'exporter'@'10.0.1.5'").as_deref(), Some("exporter"));
        assert_eq!(user("no pg_hba.conf entry for host \"10.0.1.5\", user \"exporter\"").as_deref(), Some("exporter"));
        assert_eq!(
            user("NOPERM User exporter has no permissions to run the 'info' command").as_deref(),
            Some("exporter")
        );
        assert_eq!(
            pushed(
                r#"collected metric \"backup_seconds\" { label:{name:\"instance\" value:\"\"} label:{name:\"job\" value:\"nightly\"} counter:{value:12}} should be a Gauge"#
            ),
            Some(("backup_seconds".into(), "nightly".into()))
        );
        let denied = r#"{"time":"2026-11-21T02:50:27.1Z","level":"ERROR","msg":"x","err":"api error AccessDenied: 403 Forbidden"}"#;
        assert!(read("quay.io/prometheuscommunity/yet-another-cloudwatch-exporter:v0.62.1", denied, 9).is_empty());
        assert_eq!(pushed("pushed metrics must not have timestamps"), None);
        let other =
            r#"collected metric \"m\" { label:{name:\"job\" value:\"j\"} counter:{value:12}} should be a Gauge"#;
        assert_eq!(pushed_types(other), Some(("Gauge".into(), "counter".into())));
        assert_eq!(pushed_types("pushed metrics must not have timestamps"), None);
        assert_eq!(user("NOPERM this user has no permissions to run the 'info' command"), None);
    }
}
