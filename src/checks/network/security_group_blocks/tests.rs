use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{down, snapshot, up};
use crate::snapshot::Listing;

const TIMEOUT: &str = "Get \"http://10.0.2.6:9100/metrics\": context deadline exceeded";

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("test data")
}

fn node(name: &str, instance: &str, ip: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"providerID": format!("aws:///eu-west-1a/{instance}")},
        "status": {"addresses": [{"type": "InternalIP", "address": ip}], "conditions": [{"type": "Ready", "status": "True"}]}})
}

/// Prometheus on node a; nodes a and b with group sg-n; targets as given, inbound rules of sg-n as given.
fn cluster(targets: Value, rules: Value) -> Snapshot {
    let pod = json!({
        "metadata": {"namespace": "monitoring", "name": "prometheus-0", "labels": {"app": "prometheus"}},
        "spec": {"nodeName": "a", "containers": [{"name": "prometheus"}]},
        "status": {"phase": "Running", "podIP": "10.0.1.9", "hostIP": "10.0.1.5", "conditions": [{"type": "Ready", "status": "True"}]}
    });
    let service = json!({"metadata": {"namespace": "monitoring", "name": "prometheus"},
        "spec": {"clusterIP": "172.20.0.9", "selector": {"app": "prometheus"}, "ports": [{"port": 9090}]}});
    let mut snap = snapshot(json!({"pods": [pod], "services": [service], "targets": targets}));
    snap.nodes = Listing::cluster(from(json!([node("a", "i-a", "10.0.1.5"), node("b", "i-b", "10.0.2.6")])));
    *snap.subnets = Ok(from(json!([
        {"SubnetId": "s-a", "CidrBlock": "10.0.1.0/24"}, {"SubnetId": "s-b", "CidrBlock": "10.0.2.0/24"}
    ])));
    let instance =
        |id: &str, subnet: &str| json!({"InstanceId": id, "SubnetId": subnet, "SecurityGroups": [{"GroupId": "sg-n"}]});
    *snap.instances = Ok(from(json!([instance("i-a", "s-a"), instance("i-b", "s-b")])));
    let open = json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    *snap.security_groups = Ok(from(json!([
        {"GroupId": "sg-n", "GroupName": "nodes", "IpPermissions": rules, "IpPermissionsEgress": open},
        {"GroupId": "sg-c", "GroupName": "cluster", "IpPermissionsEgress": open}
    ])));
    *snap.network_acls = Ok(Vec::new());
    *snap.eks_cluster = Ok(from(json!({"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c",
        "resourcesVpcConfig": {"clusterSecurityGroupId": "sg-c", "subnetIds": ["s-a", "s-b"]}})));
    snap
}

fn exporters() -> Value {
    json!([up("node", "http://10.0.1.5:9100/metrics"), down("node", "http://10.0.2.6:9100/metrics", TIMEOUT)])
}

#[test]
fn is_quiet_while_nothing_fails() {
    let well = json!([up("node", "http://10.0.1.5:9100/metrics"), up("node", "http://10.0.2.6:9100/metrics")]);
    assert_eq!(findings(&SecurityGroupBlocks, &cluster(well, json!([]))), []);
    let refused = TIMEOUT.replace("context deadline exceeded", "dial tcp 10.0.2.6:9100: connect: connection refused");
    let refused = json!([down("node", "http://10.0.2.6:9100/metrics", &refused)]);
    assert_eq!(findings(&SecurityGroupBlocks, &cluster(refused, json!([]))), []);
}

#[test]
fn names_the_group_the_port_and_the_source() {
    let all = findings(&SecurityGroupBlocks, &cluster(exporters(), json!([])));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].subject(), &ResourceRef::aws("ec2", "security-group", "sg-n"));
    assert!(
        all[0].message.contains("sg-n (nodes) does not admit TCP 9100 from members of the same group"),
        "{}",
        all[0].message
    );
    assert!(all[0].broken().contains(&ResourceRef::ScrapeUrl { url: "http://10.0.2.6:9100/metrics".into() }));
    let fix = steps(&all[0]);
    let command =
        "aws ec2 authorize-security-group-ingress --group-id sg-n --protocol tcp --port 9100 --source-group sg-n";
    assert!(fix.contains(command), "{fix}");
    assert!(fix.contains("scrapePool=node"), "{fix}");
}

#[test]
fn rules_that_admit_it_are_not_to_blame() {
    for rule in [
        json!({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-n"}]}),
        json!({"IpProtocol": "tcp", "FromPort": 9100, "ToPort": 9100, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}),
        json!({"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}),
    ] {
        assert_eq!(findings(&SecurityGroupBlocks, &cluster(exporters(), json!([rule.clone()]))), [], "{rule}");
    }
}

#[test]
fn a_scrape_that_succeeds_refutes_the_rules() {
    let mut targets = exporters();
    targets.as_array_mut().expect("a list").push(up("kubelet", "http://10.0.2.6:10250/metrics"));
    assert_eq!(findings(&SecurityGroupBlocks, &cluster(targets, json!([]))), []);
}

#[test]
fn the_control_plane_needs_the_ports_of_what_it_asks() {
    let mut snap = cluster(json!([]), json!([]));
    snap.api_services = Listing::cluster(from(json!([{
        "metadata": {"name": "v1beta1.metrics.k8s.io"}, "spec": {"service": {"namespace": "kube-system", "name": "metrics-server"}},
        "status": {"conditions": [{"type": "Available", "status": "False", "reason": "FailedDiscoveryCheck",
            "message": "failing or missing response from https://10.0.2.77:10251/apis/metrics.k8s.io/v1beta1: Get \"https://10.0.2.77:10251/apis/metrics.k8s.io/v1beta1\": context deadline exceeded"}]}
    }])));
    let server = json!({"metadata": {"namespace": "kube-system", "name": "ms-1"}, "spec": {"nodeName": "b", "containers": [{"name": "m"}]},
        "status": {"phase": "Running", "podIP": "10.0.2.77"}});
    let mut pods = snap.pods.items().expect("pods").to_vec();
    pods.push(from(server));
    snap.pods = Listing::cluster(pods);
    let all = findings(&SecurityGroupBlocks, &snap);
    assert_eq!(all.len(), 1);
    assert!(all[0].message.contains("TCP 10251 from the control plane (sg-c)"), "{}", all[0].message);
    let fix = steps(&all[0]);
    assert!(fix.contains("--group-id sg-n --protocol tcp --port 10251 --source-group sg-c"), "{fix}");
    assert!(fix.contains("kubectl get apiservice v1beta1.metrics.k8s.io"), "{fix}");
    assert!(all[0].broken().contains(&ResourceRef::service("kube-system", "metrics-server")));
}

/// Three nodes, of which only Prometheus' own has targets that are up.
fn three_nodes() -> Snapshot {
    let third = TIMEOUT.replace("10.0.2.6", "10.0.2.7");
    let mut targets = exporters();
    targets.as_array_mut().expect("a list").push(down("node", "http://10.0.2.7:9100/metrics", &third));
    let mut snap = cluster(targets, json!([]));
    let nodes = json!([node("a", "i-a", "10.0.1.5"), node("b", "i-b", "10.0.2.6"), node("c", "i-c", "10.0.2.7")]);
    snap.nodes = Listing::cluster(from(nodes));
    snap
}

#[test]
fn the_pattern_is_told_without_aws() {
    let mut snap = three_nodes();
    let gap = Gap::new("ec2:DescribeSecurityGroups", crate::model::GapCause::NotConfigured, "no credentials");
    *snap.security_groups = Err(gap);
    let all = findings(&SecurityGroupBlocks, &snap);
    assert_eq!(all.len(), 1);
    assert!(all[0].message.contains("port 9100 is dropped between nodes"), "{}", all[0].message);
    let fix = steps(&all[0]);
    assert!(fix.contains("--instance-ids i-a i-b i-c") && fix.contains("<group-of-the-other-nodes>"), "{fix}");
    // One that answers on another node is enough to doubt it.
    let mut targets = snap.prometheus_targets().expect("targets").clone();
    targets[2].health = "up".into();
    *snap.prometheus_targets = Ok(targets);
    assert!(SecurityGroupBlocks.diagnose(&snap).is_err(), "what fails cannot be judged");
}

#[test]
fn groups_that_admit_it_leave_the_nodes_own_firewall() {
    let mut snap = three_nodes();
    let open = json!([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-n"}]}]);
    snap.security_groups.as_mut().expect("groups")[0].ip_permissions = from(open);
    let instance = json!({"InstanceId": "i-c", "SubnetId": "s-b", "SecurityGroups": [{"GroupId": "sg-n"}]});
    snap.instances.as_mut().expect("instances").push(from(instance));
    let all = findings(&SecurityGroupBlocks, &snap);
    assert_eq!(all.iter().map(|f| f.variant).collect::<Vec<_>>(), ["host"]);
    assert!(all[0].message.contains("although security groups and network ACLs admit it"), "{}", all[0].message);
}

/// Node b is a machine outside of EC2, and its kubelet and its exporter get no answer through.
fn with_hybrid(targets: Value) -> Snapshot {
    let mut snap = cluster(targets, json!([]));
    let mut outside = node("mi-0b", "i-b", "10.0.2.6");
    outside["spec"]["providerID"] = json!("eks-hybrid:///eu-west-1/c/mi-0b");
    snap.nodes = Listing::cluster(from(json!([node("a", "i-a", "10.0.1.5"), outside])));
    snap
}

#[test]
fn a_hybrid_node_of_which_nothing_answers_is_one_cause() {
    let kubelet = TIMEOUT.replace(":9100", ":10250").replace("http://", "https://");
    let mut targets = exporters();
    let all = targets.as_array_mut().expect("a list");
    all.push(up("kubelet", "https://10.0.1.5:10250/metrics"));
    all.push(down("kubelet", "https://10.0.2.6:10250/metrics", &kubelet));
    let found = findings(&SecurityGroupBlocks, &with_hybrid(targets));
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("node mi-0b (10.0.2.6) is Ready"), "{}", found[0].message);
    assert!(found[0].broken().contains(&ResourceRef::port("mi-0b", 10250)));
    assert!(!found[0].broken().contains(&ResourceRef::node("mi-0b")));
    assert!(steps(&found[0]).contains("remoteNetworkConfig"), "{}", steps(&found[0]));
    // One port alone may be the exporter's own fault.
    assert_eq!(findings(&SecurityGroupBlocks, &with_hybrid(exporters())), []);
}
