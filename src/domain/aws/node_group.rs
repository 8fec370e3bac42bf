//! Managed node groups: what EKS says is wrong with one, and which pods its nodes were meant for.

use k8s_openapi::api::core::v1::Taint;

use crate::domain::kubernetes::scheduling;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{HealthIssue, Nodegroup};
use crate::snapshot::kubernetes::{Node, Pod};

/// What a health issue of a node group is about. Source: `Issue.code` of the EKS API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A public subnet gives its instances no public address, or subnets are not what EKS wants.
    SubnetConfiguration,
    /// A subnet does not exist any more.
    SubnetMissing,
    /// The subnets have no free address.
    Addresses,
    /// Instances run and do not become nodes.
    Join,
    /// The Auto Scaling group cannot launch instances, for this reason.
    Launch(Launch),
    /// The node role, its instance profile or the service-linked role is gone or not usable.
    Role,
    /// EKS, or the nodes, are denied something.
    Access,
    /// The launch template or one of its versions is gone, or is not what EKS made.
    LaunchTemplate,
    /// The security group is gone.
    SecurityGroup,
    /// The Auto Scaling group is gone or was changed behind EKS' back.
    AutoScalingGroup,
    /// The image does not exist.
    Image,
    /// EKS cannot reach the cluster's API.
    Cluster,
    /// A fault of EKS itself.
    Internal,
    /// Another code.
    Other,
}

/// Why instances are not launched, by the message of EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Launch {
    /// A quota for vCPUs, instances, Spot requests or volumes.
    Quota,
    /// AWS has no such instances in the zone now.
    Capacity,
    /// The zone does not offer the instance type, or the image does not run on it.
    Unsupported,
    /// The key of an encrypted root volume cannot be used.
    Key,
    /// The root volume that is asked for is smaller than the image.
    Disk,
    /// The key pair does not exist.
    KeyPair,
    /// Something is denied.
    Denied,
    /// The message does not say.
    Other,
}

/// What an issue is about.
pub(crate) fn fault(issue: &HealthIssue) -> Cause {
    match issue.code.as_str() {
        "Ec2SubnetInvalidConfiguration" | "Ec2SubnetMissingIpv6Assignment" | "Ec2SubnetListTooLong" => {
            Cause::SubnetConfiguration
        }
        "Ec2SubnetNotFound" => Cause::SubnetMissing,
        "InsufficientFreeAddresses" => Cause::Addresses,
        "NodeCreationFailure" => Cause::Join,
        "InstanceLimitExceeded" => Cause::Launch(Launch::Quota),
        "AsgInstanceLaunchFailures" | "Ec2InstanceTypeDoesNotExist" | "LimitExceeded" => launch(&issue.message),
        "IamInstanceProfileNotFound" | "IamNodeRoleNotFound" => Cause::Role,
        "AccessDenied" | "NodeTerminationFailure" => Cause::Access,
        "Ec2LaunchTemplateNotFound"
        | "Ec2LaunchTemplateVersionMismatch"
        | "Ec2LaunchTemplateDeletionFailure"
        | "Ec2LaunchTemplateInvalidConfiguration"
        | "Ec2LaunchTemplateMaxLimitExceeded" => Cause::LaunchTemplate,
        "SourceEc2LaunchTemplateNotFound" => Cause::LaunchTemplate,
        "Ec2SecurityGroupNotFound" | "Ec2SecurityGroupDeletionFailure" => Cause::SecurityGroup,
        code if code.starts_with("AutoScalingGroup") => Cause::AutoScalingGroup,
        "AmiIdNotFound" => Cause::Image,
        "ClusterUnreachable" => Cause::Cluster,
        "InternalFailure" => Cause::Internal,
        _ if issue.message.contains("failed to join the kubernetes cluster") => Cause::Join,
        _ => Cause::Other,
    }
}

/// A volume is to be smaller than the snapshot of the image that goes onto it.
pub(crate) fn is_small_disk(message: &str) -> bool {
    message.contains("InvalidBlockDeviceMapping") && message.contains("smaller than snapshot")
}

fn launch(message: &str) -> Cause {
    let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
    if has(&["InsufficientFreeAddressesInSubnet", "not enough free addresses", "insufficient free addresses"]) {
        return Cause::Addresses;
    }
    if has(&["subnet ID", "InvalidSubnet"]) && has(&["does not exist", "NotFound"]) {
        return Cause::SubnetMissing;
    }
    if has(&["InvalidIamInstanceProfileName", "Invalid IAM Instance Profile"]) {
        return Cause::Role;
    }
    if has(&["security group", "InvalidGroup.NotFound"]) && has(&["does not exist", "NotFound"]) {
        return Cause::SecurityGroup;
    }
    if has(&["InvalidAMIID", "image id"]) && has(&["does not exist", "NotFound"]) {
        return Cause::Image;
    }
    if has(&["LaunchTemplate", "launch template"]) && has(&["does not exist", "NotFound"]) {
        return Cause::LaunchTemplate;
    }
    Cause::Launch(if has(&["LimitExceeded", "CountExceeded", "more vCPU capacity", "quota", "Quota"]) {
        Launch::Quota
    } else if has(&[
        "InsufficientInstanceCapacity",
        "UnfulfillableCapacity",
        "do not have sufficient",
        "capacity-not-available",
    ]) {
        Launch::Capacity
    } else if has(&["Unsupported", "not supported in your requested Availability Zone", "architecture"]) {
        Launch::Unsupported
    } else if has(&["InvalidKMSKey", "KMS", "Client.InternalError", "Client error on launch"]) {
        Launch::Key
    } else if is_small_disk(message) {
        Launch::Disk
    } else if has(&["InvalidKeyPair", "key pair"]) {
        Launch::KeyPair
    } else if has(&["UnauthorizedOperation", "not authorized", "AccessDenied"]) {
        Launch::Denied
    } else {
        Launch::Other
    })
}

/// The group failed, or EKS says that it is not well.
pub(crate) fn is_failed(group: &Nodegroup) -> bool {
    matches!(group.status.as_str(), "CREATE_FAILED" | "DEGRADED" | "DELETE_FAILED")
        || (group.status != "DELETING" && !group.health.issues.is_empty())
}

/// The group's nodes that are in the cluster.
pub(crate) fn nodes_of<'a>(snap: &'a Snapshot, group: &str) -> impl Iterator<Item = &'a Node> {
    let nodes = snap.nodes.items().unwrap_or_default().iter();
    nodes.filter(move |n| n.metadata.label("eks.amazonaws.com/nodegroup") == Some(group))
}

/// Failed groups, without a node that is Ready, whose nodes this pod could go to if they were there: their labels fit its
/// selector and affinity, and it tolerates their taints.
pub(crate) fn meant_for<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a Nodegroup> {
    let groups = snap.eks_nodegroups.iter().flatten().filter(|g| is_failed(g));
    let lacks_nodes = |g: &&Nodegroup| !nodes_of(snap, &g.nodegroup_name).any(Node::is_ready);
    groups
        .filter(lacks_nodes)
        .filter(|g| would_be(snap, g).iter().any(|n| scheduling::chosen_by(pod, n) && scheduling::tolerates(pod, n)))
        .collect()
}

/// All groups whose nodes this pod could go to, by their labels and taints.
pub(crate) fn that_fit<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a Nodegroup> {
    let groups = snap.eks_nodegroups.iter().flatten();
    groups
        .filter(|g| would_be(snap, g).iter().any(|n| scheduling::chosen_by(pod, n) && scheduling::tolerates(pod, n)))
        .collect()
}

/// The resources of the failed groups that a pod's nodes would come from.
pub(crate) fn missing_groups(snap: &Snapshot, pod: &Pod) -> Vec<ResourceRef> {
    meant_for(snap, pod).into_iter().map(reference).collect()
}

/// A node group as a resource.
pub(crate) fn reference(group: &Nodegroup) -> ResourceRef {
    ResourceRef::aws("eks", "nodegroup", &group.nodegroup_name)
}

/// The nodes that the group would have: one for each zone of its subnets.
fn would_be(snap: &Snapshot, group: &Nodegroup) -> Vec<Node> {
    let subnets = snap.subnets.iter().flatten().filter(|s| group.subnets.contains(&s.subnet_id));
    let mut zones: Vec<Option<&str>> = subnets.map(|s| Some(s.availability_zone.as_str())).collect();
    zones.sort_unstable();
    zones.dedup();
    if zones.is_empty() {
        zones.push(None);
    }
    let instance_types: Vec<Option<&str>> = match group.instance_types.as_slice() {
        [] => vec![None],
        types => types.iter().map(|t| Some(t.as_str())).collect(),
    };
    let mut nodes = Vec::new();
    for zone in zones {
        for kind in &instance_types {
            nodes.push(node(group, zone, *kind));
        }
    }
    nodes
}

fn node(group: &Nodegroup, zone: Option<&str>, kind: Option<&str>) -> Node {
    let mut node = Node::default();
    let arm = group.ami_type.contains("ARM");
    let windows = group.ami_type.contains("WINDOWS");
    let own = [
        ("eks.amazonaws.com/nodegroup", Some(group.nodegroup_name.as_str())),
        ("eks.amazonaws.com/capacityType", Some(group.capacity_type.as_str())),
        ("topology.kubernetes.io/zone", zone),
        ("node.kubernetes.io/instance-type", kind),
        ("kubernetes.io/os", Some(if windows { "windows" } else { "linux" })),
        ("kubernetes.io/arch", Some(if arm { "arm64" } else { "amd64" })),
    ];
    for (key, value) in own {
        node.metadata.labels.extend(value.map(|v| (key.to_owned(), v.to_owned())));
    }
    node.metadata.labels.extend(group.labels.clone());
    node.spec.taints = group
        .taints
        .iter()
        .map(|t| Taint {
            key: t.key.clone(),
            value: t.value.clone(),
            effect: effect(&t.effect).to_owned(),
            ..Taint::default()
        })
        .collect();
    node
}

/// `NO_SCHEDULE` as Kubernetes spells it.
fn effect(of_group: &str) -> &'static str {
    match of_group {
        "NO_EXECUTE" => "NoExecute",
        "PREFER_NO_SCHEDULE" => "PreferNoSchedule",
        _ => "NoSchedule",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::json;

    fn issue(code: &str, message: &str) -> HealthIssue {
        HealthIssue { code: code.into(), message: message.into(), ..HealthIssue::default() }
    }

    #[test]
    fn codes_and_messages_name_the_fault() {
        for (code, message, expected) in [
            (
                "Ec2SubnetInvalidConfiguration",
                "One or more Amazon EC2 Subnets of [subnet-1] for node group ng does not automatically assign public IP addresses",
                Cause::SubnetConfiguration,
            ),
            ("Ec2SubnetNotFound", "", Cause::SubnetMissing),
            ("NodeCreationFailure", "Instances failed to join the kubernetes cluster", Cause::Join),
            ("IamNodeRoleNotFound", "", Cause::Role),
            ("IamInstanceProfileNotFound", "", Cause::Role),
            ("AccessDenied", "", Cause::Access),
            ("InsufficientFreeAddresses", "", Cause::Addresses),
            ("InstanceLimitExceeded", "", Cause::Launch(Launch::Quota)),
            ("Ec2LaunchTemplateVersionMismatch", "", Cause::LaunchTemplate),
            ("Ec2SecurityGroupNotFound", "", Cause::SecurityGroup),
            ("AutoScalingGroupInvalidConfiguration", "", Cause::AutoScalingGroup),
            ("ClusterUnreachable", "", Cause::Cluster),
            (
                "AsgInstanceLaunchFailures",
                "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 32 allows",
                Cause::Launch(Launch::Quota),
            ),
            (
                "AsgInstanceLaunchFailures",
                "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration.",
                Cause::Launch(Launch::Capacity),
            ),
            (
                "AsgInstanceLaunchFailures",
                "We currently do not have sufficient m5.large capacity in the Availability Zone you requested",
                Cause::Launch(Launch::Capacity),
            ),
            (
                "AsgInstanceLaunchFailures",
                "Could not launch On-Demand Instances. Unsupported - Your requested instance type (t3.small) is not supported in your requested Availability Zone (us-east-1e).",
                Cause::Launch(Launch::Unsupported),
            ),
            (
                "AsgInstanceLaunchFailures",
                "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch",
                Cause::Launch(Launch::Key),
            ),
            (
                "AsgInstanceLaunchFailures",
                "Could not launch On-Demand Instances. InvalidBlockDeviceMapping - Volume of size 10GB is smaller than snapshot 'snap-0e7a6f5d4c3b2a190', expect size >= 20GB. Launching EC2 instance failed.",
                Cause::Launch(Launch::Disk),
            ),
            (
                "AsgInstanceLaunchFailures",
                "There are not enough free addresses in subnet 'subnet-1' to satisfy the requested number of instances. InsufficientFreeAddressesInSubnet",
                Cause::Addresses,
            ),
            ("Something", "", Cause::Other),
        ] {
            assert_eq!(fault(&issue(code, message)), expected, "{code} {message}");
        }
    }

    #[test]
    fn a_group_is_meant_for_pods_that_ask_for_its_labels_and_tolerate_its_taints() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let groups = json!([{"nodegroupName": "db", "status": "CREATE_FAILED", "subnets": ["subnet-a"],
            "labels": {"role": "db"}, "taints": [{"key": "dedicated", "value": "db", "effect": "NO_SCHEDULE"}]}]);
        *snap.eks_nodegroups = Ok(serde_json::from_value(groups).expect("groups"));
        snap.nodes = Listing::cluster(Vec::new());
        let pod = |selector: serde_json::Value, tolerated: bool| -> Pod {
            let tolerations = if tolerated { json!([{"key": "dedicated", "operator": "Exists"}]) } else { json!([]) };
            serde_json::from_value(
                json!({"metadata": {"name": "p"}, "spec": {"nodeSelector": selector, "tolerations": tolerations}}),
            )
            .expect("a pod")
        };
        let count = |pod: Pod| meant_for(&snap, &pod).len();
        assert_eq!(count(pod(json!({"role": "db"}), true)), 1);
        assert_eq!(count(pod(json!({"eks.amazonaws.com/nodegroup": "db"}), true)), 1);
        assert_eq!(count(pod(json!({"role": "web"}), true)), 0);
        assert_eq!(count(pod(json!({"role": "db"}), false)), 0);
    }

    #[test]
    fn a_group_with_a_node_that_works_is_not_what_is_missing() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let groups = json!([{"nodegroupName": "db", "status": "DEGRADED"}]);
        *snap.eks_nodegroups = Ok(serde_json::from_value(groups).expect("groups"));
        let node = json!([{"metadata": {"name": "n", "labels": {"eks.amazonaws.com/nodegroup": "db"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]);
        snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
        assert!(meant_for(&snap, &Pod::default()).is_empty());
    }
}
