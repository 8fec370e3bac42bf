//! Messages without their variable parts, so that a thousand lines of one fault are one.

use std::sync::OnceLock;

use regex::{Captures, Regex};

use crate::text::pattern::{compile, pattern};

/// A pattern and what stands for it.
type Rule = (Regex, &'static str);

fn rules() -> &'static [Rule] {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES.get_or_init(|| {
        let rule = |pattern: &str, with| (compile(pattern), with);
        vec![
            rule(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d)(?: UTC)?)?", "<time>"),
            rule(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
            rule(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "<ip>"),
            rule(r"\[[0-9a-fA-F:]+\](?::\d+)?", "<ip>"),
            rule(r"(?i)\b[a-z0-9_-]+(?:\.[a-z0-9_-]+){2,}\.?(?::\d+)?", "<host>"),
            // How the connection was made, and which record was asked for.
            rule(r"\b(?:dial|read|write) (?:tcp|udp)[46]? (?:<ip>->)?<ip>", "<connection>"),
            rule(r"\b(?:A|AAAA|HTTPS|MX|NS|PTR|SRV|TXT): ", "<record>: "),
            // Names of a Deployment's and of a DaemonSet's pods: Kubernetes uses no vowels in them.
            rule(r"-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-*"),
            rule(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-*"),
            // Revisions of the operator, ids of AWS, hashes.
            rule(r"(?i)\b[a-z]*-?(?:[0-9]+[a-f]+[0-9a-f]*|[a-f]+[0-9]+[0-9a-f]*){4,}\b", "<id>"),
            rule(r"\b0x[0-9a-fA-F]+\b", "<id>"),
        ]
    })
}

/// The message with times, ids, addresses, names of pods and numbers replaced. Status codes stay: they are what one
/// looks for.
pub(crate) fn shape(text: &str) -> String {
    let number = pattern!(r"(?i)((?:status|code|http)[ =:(a-z]{0,12})?\b(\d+(?:[.,]\d+)*)([a-zµ%]{0,3})\b");
    let mut masked = text.to_owned();
    for (pattern, with) in rules() {
        masked = pattern.replace_all(&masked, *with).into_owned();
    }
    number
        .replace_all(&masked, |found: &Captures<'_>| {
            let before = found.get(1).map_or("", |m| m.as_str());
            match found[2].len() {
                3 if !before.is_empty() => found[0].to_owned(),
                _ => format!("{before}#"),
            }
        })
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_fault_are_one() {
        for (one, other) in [
            (
                "Get \"https://10.0.148.116:10250/metrics/resource\": context deadline exceeded",
                "Get \"https://10.0.150.9:10250/metrics/resource\": context deadline exceeded",
            ),
            (
                "plugin/errors: 2 orders.shop.example.com. A: read udp 10.0.150.59:57331->10.0.0.2:53: i/o timeout",
                "plugin/errors: 2 api.stripe.com. AAAA: dial tcp 10.0.0.2:53: i/o timeout",
            ),
            ("pod grafana-5d9f8b7c4d-x2zkq took 1.5s", "pod grafana-6c7f9d8b5d-9qwrt took 220ms"),
            (
                "read udp 10.0.150.59:33001->10.0.0.2:53: i/o timeout",
                "read udp 10.0.150.59:1->10.0.0.2:53: i/o timeout",
            ),
            ("at 2026-11-20T23:00:04.902Z segment 00000525", "at 2026-11-21 01:00:04 +0000 UTC segment 00000526"),
            ("request 7c9e6679-7425-40de-944b-e07fc1f90ae7", "request 550e8400-e29b-41d4-a716-446655440000"),
        ] {
            assert_eq!(shape(one), shape(other));
        }
    }

    #[test]
    fn what_tells_faults_apart_stays() {
        assert_eq!(shape("lookup a.b.svc.cluster.local on 10.0.0.2:53"), "lookup <host> on <ip>");
        for (one, other) in [
            ("HTTP status=400 Not retrying", "HTTP status=500 Not retrying"),
            ("unexpected status code 401", "unexpected status code 403"),
            ("cannot open orders", "cannot open payments"),
        ] {
            assert_ne!(shape(one), shape(other));
        }
    }
}
