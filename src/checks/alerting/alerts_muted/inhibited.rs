//! Alerts that another one mutes, although the two have nothing to do with each other.

use std::collections::{BTreeMap, BTreeSet};

use super::fix::{InhibitRule, Way};
use super::{AlertsMuted, View, join, matters, proves_alerting, show};
use crate::domain::alertmanager::config;
use crate::domain::alertmanager::inhibit::{Loose, Rule, rules};
use crate::domain::text::windows::minute;
use crate::lint::alertmanager::matcher::{Matcher, Op};
use crate::model::{Finding, Severity};
use crate::snapshot::monitoring::Alert;

/// Labels that say what an alert is about, in the order in which a rule had better compare them.
const ABOUT: &[&str] = &["namespace", "cluster", "service", "job", "instance", "node"];

impl View<'_> {
    /// One finding for each rule that mutes what it should not.
    pub(super) fn inhibited(&self) -> Vec<Finding> {
        let Some(config) = self.config else { return Vec::new() };
        let all: BTreeMap<&str, &Alert> = self
            .snap
            .alertmanager_alerts
            .iter()
            .flatten()
            .flat_map(|g| &g.alerts)
            .map(|a| (a.fingerprint.as_str(), a))
            .collect();
        let rules = rules(config);
        let mut found: BTreeMap<usize, Muting<'_>> = BTreeMap::new();
        for target in all.values().filter(|a| matters(&a.labels) && !a.status.inhibited_by.is_empty()) {
            let sources = target.status.inhibited_by.iter().filter_map(|id| all.get(id.as_str()));
            for source in sources {
                let mutes = rules.iter().filter_map(|r| Some((r, r.mutes(&source.labels, &target.labels)?)));
                let mutes: Vec<(&Rule, Option<Loose>)> = mutes.collect();
                // A rule that joins the two with reason mutes it as well: then it is right that it is mute.
                if mutes.iter().any(|(_, loose)| loose.is_none()) {
                    continue;
                }
                if let Some((rule, Some(loose))) = mutes.into_iter().next() {
                    let muting = found.entry(rule.line).or_insert_with(|| Muting {
                        rule: rule.clone(),
                        loose,
                        pairs: Vec::new(),
                    });
                    muting.pairs.push((source, target));
                }
            }
        }
        found.into_values().map(|muting| self.muting(&muting)).collect()
    }

    fn muting(&self, muting: &Muting<'_>) -> Finding {
        let name = |a: &'_ Alert| a.labels.get("alertname").cloned().unwrap_or_default();
        let sources: BTreeSet<String> =
            muting.pairs.iter().map(|(s, _)| name(s)).filter(|n| !proves_alerting(n)).collect();
        let targets: BTreeSet<String> = muting.pairs.iter().map(|(_, t)| name(t)).collect();
        let (sources, targets): (BTreeSet<&str>, BTreeSet<&str>) =
            (sources.iter().map(String::as_str).collect(), targets.iter().map(String::as_str).collect());
        let since = muting.pairs.iter().filter_map(|(s, _)| s.starts_at).min();
        let since = since.map(|t| format!(" (since {})", minute(t))).unwrap_or_default();
        let why = match &muting.loose {
            Loose::NoEqual => "it compares no label (equal), so one such alert anywhere mutes all of them".to_owned(),
            Loose::Weaker => "it lets an alert that is less severe stand for one that is more so".to_owned(),
            Loose::Missing(labels) => {
                let none = if targets.len() + sources.len() > 2 { "none of them" } else { "neither alert" };
                format!(
                    "{none} has {} that it compares ({}), and two missing labels count as equal",
                    if labels.len() == 1 { "the label" } else { "a label" },
                    labels.join(", ")
                )
            }
        };
        let is_weaker = muting.loose == Loose::Weaker;
        let line = muting.rule.line;
        let (fire, them) = if targets.len() == 1 { ("fires", "it") } else { ("fire", "them") };
        let mutes = if sources.len() == 1 { "mutes" } else { "mute" };
        let message = format!(
            "{} {fire} and nobody is told: {}{since} {mutes} {them} by the inhibit rule in {}; {why}",
            join(&targets),
            join(&sources),
            self.place(line)
        );
        let severity = match is_weaker || muting.pairs.iter().any(|(s, t)| about(s) != about(t)) {
            true => Severity::Warning,
            // About the same thing after all.
            false => Severity::Info,
        };
        let finding = Finding::new(AlertsMuted::META.id, severity, self.alertmanager(), message)
            .breaks_nothing()
            .key(format!("inhibit/{line}"))
            .evidence(self.config_seen("Alertmanager's configuration, inhibit rule", line, told(&muting.rule)))
            .evidence(self.alerts_seen(format!("{} inhibited by {}", join(&targets), join(&sources))));
        let (source, target) = if is_weaker { muting.by_severity() } else { muting.as_it_is() };
        let words = |matchers: Vec<Matcher>| matchers.iter().map(Matcher::to_string).collect();
        let in_file = config::file(self.snap).filter(|_| config::Config::in_file(self.snap).is_some()).map(rules);
        let rule = InhibitRule {
            place: self.place(line),
            source: words(source),
            target: words(target),
            equal: muting.equal(),
            gone: in_file.is_some_and(|all| !all.iter().any(|r| r.is(&muting.rule))),
            edit: self.edit(),
        };
        finding.fix(self.fix(if is_weaker { Way::InhibitWeaker(rule) } else { Way::Inhibit(rule) }))
    }
}

/// The rule in one line.
fn told(rule: &Rule) -> String {
    let all = |matchers: &[Matcher]| if matchers.is_empty() { "any alert".to_owned() } else { show(matchers) };
    format!("{} mutes {}, equal: [{}]", all(&rule.source), all(&rule.target), rule.equal.join(", "))
}

/// Alerts that one rule mutes: source and target.
struct Muting<'a> {
    rule: Rule,
    loose: Loose,
    pairs: Vec<(&'a Alert, &'a Alert)>,
}

impl Muting<'_> {
    /// Labels that all alerts of both sides have; none where they share none.
    fn equal(&self) -> Vec<String> {
        let has = |label: &&&str| {
            self.pairs.iter().all(|(s, t)| s.labels.contains_key(**label) && t.labels.contains_key(**label))
        };
        ABOUT.iter().filter(has).take(2).map(|l| (*l).to_owned()).collect()
    }

    /// The matchers of both sides, as they are.
    fn as_it_is(&self) -> (Vec<Matcher>, Vec<Matcher>) {
        (self.rule.source.clone(), self.rule.target.clone())
    }

    /// The matchers of both sides, with the more severe alerts as the ones that mute.
    fn by_severity(&self) -> (Vec<Matcher>, Vec<Matcher>) {
        let all = |side: fn(&(&Alert, &Alert)) -> Option<String>| -> BTreeSet<String> {
            self.pairs.iter().filter_map(side).collect()
        };
        let more = all(|(_, target)| target.labels.get("severity").cloned());
        let less = all(|(source, _)| source.labels.get("severity").cloned());
        let less: BTreeSet<String> = less.difference(&more).cloned().collect();
        let with = |matchers: &[Matcher], severities: &BTreeSet<String>| {
            let op = if severities.len() == 1 { Op::Equal } else { Op::Regex };
            let values: Vec<&str> = severities.iter().map(String::as_str).collect();
            let severity = Matcher::new("severity", op, &values.join("|")).ok();
            severity.into_iter().chain(matchers.iter().filter(|m| m.name != "severity").cloned()).collect()
        };
        (with(&self.rule.source, &more), with(&self.rule.target, &less))
    }
}

/// What an alert is about.
fn about(alert: &Alert) -> Vec<Option<&String>> {
    ABOUT.iter().map(|label| alert.labels.get(*label)).collect()
}
