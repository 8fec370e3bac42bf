//! Where a program says that it listens: addresses and ports in the lines of its start.

use crate::text::pattern::pattern;

/// A port, and whether only the own loopback leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) port: u16,
    pub(crate) local: bool,
}

/// The addresses at which a line says that its program listens; none where it speaks of something else, as of whom it asks.
pub(crate) fn addresses(line: &str) -> Vec<Bound> {
    let tells = pattern!(
        r"(?i)\blisten(?:ing|s)?\b|\bserving\b|\bstarting (?:[\w-]+ ){0,2}server\b|\bserver (?:is )?(?:started|running)\b"
    );
    let other = pattern!(
        r"(?i)\bdial |\blookup |refused|\bfail|\berror\b|cannot|unable|connect|upstream|forward|proxying|redirect|\bshut|\bstop|\bclos|\bremote\b|\bpeer"
    );
    if !tells.is_match(line) || other.is_match(line) {
        return Vec::new();
    }
    let address = pattern!(
        r#"(?:^|[\s="'/(,])(localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0|\[::\]|\*|(?:\d{1,3}\.){3}\d{1,3}|)(?::| port )(\d{2,5})(?:[^\d.:]|$)"#
    );
    // Without a host it is not told who gets there: `Serving metrics on port 8081`
    let port_alone = pattern!(r#"\bport[ =:"]+(\d{2,5})\b"#);
    // The host of a URL is where one may look, and says nothing of where else it listens.
    let is_url = |at: usize| line[..at].ends_with("://") || line[..=at].ends_with("://");
    let all = address.captures_iter(line).filter_map(|found| {
        let local = is_loopback(&found[1]);
        if local && is_url(found.get(0)?.start()) {
            return None;
        }
        let port = found[2].parse().ok()?;
        Some(Bound { port, local })
    });
    let mut all: Vec<Bound> = all.collect();
    if all.is_empty() && !line.contains("://") {
        let ports = port_alone.captures_iter(line).filter_map(|found| found[1].parse().ok());
        all.extend(ports.map(|port| Bound { port, local: false }));
    }
    all
}

/// The host of an address that leads to one's own loopback alone.
pub(crate) fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_listeners_are_read() {
        let local = |port| Bound { port, local: true };
        let open = |port| Bound { port, local: false };
        for (line, expected) in [
            (
                r#"level=info ts=2026-11-21T02:00:00.353Z msg="Starting GRPC server" component=tempo endpoint=localhost:4317"#,
                vec![local(4317)],
            ),
            (
                "2026-11-21T02:00:00.353Z\tinfo\totlpreceiver@v0.110.0/otlp.go:112\tStarting HTTP server\t{\"kind\": \"receiver\", \"endpoint\": \"localhost:4318\"}",
                vec![local(4318)],
            ),
            (
                r#"2026-11-21T02:00:00Z info otlp.go:112 Starting GRPC server {"kind": "receiver", "endpoint": "0.0.0.0:4317"}"#,
                vec![open(4317)],
            ),
            (r#"ts=x msg="Listening on" address=127.0.0.1:9115"#, vec![local(9115)]),
            (r#"ts=x msg="Listening on" address=[::]:9100"#, vec![open(9100)]),
            ("Listening on :8080", vec![open(8080)]),
            ("Serving metrics on port 8081", vec![open(8081)]),
            ("serving requests since 02:53:46", vec![]),
            ("listen tcp 0.0.0.0:8889: bind: address already in use, error", vec![]),
            (
                r#"msg="server listening on addresses" http=127.0.0.1:3100 grpc=[::]:9095"#,
                vec![local(3100), open(9095)],
            ),
            ("Serving HTTP on 127.0.0.1 port 8000 (http://127.0.0.1:8000/) ...", vec![local(8000)]),
            ("Server running at http://localhost:3000/", vec![]),
            (r#"msg="HTTP Server Listen" logger=http.server address=[::]:3000 protocol=http"#, vec![open(3000)]),
            ("dial tcp 127.0.0.1:9090: connect: connection refused, listening again", vec![]),
            (r#"msg="Starting HTTP server" failed to reach localhost:9090"#, vec![]),
            ("GET http://localhost:9090/-/ready 200", vec![]),
        ] {
            assert_eq!(addresses(line), expected, "{line}");
        }
    }
}
