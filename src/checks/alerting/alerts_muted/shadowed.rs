//! Routes that nothing reaches, because one before them takes the same alerts.

use std::collections::BTreeSet;

use super::fix::Way;
use super::{AlertsMuted, View, join, show};
use crate::domain::alertmanager::tree::{Shadowed, Tree};
use crate::lint::alertmanager::matcher::Matcher;
use crate::model::{Finding, ResourceRef, Severity};

impl View<'_> {
    /// One finding for each route that nothing reaches.
    pub(super) fn shadowed(&self, tree: &Tree) -> Vec<Finding> {
        tree.shadowed().iter().map(|dead| self.dead(tree, dead)).collect()
    }

    fn dead(&self, tree: &Tree, dead: &Shadowed<'_>) -> Finding {
        let (route, before) = (dead.route, dead.by);
        let receiver = &route.receiver;
        let elsewhere = tree.reached().contains(receiver.as_str());
        let takes = |m: &Matcher, labels: &super::Labels| {
            m.matches(labels.get(&m.name).map_or("", String::as_str)) == Some(true)
        };
        let alerts = self.snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts);
        let names: BTreeSet<&str> = alerts
            .filter(|a| dead.path.iter().all(|m| takes(m, &a.labels)))
            .filter_map(|a| a.labels.get("alertname"))
            .map(String::as_str)
            .collect();
        let now = if names.is_empty() { String::new() } else { format!("; firing now: {}", join(&names)) };
        let what = if elsewhere {
            format!("the route in {} to receiver {receiver} takes nothing", self.place(route.line))
        } else {
            format!("receiver {receiver} is never told anything")
        };
        let which = if before.matchers.is_empty() { "all alerts".to_owned() } else { show(&before.matchers) };
        let message = format!(
            "{what}: receiver {} takes its alerts first; the route before it ({}, {which}) takes every alert with {} and ends there, without continue{now}",
            before.receiver,
            self.place(before.line),
            show(&route.matchers)
        );
        let severity = if elsewhere { Severity::Info } else { Severity::Warning };
        let mut finding =
            Finding::new(AlertsMuted::META.id, severity, ResourceRef::Receiver { name: receiver.clone() }, message)
                .key(format!("shadowed/{receiver}/{}", show(&dead.path)))
                .evidence(self.route_seen(before.line, format!("{which} → {}", before.receiver)))
                .evidence(self.route_seen(route.line, format!("{} → {receiver}", show(&route.matchers))));
        finding.breaks = Some(Vec::new());
        if !names.is_empty() {
            finding = finding.evidence(self.alerts_seen(format!("{} → {}", join(&names), before.receiver)));
        }
        let words = |matchers: &[Matcher]| matchers.iter().map(Matcher::to_string).collect::<Vec<_>>();
        let way = Way::Shadowed {
            receiver: receiver.clone(),
            matchers: words(&route.matchers),
            before: before.receiver.clone(),
            before_matchers: words(&before.matchers),
            above: dead.above.map(|r| self.place(r.line)),
            labels: plain(&dead.path),
            edit: self.edit(),
        };
        finding.fix(self.fix(way))
    }
}

/// Labels that such an alert has, for `amtool config routes test`.
fn plain(path: &[Matcher]) -> Vec<String> {
    let value =
        |m: &Matcher| m.value.trim_matches(['^', '$', '(', ')']).split('|').next().unwrap_or_default().to_owned();
    path.iter().filter(|m| m.matches(&value(m)) == Some(true)).map(|m| format!("{}={}", m.name, value(m))).collect()
}
