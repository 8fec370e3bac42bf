//! Puts the values that a person chose in the place of `<name>`, quoted for where they stand.

use super::placeholders;
use super::shell::{self, Within};
use super::template::quote_shell;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A shell command; its here-documents are YAML.
    Shell,
    /// Lines of a file.
    File,
}

/// Where a `<name>` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is a whole word between single quotes.
    Word,
    /// Between single quotes, with more beside it: JSON, a URL, a script of another shell.
    Single,
    /// Between double quotes.
    Double,
    /// Without quotes.
    Plain,
    /// In YAML: a scalar of its own, between double quotes, or with more beside it.
    Yaml(Scalar),
}

/// What of a YAML scalar a `<name>` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    /// All of it, without quotes.
    Whole,
    /// All of it, or a part, between double quotes.
    Quoted,
    /// A part of one without quotes.
    Part,
}

/// The names that stand in a text as `<name>` and want a value, in their order: those of values, and those that the text
/// itself holds. What is not quoted in a command is a redirection.
pub fn names(text: &str, language: Language) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in placeholders::literals(text) {
        let mark = format!("<{name}>");
        let quoted = |at: usize| place(text, at, mark.len(), language) != Place::Plain;
        let is_new = !found.iter().any(|known| known == name);
        if is_new && text.match_indices(&mark).any(|(at, _)| quoted(at)) {
            found.push(name.to_owned());
        }
    }
    found
}

/// How many values a text wants for this name: a list `<subnet>,<subnet>` wants one for each.
pub fn wanted(text: &str, name: &str) -> usize {
    let one = format!("<{name}>");
    let mut list = one.clone();
    let mut count = usize::from(text.contains(&one));
    while count > 0 && text.contains(&format!("{list},{one}")) {
        list = format!("{list},{one}");
        count += 1;
    }
    count
}

/// The text with these values for this name, in the order in which they stand; the last one holds for all that follow.
///
/// # Errors
/// Why one of them cannot stand there.
pub fn fill(text: &str, language: Language, name: &str, values: &[String]) -> Result<String, String> {
    let mark = format!("<{name}>");
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut number = 0;
    while let Some(found) = text[at..].find(&mark) {
        let found = at + found;
        let Some(value) = values.get(number % values.len().max(1)) else { return Err("there is no value".into()) };
        number += 1;
        judge(value)?;
        let place = place(text, found, mark.len(), language);
        let (start, end) = match place {
            Place::Word => (found - 1, found + mark.len() + 1),
            _ => (found, found + mark.len()),
        };
        out.push_str(&text[at..start]);
        out.push_str(&written(value, place)?);
        at = end;
    }
    out.push_str(&text[at..]);
    Ok(out)
}

/// What no value may be, wherever it stands.
///
/// # Errors
/// What is wrong with it.
pub fn judge(value: &str) -> Result<(), String> {
    if value.trim().is_empty() {
        return Err("a value is needed".into());
    }
    if value.chars().any(char::is_control) {
        return Err("a value is one line of plain text".into());
    }
    if value.starts_with('-') {
        return Err("a value that begins with a dash would be read as an option".into());
    }
    Ok(())
}

fn written(value: &str, place: Place) -> Result<String, String> {
    let is_simple = value.chars().all(|c| c.is_alphanumeric() || ".,:/@=+-_".contains(c));
    match place {
        Place::Word | Place::Plain => Ok(quote_shell(value)),
        _ if is_simple => Ok(value.to_owned()),
        Place::Double => Ok(in_shell_quotes(value)),
        // A here-document may be one that the shell reads, too.
        Place::Yaml(Scalar::Whole) if !value.contains(['$', '`']) => Ok(json(value)),
        Place::Yaml(Scalar::Quoted) if !value.contains(['$', '`']) => Ok(in_json_quotes(value)),
        Place::Single | Place::Yaml(_) => Err(format!(
            "{value:?} stands within other text there: letters, digits and . , : / @ = + - _ only (or edit the command)"
        )),
    }
}

/// A value in every form in which a text may hold it.
pub fn forms(value: &str) -> [String; 4] {
    [value.to_owned(), quote_shell(value), in_json_quotes(value), in_shell_quotes(value)]
}

fn json(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Between double quotes of JSON and YAML.
fn in_json_quotes(value: &str) -> String {
    let quoted = json(value);
    quoted[1..quoted.len() - 1].to_owned()
}

/// Between double quotes of the shell.
fn in_shell_quotes(value: &str) -> String {
    in_json_quotes(value).replace('$', "\\$").replace('`', "\\`")
}

/// Where in a text the `length` bytes from `at` stand.
fn place(text: &str, at: usize, length: usize, language: Language) -> Place {
    let before = text[..at].chars().next_back();
    let after = text[at + length..].chars().next();
    let within = if language == Language::File { Within::Document } else { shell::within(text, at) };
    match within {
        Within::Document => Place::Yaml(match (before, after) {
            (Some('"'), _) | (_, Some('"')) => Scalar::Quoted,
            (Some(' '), None | Some('\n')) => Scalar::Whole,
            _ => Scalar::Part,
        }),
        Within::Single if before == Some('\'') && after == Some('\'') => Place::Word,
        Within::Single => Place::Single,
        Within::Double => Place::Double,
        Within::Words => Place::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, name: &str, value: &str) -> String {
        fill(text, Language::Shell, name, &[value.to_owned()]).expect("fits")
    }

    #[test]
    fn a_value_is_quoted_for_where_it_stands() {
        assert_eq!(filled("create --subnet '<subnet-id>'", "subnet-id", "subnet-1"), "create --subnet subnet-1");
        assert_eq!(filled("a x='<role>'", "role", "a b"), "a x='a b'");
        assert_eq!(filled("a 'b/<role>/c'", "role", "r-1"), "a 'b/r-1/c'");
        assert_eq!(filled("a \"b <role>\"", "role", "$(id)\"`x`"), "a \"b \\$(id)\\\"\\`x\\`\"");
        assert_eq!(
            filled("kubectl apply -f - <<'EOF'\nname: \"<name>\"\nEOF\nkubectl get '<name>'", "name", "a"),
            "kubectl apply -f - <<'EOF'\nname: \"a\"\nEOF\nkubectl get a"
        );
        let file = |value: &str| fill("user: <user>", Language::File, "user", &[value.to_owned()]);
        assert_eq!(file("a"), Ok("user: a".into()));
        assert_eq!(file("a: #b"), Ok("user: \"a: #b\"".into()));
    }

    #[test]
    fn comments_and_documents_open_no_quotes() {
        let one = "kubectl apply -f - <<'EOF'\nname: it's\nEOF\n";
        let two = "kubectl apply -f - <<-'END'\n\tname: \"<x>\"\n\tEND\n";
        assert_eq!(filled(&format!("{one}kubectl get '<x>'"), "x", "a b"), format!("{one}kubectl get 'a b'"));
        assert_eq!(filled("# it's\nget a'b'#'<x>c' '<x>'", "x", "a-b"), "# it's\nget a'b'#'a-bc' a-b");
        assert_eq!(
            filled(&format!("{one}{two}get '<x>'"), "x", "a: b"),
            format!("{one}{}get 'a: b'", two.replace("<x>", "a: b"))
        );
        assert!(names("get x # '<x>'", Language::Shell).is_empty());
        assert_eq!(names("jq . <<<'<x>'\nget '<y>'", Language::Shell), ["x", "y"]);
    }

    #[test]
    fn hostile_values_stay_one_word_and_never_become_an_option_or_a_script() {
        for value in ["a b", "it's", "$(reboot)", "`id`", "a;b", "a\"b", "ü"] {
            let words = shlex::split(&filled("get '<x>' end", "x", value)).expect("is shell");
            assert_eq!(words, ["get", value, "end"]);
        }
        for value in ["", " ", "-rf", "a\nb", "\u{1b}[2J"] {
            assert!(fill("get '<x>'", Language::Shell, "x", &[value.to_owned()]).is_err(), "{value:?}");
        }
        assert!(fill("sh -c 'curl <x>'", Language::Shell, "x", &["a; reboot".to_owned()]).is_err());
    }

    #[test]
    fn whatever_stands_in_angle_brackets_and_quotes_wants_a_value() {
        let of = |text: &str| names(text, Language::Shell);
        assert_eq!(
            of("helm upgrade x '<repository>/<chart>' -f '<values-file>'"),
            ["repository", "chart", "values-file"]
        );
        assert_eq!(of("kubectl patch x -p '{\"a\":\"<redacted>\"}'"), ["redacted"]);
        assert_eq!(of("kubectl apply -f - <<'EOF'\nname: \"<name>\"\nEOF"), ["name"]);
        assert!(of("a <file >other").is_empty() && of("sort < a > b").is_empty());
    }

    #[test]
    fn a_list_takes_a_value_for_each() {
        let text = "annotate x='<subnet-id>,<subnet-id>'";
        assert_eq!((wanted(text, "subnet-id"), wanted(text, "other"), wanted("'<a>' '<a>'", "a")), (2, 0, 1));
        let values = ["subnet-1".to_owned(), "subnet-2".to_owned()];
        assert_eq!(fill(text, Language::Shell, "subnet-id", &values), Ok("annotate x='subnet-1,subnet-2'".into()));
    }
}
