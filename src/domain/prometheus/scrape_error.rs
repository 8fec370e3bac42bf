//! Why a scrape failed, told from the target's `lastError` in the wording of Prometheus 2.x and 3.x.

use crate::domain::text::tls_error::TlsCause;
use crate::domain::text::unreached::Unreached;

/// The family of a scrape failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScrapeFailure {
    /// `context deadline exceeded`, `i/o timeout`.
    Timeout,
    /// `connection refused`.
    Refused,
    /// `no such host`, for this host.
    NoSuchHost(String),
    /// DNS itself failed (server misbehaving, lookup timeout).
    Dns,
    /// `no route to host`, `network is unreachable`.
    NoRoute,
    /// `connection reset by peer`, `EOF`.
    Reset,
    /// Certificate not trusted, expired, for another name.
    Certificate,
    /// One side speaks TLS, the other does not.
    TlsMismatch,
    /// The port does not speak HTTP.
    NotHttp,
    /// An HTTP status.
    Status(u16),
    /// The answer is JSON, HTML or other text that is not an exposition format.
    NotMetrics,
    /// Another fault of the TLS handshake: versions, ciphers, an alert of the other side.
    Tls,
    /// No Content-Type, or one that cannot be read (3.x refuses it unless `fallback_scrape_protocol` is set). Says
    /// nothing of the body.
    BlankContentType,
    /// Metrics with a line that does not parse.
    BadLine,
    /// The answer in Protobuf does not parse.
    Protobuf,
    /// `sample_limit`, `label_limit`, `body_size_limit`, `target_limit`.
    Limit,
    /// A file with credentials cannot be read, or a token cannot be fetched.
    Credentials,
    /// `stopped after 10 redirects`.
    Redirects,
    /// Anything else.
    Other,
}

impl From<Unreached> for ScrapeFailure {
    fn from(why: Unreached) -> Self {
        match why {
            Unreached::NoSuchHost(host) => Self::NoSuchHost(host),
            Unreached::Dns => Self::Dns,
            Unreached::Refused => Self::Refused,
            Unreached::NoRoute => Self::NoRoute,
            Unreached::Timeout => Self::Timeout,
            Unreached::Reset => Self::Reset,
        }
    }
}

impl ScrapeFailure {
    /// Reads a `lastError`.
    pub(crate) fn classify(error: &str) -> Self {
        if let Some(failure) = Self::content(error) {
            return failure;
        }
        let text = without_url(error);
        let has = |part: &str| text.contains(part);
        if let Some(unreached) = Unreached::by_name(text) {
            return unreached.into();
        }
        if (has("unable to read") && has("file")) || has("unable to load specified") || has("oauth2:") {
            return Self::Credentials;
        }
        match TlsCause::read(text) {
            // Two bytes with which an alert of TLS begins: the target speaks it, and was asked without.
            _ if has("\\x15\\x03") => return Self::TlsMismatch,
            Some(TlsCause::PlainHttp) => return Self::TlsMismatch,
            None | Some(TlsCause::Other) if !(has("x509:") || has("certificate")) => {}
            _ => return Self::Certificate,
        }
        if has("malformed HTTP") {
            return Self::NotHttp;
        }
        if has("stopped after") && has("redirects") {
            return Self::Redirects;
        }
        match Unreached::on_the_way(text) {
            Some(unreached) => unreached.into(),
            None if has("tls: ") => Self::Tls,
            None => Self::Other,
        }
    }

    /// Failures after an HTTP answer came. They quote parts of the answer, so they are told by how they begin: a metric
    /// may be called `certificate_timeout`.
    fn content(error: &str) -> Option<Self> {
        let begins = |start: &str| error.starts_with(start);
        if let Some(rest) = error.strip_prefix("server returned HTTP status ") {
            return rest.split(' ').next().and_then(|s| s.parse().ok()).map(Self::Status);
        }
        if begins("proto: ") {
            return Some(Self::Protobuf);
        }
        let message = error.split(['(', '"']).next().unwrap_or_default();
        if message.contains("limit exceeded") {
            return Some(Self::Limit);
        }
        if error.contains("sending blank Content-Type") || begins("cannot parse Content-Type") {
            return Some(Self::BlankContentType);
        }
        if is_not_metrics(error) {
            return Some(Self::NotMetrics);
        }
        let parse =
            ["strconv.", "invalid UTF-8", "data does not end with # EOF", "gzip:", "expected ", "invalid metric"];
        // Told when the sample is stored: the line itself parses.
        let twice = begins("label name ") && error.contains("is not unique");
        (twice || error.contains(" while parsing: ") || parse.iter().any(|p| begins(p))).then_some(Self::BadLine)
    }

    /// One or two words for messages.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Timeout => "timed out".into(),
            Self::Refused => "connection refused".into(),
            Self::NoSuchHost(_) => "no such host".into(),
            Self::Dns => "DNS lookup failed".into(),
            Self::NoRoute => "no route to host".into(),
            Self::Reset => "connection closed early".into(),
            Self::Certificate => "certificate not accepted".into(),
            Self::TlsMismatch => "HTTP against HTTPS".into(),
            Self::Tls => "the TLS handshake failed".into(),
            Self::NotHttp => "the port does not speak HTTP".into(),
            Self::Status(status) => format!("HTTP {status}"),
            Self::NotMetrics => "the answer is not metrics".into(),
            Self::BlankContentType => "no usable Content-Type".into(),
            Self::BadLine => "a line does not parse".into(),
            Self::Protobuf => "its answer in Protobuf does not parse".into(),
            Self::Limit => "a scrape limit is exceeded".into(),
            Self::Credentials => "a credentials file cannot be read".into(),
            Self::Redirects => "redirects in a loop".into(),
            Self::Other => "failed".into(),
        }
    }
}

/// Answers that begin like JSON, HTML or plain words, or are declared as such.
fn is_not_metrics(error: &str) -> bool {
    if error.contains("received unsupported Content-Type") {
        return true;
    }
    // 3.x and late 2.x quote what they stumbled over, and what they had read of the line.
    if let Some((expectation, seen)) = error.split_once(" while parsing: ") {
        let seen = seen.trim_matches('"');
        let json_or_html = ["{", "[", "<"].iter().any(|start| seen.starts_with(start));
        // "OK\n": one word and nothing after it.
        let lone_word =
            expectation.contains("expected value after metric") && !seen.trim_end_matches("\\n").contains(' ');
        return json_or_html || lone_word;
    }
    // 2.x before 2.43 says only that the first token is none of the format's.
    error.contains("is not a valid start token") || error.contains("expected value after metric, got \"INVALID\"")
}

/// The error without the `Get "<url>": ` that Go puts before it: names in a URL must not be read as causes.
fn without_url(error: &str) -> &str {
    error.strip_prefix("Get \"").and_then(|rest| rest.split_once("\": ")).map_or(error, |(_, cause)| cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_both_wordings_of_an_answer_that_is_not_metrics() {
        for error in [
            r#"expected a valid start token, got "{" ("INVALID") while parsing: "{""#,
            r#""INVALID" is not a valid start token"#,
            r#"received unsupported Content-Type "application/json" and no fallback_scrape_protocol specified for target"#,
            r#"expected equal, got ":" ("INVALID") while parsing: "{\"status\":""#,
            r#"expected a valid start token, got "<" ("INVALID") while parsing: "<""#,
            r#"expected value after metric, got "\n" ("INVALID") while parsing: "OK\n""#,
            r#"expected label name, got "\n" ("INVALID") while parsing: "{\n""#,
        ] {
            assert_eq!(ScrapeFailure::classify(error), ScrapeFailure::NotMetrics, "{error}");
        }
    }

    #[test]
    fn tells_a_bad_line_from_an_answer_that_is_not_metrics() {
        for error in [
            r#"strconv.ParseFloat: parsing "length": invalid syntax while parsing: "queue length""#,
            r#"strconv.ParseFloat: parsing "length": invalid syntax"#,
            "data does not end with # EOF",
            r#"label name "pod" is not unique: invalid sample"#,
            r#"invalid UTF-8 label value: "\"M\xfcnchen\"""#,
            "gzip: invalid header",
        ] {
            assert_eq!(ScrapeFailure::classify(error), ScrapeFailure::BadLine, "{error}");
        }
    }

    #[test]
    fn tells_the_transport_failures() {
        let cases = [
            (
                r#"Get "http://a:1/m": dial tcp: lookup pay.shop.svc.cluster.local on 10.0.0.2:53: no such host"#,
                ScrapeFailure::NoSuchHost("pay.shop.svc.cluster.local".into()),
            ),
            (r#"Get "http://a:1/m": dial tcp: lookup pay: no such host"#, ScrapeFailure::NoSuchHost("pay".into())),
            // With the C library's resolver: no server is named.
            (
                r#"Get "http://a:1/m": dial tcp: lookup pay.shop.svc.cluster.local: no such host"#,
                ScrapeFailure::NoSuchHost("pay.shop.svc.cluster.local".into()),
            ),
            (
                r#"Get "http://a:1/m": dial tcp: lookup pay.shop.svc.cluster.local: Temporary failure in name resolution"#,
                ScrapeFailure::Dns,
            ),
            ("server returned HTTP status 503 Service Unavailable", ScrapeFailure::Status(503)),
            (r#"Get "http://a": context deadline exceeded"#, ScrapeFailure::Timeout),
            (r#"Get "http://a": dial tcp 10.0.0.1:80: connect: connection refused"#, ScrapeFailure::Refused),
            (
                r#"Get "https://a": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
                ScrapeFailure::Certificate,
            ),
            (
                r#"Get "http://a": net/http: HTTP/1.x transport connection broken: malformed HTTP response "\x15\x03\x01\x00\x02\x02""#,
                ScrapeFailure::TlsMismatch,
            ),
            ("body size limit exceeded", ScrapeFailure::Limit),
            ("target_limit exceeded (number of targets: 3, limit: 2)", ScrapeFailure::Limit),
            (r#"Get "http://a": stopped after 10 redirects"#, ScrapeFailure::Redirects),
            ("unexpected EOF", ScrapeFailure::Reset),
            (r#"Get "http://a": EOF"#, ScrapeFailure::Reset),
            (
                r#"Get "http://a": dial tcp: lookup a.b.svc on 10.0.0.2:53: read udp 10.0.1.5:4242->10.0.0.2:53: i/o timeout"#,
                ScrapeFailure::Dns,
            ),
            (r#"Get "https://a": net/http: TLS handshake timeout"#, ScrapeFailure::Timeout),
            (r#"Get "http://a": dial tcp 10.0.0.1:80: connect: connection timed out"#, ScrapeFailure::Timeout),
            (r#"Get "https://a": remote error: tls: handshake failure"#, ScrapeFailure::Tls),
            (
                r#"Get "http://a": net/http: HTTP/1.x transport connection broken: malformed HTTP status code "wrong""#,
                ScrapeFailure::NotHttp,
            ),
            (
                "unable to load specified CA cert /etc/ca.crt: open /etc/ca.crt: no such file or directory",
                ScrapeFailure::Credentials,
            ),
            (
                r#"Get "http://a": unable to read basic auth password file /p: open /p: no such file or directory"#,
                ScrapeFailure::Credentials,
            ),
            (
                "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
                ScrapeFailure::BlankContentType,
            ),
        ];
        for (error, family) in cases {
            assert_eq!(ScrapeFailure::classify(error), family, "{error}");
        }
    }

    #[test]
    fn names_in_the_url_or_in_the_answer_are_not_causes() {
        for (error, family) in [
            (
                r#"Get "http://timeout-certificate.shop.svc:80/no%20such%20host": dial tcp 10.0.0.1:80: connect: connection refused"#,
                ScrapeFailure::Refused,
            ),
            (
                r#"strconv.ParseFloat: parsing "x509:": invalid syntax while parsing: "certificate_timeout x509:""#,
                ScrapeFailure::BadLine,
            ),
            (
                r#"label_limit exceeded (metric: "certificate_reads", number of labels: 9, limit: 4)"#,
                ScrapeFailure::Limit,
            ),
            (r#"invalid UTF-8 label value: "\"limit exceeded\"""#, ScrapeFailure::BadLine),
        ] {
            assert_eq!(ScrapeFailure::classify(error), family, "{error}");
        }
    }
}
