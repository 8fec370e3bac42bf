//! What is said of port-forwards.

use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use crate::snapshot::probe::{Probe, Trial, Verdict};

/// Grafana behind port 80, on a node that is well.
fn grafana(target: Value) -> Value {
    json!({
        "services": [{"metadata": {"namespace": "monitoring", "name": "loki-grafana"},
            "spec": {"selector": {"app": "grafana"}, "ports": [{"port": 80, "targetPort": target}]}}],
        "pods": [{
            "metadata": {"namespace": "monitoring", "name": "loki-grafana-0", "labels": {"app": "grafana"}},
            "spec": {"nodeName": "node-1", "containers": [{"name": "grafana", "image": "grafana/grafana:11.0.0",
                "ports": [{"name": "grafana", "containerPort": 3000}], "readinessProbe": {"httpGet": {"path": "/api/health", "port": 3000}}}]},
            "status": {"phase": "Running", "podIP": "10.0.2.7", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "grafana", "ready": true, "restartCount": 1, "lastState": {"terminated":
                    {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-20T20:00:00Z"}}}]}
        }],
        "nodes": [
            {"metadata": {"name": "node-1"}, "spec": {"providerID": "aws:///z/i-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.2.1"}]}},
            {"metadata": {"name": "node-2"}, "spec": {"providerID": "aws:///z/i-2"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        ]
    })
}

fn found(objects: &Value) -> Vec<Finding> {
    findings(&PortForward, &read(objects))
}

fn read(objects: &Value) -> Snapshot {
    let mut snap = snapshot(objects.clone());
    snap.nodes = crate::snapshot::Listing::cluster(serde_json::from_value(objects["nodes"].clone()).expect("nodes"));
    snap
}

#[test]
fn ports_that_differ_are_no_fault() {
    for target in [json!("grafana"), json!(3000)] {
        assert_eq!(found(&grafana(target)), []);
    }
    // Ports need not be declared.
    let mut undeclared = grafana(json!(3000));
    undeclared["pods"][0]["spec"]["containers"][0]["ports"] = json!([]);
    assert_eq!(found(&undeclared), []);
}

#[test]
fn a_target_port_that_no_container_has() {
    let all = found(&grafana(json!("http")));
    assert_eq!(all.len(), 1);
    assert!(all[0].message.contains("named http"), "{}", all[0].message);
    assert!(
        steps(&all[0]).contains("kubectl port-forward -n monitoring pod/loki-grafana-0 3000:3000"),
        "{}",
        steps(&all[0])
    );
    let all = found(&grafana(json!(8080)));
    assert!(all[0].message.contains("listens on 3000"), "{}", all[0].message);
    let mut unready = grafana(json!("http"));
    unready["pods"][0]["status"]["conditions"][0]["status"] = json!("False");
    assert_eq!(found(&unready), [], "then other checks speak");
}

#[test]
fn the_services_port_asked_of_a_pod() {
    let mut objects = grafana(json!(3000));
    let text = "an error occurred forwarding 3001 -> 80: error forwarding port 80 to pod c765c0df8a19, uid : failed to execute portforward in network namespace \"/var/run/netns/cni-f2eb\": failed to connect to localhost:80 inside namespace, IPv4: dial tcp4 127.0.0.1:80: connect: connection refused";
    let event = |text: &str| {
        json!({"metadata": {"namespace": "monitoring", "name": "e"}, "message": text, "lastTimestamp": "2026-11-21T01:55:00Z",
        "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "loki-grafana-0"}})
    };
    objects["events"] = json!([event(text)]);
    let all = found(&objects);
    assert_eq!(all.len(), 1);
    let fix = steps(&all[0]);
    assert!(fix.contains("kubectl port-forward -n monitoring svc/loki-grafana 3000:80"), "{fix}");
    assert!(fix.contains("kubectl port-forward -n monitoring pod/loki-grafana-0 3000:3000"), "{fix}");
    // The right port: what was wrong is over.
    objects["events"] = json!([event(&text.replace("80", "3000"))]);
    assert_eq!(found(&objects), []);
}

#[test]
fn a_headless_service_is_gone_past() {
    let mut objects = grafana(json!("http"));
    objects["services"][0]["spec"]["clusterIP"] = json!("None");
    assert_eq!(found(&objects), [], "kubectl asks the pod for the port itself");
}

#[test]
fn what_was_tried_counts_more_than_what_is_concluded() {
    let objects = grafana(json!(8080));
    let mut snap = read(&objects);
    let probe = |verdict: Verdict| Probe {
        program: Program::Grafana,
        namespace: "monitoring".into(),
        pod: "loki-grafana-0".into(),
        container: String::new(),
        trial: Trial::PortForward { port: 8080 },
        verdict,
        said: String::new(),
        command: vec!["kubectl".into()],
    };
    snap.probes = crate::snapshot::Listing::cluster(vec![probe(Verdict::Answered(Some(200)))]);
    assert_eq!(findings(&PortForward, &snap), []);
    snap.probes = crate::snapshot::Listing::cluster(vec![probe(Verdict::Refused)]);
    let all = findings(&PortForward, &snap);
    assert!(all[0].evidence.iter().any(|e| e.value.contains("refused")), "{all:?}");
}

#[test]
fn a_recent_restart_is_worth_a_line() {
    let mut objects = grafana(json!(3000));
    objects["pods"][0]["status"]["containerStatuses"][0]["lastState"]["terminated"]["finishedAt"] =
        json!("2026-11-21T01:50:00Z");
    let all = found(&objects);
    assert_eq!((all.len(), all[0].severity), (1, Severity::Info));
    assert!(all[0].message.contains("10 minutes ago"), "{}", all[0].message);
}

#[test]
fn a_node_that_is_not_reached_is_gone_round() {
    let mut objects = grafana(json!(3000));
    let mut snap = read(&objects);
    *snap.component_logs = Err(Gap::new(
        "GET /api/v1/namespaces/monitoring/pods/loki-grafana-0/log",
        crate::model::GapCause::BadAnswer,
        "Get \"https://10.0.2.1:10250/containerLogs/monitoring/loki-grafana-0/grafana\": dial tcp 10.0.2.1:10250: i/o timeout",
    ));
    let all = findings(&PortForward, &snap);
    assert_eq!(all.len(), 1);
    assert!(all[0].message.contains("port 10250"), "{}", all[0].message);
    let fix = steps(&all[0]);
    assert!(
        fix.contains("aws ssm start-session --target i-2 --document-name AWS-StartPortForwardingSessionToRemoteHost"),
        "{fix}"
    );
    objects["nodes"][0]["status"]["conditions"][0] =
        json!({"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."});
    assert!(found(&objects)[0].message.contains("Kubelet stopped posting"));
}
