//! Why a scrape failed, told from the target's `lastError` in the wording of Prometheus 2.x and 3.x.

/// The family of a scrape failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScrapeFailure {
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
    /// Metrics, but without a Content-Type (3.x refuses them unless `fallback_scrape_protocol` is set).
    BlankContentType,
    /// Metrics with a line that does not parse.
    BadLine,
    /// `sample_limit`, `label_limit`, `body_size_limit`, `target_limit`.
    Limit,
    /// A file with credentials cannot be read.
    Credentials,
    /// `stopped after 10 redirects`.
    Redirects,
    /// Anything else.
    Other,
}

impl ScrapeFailure {
    /// Reads a `lastError`.
    pub fn classify(error: &str) -> Self {
        let has = |part: &str| error.contains(part);
        if has("no such host") {
            return Self::NoSuchHost(between(error, "lookup ", &[' ', ':']).unwrap_or_default());
        }
        if has("server misbehaving")
            || has("Temporary failure in name resolution")
            || (has("lookup ") && has("timeout"))
        {
            return Self::Dns;
        }
        if let Some(status) = between(error, "HTTP status ", &[' ']).and_then(|s| s.parse().ok()) {
            return Self::Status(status);
        }
        if has("limit exceeded") || has("_limit exceeded") || has("size limit") {
            return Self::Limit;
        }
        if has("unable to read") && has("file") {
            return Self::Credentials;
        }
        if has("x509:") || has("certificate") {
            return Self::Certificate;
        }
        if has("first record does not look like a TLS handshake")
            || has("server gave HTTP response to HTTPS client")
            || has("\\x15\\x03")
        {
            return Self::TlsMismatch;
        }
        if has("malformed HTTP") {
            return Self::NotHttp;
        }
        if has("blank Content-Type") {
            return Self::BlankContentType;
        }
        if is_not_metrics(error) {
            return Self::NotMetrics;
        }
        Self::transport(error).unwrap_or(Self::Other)
    }

    fn transport(error: &str) -> Option<Self> {
        let has = |part: &str| error.contains(part);
        if has("connection refused") {
            return Some(Self::Refused);
        }
        if has("no route to host") || has("network is unreachable") {
            return Some(Self::NoRoute);
        }
        if has("context deadline exceeded") || has("i/o timeout") || has("Client.Timeout") {
            return Some(Self::Timeout);
        }
        if has("stopped after") && has("redirects") {
            return Some(Self::Redirects);
        }
        if has("connection reset") || has("unexpected EOF") || has("broken pipe") || error.ends_with("EOF") {
            return Some(Self::Reset);
        }
        let parse =
            ["strconv.", "invalid UTF-8", "# EOF", "gzip:", "while parsing", "is not a valid start token", "expected "];
        parse.iter().any(|p| has(p)).then_some(Self::BadLine)
    }

    /// One or two words for messages.
    pub fn words(&self) -> String {
        match self {
            Self::Timeout => "timed out".into(),
            Self::Refused => "connection refused".into(),
            Self::NoSuchHost(_) => "no such host".into(),
            Self::Dns => "DNS lookup failed".into(),
            Self::NoRoute => "no route to host".into(),
            Self::Reset => "connection closed early".into(),
            Self::Certificate => "certificate not accepted".into(),
            Self::TlsMismatch => "HTTP against HTTPS".into(),
            Self::NotHttp => "the port does not speak HTTP".into(),
            Self::Status(status) => format!("HTTP {status}"),
            Self::NotMetrics => "the answer is not metrics".into(),
            Self::BlankContentType => "no Content-Type".into(),
            Self::BadLine => "a line does not parse".into(),
            Self::Limit => "a scrape limit is exceeded".into(),
            Self::Credentials => "a credentials file cannot be read".into(),
            Self::Redirects => "redirects in a loop".into(),
            Self::Other => "failed".into(),
        }
    }
}

/// Answers that begin like JSON, HTML or plain words, or are declared as such.
fn is_not_metrics(error: &str) -> bool {
    if error.contains("unsupported Content-Type") {
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

fn between(text: &str, start: &str, ends: &[char]) -> Option<String> {
    let rest = text.split_once(start)?.1;
    Some(rest.split(ends).next().unwrap_or(rest).to_owned())
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
        ];
        for (error, family) in cases {
            assert_eq!(ScrapeFailure::classify(error), family, "{error}");
        }
    }
}
