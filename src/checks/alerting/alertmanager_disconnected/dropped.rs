//! Alerts that `alert_relabel_configs` drop before they are sent.

use std::collections::{BTreeMap, BTreeSet};

use super::fix::Way;
use super::prometheus::Prometheus;
use super::{Known, finding};
use crate::checks::support::scrape::api_evidence;
use crate::domain::alertmanager::tree::proves_alerting;
use crate::domain::prometheus::relabel::{self, Labels, Relabelled};
use crate::domain::prometheus::running_config;
use crate::lint::yaml::Node;
use crate::model::{Evidence, Finding, Severity};
use crate::snapshot::Snapshot;

/// The finding, where every alert that fires now is dropped: a rule for some of them is a decision.
pub(super) fn finding(snap: &Snapshot, known: &Known) -> Option<Finding> {
    if known.firing.is_empty() {
        return None;
    }
    let root = running_config::document(snap)?;
    let rules = root.at(&["alerting", "alert_relabel_configs"]).and_then(Node::items)?;
    let external = external_labels(&root);
    let mut by: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    let firing = snap.prometheus_alerts().ok()?.iter().filter(|a| a.state == "firing");
    for alert in firing.filter(|a| !proves_alerting(a.name())) {
        // Labels of the alert win over external ones.
        let mut labels = external.clone();
        labels.extend(alert.labels.clone());
        match relabel::apply(rules, &labels) {
            Relabelled::Dropped(at) => by.entry(at).or_default().insert(alert.name()),
            Relabelled::Kept(_) | Relabelled::Unknown => return None,
        };
    }
    let (at, _) = by.iter().max_by_key(|(at, names)| (names.len(), std::cmp::Reverse(**at)))?;
    let rule = words(&rules[*at]);
    let all: BTreeSet<&str> = by.values().flatten().copied().collect();
    let message = format!(
        "alert_relabel_configs drop every alert that fires ({}): rule {} ({rule}); nothing is sent to Alertmanager{}",
        all.len(),
        at + 1,
        known.firing_words()
    );
    let firing = format!("{} fire", all.into_iter().collect::<Vec<_>>().join(", "));
    let pod = finding::pod(snap, None);
    let mut made = finding::new(snap, pod, Severity::Error, message)
        .key("alert-relabel")
        .evidence(config_evidence(snap, rules[*at].place.line, &rule))
        .evidence(api_evidence(snap, "Prometheus /api/v1/alerts".into(), firing, "/api/v1/alerts"));
    if let Some(sent) = sent(snap) {
        let source = "prometheus_notifications_sent_total".to_owned();
        made = made.evidence(api_evidence(snap, source, format!("{sent} since Prometheus started"), "/metrics"));
    }
    Some(made.fix(Prometheus { snap, pod }.fix(|of| Way::AlertRelabel { rule, change: of.change(false) })))
}

fn external_labels(root: &Node) -> Labels {
    let entries = root.at(&["global", "external_labels"]).and_then(Node::entries).unwrap_or_default();
    let text = |n: &Node| n.as_str().map(str::to_owned);
    entries.iter().filter_map(|(name, value)| Some((text(name)?, text(value).unwrap_or_default()))).collect()
}

/// `action: drop, source_labels: [env], regex: test`.
fn words(rule: &Node) -> String {
    let text = |key: &str| rule.get(key).and_then(Node::as_str);
    let labels: Vec<&str> =
        rule.get("source_labels").and_then(Node::items).unwrap_or_default().iter().filter_map(Node::as_str).collect();
    let regex = text("regex").map(|r| format!(", regex: {r}")).unwrap_or_default();
    format!("action: {}, source_labels: [{}]{regex}", text("action").unwrap_or("replace"), labels.join(", "))
}

fn config_evidence(snap: &Snapshot, line: usize, rule: &str) -> Evidence {
    if snap.prometheus_config().is_ok() {
        let source = format!("Prometheus /api/v1/status/config, line {line}");
        return api_evidence(snap, source, rule.to_owned(), "/api/v1/status/config");
    }
    let (namespace, name, key) = running_config::in_file(snap)
        .map_or(("<namespace>", "<config-map>", "prometheus.yml"), |(map, key, _)| {
            (map.metadata.namespace.as_str(), map.metadata.name.as_str(), key)
        });
    let show = "kubectl get configmap {{ name }} -n {{ namespace }} -o yaml";
    Evidence::new(format!("ConfigMap {namespace}/{name}, {key} line {line}"), rule, show)
        .with("namespace", namespace)
        .with("name", name)
}

/// Alerts that were sent, to all Alertmanagers together.
fn sent(snap: &Snapshot) -> Option<f64> {
    let all = snap.prometheus_metrics().ok()?;
    let mut sent = all.iter().filter(|s| s.name == "prometheus_notifications_sent_total").map(|s| s.value).peekable();
    sent.peek()?;
    Some(sent.sum())
}
