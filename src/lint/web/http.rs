//! The section `http_server_config`: the headers that may be set.

use crate::lint::strict::{Kind, Object, Schema, Strict, field};
use crate::lint::yaml::Node;

pub(super) static HTTP: Schema = Schema {
    what: "http_server_config",
    fields: &[&[field("http2", Kind::Bool), field("headers", Kind::Map(&Kind::Str))]],
    hints: &[],
    check: Some(headers),
};

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
