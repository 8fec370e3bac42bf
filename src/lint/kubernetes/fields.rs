//! Fields and their types, by what an API server says of its kinds.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::lint::Problem;
use crate::lint::yaml::{Node, Value, join};
use crate::text::near::near;

/// Made by `tests/tools/kubernetes_fields.py` of a server's OpenAPI document.
const FIELDS: &str = include_str!("fields.json");

/// What is said of a key that comes twice.
pub(crate) const TWICE: &str = " is there twice";
/// What is said of a field that must be there.
const NOT_THERE: &str = " is required and not there";

#[derive(Deserialize)]
struct Schema {
    /// `apps/v1 Deployment` → type.
    kinds: BTreeMap<String, String>,
    /// Type → field → its type.
    types: BTreeMap<String, BTreeMap<String, String>>,
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(FIELDS).expect("the file is part of the program and tested"))
}

/// Checks the fields of an object of a built-in kind; of another one, that no key comes twice.
pub(super) fn check(object: &Node, part: bool, problems: &mut Vec<Problem>) {
    twice(object, "", problems);
    if let Some(of) = schema().kinds.get(&kind(object)) {
        if part {
            let mut found = Vec::new();
            walk(&without_nulls(object), of, "", &mut found);
            problems.extend(found.into_iter().filter(|p| !p.message.ends_with(NOT_THERE)));
        } else {
            walk(object, of, "", problems);
        }
    }
}

/// What a patch leaves: a key whose value is null is taken away where it is laid over another manifest.
fn without_nulls(node: &Node) -> Node {
    let value = match &node.value {
        Value::Scalar { .. } => node.value.clone(),
        Value::Sequence(items) => Value::Sequence(items.iter().map(without_nulls).collect()),
        Value::Mapping(entries) => {
            let left = entries.iter().filter(|(_, value)| !value.is_null());
            Value::Mapping(left.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
    };
    Node { place: node.place, value }
}

/// True for a built-in kind.
pub(super) fn is_known(object: &Node) -> bool {
    schema().kinds.contains_key(&kind(object))
}

/// API versions and kinds that are built in.
pub(super) fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    schema().kinds.keys().filter_map(|known| known.split_once(' '))
}

fn kind(object: &Node) -> String {
    let text = |key: &str| object.get(key).and_then(Node::as_str).unwrap_or_default();
    format!("{} {}", text("apiVersion"), text("kind"))
}

/// Keys that come twice in a document that is of no kind.
pub(crate) fn doubled(node: &Node, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    twice(node, path, &mut problems);
    problems
}

fn twice(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                twice(item, &format!("{path}[{at}]"), problems);
            }
        }
        Value::Mapping(entries) => {
            let mut seen = std::collections::BTreeSet::new();
            for (key, value) in entries {
                let Some(name) = key.as_str() else { continue };
                let path = join(path, name);
                if !seen.insert(name) {
                    problems.push(Problem::new(key.place, &path, format!("the key {name:?}{TWICE}")));
                }
                twice(value, &path, problems);
            }
        }
    }
}

fn walk(node: &Node, of: &str, path: &str, problems: &mut Vec<Problem>) {
    if node.is_null() {
        return;
    }
    let of = of.trim_end_matches('!');
    let wrong = |wanted: &str| Problem::new(node.place, path, format!("{}; {wanted} is wanted", shown(node)));
    match (of.chars().next(), &node.value) {
        (Some('@'), Value::Mapping(entries)) => fields(node, entries, &of[1..], path, problems),
        (Some('{'), Value::Mapping(entries)) => {
            for (key, value) in entries {
                walk(value, &of[1..], &join(path, key.as_str().unwrap_or_default()), problems);
            }
        }
        (Some('@' | '{'), _) => problems.push(wrong("a mapping")),
        (Some('['), Value::Sequence(items)) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &of[1..], &format!("{path}[{at}]"), problems);
            }
        }
        (Some('['), _) => problems.push(wrong("a list")),
        (_, value) => {
            if let Some(wanted) = wanted(of, value) {
                problems.push(wrong(wanted));
            }
        }
    }
}

fn fields(node: &Node, entries: &[(Node, Node)], of: &str, path: &str, problems: &mut Vec<Problem>) {
    let Some(known) = schema().types.get(of) else { return };
    for (key, value) in entries {
        // `$patch: delete` is for Kustomize.
        let Some(name) = key.as_str().filter(|n| !n.starts_with('$')) else { continue };
        let path = join(path, name);
        match known.get(name) {
            Some(of) => walk(value, of, &path, problems),
            None => {
                let kind = of.rsplit('.').next().unwrap_or(of);
                let meant = near(name, known.keys().map(String::as_str));
                let message = format!("unknown field {name:?} in {kind}");
                problems.push(Problem::new(key.place, path, message).instead(meant));
            }
        }
    }
    for (name, _) in known.iter().filter(|(name, of)| of.ends_with('!') && node.get(name).is_none()) {
        let unknown = |p: &Problem| p.path.starts_with(&join(path, "")) && p.instead.as_deref() == Some(name);
        // Misspelt is not missing, too.
        if !problems.iter().any(unknown) {
            problems.push(Problem::new(node.place, join(path, name), format!("{name}{NOT_THERE}")));
        }
    }
}

/// What a scalar's type asks for, where the value is something else.
fn wanted(of: &str, value: &Value) -> Option<&'static str> {
    let Value::Scalar { text, plain } = value else {
        return match of {
            "any" | "object" => None,
            "integer" | "number" => Some("a number"),
            "boolean" => Some("true or false"),
            _ => Some("text"),
        };
    };
    let number = *plain && is_number(text);
    let boolean = *plain && is_boolean(text);
    match of {
        "integer" | "number" => (!number).then_some("a number"),
        "boolean" => (!boolean).then_some("true or false"),
        "string" => (number || boolean).then_some("text"),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+', '.']).starts_with(|c: char| c.is_ascii_digit());
    let other_base = ["0x", "0o", "0b"].iter().any(|base| text.starts_with(base));
    digits && (other_base || text.parse::<f64>().is_ok_and(f64::is_finite))
}

/// As the API server's YAML reader has it, which is of YAML 1.1.
fn is_boolean(text: &str) -> bool {
    let words = ["y", "yes", "n", "no", "true", "false", "on", "off"];
    let lower = text.to_ascii_lowercase();
    let capital = |word: &str| text[..1].eq(&word[..1].to_ascii_uppercase()) && text[1..] == word[1..];
    words.iter().any(|w| lower == *w && (text == *w || text == w.to_ascii_uppercase() || capital(w)))
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::Scalar { text, plain: false } => format!("{text:?} is text in quotes"),
        Value::Scalar { text, .. } if is_number(text) => format!("{text} is a number"),
        Value::Scalar { text, .. } if is_boolean(text) => format!("{text} is a boolean"),
        Value::Scalar { text, .. } => format!("{text:?} is text"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
    }
}
