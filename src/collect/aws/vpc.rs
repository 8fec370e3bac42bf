//! The network of the cluster: what is in its VPC.

use futures::future::join_all;
use serde::Deserialize;

use super::Facts;
use super::ask::list;
use crate::collect::Plan;
use crate::collect::client::Client;
use crate::collect::source::AwsCall;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::aws::{
    Cluster, Instance, InternetGateway, LoadBalancer, NatGateway, NetworkAcl, RouteTable, SecurityGroup, Subnet,
    TargetGroup, TargetHealth, Vpc, VpcEndpoint,
};
use crate::snapshot::{Fetched, Reading, not_collected};

pub(super) async fn vpc_facts(client: &Client, plan: &Plan, cluster: &Fetched<Cluster>) -> Facts {
    let place = || Err(not_collected(Fact::EksCluster));
    let vpc = match cluster {
        Ok(cluster) if !cluster.resources_vpc_config.vpc_id.is_empty() => cluster.resources_vpc_config.vpc_id.clone(),
        Ok(_) => {
            let gap = Gap::new("eks:DescribeCluster", GapCause::BadAnswer, "the answer names no VPC");
            return Facts::missing(place(), &gap, plan);
        }
        Err(gap) => return Facts::missing(place(), gap, plan),
    };
    let id = || vpc.clone();
    macro_rules! fact {
        ($fact:ident, $call:ident, $field:expr, $item:ty) => {
            async {
                if plan.wants(Fact::$fact) {
                    // A bundle may hold the lists of a whole account.
                    let all: Vec<$item> = list(client, AwsCall::$call { vpc: id() }, $field).await?;
                    Ok(all.into_iter().filter(|i| i.is_in(&vpc)).collect())
                } else {
                    Err(not_collected(Fact::$fact))
                }
            }
        };
    }
    let groups_of_vpc = async {
        if !plan.wants(Fact::TargetGroups) {
            return Err(not_collected(Fact::TargetGroups)).into();
        }
        target_groups(client, &vpc).await
    };
    let balancers = async {
        if !plan.wants(Fact::LoadBalancers) {
            return Err(not_collected(Fact::LoadBalancers));
        }
        let all: Vec<LoadBalancer> = list(client, AwsCall::DescribeLoadBalancers, "LoadBalancers").await?;
        Ok(all.into_iter().filter(|b| b.vpc_id == vpc).collect())
    };
    let (subnets, tables, nats, igws, acls, groups, instances, endpoints, vpcs, balancers, target_groups) = futures::join!(
        fact!(Subnets, DescribeSubnets, "Subnets", Subnet),
        fact!(RouteTables, DescribeRouteTables, "RouteTables", RouteTable),
        fact!(NatGateways, DescribeNatGateways, "NatGateways", NatGateway),
        fact!(InternetGateways, DescribeInternetGateways, "InternetGateways", InternetGateway),
        fact!(NetworkAcls, DescribeNetworkAcls, "NetworkAcls", NetworkAcl),
        fact!(SecurityGroups, DescribeSecurityGroups, "SecurityGroups", SecurityGroup),
        instances(client, plan, &vpc),
        fact!(VpcEndpoints, DescribeVpcEndpoints, "VpcEndpoints", VpcEndpoint),
        fact!(Vpcs, DescribeVpcs, "Vpcs", Vpc),
        balancers,
        groups_of_vpc,
    );
    Facts {
        subnets,
        route_tables: tables,
        nat_gateways: nats,
        internet_gateways: igws,
        network_acls: acls,
        security_groups: groups,
        instances,
        vpc_endpoints: endpoints,
        vpcs,
        load_balancers: balancers,
        target_groups,
        ..Facts::missing(place(), &not_collected(Fact::EksCluster), plan)
    }
}

async fn instances(client: &Client, plan: &Plan, vpc: &str) -> Fetched<Vec<Instance>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Reservation {
        instances: Vec<Instance>,
    }
    if !plan.wants(Fact::Instances) {
        return Err(not_collected(Fact::Instances));
    }
    let call = AwsCall::DescribeInstances { vpc: vpc.to_owned() };
    let reservations: Vec<Reservation> = list(client, call, "Reservations").await?;
    Ok(reservations.into_iter().flat_map(|r| r.instances).filter(|i| i.vpc_id.as_deref() == Some(vpc)).collect())
}

/// Target groups whose targets are asked for at most.
const MOST_GROUPS: usize = 100;

/// Target groups, each with the health of its targets where that could be read.
async fn target_groups(client: &Client, vpc: &str) -> Reading<Vec<TargetGroup>> {
    let mut groups: Vec<TargetGroup> = match list(client, AwsCall::DescribeTargetGroups, "TargetGroups").await {
        Ok(groups) => groups,
        Err(gap) => return Err(gap).into(),
    };
    groups.retain(|g| g.vpc_id == vpc);
    let left = groups.len().saturating_sub(MOST_GROUPS);
    let call = |g: &TargetGroup| AwsCall::DescribeTargetHealth { group: g.target_group_arn.clone() };
    let calls =
        groups.iter().take(MOST_GROUPS).map(|g| list::<TargetHealth>(client, call(g), "TargetHealthDescriptions"));
    let answers = join_all(calls).await;
    let mut gaps = Vec::new();
    if left > 0 {
        let message =
            format!("the VPC has {} target groups, and the targets of {left} were not asked for", groups.len());
        gaps.push(Gap::new("elasticloadbalancing:DescribeTargetHealth", GapCause::Truncated, message));
    }
    for (group, answer) in groups.iter_mut().zip(answers) {
        match answer {
            Ok(health) => group.health = Some(health),
            Err(gap) => gaps.push(gap),
        }
    }
    Reading::with_holes(Ok(groups), gaps)
}

trait InVpc {
    fn is_in(&self, vpc: &str) -> bool;
}

macro_rules! in_vpc {
    ($($kind:ident),*) => { $(impl InVpc for $kind { fn is_in(&self, vpc: &str) -> bool { self.vpc_id == vpc } })* };
}

in_vpc!(Vpc, Subnet, RouteTable, NatGateway, NetworkAcl, SecurityGroup, VpcEndpoint);

impl InVpc for InternetGateway {
    fn is_in(&self, vpc: &str) -> bool {
        self.attachments.iter().any(|a| a.vpc_id == vpc)
    }
}
