//! `global`, `runtime`, `storage`, `tracing`, `otlp`.

use super::http;
use crate::lint::strict::{Fault, Field, Kind, Object, Schema, Strict, field};
use crate::text::near::near_name;

/// Limits that stand in `global` and in a job.
pub(super) const LIMITS: &[Field] = &[
    field("body_size_limit", Kind::Size),
    field("sample_limit", Kind::Uint),
    field("target_limit", Kind::Uint),
    field("label_limit", Kind::Uint),
    field("label_name_length_limit", Kind::Uint),
    field("label_value_length_limit", Kind::Uint),
];

const GLOBAL_LIMITS: &[Field] = &[
    field("body_size_limit", Kind::Size).since(2, 45),
    field("sample_limit", Kind::Uint).since(2, 45),
    field("target_limit", Kind::Uint).since(2, 45),
    field("label_limit", Kind::Uint).since(2, 45),
    field("label_name_length_limit", Kind::Uint).since(2, 45),
    field("label_value_length_limit", Kind::Uint).since(2, 45),
];

/// Fields of newer versions that stand in `global` and in a job.
pub(super) const NEWER: &[Field] = &[
    field("keep_dropped_targets", Kind::Uint).since(2, 47),
    field("scrape_protocols", Kind::List(&Kind::Word(protocol))).since(2, 49),
    field("scrape_failure_log_file", Kind::Str).since(2, 55),
    field("metric_name_validation_scheme", Kind::Word(validation)).since(2, 54),
    field("metric_name_escaping_scheme", Kind::Word(escaping)).since(3, 4),
    field("always_scrape_classic_histograms", Kind::Bool).since(3, 0),
    field("convert_classic_histograms_to_nhcb", Kind::Bool).since(3, 0),
    field("scrape_native_histograms", Kind::Bool).since(3, 8),
    field("extra_scrape_metrics", Kind::Bool).since(3, 9),
];

/// `global`.
pub(super) static GLOBAL: Schema = Schema {
    what: "global",
    fields: &[
        &[
            field("scrape_interval", Kind::Duration),
            field("scrape_timeout", Kind::Duration),
            field("evaluation_interval", Kind::Duration),
            field("rule_query_offset", Kind::Duration).since(2, 53),
            field("query_log_file", Kind::Str),
            field("external_labels", Kind::Labels),
        ],
        GLOBAL_LIMITS,
        NEWER,
    ],
    hints: &[],
    check: Some(intervals),
};

/// Milliseconds between two scrapes where nothing is said.
pub(super) const DEFAULT_INTERVAL: u64 = 60_000;

fn intervals(strict: &mut Strict, global: &Object<'_>, path: &str) {
    let interval = global.millis("scrape_interval").unwrap_or(DEFAULT_INTERVAL);
    if global.millis("scrape_timeout").is_some_and(|t| t > interval) {
        strict.report(
            global.key_place("scrape_timeout"),
            path,
            format!(
                "global scrape timeout greater than scrape interval: scrape_timeout {} is longer than scrape_interval {}",
                global.text("scrape_timeout").unwrap_or_default(),
                global.text("scrape_interval").unwrap_or("1m (the default)"),
            ),
        );
    }
    protocols(strict, global, path);
    names(strict, global, path);
}

/// Names that are not escaped need a scheme that takes them.
pub(super) fn names(strict: &mut Strict, object: &Object<'_>, path: &str) {
    let legacy = object.text("metric_name_validation_scheme") == Some("legacy");
    if legacy && object.text("metric_name_escaping_scheme") == Some("allow-utf-8") {
        let message = "utf8 metric names requested but validation scheme is not set to UTF8";
        strict.report(object.key_place("metric_name_escaping_scheme"), path, message);
    }
}

/// `scrape_protocols` names no protocol twice and is not empty.
pub(super) fn protocols(strict: &mut Strict, object: &Object<'_>, path: &str) {
    let Some(list) = object.get("scrape_protocols") else { return };
    let names: Vec<&str> = list.items().unwrap_or_default().iter().filter_map(|n| n.as_str()).collect();
    if names.is_empty() {
        strict.report(list.place, path, "scrape_protocols cannot be empty");
    }
    if names.iter().enumerate().any(|(at, n)| names[..at].iter().any(|o| o.eq_ignore_ascii_case(n))) {
        strict.report(list.place, path, "duplicated protocol in scrape_protocols");
    }
}

/// A name of a scrape protocol.
pub(super) fn protocol(_: &Strict, text: &str) -> Fault {
    let known = [
        "PrometheusProto",
        "PrometheusText0.0.4",
        "PrometheusText1.0.0",
        "OpenMetricsText0.0.1",
        "OpenMetricsText1.0.0",
    ];
    let meant = || near_name(text, known).map(str::to_owned);
    (!known.contains(&text)).then(|| (format!("unknown scrape protocol {text}"), meant()))
}

fn validation(_: &Strict, text: &str) -> Fault {
    (!matches!(text, "" | "legacy" | "utf8"))
        .then(|| (format!("metric_name_validation_scheme must be legacy or utf8, not {text:?}"), None))
}

fn escaping(_: &Strict, text: &str) -> Fault {
    let known = ["", "allow-utf-8", "underscores", "dots", "values"];
    (!known.contains(&text)).then(|| {
        (format!("metric_name_escaping_scheme must be allow-utf-8, underscores, dots or values, not {text:?}"), None)
    })
}

/// `runtime`.
pub(super) static RUNTIME: Schema =
    Schema { what: "runtime", fields: &[&[field("gogc", Kind::Int)]], hints: &[], check: None };

/// `storage`.
pub(super) static STORAGE: Schema = Schema {
    what: "storage",
    fields: &[&[field("tsdb", Kind::Struct(&TSDB)), field("exemplars", Kind::Struct(&EXEMPLARS))]],
    hints: &[],
    check: None,
};

static TSDB: Schema = Schema {
    what: "storage.tsdb",
    fields: &[&[
        field("out_of_order_time_window", Kind::Duration),
        field("retention", Kind::Struct(&RETENTION)).since(3, 8),
        field("stale_series_compaction_threshold", Kind::Float).since(3, 9),
        field("chunk_encoding", Kind::Struct(&CHUNKS)).since(3, 13),
    ]],
    hints: &[
        ("path", "set the flag --storage.tsdb.path"),
        ("retention_time", "set the flag --storage.tsdb.retention.time"),
    ],
    check: None,
};

static RETENTION: Schema = Schema {
    what: "storage.tsdb.retention",
    fields: &[&[
        field("time", Kind::Duration),
        field("size", Kind::Size),
        field("percentage", Kind::Float).since(3, 11),
    ]],
    hints: &[],
    check: Some(retention),
};

fn retention(strict: &mut Strict, retention: &Object<'_>, path: &str) {
    if retention.text("size").is_some_and(|size| size.starts_with('-')) {
        let message = "'storage.tsdb.retention.size' must be greater than or equal to 0";
        strict.report(retention.key_place("size"), path, message);
    }
    let share = retention.text("percentage").and_then(|t| t.parse::<f64>().ok());
    if let Some(share) = share.filter(|p| !(0.0..=100.0).contains(p)) {
        let message = format!("'storage.tsdb.retention.percentage' must be in the range [0, 100], got {share}");
        strict.report(retention.key_place("percentage"), path, message);
    }
}

static CHUNKS: Schema = Schema {
    what: "storage.tsdb.chunk_encoding",
    fields: &[&[field("floats", Kind::Word(encoding))]],
    hints: &[],
    check: None,
};

fn encoding(_: &Strict, text: &str) -> Fault {
    (!matches!(text, "" | "xor" | "xor2"))
        .then(|| (format!("'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', not {text:?}"), None))
}

static EXEMPLARS: Schema =
    Schema { what: "storage.exemplars", fields: &[&[field("max_exemplars", Kind::Int)]], hints: &[], check: None };

/// `tracing`.
pub(super) static TRACING: Schema = Schema {
    what: "tracing",
    fields: &[&[
        field("client_type", Kind::Word(client_type)),
        field("endpoint", Kind::Str),
        field("sampling_fraction", Kind::Float),
        field("insecure", Kind::Bool),
        field("tls_config", Kind::Struct(&http::TLS)),
        field("headers", Kind::Map(&Kind::Str)),
        field("compression", Kind::Word(compression)),
        field("timeout", Kind::Duration),
    ]],
    hints: &[],
    check: Some(tracing),
};

fn client_type(_: &Strict, text: &str) -> Fault {
    (!matches!(text, "http" | "grpc"))
        .then(|| (format!("expected tracing client type to be http or grpc, but got {text}"), None))
}

fn compression(_: &Strict, text: &str) -> Fault {
    (!matches!(text, "" | "gzip"))
        .then(|| (format!("invalid compression type {text} provided, valid options: gzip"), None))
}

fn tracing(strict: &mut Strict, tracing: &Object<'_>, path: &str) {
    if tracing.text("endpoint").is_none() {
        strict.report(tracing.place(), path, "tracing endpoint must be set");
    }
    http::reserved_headers(strict, tracing, path);
}

/// `otlp`.
pub(super) static OTLP: Schema = Schema {
    what: "otlp",
    fields: &[&[
        field("promote_resource_attributes", Kind::List(&Kind::Str)),
        field("promote_all_resource_attributes", Kind::Bool).since(3, 5),
        field("ignore_resource_attributes", Kind::List(&Kind::Str)).since(3, 5),
        field("translation_strategy", Kind::Word(translation)).since(2, 55),
        field("keep_identifying_resource_attributes", Kind::Bool).since(3, 1),
        field("convert_histograms_to_nhcb", Kind::Bool).since(3, 4),
        field("promote_scope_metadata", Kind::Bool).since(3, 5),
        field("label_name_underscore_sanitization", Kind::Bool).since(3, 7),
        field("label_name_preserve_multiple_underscores", Kind::Bool).since(3, 7),
    ]],
    hints: &[],
    check: Some(attributes),
};

/// Which attributes become labels is said in one way.
fn attributes(strict: &mut Strict, otlp: &Object<'_>, path: &str) {
    let all = otlp.get("promote_all_resource_attributes").is_some_and(|n| n.is_true());
    let list = if all { "ignore_resource_attributes" } else { "promote_resource_attributes" };
    let other = if all { "promote_resource_attributes" } else { "ignore_resource_attributes" };
    if !otlp.items(other).is_empty() {
        let message = if all {
            "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously"
        } else {
            "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true"
        };
        strict.report(otlp.key_place(other), path, message);
    }
    let mut seen: Vec<&str> = Vec::new();
    for node in otlp.items(list) {
        let name = node.as_str().unwrap_or_default().trim();
        if name.is_empty() || seen.contains(&name) {
            let what = if name.is_empty() { "empty" } else { "duplicated" };
            strict.report(node.place, path, format!("invalid '{list}': {what} OTel resource attribute {name:?}"));
        }
        seen.push(name);
    }
}

fn translation(_: &Strict, text: &str) -> Fault {
    let known = [
        "",
        "UnderscoreEscapingWithSuffixes",
        "UnderscoreEscapingWithoutSuffixes",
        "NoUTF8EscapingWithSuffixes",
        "NoTranslation",
    ];
    (!known.contains(&text)).then(|| (format!("unsupported OTLP translation strategy {text:?}"), None))
}
