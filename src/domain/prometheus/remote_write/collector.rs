//! Remote writes of the OpenTelemetry Collector and of vmagent, by their own words.

use super::{Failing, LOST};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::image::base_of;
use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::prometheus::collector_log::{endpoint, fields, is_collector};
use crate::domain::prometheus::notifier::Place;
use crate::domain::text::lasting::SEVERAL;
use crate::domain::text::log_line::written_at;
use crate::domain::text::send_error::SendFailure;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// True for the image of vmagent.
pub(crate) fn is_vmagent(image: &str) -> bool {
    base_of(image) == "vmagent"
}

/// Exports that fail now.
pub(super) fn failing(snap: &Snapshot) -> Vec<Failing> {
    let logs = snap.part_logs().map(Vec::as_slice).unwrap_or_default().iter().filter(|l| !l.previous);
    let of_each = |log: &ContainerLog| match &log.image {
        image if is_collector(image) => of_log(snap, log),
        image if is_vmagent(image) => of_vmagent(snap, log),
        _ => None,
    };
    logs.filter_map(of_each).collect()
}

/// `couldn't send a block with size … to "1:secret-url": ERROR; re-sending the block in …`, and blocks that are answered
/// with an error.
fn of_vmagent(snap: &Snapshot, log: &ContainerLog) -> Option<Failing> {
    let sent = pattern!(
        r#"(?:send a block|sending a block) with size \d+ bytes to "([^"]+)"(?: was rejected \(skipping the block\))?[^:]*: (.*)$"#
    );
    let answer = pattern!(r#"^(?:status code |during retry #\d+: )?(\d{3})[,;] (?:response body[:=] ?)?(.*)$"#);
    let mut last: Option<Failing> = None;
    for raw in log.text.lines() {
        let Some(found) = sent.captures(raw) else { continue };
        let at = written_at(raw, snap.collected_at);
        if at.is_some_and(|t| snap.seconds_since(t) > LOST) {
            continue;
        }
        let said = found[2].split("; re-sending the block").next().unwrap_or_default();
        let error = match answer.captures(said) {
            Some(c) => format!("server returned HTTP status {} : {}", &c[1], &c[2]),
            None => said.to_owned(),
        };
        let failing = Failing {
            url: url(&error).unwrap_or_default(),
            name: found[1].to_owned(),
            lost: u64::from(raw.contains("skipping the block")),
            times: 1,
            since: at,
            last: at,
            failure: SendFailure::classify(&error),
            error,
            line: raw.to_owned(),
            by: "vmagent",
            at: Place::of(log),
        };
        last = Some(failing.after(last.take()));
    }
    let mut failing = last.filter(|f| f.lost > 0 || f.times >= SEVERAL)?;
    if failing.url.is_empty() {
        // The log hides the URL; the argument has it.
        let pod = snap.pod_of_log(log);
        let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.name == log.container));
        let urls: Vec<&str> = container.map(|c| arguments::flags(c, "remoteWrite.url").collect()).unwrap_or_default();
        failing.url = match urls.as_slice() {
            [one] => (*one).to_owned(),
            _ => format!("remote write {}", failing.name),
        };
    }
    Some(failing)
}

/// Who writes by an exporter of its own.
pub(crate) const COLLECTOR: &str = "the OpenTelemetry Collector";

fn of_log(snap: &Snapshot, log: &ContainerLog) -> Option<Failing> {
    let mut last: Option<Failing> = None;
    let of_exporter = |l: &&str| l.contains("prometheusremotewrite") && l.contains("Exporting failed");
    for raw in log.text.lines().filter(of_exporter) {
        let at = written_at(raw, snap.collected_at);
        if at.is_some_and(|t| snap.seconds_since(t) > LOST) {
            continue;
        }
        let fields = fields(raw);
        let error = as_prometheus_says(fields.get("error").map_or("", String::as_str));
        let dropped = fields.get("dropped_items").and_then(|n| n.parse().ok()).unwrap_or(0);
        let failing = Failing {
            url: url(&error).unwrap_or_default(),
            name: fields.get("name").cloned().unwrap_or_else(|| "prometheusremotewrite".into()),
            lost: dropped,
            times: 1,
            since: at,
            last: at,
            failure: SendFailure::classify(&error),
            error,
            line: raw.to_owned(),
            by: COLLECTOR,
            at: Place::of(log),
        };
        last = Some(failing.after(last.take()));
    }
    let mut failing = last.filter(|f| f.lost > 0 || f.times >= SEVERAL)?;
    if failing.url.is_empty() {
        failing.url = configured(snap, log, &failing.name).unwrap_or_else(|| format!("exporter {}", failing.name));
    }
    Some(failing)
}

/// `remote write returned HTTP status 401 Unauthorized; err = …: no org id` in the words of Prometheus.
fn as_prometheus_says(error: &str) -> String {
    let answer =
        pattern!(r"(?s)remote write returned HTTP status (\d{3}[^;]*); err = (?:%!w\(<nil>\)|[^:]*)(?:: (.*))?$");
    match answer.captures(error.trim_end()) {
        Some(c) => {
            let body = c.get(2).map_or("", |m| m.as_str()).trim();
            format!("server returned HTTP status {}: {body}", &c[1])
        }
        None => error.replace("Permanent error: ", ""),
    }
}

/// `Post "http://mimir/api/v1/push": dial tcp …`.
fn url(error: &str) -> Option<String> {
    let (_, rest) = error.split_once("Post \"")?;
    rest.split('"').next().map(str::to_owned)
}

/// The endpoint of an exporter in the file that the collector mounts.
fn configured(snap: &Snapshot, log: &ContainerLog, exporter: &str) -> Option<String> {
    let pod = snap.pod_of_log(log)?;
    let container = pod.spec.containers.iter().find(|c| c.name == log.container)?;
    let files = Mounts::of_pod(snap, pod, container).files();
    files.iter().find_map(|file| endpoint(file.text, exporter)).filter(|url| url.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "2026-11-21T02:50:56.308Z\terror\tinternal/queue_sender.go:103\tExporting failed. Dropping data.\t{\"kind\": \"exporter\", \"data_type\": \"metrics\", \"name\": \"prometheusremotewrite\", \"error\": \"Permanent error: Permanent error: remote write returned HTTP status 401 Unauthorized; err = %!w(<nil>): no org id\\n\", \"dropped_items\": 212}\n";

    fn read(text: &str) -> Vec<Failing> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let image = "otel/opentelemetry-collector-contrib:0.110.0".into();
        *snap.part_logs = Ok(vec![ContainerLog { image, text: text.into(), ..ContainerLog::default() }]);
        failing(&snap)
    }

    #[test]
    fn an_answer_is_read_as_prometheus_says_it() {
        let found = read(&REFUSED.repeat(2));
        assert_eq!((found.len(), found[0].lost, found[0].failure.status()), (1, 424, Some(401)));
        assert_eq!(found[0].error, "server returned HTTP status 401 Unauthorized: no org id");
        assert!(read(&REFUSED.replace("02:50", "02:10")).is_empty(), "it is over");
    }

    #[test]
    fn vmagent_is_read_too() {
        let read = |text: &str| {
            let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
            let image = "victoriametrics/vmagent:v1.102.1".into();
            *snap.part_logs = Ok(vec![ContainerLog { image, text: text.into(), ..ContainerLog::default() }]);
            failing(&snap)
        };
        let line = "2026-11-21T02:50:01.412Z\twarn\tremotewrite/client.go:439\tcouldn't send a block with size 81920 bytes to \"1:secret-url\": Post \"http://vminsert:8480/insert/0/prometheus/api/v1/write\": dial tcp4: lookup vminsert on 172.20.0.10:53: no such host; re-sending the block in 30.000 seconds\n";
        assert!(read(line).is_empty(), "once");
        let found = read(&line.repeat(3));
        assert_eq!(found[0].url, "http://vminsert:8480/insert/0/prometheus/api/v1/write");
        assert_eq!(found[0].failure, SendFailure::NoSuchHost("vminsert".into()));
        let refused = "2026-11-21T02:50:01.412Z\terror\tremotewrite/client.go:480\tsending a block with size 81920 bytes to \"1:secret-url\" was rejected (skipping the block): status code 400; response body: too old\n";
        assert_eq!(read(refused)[0].failure.status(), Some(400));
    }

    #[test]
    fn one_retry_is_quiet_and_the_url_is_named() {
        let retried = "{\"level\":\"info\",\"ts\":\"2026-11-21T02:50:05.1Z\",\"msg\":\"Exporting failed. Will retry the request after interval.\",\"otelcol.component.id\":\"prometheusremotewrite\",\"error\":\"Post \\\"http://mimir:8080/api/v1/push\\\": dial tcp 10.0.0.1:8080: connect: connection refused\"}\n";
        assert!(read(retried).is_empty());
        assert_eq!(read(&retried.repeat(3))[0].url, "http://mimir:8080/api/v1/push");
    }
}
