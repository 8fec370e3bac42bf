//! A value that only the user can know.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The key that marks a serialized placeholder among the values of a template.
const MARK: &str = "$placeholder";

/// A value of a command that could not be told: it stands there as `<name>`, with what helps to fill it in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Placeholder {
    /// What it is, in lower case: `subnet-id`.
    pub name: String,
    /// How to find it: a command or a sentence; empty where the name says it all.
    pub how: String,
    /// Values that it may have, the likely ones first. One alone is filled in.
    pub candidates: Vec<String>,
}

impl Placeholder {
    /// A value of which nothing is known yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A value that is known.
    pub fn known(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(name).candidates([value.into()])
    }

    /// Says how to find it.
    #[must_use]
    pub fn how(mut self, how: impl Into<String>) -> Self {
        self.how = how.into();
        self
    }

    /// Adds values that it may have.
    #[must_use]
    pub fn candidates<S: Into<String>>(mut self, candidates: impl IntoIterator<Item = S>) -> Self {
        for candidate in candidates.into_iter().map(Into::into) {
            if !self.candidates.contains(&candidate) {
                self.candidates.push(candidate);
            }
        }
        self
    }

    /// The only value that it may have.
    pub fn value(&self) -> Option<&str> {
        match self.candidates.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// What stands in a text: the value, or `<name>`.
    pub fn shown(&self) -> String {
        self.value().map_or_else(|| format!("<{}>", self.name), str::to_owned)
    }

    /// Reads back what was serialized as a value of a template.
    pub fn from_value(value: &Value) -> Option<Self> {
        let fields = value.as_object()?.get(MARK)?;
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let candidates = fields.get("candidates").and_then(Value::as_array)?;
        let candidates = candidates.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Some(Self { name: text("name"), how: text("how"), candidates })
    }
}

impl Serialize for Placeholder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = serde_json::json!({"name": self.name, "how": self.how, "candidates": self.candidates});
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(MARK, &fields)?;
        map.end()
    }
}

/// Among the values of a fix it is a value like others.
impl JsonSchema for Placeholder {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Placeholder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "description": "A value that only the user can know."})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_candidate_is_the_value_and_several_are_a_choice() {
        assert_eq!(Placeholder::new("role").shown(), "<role>");
        assert_eq!(Placeholder::known("role", "driver").shown(), "driver");
        let several = Placeholder::new("subnet").candidates(["a", "b", "a"]);
        assert_eq!((several.shown().as_str(), several.candidates.len()), ("<subnet>", 2));
    }

    #[test]
    fn it_survives_the_way_through_the_values_of_a_template() {
        let role = Placeholder::new("role").how("aws iam list-roles").candidates(["a", "b"]);
        let value = serde_json::to_value(&role).expect("serializes");
        assert_eq!(Placeholder::from_value(&value), Some(role));
        assert_eq!(Placeholder::from_value(&serde_json::json!({"name": "x"})), None);
    }
}
