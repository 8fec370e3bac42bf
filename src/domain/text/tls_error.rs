//! What is wrong with TLS between two programs, in the words of the one that asked: Go's, Python's and OpenSSL's, Java's, Node's,
//! curl's, Rust's.

use crate::text::pattern::pattern;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsCause {
    /// The server speaks plain HTTP where TLS is asked for.
    PlainHttp,
    /// The server asks for a certificate of the client, or does not take the one that it got.
    ClientCertificate,
    /// The server's certificate has expired.
    Expired,
    /// It begins in the future: by its own time, or because a clock is behind.
    NotYetValid,
    /// Nobody whom the client trusts has signed it.
    UnknownAuthority,
    /// It holds other names than the one that was asked for.
    OtherName,
    /// It is told no closer.
    Other,
}

const PLAIN: &[&str] = &[
    "server gave HTTP response to HTTPS client",
    "first record does not look like a TLS handshake",
    "WRONG_VERSION_NUMBER",
    "wrong version number",
    "Unsupported or unrecognized SSL message",
    "packet length too long",
    "InvalidContentType",
];
const CLIENT: &[&str] = &[
    "certificate required",
    "remote error: tls: bad certificate",
    "remote error: tls: unknown certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "sslv3 alert bad certificate",
    "Received fatal alert: bad_certificate",
    "Received fatal alert: certificate_required",
    // An alert comes from the other side: it is the server that does not know who signed the client's.
    "alert unknown ca",
    "ALERT_UNKNOWN_CA",
    "Received fatal alert: unknown_ca",
    "fatal alert: UnknownCA",
    "Received fatal alert: certificate_unknown",
];
const EXPIRED: &[&str] = &[
    "certificate has expired",
    "certificate expired",
    "CERT_HAS_EXPIRED",
    "CertificateExpiredException",
    "ERR_CERT_DATE_INVALID",
    "peer certificate: Expired",
];
const EARLY: &[&str] =
    &["certificate is not yet valid", "CERT_NOT_YET_VALID", "CertificateNotYetValidException", "NotValidYet"];
const AUTHORITY: &[&str] = &[
    "signed by unknown authority",
    "certificate is not trusted",
    "unable to get local issuer certificate",
    "unable to get issuer certificate",
    "unable to verify the first certificate",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "UNABLE_TO_GET_ISSUER_CERT",
    "SELF_SIGNED_CERT",
    "PKIX path building failed",
    "unable to find valid certification path",
    "UnknownIssuer",
    "ERR_CERT_AUTHORITY_INVALID",
];
/// Said by what makes such certificates, too.
const OWN: &[&str] = &["self-signed certificate", "self signed certificate"];
const FAILS: &[&str] = &["rror", "verif", "problem", "fail"];
const NAME: &[&str] = &[
    "certificate is valid for",
    "not valid for any names",
    "doesn't contain any IP SANs",
    "legacy Common Name field",
    "certificate is not valid for",
    "Hostname mismatch",
    "hostname mismatch",
    "IP address mismatch",
    "No subject alternative",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "does not match certificate's altnames",
    "no alternative certificate subject name matches",
    "NotValidForName",
    "ERR_CERT_COMMON_NAME_INVALID",
];
const ANY: &[&str] = &[
    "x509:",
    "tls: ",
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "SSLHandshakeException",
    "SSL certificate problem",
    "invalid peer certificate",
];

impl TlsCause {
    /// Reads an error; the URL that it quotes must not be part of it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let told = [
            (Self::PlainHttp, PLAIN),
            (Self::ClientCertificate, CLIENT),
            (Self::NotYetValid, EARLY),
            (Self::Expired, EXPIRED),
            (Self::UnknownAuthority, AUTHORITY),
            (Self::OtherName, NAME),
            (Self::Other, ANY),
        ];
        let is_own = |fault: Self| fault == Self::UnknownAuthority && has(OWN) && has(FAILS);
        let found = told.into_iter().find(|(fault, words)| has(words) || is_own(*fault))?.0;
        // Go says `has expired or is not yet valid`, and then which: `current time … is before …`.
        let early =
            found == Self::Expired && text.contains("not yet valid: current time") && text.contains(" is before ");
        Some(if early { Self::NotYetValid } else { found })
    }
}

/// The names that a certificate holds, and the one that was asked for, where the error says them.
pub(crate) fn names(text: &str) -> Option<(Vec<&str>, &str)> {
    let go = pattern!(r"certificate is valid for ([\w.*:, -]+), not ([\w.:-]*\w)");
    let node = pattern!(r"Host: ([\w.:-]+?)\. is not in the cert's altnames: ([\w.*:, -]+)");
    if let Some(found) = go.captures(text) {
        return Some((found.get(1)?.as_str().split(", ").collect(), found.get(2)?.as_str()));
    }
    let found = node.captures(text)?;
    let held = found.get(2)?.as_str().split(", ").map(|name| name.trim_start_matches("DNS:")).collect();
    Some((held, found.get(1)?.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_words() {
        use TlsCause::{ClientCertificate, Expired, NotYetValid, Other, OtherName, PlainHttp, UnknownAuthority};
        for (text, fault) in [
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Some(UnknownAuthority),
            ),
            (
                "x509: certificate has expired or is not yet valid: current time 2026-11-30T10:00:00Z is after 2026-11-01T00:00:00Z",
                Some(Expired),
            ),
            (
                "x509: certificate has expired or is not yet valid: current time 2026-11-30T10:00:00Z is before 2026-12-01T00:00:00Z",
                Some(NotYetValid),
            ),
            ("x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs", Some(OtherName)),
            ("x509: certificate relies on legacy Common Name field, use SANs instead", Some(OtherName)),
            ("http: server gave HTTP response to HTTPS client", Some(PlainHttp)),
            ("remote error: tls: certificate required", Some(ClientCertificate)),
            ("x509: unhandled critical extension", Some(Other)),
            (
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate (_ssl.c:1007)",
                Some(UnknownAuthority),
            ),
            (
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1007)",
                Some(Expired),
            ),
            (
                "ssl.SSLCertVerificationError: certificate verify failed: Hostname mismatch, certificate is not valid for 'a.b'.",
                Some(OtherName),
            ),
            ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1129)", Some(PlainHttp)),
            (
                "javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find valid certification path to requested target",
                Some(UnknownAuthority),
            ),
            (
                "java.security.cert.CertificateException: No subject alternative DNS name matching es found.",
                Some(OtherName),
            ),
            ("Error: self-signed certificate in certificate chain", Some(UnknownAuthority)),
            ("curl: (60) SSL certificate problem: certificate has expired", Some(Expired)),
            ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)", Some(ClientCertificate)),
            ("invalid peer certificate: UnknownIssuer", Some(UnknownAuthority)),
            ("dial tcp 10.0.0.1:443: i/o timeout", None),
            ("starting with tls enabled", None),
            ("Using a self-signed certificate for https://0.0.0.0:8443", None),
            ("error:14094418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca", Some(ClientCertificate)),
        ] {
            assert_eq!(TlsCause::read(text), fault, "{text}");
        }
    }

    #[test]
    fn names_that_a_certificate_holds() {
        let go = "x509: certificate is valid for es-http.logging.svc, es-http.logging.es.local, not elasticsearch";
        assert_eq!(names(go), Some((vec!["es-http.logging.svc", "es-http.logging.es.local"], "elasticsearch")));
        let node = "Hostname/IP does not match certificate's altnames: Host: es. is not in the cert's altnames: DNS:a.b, DNS:c";
        assert_eq!(names(node), Some((vec!["a.b", "c"], "es")));
        assert_eq!(names("x509: certificate signed by unknown authority"), None);
    }
}
