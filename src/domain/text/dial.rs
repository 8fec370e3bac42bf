//! Connections that could not be opened, in the words of the programs that tried: Go's, Python's, Java's, nginx's and others.

use std::fmt;
use std::net::IpAddr;

use regex::Regex;

use crate::text::pattern::pattern;

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nobody answered.
    Silent,
    /// Nothing listens.
    Refused,
}

/// A connection that could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dial<'a> {
    /// A name or an address.
    pub(crate) host: &'a str,
    /// The port, where it is told.
    pub(crate) port: Option<u16>,
    /// What became of it.
    pub(crate) outcome: Outcome,
}

impl<'a> Dial<'a> {
    /// The connection that a text tells of.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        // It is the proxy that was not reached, and the host behind it that is named.
        let outcome = outcome(text).filter(|_| !text.contains("ProxyError"))?;
        if let Some(found) = go().captures(text) {
            let outcome = if found.get(3).is_some() { Outcome::Refused } else { Outcome::Silent };
            return Some(Self { host: found.get(1)?.as_str(), port: found[2].parse().ok(), outcome });
        }
        let found = others().into_iter().find_map(|words| words.captures(text))?;
        let host = found.get(1)?.as_str().trim_end_matches('.');
        // A host without a name is one that the words do not tell.
        let is_host = host.contains(|c: char| c.is_ascii_alphanumeric());
        let port = found.get(2).and_then(|port| port.as_str().parse().ok());
        is_host.then_some(Self { host, port, outcome })
    }

    /// The address and the port, where both are told.
    pub(crate) fn address(&self) -> Option<(IpAddr, u16)> {
        Some((self.host.parse().ok()?, self.port?))
    }
}

impl fmt::Display for Dial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(self.host),
        }
    }
}

/// The address and port that gave no answer.
pub(crate) fn unanswered(text: &str) -> Option<(IpAddr, u16)> {
    Dial::read(text).filter(|dial| dial.outcome == Outcome::Silent)?.address()
}

/// The name or address that a text says was not reached: that of the URL, before the one of the socket.
pub(crate) fn host(text: &str) -> Option<String> {
    let url = pattern!(r#"(?:https?|postgres(?:ql)?|mysql|redis|mongodb|amqp)://(?:[^\s"'/@]*@)?([\w.-]+(?::\d+)?)"#);
    let socket = pattern!(r"dial \w+:? (?:lookup )?\[?([\w.:-]*[\w.-])\]?(?:[: ]|$)");
    let server = pattern!(
        r#"(?:resolve host:? |lookup |translate host name "|connection to server at "|getaddrinfo \w+ |UnknownHostException: |Failed to resolve ')\[?([\w.-]+)"#
    );
    let found = |pattern: &Regex| Some(pattern.captures(text)?[1].to_owned());
    let dialled = || Dial::read(text).map(|dial| dial.to_string());
    let host = found(url).or_else(|| found(socket)).or_else(dialled).or_else(|| found(server))?;
    let host = host.trim_end_matches([':', '.']).to_owned();
    (!host.is_empty() && host != "tcp").then_some(host)
}

/// What the words say became of a connection.
fn outcome(text: &str) -> Option<Outcome> {
    const REFUSED: &[&str] =
        &["onnection refused", "ECONNREFUSED", "ERR_CONNECTION_REFUSED", "actively refused", "' (111)"];
    const SILENT: &[&str] = &[
        "i/o timeout",
        "imed out",
        "ETIMEDOUT",
        "ERR_CONNECTION_TIMED_OUT",
        "connection timeout",
        "connect timeout",
        "timeout expired",
        "execution expired",
        "timeout after",
        "' (110)",
    ];
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(REFUSED) {
        return Some(Outcome::Refused);
    }
    has(SILENT).then_some(Outcome::Silent)
}

fn go() -> &'static Regex {
    pattern!(r"dial tcp \[?([0-9a-fA-F.:]+?)\]?:(\d+): (?:i/o timeout|connect: connection (?:timed out|(refused)))")
}

/// Host and port in the words of others; each says that it was the connection that failed, and not an answer that took long.
fn others() -> [&'static Regex; 12] {
    [
        // nginx
        pattern!(
            r#"\(\d+: [^)]*\) while connecting to upstream.*upstream: "[a-z]+://\[?([\w.-]+|[0-9a-fA-F:]+)\]?(?::(\d+))?[/"]"#
        ),
        // urllib3: `HTTPConnectionPool(host='h', port=80): Max retries exceeded … (Caused by NewConnectionError(…`
        pattern!(
            r"HTTPS?ConnectionPool\(host='([^']+)', port=(\d+)\): Max retries exceeded.*(?:ConnectTimeoutError|NewConnectionError)"
        ),
        // libpq
        pattern!(r#"connection to server at "([^"]+)"(?: \([^)]*\))?, port (\d+) failed: (?:Connection|timeout)"#),
        // curl, netcat: `connect to h port 80`
        pattern!(r"[Cc]onnect(?:ion)? to \[?([\w.:-]*\w)\]? \(?port (\d+)\)?.*(?:timed out|refused)"),
        // Java: `Connect to h:80 [h/10.0.0.1] failed: connect timed out`
        pattern!(r"Connect to (?:https?://)?\[?([\w.:-]*\w)\]?:(\d+) (?:\[[^\]]*\] )?failed: (?:[Cc]onnect|.*refused)"),
        // Netty: `Connection refused: h/10.0.0.1:80`
        pattern!(
            r"[Cc]onnection (?:timed out|refused): (?:no further information: )?[\w.-]*/\[?([0-9a-fA-F.:]+)\]?:(\d+)"
        ),
        // Node
        pattern!(r"connect E(?:TIMEDOUT|CONNREFUSED) \[?([0-9a-fA-F.:]+)\]?:(\d+)\b"),
        // Chromium
        pattern!(r"net::ERR_CONNECTION_(?:REFUSED|TIMED_OUT) at [a-z]+://\[?([\w.:-]*?\w)\]?(?::(\d+))?(?:[/\s]|$)"),
        // Ruby
        pattern!(
            r"open TCP connection to \[?([\w.:-]*\w)\]?:(\d+) \((?:execution expired|Connection|Operation timed out)"
        ),
        // Fluent Bit
        pattern!(r"connection #-?\d+ (?:to [a-z]+://|timeout after \d+ seconds? to: )\[?([\w.:-]*\w)\]?:(\d+)"),
        // Redis' and MySQL's clients
        pattern!(r"(?:Error 11[01] (?:while )?connecting to |connect to MySQL server on ')\[?([\w.:-]*\w)\]?:(\d+)"),
        // hyper and reqwest: `error sending request for url (http://h:80/): … tcp connect error`
        pattern!(r"url \(?[a-z]+://(?:[^/@\s]*@)?\[?([\w.:-]*?\w)\]?(?::(\d+))?[/)].*tcp connect error"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(&str, Option<u16>, Outcome)> {
        Dial::read(text).map(|dial| (dial.host, dial.port, dial.outcome))
    }

    #[test]
    fn silence_and_refusal_are_told_apart() {
        let ip: IpAddr = "172.20.0.1".parse().expect("an address");
        assert_eq!(unanswered("dial tcp 172.20.0.1:443: i/o timeout"), Some((ip, 443)));
        assert_eq!(unanswered("dial tcp 172.20.0.1:443: connect: connection timed out"), Some((ip, 443)));
        assert_eq!(unanswered("dial tcp 172.20.0.1:443: connect: connection refused"), None);
        let refused = read("dial tcp 172.20.0.1:443: connect: connection refused");
        assert_eq!(refused, Some(("172.20.0.1", Some(443), Outcome::Refused)));
        assert_eq!(read("dial tcp [fd00::1]:9090: i/o timeout"), Some(("fd00::1", Some(9090), Outcome::Silent)));
        assert_eq!(read("dial tcp: lookup grafana: i/o timeout"), None);
    }

    #[test]
    fn each_language_has_its_words() {
        use Outcome::{Refused, Silent};
        for (text, host, port, outcome) in [
            (
                r#"2026/11/21 02:50:00 [error] 34#34: *8 upstream timed out (110: Operation timed out) while connecting to upstream, client: 10.0.1.1, server: g.example, request: "GET / HTTP/1.1", upstream: "http://10.0.1.5:3000/", host: "g.example""#,
                "10.0.1.5",
                Some(3000),
                Silent,
            ),
            (
                r#"2026/11/21 02:50:00 [error] 34#34: *8 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.1.1, upstream: "http://10.0.1.5:3000/login""#,
                "10.0.1.5",
                Some(3000),
                Refused,
            ),
            (
                "requests.exceptions.ConnectTimeout: HTTPConnectionPool(host='prometheus.monitoring.svc', port=9090): Max retries exceeded with url: /api/v1/query (Caused by ConnectTimeoutError(<urllib3.connection.HTTPConnection object at 0x7f>, 'Connection to prometheus.monitoring.svc timed out. (connect timeout=5)'))",
                "prometheus.monitoring.svc",
                Some(9090),
                Silent,
            ),
            (
                "HTTPSConnectionPool(host='172.20.0.1', port=443): Max retries exceeded with url: /api (Caused by NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))",
                "172.20.0.1",
                Some(443),
                Refused,
            ),
            (
                r#"connection to server at "pg.db.svc" (172.20.4.4), port 5432 failed: Connection timed out"#,
                "pg.db.svc",
                Some(5432),
                Silent,
            ),
            (
                "curl: (28) Failed to connect to loki port 3100 after 130 ms: Connection timed out",
                "loki",
                Some(3100),
                Silent,
            ),
            (
                "org.apache.http.conn.ConnectTimeoutException: Connect to es:9200 [es/172.20.9.9] failed: connect timed out",
                "es",
                Some(9200),
                Silent,
            ),
            ("java.net.ConnectException: Connection refused: es/172.20.9.9:9200", "172.20.9.9", Some(9200), Refused),
            (
                "Error: net::ERR_CONNECTION_REFUSED at http://grafana.obs:3000/d-solo/a",
                "grafana.obs",
                Some(3000),
                Refused,
            ),
            ("net::ERR_CONNECTION_TIMED_OUT at https://grafana.example.org/d/a", "grafana.example.org", None, Silent),
            ("Error: connect ETIMEDOUT 10.0.2.3:9200", "10.0.2.3", Some(9200), Silent),
            ("Error: connect ECONNREFUSED ::1:5432", "::1", Some(5432), Refused),
            (
                "Failed to open TCP connection to es.logs:9200 (Connection refused - connect(2) for \"es.logs\" port 9200)",
                "es.logs",
                Some(9200),
                Refused,
            ),
            (
                "[2026/11/21 02:50:00] [error] [upstream] connection #58 to tcp://10.0.2.3:9200 timed out after 10 seconds (connection timeout)",
                "10.0.2.3",
                Some(9200),
                Silent,
            ),
            (
                "[2026/11/21 02:50:00] [error] [net] connection #61 timeout after 10 seconds to: loki-gateway:80",
                "loki-gateway",
                Some(80),
                Silent,
            ),
            (
                "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
                "redis",
                Some(6379),
                Refused,
            ),
            (
                "error sending request for url (http://loki:3100/loki/api/v1/push): error trying to connect: tcp connect error: Connection timed out (os error 110)",
                "loki",
                Some(3100),
                Silent,
            ),
        ] {
            assert_eq!(read(text), Some((host, port, outcome)), "{text}");
        }
    }

    #[test]
    fn an_answer_that_takes_long_is_none() {
        for text in [
            r#"upstream timed out (110: Operation timed out) while reading response header from upstream, upstream: "http://10.0.1.5:3000/""#,
            "HTTPConnectionPool(host='prometheus', port=9090): Read timed out. (read timeout=30)",
            "Get \"http://prometheus:9090/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            "query timed out in expression evaluation",
            "HTTPSConnectionPool(host='a.example', port=443): Max retries exceeded with url: / (Caused by ProxyError('Cannot connect to proxy.', NewConnectionError('Connection refused')))",
            "java.net.SocketTimeoutException: Read timed out",
            "[2026/11/21 02:50:00] [ info] [output:loki:loki.0] worker #0 started",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
