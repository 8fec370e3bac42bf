//! What a scrape URL answers, by its body or by what Prometheus says of it.

use crate::domain::prometheus::targets;

/// What a URL answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Json,
    Html,
    /// HTML that asks for a login.
    Login,
    Words,
    Empty,
    /// Metrics, under a Content-Type that Prometheus does not take.
    Metrics,
    /// Not known; the Content-Type says nothing.
    Undeclared,
    /// Not known, but no metrics.
    Unknown,
}

impl Cause {
    /// By the body where it is known, else by what Prometheus says of it.
    pub(super) fn of(error: &str, body: Option<&str>) -> Self {
        if let Some(body) = body {
            return Self::of_body(body);
        }
        if error.contains("blank Content-Type") || error.contains("cannot parse Content-Type") {
            return Self::Undeclared;
        }
        if let Some((_, declared)) = error.split_once("unsupported Content-Type \"") {
            let declared = declared.split(['"', ';']).next().unwrap_or_default();
            return match declared.trim() {
                json if json.ends_with("json") => Self::Json,
                "text/html" | "application/xhtml+xml" => Self::Html,
                _ => Self::Undeclared,
            };
        }
        match error.split_once(" while parsing: ") {
            Some((_, seen)) => Self::of_body(&seen.trim_matches('"').replace("\\n", "\n").replace("\\\"", "\"")),
            None => Self::Unknown,
        }
    }

    fn of_body(body: &str) -> Self {
        match body.trim_start().chars().next() {
            None => Self::Empty,
            Some('{' | '[') => Self::Json,
            Some('<') if is_login(body) => Self::Login,
            Some('<') => Self::Html,
            Some(_) if targets::is_exposition(body) => Self::Metrics,
            Some(_) => Self::Words,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Html => "HTML",
            Self::Login => "a login page (HTML)",
            Self::Words => "plain text that is no metric",
            Self::Empty => "nothing",
            Self::Metrics => "metrics under a Content-Type that Prometheus does not take",
            Self::Undeclared => "without a Content-Type that Prometheus 3 takes (no fallback_scrape_protocol is set)",
            Self::Unknown => "something else than metrics",
        }
    }
}

/// A page that wants to know who asks.
fn is_login(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    ["type=\"password\"", "type='password'", "<title>login", "<title>sign in", "<title>log in"]
        .iter()
        .any(|w| lower.contains(w))
}
