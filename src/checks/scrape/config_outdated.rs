//! Prometheus runs with another configuration than its ConfigMap holds.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::prometheus::not_taken::{self, NotTaken};
use crate::domain::prometheus::targets::prometheus_path;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;

/// Jobs that a message names.
const NAMED: usize = 3;

check! {
    /// See the check's page.
    ConfigOutdated {
        id: "config-outdated", suite: Scrape, severity: Warning,
        title: "Prometheus runs with an older configuration than its ConfigMap holds",
        requires: [ConfigMaps, Workloads, PrometheusConfig],
        uses: [PrometheusRuntime, PrometheusMetrics, ComponentLogs, Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    SubPath {
        namespace: String,
        owner: String,
        map: String,
        path: String,
        folder: String,
        managed: String,
        config_path: Option<String>,
    },
    Reload {
        namespace: String,
        owner: String,
        map: String,
        lifecycle: bool,
        reload_path: Option<String>,
        config_path: Option<String>,
    },
}

impl Check for ConfigOutdated {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.config_maps()?;
        snap.workloads()?;
        snap.prometheus_config()?;
        Ok(Diagnosis::Findings(not_taken::find(snap).iter().map(|found| finding(snap, found)).collect()))
    }
}

fn finding(snap: &Snapshot, found: &NotTaken<'_>) -> Finding {
    let (namespace, name) = (found.server.namespace(), &found.file.map.metadata.name);
    let mut differs = Vec::new();
    if !found.missing.is_empty() {
        differs.push(format!("it does not run {}", listed(&found.missing)));
    }
    if !found.gone.is_empty() {
        differs.push(format!("it still runs {}", listed(&found.gone)));
    }
    let why = match found.by_sub_path {
        true => "the file is mounted by subPath, which the kubelet never renews in a running pod",
        false => "nobody told it to read the file again",
    };
    let text = format!(
        "Prometheus has another configuration than ConfigMap {namespace}/{name}: {}; {why}",
        differs.join(", ")
    );
    let owner = found.server.workload.reference();
    let config_path = prometheus_path(snap, "/api/v1/status/config");
    let mut made = Finding::new(ConfigOutdated::META.id, Severity::Warning, owner, text)
        .key(format!("{namespace}/{name} {}", if found.by_sub_path { "sub-path" } else { "reload" }))
        .also(ResourceRef::config_map(namespace, name))
        .evidence(
            Evidence::new(
                "Prometheus /api/v1/status/config",
                differs.join("\n"),
                "{% if path %}kubectl get --raw {{ path }}{% endif %}",
            )
            .with("path", config_path.clone().unwrap_or_default()),
        )
        .evidence(
            Evidence::new(
                format!("ConfigMap {namespace}/{name}, {}", found.file.key),
                format!("read at {}{}", found.file.path, if found.by_sub_path { " by subPath" } else { "" }),
                "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml",
            )
            .with("namespace", namespace)
            .with("name", name),
        );
    for job in &found.missing {
        made = made.breaks(ResourceRef::ScrapeJob { job: job.clone() });
    }
    let (namespace, owner, map) = (namespace.to_owned(), found.server.target(), name.clone());
    let path = found.file.path.clone();
    let folder = path.rsplit_once('/').map_or("/etc/prometheus", |(folder, _)| folder).to_owned();
    made.fix(match found.by_sub_path {
        true => Fix::SubPath {
            namespace,
            owner,
            map,
            path,
            folder,
            managed: managed_by(&found.server.workload.metadata),
            config_path,
        },
        false => Fix::Reload {
            namespace,
            owner,
            map,
            lifecycle: found.server.has_flag("web.enable-lifecycle"),
            reload_path: prometheus_path(snap, "/-/reload"),
            config_path,
        },
    })
}

/// `jobs a, b and 2 more`.
fn listed(jobs: &[String]) -> String {
    let noun = if jobs.len() == 1 { "job" } else { "jobs" };
    let shown: Vec<&str> = jobs.iter().take(NAMED).map(String::as_str).collect();
    let more = if jobs.len() > NAMED { format!(" and {} more", jobs.len() - NAMED) } else { String::new() };
    format!("{noun} {}{more}", shown.join(", "))
}
