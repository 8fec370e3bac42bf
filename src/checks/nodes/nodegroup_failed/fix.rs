//! Which fix a failed node group gets, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::node_group::create;
use crate::checks::support::place::Place;
use crate::domain::aws::node_group::{Cause, Launch};
use crate::model::Placeholder;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Nodegroup;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    cluster: String,
    group: String,
    #[serde(flatten)]
    again: Again,
    #[serde(flatten)]
    way: Way,
}

/// Values of the shared step `node-group-again`.
#[derive(Serialize, JsonSchema)]
struct Again {
    /// It was not created: it does not recover by itself.
    failed: bool,
    /// The words after `aws eks create-nodegroup`.
    create: Option<Vec<String>>,
    /// The stack of CloudFormation that keeps it.
    stack: Option<String>,
    by_eksctl: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    SubnetConfiguration {
        subnets: Vec<String>,
    },
    SubnetMissing {
        vpc: String,
    },
    Addresses {
        subnets: Vec<String>,
    },
    Join {
        role: String,
        instance: Option<String>,
        /// The launch template of its owner.
        template: Option<String>,
        version: String,
        /// The image is its owner's: EKS adds nothing to the user data.
        own_image: bool,
    },
    Quota {
        scaling_group: Option<String>,
        /// The code of the quota, and what to ask for.
        quota: Placeholder,
        vcpus: Placeholder,
    },
    Capacity {
        scaling_group: Option<String>,
    },
    Unsupported {
        instance_types: Vec<String>,
    },
    Key {
        scaling_group: Option<String>,
    },
    Disk {
        template: Option<String>,
        version: String,
        /// What the image takes, in GiB.
        size: String,
    },
    Launch {
        scaling_group: Option<String>,
    },
    Role {
        role: String,
        policies: Vec<String>,
        node_trust: String,
    },
    Access {
        role: String,
    },
    LaunchTemplate {
        template: Option<String>,
    },
    SecurityGroup {
        vpc: String,
    },
    AutoScalingGroup,
    DeleteFailed,
    Other {
        scaling_group: Option<String>,
    },
}

impl Fix {
    /// Of a node group that failed.
    pub(super) fn of(snap: &Snapshot, group: &Nodegroup, fault: Cause, place: &Place) -> Self {
        Self {
            cluster: place.cluster.clone(),
            group: group.nodegroup_name.clone(),
            again: Again::of(group, fault, place),
            way: Way::of(snap, group, fault, place),
        }
    }
}

impl Again {
    fn of(group: &Nodegroup, fault: Cause, place: &Place) -> Self {
        let failed = group.status == "CREATE_FAILED";
        let tag = |key: &str| group.tags.get(key);
        let by_eksctl = tag("alpha.eksctl.io/cluster-name").or(tag("eksctl.cluster.k8s.io/v1alpha1/cluster-name"));
        let doubtful = doubtful(group);
        let good: Vec<String> = group.subnets.iter().filter(|s| !doubtful.contains(s)).cloned().collect();
        let subnets = match fault {
            Cause::SubnetMissing if good.is_empty() => vec!["<subnet-id>".to_owned()],
            Cause::SubnetMissing => good,
            _ => group.subnets.clone(),
        };
        // A version of the template that is still to be made, or a disk that holds the image.
        let meant = match fault {
            Cause::Launch(Launch::Disk) => with_disk(group),
            _ => group.clone(),
        };
        Self {
            failed,
            create: failed.then(|| create(&meant, place, &group.nodegroup_name, &subnets)),
            stack: tag("aws:cloudformation:stack-name").cloned(),
            by_eksctl: by_eksctl.is_some(),
        }
    }
}

impl Way {
    fn of(snap: &Snapshot, group: &Nodegroup, fault: Cause, place: &Place) -> Self {
        if group.status == "DELETE_FAILED" {
            return Self::DeleteFailed;
        }
        let role = group.node_role.rsplit('/').next().unwrap_or_default().to_owned();
        let scaling_group = group.resources.auto_scaling_groups.first().map(|g| g.name.clone());
        let vpc = || snap.eks_cluster.as_ref().map(|c| c.resources_vpc_config.vpc_id.clone()).unwrap_or_default();
        match fault {
            Cause::SubnetConfiguration => Self::SubnetConfiguration { subnets: doubtful(group) },
            Cause::SubnetMissing => Self::SubnetMissing { vpc: vpc() },
            Cause::Addresses => Self::Addresses { subnets: doubtful(group) },
            Cause::Join => {
                let template = group.launch_template.as_ref().filter(|t| !t.id.is_empty());
                Self::Join {
                    role,
                    instance: named(group, "i-").into_iter().next(),
                    template: template.map(|t| t.id.clone()),
                    version: template.map(|t| t.version.clone()).unwrap_or_default(),
                    own_image: group.ami_type == "CUSTOM",
                }
            }
            Cause::Launch(Launch::Quota) => {
                Self::Quota { scaling_group, quota: quota(group), vcpus: wanted_vcpus(group) }
            }
            Cause::Launch(Launch::Capacity) => Self::Capacity { scaling_group },
            Cause::Launch(Launch::Unsupported) => Self::Unsupported { instance_types: group.instance_types.clone() },
            Cause::Launch(Launch::Key) => Self::Key { scaling_group },
            Cause::Launch(Launch::Disk) => {
                let template = group.launch_template.as_ref().filter(|t| !t.id.is_empty());
                Self::Disk {
                    template: template.map(|t| t.id.clone()),
                    version: template.map(|t| t.version.clone()).unwrap_or_default(),
                    size: image_size(group).map_or_else(|| "<size>".to_owned(), |s| s.to_string()),
                }
            }
            Cause::Launch(_) => Self::Launch { scaling_group },
            Cause::Role => Self::Role { role, policies: policies(place), node_trust: node_trust(place) },
            Cause::Access => Self::Access { role },
            Cause::LaunchTemplate | Cause::Image => {
                Self::LaunchTemplate { template: group.launch_template.as_ref().map(|t| t.id.clone()) }
            }
            Cause::SecurityGroup => Self::SecurityGroup { vpc: vpc() },
            Cause::AutoScalingGroup => Self::AutoScalingGroup,
            Cause::Cluster | Cause::Internal | Cause::Other => Self::Other { scaling_group },
        }
    }
}

/// `… is smaller than snapshot 'snap-1', expect size >= 20GB.`
fn image_size(group: &Nodegroup) -> Option<i32> {
    let said = group.health.issues.iter().find_map(|i| i.message.split_once("expect size"));
    said?.1.trim_start_matches([' ', '>', '=']).split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The group with a root volume that holds the image.
fn with_disk(group: &Nodegroup) -> Nodegroup {
    let mut meant = group.clone();
    if let Some(template) = meant.launch_template.as_mut() {
        template.version = "<new-version>".to_owned();
    }
    meant.disk_size = image_size(group).or(meant.disk_size);
    meant
}

/// The quota that a group's instances count against.
fn quota(group: &Nodegroup) -> Placeholder {
    let family = |t: &String| -> String { t.chars().take_while(char::is_ascii_alphabetic).collect() };
    let mut codes = group.instance_types.iter().map(|t| quota_code(&family(t), group.capacity_type == "SPOT"));
    let first = codes.next().flatten().filter(|one| codes.all(|c| c == Some(*one)));
    Placeholder::new("quota-code").how("the table above has it, by the family of the instance type").candidates(first)
}

fn quota_code(family: &str, spot: bool) -> Option<&'static str> {
    match (family, spot) {
        ("a" | "c" | "d" | "h" | "i" | "m" | "r" | "t" | "z", false) => Some("L-1216C47A"),
        ("a" | "c" | "d" | "h" | "i" | "m" | "r" | "t" | "z", true) => Some("L-34B43A08"),
        ("g" | "vt", false) => Some("L-DB2E81BA"),
        ("p", false) => Some("L-417A185B"),
        _ => None,
    }
}

/// What to ask for: the limit that EC2 named, and what all nodes of the group take.
fn wanted_vcpus(group: &Nodegroup) -> Placeholder {
    let said = group.health.issues.iter().find_map(|i| limit(&i.message));
    let each = group.instance_types.iter().map(|t| vcpus(t)).collect::<Option<Vec<u32>>>();
    let each = each.and_then(|all| all.into_iter().max());
    let nodes = group.scaling_config.max_size.and_then(|n| u32::try_from(n).ok());
    let known = said.zip(each).zip(nodes).map(|((limit, each), nodes)| (limit + each * nodes).to_string());
    let how = match said {
        Some(limit) => format!("the limit is {limit} now: that, and the vCPUs of all nodes of the group"),
        None => "the current quota, and the vCPUs of all nodes of the group".to_owned(),
    };
    Placeholder::new("vcpus").how(how).candidates(known)
}

/// `… than your current vCPU limit of 16 allows …`
fn limit(message: &str) -> Option<u32> {
    let (_, rest) = message.split_once("vCPU limit of ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The vCPUs of an instance type, by its size; smaller ones differ by family.
fn vcpus(kind: &str) -> Option<u32> {
    match kind.rsplit('.').next()? {
        "large" => Some(2),
        "xlarge" => Some(4),
        size => size.strip_suffix("xlarge")?.parse::<u32>().ok().map(|n| n * 4),
    }
}

/// Ids that begin so, and that the health issues name.
fn named(group: &Nodegroup, prefix: &str) -> Vec<String> {
    let words = group.health.issues.iter().flat_map(|i| {
        let in_message = i.message.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        i.resource_ids.iter().map(String::as_str).chain(in_message)
    });
    let mut found: Vec<String> = words.filter(|w| w.starts_with(prefix)).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

/// The subnets that are named as the fault, else all of them.
fn doubtful(group: &Nodegroup) -> Vec<String> {
    let said = named(group, "subnet-");
    if said.is_empty() { group.subnets.clone() } else { said }
}

/// The trust policy of a node role.
fn node_trust(place: &Place) -> String {
    let service = format!("ec2.{}", place.dns_suffix());
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service},
        "Action": "sts:AssumeRole"}]})
    .to_string()
}

/// The managed policies that a node role needs.
fn policies(place: &Place) -> Vec<String> {
    let names = ["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"];
    names.iter().map(|n| place.policy_arn(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_as_large_as_the_image_says() {
        let message = "InvalidBlockDeviceMapping - Volume of size 10GB is smaller than snapshot 'snap-0e7a6f5d4c3b2a190', expect size >= 20GB. Launching EC2 instance failed.";
        let of = |more: serde_json::Value| -> Nodegroup {
            let mut group = json!({"diskSize": 10, "health": {"issues": [{"message": message}]}});
            for (key, value) in more.as_object().into_iter().flatten() {
                group[key] = value.clone();
            }
            serde_json::from_value(group).expect("a group")
        };
        assert_eq!(with_disk(&of(json!({}))).disk_size, Some(20));
        let template = with_disk(&of(json!({"launchTemplate": {"id": "lt-1", "version": "1"}}))).launch_template;
        assert_eq!(template.map(|t| t.version).as_deref(), Some("<new-version>"));
    }

    #[test]
    fn what_is_asked_for_is_more_than_the_limit() {
        let message = "You have requested more vCPU capacity than your current vCPU limit of 16 allows";
        let group: Nodegroup =
            serde_json::from_value(json!({"instanceTypes": ["m5.large"], "capacityType": "ON_DEMAND",
            "scalingConfig": {"maxSize": 3}, "health": {"issues": [{"message": message}]}}))
            .expect("a group");
        assert_eq!(wanted_vcpus(&group).candidates, ["22"]);
        assert_eq!(quota(&group).candidates, ["L-1216C47A"]);
        let other = Nodegroup { instance_types: vec!["inf2.24xlarge".into()], ..group };
        assert!(quota(&other).candidates.is_empty(), "a quota that is not known is not guessed");
        assert_eq!((vcpus("m5.2xlarge"), vcpus("t3.medium"), vcpus("m5.metal")), (Some(8), None, None));
    }
}
