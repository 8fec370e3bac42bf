//! Programs whose token the API server does not take any more, in the words that their clients log.

use crate::domain::text::log_line::is_within;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Platform, Snapshot};
use crate::text::pattern::pattern;

/// Seconds for which a line tells of now.
const NOW: i64 = 900;
/// Lines from which on it is no hiccup of the API server.
const LEAST: usize = 3;
/// Days after which EKS takes no token any more that was never read again.
const EXTENDED: i64 = 90;
/// The day of client-go 0.15.7, the first that reads its token again.
const FIXED_ON: u32 = 20_191_211;

/// A program that is answered with 401.
pub(crate) struct Refused<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) log: &'a ContainerLog,
    /// The newest line that says so.
    pub(crate) line: &'a str,
    pub(crate) why: Why,
}

/// Why its token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It has been running for longer than EKS accepts a token that is not read again.
    Old {
        days: i64,
        /// Its client is one that reads the token only once.
        once: bool,
    },
    /// Its ServiceAccount was recreated since it started.
    Remade,
    /// It is not known.
    Unknown,
}

/// All of them, one line for each pod.
pub(crate) fn all(snap: &Snapshot) -> Vec<Refused<'_>> {
    let says = pattern!(
        r"(?i)failed to (?:list|watch) (?:\*\w+\.\w+|[\w./]+, Kind=\S+): (?:the server has asked for the client to provide credentials|unauthorized\b)"
    );
    let mut found: Vec<Refused<'_>> = Vec::new();
    for log in snap.part_logs.iter().flatten().filter(|l| !l.previous) {
        let recent = |l: &&str| is_within(l, snap.collected_at, NOW);
        let told: Vec<&str> = log.text.lines().filter(|l| says.is_match(l)).filter(recent).collect();
        let Some(pod) = snap.pod_of_log(log) else { continue };
        let is_known = found.iter().any(|f| f.log.namespace == log.namespace && f.log.pod == log.pod);
        if told.len() < LEAST || is_known {
            continue;
        }
        if let Some(line) = told.last() {
            found.push(Refused { pod, log, line, why: why(snap, pod, &log.container, line) });
        }
    }
    found
}

fn why(snap: &Snapshot, pod: &Pod, container: &str, line: &str) -> Why {
    let started = pod.status.start_time.or(pod.metadata.creation_timestamp);
    let account = snap.service_accounts.find(&pod.metadata.namespace, pod.spec.account()).ok().flatten();
    let made = account.and_then(|a| a.metadata.creation_timestamp);
    if started.zip(made).is_some_and(|(started, made)| made > started) {
        return Why::Remade;
    }
    // One that was restarted read the token that was there then.
    let status = pod.status.container_statuses.iter().find(|s| s.name == container);
    let days = status.and_then(|s| s.running_since()).map(|t| snap.seconds_since(t) / 86400);
    let old = days.filter(|d| *d >= EXTENDED && snap.platform == Platform::Eks);
    old.map_or(Why::Unknown, |days| Why::Old { days, once: reads_once(line) })
}

/// The path of the source file in the line is of a client-go before 0.15.7: `client-go@v0.0.0-20191109102209-…`.
fn reads_once(line: &str) -> bool {
    let version = pattern!(r"client-go@v(?:0\.0\.0-(\d{8})|0\.(\d+)\.\d+|(\d+)\.\d+\.\d+\+)");
    let Some(found) = version.captures(line) else { return false };
    let number = |i: usize| found.get(i).and_then(|m| m.as_str().parse::<u32>().ok());
    number(1).is_some_and(|day| day < FIXED_ON) || number(2).is_some_and(|minor| minor < 15) || number(3).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn told(platform: Platform, started: &str, object: &str) -> Vec<Why> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        snap.platform = platform;
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "ksm", "namespace": "m"},
            "status": {"phase": "Running", "startTime": "2026-08-01T03:00:00Z", "containerStatuses": [
                {"name": "ksm", "state": {"running": {"startedAt": started}}}]}}))
        .expect("a pod");
        snap.pods = Listing::cluster(vec![pod]);
        let line = format!("E1121 02:58:12.120000       1 reflector.go:156] Failed to list {object}: Unauthorized\n");
        let log = ContainerLog {
            program: None,
            namespace: "m".into(),
            pod: "ksm".into(),
            container: "ksm".into(),
            image: "ksm:v1".into(),
            previous: false,
            text: line.repeat(3).into(),
        };
        *snap.part_logs = Ok(vec![log]);
        all(&snap).iter().map(|r| r.why).collect()
    }

    #[test]
    fn a_token_is_old_by_its_container_and_on_eks_alone() {
        let (long, now) = ("2026-08-01T03:00:00Z", "2026-11-20T03:00:00Z");
        assert_eq!(told(Platform::Eks, long, "*v1.Pod"), [Why::Old { days: 112, once: false }]);
        assert_eq!(told(Platform::Eks, now, "*v1.Pod"), [Why::Unknown], "restarted");
        assert_eq!(told(Platform::Other, long, "*v1.Pod"), [Why::Unknown], "another cluster");
        assert!(told(Platform::Eks, long, "tags").is_empty(), "of a registry");
    }

    #[test]
    fn old_clients_are_known_by_their_path() {
        assert!(reads_once("k8s.io/client-go@v0.0.0-20191109102209-3c0d1af94be5/tools/cache/reflector.go:108"));
        assert!(reads_once("k8s.io/client-go@v11.0.0+incompatible/tools/cache/reflector.go:98"));
        assert!(!reads_once("k8s.io/client-go@v0.35.0/tools/cache/reflector.go:289"));
        assert!(!reads_once("k8s.io/client-go@v0.0.0-20210313025757-51a1c5553d68/tools/cache/reflector.go:167"));
        assert!(!reads_once("k8s.io/client-go/informers/factory.go:134"));
    }
}
