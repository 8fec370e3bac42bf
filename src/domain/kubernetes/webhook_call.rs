//! What the API server says when it cannot call a webhook.

use crate::domain::text::tls_error::TlsCause;
use crate::text::pattern::pattern;

/// A webhook that could not be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedCall {
    /// `webhooks[].name`.
    pub(crate) webhook: String,
    /// Namespace and name of the Service that was called, where the URL is that of a Service.
    pub(crate) service: Option<(String, String)>,
    /// What went wrong.
    pub(crate) fault: CallCause,
    /// The API server's words, from the webhook on.
    pub(crate) text: String,
}

/// Why a webhook could not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallCause {
    /// The Service does not exist.
    NoService,
    /// The Service has no endpoint.
    NoEndpoints,
    /// The Service does not have the port.
    NoPort,
    /// Nobody answered in time.
    Timeout,
    /// The address refuses connections.
    Refused,
    /// The webhook's certificate is not of the authority that the configuration names.
    UnknownAuthority,
    /// The webhook's certificate is for other names.
    WrongName,
    /// The webhook's certificate is past its end, or not valid yet.
    Expired,
    /// The configuration's CA bundle is no certificate.
    BadBundle,
    /// The host name is not known.
    NoHost,
    /// The control plane does not call such addresses.
    NotAllowed,
    /// An answer that is none, or something else.
    Other,
}

impl CallCause {
    /// By the words of the API server.
    fn of(text: &str) -> Self {
        let has = |part: &str| text.contains(part);
        if has("no endpoints available for service") {
            Self::NoEndpoints
        } else if has("no service port") {
            Self::NoPort
        } else if has("service \"") && has("\" not found") {
            Self::NoService
        } else if let Some(fault) = Self::of_tls(text) {
            fault
        } else if has("unable to load root certificates") || has("unable to parse bytes as PEM") {
            Self::BadBundle
        } else if has("Address is not allowed") {
            Self::NotAllowed
        } else if has("no such host") {
            Self::NoHost
        } else if has("connection refused") {
            Self::Refused
        } else if has("deadline exceeded")
            || has("i/o timeout")
            || has("Client.Timeout")
            || has("timed out")
            || has("no route to host")
        {
            Self::Timeout
        } else {
            Self::Other
        }
    }

    /// What is wrong with the webhook's certificate.
    fn of_tls(text: &str) -> Option<Self> {
        match TlsCause::read(text)? {
            TlsCause::UnknownAuthority => Some(Self::UnknownAuthority),
            TlsCause::Expired | TlsCause::NotYetValid => Some(Self::Expired),
            TlsCause::OtherName => Some(Self::WrongName),
            TlsCause::PlainHttp | TlsCause::ClientCertificate | TlsCause::Other => None,
        }
    }

    /// The fault lies in certificates.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::UnknownAuthority | Self::WrongName | Self::Expired | Self::BadBundle)
    }
}

/// The first call that a text says failed. A webhook that was called and refused is none.
pub(crate) fn read(text: &str) -> Option<FailedCall> {
    if !text.contains("failed calling ") {
        return None;
    }
    let call = pattern!(r#"failed calling (?:admission )?webhook "([^"]+)""#);
    // Within the string of a log line or of JSON the quotes are escaped.
    let text = text.replace("\\\"", "\"");
    let found = call.captures(&text)?;
    let rest = text[found.get(0)?.start()..].lines().next().unwrap_or_default();
    Some(FailedCall {
        webhook: found[1].to_owned(),
        service: service(rest),
        fault: CallCause::of(rest),
        text: rest.chars().take(400).collect(),
    })
}

/// A webhook that was to convert objects, and could not be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedConversion {
    /// The group of the custom resource.
    pub(crate) group: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Namespace and name of the Service that was called, where the URL is that of a Service.
    pub(crate) service: Option<(String, String)>,
    /// What went wrong.
    pub(crate) fault: CallCause,
}

/// The conversion that a text says failed. A webhook that was called and refused is none.
pub(crate) fn read_conversion(text: &str) -> Option<FailedConversion> {
    if !text.contains("conversion webhook for ") {
        return None;
    }
    let call = pattern!(r"conversion webhook for ([^/\s]+)/\w+, Kind=(\w+) failed: Post");
    let text = text.replace("\\\"", "\"");
    let found = call.captures(&text)?;
    let rest = text[found.get(0)?.start()..].lines().next().unwrap_or_default();
    Some(FailedConversion {
        group: found[1].to_owned(),
        kind: found[2].to_owned(),
        service: service(rest),
        fault: CallCause::of(rest),
    })
}

/// Namespace and name from `https://<name>.<namespace>.svc:443/path`.
fn service(text: &str) -> Option<(String, String)> {
    let host = text.split_once("https://")?.1.split(['/', ':', '"', '?']).next()?;
    let mut parts = host.split('.');
    let (name, namespace) = (parts.next()?, parts.next()?);
    (parts.next() == Some("svc")).then(|| (namespace.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_fault_of_a_call() {
        let post = "Post \"https://hook.sys.svc:443/mutate?timeout=10s\": ";
        for (told, fault) in [
            ("service \"hook\" not found", CallCause::NoService),
            ("no endpoints available for service \"hook\"", CallCause::NoEndpoints),
            ("no service port 443 found for service \"hook\"", CallCause::NoPort),
            ("context deadline exceeded", CallCause::Timeout),
            ("dial tcp 10.0.1.2:10250: i/o timeout", CallCause::Timeout),
            ("dial tcp 172.20.3.4:443: connect: connection refused", CallCause::Refused),
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                CallCause::UnknownAuthority,
            ),
            (
                "x509: certificate has expired or is not yet valid: current time 2026-11-21T02:00:00Z is after 2026-11-01T00:00:00Z",
                CallCause::Expired,
            ),
            ("x509: certificate is valid for a.b.svc, not hook.sys.svc", CallCause::WrongName),
            ("Address is not allowed", CallCause::NotAllowed),
        ] {
            let text = format!(
                "Internal error occurred: failed calling webhook \"a.b.c\": failed to call webhook: {post}{told}"
            );
            let call = read(&text).expect("a failed call");
            assert_eq!((call.webhook.as_str(), call.fault), ("a.b.c", fault), "{told}");
            assert_eq!(call.service, Some(("sys".to_owned(), "hook".to_owned())));
        }
        let old = "failed calling webhook \"v\": Post https://hook.sys.svc:443/x?timeout=30s: no endpoints available for service \"hook\"";
        assert_eq!(read(old).and_then(|c| c.service).map(|s| s.1).as_deref(), Some("hook"));
        let logged = r#"level=error err="failed calling webhook \"v\": failed to call webhook: Post \"https://hook.sys.svc:443/x?timeout=10s\": EOF""#;
        assert_eq!(read(logged).map(|c| c.fault), Some(CallCause::Other));
        let told = "conversion webhook for cert-manager.io/v1alpha2, Kind=Issuer failed: Post \"https://hook.sys.svc:443/convert?timeout=30s\": service \"hook\" not found";
        let failed = read_conversion(told).expect("a failed conversion");
        assert_eq!((failed.group.as_str(), failed.kind.as_str()), ("cert-manager.io", "Issuer"));
        assert_eq!(failed.service, Some(("sys".to_owned(), "hook".to_owned())));
        assert_eq!(failed.fault, CallCause::NoService);
        assert_eq!(read("admission webhook \"a.b.c\" denied the request: no"), None);
    }
}
