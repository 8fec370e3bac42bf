use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{down, snapshot, up};
use crate::snapshot::{Listing, Snapshot};

const URL: &str = "http://web.shop.svc.cluster.local:80/metrics";

fn timeout() -> String {
    format!(
        "Get \"{URL}\": dial tcp: lookup web.shop.svc.cluster.local on 172.20.0.10:53: read udp 10.0.2.5:4->172.20.0.10:53: i/o timeout"
    )
}

fn pod(namespace: &str, name: &str, labels: Value, node: &str, ip: &str, ready: &str) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": ready}]}
    })
}

/// CoreDNS on node a (sg-a), Prometheus on node b (sg-b); the inbound rules of sg-a as given.
fn two_groups(targets: Value, ready: &str, rules: Value) -> Snapshot {
    let from = |value: Value| serde_json::from_value(value).expect("test data");
    let mut snap = snapshot(json!({
        "pods": [
            pod("kube-system", "coredns-1", json!({"k8s-app": "kube-dns"}), "a", "10.0.1.5", ready),
            pod("monitoring", "prometheus-0", json!({"app": "prometheus"}), "b", "10.0.2.5", "True"),
        ],
        "services": [
            {"metadata": {"namespace": "kube-system", "name": "kube-dns"}, "spec": {"clusterIP": "172.20.0.10", "selector": {"k8s-app": "kube-dns"}}},
            {"metadata": {"namespace": "monitoring", "name": "prometheus"}, "spec": {"selector": {"app": "prometheus"}}},
        ],
        "workloads": [{"metadata": {"namespace": "kube-system", "name": "coredns"}, "spec": {"replicas": 1}}],
        "endpoint_slices": [{
            "metadata": {"namespace": "kube-system", "name": "kube-dns-1", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "endpoints": [{"addresses": ["10.0.1.5"], "conditions": {"ready": ready == "True"}}]
        }],
        "targets": targets,
    }));
    let node =
        |name: &str| json!({"metadata": {"name": name}, "spec": {"providerID": format!("aws:///eu-west-1a/i-{name}")}});
    snap.nodes = Listing::cluster(serde_json::from_value(json!([node("a"), node("b")])).expect("nodes"));
    let instance = |id: &str, subnet: &str, group: &str| json!({"InstanceId": id, "SubnetId": subnet, "SecurityGroups": [{"GroupId": group}]});
    *snap.instances =
        Ok(serde_json::from_value(json!([instance("i-a", "subnet-1", "sg-a"), instance("i-b", "subnet-2", "sg-b")]))
            .expect("instances"));
    *snap.subnets = Ok(serde_json::from_value(json!([
        {"SubnetId": "subnet-1", "CidrBlock": "10.0.1.0/24"}, {"SubnetId": "subnet-2", "CidrBlock": "10.0.2.0/24"}
    ]))
    .expect("subnets"));
    *snap.security_groups = Ok(from(json!([{"GroupId": "sg-a", "IpPermissions": rules}, {"GroupId": "sg-b"}])));
    snap
}

fn own_group_only() -> Value {
    json!([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-a"}]}])
}

#[test]
fn is_quiet_where_no_look_up_fails() {
    let wrong_name =
        format!("Get \"{URL}\": dial tcp: lookup web.shop.svc.cluster.local on 172.20.0.10:53: no such host");
    let other = timeout().replace("172.20.0.10", "8.8.8.8");
    for target in [
        up("web", URL),
        down("web", URL, &wrong_name),
        down("web", URL, &other),
        down("web", URL, "context deadline exceeded"),
    ] {
        // The state alone, closed groups and no server, is no evidence.
        let snap = two_groups(json!([target.clone()]), "False", own_group_only());
        assert_eq!(findings(&Dns, &snap), [], "{target}");
    }
}

#[test]
fn names_the_group_that_does_not_admit_the_look_ups() {
    let all = findings(&Dns, &two_groups(json!([down("web", URL, &timeout())]), "True", own_group_only()));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].subject(), &ResourceRef::aws("ec2", "security-group", "sg-a"));
    assert!(all[0].broken().contains(&ResourceRef::service("kube-system", "kube-dns")));
    let fix = steps(&all[0]);
    for protocol in ["udp", "tcp"] {
        let command = format!("--group-id sg-a --protocol {protocol} --port 53 --source-group sg-b");
        assert!(fix.contains(&command), "{fix}");
    }
}

#[test]
fn groups_that_admit_the_look_ups_are_not_to_blame() {
    for rule in [
        json!({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-b"}]}),
        json!({"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}),
        json!({"IpProtocol": "17", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "10.0.2.0/24"}]}),
        json!({"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}),
    ] {
        let all = findings(&Dns, &two_groups(json!([down("web", URL, &timeout())]), "True", json!([rule.clone()])));
        assert_eq!(all.iter().map(|f| f.variant).collect::<Vec<_>>(), ["other"], "{rule}");
    }
    // An answer came through.
    let servfail = timeout().replace("i/o timeout", "server misbehaving");
    let all = findings(&Dns, &two_groups(json!([down("web", URL, &servfail)]), "True", own_group_only()));
    assert_eq!(all.iter().map(|f| f.variant).collect::<Vec<_>>(), ["upstream"]);
    // What is not known is not judged.
    let mut unread = two_groups(json!([down("web", URL, &timeout())]), "True", own_group_only());
    *unread.subnets = Ok(Vec::new());
    assert_eq!(findings(&Dns, &unread).iter().map(|f| f.variant).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn servers_that_are_down_depend_on_their_pods() {
    let all = findings(&Dns, &two_groups(json!([down("web", URL, &timeout())]), "False", own_group_only()));
    assert_eq!(all.len(), 1);
    assert!(all[0].message.contains("none of its 1 pods is ready"), "{}", all[0].message);
    assert!(all[0].depends_on.contains(&ResourceRef::pod("kube-system", "coredns-1")));
    assert!(steps(&all[0]).contains("kubectl describe pods -n kube-system -l k8s-app=kube-dns"));
}

#[test]
fn pods_with_groups_of_their_own_are_not_judged_by_their_nodes() {
    let mut snap = two_groups(json!([down("web", URL, &timeout())]), "True", own_group_only());
    let mut pods = serde_json::json!([
        pod("kube-system", "coredns-1", json!({"k8s-app": "kube-dns"}), "a", "10.0.1.5", "True"),
        pod("monitoring", "prometheus-0", json!({"app": "prometheus"}), "b", "10.0.2.5", "True"),
    ]);
    pods[1]["metadata"]["annotations"] = json!({"vpc.amazonaws.com/pod-eni": "[{\"eniId\": \"eni-1\"}]"});
    snap.pods = Listing::cluster(serde_json::from_value(pods).expect("pods"));
    assert_eq!(findings(&Dns, &snap).iter().map(|f| f.variant).collect::<Vec<_>>(), ["other"]);
}

/// A pod that a policy keeps in does not get out by a restart of the servers.
#[test]
fn servers_are_not_restarted_for_a_pod_that_a_policy_keeps_in() {
    const RESTART: &str = "kubectl rollout restart deployment/coredns -n kube-system";
    let open = json!([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-b"}]}]);
    let mut snap = two_groups(json!([down("web", URL, &timeout())]), "True", open);
    let free = steps(&findings(&Dns, &snap)[0]);
    assert!(free.contains(RESTART), "{free}");
    let policy = json!([{"metadata": {"namespace": "monitoring", "name": "egress"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}]);
    snap.network_policies = Listing::cluster(serde_json::from_value(policy).expect("policies"));
    let kept_in = steps(&findings(&Dns, &snap)[0]);
    assert!(kept_in.contains("kubectl get networkpolicies egress -n monitoring -o yaml"), "{kept_in}");
    assert!(!kept_in.contains(RESTART), "{kept_in}");
}

#[test]
fn an_agent_that_loses_an_answer_now_and_then_is_no_fault() {
    let with = |ages: &[i64]| {
        let mut snap = two_groups(json!([up("web", URL)]), "True", json!([]));
        let line = |age: &i64| {
            let at = jiff::Timestamp::from_second(snap.collected_at.as_second() - age).expect("a time");
            format!(
                "time=\"{at}\" level=error msg=\"getaddrinfo(host='web.shop', err=12): Timeout while contacting DNS servers\"\n"
            )
        };
        let text: String = ages.iter().map(line).collect();
        *snap.part_logs = Ok(vec![crate::snapshot::monitoring::ContainerLog {
            namespace: "monitoring".into(),
            pod: "prometheus-0".into(),
            container: "agent".into(),
            text: text.into(),
            ..crate::snapshot::monitoring::ContainerLog::default()
        }]);
        findings(&Dns, &snap).len()
    };
    assert_eq!(with(&[300, 180, 60]), 1);
    assert_eq!(with(&[300, 60]), 0, "twice in five minutes");
    assert_eq!(with(&[900, 780, 660]), 0, "it is over");
}
