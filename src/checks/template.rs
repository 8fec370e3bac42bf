//! Fills in the templates of the pages. Every value that reaches a command is quoted here, and nowhere else.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior};

use crate::model::Params;

/// Prose: values as they are.
pub(super) fn text(source: &str, params: &Params) -> Result<String, String> {
    render("page.txt", source, params)
}

/// A shell command: every value is one word (a list: several), whatever it holds.
pub(super) fn shell(source: &str, params: &Params) -> Result<String, String> {
    render("page.sh", source, params)
}

/// A manifest: every value is one YAML scalar.
pub(super) fn yaml(source: &str, params: &Params) -> Result<String, String> {
    render("page.yaml", source, params)
}

/// A JSON document: every value is a JSON value.
pub(super) fn json(source: &str, params: &Params) -> Result<String, String> {
    render("page.json", source, params)
}

fn render(name: &str, source: &str, params: &Params) -> Result<String, String> {
    // Most titles and texts have no template in them.
    if !source.contains(['{', '}']) {
        return Ok(source.to_owned());
    }
    environment()
        .render_named_str(name, source, Value::from(Serde(params.values())))
        .map_err(|e| format!("template: {e:#}"))
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut env = Environment::new();
        // A value that a check forgot must not become an empty word in a command.
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_syntax(syntax());
        env.set_auto_escape_callback(|name| match name.rsplit('.').next() {
            Some("sh") => AutoEscape::Custom("sh".into()),
            Some("yaml") => AutoEscape::Custom("yaml".into()),
            Some("json") => AutoEscape::Custom("json".into()),
            _ => AutoEscape::None,
        });
        env.set_formatter(format);
        env
    })
}

/// Lines that hold only a condition leave no blank line.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the default delimiters are valid")
}

fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    let quote: fn(&str) -> String = match state.auto_escape() {
        AutoEscape::Custom(kind) if kind == "sh" => quote_shell,
        AutoEscape::Custom(kind) if kind == "yaml" => quote_yaml,
        AutoEscape::Custom(kind) if kind == "json" && value.kind() != ValueKind::Undefined => {
            let text = serde_json::to_string_pretty(value)
                .map_err(|e| minijinja::Error::new(minijinja::ErrorKind::BadSerialization, e.to_string()))?;
            out.write_str(&text)?;
            return Ok(());
        }
        _ => return minijinja::escape_formatter(out, state, value),
    };
    match value.kind() {
        ValueKind::Undefined => return Err(minijinja::ErrorKind::UndefinedError.into()),
        ValueKind::Seq | ValueKind::Iterable => {
            let words: Vec<String> = value.try_iter()?.map(|v| quote(&v.to_string())).collect();
            out.write_str(&words.join(" "))?;
        }
        ValueKind::Number | ValueKind::Bool => out.write_str(&value.to_string())?,
        _ => out.write_str(&quote(&value.to_string()))?,
    }
    Ok(())
}

/// One POSIX shell word. Control characters are written as octal escapes through printf, so that the command is the same
/// on a terminal, in a log and in the clipboard.
fn quote_shell(value: &str) -> String {
    if value.chars().any(|c| c.is_control()) {
        // Quotes and the shell's own signs too, so that every reader of shell words sees one word.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b" .,:/_@+".contains(&b);
        let escaped: String = value
            .bytes()
            .filter(|b| *b != 0)
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("\\{b:03o}") })
            .collect();
        return format!("\"$(printf '{escaped}')\"");
    }
    shlex::try_quote(value).map_or_else(|_| "''".to_owned(), |quoted| quoted.into_owned())
}

/// One YAML scalar: plain where it cannot be read as anything but this string, else JSON's quoting, which YAML shares.
fn quote_yaml(value: &str) -> String {
    let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'))
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(
            value.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n" | "nan" | "inf"
        );
    if plain { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str) -> Params {
        let mut params = Params::default();
        params.set("x", value);
        params
    }

    #[test]
    fn a_hostile_value_stays_one_word() {
        for value in ["a b", "it's", "$(reboot)", "`id`", "a;b", "-rf", "a\"b", "ü", ""] {
            let command = shell("get {{ x }} end", &one(value)).expect("renders");
            let words: Vec<String> = shlex::split(&command).expect("is shell");
            assert_eq!(words, ["get", value, "end"], "{command}");
        }
    }

    #[test]
    fn control_characters_reach_the_command_but_not_the_terminal() {
        let command = shell("printf %s {{ x }}", &one("a\nb\u{1b}[31m'%\\")).expect("renders");
        assert!(!command.chars().any(char::is_control), "{command:?}");
        let out = std::process::Command::new("sh").args(["-c", &command]).output().expect("sh runs");
        assert_eq!(String::from_utf8_lossy(&out.stdout), "a\nb\u{1b}[31m'%\\");
    }

    #[test]
    fn yaml_values_are_strings_whatever_they_look_like() {
        for value in ["true", "8080", "a: b", "x\ny", "{}", "- a", "#"] {
            let doc = yaml("k: {{ x }}", &one(value)).expect("renders");
            let parsed: std::collections::BTreeMap<String, String> = serde_saphyr::from_str(&doc).expect("is YAML");
            assert_eq!(parsed["k"], value, "{doc}");
        }
    }

    #[test]
    fn a_missing_value_is_an_error() {
        assert!(shell("get {{ nothing }}", &Params::default()).is_err());
    }
}
