//! What Go programs make of text: strings, durations, sizes, URLs, regular expressions, templates. What is wrong is said
//! in the words of the Go library.

mod duration;
mod regex;
pub(crate) mod template;
mod url;

pub(crate) use duration::{duration, is_go_duration, unit};
pub(crate) use regex::{anchored, anchored_fault, regex_fault};
pub(crate) use url::{http_url_fault, url_fault};

/// What is between the quotes of a Go string; `None` for an escape that Go does not know.
pub(crate) fn unquote(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                let escape = letters.next()?;
                let code = |digits: usize, letters: &mut std::str::Chars<'_>| {
                    let hex: String = letters.take(digits).collect();
                    (hex.len() == digits).then(|| u32::from_str_radix(&hex, 16).ok()).flatten().and_then(char::from_u32)
                };
                out.push(match escape {
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\u{b}',
                    '\\' => escape,
                    c if c == quote => c,
                    'x' => code(2, &mut letters)?,
                    'u' => code(4, &mut letters)?,
                    'U' => code(8, &mut letters)?,
                    '0'..='7' => {
                        let octal: String = std::iter::once(escape).chain(letters.by_ref().take(2)).collect();
                        u32::from_str_radix(&octal, 8).ok().and_then(char::from_u32)?
                    }
                    _ => return None,
                });
            }
            '\n' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// True for a size such as `10MB` or `1.5GiB`; `0` needs no unit.
pub(crate) fn is_size(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    if digits == "0" {
        return true;
    }
    // Several amounts in a row are one size, as `1GB512MB`.
    let mut rest = digits;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let after = &rest[number..];
        let unit = after.len() - after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.').len();
        let prefix = after[..unit].strip_suffix('B').map(|u| u.strip_suffix('i').unwrap_or(u));
        let known =
            prefix.is_some_and(|p| matches!(p, "" | "K" | "M" | "G" | "T" | "P" | "E")) && &after[..unit] != "iB";
        if rest[..number].parse::<f64>().is_err() || !known {
            return false;
        }
        rest = &after[unit..];
    }
    !digits.is_empty()
}

/// True for a label name that every version takes.
pub(crate) fn is_legacy_label(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// True for a metric name that every version takes.
pub(crate) fn is_legacy_metric(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'));
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for good in ["0", "10MB", "1.5GiB", "5B", "1GB512MB"] {
            assert!(is_size(good), "{good}");
        }
        for bad in ["", "10", "10mb", "10M", "MB", "ten", "5iB"] {
            assert!(!is_size(bad), "{bad}");
        }
    }

    #[test]
    fn strings_have_gos_escapes() {
        assert_eq!(unquote(r#"a\t\"\x41\u00e9\101"#, '"').as_deref(), Some("a\t\"A\u{e9}A"));
        assert!(unquote(r"\'", '"').is_none() && unquote(r"\d", '"').is_none() && unquote(r"\'", '\'').is_some());
    }
}
