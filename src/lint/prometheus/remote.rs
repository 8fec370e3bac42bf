//! Remote write and read.

use super::http;
use super::relabel::RELABEL;
use crate::lint::strict::{Fault, Kind, Object, Schema, Strict, Version, field};

/// `remote_write[]`.
pub(super) static WRITE: Schema = Schema {
    what: "remote_write",
    fields: &[
        &[
            field("url", Kind::Url),
            field("remote_timeout", Kind::Duration),
            field("headers", Kind::Map(&Kind::Str)),
            field("write_relabel_configs", Kind::Items(&RELABEL, "relabeling rule in remote write config")),
            field("name", Kind::Str),
            field("send_exemplars", Kind::Bool),
            field("send_native_histograms", Kind::Bool),
            field("round_robin_dns", Kind::Bool).since(3, 1),
            field("protobuf_message", Kind::Word(message)).since(2, 54),
            field("queue_config", Kind::Struct(&QUEUE)),
            field("metadata_config", Kind::Struct(&METADATA)),
            field("sigv4", Kind::Struct(&SIGV4)),
            field("azuread", Kind::Any).since(2, 45),
            field("google_iam", Kind::Any).since(2, 53),
        ],
        http::CLIENT,
    ],
    hints: &[],
    check: Some(write),
};

static QUEUE: Schema = Schema {
    what: "queue_config",
    fields: &[&[
        field("capacity", Kind::Int),
        field("max_shards", Kind::Int),
        field("min_shards", Kind::Int),
        field("max_samples_per_send", Kind::Int),
        field("batch_send_deadline", Kind::Duration),
        field("min_backoff", Kind::Duration),
        field("max_backoff", Kind::Duration),
        field("retry_on_http_429", Kind::Bool),
        field("sample_age_limit", Kind::Duration).since(2, 50),
    ]],
    hints: &[],
    check: Some(queue),
};

/// Older versions take such numbers, and send nothing or not well. Which version reads it may not be known: the newest
/// refuses them.
fn queue(strict: &mut Strict, queue: &Object<'_>, path: &str) {
    if strict.before(CHECKS_QUEUES) {
        return;
    }
    let number = |name: &str| queue.text(name).and_then(|t| t.replace('_', "").parse::<i64>().ok());
    for name in ["max_shards", "min_shards", "max_samples_per_send", "capacity"] {
        if number(name).is_some_and(|n| n <= 0) {
            strict.report(queue.key_place(name), path, format!("remote write queue {name} must be positive"));
        }
    }
    if let (Some(min), Some(max)) = (number("min_shards"), number("max_shards").or(Some(50)))
        && min > max
    {
        let message = "remote write queue min_shards must not be greater than max_shards";
        strict.report(queue.key_place("min_shards"), path, message);
    }
    let (min, max) = (queue.millis("min_backoff").unwrap_or(30), queue.millis("max_backoff").unwrap_or(5_000));
    if max < min {
        let message = "remote write queue max_backoff must not be less than min_backoff";
        let place = if queue.get("max_backoff").is_some() { "max_backoff" } else { "min_backoff" };
        strict.report(queue.key_place(place), path, message);
    }
}

/// The first version that looks at the numbers of a queue.
const CHECKS_QUEUES: Version = (3, 12);

static METADATA: Schema = Schema {
    what: "metadata_config",
    fields: &[&[
        field("send", Kind::Bool),
        field("send_interval", Kind::Duration),
        field("max_samples_per_send", Kind::Int),
    ]],
    hints: &[],
    check: None,
};

/// `sigv4`.
pub(super) static SIGV4: Schema = Schema {
    what: "sigv4",
    fields: &[&[
        field("region", Kind::Str),
        field("access_key", Kind::Str),
        field("secret_key", Kind::Str),
        field("profile", Kind::Str),
        field("role_arn", Kind::Str),
        field("external_id", Kind::Str).since(3, 3),
        field("use_fips_sts_endpoint", Kind::Bool).since(3, 3),
        field("service_name", Kind::Str).since(3, 5),
    ]],
    hints: &[],
    check: Some(sigv4),
};

fn sigv4(strict: &mut Strict, sigv4: &Object<'_>, path: &str) {
    if sigv4.set(&["access_key", "secret_key"]).len() == 1 {
        let message =
            "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config";
        strict.report(sigv4.place(), path, message);
    }
}

fn message(_: &Strict, text: &str) -> Fault {
    let known = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"];
    (!known.contains(&text)).then(|| (format!("invalid protobuf_message value: unknown type {text}"), None))
}

fn write(strict: &mut Strict, write: &Object<'_>, path: &str) {
    if write.get("url").is_none() {
        strict.report(write.place(), path, "url for remote_write is empty: it needs a url");
    }
    http::reserved_headers(strict, write, path);
    http::client(strict, write, path);
    let auth = ["basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam"];
    if !write.set(&["sigv4", "azuread", "google_iam"]).is_empty() {
        http::at_most_one(strict, write, &auth, path);
    }
}

/// `remote_read[]`.
pub(super) static READ: Schema = Schema {
    what: "remote_read",
    fields: &[
        &[
            field("url", Kind::Url),
            field("remote_timeout", Kind::Duration),
            field("chunked_read_limit", Kind::Uint).since(2, 54),
            field("headers", Kind::Map(&Kind::Str)),
            field("read_recent", Kind::Bool),
            field("name", Kind::Str),
            field("required_matchers", Kind::Labels),
            field("filter_external_labels", Kind::Bool),
        ],
        http::CLIENT,
    ],
    hints: &[],
    check: Some(read),
};

fn read(strict: &mut Strict, read: &Object<'_>, path: &str) {
    if read.get("url").is_none() {
        strict.report(read.place(), path, "url for remote_read is empty: it needs a url");
    }
    http::reserved_headers(strict, read, path);
    http::client(strict, read, path);
}

/// Names of remote storages come once.
pub(super) fn names(strict: &mut Strict, config: &Object<'_>) {
    for section in ["remote_write", "remote_read"] {
        let mut seen: Vec<&str> = Vec::new();
        for (at, object) in config.items(section).iter().filter_map(Object::of).enumerate() {
            let Some(name) = object.text("name") else { continue };
            if seen.contains(&name) {
                let words = section.replace('_', " ");
                let message = format!("found multiple {words} configs with job name {name:?}");
                strict.report(object.key_place("name"), &format!("{section}[{at}]"), message);
            }
            seen.push(name);
        }
    }
}
