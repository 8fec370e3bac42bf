//! Which words resemble each other: one answer for vocabularies, for names that people gave, and for what they typed. A
//! wrong proposal costs more than none.

use strsim::{damerau_levenshtein, jaro_winkler, levenshtein};

/// At most `max` letters are wrong, missing, added or swapped, and at least one.
pub(crate) fn is_slip(a: &str, b: &str, max: usize) -> bool {
    a != b && if max == 1 { is_one_slip(a.as_bytes(), b.as_bytes()) } else { damerau_levenshtein(a, b) <= max }
}

/// The same of one letter, without a table: it is asked of each pair of thousands of words.
fn is_one_slip(a: &[u8], b: &[u8]) -> bool {
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let begin = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[begin..], &b[begin..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([x, y], [z, w]) => x == w && y == z,
        (x, y) => x.len() < 2 && y.len() < 2,
    }
}

/// The word of a vocabulary (fields, functions, actions) that was most likely meant: another spelling, the singular or
/// plural, a slip, or the only one that has the word as a part.
pub(crate) fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let wanted = plain(word);
    let same = known.iter().find(|k| plain(k) == wanted);
    let plural = || known.iter().find(|k| without_s(&plain(k)) == without_s(&wanted));
    if let Some(found) = same.or_else(plural) {
        return Some(found);
    }
    nearest(&wanted, &known).or_else(|| part(word, &known))
}

/// Without case and separators: `sourceLabels`, `source-labels` and `source_labels` are one.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric() || *c == '$').collect::<String>().to_lowercase()
}

fn without_s(word: &str) -> &str {
    word.strip_suffix('s').filter(|w| w.len() > 2).unwrap_or(word)
}

fn nearest<'a>(wanted: &str, known: &[&'a str]) -> Option<&'a str> {
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

/// The candidate nearest to what was typed, if it is near enough to be meant.
pub(crate) fn suggest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let score = |c: &str| {
        // A part of the name is a better sign than a few equal letters.
        if c.contains(typed) || typed.contains(c) { 1.0 } else { jaro_winkler(typed, c) }
    };
    let scored = candidates.into_iter().map(|c| (score(c), c)).filter(|(s, _)| *s > 0.75);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}

/// Of things with names those that resemble what was typed, in any case, the nearest first; of a path its last part counts,
/// too.
pub(crate) fn ranked<'a, T: Ord>(typed: &str, named: impl IntoIterator<Item = (&'a str, T)>) -> Vec<T> {
    const NEAR: f64 = 0.82;
    let typed = typed.to_lowercase();
    let last = typed.rsplit('/').next().unwrap_or(&typed);
    let score = |name: &str| {
        let name = name.to_lowercase();
        jaro_winkler(&name, &typed).max(jaro_winkler(&name, last))
    };
    let mut scored: Vec<(f64, T)> =
        named.into_iter().map(|(name, thing)| (score(name), thing)).filter(|(s, _)| *s > NEAR).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.into_iter().map(|(_, thing)| thing).collect()
}

/// The one metric whose name is nearly the same. Long names with a common beginning resemble each other: they must begin
/// alike, and differ by few letters.
pub(crate) fn near_metric<'a>(metric: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.93;
    let alike = |n: &&str| {
        n.chars().next() == metric.chars().next() && jaro_winkler(n, metric) > ALIKE && levenshtein(n, metric) <= 3
    };
    let mut all = known.into_iter().filter(alike);
    match (all.next(), all.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

/// Words that people add to a Service's name or leave out.
const AFFIXES: &[&str] = &["svc", "service", "server", "metrics"];
/// A word shorter than this is told from others by each of its letters (`api`, `pay`, `eu`, `v1`).
const WORD: usize = 5;

/// The name without affixes, plural and separators.
fn stem(name: &str) -> String {
    let mut words: Vec<&str> = name.split(['-', '_']).filter(|w| !w.is_empty()).collect();
    while words.len() > 1 && words.last().is_some_and(|w| AFFIXES.contains(w)) {
        words.pop();
    }
    singular(&words.concat())
}

fn singular(name: &str) -> String {
    let plural = name.len() > 3 && name.ends_with('s') && !name.ends_with("ss");
    if plural { name[..name.len() - 1].to_owned() } else { name.to_owned() }
}

/// The same Service by another spelling: `flash-auth-svc` and `flash-auth`, `order` and `orders`.
pub(crate) fn same_service(a: &str, b: &str) -> bool {
    a != b && stem(a) == stem(b)
}

/// A slip in one long word: at most `max` letters wrong, missing, added or swapped. Digits and short words must be equal.
pub(crate) fn typo(a: &str, b: &str, max: usize) -> bool {
    let (words_a, words_b): (Vec<&str>, Vec<&str>) = (a.split(['-', '_']).collect(), b.split(['-', '_']).collect());
    if a == b || words_a.len() != words_b.len() || damerau_levenshtein(a, b) > max {
        return false;
    }
    let digits = |w: &str| w.chars().filter(char::is_ascii_digit).collect::<String>();
    words_a
        .iter()
        .zip(&words_b)
        .filter(|(x, y)| x != y)
        .all(|(x, y)| x.chars().count().min(y.chars().count()) >= WORD && digits(x) == digits(y))
}

/// The namespace that was meant: singular and plural, and where the written one is not known, a typo or a leading part.
pub(crate) fn same_namespace(written: &str, other: &str, written_exists: bool) -> bool {
    if written == other {
        return false;
    }
    if singular(written) == singular(other) {
        return true;
    }
    let leads = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('-'));
    !written_exists && (typo(written, other, 2) || leads(written, other) || leads(other, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_ranked_by_how_their_names_resemble_what_was_typed() {
        let all = ["flash-order", "flash-api-health", "flash-pay-health", "prometheus"];
        let ranked = |typed: &str| ranked(typed, all.iter().map(|n| (*n, *n)));
        assert_eq!(ranked("Flash-apl-health")[..2], ["flash-api-health", "flash-pay-health"]);
        assert_eq!(ranked("shop/flash-ordr").first(), Some(&"flash-order"));
        assert!(ranked("nosuch").is_empty());
    }

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

    #[test]
    fn spellings_of_one_service() {
        for (a, b) in [
            ("flash-auth-svc", "flash-auth"),
            ("orders", "order"),
            ("cart-service", "cart-svc"),
            ("node_exporter", "node-exporter"),
            ("prometheus", "prometheus-server"),
            ("web", "web-metrics"),
        ] {
            assert!(same_service(a, b), "{a} {b}");
        }
        for (a, b) in
            [("flash-pay", "flash-api"), ("svc", "web"), ("metrics", "server"), ("access", "acces"), ("web", "web")]
        {
            assert!(!same_service(a, b), "{a} {b}");
        }
    }

    #[test]
    fn slips_but_not_siblings() {
        for (a, b) in [("flash-gatway", "flash-gateway"), ("paymnet", "payment"), ("grafana", "graphana")] {
            assert!(typo(a, b, 2), "{a} {b}");
        }
        for (a, b) in [
            ("flash-pay", "flash-api"),
            ("cache-1", "cache-2"),
            ("worker1", "worker2"),
            ("team-a", "team-b"),
            ("api-eu", "api-us"),
            ("cart", "card"),
        ] {
            assert!(!typo(a, b, 1), "{a} {b}");
        }
    }

    #[test]
    fn namespaces_that_exist_are_meant_unless_plural() {
        assert!(same_namespace("flash-ticket", "flash-tickets", true));
        assert!(!same_namespace("staging", "stagingx", true));
        assert!(same_namespace("flash-tikcet", "flash-ticket", false));
        assert!(same_namespace("shop", "shop-prod", false));
        assert!(!same_namespace("shop", "shop-prod", true));
        assert!(!same_namespace("team-a", "team-b", false));
        assert!(!same_namespace("dev", "prod", false));
    }

    #[test]
    fn metrics_begin_alike() {
        let known = ["http_requests_total", "grpc_requests_total"];
        assert_eq!(near_metric("http_request_total", known), Some("http_requests_total"));
        assert_eq!(near_metric("ttp_requests_total", known), None);
        assert!(is_slip("prom/prometeus", "prom/prometheus", 2) && !is_slip("a", "a", 2));
        for slip in ["prometeus", "promethheus", "promehteus", "prometheas"] {
            assert!(is_slip(slip, "prometheus", 1), "{slip}");
        }
        assert!(!is_slip("prometehsu", "prometheus", 1) && !is_slip("prometheus", "prometheus", 1));
    }
}
