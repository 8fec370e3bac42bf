//! Values that only the user can know: from the values of a fix to the steps in which they stand.

use serde_json::Value;

use crate::model::{Params, Placeholder};

/// Values with each placeholder as the text that stands for it, and the placeholders that are open.
pub(super) fn resolved(params: &Params) -> (Params, Vec<Placeholder>) {
    let mut open = Vec::new();
    let mut plain = Params::default();
    for (name, value) in params.values() {
        plain.set(name, resolve(value, &mut open));
    }
    (plain, open)
}

fn resolve(value: &Value, open: &mut Vec<Placeholder>) -> Value {
    if let Some(placeholder) = Placeholder::from_value(value) {
        let shown = placeholder.shown();
        if placeholder.value().is_none() && !open.contains(&placeholder) {
            open.push(placeholder);
        }
        return Value::String(shown);
    }
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).filter(|n| is_name(n)) {
                open.push(Placeholder::new(name));
            }
            value.clone()
        }
        Value::Array(items) => items.iter().map(|item| resolve(item, open)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), resolve(value, open))).collect())
        }
        _ => value.clone(),
    }
}

/// The placeholders of a step: those of the values and those that its template itself holds, where they stand in it.
pub(super) fn of_step(command: &str, template: &str, open: &[Placeholder]) -> Vec<Placeholder> {
    let literal = literals(template).into_iter().map(Placeholder::new);
    let mut found: Vec<Placeholder> = Vec::new();
    for placeholder in open.iter().cloned().chain(literal) {
        let known = found.iter().any(|p| p.name == placeholder.name);
        if !known && command.contains(&format!("<{}>", placeholder.name)) {
            found.push(placeholder);
        }
    }
    let place = |p: &Placeholder| command.find(&format!("<{}>", p.name));
    found.sort_by_key(place);
    found
}

/// Names of all `<name>` in a text.
pub(super) fn literals(text: &str) -> Vec<&str> {
    text.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(name, _)| name)
        .filter(|n| is_name(n))
        .collect()
}

/// Lower-case words, as people write what is to be filled in.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '))
}
