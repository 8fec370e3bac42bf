//! Lines that are not wider than a window.

use unicode_width::UnicodeWidthChar;

/// A line that is not wider than the window, with a sign where it was cut: a wrapped one would shift everything below it.
/// Colours count nothing.
pub(super) fn clip(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            out.push(letter);
            out.push_str(&escape(&mut letters));
            continue;
        }
        used += letter.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(letter);
    }
    out.push('…');
    // What was cut off may have been the end of a colour.
    if line.contains('\u{1b}') {
        out.push_str("\u{1b}[0m");
    }
    out
}

fn columns(line: &str) -> usize {
    let mut letters = line.chars();
    let mut columns = 0;
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            escape(&mut letters);
        } else {
            columns += letter.width().unwrap_or(0);
        }
    }
    columns
}

/// The rest of an escape sequence, up to its letter.
fn escape(letters: &mut std::str::Chars<'_>) -> String {
    let mut rest = String::new();
    for letter in letters {
        rest.push(letter);
        if letter.is_ascii_alphabetic() {
            break;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_what_is_seen_of_them() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("한국어", 5), "한국…");
        let colored = "\u{1b}[31mabcdef\u{1b}[0m";
        assert_eq!(clip(colored, 10), colored);
        assert_eq!(clip(colored, 3), "\u{1b}[31mab…\u{1b}[0m");
    }
}
