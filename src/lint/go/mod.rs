//! What Go programs make of text: durations, sizes, URLs, regular expressions, templates. Each function says what is
//! wrong in the words of the Go library, or nothing.

mod duration;
mod regex;
mod template;

pub(crate) use duration::duration;
pub(crate) use regex::regex_fault;
pub(crate) use template::template_fault;

/// What `net/url` refuses in an address; only the faults that people make.
pub(crate) fn url_fault(text: &str) -> Option<String> {
    if text.chars().any(|c| c.is_ascii_control()) {
        return Some("invalid control character in URL".into());
    }
    if text.starts_with(':') {
        return Some("missing protocol scheme".into());
    }
    let rest = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = rest.split_once("://").map_or(("", rest), |(s, r)| (s, r));
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, p)| (a, p));
    if scheme.is_empty() {
        // `host:9090/x` is read as a scheme; `10.0.0.1:9090` is neither scheme nor path.
        let first = text.split(['/', '?', '#']).next().unwrap_or_default();
        let is_scheme = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_alphabetic())
                && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        };
        let colon = first.split_once(':').is_some_and(|(before, _)| !is_scheme(before));
        return colon.then(|| "first path segment in URL cannot contain colon".into());
    }
    let host = authority.rsplit('@').next().unwrap_or_default();
    if let Some(bad) = host.chars().find(|c| matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Some(format!("invalid character {:?} in host name", bad.to_string()));
    }
    let port =
        if host.starts_with('[') { host.split_once(']').map(|(_, p)| p) } else { host.find(':').map(|at| &host[at..]) };
    if let Some(port) = port.filter(|p| !p.is_empty())
        && !port.strip_prefix(':').is_some_and(|p| p.chars().all(|c| c.is_ascii_digit()))
    {
        return Some(format!("invalid port {port:?} after host"));
    }
    bad_escape(host).or(bad_escape(path)).map(|escape| format!("invalid URL escape {escape:?}"))
}

fn bad_escape(text: &str) -> Option<&str> {
    text.match_indices('%').find_map(|(at, _)| {
        let hex = text.get(at + 1..at + 3).is_some_and(|h| h.chars().all(|c| c.is_ascii_hexdigit()));
        (!hex).then(|| text.get(at..at + 3).unwrap_or(&text[at..]))
    })
}

/// True for a size such as `10MB` or `1.5GiB`; `0` needs no unit.
pub(crate) fn is_size(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    if digits == "0" {
        return true;
    }
    // Several amounts in a row are one size, as `1GB512MB`.
    let mut rest = digits;
    while !rest.is_empty() {
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let after = &rest[number..];
        let unit = after.len() - after.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.').len();
        let prefix = after[..unit].strip_suffix('B').map(|u| u.strip_suffix('i').unwrap_or(u));
        let known =
            prefix.is_some_and(|p| matches!(p, "" | "K" | "M" | "G" | "T" | "P" | "E")) && &after[..unit] != "iB";
        if rest[..number].parse::<f64>().is_err() || !known {
            return false;
        }
        rest = &after[unit..];
    }
    !digits.is_empty()
}

/// True for a label name that every version takes.
pub(crate) fn is_legacy_label(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// True for a metric name that every version takes.
pub(crate) fn is_legacy_metric(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'));
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for good in ["0", "10MB", "1.5GiB", "5B", "1GB512MB"] {
            assert!(is_size(good), "{good}");
        }
        for bad in ["", "10", "10mb", "10M", "MB", "ten", "5iB"] {
            assert!(!is_size(bad), "{bad}");
        }
    }

    #[test]
    fn urls_are_read_as_net_url_does() {
        for good in
            ["", "http://a:9090/x?y=%", "https://u:p@h/api/v1/write", "mimir/api", "a:9090", "http://[::1]:9090/"]
        {
            assert_eq!(url_fault(good), None, "{good}");
        }
        for bad in ["://x", "http://h:port/", "http://a b/", "http://h/%zz", "10.0.0.1:9090", "http://{{ .h }}/"] {
            assert!(url_fault(bad).is_some(), "{bad}");
        }
    }
}
