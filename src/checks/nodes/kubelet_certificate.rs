//! A kubelet has no serving certificate: nobody reads its metrics, and `kubectl logs` and `exec` fail on its node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::support::seen::log_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::node_group;
use crate::domain::kubernetes::metrics_server::{self, KubeletCause, NO_CERTIFICATE, is_expired};
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::proxy;
use crate::domain::text::log_line::{age, is_now};
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Fact, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::Node;
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    KubeletCertificate {
        id: "kubelet-certificate", suite: Nodes, severity: Error,
        title: "a kubelet has no serving certificate",
        requires: [Nodes],
        uses: [PrometheusTargets, ComponentLogs, PartLogs, CrashLogs, Pods, EksCluster, EksNodegroups],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Approve {
        /// Asks the kubelet through the API server.
        healthz: String,
        /// On EKS a controller of its own approves, and the mapping of the node's role decides.
        on_eks: bool,
        /// It has one, whose time is over.
        expired: bool,
        /// The EC2 instance whose shell commands reach.
        instance: Option<String>,
        cluster: String,
        role: String,
    },
}

/// Seconds for which a line of metrics-server's log tells of now.
const NOW: i64 = 180;
/// The same of an agent that ends over it: it waits for five minutes between two runs.
const ENDED: i64 = 900;

impl Check for KubeletCertificate {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut found: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
        for node in snap.nodes()? {
            let seen = Seen::of(snap, node);
            if seen.is_something() {
                found.insert(&node.metadata.name, seen);
            }
        }
        Ok(Diagnosis::Findings(found.into_iter().map(|(node, seen)| finding(snap, node, &seen)).collect()))
    }
}

/// Who met the kubelet of one node without a certificate.
#[derive(Default)]
struct Seen<'a> {
    /// URLs that Prometheus scrapes, with the error.
    targets: Vec<(&'a str, &'a str)>,
    /// The log of metrics-server: namespace, pod, line.
    metrics_server: Option<(&'a str, &'a str, &'a str)>,
    /// The last log of an agent that ended over it: namespace, pod, container, whether of the run before, line.
    ended: Option<(&'a str, &'a str, &'a str, bool, &'a str)>,
    /// Logs that the API server could not fetch.
    logs: BTreeSet<String>,
}

impl<'a> Seen<'a> {
    fn of(snap: &'a Snapshot, node: &'a Node) -> Self {
        let address: Option<IpAddr> = node.internal_ip().and_then(|ip| ip.parse().ok());
        // An address of version 6 stands in brackets.
        let names = [
            address.map(|a| SocketAddr::new(a, KUBELET_PORT).to_string()),
            Some(format!("{}:{KUBELET_PORT}", node.metadata.name)),
        ];
        let is_kubelet = |text: &str| {
            let is_said = text.contains(NO_CERTIFICATE) || is_expired(text);
            is_said && names.iter().flatten().any(|n| text.contains(&format!("{n}/")))
        };
        let targets = snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default().iter();
        let targets = targets.filter(|t| t.health == "down" && is_kubelet(&t.last_error));
        let failed = metrics_server::failed_nodes(snap).into_iter();
        let mut failed = failed
            .filter(|f| {
                f.node == node.metadata.name && matches!(f.fault, KubeletCause::NoCertificate | KubeletCause::Expired)
            })
            // It asks every minute at most: what it said before is over, as with each node that has just joined.
            .filter(|f| age(f.line, snap.collected_at).is_none_or(|seconds| seconds < NOW))
            .map(|f| (f.log.namespace.as_str(), f.log.pod.as_str(), f.line));
        let gaps = snap.gaps_of(Fact::ComponentLogs).into_iter().chain(snap.gaps_of(Fact::PartLogs));
        let unread = gaps.filter(|g| is_kubelet(&g.message));
        let logs = snap.crash_logs().map(Vec::as_slice).unwrap_or_default().iter();
        // One that runs again has been answered.
        let is_down = |log: &&ContainerLog| snap.pod_of_log(log).is_some_and(|pod| !pod.is_ready());
        let mut ended = logs.filter(is_down).filter_map(|log| {
            let line = log.text.lines().rev().find(|l| is_kubelet(l) && is_now(log, l, snap.collected_at, ENDED))?;
            Some((log.namespace.as_str(), log.pod.as_str(), log.container.as_str(), log.previous, line))
        });
        Self {
            ended: ended.next(),
            targets: targets.map(|t| (t.scrape_url.as_str(), t.last_error.as_str())).collect(),
            metrics_server: failed.next(),
            logs: unread.map(|g| g.what.clone()).collect(),
        }
    }

    fn is_something(&self) -> bool {
        !self.targets.is_empty() || self.metrics_server.is_some() || self.ended.is_some() || !self.logs.is_empty()
    }

    /// It shows a certificate, whose time is over.
    fn is_expired(&self) -> bool {
        let said = self.targets.iter().map(|(_, error)| *error).chain(self.metrics_server.map(|(.., line)| line));
        said.chain(self.ended.map(|(.., line)| line)).any(is_expired)
    }

    fn victims(&self) -> String {
        let mut all = Vec::new();
        if !self.targets.is_empty() {
            all.push("Prometheus gets none of its metrics");
        }
        if self.metrics_server.is_some() {
            all.push("metrics-server gets no metrics of it");
        }
        if self.ended.is_some() {
            all.push("an agent that asks it for its pods does not start");
        }
        if !self.logs.is_empty() {
            all.push("the logs of its pods cannot be read");
        }
        all.join(", ")
    }
}

fn finding(snap: &Snapshot, node: &str, seen: &Seen<'_>) -> Finding {
    // The API server meets the same error.
    const SHOW: &str = "kubectl get --raw {{ healthz }}";
    let healthz = proxy::of_node(node, "/healthz");
    let subject = ResourceRef::node(node);
    let what = if seen.is_expired() { "shows a certificate that has expired" } else { "has no serving certificate" };
    let message = format!("the kubelet of node {node} {what}: {}", seen.victims());
    let mut made = Finding::new(KubeletCertificate::META.id, Severity::Error, subject, message)
        .cause(Cause::keyed("kubelet-serving", "kubelets of several nodes have no serving certificate"));
    // The node itself is well: what is broken is its port.
    made.breaks = Some(vec![ResourceRef::port(node, KUBELET_PORT)]);
    for (url, error) in &seen.targets {
        made = made
            .breaks(ResourceRef::ScrapeUrl { url: (*url).to_owned() })
            .evidence(Evidence::new(format!("target {url}"), *error, SHOW).with("healthz", &healthz));
    }
    if let Some((namespace, pod, line)) = seen.metrics_server {
        made = made.evidence(log_evidence(namespace, pod, "metrics-server", false, line));
    }
    if let Some((namespace, pod, container, previous, line)) = seen.ended {
        made = made.evidence(log_evidence(namespace, pod, container, previous, line));
    }
    if !seen.logs.is_empty() {
        let all: Vec<&str> = seen.logs.iter().map(String::as_str).collect();
        let value = format!("{NO_CERTIFICATE} ({})", all.join(", "));
        made =
            made.evidence(Evidence::new(format!("logs of pods on node {node}"), value, SHOW).with("healthz", &healthz));
    }
    let place = Place::of(snap);
    let groups = snap.eks_nodegroups.iter().flatten();
    let mut own = groups.filter(|g| node_group::nodes_of(snap, &g.nodegroup_name).any(|n| n.metadata.name == node));
    let role = own.next().map_or_else(|| "<node-role>".to_owned(), |g| g.node_role.clone());
    made.fix(Fix::Approve {
        healthz,
        on_eks: snap.platform == Platform::Eks,
        expired: seen.is_expired(),
        instance: snap.nodes.named(node).ok().flatten().and_then(Node::shell_instance).map(str::to_owned),
        cluster: place.cluster,
        role,
    })
}
