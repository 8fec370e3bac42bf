//! Long texts in a line: an error says at its beginning what was tried, and at its end why that failed.

use crate::text::redact::mask;

/// At most about `max` letters of a text, in one line, without secrets. What is too long loses its middle, and no word is cut.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    // What gives a secret away may stand in the part that goes.
    let masked = mask(text);
    let words: Vec<&str> = masked.split_whitespace().collect();
    let letters = |word: &&str| word.chars().count() + 1;
    if words.iter().map(letters).sum::<usize>() <= max + 1 {
        return words.join(" ");
    }
    let mut room = max / 2;
    let head = words.iter().take_while(|w| {
        let fits = letters(w) <= room;
        room = room.saturating_sub(letters(w));
        fits
    });
    let head = head.count();
    let mut room = max - max / 2;
    let tail = words[head..].iter().rev().take_while(|w| {
        let fits = letters(w) <= room;
        room = room.saturating_sub(letters(w));
        fits
    });
    let tail = tail.count();
    if head + tail == 0 {
        let begin: String = masked.chars().take(max).collect();
        return format!("{begin}…");
    }
    let parts = [words[..head].join(" "), "…".to_owned(), words[words.len() - tail..].join(" ")];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_stay_and_no_word_is_cut() {
        assert_eq!(shorten(" a  b\nc ", 20), "a b c");
        let long = format!("failed calling webhook: {} no endpoints available", "and so on ".repeat(50));
        let short = shorten(&long, 60);
        assert!(short.starts_with("failed calling webhook:") && short.ends_with("no endpoints available"), "{short}");
        assert!(short.chars().count() <= 62 && short.contains(" … "), "{short}");
        assert_eq!(shorten(&"x".repeat(90), 10), format!("{}…", "x".repeat(10)));
    }

    #[test]
    fn no_secret_loses_what_gives_it_away() {
        let text = format!("{} Authorization: Bearer s3cretT0ken.abc {}", "w ".repeat(20), "v ".repeat(20));
        for max in 10..90 {
            assert!(!shorten(&text, max).contains("s3cret"), "{max}");
        }
    }
}
