//! The web configuration of Prometheus, Alertmanager and exporters (`--web.config.file`), as strict as the exporter toolkit
//! reads it. What only the file system shows (certificates, keys) is left to the caller.

use super::go::is_go_duration;
use super::prometheus::tls_version;
use super::strict::{Fault, Kind, Object, Schema, Strict, field};
use super::yaml::{Node, document, is_number};
use super::{Problem, helm};
use crate::text::near::{near, near_name};

static CONFIG: Schema = Schema {
    what: "the web configuration",
    fields: &[&[
        field("tls_server_config", Kind::Struct(&TLS)),
        field("http_server_config", Kind::Struct(&HTTP)),
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

const USERS: &str = "basic_auth_users";

static TLS: Schema = Schema {
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

static HTTP: Schema = Schema {
    what: "http_server_config",
    fields: &[&[field("http2", Kind::Bool), field("headers", Kind::Map(&Kind::Str))]],
    hints: &[],
    check: Some(headers),
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
            http2(&mut strict, &config);
        }
        users(&mut strict, &config);
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

/// A time of Go: a text with units, or a number of nanoseconds.
fn interval(_: &Strict, text: &str) -> Fault {
    (!is_go_duration(text) && !is_number(text))
        .then(|| (format!("interval must be a duration of Go such as 1s or 100ms, not {text:?}"), None))
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

/// Headers that may be set, and the values that each may have.
const HEADERS: &[(&str, &[&str])] = &[
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

fn headers(strict: &mut Strict, http: &Object<'_>, path: &str) {
    for (key, value) in http.get("headers").and_then(Node::entries).unwrap_or_default() {
        let Some(name) = key.as_str() else { continue };
        let path = format!("{path}.headers.{name}");
        let Some((_, values)) = HEADERS.iter().find(|(header, _)| *header == name) else {
            let meant = HEADERS.iter().map(|(header, _)| *header).find(|header| header.eq_ignore_ascii_case(name));
            strict.report_instead(key.place, &path, format!("HTTP header {name:?} can not be configured"), meant);
            continue;
        };
        let text = if value.is_null() { "" } else { value.as_str().unwrap_or_default() };
        if !values.is_empty() && !values.contains(&text) {
            let message = format!("invalid value for {name}. Expected one of: {values:?}, but got: {text:?}");
            let meant = values.iter().find(|v| v.eq_ignore_ascii_case(text)).copied();
            strict.report_instead(value.place, &path, message, meant);
        }
    }
}

/// Where cipher suites are chosen, HTTP/2 needs one of two.
fn http2(strict: &mut Strict, config: &Object<'_>) {
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

fn users(strict: &mut Strict, config: &Object<'_>) {
    for (key, value) in config.get(USERS).and_then(Node::entries).unwrap_or_default() {
        let Some(name) = key.as_str() else { continue };
        let Some(hash) = Some("").filter(|_| value.is_null()).or_else(|| value.as_str()) else { continue };
        // What was blanked out, or is filled in later.
        let unknown =
            !hash.is_empty() && hash.chars().all(|c| c == '*') || hash.starts_with("${") || hash.contains("{{");
        if let Some(fault) = bcrypt_fault(hash).filter(|_| !unknown) {
            let message = format!("user {name:?} has no bcrypt hash: crypto/bcrypt: {fault}");
            strict.report(value.place, &format!("{USERS}.{name}"), message);
        }
    }
}

/// Letters of a hash at least.
const HASH: usize = 59;

/// What Go's reader of bcrypt hashes says of a text; nothing of the text itself.
fn bcrypt_fault(hash: &str) -> Option<String> {
    let bytes = hash.as_bytes();
    if bytes.len() < HASH {
        return Some("hashedSecret too short to be a bcrypted password".to_owned());
    }
    if bytes[0] != b'$' {
        return Some("bcrypt hashes must start with '$'".to_owned());
    }
    if bytes[1] > b'2' {
        return Some("the version of the algorithm is newer than current version '2'".to_owned());
    }
    let at = if bytes[2] == b'$' { 3 } else { 4 };
    match hash.get(at..at + 2).and_then(|cost| cost.parse::<i32>().ok()) {
        Some(4..=31) => None,
        Some(cost) => Some(format!("cost {cost} is outside allowed inclusive range 4..31")),
        None => Some("its cost is no number".to_owned()),
    }
}

/// A hash or a password without what is secret in it, that is as right or wrong as it was.
pub(crate) fn censored(hash: &str) -> String {
    if let Some(users) = hash.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let users = users.split(',').filter_map(|user| user.split_once(':'));
        let users: Vec<String> =
            users.map(|(name, hash)| format!("{name}: {}", censored(hash.trim().trim_matches(['"', '\''])))).collect();
        return format!("{{{}}}", users.join(","));
    }
    let shown = if hash.starts_with('$') && hash.len() >= HASH { 7 } else { 0 };
    let left = hash.chars().count().saturating_sub(shown);
    hash.chars().take(shown).chain(std::iter::repeat_n('.', left)).collect()
}

/// True of a value that stands in the lines below: nothing of it is here but an anchor, a tag or a brace.
fn begins_below(value: &str) -> bool {
    let words = value.split_whitespace().take_while(|word| !word.starts_with('#'));
    let mut rest = words.skip_while(|word| word.starts_with(['&', '!']));
    matches!(rest.next(), None | Some("{")) && rest.next().is_none()
}

/// A text with something else (`hide`) for what stands beside or below `basic_auth_users`; its lines stay lines.
pub(crate) fn without_users(text: &str, hide: impl Fn(&str) -> String) -> String {
    if !text.contains(USERS) {
        return text.to_owned();
    }
    // Columns of the section, and of its users.
    let mut within: Option<(usize, Option<usize>)> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if let Some((section, user)) = within
            && (indent > section || bare.is_empty())
        {
            let is_user = !bare.is_empty() && user.is_none_or(|column| column == indent);
            let user = bare.split_once(':').filter(|_| is_user && !bare.starts_with('#'));
            lines.push(match user {
                _ if bare.is_empty() => line.to_owned(),
                Some((name, value)) => {
                    let value = value.trim().trim_matches(['"', '\'']);
                    format!("{}{name}: {}", &line[..indent], hide(value))
                }
                None => format!("{}{}", &line[..indent], hide(bare)),
            });
            if user.is_some() {
                within = Some((section, Some(indent)));
            }
            continue;
        }
        within = None;
        let after = line.find(USERS).map(|at| (at, at + USERS.len()));
        let value = after.and_then(|(at, end)| {
            let colon =
                end + line[end..].find(':').filter(|n| line[end..end + n].chars().all(|c| "\"' ".contains(c)))?;
            Some((at, colon + 1))
        });
        match value {
            Some((at, from)) if begins_below(&line[from..]) => {
                // What follows a dash stands further right than the line.
                within = Some((if bare.starts_with("- ") { at } else { indent }, None));
                lines.push(line.to_owned());
            }
            Some((at, from)) => {
                let value = line[from..].trim();
                if value.contains('{') && !value.contains('}') {
                    within = Some((if bare.starts_with("- ") { at } else { indent }, None));
                }
                lines.push(format!("{} {}", &line[..from], hide(value)));
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
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

    #[test]
    fn nothing_of_the_users_is_shown() {
        for text in [
            "basic_auth_users:\n  admin: hunter2\n  # old: hunter2\n  other: |\n    hunter2: hunter2\nrate_limit: {burst: 1}\n",
            "data:\n  web.yml: |\n    basic_auth_users: # of people\n      admin: hunter2\n    rate_limit: {burst: 1}\n",
            "basic_auth_users: {admin: hunter2}\nrate_limit: {burst: 1}\n",
            "basic_auth_users: &users\n  admin: hunter2\n  other: hunter2\nrate_limit: {burst: 1}\n",
            "basic_auth_users: !!map &users # of people\n  admin: hunter2\nrate_limit: {burst: 1}\n",
            "basic_auth_users: &users {admin: hunter2,\n  other: hunter2}\nrate_limit: {burst: 1}\n",
            "{\"basic_auth_users\": {\n  \"admin\": \"hunter2\"\n},\n\"rate_limit\": {\"burst\": 1}}\n",
            "web.yml: \"basic_auth_users:\\n  admin: hunter2\"\nrate_limit: {burst: 1}\n",
        ] {
            let shown = without_users(text, |_| "***".to_owned());
            assert!(!shown.contains("hunter2") && shown.contains("rate_limit"), "{shown}");
            assert_eq!(shown.lines().count(), text.lines().count(), "{shown}");
        }
        for (hash, kept) in [(HASH, true), ("hunter2", false)] {
            let censored = censored(hash);
            assert_eq!(bcrypt_fault(&censored).is_none(), kept, "{censored}");
            assert!(!censored.contains("X0h1") && !censored.contains("hunter"), "{censored}");
        }
    }
}
