//! The world of the Prometheus Operator: what its servers select, who operates them, what the operator says.

pub(crate) mod chain;
pub(crate) mod deployment;
pub(crate) mod files;
pub(crate) mod front;
pub(crate) mod kubelet_services;
pub(crate) mod log;
pub(crate) mod selection;

use crate::snapshot::{Snapshot, journal};

/// Its resources, as their CRDs are named before the group.
pub(crate) const RESOURCES: &[&str] = &[
    "alertmanagerconfigs",
    "alertmanagers",
    "podmonitors",
    "probes",
    "prometheusagents",
    "prometheuses",
    "prometheusrules",
    "scrapeconfigs",
    "servicemonitors",
    "thanosrulers",
];

/// Whether the API server has one of the operator's resources: kubectl fails for others. Where the CRDs could not be read,
/// an object of it tells.
pub(crate) fn serves(snap: &Snapshot, resource: &str) -> bool {
    // What is printed hangs on it, no verdict.
    journal::aside(|| {
        let name = format!("{resource}.monitoring.coreos.com");
        if snap.crds.is_whole() {
            return snap.crds.items().unwrap_or_default().iter().any(|c| c.metadata.name == name);
        }
        let objects = snap.monitoring_resources.items().unwrap_or_default();
        objects.iter().any(|r| crd_of(&r.kind).as_deref() == Some(name.as_str()))
    })
}

/// Those of the operator's resources in which scraping is set that the API server has, as one word of `kubectl get`.
pub(crate) fn scraping(snap: &Snapshot) -> String {
    const ALL: [&str; 6] =
        ["servicemonitors", "podmonitors", "probes", "scrapeconfigs", "prometheuses", "prometheusagents"];
    let served: Vec<&str> = ALL.into_iter().filter(|r| serves(snap, r)).collect();
    // Nothing is known of them: these came first.
    if served.is_empty() { "servicemonitors,prometheuses".to_owned() } else { served.join(",") }
}

/// The CRD of one of its kinds, by name; `None` for any other kind.
pub(crate) fn crd_of(kind: &str) -> Option<String> {
    let kind = kind.to_ascii_lowercase();
    let own = RESOURCES.iter().find(|r| r.strip_suffix('s') == Some(&kind) || r.strip_suffix("es") == Some(&kind))?;
    Some(format!("{own}.monitoring.coreos.com"))
}
