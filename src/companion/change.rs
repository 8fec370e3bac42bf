//! What would become of one object: the difference between what it is and what it would be, without what is nobody's business.

use serde_json::{Map, Value};
use similar::TextDiff;

use crate::snapshot::kubernetes::annotation::LAST_APPLIED;
use crate::text::redact::{MASK, mask_file};

/// Lines around a change.
const AROUND: usize = 3;
/// Fields that the server sets, and that no command changes.
const SET_BY_SERVER: &[&str] =
    &["resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink"];

/// What one object is now, and would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// `deployment web, namespace shop`.
    pub(super) object: String,
    /// A unified diff; empty where nothing would change.
    pub(super) diff: String,
}

impl Change {
    /// From one state of an object to another; none: it is not there.
    pub(super) fn between(now: Option<&Value>, after: Option<&Value>) -> Self {
        let about = after.or(now);
        let text = |pointer: &str| about.and_then(|o| o.pointer(pointer)).and_then(Value::as_str).unwrap_or_default();
        let namespace = match text("/metadata/namespace") {
            "" => String::new(),
            namespace => format!(", namespace {namespace}"),
        };
        let object = format!("{} {}{namespace}", text("/kind"), text("/metadata/name"));
        let (now, after) = (now.map(bare), after.map(bare));
        let shown = |object: &Option<Value>| mask_file(&object.as_ref().map(yaml).unwrap_or_default());
        let (before, then) = (shown(&now), shown(&after));
        let header = match (&now, &after) {
            (None, _) => ("(not there)", "after"),
            (_, None) => ("now", "(deleted)"),
            _ => ("now", "after"),
        };
        let diff = TextDiff::from_lines(&before, &then);
        let mut diff = diff.unified_diff().context_radius(AROUND).header(header.0, header.1).to_string();
        if diff.is_empty() && now != after {
            diff = "only values change that are secret\n".to_owned();
        }
        Self { object, diff }
    }
}

/// An object as people read it, without the values of a Secret.
fn yaml(object: &Value) -> String {
    let mut object = object.clone();
    if object.get("kind").and_then(Value::as_str) == Some("Secret") {
        for key in ["data", "stringData"] {
            hide(object.get_mut(key));
        }
    }
    serde_saphyr::to_string(&object).unwrap_or_default()
}

/// An object without what only the server sets, its keys in one order.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.retain(|key, _| !SET_BY_SERVER.contains(&key.as_str()));
        if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
            if annotations.is_empty() {
                meta.remove("annotations");
            }
        }
    }
    sorted(object)
}

/// Values of a Secret: that they differ may be seen, what they are may not.
fn hide(values: Option<&mut Value>) {
    for value in values.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        let length = value.as_str().map_or(0, str::len);
        *value = Value::from(format!("{MASK} ({length} letters)"));
    }
}

/// The same with its keys in one order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_values_of_secrets_are_left_out() {
        let secret = |value: &str| json!({"kind": "Secret", "metadata": {"name": "s"}, "data": {"x": value}});
        let hidden = Change::between(Some(&secret("c2VjcmV0")), Some(&secret("b3RoZXI="))).diff;
        assert!(!hidden.contains("c2Vj") && !hidden.is_empty(), "{hidden}");
    }
}
