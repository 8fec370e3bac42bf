//! Silences that mute everything, or for longer than anybody remembers.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::fix::Way;
use super::{AlertsMuted, View, is_critical, join, matters, proves_alerting, show};
use crate::domain::alertmanager::tree::LONG;
use crate::domain::text::windows::DAY;
use crate::domain::text::windows::minute;
use crate::lint::alertmanager::matcher::{Matcher, Op};
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::monitoring::{Alert, Silence};

/// Labels that single out some alerts: a long silence for them is a decision.
const NARROW: &[&str] = &[
    "alertname",
    "instance",
    "pod",
    "node",
    "namespace",
    "job",
    "container",
    "device",
    "service",
    "deployment",
    "statefulset",
    "daemonset",
    "persistentvolumeclaim",
    "job_name",
    "mountpoint",
    "target",
];
/// Silences of some alerts that are named; thousands of them say no more.
const NOTED: usize = 10;
impl View<'_> {
    /// One finding for each silence that hides more, or for longer, than it was meant to.
    pub(super) fn silences(&self) -> Vec<Finding> {
        let all = self.snap.alertmanager_silences.iter().flatten();
        let (mut found, mut notes): (Vec<Finding>, Vec<Finding>) =
            all.filter_map(|silence| self.silence(silence)).partition(|f| f.severity > Severity::Info);
        let more = notes.len().saturating_sub(NOTED);
        if more > 1 {
            notes.truncate(NOTED + 1);
            if let Some(last) = notes.last_mut() {
                last.message =
                    format!("{more} more silences mute some alerts for months, among them: {}", last.message);
            }
        }
        found.append(&mut notes);
        found
    }

    fn silence(&self, silence: &Silence) -> Option<Finding> {
        let now = self.snap.collected_at;
        let ends: Timestamp = silence.ends_at.parse().ok()?;
        let starts: Option<Timestamp> = silence.starts_at.parse().ok();
        let active = silence.status.state == "active"
            || silence.status.state.is_empty() && starts.is_none_or(|s| s <= now) && ends > now;
        if !active || ends <= now {
            return None;
        }
        let matchers = matchers(silence);
        let left = ends.as_second() - now.as_second();
        let whole = ends.as_second() - starts.map_or(now.as_second(), |s| s.as_second());
        let everything = !matchers.is_empty()
            && matchers.iter().all(|m| {
                m.matches_all_values() || self.common.labels.get(&m.name).is_some_and(|v| m.matches(v) == Some(true))
            });
        let narrow = matchers.iter().any(|m| NARROW.contains(&m.name.as_str()) && !m.matches_all_values());
        let long = left > LONG * DAY;
        let suppressed = self.snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts);
        let hidden: Vec<&Alert> = suppressed.filter(|a| a.status.silenced_by.contains(&silence.id)).collect();
        let names: BTreeSet<&str> =
            hidden.iter().filter_map(|a| a.labels.get("alertname")).map(String::as_str).collect();
        // Longer than a deployment takes, and what it hides is what someone is woken for.
        let grave = whole > DAY && hidden.iter().any(|a| is_critical(&a.labels) && matters(&a.labels));
        let severity = match (everything, long, narrow) {
            (true, true, _) | (false, true, false) => Severity::Warning,
            (true, false, _) if whole > DAY => Severity::Warning,
            (false, false, false) if grave => Severity::Warning,
            (true, false, _) => Severity::Info,
            // A decision about some alerts; one that nobody will look at again is worth a line.
            (false, true, true) if left > 90 * DAY && !about_itself(&matchers) => Severity::Info,
            (false, _, true) if grave => Severity::Info,
            _ => return None,
        };
        // Nothing at all is told, and there is something to tell.
        let severity = if everything && long && !names.is_empty() { Severity::Error } else { severity };
        let which = if everything { "all alerts" } else { "alerts" };
        let days = left / DAY;
        let rest = if days > 1 { format!("{days} days more") } else { format!("{} hours more", (left / 3600).max(1)) };
        let by = if silence.created_by.is_empty() { "someone" } else { &silence.created_by };
        let by_now = if names.is_empty() { String::new() } else { format!("; it hides {} now", join(&names)) };
        let (id, until) = (&silence.id, minute(ends));
        let message = format!(
            "silence {id} by {by} ({:?}) mutes {which} with {} until {until}, {rest}{by_now}",
            silence.comment,
            show(&matchers)
        );
        let seen = Evidence::new(
            format!("silence {id}"),
            format!("{} until {until}, by {by}: {:?}", show(&matchers), silence.comment),
            "kubectl get --raw {{ path }}",
        )
        .with("path", self.path("/api/v2/silences"));
        let finding = Finding::new(AlertsMuted::META.id, severity, self.alertmanager(), message)
            .breaks(ResourceRef::Receiver { name: format!("silence {id}") })
            .key(format!("silence/{id}"))
            .evidence(seen);
        let words: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        let way = Way::Silence { id: id.clone(), matchers: words };
        Some(finding.fix(self.fix(way)))
    }
}

fn matchers(silence: &Silence) -> Vec<Matcher> {
    let all = silence.matchers.iter().filter_map(|m| {
        let op = match (m.is_regex, m.is_equal) {
            (false, true) => Op::Equal,
            (false, false) => Op::NotEqual,
            (true, true) => Op::Regex,
            (true, false) => Op::NotRegex,
        };
        Matcher::new(&m.name, op, &m.value).ok()
    });
    all.collect()
}

fn about_itself(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|m| m.name == "alertname" && proves_alerting(&m.value))
}
