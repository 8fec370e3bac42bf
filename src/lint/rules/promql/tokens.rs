//! The tokens of an expression, also of one that the parser does not take.

/// A word, a sign, a text in quotes; no comment.
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// Where it begins.
    pub(super) at: usize,
}

/// A word outside strings and comments.
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// Where it begins.
    pub(super) at: usize,
    /// A parenthesis follows.
    pub(super) call: bool,
}

fn is_letter(c: char) -> bool {
    c == '_' || c == ':' || c == '.' || c.is_alphanumeric()
}

/// All of them, in their order.
pub(super) fn tokens(expr: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = expr[at..].chars().next() {
        let rest = &expr[at..];
        let length = match c {
            '"' | '\'' | '`' => string(rest, c),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if is_letter(c) => rest.find(|c: char| !is_letter(c)).unwrap_or(rest.len()),
            '=' | '!' | '<' | '>' if rest[1..].starts_with(['=', '~']) => 2,
            c => c.len_utf8(),
        };
        if !c.is_whitespace() && c != '#' {
            found.push(Token { text: &rest[..length], at });
        }
        at += length;
    }
    found
}

/// The words among them.
pub(super) fn words(expr: &str) -> Vec<Word<'_>> {
    let words = tokens(expr).into_iter().filter(|token| token.text.starts_with(is_letter));
    let word = |Token { text, at }| Word { text, at, call: expr[at + text.len()..].trim_start().starts_with('(') };
    words.map(word).collect()
}

/// Length of the text in quotes at the beginning of a text.
pub(super) fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if quote != '`' && !escaped => escaped = true,
            c if c == quote && !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}
