//! The values of a fix: which section of the page applies, and what its templates hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde::Serialize;
use serde_json::Value;

/// The field of a fix that names its section of the page.
pub const VARIANT: &str = "variant";

/// Values for the command templates of a finding. Lists are joined by spaces, each element quoted on its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Params(BTreeMap<String, Value>);

impl Params {
    /// Sets a value. Values that do not serialize to JSON cannot occur here: all are strings, numbers, lists.
    pub fn set(&mut self, name: impl Into<String>, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.0.insert(name.into(), value);
    }

    /// All values by name.
    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.0
    }

    /// Changes each text in the values, however deep.
    pub fn change_texts(&mut self, by: &impl Fn(&str) -> String) {
        self.0.values_mut().for_each(|value| change_texts(value, by));
    }
}

fn change_texts(value: &mut Value, by: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = by(text),
        Value::Array(all) => all.iter_mut().for_each(|v| change_texts(v, by)),
        Value::Object(all) => all.values_mut().for_each(|v| change_texts(v, by)),
        _ => {}
    }
}

/// What a finding gives as its fix: an enum of the check, whose variants are the sections of its page and whose fields are
/// the values of their templates.
///
/// ```ignore
/// #[derive(Serialize, JsonSchema)]
/// #[serde(tag = "variant", rename_all = "kebab-case")]
/// enum Fix {
///     Create { cluster: String },
/// }
/// ```
pub trait FixValues: Serialize {
    /// The section's name and the values.
    fn values(&self) -> (&'static str, Params) {
        let mut params = Params::default();
        let mut variant = "";
        if let Ok(Value::Object(fields)) = serde_json::to_value(self) {
            for (name, value) in fields {
                match value {
                    Value::String(tag) if name == VARIANT => variant = interned(tag),
                    value => params.set(name, value),
                }
            }
        }
        (variant, params)
    }
}

/// Names of variants are as many as there are sections in the pages: each is kept once for as long as the program runs.
fn interned(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let name: &'static str = Box::leak(name.into_boxed_str());
    names.insert(name);
    name
}
