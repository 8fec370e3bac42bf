//! Nodes whose table of connections is full, by the alerts about it: what finds no room in it is dropped without a word.

use std::collections::BTreeMap;

use crate::domain::kubernetes::node_clock::is_of;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Node;
use crate::snapshot::monitoring::FiringAlert;

/// What the alerts read.
const METRIC: &str = "node_nf_conntrack_entries";
/// The part of the table from which on new connections fail now and then: it is not used evenly.
const FULL: f64 = 0.95;

/// Such nodes, with their alert and the part that is used, by their names.
pub(crate) fn alerted(snap: &Snapshot) -> Vec<(&Node, &FiringAlert, Option<f64>)> {
    let nodes = snap.nodes.items().unwrap_or_default();
    let mut found = BTreeMap::new();
    for alert in snap.prometheus_alerts().map(Vec::as_slice).unwrap_or_default() {
        let node = nodes.iter().find(|n| is_of(alert, n)).filter(|_| is_about(snap, alert));
        if let Some(node) = node {
            let used = alert.value.parse::<f64>().ok().filter(|v| (0.0..=1.5).contains(v));
            found.insert(node.metadata.name.as_str(), (node, alert, used));
        }
    }
    found.into_values().collect()
}

/// So full that connections fail.
pub(crate) fn is_full(used: Option<f64>) -> bool {
    used.is_some_and(|used| used >= FULL)
}

/// By what its expression reads; without the rules, by its name.
fn is_about(snap: &Snapshot, alert: &FiringAlert) -> bool {
    let rules = snap.prometheus_rules().map(Vec::as_slice).unwrap_or_default().iter().flat_map(|g| &g.rules);
    let mut own = rules.filter(|r| r.kind == "alerting" && r.name == alert.name()).peekable();
    let known = own.peek().is_some();
    alert.state == "firing"
        && (own.any(|r| r.query.contains(METRIC))
            || (!known && alert.name().to_ascii_lowercase().contains("conntrack")))
}
