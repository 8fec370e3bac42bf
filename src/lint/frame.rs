//! The excerpt of a file around a place.

use super::Place;
use crate::text::redact::mask_file;

/// Lines before and after.
const AROUND: usize = 2;
/// A longer line is cut.
const WIDTH: usize = 100;

/// Lines around a place with their numbers and a caret below the column, as compilers print them; without secrets.
pub fn frame(text: &str, place: Place) -> String {
    let first = place.line.saturating_sub(AROUND).max(1);
    let last = place.line + AROUND;
    let all: Vec<&str> = text.lines().take(last).collect();
    // Whose value a line is says a key above it: all keys since the last one of the file itself are read.
    let is_own = |line: &&str| line.starts_with(|c: char| c.is_alphabetic() || matches!(c, '"' | '\''));
    let start = all.iter().take(first).rposition(is_own).unwrap_or(0);
    let masked = mask_file(&all.get(start..).unwrap_or_default().join("\n"));
    let lines: Vec<(usize, &str)> = masked
        .split('\n')
        .enumerate()
        .map(|(at, l)| (at + start + 1, l))
        .filter(|(n, _)| (first..=last.min(all.len())).contains(n))
        .collect();
    let digits = lines.last().map_or(1, |(n, _)| n.to_string().len());
    let mut out = Vec::new();
    for (number, line) in lines {
        // A tab has no fixed width: the caret would stand elsewhere.
        let shown: String = line.chars().map(|c| if c == '\t' { '→' } else { c }).take(WIDTH).collect();
        out.push(format!("{number:>digits$} | {shown}").trim_end().to_owned());
        if number == place.line && place.column <= WIDTH {
            out.push(format!("{:digits$} | {:>width$}", "", "^", width = place.column));
        }
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secret_near_the_place() {
        let text =
            "a: 1\nb:\n  password: |\n    s3cr3t\n    s3cr3t\n    s3cr3t\n\tapi_key: s3cr3t\n  app_tokex s3cr3t\n";
        for line in 1..=9 {
            let shown = frame(text, Place { line, column: 1 });
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
        assert!(frame(text, Place { line: 7, column: 1 }).contains("7 | →api_key: <redacted>"));
    }

    #[test]
    fn points_at_the_column() {
        let text = "a: 1\nb:\n  c: 2\n\td: 3\ne: 4\nf: 5\n";
        let expected = "1 | a: 1\n2 | b:\n3 |   c: 2\n  |   ^\n4 | →d: 3\n5 | e: 4";
        assert_eq!(frame(text, Place { line: 3, column: 3 }), expected);
        assert_eq!(frame("x", Place { line: 9, column: 1 }), "");
    }
}
