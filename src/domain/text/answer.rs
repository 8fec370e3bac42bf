//! Answers with which another program refuses a request, in the words of those that asked: HTTP's, databases' and others'.

use crate::text::pattern::pattern;

/// What another program answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// User and password, or the key, are not accepted.
    Login,
    /// Who asks is known, and may not.
    Rights,
    /// There is no such path, or what it named is gone.
    NotFound,
    /// More is asked than is answered.
    Throttled,
    /// It fails itself.
    Server,
}

/// What is said of a login that is not accepted.
pub(crate) const LOGIN: &[&str] = &[
    "password authentication failed",
    "no pg_hba.conf entry",
    "pg_hba.conf rejects",
    "no password supplied",
    "Error 1045",
    "Access denied for user",
    "NOAUTH",
    "WRONGPASS",
    "invalid username-password pair",
    "invalid password",
    "ERR AUTH",
    "AuthenticationFailed",
    "authentication failed",
    "Authentication failed",
    "ACCESS_REFUSED",
    "401 Unauthorized",
    "status code 401",
    "failed with code 401",
    "expected 200 response, got 401",
    "security_exception",
    "SASL authentication",
];

/// What is said of rights that are missing.
pub(crate) const RIGHTS: &[&str] = &[
    "permission denied for",
    "must be superuser",
    "not authorized on admin",
    "command denied to user",
    "NOPERM",
    "Error 1142",
    "Error 1227",
    "SPECIAL privilege",
    "403 Forbidden",
    "failed with code 403",
    "expected 200 response, got 403",
];

/// What APIs say of a token or an application that they do not know, beside its status.
const UNKNOWN: &[&str] = &[
    "invalid_client",
    "invalid_grant",
    "invalid_token",
    "invalid_auth",
    "token_revoked",
    "token_expired",
    "account_inactive",
    "Bad credentials",
    "nvalid API key",
    "nvalid api key",
    "API key not valid",
    "nvalid credentials",
];

/// What chats and trackers say of a place where one may not write, or that is gone.
const CLOSED: &[&str] = &["not_in_channel", "missing_scope", "restricted_action"];
const GONE: &[&str] = &["channel_not_found", "is_archived", "no_service", "no_team"];
const MANY: &[&str] = &["ratelimited", "rate_limited", "Too Many Requests", "rate limit exceeded"];

impl Answer {
    /// Reads an error. A status counts where the text says that it was answered.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
        if has(MANY) {
            return Some(Self::Throttled);
        }
        if has(LOGIN) || has(UNKNOWN) {
            return Some(Self::Login);
        }
        if has(RIGHTS) || has(CLOSED) {
            return Some(Self::Rights);
        }
        if has(GONE) {
            return Some(Self::NotFound);
        }
        Self::of_status(status(text)?)
    }

    fn of_status(code: u16) -> Option<Self> {
        Some(match code {
            401 | 407 => Self::Login,
            403 => Self::Rights,
            404 | 410 => Self::NotFound,
            429 => Self::Throttled,
            // With those of Cloudflare.
            500..=511 | 520..=530 => Self::Server,
            _ => return None,
        })
    }
}

/// What an API calls its refusal, or its status: `not_in_channel`, `HTTP 503`.
pub(crate) fn word(text: &str) -> Option<String> {
    let named = [UNKNOWN, CLOSED, GONE].into_iter().flatten().find(|w| w.contains('_') && text.contains(**w));
    named.map(|w| (*w).to_owned()).or_else(|| status(text).map(|code| format!("HTTP {code}")))
}

/// The status of an answer.
pub(crate) fn status(text: &str) -> Option<u16> {
    let told = pattern!(
        r#"(?i)(?:\bstatus(?:[ _-]?code)?(?: of)?|\bhttp(?:/\d(?:\.\d)?)?(?: status)?(?: code)?|\bresponse(?: code)?|\b(?:returned|answered|got|code))[\s:=>"'(\[]{1,4}([45]\d\d)\b"#
    );
    let named = pattern!(
        r"\b([45]\d\d):? (?:Client Error|Server Error|Unauthorized|Forbidden|Not Found|Gone|Too Many Requests|Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out|Proxy Authentication Required)\b"
    );
    let counts = pattern!(
        r"^(?:\.\d|,\d{3}|%| ?(?:ms|[kMG]i?B|bytes?|seconds?|rows?|items?|results?|series|samples?|records?|times|lines?|objects?|metrics|messages?|entries|requests?|of)\b)"
    );
    if let Some(found) = named.captures(text) {
        return found[1].parse().ok();
    }
    // A number of things is no status.
    let is_status = |found: &regex::Captures<'_>| !counts.is_match(&text[found.get(0).map_or(0, |m| m.end())..]);
    told.captures_iter(text).find(is_status)?[1].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_refusals_apart() {
        for (text, answer) in [
            ("request failed with status: 401 Unauthorized, url: https://a.atlassian.net/x", Some(Answer::Login)),
            ("pq: password authentication failed for user \"oncall\"", Some(Answer::Login)),
            ("token exchange failed: oauth2: \"invalid_client\" \"Invalid client\"", Some(Answer::Login)),
            ("{'ok': False, 'error': 'not_in_channel'}", Some(Answer::Rights)),
            ("{'ok': False, 'error': 'channel_not_found'}", Some(Answer::NotFound)),
            ("unexpected status code 404 from http://grafana.monitoring/api", Some(Answer::NotFound)),
            ("unavailable: 429 Too Many Requests", Some(Answer::Throttled)),
            ("Request failed with status code 503", Some(Answer::Server)),
            ("HTTPError: 404 Client Error: Not Found for url: https://a.example.org/x", Some(Answer::NotFound)),
            ("HTTP/1.1 502 Bad Gateway", Some(Answer::Server)),
            ("requests.exceptions.HTTPError: 403 Client Error: Forbidden, status=403", Some(Answer::Rights)),
            ("query returned 500 rows from http://db.svc/", None),
            ("got 502.5 ms, returned 503 of 600", None),
            ("got 450 items and status 503", Some(Answer::Server)),
            ("took 500 ms", None),
            ("processed 404 items", None),
            ("status: 200", None),
            ("error code: 1045", None),
        ] {
            assert_eq!(Answer::read(text), answer, "{text}");
        }
    }
}
