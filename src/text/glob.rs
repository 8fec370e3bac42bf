//! Patterns with `*` for any text and `?` for one letter.

/// True if a pattern fits the whole text. It takes no longer for many stars.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_whole_text() {
        for (pattern, text) in [
            ("*", ""),
            ("Deployment batch/*", "Deployment batch/report-1"),
            ("*/grafana", "Deployment monitoring/grafana"),
            ("Pod a/b-?", "Pod a/b-1"),
            ("*a*b*", "xxaxxbxx"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("Deployment batch/*", "Deployment prod/a"), ("a*b", "abc"), ("a?", "a")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
        let (pattern, text) = ("*a".repeat(40), "a".repeat(39));
        assert!(!fits(&pattern, &text), "it ends");
    }
}
