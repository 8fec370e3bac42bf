//! In which way a target fails, and that in words.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use crate::checks::scrape::target_down::cause::{Cause, Certificate};
use crate::checks::scrape::target_down::joined;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets::{self, Address, Down};
use crate::domain::text::between::between;
use crate::domain::text::shorten::shorten;
use crate::snapshot::kubernetes::Node;
use crate::snapshot::{Snapshot, journal};

/// Longest error that is quoted in a sentence.
const QUOTED: usize = 120;
/// Digits up to which an error names no address.
const DIGITS: usize = 3;

/// Targets of one job that fail in one way.
pub(super) struct Family<'a> {
    pub(super) job: &'a str,
    pub(super) kind: Cause,
    pub(super) words: &'a str,
    pub(super) group: &'a [&'a Down<'a>],
    /// All targets of the job.
    pub(super) total: usize,
}

/// The jobs that send a credential, read once somebody asks.
pub(super) type Credentials<'a> = LazyCell<BTreeSet<String>, Box<dyn FnOnce() -> BTreeSet<String> + 'a>>;

/// The node of a target that nobody answers for, where it is gone.
pub(super) fn gone_node(snap: &Snapshot, down: &Down<'_>) -> Option<String> {
    let silent = matches!(down.failure, ScrapeFailure::NoRoute | ScrapeFailure::Timeout);
    let address = down.address.as_ref().filter(|_| silent)?;
    // It only says more of what is down anyway.
    journal::aside(|| targets::gone_node(snap, down.target, address))
}

impl Cause {
    /// The way in which a target fails, and that in words.
    pub(super) fn of(snap: &Snapshot, down: &Down<'_>, credentials: &Credentials<'_>) -> (Self, String) {
        let words = words(down);
        if down.address.as_ref().is_some_and(|a| targets::is_hidden_control_plane(snap, down.target, a)) {
            return (Self::ControlPlane, "EKS runs this part of the control plane out of reach".into());
        }
        if let Some(node) = gone_node(snap, down) {
            return (Self::NoRoute, format!("{words}: node {node} is not there any more"));
        }
        if is_read_only_port(snap, down) {
            return (Self::ReadOnlyPort, format!("{words}: the kubelet there has no read-only port"));
        }
        if let Some(joined) = joined::family(snap, down) {
            return joined;
        }
        if let Some(url) = down.redirected_to() {
            let words = match redirected_without_tls(down, &url) {
                Some(words) => words,
                None => format!("redirected to {url}, and there {words}"),
            };
            return (Self::Redirect, words);
        }
        let kind = match Self::of_failure(&down.failure, &down.target.last_error) {
            Self::Unauthorized if credentials.contains(down.target.job()) => Self::CredentialRefused,
            kind => kind,
        };
        (kind, words)
    }

    fn of_failure(failure: &ScrapeFailure, error: &str) -> Self {
        match failure {
            ScrapeFailure::Timeout => Self::Timeout,
            ScrapeFailure::Refused => Self::Refused,
            ScrapeFailure::NoSuchHost(_) => Self::NoSuchHost,
            ScrapeFailure::Dns => Self::Dns,
            ScrapeFailure::NoRoute => Self::NoRoute,
            ScrapeFailure::Reset => Self::Reset,
            ScrapeFailure::Certificate => {
                Self::Certificate(certificate_problem(error).unwrap_or(Certificate::Authority))
            }
            ScrapeFailure::TlsMismatch => Self::Scheme,
            ScrapeFailure::Tls => Self::Tls,
            ScrapeFailure::NotHttp => Self::NotHttp,
            ScrapeFailure::Status(401 | 407) => Self::Unauthorized,
            ScrapeFailure::Status(403) => Self::Forbidden,
            ScrapeFailure::Status(404 | 410) => Self::NotFound,
            ScrapeFailure::Status(500..=599) => Self::ServerError,
            ScrapeFailure::Status(_) => Self::Status,
            ScrapeFailure::NotMetrics | ScrapeFailure::BlankContentType => Self::NotMetrics,
            ScrapeFailure::BadLine => Self::BadLine,
            ScrapeFailure::Protobuf => Self::Protobuf,
            ScrapeFailure::Limit => Self::Limits,
            ScrapeFailure::Credentials => Self::Credentials,
            ScrapeFailure::Redirects => Self::Redirect,
            ScrapeFailure::Other => Self::Other,
        }
    }
}

/// The port at which kubelets answered everybody, and which newer images of nodes have off.
fn is_read_only_port(snap: &Snapshot, down: &Down<'_>) -> bool {
    const PORT: u16 = 10255;
    let Some(address) = down.address.as_ref().filter(|a| a.port == PORT && down.failure == ScrapeFailure::Refused)
    else {
        return false;
    };
    let of_node = |n: &Node| n.status.addresses.iter().any(|a| a.address == address.host);
    let node = snap.nodes.items().unwrap_or_default().iter().find(|n| of_node(n));
    // A kubelet that does not run refuses at every port.
    node.map_or_else(|| targets::node_of(down.target, address).is_some(), Node::is_ready)
}

/// A redirect to https that leads to a port without TLS.
fn redirected_without_tls(down: &Down<'_>, url: &str) -> Option<String> {
    scheme_spoken(&down.target.last_error).filter(|scheme| *scheme == "http")?;
    let there = Address::parse(url)?;
    let own = down.address.as_ref().filter(|a| (&a.host, a.port) == (&there.host, there.port));
    Some(match own {
        Some(own) => format!("it redirects {} to https on the same port, which speaks no TLS", own.bare_path()),
        None => format!("it redirects to {url}, and that port speaks no TLS"),
    })
}

/// The failure in words, as exact as the error tells.
fn words(down: &Down<'_>) -> String {
    let error = &down.target.last_error;
    let general = down.failure.words();
    let is_http = down.address.as_ref().is_some_and(|a| a.scheme == "http");
    match &down.failure {
        ScrapeFailure::Timeout => format!("{general}: {}", timeout_words(down)),
        ScrapeFailure::Reset => reset_words(error).to_owned(),
        ScrapeFailure::Certificate => match certificate_problem(error) {
            Some(Certificate::Expired) => format!("{general}: {}", expiry(error)),
            Some(Certificate::Authority) => format!("{general}: signed by an unknown authority"),
            Some(Certificate::Name) if has_common_name_only(error) => {
                format!("{general}: it is for no name at all (no subjectAltName; a Common Name does not count)")
            }
            Some(Certificate::Name) => format!("{general}: it is for another name"),
            Some(Certificate::Client) => format!("{general}: the target wants another client certificate"),
            None => general,
        },
        ScrapeFailure::TlsMismatch => {
            let who = if down.redirected_to().is_some() { "redirect" } else { "job" };
            match scheme_spoken(error) {
                Some("http") => format!("{general}: the target speaks HTTP, the {who} asks for HTTPS"),
                _ => format!("{general}: the target speaks HTTPS, the {who} asks for HTTP"),
            }
        }
        ScrapeFailure::NotHttp => protocol(error).map_or(general, |p| format!("the port speaks {p}, not HTTP")),
        ScrapeFailure::Limit => limit_name(error).map_or(general, |limit| exceeded(limit, error)),
        ScrapeFailure::BadLine if error.contains("invalid UTF-8") => "a label value is not valid UTF-8".into(),
        ScrapeFailure::BadLine if error.contains("is not unique") => between(error, "label name \"", "\"")
            .map_or(general, |label| format!("a series has the label {label} twice")),
        ScrapeFailure::BadLine if error.contains("# EOF") => "the answer breaks off: no # EOF at its end".into(),
        ScrapeFailure::BadLine if error.starts_with("gzip:") => "the compressed answer is broken (gzip)".into(),
        ScrapeFailure::Protobuf => format!("{general} ({})", shorten(error, QUOTED)),
        ScrapeFailure::Credentials => between(error, "open ", ": ").map_or(general, |file| {
            let why = error.rsplit(": ").next().unwrap_or_default();
            format!("the credentials file {file} cannot be read: {why}")
        }),
        ScrapeFailure::Status(400) if asks_snmp(down) => {
            let url = &down.target.scrape_url;
            let unnamed = if url.contains("auth=") {
                ""
            } else {
                "; the job names no auth, for which snmp_exporter takes public_v2 since 0.23"
            };
            format!(
                "{general}: the prober does not know what it is asked for (an unknown module or auth, or no target){unnamed}"
            )
        }
        ScrapeFailure::Status(400) if asks_to_probe(down) => {
            format!("{general}: the prober does not know what it is asked for (an unknown module, or no target)")
        }
        ScrapeFailure::Status(400) if down.address.as_ref().is_some_and(|a| a.bare_path().ends_with("/federate")) => {
            format!(
                "{general}: the other Prometheus does not take what match[] selects (a selector that does not parse)"
            )
        }
        ScrapeFailure::Status(400) if is_http => {
            format!("{general}, as a server that wants HTTPS answers HTTP")
        }
        ScrapeFailure::Status(status) => {
            status_words(*status).map_or_else(|| general.clone(), |words| format!("{general}, {words}"))
        }
        ScrapeFailure::Other if is_out_of_files(down) => "Prometheus itself has no file descriptor left".into(),
        // What has no address in it is the same for all targets that fail so.
        ScrapeFailure::Other
            if !error.contains("://") && error.chars().filter(char::is_ascii_digit).count() <= DIGITS =>
        {
            format!("{general}: {}", shorten(error, QUOTED))
        }
        _ => general,
    }
}

/// The target is a prober that looks at something else: blackbox-exporter, snmp-exporter.
pub(super) fn asks_to_probe(down: &Down<'_>) -> bool {
    let path = down.address.as_ref().map_or("", |a| a.bare_path());
    path == "/probe" || path == "/snmp"
}

/// The same of snmp-exporter alone.
pub(super) fn asks_snmp(down: &Down<'_>) -> bool {
    down.address.as_ref().is_some_and(|a| a.bare_path() == "/snmp")
}

/// Nothing is wrong with the target.
pub(super) fn is_out_of_files(down: &Down<'_>) -> bool {
    down.target.last_error.contains("too many open files")
}

/// `current time 2026-11-21T02:55:30Z is after 2026-11-20T00:00:00Z`.
fn expiry(error: &str) -> String {
    let date = |mark: &str| error.split_once(mark).and_then(|(_, rest)| rest.get(..10)).map(str::to_owned);
    if let Some(day) = date(" is after ") {
        return format!("it expired on {day}");
    }
    match date(" is before ") {
        Some(day) => {
            format!("it is valid from {day} on only: the clock of one side is off, or it was issued too early")
        }
        None => "it has expired or is not yet valid".into(),
    }
}

/// What a status says of the target.
fn status_words(status: u16) -> Option<&'static str> {
    Some(match status {
        401 | 407 => "the target wants credentials",
        403 => "whoever asks lacks the permission",
        404 | 410 => "the metrics are not at this path",
        429 => "the target limits the rate of requests",
        500 => "the application fails to make its metrics",
        502..=504 => "a proxy in front has no healthy backend",
        _ => return None,
    })
}

/// How far a scrape came that took too long, as far as Go tells.
fn timeout_words(down: &Down<'_>) -> String {
    let error = &down.target.last_error;
    let limit = &down.target.scrape_timeout;
    let by_name = down.address.as_ref().is_some_and(|a| a.host.parse::<std::net::IpAddr>().is_err());
    if error.contains("dial tcp") || error.contains("connection timed out") {
        "no answer to the connection, packets are dropped".into()
    } else if error.contains("awaiting headers") || error.contains("reading body") {
        format!("the answer takes longer than the scrape_timeout of {limit}")
    } else if by_name {
        format!(
            "no complete answer within the scrape_timeout of {limit}; name look-up, connection or answer is too slow"
        )
    } else {
        format!("no complete answer within the scrape_timeout of {limit}; connection or answer is too slow")
    }
}

fn reset_words(error: &str) -> &'static str {
    if error.contains("connection reset") {
        "connection reset by peer"
    } else if error.ends_with("EOF") {
        "the target closes the connection before its answer is complete"
    } else {
        "connection closed early"
    }
}

/// The scheme that the target speaks where it is not the one of the URL that was asked.
pub(super) fn scheme_spoken(error: &str) -> Option<&'static str> {
    if error.contains("does not look like a TLS handshake") || error.contains("HTTP response to HTTPS client") {
        return Some("http");
    }
    error.contains("\\x15\\x03").then_some("https")
}

/// The protocol of a port that answered HTTP with its own words.
fn protocol(error: &str) -> Option<&'static str> {
    let answer = error.split_once("malformed HTTP ").map(|(_, rest)| rest)?;
    let said = answer.split_once('"').map_or("", |(_, said)| said);
    // Redis: `-ERR wrong number of arguments for 'get' command`. HTTP/2: a SETTINGS frame, type 4 of stream 0.
    if answer.starts_with("status code \"wrong\"") || said.starts_with("-ERR") || said.starts_with("-DENIED") {
        Some("the Redis protocol")
    } else if said.starts_with("\\x00\\x00") && said.contains("\\x04\\x00\\x00\\x00\\x00\\x00") {
        Some("HTTP/2 without TLS (gRPC)")
    } else if said.starts_with("SSH-") {
        Some("SSH")
    } else if said.contains("mysql") || said.contains("MariaDB") || said.contains("caching_sha2") {
        Some("the MySQL protocol")
    } else if said.starts_with("220 ") || answer.starts_with("status code \"220") {
        Some("SMTP or FTP")
    } else {
        None
    }
}

fn has_common_name_only(error: &str) -> bool {
    error.contains("Common Name") || error.contains("not valid for any names")
}

fn certificate_problem(error: &str) -> Option<Certificate> {
    let has = |part: &str| error.contains(part);
    if has("has expired or is not yet valid") {
        Some(Certificate::Expired)
    } else if has("unknown authority") || has("self-signed") || has("self signed") || has("not trusted") {
        Some(Certificate::Authority)
    } else if has("not valid for")
        || has("is valid for")
        || has("cannot validate certificate for")
        || has("Common Name")
    {
        Some(Certificate::Name)
    } else if has("bad certificate") || has("certificate required") || has("unknown certificate") {
        Some(Certificate::Client)
    } else {
        None
    }
}

/// The field of the scrape job that an error of exceeded limits is about.
/// What a target offers of what is limited: `number of labels: 42, limit: 30`, `length: 512, limit: 200`.
pub(super) fn offered(error: &str) -> Option<u64> {
    let (before, _) = error.rsplit_once(", limit: ")?;
    before.rsplit_once(": ")?.1.parse().ok()
}

fn exceeded(limit: &str, error: &str) -> String {
    let of_targets = offered(error).zip(error.rsplit_once(", limit: ")).filter(|_| limit == "target_limit");
    match of_targets {
        Some((offered, (_, most))) => {
            format!("target_limit is exceeded: it has {offered} targets and may have {}", most.trim_end_matches(')'))
        }
        None => format!("{limit} is exceeded"),
    }
}

pub(super) fn limit_name(error: &str) -> Option<&'static str> {
    let words = error.split(" exceeded").next()?.replace(' ', "_");
    let known = [
        "sample_limit",
        "body_size_limit",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "target_limit",
    ];
    if words.ends_with("bucket_limit") {
        return Some("native_histogram_bucket_limit");
    }
    known.into_iter().find(|k| words == *k)
}

/// The operator's spelling of a field.
pub(super) fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let upper: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        name + &upper + letters.as_str()
    })
}
