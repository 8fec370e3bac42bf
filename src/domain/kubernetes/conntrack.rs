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
    let mut found: BTreeMap<&str, (&Node, &FiringAlert, Option<f64>)> = BTreeMap::new();
    for alert in snap.prometheus_alerts().map(Vec::as_slice).unwrap_or_default() {
        let node = nodes.iter().find(|n| is_of(alert, n)).filter(|_| is_about(snap, alert));
        if let Some(node) = node {
            let used = alert.value.parse::<f64>().ok().filter(|v| (0.0..=1.5).contains(v));
            // Of several alerts the one that says how full it is, and fullest.
            let known = found.get(node.metadata.name.as_str()).map(|(.., used)| *used);
            if known.is_none_or(|known| known < used) {
                found.insert(node.metadata.name.as_str(), (node, alert, used));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;
    use serde_json::json;

    #[test]
    fn an_alert_without_a_part_hides_none_that_has_one() {
        let alert = |value: &str| -> FiringAlert {
            serde_json::from_value(
                json!({"labels": {"alertname": "ConntrackHigh", "instance": "10.0.1.10:9100", "node": "a"},
                "annotations": {}, "state": "firing", "value": value}),
            )
            .expect("an alert")
        };
        let of = |values: [&str; 2]| {
            let mut snap = snapshot(json!({}));
            let node = serde_json::from_value(json!({"metadata": {"name": "a"}})).expect("a node");
            snap.nodes = crate::snapshot::Listing::cluster(vec![node]);
            *snap.prometheus_alerts = Ok(values.map(alert).to_vec());
            alerted(&snap).first().and_then(|(.., used)| *used)
        };
        assert_eq!(of(["0.99", "262000"]), Some(0.99));
        assert_eq!(of(["262000", "0.99"]), Some(0.99));
        assert_eq!(of(["0.97", "0.81"]), Some(0.97));
        assert!(!is_full(None) && is_full(Some(0.99)));
    }
}
