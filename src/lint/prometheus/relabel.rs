//! Relabelling rules.

use crate::lint::go::is_legacy_label;
use crate::lint::strict::{Fault, Kind, Object, Schema, Strict, field};
use crate::text::near::near;

/// A rule of `relabel_configs` and its relatives.
pub(super) static RELABEL: Schema = Schema {
    what: "relabel config",
    fields: &[&[
        field("source_labels", Kind::List(&Kind::Word(label))),
        field("separator", Kind::Str),
        field("regex", Kind::Regex),
        field("modulus", Kind::Uint),
        field("target_label", Kind::Str),
        field("replacement", Kind::Str),
        field("action", Kind::Word(action)),
    ]],
    hints: &[("source_label", "it is a list: source_labels: [name]")],
    check: Some(rule),
};

/// Since 2.41.
const EQUAL: &[&str] = &["keepequal", "dropequal"];
const ACTIONS: &[&str] =
    &["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"];

/// What a rule may do.
pub(crate) fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().chain(EQUAL).copied()
}

fn action(strict: &Strict, text: &str) -> Fault {
    let lower = text.to_lowercase();
    if ACTIONS.contains(&lower.as_str()) {
        return None;
    }
    if EQUAL.contains(&lower.as_str()) {
        let old = strict.before((2, 41));
        return old.then(|| (format!("unknown relabel action {text:?}: known since 2.41 only"), None));
    }
    let meant = near(text, actions());
    Some((format!("unknown relabel action {text:?}"), meant.map(str::to_owned)))
}

fn label(strict: &Strict, text: &str) -> Fault {
    let meant: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let meant = is_legacy_label(&meant).then_some(meant);
    (!strict.is_label(text)).then(|| (format!("{text:?} is not a valid label name"), meant))
}

/// `^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$`: a name in which groups of the expression may stand.
fn is_target(strict: &Strict, text: &str) -> bool {
    if !strict.legacy_names {
        return !text.is_empty();
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let word = |t: &str| t.len() - t.trim_start_matches(|c: char| c == '_' || c.is_ascii_alphanumeric()).len();
        let taken = match rest.strip_prefix('{') {
            Some(inner) => (inner[word(inner)..].starts_with('}') && word(inner) > 0).then(|| word(inner) + 2),
            None => Some(word(rest)).filter(|n| *n > 0),
        };
        let Some(taken) = taken else { return false };
        plain.push('_');
        rest = &rest[taken..];
    }
    plain.push_str(rest);
    is_legacy_label(&plain)
}

fn rule(strict: &mut Strict, rule: &Object<'_>, path: &str) {
    if rule.is_null("action") {
        return strict.report(rule.key_place("action"), path, "relabel action cannot be empty");
    }
    let action = rule.text("action").map_or_else(|| "replace".to_owned(), str::to_lowercase);
    let target = rule.text("target_label").unwrap_or_default();
    let wants_target =
        matches!(action.as_str(), "replace" | "hashmod" | "lowercase" | "uppercase" | "keepequal" | "dropequal");
    if action == "hashmod" && rule.text("modulus").is_none_or(|m| m == "0") {
        return strict.report(rule.place(), path, "relabel configuration for hashmod requires non-zero modulus");
    }
    if wants_target && target.is_empty() {
        return strict.report(
            rule.place(),
            path,
            format!("relabel configuration for {action} action requires 'target_label' value"),
        );
    }
    let valid = match action.as_str() {
        "replace" if target.contains('$') => is_target(strict, target),
        _ => strict.is_label(target),
    };
    if wants_target && !valid {
        let place = rule.get("target_label").map_or(rule.place(), |n| n.place);
        return strict.report(place, path, format!("{target:?} is invalid 'target_label' for {action} action"));
    }
    others(strict, rule, &action, path);
}

fn others(strict: &mut Strict, rule: &Object<'_>, action: &str, path: &str) {
    let replacement = rule.get("replacement").and_then(|n| n.as_str());
    let not_default = |name: &str, default: &str| rule.get(name).is_some_and(|n| n.as_str() != Some(default));
    let set = match action {
        "lowercase" | "uppercase" => {
            let place = rule.key_place("replacement");
            if not_default("replacement", "$1") {
                strict.report(place, path, format!("'replacement' can not be set for {action} action"));
            }
            return;
        }
        "labelmap" => {
            if let Some(text) = replacement.filter(|r| !is_target(strict, r)) {
                let place = rule.key_place("replacement");
                strict.report(place, path, format!("{text:?} is invalid 'replacement' for {action} action"));
            }
            return;
        }
        "keepequal" | "dropequal" => [
            ("regex", rule.get("regex").is_some()),
            ("modulus", not_default("modulus", "0")),
            ("separator", not_default("separator", ";")),
            ("replacement", not_default("replacement", "$1")),
        ]
        .to_vec(),
        "labeldrop" | "labelkeep" => [
            ("source_labels", rule.get("source_labels").is_some()),
            ("target_label", rule.text("target_label").is_some()),
            ("modulus", not_default("modulus", "0")),
            ("separator", not_default("separator", ";")),
            ("replacement", not_default("replacement", "$1")),
        ]
        .to_vec(),
        _ => return,
    };
    let allowed = if action.starts_with("label") { "'regex'" } else { "'source_labels' and 'target_label'" };
    if let Some((name, _)) = set.iter().find(|(_, set)| *set) {
        let message = format!("{action} action requires only {allowed}, and no other fields: remove {name}");
        strict.report(rule.key_place(name), path, message);
    }
}
