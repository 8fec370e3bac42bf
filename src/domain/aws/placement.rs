//! Which subnet a node or a pod sends its traffic from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Instance, Subnet};
use crate::snapshot::kubernetes::{Node, Pod};

/// Nodes and pods by subnet, as far as the snapshot tells.
pub(crate) struct Placement<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    instances: BTreeMap<&'a str, &'a Instance>,
    subnets: Vec<(IpNet, &'a Subnet)>,
}

impl<'a> Placement<'a> {
    /// Reads what the snapshot holds; what it lacks makes some places unknown.
    pub(crate) fn new(snap: &'a Snapshot) -> Self {
        let nodes = snap.nodes().unwrap_or_default();
        let subnets = snap.subnets.iter().flatten();
        Self {
            nodes: nodes.iter().map(|n| (n.metadata.name.as_str(), n)).collect(),
            instances: snap.instances.iter().flatten().map(|i| (i.instance_id.as_str(), i)).collect(),
            subnets: subnets.filter_map(|s| Some((s.cidr_block.parse().ok()?, s))).collect(),
        }
    }

    /// The EC2 instance of a node.
    pub(crate) fn instance(&self, node: &Node) -> Option<&'a Instance> {
        self.instances.get(node.instance_id()?).copied()
    }

    /// The subnet of a node: its instance's, else the one that holds its address.
    pub(crate) fn of_node(&self, node: &Node) -> Option<&'a str> {
        let by_instance = self.instance(node).and_then(|i| i.subnet_id.as_deref());
        by_instance.or_else(|| self.holding(node.internal_ip()?))
    }

    /// The subnet through which a pod reaches the internet: its node's, because the VPC CNI translates a pod's address to
    /// the node's by default, also where pods have subnets of their own. A Fargate pod is its own node.
    pub(crate) fn of_pod(&self, pod: &Pod) -> Option<&'a str> {
        let node = pod.spec.node_name.as_deref().and_then(|n| self.nodes.get(n));
        node.and_then(|n| self.of_node(n))
            .or_else(|| self.holding(pod.status.host_ip.as_deref()?))
            .or_else(|| self.holding(pod.status.pod_ip.as_deref()?))
    }

    fn holding(&self, ip: &str) -> Option<&'a str> {
        let ip: IpAddr = ip.parse().ok()?;
        self.subnets.iter().find(|(cidr, _)| cidr.contains(&ip)).map(|(_, s)| s.subnet_id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::snapshot::{Listing, Snapshot};

    fn snapshot() -> Snapshot {
        let mut snap = Snapshot::empty(Timestamp::UNIX_EPOCH);
        let nodes = serde_json::json!([
            {"metadata": {"name": "a"}, "spec": {"providerID": "aws:///eu-west-1a/i-1"}},
            {"metadata": {"name": "b"}, "spec": {"providerID": "aws:///eu-west-1b/i-unknown"},
             "status": {"addresses": [{"type": "InternalIP", "address": "10.0.2.9"}]}},
            {"metadata": {"name": "hybrid"}, "spec": {"providerID": "eks-hybrid:///x/y/mi-1"},
             "status": {"addresses": [{"type": "InternalIP", "address": "192.168.7.7"}]}}
        ]);
        snap.nodes = Listing::cluster(serde_json::from_value(nodes).expect("nodes"));
        let subnet =
            |id: &str, cidr: &str| Subnet { subnet_id: id.into(), cidr_block: cidr.into(), ..Subnet::default() };
        *snap.subnets = Ok(vec![subnet("subnet-1", "10.0.1.0/24"), subnet("subnet-2", "10.0.2.0/24")]);
        *snap.instances =
            Ok(vec![Instance { instance_id: "i-1".into(), subnet_id: Some("subnet-1".into()), ..Instance::default() }]);
        snap
    }

    #[test]
    fn places_nodes_by_instance_then_by_address() {
        let snap = snapshot();
        let place = Placement::new(&snap);
        let found: Vec<Option<&str>> = snap.nodes().expect("nodes").iter().map(|n| place.of_node(n)).collect();
        assert_eq!(found, [Some("subnet-1"), Some("subnet-2"), None]);
    }

    #[test]
    fn places_a_pod_on_its_node_even_if_its_own_address_is_elsewhere() {
        let snap = snapshot();
        let place = Placement::new(&snap);
        let pod = |json| -> Pod { serde_json::from_value(json).expect("pod") };
        let custom = pod(serde_json::json!({"spec": {"nodeName": "a"}, "status": {"podIP": "10.0.2.77"}}));
        assert_eq!(place.of_pod(&custom), Some("subnet-1"));
        let unseen = pod(serde_json::json!({"spec": {"nodeName": "gone"}, "status": {"podIP": "10.0.2.77"}}));
        assert_eq!(place.of_pod(&unseen), Some("subnet-2"));
        assert_eq!(place.of_pod(&Pod::default()), None);
    }
}
