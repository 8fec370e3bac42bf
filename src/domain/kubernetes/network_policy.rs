//! What NetworkPolicies let through, by the rules of networking.k8s.io/v1: who is isolated, and which rule admits whom.
//!
//! Where the answer depends on the network plugin or on what was not read, a rule counts as admitting: only what no
//! reading of the policies lets through is a block.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::domain::kubernetes::label_selector::meets;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Map, Namespace, NetworkPolicy, Pod, PolicyOrigin};

/// The label that every namespace has; its value is the namespace's name.
pub(crate) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Which side's policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// What a pod receives.
    Ingress,
    /// What a pod sends.
    Egress,
}

impl Direction {
    /// As in `policyTypes`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }
}

/// Protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As in a policy's `ports`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// The other end of a connection, by all that a rule may know it by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer<'a> {
    /// The pod, where it is one.
    pub(crate) pod: Option<&'a Pod>,
    /// Its addresses: the pod's, and the cluster IP it is reached by, which some plugins see instead.
    pub(crate) addresses: Vec<IpAddr>,
    /// Networks that hold it somewhere.
    pub(crate) networks: Vec<IpNet>,
    /// An address of the internet that is not known.
    pub(crate) internet: bool,
    /// It may be a pod that was not read: selectors may admit it.
    pub(crate) unseen: bool,
}

impl<'a> Peer<'a> {
    /// A pod.
    pub(crate) fn pod(pod: &'a Pod) -> Self {
        let own = pod.status.pod_ip.as_deref().and_then(|ip| ip.parse().ok());
        Self { pod: Some(pod), addresses: own.into_iter().collect(), ..Self::default() }
    }

    /// An address that is no pod's.
    pub(crate) fn address(ip: IpAddr) -> Self {
        Self { addresses: vec![ip], ..Self::default() }
    }

    /// Some address of the internet.
    pub(crate) fn internet() -> Self {
        Self { internet: true, ..Self::default() }
    }
}

/// A connection that policies do not admit.
#[derive(Debug, Clone)]
pub(crate) struct Block<'a> {
    /// Whose policies: those of the receiver or of the sender.
    pub(crate) direction: Direction,
    /// The policies that isolate the pod; none of them admits the connection.
    pub(crate) policies: Vec<&'a NetworkPolicy>,
    /// A rule admits it, and the `except` of another one, this network, wins over that rule.
    pub(crate) except: Option<IpNet>,
}

/// NetworkPolicies, with the labels of the namespaces that their selectors speak of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policies<'a> {
    all: &'a [NetworkPolicy],
    /// `None` where the namespaces could not be read: then only their names are known.
    namespaces: Option<&'a [Namespace]>,
    /// The plugin looks up the most specific network that a rule names, and an `except` is one: it wins over rules that
    /// name a wider network or no destination. The API says that rules add up; the agent of the VPC CNI does this.
    except_wins: bool,
    /// The plugin knows pods on the network of their node by their addresses alone: no selector of a rule admits them. So it is
    /// with Calico and Cilium; the controller of the VPC CNI takes their addresses as those of any pod.
    hosts_by_address: bool,
}

impl<'a> Policies<'a> {
    /// These policies.
    pub(crate) fn new(all: &'a [NetworkPolicy], namespaces: Option<&'a [Namespace]>) -> Self {
        Self { all, namespaces, except_wins: false, hosts_by_address: false }
    }

    /// As a plugin reads them whose `except` wins over wider rules.
    #[must_use]
    pub(crate) fn except_wins(self, wins: bool) -> Self {
        Self { except_wins: wins, ..self }
    }

    /// As a plugin reads them that knows pods on the network of their node by their addresses alone.
    #[must_use]
    pub(crate) fn hosts_by_address(self, by_address: bool) -> Self {
        Self { hosts_by_address: by_address, ..self }
    }

    /// The policies of a snapshot; none where they could not be read.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        Self::new(snap.network_policies().unwrap_or_default(), snap.namespaces().ok())
    }

    /// The policies that isolate a pod in a direction. Pods in the network of their node are not covered by policies.
    pub(crate) fn isolating(&self, pod: &Pod, direction: Direction) -> Vec<&'a NetworkPolicy> {
        if pod.spec.host_network {
            return Vec::new();
        }
        let selects = |p: &&NetworkPolicy| {
            let Some(spec) = &p.spec else { return false };
            p.metadata.namespace == pod.metadata.namespace
                && has_type(p, direction)
                && spec.pod_selector.as_ref().is_none_or(|s| selects(s, &Labels::Known(&pod.metadata.labels, None)))
        };
        self.all.iter().filter(selects).collect()
    }

    /// Whether the policies of `pod` keep it from a connection with `peer` to this port of the receiver's.
    pub(crate) fn block(
        &self,
        direction: Direction,
        pod: &Pod,
        peer: &Peer<'_>,
        protocol: Protocol,
        port: u16,
    ) -> Option<Block<'a>> {
        // What a node sends to its own pods is never dropped, and which address others see is the plugin's choice.
        if direction == Direction::Ingress && peer.pod.is_some_and(|p| p.spec.host_network) {
            return None;
        }
        if peer.pod.is_some_and(|p| is_same(p, pod)) {
            return None;
        }
        let policies = self.isolating(pod, direction);
        let receiver = if direction == Direction::Ingress { Some(pod) } else { peer.pod };
        let admits = |p: &NetworkPolicy| {
            rules(p, direction).into_iter().any(|(peers, ports)| {
                let from = &p.metadata.namespace;
                let peers_admit = peers.is_empty() || peers.iter().any(|rule| self.admits_peer(rule, from, peer));
                peers_admit
                    && (ports.is_empty() || ports.iter().any(|rule| admits_port(rule, receiver, protocol, port)))
            })
        };
        if policies.is_empty() {
            return None;
        }
        if !policies.iter().any(|p| admits(p)) {
            return Some(Block { direction, policies, except: None });
        }
        let except = self.winning_except(&policies, direction, receiver, peer, protocol, port)?;
        Some(Block { direction, policies, except: Some(except) })
    }

    /// The `except` that decides about all addresses of the peer: nothing more specific admits it.
    fn winning_except(
        &self,
        policies: &[&NetworkPolicy],
        direction: Direction,
        receiver: Option<&Pod>,
        peer: &Peer<'_>,
        protocol: Protocol,
        port: u16,
    ) -> Option<IpNet> {
        if !self.except_wins || peer.addresses.is_empty() {
            return None;
        }
        let blocks = || policies.iter().flat_map(|p| rules(p, direction)).flat_map(|(peers, _)| peers);
        let nets =
            |block: &IPBlock| -> Vec<IpNet> { block.except.iter().flatten().filter_map(|e| e.parse().ok()).collect() };
        let excepts: Vec<IpNet> = blocks().filter_map(|r| r.ip_block.as_ref()).flat_map(nets).collect();
        let of_address = |ip: &IpAddr| {
            let found = excepts.iter().filter(|e| e.contains(ip)).max_by_key(|e| e.prefix_len())?;
            let names_it = |p: &&&NetworkPolicy| {
                rules(p, direction).into_iter().any(|(peers, ports)| {
                    let specific = |rule: &NetworkPolicyPeer| match &rule.ip_block {
                        Some(block) => block
                            .cidr
                            .parse::<IpNet>()
                            .is_ok_and(|n| n.contains(ip) && n.prefix_len() >= found.prefix_len()),
                        None => self.admits_peer(rule, &p.metadata.namespace, peer),
                    };
                    let port_admitted =
                        ports.is_empty() || ports.iter().any(|rule| admits_port(rule, receiver, protocol, port));
                    port_admitted && peers.iter().any(specific)
                })
            };
            (!policies.iter().any(|p| names_it(&p))).then_some(*found)
        };
        let all: Option<Vec<IpNet>> = peer.addresses.iter().map(of_address).collect();
        all?.into_iter().next()
    }

    /// Whether policies keep `from` from this port of pod `to`, on either side.
    pub(crate) fn between(&self, from: &Pod, to: &Pod, protocol: Protocol, port: u16) -> Option<Block<'a>> {
        self.block(Direction::Egress, from, &Peer::pod(to), protocol, port)
            .or_else(|| self.block(Direction::Ingress, to, &Peer::pod(from), protocol, port))
    }

    fn admits_peer(&self, rule: &NetworkPolicyPeer, own_namespace: &str, peer: &Peer<'_>) -> bool {
        if let Some(block) = &rule.ip_block {
            return admits_address(block, peer);
        }
        let Some(pod) = peer.pod else { return peer.unseen };
        if self.hosts_by_address && pod.spec.host_network {
            return false;
        }
        let namespace = &pod.metadata.namespace;
        let in_namespace = match &rule.namespace_selector {
            Some(selector) => selects(selector, &self.labels_of(namespace)),
            None => namespace == own_namespace,
        };
        let labels = Labels::Known(&pod.metadata.labels, None);
        in_namespace && rule.pod_selector.as_ref().is_none_or(|s| selects(s, &labels))
    }

    fn labels_of<'n>(&self, namespace: &'n str) -> Labels<'n>
    where
        'a: 'n,
    {
        let all = self.namespaces.unwrap_or_default();
        match all.iter().find(|n| n.metadata.name == namespace) {
            Some(found) => Labels::Known(&found.metadata.labels, Some(namespace)),
            None => Labels::NameOnly(namespace),
        }
    }
}

/// The policies that restrict what a pod sends: what would explain that its connections time out.
pub(crate) fn egress_policies(snap: &Snapshot, pod: &Pod) -> Vec<ResourceRef> {
    Policies::of(snap).isolating(pod, Direction::Egress).into_iter().map(reference).collect()
}

/// A policy as a resource.
pub(crate) fn reference(policy: &NetworkPolicy) -> ResourceRef {
    let meta = &policy.metadata;
    let (namespace, name) = (&meta.namespace, &meta.name);
    let of = |group, kind, namespace: &str| ResourceRef::kubernetes(group, kind, namespace, name);
    match policy.origin {
        None => of("networking.k8s.io", "NetworkPolicy", namespace),
        Some(PolicyOrigin::Cilium) => of("cilium.io", "CiliumNetworkPolicy", namespace),
        Some(PolicyOrigin::CiliumCluster) => of("cilium.io", "CiliumClusterwideNetworkPolicy", ""),
        Some(PolicyOrigin::Calico { .. }) => of("crd.projectcalico.org", "NetworkPolicy", namespace),
        Some(PolicyOrigin::CalicoGlobal { .. }) => of("crd.projectcalico.org", "GlobalNetworkPolicy", ""),
    }
}

fn is_same(a: &Pod, b: &Pod) -> bool {
    (&a.metadata.namespace, &a.metadata.name) == (&b.metadata.namespace, &b.metadata.name)
}

/// The API fills in `policyTypes`; where it is missing all the same: Ingress, and Egress only with egress rules.
fn has_type(policy: &NetworkPolicy, direction: Direction) -> bool {
    let Some(spec) = &policy.spec else { return false };
    match spec.policy_types.as_deref() {
        Some(types) if !types.is_empty() => types.iter().any(|t| t == direction.as_str()),
        _ => direction == Direction::Ingress || spec.egress.as_ref().is_some_and(|e| !e.is_empty()),
    }
}

type Rule<'r> = (&'r [NetworkPolicyPeer], &'r [NetworkPolicyPort]);

/// The rules of a direction: peers and ports; an empty list of either is no restriction.
fn rules(policy: &NetworkPolicy, direction: Direction) -> Vec<Rule<'_>> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    match direction {
        Direction::Ingress => {
            let all = spec.ingress.iter().flatten();
            all.map(|r| (r.from.as_deref().unwrap_or_default(), r.ports.as_deref().unwrap_or_default())).collect()
        }
        Direction::Egress => {
            let all = spec.egress.iter().flatten();
            all.map(|r| (r.to.as_deref().unwrap_or_default(), r.ports.as_deref().unwrap_or_default())).collect()
        }
    }
}

fn admits_port(rule: &NetworkPolicyPort, receiver: Option<&Pod>, protocol: Protocol, port: u16) -> bool {
    if rule.protocol.as_deref().unwrap_or("TCP") != protocol.as_str() {
        return false;
    }
    match &rule.port {
        None => true,
        Some(IntOrString::Int(first)) => (*first..=rule.end_port.unwrap_or(*first)).contains(&i32::from(port)),
        Some(IntOrString::String(name)) => receiver.is_some_and(|pod| {
            let declared = pod.all_containers().flat_map(|c| &c.ports);
            let same = |p: &Option<String>| p.as_deref().unwrap_or("TCP") == protocol.as_str();
            declared.into_iter().any(|p| p.name.as_ref() == Some(name) && p.container_port == port && same(&p.protocol))
        }),
    }
}

fn admits_address(block: &IPBlock, peer: &Peer<'_>) -> bool {
    // What the API took as a network and cannot be read here may hold anything.
    let Ok(net) = block.cidr.parse::<IpNet>() else { return true };
    let except: Vec<IpNet> = block.except.iter().flatten().filter_map(|e| e.parse().ok()).collect();
    let holds = |ip: &IpAddr| net.contains(ip) && !except.iter().any(|e| e.contains(ip));
    let overlaps = |other: &IpNet| {
        (net.contains(other) || other.contains(&net)) && !except.iter().any(|e| e.contains(other) || e.contains(&net))
    };
    peer.addresses.iter().any(holds)
        || peer.networks.iter().any(overlaps)
        || (peer.internet && !is_private(&net) && !except.iter().any(|e| e.contains(&net)))
}

/// True for a network that holds no address of the internet.
fn is_private(net: &IpNet) -> bool {
    const PRIVATE: &[&str] = &[
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    ];
    PRIVATE.iter().filter_map(|p| p.parse::<IpNet>().ok()).any(|p| p.contains(net))
}

/// Labels, as far as they are known.
enum Labels<'l> {
    /// All of them; for a namespace with its name, whose label the API server keeps.
    Known(&'l Map, Option<&'l str>),
    /// Those of a namespace that could not be read.
    NameOnly(&'l str),
}

impl Labels<'_> {
    /// The value of a label, `Some(None)` where it is not set; `None` where that is not known.
    fn get(&self, key: &str) -> Option<Option<&str>> {
        match self {
            Self::Known(_, Some(name)) | Self::NameOnly(name) if key == NAMESPACE_NAME => Some(Some(name)),
            Self::Known(labels, _) => Some(labels.get(key).map(String::as_str)),
            Self::NameOnly(_) => None,
        }
    }
}

/// Whether a selector selects what has exactly these labels.
pub(crate) fn matches(selector: &LabelSelector, labels: &Map) -> bool {
    selects(selector, &Labels::Known(labels, None))
}

/// A label selector: all of its parts must hold; an empty one selects everything.
fn selects(selector: &LabelSelector, labels: &Labels<'_>) -> bool {
    // What is not known counts as equal.
    let is = |key: &str, wanted: &str| labels.get(key).is_none_or(|value| value == Some(wanted));
    let equal = selector.match_labels.iter().flatten().all(|(k, v)| is(k, v));
    let met = |r: &LabelSelectorRequirement| labels.get(&r.key).and_then(|value| meets(r, value));
    equal && selector.match_expressions.iter().flatten().all(|r| met(r) != Some(false))
}

#[cfg(test)]
#[path = "network_policy_tests.rs"]
mod tests;
