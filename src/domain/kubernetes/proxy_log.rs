//! What kube-proxy says of its own work: rules that it cannot write, Services that it cannot read.

use crate::domain::text::log_line::{age, is_within};
use crate::domain::text::redact::redact;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which what it says is of now: it tries again every 30 seconds.
const NOW: i64 = 300;
/// Times that it has to say so within these: once passes, as where another program holds the lock, and so does a while now and
/// then.
const OFTEN: usize = 3;

/// What keeps it from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Another program holds the lock of the packet filter.
    Lock,
    /// The packet filter, or the kernel below it, refuses the rules.
    Rules,
    /// The API server does not give it the Services and their endpoints.
    Api,
}

/// A complaint that goes on.
#[derive(Debug, Clone)]
pub(crate) struct Trouble<'a> {
    pub(crate) kind: Cause,
    pub(crate) log: &'a ContainerLog,
    pub(crate) line: &'a str,
    /// What it says of the reason, without what stands before it.
    pub(crate) reason: String,
}

/// True for a kube-proxy.
pub(crate) fn is_proxy(pod: &Pod) -> bool {
    pod.spec.containers.iter().any(|c| is_proxy_container(&c.name, &c.image))
}

/// The same, by name and image of a container.
pub(crate) fn is_proxy_container(name: &str, image: &str) -> bool {
    name == "kube-proxy" || image.contains("/kube-proxy")
}

/// What the kube-proxy of a pod complains of now.
pub(crate) fn trouble<'a>(snap: &'a Snapshot, proxy: &Pod) -> Option<Trouble<'a>> {
    let logs = snap.part_logs.iter().flatten().chain(snap.crash_logs.iter().flatten()).filter(|l| !l.previous);
    let mut own = logs.filter(|l| l.is_of(&proxy.metadata) && is_proxy_container(&l.container, &l.image));
    own.find_map(|log| {
        let now = snap.collected_at;
        let told: Vec<(&str, Cause)> = log.text.lines().filter_map(|line| Some((line, kind(line)?))).collect();
        let (line, kind) = *told.last()?;
        let times = told.iter().filter(|(l, k)| *k == kind && is_within(l, now, NOW)).count();
        let goes_on = times >= OFTEN && age(line, now).is_some_and(|seconds| seconds <= NOW);
        goes_on.then(|| Trouble { kind, log, line, reason: reason(line) })
    })
}

fn kind(line: &str) -> Option<Cause> {
    let lower = line.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let writes = has(&[
        "failed to execute iptables-restore",
        "failed to ensure that",
        "failed to ensure chain",
        "can't initialize iptables table",
        "nftables sync failed",
        "failed to execute ipset",
        "failed to add ipvs",
        "failed to sync ipvs",
        "failed to make sure ip set",
    ]);
    if writes {
        let locked = has(&["xtables lock", "resource temporarily unavailable", "resource busy"]);
        return Some(if locked { Cause::Lock } else { Cause::Rules });
    }
    let reads =
        has(&["failed to list *v1.service", "failed to list *v1.endpointslice", "failed to list *v1.endpoints"]);
    let refused =
        has(&["i/o timeout", "unauthorized", "x509", "no such host", "forbidden", "refused", "no route to host"]);
    (reads && refused).then_some(Cause::Api)
}

/// `exit status 1 (iptables-restore: line 1193 failed)`.
fn reason(line: &str) -> String {
    let err = pattern!(r#"err="((?:[^"\\]|\\.)*)""#).captures(line).map(|c| c[1].to_owned());
    let told =
        err.or_else(|| line.split_once("] ").map(|(_, rest)| rest.to_owned())).unwrap_or_else(|| line.to_owned());
    let plain = told.replace("\\n", " ").replace("\\\"", "\"");
    redact(plain.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches([')', ' '])).replacen(" (", ": ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn told(lines: &[&str]) -> Option<(Cause, String)> {
        let mut snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let pod = json!({"metadata": {"name": "kube-proxy-1", "namespace": "kube-system"},
            "spec": {"nodeName": "n", "containers": [{"name": "kube-proxy", "image": "r/eks/kube-proxy:v1.36.0"}]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        snap.pods = Listing::cluster(vec![pod.clone()]);
        let log = ContainerLog {
            namespace: "kube-system".into(),
            pod: "kube-proxy-1".into(),
            container: "kube-proxy".into(),
            text: lines.join("\n").as_str().into(),
            ..ContainerLog::default()
        };
        *snap.part_logs = Ok(vec![log]);
        trouble(&snap, &pod).map(|t| (t.kind, t.reason))
    }

    #[test]
    fn what_goes_on_is_told() {
        let line = |at: &str| {
            format!(
                "E1121 {at}.484000       1 proxier.go:1484] \"Failed to execute iptables-restore\" err=\"exit status 1 (iptables-restore: line 1193 failed\\n)\""
            )
        };
        let all = [line("02:53:20"), line("02:53:50"), line("02:54:20")];
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(told(&all), Some((Cause::Rules, "exit status 1: iptables-restore: line 1193 failed".to_owned())));
        assert_eq!(told(&all[..1]), None, "once");
        let old = [line("01:53:20"), line("01:53:50"), line("01:54:20")];
        let old: Vec<&str> = old.iter().map(String::as_str).collect();
        assert_eq!(told(&old), None, "an hour ago");
        let rare = [line("02:33:20"), line("02:43:50"), line("02:54:20")];
        let rare: Vec<&str> = rare.iter().map(String::as_str).collect();
        assert_eq!(told(&rare), None, "now and then");
        let api = "E1121 02:54:20.1 1 reflector.go:205] \"Failed to watch\" err=\"failed to list *v1.EndpointSlice: Get \\\"https://10.0.0.1:443/apis\\\": dial tcp 10.0.0.1:443: i/o timeout\"";
        assert_eq!(told(&[api, api, api]).map(|(kind, _)| kind), Some(Cause::Api));
        let calm = "I1121 02:54:20.1 1 proxier.go:858] \"Syncing iptables rules\"";
        assert_eq!(told(&[calm, calm, calm]), None);
    }
}
