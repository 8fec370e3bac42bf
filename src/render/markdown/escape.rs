//! Text from outside as Markdown: nothing of it becomes markup, a link, an image or a mention.

use crate::term::{sanitize, sanitize_lines};

/// A line of prose.
pub(crate) fn text(line: &str) -> String {
    let line = sanitize(line);
    let letters: Vec<char> = line.chars().collect();
    let mut out = String::with_capacity(line.len() + 8);
    for (at, letter) in letters.iter().copied().enumerate() {
        let beside = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|c| c.is_alphanumeric());
        let inside = beside(at.checked_sub(1)) && beside(Some(at + 1));
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            // Within a word it is a letter.
            '_' if inside => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                out.push('\\');
                out.push(letter);
            }
            '#' | '-' | '+' | '=' if at == 0 => {
                out.push('\\');
                out.push(letter);
            }
            other => out.push(other),
        }
    }
    out
}

/// Prose whose words between backticks are code. Whatever stands there is text either way.
pub(crate) fn prose(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return text(line);
    }
    let part = |(at, part): (usize, &&str)| match at % 2 {
        1 if !part.is_empty() => code(part),
        _ => text(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// Text as it is, in a line.
pub(crate) fn code(line: &str) -> String {
    let line = sanitize(line);
    let ticks = "`".repeat(longest_run(&line) + 1);
    // Beside a backtick, and only there, a space keeps them apart.
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{line}{pad}{ticks}")
}

/// A block of text as it is.
pub(crate) fn fence(language: &str, body: &str) -> String {
    let body = sanitize_lines(body);
    let ticks = "`".repeat((longest_run(&body) + 1).max(3));
    format!("{ticks}{language}\n{}\n{ticks}", body.trim_end())
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for letter in text.chars() {
        run = if letter == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::*;

    /// What a reader sees, and every event that is markup.
    fn read(markdown: &str) -> (String, Vec<String>) {
        let (mut seen, mut markup) = (String::new(), Vec::new());
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
        for event in Parser::new_ext(markdown, options) {
            match event {
                Event::Text(text) => seen.push_str(&text),
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                other => markup.push(format!("{other:?}")),
            }
        }
        (seen, markup)
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let evil = "<img src=x onerror=1> **b** [a](http://x) `c` ![i](j) @team ~~s~~ |t| a_b_c _d_ &lt; <!-- # h";
        assert_eq!(read(&text(evil)), (evil.to_owned(), Vec::new()));
        for line in ["# a", "- a", "+ a", "=== ", "</details>"] {
            assert_eq!(read(&text(line)).1, Vec::<String>::new(), "{line}");
        }
        assert!(!text("@team").contains('@') && !text("a\u{202e}b").contains('\u{202e}'));
    }

    #[test]
    fn prose_has_code_and_nothing_else() {
        assert_eq!(prose("set `a_b` to <x>"), "set `a_b` to &lt;x&gt;");
        assert_eq!(prose("one ` only"), "one \\` only");
        for evil in ["`<img src=x>` **b**", "a `` ` `<b>`", "`[a](x)` _b_ `c"] {
            let markup = read(&prose(evil)).1;
            assert!(markup.iter().all(|m| m.starts_with("Code(")), "{evil}: {markup:?}");
        }
    }

    #[test]
    fn code_ends_where_it_should() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a"), "`` `a ``");
        let body = "echo '```'\n</details>\n";
        assert_eq!(read(&fence("sh", body)).0, body);
    }
}
