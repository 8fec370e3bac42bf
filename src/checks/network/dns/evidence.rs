//! Look-ups that fail now for want of the cluster's DNS. A name that does not exist is an answer, and no failure of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::checks::support::probes;
use crate::checks::support::seen::{line_evidence, log_evidence};
use crate::domain::alertmanager::log::recent_failures;
use crate::domain::kubernetes::cluster_dns;
use crate::domain::prometheus::scrape_error::ScrapeFailure;
use crate::domain::prometheus::targets;
use crate::domain::text::lasting::Lasting;
use crate::domain::text::log_line::{age, is_now};
use crate::model::{Evidence, Gap, Program};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::probe::{Trial, Verdict};
use crate::text::pattern::pattern;

/// A log of a container that runs speaks of now if it said so in these seconds.
const NOW: i64 = 900;

/// How a look-up failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// No answer at all.
    Silent,
    /// Nobody listens.
    Refused,
    /// The server answered that it cannot say.
    Answered,
}

/// One pod's look-ups of one name.
#[derive(Debug, Clone)]
pub(super) struct Failure<'a> {
    pub(super) pod: Option<&'a Pod>,
    /// The name; empty where it is not known.
    pub(super) host: String,
    pub(super) how: How,
    /// Seen once, and only in the log of a container that runs.
    pub(super) once: bool,
    pub(super) seen: Evidence,
}

/// What a text says of a failed look-up.
struct Said {
    host: String,
    how: How,
    resolver: Option<IpAddr>,
}

/// Look-ups that fail, each pod and name once.
///
/// # Errors
/// The gap, if Prometheus could not be asked and nothing else was seen to fail.
pub(super) fn failures(snap: &Snapshot) -> Result<Vec<Failure<'_>>, Gap> {
    let mut all = probed(snap);
    all.extend(notifications(snap));
    all.extend(logged(snap));
    match scrapes(snap) {
        Ok(mut found) => {
            found.append(&mut all);
            all = found;
        }
        Err(gap) if all.is_empty() => return Err(gap),
        Err(_) => {}
    }
    let mut kept: Vec<Failure<'_>> = Vec::new();
    for failure in all {
        let pod = |f: &Failure<'_>| f.pod.map(|p| (p.metadata.namespace.clone(), p.metadata.name.clone()));
        let same = |k: &&mut Failure<'_>| pod(k) == pod(&failure) && k.host == failure.host;
        match kept.iter_mut().find(same) {
            Some(known) => known.once = false,
            None => kept.push(failure),
        }
    }
    Ok(kept)
}

fn scrapes(snap: &Snapshot) -> Result<Vec<Failure<'_>>, Gap> {
    let pod = targets::prometheus_pod(snap);
    let down = targets::down(snap)?;
    let failed = down.iter().filter(|d| d.failure == ScrapeFailure::Dns).filter_map(|d| {
        let mut said = read(&d.target.last_error).filter(|s| is_clusters(snap, s))?;
        if said.host.is_empty() {
            said.host = d.address.as_ref().map(|a| a.host.clone()).unwrap_or_default();
        }
        let seen = crate::checks::support::scrape::evidence(snap, d.target.job(), &[d]);
        Some(Failure { pod, host: said.host, how: said.how, once: false, seen })
    });
    Ok(failed.collect())
}

fn notifications(snap: &Snapshot) -> Vec<Failure<'_>> {
    let failed = recent_failures(snap).into_iter().filter_map(|failure| {
        let said = read(&failure.cause).filter(|s| is_clusters(snap, s))?;
        let pod = snap.pods.find(&failure.namespace, &failure.pod).ok().flatten();
        if resolves(snap, &failure.namespace, &failure.pod) {
            return None;
        }
        let seen = log_evidence(&failure.namespace, &failure.pod, "", false, &failure.cause);
        Some(Failure { pod, host: said.host, how: said.how, once: false, seen })
    });
    failed.collect()
}

fn logged(snap: &Snapshot) -> Vec<Failure<'_>> {
    let logs = [(&snap.component_logs, false), (&snap.crash_logs, false), (&snap.part_logs, true)];
    let logs = logs.into_iter().flat_map(|(logs, of_part)| logs.iter().flatten().map(move |log| (log, of_part)));
    let mut all = Vec::new();
    for (log, of_part) in logs.filter(|(l, _)| !resolves(snap, &l.namespace, &l.pod)) {
        let pod = snap.pod_of_log(log);
        // On the host's network, names are asked of the node's own resolver.
        if pod.is_some_and(|p| p.spec.host_network) {
            continue;
        }
        // Whether it goes on is told for each name once, and not for each line that has it.
        let mut lasting: BTreeMap<String, bool> = BTreeMap::new();
        for line in log.text.lines().rev() {
            // Alertmanager's notifications are read as such, without those that succeeded later.
            if log.program == Some(Program::Alertmanager) && line.contains("otify") {
                continue;
            }
            let Some(said) = read(line).filter(|s| is_clusters(snap, s)) else { continue };
            if !is_now(log, line, snap.collected_at, NOW) {
                continue;
            }
            // Agents on every node lose a packet now and then, and ask again.
            if of_part && !*lasting.entry(said.host.clone()).or_insert_with(|| goes_on(snap, log, &said.host)) {
                continue;
            }
            let seen = line_evidence(log, line);
            all.push(Failure { pod, host: said.host, how: said.how, once: !log.previous, seen });
        }
    }
    all
}

/// A log says for minutes, and still, that a name cannot be looked up.
fn goes_on(snap: &Snapshot, log: &ContainerLog, host: &str) -> bool {
    let mut all: Option<Lasting> = None;
    for line in log.text.lines().filter(|l| read(l).is_some_and(|said| said.host == host)) {
        let Some(age) = age(line, snap.collected_at).filter(|age| *age <= NOW) else { continue };
        all.get_or_insert_with(|| Lasting::before(age)).add(age);
    }
    all.is_some_and(Lasting::goes_on)
}

fn probed(snap: &Snapshot) -> Vec<Failure<'_>> {
    let tried = snap.probes().unwrap_or_default().iter();
    tried
        .filter_map(|probe| {
            let Trial::Dns { host } = &probe.trial else { return None };
            let pod = snap.pods.find(&probe.namespace, &probe.pod).ok().flatten();
            let failed = probe.verdict == Verdict::TimedOut;
            failed.then(|| Failure {
                pod,
                host: host.clone(),
                how: How::Silent,
                once: false,
                seen: probes::evidence(probe),
            })
        })
        .collect()
}

/// A probe resolved a name from this pod: what its log says is over.
fn resolves(snap: &Snapshot, namespace: &str, pod: &str) -> bool {
    let all = snap.probes().unwrap_or_default();
    let tried = || {
        all.iter()
            .filter(|p| p.namespace == namespace && p.pod == pod && matches!(p.trial, Trial::Dns { .. }))
            .map(|p| p.verdict.clone())
    };
    tried().any(|v| matches!(v, Verdict::Resolved | Verdict::NoSuchName)) && !tried().any(|v| v == Verdict::TimedOut)
}

/// Reads a failed look-up from an error or a log line: `lookup x on 10.100.0.10:53: … i/o timeout`.
fn read(text: &str) -> Option<Said> {
    let lookup = pattern!(r"lookup ([^\s:]+)(?: on \[?([0-9a-fA-F.:]+?)\]?:53)?: (.*)");
    let found = lookup.captures(text);
    let host = match &found {
        Some(found) => found[1].trim_end_matches('.').to_owned(),
        None => asked(text).unwrap_or_default().to_owned(),
    };
    let resolver = found.as_ref().and_then(|c| c.get(2)?.as_str().parse().ok());
    let after = found.as_ref().map(|c| c[3].to_owned());
    let how = match after {
        Some(after) => of_lookup(&after)?,
        None => of_text(text)?,
    };
    Some(Said { host, how, resolver })
}

/// The name that others than Go say they asked for: `getaddrinfo EAI_AGAIN loki`, `getaddrinfo(host='loki', err=12)`,
/// `HTTPConnectionPool(host='loki', port=3100)`.
fn asked(text: &str) -> Option<&str> {
    let words = pattern!(r"(?:getaddrinfo E[A-Z_]+ |\(host='|UnknownHostException: )([\w.-]*\w)");
    Some(words.captures(text)?.get(1)?.as_str())
}

fn of_lookup(error: &str) -> Option<How> {
    let any = |parts: &[&str]| parts.iter().any(|p| error.contains(p));
    if any(&["no such host"]) {
        return None;
    }
    if any(&["i/o timeout", "Temporary failure in name resolution", "Try again"]) {
        return Some(How::Silent);
    }
    if any(&["connection refused"]) {
        return Some(How::Refused);
    }
    any(&["server misbehaving", "SERVFAIL"]).then_some(How::Answered)
}

/// What tools and other runtimes say.
fn of_text(text: &str) -> Option<How> {
    let any = |parts: &[&str]| parts.iter().any(|p| text.contains(p));
    const SILENT: &[&str] = &[
        "no servers could be reached",
        "Temporary failure in name resolution",
        "EAI_AGAIN",
        "Timeout while contacting DNS servers",
    ];
    if any(SILENT) {
        return Some(How::Silent);
    }
    let of_dns = any(&["nslookup", "server can't find", "resolve", "dns", "DNS"]);
    (any(&["server misbehaving"]) || (of_dns && any(&["SERVFAIL"]))).then_some(How::Answered)
}

/// The resolver that was asked is the cluster's, or the cache on the node that asks it, or is not named.
fn is_clusters(snap: &Snapshot, said: &Said) -> bool {
    let Some(resolver) = said.resolver else { return true };
    if let IpAddr::V4(v4) = resolver
        && v4.is_link_local()
    {
        // 169.254.169.253 is the VPC's own.
        return v4.octets()[2] != 169;
    }
    let known = cluster_dns::service(snap).and_then(|s| s.spec.cluster_ip.as_deref()?.parse::<IpAddr>().ok());
    known.is_none_or(|ip| ip == resolver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_name_that_does_not_exist_from_a_server_that_does_not_answer() {
        let how = |text: &str| read(text).map(|s| s.how);
        for quiet in [
            "dial tcp: lookup grafana.shop.svc on 172.20.0.10:53: no such host",
            "dial tcp: lookup grafana.shop.svc: no such host",
            "** server can't find x.svc: NXDOMAIN",
            "dial tcp 10.0.1.9:9090: i/o timeout",
            "dial tcp 10.0.1.9:9090: connect: connection refused",
            "context deadline exceeded",
        ] {
            assert_eq!(how(quiet), None, "{quiet}");
        }
        for (text, wanted) in [
            ("lookup a.b on 172.20.0.10:53: read udp 10.0.1.5:4242->172.20.0.10:53: i/o timeout", How::Silent),
            ("dial tcp: lookup a.b: i/o timeout", How::Silent),
            ("dial tcp: lookup a.b on [fd00::a]:53: server misbehaving", How::Answered),
            ("lookup a.b on 10.0.0.10:53: read udp 1.2.3.4:5->10.0.0.10:53: read: connection refused", How::Refused),
            (";; connection timed out; no servers could be reached", How::Silent),
            ("Error: getaddrinfo EAI_AGAIN prometheus.monitoring", How::Silent),
            ("failed to resolve web: SERVFAIL", How::Answered),
        ] {
            assert_eq!(how(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn other_languages_say_which_name() {
        for (text, host) in [
            ("Error: getaddrinfo EAI_AGAIN loki.logs", "loki.logs"),
            ("[net] getaddrinfo(host='loki-gateway', err=12): Timeout while contacting DNS servers", "loki-gateway"),
            (
                "HTTPConnectionPool(host='prometheus', port=9090): Max retries exceeded (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution'))",
                "prometheus",
            ),
        ] {
            let said = read(text).expect("a failed look-up");
            assert_eq!((said.host.as_str(), said.how), (host, How::Silent), "{text}");
        }
        assert!(read("Error: getaddrinfo ENOTFOUND loki.logs").is_none(), "an answer");
    }
}
