//! Look-ups of the cluster's names that a pod asks of another resolver than the cluster's DNS, and why it asks that one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::domain::kubernetes::cluster_dns;
use crate::domain::kubernetes::host::{Place, place};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::prometheus::targets::prometheus_pod;
use crate::domain::text::log_line::is_within;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::monitoring::ContainerLog;
use crate::text::pattern::pattern;

/// Seconds for which a line of a log tells of now.
const NOW: i64 = 900;

/// Why a pod asks another resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// `dnsPolicy: Default` gives it the resolver of its node.
    Default,
    /// On the network of its node it has the node's resolver, unless its policy is ClusterFirstWithHostNet.
    HostNetwork,
    /// Its dnsConfig names a resolver of its own: instead of the cluster's DNS, or beside it.
    Own,
    /// The kubelet of its node gives pods another address than that of the cluster's DNS.
    Kubelet,
}

/// A look-up that went astray.
#[derive(Debug, Clone)]
pub(crate) struct Misled<'a> {
    pub(crate) pod: &'a Pod,
    /// The name of a Service that exists, or one outside of the cluster.
    pub(crate) host: String,
    pub(crate) outside: bool,
    /// Who was asked.
    pub(crate) resolver: IpAddr,
    /// Container and text that say so.
    pub(crate) container: &'a str,
    pub(crate) said: &'a str,
    pub(crate) why: Why,
}

/// Look-ups that went astray within the last minutes, one for each pod.
pub(crate) fn all(snap: &Snapshot) -> Vec<Misled<'_>> {
    let dns = cluster_dns::addresses(snap);
    if cluster_dns::service(snap).is_none() || dns.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Misled<'_>> = Vec::new();
    for (pod, container, text) in logged(snap).chain(answered(snap)) {
        let is_known = found.iter().any(|m| is_same(m.pod, pod));
        if let Some(one) = read(snap, &dns, pod, container, text).filter(|_| !is_known) {
            found.push(one);
        }
    }
    // One pod may have come by its resolver in a way that is not seen here; two of a node have it of their kubelet.
    let twice = |one: &Misled<'_>| {
        let same = |m: &Misled<'_>| m.why == Why::Kubelet && m.resolver == one.resolver && m.node() == one.node();
        found.iter().any(|m| same(m) && !is_same(m.pod, one.pod))
    };
    // Whoever does not answer there is no resolver that somebody chose.
    let sure = |m: &Misled<'_>| twice(m) || !m.said.contains("no such host");
    found.iter().filter(|m| m.why != Why::Kubelet || sure(m)).cloned().collect()
}

impl Misled<'_> {
    fn node(&self) -> Option<&str> {
        self.pod.spec.node_name.as_deref()
    }
}

fn is_same(one: &Pod, other: &Pod) -> bool {
    (&one.metadata.namespace, &one.metadata.name) == (&other.metadata.namespace, &other.metadata.name)
}

/// Lines of logs, the newest first.
fn logged(snap: &Snapshot) -> impl Iterator<Item = (&Pod, &str, &str)> {
    let logs = snap.component_logs.iter().flatten().chain(snap.part_logs.iter().flatten());
    let recent = |log: &ContainerLog, line: &str| !log.previous && is_within(line, snap.collected_at, NOW);
    logs.filter_map(|log| Some((log, snap.pod_of_log(log)?))).flat_map(move |(log, pod)| {
        let lines = log.text.lines().rev().filter(move |l| l.contains("lookup ") && recent(log, l));
        lines.map(move |line| (pod, log.container.as_str(), line))
    })
}

/// What Prometheus and Grafana answer of their targets and datasources.
fn answered(snap: &Snapshot) -> impl Iterator<Item = (&Pod, &str, &str)> {
    let targets = snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default().iter();
    let down = targets.filter(|t| t.health == "down").map(|t| t.last_error.as_str());
    let grafana = snap.scope.grafana.as_ref().and_then(|c| {
        let service = snap.services.find(&c.namespace, &c.service).ok()??;
        snap.pods_of_service(service).next()
    });
    let health = snap.grafana_datasource_health().map(Vec::as_slice).unwrap_or_default().iter();
    let health = health.map(|h| h.message.as_str());
    let of_prometheus =
        prometheus_pod(snap).into_iter().flat_map(move |pod| down.clone().map(move |text| (pod, "", text)));
    let of_grafana = grafana.into_iter().flat_map(move |pod| health.clone().map(move |text| (pod, "", text)));
    of_prometheus.chain(of_grafana)
}

fn read<'a>(
    snap: &Snapshot,
    dns: &BTreeSet<IpAddr>,
    pod: &'a Pod,
    container: &'a str,
    said: &'a str,
) -> Option<Misled<'a>> {
    let lookup = pattern!(
        r"lookup ([^\s:]+) on \[?([0-9a-fA-F.:]+?)\]?:53: (?:(no such host)|read udp \S+: i/o timeout|dial udp)"
    );
    let found = lookup.captures(said)?;
    let resolver: IpAddr = found[2].parse().ok()?;
    // A cache on the node answers for the cluster's DNS.
    let is_local = matches!(resolver, IpAddr::V4(v4) if v4.is_link_local() && v4.octets()[2] != 169);
    if dns.contains(&resolver) || is_local || resolver.is_loopback() {
        return None;
    }
    // Who does not answer at all may be anybody, but for the two addresses that EKS gives to the DNS of other clusters.
    let is_silent = found.get(3).is_none();
    if is_silent && !is_of_another_cluster(resolver) {
        return None;
    }
    let host = found[1].trim_end_matches('.').to_owned();
    let one =
        |host: String, outside: bool| Misled { pod, host, outside, resolver, container, said, why: why(pod, resolver) };
    // Nobody is there, whatever the name.
    if is_silent && place(snap, &host, &pod.metadata.namespace) == Place::Public {
        return Some(one(host, true));
    }
    // `_grpc._tcp.prometheus-operated.monitoring.svc`: the ports of a Service.
    let of_service = host.split_inclusive('.').skip_while(|label| label.starts_with('_')).collect::<String>();
    let service = in_cluster(snap, &of_service, &pod.metadata.namespace)?;
    snap.services.find(&service.namespace, &service.service).ok()??;
    Some(one(host, false))
}

/// One of the addresses that the DNS of a cluster has, as EKS chooses them.
fn is_of_another_cluster(resolver: IpAddr) -> bool {
    ["10.100.0.10", "172.20.0.10"].iter().any(|known| known.parse() == Ok(resolver))
}

fn why(pod: &Pod, resolver: IpAddr) -> Why {
    let policy = pod.spec.dns_policy.as_deref();
    let own = pod.spec.dns_config.iter().flat_map(|c| &c.nameservers).any(|n| n.parse() == Ok(resolver));
    match policy {
        Some("Default") => Why::Default,
        Some("None") => Why::Own,
        _ if pod.spec.host_network && policy != Some("ClusterFirstWithHostNet") => Why::HostNetwork,
        _ if own => Why::Own,
        _ => Why::Kubelet,
    }
}
