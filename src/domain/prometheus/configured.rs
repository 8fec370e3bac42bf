//! Targets as the configuration names them, where Prometheus cannot be asked for those that it has.

use std::collections::{BTreeMap, BTreeSet};

use super::running_config;
use super::targets::cluster_host;
use crate::lint::prometheus::is_config;
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;
use crate::snapshot::monitoring::ScrapeTarget;

/// Targets of `static_configs`, at the addresses that stand there. None where Prometheus has told its targets itself, and where
/// its configuration cannot be seen. Nobody knows how they are.
pub(crate) fn targets(snap: &Snapshot) -> Vec<ScrapeTarget> {
    if snap.prometheus_targets().is_ok() {
        return Vec::new();
    }
    running_config::document(snap).map(|config| of(&config)).unwrap_or_default()
}

/// Namespaces whose Services such targets name in these ConfigMaps of the stack: all of them, for which one Prometheus mounts is
/// not known yet when that is asked.
pub(crate) fn namespaces(snap: &Snapshot, maps: &[ConfigMap]) -> BTreeSet<String> {
    let own = maps.iter().filter(|m| snap.scope.is_stack(&m.metadata.namespace));
    let files =
        own.flat_map(|m| m.data.values()).map(String::as_str).chain(snap.prometheus_config().ok().map(String::as_str));
    let documents = files.filter(|text| is_config(text)).filter_map(|text| yaml::document(text).ok()?);
    let all = documents.flat_map(|config| of(&config));
    let hosts = all.filter_map(|target| super::targets::Address::parse(&target.scrape_url)).map(|address| address.host);
    hosts.filter_map(|host| cluster_host(snap, &host)).map(|service| service.namespace).collect()
}

/// Those of one configuration.
fn of(config: &Node) -> Vec<ScrapeTarget> {
    let jobs = config.get("scrape_configs").and_then(Node::items).unwrap_or_default();
    jobs.iter().filter(|job| !is_moved(job)).flat_map(of_job).collect()
}

fn of_job(job: &Node) -> Vec<ScrapeTarget> {
    let text = |key: &str, usual: &'static str| job.get(key).and_then(Node::as_str).unwrap_or(usual).to_owned();
    let Some(name) = job.get("job_name").and_then(Node::as_str) else { return Vec::new() };
    let (scheme, path) = (text("scheme", "http"), text("metrics_path", "/metrics"));
    let groups = job.get("static_configs").and_then(Node::items).unwrap_or_default();
    let written = groups.iter().filter_map(|group| group.get("targets")?.items()).flatten().filter_map(Node::as_str);
    // With a scheme or a path it is what a prober is to ask.
    let addresses = written.filter(|address| !address.contains('/') && !address.is_empty());
    addresses
        .map(|address| ScrapeTarget {
            scrape_pool: name.to_owned(),
            scrape_url: format!("{scheme}://{address}{path}"),
            labels: BTreeMap::from([("job".to_owned(), name.to_owned())]),
            health: "unknown".to_owned(),
            ..ScrapeTarget::default()
        })
        .collect()
}

/// Relabelling sends the scrapes elsewhere, or leaves targets out.
fn is_moved(job: &Node) -> bool {
    let rules = job.get("relabel_configs").and_then(Node::items).unwrap_or_default();
    rules.iter().any(|rule| {
        let text = |key: &str| rule.get(key).and_then(Node::as_str).unwrap_or_default().to_ascii_lowercase();
        let changes = |label: &str| label.starts_with("__") && !label.starts_with("__tmp");
        changes(&text("target_label"))
            || text("action").starts_with("keep")
            || text("action").starts_with("drop")
            || text("action") == "labelmap"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::{service, snapshot};
    use crate::model::{Gap, GapCause};

    const CONFIG: &str = "scrape_configs:
- job_name: web
  metrics_path: /live
  static_configs:
  - targets: ['web.shop.svc:8080', 'api.shop:80']
  - targets: [10.0.0.1:9100]
- job_name: probed
  static_configs: [{targets: ['http://web.gone.svc/live', 'web.gone.svc']}]
  relabel_configs:
  - {source_labels: [__address__], target_label: __param_target}
  - {target_label: __address__, replacement: 'blackbox:9115'}
- job_name: found
  kubernetes_sd_configs: [{role: pod}]
";

    fn unasked() -> Snapshot {
        let mut snap = snapshot(json!({"services": [service("shop", "web", &[8080])]}));
        *snap.prometheus_config = Ok(CONFIG.into());
        *snap.prometheus_targets = Err(Gap::new("targets", GapCause::Timeout, ""));
        snap
    }

    #[test]
    fn targets_are_those_that_are_written_down() {
        let mut snap = unasked();
        let all = targets(&snap);
        let urls: Vec<&str> = all.iter().map(|t| t.scrape_url.as_str()).collect();
        assert_eq!(urls, ["http://web.shop.svc:8080/live", "http://api.shop:80/live", "http://10.0.0.1:9100/live"]);
        assert!(all.iter().all(|t| t.job() == "web" && t.health == "unknown"));
        *snap.prometheus_targets = Ok(Vec::new());
        assert!(targets(&snap).is_empty(), "Prometheus told them itself");
    }

    #[test]
    fn their_namespaces_are_those_of_names_of_the_cluster() {
        assert_eq!(namespaces(&unasked(), &[]).into_iter().collect::<Vec<_>>(), ["shop"]);
    }
}
