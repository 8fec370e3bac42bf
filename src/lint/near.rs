//! What was meant by a word that is not known. A wrong proposal costs more than none.

use strsim::{damerau_levenshtein, jaro_winkler};

/// The word of a vocabulary (fields, functions, actions) that was most likely meant: another spelling, the singular or
/// plural, a slip, or the only one that has the word as a part.
pub(crate) fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let wanted = plain(word);
    let same = known.iter().find(|k| plain(k) == wanted);
    let plural = || known.iter().find(|k| singular(&plain(k)) == singular(&wanted));
    if let Some(found) = same.or_else(plural) {
        return Some(found);
    }
    slip(&wanted, &known).or_else(|| part(word, &known))
}

/// Without case and separators: `sourceLabels`, `source-labels` and `source_labels` are one.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric() || *c == '$').collect::<String>().to_lowercase()
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|w| w.len() > 2).unwrap_or(word)
}

fn slip<'a>(wanted: &str, known: &[&'a str]) -> Option<&'a str> {
    let most = match wanted.len() {
        0..=5 => 1,
        6..=11 => 2,
        _ => 3,
    };
    let digits = |w: &str| w.chars().filter(char::is_ascii_digit).collect::<String>();
    // A new number is a new thing: `msteamsv3_configs` is not a slip of `msteamsv2_configs`.
    let number = digits(wanted);
    let alike = known.iter().filter(|k| number.is_empty() || digits(k) == number);
    let mut near: Vec<(usize, &str)> =
        alike.map(|k| (damerau_levenshtein(&plain(k), wanted), *k)).filter(|(d, _)| *d <= most).collect();
    near.sort_unstable();
    match near.as_slice() {
        // Two that are as near say nothing.
        [(first, _), (second, _), ..] if first == second => None,
        [(_, name), ..] => Some(name),
        [] => None,
    }
}

/// `timeout` for `scrape_timeout`, where only one fits.
fn part<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let mut parts = known.iter().filter(|k| k.split('_').any(|p| p == word));
    match (parts.next(), parts.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

/// The name that was most likely meant of those that people gave, who shorten them as they like: `slack-crit` for
/// `slack-critical`.
pub(crate) fn near_name<'a>(name: &str, given: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = given.into_iter().map(|g| (jaro_winkler(g, name), g)).filter(|(score, _)| *score > 0.8);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, g)| g)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let names = ["metrics_path", "scrape_timeout", "source_labels", "static_configs", "tls_config", "oauth2"];
        for (word, meant) in [
            ("metric_path", Some("metrics_path")),
            ("sourceLabels", Some("source_labels")),
            ("source-labels", Some("source_labels")),
            ("static_config", Some("static_configs")),
            ("tls_configs", Some("tls_config")),
            ("timeout", Some("scrape_timeout")),
            ("oauth", Some("oauth2")),
            ("oauth3", None),
            ("colour", None),
        ] {
            assert_eq!(near(word, names), meant, "{word}");
        }
        assert_eq!(near("mix_over_time", ["min_over_time", "max_over_time"]), None, "two are as near");
        assert_eq!(near("msteamsv3_configs", ["msteams_configs", "msteamsv2_configs"]), None);
    }

    #[test]
    fn names_of_people_are_shortened() {
        assert_eq!(near_name("slack-crit", ["slack-critical", "pagerduty"]), Some("slack-critical"));
        assert_eq!(near_name("email", ["slack-critical", "pagerduty"]), None);
    }
}
