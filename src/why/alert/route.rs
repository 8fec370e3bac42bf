//! The second half of an alert's way: from Prometheus to Alertmanager, and to which receivers there.

use std::collections::BTreeSet;

use super::{Known, NAMES};
use crate::domain::alertmanager::config;
use crate::domain::alertmanager::labels::Common;
use crate::domain::alertmanager::tree::{Labels, Tree, proves_alerting};
use crate::domain::prometheus::relabel::{self, Relabelled};
use crate::domain::prometheus::running_config;
use crate::lint::yaml::Node;
use crate::snapshot::{Fetched, Snapshot};
use crate::why::build::{Seen, broken, idle, right, untold};
use crate::why::shown;
use crate::why::words::{count, few};

/// Seconds that an alert may take from its rule to Alertmanager's groups.
const HANDED_OVER: i64 = 120;
impl Known<'_> {
    /// It fires for so short a time that Alertmanager need not have told of it.
    pub(super) fn is_new(&self, snap: &Snapshot) -> bool {
        let wait = self.rules.iter().map(|(_, r)| r.duration as i64).min().unwrap_or(0);
        let since = self.active.iter().filter(|a| a.state == "firing").filter_map(|a| a.active_at).min();
        since.is_some_and(|t| snap.seconds_since(t) < wait + HANDED_OVER)
    }

    /// Labels with which its alerts leave Prometheus; those of the rule where none fires.
    fn sent_labels(&self, snap: &Snapshot) -> Vec<Labels> {
        let external = Common::of(snap).labels;
        let with = |own: &Labels| {
            let mut all = external.clone();
            all.extend(own.clone());
            all
        };
        let firing: BTreeSet<Labels> =
            self.active.iter().filter(|a| a.state == "firing").map(|a| with(&a.labels)).collect();
        firing.into_iter().collect()
    }

    pub(super) fn sent(&self, snap: &Snapshot) -> Fetched<Seen> {
        let known = snap.prometheus_alertmanagers()?;
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/alertmanagers");
        let urls: Vec<&str> = known.active_alertmanagers.iter().map(|a| a.url.as_str()).collect();
        if urls.is_empty() {
            return Ok(match known.dropped_alertmanagers.len() {
                0 => broken("Prometheus knows no Alertmanager").with(shown),
                n => broken(format!("relabelling drops all {n} Alertmanagers that were discovered")).with(shown),
            });
        }
        if let Some(rule) = self.dropped(snap) {
            let text = format!("rule {} of alert_relabel_configs drops it", rule + 1);
            return Ok(broken(text).with(shown::api(snap.scope.prometheus.as_ref(), "/api/v1/status/config")));
        }
        Ok(right(format!("Prometheus sends to {}", few(urls, NAMES))).with(shown))
    }

    /// The rule of `alert_relabel_configs` that drops what fires.
    fn dropped(&self, snap: &Snapshot) -> Option<usize> {
        let config = running_config::document(snap)?;
        let rules = config.at(&["alerting", "alert_relabel_configs"]).and_then(Node::items)?;
        self.sent_labels(snap).iter().find_map(|labels| match relabel::apply(rules, labels) {
            Relabelled::Dropped(at) => Some(at),
            Relabelled::Kept(_) | Relabelled::Unknown => None,
        })
    }

    pub(super) fn holds(&self, snap: &Snapshot) -> Fetched<Seen> {
        snap.alertmanager_alerts()?;
        let shown = shown::api(snap.scope.alertmanager.as_ref(), "/api/v2/alerts/groups");
        Ok(match (self.held.len(), self.is_firing()) {
            (0, true) if self.is_new(snap) => idle("it fires since a moment").with(shown),
            (0, true) => broken("it fires in Prometheus, and Alertmanager does not hold it").with(shown),
            (0, false) => {
                Self::is_known(snap)?;
                idle("there is nothing to hold while it does not fire").with(shown)
            }
            (n, _) => right(format!("Alertmanager holds {}", count(n, "alert"))).with(shown),
        })
    }

    /// The receivers at which it ends, in order. Of an alert that does not fire those that it may reach.
    pub(super) fn receivers(&self, snap: &Snapshot) -> Vec<String> {
        let Some(tree) = config::loaded(snap).and_then(Tree::read) else { return Vec::new() };
        let held: Vec<&Labels> = self.held.iter().map(|a| &a.labels).collect();
        let sent = if held.is_empty() { self.sent_labels(snap) } else { Vec::new() };
        let all: Vec<&Labels> = held.into_iter().chain(&sent).collect();
        let mut found: Vec<String> = Vec::new();
        for name in all.into_iter().flat_map(|labels| tree.receivers_of(labels)) {
            if !found.iter().any(|f| f == name) {
                found.push(name.to_owned());
            }
        }
        if found.is_empty() { self.may_reach(snap, &tree).into_iter().collect() } else { found }
    }

    /// Receivers that an alert with the rule's labels may reach.
    fn may_reach(&self, snap: &Snapshot, tree: &Tree) -> BTreeSet<String> {
        tree.reachable(&self.rule_labels(snap))
    }

    fn rule_labels(&self, snap: &Snapshot) -> Labels {
        let mut labels = Common::of(snap).labels;
        let own = self.rules.iter().flat_map(|(_, r)| r.labels.clone()).filter(|(_, value)| !value.contains("{{"));
        labels.extend(own);
        labels.insert("alertname".to_owned(), self.name.to_owned());
        labels
    }

    pub(super) fn route(&self, snap: &Snapshot) -> Fetched<Seen> {
        let text = match config::loaded(snap) {
            Some(text) => text,
            None => {
                snap.alertmanager_status()?;
                return Ok(untold("Alertmanager does not say which configuration it runs with"));
            }
        };
        let shown = shown::api(snap.scope.alertmanager.as_ref(), "/api/v2/status");
        let Some(tree) = Tree::read(text) else {
            return Ok(untold("the configuration of Alertmanager cannot be followed").with(shown));
        };
        let ends = self.receivers(snap);
        let silent: Vec<&str> = ends.iter().map(String::as_str).filter(|r| !tree.sends(r)).collect();
        let fires = self.is_firing() || !self.held.is_empty();
        if !fires {
            Self::is_known(snap)?;
            // Its labels are those of its rule.
            snap.prometheus_rules()?;
        }
        let list = few(ends.iter().map(String::as_str), NAMES);
        Ok(match (ends.as_slice(), fires) {
            ([], _) if proves_alerting(self.name) => {
                idle("it only proves that alerting works: it is sent to nobody").with(shown)
            }
            ([], true) => broken("no receiver that sends anything can be reached with its labels").with(shown),
            ([], false) => {
                idle("if it fired nobody would be told: no receiver that sends anything takes its labels").with(shown)
            }
            (_, false) => right(format!("with the labels of its rule it may reach {list}")).with(shown),
            (_, true) if silent.len() == ends.len() && proves_alerting(self.name) => {
                idle(format!("it only proves that alerting works, and ends at {list}, which sends nothing")).with(shown)
            }
            (_, true) if silent.len() == ends.len() => {
                broken(format!("it ends at {list}, which sends nothing")).with(shown)
            }
            (_, true) => right(format!("it goes to {list}")).with(shown),
        })
    }
}
