//! Alerts that lose on the way to Alertmanager the label that their route asks for.

use std::collections::BTreeSet;

use super::fix::Way;
use super::{AlertsMuted, Lost, View, fire_now, is_critical, join};
use crate::checks::support::scrape::api_evidence;
use crate::domain::alertmanager::tree::{Labels, Tree};
use crate::domain::prometheus::relabel::{self, Relabelled};
use crate::domain::prometheus::running_config;
use crate::domain::prometheus::server::servers;
use crate::lint::yaml::{self, Node};
use crate::model::{Finding, ResourceRef, Severity};

/// What relabelling makes of an alert that fires.
struct Sent {
    before: Labels,
    after: Labels,
}

impl View<'_> {
    /// One finding for all alerts that would reach someone with the labels that Prometheus gives them, and do not with
    /// those that `alert_relabel_configs` leave; and the other lost ones.
    pub(super) fn relabelled(&self, tree: &Tree, lost: Vec<Lost>) -> (Option<Finding>, Vec<Lost>) {
        let sent = self.sent();
        let heard = |labels: &Labels| tree.receivers_of(labels).iter().any(|r| tree.sends(r));
        let mut changed: BTreeSet<String> = BTreeSet::new();
        let (mut ours, mut rest) = (Vec::new(), Vec::new());
        for lost in lost {
            let before = sent.iter().find(|s| s.after == lost.labels && s.before != s.after && heard(&s.before));
            match before {
                Some(sent) => {
                    let differs = sent.before.iter().filter(|(name, value)| sent.after.get(*name) != Some(value));
                    // Only what a route asks for matters.
                    changed.extend(differs.map(|(name, _)| name.clone()).filter(|n| asks_for(tree, n)));
                    ours.push(lost);
                }
                None => rest.push(lost),
            }
        }
        if ours.is_empty() || changed.is_empty() {
            rest.append(&mut ours);
            return (None, rest);
        }
        (Some(self.loses(tree, &ours, &changed)), rest)
    }

    fn loses(&self, tree: &Tree, lost: &[Lost], changed: &BTreeSet<String>) -> Finding {
        let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
        let labels = changed.iter().cloned().collect::<Vec<_>>().join(", ");
        let receiver = lost.first().and_then(|l| tree.receivers_of(&l.labels).first().map(|r| (*r).to_owned()));
        let receiver = receiver.unwrap_or_default();
        let (they_end, their, they_are, them) = match names.len() {
            1 => ("it ends", "its", "it is", "it"),
            _ => ("they end", "their", "they are", "them"),
        };
        let message = format!(
            "{} and nobody is told: {they_end} at receiver {receiver:?}, which has no integration, because alert_relabel_configs of Prometheus take or change {their} label {labels} before {they_are} sent, and no route that asks for it takes {them}",
            fire_now(&names)
        );
        let severity = if lost.iter().any(|l| is_critical(&l.labels)) || changed.contains("severity") {
            Severity::Error
        } else {
            Severity::Warning
        };
        let (rule, secret) = (self.relabel_rule(changed), self.relabel_secret());
        let mut finding = Finding::new(AlertsMuted::META.id, severity, self.alertmanager(), message)
            .breaks(ResourceRef::Receiver { name: receiver.clone() })
            .key(format!("relabelled/{labels}"))
            .evidence(self.alerts_seen(format!("{} without {labels} → {receiver}", join(&names))));
        let rule_is_empty = rule.is_empty();
        if !rule_is_empty {
            let source = "Prometheus /api/v1/status/config, alert_relabel_configs".to_owned();
            finding = finding.evidence(api_evidence(self.snap, source, rule.clone(), "/api/v1/status/config"));
        }
        let map = running_config::in_file(self.snap);
        let server = servers(self.snap).into_iter().next();
        // The file may be right already, and not loaded: what is mounted with subPath does not change while the pod runs.
        let rules_of = |root: &Node| Self::rule_of(root, changed);
        let in_file = map.and_then(|(_, _, text)| yaml::document(text).ok().flatten()).map(|root| rules_of(&root));
        let (secret_namespace, secret, secret_key) = match secret {
            Some((namespace, name, key)) => (Some(namespace), Some(name), Some(key)),
            None => (None, None, None),
        };
        let way = Way::Relabelled {
            changed: labels,
            rule,
            secret,
            secret_key,
            secret_namespace,
            map: map.map(|(m, _, _)| m.metadata.name.clone()),
            map_namespace: map.map(|(m, _, _)| m.metadata.namespace.clone()),
            map_key: map.map(|(_, key, _)| key.to_owned()),
            file_is_right: !rule_is_empty && in_file.is_some_and(|found| found.is_empty()),
            workload: server.map(|s| s.target()),
            reloads: server.is_some_and(|s| s.reloads()),
        };
        finding.fix(self.fix(way))
    }

    /// The alerts that fire, as Prometheus has them and as it sends them.
    fn sent(&self) -> Vec<Sent> {
        let Some(root) = running_config::document(self.snap) else { return Vec::new() };
        let Some(rules) = root.at(&["alerting", "alert_relabel_configs"]).and_then(Node::items) else {
            return Vec::new();
        };
        let text = |n: &Node| n.as_str().unwrap_or_default().to_owned();
        let external = root.at(&["global", "external_labels"]).and_then(Node::entries).unwrap_or_default();
        let external: Labels = external.iter().map(|(name, value)| (text(name), text(value))).collect();
        let firing = self.snap.prometheus_alerts.iter().flatten().filter(|a| a.state == "firing");
        let all = firing.filter_map(|alert| {
            // Labels of the alert win over external ones.
            let mut before = external.clone();
            before.extend(alert.labels.clone());
            match relabel::apply(rules, &before) {
                Relabelled::Kept(after) => Some(Sent { before, after }),
                Relabelled::Dropped(_) | Relabelled::Unknown => None,
            }
        });
        all.collect()
    }

    /// The rule that names one of the labels, in its words.
    fn relabel_rule(&self, changed: &BTreeSet<String>) -> String {
        running_config::document(self.snap).map(|root| Self::rule_of(&root, changed)).unwrap_or_default()
    }

    /// The rule of a configuration that names one of the labels.
    fn rule_of(root: &Node, changed: &BTreeSet<String>) -> String {
        let rules = root.at(&["alerting", "alert_relabel_configs"]).and_then(Node::items).unwrap_or_default();
        let text = |rule: &Node, key: &str| rule.get(key).and_then(Node::as_str).unwrap_or_default().to_owned();
        let alone = |rule: &&Node| {
            let labels: Labels = changed.iter().map(|l| (l.clone(), "x".to_owned())).collect();
            !matches!(relabel::apply(std::slice::from_ref(*rule), &labels), Relabelled::Kept(kept) if kept == labels)
        };
        let found = rules.iter().find(alone);
        found.map_or_else(String::new, |rule| {
            ["action", "regex", "target_label", "replacement"]
                .iter()
                .map(|key| (key, text(rule, key)))
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| format!("{key}: {value}"))
                .collect::<Vec<_>>()
                .join(", ")
        })
    }

    /// Namespace, Secret and key with the rules, as the operator's Prometheus names them.
    fn relabel_secret(&self) -> Option<(String, String, String)> {
        let all = self.snap.monitoring_resources.items().unwrap_or_default();
        all.iter().filter(|r| r.kind == "Prometheus").find_map(|r| {
            let key = r.spec.additional_alert_relabel_configs.as_ref()?;
            Some((r.metadata.namespace.clone(), key.name.clone(), key.key.clone()))
        })
    }
}

/// Some route asks for the label.
fn asks_for(tree: &Tree, label: &str) -> bool {
    tree.paths().iter().any(|(path, _)| path.iter().any(|m| m.name == label))
}
