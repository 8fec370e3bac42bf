//! The terminal: who writes where, colour, width, progress, and the escaping of text that came from outside.

mod ask;
mod printer;
mod progress;
mod sanitize;

pub use ask::Asking;
pub use printer::Printer;
pub use progress::Progress;
pub use sanitize::{sanitize, sanitize_lines};

/// The candidate nearest to what was typed, if it is near enough to be meant.
pub fn suggest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let score = |c: &str| {
        // A part of the name is a better sign than a few equal letters.
        if c.contains(typed) || typed.contains(c) { 1.0 } else { strsim::jaro_winkler(typed, c) }
    };
    let scored = candidates.into_iter().map(|c| (score(c), c)).filter(|(s, _)| *s > 0.75);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}
