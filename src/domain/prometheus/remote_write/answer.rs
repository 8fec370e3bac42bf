//! Who receives a remote write, and what its answer means.

use crate::domain::text::message_size;
use crate::domain::text::send_error::SendFailure;
use crate::text::pattern::pattern;

/// Who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// Amazon Managed Service for Prometheus.
    Amp,
    GrafanaCloud,
    Mimir,
    Cortex,
    Thanos,
    VictoriaMetrics,
    /// Another Prometheus.
    Prometheus,
    Other,
}

impl Receiver {
    /// Told by the URL, and by the words of the answer.
    pub(crate) fn of(url: &str, body: &str) -> Self {
        let Ok(url) = url::Url::parse(url) else { return Self::Other };
        let (host, path) = (url.host_str().unwrap_or_default(), url.path());
        let named = |names: &[&str]| names.iter().any(|n| host.contains(n));
        if host.starts_with("aps-workspaces") && host.contains(".amazonaws.com") {
            Self::Amp
        } else if host.ends_with(".grafana.net") {
            Self::GrafanaCloud
        } else if body.contains("err-mimir") || named(&["mimir"]) {
            Self::Mimir
        } else if named(&["victoria", "vminsert", "vmsingle", "vmagent", "vmauth"]) || path.starts_with("/insert/") {
            Self::VictoriaMetrics
        } else if path.ends_with("/api/v1/receive") || named(&["thanos"]) || body.contains("store locally for endpoint")
        {
            Self::Thanos
        } else if named(&["cortex"]) || path.ends_with("/api/prom/push") {
            Self::Cortex
        } else if path.ends_with("/api/v1/write") {
            Self::Prometheus
        } else {
            Self::Other
        }
    }

    /// Its name.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Amp => "Amazon Managed Prometheus",
            Self::GrafanaCloud => "Grafana Cloud",
            Self::Mimir => "Mimir",
            Self::Cortex => "Cortex",
            Self::Thanos => "Thanos Receive",
            Self::VictoriaMetrics => "VictoriaMetrics",
            Self::Prometheus => "the receiving Prometheus",
            Self::Other => "the receiver",
        }
    }

    /// The path that it takes writes at, where it has one alone.
    pub(crate) fn path(self) -> Option<&'static str> {
        match self {
            Self::Mimir => Some("/api/v1/push"),
            Self::Cortex | Self::GrafanaCloud => Some("/api/prom/push"),
            Self::Thanos => Some("/api/v1/receive"),
            Self::VictoriaMetrics | Self::Prometheus => Some("/api/v1/write"),
            Self::Amp | Self::Other => None,
        }
    }
}

/// The page that nginx and load balancers answer with by themselves; those who take samples answer in plain text.
pub(crate) fn is_page_of_proxy(body: &str) -> bool {
    let body = body.trim_start().to_ascii_lowercase();
    body.starts_with("<html") || body.starts_with("<!doctype html")
}

/// What is wrong, by the failure and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// `user` may not do `action` on `resource`.
    Denied { user: String, action: String, resource: String },
    /// No AWS credentials at all.
    NoAwsCredentials,
    /// The request is not signed, or its path is not one of the API's.
    Unsigned,
    /// Signed for another region or service, or with a key that is not valid.
    Signature,
    /// No tenant was named.
    Tenant,
    /// The user name, password or token is not accepted.
    Credential,
    /// No such path there.
    Path,
    /// The receiving Prometheus is not told to take writes.
    ReceiverOff,
    /// A sample is older than one that is there.
    OutOfOrder,
    /// A sample is too old for the receiver.
    TooOld,
    /// A sample is of a time that has not come yet.
    Future,
    /// The URL has no scheme, or another one than HTTP.
    Scheme,
    /// It does not speak the version of the protocol that is configured.
    Protocol,
    /// Another value for the same series and time.
    Duplicate,
    /// Samples or requests in a second.
    RateLimit,
    /// Active series of the tenant or of a metric.
    SeriesLimit,
    /// Number, length or form of labels.
    Labels,
    /// The metric's name, with characters that only newer receivers take.
    Names,
    /// The request is too large.
    TooLarge,
    /// Refused for another reason.
    Refused(u16),
    /// The receiver fails.
    Server(u16),
    /// It did not come to an answer.
    Transport,
}

/// Words of answers, in the order in which they are looked for.
const WORDS: &[(&[&str], Cause)] = &[
    (&["no org id", "org id", "X-Scope-OrgID", "tenant id", "no tenant"], Cause::Tenant),
    (
        &["max-series-per", "series limit", "maximum active series", "per-metric series", "active series limit"],
        Cause::SeriesLimit,
    ),
    (
        &[
            "max-label-names",
            "label-name-too-long",
            "label-value-too-long",
            "label-invalid",
            "label value too long",
            "label name too long",
            "too many labels",
            "label names",
            "invalid label",
            "labels_too_long",
        ],
        Cause::Labels,
    ),
    (&["invalid metric name", "metric-name-invalid"], Cause::Names),
    (&["duplicate-timestamp", "duplicate sample", "replicas did not match"], Cause::Duplicate),
    (&["out-of-order", "out of order"], Cause::OutOfOrder),
    (
        &[
            "too far in the future",
            "too far into the future",
            "too-far-in-future",
            "timestamp too new",
            "too_far_in_future",
        ],
        Cause::Future,
    ),
    (&["io.prometheus.write.v2", "protobuf message is not accepted"], Cause::Protocol),
    (&["too old", "too-old", "out of bounds", "timestamp-too", "too far"], Cause::TooOld),
    (&["ingestion rate limit", "ingestion-rate", "request-rate", "rate limit", "Throttl"], Cause::RateLimit),
    (&["remote write receiver needs to be enabled", "web.enable-remote-write-receiver"], Cause::ReceiverOff),
    (&["Missing Authentication Token"], Cause::Unsigned),
    (
        &[
            "SignatureDoesNotMatch",
            "signature we calculated",
            "Signature expired",
            "Credential should be scoped",
            "security token included",
        ],
        Cause::Signature,
    ),
];

impl Cause {
    /// Reads a failure.
    pub(crate) fn of(failure: &SendFailure, error: &str) -> Self {
        if let Some(denied) = denied(error) {
            return denied;
        }
        if error.contains("unsupported protocol scheme") {
            return Self::Scheme;
        }
        // Said by a member of the receiver of what another one gets.
        if message_size::is_too_large(error) {
            return Self::TooLarge;
        }
        if *failure == SendFailure::Signing {
            return Self::NoAwsCredentials;
        }
        // It answered that all is well, and counted nothing as taken.
        if error.contains("PRW 2.0 response header statistics") {
            return Self::Protocol;
        }
        let Some(status) = failure.status() else { return Self::Transport };
        let body = failure.body();
        let said = WORDS.iter().find(|(words, _)| words.iter().any(|w| body.contains(w)));
        match (said, status) {
            (Some((_, reason)), 400..=499) => reason.clone(),
            (_, 401 | 403) => Self::Credential,
            (_, 404 | 405) => Self::Path,
            (_, 409) => Self::OutOfOrder,
            (_, 413) => Self::TooLarge,
            (_, 415) => Self::Protocol,
            (_, 429) => Self::RateLimit,
            (_, 500..=599) => Self::Server(status),
            _ => Self::Refused(status),
        }
    }
}

/// AWS: who may not do what on what.
fn denied(error: &str) -> Option<Cause> {
    let denied = pattern!(r"User: (\S+) is not authorized to perform: ([\w:]+)(?: on resource: (arn:[^\s\\\x22}]+))?");
    let found = denied.captures(error)?;
    let text = |at: usize| found.get(at).map_or(String::new(), |m| m.as_str().to_owned());
    Some(Cause::Denied { user: text(1), action: text(2), resource: text(3) })
}

/// The role behind the ARN of a role or of a session of it: its name, and the name of the session.
pub(crate) fn role_of(arn: &str) -> Option<(&str, Option<&str>)> {
    let (_, path) = arn.rsplit_once(':')?;
    let mut parts = path.split('/');
    match parts.next()? {
        "assumed-role" => Some((parts.next()?, parts.next())),
        // A role may lie under a path.
        "role" => Some((parts.next_back()?, None)),
        _ => None,
    }
}

/// The region in the host name of a workspace.
pub(crate) fn region_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let mut parts = url.host_str()?.split('.');
    // `aps-workspaces.<region>.amazonaws.com`, `aps-workspaces-fips.<region>…`, `<endpoint>.aps-workspaces.<region>.vpce…`.
    parts.find(|p| p.starts_with("aps-workspaces"))?;
    parts.next().map(str::to_owned)
}

/// A workspace's URL as it should be: one slash between its parts and none at its end; `None` where it is so.
pub(crate) fn corrected(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let right = format!("{scheme}://{host}/{}", parts.join("/"));
    (right != url).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(error: &str) -> Cause {
        Cause::of(&SendFailure::classify(error), error)
    }

    #[test]
    fn tells_receivers_apart() {
        for (url, body, receiver) in [
            ("https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write", "", Receiver::Amp),
            ("https://prometheus-prod-01-eu-west-0.grafana.net/api/prom/push", "", Receiver::GrafanaCloud),
            ("http://gateway.metrics.svc/api/v1/push", "x (err-mimir-max-series-per-user)", Receiver::Mimir),
            ("http://thanos-receive.monitoring.svc:19291/api/v1/receive", "", Receiver::Thanos),
            ("http://vmsingle-vm.monitoring.svc:8429/api/v1/write", "", Receiver::VictoriaMetrics),
            ("http://prom.other.svc:9090/api/v1/write", "", Receiver::Prometheus),
            ("http://example.org/in", "", Receiver::Other),
        ] {
            assert_eq!(Receiver::of(url, body), receiver, "{url}");
        }
    }

    #[test]
    fn tells_what_an_answer_means() {
        for (answer, expected) in [
            ("401 Unauthorized: no org id", Cause::Tenant),
            ("401 Unauthorized: authentication error: invalid credentials", Cause::Credential),
            (
                "400 Bad Request: … out-of-order samples are not allowed (err-mimir-sample-out-of-order).",
                Cause::OutOfOrder,
            ),
            (
                "409 Conflict: store locally for endpoint x: add 1 samples: duplicate sample for timestamp",
                Cause::Duplicate,
            ),
            ("400 Bad Request: per-user series limit of 5000000 exceeded", Cause::SeriesLimit),
            (
                "400 Bad Request: received a series whose label value length exceeds (err-mimir-label-value-too-long)",
                Cause::Labels,
            ),
            (
                "400 Bad Request: sample invalid metric name: \"otelcol_processor_filter_logs.filtered_ratio_total\"",
                Cause::Names,
            ),
            (
                "400 Bad Request: received a series with invalid metric name: 'a.b' (err-mimir-metric-name-invalid)",
                Cause::Names,
            ),
            ("429 Too Many Requests: ingestion rate limit (25000) exceeded", Cause::RateLimit),
            ("404 Not Found: 404 page not found", Cause::Path),
            (
                "404 Not Found: remote write receiver needs to be enabled with --web.enable-remote-write-receiver",
                Cause::ReceiverOff,
            ),
            ("403 Forbidden: {\"message\":\"Missing Authentication Token\"}", Cause::Unsigned),
            ("500 Internal Server Error: out of order", Cause::Server(500)),
            ("422 Unprocessable Entity: no", Cause::Refused(422)),
            (
                "400 Bad Request: received a sample whose timestamp is too far in the future, series: 'x' (err-mimir-too-far-in-future)",
                Cause::Future,
            ),
            (
                "400 Bad Request: received a sample whose timestamp is too far in the past (err-mimir-too-far-in-past)",
                Cause::TooOld,
            ),
            (
                "415 Unsupported Media Type: io.prometheus.write.v2.Request protobuf message is not accepted by this server; accepted prometheus.WriteRequest",
                Cause::Protocol,
            ),
        ] {
            assert_eq!(reason(&format!("server returned HTTP status {answer}")), expected, "{answer}");
        }
        assert_eq!(reason("Post \"x\": context deadline exceeded"), Cause::Transport);
        let counted = "sent v2 request with 3999 samples, 0 histograms and 22 exemplars; got 2xx, but PRW 2.0 response header statistics indicate 0 samples, 0 histograms and 0 exemplars were accepted; assumining failure e.g. the target only supports PRW 1.0 prometheus.WriteRequest, but does not check the Content-Type header correctly";
        assert_eq!(reason(counted), Cause::Protocol);
    }

    #[test]
    fn names_the_roles_of_a_denied_call() {
        let error = "Post \"https://x\": failed to sign request: AccessDenied: User: arn:aws:sts::111122223333:assumed-role/prom/1795 is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/path/prom\n\tstatus code: 403";
        let Cause::Denied { user, action, resource } = reason(error) else { panic!("it is denied") };
        assert_eq!((role_of(&user), action.as_str()), (Some(("prom", Some("1795"))), "sts:AssumeRole"));
        assert_eq!(role_of(&resource), Some(("prom", None)));
        let body = r#"server returned HTTP status 403 Forbidden: {"Message":"User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: aps:RemoteWrite on resource: arn:aws:aps:eu-central-1:1:workspace/ws-0"}"#;
        let Cause::Denied { resource, .. } = reason(body) else { panic!("it is denied") };
        assert_eq!(resource, "arn:aws:aps:eu-central-1:1:workspace/ws-0");
    }

    #[test]
    fn slips_in_the_url_of_a_workspace_are_corrected() {
        let right = "https://aps-workspaces.eu-west-2.amazonaws.com/workspaces/ws-1/api/v1/remote_write";
        assert_eq!(corrected(right), None);
        assert_eq!(corrected(&right.replace("/ws-1/", "/ws-1//")).as_deref(), Some(right));
        assert_eq!(corrected(&format!("{right}/")).as_deref(), Some(right));
        assert_eq!(region_of(right).as_deref(), Some("eu-west-2"));
    }
}
