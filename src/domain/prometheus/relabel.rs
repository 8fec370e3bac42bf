//! What relabelling makes of labels, as Prometheus does it.

use std::collections::BTreeMap;

use regex::Regex;

use crate::lint::yaml::Node;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// What became of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Relabelled {
    /// They were kept, perhaps changed.
    Kept(Labels),
    /// This rule, from 0, dropped them.
    Dropped(usize),
    /// A rule does something that is not followed here.
    Unknown,
}

/// A rule as it is applied.
pub(crate) struct Rule<'a> {
    node: &'a Node,
    regex: Regex,
}

impl<'a> Rule<'a> {
    fn read(node: &'a Node) -> Option<Self> {
        let pattern = node.get("regex").and_then(Node::as_str).unwrap_or("(.*)");
        Some(Self { node, regex: Regex::new(&format!("^(?s:{pattern})$")).ok()? })
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.node.get(key).and_then(Node::as_str)
    }

    fn action(&self) -> String {
        self.text("action").unwrap_or("replace").to_ascii_lowercase()
    }

    /// Values of the source labels, joined.
    fn source(&self, labels: &Labels) -> String {
        let names = self.node.get("source_labels").and_then(Node::items).unwrap_or_default();
        let separator = match self.node.get("separator") {
            Some(node) => node.as_str().unwrap_or_default(),
            None => ";",
        };
        let values: Vec<&str> =
            names.iter().filter_map(Node::as_str).map(|n| labels.get(n).map_or("", String::as_str)).collect();
        values.join(separator)
    }

    fn replace(&self, labels: &mut Labels) {
        let source = self.source(labels);
        let Some(found) = self.regex.captures(&source) else { return };
        let expand = |template: &str| {
            let mut out = String::new();
            found.expand(template, &mut out);
            out
        };
        let target = expand(self.text("target_label").unwrap_or_default());
        let value = match self.node.get("replacement") {
            Some(node) => expand(node.as_str().unwrap_or_default()),
            None => expand("$1"),
        };
        if value.is_empty() {
            labels.remove(&target)
        } else {
            labels.insert(target, value)
        };
    }
}

/// Reads rules that are applied to many labels; nothing for one that is not followed here.
pub(crate) fn read(rules: &[Node]) -> Vec<Option<Rule<'_>>> {
    rules.iter().map(Rule::read).collect()
}

/// Applies the rules in their order.
pub(crate) fn apply(rules: &[Node], labels: &Labels) -> Relabelled {
    apply_read(&read(rules), labels)
}

/// Applies rules that were read, in their order.
pub(crate) fn apply_read(rules: &[Option<Rule<'_>>], labels: &Labels) -> Relabelled {
    let mut labels = labels.clone();
    for (at, rule) in rules.iter().enumerate() {
        let Some(rule) = rule else { return Relabelled::Unknown };
        let target =
            |labels: &Labels| rule.text("target_label").and_then(|t| labels.get(t)).cloned().unwrap_or_default();
        let keeps = match rule.action().as_str() {
            "keep" => rule.regex.is_match(&rule.source(&labels)),
            "drop" => !rule.regex.is_match(&rule.source(&labels)),
            "keepequal" => rule.source(&labels) == target(&labels),
            "dropequal" => rule.source(&labels) != target(&labels),
            "replace" => {
                rule.replace(&mut labels);
                true
            }
            "labeldrop" => {
                labels.retain(|name, _| !rule.regex.is_match(name));
                true
            }
            "labelkeep" => {
                labels.retain(|name, _| rule.regex.is_match(name));
                true
            }
            _ => return Relabelled::Unknown,
        };
        if !keeps {
            return Relabelled::Dropped(at);
        }
    }
    Relabelled::Kept(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn run(rules: &str, labels: &[(&str, &str)]) -> Relabelled {
        let root = yaml::document(rules).expect("YAML").expect("a document");
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        apply(root.items().expect("a list"), &labels)
    }

    #[test]
    fn drops_and_keeps_by_whole_values() {
        let drop = "- {source_labels: [env], regex: test, action: drop}";
        assert_eq!(run(drop, &[("env", "test")]), Relabelled::Dropped(0));
        assert!(matches!(run(drop, &[("env", "testing")]), Relabelled::Kept(_)));
        let keep = "- {target_label: env, replacement: prod}\n- {source_labels: [env, team], regex: 'prod;a|prod;b', action: keep}";
        assert!(matches!(run(keep, &[("team", "a")]), Relabelled::Kept(_)));
        assert_eq!(run(keep, &[("team", "c")]), Relabelled::Dropped(1));
    }

    #[test]
    fn what_is_not_followed_is_not_guessed() {
        assert_eq!(
            run("- {source_labels: [a], modulus: 2, target_label: b, action: hashmod}", &[]),
            Relabelled::Unknown
        );
        let kept = run("- {regex: 'replica|a', action: labeldrop}", &[("replica", "1"), ("b", "2")]);
        assert_eq!(kept, Relabelled::Kept([("b".to_owned(), "2".to_owned())].into()));
    }
}
