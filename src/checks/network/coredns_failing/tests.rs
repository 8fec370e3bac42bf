use serde_json::{Value, json};

use super::CorednsFailing;
use crate::checks::Check;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::model::Diagnosis;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::ContainerLog;

fn pod(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "kube-system", "labels": {"k8s-app": "kube-dns", "pod-template-hash": "1"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "coredns-1", "controller": true}]},
        "spec": {"nodeName": node, "containers": [{"name": "coredns", "image": "eks/coredns:v1.11.4"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn snap(nodes: [&str; 2], log: &str) -> Snapshot {
    let mut snap = snapshot(json!({"pods": [pod("coredns-1-a", nodes[0]), pod("coredns-1-b", nodes[1])]}));
    let node = |name: &str| json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    snap.nodes =
        crate::snapshot::Listing::cluster(serde_json::from_value(json!([node("n1"), node("n2")])).expect("nodes"));
    let log = ContainerLog {
        namespace: "kube-system".into(),
        pod: "coredns-1-a".into(),
        container: "coredns".into(),
        program: None,
        image: "eks/coredns:v1.11.4".into(),
        previous: false,
        text: log.into(),
    };
    *snap.part_logs = Ok(vec![log]);
    snap
}

const TIMEOUT: &str =
    "[ERROR] plugin/errors: 2 api.example.com. A: read udp 10.0.1.5:33001->10.0.0.2:53: i/o timeout\n";

/// A log that was not read is no CoreDNS that is well.
#[test]
fn without_a_log_nothing_is_said_of_it() {
    let mut unread = snap(["n1", "n2"], "");
    *unread.part_logs = Ok(Vec::new());
    assert!(CorednsFailing.diagnose(&unread).is_err());
    let mut none = snapshot(json!({"pods": []}));
    *none.part_logs = Ok(Vec::new());
    assert!(matches!(CorednsFailing.diagnose(&none), Ok(Diagnosis::NotApplicable(_))));
}

#[test]
fn a_lost_packet_is_no_fault() {
    assert!(findings(&CorednsFailing, &snap(["n1", "n2"], &TIMEOUT.repeat(2))).is_empty());
    assert!(findings(&CorednsFailing, &snap(["n1", "n2"], ".:53\nCoreDNS-1.11.4\n")).is_empty());
}

#[test]
fn pods_on_one_node_share_the_limit_of_the_resolver() {
    let found = findings(&CorednsFailing, &snap(["n1", "n1"], &TIMEOUT.repeat(6)));
    assert!(found[0].message.contains("all its 2 pods run on the same node, n1"), "{}", found[0].message);
    assert!(steps(&found[0]).contains("kubectl rollout restart deployment/coredns -n kube-system"));
    let apart = findings(&CorednsFailing, &snap(["n1", "n2"], &TIMEOUT.repeat(6)));
    assert!(!apart[0].message.contains("same node") && !steps(&apart[0]).contains("rollout restart"));
}

#[test]
fn another_server_is_named() {
    let log = TIMEOUT.replace("10.0.0.2", "192.168.7.53").repeat(6);
    let found = findings(&CorednsFailing, &snap(["n1", "n2"], &log));
    assert!(found[0].message.contains("the server 192.168.7.53 that it forwards to"), "{}", found[0].message);
}

#[test]
fn a_corefile_that_is_wrong() {
    let log = "/etc/coredns/Corefile:7 - Error during parsing: Unknown directive 'forwrad'\n";
    let found = findings(&CorednsFailing, &snap(["n1", "n2"], log));
    assert!(found[0].message.contains("line 7 Unknown directive 'forwrad'"), "{}", found[0].message);
    assert!(found[0].locations.is_empty(), "its file was not read");
}

/// The line is named as long as the file still says what the log complains of.
#[test]
fn the_line_of_the_corefile_is_named() {
    let log = "/etc/coredns/Corefile:2 - Error during parsing: Unknown directive 'forwrad'\n";
    let lines = |text: &str| {
        let (mut made, own) = (snap(["n1", "n1"], log), unready(Some(text), 1));
        (made.pods, made.config_maps) = (own.pods, own.config_maps);
        let found = findings(&CorednsFailing, &made);
        found[0].locations.iter().map(|l| (l.field.clone(), l.line)).collect::<Vec<_>>()
    };
    assert_eq!(lines(".:53 {\n    forwrad . 10.0.0.2\n}\n"), [("data[Corefile]".to_owned(), Some(2))]);
    assert_eq!(lines(".:53 {\n    forward . 10.0.0.2\n}\n"), []);
}

/// At its start CoreDNS may have to wait for the API; one that is cut off says so again and again.
#[test]
fn one_line_of_a_start_is_no_fault() {
    let line = "[WARNING] plugin/kubernetes: Kubernetes API connection failure: Get \"https://172.20.0.1:443/version\": dial tcp 172.20.0.1:443: i/o timeout\n";
    assert!(findings(&CorednsFailing, &snap(["n1", "n2"], line)).is_empty());
    assert_eq!(findings(&CorednsFailing, &snap(["n1", "n2"], &line.repeat(3))).len(), 1);
    let watch = "W1121 00:20:49.826213       1 reflector.go:561] pkg/mod/k8s.io/client-go@v0.31.2/tools/cache/reflector.go:243: failed to list *v1.Service: Get \"https://172.20.0.1:443/api/v1/services\": dial tcp 172.20.0.1:443: connect: connection refused\n";
    assert!(findings(&CorednsFailing, &snap(["n1", "n2"], &watch.repeat(9))).is_empty(), "the API server was updated");
}

fn unready(corefile: Option<&str>, times: u32) -> Snapshot {
    let probed = |name: &str| {
        let mut one = pod(name, "n1");
        one["metadata"]["creationTimestamp"] = json!("2026-11-20T00:00:00Z");
        one["spec"]["volumes"] = json!([{"name": "config-volume", "configMap": {"name": "coredns"}}]);
        one["spec"]["containers"][0]["readinessProbe"] = json!({"httpGet": {"path": "/ready", "port": 8181}});
        one["status"]["conditions"][0]["status"] = json!("False");
        one
    };
    let said = "Readiness probe failed: Get \"http://10.0.1.5:8181/ready\": dial tcp 10.0.1.5:8181: connect: connection refused";
    let event = |name: &str| {
        json!({"metadata": {"name": name, "namespace": "kube-system"}, "type": "Warning", "reason": "Unhealthy", "message": said,
            "count": times, "involvedObject": {"kind": "Pod", "namespace": "kube-system", "name": name}})
    };
    let mut made = snap(["n1", "n1"], "CoreDNS-1.13.2\n");
    let own =
        snapshot(json!({"pods": [probed("coredns-1-a"), probed("coredns-1-b")], "events": [event("coredns-1-a")]}));
    (made.pods, made.events) = (own.pods, own.events);
    if let Some(text) = corefile {
        let map = json!([{"metadata": {"name": "coredns", "namespace": "kube-system"}, "data": {"Corefile": text}}]);
        made.config_maps = crate::snapshot::Listing::cluster(serde_json::from_value(map).expect("a ConfigMap"));
    }
    made
}

#[test]
fn without_the_plugin_nobody_says_that_it_is_ready() {
    let file = ".:53 {\n    errors\n    health\n    reload\n}\n";
    let found = findings(&CorednsFailing, &unready(Some(file), 40));
    assert_eq!((found.len(), found[0].variant), (1, "ready"));
    assert!(!steps(&found[0]).contains("rollout restart"), "it reads its file again by itself");
    let other = findings(&CorednsFailing, &unready(Some(&file.replace("    reload\n", "")), 40));
    assert!(steps(&other[0]).contains("kubectl rollout restart"), "{}", steps(&other[0]));
    // It has the plugin, it has just begun, or nobody has read its file.
    let with = file.replace("health", "health\n    ready");
    let imports = file.replace("health", "health\n    import custom/*.override");
    for quiet in [unready(Some(&with), 40), unready(Some(&imports), 40), unready(Some(file), 1), unready(None, 40)] {
        assert!(findings(&CorednsFailing, &quiet).is_empty());
    }
}

#[test]
fn a_domain_that_is_forwarded_is_told_from_too_many_packets() {
    let of = |names: &[&str]| {
        let log: String = names.iter().map(|n| TIMEOUT.replace("api.example.com", n).repeat(9)).collect();
        let mut found = findings(&CorednsFailing, &snap(["n1", "n2"], &log));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    let found = of(&["ldap.corp.internal", "vault.corp.internal", "db.eu.corp.internal"]);
    assert_eq!(found.variant, "forwarded");
    assert!(found.message.contains("for names of corp.internal alone"), "{}", found.message);
    assert!(steps(&found).contains("Values=corp.internal."), "{}", steps(&found));
    assert_eq!(of(&["ldap.corp.internal"]).variant, "forwarded");
    let random: [&[&str]; 4] = [
        &["api.stripe.com", "hooks.slack.com"],
        &["api.example.com"],
        &["sqs.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com"],
        &["ip-10-0-1-2.eu-west-1.compute.internal"],
    ];
    for names in random {
        assert_eq!(of(names).variant, "vpc-resolver", "{names:?}");
    }
}
