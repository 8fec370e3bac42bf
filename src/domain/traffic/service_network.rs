//! Nodes on which the addresses of Services lead nowhere: pods there say that the cluster's API is silent at its Service's
//! address, while pods of other nodes reach it.

use std::collections::BTreeMap;

use crate::domain::kubernetes::image::base_of;
use crate::domain::text::log_line::{age, is_now};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Node, Pod};
use crate::snapshot::monitoring::ContainerLog;

/// Seconds for which a line of a log tells of now.
const NOW: i64 = 900;

/// Seconds that a new node may take to write its rules.
pub(crate) const SETTLES: i64 = 900;

/// Seconds within which one of the pods has to say it again: one that ends over it waits for five minutes between two runs.
const GOES_ON: i64 = 360;

/// The same of a pod that is ready: it may have met an API server that was updated a while ago.
const READY: i64 = 120;

/// Workloads whose pods have to say so on one node: one alone may have a fault of its own.
const WORKLOADS: usize = 2;

/// Parts of images whose programs are not ready, or end, without the API.
const ASKING: &[&str] = &["coredns", "kube-state-metrics", "metrics-server", "prometheus-operator", "csi-provisioner"];

/// A pod that does not reach the API.
pub(crate) struct Silent<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) log: &'a ContainerLog,
    pub(crate) line: &'a str,
}

/// A node on which Services lead nowhere.
pub(crate) struct Cut<'a> {
    pub(crate) node: &'a Node,
    /// One pod of each workload that says so.
    pub(crate) silent: Vec<Silent<'a>>,
    /// The address of the API's Service.
    pub(crate) address: String,
}

/// The nodes on which it is so. Where no other is known to do well, it is no matter of a node.
pub(crate) fn cut_off(snap: &Snapshot) -> Vec<Cut<'_>> {
    let Some(address) = api_address(snap) else { return Vec::new() };
    let mut by_node: BTreeMap<&str, BTreeMap<ResourceRef, Silent<'_>>> = BTreeMap::new();
    let logs = snap.component_logs.iter().flatten().chain(snap.part_logs.iter().flatten());
    for log in logs.chain(snap.crash_logs.iter().flatten()) {
        let Some(pod) = snap.pod_of_log(log) else { continue };
        let Some(node) = pod.spec.node_name.as_deref() else { continue };
        let Some(line) = last(snap, log, pod, &address) else { continue };
        by_node.entry(node).or_default().entry(snap.owner_ref(pod)).or_insert(Silent { pod, log, line });
    }
    let told: Vec<&str> = by_node.keys().copied().collect();
    if !is_well_elsewhere(snap, &told) {
        return Vec::new();
    }
    let nodes = snap.nodes.items().unwrap_or_default();
    let settled = |n: &Node| n.is_ready() && !n.is_fargate() && snap.age_seconds(&n.metadata) >= SETTLES;
    let known = |name: &str| nodes.iter().find(|n| n.metadata.name == name && settled(n));
    let mut found = Vec::new();
    for (name, silent) in by_node {
        // Pods that are all ready have only met an API server that was updated, a while ago.
        let ages: Vec<i64> = silent.values().filter_map(|s| age(s.line, snap.collected_at)).collect();
        let goes_on = ages.is_empty() || ages.iter().any(|seconds| *seconds <= GOES_ON);
        let lasts = goes_on && silent.values().any(|s| !s.pod.is_ready());
        if let Some(node) = known(name).filter(|_| lasts && silent.len() >= WORKLOADS) {
            found.push(Cut { node, silent: silent.into_values().collect(), address: address.clone() });
        }
    }
    found
}

/// Another node, of which nobody says so, has a ready pod on the pods' network that cannot do without the API.
fn is_well_elsewhere(snap: &Snapshot, silent: &[&str]) -> bool {
    let needs = |p: &Pod| p.spec.containers.iter().any(|c| ASKING.iter().any(|a| base_of(&c.image).contains(a)));
    let pods = snap.pods.items().unwrap_or_default().iter();
    let mut others = pods.filter(|p| p.is_ready() && !p.spec.host_network && needs(p));
    others.any(|p| p.spec.node_name.as_deref().is_some_and(|n| !silent.contains(&n)))
}

/// The address of Service default/kubernetes.
fn api_address(snap: &Snapshot) -> Option<String> {
    let service = snap.services.find("default", "kubernetes").ok().flatten()?;
    service.spec.cluster_ip.clone().filter(|ip| !ip.is_empty() && ip != "None")
}

/// The last line of now in which the API's address is silent.
fn last<'a>(snap: &Snapshot, log: &'a ContainerLog, pod: &Pod, address: &str) -> Option<&'a str> {
    let of_now = |line: &&str| {
        if pod.is_ready() {
            return !log.previous && is_now(log, line, snap.collected_at, READY);
        }
        is_now(log, line, snap.collected_at, NOW) || age(line, snap.collected_at).is_none()
    };
    log.text.lines().rev().filter(|line| is_silent(line, address)).find(of_now)
}

/// A connection to the address was asked for and got no answer.
fn is_silent(line: &str, address: &str) -> bool {
    let silent = ["i/o timeout", "timed out", "no route to host", "ConnectTimeout", "Connect timeout"];
    let part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let is_named = line.match_indices(address).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(part) && !line[at + address.len()..].chars().next().is_some_and(part)
    });
    is_named && silent.iter().any(|s| line.contains(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_say_alike_that_the_address_is_silent() {
        let silent = |line: &str| is_silent(line, "172.20.0.1");
        assert!(silent("panic: Get \"https://172.20.0.1:443/api/v1/nodes/n\": dial tcp 172.20.0.1:443: i/o timeout"));
        assert!(silent("HTTPSConnectionPool(host='172.20.0.1', port=443): ... Connection to 172.20.0.1 timed out."));
        assert!(!silent("dial tcp 172.20.0.10:53: i/o timeout"), "it is another address");
        assert!(!silent("dial tcp 172.20.0.1:443: connect: connection refused"));
        assert!(!silent("Get \"https://172.20.0.1:443/version\": Forbidden"));
    }
}
