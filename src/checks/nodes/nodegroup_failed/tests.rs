use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::snapshot::Listing;

fn with(group: Value, nodes: Value) -> Snapshot {
    let mut snap = Snapshot::empty("2026-11-21T12:00:00Z".parse().expect("a time"));
    snap.platform = Platform::Eks;
    let mut whole = json!({"nodegroupName": "db", "nodeRole": "arn:aws:iam::111122223333:role/nodes",
        "subnets": ["subnet-0a1", "subnet-0b2"], "instanceTypes": ["m6i.large"], "amiType": "AL2023_x86_64_STANDARD",
        "capacityType": "ON_DEMAND", "diskSize": 20, "labels": {"role": "db"},
        "taints": [{"key": "dedicated", "value": "db", "effect": "NO_SCHEDULE"}],
        "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 2}});
    for (key, value) in group.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    *snap.eks_nodegroups = Ok(serde_json::from_value(json!([whole])).expect("groups"));
    snap.nodes = Listing::cluster(serde_json::from_value(nodes).expect("nodes"));
    snap.pods = Listing::cluster(Vec::new());
    let cluster = json!({"name": "shop", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/shop"});
    *snap.eks_cluster = Ok(serde_json::from_value(cluster).expect("a cluster"));
    snap
}

fn issue(code: &str, message: &str) -> Value {
    json!({"issues": [{"code": code, "message": message, "resourceIds": ["subnet-0a1"]}]})
}

#[test]
fn groups_that_are_well_or_at_work_are_left_alone() {
    for status in ["ACTIVE", "CREATING", "UPDATING", "DELETING"] {
        assert_eq!(findings(&NodegroupFailed, &with(json!({"status": status}), json!([]))), [], "{status}");
    }
}

#[test]
fn a_group_that_was_not_created_is_made_again_as_it_was_meant() {
    let message = "One or more Amazon EC2 Subnets of [subnet-0a1] for node group db does not automatically assign public IP addresses to instances launched into it.";
    let group = json!({"status": "CREATE_FAILED", "health": issue("Ec2SubnetInvalidConfiguration", message)});
    let found = findings(&NodegroupFailed, &with(group, json!([])));
    assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Error, "subnet-configuration"));
    let text = steps(&found[0]);
    assert!(
        text.contains("aws ec2 modify-subnet-attribute --subnet-id subnet-0a1 --map-public-ip-on-launch"),
        "{text}"
    );
    assert!(text.contains("aws eks delete-nodegroup --cluster-name shop --nodegroup-name db"), "{text}");
    assert!(
        text.contains("--subnets subnet-0a1 subnet-0b2 --scaling-config 'minSize=1,maxSize=3,desiredSize=2'"),
        "{text}"
    );
    assert!(text.contains("--labels 'role=db' --taints 'key=dedicated,value=db,effect=NO_SCHEDULE'"), "{text}");
    assert!(!text.contains("kubectl label") && !text.contains("terminate"), "{text}");
}

#[test]
fn a_degraded_group_that_has_nodes_is_not_deleted() {
    let node = json!([{"metadata": {"name": "n", "labels": {"eks.amazonaws.com/nodegroup": "db"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]);
    let message = "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity";
    let group = json!({"status": "DEGRADED", "health": issue("AsgInstanceLaunchFailures", message)});
    let found = findings(&NodegroupFailed, &with(group, node));
    assert_eq!((found[0].severity, found[0].variant), (Severity::Warning, "quota"));
    assert!(!steps(&found[0]).contains("delete-nodegroup"));
}

#[test]
fn pods_that_ask_for_its_labels_make_it_an_error() {
    let node =
        json!([{"metadata": {"name": "other"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]);
    let group = json!({"status": "CREATE_FAILED", "health": issue("NodeCreationFailure", "Instances failed to join the kubernetes cluster")});
    let mut snap = with(group, node);
    let pod = json!([{"metadata": {"name": "p", "namespace": "monitoring"},
        "spec": {"nodeSelector": {"role": "db"}, "tolerations": [{"operator": "Exists"}]},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}}]);
    snap.pods = Listing::cluster(serde_json::from_value(pod).expect("pods"));
    let found = findings(&NodegroupFailed, &snap);
    assert_eq!((found[0].severity, found[0].variant), (Severity::Error, "join"));
    assert!(found[0].message.contains("pod monitoring/p waits for one"), "{}", found[0].message);
}
