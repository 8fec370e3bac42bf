//! Why a program could not send something to another over HTTP: told from the error of Go's client, or from the answer.

use crate::text::pattern::pattern;

use super::tls_error::TlsCause;
use super::unreached::Unreached;

/// The family of a failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SendFailure {
    /// No answer in time.
    Timeout,
    /// This name does not exist.
    NoSuchHost(String),
    /// DNS itself failed.
    Dns,
    /// `no route to host`, `network is unreachable`.
    NoRoute,
    /// Refused by who is there: nothing listens.
    Refused,
    /// Closed in the middle.
    Reset,
    /// The certificate is expired, or not valid yet.
    Expired,
    /// The certificate's issuer is not known here.
    UnknownAuthority,
    /// The certificate is for other names.
    OtherName,
    /// The other side asks for a client certificate, or does not accept the one it got.
    ClientCertificate,
    /// HTTPS was spoken to a port of plain HTTP.
    PlainHttp,
    /// Another fault of TLS.
    Tls,
    /// The proxy refused, or could not be reached.
    Proxy,
    /// The request could not be signed: no AWS credentials, or a role that may not be assumed.
    Signing,
    /// A file with credentials or certificates cannot be read.
    Credentials,
    /// An HTTP status that is no success, with what the answer said.
    Status {
        /// The status.
        code: u16,
        /// The begin of the body; empty where it was not told.
        body: String,
    },
    /// Anything else.
    Other,
}

impl From<Unreached> for SendFailure {
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

impl SendFailure {
    /// Reads an error.
    pub(crate) fn classify(error: &str) -> Self {
        if let Some(status) = answered(error) {
            return status;
        }
        let text = cause(error);
        let has = |part: &str| text.contains(part);
        if has("failed to sign request") || has("SigV4 credentials") || has("NoCredentialProviders") {
            return Self::Signing;
        }
        if has("proxyconnect") || has("Proxy Authentication Required") {
            return Self::Proxy;
        }
        if has("unable to read") || has("unable to load specified") || has("oauth2:") {
            return Self::Credentials;
        }
        let by_name = Unreached::by_name(text).map(Self::from);
        let on_the_way = || Unreached::on_the_way(text).map(Self::from);
        by_name.or_else(|| Self::of_tls(text)).or_else(on_the_way).unwrap_or(Self::Other)
    }

    fn of_tls(text: &str) -> Option<Self> {
        Some(match TlsCause::read(text)? {
            TlsCause::PlainHttp => Self::PlainHttp,
            TlsCause::ClientCertificate => Self::ClientCertificate,
            TlsCause::Expired | TlsCause::NotYetValid => Self::Expired,
            TlsCause::UnknownAuthority => Self::UnknownAuthority,
            TlsCause::OtherName => Self::OtherName,
            TlsCause::Other => Self::Tls,
        })
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What the answer said; empty where there was none.
    pub(crate) fn body(&self) -> &str {
        match self {
            Self::Status { body, .. } => body,
            _ => "",
        }
    }

    /// Nobody answered at the address: what may be wrong is there, or on the way.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Timeout | Self::NoRoute | Self::Refused | Self::Reset)
    }
}

/// The status that a line of Prometheus' notifier, of a remote write or of a log agent quotes.
fn answered(error: &str) -> Option<SendFailure> {
    let status = pattern!(
        r"(?s)(?:server returned HTTP status|bad response status|unexpected HTTP status|HTTP status=)[ ]?(\d{3})([^:\n]*)(?::\s*(.*))?$"
    );
    let found = status.captures(error)?;
    let code = found[1].parse().ok()?;
    Some(SendFailure::Status { code, body: found.get(3).map_or("", |b| b.as_str()).trim().to_owned() })
}

/// The error without the `Post "<url>": ` before it: names in a URL must not be read as causes.
fn cause(error: &str) -> &str {
    let quoted = ["Post \"", "Get \"", "Put \"", "Head \""].iter().find_map(|verb| error.split_once(verb));
    quoted.and_then(|(_, rest)| rest.split_once("\": ")).map_or(error, |(_, cause)| cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_answers_with_their_bodies() {
        for (error, code, body) in [
            ("bad response status 404 Not Found", 404, ""),
            ("bad response status 410 Gone", 410, ""),
            ("server returned HTTP status 404 Not Found: 404 page not found\n", 404, "404 page not found"),
            (
                "server returned HTTP status 403 Forbidden: {\"message\":\"Missing Authentication Token\"}",
                403,
                "{\"message\":\"Missing Authentication Token\"}",
            ),
            ("server returned HTTP status 401 Unauthorized (401): no org id", 401, "no org id"),
        ] {
            assert_eq!(SendFailure::classify(error), SendFailure::Status { code, body: body.into() }, "{error}");
        }
    }

    #[test]
    fn tells_what_happened_on_the_way() {
        for (error, failure) in [
            ("dial tcp 10.0.1.30:9093: connect: connection refused", SendFailure::Refused),
            ("context deadline exceeded", SendFailure::Timeout),
            ("dial tcp: lookup am.x.svc on 172.20.0.10:53: no such host", SendFailure::NoSuchHost("am.x.svc".into())),
            (
                "dial tcp: lookup am on 172.20.0.10:53: read udp 10.0.0.1:1->172.20.0.10:53: i/o timeout",
                SendFailure::Dns,
            ),
            ("x509: certificate signed by unknown authority", SendFailure::UnknownAuthority),
            (
                "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time …",
                SendFailure::Expired,
            ),
            ("x509: certificate is valid for a, not b", SendFailure::OtherName),
            ("remote error: tls: certificate required", SendFailure::ClientCertificate),
            ("http: server gave HTTP response to HTTPS client", SendFailure::PlainHttp),
            ("EOF", SendFailure::Reset),
            ("proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused", SendFailure::Proxy),
            ("failed to sign request: AccessDenied: User: x is not authorized", SendFailure::Signing),
            ("something else", SendFailure::Other),
        ] {
            let error = format!("Post \"https://no-such-host.timeout/x509\": {error}");
            assert_eq!(SendFailure::classify(&error), failure, "{error}");
        }
    }
}
