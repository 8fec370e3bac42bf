//! Operations of JSON patches. What stands in a list is named by its place, and lists change: each is tested to hold what
//! was seen there, so that a patch that comes too late changes nothing.

use serde_json::{Value, json};

/// Nothing is changed unless this is there.
pub(crate) fn test(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "test", "path": path, "value": value.into()})
}

/// A value that was not there; at the end of a list with `-`.
pub(crate) fn add(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "add", "path": path, "value": value.into()})
}

/// Another value, where something else tells that the place is the one that is meant.
pub(crate) fn replace(path: &str, value: impl Into<Value>) -> Value {
    json!({"op": "replace", "path": path, "value": value.into()})
}

/// Another value in place of the one that was seen.
pub(crate) fn swap(path: &str, seen: impl Into<Value>, value: impl Into<Value>) -> [Value; 2] {
    [test(path, seen), replace(path, value)]
}

/// Takes away what was seen.
pub(crate) fn take(path: &str, seen: impl Into<Value>) -> [Value; 2] {
    [test(path, seen), json!({"op": "remove", "path": path})]
}

/// As kubectl takes them.
pub(crate) fn text(operations: impl Into<Vec<Value>>) -> String {
    Value::Array(operations.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_tested_first() {
        let patch = text(swap("/spec/ports/0/targetPort", "web", 8080));
        assert_eq!(
            patch,
            r#"[{"op":"test","path":"/spec/ports/0/targetPort","value":"web"},{"op":"replace","path":"/spec/ports/0/targetPort","value":8080}]"#
        );
        assert_eq!(
            text(take("/a/1", "x")),
            r#"[{"op":"test","path":"/a/1","value":"x"},{"op":"remove","path":"/a/1"}]"#
        );
    }
}
