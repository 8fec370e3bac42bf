//! Fills in the templates of the pages. Every value that reaches a command is quoted here, and nowhere else.

use std::collections::HashSet;
use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior};

use crate::model::Params;

/// Prose: values as they are.
pub(super) fn text(source: &str, params: &Params) -> Result<String, String> {
    render("page.txt", source, params)
}

/// A shell command: every value is one word (a list: several), whatever it holds, and none is an option.
pub(super) fn shell(source: &str, params: &Params) -> Result<String, String> {
    Ok(without_options(&render("page.sh", source, params)?))
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

/// The values that a template names.
pub(super) fn variables(source: &str) -> Result<HashSet<String>, String> {
    let template = environment().template_from_named_str("page.txt", source).map_err(|e| format!("template: {e:#}"))?;
    Ok(template.undeclared_variables(false))
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
        env.add_filter("arguments", arguments);
        env
    })
}

/// Lines that hold only a condition leave no blank line.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the default delimiters are valid")
}

fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.kind() == ValueKind::None && !matches!(state.auto_escape(), AutoEscape::Custom(kind) if kind == "json") {
        // A value that is not there must not become the word "none".
        return Err(minijinja::ErrorKind::UndefinedError.into());
    }
    let quote: fn(&str) -> String = match state.auto_escape() {
        AutoEscape::Custom(kind) if kind == "sh" => guarded,
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

/// Around the two forms of a value that begins with a dash: as it is, and as what cannot be an option.
const MARKS: [char; 3] = ['\u{E000}', '\u{E001}', '\u{E002}'];
/// Before a word that is an option on purpose.
const ARGUMENT: char = '\u{E003}';

/// The filter `arguments`: words that the check put together, options among them (`--from-file=…`).
fn arguments(value: &Value) -> Result<Value, minijinja::Error> {
    let mark = |v: &Value| format!("{ARGUMENT}{v}");
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Ok(value.try_iter()?.map(|v| mark(&v)).collect()),
        _ => Ok(Value::from(mark(value))),
    }
}

/// One shell word; where it begins with a dash, both forms of it for [`without_options`] to choose from.
fn guarded(value: &str) -> String {
    if let Some(argument) = value.strip_prefix(ARGUMENT) {
        return quote_shell(argument);
    }
    if !value.starts_with('-') {
        return quote_shell(value);
    }
    let [open, middle, close] = MARKS;
    format!("{open}{}{middle}{}{close}", quote_shell(value), quote_shell(&format!("<{value}>")))
}

/// A value that begins with a dash stays as it is within a word (`--flag=-x`). As a word of its own a program could take it
/// for an option, whatever its quotes; there it is shown in angle brackets, which nothing takes for an option or a name.
fn without_options(command: &str) -> String {
    let [open, middle, close] = MARKS;
    let mut out = String::with_capacity(command.len());
    let mut rest = command;
    while let Some((before, after)) = rest.split_once(open) {
        out.push_str(before);
        let (forms, after) = after.split_once(close).unwrap_or((after, ""));
        let (plain, bracketed) = forms.split_once(middle).unwrap_or((forms, forms));
        let within = out.ends_with(|c: char| !c.is_whitespace() && !matches!(c, ';' | '&' | '|' | '('));
        out.push_str(if within { plain } else { bracketed });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// One POSIX shell word. Control characters are written as octal escapes through printf, so that the command is the same
/// on a terminal, in a log and in the clipboard.
pub(crate) fn quote_shell(value: &str) -> String {
    if value.chars().any(|c| c.is_control() || c == ARGUMENT || MARKS.contains(&c)) {
        // Quotes and the shell's own signs too, so that every reader of shell words sees one word.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b" .,:/_@+".contains(&b);
        let escaped: String = value
            .bytes()
            .filter(|b| *b != 0)
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("\\{b:03o}") })
            .collect();
        return format!("\"$(printf '{escaped}')\"");
    }
    // After an option's name a `=` sets no variable.
    if let Some((name, given)) = value.split_once('=')
        && name.starts_with("--")
        && [name, given].iter().all(|part| shlex::try_quote(part).is_ok_and(|quoted| quoted == *part))
    {
        return value.to_owned();
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
        for value in ["a b", "it's", "$(reboot)", "`id`", "a;b", "<a>", "a\"b", "ü", ""] {
            let command = shell("get {{ x }} end", &one(value)).expect("renders");
            let words: Vec<String> = shlex::split(&command).expect("is shell");
            assert_eq!(words, ["get", value, "end"], "{command}");
        }
    }

    #[test]
    fn a_value_is_never_an_option() {
        let rendered = |template| shell(template, &one("-rf")).expect("renders");
        assert_eq!(rendered("rm {{ x }}"), "rm '<-rf>'");
        assert_eq!(rendered("cat x | {{ x }}"), "cat x | '<-rf>'");
        assert_eq!(rendered("get --name={{ x }} pod/{{ x }}"), "get --name=-rf pod/-rf");
        let mut list = Params::default();
        list.set("x", ["a", "--all", "-b c"]);
        assert_eq!(shell("get {{ x }}", &list).expect("renders"), "get a '<--all>' '<-b c>'");
        assert_eq!(shell("get {{ x|arguments }}", &list).expect("renders"), "get a --all '-b c'");
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
        let mut params = Params::default();
        params.set("x", Option::<String>::None);
        assert!(shell("get {{ x }}", &params).is_err());
        assert_eq!(shell("{% if x %}get {{ x }}{% endif %}", &params), Ok(String::new()));
    }
}
