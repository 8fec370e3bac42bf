//! What gRPC says of a message that is too large.

/// Of the side that gets it, and of the side that sends it.
const WORDS: &[&str] = &["received message larger than max (", "trying to send message larger than max ("];

/// A message was larger than is taken.
pub(crate) fn is_too_large(text: &str) -> bool {
    WORDS.iter().any(|w| text.contains(w))
}

/// Its size and the limit, in bytes: `(5955344 vs. 4194304)`.
pub(crate) fn sizes(text: &str) -> Option<(u64, u64)> {
    let rest = WORDS.iter().find_map(|w| text.split_once(w))?.1;
    let (size, limit) = rest.split(')').next()?.split_once(" vs. ")?;
    Some((size.parse().ok()?, limit.parse().ok()?))
}

/// The same for a reader, in parentheses after a space; empty where it is not said.
pub(crate) fn words(text: &str) -> String {
    sizes(text).map(|(size, limit)| format!(" ({size} bytes, and {limit} are allowed)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_are_read() {
        let text = "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5955344 vs. 4194304); x";
        assert_eq!(sizes(text), Some((5_955_344, 4_194_304)));
        assert!(is_too_large(text) && !is_too_large("exceeded series limit"));
        assert_eq!(words("none"), "");
    }
}
