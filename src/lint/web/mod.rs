//! The web configuration of Prometheus, Alertmanager and exporters (`--web.config.file`), as strict as the exporter toolkit
//! reads it. What only the file system shows (certificates, keys) is left to the caller.

mod http;
mod tls;
mod users;

use super::go::is_go_duration;
use super::strict::{Fault, Kind, Object, Schema, Strict, field};
use super::yaml::{Node, document, is_number};
use super::{Problem, helm};
use crate::text::near::near;
use users::USERS;
pub(crate) use users::{censored, without_users};

static CONFIG: Schema = Schema {
    what: "the web configuration",
    fields: &[&[
        field("tls_server_config", Kind::Struct(&tls::TLS)),
        field("http_server_config", Kind::Struct(&http::HTTP)),
        field("rate_limit", Kind::Struct(&RATE)),
        field(USERS, Kind::Map(&Kind::Str)),
    ]],
    hints: &[
        ("tls_config", "the server's own is called tls_server_config"),
        ("basic_auth", "users stand in basic_auth_users, each with the bcrypt hash of the password"),
        ("cert_file", "it belongs under tls_server_config:"),
        ("key_file", "it belongs under tls_server_config:"),
        ("client_ca_file", "it belongs under tls_server_config:"),
        ("client_auth_type", "it belongs under tls_server_config:"),
        ("min_version", "it belongs under tls_server_config:"),
        ("headers", "it belongs under http_server_config:"),
        ("http2", "it belongs under http_server_config:"),
    ],
    check: None,
};

static RATE: Schema = Schema {
    what: "rate_limit",
    fields: &[&[field("burst", Kind::Int), field("interval", Kind::Word(interval))]],
    hints: &[],
    check: None,
};

/// What is wrong with a web configuration; nothing for a valid one. An empty file is valid.
pub fn lint(text: &str) -> Vec<Problem> {
    match document(text) {
        Ok(Some(root)) => helm::explain(text, false, lint_node(&root)),
        Ok(None) => Vec::new(),
        Err(problem) => helm::explain(text, false, vec![problem]),
    }
}

/// The same for a configuration that stands inside of another document.
pub fn lint_node(root: &Node) -> Vec<Problem> {
    let mut strict = Strict::new(None);
    strict.read(root, Kind::Struct(&CONFIG), "");
    if let Some(config) = Object::of(root) {
        if strict.count() == 0 {
            tls::http2(&mut strict, &config);
        }
        users::users(&mut strict, &config);
    }
    strict.finish()
}

/// What Kubernetes and people call the file.
const NAMES: &[&str] =
    &["web.yml", "web.yaml", "web-config.yml", "web-config.yaml", "web_config.yml", "web_config.yaml"];
/// Sections that no other program has.
const OWN: &[&str] = &["tls_server_config", "http_server_config", USERS];

/// True for a document that is meant to be a web configuration, by its sections, or where a file of that name has what
/// resembles them.
pub fn is_config(root: &Node, name: &str) -> bool {
    let keys: Vec<&str> = root.entries().unwrap_or_default().iter().filter_map(|(k, _)| k.as_str()).collect();
    // Alertmanagers speak TLS among themselves by a file of their own (`--cluster.tls-config`).
    if keys.contains(&"tls_client_config") {
        return false;
    }
    let known = |key: &str| CONFIG.find(key).is_some();
    let meant = |key: &str| {
        let fields = CONFIG.fields.iter().copied().flatten().map(super::strict::Field::name);
        known(key) || CONFIG.hints.iter().any(|(hint, _)| *hint == key) || near(key, fields).is_some()
    };
    let own = keys.iter().any(|k| OWN.contains(k)) && 2 * keys.iter().filter(|k| known(k)).count() >= keys.len();
    own || (NAMES.contains(&name) && !keys.is_empty() && keys.iter().all(|k| meant(k)))
}

/// True for a text that is no YAML and is meant to be one.
pub(crate) fn resembles(text: &str) -> bool {
    text.lines().any(|line| OWN.iter().any(|own| line.strip_prefix(own).is_some_and(|rest| rest.starts_with(':'))))
}

/// A time of Go: a text with units, or a number of nanoseconds.
fn interval(_: &Strict, text: &str) -> Fault {
    (!is_go_duration(text) && !is_number(text))
        .then(|| (format!("interval must be a duration of Go such as 1s or 100ms, not {text:?}"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

    fn said(text: &str) -> Vec<String> {
        lint(text).into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn what_the_toolkit_takes_is_quiet() {
        let tls = "tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n";
        for text in [
            String::new(),
            format!("basic_auth_users:\n  admin: {HASH}\n  other: \"{HASH}\"\n"),
            tls.to_owned(),
            format!("{tls}  client_auth_type: RequireClientCert\n  client_ca_file: ca.crt\n"),
            format!("{tls}  min_version: TLS10\n  max_version: TLS13\n  curve_preferences: [X25519, CurveP521]\n"),
            format!("{tls}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]\n"),
            format!("{tls}  cipher_suites: [TLS_AES_128_GCM_SHA256]\nhttp_server_config: {{http2: false}}\n"),
            "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=1\n"
                .to_owned(),
            "rate_limit: {burst: 10, interval: 1s}\nhttp_server_config:\n".to_owned(),
            // Nothing of it switches TLS on.
            "tls_server_config: {min_version: TLS13}\n".to_owned(),
            "basic_auth_users:\n".to_owned(),
            "basic_auth_users: {admin: '***', other: '{{ .hash }}'}\n".to_owned(),
        ] {
            assert_eq!(said(&text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_the_toolkit_refuses_is_named() {
        let tls = "tls_server_config:\n  cert_file: a.crt\n  key_file: a.key\n";
        for (text, expected) in [
            ("tls_config: {cert_file: a, key_file: b}\n".to_owned(), "unknown field \"tls_config\""),
            ("tls_server_config: {cert_filse: a}\n".to_owned(), "unknown field \"cert_filse\""),
            ("tls_server_config: {key_file: a}\n".to_owned(), "missing one of cert or cert_file"),
            ("tls_server_config: {cert_file: a}\n".to_owned(), "missing one of key or key_file"),
            (format!("{tls}  client_ca_file: c\n"), "without a Client Auth Policy"),
            (format!("{tls}  client_auth_type: Require\n"), "invalid ClientAuth: Require"),
            (format!("{tls}  min_version: TLS1.2\n"), "unknown TLS version: TLS1.2"),
            (format!("{tls}  min_version: TLS13\n  max_version: TLS12\n"), "each handshake fails"),
            (format!("{tls}  cipher_suites: [ECDHE-RSA-AES128-GCM-SHA256]\n"), "unknown cipher: ECDHE-RSA"),
            (format!("{tls}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n"), "unknown cipher: TLS_RSA_WITH_RC4"),
            (
                format!("{tls}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n"),
                "http2: TLSConfig.CipherSuites",
            ),
            (format!("{tls}  curve_preferences: [P-256]\n"), "unknown curve: P-256"),
            ("http_server_config: {headers: {Content-Type: x}}\n".to_owned(), "\"Content-Type\" can not be configured"),
            (
                "http_server_config: {headers: {X-Frame-Options: DENY}}\n".to_owned(),
                "invalid value for X-Frame-Options",
            ),
            ("rate_limit: {interval: 1d}\n".to_owned(), "interval must be a duration of Go"),
            ("basic_auth_users: {admin: swordfish}\n".to_owned(), "user \"admin\" has no bcrypt hash"),
            ("basic_auth_users:\n  admin:\n".to_owned(), "too short"),
            (format!("basic_auth_users: {{admin: '{}'}}\n", HASH.replace('$', "$$")), "its cost is no number"),
            (format!("basic_auth_users: {{admin: '{}'}}\n", HASH.replace("$10$", "$99$")), "cost 99 is outside"),
        ] {
            let found = said(&text);
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
            assert!(!found[0].contains("swordfish"), "{found:?}");
        }
        let meant = |text: &str| lint(text).into_iter().find_map(|p| p.instead);
        let cipher = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";
        assert_eq!(
            meant(&format!("{tls}  cipher_suites: [{cipher}]\n")),
            Some("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256".to_owned())
        );
        assert_eq!(meant(&format!("{tls}  min_version: tls1.2\n")).as_deref(), Some("TLS12"));
    }

    #[test]
    fn it_is_known_by_its_sections() {
        let is = |text: &str, name: &str| is_config(&document(text).expect("YAML").expect("not empty"), name);
        assert!(is("basic_auth_users: {a: b}", "values.yaml"));
        assert!(is("tls_server_config: {}\nhttp_server: {}", "x.yml"));
        assert!(is("tls_config: {cert_file: a}", "web-config.yml"));
        for (other, name) in [
            ("tls_config: {cert_file: a}", "values.yaml"),
            ("image: {tag: a}\nservice: {port: 1}\nbasic_auth_users: {a: b}", "values.yaml"),
            ("server: {port: 1}", "web.yml"),
            ("routes: [a]", "web.yaml"),
        ] {
            assert!(!is(other, name), "{other}");
        }
    }
}
