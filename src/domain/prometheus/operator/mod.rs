//! The world of the Prometheus Operator: what its servers select, who operates them, what the operator says.

pub(crate) mod chain;
pub(crate) mod deployment;
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
