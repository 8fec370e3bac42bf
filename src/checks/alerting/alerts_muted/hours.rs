//! Alerts that fire while an interval mutes their route.

use std::collections::{BTreeMap, BTreeSet};

use super::{AlertsMuted, View, fire_now, is_critical, join, matters};
use crate::domain::alertmanager::tree::{Muted, Tree};
use crate::domain::aws::hours::{Hours, of_region};
use crate::domain::aws::identity::Identity;
use crate::model::{Finding, ResourceRef, Severity};
use crate::snapshot::monitoring::Alert;

impl View<'_> {
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
        self.params(finding)
            .fix("muted-now")
            .param("interval", interval)
            .param("receiver", receiver)
            .param("zone", here.map(|h| h.zone).unwrap_or_default())
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
