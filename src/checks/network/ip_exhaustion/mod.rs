//! Pods that get no address: the subnet of their node has none left.

mod branch;
mod zone;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use self::zone::Far;
use crate::checks::support::addon;
use crate::checks::support::place::Place;
use crate::checks::support::seen::event_quote;
use crate::checks::{Check, check};
use crate::domain::aws::addon::with_values;
use crate::domain::aws::balancer::PUBLIC_TAG;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::vpc_cni;
use crate::domain::kubernetes::nodes::open_to;
use crate::domain::kubernetes::owner::has_rollout;
use crate::domain::kubernetes::scheduling;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Subnet;
use crate::snapshot::kubernetes::{EniConfig, Event, Node, Pod};

/// With so few addresses left a node gets neither another interface with a few warm addresses nor a prefix (/28).
const FEW: u32 = 16;
/// With no more left it is used up: single addresses come and go with pods that end.
const NONE: u32 = 2;
/// What a node is to keep in reserve, and to hold at least.
const WARM: usize = 2;
const MINIMUM: usize = 10;

check! {
    /// See the check's page.
    IpExhaustion {
        id: "ip-exhaustion", suite: Network, severity: Error,
        title: "pods get no IP address",
        requires: [Pods],
        uses: [Events, Nodes, Subnets, Instances, Workloads, EksAddons, EksCluster, EniConfigs, NodeMakers, PartLogs],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Subnet {
        #[serde(flatten)]
        of: InVpc,
        pods: Vec<String>,
        /// Nodes that the pods should not go to; empty where there are no others.
        here: Vec<String>,
        subnet: String,
        others: String,
        /// Nodes of the subnet may hold addresses that fewer warm ones would give back.
        warm: bool,
        #[serde(flatten)]
        cni: Cni,
    },
    Fragmented {
        #[serde(flatten)]
        of: InVpc,
        subnet: String,
    },
    PodSubnets {
        #[serde(flatten)]
        of: InVpc,
        kind: String,
        resource: String,
        name: String,
        zone: String,
        /// The pool whose nodes are of the class; none where an ENIConfig is meant.
        pool: Option<String>,
        /// Zones in which pods would get addresses.
        zones: Vec<String>,
        /// Subnets of the node's zone.
        near: String,
    },
    EniConfig {
        #[serde(flatten)]
        of: Of,
        node: String,
        name: String,
        group: String,
    },
    Node {
        #[serde(flatten)]
        of: InVpc,
        pods: Vec<String>,
        node: String,
    },
    Branch {
        #[serde(flatten)]
        of: Of,
        pod: String,
        /// The interface is there, and could not be written into the pod.
        unwritten: bool,
        denied: bool,
        no_group: bool,
        role: Placeholder,
        policy_arn: String,
    },
}

/// Who keeps the settings of the CNI.
#[derive(Serialize, JsonSchema)]
struct Cni {
    cluster: String,
    addon: bool,
    /// All values of the add-on, with fewer warm addresses; none where what is set cannot be read.
    values: Option<String>,
    kept_role: Vec<String>,
}

impl Cni {
    fn of(snap: &Snapshot) -> Self {
        let cni = addon::named(snap, "vpc-cni");
        let fewer = json!({"env": {"WARM_IP_TARGET": WARM.to_string(), "MINIMUM_IP_TARGET": MINIMUM.to_string()}});
        Self {
            cluster: Place::of(snap).cluster,
            addon: cni.is_some(),
            values: cni.and_then(|a| with_values(Some(a), &fewer)),
            kept_role: addon::kept_role(cni),
        }
    }
}

/// Who makes the pods that wait.
#[derive(Serialize, JsonSchema)]
struct Of {
    namespace: String,
    owner: String,
    has_rollout: bool,
}

/// The same, with the network.
#[derive(Serialize, JsonSchema)]
struct InVpc {
    #[serde(flatten)]
    of: Of,
    region: String,
    vpc: String,
}

impl Check for IpExhaustion {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let place = Placement::new(snap);
        // With custom networking pods have subnets of their own, which an ENIConfig names.
        let own_subnets = vpc_cni::is_on(snap, vpc_cni::CUSTOM_NETWORK);
        let mut groups: BTreeMap<Option<&str>, Vec<Waiting<'_>>> = BTreeMap::new();
        let mut unknown = None;
        for pod in snap.pods()?.iter().filter(|p| waits(snap, p) && branch::said(snap, p).is_none()) {
            let subnet = match own_subnets {
                true => eni_config(snap, pod).map(|c| c.spec.subnet.as_str()),
                false => place.of_pod(pod),
            };
            let event = refused(snap, pod);
            if event.is_none() {
                let Err(gap) = snap.events.covered(&pod.metadata.namespace) else { continue };
                // Where nothing can be read of the pod, a subnet without any address tells enough.
                if !subnet.is_some_and(|id| is_used_up(snap, id)) {
                    unknown.get_or_insert(gap);
                    continue;
                }
            }
            groups.entry(subnet).or_default().push((pod, event));
        }
        let branches = branch::findings(snap);
        match unknown {
            Some(gap) if groups.is_empty() && branches.is_empty() => Err(gap),
            _ => {
                let of_subnets = groups.into_iter().map(|(s, pods)| finding(snap, s, &pods));
                Ok(Diagnosis::Findings(of_subnets.chain(branches).collect()))
            }
        }
    }
}

/// A pod that waits for an address, and the event that says so.
type Waiting<'a> = (&'a Pod, Option<&'a Event>);

/// The subnet has no address left to speak of.
fn is_used_up(snap: &Snapshot, id: &str) -> bool {
    let mut all = snap.subnets.iter().flatten();
    all.any(|s| s.subnet_id == id && s.available_ip_address_count.is_some_and(|n| n <= NONE))
}

/// A pod that has a node and no address.
fn waits(snap: &Snapshot, pod: &Pod) -> bool {
    pod.status.phase == "Pending"
        && pod.spec.node_name.is_some()
        && pod.status.pod_ip.is_none()
        && !pod.spec.host_network
        && pod.metadata.deletion_timestamp.is_none()
        && snap.age_seconds(&pod.metadata) >= GRACE
}

/// The CNI says that it has no address.
fn refused<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Event> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
    let mut sandbox = events.filter(|e| e.reason == "FailedCreatePodSandBox");
    sandbox.find(|e| {
        let has = |part: &str| e.message.contains(part);
        has("failed to assign an IP address")
            || has("InsufficientFreeAddressesInSubnet")
            || has("InsufficientCidrBlocks")
    })
}

/// Why pods get no address.
#[derive(Debug, PartialEq, Eq)]
enum Why {
    /// The subnet has none left.
    Subnet,
    /// The subnet has addresses, and no free block of sixteen in a row.
    Fragmented,
    /// Pods have subnets of their own, and the node's zone has none.
    NoEniConfig,
    /// Pods have subnets of their own, all of them in other zones than the node.
    Zone(Far),
    /// The node gives none although its subnet has some.
    Node,
}

impl Why {
    fn of(snap: &Snapshot, subnet: Option<&Subnet>, pods: &[Waiting<'_>], far: Option<Far>) -> Self {
        let left = subnet.and_then(|s| s.available_ip_address_count);
        let blocks = pods.iter().filter_map(|(_, e)| *e).any(|e| e.message.contains("InsufficientCidrBlocks"))
            || cni_log(snap).any(|l| l.text.contains("InsufficientCidrBlocks"));
        if let Some(far) = far {
            Self::Zone(far)
        } else if left.is_some_and(|n| n <= FEW) {
            Self::Subnet
        } else if blocks || (left.is_some() && vpc_cni::is_on(snap, vpc_cni::PREFIXES) && is_crowded(subnet)) {
            Self::Fragmented
        } else if vpc_cni::is_on(snap, vpc_cni::CUSTOM_NETWORK) && pods.iter().any(|(p, _)| lacks_config(snap, p)) {
            Self::NoEniConfig
        } else {
            Self::Node
        }
    }
}

/// So full that a free block of sixteen addresses in a row is not likely.
fn is_crowded(subnet: Option<&Subnet>) -> bool {
    let Some(subnet) = subnet else { return false };
    let Ok(net) = subnet.cidr_block.parse::<ipnet::IpNet>() else { return false };
    let size = 1u32.checked_shl(32 - u32::from(net.prefix_len().min(32))).unwrap_or(u32::MAX);
    subnet.available_ip_address_count.is_some_and(|n| n < size / 8)
}

/// The log of the VPC CNI.
fn cni_log(snap: &Snapshot) -> impl Iterator<Item = &crate::snapshot::monitoring::ContainerLog> {
    snap.part_logs.iter().flatten().filter(|l| l.container == "aws-node")
}

/// The ENIConfig of a node: the one that its label names, mostly its zone's.
fn eni_config<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a EniConfig> {
    let configs = snap.eni_configs.items().ok()?;
    configs.iter().find(|c| Some(c.metadata.name.as_str()) == config_name(snap, pod))
}

/// The name of the ENIConfig that a pod's node wants.
fn config_name<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a str> {
    let node = snap.node_of(pod)?;
    node.metadata.label("k8s.amazonaws.com/eniConfig").or_else(|| scheduling::zone(node))
}

/// Its node wants an ENIConfig that does not exist.
fn lacks_config(snap: &Snapshot, pod: &Pod) -> bool {
    snap.eni_configs.items().is_ok() && config_name(snap, pod).is_some() && eni_config(snap, pod).is_none()
}

fn finding(snap: &Snapshot, subnet: Option<&str>, pods: &[Waiting<'_>]) -> Finding {
    let subnets = snap.subnets.as_deref().unwrap_or_default();
    let known = subnet.and_then(|id| subnets.iter().find(|s| s.subnet_id == id));
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|(p, _)| p.spec.node_name.as_deref()).collect();
    let nodes: Vec<&str> = nodes.into_iter().collect();
    // One of the pods that are far from their subnets stands for all.
    let far = pods.iter().enumerate().find_map(|(at, (pod, _))| Some((at, zone::far(snap, pod)?)));
    let (at, far) = far.map_or((0, None), |(at, far)| (at, Some(far)));
    let mut sorted = pods.to_vec();
    sorted.swap(0, at);
    let pods = sorted.as_slice();
    let (pod, event) = pods[0];
    let who = match pods {
        [_] => format!("pod {}/{} gets no IP address", pod.metadata.namespace, pod.metadata.name),
        many => format!("{} pods get no IP address", many.len()),
    };
    let why = Why::of(snap, known, pods, far);
    let words = words(snap, &why, known, &nodes, pod);
    let by_subnet = matches!(why, Why::Subnet | Why::Fragmented);
    let subject = match subnet.filter(|_| by_subnet) {
        Some(id) => ResourceRef::aws("ec2", "subnet", id),
        None => ResourceRef::node(nodes.first().copied().unwrap_or_default()),
    };
    let region = Place::of(snap).region;
    let mut finding = Finding::new(IpExhaustion::META.id, Severity::Error, subject.clone(), format!("{who}: {words}"))
        .breaks(subject)
        .fix(fix(snap, &why, known, &nodes, pods));
    if let Some(event) = event {
        finding = finding.evidence(event_quote(event, event.message.trim()));
    }
    for (pod, _) in pods {
        let found = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        finding = finding.breaks(found).breaks(snap.owner_ref(pod));
    }
    if why == Why::Node {
        let cni = ResourceRef::workload("DaemonSet", "kube-system", "aws-node");
        finding = finding.depends_on(cni);
    }
    if !subnets.is_empty() {
        finding = finding.evidence(subnet_evidence(subnets, known, &region));
    }
    finding
}

/// The nodes of a subnet, where others could take one of the pods; empty where there are none.
fn nodes_to_avoid(snap: &Snapshot, subnet: &str, known: &[&str], pods: &[Waiting<'_>]) -> Vec<String> {
    let place = Placement::new(snap);
    let all = snap.nodes.items().unwrap_or_default();
    let is_here = |n: &Node| known.contains(&n.metadata.name.as_str()) || place.of_node(n) == Some(subnet);
    if !pods.iter().any(|(pod, _)| open_to(snap, pod).any(|n| !is_here(n))) {
        return Vec::new();
    }
    all.iter().filter(|n| is_here(n)).map(|n| n.metadata.name.clone()).collect()
}

/// The pods that somebody recreates.
fn replaced(snap: &Snapshot, pods: &[Waiting<'_>]) -> Vec<String> {
    let namespace = &pods[0].0.metadata.namespace;
    let own = pods.iter().map(|(p, _)| *p).filter(|p| p.metadata.namespace == *namespace);
    own.filter(|p| !snap.owner_ref(p).kubectl_name().starts_with("pod/")).map(|p| p.metadata.name.clone()).collect()
}

/// The reason as the end of a sentence.
fn words(snap: &Snapshot, why: &Why, subnet: Option<&Subnet>, nodes: &[&str], pod: &Pod) -> String {
    let nodes = nodes.join(", ");
    let left = subnet.and_then(|s| s.available_ip_address_count);
    match (why, subnet, left) {
        (Why::Subnet, Some(s), Some(n)) => {
            format!("subnet {} ({}, {}) of node {nodes} has {n} left", s.subnet_id, s.cidr_block, s.availability_zone)
        }
        (Why::Fragmented, Some(s), Some(n)) => format!(
            "with prefix delegation the node takes blocks of 16 addresses in a row, and subnet {} ({}) has none free, although {n} single addresses are",
            s.subnet_id, s.cidr_block
        ),
        (Why::Fragmented, ..) => {
            "with prefix delegation the node takes blocks of 16 addresses in a row, and its subnet has none free"
                .to_owned()
        }
        (Why::NoEniConfig, ..) => format!(
            "pods have subnets of their own here (custom networking), and there is no ENIConfig {} for node {nodes}",
            config_name(snap, pod).unwrap_or_default()
        ),
        (Why::Zone(far), ..) => format!(
            "{} {} gives pods addresses of {}, and node {nodes} is in zone {}: an interface takes none of another zone",
            far.kind,
            far.name,
            far.given(),
            far.zone
        ),
        (Why::Node, Some(s), Some(n)) => {
            format!("node {nodes} gives none, although its subnet {} has {n} left{}", s.subnet_id, held(snap, pod))
        }
        _ => format!("node {nodes} has none to give{}", held(snap, pod)),
    }
}

/// How many addresses the interfaces of the pod's node have, and how many pods run there.
fn held(snap: &Snapshot, pod: &Pod) -> String {
    let Some(node) = snap.node_of(pod) else { return String::new() };
    let Some(instance) = Placement::new(snap).instance(node) else { return String::new() };
    let interfaces = &instance.network_interfaces;
    let addresses: usize = interfaces.iter().map(|i| i.private_ip_addresses.len().saturating_sub(1)).sum();
    let blocks: usize = interfaces.iter().map(|i| i.ipv4_prefixes.len()).sum();
    let Some(kind) = instance.instance_type.as_deref().filter(|_| addresses + blocks > 0) else { return String::new() };
    let given = addresses + blocks * 16;
    format!("; its {kind} has {given} addresses for pods on {} network interfaces", interfaces.len())
}

fn is_public(subnet: &Subnet) -> bool {
    subnet.map_public_ip_on_launch || subnet.tags.iter().any(|t| t.key == PUBLIC_TAG)
}

/// Fewer warm addresses would free some: a node of the subnet holds more than it then would. Where no instance was seen, it may.
fn gives_back(snap: &Snapshot, subnet: &str) -> bool {
    let place = Placement::new(snap);
    let nodes = snap.nodes.items().unwrap_or_default().iter().filter(|n| place.of_node(n) == Some(subnet));
    let mut held = nodes.filter_map(|n| {
        let interfaces = &place.instance(n)?.network_interfaces;
        let addresses: usize = interfaces.iter().map(|i| i.private_ip_addresses.len().saturating_sub(1)).sum();
        (addresses > 0).then(|| {
            let here = |p: &Pod| p.spec.node_name.as_deref() == Some(n.metadata.name.as_str());
            // The addresses of pods that have finished are free again.
            let own = |p: &&Pod| here(p) && !p.spec.host_network && !p.is_finished();
            let used = snap.pods.items().unwrap_or_default().iter().filter(own).count();
            addresses > MINIMUM.max(used + WARM)
        })
    });
    let first = held.next();
    first.is_none_or(|gives| gives || held.any(|gives| gives))
}

fn fix(snap: &Snapshot, why: &Why, subnet: Option<&Subnet>, nodes: &[&str], pods: &[Waiting<'_>]) -> Fix {
    let subnets = snap.subnets.as_deref().unwrap_or_default();
    let own = subnet.map(|s| s.subnet_id.clone()).unwrap_or_default();
    // Nodes of a private subnet are not meant to stand in a public one.
    let fits = |s: &Subnet| !is_public(s) || subnet.is_some_and(is_public);
    let has_room = |s: &Subnet| s.available_ip_address_count.is_some_and(|n| n > FEW) && s.subnet_id != own;
    let free = subnets.iter().filter(|s| has_room(s) && fits(s));
    let others: Vec<String> = free.map(|s| format!("{} in {}", s.subnet_id, s.availability_zone)).collect();
    let first = pods[0].0;
    let owner = snap.owner_ref(first);
    let node = nodes.first().copied().unwrap_or_default().to_owned();
    let has_rollout = has_rollout(snap, &owner);
    let of = InVpc {
        of: Of { namespace: first.metadata.namespace.clone(), owner: owner.kubectl_name(), has_rollout },
        region: Place::of(snap).region,
        vpc: subnet.or(subnets.first()).map_or("<vpc-id>", |s| s.vpc_id.as_str()).to_owned(),
    };
    let (waiting, pods) = (pods, replaced(snap, pods));
    let set = |name: &str| vpc_cni::env(snap, name).is_some_and(|v| v != "0");
    match why {
        Why::Subnet => {
            let by_blocks = vpc_cni::env(snap, vpc_cni::PREFIXES).is_some_and(|v| v == "true");
            let is_set = by_blocks || set("WARM_IP_TARGET") || set("MINIMUM_IP_TARGET");
            let warm = !is_set && gives_back(snap, &own);
            let here = if others.is_empty() { Vec::new() } else { nodes_to_avoid(snap, &own, nodes, waiting) };
            Fix::Subnet { of, pods, here, subnet: own, others: others.join(", "), warm, cni: Cni::of(snap) }
        }
        Why::Fragmented => Fix::Fragmented { of, subnet: own },
        Why::NoEniConfig => {
            let name = config_name(snap, first).unwrap_or_default().to_owned();
            let groups = snap.eks_cluster().map(|c| c.resources_vpc_config.cluster_security_group_id.clone());
            Fix::EniConfig { of: of.of, node, name, group: groups.unwrap_or_else(|_| "<security-group-id>".to_owned()) }
        }
        Why::Zone(Far { kind, resource, name, given, zone, pool }) => {
            let here = subnets.iter().filter(|s| s.availability_zone == *zone);
            let near = here.map(|s| format!("{} ({})", s.subnet_id, s.cidr_block)).collect::<Vec<_>>().join(", ");
            let zones: BTreeSet<&String> = given.iter().map(|(_, zone)| zone).collect();
            Fix::PodSubnets {
                of,
                kind: (*kind).to_owned(),
                resource: (*resource).to_owned(),
                name: name.clone(),
                zone: zone.clone(),
                pool: pool.clone(),
                zones: zones.into_iter().cloned().collect(),
                near,
            }
        }
        Why::Node => Fix::Node { of, pods, node },
    }
}

/// The subnets next to each other: an average hides one that is used up.
fn subnet_evidence(subnets: &[Subnet], own: Option<&Subnet>, region: &str) -> Evidence {
    let line = |s: &Subnet| {
        let left = s.available_ip_address_count.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let mark = if own.is_some_and(|o| o.subnet_id == s.subnet_id) { ", the pods' nodes" } else { "" };
        format!("{} {} {}: {left} free addresses{mark}", s.subnet_id, s.availability_zone, s.cidr_block)
    };
    Evidence::new(
        "ec2:DescribeSubnets, AvailableIpAddressCount",
        subnets.iter().map(line).collect::<Vec<_>>().join("\n"),
        "aws ec2 describe-subnets --filters Name=vpc-id,Values={{ vpc }} --query 'Subnets[].[SubnetId,AvailabilityZone,CidrBlock,AvailableIpAddressCount]' --region {{ region }} --output table",
    )
    .with("region", region)
    .with("vpc", subnets.first().map_or("", |s| s.vpc_id.as_str()))
}
