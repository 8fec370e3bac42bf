//! Quotes that are missing or not closed: where the mistake begins, which a reader notices lines later only.

use super::attempt;
use crate::lint::{Place, Problem, with_line};

/// What is said of a template that stands without quotes.
pub(crate) const TEMPLATE: &str = ": a template has to be in quotes";

/// The quote that is behind a fault, at the place where it stands or should stand, with what the rest of that line seems to
/// be meant to be.
pub(super) fn explained(fault: &Problem, text: &str) -> Option<Problem> {
    let lines: Vec<&str> = text.lines().collect();
    not_closed(fault, &lines).or_else(|| not_quoted(fault, &lines))
}

/// The same fault, without what was meant where that does not mend it. What it brings to light is not tried in turn: a text
/// may have a fault in each of its lines.
pub(super) fn tried(mut fault: Problem, text: &str) -> Problem {
    if !mends(text, &fault) {
        fault.instead = None;
    }
    fault
}

/// A quoted text that goes on after its closing quote: a quote before was not closed, or one inside was taken for its end.
fn not_closed(fault: &Problem, lines: &[&str]) -> Option<Problem> {
    if fault.message.contains("unclosed quote") {
        // The text has no other of these quotes up to its end.
        return opened(lines, fault.place.line - 1, fault.place.column - 1);
    }
    if !fault.message.contains("invalid trailing content after") {
        return None;
    }
    let quote = if fault.message.contains("double") { '"' } else { '\'' };
    let is_odd = |line: &str| line.matches(quote).count() % 2 == 1;
    let at = fault.place.line - 1;
    // The line whose quote began the text: the nearest one above with one that has no partner.
    let above = lines.iter().take(at).enumerate().rev();
    let opening = above.filter(|(_, l)| is_odd(l)).find_map(|(line, l)| Some((line, begins(l, quote)?)));
    match opening.filter(|(line, _)| closes_late(lines, *line, at, quote)) {
        Some((line, from)) => opened(lines, line, lines[line][..from].chars().count()),
        None => inside(fault, lines.get(at)?, quote),
    }
}

/// The quote at a place is not closed on its line.
fn opened(lines: &[&str], line: usize, column: usize) -> Option<Problem> {
    let (from, quote) = lines.get(line)?.char_indices().nth(column).filter(|(_, c)| matches!(c, '"' | '\''))?;
    let place = Place { line: line + 1, column: column + 1 };
    let message = format!("not valid YAML: the quote of line {} is not closed", line + 1);
    let rest = lines[line][from..].trim_end();
    let is_one = rest.len() > 1 && !rest.contains(" #");
    Some(Problem::new(place, "", message).instead(is_one.then(|| format!("{rest}{quote}"))))
}

/// The quote that closes the text of `opening` is the first on the line of the fault.
fn closes_late(lines: &[&str], opening: usize, fault: usize, quote: char) -> bool {
    // Where a carriage return alone ends a line for the reader, it counts more of them.
    let Some(between) = lines.get(opening + 1..=fault) else { return false };
    between.iter().position(|l| l.contains(quote)).is_some_and(|first| opening + 1 + first == fault)
}

/// Where a text in quotes begins on a line and does not end on it.
fn begins(line: &str, quote: char) -> Option<usize> {
    let at = line.rfind(quote)?;
    let before = line[..at].trim_end();
    (before.is_empty() || before.ends_with([':', '-', '[', ',', '{'])).then_some(at)
}

/// Quotes inside a text in the same quotes.
fn inside(fault: &Problem, line: &str, quote: char) -> Option<Problem> {
    let from = value(line)?;
    let rest = line[from..].trim_end();
    if !rest.starts_with(quote) || !rest.ends_with(quote) || rest.len() < 2 {
        return None;
    }
    let place = Place { line: fault.place.line, column: line[..from].chars().count() + 1 };
    let message = format!("not valid YAML: the {quote} inside of the text ends it: use the other quotes around it");
    let other = if quote == '"' { '\'' } else { '"' };
    let body = &rest[1..rest.len() - 1];
    let fits = !body.contains(other) && !body.contains('\\');
    Some(Problem::new(place, "", message).instead(fits.then(|| format!("{other}{body}{other}"))))
}

/// A value that YAML reads as something else unless it is in quotes.
fn not_quoted(fault: &Problem, lines: &[&str]) -> Option<Problem> {
    let line = *lines.get(fault.place.line - 1)?;
    let from = value(line)?;
    let rest = line[from..].trim_end();
    let key = line[..from].trim_end().trim_end_matches(':').trim_start_matches([' ', '-']);
    let says = |words: &[&str]| words.iter().any(|w| fault.message.contains(w));
    let first = rest.chars().next()?;
    let place = Place { line: fault.place.line, column: line[..from].chars().count() + 1 };
    let anchor = rest.strip_prefix('*').filter(|name| says(&["anchor", "alias"]) && is_name(name) && key != "regex");
    if let Some(name) = anchor {
        let message = format!(
            "not valid YAML: *{name} stands for what &{name} marks, and nothing before it in its document is marked so"
        );
        return Some(Problem::new(place, "", message));
    }
    let why = match first {
        '{' if rest.starts_with("{{") => "begins with {{".to_owned(),
        '*' if says(&["anchor", "alias"]) => "begins with * (a reference in YAML)".to_owned(),
        // A stray letter before a key or a dash is no value.
        '@' | '`' | '%' if line[..from].trim_end().ends_with([':', '-']) => format!("begins with {first}"),
        _ if says(&["mapping values are not allowed", "illegal placement of ':'"]) && rest.contains(": ") => {
            "has a colon followed by a space".to_owned()
        }
        _ => return None,
    };
    let message = format!("not valid YAML: a value that {why} must be in quotes");
    // As a regular expression a star has to follow something.
    let meant = if first == '*' && key == "regex" { format!(".{rest}") } else { rest.to_owned() };
    Some(Problem::new(place, "", message).instead(in_quotes(&meant)))
}

/// The name of an anchor, as people write them.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// A text in quotes; none where it has both, or a comment behind it.
fn in_quotes(text: &str) -> Option<String> {
    if text.contains(" #") {
        return None;
    }
    match (text.contains('\''), text.contains(['"', '\\'])) {
        (false, _) => Some(format!("'{text}'")),
        (true, false) => Some(format!("\"{text}\"")),
        (true, true) => None,
    }
}

/// A line with what was meant in place of its rest, for a fault of quotes.
pub(crate) fn corrected(line: &str, problem: &Problem) -> Option<String> {
    let (from, _) = line.char_indices().nth(problem.place.column - 1)?;
    let (before, rest) = line.split_at(from);
    let meant = match &problem.instead {
        _ if problem.message.ends_with(TEMPLATE) => in_quotes(rest.trim_end())?,
        Some(meant) if problem.is_of_yaml() => meant.clone(),
        _ => return None,
    };
    Some(format!("{before}{meant}"))
}

/// Where the value of a line begins: behind `key:` or `-`.
fn value(line: &str) -> Option<usize> {
    let item = line.len() - line.trim_start_matches([' ', '-']).len();
    let from = line[item..].find(": ").map_or(item, |at| item + at + 2);
    let blank = line[from..].len() - line[from..].trim_start().len();
    (from + blank < line.len()).then_some(from + blank)
}

/// A copy with what was meant has no fault there or before.
fn mends(text: &str, fault: &Problem) -> bool {
    let number = fault.place.line;
    let line = text.lines().nth(number - 1).and_then(|line| corrected(line, fault));
    line.is_some_and(|line| {
        attempt(&with_line(text, number, &line), 1).map_or_else(|(_, next)| next.place.line > number, |_| true)
    })
}

#[cfg(test)]
mod tests {
    use crate::lint::yaml::document;

    fn fault(text: &str) -> (usize, usize, String, Option<String>) {
        let p = document(text).expect_err("a fault");
        (p.place.line, p.place.column, p.message.replace("not valid YAML: ", ""), p.instead)
    }

    #[test]
    fn the_place_is_where_the_mistake_begins() {
        let open = "jobs:\n- name: 'flash\n  targets: ['a:1']\n- name: 'b'\n";
        assert_eq!(fault(open), (2, 9, "the quote of line 2 is not closed".into(), Some("'flash'".into())));
        let last = "a: 1\nb: \"x\nc: 2\n";
        assert_eq!(fault(last), (2, 4, "the quote of line 2 is not closed".into(), Some("\"x\"".into())));
        let nested = "a: 1\ntitle: \"{{ template \"slack.title\" . }}\"\n";
        assert_eq!(
            fault(nested),
            (
                2,
                8,
                "the \" inside of the text ends it: use the other quotes around it".into(),
                Some("'{{ template \"slack.title\" . }}'".into())
            )
        );
        let list = "a:\n- b: [x, y\n  c:\n  - d: 1\n";
        assert_eq!(fault(list).0, 2);
    }

    #[test]
    fn values_that_need_quotes_get_them() {
        for (text, line, meant) in [
            (
                "a: 1\ntext: {{ range .Alerts }}{{ .Labels.x }}{{ end }}\n",
                2,
                "'{{ range .Alerts }}{{ .Labels.x }}{{ end }}'",
            ),
            ("a:\n- regex: *_bucket\n", 2, "'.*_bucket'"),
            ("a: 1\nchannel: @ops\n", 2, "'@ops'"),
            ("a: 1\nregex: foo: bar\nb: 2\n", 2, "'foo: bar'"),
        ] {
            let found = fault(text);
            assert_eq!((found.0, found.3.as_deref()), (line, Some(meant)), "{text}: {}", found.2);
        }
    }

    #[test]
    fn what_is_marked_nowhere_is_named() {
        let found = fault("a: &other 1\nname: *pvc\n");
        assert_eq!((found.0, found.1, found.3), (2, 7, None));
        assert!(found.2.starts_with("*pvc stands for what &pvc marks"), "{}", found.2);
    }

    #[test]
    fn a_fault_in_each_line_and_lone_carriage_returns_are_read_to_their_end() {
        let many: String = (0..20_000).map(|n| format!("k{n}: @ops\n")).collect();
        assert_eq!((fault(&many).0, fault(&many).3.as_deref()), (1, Some("'@ops'")));
        assert_eq!(fault("a: \"x\r\r  foo\n  bar\" baz\n").0, 4);
    }

    #[test]
    fn other_faults_stay_as_they_are() {
        let indent = "a:\n  b: 1\n c: 2\n";
        assert!(!fault(indent).2.contains("quote"), "{:?}", fault(indent));
    }
}
