//! A scrape job that names targets has none.

mod pool;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::origin::ConfigLine;
use crate::checks::support::scrape::{Api, Targets, api_evidence};
use crate::checks::{Check, check};
use crate::domain::prometheus::origin;
use crate::lint::yaml::{self, Node};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, GapCause, ResourceRef, Severity};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    JobWithoutTargets {
        id: "job-without-targets", suite: Scrape, severity: Warning,
        title: "a scrape job has no target",
        requires: [PrometheusConfig, PrometheusTargets],
        uses: [DroppedTargets, ConfigMaps, Workloads, Services, Pods, ComponentLogs, ProbeResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    #[serde(flatten)]
    line: ConfigLine,
    #[serde(flatten)]
    targets: Targets,
    /// The file of its discovery in which the target stands.
    listed_in: Option<String>,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Dropped {
        /// Labels that the rules look at.
        labels: Vec<String>,
        /// The targets that were dropped.
        #[serde(flatten)]
        api: Api,
    },
    NoneFound {
        job: String,
        found_by: String,
        files: Vec<String>,
    },
    /// Prometheus cannot make the client that scrapes.
    Client {
        /// The file that it cannot use; empty where it names none.
        file: String,
        /// The Secret or ConfigMap that the operator made the file of, and the key in it.
        source: String,
        source_namespace: String,
        source_key: String,
    },
    /// It cannot make a target of an address.
    Address {
        address: String,
        host: String,
        monitor_kind: Option<&'static str>,
        monitor: Option<String>,
        monitor_namespace: Option<String>,
        /// What corrects a Probe.
        patch: Option<String>,
    },
}

/// Ways to find targets whose result is meant to be there; discovery of a whole cluster or cloud may rightly find none.
const MEANT: &[&str] = &["static_configs", "file_sd_configs", "dns_sd_configs", "http_sd_configs"];

impl Check for JobWithoutTargets {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let config = snap.prometheus_config()?;
        let active: BTreeSet<&str> = snap.prometheus_targets()?.iter().map(|t| t.job()).collect();
        let config = yaml::document(config).map_err(|problem| {
            let message = format!("{}: {}", problem.place, problem.message);
            Gap::new("prometheus /api/v1/status/config", GapCause::BadAnswer, message)
        })?;
        let jobs = config.as_ref().and_then(|c| c.get("scrape_configs")).and_then(Node::items).unwrap_or_default();
        let names: BTreeSet<&str> = jobs.iter().filter_map(|j| j.get("job_name").and_then(Node::as_str)).collect();
        let mut findings = pool::findings(snap, &names);
        let told: BTreeSet<ResourceRef> = findings.iter().flat_map(|f| f.subjects.clone()).collect();
        for job in jobs {
            let Some(name) = job.get("job_name").and_then(Node::as_str) else { continue };
            let is_told = told.contains(&ResourceRef::ScrapeJob { job: name.to_owned() });
            if active.contains(name) || is_told || origin::monitor_of(name).is_some() {
                continue;
            }
            findings.extend(finding(snap, name, job));
        }
        Ok(Diagnosis::Findings(findings))
    }
}

fn finding(snap: &Snapshot, name: &str, job: &Node) -> Option<Finding> {
    let entries = job.entries()?;
    let found_by: Vec<&str> = entries
        .iter()
        .filter_map(|(key, _)| key.as_str())
        .filter(|k| *k == "static_configs" || k.ends_with("_sd_configs"))
        .collect();
    if found_by.is_empty() || !found_by.iter().all(|k| MEANT.contains(k)) {
        return None;
    }
    // Of a sharded Prometheus each replica keeps its part only.
    let rules = job.get("relabel_configs").and_then(Node::items).unwrap_or_default();
    if rules.iter().any(|r| r.get("action").and_then(Node::as_str) == Some("hashmod")) {
        return None;
    }
    let named: Vec<&str> = job
        .get("static_configs")
        .and_then(Node::items)
        .into_iter()
        .flatten()
        .filter_map(|c| c.get("targets")?.items())
        .flatten()
        .filter_map(Node::as_str)
        .collect();
    let dropped = snap.dropped_targets().ok().and_then(|all| all.get(name)).copied();
    let relabels = !rules.is_empty();
    let (is_dropped, why) = match (dropped, named.is_empty()) {
        (Some(n), _) if n > 0 => (true, format!("relabel_configs drop all {n} of them")),
        // `targets: []` is how a job is switched off.
        (_, true) if found_by == ["static_configs"] => return None,
        (None | Some(0), false) if relabels => (true, format!("relabel_configs drop all {} of them", named.len())),
        (_, false) => return None,
        (_, true) => (false, format!("{} found none", found_by.join(" and "))),
    };
    let message = format!("scrape job {name} has no target: {why}");
    let subject = ResourceRef::ScrapeJob { job: name.to_owned() };
    let path = "/api/v1/targets?state=dropped";
    let source = format!("Prometheus /api/v1/status/config and /api/v1/targets, job {name}");
    let evidence = api_evidence(snap, source, format!("no active target; {why}"), path);
    let way = if is_dropped {
        Way::Dropped { labels: relabel_sources(job), api: Api::of(snap, path) }
    } else {
        Way::NoneFound { job: name.to_owned(), found_by: found_by.join(", "), files: files(job) }
    };
    let made = Finding::new(JobWithoutTargets::META.id, Severity::Warning, subject.clone(), message)
        .depends_on(subject)
        .key(name)
        .evidence(evidence);
    let (line, targets) = (ConfigLine::of_job(snap, name), Targets::of(snap, Some(name)));
    Some(made.fix(Fix { line, targets, listed_in: None, way }))
}

/// The files that its discovery reads.
fn files(job: &Node) -> Vec<String> {
    let configs = job.get("file_sd_configs").and_then(Node::items).unwrap_or_default().iter();
    let names = configs.filter_map(|c| c.get("files")?.items()).flatten().filter_map(Node::as_str);
    names.map(str::to_owned).collect()
}

/// Labels that `keep` and `drop` look at.
fn relabel_sources(job: &Node) -> Vec<String> {
    let rules = job.get("relabel_configs").and_then(Node::items).unwrap_or_default().iter();
    let deciding = rules.filter(|r| {
        matches!(r.get("action").and_then(Node::as_str), Some("keep" | "drop" | "keepequal" | "dropequal"))
    });
    let labels: BTreeSet<String> = deciding
        .filter_map(|r| r.get("source_labels")?.items())
        .flatten()
        .filter_map(|l| l.as_str().map(str::to_owned))
        .collect();
    labels.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::findings;
    use crate::domain::testing::{snapshot, up};
    use serde_json::json;

    fn with(config: &str) -> Snapshot {
        let mut snap = snapshot(json!({"targets": [up("web", "http://web.shop.svc/metrics")]}));
        *snap.prometheus_config = Ok(config.to_owned());
        *snap.dropped_targets = Ok([("gone".to_owned(), 2), ("empty".to_owned(), 0)].into());
        snap
    }

    #[test]
    fn jobs_that_may_be_empty_are_quiet() {
        let snap = with(
            "scrape_configs:\n- job_name: web\n  static_configs: [{targets: ['web.shop.svc:80']}]\n\
             - job_name: off\n  static_configs: [{targets: []}]\n\
             - job_name: pods\n  kubernetes_sd_configs: [{role: pod}]\n\
             - job_name: serviceMonitor/monitoring/kube-scheduler/0\n  kubernetes_sd_configs: [{role: endpoints}]\n\
             - job_name: both\n  kubernetes_sd_configs: [{role: pod}]\n  static_configs: [{targets: []}]\n",
        );
        assert!(findings(&JobWithoutTargets, &snap).is_empty());
    }

    #[test]
    fn dropped_targets_and_empty_discovery_are_told_apart() {
        let snap = with(
            "scrape_configs:\n- job_name: gone\n  relabel_configs: [{source_labels: [__meta_x], action: keep, regex: 'true'}]\n  \
             static_configs: [{targets: ['a:1', 'b:1']}]\n- job_name: empty\n  file_sd_configs: [{files: ['/t/*.json']}]\n",
        );
        let found = findings(&JobWithoutTargets, &snap);
        assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["dropped", "none-found"]);
        assert!(found[0].message.ends_with("relabel_configs drop all 2 of them"), "{}", found[0].message);
    }
}
