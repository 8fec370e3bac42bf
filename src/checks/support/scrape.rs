//! What checks of scrapes show alike: targets and answers as evidence.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::prometheus::targets::{Down, prometheus_path};
use crate::model::{Evidence, Params};
use crate::snapshot::Snapshot;

/// Shows the active targets of Prometheus.
pub(crate) const SHOW_TARGETS: &str =
    "{% if targets_path %}kubectl get --raw {{ targets_path }}{% else %}curl -s {{ targets_url }}{% endif %}";

/// Shows what a URL answers, through the API server.
pub(crate) const SHOW_ANSWER: &str =
    "{% if answer_path %}kubectl get --raw {{ answer_path }}{% else %}curl -si {{ url }}{% endif %}";

/// Shows what Prometheus answers at a path.
pub(crate) const SHOW_API: &str =
    "{% if api_path %}kubectl get --raw {{ api_path }}{% else %}curl -s {{ api_url }}{% endif %}";

/// Values for [`SHOW_TARGETS`].
#[derive(Serialize, JsonSchema)]
pub(crate) struct Targets {
    /// Through the API server.
    pub(crate) targets_path: Option<String>,
    pub(crate) targets_url: String,
}

impl Targets {
    /// The targets of one job, or all of them.
    pub(crate) fn of(snap: &Snapshot, job: Option<&str>) -> Self {
        let mut query = "state=active".to_owned();
        if let Some(job) = job {
            query.extend(["&scrapePool="]);
            query.extend(url::form_urlencoded::byte_serialize(job.as_bytes()));
        }
        Self {
            targets_path: prometheus_path(snap, &format!("/api/v1/targets?{query}")),
            targets_url: format!("<prometheus-url>/api/v1/targets?{query}"),
        }
    }
}

/// The same for a command of an evidence.
pub(crate) fn targets_params(snap: &Snapshot, job: Option<&str>) -> Params {
    let Targets { targets_path, targets_url } = Targets::of(snap, job);
    let mut params = Params::default();
    params.set("targets_path", targets_path);
    params.set("targets_url", targets_url);
    params
}

/// Values for [`SHOW_API`].
#[derive(Serialize, JsonSchema)]
pub(crate) struct Api {
    /// Through the API server.
    pub(crate) api_path: Option<String>,
    pub(crate) api_url: String,
}

impl Api {
    /// Of a path of Prometheus' API.
    pub(crate) fn of(snap: &Snapshot, path: &str) -> Self {
        Self { api_path: prometheus_path(snap, path), api_url: format!("<prometheus-url>{path}") }
    }
}

/// The same for a command of an evidence.
pub(crate) fn api_params(snap: &Snapshot, path: &str) -> Params {
    let Api { api_path, api_url } = Api::of(snap, path);
    let mut params = Params::default();
    params.set("api_path", api_path);
    params.set("api_url", api_url);
    params
}

/// What Prometheus answers at a path, as evidence.
pub(crate) fn api_evidence(snap: &Snapshot, source: String, value: String, path: &str) -> Evidence {
    let mut evidence = Evidence::new(source, value, SHOW_API);
    evidence.params = api_params(snap, path);
    evidence
}

/// What Prometheus says of these targets of one job, each error once.
pub(crate) fn evidence(snap: &Snapshot, job: &str, targets: &[&Down<'_>]) -> Evidence {
    let errors: Vec<(&str, &str)> =
        targets.iter().map(|d| (d.target.scrape_url.as_str(), d.target.last_error.as_str())).collect();
    errors_evidence(snap, job, &errors)
}

/// URLs of one job's targets and their errors, each error once.
pub(crate) fn errors_evidence(snap: &Snapshot, job: &str, targets: &[(&str, &str)]) -> Evidence {
    const SHOWN: usize = 3;
    let mut lines: Vec<String> = Vec::new();
    for (url, error) in targets {
        let line = format!("{url}: {error}");
        if lines.len() < SHOWN && !lines.contains(&line) {
            lines.push(line);
        }
    }
    if targets.len() > lines.len() {
        lines.push(format!("and {} more", targets.len() - lines.len()));
    }
    let mut evidence = Evidence::new(
        format!("Prometheus /api/v1/targets, job {job}"),
        lines.join(
            "
",
        ),
        SHOW_TARGETS,
    );
    evidence.params = targets_params(snap, Some(job));
    evidence
}
