//! Lines that hold words of failures without telling of one: how loud a line is in the formats that [`Line`] does not take apart,
//! requests that the program itself answered, and what it passes on of others.

use serde_json::Value;

use crate::domain::text::log_line::{LEVELS, Level, Line};
use crate::text::pattern::pattern;

/// Letters at the begin of a plain line in which its level stands.
const HEAD: usize = 80;
/// Names under which JSON lines have their error.
const ERRORS: &[&str] = &["err", "error", "error.message", "exception", "exc_info", "stack_trace"];
/// Who asked this program, as it says so.
const CLIENTS: &[&str] = &[
    "remote_addr",
    "remoteAddr",
    "remote_ip",
    "remoteIP",
    "client_ip",
    "clientIP",
    "ipAddress=",
    "srcIP",
    "orwarded-for",
    "user_agent",
    "userAgent",
    "ser-agent",
];

/// How loud a line is; `Unknown` where it does not say.
pub(super) fn level(line: &Line<'_>) -> Level {
    if line.level != Level::Unknown {
        return line.level;
    }
    if line.raw.starts_with('{') { of_json(line.raw) } else { of_plain(line.raw) }
}

/// It fails at nothing: information, a record of a request that was answered, an event or an alert that is passed on.
pub(super) fn is_record(line: &Line<'_>) -> bool {
    line.is_record() || level(line) == Level::Info || is_request(line.raw) || is_of_an_object(line)
}

/// Says who asked this program: it is the other's login that is wrong, or what the other asked for.
pub(super) fn names_client(line: &Line<'_>) -> bool {
    CLIENTS.iter().any(|c| line.raw.contains(c))
}

/// The level of a JSON line that has none that is known. What has neither a level nor an error is data that the program prints.
fn of_json(text: &str) -> Level {
    let Ok(Value::Object(all)) = serde_json::from_str::<Value>(text) else { return Level::Unknown };
    let has = |names: &[&str]| names.iter().any(|name| all.contains_key(*name));
    match (has(&LEVELS), has(ERRORS)) {
        (true, _) => Level::Error,
        (false, true) => Level::Unknown,
        (false, false) => Level::Info,
    }
}

/// The first word of a plain line that is a level: `2026-11-21 02:50:00,123 INFO root: …`, `[info] …`, `INFO: …`.
fn of_plain(text: &str) -> Level {
    let word = pattern!(
        r"(?:^|[\s\[(|<])(?:(TRACE|DEBUG|INFO|NOTICE|TRC|DBG|INF)|(WARN|WARNING|WRN)|(ERROR|ERR|FATAL|CRITICAL|SEVERE|PANIC))(?:[\s\])|>:,/-]|$)|(?:^|[\[\t|]\s*)(?:(trace|debug|info|notice)|(warn|warning)|(error|err|fatal|critical))(?:\s*[\]\t|]|:\s)"
    );
    let mut end = text.len().min(HEAD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let Some(found) = word.captures(&text[..end]) else { return Level::Unknown };
    let has = |at: usize| found.get(at).is_some();
    if has(1) || has(4) {
        Level::Info
    } else if has(2) || has(5) {
        Level::Warning
    } else {
        Level::Error
    }
}

/// A request as a server's log of requests has it: `"GET /x HTTP/1.1" 404`. A proxy that did not reach who answers says so.
fn is_request(text: &str) -> bool {
    let request = pattern!(r"\b(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|CONNECT|PROPFIND) \S+ HTTP/\d");
    request.is_match(text) && !text.contains("while connecting to upstream")
}

/// An event of the cluster or an alert that is passed on: it quotes what failed elsewhere.
fn is_of_an_object(line: &Line<'_>) -> bool {
    let has = |words: &[&str]| words.iter().any(|w| line.raw.contains(w));
    has(&["involvedObject", "robe failed", "robe errored", "Error syncing pod"])
        || line.level == Level::Unknown && has(&["alertname"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_other_formats() {
        for (raw, wanted) in [
            ("2026-11-21 02:50:00,123 INFO urllib3: Retrying after connect to a.b:80 refused", Level::Info),
            ("2026-11-21T02:50:00.1Z\tinfo\tx.go:1\tdial tcp 10.0.0.1:80: connect: connection refused", Level::Info),
            ("[2026/11/21 02:50:00] [ info] x", Level::Info),
            ("INFO:     10.0.1.5:43210 - x", Level::Info),
            ("info: x", Level::Info),
            ("2026-11-21 02:50:00,123 WARNING x: INFO is off", Level::Warning),
            ("2026-11-21T02:50:00Z ERR x", Level::Error),
            ("failed to get info: dial tcp 10.0.0.1:80", Level::Unknown),
            ("java.net.ConnectException: Connection refused", Level::Unknown),
            (r#"{"level":30,"msg":"connect ECONNREFUSED 10.0.0.1:80"}"#, Level::Info),
            (r#"{"level":50,"msg":"connect ECONNREFUSED 10.0.0.1:80"}"#, Level::Error),
            (r#"{"severity":"INFO","message":"x"}"#, Level::Info),
            (r#"{"severity":"ERROR","message":"x"}"#, Level::Error),
            (
                r#"{"reason":"Failed","message":"Failed to pull image: dial tcp 10.0.0.1:443: i/o timeout"}"#,
                Level::Info,
            ),
            (r#"{"error":"x"}"#, Level::Unknown),
        ] {
            assert_eq!(level(&Line::parse(raw)), wanted, "{raw}");
        }
    }

    #[test]
    fn what_is_passed_on_or_was_answered_is_a_record() {
        for raw in [
            r#"10.0.1.5 - - [21/Nov/2026:02:50:00 +0000] "GET /x HTTP/1.1" 404 153 "https://a.example.org/" "kube-probe/1.34""#,
            r#"level=error msg="event" err="Readiness probe failed: Get \"http://10.0.1.5:80/\": dial tcp 10.0.1.5:80: connect: connection refused""#,
            r#"{"involvedObject":{"kind":"Pod"},"error":"dial tcp 10.0.1.5:80: connect: connection refused"}"#,
        ] {
            assert!(is_record(&Line::parse(raw)), "{raw}");
        }
        assert!(!is_record(&Line::parse(
            r#"2026/11/21 02:50:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1, server: _, request: "GET / HTTP/1.1", upstream: "http://10.0.0.5:8080/""#
        )));
    }
}
