//! When nat-egress speaks, what it says, and when it stays quiet.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::applicable;
use crate::model::{Fact, Finding, GapCause, ResourceRef};
use crate::pages;
use crate::snapshot::Listing;
use crate::snapshot::monitoring::{AlertmanagerConfig, AlertmanagerStatus, ContainerLog};

const SLACK: &str = "route:\n  receiver: a\nreceivers:\n  - name: a\n    slack_configs:\n      - api_url: <secret>\n";
const TIMEOUT: &str = "ts=2026-01-01T11:50:00Z level=error msg=\"Notify for alerts failed\" num_alerts=1 err=\"a/slack[0]: notify retry canceled after 9 attempts: Post \\\"<redacted>\\\": dial tcp 3.68.175.98:443: i/o timeout\"";

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("test data")
}

fn local() -> Value {
    json!({"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"})
}

fn default_to(field: &str, id: &str) -> Value {
    json!({"DestinationCidrBlock": "0.0.0.0/0", field: id, "State": "active"})
}

/// Two nodes in private subnets a and b behind NAT gateway nat-1, Alertmanager on the first; all is well.
fn healthy() -> Snapshot {
    let mut snap = Snapshot::empty("2026-01-01T12:00:00Z".parse::<Timestamp>().expect("a time"));
    snap.platform = Platform::Eks;
    snap.scope.stack = vec!["monitoring".into()];
    *snap.eks_cluster = Ok(from(json!({"name": "c", "arn": "arn:aws-cn:eks:cn-north-1:111122223333:cluster/c",
        "resourcesVpcConfig": {"vpcId": "vpc-1"}, "kubernetesNetworkConfig": {"ipFamily": "ipv4"}})));
    let node =
        |name: &str, id: &str| json!({"metadata": {"name": name}, "spec": {"providerID": format!("aws:///z/{id}")}});
    snap.nodes = Listing::cluster(from(json!([node("node-a", "i-a"), node("node-b", "i-b")])));
    let instance =
        |id: &str, subnet: &str| json!({"InstanceId": id, "SubnetId": subnet, "SecurityGroups": [{"GroupId": "sg-1"}]});
    *snap.instances = Ok(from(json!([instance("i-a", "subnet-a"), instance("i-b", "subnet-b")])));
    let subnet = |id: &str, cidr: &str, zone: &str| json!({"SubnetId": id, "VpcId": "vpc-1", "CidrBlock": cidr, "AvailabilityZone": zone});
    *snap.subnets = Ok(from(json!([
        subnet("subnet-a", "10.0.1.0/24", "z1"),
        subnet("subnet-b", "10.0.2.0/24", "z2"),
        subnet("subnet-public", "10.0.9.0/24", "z1")
    ])));
    let table = |id: &str, subnets: &[&str], routes: Value| {
        let associations: Vec<Value> = subnets.iter().map(|s| json!({"SubnetId": s})).collect();
        json!({"RouteTableId": id, "VpcId": "vpc-1", "Associations": associations, "Routes": routes})
    };
    *snap.route_tables = Ok(from(json!([
        table("rtb-a", &["subnet-a"], json!([local(), default_to("NatGatewayId", "nat-1")])),
        table("rtb-b", &["subnet-b"], json!([local(), default_to("NatGatewayId", "nat-1")])),
        table("rtb-public", &["subnet-public"], json!([local(), default_to("GatewayId", "igw-1")]))
    ])));
    *snap.nat_gateways = Ok(from(
        json!([{"NatGatewayId": "nat-1", "SubnetId": "subnet-public", "State": "available", "ConnectivityType": "public"}]),
    ));
    *snap.internet_gateways =
        Ok(from(json!([{"InternetGatewayId": "igw-1", "Attachments": [{"State": "available", "VpcId": "vpc-1"}]}])));
    *snap.security_groups = Ok(from(json!([{"GroupId": "sg-1",
        "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}])));
    *snap.network_acls = Ok(Vec::new());
    snap.pods = Listing::cluster(from(json!([{"metadata": {"name": "am-0", "namespace": "monitoring"},
        "spec": {"nodeName": "node-a", "containers": [{"name": "alertmanager"}]}, "status": {"phase": "Running"}}])));
    snap.events = Listing::cluster(Vec::new());
    *snap.component_logs = Ok(Vec::new());
    snap
}

fn with_slack(mut snap: Snapshot) -> Snapshot {
    let config = AlertmanagerConfig { original: SLACK.into() };
    *snap.alertmanager_status = Ok(AlertmanagerStatus { config, ..AlertmanagerStatus::default() });
    snap
}

fn with_timeouts(mut snap: Snapshot) -> Snapshot {
    let log = ContainerLog {
        namespace: "monitoring".into(),
        pod: "am-0".into(),
        program: Some(crate::model::Program::Alertmanager),
        text: TIMEOUT.into(),
        ..ContainerLog::default()
    };
    *snap.component_logs = Ok(vec![log]);
    snap
}

fn routes(snap: &mut Snapshot, table: usize) -> &mut Vec<crate::snapshot::aws::Route> {
    &mut snap.route_tables.as_mut().expect("tables")[table].routes
}

fn cut(mut snap: Snapshot) -> Snapshot {
    routes(&mut snap, 0).truncate(1);
    snap
}

fn findings(snap: &Snapshot) -> Vec<Finding> {
    applicable(&NatEgress, snap)
}

/// The only finding and its commands, one a line.
fn only(snap: &Snapshot) -> (Finding, String) {
    let mut all = findings(snap);
    assert_eq!(all.len(), 1, "{all:?}");
    let finding = all.remove(0);
    let fix = pages::fix(&NatEgress::META, finding.variant, &finding.params).expect("renders");
    for evidence in &finding.evidence {
        pages::command(evidence.reproduce_template, &evidence.params).expect("renders");
    }
    let commands: Vec<String> = fix.steps.iter().chain(&fix.verify).map(|s| s.command.clone()).collect();
    (finding, commands.join("\n"))
}

#[test]
fn is_quiet_where_the_way_is_open() {
    assert_eq!(findings(&with_timeouts(with_slack(healthy()))), []);
}

#[test]
fn names_the_table_and_the_nat_gateway_that_is_there() {
    let (finding, commands) = only(&with_timeouts(with_slack(cut(healthy()))));
    assert_eq!(finding.severity, Severity::Error);
    let arn = "arn:aws-cn:ec2:cn-north-1:111122223333:route-table/rtb-a";
    assert_eq!(*finding.subject(), ResourceRef::aws_arn("ec2", "route-table", "rtb-a", arn));
    assert_eq!(finding.broken(), [ResourceRef::aws("ec2", "subnet", "subnet-a")]);
    let create =
        "aws ec2 create-route --route-table-id rtb-a --destination-cidr-block 0.0.0.0/0 --nat-gateway-id nat-1";
    assert!(commands.contains(create), "{commands}");
    assert!(
        commands.contains("Name=vpc-id,Values=vpc-1") && commands.contains("https://hooks.slack.com/"),
        "{commands}"
    );
}

#[test]
fn a_wish_without_a_failure_is_a_warning() {
    let (finding, _) = only(&with_slack(cut(healthy())));
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.message.starts_with("Alertmanager is to reach "), "{}", finding.message);
}

#[test]
fn a_private_network_that_nothing_wants_to_leave_is_no_fault() {
    let mut snap = cut(healthy());
    *snap.alertmanager_status = Ok(AlertmanagerStatus::default());
    assert_eq!(findings(&snap), []);
    // The broken subnet is not Alertmanager's.
    let mut other = with_timeouts(with_slack(healthy()));
    routes(&mut other, 1).truncate(1);
    assert_eq!(findings(&other), []);
}

#[test]
fn an_answer_from_the_internet_shows_that_the_way_is_open() {
    let mut snap = with_timeouts(with_slack(cut(healthy())));
    let answered = TIMEOUT.replace("dial tcp 3.68.175.98:443: i/o timeout", "unexpected status code 404: no_service");
    snap.component_logs.as_mut().expect("logs")[0].text = answered.into();
    assert_eq!(findings(&snap), []);
}

#[test]
fn a_proxy_makes_the_route_unneeded() {
    let mut snap = with_timeouts(with_slack(cut(healthy())));
    snap.pods = Listing::cluster(from(json!([{"metadata": {"name": "am-0", "namespace": "monitoring"},
        "spec": {"nodeName": "node-a", "containers": [{"name": "alertmanager", "env": [{"name": "HTTPS_PROXY", "value": "http://p"}]}]}}])));
    assert_eq!(findings(&snap), []);
}

#[test]
fn image_pulls_that_time_out_count_but_not_those_from_a_private_registry() {
    let event = |message: &str| {
        json!([{"type": "Warning", "reason": "Failed", "message": message, "lastTimestamp": "2026-01-01T11:55:00Z",
        "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "am-0"}}])
    };
    let mut snap = cut(healthy());
    snap.events = Listing::cluster(from(event(
        "Failed to pull image \"docker.io/library/nginx:1\": failed to do request: Head \"https://registry-1.docker.io/v2/x\": dial tcp 3.94.224.37:443: i/o timeout",
    )));
    assert_eq!(only(&snap).0.severity, Severity::Error);
    *snap.alertmanager_status = Ok(AlertmanagerStatus::default());
    snap.events = Listing::cluster(from(event(
        "Failed to pull image \"registry.corp/x\": failed to do request: Head \"https://registry.corp/v2/x\": dial tcp 10.1.1.1:443: i/o timeout",
    )));
    assert_eq!(findings(&snap), []);
}

#[test]
fn makes_a_nat_gateway_only_where_there_is_none() {
    let mut snap = with_slack(cut(healthy()));
    *snap.nat_gateways = Ok(Vec::new());
    snap.route_tables.as_mut().expect("tables").remove(1);
    let (finding, commands) = only(&snap);
    assert_eq!(finding.variant, "create-nat");
    assert!(commands.contains("create-nat-gateway --subnet-id subnet-public"), "{commands}");
    assert!(commands.contains("create-route --route-table-id rtb-a"), "{commands}");
    snap.route_tables.as_mut().expect("tables").remove(1);
    assert!(only(&snap).1.contains("'<public-subnet-id>'"));
}

#[test]
fn a_failed_nat_gateway_is_replaced_by_one_that_works() {
    let mut snap = healthy();
    routes(&mut snap, 0)[1].nat_gateway_id = Some("nat-2".into());
    let failed = json!({"NatGatewayId": "nat-2", "SubnetId": "subnet-public", "State": "failed", "FailureCode": "Gateway.NotAttached",
        "FailureMessage": "Network vpc-1 has no Internet gateway attached"});
    snap.nat_gateways.as_mut().expect("nats").push(from(failed));
    let (finding, commands) = only(&snap);
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.message.contains("nat-2, which is failed (Gateway.NotAttached: Network"), "{}", finding.message);
    assert!(
        commands
            .contains("replace-route --route-table-id rtb-a --destination-cidr-block 0.0.0.0/0 --nat-gateway-id nat-1"),
        "{commands}"
    );
}

#[test]
fn each_routing_fault_has_its_fix() {
    let nat_state = |state: &str| {
        let mut snap = healthy();
        snap.nat_gateways.as_mut().expect("nats")[0].state = state.into();
        routes(&mut snap, 1)[1] = from(default_to("TransitGatewayId", "tgw-1"));
        snap
    };
    let (pending, _) = only(&nat_state("pending"));
    assert_eq!((pending.variant, pending.severity), ("nat-pending", Severity::Info));
    let (deleted, commands) = only(&nat_state("deleted"));
    assert_eq!(deleted.variant, "create-nat");
    assert!(commands.contains("replace-route"), "{commands}");

    let mut stranded = nat_state("available");
    stranded.nat_gateways.as_mut().expect("nats")[0].subnet_id = "subnet-lost".into();
    let lost = json!({"RouteTableId": "rtb-lost", "VpcId": "vpc-1", "Associations": [{"SubnetId": "subnet-lost"}], "Routes": [local()]});
    stranded.route_tables.as_mut().expect("tables").push(from(lost));
    let (finding, commands) = only(&stranded);
    assert_eq!((finding.variant, finding.subject().name().as_str()), ("nat-in-private", "nat-1"));
    assert!(
        commands
            .contains("create-route --route-table-id rtb-lost --destination-cidr-block 0.0.0.0/0 --gateway-id igw-1"),
        "{commands}"
    );

    let mut gone = nat_state("available");
    routes(&mut gone, 0)[1] =
        from(json!({"DestinationCidrBlock": "0.0.0.0/0", "TransitGatewayId": "tgw-9", "State": "blackhole"}));
    assert_eq!(only(&gone).0.variant, "restore-target");

    let mut detached = nat_state("available");
    *detached.internet_gateways = Ok(Vec::new());
    let (finding, commands) = only(&detached);
    assert_eq!((finding.variant, finding.subject().name().as_str()), ("attach-gateway", "rtb-public"));
    assert!(commands.contains("attach-internet-gateway --internet-gateway-id igw-1 --vpc-id vpc-1"), "{commands}");
}

#[test]
fn nodes_behind_an_internet_gateway_need_public_addresses() {
    let mut snap = with_slack(healthy());
    routes(&mut snap, 0)[1] = from(default_to("GatewayId", "igw-1"));
    let (finding, commands) = only(&snap);
    assert_eq!(finding.variant, "igw-no-public-ip");
    assert!(commands.contains("--subnet-id subnet-a --map-public-ip-on-launch"), "{commands}");
    assert!(commands.contains("--instance-ids i-a"), "{commands}");
    snap.instances.as_mut().expect("instances")[0].public_ip_address = Some("3.3.3.3".into());
    assert_eq!(findings(&snap), []);
}

#[test]
fn an_acl_or_security_group_counts_only_where_something_wants_out() {
    let mut snap = healthy();
    *snap.security_groups = Ok(from(json!([{"GroupId": "sg-1", "IpPermissionsEgress": []}])));
    *snap.alertmanager_status = Ok(AlertmanagerStatus::default());
    assert_eq!(findings(&snap), []);
    let (finding, commands) = only(&with_slack(snap));
    assert_eq!(
        finding.broken(),
        [ResourceRef::aws("ec2", "subnet", "subnet-a"), ResourceRef::aws("ec2", "subnet", "subnet-b")]
    );
    assert!(commands.contains("authorize-security-group-egress --group-id sg-1"), "{commands}");

    let mut snap = with_timeouts(healthy());
    let allow = |number: u32, egress: bool| json!({"RuleNumber": number, "Egress": egress, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"});
    let deny = json!({"RuleNumber": 50, "Egress": true, "Protocol": "6", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 443, "To": 443}});
    *snap.network_acls = Ok(from(json!([{"NetworkAclId": "acl-1", "Associations": [{"SubnetId": "subnet-a"}],
        "Entries": [allow(100, true), allow(100, false), deny]}])));
    let (finding, commands) = only(&snap);
    assert_eq!((finding.variant, finding.severity), ("nacl", Severity::Error));
    let entry = "create-network-acl-entry --network-acl-id acl-1 --egress --rule-number 49 --protocol tcp --port-range From=443,To=443 --cidr-block 0.0.0.0/0 --rule-action allow";
    assert!(commands.contains(entry) && !commands.contains("--ingress"), "{commands}");
}

#[test]
fn ipv6_clusters_leave_through_either_family() {
    let mut snap = with_slack(cut(healthy()));
    snap.eks_cluster.as_mut().expect("cluster").kubernetes_network_config.ip_family = "ipv6".into();
    let (finding, commands) = only(&snap);
    assert_eq!(finding.variant, "create-eigw");
    assert!(
        commands.contains("--destination-ipv6-cidr-block ::/0 --egress-only-internet-gateway-id \"$EIGW_ID\""),
        "{commands}"
    );
    let v6 = json!({"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1", "State": "active"});
    routes(&mut snap, 0).push(from(v6));
    assert_eq!(findings(&snap), []);
}

#[test]
fn subnets_of_one_table_are_one_finding() {
    let mut snap = with_slack(cut(healthy()));
    let tables = snap.route_tables.as_mut().expect("tables");
    let b = tables.remove(1).associations;
    tables[0].associations.extend(b);
    assert_eq!(only(&snap).0.broken().len(), 2);
}

#[test]
fn subnets_behind_one_nat_gateway_share_a_missing_internet_gateway() {
    let mut snap = healthy();
    *snap.internet_gateways = Ok(Vec::new());
    assert_eq!(only(&snap).0.broken().len(), 2);
}

#[test]
fn what_was_not_read_is_a_gap() {
    let gap = Gap::new("x", GapCause::Timeout, "");
    for fact in NatEgress::META.requires {
        let mut snap = healthy();
        snap.forget(*fact, &gap);
        assert!(NatEgress.diagnose(&snap).is_err(), "{fact}");
    }
    // A private network, and no word on whether Alertmanager needs more.
    let mut snap = cut(healthy());
    snap.forget(Fact::ComponentLogs, &gap);
    snap.forget(Fact::AlertmanagerStatus, &gap);
    assert!(NatEgress.diagnose(&snap).is_err());
}

#[test]
fn is_about_eks_only() {
    let mut snap = healthy();
    snap.platform = Platform::Other;
    assert!(matches!(NatEgress.diagnose(&snap), Ok(Diagnosis::NotApplicable(_))));
}

#[test]
fn instances_that_do_not_join_count_where_endpoints_are_lacking() {
    let mut snap = cut(healthy());
    let group = json!([{"nodegroupName": "ng-2", "subnets": ["subnet-a"], "health": {"issues": [
        {"code": "NodeCreationFailure", "message": "Instances failed to join the kubernetes cluster"}]}}]);
    *snap.eks_nodegroups = Ok(from(group));
    snap.nodes = Listing::cluster(Vec::new());
    let (finding, commands) = only(&snap);
    assert_eq!((finding.severity, finding.variant), (Severity::Error, "create-route"));
    assert!(finding.broken().contains(&ResourceRef::aws("eks", "nodegroup", "ng-2")), "{:?}", finding.broken());
    assert!(commands.contains("create-route --route-table-id rtb-a"), "{commands}");
    // A private cluster has endpoints for all that nodes need; that they do not join has another reason.
    let endpoint = |name: &str| json!({"VpcEndpointId": name, "ServiceName": format!("com.amazonaws.cn-north-1.{name}"), "State": "available"});
    *snap.vpc_endpoints = Ok(from(json!([endpoint("ec2"), endpoint("ecr.api"), endpoint("ecr.dkr"), endpoint("s3")])));
    assert_eq!(findings(&snap), []);
}
