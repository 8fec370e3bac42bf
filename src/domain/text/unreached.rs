//! Why a program did not reach another: told from the error of Go's client.

/// What was in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreached {
    /// The name does not exist; empty where the error does not say it.
    NoSuchHost(String),
    /// DNS itself failed.
    Dns,
    /// Nothing listens.
    Refused,
    /// No way leads there.
    NoRoute,
    /// No answer in time.
    Timeout,
    /// Closed in the middle.
    Reset,
}

impl Unreached {
    /// The name was not found. Such errors speak of time-outs and refused connections, too: those of the name server.
    pub(crate) fn by_name(text: &str) -> Option<Self> {
        let has = |part: &str| text.contains(part);
        if has("no such host") {
            let host = text.split_once("lookup ").map_or("", |(_, rest)| rest.split([' ', ':']).next().unwrap_or(rest));
            return Some(Self::NoSuchHost(host.to_owned()));
        }
        let asked = has("lookup ") && (has("timeout") || has("connection refused"));
        (asked || has("server misbehaving") || has("Temporary failure in name resolution")).then_some(Self::Dns)
    }

    /// The address was known, and did not answer.
    pub(crate) fn on_the_way(text: &str) -> Option<Self> {
        const WORDS: &[(Unreached, &[&str])] = &[
            (Unreached::Refused, &["connection refused"]),
            (Unreached::NoRoute, &["no route to host", "network is unreachable", "host is down"]),
            (Unreached::Timeout, &["context deadline exceeded", "timeout", "timed out", "Client.Timeout"]),
            (
                Unreached::Reset,
                &["connection reset", "broken pipe", "closed network connection", "server closed idle connection"],
            ),
        ];
        let told = WORDS.iter().find(|(_, words)| words.iter().any(|w| text.contains(w)));
        told.map(|(why, _)| why.clone()).or_else(|| text.ends_with("EOF").then_some(Self::Reset))
    }
}
