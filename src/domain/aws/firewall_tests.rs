use serde_json::{Value, json};

use super::*;

fn groups(value: Value) -> Vec<SecurityGroup> {
    serde_json::from_value(value).expect("groups")
}

fn interface<'a>(groups: &[&'a str], ip: &str, subnet: &'a str) -> Interface<'a> {
    Interface {
        groups: groups.to_vec(),
        addresses: vec![ip.parse().expect("an address")],
        networks: Vec::new(),
        subnet: Some(subnet),
        instance: None,
        control_plane: false,
    }
}

fn open() -> Value {
    json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
}

/// The verdict on TCP 9100 from 10.0.1.5 (sg-a) to 10.0.2.6 (sg-b) with these inbound rules of sg-b.
fn inbound(rules: Value) -> String {
    let all = groups(json!([
        {"GroupId": "sg-a", "IpPermissionsEgress": open()},
        {"GroupId": "sg-b", "IpPermissions": rules, "IpPermissionsEgress": open()},
    ]));
    let firewall = Firewall { groups: &all, acls: &[] };
    let (from, to) = (interface(&["sg-a"], "10.0.1.5", "s-1"), interface(&["sg-b"], "10.0.2.6", "s-2"));
    match firewall.verdict(&from, &to, Protocol::Tcp, 9100) {
        Verdict::Passes => "passes".into(),
        Verdict::Unknown => "unknown".into(),
        Verdict::Blocked(all) => format!("{all:?}"),
    }
}

#[test]
fn a_rule_admits_by_group_by_network_and_by_port() {
    let blocked = "[Ingress { group: \"sg-b\", source: \"sg-a\" }]";
    for (rules, wanted) in [
        (json!([]), blocked),
        (json!([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-a"}]}]), "passes"),
        (json!([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-b"}]}]), blocked),
        (
            json!([{"IpProtocol": "tcp", "FromPort": 9100, "ToPort": 9100, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}]),
            "passes",
        ),
        (
            json!([{"IpProtocol": "tcp", "FromPort": 9100, "ToPort": 9100, "IpRanges": [{"CidrIp": "10.0.2.0/24"}]}]),
            blocked,
        ),
        (
            json!([{"IpProtocol": "6", "FromPort": 0, "ToPort": 65535, "IpRanges": [{"CidrIp": "10.0.1.5/32"}]}]),
            "passes",
        ),
        (
            json!([{"IpProtocol": "udp", "FromPort": 9100, "ToPort": 9100, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]),
            blocked,
        ),
        (
            json!([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]),
            blocked,
        ),
        (json!([{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}]), "unknown"),
    ] {
        assert_eq!(inbound(rules.clone()), wanted, "{rules}");
    }
}

#[test]
fn ipv6_ranges_admit_ipv6_addresses() {
    let all = groups(json!([
        {"GroupId": "sg-a", "IpPermissionsEgress": open()},
        {"GroupId": "sg-b", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 53, "ToPort": 53, "Ipv6Ranges": [{"CidrIpv6": "2600:1f::/32"}]}]},
    ]));
    let firewall = Firewall { groups: &all, acls: &[] };
    let to = interface(&["sg-b"], "2600:1f::2", "s-2");
    let verdict = |from: &str| firewall.verdict(&interface(&["sg-a"], from, "s-1"), &to, Protocol::Tcp, 53);
    assert_eq!(verdict("2600:1f::9"), Verdict::Passes);
    assert!(matches!(verdict("2600:2f::9"), Verdict::Blocked(_)));
}

#[test]
fn the_sender_must_be_let_out() {
    let all = groups(json!([
        {"GroupId": "sg-a", "IpPermissionsEgress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]},
        {"GroupId": "sg-b", "IpPermissions": open()},
    ]));
    let firewall = Firewall { groups: &all, acls: &[] };
    let (from, to) = (interface(&["sg-a"], "10.0.1.5", "s-1"), interface(&["sg-b"], "10.0.2.6", "s-2"));
    let barrier = Barrier::Egress { group: "sg-a", destination: "sg-b" };
    assert_eq!(firewall.verdict(&from, &to, Protocol::Tcp, 9100), Verdict::Blocked(vec![barrier]));
    assert_eq!(firewall.verdict(&from, &to, Protocol::Tcp, 443), Verdict::Passes);
}

#[test]
fn nodes_of_one_group_need_a_rule_for_themselves() {
    let all = groups(json!([{"GroupId": "sg-n", "IpPermissions": [], "IpPermissionsEgress": open()}]));
    let firewall = Firewall { groups: &all, acls: &[] };
    let (from, to) = (interface(&["sg-n"], "10.0.1.5", "s-1"), interface(&["sg-n"], "10.0.2.6", "s-2"));
    let barrier = Barrier::Ingress { group: "sg-n", source: "sg-n" };
    assert_eq!(firewall.verdict(&from, &to, Protocol::Tcp, 9100), Verdict::Blocked(vec![barrier]));
    let here = Interface { instance: Some("i-1"), ..from };
    let there = Interface { instance: Some("i-1"), ..to };
    assert_eq!(
        firewall.verdict(&here, &there, Protocol::Tcp, 9100),
        Verdict::Passes,
        "on one instance no group is passed"
    );
}

#[test]
fn the_rule_goes_where_rules_connect_the_two_already() {
    let connected = json!([{"IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "UserIdGroupPairs": [{"GroupId": "sg-extra"}]}]);
    let all = groups(json!([
        {"GroupId": "sg-cluster", "IpPermissionsEgress": open()}, {"GroupId": "sg-extra"},
        {"GroupId": "sg-n", "IpPermissions": connected, "IpPermissionsEgress": open()},
    ]));
    let firewall = Firewall { groups: &all, acls: &[] };
    let from = Interface {
        groups: vec!["sg-cluster", "sg-extra"],
        addresses: Vec::new(),
        networks: vec!["10.0.9.0/24".parse().expect("a network")],
        subnet: None,
        instance: None,
        control_plane: true,
    };
    let to = interface(&["sg-n"], "10.0.2.6", "s-2");
    let barrier = Barrier::Ingress { group: "sg-n", source: "sg-extra" };
    assert_eq!(firewall.verdict(&from, &to, Protocol::Tcp, 4443), Verdict::Blocked(vec![barrier]));
    assert_eq!(firewall.verdict(&from, &to, Protocol::Tcp, 10250), Verdict::Passes);
}

#[test]
fn a_group_that_was_not_read_leaves_it_open() {
    let all = groups(json!([{"GroupId": "sg-a", "IpPermissionsEgress": open()}]));
    let firewall = Firewall { groups: &all, acls: &[] };
    let (from, to) = (interface(&["sg-a"], "10.0.1.5", "s-1"), interface(&["sg-b"], "10.0.2.6", "s-2"));
    assert_eq!(firewall.verdict(&from, &to, Protocol::Tcp, 9100), Verdict::Unknown);
}

#[test]
fn acls_drop_requests_and_answers_between_subnets() {
    let all = groups(json!([{"GroupId": "sg-n", "IpPermissions": open(), "IpPermissionsEgress": open()}]));
    let rule = |number: u32, egress: bool, action: &str, cidr: &str| json!({"RuleNumber": number, "Egress": egress, "Protocol": "-1", "RuleAction": action, "CidrBlock": cidr});
    let acls: Vec<NetworkAcl> = serde_json::from_value(json!([{
        "NetworkAclId": "acl-2", "Associations": [{"SubnetId": "s-2"}],
        "Entries": [rule(90, false, "deny", "10.0.1.0/24"), rule(100, false, "allow", "0.0.0.0/0"), rule(100, true, "allow", "0.0.0.0/0")]
    }]))
    .expect("acls");
    let firewall = Firewall { groups: &all, acls: &acls };
    let to = interface(&["sg-n"], "10.0.2.6", "s-2");
    let barrier = Barrier::Acl { acl: "acl-2", egress: false, rule: 90, answer: false };
    let from = interface(&["sg-n"], "10.0.1.5", "s-1");
    assert_eq!(firewall.verdict(&from, &to, Protocol::Tcp, 9100), Verdict::Blocked(vec![barrier]));
    let elsewhere = interface(&["sg-n"], "10.0.3.5", "s-3");
    assert_eq!(firewall.verdict(&elsewhere, &to, Protocol::Tcp, 9100), Verdict::Passes);
}
