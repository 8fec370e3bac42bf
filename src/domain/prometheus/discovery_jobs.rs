//! Scrape jobs of Prometheus' configuration by the way in which they find targets.

use std::collections::BTreeSet;

use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;

/// What one `kubernetes_sd_configs` entry looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Search {
    role: String,
    /// Empty: all namespaces.
    namespaces: Vec<String>,
    /// It wants labels of nodes as well.
    nodes: bool,
}

/// A job that finds targets by discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) name: String,
    searches: Vec<Search>,
    /// `ec2`, `dns`: the keys without `_sd_configs`.
    mechanisms: Vec<String>,
}

impl Job {
    /// True if it asks for this resource there. `None`: at the scope of the cluster.
    pub(crate) fn needs(&self, resource: &str, namespace: Option<&str>) -> bool {
        self.searches.iter().any(|s| {
            let there = match namespace {
                Some(ns) => s.namespaces.iter().any(|n| n == ns),
                None => s.namespaces.is_empty() || resource == "nodes",
            };
            there && (resources(&s.role).contains(&resource) || (s.nodes && resource == "nodes"))
        })
    }

    /// True if it finds targets this way.
    pub(crate) fn uses(&self, mechanism: &str) -> bool {
        self.mechanisms.iter().any(|m| m == mechanism)
    }
}

/// What a role of `kubernetes_sd_configs` lists and watches.
fn resources(role: &str) -> &'static [&'static str] {
    match role {
        "pod" => &["pods"],
        "service" => &["services"],
        "endpoints" => &["endpoints", "services", "pods"],
        "endpointslice" => &["endpointslices", "services", "pods"],
        "node" => &["nodes"],
        "ingress" => &["ingresses"],
        _ => &[],
    }
}

/// What is asked for together with a resource: without it the next refusal would follow.
pub(crate) fn companions(resource: &str) -> &'static [&'static str] {
    match resource {
        "endpoints" | "endpointslices" => &["services", "pods"],
        _ => &[],
    }
}

/// Jobs with a discovery; none where the configuration is not known.
pub(crate) fn of(snap: &Snapshot) -> Vec<Job> {
    let config = snap.prometheus_config().ok().and_then(|text| yaml::document(text).ok().flatten());
    let jobs = config.as_ref().and_then(|c| c.get("scrape_configs")).and_then(Node::items).unwrap_or_default();
    jobs.iter().filter_map(job).collect()
}

fn job(node: &Node) -> Option<Job> {
    let name = node.get("job_name").and_then(Node::as_str)?.to_owned();
    let keys = node.entries()?.iter().filter_map(|(key, _)| key.as_str());
    let mechanisms: Vec<String> = keys.filter_map(|k| k.strip_suffix("_sd_configs")).map(str::to_owned).collect();
    let searches = node.get("kubernetes_sd_configs").and_then(Node::items).unwrap_or_default().iter();
    let searches = searches
        .map(|s| {
            let text = |path: &[&str]| s.at(path).and_then(Node::as_str).unwrap_or_default().to_owned();
            let names = s.at(&["namespaces", "names"]).and_then(Node::items).unwrap_or_default();
            Search {
                role: text(&["role"]),
                namespaces: names.iter().filter_map(Node::as_str).map(str::to_owned).collect(),
                nodes: text(&["attach_metadata", "node"]) == "true",
            }
        })
        .collect();
    (!mechanisms.is_empty()).then_some(Job { name, searches, mechanisms })
}

/// Jobs with an active target.
pub(crate) fn with_targets(snap: &Snapshot) -> BTreeSet<&str> {
    super::targets::all(snap).iter().map(|t| t.job()).collect()
}
