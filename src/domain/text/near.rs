//! When are two names likely to mean the same? Conservative: a wrong proposal costs more than none.

use strsim::damerau_levenshtein;

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
}
