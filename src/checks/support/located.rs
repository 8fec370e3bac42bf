//! Where in a ConfigMap a fault is written: the place that editors and annotations need.

use regex::Match;

use crate::lint::{Place, frame};
use crate::model::{Location, ResourceRef};
use crate::text::pattern::pattern;

/// A longer line is not shown around the column.
const WIDTH: usize = 100;

/// A text of a ConfigMap.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) map: &'a ResourceRef,
    pub(crate) key: &'a str,
    pub(crate) text: &'a str,
}

impl Text<'_> {
    /// A line of it, by its number from 1; none where the text ends before. A parser may complain of the line behind the last.
    pub(crate) fn line(self, line: usize) -> Option<Location> {
        let written = self.text.lines().nth(line.checked_sub(1)?).unwrap_or_default();
        let column = written.chars().take_while(|c| c.is_whitespace()).count() + 1;
        let excerpt = frame(self.text, Place { line, column });
        (!excerpt.is_empty()).then(|| self.at(line, column, excerpt))
    }

    /// The first line that is meant.
    pub(crate) fn first_line(self, is_meant: impl Fn(&str) -> bool) -> Option<Location> {
        self.line(self.text.lines().position(is_meant)? + 1)
    }

    /// Where JSON has a word in the value of one of these keys: as the whole value, or as a word of its own in it.
    pub(crate) fn value(self, keys: &[&str], word: &str) -> Option<Location> {
        // Quotes within a text are escaped in JSON, so none of them ends a key.
        let values = pattern!(r#""(\w+)"\s*:\s*"((?:[^"\\]|\\.)*)""#).captures_iter(self.text);
        let own = values.filter(|found| keys.contains(&&found[1])).filter_map(|found| found.get(2));
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
        let alone = |at: &usize| {
            let (before, after) = (&self.text[..*at], &self.text[at + word.len()..]);
            !word.is_empty() && !before.ends_with(is_part) && !after.starts_with(is_part)
        };
        let in_value =
            |value: Match<'_>| value.as_str().match_indices(word).map(|(within, _)| value.start() + within).find(alone);
        let at = own.into_iter().find_map(in_value)?;
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        // JSON of one line: what stands around the column is far from the keys that would tell a credential.
        let excerpt = match column > WIDTH {
            true => word.to_owned(),
            false => frame(self.text, Place { line, column }),
        };
        Some(self.at(line, column, excerpt))
    }

    fn at(self, line: usize, column: usize, excerpt: String) -> Location {
        let place = Location::object(self.map.clone()).field(format!("data[{}]", self.key));
        place.at(line, Some(column)).excerpt(excerpt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, keys: &[&str], word: &str) -> Option<(usize, usize, String)> {
        let map = ResourceRef::config_map("monitoring", "boards");
        let found = Text { map: &map, key: "a.json", text }.value(keys, word)?;
        assert_eq!(found.field, "data[a.json]");
        Some((found.line?, found.column?, found.excerpt))
    }

    #[test]
    fn a_word_is_looked_for_in_the_values_of_its_keys() {
        let text =
            "{\n  \"title\": \"orders_total\",\n  \"expr\": \"sum(rate(orders_total{a=\\\"x\\\"}[5m])) or orders\"\n}";
        let (line, column, excerpt) = place(text, &["expr"], "orders_total").expect("it is there");
        assert_eq!((line, column), (3, 21));
        assert!(excerpt.contains("3 |   \"expr\""), "{excerpt}");
        assert_eq!(place(text, &["expr"], "orders").map(|p| (p.0, p.1)), Some((3, 52)), "no part of another name");
        assert_eq!(place(text, &["uid"], "orders_total"), None);
        assert_eq!(place(text, &["expr"], ""), None);
    }

    #[test]
    fn a_long_line_shows_the_word_alone() {
        let text = format!("{{\"password\": \"{}\", \"uid\": \"gone\"}}", "x".repeat(200));
        let (line, _, excerpt) = place(&text, &["uid"], "gone").expect("it is there");
        assert_eq!((line, excerpt.as_str()), (1, "gone"));
    }

    #[test]
    fn a_line_that_is_not_there_has_no_place() {
        let map = ResourceRef::config_map("kube-system", "coredns");
        let text = Text { map: &map, key: "Corefile", text: ".:53 {\n    forward . 10.0.0.2\n}\n" };
        assert_eq!(text.line(2).and_then(|l| l.column), Some(5));
        assert_eq!(text.first_line(|l| l.contains("forward")), text.line(2));
        assert!(text.line(0).is_none() && text.line(9).is_none());
    }
}
