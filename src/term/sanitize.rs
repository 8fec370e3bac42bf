//! Escapes what a terminal would obey: control characters and bidirectional overrides in text from outside.

/// One line: every control character, line breaks included, becomes visible.
pub fn sanitize(text: &str) -> String {
    text.chars().map(|c| if needs_escape(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Several lines: line breaks stay, tabs become spaces, everything else as in [`sanitize`].
pub fn sanitize_lines(text: &str) -> String {
    text.replace('\t', "    ").lines().map(sanitize).collect::<Vec<_>>().join("\n")
}

/// A JSON document: what a terminal would obey is escaped as JSON does it, so that it means the same.
pub fn json_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter != '\n' && needs_escape(letter) {
            // All of them are of one unit.
            out.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    out
}

fn needs_escape(c: char) -> bool {
    // Overrides and isolates can make a command read as another one (CVE-2021-42574); zero-width ones hide parts.
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(sanitize("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(sanitize("naïve 한국어 ✓"), "naïve 한국어 ✓");
        let json = json_escaped("{\n  \"a\": \"\u{9b}2J\u{202e}x\"\n}");
        assert_eq!(json, "{\n  \"a\": \"\\u009b2J\\u202ex\"\n}");
        assert_eq!(sanitize_lines("a\n\tb\r\u{7}"), "a\n    b\\r\\u{7}");
    }
}
