//! Reads a text for what has to be replaced in it.

use std::net::{IpAddr, Ipv4Addr};

/// What reads a text decides what stands where.
pub(super) trait Reader {
    /// A word, what stands before it, and the word before that.
    fn word(&mut self, word: &str, before: Before<'_>) -> Option<String>;
    /// An address, or a network of so many bits.
    fn address(&mut self, address: IpAddr, prefix: Option<u8>) -> Option<String>;
    /// True where a word is one that is replaced.
    fn knows(&self, word: &str) -> bool;
}

/// What stands before a word.
#[derive(Clone, Copy, Default)]
pub(super) struct Before<'a> {
    /// The letter.
    pub(super) letter: Option<char>,
    /// The word that ended there, if that is one letter before.
    pub(super) word: &'a str,
}

/// The text with what the reader puts in its place.
pub(super) fn rewrite(text: &str, reader: &mut impl Reader) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = Before::default();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let escape = escape(rest, reader);
        if escape > 0 {
            let (head, tail) = rest.split_at(escape);
            out.push_str(head);
            (before, rest) = (Before { letter: Some('\\'), word: "" }, tail);
            continue;
        }
        let is_start = (letter.is_ascii_hexdigit() || letter == ':')
            && !before.letter.is_some_and(|c| c.is_alphanumeric() || c == '.');
        if is_start && let Some((length, address, prefix, dashes)) = address(rest, before) {
            match reader.address(address, prefix) {
                Some(new) if dashes => out.push_str(&new.replace('.', "-")),
                Some(new) => out.push_str(&new),
                None => out.push_str(&rest[..length]),
            }
            (before, rest) = (Before { letter: Some('0'), word: "" }, &rest[length..]);
            continue;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        if end == 0 {
            out.push(letter);
            let word = if before.letter.is_some_and(char::is_alphanumeric) { before.word } else { "" };
            (before, rest) = (Before { letter: Some(letter), word }, &rest[letter.len_utf8()..]);
            continue;
        }
        let (word, tail) = rest.split_at(end);
        match reader.word(word, before) {
            Some(new) => out.push_str(&new),
            None => out.push_str(word),
        }
        (before, rest) = (Before { letter: word.chars().next_back(), word }, tail);
    }
    out
}

/// The length of what stands for another letter: `%2F`, and in quoted texts `\n`, `\\n`, `\u003c`.
fn escape(text: &str, reader: &impl Reader) -> usize {
    let hex = |text: &str, from: usize, to: usize| {
        text.get(from..to).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if text.starts_with('%') {
        return if hex(text, 1, 3) { 3 } else { 0 };
    }
    let slashes = text.bytes().take_while(|b| *b == b'\\').count();
    let after = &text[slashes..];
    let length = match after.bytes().next() {
        _ if slashes == 0 => return 0,
        Some(b'u') if hex(after, 1, 5) => 5,
        Some(b'n' | b't' | b'r' | b'b' | b'f') => 1,
        _ => return slashes,
    };
    // `DOMAIN\name`
    let word = &after[..after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len())];
    if reader.knows(word) && !reader.knows(word.get(length..).unwrap_or_default()) {
        return slashes;
    }
    slashes + length
}

/// An address at the beginning of a text: its length, its prefix as a network, and whether its numbers stand between dashes.
fn address(text: &str, before: Before<'_>) -> Option<(usize, IpAddr, Option<u8>, bool)> {
    let run = |is_in: fn(char) -> bool| &text[..text.find(|c: char| !is_in(c)).unwrap_or(text.len())];
    let ends = |length: usize| !text[length..].starts_with(|c: char| c.is_alphanumeric());
    let dotted = run(|c| c.is_ascii_digit() || c == '.').trim_end_matches('.');
    let colons = || run(|c| c.is_ascii_hexdigit() || c == ':' || c == '.').trim_end_matches('.');
    let found = dotted.parse::<IpAddr>().ok().map(|address| (dotted.len(), address)).or_else(|| {
        let colons = colons();
        let v6 = |text: &str| text.parse::<IpAddr>().ok().map(|address| (text.len(), address));
        if colons.bytes().filter(|b| *b == b':').count() < 2 {
            return None;
        }
        v6(colons).or_else(|| v6(colons.trim_end_matches(':')))
    });
    if let Some((length, address)) = found.filter(|(length, _)| ends(*length)) {
        let digits = text[length..].strip_prefix('/').map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse::<u8>().ok().filter(|_| !rest[end..].starts_with(char::is_alphanumeric))
        });
        let most = if address.is_ipv4() { 32 } else { 128 };
        return Some((length, address, digits.flatten().filter(|prefix| *prefix <= most), false));
    }
    let dashed = run(|c| c.is_ascii_digit() || c == '-').trim_end_matches('-');
    let is_host = matches!(before.word, "ip" | "ec2") || text[dashed.len()..].starts_with('.');
    let v4 = dashed.replace('-', ".").parse::<Ipv4Addr>().ok().filter(|_| is_host && ends(dashed.len()))?;
    Some((dashed.len(), v4.into(), None, true))
}
