//! Patterns of what programs write, compiled once.

use regex::Regex;

/// A pattern that is fixed: compiled where it is first asked for.
macro_rules! pattern {
    ($text:expr $(,)?) => {{
        static PATTERN: std::sync::OnceLock<regex::Regex> = std::sync::OnceLock::new();
        PATTERN.get_or_init(|| $crate::text::pattern::compile($text))
    }};
}
pub(crate) use pattern;

/// A fixed pattern, compiled. `\w`, `\d` and `\b` mean ASCII, as they do in the languages of those who write such text: the
/// classes of Unicode take ten times as long to compile, and most runs ask for a pattern once or not at all.
///
/// # Panics
/// Where the pattern is none. A test compiles each of the crate.
pub(crate) fn compile(pattern: &str) -> Regex {
    Regex::new(&ascii(pattern)).expect("the pattern is fixed")
}

fn ascii(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() * 2);
    let (mut in_class, mut at_begin) = (false, false);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match (chars.next(), in_class) {
                // The range stands last: a hyphen may follow.
                (Some('w'), true) => out.push_str("_0-9A-Za-z"),
                (Some('w'), false) => out.push_str("[_0-9A-Za-z]"),
                (Some('d'), true) => out.push_str("0-9"),
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('b'), false) => out.push_str(r"(?-u:\b)"),
                (next, _) => {
                    out.push('\\');
                    out.extend(next);
                }
            },
            _ => {
                match c {
                    '[' if !in_class => in_class = true,
                    // `[]…]` and `[^]…]` begin with a bracket that is meant.
                    ']' if !at_begin => in_class = false,
                    _ => {}
                }
                out.push(c);
            }
        }
        at_begin = in_class && (c == '[' || c == '^' && at_begin);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_ascii() {
        assert_eq!(ascii(r"\b\w+:\d"), r"(?-u:\b)[_0-9A-Za-z]+:[0-9]");
        assert_eq!(ascii(r"[\w.-]+[^\d:]"), r"[_0-9A-Za-z.-]+[^0-9:]");
        assert_eq!(ascii(r"[]\w][^]\d]\d"), r"[]_0-9A-Za-z][^]0-9][0-9]");
        assert_eq!(ascii(r"\\w \[\d\] [\]\w]\s"), r"\\w \[[0-9]\] [\]_0-9A-Za-z]\s");
    }

    #[test]
    fn each_pattern_of_the_crate_is_one() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let literal = Regex::new(r##"pattern!\(\s*(?:r#"((?s:.*?))"#|r?"([^"]*)")"##).expect("a pattern");
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let source = std::fs::read_to_string(&path).expect("a source");
                for found in literal.captures_iter(&source).filter(|_| !path.ends_with("pattern.rs")) {
                    let pattern = found.get(1).or(found.get(2)).expect("a literal").as_str();
                    assert!(Regex::new(&ascii(pattern)).is_ok(), "{}: {pattern}", path.display());
                    count += 1;
                }
            }
        }
        assert!(count > 150, "only {count} were found");
    }

    #[test]
    fn words_end_where_letters_of_other_scripts_begin() {
        let word = compile(r"(\w+)-(\d+)\b");
        let found = word.captures("größe-12€").map(|c| (c[1].to_owned(), c[2].to_owned()));
        assert_eq!(found, Some(("e".to_owned(), "12".to_owned())));
    }
}
