//! Label matchers: the classic syntax, the UTF-8 syntax of 0.27, and the old `match` and `match_re` maps.

use std::collections::BTreeMap;
use std::fmt;

use crate::lint::go::{anchored, unquote};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// One matcher: `severity =~ "critical|warning"`.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Label name.
    pub name: String,
    /// How it compares.
    pub op: Op,
    /// Value or regular expression.
    pub value: String,
    regex: Option<regex::Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Regex => "=~",
            Op::NotRegex => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

impl Matcher {
    /// A matcher of its parts.
    ///
    /// # Errors
    /// Why its regular expression is refused.
    pub fn new(name: &str, op: Op, value: &str) -> Result<Self, String> {
        let regex = match op {
            Op::Regex | Op::NotRegex => anchored(value)?,
            _ => None,
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// Whether a label value matches; a label that is not there is the empty value. `None` where this program cannot
    /// read the regular expression though Alertmanager can.
    pub fn matches(&self, value: &str) -> Option<bool> {
        match self.op {
            Op::Equal => Some(self.value == value),
            Op::NotEqual => Some(self.value != value),
            Op::Regex => self.regex.as_ref().map(|r| r.is_match(value)),
            Op::NotRegex => self.regex.as_ref().map(|r| !r.is_match(value)),
        }
    }

    /// Whether it matches any value that a label of alerts can have, the missing one aside.
    pub fn matches_all_values(&self) -> bool {
        match self.op {
            Op::Regex => {
                matches!(self.value.as_str(), ".*" | ".+" | "(.*)" | "(.+)" | "^.*$" | "^.+$" | ".*.*" | "..*")
            }
            Op::NotRegex => matches!(self.value.as_str(), "" | "^$"),
            Op::NotEqual => self.value.is_empty(),
            Op::Equal => false,
        }
    }
}

/// Which syntaxes a version of Alertmanager reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Before 0.27.
    Classic,
    /// Both; what either can read is accepted.
    Fallback,
}

/// The matchers in one line of `matchers:`.
pub(super) fn line(text: &str, syntax: Syntax) -> Result<Vec<Matcher>, String> {
    let classic = classic(text);
    match (&classic, syntax) {
        (Err(_), Syntax::Fallback) => utf8(text).or(classic),
        _ => classic,
    }
}

/// The matchers in one line, in whichever syntax reads it.
///
/// # Errors
/// Why neither does.
pub fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    line(text, Syntax::Fallback)
}

fn classic(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut quoted, mut escaped) = (false, false);
    let mut tokens = vec![String::new()];
    for letter in text.chars() {
        match letter {
            ',' if !quoted => {
                tokens.push(String::new());
                continue;
            }
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
        if let Some(last) = tokens.last_mut() {
            last.push(letter);
        }
    }
    if tokens.last().is_some_and(|t| t.trim().is_empty()) {
        tokens.pop();
    }
    tokens.iter().map(|t| classic_one(t)).collect()
}

fn classic_one(text: &str) -> Result<Matcher, String> {
    let bad = || format!("bad matcher format: {text}");
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).ok_or_else(bad)?;
    let (name, rest) = trimmed.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(bad());
    }
    let rest = rest.trim_start();
    let (op, raw) = [("=~", Op::Regex), ("!=", Op::NotEqual), ("!~", Op::NotRegex), ("=", Op::Equal)]
        .into_iter()
        .find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?.trim())))
        .ok_or_else(bad)?;
    Matcher::new(name, op, &unescape(raw)?)
}

/// A quote may stand only at both ends.
fn unescape(raw: &str) -> Result<String, String> {
    let unquoted = || format!("matcher value contains unescaped double quote: {raw}");
    let (text, mut open) = raw.strip_prefix('"').map_or((raw, false), |t| (t, true));
    let mut value = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                None => value.push('\\'),
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
            },
            '"' if open && letters.peek().is_none() => open = false,
            '"' => return Err(unquoted()),
            c => value.push(c),
        }
    }
    if open { Err(unquoted()) } else { Ok(value) }
}

/// The UTF-8 syntax: names and values are quoted, or hold no reserved character.
fn utf8(text: &str) -> Result<Vec<Matcher>, String> {
    let mut rest = text.trim();
    let braces = rest.starts_with('{');
    if braces {
        rest = rest[1..].strip_suffix('}').ok_or("expected close brace")?.trim();
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, after) = word(rest).ok_or_else(|| format!("expected label name: {rest}"))?;
        let after = after.trim_start();
        let (op, after) = [("=~", Op::Regex), ("!=", Op::NotEqual), ("!~", Op::NotRegex), ("=", Op::Equal)]
            .into_iter()
            .find_map(|(sign, op)| Some((op, after.strip_prefix(sign)?.trim_start())))
            .ok_or_else(|| format!("expected an operator such as '=', '!=', '=~' or '!~': {after}"))?;
        let (value, after) = word(after).ok_or_else(|| format!("expected label value: {after}"))?;
        found.push(Matcher::new(&name, op, &value)?);
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(',').ok_or_else(|| format!("expected a comma: {rest}"))?.trim_start();
    }
    Ok(found)
}

fn word(text: &str) -> Option<(String, &str)> {
    let reserved = |c: char| c.is_whitespace() || "{}!=~,\\\"'`".contains(c);
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(reserved).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })?;
    let value = unquote(&quoted[..end], '"')?;
    Some((value, &quoted[end + 1..]))
}

/// The matchers of the old maps: values that must be equal, and patterns.
pub fn of_maps(equal: &BTreeMap<String, String>, regex: &BTreeMap<String, String>) -> Result<Vec<Matcher>, String> {
    let equal = equal.iter().map(|(name, value)| Matcher::new(name, Op::Equal, value));
    equal.chain(regex.iter().map(|(name, value)| Matcher::new(name, Op::Regex, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, syntax: Syntax) -> String {
        match line(text, syntax) {
            Ok(all) => all.iter().map(Matcher::to_string).collect::<Vec<_>>().join(" "),
            Err(why) => format!("error: {why}"),
        }
    }

    #[test]
    fn reads_both_syntaxes() {
        assert_eq!(show("env = test", Syntax::Classic), "env=\"test\"");
        assert_eq!(show("{a=\"b, c\",d!~e|f, }", Syntax::Classic), "a=\"b, c\" d!~\"e|f\"");
        assert_eq!(show("a=", Syntax::Classic), "a=\"\"");
        assert_eq!(show("", Syntax::Classic), "");
        assert_eq!(show(r#"a="say \"hi\"""#, Syntax::Fallback), r#"a="say \"hi\"""#);
        assert_eq!(show("\"a b\"=c", Syntax::Fallback), "a b=\"c\"");
        for broken in ["severity \"critical\"", "a", "=b", "a=\"b", "a=b\"", "a=~\"[\"", "1a=b"] {
            assert!(show(broken, Syntax::Classic).starts_with("error"), "{broken}");
        }
        assert!(show("\"a b\"=c", Syntax::Classic).starts_with("error"));
        assert_eq!(show("1a=b", Syntax::Fallback), "1a=\"b\"");
    }

    #[test]
    fn matches_the_whole_value() {
        let one = |text: &str, value: &str| matchers(text).expect("reads")[0].matches(value);
        assert_eq!(one("a=~b|c", "bc"), Some(false));
        assert_eq!(one("a!=b", ""), Some(true));
        assert_eq!(one("a=~.*", "x y"), Some(true));
    }
}
