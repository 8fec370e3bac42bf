//! The HTTP client: authentication, TLS, proxies.

use crate::lint::Place;
use crate::lint::strict::{Fault, Field, Kind, Object, Schema, Strict, field};
use crate::lint::yaml::last;

const PROXY: &[Field] = &[
    field("proxy_url", Kind::Url),
    field("no_proxy", Kind::Str).since(2, 43),
    field("proxy_from_environment", Kind::Bool).since(2, 43),
    field("proxy_connect_header", Kind::Map(&Kind::List(&Kind::Str))).since(2, 43),
];

/// Fields that everything has that asks by HTTP.
pub(super) const CLIENT: &[Field] = &[
    field("basic_auth", Kind::Struct(&BASIC_AUTH)),
    field("authorization", Kind::Struct(&AUTHORIZATION)),
    field("oauth2", Kind::Struct(&OAUTH2)),
    field("bearer_token", Kind::Str),
    field("bearer_token_file", Kind::Str),
    field("tls_config", Kind::Struct(&TLS)),
    field("follow_redirects", Kind::Bool),
    field("enable_http2", Kind::Bool),
    field("proxy_url", Kind::Url),
    field("no_proxy", Kind::Str).since(2, 43),
    field("proxy_from_environment", Kind::Bool).since(2, 43),
    field("proxy_connect_header", Kind::Map(&Kind::List(&Kind::Str))).since(2, 43),
    field("http_headers", Kind::Map(&HEADERS)).since(2, 55),
];

static HEADERS: Kind = Kind::Struct(&HEADER);

static HEADER: Schema = Schema {
    what: "http_headers",
    fields: &[&[
        field("values", Kind::List(&Kind::Str)),
        field("secrets", Kind::List(&Kind::Str)),
        field("files", Kind::List(&Kind::Str)),
    ]],
    hints: &[],
    check: None,
};

static BASIC_AUTH: Schema = Schema {
    what: "basic_auth",
    fields: &[&[
        field("username", Kind::Str),
        field("username_file", Kind::Str).since(2, 48),
        field("username_ref", Kind::Str).since(2, 54),
        field("password", Kind::Str),
        field("password_file", Kind::Str),
        field("password_ref", Kind::Str).since(2, 54),
    ]],
    hints: &[("user", "the name stands in username")],
    check: None,
};

static AUTHORIZATION: Schema = Schema {
    what: "authorization",
    fields: &[&[
        field("type", Kind::Str),
        field("credentials", Kind::Str),
        field("credentials_file", Kind::Str),
        field("credentials_ref", Kind::Str).since(2, 54),
    ]],
    hints: &[],
    check: None,
};

static OAUTH2: Schema = Schema {
    what: "oauth2",
    fields: &[
        &[
            field("client_id", Kind::Str),
            field("client_secret", Kind::Str),
            field("client_secret_file", Kind::Str),
            field("client_secret_ref", Kind::Str).since(2, 54),
            field("scopes", Kind::List(&Kind::Str)),
            field("token_url", Kind::Str),
            field("endpoint_params", Kind::Map(&Kind::Str)),
            field("tls_config", Kind::Struct(&TLS)),
            field("grant_type", Kind::Str).since(3, 7),
            field("client_certificate_key_id", Kind::Str).since(3, 7),
            field("client_certificate_key", Kind::Str).since(3, 7),
            field("client_certificate_key_file", Kind::Str).since(3, 7),
            field("client_certificate_key_ref", Kind::Str).since(3, 7),
            field("signature_algorithm", Kind::Str).since(3, 7),
            field("iss", Kind::Str).since(3, 7),
            field("audience", Kind::Str).since(3, 7),
            field("claims", Kind::Any).since(3, 7),
        ],
        PROXY,
    ],
    hints: &[],
    check: None,
};

/// `tls_config`.
pub(super) static TLS: Schema = Schema {
    what: "tls_config",
    fields: &[&[
        field("ca", Kind::Str),
        field("cert", Kind::Str),
        field("key", Kind::Str),
        field("ca_file", Kind::Str),
        field("cert_file", Kind::Str),
        field("key_file", Kind::Str),
        field("ca_ref", Kind::Str).since(2, 54),
        field("cert_ref", Kind::Str).since(2, 54),
        field("key_ref", Kind::Str).since(2, 54),
        field("server_name", Kind::Str),
        field("insecure_skip_verify", Kind::Bool),
        field("min_version", Kind::Word(tls_version)),
        field("max_version", Kind::Word(tls_version)),
        field("next_protos", Kind::List(&Kind::Str)).since(3, 10),
    ]],
    hints: &[],
    check: Some(tls),
};

/// A version of TLS.
pub(in crate::lint) fn tls_version(_: &Strict, text: &str) -> Fault {
    let known = ["TLS10", "TLS11", "TLS12", "TLS13"];
    let compact: String = text.to_uppercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let compact = compact.replace("TLSV", "TLS");
    let meant = known.iter().find(|k| **k == compact || k.trim_start_matches("TLS") == compact);
    (!known.contains(&text)).then(|| (format!("unknown TLS version: {text}"), meant.map(|m| (*m).to_owned())))
}

fn tls(strict: &mut Strict, tls: &Object<'_>, path: &str) {
    for names in [["ca", "ca_file", "ca_ref"], ["cert", "cert_file", "cert_ref"], ["key", "key_file", "key_ref"]] {
        at_most_one(strict, tls, &names, path);
    }
    let cert = tls.set(&["cert", "cert_file", "cert_ref"]);
    let key = tls.set(&["key", "key_file", "key_ref"]);
    match (cert.first(), key.first()) {
        (Some(cert), None) => strict.report(
            tls.key_place(cert),
            path,
            "exactly one of key or key_file must be configured when a client certificate is configured",
        ),
        (None, Some(key)) => strict.report(
            tls.key_place(key),
            path,
            "exactly one of cert or cert_file must be configured when a client key is configured",
        ),
        _ => {}
    }
}

/// Reports fields that exclude each other, at the last of them.
pub(super) fn at_most_one(strict: &mut Strict, object: &Object<'_>, names: &[&str], path: &str) {
    if let Some((place, message)) = too_many(object, names) {
        strict.report(place, path, message);
    }
}

/// What is said of fields that exclude each other where more than one is set, and the place of the last.
pub(super) fn too_many(object: &Object<'_>, names: &[&str]) -> Option<(Place, String)> {
    let set = object.set(names);
    let last = set.iter().map(|n| object.key_place(n)).max().filter(|_| set.len() > 1)?;
    Some((last, format!("at most one of {} must be configured ({} are set)", list(names), list(&set))))
}

/// `a, b & c`
fn list(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} & {last}", first.join(", ")),
        _ => names.join(""),
    }
}

/// What must hold of a client's settings.
pub(super) fn client(strict: &mut Strict, client: &Object<'_>, path: &str) {
    at_most_one(strict, client, &["basic_auth", "oauth2", "authorization"], path);
    at_most_one(strict, client, &["bearer_token", "bearer_token_file"], path);
    let bearer = client.set(&["bearer_token", "bearer_token_file"]);
    let other = client.set(&["basic_auth", "oauth2", "authorization"]);
    if let (Some(bearer), Some(other)) = (bearer.first(), other.first()) {
        let message = match *other {
            "authorization" => "authorization is not compatible with bearer_token & bearer_token_file".to_owned(),
            _ => "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured".to_owned(),
        };
        strict.report(client.key_place(bearer), path, message);
    }
    if let Some(basic) = client.object("basic_auth") {
        at_most_one(strict, &basic, &["username", "username_file", "username_ref"], path);
        at_most_one(strict, &basic, &["password", "password_file", "password_ref"], path);
    }
    if let Some(auth) = client.object("authorization") {
        at_most_one(strict, &auth, &["credentials", "credentials_file", "credentials_ref"], path);
        if auth.text("type").is_some_and(|t| t.trim().eq_ignore_ascii_case("basic")) {
            let place = auth.key_place("type");
            strict.report_instead(place, path, "authorization type cannot be set to \"basic\"", Some("basic_auth"));
        }
    }
    if let Some(oauth) = client.object("oauth2") {
        for name in ["client_id", "token_url"].into_iter().filter(|n| oauth.text(n).is_none()) {
            // A JWT grant has no client id in the newest versions.
            if !(name == "client_id" && oauth.get("grant_type").is_some()) {
                strict.report(oauth.place(), path, format!("oauth2 {name} must be configured"));
            }
        }
        at_most_one(strict, &oauth, &["client_secret", "client_secret_file", "client_secret_ref"], path);
        proxy(strict, &oauth, path);
    }
    proxy(strict, client, path);
}

fn proxy(strict: &mut Strict, client: &Object<'_>, path: &str) {
    let url = client.text("proxy_url").is_some();
    let from_environment =
        client.text("proxy_from_environment").is_some_and(|t| t.to_ascii_lowercase().starts_with(['t', 'y']));
    let mut say = |name: &str, message: &str| strict.report(client.key_place(name), path, message);
    if client.get("proxy_connect_header").is_some() && !url && !from_environment {
        say("proxy_connect_header", "if proxy_connect_header is configured, proxy_url must also be configured");
    }
    if from_environment && url {
        say("proxy_from_environment", "if proxy_from_environment is configured, proxy_url must not be configured");
    }
    if from_environment && client.text("no_proxy").is_some() {
        say("no_proxy", "if proxy_from_environment is configured, no_proxy must not be configured");
    }
    if client.text("no_proxy").is_some() && !url && !from_environment {
        say("no_proxy", "if no_proxy is configured, proxy_url must also be configured");
    }
}

/// Headers that Prometheus sets itself.
const RESERVED: &[&str] = &[
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// `headers` that may not be set.
pub(super) fn reserved_headers(strict: &mut Strict, object: &Object<'_>, path: &str) {
    for (key, _) in object.get("headers").and_then(|h| h.entries()).unwrap_or_default() {
        let Some(name) = key.as_str() else { continue };
        let lower = name.to_ascii_lowercase();
        if lower == "authorization" {
            let message = if last(path) == "tracing" {
                "authorization header configuration is not yet supported"
            } else {
                "authorization header must be changed via the basic_auth, authorization, oauth2 or sigv4 parameter"
            };
            strict.report(key.place, path, message);
        } else if RESERVED.contains(&lower.as_str()) {
            strict.report(key.place, path, format!("{name} is a reserved header. It must not be changed"));
        }
    }
}
