//! Why pods get no address, and its words.

use crate::checks::network::ip_exhaustion::zone::{Far, config_name, lacks_config};
use crate::domain::aws::placement::Placement;
use crate::domain::aws::vpc_cni;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Subnet;
use crate::snapshot::kubernetes::{Event, Pod};

/// With so few addresses left a node gets neither another interface with a few warm addresses nor a prefix (/28).
pub(super) const FEW: u32 = 16;

/// A pod that waits for an address, and the event that says so.
pub(super) type Waiting<'a> = (&'a Pod, Option<&'a Event>);

/// Why pods get no address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The subnet has none left.
    Subnet,
    /// The subnet has addresses, and no free block of sixteen in a row.
    Fragmented,
    /// Pods have subnets of their own, and the node's zone has none.
    NoEniConfig,
    /// Pods have subnets of their own, all of them in other zones than the node.
    Zone(Far),
    /// The node has as many interfaces as the CNI may attach, by its own setting.
    Capped(usize),
    /// The node gives none although its subnet has some.
    Node,
}

impl Why {
    pub(super) fn of(snap: &Snapshot, subnet: Option<&Subnet>, pods: &[Waiting<'_>], far: Option<Far>) -> Self {
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
        } else if let Some(most) =
            vpc_cni::most_interfaces(snap).filter(|most| interfaces(snap, pods[0].0) == Some(*most))
        {
            Self::Capped(most)
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

/// The reason as the end of a sentence.
pub(super) fn words(snap: &Snapshot, why: &Why, subnet: Option<&Subnet>, nodes: &[&str], pod: &Pod) -> String {
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
        (Why::Capped(most), subnet, left) => {
            let free = subnet.zip(left).map(|(s, n)| format!(" (its subnet {} has {n} addresses left)", s.subnet_id));
            format!(
                "DaemonSet kube-system/aws-node may attach no more than {most} network interface{} to a node (MAX_ENI={most}), and node {nodes} has that many{}{}",
                if *most == 1 { "" } else { "s" },
                free.unwrap_or_default(),
                held(snap, pod)
            )
        }
        (Why::Node, Some(s), Some(n)) => {
            format!("node {nodes} gives none, although its subnet {} has {n} left{}", s.subnet_id, held(snap, pod))
        }
        _ => format!("node {nodes} has none to give{}", held(snap, pod)),
    }
}

/// How many network interfaces the pod's node has.
fn interfaces(snap: &Snapshot, pod: &Pod) -> Option<usize> {
    Some(Placement::new(snap).instance(snap.node_of(pod)?)?.network_interfaces.len())
}

/// How many addresses the interfaces of the pod's node have, and how many pods run there.
pub(super) fn held(snap: &Snapshot, pod: &Pod) -> String {
    let Some(node) = snap.node_of(pod) else { return String::new() };
    let Some(instance) = Placement::new(snap).instance(node) else { return String::new() };
    let interfaces = &instance.network_interfaces;
    let addresses: usize = interfaces.iter().map(|i| i.private_ip_addresses.len().saturating_sub(1)).sum();
    let blocks: usize = interfaces.iter().map(|i| i.ipv4_prefixes.len()).sum();
    let Some(kind) = instance.instance_type.as_deref().filter(|_| addresses + blocks > 0) else { return String::new() };
    let given = addresses + blocks * 16;
    format!("; its {kind} has {given} addresses for pods on {} network interfaces", interfaces.len())
}
