//! A program that ends because TLS with something that it needs at its start fails.

use crate::domain::crash::{Class, Crash, Detail};
use crate::domain::text::dial;
use crate::domain::text::log_line::{Level, Line};
use crate::domain::text::tls_error::{self, TlsCause};
use crate::text::pattern::pattern;

/// Reads a line with which a program ends because it does not trust another, or the other does not trust it.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    if !matches!(line.level, Level::Error | Level::Unknown) {
        return None;
    }
    let text = line.text();
    // What a program makes for itself at its start is no complaint.
    if pattern!(r"(?i)\b(?:generat|creat)\w+ (?:an? |its )?self[- ]signed").is_match(&text) {
        return None;
    }
    let fault = TlsCause::read(&text)?;
    let names = tls_error::names(&text);
    let wanted = || pattern!(r"cannot validate certificate for ([\w.:-]*\w)").captures(&text).map(|c| c[1].to_owned());
    let asked = || names.as_ref().map(|(_, asked)| (*asked).to_owned()).or_else(wanted);
    let pool = || {
        let found = pattern!(r"HTTPS?ConnectionPool\(host='([^']+)', port=(\d+)\)").captures(&text)?;
        Some(format!("{}:{}", &found[1], &found[2]))
    };
    let host = dial::host(&text).or_else(pool).or_else(asked)?;
    let why = match fault {
        TlsCause::PlainHttp => "speaks plain HTTP, and is asked by TLS",
        TlsCause::ClientCertificate => "asks for a client certificate, or refuses the one that it got",
        TlsCause::Expired => "shows a certificate that has expired",
        TlsCause::NotYetValid => "shows a certificate that is not valid yet by the clock of the node",
        TlsCause::UnknownAuthority => "shows a certificate that is not signed by a CA that the program trusts",
        TlsCause::OtherName => "shows a certificate for other names",
        TlsCause::Other => return None,
    };
    let held = names.map(|(held, _)| format!(" ({})", held.join(", "))).unwrap_or_default();
    let crash = Crash::new(Class::Certificate, format!("{host} {why}{held}")).what(host);
    Some(crash.detail(Detail::Tls(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_who_shows_what() {
        for (line, wanted) in [
            (
                r#"level=error msg="failed to start" err="Get \"https://vault.security.svc:8200/v1/sys/health\": tls: failed to verify certificate: x509: certificate signed by unknown authority""#,
                Some("vault.security.svc:8200 shows a certificate that is not signed by a CA that the program trusts"),
            ),
            (
                "Error: x509: certificate is valid for es-http.logging.svc, es-http, not elasticsearch.logging",
                Some("elasticsearch.logging shows a certificate for other names (es-http.logging.svc, es-http)"),
            ),
            (
                "requests.exceptions.SSLError: HTTPSConnectionPool(host='api.example.com', port=443): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1007)')))",
                Some("api.example.com:443 shows a certificate that has expired"),
            ),
            (
                "Get \"https://loki-gateway:80/ready\": http: server gave HTTP response to HTTPS client",
                Some("loki-gateway:80 speaks plain HTTP, and is asked by TLS"),
            ),
            // Nobody is named.
            ("x509: certificate signed by unknown authority", None),
            ("level=warn msg=\"Get \\\"https://a.b/\\\": x509: certificate signed by unknown authority\"", None),
            ("Generating self-signed certificate for https://0.0.0.0:8443", None),
            ("http: TLS handshake error from 10.0.1.7:40122: remote error: tls: bad certificate", None),
        ] {
            let found = read(&Line::parse(line)).map(|c| c.reason);
            assert_eq!(found.as_deref(), wanted, "{line}");
        }
    }
}
