//! The section `tls_server_config`: certificates, versions, cipher suites and curves.

use crate::lint::prometheus::tls_version;
use crate::lint::strict::{Fault, Kind, Object, Schema, Strict, field};
use crate::lint::yaml::Node;
use crate::text::near::{near, near_name};

pub(super) static TLS: Schema = Schema {
    what: "tls_server_config",
    fields: &[&[
        field("cert", Kind::Str),
        field("key", Kind::Str),
        field("client_ca", Kind::Str),
        field("cert_file", Kind::Str),
        field("key_file", Kind::Str),
        field("client_ca_file", Kind::Str),
        field("client_auth_type", Kind::Word(client_auth)),
        field("client_allowed_sans", Kind::List(&Kind::Str)),
        field("cipher_suites", Kind::List(&Kind::Word(cipher))),
        field("curve_preferences", Kind::List(&Kind::Word(curve))),
        field("min_version", Kind::Word(tls_version)),
        field("max_version", Kind::Word(tls_version)),
        field("prefer_server_cipher_suites", Kind::Bool),
    ]],
    hints: &[
        ("ca_file", "the authority of clients stands in client_ca_file"),
        ("insecure_skip_verify", "a server has no such field: it belongs to who asks"),
        ("server_name", "a server has no such field: it belongs to who asks"),
    ],
    check: Some(tls),
};

/// Cipher suites that Go takes.
const CIPHERS: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Those that only older versions take.
const OLDER_CIPHERS: &[&str] = &[
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
];

/// One of these is needed for HTTP/2.
const HTTP2_CIPHERS: [&str; 2] = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];

fn cipher(_: &Strict, text: &str) -> Fault {
    let known = CIPHERS.contains(&text) || OLDER_CIPHERS.contains(&text);
    (!known).then(|| {
        // The name of before, which Go itself has for the last two as well.
        let whole = format!("{text}_SHA256");
        let same = |c: &&&str| **c == whole || c.eq_ignore_ascii_case(text);
        let meant = CIPHERS.iter().find(same).copied().or_else(|| near(text, CIPHERS.iter().copied()));
        (format!("unknown cipher: {text}"), meant.map(str::to_owned))
    })
}

fn curve(_: &Strict, text: &str) -> Fault {
    let known = ["CurveP256", "CurveP384", "CurveP521", "X25519"];
    let compact: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let meant = known.iter().find(|k| {
        let name = k.to_lowercase();
        name == compact || name.trim_start_matches("curve") == compact
    });
    (!known.contains(&text)).then(|| (format!("unknown curve: {text}"), meant.map(|m| (*m).to_owned())))
}

fn client_auth(_: &Strict, text: &str) -> Fault {
    let known = [
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ];
    // The last is a name of before.
    let right = known.contains(&text) || matches!(text, "" | "RequireClientCert");
    (!right).then(|| (format!("invalid ClientAuth: {text}"), near_name(text, known).map(str::to_owned)))
}

const CERT: &[&str] = &["cert", "cert_file"];

const KEY: &[&str] = &["key", "key_file"];

const AUTHORITY: &[&str] = &["client_ca", "client_ca_file"];

fn tls(strict: &mut Strict, tls: &Object<'_>, path: &str) {
    let is_set = |names: &[&str]| !tls.set(names).is_empty();
    if ![CERT, KEY, AUTHORITY, &["client_auth_type"]].into_iter().any(is_set) {
        // Without any of these it serves plain HTTP.
        return;
    }
    if !is_set(CERT) {
        strict.report(tls.place(), path, "missing one of cert or cert_file");
    }
    if !is_set(KEY) {
        strict.report(tls.place(), path, "missing one of key or key_file");
    }
    let asks = tls.text("client_auth_type").is_some_and(|auth| auth != "NoClientCert");
    if let Some(authority) = tls.set(AUTHORITY).first().filter(|_| !asks) {
        let message = "client CA's have been configured without a Client Auth Policy: client_auth_type is not set";
        strict.report(tls.key_place(authority), path, message);
    }
    let (least, most) = (tls.text("min_version").unwrap_or("TLS12"), tls.text("max_version").unwrap_or("TLS13"));
    if least > most {
        let message = format!("no version of TLS is left: from {least} to {most}, so that each handshake fails");
        let named = if tls.text("max_version").is_some() { "max_version" } else { "min_version" };
        strict.report(tls.key_place(named), path, message);
    }
}

/// Where cipher suites are chosen, HTTP/2 needs one of two.
pub(super) fn http2(strict: &mut Strict, config: &Object<'_>) {
    let Some(tls) = config.object("tls_server_config").filter(|tls| !tls.set(CERT).is_empty()) else { return };
    let off = config.object("http_server_config").and_then(|h| Some(!h.get("http2")?.is_true()));
    let chosen: Vec<&str> = tls.items("cipher_suites").iter().filter_map(Node::as_str).collect();
    if off == Some(true) || chosen.is_empty() || tls.text("min_version") == Some("TLS13") {
        return;
    }
    if !HTTP2_CIPHERS.iter().any(|c| chosen.contains(c)) {
        let [rsa, ecdsa] = HTTP2_CIPHERS;
        let message = format!(
            "http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher (need at least one of {rsa} or {ecdsa}, or http2: false below http_server_config)"
        );
        strict.report(tls.key_place("cipher_suites"), "tls_server_config.cipher_suites", message);
    }
}
