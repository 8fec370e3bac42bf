//! What an OpenTelemetry Collector says of data that it does not take or cannot pass on.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::lasting::{NOW, SEVERAL};
use crate::domain::text::log_line::written_at;
use crate::domain::text::send_error::SendFailure;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which lines about what is tried again count.
const RETRIED: i64 = 900;
/// The same of what was thrown away.
const LOST: i64 = 3600;

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The backend's name does not resolve.
    Name,
    /// Nobody answers there, or not in time.
    Unreached,
    /// It speaks plain text where TLS was begun.
    PlainText,
    /// Another fault of TLS.
    Tls,
    /// It knows no such path or service: it takes no data of this kind there.
    Path,
    /// It does not accept the credential, or asks for one or for a tenant.
    Credential,
    /// AWS knows no identity, or does not let it write.
    Denied,
    /// The request is too large.
    Size,
    /// It limits the rate.
    Rate,
    /// It does not keep up with what it has taken.
    Full,
    /// It fails itself.
    Server,
    /// It refuses the data.
    Refused,
    /// The memory limiter refuses data.
    Memory,
    /// The sending queue is full, and no line says why.
    Queue,
    /// Its prometheus receiver does not get what it is to scrape.
    Scrape,
    /// Its prometheus receiver is not told what to scrape, by who divides the targets.
    Allocator,
    /// Its receiver of Container Insights sees no pods: it does not reach the container runtime.
    Runtime,
    /// Its receiver of Container Insights does not learn on which instance, or in which cluster, it is.
    Instance,
}

/// What one collector's pod says of one exporter, or of its memory.
#[derive(Debug, Clone)]
pub(crate) struct Failing<'a> {
    pub(crate) trouble: Cause,
    pub(crate) log: &'a ContainerLog,
    /// The exporter or processor (`otlp/tempo`).
    pub(crate) component: String,
    pub(crate) times: usize,
    /// Spans, points and records that were thrown away.
    pub(crate) lost: u64,
    pub(crate) last: Option<Timestamp>,
    pub(crate) error: String,
    pub(crate) line: String,
}

/// True for the image of the CloudWatch agent, whose receivers are those of the collector.
pub(crate) fn is_cloudwatch_agent(image: &str) -> bool {
    base_of(image) == "cloudwatch-agent"
}

/// True for the image of a collector.
pub(crate) fn is_collector(image: &str) -> bool {
    let name = base_of(image);
    name.starts_with("opentelemetry-collector") || name.starts_with("otelcol") || name == "aws-otel-collector"
}

/// What the collectors' logs say now.
///
/// # Errors
/// The gap, if no log could be read.
pub(crate) fn failing(snap: &Snapshot) -> Result<Vec<Failing<'_>>, crate::model::Gap> {
    let is_read = |image: &str| is_collector(image) || is_cloudwatch_agent(image);
    let logs = snap.part_logs()?.iter().filter(|l| !l.previous && is_read(&l.image));
    Ok(logs.flat_map(|log| of_log(snap, log)).collect())
}

fn of_log<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Vec<Failing<'a>> {
    let mut found: BTreeMap<(String, Cause), Failing<'a>> = BTreeMap::new();
    for raw in log.text.lines() {
        let refuses = raw.contains("Refusing data.") || raw.contains("limit. Dropping data.");
        // Old versions say `Exporting failed. Try enabling retry_on_failure …`.
        let scrapes = raw.contains("Failed to scrape Prometheus endpoint");
        // Versions before 0.90 say of a full queue only this; the batch processor's `Sender failed` says it once more.
        let overflows = raw.contains("Dropping data because sending_queue is full");
        let asks = is_about_allocator(raw);
        let insights = of_insights(raw);
        let of_pipeline = refuses || scrapes || overflows || asks || raw.contains("Exporting failed.");
        // What the CloudWatch agent's exporters say has words of its own.
        if insights.is_none() && (!of_pipeline || is_cloudwatch_agent(&log.image)) {
            continue;
        }
        let fields = fields(raw);
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let lost = field("dropped_items").parse().unwrap_or(0);
        let at = written_at(raw, snap.collected_at);
        let age = at.map_or(0, |t| snap.seconds_since(t));
        if age > if lost > 0 { LOST } else { RETRIED } {
            continue;
        }
        let target = if scrapes { scraped(raw) } else { None };
        // A target without a name cannot be looked for.
        if scrapes && target.is_none() {
            continue;
        }
        let (job, instance) = target.unwrap_or_default();
        let error = field("error").replace("Permanent error: ", "").replace("not retryable error: ", "");
        let trouble = match insights {
            Some(trouble) => trouble,
            None if refuses => Cause::Memory,
            None if scrapes => Cause::Scrape,
            None if overflows => Cause::Queue,
            None if asks => Cause::Allocator,
            None => trouble(&error),
        };
        let component = if scrapes { job } else { field("name").to_owned() };
        let error = if scrapes { instance } else { error };
        let component = if insights.is_some() { INSIGHTS.to_owned() } else { component };
        let said = found.entry((component.clone(), trouble)).or_insert_with(|| Failing {
            trouble,
            log,
            component,
            times: 0,
            lost: 0,
            last: None,
            error: String::new(),
            line: String::new(),
        });
        said.times += 1;
        said.lost += lost;
        said.last = at.or(said.last);
        // Why the metadata is not read says more than that the cluster is not known.
        said.error = if error.is_empty() { std::mem::take(&mut said.error) } else { error };
        raw.clone_into(&mut said.line);
    }
    found.retain(|_, f| f.lost > 0 || f.times >= SEVERAL);
    // What is looked at each minute is said each minute: until the runtime and the metadata answered, and no longer.
    let is_over = |f: &Failing<'_>| f.last.is_some_and(|at| snap.seconds_since(at) > NOW);
    found.retain(|_, f| !matches!(f.trouble, Cause::Runtime | Cause::Instance) || !is_over(f));
    // A backend that takes nothing fills the queue, and a full queue the memory.
    let is_victim = |f: &Failing<'_>| matches!(f.trouble, Cause::Memory | Cause::Queue);
    let of_input = [Cause::Scrape, Cause::Allocator, Cause::Runtime, Cause::Instance];
    if found.values().any(|f| !is_victim(f) && !of_input.contains(&f.trouble)) {
        found.retain(|_, f| !is_victim(f));
    }
    // Remote writes of samples are told as those of Prometheus are.
    found.into_values().filter(|f| !f.component.starts_with("prometheusremotewrite")).collect()
}

/// The receiver of Container Insights, as the CloudWatch agent's and the collector's configuration name it.
const INSIGHTS: &str = "awscontainerinsightreceiver";

/// What that receiver says of what it cannot see.
fn of_insights(raw: &str) -> Option<Cause> {
    if raw.contains("No pod metric collected") {
        return Some(Cause::Runtime);
    }
    let instance = ["Failed to detect cluster name. Drop all metrics", "Failed to get ec2 metadata"];
    has_any(raw, &instance).then_some(Cause::Instance)
}

/// A receiver that asks a target allocator for its jobs, or for the targets of one, and gets no answer.
fn is_about_allocator(raw: &str) -> bool {
    let fails = ["Failed to retrieve job list", "Failed to get targets", "Failed to unmarshal scrape configs"];
    let asked = ["targetallocator", "target_allocator", "target-allocator", "/scrape_configs"];
    has_any(raw, &["\terror\t", "\"level\":\"error\""])
        && (raw.contains(fails[0]) || has_any(raw, &fails) && has_any(raw, &asked))
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|w| text.contains(w))
}

/// Job and instance of a target, in the labels that a failed scrape names.
fn scraped(raw: &str) -> Option<(String, String)> {
    // An address of IPv6 stands in brackets, as the list of labels may.
    let label = pattern!(r#"\b(job|instance)(?:=\\?"|:)((?:https?://)?\[[0-9a-fA-F:.%]+\][^"\\\s,\]]*|[^"\\\s,\]]+)"#);
    let of = |name: &str| label.captures_iter(raw).find(|c| &c[1] == name).map(|c| c[2].to_owned());
    Some((of("job")?, of("instance").unwrap_or_default()))
}

/// The plain values of the object at the line's end: `"error": "…"`, `"dropped_items": 212`.
pub(crate) fn fields(raw: &str) -> BTreeMap<String, String> {
    let field = pattern!(r#""(error|name|dropped_items|otelcol\.component\.id)":\s*(?:"((?:[^"\\]|\\.)*)"|(\d+))"#);
    let all = field.captures_iter(raw).map(|c| {
        let value = c.get(2).or(c.get(3)).map_or("", |m| m.as_str());
        let key = if &c[1] == "otelcol.component.id" { "name" } else { &c[1] };
        (key.to_owned(), value.replace("\\n", "\n").replace("\\\"", "\""))
    });
    all.collect()
}

fn trouble(error: &str) -> Cause {
    let has = |words: &[&str]| words.iter().any(|w| error.contains(w));
    let code = code(error);
    match SendFailure::classify(error) {
        _ if has(&["queue is full"]) => Cause::Queue,
        _ if has(&[
            "AccessDenied",
            "is not authorized to perform",
            "NoCredentialProviders",
            "no EC2 IMDS role found",
            "get identity: get credentials",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "ExpiredToken",
            "InvalidSignatureException",
        ]) =>
        {
            Cause::Denied
        }
        SendFailure::NoSuchHost(_) | SendFailure::Dns => Cause::Name,
        _ if has(&["produced zero addresses"]) => Cause::Name,
        SendFailure::PlainHttp => Cause::PlainText,
        SendFailure::Expired
        | SendFailure::UnknownAuthority
        | SendFailure::OtherName
        | SendFailure::ClientCertificate
        | SendFailure::Tls => Cause::Tls,
        _ if has(&["larger than max", "Request Entity Too Large"]) || code == Some(413) => Cause::Size,
        _ if has(&["code = Unimplemented"]) || matches!(code, Some(404 | 405 | 501)) => Cause::Path,
        _ if has(&["code = Unauthenticated", "code = PermissionDenied", "no org id"])
            || matches!(code, Some(401 | 403)) =>
        {
            Cause::Credential
        }
        _ if has(&["uffer is full", "ueue is full", "high memory usage", "too many outstanding requests"])
            && has(&["code = ResourceExhausted", "code = Unavailable"]) =>
        {
            Cause::Full
        }
        _ if has(&["code = ResourceExhausted", "ThrottlingException", "RATE_LIMITED"]) || code == Some(429) => {
            Cause::Rate
        }
        _ if matches!(code, Some(500..=599)) || has(&["code = Internal"]) => Cause::Server,
        SendFailure::Refused | SendFailure::NoRoute | SendFailure::Reset | SendFailure::Timeout => Cause::Unreached,
        _ if has(&["code = Unavailable", "code = DeadlineExceeded"]) => Cause::Unreached,
        _ => Cause::Refused,
    }
}

/// `… responded with HTTP Status Code 404`.
fn code(error: &str) -> Option<u16> {
    let code = pattern!(r"HTTP [Ss]tatus(?: [Cc]ode)?:? (\d{3})");
    code.captures(error)?[1].parse().ok()
}

/// Host and port that an error names.
pub(crate) fn host(error: &str) -> Option<(String, Option<u16>)> {
    let host = pattern!(r#"(?:https?://|lookup |dial tcp )([a-zA-Z0-9][\w.-]*)(?::(\d{2,5}))?"#);
    let found = host.captures_iter(error).last()?;
    Some((found[1].to_owned(), found.get(2).and_then(|p| p.as_str().parse().ok())))
}

/// `endpoint` of an exporter in the collector's configuration: host and port.
pub(crate) fn configured(text: &str, component: &str) -> Option<(String, Option<u16>)> {
    let endpoint = endpoint(text, component)?;
    let rest = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, rest)| rest);
    let address = rest.split('/').next()?;
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (!host.is_empty() && !host.contains('$')).then(|| (host.to_owned(), port.parse().ok()))
}

/// The same as it is written.
pub(crate) fn endpoint(text: &str, component: &str) -> Option<String> {
    let root = crate::lint::yaml::document(text).ok().flatten()?;
    root.get("exporters")?.get(component)?.get("endpoint")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Cause, String, u64)> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let image = "otel/opentelemetry-collector-contrib:0.110.0".into();
        *snap.part_logs = Ok(vec![ContainerLog { image, text: text.into(), ..ContainerLog::default() }]);
        failing(&snap).expect("a log").into_iter().map(|f| (f.trouble, f.component, f.lost)).collect()
    }

    #[test]
    fn a_target_allocator_that_does_not_answer_is_told() {
        let line = |minute: &str| {
            format!(
                "2026-11-21T02:{minute}:45.501Z\terror\ttargetallocator/manager.go:106\tFailed to retrieve job list\t{{\"kind\": \"receiver\", \"name\": \"prometheus\", \"error\": \"Get \\\"http://a-targetallocator:80/scrape_configs\\\": dial tcp: lookup a-targetallocator on 172.20.0.10:53: no such host\"}}\n"
            )
        };
        let of = |text: String| {
            let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
            let log = ContainerLog {
                image: "otel/opentelemetry-collector-contrib:0.117.0".into(),
                text: text.into(),
                ..ContainerLog::default()
            };
            *snap.part_logs = Ok(vec![log]);
            failing(&snap).expect("a log").iter().map(|f| (f.trouble, f.component.clone())).collect::<Vec<_>>()
        };
        assert_eq!(of(["50", "51", "52"].map(line).concat()), [(Cause::Allocator, "prometheus".to_owned())]);
        assert!(of(line("50")).is_empty(), "while the allocator was replaced");
        assert!(of(["10", "11", "12"].map(line).concat()).is_empty(), "it is over");
    }

    #[test]
    fn what_container_insights_does_not_see_is_told() {
        let line = |minute: u32, text: &str| format!("2026-11-21T02:{minute}:45Z\tW!\t{text}\n");
        let of = |text: &str| {
            let lines: String = (50..54).map(|m| line(m, text)).collect();
            read(&lines).into_iter().map(|(trouble, component, _)| (trouble, component)).collect::<Vec<_>>()
        };
        let pods = "No pod metric collected, metrics count is still 5 is containerd socket mounted?";
        assert_eq!(of(pods), [(Cause::Runtime, INSIGHTS.to_owned())]);
        assert_eq!(of("Failed to detect cluster name. Drop all metrics"), [(Cause::Instance, INSIGHTS.to_owned())]);
        assert!(of("pod metric collected").is_empty());
        let over: String = (42..46).map(|m| line(m, pods)).collect();
        assert!(read(&over).is_empty(), "it sees them by now");
    }

    #[test]
    fn errors_of_exporters_are_told_apart() {
        for (error, expected) in [
            ("rpc error: code = Unavailable desc = name resolver error: produced zero addresses", Cause::Name),
            (
                r#"rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp 10.0.0.1:4317: connect: connection refused\""#,
                Cause::Unreached,
            ),
            (
                r#"rpc error: code = Unavailable desc = connection error: desc = \"transport: authentication handshake failed: tls: first record does not look like a TLS handshake\""#,
                Cause::PlainText,
            ),
            (
                "rpc error: code = Unimplemented desc = unknown service opentelemetry.proto.collector.logs.v1.LogsService",
                Cause::Path,
            ),
            (
                "rpc error: code = Unimplemented desc = error exporting items, request to http://loki:3100/otlp/v1/logs responded with HTTP Status Code 404",
                Cause::Path,
            ),
            (
                "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5242880 vs. 4194304)",
                Cause::Size,
            ),
            ("rpc error: code = ResourceExhausted desc = RATE_LIMITED: ingestion rate limit exceeded", Cause::Rate),
            ("rpc error: code = ResourceExhausted desc = Buffer is full, request timed out.", Cause::Full),
            ("rpc error: code = Unavailable desc = data refused due to high memory usage", Cause::Full),
            ("rpc error: code = Unauthenticated desc = invalid token", Cause::Credential),
            (
                "error exporting items, request to https://x/v1/traces responded with HTTP Status Code 503",
                Cause::Server,
            ),
            (
                "AccessDeniedException: User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: xray:PutTraceSegments",
                Cause::Denied,
            ),
            ("sending queue is full", Cause::Queue),
            ("rpc error: code = InvalidArgument desc = no", Cause::Refused),
        ] {
            let line = format!(
                "2026-11-21T02:50:02.113Z\terror\tinternal/queue_sender.go:84\tExporting failed. Dropping data.\t{{\"kind\": \"exporter\", \"name\": \"otlp/x\", \"error\": \"{error}\", \"dropped_items\": 5}}\n"
            );
            assert_eq!(read(&line), [(expected, "otlp/x".to_owned(), 5)], "{error}");
        }
    }

    #[test]
    fn scrapes_of_its_own_are_told_by_their_job() {
        let line = "2026-11-21T02:50:10.496Z\twarn\tinternal/transaction.go:150\tFailed to scrape Prometheus endpoint\t{\"kind\": \"receiver\", \"name\": \"prometheus\", \"scrape_timestamp\": 1610485870495, \"target_labels\": \"{__name__=\\\"up\\\", instance=\\\"10.0.1.5:10250\\\", job=\\\"kubelet\\\"}\"}\n";
        assert_eq!(read(&line.repeat(3)), [(Cause::Scrape, "kubelet".to_owned(), 0)]);
        assert!(read(&line.repeat(2)).is_empty());
        let old = "map[instance:aks-agentpool-30099824-vmss000002 job:cadvisor]";
        assert_eq!(scraped(old), Some(("cadvisor".into(), "aks-agentpool-30099824-vmss000002".into())));
        let six = "map[instance:[fd00::1]:9113 job:nginx]";
        assert_eq!(scraped(six), Some(("nginx".into(), "[fd00::1]:9113".into())));
        assert!(read(&line.replace("job=", "jobs=").repeat(3)).is_empty(), "no target is named");
    }

    #[test]
    fn what_fills_queue_and_memory_is_the_cause() {
        let memory = "2026-11-21T02:50:45.501Z\twarn\tmemorylimiter/memorylimiter.go:209\tMemory usage is above soft limit. Refusing data.\t{\"kind\": \"processor\", \"name\": \"memory_limiter\", \"cur_mem_mib\": 351}\n";
        assert_eq!(read(&memory.repeat(3)), [(Cause::Memory, "memory_limiter".to_owned(), 0)]);
        assert!(read(memory).is_empty());
        let retry = "2026-11-21T02:50:02.113Z\tinfo\tinternal/retry_sender.go:118\tExporting failed. Will retry the request after interval.\t{\"kind\": \"exporter\", \"name\": \"otlp/x\", \"error\": \"rpc error: code = DeadlineExceeded desc = context deadline exceeded\"}\n";
        let both = format!("{}{}", memory.repeat(3), retry.repeat(3));
        assert_eq!(read(&both), [(Cause::Unreached, "otlp/x".to_owned(), 0)]);
        let of_samples = both.replace("otlp/x", "prometheusremotewrite");
        assert!(read(&of_samples).is_empty(), "told elsewhere");
        assert!(read(&both.replace("T02:50", "T02:20")).is_empty(), "it is over");
    }

    #[test]
    fn a_full_queue_of_old_versions_is_one() {
        let full = "2026-11-21T02:50:53.092Z\terror\texporterhelper/queue_sender.go:184\tDropping data because sending_queue is full. Try increasing queue_size.\t{\"kind\": \"exporter\", \"data_type\": \"logs\", \"name\": \"otlp/x\", \"dropped_items\": 100}\n";
        assert_eq!(read(full), [(Cause::Queue, "otlp/x".to_owned(), 100)]);
        let sender = "2026-11-21T02:50:53.093Z\twarn\tbatchprocessor@v0.88.0/batch_processor.go:263\tSender failed\t{\"kind\": \"processor\", \"name\": \"batch\", \"error\": \"sending_queue is full\"}\n";
        assert_eq!(read(&format!("{full}{sender}")), [(Cause::Queue, "otlp/x".to_owned(), 100)]);
        let retry = "2026-11-21T02:50:02.113Z\tinfo\texporterhelper/retry_sender.go:154\tExporting failed. Will retry the request after interval.\t{\"kind\": \"exporter\", \"name\": \"otlp/x\", \"error\": \"rpc error: code = DeadlineExceeded desc = context deadline exceeded\"}\n";
        assert_eq!(read(&format!("{full}{}", retry.repeat(3))), [(Cause::Unreached, "otlp/x".to_owned(), 0)]);
        assert!(read(&full.replace("T02:50", "T00:50")).is_empty(), "it is over");
    }

    #[test]
    fn the_backend_is_named_by_the_error_or_the_configuration() {
        assert_eq!(
            host("dial tcp: lookup tempo.tracing.svc on 172.20.0.10:53: no such host"),
            Some(("tempo.tracing.svc".into(), None))
        );
        assert_eq!(host("request to http://loki.a.svc:3100/otlp responded"), Some(("loki.a.svc".into(), Some(3100))));
        let text = "exporters:\n  otlp/tempo:\n    endpoint: tempo.tracing.svc:4317\n";
        assert_eq!(configured(text, "otlp/tempo"), Some(("tempo.tracing.svc".into(), Some(4317))));
        assert_eq!(configured(text, "otlp"), None);
        assert_eq!(
            endpoint(
                "exporters:\n  prometheusremotewrite:\n    endpoint: \"https://x/api/v1/push\"\n",
                "prometheusremotewrite"
            )
            .as_deref(),
            Some("https://x/api/v1/push")
        );
    }
}
