//! Reads the logs of log agents: promtail and Alloy (logfmt), Fluent Bit, Fluentd, Vector.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::loki::agent::Agent;
use crate::domain::loki::reason::{self, Cause};
use crate::domain::text::log_line::{Level, Line, written_at};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which lines that were thrown away are worth a finding.
pub(crate) const LOST: i64 = 3600;
/// The same of what is tried again.
const RETRIED: i64 = 900;
/// Lines about what is tried again, from which on it is no hiccup.
const SEVERAL: usize = 3;

/// What one agent's pod says of one reason.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) agent: Agent,
    pub(crate) reason: Cause,
    /// Lines that say so.
    pub(crate) times: usize,
    /// Some of them that the lines were thrown away.
    pub(crate) lost: bool,
    pub(crate) last: Option<Timestamp>,
    /// The last of them, with what follows it.
    pub(crate) text: String,
    /// The output of Fluent Bit that it is about: `es.1`.
    pub(crate) output: Option<String>,
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) container: String,
}

/// How the names of Alloy's components for profiles begin.
const PROFILES: &str = "pyroscope.";

impl Failing {
    /// It is about profiles, which go to Pyroscope.
    pub(crate) fn of_profiles(&self) -> bool {
        self.text.split_once(" component_id=").is_some_and(|(_, id)| id.starts_with(PROFILES))
    }
}

/// One message of a log: a line and those that continue it.
#[derive(Debug, Clone)]
struct Entry {
    at: Option<Timestamp>,
    bad: bool,
    text: String,
}

/// What the agents' logs say of lines that do not arrive.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing>, crate::model::Gap> {
    let mut found = Vec::new();
    for log in snap.part_logs()?.iter().filter(|l| !l.previous) {
        let Some(agent) = Agent::of_image(&log.image) else { continue };
        found.extend(of_log(snap, log, agent));
    }
    Ok(found)
}

fn of_log(snap: &Snapshot, log: &ContainerLog, agent: Agent) -> Vec<Failing> {
    let mut by_reason: BTreeMap<Cause, Failing> = BTreeMap::new();
    let asks_its_own = asks_its_own_kubelet(snap, log);
    let mut outputs: BTreeSet<String> = BTreeSet::new();
    for entry in entries(&log.text, snap.collected_at).into_iter().filter(|e| e.bad) {
        let sending = Cause::of(&entry.text).filter(|r| is_about_sending(&entry.text, *r));
        let silent = !asks_its_own && is_start_without_kubelet(&entry.text, &log.text);
        let of_kubelet = silent.then_some(Cause::Kubelet);
        let Some(reason) = of_itself(&entry.text, agent).or(of_kubelet).or(sending) else { continue };
        let of_start = reason.is_of_start() || silent;
        let lost = is_lost(&entry.text) || of_start;
        let age = entry.at.map_or(0, |t| snap.seconds_since(t));
        if age > if lost { LOST } else { RETRIED } && !of_start {
            continue;
        }
        let failing = by_reason.entry(reason).or_insert_with(|| Failing {
            agent,
            reason,
            times: 0,
            lost: false,
            last: None,
            text: String::new(),
            output: None,
            namespace: log.namespace.clone(),
            pod: log.pod.clone(),
            container: log.container.clone(),
        });
        let output = output_of(&entry.text).map(str::to_owned);
        outputs.extend(output.clone());
        failing.output = output.or(failing.output.take());
        failing.times += 1;
        failing.lost |= lost;
        failing.last = entry.at.or(failing.last);
        failing.text = entry.text;
    }
    // A line of a connection names no output: where all others name one, it is that.
    if let Some(only) = outputs.first().filter(|_| outputs.len() == 1) {
        by_reason.values_mut().for_each(|f| f.output = f.output.take().or_else(|| Some(only.clone())));
    }
    // A configuration that was taken later is none that is refused.
    if log.text.rfind("config reloaded") > log.text.rfind(REFUSED_AGAIN) {
        by_reason.remove(&Cause::Reload);
    }
    // What has found its files since is ready.
    if snap.pod_of_log(log).is_some_and(Pod::is_ready) {
        by_reason.remove(&Cause::NoFiles);
    }
    // What another line explains, or what a later try mended, is not worth a word of its own.
    let mended = log.text.matches("succeeded at retry").count();
    let says_why = by_reason.keys().any(|r| !matches!(r, Cause::Buffer | Cause::Unsaid | Cause::Paused));
    if let Some(unsaid) = by_reason.get(&Cause::Unsaid)
        && (says_why || mended >= unsaid.times)
    {
        by_reason.remove(&Cause::Unsaid);
    }
    // An input pauses where the output does not get rid of what was read.
    if says_why || by_reason.contains_key(&Cause::Unsaid) {
        by_reason.remove(&Cause::Paused);
    }
    // An answer that says why says more than its bare status.
    if by_reason.values().any(|f| f.lost && f.reason != Cause::Refused && !f.reason.is_of_start()) {
        by_reason.remove(&Cause::Refused);
    }
    // After its start an agent reads old files once: what the store takes no more of them is lost, and no more than that.
    let is_lost = |f: &Failing| f.lost && f.reason != Cause::TooOld;
    by_reason.into_values().filter(|f| is_lost(f) || f.times >= SEVERAL).collect()
}

/// What an agent says of its own configuration, and of where it learns which pod a line is from.
fn of_itself(text: &str, agent: Agent) -> Option<Cause> {
    if agent == Agent::Alloy && text.starts_with(REFUSED_AGAIN) {
        return Some(Cause::Reload);
    }
    // promtail, asked by its readiness probe.
    if text.contains("Unable to find any logs to tail") {
        return Some(Cause::NoFiles);
    }
    if text.contains("[filter:kubernetes") && text.contains("kubelet upstream connection error") {
        return Some(Cause::Kubelet);
    }
    if agent == Agent::FluentBit && text.starts_with("[http_client] cannot increase buffer") {
        return Some(Cause::Buffer);
    }
    is_about_metadata(text).then_some(Cause::Metadata)
}

/// The output of Fluent Bit that a message names: `[output:es:es.1] …`, `… input=tail.0 > output=es.1 (out_id=1)`.
fn output_of(text: &str) -> Option<&str> {
    let found = pattern!(r"(?:\[output:[\w-]+:|\boutput=)([\w-]+\.\d+)").captures(text)?;
    found.get(1).map(|m| m.as_str())
}

/// Bytes that the agent reads of an answer: `cannot increase buffer: current=32000 requested=64768 max=32000`.
pub(crate) fn buffer(text: &str) -> Option<u64> {
    text.split_once(" max=")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// In the network of its node an agent reaches the kubelet, which may not have had its certificate yet when both started.
fn asks_its_own_kubelet(snap: &Snapshot, log: &ContainerLog) -> bool {
    let pod = snap.pod_of_log(log);
    pod.is_some_and(|p| p.spec.host_network)
}

/// Fluent Bit asks once at its start for its own pod, and says no more of it. The kubelet that is asked started the pod a moment
/// before, so it is there; the API server may only have been busy.
fn is_start_without_kubelet(text: &str, log: &str) -> bool {
    text.contains("[filter:kubernetes")
        && text.contains("could not get meta for")
        && log.contains("testing connectivity with Kubelet")
}

/// Alloy, told to read its configuration again.
const REFUSED_AGAIN: &str = "failed to reload config";

/// Agents speak to the API server as well, whose refusals are another matter.
fn is_about_sending(text: &str, reason: Cause) -> bool {
    let other = ["[filter:kubernetes", "kube_api", "reflector.go", "/api/v1/namespaces", "kubernetes_metadata"];
    // What the agent's own server answers: a probe of the kubelet, a scrape.
    if text.starts_with("GET /") {
        return false;
    }
    // What Fluentd cannot read it quotes: those are the words of an application.
    if text.contains("dump an error event: error_class=Fluent::Plugin::Parser") {
        return false;
    }
    match reason {
        Cause::Files | Cause::Watches => true,
        // Other words end so, too.
        Cause::Parser => text.contains("parser '"),
        // The files of the node, and no volume of its own.
        Cause::Unreadable => ["/var/log/", "/var/lib/docker/containers"].iter().any(|p| text.contains(p)),
        _ => !other.iter().any(|o| text.contains(o)),
    }
}

/// The API server refuses to tell about pods: the rights of the agent's ServiceAccount.
fn is_about_metadata(text: &str) -> bool {
    text.contains("[filter:kubernetes") && text.contains("HTTP status=403")
        || text.contains("kubernetes_metadata") && (text.contains("403") || text.contains("Forbidden"))
        || text.contains("is forbidden: User \"system:serviceaccount:") && text.contains("pods")
}

/// The agent says that it does not try again.
fn is_lost(text: &str) -> bool {
    [
        "Not retrying",
        "not retrying",
        "final error sending batch",
        "dropping",
        "cannot be retried",
        "retry count exceeded",
        "retries exhausted",
        "Retry limit",
        // Fluentd: what the search engine refuses goes to the label @ERROR, and mostly nowhere.
        "dump an error event",
    ]
    .iter()
    .any(|w| text.contains(w))
        || matches!(reason::status(text), Some(400)) && text.contains("HTTP status=")
}

/// The messages of a log. What does not begin like a line of its own belongs to the one before.
fn entries(log: &str, now: Timestamp) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for raw in log.lines().filter(|l| !l.trim().is_empty()) {
        match entry(raw, now) {
            Some(entry) => all.push(entry),
            None => {
                if let Some(last) = all.last_mut() {
                    last.text.push(' ');
                    last.text.push_str(raw.trim());
                }
            }
        }
    }
    all
}

fn entry(raw: &str, now: Timestamp) -> Option<Entry> {
    let fluent_bit = pattern!(r"^\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?\] \[ ?(\w+)\] (.*)$");
    let fluentd = pattern!(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \[(\w+)\]: (.*)$");
    let vector = pattern!(r"^\d{4}-\d\d-\d\dT\S+Z\s+(ERROR|WARN|INFO|DEBUG|TRACE) (.*)$");
    let at = written_at(raw, now);
    if let Some(c) = fluent_bit.captures(raw) {
        return Some(Entry { at, bad: matches!(&c[1], "warn" | "error"), text: c[2].to_owned() });
    }
    if let Some(c) = fluentd.captures(raw) {
        // The event itself, which it puts behind the error, is the word of an application.
        let said = c[2].split(" record={").next().unwrap_or_default();
        return Some(Entry { at, bad: matches!(&c[1], "warn" | "error" | "fatal"), text: said.to_owned() });
    }
    if let Some(c) = vector.captures(raw) {
        // What its sources and transforms complain of is not about sending.
        let bad = matches!(&c[1], "WARN" | "ERROR") && (c[2].contains("sink{") || c[2].contains("source{"));
        return Some(Entry { at, bad, text: c[2].to_owned() });
    }
    let line = Line::parse(raw);
    // Alloy and the agent before it send metrics too: their remote write is another matter.
    let of_metrics = line.get("component_id").starts_with("prometheus.") || line.get("component") == "remote";
    let bad = matches!(line.level, Level::Warning | Level::Error) && !of_metrics;
    // promtail and Alloy name the host in a field of its own, and not where the store answered.
    let text = match line.get("host") {
        "" => line.text(),
        host => format!("{} host={host}", line.text()),
    };
    // And profiles go to another store than lines.
    let text = match line.get("component_id") {
        id if id.starts_with(PROFILES) => format!("{text} component_id={id}"),
        _ => text,
    };
    (line.level != Level::Unknown).then_some(Entry { at: line.at, bad, text })
}

/// The host and port that a message says was sent to.
pub(crate) fn target(text: &str) -> Option<(String, Option<u16>)> {
    let target = pattern!(
        r#"(?x)
            (?: https?://(?:[^/@\s"]*@)? | tcp:// | TCP\ connection\ failed:\ | host(?:=>\\?"|='|=) | ^\[output:[^\]]+\]\ )
            ([a-zA-Z0-9][\w.-]*) (?: :(\d{1,5}) )?"#
    );
    let found = target.captures(text)?;
    let host = found[1].trim_end_matches('.').to_owned();
    // `[output:es:es.0] HTTP status=401`: no host is named.
    let is_word = text.starts_with("[output:") && found.get(2).is_none() && !host.contains('.');
    (!is_word).then(|| (host, found.get(2).and_then(|p| p.as_str().parse().ok())))
}

/// The labels of the stream that an answer of Loki names.
pub(crate) fn stream(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("for stream")?;
    let from = rest.find('{')?;
    let to = rest[from..].find('}')?;
    Some(&rest[from..=from + to])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    fn read(image: &str, text: &str) -> Vec<Failing> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let log = ContainerLog { image: image.into(), text: text.into(), ..ContainerLog::default() };
        *snap.part_logs = Ok(vec![log]);
        failing(&snap).expect("a log")
    }

    #[test]
    fn a_kubelet_that_is_not_reached_is_told_at_the_start_alone() {
        let image = "cr.fluentbit.io/fluent/fluent-bit:3.1.9";
        let start = |of: &str| {
            format!(
                "[2026/11/20 12:00:05] [ info] [filter:kubernetes:kubernetes.0] testing connectivity with {of}...\n[2026/11/20 12:00:05] [ warn] [filter:kubernetes:kubernetes.0] could not get meta for POD fluent-bit-x\n"
            )
        };
        let of = |text: &str| read(image, text).into_iter().map(|f| f.reason).collect::<Vec<_>>();
        assert_eq!(of(&start("Kubelet")), [Cause::Kubelet]);
        assert!(of(&start("API server")).is_empty(), "it asks again for each pod, and may get an answer");
        let mut snap = snapshot(json!({"pods": [{"metadata": {"namespace": "logging", "name": "agent-x"},
            "spec": {"hostNetwork": true, "containers": []}}]}));
        *snap.part_logs = Ok(vec![ContainerLog {
            namespace: "logging".into(),
            pod: "agent-x".into(),
            image: image.into(),
            text: start("Kubelet").into(),
            ..ContainerLog::default()
        }]);
        assert!(failing(&snap).expect("a log").is_empty(), "it may have had an answer since");
    }

    #[test]
    fn fluent_bit_tells_the_answer_in_the_lines_that_follow() {
        let log = "[2026/11/21 02:52:02] [error] [output:loki:loki.0] loki:3100, HTTP status=400 Not retrying.\nentry with timestamp 2026-11-20 07:12:02 ignored, reason: 'entry too far behind' for stream: {job=\"fluentbit\"},\ntotal ignored: 1 out of 214\n\n[2026/11/21 02:52:11] [ warn] [input] tail.0 paused (mem buf overlimit)\n";
        let found = read("fluent/fluent-bit:3.0", log);
        assert_eq!((found.len(), found[0].reason, found[0].lost), (1, Cause::Order, true));
        assert_eq!(stream(&found[0].text), Some("{job=\"fluentbit\"}"));
    }

    #[test]
    fn a_pod_that_is_too_large_to_be_read() {
        let line = "[2026/11/21 02:52:02] [ warn] [http_client] cannot increase buffer: current=32000 requested=64768 max=32000\n";
        let found = read("fluent/fluent-bit:3.1", &line.repeat(3));
        assert_eq!((found[0].reason, buffer(&found[0].text)), (Cause::Buffer, Some(32000)));
        assert!(read("fluent/fluent-bit:3.1", line).is_empty(), "one pod, once");
    }

    #[test]
    fn a_connection_is_that_of_the_only_output_that_is_named() {
        let line =
            "[2026/11/21 02:52:02] [error] [upstream] connection #49 to 127.0.0.1:443 timed out after 10 seconds\n";
        let chunk = |output: &str| {
            format!(
                "[2026/11/21 02:52:02] [ warn] [engine] failed to flush chunk '1-1.flb', retry in 9 seconds: task_id=1, input=tail.0 > output={output} (out_id=1)\n"
            )
        };
        let of = |text: &str| {
            read("fluent/fluent-bit:3.1", text).into_iter().map(|f| (f.reason, f.output)).collect::<Vec<_>>()
        };
        let one = format!("{}{}", line.repeat(3), chunk("es.1").repeat(3));
        assert_eq!(of(&one), [(Cause::Unreachable, Some("es.1".to_owned()))]);
        let two = format!("{one}{}", chunk("loki.0"));
        assert_eq!(of(&two), [(Cause::Unreachable, None)]);
    }

    #[test]
    fn what_an_agent_answers_itself_is_no_answer_of_the_store() {
        let ready = |why: &str| {
            format!("level=warn ts=2026-11-21T02:50:00Z caller=logging.go:126 msg=\"GET /ready (500) 40.895µs Response: \\\"Not ready: {why}\\\\n\\\" ws: false; User-Agent: kube-probe/1.36; \"\n").repeat(3)
        };
        let of = |text: &str| read("grafana/promtail:2.9", text).into_iter().map(|f| f.reason).collect::<Vec<_>>();
        assert_eq!(
            of(&ready("Unable to find any logs to tail. Please verify permissions, volumes, scrape_config, etc.")),
            [Cause::NoFiles]
        );
        assert!(of(&ready("something else")).is_empty());
    }

    #[test]
    fn one_retry_is_a_hiccup() {
        let line = "level=warn ts=2026-11-21T02:50:00Z caller=client.go:419 component=client host=loki:3100 msg=\"error sending batch, will retry\" status=-1 error=\"Post \\\"http://loki:3100/loki/api/v1/push\\\": dial tcp 10.0.0.1:3100: connect: connection refused\"\n";
        assert!(read("grafana/promtail:2.9", line).is_empty());
        assert_eq!(read("grafana/promtail:2.9", &line.repeat(3))[0].reason, Cause::Unreachable);
        assert!(read("grafana/promtail:2.9", &line.replace("02:50", "01:50").repeat(9)).is_empty(), "it is over");
        assert!(read("grafana/loki:3.0", &line.repeat(3)).is_empty(), "no agent");
    }

    #[test]
    fn finds_who_was_sent_to() {
        for (text, host) in [
            (
                "[output:loki:loki.0] loki.monitoring.svc:3100, HTTP status=400",
                Some(("loki.monitoring.svc", Some(3100))),
            ),
            ("error sending batch: Post \"http://loki:3100/loki/api/v1/push\": EOF", Some(("loki", Some(3100)))),
            ("[net] getaddrinfo(host='es.logging', err=4): Domain name not found", Some(("es.logging", None))),
            ("[output:es:es.0] HTTP status=401 URI=/_bulk", None),
            ("could not push logs ({:host=>\"es\"})", Some(("es", None))),
        ] {
            assert_eq!(target(text), host.map(|(h, p)| (h.to_owned(), p)), "{text}");
        }
    }

    #[test]
    fn fluentd_is_read_too() {
        let line = "2026-11-21 02:50:00 +0000 [warn]: #0 failed to flush the buffer. retry_times=3 error_class=Fluent::Plugin::ElasticsearchOutput::RecoverableRequestFailure error=\"could not push logs to Elasticsearch cluster ({:host=>\\\"es\\\"}): Connection refused\"\n";
        assert_eq!(read("fluent/fluentd:v1", &line.repeat(3))[0].reason, Cause::Unreachable);
    }

    #[test]
    fn what_an_application_wrote_is_no_word_of_fluentd() {
        let of = |error: &str, record: &str| {
            let line = format!(
                "2026-11-21 02:50:00 +0000 [warn]: #0 dump an error event: {error} location=nil tag=\"a\" time=2026-11-21 record={{\"log\"=>\"{record}\"}}\n"
            );
            read("fluent/fluentd:v1", &line).iter().map(|f| f.reason).collect::<Vec<_>>()
        };
        let unread = "error_class=Fluent::Plugin::Parser::ParserError error=\"pattern not matched with data 'dial tcp 10.0.0.1:80: connection refused'\"";
        assert!(of(unread, "x").is_empty());
        let refused = "error_class=Fluent::Plugin::ElasticsearchErrorHandler::ElasticsearchError error=\"400 - Rejected by Elasticsearch [error type]: mapper_parsing_exception [reason]: 'failed to parse field [status] of type [long]'\"";
        assert_eq!(of(refused, "dial tcp 10.0.0.1:80: connection refused"), [Cause::Mapping]);
        let other = "error_class=NoMethodError error=\"undefined method\"";
        assert!(of(other, "dial tcp 10.0.0.1:80: connection refused").is_empty());
    }

    #[test]
    fn chunks_that_are_never_taken_are_told_without_a_reason() {
        let line = "[2026/11/21 02:50:00] [ warn] [engine] failed to flush chunk '1-1.flb', retry in 11 seconds: task_id=7, input=tail.0 > output=es.0 (out_id=0)\n";
        assert_eq!(read("fluent/fluent-bit:3.0", &line.repeat(3))[0].reason, Cause::Unsaid);
        let mended = "[2026/11/21 02:51:00] [ info] [engine] flush chunk '1-1.flb' succeeded at retry 1: task_id=7, input=tail.0 > output=es.0 (out_id=0)\n";
        assert!(read("fluent/fluent-bit:3.0", &format!("{}{}", line.repeat(3), mended.repeat(3))).is_empty());
        let why = "[2026/11/21 02:50:00] [error] [output:es:es.0] HTTP status=401 URI=/_bulk\n";
        let both = read("fluent/fluent-bit:3.0", &format!("{}{}", line.repeat(3), why.repeat(3)));
        assert_eq!(both.iter().map(|f| f.reason).collect::<Vec<_>>(), [Cause::Credential]);
    }

    #[test]
    fn an_input_that_pauses_is_told_where_nothing_else_is() {
        let line = "[2026/11/21 02:50:00] [ warn] [input] tail.0 paused (mem buf overlimit)\n[2026/11/21 02:50:01] [ info] [input] tail.0 resume (mem buf overlimit)\n";
        assert_eq!(read("fluent/fluent-bit:3.0", &line.repeat(3))[0].reason, Cause::Paused);
        assert!(read("fluent/fluent-bit:3.0", line).is_empty());
        let unsaid = "[2026/11/21 02:50:00] [ warn] [engine] failed to flush chunk '1-1.flb', retry in 11 seconds: task_id=7, input=tail.0 > output=es.0 (out_id=0)\n";
        let refused = read("fluent/fluent-bit:3.0", &format!("{}{}", line.repeat(3), unsaid.repeat(3)));
        assert_eq!(refused.iter().map(|f| f.reason).collect::<Vec<_>>(), [Cause::Unsaid], "it pauses for that");
        let why = "[2026/11/21 02:50:00] [error] [output:es:es.0] HTTP status=401 URI=/_bulk\n";
        let both = read("fluent/fluent-bit:3.0", &format!("{}{}", line.repeat(3), why.repeat(3)));
        assert_eq!(both.iter().map(|f| f.reason).collect::<Vec<_>>(), [Cause::Credential]);
    }

    #[test]
    fn what_alloy_says_of_metrics_is_not_about_lines() {
        let line = "ts=2026-11-21T02:50:05Z level=error msg=\"non-recoverable error\" component_id=prometheus.remote_write.default url=http://p:9090/api/v1/write err=\"server returned HTTP status 404 Not Found\"\n";
        assert!(read("grafana/alloy:v1.4", &line.repeat(5)).is_empty());
        let before = "ts=2026-11-21T02:50:05Z caller=dedupe.go:112 agent=prometheus instance=default component=remote level=error remote_name=default-1 url=http://p:9090/api/v1/push msg=\"non-recoverable error\" err=\"server returned HTTP status 400 Bad Request: x\"\n";
        assert!(read("grafana/agent:v0.44.2", &before.repeat(5)).is_empty());
        let lines = line.replace("prometheus.remote_write", "loki.write");
        assert_eq!(read("grafana/alloy:v1.4", &lines.repeat(5))[0].reason, Cause::Path);
    }

    #[test]
    fn what_alloy_says_of_profiles_names_another_store() {
        let line = "ts=2026-11-21T02:50:05Z level=error msg=\"push failed\" component_id=pyroscope.scrape.default err=\"resource_exhausted: ingestion rate limit (4MB) exceeded\"\n";
        let found = read("grafana/alloy:v1.11", &line.repeat(5));
        assert_eq!((found[0].reason, found[0].of_profiles()), (Cause::Rate, true));
        let lines = line.replace("pyroscope.scrape", "loki.write");
        assert!(!read("grafana/alloy:v1.11", &lines.repeat(5))[0].of_profiles());
    }

    #[test]
    fn what_is_said_once_holds_until_it_is_taken_back() {
        let parser = "[2026/11/20 22:52:02] [error] [input:tail:tail.0] parser 'own' is not registered\n";
        assert_eq!(read("fluent/fluent-bit:3.0", parser)[0].reason, Cause::Parser);
        let reload = "ts=2026-11-20T22:50:05Z level=error msg=\"failed to reload config\" service=http err=\"error during the initial load: /etc/alloy/config.alloy:12:3: unrecognized attribute name\"\n";
        assert_eq!(read("grafana/alloy:v1.4", reload)[0].reason, Cause::Reload);
        let taken = "ts=2026-11-20T22:58:05Z level=info msg=\"config reloaded\" service=http\n";
        assert!(read("grafana/alloy:v1.4", &format!("{reload}{taken}")).is_empty());
        assert_eq!(read("grafana/alloy:v1.4", &format!("{taken}{reload}")).len(), 1);
        let kubelet =
            "[2026/11/21 02:52:02] [error] [filter:kubernetes:kubernetes.0] kubelet upstream connection error\n";
        assert_eq!(read("fluent/fluent-bit:3.0", &kubelet.repeat(3))[0].reason, Cause::Kubelet);
    }

    #[test]
    fn what_the_api_server_refuses_is_not_the_stores_fault() {
        let line =
            "[2026/11/21 02:52:02] [ warn] [filter:kubernetes:kubernetes.0] could not get meta: connection refused\n";
        assert!(read("fluent/fluent-bit:3.0", &line.repeat(5)).is_empty());
        let denied = "[2026/11/21 02:52:02] [error] [filter:kubernetes:kubernetes.0] kubernetes.default.svc:443 HTTP status=403\n";
        assert_eq!(read("fluent/fluent-bit:3.0", &denied.repeat(5))[0].reason, Cause::Metadata);
    }
}
