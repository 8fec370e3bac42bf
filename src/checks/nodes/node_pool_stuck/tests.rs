use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::NodeMaker;

fn object(kind: &str, value: Value) -> NodeMaker {
    let object: NodeMaker = serde_json::from_value(value).expect("an object");
    NodeMaker { kind: kind.to_owned(), ..object }
}

fn snap(objects: Vec<NodeMaker>) -> Snapshot {
    let mut snap = snapshot(json!({"pods": [{
        "metadata": {"name": "prometheus-0", "namespace": "monitoring", "creationTimestamp": "2026-11-21T01:00:00Z"},
        "spec": {"containers": [{"name": "prometheus"}], "nodeSelector": {"karpenter.sh/nodepool": "monitoring"}},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."}]}}]}));
    snap.node_makers = Listing::cluster(objects);
    snap
}

fn pool(ready: &str, reason: &str) -> NodeMaker {
    let class = json!({"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "monitoring"});
    object(
        "NodePool",
        json!({"metadata": {"name": "monitoring"}, "spec": {"template": {"spec": {"nodeClassRef": class}}},
            "status": {"conditions": [{"type": "NodeClassReady", "status": ready, "reason": reason}, {"type": "Ready", "status": ready}]}}),
    )
}

fn class(conditions: Value) -> NodeMaker {
    let terms = json!([{"tags": {"karpenter.sh/discovery": "shop-prd"}}]);
    let spec = json!({"role": "nodes", "subnetSelectorTerms": terms});
    object(
        "EC2NodeClass",
        json!({"metadata": {"name": "monitoring"}, "spec": spec, "status": {"conditions": conditions}}),
    )
}

#[test]
fn a_class_that_finds_no_subnets_is_what_the_pods_wait_for() {
    let conditions = json!([
        {"type": "SubnetsReady", "status": "False", "reason": "SubnetsNotFound", "message": "SubnetSelector did not match any Subnets"},
        {"type": "ValidationSucceeded", "status": "False", "reason": "DependenciesNotReady", "message": "Awaiting AMI, Instance Profile, Security Group, and Subnet resolution"},
        {"type": "Ready", "status": "False", "reason": "UnhealthyDependents", "message": "ValidationSucceeded=False, SubnetsReady=False"}]);
    let mut snap = snap(vec![pool("False", "UnhealthyDependents"), class(conditions)]);
    let subnet = json!([{"SubnetId": "subnet-1", "Tags": [{"Key": "karpenter.sh/discovery", "Value": "shop-prod"}]}]);
    *snap.subnets = Ok(serde_json::from_value(subnet).expect("subnets"));
    let found = findings(&NodePoolStuck, &snap);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Error);
    assert!(
        found[0].message.contains("finds no subnets by its selector (tag karpenter.sh/discovery=shop-prd)"),
        "{}",
        found[0].message
    );
    let steps = steps(&found[0]);
    assert!(steps.contains("kubectl patch ec2nodeclasses.karpenter.k8s.aws monitoring --type=merge"), "{steps}");
    assert!(steps.contains("shop-prod"), "{steps}");
}

#[test]
fn a_claim_that_is_young_or_registered_is_left_alone() {
    let claim = |made: &str, registered: &str| {
        object(
            "NodeClaim",
            json!({"metadata": {"name": "c-1", "labels": {"karpenter.sh/nodepool": "monitoring"}, "creationTimestamp": made},
                "status": {"conditions": [{"type": "Launched", "status": "True", "lastTransitionTime": made},
                    {"type": "Registered", "status": registered, "reason": "NodeNotFound", "message": "Node not registered with cluster"}]}}),
        )
    };
    let found = |claim: NodeMaker| findings(&NodePoolStuck, &snap(vec![pool("True", "NodeClassReady"), claim])).len();
    assert_eq!(found(claim("2026-11-21T01:59:00Z", "Unknown")), 0);
    assert_eq!(found(claim("2026-11-21T01:40:00Z", "True")), 0);
    assert_eq!(found(claim("2026-11-21T01:40:00Z", "Unknown")), 1);
}

#[test]
fn a_launch_that_is_refused_says_by_whom() {
    let message = "creating instance, with fleet error(s), UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/Karpenter/1 is not authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:eu-west-1:1:instance/* with an explicit deny in a service control policy";
    let claim = object(
        "NodeClaim",
        json!({"metadata": {"name": "c-1", "labels": {"karpenter.sh/nodepool": "monitoring"}, "creationTimestamp": "2026-11-21T01:50:00Z"},
            "status": {"conditions": [{"type": "Launched", "status": "False", "reason": "LaunchFailed", "message": message}]}}),
    );
    let found = findings(&NodePoolStuck, &snap(vec![pool("True", "NodeClassReady"), claim]));
    assert!(
        found[0].message.contains("role Karpenter may not ec2:RunInstances (a service control policy"),
        "{}",
        found[0].message
    );
}

#[test]
fn nodes_of_auto_mode_have_an_entry_of_their_own_kind_and_no_controller_to_ask() {
    let named = json!({"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"});
    let claim = |conditions: Value| {
        let meta = json!({"name": "monitoring-x", "labels": {"karpenter.sh/nodepool": "monitoring"}, "creationTimestamp": "2026-11-21T01:00:00Z"});
        object(
            "NodeClaim",
            json!({"metadata": meta, "spec": {"nodeClassRef": named}, "status": {"conditions": conditions}}),
        )
    };
    let class = object("NodeClass", json!({"metadata": {"name": "default"}, "spec": {"role": "nodes"}}));
    let joins = json!([
        {"type": "Launched", "status": "True", "lastTransitionTime": "2026-11-21T01:00:00Z"},
        {"type": "Registered", "status": "Unknown", "reason": "NodeNotFound"}]);
    let mut joining = snap(vec![claim(joins), class]);
    *joining.access_entries = Ok(vec!["arn:aws:iam::111122223333:role/other".to_owned()]);
    let steps_of = |snap: &Snapshot| steps(&findings(&NodePoolStuck, snap)[0]);
    let text = steps_of(&joining);
    assert!(text.contains("--type EC2\n") && !text.contains("EC2_LINUX"), "{text}");
    assert!(text.contains("arn:aws:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy"), "{text}");
    joining.target.region = Some("us-gov-west-1".into());
    let text = steps_of(&joining);
    assert!(text.contains("arn:aws-us-gov:eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy"), "{text}");
    let refused = json!([{"type": "Launched", "status": "Unknown", "reason": "LaunchFailed",
        "message": "UnauthorizedOperation: You are not authorized to perform: ec2:RunInstances"}]);
    let text = steps_of(&snap(vec![claim(refused)]));
    assert!(text.contains("cluster.roleArn") && !text.contains("deployment/karpenter"), "{text}");
}
