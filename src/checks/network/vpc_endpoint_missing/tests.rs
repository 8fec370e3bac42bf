use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::model::{Finding, ResourceRef};
use crate::snapshot::Listing;

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("test data")
}

fn endpoint(service: &str, changes: Value) -> Value {
    let kind = if service == "s3" { "Gateway" } else { "Interface" };
    let mut made = json!({"VpcEndpointId": format!("vpce-{service}"), "VpcId": "vpc-1", "State": "available", "VpcEndpointType": kind,
        "ServiceName": format!("com.amazonaws.eu-west-1.{service}"), "RouteTableIds": ["rtb-a"], "SubnetIds": ["s-a"],
        "Groups": [{"GroupId": "sg-e"}], "PrivateDnsEnabled": true});
    for (key, value) in changes.as_object().into_iter().flatten() {
        made[key] = value.clone();
    }
    made
}

/// A closed VPC whose node group does not join, with these endpoints; all others that nodes need are there.
fn closed(changed: &[(&str, Option<Value>)], event: &str) -> Snapshot {
    let pod = json!({"metadata": {"namespace": "monitoring", "name": "web-1"}, "spec": {"nodeName": "a", "containers": [{"name": "w"}]}, "status": {"phase": "Pending"}});
    let events = match event {
        "" => json!([]),
        text => json!([{"reason": "Failed", "message": text, "lastTimestamp": "2026-11-21T01:59:00Z",
            "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "web-1"}}]),
    };
    let mut snap = snapshot(json!({"pods": [pod], "events": events}));
    *snap.eks_cluster = Ok(from(json!({"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c",
        "resourcesVpcConfig": {"vpcId": "vpc-1", "clusterSecurityGroupId": "sg-c"}})));
    snap.nodes = Listing::cluster(from(
        json!([{"metadata": {"name": "a"}, "spec": {"providerID": "aws:///eu-west-1a/i-a"},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.1.5"}], "conditions": [{"type": "Ready", "status": "False"}]}}]),
    ));
    *snap.instances =
        Ok(from(json!([{"InstanceId": "i-a", "SubnetId": "s-a", "SecurityGroups": [{"GroupId": "sg-n"}]}])));
    *snap.subnets = Ok(from(
        json!([{"SubnetId": "s-a", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "eu-west-1a"}]),
    ));
    *snap.route_tables = Ok(from(
        json!([{"RouteTableId": "rtb-a", "VpcId": "vpc-1", "Associations": [{"SubnetId": "s-a"}], "Routes": []}]),
    ));
    *snap.nat_gateways = Ok(Vec::new());
    *snap.internet_gateways = Ok(Vec::new());
    let open = json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    *snap.security_groups = Ok(from(json!([
        {"GroupId": "sg-n", "IpPermissionsEgress": open}, {"GroupId": "sg-e", "IpPermissions": open}, {"GroupId": "sg-shut"}
    ])));
    let all = ["ec2", "ecr.api", "ecr.dkr", "s3", "sts"].iter().filter_map(|service| {
        match changed.iter().find(|(s, _)| s == service) {
            Some((_, None)) => None,
            Some((_, Some(changes))) => Some(endpoint(service, changes.clone())),
            None => Some(endpoint(service, json!({}))),
        }
    });
    *snap.vpc_endpoints = Ok(from(Value::Array(all.collect())));
    *snap.eks_nodegroups = Ok(from(
        json!([{"nodegroupName": "ng", "status": "CREATE_FAILED", "subnets": ["s-a"], "nodeRole": "arn:aws:iam::111122223333:role/n",
        "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 2},
        "health": {"issues": [{"code": "NodeCreationFailure", "message": "Instances failed to join the kubernetes cluster"}]}}]),
    ));
    snap
}

fn only(snap: &Snapshot) -> (Finding, String) {
    let mut all = findings(&VpcEndpointMissing, snap);
    assert_eq!(all.len(), 1, "{all:?}");
    let finding = all.remove(0);
    let options = finding.remediation.options.iter().flat_map(|o| &o.steps).map(|s| format!("{}\n", s.command));
    let fix = format!("{}{}", steps(&finding), options.collect::<String>());
    (finding, fix)
}

#[test]
fn is_quiet_where_all_is_there_or_nothing_fails() {
    assert_eq!(findings(&VpcEndpointMissing, &closed(&[], "")), []);
    let mut well = closed(&[("sts", None)], "");
    *well.eks_nodegroups = Ok(Vec::new());
    assert_eq!(findings(&VpcEndpointMissing, &well), [], "nothing fails");
    let mut open = closed(&[("sts", None)], "");
    let route = json!([{"DestinationCidrBlock": "0.0.0.0/0", "TransitGatewayId": "tgw-1", "State": "active"}]);
    open.route_tables.as_mut().expect("tables")[0].routes = from(route);
    assert_eq!(findings(&VpcEndpointMissing, &open), [], "there is another way out");
}

#[test]
fn names_the_one_that_is_missing_and_makes_the_node_group_again() {
    let (finding, fix) = only(&closed(&[("ecr.api", None)], ""));
    assert!(finding.message.contains("com.amazonaws.eu-west-1.ecr.api is missing"), "{}", finding.message);
    assert!(fix.contains("aws ec2 create-vpc-endpoint --vpc-id vpc-1 --vpc-endpoint-type Interface --service-name com.amazonaws.eu-west-1.ecr.api --subnet-ids s-a --security-group-ids sg-e --private-dns-enabled"), "{fix}");
    assert!(fix.contains("aws eks create-nodegroup --cluster-name c --nodegroup-name ng --node-role arn:aws:iam::111122223333:role/n --subnets s-a"), "{fix}");
    assert!(!fix.contains("nat-gateway"), "no internet gateway, no NAT: {fix}");
    for broken in [ResourceRef::node("a"), ResourceRef::aws("eks", "nodegroup", "ng")] {
        assert!(finding.broken().contains(&broken), "{broken}");
    }
}

#[test]
fn the_api_that_fails_comes_before_the_others() {
    let said = "failed to pull image \"111122223333.dkr.ecr.eu-west-1.amazonaws.com/web:1\": no basic auth credentials";
    let (finding, fix) = only(&closed(&[("ecr.api", None), ("sts", None)], said));
    assert!(finding.message.contains("ecr.api is missing") && !finding.message.contains(".sts"), "{}", finding.message);
    assert!(fix.contains("Also missing") || finding.remediation.all_steps().any(|s| s.text.contains("sts")), "{fix}");
    assert!(finding.broken().contains(&ResourceRef::pod("monitoring", "web-1")));
}

#[test]
fn an_endpoint_that_is_there_may_be_of_no_use() {
    let said = |host: &str| format!("Get \"https://{host}/x\": dial tcp 10.9.9.9:443: i/o timeout");
    for (service, changes, host, wanted) in [
        (
            "ecr.dkr",
            json!({"PrivateDnsEnabled": false}),
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com",
            "--private-dns-enabled",
        ),
        (
            "s3",
            json!({"RouteTableIds": ["rtb-z"]}),
            "prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com",
            "--add-route-table-ids rtb-a",
        ),
        (
            "sts",
            json!({"Groups": [{"GroupId": "sg-shut"}]}),
            "sts.eu-west-1.amazonaws.com",
            "--group-id sg-shut --protocol tcp --port 443 --source-group sg-n",
        ),
        ("ec2", json!({"State": "pendingAcceptance"}), "ec2.eu-west-1.amazonaws.com", "--vpc-endpoint-ids vpce-ec2"),
    ] {
        let (finding, fix) = only(&closed(&[(service, Some(changes))], &said(host)));
        assert!(fix.contains(wanted), "{}: {fix}", finding.message);
    }
}
