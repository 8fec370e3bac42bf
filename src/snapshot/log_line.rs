//! Lines of logs as Go programs write them: logfmt or JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// When a line was written (`ts`, `time` or `t`).
pub fn time(fields: &BTreeMap<String, String>) -> Option<Timestamp> {
    ["ts", "time", "t"].iter().find_map(|key| fields.get(*key)?.parse().ok())
}

/// The fields of a line, logfmt or JSON.
pub fn fields(line: &str) -> BTreeMap<String, String> {
    let line = line.trim();
    if line.starts_with('{') {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap_or_default();
        return object.into_iter().filter_map(|(k, v)| Some((k, v.as_str()?.to_owned()))).collect();
    }
    let mut found = BTreeMap::new();
    let mut rest = line;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.rsplit(' ').next().unwrap_or(key);
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => match after.split_once(' ') {
                Some((value, left)) => (value.to_owned(), left),
                None => (after.to_owned(), ""),
            },
        };
        found.entry(key.to_owned()).or_insert(value);
        rest = left;
    }
    found
}

/// A Go-quoted string up to its closing quote, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (out, &text[at + 1..]),
            '\\' => match letters.next().map(|(_, l)| l) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => break,
            },
            other => out.push(other),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_give_the_same_fields() {
        let logfmt = fields(r#"time=2026-01-02T03:04:05Z level=WARN msg="a \"b\"" n=1"#);
        let json = fields(r#"{"ts":"2026-01-02T03:04:05Z","level":"WARN","msg":"a \"b\""}"#);
        assert_eq!(logfmt.get("msg").map(String::as_str), Some("a \"b\""));
        assert_eq!(logfmt.get("msg"), json.get("msg"));
        assert_eq!(time(&logfmt), time(&json));
        assert!(time(&json).is_some());
    }
}
