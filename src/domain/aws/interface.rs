//! The network interface that a node, a pod or the control plane sends and receives through: its addresses and groups.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::domain::aws::placement::Placement;
use crate::domain::kubernetes::network_policy::matches;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Instance, Subnet};
use crate::snapshot::kubernetes::{Node, Pod, SecurityGroupPolicy, annotation};

/// One end of a flow inside the VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interface<'a> {
    /// Its security groups, never empty.
    pub(crate) groups: Vec<&'a str>,
    /// Its addresses, where they are known.
    pub(crate) addresses: Vec<IpAddr>,
    /// Networks in which it lies, where its address is not known.
    pub(crate) networks: Vec<IpNet>,
    /// Its subnet, where it is one.
    pub(crate) subnet: Option<&'a str>,
    /// The instance it belongs to: what stays on one instance passes no group.
    pub(crate) instance: Option<&'a str>,
    /// The control plane's.
    pub(crate) control_plane: bool,
}

/// Finds interfaces.
pub(crate) struct Interfaces<'a> {
    snap: &'a Snapshot,
    place: Placement<'a>,
}

impl<'a> Interfaces<'a> {
    pub(crate) fn new(snap: &'a Snapshot) -> Self {
        Self { snap, place: Placement::new(snap) }
    }

    /// The first interface of a node.
    pub(crate) fn of_node(&self, node: &Node) -> Option<Interface<'a>> {
        let address = node.internal_ip()?.parse().ok()?;
        self.of_instance(self.place.instance(node)?, address)
    }

    /// The interface of a pod. `None` where its address is not one of the VPC (an overlay), or not known.
    pub(crate) fn of_pod(&self, pod: &Pod) -> Option<Interface<'a>> {
        let node = self.snap.nodes.named(pod.spec.node_name.as_deref()?).ok().flatten()?;
        if pod.spec.host_network {
            return self.of_node(node);
        }
        let address: IpAddr = pod.status.pod_ip.as_deref()?.parse().ok()?;
        if pod.metadata.annotations.contains_key(annotation::POD_ENI) {
            return self.of_branch(pod, address);
        }
        if node.is_fargate() {
            return self.of_fargate(address);
        }
        self.of_instance(self.place.instance(node)?, address)
    }

    /// The interface with an address: a pod's, a node's, or one of an instance.
    pub(crate) fn of_address(&self, address: IpAddr) -> Option<Interface<'a>> {
        let text = address.to_string();
        if let Some(pod) = self.snap.pod_by_ip(&text) {
            return self.of_pod(pod);
        }
        let nodes = self.snap.nodes.items().unwrap_or_default();
        if let Some(node) = nodes.iter().find(|n| n.internal_ip() == Some(&text)) {
            return self.of_node(node);
        }
        let holds = |i: &&Instance| i.network_interfaces.iter().any(|n| holds(n, address));
        let instance = self.snap.instances.iter().flatten().find(holds)?;
        self.of_instance(instance, address)
    }

    /// The interfaces that EKS keeps in the cluster's subnets.
    pub(crate) fn of_control_plane(&self) -> Option<Interface<'a>> {
        let config = &self.snap.eks_cluster.as_ref().ok()?.resources_vpc_config;
        let own = [&config.cluster_security_group_id].into_iter().filter(|id| !id.is_empty());
        let groups: Vec<&str> = own.chain(&config.security_group_ids).map(String::as_str).collect();
        let of_cluster = |s: &&Subnet| config.subnet_ids.contains(&s.subnet_id);
        let subnets = self.snap.subnets.iter().flatten().filter(of_cluster);
        let networks: Vec<IpNet> = subnets.filter_map(|s| s.cidr_block.parse().ok()).collect();
        (!groups.is_empty()).then_some(Interface {
            groups,
            addresses: Vec::new(),
            networks,
            subnet: None,
            instance: None,
            control_plane: true,
        })
    }

    /// The interface of an instance that holds `address`. Further ones have the first one's groups, unless custom
    /// networking gives them others.
    fn of_instance(&self, instance: &'a Instance, address: IpAddr) -> Option<Interface<'a>> {
        let found = instance.network_interfaces.iter().find(|n| holds(n, address));
        let subnet = match found {
            Some(interface) => interface.subnet_id.as_deref(),
            // An address from elsewhere is an overlay's, or of an interface with other groups.
            None => {
                let id = instance.subnet_id.as_deref()?;
                let subnet = self.snap.subnets.iter().flatten().find(|s| s.subnet_id == id)?;
                contains(subnet, address).then_some(id)?.into()
            }
        };
        let groups = found.map(|n| &n.groups).filter(|g| !g.is_empty()).unwrap_or(&instance.security_groups);
        let groups: Vec<&str> = groups.iter().map(|g| g.group_id.as_str()).collect();
        (!groups.is_empty()).then_some(Interface {
            groups,
            addresses: vec![address],
            networks: Vec::new(),
            subnet,
            instance: Some(&instance.instance_id),
            control_plane: false,
        })
    }

    /// A pod with groups of its own: those of all SecurityGroupPolicies that select it.
    fn of_branch(&self, pod: &Pod, address: IpAddr) -> Option<Interface<'a>> {
        let policies = self.snap.security_group_policies.items().ok()?;
        let name = pod.spec.account();
        let is_account = |selector: &LabelSelector| {
            let account = self.snap.service_accounts.find(&pod.metadata.namespace, name).ok().flatten();
            account.is_some_and(|a| matches(selector, &a.metadata.labels))
        };
        let selects = |p: &&SecurityGroupPolicy| {
            let by_pod = p.spec.pod_selector.as_ref().is_none_or(|s| matches(s, &pod.metadata.labels));
            by_pod && p.spec.service_account_selector.as_ref().is_none_or(is_account)
        };
        let groups: Vec<&str> = policies
            .iter()
            .filter(|p| p.metadata.namespace == pod.metadata.namespace)
            .filter(selects)
            .flat_map(|p| p.spec.security_groups.group_ids.iter().map(String::as_str))
            .collect();
        let subnet = self.snap.subnets.iter().flatten().find(|s| contains(s, address));
        (!groups.is_empty()).then_some(Interface {
            groups,
            addresses: vec![address],
            networks: Vec::new(),
            subnet: subnet.map(|s| s.subnet_id.as_str()),
            instance: None,
            control_plane: false,
        })
    }

    /// A pod on Fargate has the cluster's security group.
    fn of_fargate(&self, address: IpAddr) -> Option<Interface<'a>> {
        let group = self.snap.eks_cluster.as_ref().ok()?.resources_vpc_config.cluster_security_group_id.as_str();
        let subnet = self.snap.subnets.iter().flatten().find(|s| contains(s, address))?;
        (!group.is_empty()).then_some(Interface {
            groups: vec![group],
            addresses: vec![address],
            networks: Vec::new(),
            subnet: Some(&subnet.subnet_id),
            instance: None,
            control_plane: false,
        })
    }
}

fn holds(interface: &crate::snapshot::aws::NetworkInterface, address: IpAddr) -> bool {
    let single = interface.private_ip_addresses.iter().any(|a| a.private_ip_address.parse() == Ok(address));
    single || interface.ipv4_prefixes.iter().any(|p| p.ipv4_prefix.parse::<IpNet>().is_ok_and(|n| n.contains(&address)))
}

fn contains(subnet: &Subnet, address: IpAddr) -> bool {
    let v6 = subnet.ipv6_cidr_block_association_set.iter().map(|a| &a.ipv6_cidr_block);
    std::iter::once(&subnet.cidr_block).chain(v6).any(|c| c.parse::<IpNet>().is_ok_and(|net| net.contains(&address)))
}
