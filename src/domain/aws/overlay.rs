//! Pods whose addresses are none of the VPC: what is not on the cluster's nodes, the control plane first, has no route to them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Platform, Snapshot};

/// The networks of the VPC in which a pod's address does not lie: a network plugin keeps it in an overlay. `None` where it
/// lies in one of them, or where that is not known.
pub(crate) fn outside_of(snap: &Snapshot, pod: &Pod) -> Option<Vec<IpNet>> {
    if snap.platform != Platform::Eks || pod.spec.host_network {
        return None;
    }
    // Nodes of Fargate and those outside of AWS have networks of their own.
    snap.node_of(pod).filter(|n| !n.is_fargate())?.instance_id()?;
    let address: IpAddr = pod.status.pod_ip.as_deref()?.parse().ok()?;
    let networks = networks(snap)?;
    // Of the VPC's IPv6 networks nothing is read.
    let outside = address.is_ipv4() && !networks.is_empty() && !networks.iter().any(|n| n.contains(&address));
    outside.then_some(networks)
}

/// The IPv4 networks of the cluster's VPC.
fn networks(snap: &Snapshot) -> Option<Vec<IpNet>> {
    let own = &snap.eks_cluster().ok()?.resources_vpc_config.vpc_id;
    let vpc = snap.vpcs().ok()?.iter().find(|v| v.vpc_id == *own)?;
    let more = vpc.cidr_block_association_set.iter().map(|a| a.cidr_block.as_str());
    let mut all: Vec<IpNet> =
        std::iter::once(vpc.cidr_block.as_str()).chain(more).filter_map(|c| c.parse().ok()).collect();
    all.sort();
    all.dedup();
    Some(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    #[test]
    fn addresses_of_the_vpc_are_no_overlay() {
        let outside = |ip: &str, provider: &str, host: bool| {
            let mut snap = snapshot(json!({"pods": [{"metadata": {"name": "p", "namespace": "n"},
                "spec": {"nodeName": "a", "hostNetwork": host}, "status": {"podIP": ip}}]}));
            snap.platform = Platform::Eks;
            let nodes = json!([{"metadata": {"name": "a"}, "spec": {"providerID": provider}}]);
            snap.nodes = Listing::cluster(serde_json::from_value(nodes).expect("nodes"));
            let cluster = json!({"name": "c", "resourcesVpcConfig": {"vpcId": "vpc-1"}});
            *snap.eks_cluster = Ok(serde_json::from_value(cluster).expect("a cluster"));
            let vpcs = json!([{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16",
                "CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16"}, {"CidrBlock": "100.64.0.0/16"}]}]);
            *snap.vpcs = Ok(serde_json::from_value(vpcs).expect("VPCs"));
            let pod = snap.pods.items().expect("pods")[0].clone();
            outside_of(&snap, &pod).is_some()
        };
        let ec2 = "aws:///eu-west-1a/i-1";
        assert!(outside("192.168.17.3", ec2, false));
        assert!(!outside("10.0.3.4", ec2, false) && !outside("100.64.3.4", ec2, false));
        assert!(!outside("192.168.17.3", ec2, true));
        assert!(!outside("192.168.17.3", "eks-hybrid:///x/y/mi-1", false));
        assert!(!outside("2600:1f13::5", ec2, false));
    }
}
