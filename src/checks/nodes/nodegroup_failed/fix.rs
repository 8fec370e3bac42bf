//! Which fix a failed node group gets, and what its commands hold.

use serde_json::json;

use crate::checks::support::node_group::create;
use crate::checks::support::place::Place;
use crate::domain::aws::node_group::{Fault, Launch};
use crate::model::Finding;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Nodegroup;

/// The section of the page.
pub(super) fn variant(group: &Nodegroup, fault: Fault) -> &'static str {
    if group.status == "DELETE_FAILED" {
        return "delete-failed";
    }
    match fault {
        Fault::SubnetConfiguration => "subnet-configuration",
        Fault::SubnetMissing => "subnet-missing",
        Fault::Addresses => "addresses",
        Fault::Join => "join",
        Fault::Launch(Launch::Quota) => "quota",
        Fault::Launch(Launch::Capacity) => "capacity",
        Fault::Launch(Launch::Unsupported) => "unsupported",
        Fault::Launch(Launch::Key) => "key",
        Fault::Launch(_) => "launch",
        Fault::Role => "role",
        Fault::Access => "access",
        Fault::LaunchTemplate | Fault::Image => "launch-template",
        Fault::SecurityGroup => "security-group",
        Fault::AutoScalingGroup => "auto-scaling-group",
        Fault::Cluster | Fault::Internal | Fault::Other => "other",
    }
}

/// Values for the templates.
pub(super) fn params(made: Finding, snap: &Snapshot, group: &Nodegroup, fault: Fault, place: &Place) -> Finding {
    let name = &group.nodegroup_name;
    let named = |prefix: &str| -> Vec<String> {
        let words = group.health.issues.iter().flat_map(|i| {
            let in_message = i.message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            i.resource_ids.iter().map(String::as_str).chain(in_message)
        });
        let mut found: Vec<String> = words.filter(|w| w.starts_with(prefix)).map(str::to_owned).collect();
        found.sort();
        found.dedup();
        found
    };
    let said = named("subnet-");
    let doubtful: Vec<String> = match said.is_empty() {
        false => said,
        true => group.subnets.clone(),
    };
    let good: Vec<String> = group.subnets.iter().filter(|s| !doubtful.contains(s)).cloned().collect();
    let failed = group.status == "CREATE_FAILED";
    let instance = named("i-").into_iter().next();
    let role = group.node_role.rsplit('/').next().unwrap_or_default();
    let tag = |key: &str| group.tags.get(key).map(String::as_str);
    let by_eksctl =
        tag("alpha.eksctl.io/cluster-name").is_some() || tag("eksctl.cluster.k8s.io/v1alpha1/cluster-name").is_some();
    let stack = tag("aws:cloudformation:stack-name");
    let scaling_group = group.resources.auto_scaling_groups.first().map(|g| g.name.as_str());
    let subnets = match fault {
        Fault::SubnetMissing if good.is_empty() => vec!["<subnet-id>".to_owned()],
        Fault::SubnetMissing => good,
        _ => group.subnets.clone(),
    };
    made.fix(variant(group, fault))
        .param("cluster", &place.cluster)
        .param("region", &place.region)
        .param("group", name)
        .param("role", role)
        .param("policies", policies(&place.partition))
        .param("node_trust", node_trust(place))
        .param("subnets", &doubtful)
        .param("instance", instance)
        .param("scaling_group", scaling_group)
        .param("template", group.launch_template.as_ref().map(|t| t.id.clone()))
        .param("instance_types", &group.instance_types)
        .param("vpc", snap.eks_cluster.as_ref().map_or("", |c| c.resources_vpc_config.vpc_id.as_str()))
        .param("failed", failed)
        .param("create", failed.then(|| create(group, place, &group.nodegroup_name, &subnets)))
        .param("by_eksctl", by_eksctl)
        .param("stack", stack)
}

/// The trust policy of a node role.
fn node_trust(place: &Place) -> String {
    let service = format!("ec2.{}", place.dns_suffix());
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service},
        "Action": "sts:AssumeRole"}]})
    .to_string()
}

/// The managed policies that a node role needs.
fn policies(partition: &str) -> Vec<String> {
    let names = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"];
    names.iter().map(|n| format!("arn:{partition}:iam::aws:policy/{n}")).collect()
}
