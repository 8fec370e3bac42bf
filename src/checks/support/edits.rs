//! Lines of a file as they should be. Each edit is applied to a copy, which is judged again: what does not mend its fault, or
//! makes another, is not shown.

use std::collections::BTreeMap;

use crate::lint::yaml::quotes;
use crate::lint::{Place, Problem, with_line};

/// Problems whose lines are shown.
pub(crate) const SHOWN: usize = 5;

/// What is wrong with a copy of the text of which a line was changed; `None` where it cannot be read any more.
pub(crate) type Again<'a> = &'a dyn Fn(&str, Place) -> Option<Vec<Problem>>;

/// The lines of a text as they should be, where that can be told.
pub(crate) fn edits(text: &str, problems: &[Problem], again: Again<'_>) -> String {
    let mut by_line: BTreeMap<usize, Vec<&Problem>> = BTreeMap::new();
    for problem in problems.iter().take(SHOWN) {
        by_line.entry(problem.place.line).or_default().push(problem);
    }
    let mut out = Vec::new();
    for (number, mut wrong) in by_line {
        let Some(line) = text.lines().nth(number - 1) else { continue };
        // From the right, so that the columns of the others stay.
        wrong.sort_by_key(|p| std::cmp::Reverse(p.place.column));
        let mut new = line.to_owned();
        for problem in wrong {
            let Some(corrected) = corrected(&new, problem) else { continue };
            if mends(text, &corrected, problem, problems, again) {
                new = corrected;
            }
        }
        if new != line {
            out.push(format!("# line {number}, now: {}\n{new}", line.trim()));
        }
    }
    out.join("\n")
}

/// The problem is gone in the copy, and the line has no new one.
fn mends(text: &str, line: &str, problem: &Problem, before: &[Problem], again: Again<'_>) -> bool {
    let copy = with_line(text, problem.place.line, line);
    let Some(after) = again(&copy, problem.place) else { return false };
    let same = |a: &Problem, b: &Problem| a.message == b.message && a.place.line == b.place.line;
    let is_new = |p: &Problem| p.place.line == problem.place.line && !before.iter().any(|b| same(b, p));
    // Another fault further down was hidden by this one.
    let broken = |p: &Problem| p.is_of_yaml() && !problem.is_of_yaml();
    !after.iter().any(|p| same(p, problem) || is_new(p) || broken(p))
}

/// A line with what was meant in place of what is wrong.
fn corrected(line: &str, problem: &Problem) -> Option<String> {
    if let Some(line) = quotes::corrected(line, problem) {
        return Some(line);
    }
    let meant = problem.instead.as_deref()?;
    let from = line.char_indices().nth(problem.place.column - 1)?.0;
    let (before, rest) = line.split_at(from);
    let name = problem.path.rsplit('.').next()?.split('[').next()?;
    // A key: it is renamed.
    let quoted = rest.strip_prefix(['"', '\'']).filter(|r| r.starts_with(name));
    let key = quoted.unwrap_or(rest);
    if let Some(after) = key.strip_prefix(name)
        && after.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
    {
        let open = &rest[..rest.len() - key.len()];
        return Some(format!("{before}{open}{meant}{after}"));
    }
    let length = token(before, rest)?;
    let (old, after) = rest.split_at(length);
    if meant.starts_with(&format!("{name}: ")) {
        return Some(format!("{}{}{after}", before, meant.strip_prefix(&format!("{name}: "))?));
    }
    let quote = old.chars().next().filter(|c| matches!(c, '"' | '\''));
    let bare = quote.map_or(old, |q| old.trim_matches(q));
    let fault = ["could not parse expression: ", "template: "];
    let fault = fault.iter().find_map(|f| problem.message.split_once(f)).map_or("", |(_, f)| f);
    // `1:7: parse error: …`
    let fault = fault.split_once("parse error: ").map_or(fault, |(_, f)| f);
    let named = ["undefined variable", "unknown function", "function \""].iter().any(|w| fault.starts_with(w));
    let fault = if named { fault } else { "" };
    let part = fault.split('"').skip(1).step_by(2).find(|w| !w.is_empty() && bare != *w && bare.contains(*w));
    let new = part.map_or_else(|| meant.to_owned(), |word| replaced(bare, word, meant));
    Some(match quote {
        Some(q) if !new.contains(q) => format!("{before}{q}{new}{q}{after}"),
        Some(_) => return None,
        None => format!("{before}{new}{after}"),
    })
}

/// Every `word` of a text, but not where it is only the beginning or the end of another.
fn replaced(text: &str, word: &str, meant: &str) -> String {
    let is_letter = |c: char| c == '_' || c.is_alphanumeric();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let inside = (word.starts_with(is_letter) && before.ends_with(is_letter)) || after.starts_with(is_letter);
        out.push_str(before);
        out.push_str(if inside { word } else { meant });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Length of the scalar that a line goes on with; none for a block text.
fn token(before: &str, rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    if matches!(first, '|' | '>' | '[' | '{' | '&' | '*' | '!') {
        return None;
    }
    if matches!(first, '"' | '\'') {
        return quoted(rest, first);
    }
    let flow = before.contains(['[', '{']);
    let end = if flow { rest.find([',', ']', '}']) } else { rest.find(" #") };
    Some(rest[..end.unwrap_or(rest.len())].trim_end().len())
}

/// Length of a text in quotes, by the escapes of YAML.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        let next = letters.peek().map(|(_, c)| *c);
        match (letter, quote) {
            ('\\', '"') => drop(letters.next()),
            ('\'', '\'') if next == Some('\'') => drop(letters.next()),
            (letter, quote) if letter == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::lint::{alertmanager, prometheus, rules};

    type Lint = fn(&str) -> Vec<Problem>;

    fn of_prometheus(text: &str) -> Vec<Problem> {
        prometheus::lint(text, prometheus::Options::default())
    }

    fn of_rules(text: &str) -> Vec<Problem> {
        rules::lint(text, rules::Options::default())
    }

    fn of_alertmanager(text: &str) -> Vec<Problem> {
        alertmanager::check(text, None).refused
    }

    fn suggested(text: &str, lint: Lint) -> String {
        edits(text, &lint(text), &|copy, _| Some(lint(copy)))
    }

    /// The text with the lines that an edit shows.
    fn applied(text: &str, edit: &str) -> String {
        let mut copy = text.to_owned();
        let mut lines = edit.lines();
        while let (Some(head), Some(line)) = (lines.next(), lines.next()) {
            let number = head.strip_prefix("# line ").and_then(|h| h.split(',').next()?.parse().ok());
            copy = with_line(&copy, number.unwrap_or_else(|| panic!("{head}")), line);
        }
        copy
    }

    #[test]
    fn lines_are_corrected_in_place() {
        for (text, expected) in [
            (
                "groups:\n- name: a\n  rules:\n  - record: a\n    expr: rate(x) / rate(y[1m])\n",
                "    expr: rate(x[5m]) / rate(y[1m])",
            ),
            ("scrape_configs:\n- job_name: a\n  metric_path: /live  # health\n", "  metrics_path: /live  # health"),
            ("global:\n  scrape_interval: 15sec # often\n", "  scrape_interval: 15s # often"),
            (
                "global: {scrape_interval: \"15\", scrape_timeout: 5s}\n",
                "global: {scrape_interval: \"15s\", scrape_timeout: 5s}",
            ),
            ("rule_files: /a/*.yml\n", "rule_files: ['/a/*.yml']"),
            (
                "scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: ['http://web:80/live', b]\n",
                "  - targets: ['web:80', b]",
            ),
            (
                "groups:\n- name: a\n  rules:\n  - {alert: a, expr: up, annotations: {s: '{{ $label.x }} down'}}\n",
                "  - {alert: a, expr: up, annotations: {s: '{{ $labels.x }} down'}}",
            ),
            ("groups:\n- name: a\n  rules:\n  - record: a\n    expr: sum(rate(x))\n", "    expr: sum(rate(x[5m]))"),
            (
                "groups:\n- name: a\n  rules:\n  - record: a\n    expr: sum(ratee(x[5m]))\n",
                "    expr: sum(rate(x[5m]))",
            ),
        ] {
            let lint: Lint = if text.contains("groups:") { of_rules } else { of_prometheus };
            assert_eq!(suggested(text, lint).lines().last(), Some(expected), "{text}");
        }
        let block = |expr: &str| format!("groups:\n- name: a\n  rules:\n  - record: a\n    expr: |\n      {expr}\n");
        assert_eq!(suggested(&block("rate(x)"), of_rules).lines().last(), Some("      rate(x[5m])"));
        assert_eq!(suggested(&block("rate(x)\n      > 1"), of_rules), "");
    }

    #[test]
    fn a_word_is_replaced_where_it_is_a_word() {
        let text = "groups:\n- name: a\n  rules:\n  - {alert: a, expr: up, annotations: {s: '{{ $label.x }} {{ $labels.y }} label'}}\n";
        let expected = "  - {alert: a, expr: up, annotations: {s: '{{ $labels.x }} {{ $labels.y }} label'}}";
        assert_eq!(suggested(text, of_rules).lines().last(), Some(expected));
        assert_eq!(replaced("a ab ba a_ a", "a", "b"), "b ab ba a_ b");
    }

    #[test]
    fn what_would_break_the_file_is_not_suggested() {
        // Quotes of the expression are escapes of the text around it.
        let text = "groups:\n- name: a\n  rules:\n  - record: a\n    expr: \"rate(x{a=\\\"b\\\"})\"\n";
        assert_eq!(of_rules(text).len(), 1);
        let edit = suggested(text, of_rules);
        assert!(edit.is_empty() || of_rules(&applied(text, &edit)).is_empty(), "{edit}");
    }

    #[derive(Deserialize)]
    struct Handmade {
        rules: bool,
        text: String,
    }

    #[derive(Deserialize)]
    struct Alertmanagers {
        base: String,
        cases: Vec<Edit>,
    }

    #[derive(Deserialize)]
    struct Edit {
        #[serde(default)]
        from: String,
        #[serde(default)]
        to: String,
        text: Option<String>,
    }

    fn fixture<T: for<'de> Deserialize<'de>>(name: &str) -> T {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
        serde_json::from_str(&std::fs::read_to_string(path).expect("is there")).expect("is JSON")
    }

    /// Slips of the pen in a text: a letter that is missing, twice, or swapped with the next, in some of its words.
    fn mutants(text: &str) -> Vec<String> {
        let letters: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()).collect();
        let step = (letters.len() / 24).max(1);
        let mut all = Vec::new();
        for (at, letter) in letters.iter().step_by(step).copied() {
            let (before, after) = (&text[..at], &text[at + 1..]);
            all.push(format!("{before}{after}"));
            all.push(format!("{before}{letter}{letter}{after}"));
            if let Some(next) = after.chars().next().filter(char::is_ascii_alphabetic) {
                all.push(format!("{before}{next}{letter}{}", &after[1..]));
            }
        }
        all
    }

    #[test]
    fn every_suggested_edit_mends_its_file() {
        let mut texts: Vec<(String, Lint)> = Vec::new();
        for handmade in fixture::<Vec<Handmade>>("promtool/handmade.json") {
            let lint: Lint = if handmade.rules { of_rules } else { of_prometheus };
            texts.extend(mutants(&handmade.text).into_iter().map(|t| (t, lint)));
            texts.push((handmade.text, lint));
        }
        let all: Alertmanagers = fixture("amtool/edits.json");
        for case in all.cases {
            let text = case.text.unwrap_or_else(|| all.base.replacen(&case.from, &case.to, 1));
            texts.push((text, of_alertmanager));
        }
        texts.extend(mutants(&all.base).into_iter().map(|t| (t, of_alertmanager as Lint)));
        let mut count = 0;
        for (text, lint) in &texts {
            let before = lint(text);
            let edit = suggested(text, *lint);
            if edit.is_empty() {
                continue;
            }
            count += 1;
            let after = lint(&applied(text, &edit));
            let lines: Vec<usize> =
                edit.lines().filter_map(|l| l.strip_prefix("# line ")?.split(',').next()?.parse().ok()).collect();
            let left = |p: &&Problem| lines.contains(&p.place.line) && !before.iter().any(|b| b.message == p.message);
            // A section that could not be read may have faults of its own, which come to light on other lines.
            assert_eq!(after.iter().find(left), None, "{text}\n{edit}");
            assert!(!after.iter().any(|p| p.message.contains("not valid YAML")), "{text}\n{edit}");
        }
        assert!(texts.len() > 5_000 && count > 500, "{count} edits of {} texts", texts.len());
    }
}
