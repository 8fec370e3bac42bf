//! The world of the Prometheus Operator: what its servers select, who operates them, what the operator says.

pub(crate) mod chain;
pub(crate) mod deployment;
pub(crate) mod files;
pub(crate) mod log;
pub(crate) mod selection;

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

/// The CRD of one of its kinds, by name; `None` for any other kind.
pub(crate) fn crd_of(kind: &str) -> Option<String> {
    let kind = kind.to_ascii_lowercase();
    let own = RESOURCES.iter().find(|r| r.strip_suffix('s') == Some(&kind) || r.strip_suffix("es") == Some(&kind))?;
    Some(format!("{own}.monitoring.coreos.com"))
}
