//! Label selectors of the API: what they select, and which of their requirements an object does not meet.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::snapshot::kubernetes::Map;

/// What a requirement asks of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    /// This value.
    Equal(String),
    /// One of these.
    OneOf(Vec<String>),
    /// The label may be absent, or have another value.
    NoneOf(Vec<String>),
    /// Any value.
    Present,
    /// No such label.
    Absent,
}

/// A requirement that an object does not meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unmet {
    /// The label.
    pub(crate) key: String,
    /// What is asked.
    pub(crate) wanted: Wanted,
    /// What the object has.
    pub(crate) found: Option<String>,
}

impl Unmet {
    /// The value that would meet it; `None` where the label has to go, or any value does.
    pub(crate) fn value(&self) -> Option<&str> {
        match &self.wanted {
            Wanted::Equal(value) => Some(value),
            Wanted::OneOf(values) => values.first().map(String::as_str),
            Wanted::NoneOf(_) | Wanted::Present | Wanted::Absent => None,
        }
    }
}

/// In the syntax of `kubectl -l`.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Equal(value) => write!(f, "{}={value}", self.key),
            Wanted::OneOf(values) => write!(f, "{} in ({})", self.key, values.join(", ")),
            Wanted::NoneOf(values) => write!(f, "{} notin ({})", self.key, values.join(", ")),
            Wanted::Present => write!(f, "{}", self.key),
            Wanted::Absent => write!(f, "!{}", self.key),
        }
    }
}

/// Every requirement of a selector.
fn requirements(selector: &LabelSelector) -> impl Iterator<Item = (&str, Wanted)> {
    let equal = selector.match_labels.iter().flatten().map(|(k, v)| (k.as_str(), Wanted::Equal(v.clone())));
    let others = selector.match_expressions.iter().flatten().filter_map(|r| Some((r.key.as_str(), wanted(r)?)));
    equal.chain(others)
}

fn wanted(requirement: &LabelSelectorRequirement) -> Option<Wanted> {
    let values = || requirement.values.clone().unwrap_or_default();
    Some(match requirement.operator.as_str() {
        "In" => Wanted::OneOf(values()),
        "NotIn" => Wanted::NoneOf(values()),
        "Exists" => Wanted::Present,
        "DoesNotExist" => Wanted::Absent,
        _ => return None,
    })
}

/// The requirements that these labels do not meet; none of an empty selector.
pub(crate) fn unmet(selector: &LabelSelector, labels: &Map) -> Vec<Unmet> {
    let mut all: Vec<Unmet> = requirements(selector)
        .filter_map(|(key, wanted)| {
            let found = labels.get(key);
            let met = match &wanted {
                Wanted::Equal(value) => found == Some(value),
                Wanted::OneOf(values) => found.is_some_and(|f| values.contains(f)),
                Wanted::NoneOf(values) => found.is_none_or(|f| !values.contains(f)),
                Wanted::Present => found.is_some(),
                Wanted::Absent => found.is_none(),
            };
            (!met).then(|| Unmet { key: key.to_owned(), wanted, found: found.cloned() })
        })
        .collect();
    all.sort();
    all
}

/// True where these labels meet every requirement.
pub(crate) fn selects(selector: &LabelSelector, labels: &Map) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    // Most have labels only, and are held against every object of a cluster.
    let is_simple = selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
    equal && (is_simple || unmet(selector, labels).is_empty())
}

/// The selector in the syntax of `kubectl -l`; empty for one that selects everything.
pub(crate) fn text(selector: &LabelSelector) -> String {
    let all =
        requirements(selector).map(|(key, wanted)| Unmet { key: key.to_owned(), wanted, found: None }.to_string());
    all.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selector(value: serde_json::Value) -> LabelSelector {
        serde_json::from_value(value).expect("a selector")
    }

    fn labels(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn says_what_is_wanted_and_what_is_there() {
        let wants = selector(json!({
            "matchLabels": {"release": "stack"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "legacy", "operator": "DoesNotExist"},
                {"key": "team", "operator": "Exists"},
                {"key": "env", "operator": "NotIn", "values": ["dev"]},
            ]
        }));
        let all = unmet(&wants, &labels(&[("release", "prom"), ("legacy", "1"), ("env", "dev")]));
        let side: Vec<(String, Option<&str>, Option<&str>)> =
            all.iter().map(|u| (u.to_string(), u.found.as_deref(), u.value())).collect();
        let pair = |w: &str, f: Option<&'static str>, v: Option<&'static str>| (w.to_owned(), f, v);
        assert_eq!(
            side,
            [
                pair("env notin (dev)", Some("dev"), None),
                pair("!legacy", Some("1"), None),
                pair("release=stack", Some("prom"), Some("stack")),
                pair("team", None, None),
                pair("tier in (a, b)", None, Some("a")),
            ]
        );
        let good = labels(&[("release", "stack"), ("tier", "b"), ("team", "x")]);
        assert!(selects(&wants, &good));
        assert_eq!(text(&wants), "release=stack,tier in (a, b),!legacy,team,env notin (dev)");
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(selects(&LabelSelector::default(), &labels(&[])));
        assert_eq!(text(&LabelSelector::default()), "");
    }
}
