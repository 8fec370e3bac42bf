//! When policies are blamed, and when not.

use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{down, snapshot, up};
use crate::model::{Finding, Program, Severity};
use crate::snapshot::monitoring::ContainerLog;

const TIMEOUT: &str = "Get \"http://web.shop.svc:80/metrics\": context deadline exceeded";

fn pod(namespace: &str, app: &str, ip: &str, ports: Value) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": format!("{app}-0"), "labels": {"app": app, "k8s-app": app, "pod-template-hash": "5d9"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{app}-5d9"), "controller": true}]},
        "spec": {"containers": [{"name": app, "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}
    })
}

fn service(namespace: &str, app: &str, ip: &str, port: u16, target: Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": app},
        "spec": {"clusterIP": ip, "selector": {"app": app}, "ports": [{"port": port, "targetPort": target}]}})
}

fn policy(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

/// Prometheus in monitoring, web in shop behind port 80, DNS; the target of web as given.
fn cluster(target: Value, policies: Value) -> Snapshot {
    let mut snap = snapshot(json!({
        "pods": [
            pod("monitoring", "prometheus", "10.0.1.5", json!([])),
            pod("shop", "web", "10.0.2.7", json!([{"name": "metrics", "containerPort": 9100}])),
            pod("kube-system", "kube-dns", "10.0.3.3", json!([{"name": "dns", "containerPort": 53, "protocol": "UDP"}]))
        ],
        "services": [
            service("monitoring", "prometheus", "172.20.0.8", 9090, json!(9090)),
            service("shop", "web", "172.20.0.9", 80, json!("metrics")),
            service("kube-system", "kube-dns", "172.20.0.10", 53, json!(53)),
            service("default", "kubernetes", "172.20.0.1", 443, json!(443))
        ],
        "targets": [target], "network_policies": policies
    }));
    *snap.component_logs = Ok(Vec::new());
    *snap.part_logs = Ok(Vec::new());
    snap
}

fn only(snap: &Snapshot) -> Finding {
    let mut all = findings(&NetworkPolicyBlocks, snap);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn timed_out() -> Value {
    down("web", "http://web.shop.svc:80/metrics", TIMEOUT)
}

fn same_namespace() -> Value {
    policy(
        "shop",
        "same-namespace",
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"podSelector": {}}]}]}),
    )
}

fn deny(namespace: &str, types: &[&str]) -> Value {
    policy(namespace, "default-deny", json!({"podSelector": {}, "policyTypes": types}))
}

#[test]
fn a_default_deny_with_a_matching_allow_is_fine() {
    let allow = policy(
        "shop",
        "allow",
        json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [
        {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}], "ports": [{"port": 9100}]}]}),
    );
    assert_eq!(findings(&NetworkPolicyBlocks, &cluster(timed_out(), json!([deny("shop", &["Ingress"]), allow]))), []);
}

#[test]
fn policies_under_which_nothing_fails_are_fine() {
    let quiet = |target: Value| findings(&NetworkPolicyBlocks, &cluster(target, json!([same_namespace()]))).is_empty();
    assert!(quiet(up("web", "http://web.shop.svc:80/metrics")));
    let error = |text: &str| down("web", "http://web.shop.svc:80/metrics", text);
    assert!(quiet(error(
        "Get \"http://web.shop.svc:80/metrics\": dial tcp 172.20.0.9:80: connect: connection refused"
    )));
    assert!(quiet(error("server returned HTTP status 503 Service Unavailable")));
    assert!(quiet(error(
        "Get \"http://web.shop.svc:80/metrics\": dial tcp: lookup web.shop.svc on 172.20.0.10:53: no such host"
    )));
}

#[test]
fn a_pod_that_does_not_run_is_no_matter_of_policies() {
    for change in ["phase", "ready"] {
        let mut snap = cluster(timed_out(), json!([same_namespace()]));
        snap.pods = snap.pods.map(|mut p| {
            if p.metadata.namespace == "shop" && change == "phase" {
                p.status.phase = "Pending".into();
            }
            if p.metadata.namespace == "shop" {
                p.status.conditions.clear();
            }
            p
        });
        assert_eq!(findings(&NetworkPolicyBlocks, &snap), [], "{change}");
    }
}

#[test]
fn policies_that_are_not_enforced_are_not_blamed() {
    let mut snap = cluster(timed_out(), json!([same_namespace()]));
    let other = up("web-too", "http://web.shop.svc:80/other");
    snap.prometheus_targets.as_mut().expect("targets").push(serde_json::from_value(other).expect("a target"));
    assert_eq!(findings(&NetworkPolicyBlocks, &snap), []);
}

#[test]
fn names_the_policy_and_writes_the_one_that_lacks() {
    let found = only(&cluster(timed_out(), json!([deny("shop", &["Ingress"]), same_namespace()])));
    assert_eq!(
        found.message,
        "NetworkPolicies shop/same-namespace and shop/default-deny admit nothing from Deployment monitoring/prometheus to Deployment shop/web on TCP 9100 (metrics): job web times out"
    );
    assert_eq!(found.subject().name(), "shop/same-namespace");
    assert!(found.broken().contains(&ResourceRef::ScrapeUrl { url: "http://web.shop.svc:80/metrics".into() }));
    let manifest = "kind: NetworkPolicy\nmetadata:\n  name: allow-prometheus-to-web\n  namespace: shop\nspec:\n  podSelector:\n    matchLabels:\n      app: web\n      k8s-app: web\n  policyTypes:\n    - Ingress\n  ingress:\n    - from:\n        - namespaceSelector:\n            matchLabels:\n              kubernetes.io/metadata.name: monitoring\n          podSelector:\n            matchLabels:\n              app: prometheus\n              k8s-app: prometheus\n      ports:\n        - protocol: TCP\n          port: 9100\n";
    assert!(steps(&found).contains(manifest), "{}", steps(&found));
}

#[test]
fn one_finding_for_all_that_one_policy_drops() {
    let mut snap = cluster(timed_out(), json!([deny("shop", &["Ingress"])]));
    let second = down(
        "web-by-pod",
        "http://10.0.2.7:9102/metrics",
        "Get \"http://10.0.2.7:9102/metrics\": dial tcp 10.0.2.7:9102: i/o timeout",
    );
    snap.prometheus_targets.as_mut().expect("targets").push(serde_json::from_value(second).expect("a target"));
    let found = only(&snap);
    assert_eq!(found.broken().len(), 3, "{:?}", found.broken());
    assert!(steps(&found).contains("port: 9100\n        - protocol: TCP\n          port: 9102\n"), "{}", steps(&found));
}

#[test]
fn egress_without_dns_is_opened_with_dns() {
    let to_shop = policy(
        "monitoring",
        "to-shop",
        json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
        {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]}]}),
    );
    let found = only(&cluster(timed_out(), json!([to_shop])));
    assert!(
        found.message.contains("lets nothing out from Deployment monitoring/prometheus to the cluster's DNS on UDP 53"),
        "{}",
        found.message
    );
    let fix = steps(&found);
    assert!(fix.contains("- Egress\n  egress:\n    - to:\n        - namespaceSelector:\n            matchLabels:\n              kubernetes.io/metadata.name: kube-system\n"), "{fix}");
    assert!(fix.contains("- protocol: TCP\n          port: 53\n        - protocol: UDP\n          port: 53"), "{fix}");

    let found = only(&cluster(timed_out(), json!([deny("monitoring", &["Egress"])])));
    assert!(
        found.message.contains("Deployment shop/web on TCP 9100 (metrics), the cluster's DNS"),
        "{}",
        found.message
    );
}

#[test]
fn a_receiver_on_the_internet_needs_egress() {
    let mut snap = cluster(up("self", "http://localhost:9090/metrics"), json!([deny("monitoring", &["Egress"])]));
    let am: Pod = serde_json::from_value(pod("monitoring", "alertmanager", "10.0.1.6", json!([]))).expect("a pod");
    let mut all = snap.pods.items().expect("pods").to_vec();
    all.push(am);
    snap.pods = crate::snapshot::Listing::cluster(all);
    let line = r#"ts=2026-11-21T01:50:00Z level=error msg="Notify for alerts failed" err="team/slack[0]: notify retry canceled after 9 attempts: Post \"<redacted>\": dial tcp 3.68.175.98:443: i/o timeout""#;
    let log = |text: &str| ContainerLog {
        namespace: "monitoring".into(),
        pod: "alertmanager-0".into(),
        program: Some(Program::Alertmanager),
        text: text.into(),
        ..ContainerLog::default()
    };
    *snap.component_logs = Ok(vec![log(line)]);
    let found = only(&snap);
    assert!(found.message.contains("3.68.175.98 on TCP 443: receiver team gets no notification"), "{}", found.message);
    assert!(
        steps(&found).contains("cidr: \"0.0.0.0/0\"\n            except:\n              - \"10.0.0.0/8\""),
        "{}",
        steps(&found)
    );
    assert_eq!(
        found.broken(),
        [ResourceRef::kubernetes("networking.k8s.io", "NetworkPolicy", "monitoring", "default-deny")]
    );
    // An answer from the other side, however bad, came through.
    *snap.component_logs = Ok(vec![log(&line.replace("i/o timeout", "connect: connection refused"))]);
    assert_eq!(findings(&NetworkPolicyBlocks, &snap), []);
}

#[test]
fn a_component_that_exits_without_the_api_server() {
    let line = "F0324 00:06:38.451180 1 main.go:147] Failed to create client: Get https://172.20.0.1:443/version?timeout=32s: dial tcp 172.20.0.1:443: i/o timeout";
    let with = |policies: Value| {
        let mut snap = cluster(up("self", "http://localhost:9090/metrics"), policies);
        let mut all = snap.pods.items().expect("pods").to_vec();
        all.push(
            serde_json::from_value(pod("monitoring", "kube-state-metrics", "10.0.1.7", json!([]))).expect("a pod"),
        );
        snap.pods = crate::snapshot::Listing::cluster(all);
        let log = ContainerLog {
            namespace: "monitoring".into(),
            pod: "kube-state-metrics-0".into(),
            previous: true,
            text: line.into(),
            ..ContainerLog::default()
        };
        *snap.crash_logs = Ok(vec![log]);
        let cluster = json!({"resourcesVpcConfig": {"vpcId": "vpc-1", "subnetIds": ["subnet-1"]}});
        *snap.eks_cluster = Ok(serde_json::from_value(cluster).expect("a cluster"));
        *snap.subnets =
            Ok(serde_json::from_value(json!([{"SubnetId": "subnet-1", "CidrBlock": "10.0.1.0/24"}])).expect("subnets"));
        snap
    };
    let egress = |rules: Value| {
        json!([policy("monitoring", "egress", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules}))])
    };
    let found = only(&with(egress(json!([{"to": [{"ipBlock": {"cidr": "172.20.0.1/32"}}]}]))));
    assert!(
        found.message.contains("to the API server on TCP 443: Deployment monitoring/kube-state-metrics exits"),
        "{}",
        found.message
    );
    assert!(found.broken().contains(&ResourceRef::pod("monitoring", "kube-state-metrics-0")));
    let fix = steps(&found);
    assert!(fix.contains("cidr: \"10.0.1.0/24\"") && fix.contains("port: 443") && fix.contains("port: 53"), "{fix}");
    assert_eq!(
        findings(
            &NetworkPolicyBlocks,
            &with(egress(json!([{"to": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"port": 443}]}])))
        ),
        []
    );
}

#[test]
fn where_the_agent_is_off_the_finding_says_so() {
    let mut snap = cluster(timed_out(), json!([same_namespace()]));
    let mut all = snap.pods.items().expect("pods").to_vec();
    let agent = json!({"metadata": {"namespace": "kube-system", "name": "aws-node-x"}, "spec": {"containers": [
        {"name": "aws-node"}, {"name": "aws-eks-nodeagent", "args": ["--enable-network-policy=false"]}]}});
    all.push(serde_json::from_value(agent).expect("a pod"));
    snap.pods = crate::snapshot::Listing::cluster(all.clone());
    let found = only(&snap);
    assert_eq!(found.severity, Severity::Warning);
    assert!(found.message.contains("--enable-network-policy=false"), "{}", found.message);
    all.push(
        serde_json::from_value(json!({"metadata": {"namespace": "kube-system", "name": "calico-node-x"}}))
            .expect("a pod"),
    );
    snap.pods = crate::snapshot::Listing::cluster(all);
    assert_eq!(only(&snap).severity, Severity::Error);
}

#[test]
fn parts_that_wait_for_an_answer_in_any_words() {
    let policies = || json!([same_namespace()]);
    let with = |policies: Value, text: &str| {
        let mut snap = cluster(up("self", "http://localhost:9090/metrics"), policies);
        let log = ContainerLog {
            namespace: "monitoring".into(),
            pod: "prometheus-0".into(),
            container: "agent".into(),
            image: "fluent/fluent-bit:4.0".into(),
            text: text.into(),
            ..ContainerLog::default()
        };
        *snap.part_logs = Ok(vec![log]);
        snap
    };
    let line = "[2026/11/21 01:58:00] [error] [net] connection #61 timeout after 10 seconds to: web.shop:80";
    let found = only(&with(policies(), line));
    assert!(found.message.contains("gets no answer"), "{}", found.message);
    assert_eq!(findings(&NetworkPolicyBlocks, &with(json!([]), line)), []);
    assert_eq!(findings(&NetworkPolicyBlocks, &with(policies(), &line.replace("01:58", "00:10"))), [], "long ago");
    let elsewhere = line.replace("web.shop:80", "loki.example.com:80");
    assert_eq!(findings(&NetworkPolicyBlocks, &with(policies(), &elsewhere)), []);
}

#[test]
fn pods_on_the_network_of_their_node_are_not_picked_by_labels() {
    let egress = json!([policy(
        "monitoring",
        "egress",
        json!({"podSelector": {}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]},
            {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "UDP", "port": 53}]}]})
    )]);
    let mut snap = cluster(timed_out(), egress);
    let mut pods = snap.pods.items().expect("pods").to_vec();
    pods[1].spec.host_network = true;
    snap.pods = crate::snapshot::Listing::cluster(pods.clone());
    assert_eq!(findings(&NetworkPolicyBlocks, &snap), [], "the plugin is not known");
    let node = json!({"metadata": {"namespace": "calico-system", "name": "calico-node-x"},
        "spec": {"hostNetwork": true, "containers": [{"name": "calico-node"}]}, "status": {"phase": "Running"}});
    pods.push(serde_json::from_value(node).expect("a pod"));
    snap.pods = crate::snapshot::Listing::cluster(pods);
    let found = only(&snap);
    assert!(found.message.contains("know them by address alone"), "{}", found.message);
    assert!(steps(&found).contains("10.0.2.7/32"), "{}", steps(&found));
}
