//! Alerts whose route ends at a receiver that sends nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::fix::Way;
use super::{AlertsMuted, Lost, View, fire_now, is_critical, join};
use crate::domain::alertmanager::tree::{Tree, is_about_one_alert};
use crate::lint::alertmanager::matcher::Matcher;
use crate::model::{Finding, ResourceRef, Severity};

/// Names of receivers that are there to send nothing, as charts have them.
const PLACEHOLDERS: &[&str] = &["null", "default-receiver", "blackhole", "devnull", "dev-null", "none", "noop"];
impl View<'_> {
    pub(super) fn routes(&self, tree: &Tree) -> Vec<Finding> {
        let known = &self.common.labels;
        let sinks = tree.sinks(known);
        if !sinks.is_empty() {
            return sinks.iter().map(|sink| self.sink(tree, sink)).collect();
        }
        if !tree.may_notify(known) {
            return self.nobody(tree).into_iter().collect();
        }
        match self.namespaces(tree) {
            Some(found) => vec![found],
            None => self.unrouted(tree),
        }
    }

    /// Alerts that fire now and end at a receiver without integrations, although others reach someone: one finding for
    /// each such receiver. A route for named alerts is a decision.
    fn unrouted(&self, tree: &Tree) -> Vec<Finding> {
        let mut by_receiver: BTreeMap<String, Vec<Lost>> = BTreeMap::new();
        let (relabelled, lost) = self.relabelled(tree, self.lost(tree));
        for lost in lost {
            let decided = tree.paths().into_iter().any(|(path, route)| {
                let value = |m: &Matcher| lost.labels.get(&m.name).map_or("", String::as_str);
                !tree.sends(&route.receiver)
                    && is_about_one_alert(&path)
                    && path.iter().all(|m| m.matches(value(m)) == Some(true))
            });
            let receiver = tree.receivers_of(&lost.labels).first().map(|r| (*r).to_owned());
            if let Some(receiver) = receiver.filter(|_| !decided) {
                by_receiver.entry(receiver).or_default().push(lost);
            }
        }
        let ends = by_receiver.iter().map(|(receiver, lost)| self.ends_at(tree, receiver, lost));
        relabelled.into_iter().chain(ends).collect()
    }

    fn ends_at(&self, tree: &Tree, receiver: &str, lost: &[Lost]) -> Finding {
        let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
        let critical = lost.iter().any(|l| is_critical(&l.labels));
        // Where only lesser alerts end there, somebody may want it so.
        let severity = if critical { Severity::Warning } else { Severity::Info };
        let at_root = tree.root.receiver == receiver;
        let why = if at_root {
            format!("no route matches them, and the root route ends at receiver {receiver:?}, which has no integration")
        } else {
            format!("their route ends at receiver {receiver:?}, which has no integration")
        };
        let message = format!("{} and nobody is told: {why}", fire_now(&names));
        let taken = tree.paths().into_iter().filter(|(_, route)| route.receiver == receiver);
        let line = taken.map(|(_, route)| route.line).next_back().filter(|_| !at_root).unwrap_or(tree.root.line);
        let labels: Vec<String> =
            lost.first().map(|l| l.labels.iter().map(|(k, v)| format!("{k}={v}")).collect()).unwrap_or_default();
        let senders: Vec<&str> =
            tree.receivers.iter().filter(|(_, kinds)| !kinds.is_empty()).map(|(n, _)| n.as_str()).collect();
        let finding = Finding::new(AlertsMuted::META.id, severity, self.alertmanager(), message)
            .breaks(ResourceRef::Receiver { name: receiver.to_owned() })
            .key(format!("unrouted/{receiver}"))
            .evidence(self.alerts_seen(format!("{} → {receiver}", join(&names))))
            .evidence(self.route_seen(line, format!("→ receiver {receiver:?} without integrations")));
        let sender = if senders.len() == 1 { senders[0] } else { "<receiver>" };
        finding.fix(self.fix(self.unrouted_way(labels, matcher(lost), sender, &senders)))
    }

    /// Nothing in the tree leads to a receiver that sends.
    fn nobody(&self, tree: &Tree) -> Option<Finding> {
        let lost = self.lost(tree);
        let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
        let senders: Vec<&str> =
            tree.receivers.iter().filter(|(_, kinds)| !kinds.is_empty()).map(|(n, _)| n.as_str()).collect();
        let untouched = tree.receivers.keys().all(|name| PLACEHOLDERS.contains(&name.as_str()));
        let severity = match (senders.is_empty(), untouched) {
            // What a chart installs: nobody has said yet who wants to be told.
            (true, true) if names.is_empty() => return None,
            (true, true) => Severity::Info,
            _ => Severity::Warning,
        };
        let root = &tree.root.receiver;
        let why = if senders.is_empty() {
            format!("none of Alertmanager's receivers ({}) has an integration", quoted(tree.receivers.keys()))
        } else {
            format!(
                "the root route ends at receiver {root:?} without integration, and no route leads to {}",
                senders.join(", ")
            )
        };
        let now = if names.is_empty() { String::new() } else { format!("; firing now: {}", join(&names)) };
        let finding = Finding::new(
            AlertsMuted::META.id,
            severity,
            self.alertmanager(),
            format!("alerts reach nobody: {why}{now}"),
        )
        .breaks(ResourceRef::Receiver { name: root.clone() })
        .key("nobody")
        .evidence(self.route_seen(tree.root.line, format!("root route → receiver {root:?}")));
        let sender = senders.first().map_or("<receiver>", |s| *s).to_owned();
        let way = Way::Nobody { receiver: root.clone(), sender, any_sender: !senders.is_empty(), edit: self.edit() };
        Some(finding.fix(self.fix(way)))
    }
}

/// A matcher for all of them: their severity, else their names.
fn matcher(lost: &[Lost]) -> String {
    let severities: BTreeSet<&str> = lost.iter().map(|l| l.labels.get("severity").map_or("", String::as_str)).collect();
    match severities.first() {
        Some(one) if severities.len() == 1 && !one.is_empty() => format!("severity = {one:?}"),
        _ => {
            let names: BTreeSet<&str> = lost.iter().map(|l| l.name.as_str()).collect();
            format!("alertname =~ {:?}", names.into_iter().collect::<Vec<_>>().join("|"))
        }
    }
}

fn quoted<'s>(names: impl Iterator<Item = &'s String>) -> String {
    names.map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ")
}
