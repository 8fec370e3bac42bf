//! Inhibition: which rule lets one alert mute another, and whether it means to.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::alertmanager::tree::Labels;
use crate::lint::alertmanager as lint;
use crate::lint::alertmanager::matcher::{self, Matcher};
use crate::lint::yaml::Node;

/// One entry of `inhibit_rules`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Which alerts mute.
    pub(crate) source: Vec<Matcher>,
    /// Which are muted.
    pub(crate) target: Vec<Matcher>,
    /// Labels in which both alerts must agree. One that both lack agrees as well.
    pub(crate) equal: Vec<String>,
    /// Line in the configuration, from 1.
    pub(crate) line: usize,
}

/// Why a rule joins alerts that have nothing to do with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Loose {
    /// It compares no label.
    NoEqual,
    /// Both alerts lack all labels that it compares.
    Missing(Vec<String>),
    /// The alert that mutes is less severe than the one that is muted.
    Weaker,
}

impl Rule {
    /// Says the same as another one, wherever each of them stands.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let words = |matchers: &[Matcher]| matchers.iter().map(Matcher::to_string).collect::<BTreeSet<_>>();
        let equal = |rule: &Self| rule.equal.iter().cloned().collect::<BTreeSet<_>>();
        words(&self.source) == words(&other.source)
            && words(&self.target) == words(&other.target)
            && equal(self) == equal(other)
    }

    /// It says which alerts it means: whether one stands for the other is its own knowledge.
    fn names_alerts(&self) -> bool {
        self.source.iter().chain(&self.target).any(|m| m.name == "alertname")
    }

    /// Whether the rule mutes `target` because of `source`; and, where it does, why it should not.
    pub(crate) fn mutes(&self, source: &Labels, target: &Labels) -> Option<Option<Loose>> {
        let fits = |matchers: &[Matcher], labels: &Labels| {
            matchers.iter().all(|m| m.matches(labels.get(&m.name).map_or("", String::as_str)) == Some(true))
        };
        let same = |name: &String| source.get(name) == target.get(name);
        if !fits(&self.source, source) || !fits(&self.target, target) || !self.equal.iter().all(same) {
            return None;
        }
        let missing = |name: &&String| !source.contains_key(*name) && !target.contains_key(*name);
        Some(match self.equal.as_slice() {
            [] => Some(Loose::NoEqual),
            all if all.iter().all(|name| missing(&name)) => Some(Loose::Missing(all.to_vec())),
            _ if !self.names_alerts() && is_weaker(source, target) => Some(Loose::Weaker),
            _ => None,
        })
    }
}

/// A warning about the same thing does not stand for what is critical.
fn is_weaker(source: &Labels, target: &Labels) -> bool {
    let rank = |labels: &Labels| match labels.get("severity").map(String::as_str) {
        Some("critical" | "page" | "emergency" | "fatal") => Some(3),
        Some("error" | "high" | "major") => Some(2),
        Some("warning" | "warn") => Some(1),
        _ => None,
    };
    rank(source).zip(rank(target)).is_some_and(|(source, target)| source < target)
        && source.get("alertname") != target.get("alertname")
}

/// The rules of a configuration; empty where it cannot be read.
pub(crate) fn rules(text: &str) -> Vec<Rule> {
    let Ok(Some(root)) = lint::read(text) else { return Vec::new() };
    let all = root.get("inhibit_rules").and_then(Node::items).unwrap_or_default();
    all.iter().filter_map(rule).collect()
}

fn rule(node: &Node) -> Option<Rule> {
    Some(Rule {
        source: side(node, "source")?,
        target: side(node, "target")?,
        equal: node
            .get("equal")
            .and_then(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|n| n.as_str().map(str::to_owned))
            .collect(),
        line: node.place.line,
    })
}

/// `source_match`, `source_match_re` and `source_matchers` together.
fn side(node: &Node, side: &str) -> Option<Vec<Matcher>> {
    let map = |key: String| -> BTreeMap<String, String> {
        let entries = node.get(&key).and_then(Node::entries).unwrap_or_default();
        let text = |n: &Node| n.as_str().unwrap_or_default().to_owned();
        entries.iter().map(|(name, value)| (text(name), text(value))).collect()
    };
    let mut all = matcher::of_maps(&map(format!("{side}_match")), &map(format!("{side}_match_re"))).ok()?;
    for line in node.get(&format!("{side}_matchers")).and_then(Node::items).unwrap_or_default() {
        all.extend(matcher::matchers(line.as_str().unwrap_or_default()).ok()?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn labels_that_both_lack_count_as_equal() {
        let text = "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules:\n  - source_match: {severity: critical}\n    target_match_re: {severity: 'warning|info'}\n    equal: [cluster]\n  - source_matchers: [alertname = InfoInhibitor]\n    target_matchers: [severity = info]\n    equal: [namespace]\n";
        let all = rules(text);
        assert_eq!((all.len(), all[0].line), (2, 4));
        let marshalled = "inhibit_rules:\n  - source_matchers: ['severity=\"critical\"']\n    target_matchers: ['severity=~\"warning|info\"']\n    equal: [cluster]\n";
        assert!(rules(marshalled)[0].is(&all[0]) && !all[0].is(&all[1]), "the API writes it in another way");
        let source = labels(&[("severity", "critical"), ("namespace", "a")]);
        let target = labels(&[("severity", "warning"), ("namespace", "b")]);
        assert_eq!(all[0].mutes(&source, &target), Some(Some(Loose::Missing(vec!["cluster".into()]))));
        assert_eq!(all[1].mutes(&source, &target), None);
        let with = |l: &Labels| l.clone().into_iter().chain([("cluster".to_owned(), "c".to_owned())]).collect();
        assert_eq!(all[0].mutes(&with(&source), &with(&target)), Some(None));
    }

    #[test]
    fn what_is_less_severe_does_not_stand_for_what_is_more_so() {
        let text = "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules:\n  - source_match_re: {severity: 'critical|warning'}\n    target_match_re: {severity: 'critical|warning'}\n    equal: [namespace]\n  - source_matchers: [alertname = Maintenance]\n    target_matchers: [severity = critical]\n    equal: [namespace]\n";
        let all = rules(text);
        let of =
            |name: &str, severity: &str| labels(&[("alertname", name), ("severity", severity), ("namespace", "a")]);
        assert_eq!(all[0].mutes(&of("Slow", "warning"), &of("Down", "critical")), Some(Some(Loose::Weaker)));
        assert_eq!(all[0].mutes(&of("Down", "critical"), &of("Slow", "warning")), Some(None));
        assert_eq!(all[0].mutes(&of("Down", "warning"), &of("Down", "critical")), Some(None), "one alert, two levels");
        assert_eq!(all[1].mutes(&of("Maintenance", "warning"), &of("Down", "critical")), Some(None), "it is meant");
    }
}
