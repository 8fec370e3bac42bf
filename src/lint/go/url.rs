//! URLs as `net/url` reads them.

/// Why Go cannot read a text as URL.
pub(crate) fn url_fault(text: &str) -> Option<String> {
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    if url.chars().any(|c| c.is_ascii_control()) {
        return Some("invalid control character in URL".into());
    }
    let scheme = scheme(url);
    if scheme.is_none() && url.starts_with(':') {
        return Some("missing protocol scheme".into());
    }
    let rest = scheme.map_or(url, |scheme| &url[scheme.len() + 1..]);
    let rest = rest.split('?').next().unwrap_or_default();
    let fault = match rest.strip_prefix("//") {
        Some(after) if scheme.is_some() || !after.starts_with('/') => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            authority_fault(authority).or_else(|| escape_fault(path))
        }
        _ if rest.starts_with('/') => escape_fault(rest),
        _ if scheme.is_some() => None,
        _ if rest.split('/').next().is_some_and(|first| first.contains(':')) => {
            Some("first path segment in URL cannot contain colon".into())
        }
        _ => escape_fault(rest),
    };
    fault.or_else(|| escape_fault(fragment))
}

/// The same, where it must be `http` or `https` and have a host.
pub(crate) fn http_url_fault(text: &str) -> Option<String> {
    if let Some(fault) = url_fault(text) {
        return Some(fault);
    }
    let scheme = scheme(text).unwrap_or_default();
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Some(format!("unsupported scheme {scheme:?} for URL"));
    }
    let authority = text[scheme.len() + 1..].strip_prefix("//").and_then(|r| r.split(['/', '?', '#']).next());
    authority.is_none_or(str::is_empty).then(|| "missing host for URL".into())
}

/// `host:9090/x` is read as a scheme; `10.0.0.1:9090` is neither scheme nor path.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    valid.then_some(scheme)
}

fn authority_fault(authority: &str) -> Option<String> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let of_user = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(of_user) {
        return Some("net/url: invalid userinfo".into());
    }
    // Go takes `<`, `>` and `"` in a host.
    if let Some(bad) = host.chars().find(|c| matches!(c, ' ' | '{' | '|' | '}' | '\\' | '^' | '`')) {
        return Some(format!("invalid character {:?} in host name", bad.to_string()));
    }
    let port = match host.strip_prefix('[') {
        Some(v6) => match v6.rsplit_once(']') {
            Some((_, port)) => port,
            None => return Some("missing ']' in host".into()),
        },
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let digits = port.strip_prefix(':').is_some_and(|p| p.chars().all(|c| c.is_ascii_digit()));
    if !port.is_empty() && !digits {
        return Some(format!("invalid port {port:?} after host"));
    }
    escape_fault(user).or_else(|| escape_fault(host))
}

fn escape_fault(text: &str) -> Option<String> {
    text.match_indices('%').find_map(|(at, _)| {
        let hex = text.get(at + 1..at + 3).is_some_and(|h| h.chars().all(|c| c.is_ascii_hexdigit()));
        (!hex).then(|| format!("invalid URL escape {:?}", text[at..].chars().take(3).collect::<String>()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_net_url_does() {
        for good in [
            "",
            "http://a:9090/x?y=%",
            "https://u:p@h/api/v1/write",
            "mimir/api",
            "a:9090",
            "http://[::1]:9090/",
            "http://<host>/",
        ] {
            assert_eq!(url_fault(good), None, "{good}");
        }
        for bad in [
            "://x",
            "http://h:port/",
            "http://a b/",
            "http://h/%zz",
            "10.0.0.1:9090",
            "http://{{ .h }}/",
            "http://u:p^w@h/",
        ] {
            assert!(url_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn urls_of_http_have_a_host() {
        for good in ["https://hooks.slack.com/services/T/B/X", "http://hook.ops.svc:5001/a%20b?x=%", "HTTP://[::1]:80/"]
        {
            assert_eq!(http_url_fault(good), None, "{good}");
        }
        for bad in ["${URL}", "hooks.slack.com/x", "ftp://x/", "http:///x", "http:x", "", "<secret>", "http://x:y/"] {
            assert!(http_url_fault(bad).is_some(), "{bad}");
        }
        assert_eq!(http_url_fault("${URL}").as_deref(), Some("unsupported scheme \"\" for URL"));
    }
}
