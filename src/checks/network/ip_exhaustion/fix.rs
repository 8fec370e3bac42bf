//! What gives pods their addresses.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::network::ip_exhaustion::cause::{FEW, Waiting, Why};
use crate::checks::network::ip_exhaustion::zone::{Far, config_name};
use crate::checks::support::addon;
use crate::checks::support::place::Place;
use crate::domain::aws::addon::with_values;
use crate::domain::aws::balancer::PUBLIC_TAG;
use crate::domain::aws::placement::Placement;
use crate::domain::aws::vpc_cni;
use crate::domain::kubernetes::nodes::open_to;
use crate::domain::kubernetes::owner::has_rollout;
use crate::model::Placeholder;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Subnet;
use crate::snapshot::kubernetes::{Node, Pod};

/// What a node is to keep in reserve, and to hold at least.
const WARM: usize = 2;

const MINIMUM: usize = 10;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
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
    /// The CNI may attach no more interfaces.
    Capped {
        #[serde(flatten)]
        of: Of,
        most: usize,
        #[serde(flatten)]
        cni: Cni,
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
pub(super) struct Cni {
    cluster: String,
    addon: bool,
    /// All values of the add-on, with what is to be set; none where what is set cannot be read.
    values: Option<String>,
    kept_role: Vec<String>,
}

impl Cni {
    /// With fewer warm addresses.
    fn fewer(snap: &Snapshot) -> Self {
        Self::with(
            snap,
            &json!({"env": {"WARM_IP_TARGET": WARM.to_string(), "MINIMUM_IP_TARGET": MINIMUM.to_string()}}),
        )
    }

    fn with(snap: &Snapshot, set: &serde_json::Value) -> Self {
        let cni = addon::named(snap, "vpc-cni");
        Self {
            cluster: Place::of(snap).cluster,
            addon: cni.is_some(),
            values: cni.and_then(|a| with_values(Some(a), set)),
            kept_role: addon::kept_role(cni),
        }
    }
}

/// Who makes the pods that wait.
#[derive(Serialize, JsonSchema)]
pub(super) struct Of {
    pub(super) namespace: String,
    pub(super) owner: String,
    pub(super) has_rollout: bool,
}

/// The same, with the network.
#[derive(Serialize, JsonSchema)]
pub(super) struct InVpc {
    #[serde(flatten)]
    of: Of,
    vpc: String,
}

pub(super) fn fix(snap: &Snapshot, why: &Why, subnet: Option<&Subnet>, nodes: &[&str], pods: &[Waiting<'_>]) -> Fix {
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
            Fix::Subnet { of, pods, here, subnet: own, others: others.join(", "), warm, cni: Cni::fewer(snap) }
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
        // 0 leaves it to the instance's own limit.
        Why::Capped(most) => {
            let cni = Cni::with(snap, &json!({"env": {"MAX_ENI": "0"}}));
            Fix::Capped { of: of.of, most: *most, cni }
        }
        Why::Node => Fix::Node { of, pods, node },
    }
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
