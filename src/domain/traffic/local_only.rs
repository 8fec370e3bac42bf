//! Services that lead to pods of the caller's own node alone (`internalTrafficPolicy: Local`), asked from a node that has none.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::OnceLock;

use regex::Regex;

use crate::domain::text::log_line::written_at;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

/// Seconds for which a line of a log tells of now.
const NOW: i64 = 900;

/// A pod that asks such a Service in vain.
pub(crate) struct Stranded<'a> {
    pub(crate) service: &'a Service,
    pub(crate) pod: &'a Pod,
    /// Container and text that say so; no container for what an API answers.
    pub(crate) container: &'a str,
    pub(crate) said: &'a str,
}

/// One for each Service and pod.
pub(crate) fn all(snap: &Snapshot) -> Vec<Stranded<'_>> {
    let services = snap.services.items().unwrap_or_default().iter();
    let local: Vec<&Service> = services
        .filter(|s| s.spec.internal_traffic_policy.as_deref() == Some("Local") && !s.spec.selector.is_empty())
        .collect();
    if local.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<(String, String), Stranded<'_>> = BTreeMap::new();
    for (pod, container, text) in told(snap) {
        let Some(ip) = dialled(text) else { continue };
        let of_ip = |s: &&&Service| s.spec.cluster_ip.as_deref() == Some(ip.to_string().as_str());
        let Some(service) = local.iter().find(of_ip).copied() else { continue };
        let here = |p: &Pod| p.spec.node_name == pod.spec.node_name;
        let mut ready = snap.pods_of_service(service).filter(|p| p.is_ready()).peekable();
        // Without any ready pod at all it is not this policy.
        if ready.peek().is_some() && !ready.any(here) {
            let name = |m: &crate::snapshot::kubernetes::Meta| format!("{}/{}", m.namespace, m.name);
            let key = (name(&service.metadata), name(&pod.metadata));
            found.entry(key).or_insert(Stranded { service, pod, container, said: text });
        }
    }
    found.into_values().collect()
}

/// What logs and Grafana say, the newest line of each log first.
fn told(snap: &Snapshot) -> impl Iterator<Item = (&Pod, &str, &str)> {
    let logs = snap.component_logs.iter().flatten().chain(snap.part_logs.iter().flatten());
    let logged = logs.filter(|l| !l.previous).flat_map(move |log| {
        let pod = snap.pods.find(&log.namespace, &log.pod).ok().flatten();
        let recent = move |l: &&str| {
            let at = written_at(l, snap.collected_at);
            at.is_some_and(|t| snap.collected_at.as_second() - t.as_second() <= NOW)
        };
        let lines = log.text.lines().rev().filter(|l| l.contains("dial tcp ")).filter(recent);
        lines.filter_map(move |line| Some((pod?, log.container.as_str(), line)))
    });
    let grafana = snap.scope.grafana.as_ref().and_then(|c| {
        let service = snap.services.find(&c.namespace, &c.service).ok()??;
        snap.pods_of_service(service).next()
    });
    let health = snap.grafana_datasource_health().map(Vec::as_slice).unwrap_or_default().iter();
    let answered = health.filter_map(move |h| Some((grafana?, "", h.message.as_str())));
    logged.chain(answered)
}

/// Whom it dialled in vain.
fn dialled(text: &str) -> Option<IpAddr> {
    static DIAL: OnceLock<Option<Regex>> = OnceLock::new();
    let dial = DIAL.get_or_init(|| {
        Regex::new(r"dial tcp \[?([0-9a-fA-F.:]+?)\]?:\d+: (?:i/o timeout|connect: connection (?:timed out|refused))")
            .ok()
    });
    dial.as_ref()?.captures(text)?[1].parse().ok()
}
