//! The documents of a file: YAML, JSON, or either with variables in it.

use serde_json::Value as Json;

use super::templates;
use crate::lint::yaml::{self, Node, Value};
use crate::lint::{Place, Problem};

/// The documents of a file.
pub(super) fn documents(name: &str, text: &str) -> Result<Vec<Node>, (Vec<Node>, Problem)> {
    // Two braces begin a template, and never an object of JSON.
    let is_template = text.trim_start().starts_with("{{");
    if is_template || (!name.ends_with(".json") && !text.trim_start().starts_with('{')) {
        return yaml::documents(text).or_else(|fault| templates::with_variables(text).ok_or(fault));
    }
    // A reader of YAML takes comments of other languages for keys, and what follows them with it.
    if let Some(place) = comment(text) {
        return Err((Vec::new(), Problem::new(place, "", "not valid JSON: it has no comments")));
    }
    // JSON may be indented with tabs, which YAML does not take; in a string they are escaped.
    let read = yaml::documents(&text.replace('\t', " "));
    let strict: Result<Vec<Json>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    match (read, strict) {
        (Ok(read), _) => Ok(read),
        (Err(_), Ok(values)) => Ok(values.iter().map(without_places).collect()),
        (Err((before, problem)), Err(error)) if name.ends_with(".json") => {
            let place = Place { line: error.line().max(1), column: error.column().max(1) };
            Err((before, Problem { place, message: format!("not valid JSON: {error}"), ..problem }))
        }
        (Err(error), Err(_)) => Err(error),
    }
}

/// Where a comment as JavaScript has them begins.
fn comment(text: &str) -> Option<Place> {
    let (mut line, mut column) = (1, 0);
    let (mut in_text, mut before, mut last) = (false, ' ', ' ');
    for letter in text.chars() {
        column += 1;
        let begins =
            matches!((last, letter), ('/', '/' | '*')) && (before.is_whitespace() || "{}[],:\"".contains(before));
        if begins && !in_text {
            return Some(Place { line, column: column - 1 });
        }
        match letter {
            '"' if !in_text || last != '\\' => in_text = !in_text,
            '\n' => (line, column, in_text) = (line + 1, 0, false),
            _ => {}
        }
        // An escaped backslash escapes nothing.
        (before, last) = (last, if in_text && last == '\\' && letter == '\\' { ' ' } else { letter });
    }
    None
}

/// JSON that the YAML reader does not take: what it says is known, where is not.
fn without_places(value: &Json) -> Node {
    let scalar = |text: String, plain: bool| Value::Scalar { text, plain };
    let value = match value {
        Json::String(text) => scalar(text.clone(), false),
        Json::Array(items) => Value::Sequence(items.iter().map(without_places).collect()),
        Json::Object(entries) => {
            let key = |k: &String| Node { place: Place { line: 1, column: 1 }, value: scalar(k.clone(), false) };
            Value::Mapping(entries.iter().map(|(k, v)| (key(k), without_places(v))).collect())
        }
        other => scalar(other.to_string(), true),
    };
    Node { place: Place { line: 1, column: 1 }, value }
}
