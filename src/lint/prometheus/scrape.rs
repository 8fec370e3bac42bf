//! Scrape jobs and Alertmanagers: what discovers targets.

use super::relabel::RELABEL;
use super::{discovery, global, http};
use crate::lint::strict::{Fault, Field, Kind, Object, Schema, Strict, field};
use crate::lint::yaml::Node;

const JOB: &[Field] = &[
    field("job_name", Kind::Str),
    field("honor_labels", Kind::Bool),
    field("honor_timestamps", Kind::Bool),
    field("track_timestamps_staleness", Kind::Bool).since(2, 48),
    field("params", Kind::Map(&Kind::List(&Kind::Str))),
    field("scrape_interval", Kind::Duration),
    field("scrape_timeout", Kind::Duration),
    field("fallback_scrape_protocol", Kind::Word(global::protocol)).since(3, 0),
    field("scrape_classic_histograms", Kind::Bool).since(2, 45).until(3, 0, "always_scrape_classic_histograms"),
    field("metrics_path", Kind::Str),
    field("scheme", Kind::Str),
    field("enable_compression", Kind::Bool).since(2, 49),
    field("native_histogram_bucket_limit", Kind::Uint).since(2, 45),
    field("native_histogram_min_bucket_factor", Kind::Float).since(2, 50),
    field("relabel_configs", Kind::Items(&RELABEL, "target relabeling rule in scrape config")),
    field("metric_relabel_configs", Kind::Items(&RELABEL, "metric relabeling rule in scrape config")),
];

/// A job.
pub(super) static SCRAPE: Schema = Schema {
    what: "scrape config",
    fields: &[JOB, global::LIMITS, global::NEWER, http::CLIENT, discovery::ALL],
    hints: &[
        ("targets", "targets stand in a list item of static_configs"),
        ("labels", "labels of targets stand in a list item of static_configs"),
        ("role", "it belongs in a list item of kubernetes_sd_configs"),
        ("insecure_skip_verify", "it belongs under tls_config:"),
        ("ca_file", "it belongs under tls_config:"),
        ("username", "it belongs under basic_auth:"),
        ("name", "the name of a job stands in job_name"),
        ("interval", "the field is scrape_interval (interval is that of ServiceMonitors)"),
        ("path", "the field is metrics_path (path is that of ServiceMonitors)"),
    ],
    check: Some(job),
};

fn job(strict: &mut Strict, job: &Object<'_>, path: &str) {
    if job.text("job_name").is_none() {
        strict.report(job.place(), path, "job_name is empty: every scrape config needs a job_name");
    }
    http::client(strict, job, path);
    global::protocols(strict, job, path);
    global::names(strict, job, path);
    targets(strict, job, path);
}

/// Targets are `host:port`; the path stands in metrics_path. With relabelling anything may stand there.
fn targets(strict: &mut Strict, object: &Object<'_>, path: &str) {
    if !object.items("relabel_configs").is_empty() {
        return;
    }
    for target in object.items("static_configs").iter().filter_map(Object::of).flat_map(|g| g.items("targets")) {
        if let Some(text) = target.as_str().filter(|t| t.contains('/')) {
            let host = text.split_once("://").map_or(text, |(_, rest)| rest).split('/').next().unwrap_or_default();
            let message = format!(
                "{text:?} is not a valid hostname: a target is host:port, without scheme and path (scheme: and metrics_path:)"
            );
            strict.report_instead(target.place, path, message, (!host.is_empty()).then_some(host));
        }
    }
}

/// What concerns the jobs together, or needs the global settings.
pub(super) fn jobs(strict: &mut Strict, config: &Object<'_>) {
    let global = config.object("global");
    let global_interval = global.as_ref().and_then(|g| g.millis("scrape_interval")).unwrap_or(global::DEFAULT_INTERVAL);
    let mut seen: Vec<(&str, &Node)> = Vec::new();
    for (at, node) in config.items("scrape_configs").iter().enumerate() {
        let Some(job) = Object::of(node) else { continue };
        let path = format!("scrape_configs[{at}]");
        let name = job.text("job_name").unwrap_or_default();
        let interval = job.millis("scrape_interval").unwrap_or(global_interval);
        if job.millis("scrape_timeout").is_some_and(|t| t > interval) {
            let global_text = global.as_ref().and_then(|g| g.text("scrape_interval"));
            let own = job.text("scrape_interval").filter(|_| job.millis("scrape_interval").is_some());
            let limit = match (own, global_text) {
                (Some(own), _) => format!("scrape_interval {own}"),
                (None, Some(global)) => format!("the global scrape_interval {global}"),
                (None, None) => "the default scrape_interval 1m".to_owned(),
            };
            let timeout = job.text("scrape_timeout").unwrap_or_default();
            let message = format!(
                "scrape timeout greater than scrape interval for scrape config with job name {name:?}: scrape_timeout {timeout} is longer than {limit}"
            );
            strict.report(job.key_place("scrape_timeout"), &path, message);
        }
        if name.is_empty() {
            continue;
        }
        match seen.iter().find(|(n, _)| *n == name) {
            Some((_, first)) => {
                let message = format!(
                    "found multiple scrape configs with job name {name:?}: the other begins in line {}",
                    first.place.line
                );
                strict.report(job.key_place("job_name"), &path, message);
            }
            None => seen.push((name, node)),
        }
    }
}

/// `alerting`.
pub(super) static ALERTING: Schema = Schema {
    what: "alerting",
    fields: &[&[
        field("alert_relabel_configs", Kind::Items(&RELABEL, "alert relabeling rule")),
        field("alertmanagers", Kind::Items(&ALERTMANAGER, "Alertmanager section")),
    ]],
    hints: &[],
    check: None,
};

const ALERTMANAGER_OWN: &[Field] = &[
    field("sigv4", Kind::Struct(&super::remote::SIGV4)).since(2, 48),
    field("scheme", Kind::Str),
    field("path_prefix", Kind::Str),
    field("timeout", Kind::Duration),
    field("api_version", Kind::Word(api_version)),
    field("relabel_configs", Kind::Items(&RELABEL, "Alertmanager target relabeling rule")),
    field("alert_relabel_configs", Kind::Items(&RELABEL, "Alertmanager alert relabeling rule")).since(2, 51),
];

static ALERTMANAGER: Schema = Schema {
    what: "alertmanager config",
    fields: &[ALERTMANAGER_OWN, http::CLIENT, discovery::ALL],
    hints: &[
        ("targets", "targets stand in a list item of static_configs"),
        ("target", "targets stand in a list item of static_configs"),
        ("url", "write static_configs: with targets: [host:port]"),
    ],
    check: Some(alertmanager),
};

fn api_version(strict: &Strict, text: &str) -> Fault {
    let known: &[&str] = if strict.from((3, 0)) { &["v2"] } else { &["v1", "v2"] };
    (!known.contains(&text)).then(|| {
        let message = format!("expected Alertmanager api version to be one of [{}] but got {text}", known.join(" "));
        (message, Some("v2".to_owned()))
    })
}

fn alertmanager(strict: &mut Strict, manager: &Object<'_>, path: &str) {
    http::client(strict, manager, path);
    targets(strict, manager, path);
    if manager.get("sigv4").is_some() && !manager.set(&["basic_auth", "authorization", "oauth2"]).is_empty() {
        let message = "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured";
        strict.report(manager.key_place("sigv4"), path, message);
    }
}
