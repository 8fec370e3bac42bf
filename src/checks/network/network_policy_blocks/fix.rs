//! Writes the finding of policies that drop connections: message, evidence, and the policy to add.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::scrape::Targets;
use crate::checks::support::traffic::evidence;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::network_policy::{Direction, Policies, Protocol, reference};
use crate::domain::kubernetes::owner::workload;
use crate::domain::traffic::blocked::{Blocked, Engine, blocks};
use crate::domain::traffic::flows::{self, Flow, Kind, Map};
use crate::domain::traffic::seen::Seen;
use crate::model::{CheckId, Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{NetworkPolicy, Pod, PolicyOrigin};

/// Connections and observations that are shown at most.
const SHOWN: usize = 3;

/// Labels that tell apart the pods of one workload, or its revisions.
const UNSTABLE_LABELS: &[&str] = &[
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "controller-uid",
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct Label {
    name: String,
    value: String,
}

/// Pods, or a network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct PeerRule {
    namespace: String,
    labels: Vec<Label>,
    cidr: String,
    except: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
struct PortRule {
    protocol: &'static str,
    port: u16,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Rule {
    peers: BTreeSet<PeerRule>,
    ports: BTreeSet<PortRule>,
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    /// The policies to add.
    manifests: Vec<Manifest>,
    namespace: String,
    /// Whose connections are dropped.
    from_namespace: String,
    from_pod: String,
    /// They are scrapes.
    scraped: bool,
    #[serde(flatten)]
    targets: Targets,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Way {
    Ingress {
        #[serde(flatten)]
        existing: Existing,
        /// What is admitted, where only a policy of Calico comes before those that deny.
        calico: Vec<Manifest>,
    },
    Egress {
        #[serde(flatten)]
        existing: Existing,
        api_server: bool,
    },
    Strict,
}

/// The policies that drop them, and who keeps these.
#[derive(Serialize, JsonSchema)]
pub(super) struct Existing {
    /// The kind of them, as kubectl takes it.
    kind: &'static str,
    policies: Vec<String>,
    /// They are Calico's, which goes by the order, and a rule of theirs denies.
    calico_denies: bool,
    managed_by: Option<String>,
}

impl Fix {
    /// Policies to add, and what shows that the connections come through.
    pub(super) fn of(
        snap: &Snapshot,
        group: &Blocked<'_>,
        namespace: &str,
        manifests: Vec<Manifest>,
        way: Way,
    ) -> Self {
        let mut jobs: Vec<&str> = group.flows.iter().filter_map(|f| f.job).collect();
        jobs.dedup();
        let from = group.flows[0].from;
        let only = if let [job] = jobs.as_slice() { Some(*job) } else { None };
        Self {
            manifests,
            namespace: namespace.to_owned(),
            from_namespace: from.metadata.namespace.clone(),
            from_pod: snap.owner_ref(from).kubectl_name(),
            scraped: !jobs.is_empty(),
            targets: Targets::of(snap, only),
            way,
        }
    }
}

/// A policy to add.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Manifest {
    name: String,
    namespace: String,
    selector: Vec<Label>,
    rules: Vec<Rule>,
}

/// The finding of flows that the same policies drop.
pub(super) fn finding(id: CheckId, snap: &Snapshot, engine: Engine, map: &Map<'_>, group: &Blocked<'_>) -> Finding {
    let mut policies = group.policies.clone();
    // The one that picks its pods says more than the one that picks all.
    policies.sort_by_key(|p| (selects_all(p), p.metadata.name.clone()));
    let severity = if engine == Engine::Off { Severity::Warning } else { Severity::Error };
    let mut made = Finding::new(id, severity, reference(policies[0]), message(snap, engine, group, &policies))
        .also_all(policies.iter().map(|p| reference(p)))
        .key(format!("{}/{}", group.direction.as_str(), snap.owner_ref(group.flows[0].from).key()));
    for policy in &policies {
        made = made.breaks(reference(policy)).evidence(policy_evidence(policy, group.direction));
    }
    let mut shown: Vec<&Seen> = Vec::new();
    for flow in &group.flows {
        made = flow.breaks.iter().cloned().fold(made, Finding::breaks);
        if shown.len() < SHOWN && !shown.contains(&&flow.seen) {
            shown.push(&flow.seen);
        }
    }
    made = shown.into_iter().map(|seen| evidence(snap, seen)).fold(made, Finding::evidence);
    made.fix(added(snap, map, group, &policies))
}

fn selects_all(policy: &NetworkPolicy) -> bool {
    let selector = policy.spec.as_ref().and_then(|s| s.pod_selector.as_ref());
    selector.is_none_or(|s| {
        s.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && s.match_expressions.as_ref().is_none_or(Vec::is_empty)
    })
}

fn message(snap: &Snapshot, engine: Engine, group: &Blocked<'_>, policies: &[&NetworkPolicy]) -> String {
    let names: Vec<String> = policies.iter().map(|p| reference(p).name()).collect();
    let (noun, verb) = match (names.len(), group.direction) {
        (1, Direction::Ingress) => (kind(policies[0]), "admits nothing"),
        (_, Direction::Ingress) => ("NetworkPolicies", "admit nothing"),
        (1, Direction::Egress) => (kind(policies[0]), "lets nothing out"),
        (_, Direction::Egress) => ("NetworkPolicies", "let nothing out"),
    };
    let from = snap.owner_ref(group.flows[0].from);
    let ends = listed(group.flows.iter().map(|f| end_name(snap, f)).collect());
    let symptoms = listed(group.flows.iter().map(|f| f.symptom.clone()).collect());
    let doubt = match engine {
        Engine::Off => {
            "; the VPC CNI's agent runs with --enable-network-policy=false, so this holds only if another plugin enforces policies"
        }
        _ => "",
    };
    let reading = match group.except {
        Some(net) => format!(
            " (a rule names no destination or a wider one, and with the VPC CNI's agent the except {net} of another wins over it)"
        ),
        None if is_by_labels(snap, group) => {
            " (a rule picks these pods by labels, and they are on the network of their nodes, where Calico and Cilium know them by address alone)".to_owned()
        }
        None => String::new(),
    };
    format!("{noun} {} {verb} from {from} to {ends}{reading}: {symptoms}{doubt}", names.join(" and "))
}

/// A selector admits them as the policies read, and they are on the network of their nodes.
fn is_by_labels(snap: &Snapshot, group: &Blocked<'_>) -> bool {
    let policies = Policies::of(snap);
    let on_host = |flow: &Flow<'_>| flow.to.ends.iter().any(|e| e.peer.pod.is_some_and(|p| p.spec.host_network));
    let reads_open =
        |flow: &Flow<'_>| !blocks(&policies, flow.from, &flow.to).iter().any(|b| b.direction == group.direction);
    group.flows.iter().any(|flow| on_host(flow) && reads_open(flow))
}

/// The kind of a policy.
fn kind(policy: &NetworkPolicy) -> &'static str {
    match policy.origin {
        None => "NetworkPolicy",
        Some(PolicyOrigin::Cilium) => "CiliumNetworkPolicy",
        Some(PolicyOrigin::CiliumCluster) => "CiliumClusterwideNetworkPolicy",
        Some(PolicyOrigin::Calico { .. }) => "NetworkPolicy of Calico",
        Some(PolicyOrigin::CalicoGlobal { .. }) => "GlobalNetworkPolicy of Calico",
    }
}

/// The same as kubectl takes it.
fn resource(policy: &NetworkPolicy) -> &'static str {
    match policy.origin {
        None => "networkpolicy",
        Some(PolicyOrigin::Cilium) => "ciliumnetworkpolicy",
        Some(PolicyOrigin::CiliumCluster) => "ciliumclusterwidenetworkpolicy",
        Some(PolicyOrigin::Calico { .. }) => "networkpolicies.crd.projectcalico.org",
        Some(PolicyOrigin::CalicoGlobal { .. }) => "globalnetworkpolicies.crd.projectcalico.org",
    }
}

/// Each once, the first few by name.
fn listed(all: Vec<String>) -> String {
    let mut each: Vec<String> = Vec::new();
    for one in all {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    let more = each.len().saturating_sub(SHOWN);
    each.truncate(SHOWN);
    let text = each.join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

fn end_name(snap: &Snapshot, flow: &Flow<'_>) -> String {
    let Some(end) = flow.to.ends.first() else { return flow.to.name.clone() };
    let name = match end.peer.pod {
        Some(pod) if flow.to.kind == Kind::Pods => snap.owner_ref(pod).to_string(),
        _ => flow.to.name.clone(),
    };
    let protocol = flow.to.protocol.as_str();
    let named = end.peer.pod.and_then(|pod| {
        let declared = pod.all_containers().flat_map(|c| &c.ports);
        declared.into_iter().find(|p| p.container_port == end.port).and_then(|p| p.name.clone())
    });
    match named {
        Some(port_name) => format!("{name} on {protocol} {} ({port_name})", end.port),
        None => format!("{name} on {protocol} {}", end.port),
    }
}

/// The rules as they are, on one line.
fn policy_evidence(policy: &NetworkPolicy, direction: Direction) -> Evidence {
    const LENGTH: usize = 400;
    let (namespace, name) = (&policy.metadata.namespace, &policy.metadata.name);
    let spec = serde_json::to_value(&policy.spec).unwrap_or_default();
    let part = |name: &str| spec.get(name).map_or_else(|| "none".to_owned(), ToString::to_string);
    let rules = if direction == Direction::Ingress { "ingress" } else { "egress" };
    let mut value = format!("podSelector {}; {rules} {}", part("podSelector"), part(rules));
    if let Some((at, _)) = value.char_indices().nth(LENGTH) {
        value.truncate(at);
        value.push('…');
    }
    Evidence::new(
        format!("{} {namespace}/{name} spec", kind(policy)),
        value,
        "kubectl get {{ kind }} {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("kind", resource(policy))
    .with("namespace", namespace)
    .with("name", name)
}

fn added(snap: &Snapshot, map: &Map<'_>, group: &Blocked<'_>, policies: &[&NetworkPolicy]) -> Fix {
    let denies = |p: &&NetworkPolicy| {
        matches!(p.origin, Some(PolicyOrigin::Calico { denies: true } | PolicyOrigin::CalicoGlobal { denies: true }))
    };
    // kubectl describes what is of one kind.
    let first = resource(policies[0]);
    let existing = Existing {
        kind: first,
        policies: policies.iter().filter(|p| resource(p) == first).map(|p| p.metadata.name.clone()).collect(),
        calico_denies: policies.iter().any(denies),
        managed_by: policies.iter().map(|p| managed_by(&p.metadata)).find(|m| !m.is_empty()),
    };
    let (manifests, way) = match group.direction {
        Direction::Ingress => {
            let all = ingress_manifests(snap, group);
            let (manifests, calico) = if existing.calico_denies { (Vec::new(), all) } else { (all, Vec::new()) };
            (manifests, Way::Ingress { existing, calico })
        }
        Direction::Egress => {
            let api_server = group.flows.iter().any(|f| f.to.kind == Kind::ApiServer);
            (vec![egress_manifest(snap, map, group)], Way::Egress { existing, api_server })
        }
    };
    Fix::of(snap, group, &policies[0].metadata.namespace, manifests, way)
}

/// One policy for each workload that is to be reached.
pub(super) fn ingress_manifests(snap: &Snapshot, group: &Blocked<'_>) -> Vec<Manifest> {
    let mut by_workload: BTreeMap<ResourceRef, (&Pod, BTreeSet<PortRule>)> = BTreeMap::new();
    for flow in &group.flows {
        for end in &flow.to.ends {
            let Some(pod) = end.peer.pod else { continue };
            by_workload.entry(snap.owner_ref(pod)).or_insert((pod, BTreeSet::new())).1.extend(ports(flow, end.port));
        }
    }
    let from = group.flows[0].from;
    let manifest = |(owner, (pod, ports)): (ResourceRef, (&Pod, BTreeSet<PortRule>))| Manifest {
        name: policy_name(&short_name(&snap.owner_ref(from)), &short_name(&owner)),
        namespace: pod.metadata.namespace.clone(),
        selector: identity(snap, pod),
        rules: vec![Rule { peers: [pods_of(snap, from)].into(), ports }],
    };
    by_workload.into_iter().map(manifest).collect()
}

/// One policy with all that the sender needs; the cluster's DNS too, if that is not let out either.
fn egress_manifest(snap: &Snapshot, map: &Map<'_>, group: &Blocked<'_>) -> Manifest {
    let from = group.flows[0].from;
    let mut by_ports: BTreeMap<BTreeSet<PortRule>, BTreeSet<PeerRule>> = BTreeMap::new();
    for flow in &group.flows {
        for end in &flow.to.ends {
            by_ports.entry(ports(flow, end.port)).or_default().extend(peers(snap, flow, end));
        }
    }
    let policies = Policies::of(snap);
    if let Some(dns) = map.dns(None)
        && blocks(&policies, from, &dns).iter().any(|b| b.direction == Direction::Egress)
        && let Some(pod) = dns.ends.first().and_then(|e| e.peer.pod)
    {
        by_ports.entry(dns_ports()).or_default().insert(pods_of(snap, pod));
    }
    Manifest {
        name: policy_name(&short_name(&snap.owner_ref(from)), "egress"),
        namespace: from.metadata.namespace.clone(),
        selector: identity(snap, from),
        rules: by_ports.into_iter().map(|(ports, peers)| Rule { peers, ports }).collect(),
    }
}

fn peers(snap: &Snapshot, flow: &Flow<'_>, end: &flows::End<'_>) -> Vec<PeerRule> {
    let network = |cidr: String| PeerRule { namespace: String::new(), labels: Vec::new(), cidr, except: Vec::new() };
    let host = |ip: &std::net::IpAddr| network(ipnet::IpNet::from(*ip).to_string());
    match (flow.to.kind, end.peer.pod) {
        (_, Some(pod)) if !pod.spec.host_network => vec![pods_of(snap, pod)],
        (Kind::ApiServer, _) => {
            let networks = flows::control_plane_networks(snap);
            let known = networks.into_iter().map(|n| network(n.to_string()));
            let service = end.peer.addresses.iter().map(host);
            let all: Vec<PeerRule> = known.chain(service).collect();
            if all.is_empty() { vec![network("<CIDR of the control plane's subnets>".to_owned())] } else { all }
        }
        (Kind::Internet, _) => {
            let except = vec!["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
            vec![PeerRule { except, ..network("0.0.0.0/0".to_owned()) }]
        }
        // Nodes come and go within their subnets.
        (_, Some(_)) => {
            end.peer.addresses.iter().map(|ip| subnet_of(snap, *ip).map_or_else(|| host(ip), network)).collect()
        }
        _ => end.peer.addresses.iter().map(host).collect(),
    }
}

/// The network of the subnet that an address lies in.
fn subnet_of(snap: &Snapshot, ip: std::net::IpAddr) -> Option<String> {
    let holds = |cidr: &str| cidr.parse::<ipnet::IpNet>().is_ok_and(|net| net.contains(&ip));
    snap.subnets.iter().flatten().map(|s| s.cidr_block.as_str()).find(|c| holds(c)).map(str::to_owned)
}

fn ports(flow: &Flow<'_>, port: u16) -> BTreeSet<PortRule> {
    match flow.to.kind {
        Kind::Dns => dns_ports(),
        _ => [PortRule { protocol: flow.to.protocol.as_str(), port }].into(),
    }
}

/// Answers that are too long for UDP come over TCP.
fn dns_ports() -> BTreeSet<PortRule> {
    [Protocol::Udp, Protocol::Tcp].map(|p| PortRule { protocol: p.as_str(), port: 53 }).into()
}

fn pods_of(snap: &Snapshot, pod: &Pod) -> PeerRule {
    PeerRule {
        namespace: pod.metadata.namespace.clone(),
        labels: identity(snap, pod),
        cidr: String::new(),
        except: Vec::new(),
    }
}

/// Labels that all pods of a workload have, old and new: what it selects them by.
fn identity(snap: &Snapshot, pod: &Pod) -> Vec<Label> {
    let label = |(name, value): (&String, &String)| Label { name: name.clone(), value: value.clone() };
    let selector = workload(snap, &snap.owner_ref(pod))
        .and_then(|w| w.spec.selector.as_ref()?.match_labels.as_ref())
        .filter(|m| !m.is_empty());
    if let Some(selector) = selector {
        return selector.iter().map(label).collect();
    }
    let stable = |name: &str| !UNSTABLE_LABELS.contains(&name) && !name.starts_with("topology.kubernetes.io/");
    pod.metadata.labels.iter().filter(|(name, _)| stable(name)).map(label).collect()
}

fn short_name(owner: &ResourceRef) -> String {
    let name = owner.name();
    name.rsplit('/').next().unwrap_or(&name).to_owned()
}

/// `allow-<from>-to-<what>`, no longer than a name may be.
fn policy_name(from: &str, to: &str) -> String {
    let mut name = if to == "egress" { format!("allow-{from}-egress") } else { format!("allow-{from}-to-{to}") };
    name.truncate(63);
    name.trim_end_matches(['-', '.']).to_owned()
}
