//! The cluster does not admit its nodes: its endpoint not their address, or its lists not their role.

mod role;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::aws::placement::Placement;
use crate::domain::aws::routing::{Family, Network, Way};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::Cluster;
use crate::snapshot::kubernetes::Node;
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    NodeJoin {
        id: "node-join", suite: Network, severity: Error,
        title: "the cluster does not admit its nodes",
        requires: [EksCluster, Nodes],
        uses: [EksNodegroups, RouteTables, NatGateways, InternetGateways, Subnets, Instances, AccessEntries, ConfigMaps],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    EndpointAccess {
        cluster: String,
        /// `publicAccessCidrs=…` with the addresses of the nodes.
        with_nat: String,
    },
    Role {
        cluster: String,
        role: String,
        /// The kind of access entry for it; empty where the cluster knows the map aws-auth alone.
        entry: &'static str,
        /// The name that the map gives to each node, and its groups.
        user: &'static str,
    },
}

impl Check for NodeJoin {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("not on EKS".into()));
        }
        let cluster = snap.eks_cluster()?;
        snap.nodes()?;
        let mut found = role::findings(snap, cluster);
        if let Some(admitted) = restricted(cluster) {
            found.extend(shut_out(snap, cluster, &admitted)?);
        }
        Ok(Diagnosis::Findings(found))
    }
}

/// Nodes whose way to the endpoint is the internet, from an address that it does not admit.
fn shut_out(snap: &Snapshot, cluster: &Cluster, admitted: &[IpNet]) -> Result<Option<Finding>, Gap> {
    let net = Network::of(snap)?;
    let lost = Lost::of(snap)?;
    let shut: BTreeSet<IpAddr> = lost
        .subnets
        .iter()
        .flat_map(|subnet| addresses(&net, subnet))
        .chain(lost.public.iter().copied())
        .filter(|ip| !admitted.iter().any(|net| net.contains(ip)))
        .collect();
    Ok((!shut.is_empty()).then(|| finding(cluster, &lost, &shut)))
}

/// The networks that a public endpoint admits, where nodes have no other way to it; `None` where all are admitted.
fn restricted(cluster: &Cluster) -> Option<Vec<IpNet>> {
    let config = &cluster.resources_vpc_config;
    let only_public = config.endpoint_public_access == Some(true) && config.endpoint_private_access == Some(false);
    let admitted: Option<Vec<IpNet>> = config.public_access_cidrs.iter().map(|c| c.parse().ok()).collect();
    admitted.filter(|all| only_public && !all.is_empty() && !all.iter().any(|n| n.prefix_len() == 0))
}

/// Instances that are not nodes, or nodes that are not heard of any more.
struct Lost<'a> {
    groups: Vec<(&'a str, String)>,
    nodes: Vec<&'a Node>,
    subnets: BTreeSet<&'a str>,
    /// Addresses of such nodes in public subnets.
    public: Vec<IpAddr>,
}

impl<'a> Lost<'a> {
    fn of(snap: &'a Snapshot) -> Result<Self, Gap> {
        let at = Placement::new(snap);
        let nodes: Vec<&Node> = snap.nodes()?.iter().filter(|n| n.is_silent()).collect();
        let groups = snap.eks_nodegroups()?.iter().filter_map(|g| Some((g, g.join_failure()?)));
        let groups: Vec<_> = groups.collect();
        let subnets = groups.iter().flat_map(|(g, _)| &g.subnets).map(String::as_str);
        let subnets = subnets.chain(nodes.iter().filter_map(|n| at.of_node(n))).collect();
        let instances = nodes.iter().filter_map(|n| at.instance(n)?.public_ip_address.as_deref()?.parse().ok());
        let public = instances.collect();
        let text = |i: &crate::snapshot::aws::HealthIssue| format!("{}: {}", i.code, i.message);
        let groups = groups.into_iter().map(|(g, issue)| (g.nodegroup_name.as_str(), text(issue))).collect();
        Ok(Self { groups, nodes, subnets, public })
    }
}

/// The public addresses of the NAT gateway that a subnet's traffic leaves through.
fn addresses(net: &Network<'_>, subnet: &str) -> Vec<IpAddr> {
    let way = net.table_of(subnet).and_then(|t| net.way(t, Family::V4).ok());
    let Some(Way::Nat(nat)) = way else { return Vec::new() };
    nat.nat_gateway_addresses.iter().filter_map(|a| a.public_ip.as_deref()?.parse().ok()).collect()
}

fn finding(cluster: &Cluster, lost: &Lost<'_>, shut: &BTreeSet<IpAddr>) -> Finding {
    let admitted = cluster.resources_vpc_config.public_access_cidrs.join(", ");
    let from: Vec<String> = shut.iter().map(ToString::to_string).collect();
    let who = match (lost.groups.first(), lost.nodes.len()) {
        (Some((group, _)), _) => format!("instances of node group {group} do not join"),
        (None, 1) => format!("node {} is not heard of any more", lost.nodes[0].metadata.name),
        (None, n) => format!("{n} nodes are not heard of any more"),
    };
    let message = format!(
        "{who}: cluster {} has no private endpoint, and its public one admits {admitted}, but not {}, where the nodes come from",
        cluster.name,
        from.join(", ")
    );
    let mut cidrs = cluster.resources_vpc_config.public_access_cidrs.clone();
    cidrs.extend(shut.iter().map(|ip| IpNet::from(*ip).to_string()));
    let seen = Evidence::new(
        format!("EKS cluster {} resourcesVpcConfig", cluster.name),
        format!("endpointPublicAccess true, endpointPrivateAccess false, publicAccessCidrs {admitted}"),
        "aws eks describe-cluster --name {{ cluster }} --query cluster.resourcesVpcConfig",
    )
    .with("cluster", &cluster.name);
    let mut made = Finding::new(
        NodeJoin::META.id,
        Severity::Error,
        ResourceRef::aws_arn("eks", "cluster", &cluster.name, &cluster.arn),
        message,
    )
    .evidence(seen)
    .key("public-access-cidrs")
    .fix(Fix::EndpointAccess {
        cluster: cluster.name.clone(),
        with_nat: format!("publicAccessCidrs={}", cidrs.join(",")),
    });
    for (group, issue) in &lost.groups {
        let template = "aws eks describe-nodegroup --cluster-name {{ cluster }} --nodegroup-name {{ group }} --query nodegroup.health";
        let health = Evidence::new(format!("EKS node group {group} health"), issue.clone(), template);
        made = made.evidence(health.with("cluster", &cluster.name).with("group", group)).breaks(ResourceRef::aws(
            "eks",
            "nodegroup",
            *group,
        ));
    }
    for node in &lost.nodes {
        made = made.breaks(ResourceRef::kubernetes("", "Node", "", &node.metadata.name));
    }
    made
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::snapshot::Listing;

    fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("test data")
    }

    /// A private subnet behind a NAT gateway, a node group whose instances do not join, an endpoint for the office only.
    fn locked_out(access: Value) -> Snapshot {
        let mut snap = Snapshot::empty("2026-01-01T12:00:00Z".parse().expect("a time"));
        snap.platform = Platform::Eks;
        let mut config = json!({"vpcId": "vpc-1", "endpointPublicAccess": true, "endpointPrivateAccess": false, "publicAccessCidrs": ["203.0.113.0/24"]});
        for (key, value) in access.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        *snap.eks_cluster = Ok(from(
            json!({"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c", "resourcesVpcConfig": config}),
        ));
        snap.nodes = Listing::cluster(Vec::new());
        *snap.subnets = Ok(from(
            json!([{"SubnetId": "subnet-a", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24"}, {"SubnetId": "subnet-p", "VpcId": "vpc-1", "CidrBlock": "10.0.9.0/24"}]),
        ));
        *snap.route_tables = Ok(from(json!([
            {"RouteTableId": "rtb-a", "VpcId": "vpc-1", "Associations": [{"SubnetId": "subnet-a"}], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}]},
            {"RouteTableId": "rtb-p", "VpcId": "vpc-1", "Associations": [{"SubnetId": "subnet-p"}], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}]}
        ])));
        *snap.nat_gateways = Ok(from(
            json!([{"NatGatewayId": "nat-1", "SubnetId": "subnet-p", "State": "available", "NatGatewayAddresses": [{"PublicIp": "3.3.3.3"}]}]),
        ));
        *snap.internet_gateways = Ok(from(
            json!([{"InternetGatewayId": "igw-1", "Attachments": [{"State": "available", "VpcId": "vpc-1"}]}]),
        ));
        *snap.eks_nodegroups = Ok(from(json!([{"nodegroupName": "ng", "subnets": ["subnet-a"], "health": {"issues": [
            {"code": "NodeCreationFailure", "message": "Instances failed to join the kubernetes cluster"}]}}])));
        snap
    }

    #[test]
    fn names_the_address_that_is_not_admitted() {
        let all = findings(&NodeJoin, &locked_out(json!({})));
        assert_eq!(all.len(), 1);
        assert!(all[0].message.contains("admits 203.0.113.0/24, but not 3.3.3.3"), "{}", all[0].message);
        let fix = steps(&all[0]);
        assert!(
            fix.contains("aws eks update-cluster-config --name c --resources-vpc-config endpointPrivateAccess=true"),
            "{fix}"
        );
        assert!(fix.contains("publicAccessCidrs=203.0.113.0/24,3.3.3.3/32"), "{fix}");
    }

    #[test]
    fn is_quiet_where_nodes_have_a_way_in() {
        for access in [
            json!({"endpointPrivateAccess": true}),
            json!({"publicAccessCidrs": ["0.0.0.0/0"]}),
            json!({"publicAccessCidrs": ["203.0.113.0/24", "3.3.3.3/32"]}),
            json!({"endpointPublicAccess": null, "endpointPrivateAccess": null}),
        ] {
            assert_eq!(findings(&NodeJoin, &locked_out(access.clone())), [], "{access}");
        }
        let mut joined = locked_out(json!({}));
        joined.eks_nodegroups.as_mut().expect("groups")[0].health.issues.clear();
        assert_eq!(findings(&NodeJoin, &joined), [], "a restriction that locks nobody out");
    }
}
