//! Intervals that mute: for long, or while alerts fire.

use std::collections::{BTreeMap, BTreeSet};

use super::fix::{Entry, Way};
use super::{AlertsMuted, View, fire_now, is_critical, join, matters, show};
use crate::domain::alertmanager::tree::{LONG, Muted, Tree};
use crate::domain::aws::hours::{Hours, of_region};
use crate::domain::aws::identity::Identity;
use crate::lint::alertmanager::matcher::Matcher;
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::monitoring::Alert;

impl View<'_> {
    /// An interval that mutes for long.
    pub(super) fn interval(&self, tree: &Tree, muted: &Muted) -> Finding {
        let which = if muted.matchers.is_empty() {
            "all alerts".to_owned()
        } else {
            format!("alerts with {}", show(&muted.matchers))
        };
        let how = if muted.mutes {
            format!("mute_time_intervals: {:?} holds without a break for the next {LONG} days", muted.interval)
        } else {
            format!("active_time_intervals: {:?} does not begin within the next {LONG} days", muted.interval)
        };
        let suppressed = self.snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts);
        let by_api = suppressed.clone().filter(|a| a.status.muted_by.contains(&muted.interval));
        let by_config = suppressed.filter(|a| {
            let value = |m: &Matcher| a.labels.get(&m.name).map_or("", String::as_str);
            muted.matchers.iter().all(|m| m.matches(value(m)) == Some(true))
                && tree.receivers_of(&a.labels).contains(&muted.receiver.as_str())
        });
        let names: BTreeSet<&str> =
            by_api.chain(by_config).filter_map(|a| a.labels.get("alertname")).map(String::as_str).collect();
        let now = if names.is_empty() { String::new() } else { format!("; firing now: {}", join(&names)) };
        let message = format!("{which} for receiver {} are muted by {how}{now}", muted.receiver);
        let mut finding = Finding::new(
            AlertsMuted::META.id,
            Severity::Warning,
            ResourceRef::Receiver { name: muted.receiver.clone() },
            message,
        )
        .breaks(ResourceRef::Receiver { name: format!("{} ({})", muted.receiver, muted.interval) })
        .key(format!("interval/{}/{}", muted.interval, show(&muted.matchers)))
        .evidence(self.route_seen(muted.line, how));
        if !names.is_empty() {
            finding = finding.evidence(self.alerts_seen(join(&names)));
        }
        let way = Way::Interval { interval: muted.interval.clone(), mutes: muted.mutes, edit: self.edit() };
        finding.fix(self.fix(way))
    }

    /// One finding for each interval that mutes something grave now and is not reported for its length.
    pub(super) fn muted_now(&self, tree: &Tree, long: &[Muted]) -> Vec<Finding> {
        let mut by_interval: BTreeMap<&str, Vec<(&str, &Alert)>> = BTreeMap::new();
        for group in self.snap.alertmanager_alerts.iter().flatten() {
            for alert in group.alerts.iter().filter(|a| is_critical(&a.labels) && matters(&a.labels)) {
                for interval in alert.status.muted_by.iter().filter(|i| !long.iter().any(|m| m.interval == **i)) {
                    by_interval.entry(interval).or_default().push((&group.receiver.name, alert));
                }
            }
        }
        by_interval.iter().map(|(interval, muted)| self.mutes_now(tree, interval, muted)).collect()
    }

    fn mutes_now(&self, tree: &Tree, interval: &str, muted: &[(&str, &Alert)]) -> Finding {
        let names: BTreeSet<&str> =
            muted.iter().filter_map(|(_, a)| a.labels.get("alertname")).map(String::as_str).collect();
        let receivers: BTreeSet<&str> = muted.iter().map(|(r, _)| *r).collect();
        let receiver = receivers.iter().copied().collect::<Vec<_>>().join(", ");
        let here = Identity::of(self.snap).region.and_then(of_region).filter(|h| self.is_mistaken(tree, interval, *h));
        let (severity, why) = match here {
            Some(hours) => {
                (Severity::Warning, format!("; its times are UTC, and in {} that is the working day", hours.zone))
            }
            None => (Severity::Info, String::new()),
        };
        let message = format!(
            "{} and receiver {receiver} is not told: time interval {interval:?} mutes the route{why}",
            fire_now(&names)
        );
        let line = tree.paths().into_iter().find(|(_, r)| r.mutes.iter().chain(&r.actives).any(|n| n == interval));
        let line = line.map_or(tree.root.line, |(_, route)| route.line);
        let mut finding =
            Finding::new(AlertsMuted::META.id, severity, ResourceRef::Receiver { name: receiver.clone() }, message)
                .key(format!("muted-now/{interval}"))
                .evidence(self.alerts_seen(format!("{} mutedBy {interval}", join(&names))))
                .evidence(self.route_seen(line, format!("the route with interval {interval}")));
        finding.breaks = Some(Vec::new());
        let zone = here.map(|h| h.zone).unwrap_or_default();
        let way = Way::MutedNow {
            interval: interval.to_owned(),
            receiver,
            zone: zone.to_owned(),
            entries: Entry::of(self.config, interval),
            edit: self.edit(),
        };
        finding.fix(self.fix(way))
    }

    /// Nobody gave the interval a place, and by the clock of the region it mutes the working day and leaves the night. One
    /// in which a route is active mutes outside of its times.
    fn is_mistaken(&self, tree: &Tree, interval: &str, here: Hours) -> bool {
        let paths = tree.paths();
        let mut active = paths.iter().map(|(_, r)| &r.actives).filter(|a| a.iter().any(|n| n == interval)).peekable();
        let mutes_inside = active.peek().is_none();
        // Several active intervals mute outside of all of them together.
        if !tree.is_in_utc(interval) || active.any(|all| all.len() > 1) {
            return false;
        }
        let mutes = |hour: i64| tree.covers(interval, here.at(self.snap.collected_at, hour)) == mutes_inside;
        let day = (10..=16).all(mutes);
        let night = [21, 23, 1, 3, 5].iter().any(|h| !mutes(*h));
        day && night
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    #[test]
    fn active_hours_mute_outside_of_themselves() {
        let snap = Snapshot::empty("2026-11-21T03:28:36Z".parse().expect("a time"));
        let seoul = of_region("ap-northeast-2").expect("is known");
        let is_mistaken = |start: &str, end: &str, how: &str| {
            let tree = Tree::read(&format!(
                "route:\n  receiver: slack\n  routes:\n    - receiver: slack\n      {how}\nreceivers:\n  - name: slack\n    slack_configs: [{{channel: a}}]\ntime_intervals:\n  - name: x\n    time_intervals: [{{times: [{{start_time: '{start}', end_time: '{end}'}}]}}]\n"
            ));
            View::new(&snap).is_mistaken(&tree.expect("a tree"), "x", seoul)
        };
        // 00:00 to 09:00 UTC is 9 to 18 o'clock in Seoul.
        let (mute, active) = ("mute_time_intervals: [x]", "active_time_intervals: [x]");
        assert!(is_mistaken("00:00", "09:00", mute) && !is_mistaken("00:00", "09:00", active));
        assert!(!is_mistaken("09:00", "24:00", mute) && is_mistaken("09:00", "24:00", active));
        assert!(!is_mistaken("09:00", "24:00", "active_time_intervals: [x, y]"));
    }
}
