//! What a word is, here and where the words of the code are gathered (`build.rs`).

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).flat_map(parts)
}

/// A word as it is looked up: in small letters, and without the number at its end.
pub(crate) fn stem(word: &str) -> String {
    word.trim_end_matches(|c: char| c.is_ascii_digit()).to_lowercase()
}

/// The parts of a `camelCaseWord`; anything else is one.
pub(crate) fn parts(word: &str) -> Vec<&str> {
    let bytes = word.as_bytes();
    let is_plain = bytes.iter().all(u8::is_ascii_alphabetic);
    let begins = |at: usize| {
        let (before, next) = (bytes[at - 1], bytes.get(at + 1));
        bytes[at].is_ascii_uppercase() && (before.is_ascii_lowercase() || next.is_some_and(u8::is_ascii_lowercase))
    };
    let mut parts = Vec::new();
    let mut start = 0;
    for at in (1..word.len()).filter(|at| is_plain && begins(*at)) {
        parts.push(&word[start..at]);
        start = at;
    }
    parts.push(&word[start..]);
    parts
}
