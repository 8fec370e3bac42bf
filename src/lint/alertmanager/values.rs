//! Single values, as Go and Alertmanager read them: URLs, addresses, durations, regular expressions, label names.

use regex::Regex;

/// A regular expression that must match the whole value. `Ok(None)`: Go can read it, this program cannot.
///
/// # Errors
/// What Go refuses.
pub(super) fn anchored(pattern: &str) -> Result<Option<Regex>, String> {
    if let Some(why) = go_refuses(pattern) {
        return Err(format!("error parsing regexp: {why}: `{pattern}`"));
    }
    let compile = |pattern: &str| Regex::new(&format!("^(?:{pattern})$"));
    match compile(pattern) {
        Ok(regex) => Ok(Some(regex)),
        // Go takes a brace that begins no repetition as it stands.
        Err(error) => match compile(&escape_braces(pattern)) {
            Ok(regex) => Ok(Some(regex)),
            Err(_)
                if reads_otherwise(&error)
                    || pattern.contains("\\Q")
                    || pattern.contains("\\C")
                    || pattern.len() > 1000 =>
            {
                Ok(None)
            }
            Err(_) => Err(format!("error parsing regexp: {}: `{pattern}`", reason(&error))),
        },
    }
}

/// What Rust's expressions refuse and Go's do not.
fn reads_otherwise(error: &regex::Error) -> bool {
    let text = error.to_string();
    text.contains("invalid range boundary") || text.contains("duplicate capture group name")
}

/// The last line of the error of the regex crate says what; the lines before draw the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// What Rust's expressions allow and Go's do not.
fn go_refuses(pattern: &str) -> Option<&'static str> {
    let letters: Vec<char> = pattern.chars().collect();
    let mut in_class = false;
    let mut at = 0;
    while at < letters.len() {
        match letters[at] {
            '\\' => {
                let next = letters.get(at + 1).copied();
                if next.is_none() {
                    return Some("trailing backslash at end of expression");
                }
                if matches!(next, Some('u' | 'U' | '<' | '>')) && !matches!(next, Some('<' | '>')) {
                    return Some("invalid escape sequence");
                }
                at += 1;
            }
            '[' if !in_class => {
                in_class = true;
                // A bracket right after the opening stands for itself.
                at += usize::from(letters.get(at + 1) == Some(&'^'));
                at += usize::from(letters.get(at + 1) == Some(&']'));
            }
            ']' => in_class = false,
            '*' | '+' | '?' if !in_class => {
                let lazy = usize::from(letters.get(at + 1) == Some(&'?'));
                if matches!(letters.get(at + 1 + lazy), Some('*' | '+' | '?'))
                    || counted(&letters[at + 1 + lazy..]).is_some()
                {
                    return Some("invalid nested repetition operator");
                }
                at += lazy;
            }
            '{' if !in_class => {
                if let Some((length, most)) = counted(&letters[at..]) {
                    if most > 1000 {
                        return Some("invalid repeat count");
                    }
                    let after = &letters[at + length..];
                    if matches!(after.first(), Some('*' | '+')) || counted(after).is_some() {
                        return Some("invalid nested repetition operator");
                    }
                }
            }
            '(' if !in_class && letters.get(at + 1) == Some(&'?') => {
                let flags: String =
                    letters[at + 2..].iter().take_while(|c| !matches!(c, ')' | ':' | '<' | 'P')).collect();
                if flags.contains(['x', 'u', 'R']) {
                    return Some("invalid or unsupported Perl syntax");
                }
            }
            '-' if in_class && letters.get(at + 1) == Some(&'-') && letters.get(at + 2) != Some(&']') => {
                return Some("invalid character class range");
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A repetition `{2,3}` at the beginning: its length, and the larger number.
fn counted(letters: &[char]) -> Option<(usize, u32)> {
    let end = letters.iter().position(|c| *c == '}').filter(|_| letters.first() == Some(&'{'))?;
    let inner: String = letters[1..end].iter().collect();
    let (low, high) = inner.split_once(',').unwrap_or((&inner, ""));
    let low: u32 = low.parse().ok()?;
    let high = if high.is_empty() { low } else { high.parse().ok()? };
    Some((end + 1, low.max(high)))
}

fn escape_braces(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('\\') {
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            // Rust reads `\<` as the start of a word, Go as a sign.
            out.push_str(match &rest[..end] {
                "\\<" => "<",
                "\\>" => ">",
                other => other,
            });
            rest = &rest[end..];
            continue;
        }
        let counted = rest.find('}').is_some_and(|end| {
            let inner = &rest[1..end];
            inner.starts_with(|c: char| c.is_ascii_digit()) && inner.chars().all(|c| c.is_ascii_digit() || c == ',')
        });
        out.push_str(if counted { "{" } else { "\\{" });
        rest = &rest[1..];
        if !counted && let Some(end) = rest.find('}') {
            out.push_str(&rest[..end]);
            out.push_str("\\}");
            rest = &rest[end + 1..];
        }
    }
    out.push_str(rest);
    out
}

/// A label name of the data model before UTF-8.
pub(super) fn is_label_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Why a text is no `http` or `https` URL.
pub(super) fn http_url(text: &str) -> Result<(), String> {
    any_url(text)?;
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("https:").or_else(|| lower.strip_prefix("http:")) else {
        let scheme = scheme(text).unwrap_or_default();
        return Err(format!("unsupported scheme {scheme:?} for URL"));
    };
    let authority = rest.strip_prefix("//").and_then(|r| r.split(['/', '?', '#']).next()).unwrap_or_default();
    if authority.is_empty() { Err("missing host for URL".into()) } else { Ok(()) }
}

fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    valid.then_some(scheme)
}

/// Why Go cannot read a text as URL.
pub(super) fn any_url(text: &str) -> Result<(), String> {
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err("invalid control character in URL".into());
    }
    let rest = match scheme(text) {
        Some(scheme) => &text[scheme.len() + 1..],
        None if text.starts_with(':') => return Err("missing protocol scheme".into()),
        None => {
            let first = text.split(['/', '?', '#']).next().unwrap_or_default();
            if first.contains(':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
            text
        }
    };
    if let Some(after) = rest.strip_prefix("//") {
        let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if host.contains([' ', '"', '<', '>', '{', '}', '|', '\\', '^', '`']) {
            return Err(format!("invalid character in host name {host:?}"));
        }
        let port = match host.strip_prefix('[') {
            Some(v6) => v6.split_once(']').ok_or("missing ']' in host")?.1,
            None => host.find(':').map_or("", |at| &host[at..]),
        };
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(|p| p.chars().all(|c| c.is_ascii_digit())) {
            return Err(format!("invalid port {port:?} after host"));
        }
    }
    let path = rest.split(['?']).next().unwrap_or_default();
    let mut letters = path.char_indices().filter(|(_, c)| *c == '%');
    let broken = letters.find(|(at, _)| {
        let hex = path.get(at + 1..at + 3);
        !hex.is_some_and(|h| h.chars().all(|c| c.is_ascii_hexdigit()))
    });
    broken.map_or(Ok(()), |(at, _)| {
        Err(format!("invalid URL escape {:?}", path[at..].chars().take(3).collect::<String>()))
    })
}

/// Why a text is no `host:port`.
pub(super) fn host_port(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => v6.split_once(']').ok_or(format!("address {text}: missing ']' in address"))?,
        None => match text.rfind(':') {
            Some(at) => text.split_at(at),
            None => return Err(format!("address {text}: missing port in address")),
        },
    };
    let Some(port) = port.strip_prefix(':') else {
        return Err(format!("address {text}: missing port in address"));
    };
    if host.contains(':') && !text.starts_with('[') {
        return Err(format!("address {text}: too many colons in address"));
    }
    if port.is_empty() { Err(format!("address {text:?}: port cannot be empty")) } else { Ok(()) }
}

/// Whether Go's `time.ParseDuration` reads it.
pub(super) fn is_go_duration(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let number = &rest[..digits];
        if number.matches('.').count() > 1 || !number.contains(|c: char| c.is_ascii_digit()) {
            return false;
        }
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        if !matches!(&rest[..letters], "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        rest = &rest[letters..];
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_go_reads_them() {
        for good in ["https://hooks.slack.com/services/T/B/X", "http://hook.ops.svc:5001/a%20b?x=%", "http://[::1]:80/"]
        {
            assert_eq!(http_url(good), Ok(()), "{good}");
        }
        for bad in [
            "${URL}",
            "hooks.slack.com/x",
            "ftp://x/",
            "http:///x",
            "http://a b/",
            "http://x:y/",
            "http://x/%zz",
            "",
            "<secret>",
        ] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
        assert_eq!(http_url("${URL}"), Err("unsupported scheme \"\" for URL".into()));
    }

    #[test]
    fn addresses_and_go_durations() {
        assert!(host_port("smtp:587").is_ok() && host_port("[::1]:25").is_ok() && host_port("").is_ok());
        assert!(host_port("smtp").is_err() && host_port("smtp:").is_err() && host_port("a:b:c").is_err());
        assert!(is_go_duration("1.5h30m") && is_go_duration("0") && !is_go_duration("1d") && !is_go_duration("5"));
    }

    #[test]
    fn regular_expressions_as_go_reads_them() {
        for good in ["a|b", "foo{bar}", "a{2,3}", r"\d+\.", "[]a]", "(?i)x", r"\/x", "{x"] {
            assert!(anchored(good).is_ok(), "{good}");
        }
        for bad in ["[", "(", "a)", "*a", "(?!a)", "a**", "[z-a]", r"\", r"(?<=a)b"] {
            assert!(anchored(bad).is_err(), "{bad}");
        }
    }
}
