//! The semantics of networking.k8s.io/v1, case by case.

use serde_json::{Value, json};

use super::*;

fn pod(namespace: &str, app: &str, ip: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "name": format!("{app}-0"), "labels": {"app": app, "tier": "backend"}},
        "spec": {"containers": [{"name": app, "ports": [
            {"name": "metrics", "containerPort": 9100, "protocol": "TCP"}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]}]},
        "status": {"phase": "Running", "podIP": ip}
    }))
    .expect("a pod")
}

fn policy(namespace: &str, spec: Value) -> NetworkPolicy {
    serde_json::from_value(json!({"metadata": {"namespace": namespace, "name": "p"}, "spec": spec})).expect("a policy")
}

fn namespaces() -> Vec<Namespace> {
    serde_json::from_value(json!([
        {"metadata": {"name": "monitoring", "labels": {"kubernetes.io/metadata.name": "monitoring", "team": "sre"}}},
        {"metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}}}
    ]))
    .expect("namespaces")
}

/// Whether prometheus in monitoring reaches TCP 9100 of web in shop.
fn reaches(policies: &[(&str, Value)]) -> bool {
    let all: Vec<NetworkPolicy> = policies.iter().map(|(ns, spec)| policy(ns, spec.clone())).collect();
    let (from, to) = (pod("monitoring", "prometheus", "10.0.1.5"), pod("shop", "web", "10.0.2.7"));
    let namespaces = namespaces();
    Policies::new(&all, Some(&namespaces)).between(&from, &to, Protocol::Tcp, 9100).is_none()
}

fn ingress(rule: Value) -> Vec<(&'static str, Value)> {
    vec![("shop", json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [rule]}))]
}

fn egress(rule: Value) -> Vec<(&'static str, Value)> {
    vec![("monitoring", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}))]
}

#[test]
fn isolation() {
    let cases = [
        ("no policy", vec![], true),
        ("deny all ingress", vec![("shop", json!({"podSelector": {}, "policyTypes": ["Ingress"]}))], false),
        (
            "an empty list denies",
            vec![("shop", json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}))],
            false,
        ),
        ("a missing podSelector selects all", vec![("shop", json!({"policyTypes": ["Ingress"]}))], false),
        ("without policyTypes ingress is isolated", vec![("shop", json!({"podSelector": {}}))], false),
        ("without policyTypes and egress rules egress is open", vec![("monitoring", json!({"podSelector": {}}))], true),
        (
            "without policyTypes egress rules isolate egress",
            vec![("monitoring", json!({"podSelector": {}, "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}]}))],
            false,
        ),
        ("deny all egress", vec![("monitoring", json!({"podSelector": {}, "policyTypes": ["Egress"]}))], false),
        (
            "egress of the target does not matter",
            vec![("shop", json!({"podSelector": {}, "policyTypes": ["Egress"]}))],
            true,
        ),
        (
            "ingress of the scraper does not matter",
            vec![("monitoring", json!({"podSelector": {}, "policyTypes": ["Ingress"]}))],
            true,
        ),
        (
            "another namespace's policy",
            vec![("other", json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}))],
            true,
        ),
        (
            "another pod's policy",
            vec![("shop", json!({"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"]}))],
            true,
        ),
        (
            "selected by expressions",
            vec![(
                "shop",
                json!({"podSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": ["web", "api"]}, {"key": "canary", "operator": "DoesNotExist"}]}}),
            )],
            false,
        ),
        (
            "not selected by expressions",
            vec![(
                "shop",
                json!({"podSelector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["backend"]}]}}),
            )],
            true,
        ),
        (
            "policies add up",
            vec![
                ("shop", json!({"podSelector": {}, "policyTypes": ["Ingress"]})),
                (
                    "shop",
                    json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [
                    {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]}]}),
                ),
            ],
            true,
        ),
    ];
    for (name, policies, expected) in cases {
        assert_eq!(reaches(&policies), expected, "{name}");
    }
}

#[test]
fn who_is_admitted() {
    let all_of = |ns: &str| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}});
    let both = |ns: &str, app: &str| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}, "podSelector": {"matchLabels": {"app": app}}});
    let cases = [
        ("an empty rule admits all", json!({}), true),
        ("an empty from admits all", json!({"from": []}), true),
        ("pods of the same namespace only", json!({"from": [{"podSelector": {}}]}), false),
        (
            "a podSelector speaks of the policy's own namespace",
            json!({"from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]}),
            false,
        ),
        ("any namespace", json!({"from": [{"namespaceSelector": {}}]}), true),
        ("the namespace by name", json!({"from": [all_of("monitoring")]}), true),
        ("another namespace", json!({"from": [all_of("ingress")]}), false),
        ("a label of the namespace", json!({"from": [{"namespaceSelector": {"matchLabels": {"team": "sre"}}}]}), true),
        (
            "a label that it lacks",
            json!({"from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]}),
            false,
        ),
        (
            "an expression on the namespace",
            json!({"from": [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}]}),
            true,
        ),
        ("namespace and pod", json!({"from": [both("monitoring", "prometheus")]}), true),
        ("namespace and another pod", json!({"from": [both("monitoring", "grafana")]}), false),
        ("one of several", json!({"from": [all_of("ingress"), both("monitoring", "prometheus")]}), true),
        ("a network that holds it", json!({"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]}), true),
        ("a network without it", json!({"from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}), false),
        (
            "an exception that holds it",
            json!({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}),
            false,
        ),
        (
            "an exception elsewhere",
            json!({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.2.0/24"]}}]}),
            true,
        ),
        ("an IPv6 network", json!({"from": [{"ipBlock": {"cidr": "::/0"}}]}), false),
    ];
    for (name, rule, expected) in cases {
        assert_eq!(reaches(&ingress(rule)), expected, "{name}");
    }
}

#[test]
fn which_ports_are_admitted() {
    let cases = [
        ("its number", json!({"port": 9100}), true),
        ("another number", json!({"port": 8080}), false),
        ("its name", json!({"port": "metrics"}), true),
        ("another name", json!({"port": "http"}), false),
        ("a name of the other protocol", json!({"port": "dns"}), false),
        ("a range", json!({"port": 9000, "endPort": 9200}), true),
        ("a range below", json!({"port": 9000, "endPort": 9099}), false),
        ("the other protocol", json!({"port": 9100, "protocol": "UDP"}), false),
        ("every port", json!({"protocol": "TCP"}), true),
    ];
    for (name, port, expected) in cases {
        assert_eq!(reaches(&ingress(json!({"ports": [port]}))), expected, "ingress: {name}");
        assert_eq!(reaches(&egress(json!({"ports": [port]}))), expected, "egress: {name}");
    }
    assert!(reaches(&ingress(json!({"ports": []}))));
}

#[test]
fn egress_names_the_receiver() {
    let cases = [
        (
            "the target's namespace",
            json!({"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]}),
            true,
        ),
        ("its own namespace", json!({"to": [{"podSelector": {}}]}), false),
        ("the target's address", json!({"to": [{"ipBlock": {"cidr": "10.0.2.7/32"}}]}), true),
        ("only DNS", json!({"to": [{"namespaceSelector": {}}], "ports": [{"port": 53, "protocol": "UDP"}]}), false),
        (
            "only the internet",
            json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "172.16.0.0/12"]}}]}),
            false,
        ),
    ];
    for (name, rule, expected) in cases {
        assert_eq!(reaches(&egress(rule)), expected, "{name}");
    }
}

#[test]
fn what_is_not_known_counts_as_admitted() {
    let (from, to) = (pod("monitoring", "prometheus", "10.0.1.5"), pod("shop", "web", "10.0.2.7"));
    let selecting = |labels: Value| {
        let spec = json!({"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": labels}}]}]});
        vec![policy("shop", spec)]
    };
    let free = |all: &[NetworkPolicy]| Policies::new(all, None).between(&from, &to, Protocol::Tcp, 9100).is_none();
    assert!(free(&selecting(json!({"team": "sre"}))), "the namespace's labels were not read");
    assert!(!free(&selecting(json!({"kubernetes.io/metadata.name": "ingress"}))), "its name is known");
    assert!(!free(&selecting(json!({"kubernetes.io/metadata.name": "ingress", "team": "sre"}))));
    // A namespace list whose entry lacks the label that the API server keeps.
    let bare: Vec<Namespace> =
        serde_json::from_value(json!([{"metadata": {"name": "monitoring"}}])).expect("a namespace");
    let by_name = selecting(json!({"kubernetes.io/metadata.name": "monitoring"}));
    assert!(Policies::new(&by_name, Some(&bare)).between(&from, &to, Protocol::Tcp, 9100).is_none());
}

#[test]
fn pods_in_the_network_of_their_node_are_not_covered() {
    let deny = |ns: &str| policy(ns, json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    let all = [deny("monitoring"), deny("shop")];
    let free = |from: &Pod, to: &Pod| Policies::new(&all, None).between(from, to, Protocol::Tcp, 9100).is_none();
    let (from, mut to) = (pod("other", "prometheus", "10.0.1.5"), pod("shop", "web", "10.0.2.7"));
    assert!(!free(&from, &to));
    to.spec.host_network = true;
    assert!(free(&from, &to));
    let mut scraper = pod("monitoring", "prometheus", "10.0.1.5");
    scraper.spec.host_network = true;
    assert!(free(&scraper, &pod("shop", "web", "10.0.2.7")));
    assert!(free(&pod("shop", "web", "10.0.2.7"), &pod("shop", "web", "10.0.2.7")), "a pod reaches itself");
}

#[test]
fn addresses_outside_the_cluster() {
    let from = pod("monitoring", "prometheus", "10.0.1.5");
    let free = |rule: Value, peer: &Peer<'_>| {
        let all = [policy("monitoring", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}))];
        Policies::new(&all, None).block(Direction::Egress, &from, peer, Protocol::Tcp, 443).is_none()
    };
    let to = |cidr: &str| json!({"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": 443}]});
    let slack = Peer::address("3.68.175.98".parse().expect("an address"));
    assert!(free(to("0.0.0.0/0"), &slack) && !free(to("10.0.0.0/8"), &slack));
    assert!(!free(json!({"to": [{"namespaceSelector": {}}]}), &slack), "all pods are not all addresses");
    assert!(free(json!({"ports": [{"port": 443}]}), &slack));
    let somewhere = Peer::internet();
    for cidr in ["0.0.0.0/0", "128.0.0.0/1", "0.0.0.0/1", "3.64.0.0/12"] {
        assert!(free(to(cidr), &somewhere), "{cidr}");
    }
    for cidr in ["10.0.0.0/8", "172.20.0.1/32", "192.168.4.0/24"] {
        assert!(!free(to(cidr), &somewhere), "{cidr}");
    }
    let control_plane = Peer { networks: vec!["10.0.1.0/24".parse().expect("a network")], ..Peer::default() };
    assert!(free(to("10.0.0.0/16"), &control_plane) && free(to("10.0.1.128/25"), &control_plane));
    assert!(!free(to("172.20.0.1/32"), &control_plane) && !free(to("10.0.2.0/24"), &control_plane));
}

#[test]
fn an_except_wins_over_wider_rules_where_the_plugin_reads_so() {
    let (from, to) = (pod("monitoring", "prometheus", "10.0.1.5"), pod("shop", "web", "10.0.2.7"));
    let namespaces = namespaces();
    let outside = json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]});
    let by_port = json!({"ports": [{"port": 9100}]});
    let block = |rules: Value, wins: bool| {
        let all = vec![policy("monitoring", json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules}))];
        let policies = Policies::new(&all, Some(&namespaces)).except_wins(wins);
        policies.between(&from, &to, Protocol::Tcp, 9100).map(|b| b.except.map(|n| n.to_string()))
    };
    assert_eq!(block(json!([outside, by_port]), false), None);
    assert_eq!(block(json!([outside, by_port]), true), Some(Some("10.0.0.0/8".into())));
    // Who is named himself is admitted all the same.
    let by_name = json!({"to": [{"namespaceSelector": {}}], "ports": [{"port": 9100}]});
    assert_eq!(block(json!([outside, by_name]), true), None);
    let nearer = json!({"to": [{"ipBlock": {"cidr": "10.0.2.0/24"}}]});
    assert_eq!(block(json!([outside, nearer]), true), None);
}
