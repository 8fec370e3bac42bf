//! What metrics-server says of the kubelets that it asks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::text::log_line;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Node;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which a line of its log tells of now.
const RECENT: i64 = 15 * 60;
/// Seconds in which it has asked a kubelet several times.
const SINCE: i64 = 180;

/// What a kubelet sends in the TLS handshake where it has no certificate to show.
pub(crate) const NO_CERTIFICATE: &str = "remote error: tls: internal error";

/// A certificate whose time is over; Go says the same of one whose time is yet to come, with "is before".
pub(crate) fn is_expired(text: &str) -> bool {
    text.contains("x509: certificate has expired") && !text.contains(" is before ")
}

/// Why a kubelet gives it no metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KubeletCause {
    /// No answer in time.
    Timeout,
    /// The port is closed.
    Refused,
    /// The kubelet's certificate does not name the address.
    NoAddressInCertificate,
    /// The kubelet's certificate is of an authority that nobody trusts.
    UnknownAuthority,
    /// The kubelet has no certificate to show.
    NoCertificate,
    /// The kubelet's certificate has expired.
    Expired,
    /// The kubelet does not know who asks.
    Unauthorized,
    /// Who asks may not read metrics.
    Forbidden,
    /// The node's name is not known.
    NoHost,
    /// Something else.
    Other,
}

impl KubeletCause {
    fn of(text: &str) -> Self {
        let has = |part: &str| text.contains(part);
        if has("any IP SANs") || has("certificate is valid for") {
            Self::NoAddressInCertificate
        } else if has(NO_CERTIFICATE) {
            Self::NoCertificate
        } else if is_expired(text) {
            Self::Expired
        } else if has("signed by unknown authority") {
            Self::UnknownAuthority
        } else if has("403 Forbidden") || has("\"403") || has("Forbidden") {
            Self::Forbidden
        } else if has("401 Unauthorized") || has("Unauthorized") {
            Self::Unauthorized
        } else if has("connection refused") {
            Self::Refused
        } else if has("no such host") || has("server misbehaving") {
            Self::NoHost
        } else if has("deadline exceeded") || has("i/o timeout") || has("no route to host") || has("request canceled") {
            Self::Timeout
        } else {
            Self::Other
        }
    }
}

/// A kubelet that gives no metrics.
#[derive(Debug, Clone)]
pub(crate) struct Failed<'a> {
    /// Name of the node.
    pub(crate) node: String,
    /// Why.
    pub(crate) fault: KubeletCause,
    /// The last line that says so.
    pub(crate) line: &'a str,
    /// The log it stands in.
    pub(crate) log: &'a ContainerLog,
}

/// The nodes of which metrics-server lately got nothing, by name.
pub(crate) fn failed_nodes(snap: &Snapshot) -> Vec<Failed<'_>> {
    let logs = snap.part_logs.as_ref().map(Vec::as_slice).unwrap_or_default().iter();
    let mut found: BTreeMap<String, Failed<'_>> = BTreeMap::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for log in logs.filter(|l| !l.previous && is_of(l)) {
        for line in log.text.lines() {
            let Some(node) = node_of(line) else { continue };
            if log_line::is_older(line, snap.collected_at, RECENT) {
                continue;
            }
            *times.entry(node.clone()).or_default() += 1;
            found.insert(node.clone(), Failed { fault: KubeletCause::of(line), node, line, log });
        }
    }
    // It asks each at least once a minute: who did not answer once, and since does, was busy or has gone.
    let once = |f: &Failed<'_>| {
        matches!(f.fault, KubeletCause::Timeout | KubeletCause::Refused)
            && times.get(&f.node) == Some(&1)
            && log_line::age(f.line, snap.collected_at).is_some_and(|seconds| seconds > SINCE)
    };
    found.into_values().filter(|f| !once(f)).collect()
}

/// What becomes of metrics-server's question to the node that it runs on itself, where that is Fargate's: a pod there has the
/// address of its node, and does not reach the kubelet by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnNode {
    /// It listens on the kubelet's port: it asks itself, and forbids it.
    OnItsPort,
    /// Nobody listens there. Only what it needs itself is missing from the metrics.
    Unreached,
}

/// The node that gives no metrics is metrics-server's own, on Fargate.
pub(crate) fn own_node(snap: &Snapshot, failed: &Failed<'_>) -> Option<OwnNode> {
    let pod = snap.pod_of_log(failed.log)?;
    let node = snap.nodes.named(&failed.node).ok().flatten().filter(|n| n.is_fargate())?;
    if pod.spec.node_name.as_deref() != Some(node.metadata.name.as_str()) {
        return None;
    }
    let container = pod.spec.containers.iter().find(|c| c.name == failed.log.container)?;
    let port = arguments::flag(container, "secure-port").and_then(|p| p.parse().ok());
    match failed.fault {
        KubeletCause::Forbidden if port == Some(KUBELET_PORT) => Some(OwnNode::OnItsPort),
        KubeletCause::Refused => Some(OwnNode::Unreached),
        _ => None,
    }
}

/// It is metrics-server's.
fn is_of(log: &ContainerLog) -> bool {
    log.container == "metrics-server" || log.image.contains("metrics-server")
}

/// A log without what metrics-server says of nodes that went since: it asks each for a while until it learns of that.
pub(crate) fn without_gone_nodes<'a>(snap: &Snapshot, log: &'a ContainerLog) -> Cow<'a, str> {
    let nodes = snap.nodes.items().unwrap_or_default();
    if nodes.is_empty() || !is_of(log) {
        return Cow::Borrowed(&log.text);
    }
    let is_gone = |line: &&str| node_of(line).is_some_and(|n| !nodes.iter().any(|has| has.metadata.name == n));
    let kept: Vec<&str> = log.text.lines().filter(|line| !is_gone(line)).collect();
    Cow::Owned(kept.join("\n"))
}

/// Other nodes that are up give metrics: what they all need (its role, its arguments) is right.
pub(crate) fn others_answer(snap: &Snapshot, failed: &[Failed<'_>]) -> bool {
    let nodes = snap.nodes.items().unwrap_or_default();
    nodes.iter().any(|n| n.is_ready() && !n.is_fargate() && !failed.iter().any(|f| f.node == n.metadata.name))
}

/// The node of a line that tells of a scrape that failed, in the words of old and new versions.
fn node_of(line: &str) -> Option<String> {
    if line.contains("Failed to scrape node") {
        let pattern = pattern!(r#"\bnode="?([^"\s]+)"?"#);
        return pattern.captures(line).map(|c| c[1].to_owned());
    }
    if !line.contains("unable to fully scrape metrics") && !line.contains("unable to fetch metrics from") {
        return None;
    }
    let pattern = pattern!(r"(?:from node|from [Kk]ubelet) (\S+?):? ");
    pattern.captures(line).map(|c| c[1].trim_end_matches(':').to_owned())
}

/// A cluster on somebody's own machine, whose kubelets sign their certificates themselves.
pub(crate) fn is_local_cluster(snap: &Snapshot) -> bool {
    let is_local = |node: &Node| {
        let provider = node.spec.provider_id.as_deref().unwrap_or_default();
        let version = &node.status.node_info.kubelet_version;
        ["kind://", "k3s://", "minikube"].iter().any(|p| provider.starts_with(p))
            || node.metadata.labels.keys().any(|k| k.starts_with("minikube.k8s.io/"))
            || version.contains("+k3s")
            || node.metadata.name == "docker-desktop"
            || node.metadata.label("node.kubernetes.io/instance-type") == Some("k3s")
    };
    snap.nodes.items().unwrap_or_default().iter().any(is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nodes_that_went_nothing_is_read() {
        use crate::domain::testing::snapshot;
        use serde_json::json;

        let line = |node: &str| format!("E1121 02:53:44.1 1 scraper.go:140] \"Failed to scrape node\" node=\"{node}\"");
        let text = format!("{}\n{}\nE1121 other", line("gone"), line("here"));
        let log = ContainerLog { container: "metrics-server".into(), text: text.into(), ..ContainerLog::default() };
        let mut snap = snapshot(json!({}));
        assert_eq!(without_gone_nodes(&snap, &log), *log.text, "nobody knows which nodes there are");
        let here = serde_json::from_value(json!({"metadata": {"name": "here"}})).expect("a node");
        snap.nodes = crate::snapshot::Listing::cluster(vec![here]);
        assert_eq!(without_gone_nodes(&snap, &log), format!("{}\nE1121 other", line("here")));
    }

    #[test]
    fn who_did_not_answer_once_is_no_fault() {
        let failed = |times: &[&str]| {
            let line = |at: &&str| {
                format!(
                    "E1121 {at}.1 1 scraper.go:149] \"Failed to scrape node\" err=\"context deadline exceeded\" node=\"a\"\n"
                )
            };
            let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
            let log = ContainerLog { container: "metrics-server".into(), ..ContainerLog::default() };
            *snap.part_logs = Ok(vec![ContainerLog { text: times.iter().map(line).collect::<String>().into(), ..log }]);
            failed_nodes(&snap).len()
        };
        assert_eq!((failed(&["02:53:44"]), failed(&["02:59:44"]), failed(&["02:53:44", "02:54:44"])), (0, 1, 1));
    }

    #[test]
    fn reads_old_and_new_words() {
        for (line, node, fault) in [
            (
                r#"E1121 02:53:44.1 1 scraper.go:140] "Failed to scrape node" err="Get \"https://10.0.1.2:10250/metrics/resource\": context deadline exceeded" node="a.internal""#,
                "a.internal",
                KubeletCause::Timeout,
            ),
            (
                r#"E0101 00:00:00.1 1 scraper.go:149] "Failed to scrape node" err="Get \"https://10.0.1.2:10250/metrics/resource\": tls: failed to verify certificate: x509: cannot validate certificate for 10.0.1.2 because it doesn't contain any IP SANs" node="b""#,
                "b",
                KubeletCause::NoAddressInCertificate,
            ),
            (
                r#"E0101 00:00:00.1 1 scraper.go:149] "Failed to scrape node" err="request failed, status: \"403 Forbidden\"" node="c""#,
                "c",
                KubeletCause::Forbidden,
            ),
            (
                "E0610 1 manager.go:111] unable to fully collect metrics: unable to fully scrape metrics from source kubelet_summary:d: unable to fetch metrics from Kubelet d (d): Get https://d:10250/stats/summary: dial tcp: lookup d on 10.96.0.10:53: no such host",
                "d",
                KubeletCause::NoHost,
            ),
            (
                "unable to fully scrape metrics: unable to fully scrape metrics from node e: unable to fetch metrics from node e: Get \"https://10.0.1.2:10250/stats/summary\": x509: certificate signed by unknown authority",
                "e",
                KubeletCause::UnknownAuthority,
            ),
        ] {
            assert_eq!((node_of(line).as_deref(), KubeletCause::of(line)), (Some(node), fault), "{line}");
        }
        let of_time = |how: &str| {
            format!(
                "x509: certificate has expired or is not yet valid: current time 2026-11-21T02:50:11Z is {how} 2026-11-20T22:00:00Z"
            )
        };
        assert_eq!(KubeletCause::of(&of_time("after")), KubeletCause::Expired);
        assert_eq!(KubeletCause::of(&of_time("before")), KubeletCause::Other, "a clock that is behind");
        assert_eq!(node_of("I0101 serving securely"), None);
    }
}
