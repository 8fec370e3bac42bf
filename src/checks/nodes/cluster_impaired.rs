//! EKS says that the cluster itself lacks something: its key, its role, its subnets.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::cluster_health::{Cause, role_of, role_policies, usable_groups, usable_subnets};
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Cluster, HealthIssue};
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    ClusterImpaired {
        id: "cluster-impaired", suite: Nodes, severity: Error,
        title: "EKS reports that the cluster is impaired",
        requires: [EksCluster],
        uses: [Subnets, Pods, Events],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Key {
        cluster: String,
        key: String,
        deletion: bool,
    },
    KeyLost {
        cluster: String,
        key: String,
    },
    Role {
        #[serde(flatten)]
        role: Role,
        /// `/teams/`; empty where the role has none.
        path: String,
    },
    RoleAccess {
        #[serde(flatten)]
        role: Role,
    },
    Subnets {
        cluster: String,
        vpc: String,
        config: String,
    },
    Groups {
        cluster: String,
        config: String,
    },
    Other {
        cluster: String,
    },
}

/// The cluster's role, and what it has to have.
#[derive(Serialize, JsonSchema)]
struct Role {
    cluster: String,
    region: String,
    role: String,
    role_arn: String,
    trust: String,
    /// ARNs of the policies.
    policies: Vec<String>,
}

impl Check for ClusterImpaired {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let cluster = snap.eks_cluster()?;
        Ok(Diagnosis::Findings(cluster.health.issues.iter().map(|issue| finding(snap, cluster, issue)).collect()))
    }
}

fn finding(snap: &Snapshot, cluster: &Cluster, issue: &HealthIssue) -> Finding {
    let fault = Cause::of(issue);
    let place = Place::of(snap);
    let victims = if fault.locks_secrets() { waiting_for_secrets(snap) } else { Vec::new() };
    let follows = match fault {
        Cause::KeyOff { .. } | Cause::KeyLost => ": its Secrets cannot be decrypted, and no pod that needs one starts",
        Cause::Role | Cause::RoleAccess => ": EKS can change nothing for it in AWS",
        Cause::Subnets | Cause::SecurityGroups => ": it cannot be updated, nor its control plane be replaced",
        Cause::Other => "",
    };
    let said = if issue.message.trim().is_empty() { issue.code.clone() } else { issue.message.trim().to_owned() };
    let message = format!("EKS cluster {} is impaired ({}){follows}: {said}", place.cluster, issue.code);
    let severity = match fault {
        Cause::KeyOff { .. } | Cause::KeyLost | Cause::Role | Cause::RoleAccess => Severity::Error,
        _ => Severity::Warning,
    };
    let own = ResourceRef::aws("eks", "cluster", &place.cluster);
    let key = key_of(issue);
    let mut made = Finding::new(ClusterImpaired::META.id, severity, own.clone(), message)
        .key(&issue.code)
        .breaks(own)
        .also_all(key.iter().map(|k| ResourceRef::aws("kms", "key", k.rsplit('/').next().unwrap_or(k))))
        .evidence(
            Evidence::new(
                format!("EKS cluster {}: health", place.cluster),
                format!("{}: {said}", issue.code),
                "aws eks describe-cluster --name {{ cluster }} --query cluster.health",
            )
            .with("cluster", &place.cluster),
        );
    let owners: BTreeSet<ResourceRef> = victims.iter().map(|p| snap.owner_ref(p)).collect();
    for pod in victims {
        made = made.breaks(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    made = owners.into_iter().fold(made, Finding::breaks);
    made.fix(fix(snap, cluster, issue, fault, key.unwrap_or_else(|| "<key-arn>".to_owned())))
}

/// The ARN of the key that an issue is about.
fn key_of(issue: &HealthIssue) -> Option<String> {
    let words = issue.message.split([' ', '"', '\'', ',', '(', ')']);
    let mut all = issue.resource_ids.iter().map(String::as_str).chain(words);
    all.find(|w| w.contains(":kms:")).map(|w| w.trim_end_matches('.').to_owned())
}

/// Pods of the stack that do not start for a Secret that cannot be read.
fn waiting_for_secrets(snap: &Snapshot) -> Vec<&Pod> {
    let tells = |text: &str| text.contains("failed to decrypt") || text.contains("secret cache");
    let waits = |p: &&Pod| {
        let waiting = p.statuses().filter_map(|s| s.state.waiting.as_ref()?.message.as_deref());
        let events = snap.events_about("Pod", &p.metadata, RECENT);
        !p.is_ready()
            && snap.scope.is_judged(&p.metadata.namespace)
            && (waiting.into_iter().any(tells) || events.iter().any(|e| tells(&e.message)))
    };
    snap.pods.items().unwrap_or_default().iter().filter(waits).collect()
}

fn fix(snap: &Snapshot, cluster: &Cluster, issue: &HealthIssue, fault: Cause, key: String) -> Fix {
    let place = Place::of(snap);
    let vpc = cluster.resources_vpc_config.vpc_id.clone();
    match fault {
        Cause::KeyOff { deletion } => Fix::Key { cluster: place.cluster, key, deletion },
        Cause::KeyLost => Fix::KeyLost { cluster: place.cluster, key },
        Cause::Role => {
            let path = role_of(&cluster.role_arn).map(|(_, path)| path).unwrap_or_default();
            Fix::Role { role: role(place, cluster), path }
        }
        Cause::RoleAccess => Fix::RoleAccess { role: role(place, cluster) },
        Cause::Subnets => {
            let all = snap.subnets().map(Vec::as_slice).unwrap_or_default();
            let usable = usable_subnets(cluster, all, issue);
            let ids = usable.map_or_else(|| "<subnet-1>,<subnet-2>".to_owned(), |ids| ids.join(","));
            Fix::Subnets { cluster: place.cluster, vpc, config: format!("subnetIds={ids}") }
        }
        Cause::SecurityGroups => {
            let usable = usable_groups(cluster, issue);
            let ids = usable.map_or_else(|| "<security-group>".to_owned(), |ids| ids.join(","));
            Fix::Groups { cluster: place.cluster, config: format!("securityGroupIds={ids}") }
        }
        Cause::Other => Fix::Other { cluster: place.cluster },
    }
}

fn role(place: Place, cluster: &Cluster) -> Role {
    let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]});
    Role {
        policies: role_policies(cluster).into_iter().map(|policy| place.policy_arn(policy)).collect(),
        role: role_of(&cluster.role_arn).map_or("<cluster-role>", |(name, _)| name).to_owned(),
        role_arn: cluster.role_arn.clone(),
        trust: trust.to_string(),
        cluster: place.cluster,
        region: place.region,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::workload::snapshot;
    use serde_json::{Value, json};

    const KEY: &str = "arn:aws:kms:ap-northeast-2:111122223333:key/1f0c7f3e";

    fn with(issues: Value) -> Snapshot {
        let mut snap = snapshot(json!([]));
        let cluster = json!({"name": "shop", "arn": "arn:aws:eks:ap-northeast-2:111122223333:cluster/shop",
            "roleArn": "arn:aws:iam::111122223333:role/shop-cluster", "health": {"issues": issues},
            "resourcesVpcConfig": {"subnetIds": ["subnet-a", "subnet-b", "subnet-c"], "securityGroupIds": ["sg-1", "sg-2"]}});
        *snap.eks_cluster = Ok(serde_json::from_value(cluster).expect("a cluster"));
        let subnet = |id: &str, zone: &str| json!({"SubnetId": id, "AvailabilityZone": zone});
        let subnets = json!([subnet("subnet-a", "a"), subnet("subnet-b", "b"), subnet("subnet-x", "c")]);
        *snap.subnets = Ok(serde_json::from_value(subnets).expect("subnets"));
        snap
    }

    #[test]
    fn a_key_that_is_off_is_switched_on() {
        let said = format!("The KMS key {KEY} is disabled.");
        let found = findings(&ClusterImpaired, &with(json!([{"code": "KmsKeyDisabled", "message": said}])));
        assert!(steps(&found[0]).contains(&format!("aws kms enable-key --key-id {KEY}")), "{}", steps(&found[0]));
        assert!(!steps(&found[0]).contains("cancel-key-deletion"));
    }

    #[test]
    fn what_is_gone_is_left_out() {
        let gone = json!([{"code": "Ec2SubnetNotFound", "message": "not found", "resourceIds": ["subnet-c"]}]);
        assert!(steps(&findings(&ClusterImpaired, &with(gone))[0]).contains("subnetIds=subnet-a,subnet-b"));
        let group = json!([{"code": "Ec2SecurityGroupNotFound", "message": "sg-2 does not exist"}]);
        assert!(steps(&findings(&ClusterImpaired, &with(group))[0]).contains("securityGroupIds=sg-1"));
        let unnamed = json!([{"code": "InsufficientFreeAddresses", "message": ""}]);
        let mut snap = with(unnamed);
        snap.eks_cluster.as_mut().expect("a cluster").resources_vpc_config.subnet_ids.pop();
        let told = steps(&findings(&ClusterImpaired, &snap)[0]);
        assert!(told.contains("<subnet-1>,<subnet-2>"), "{told}");
        let all = json!([{"code": "Ec2SecurityGroupNotFound", "message": "sg-1, sg-2 do not exist"}]);
        assert!(steps(&findings(&ClusterImpaired, &with(all))[0]).contains("securityGroupIds=<security-group>"));
        let role = json!([{"code": "IamRoleNotFound", "message": ""}]);
        assert!(steps(&findings(&ClusterImpaired, &with(role))[0]).contains("--role-name shop-cluster"));
        assert_eq!(findings(&ClusterImpaired, &with(json!([]))), []);
    }

    #[test]
    fn a_role_comes_back_at_its_path_and_with_all_that_auto_mode_needs() {
        let mut snap = with(json!([{"code": "IamRoleNotFound", "message": ""}]));
        let told = steps(&findings(&ClusterImpaired, &snap)[0]);
        assert!(!told.contains("--path") && !told.contains("AmazonEKSComputePolicy"), "{told}");
        let cluster = snap.eks_cluster.as_mut().expect("a cluster");
        cluster.role_arn = "arn:aws:iam::111122223333:role/teams/eks/shop-cluster".into();
        cluster.compute_config = serde_json::from_value(json!({"enabled": true})).expect("a configuration");
        let told = steps(&findings(&ClusterImpaired, &snap)[0]);
        assert!(told.contains("--role-name shop-cluster --path /teams/eks/ "), "{told}");
        for policy in ["Cluster", "Compute", "BlockStorage", "LoadBalancing", "Networking"] {
            assert!(told.contains(&format!("arn:aws:iam::aws:policy/AmazonEKS{policy}Policy")), "{policy}: {told}");
        }
    }

    #[test]
    fn a_role_that_exists_is_not_made() {
        let told = steps(&findings(&ClusterImpaired, &with(json!([{"code": "AccessDenied", "message": ""}])))[0]);
        assert!(told.contains("list-attached-role-policies") && !told.contains("create-role"), "{told}");
    }
}
