//! What CoreDNS, and the cache of it on nodes, say in their logs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::text::pattern::pattern;

/// Errors after which so many lines without one follow are of before; CoreDNS' lines have no time.
const MOVED_ON: usize = 50;

/// A fault that the log names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The file that it runs by cannot be read: the line of it, where named, and what is wrong.
    Corefile { line: Option<u32>, text: String },
    /// It forwards to itself.
    Loop,
    /// What it forwards to names no server: the node's `/etc/resolv.conf` has none.
    NoServers,
    /// Its ServiceAccount may not read something of the API.
    Forbidden,
    /// It does not reach the cluster's API.
    Api,
    /// It forwards more look-ups at once than it is allowed to.
    TooMany,
    /// A server that it forwards to does not answer.
    Upstream(Upstream),
}

/// A server that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Upstream {
    pub(crate) server: IpAddr,
    /// Answers that it refuses the connection; else it is silent.
    pub(crate) refuses: bool,
    /// Look-ups of names that failed; CoreDNS' own probes of a loop are not among them.
    pub(crate) names: BTreeSet<String>,
    /// Lines that say so.
    pub(crate) count: usize,
}

/// What a log says, with the last line that says so. Newest first is not kept: order is by kind.
pub(crate) fn faults(log: &str) -> Vec<(Cause, &str)> {
    let lines: Vec<&str> = log.lines().collect();
    let mut found: Vec<(Cause, &str)> = Vec::new();
    let mut upstreams: BTreeMap<IpAddr, (Upstream, &str, usize)> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some((server, name, refuses)) = unanswered(line) {
            let new = || (Upstream { server, refuses, names: BTreeSet::new(), count: 0 }, *line, at);
            let (upstream, last, when) = upstreams.entry(server).or_insert_with(new);
            upstream.count += 1;
            upstream.refuses &= refuses;
            upstream.names.extend(name);
            (*last, *when) = (line, at);
        } else if let Some(fault) = other(line) {
            let recent = lines.len() - at <= MOVED_ON;
            match found.iter_mut().find(|(known, _)| *known == fault) {
                _ if !recent => {}
                Some((_, last)) => *last = line,
                None => found.push((fault, line)),
            }
        }
    }
    let now = upstreams.into_values().filter(|(_, _, at)| lines.len() - at <= MOVED_ON);
    found.extend(now.map(|(upstream, line, _)| (Cause::Upstream(upstream), line)));
    found.sort();
    found
}

/// Lines in which it does not reach the API, about the kind of which it says so most. What it watches is asked for again at least each minute, so one that is cut off
/// says so again and again; at its start, and while the API server is updated, it may once.
pub(crate) fn api_failures(log: &str) -> usize {
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for line in log.lines().filter(|line| other(line) == Some(Cause::Api)) {
        let rest = line.split("*v1.").nth(1).unwrap_or_default();
        *by_kind.entry(rest.split([':', ' ']).next().unwrap_or_default()).or_default() += 1;
    }
    by_kind.into_values().max().unwrap_or_default()
}

/// `plugin/errors: 2 api.example.com. A: read udp 10.0.1.5:3->10.0.0.2:53: i/o timeout`: the server, the name, and whether
/// it refused.
fn unanswered(line: &str) -> Option<(IpAddr, Option<String>, bool)> {
    let error = pattern!(
        r"plugin/errors: \d+ (\S+) ([A-Z0-9]+): (?:read|write|dial) (?:udp|tcp) (?:\S+->)?\[?([0-9a-fA-F.:]+?)\]?:53: (.*)$"
    );
    let found = error.captures(line.trim_end())?;
    let refuses = found[4].contains("refused");
    if !refuses && !found[4].contains("timeout") && !found[4].contains("unreachable") {
        return None;
    }
    // HINFO of a random name is how it looks for loops.
    let name = (&found[2] != "HINFO").then(|| found[1].trim_end_matches('.').to_owned());
    Some((found[3].parse().ok()?, name, refuses))
}

fn other(line: &str) -> Option<Cause> {
    let has = |parts: &[&str]| parts.iter().any(|p| line.contains(p));
    if has(&["plugin/loop: Loop"]) {
        return Some(Cause::Loop);
    }
    if has(&["no nameservers found"]) {
        return Some(Cause::NoServers);
    }
    if has(&["concurrent queries exceeded"]) {
        return Some(Cause::TooMany);
    }
    let corefile = pattern!(r"Corefile:(\d+) - Error during parsing: (.*)$");
    if let Some(found) = corefile.captures(line.trim_end()) {
        return Some(Cause::Corefile { line: found[1].parse().ok(), text: found[2].to_owned() });
    }
    if has(&["Error during parsing", "loading Caddyfile"]) {
        return Some(Cause::Corefile { line: None, text: line.trim().to_owned() });
    }
    if !has(&["plugin/kubernetes", "pkg/mod/k8s.io/client-go", "Kubernetes API"]) {
        return None;
    }
    if has(&["forbidden"]) {
        return Some(Cause::Forbidden);
    }
    has(&["i/o timeout", "connection refused", "no route to host", "Kubernetes API connection failure"])
        .then_some(Cause::Api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_do_not_answer_are_counted() {
        let log = "[ERROR] plugin/errors: 2 api.stripe.com. A: read udp 10.0.150.59:33001->10.0.0.2:53: i/o timeout\n\
                   [ERROR] plugin/errors: 2 db.example.com. AAAA: dial tcp 10.0.0.2:53: i/o timeout\n\
                   [ERROR] plugin/errors: 2 379.109. HINFO: read udp 10.0.150.59:1->10.0.0.2:53: i/o timeout\n\
                   [ERROR] plugin/errors: 2 x.corp. A: read udp 10.0.150.59:1->192.168.0.53:53: read: connection refused\n";
        let found = faults(log);
        let Cause::Upstream(first) = &found[0].0 else { panic!("{found:?}") };
        assert_eq!((first.server.to_string().as_str(), first.count, first.names.len()), ("10.0.0.2", 3, 2));
        let Cause::Upstream(second) = &found[1].0 else { panic!("{found:?}") };
        assert!(second.refuses && !first.refuses);
    }

    #[test]
    fn what_is_over_is_not_said() {
        let quiet = "[INFO] plugin/reload: Running configuration\n".repeat(60);
        let log = format!("[ERROR] plugin/errors: 2 a.b. A: read udp 1.2.3.4:1->10.0.0.2:53: i/o timeout\n{quiet}");
        assert!(faults(&log).is_empty());
    }

    #[test]
    fn other_faults() {
        let first = |log: &str| faults(log).into_iter().next().map(|(fault, _)| fault);
        assert_eq!(first("[FATAL] plugin/loop: Loop (127.0.0.1:5 -> :53) detected for zone \".\""), Some(Cause::Loop));
        assert_eq!(
            first("/etc/coredns/Corefile:7 - Error during parsing: Unknown directive 'forwrad'"),
            Some(Cause::Corefile { line: Some(7), text: "Unknown directive 'forwrad'".into() })
        );
        assert_eq!(
            first(
                "[INFO] plugin/kubernetes: pkg/mod/k8s.io/client-go@v0.29.3/tools/cache/reflector.go:229: failed to list *v1.EndpointSlice: endpointslices.discovery.k8s.io is forbidden"
            ),
            Some(Cause::Forbidden)
        );
        assert_eq!(first("plugin/forward: no nameservers found"), Some(Cause::NoServers));
        assert_eq!(first("[INFO] 10.0.0.1:5 - 1 \"A IN x. udp 1 false 512\" NOERROR"), None);
    }
}
