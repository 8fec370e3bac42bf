//! What `service-no-endpoints` finds, and what leaves it quiet.

use serde_json::{Value, json};

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{down, pod, service, slice, snapshot, workload};
use crate::model::GapCause;
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::MonitoringResource;

const REFUSED: &str = "Get \"http://web.shop.svc:8080/metrics\": dial tcp 172.20.0.9:8080: connect: connection refused";

fn refused(port: u16) -> Value {
    down("web", &format!("http://web.shop.svc:{port}/metrics"), REFUSED)
}

fn one(objects: Value) -> Finding {
    let mut found = findings(&ServiceNoEndpoints, &snapshot(objects));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn none(objects: Value) {
    assert_eq!(findings(&ServiceNoEndpoints, &snapshot(objects)), []);
}

#[test]
fn unready_pods_behind_a_down_target_show_their_probe() {
    let found = one(json!({
        "services": [service("shop", "web", &[8080])], "pods": [pod("shop", "web", false)],
        "endpoint_slices": [slice("shop", "web", 0, 1)], "targets": [refused(8080)],
        "events": [{
            "type": "Warning", "reason": "Unhealthy", "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-5d9-abcde"}, "lastTimestamp": "2026-11-21T01:59:00Z"
        }],
    }));
    assert_eq!((found.variant, found.severity), ("not-ready", Severity::Error));
    assert!(found.message.ends_with("statuscode: 503)"), "{}", found.message);
    assert_eq!(found.subjects.len(), 2, "the Deployment is named as well");
    assert_eq!(found.broken(), [ResourceRef::service("shop", "web")]);
    assert!(found.depends_on.contains(&ResourceRef::pod("shop", "web-5d9-abcde")));
    let steps = steps(&found);
    assert!(steps.contains("kubectl logs -n shop deployment/web"), "{steps}");
    assert!(steps.contains("/api/v1/namespaces/shop/pods/http:web-5d9-abcde:8080/proxy/ready"), "{steps}");
    assert!(!steps.contains("--previous"), "it never restarted: {steps}");
}

#[test]
fn a_probe_whose_program_is_not_in_the_image_is_named() {
    let said = |message: &str| {
        steps(&one(json!({
            "services": [service("shop", "web", &[8080])], "pods": [pod("shop", "web", false)],
            "endpoint_slices": [slice("shop", "web", 0, 1)], "targets": [refused(8080)],
            "events": [{
                "type": "Warning", "reason": "Unhealthy", "message": message,
                "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-5d9-abcde"}, "lastTimestamp": "2026-11-21T01:59:00Z"
            }],
        })))
    };
    let steps = said("Readiness probe errored: rpc error: exec: \"sh\": executable file not found in $PATH: unknown");
    assert!(steps.contains("has no `sh`, which the readiness probe runs") && steps.contains("httpGet"), "{steps}");
    let steps = said("Readiness probe failed: HTTP probe failed with statuscode: 503");
    assert!(!steps.contains("which the readiness probe runs"), "{steps}");
}

#[test]
fn a_crash_is_shown_with_its_last_log_lines() {
    let mut crashed = pod("monitoring", "grafana", false);
    crashed["status"]["containerStatuses"][0]["restartCount"] = json!(7);
    crashed["status"]["containerStatuses"][0]["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let mut snap = snapshot(json!({"services": [service("monitoring", "grafana", &[80])], "pods": [crashed]}));
    *snap.crash_logs = Ok(vec![crate::snapshot::monitoring::ContainerLog {
        namespace: "monitoring".into(),
        pod: "grafana-5d9-abcde".into(),
        container: "grafana".into(),
        program: Some(crate::model::Program::Grafana),
        image: String::new(),
        previous: true,
        text: "1\n2\n3\n4\n5\n6\nboom\n".into(),
    }]);
    let found = findings(&ServiceNoEndpoints, &snap).remove(0);
    assert!(found.message.contains("(CrashLoopBackOff)") && found.severity == Severity::Error, "{}", found.message);
    let log = found.evidence.iter().find(|e| e.source.starts_with("log of")).expect("is shown");
    assert_eq!(log.value, "3\n4\n5\n6\nboom");
    assert!(log.reproduce.contains("--previous"), "{}", log.reproduce);
}

#[test]
fn pods_without_a_node_are_the_cause() {
    let mut pending = pod("monitoring", "prometheus", false);
    pending["spec"]["nodeName"] = Value::Null;
    pending["status"] = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}]});
    let mut snap = snapshot(json!({"services": [service("monitoring", "prometheus", &[9090])], "pods": [pending]}));
    *snap.prometheus_targets = Err(Gap::new("x", GapCause::Unreachable, ""));
    let found = findings(&ServiceNoEndpoints, &snap).remove(0);
    assert_eq!((found.variant, found.severity), ("pending", Severity::Error));
    assert!(found.depends_on.contains(&ResourceRef::pod("monitoring", "prometheus-5d9-abcde")));
}

#[test]
fn pods_that_have_just_been_made_are_given_time() {
    let mut fresh = pod("monitoring", "grafana", false);
    fresh["metadata"]["creationTimestamp"] = json!("2026-11-21T01:59:30Z");
    none(json!({"services": [service("monitoring", "grafana", &[80])], "pods": [fresh]}));
}

#[test]
fn a_selector_that_misses_by_one_value_gets_a_patch() {
    let mut web = service("shop", "web", &[8080]);
    web["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    web["spec"]["selector"] = json!({"app": "web", "tier": "front'end"});
    let found = one(json!({
        "services": [web], "targets": [refused(8080)],
        "workloads": [workload("shop", "web", json!({"app": "web", "tier": "frontend"}), None)],
    }));
    assert_eq!(found.variant, "selector-mismatch");
    assert!(found.message.contains("tier=front'end where the pods have frontend"), "{}", found.message);
    let patch = found.remediation.steps.iter().find(|s| s.command.contains("patch")).expect("is offered");
    let words = shlex::split(&patch.command).expect("is shell");
    assert_eq!(words.last().map(String::as_str), Some(r#"{"spec":{"selector":{"tier":"frontend"}}}"#));
    assert!(found.remediation.rollback[0].command.contains("kubectl patch service web -n shop"));
    assert!(steps(&found).contains("belongs to Helm"));
}

#[test]
fn a_canary_that_is_absent_is_no_mismatch() {
    let mut canary = service("monitoring", "web-canary", &[80]);
    canary["spec"]["selector"] = json!({"app": "web", "track": "canary"});
    let found = one(json!({
        "services": [canary, service("monitoring", "web", &[80])], "pods": [pod("monitoring", "web", true)],
        "endpoint_slices": [slice("monitoring", "web", 1, 0)],
        "workloads": [workload("monitoring", "web", json!({"app": "web", "track": "stable"}), None)],
    }));
    assert_eq!((found.variant, found.severity), ("no-workload", Severity::Warning));
}

#[test]
fn scaled_to_zero_matters_only_if_somebody_asks() {
    let mut off = workload("shop", "web", json!({"app": "web"}), None);
    off["spec"]["replicas"] = json!(0);
    let found =
        one(json!({"services": [service("shop", "web", &[8080])], "workloads": [off], "targets": [refused(8080)]}));
    assert_eq!((found.variant, found.severity), ("scaled-to-zero", Severity::Warning));
    let mut off = workload("monitoring", "grafana", json!({"app": "grafana"}), None);
    off["spec"]["replicas"] = json!(0);
    none(json!({"services": [service("monitoring", "grafana", &[80])], "workloads": [off]}));
}

#[test]
fn a_workload_that_cannot_make_pods_shows_why() {
    let mut refused = workload("monitoring", "grafana", json!({"app": "grafana"}), None);
    refused["status"] =
        json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: compute"}]});
    let found = one(json!({"services": [service("monitoring", "grafana", &[80])], "workloads": [refused]}));
    assert_eq!(found.variant, "no-pods");
    assert!(found.evidence.iter().any(|e| e.value.contains("exceeded quota")));
}

#[test]
fn services_of_the_same_pods_are_one_finding() {
    let mut governing = service("monitoring", "operated", &[9090]);
    governing["spec"]["clusterIP"] = json!("None");
    governing["spec"]["selector"] = json!({"app": "prometheus"});
    let found = one(json!({
        "services": [governing, service("monitoring", "prometheus", &[9090])], "pods": [pod("monitoring", "prometheus", false)],
    }));
    let services: Vec<String> = found.broken().iter().map(ResourceRef::name).collect();
    assert_eq!(services, ["monitoring/prometheus", "monitoring/operated"]);
}

#[test]
fn quiet_for_what_is_not_kept_by_selector_or_not_asked_for() {
    let mut external = service("monitoring", "db", &[5432]);
    external["spec"]["type"] = json!("ExternalName");
    let mut by_hand = service("monitoring", "outside", &[80]);
    by_hand["spec"]["selector"] = json!({});
    let mut governing = service("monitoring", "alertmanager-operated", &[9093]);
    governing["metadata"]["labels"] = json!({"operated-alertmanager": "true"});
    none(json!({"services": [external, by_hand, governing, service("shop", "web", &[80])]}));
}

#[test]
fn quiet_for_the_control_plane_of_eks() {
    let mut scheduler = service("kube-system", "kps-kube-scheduler", &[10259]);
    scheduler["spec"]["selector"] = json!({"component": "kube-scheduler"});
    let objects = json!({
        "services": [scheduler],
        "targets": [down("kube-scheduler", "http://kps-kube-scheduler.kube-system.svc:10259/metrics", "context deadline exceeded")],
    });
    none(objects.clone());
    let mut elsewhere = snapshot(objects);
    elsewhere.platform = Platform::Other;
    assert_eq!(findings(&ServiceNoEndpoints, &elsewhere).len(), 1);
}

#[test]
fn a_namespace_whose_endpoints_were_not_read_is_not_judged() {
    let mut snap = snapshot(json!({"services": [service("shop", "web", &[8080])], "targets": [refused(8080)]}));
    let gap = Gap::new("endpointslices", GapCause::Forbidden { permission: "list".into() }, "");
    let read = BTreeSet::from(["monitoring".to_owned()]);
    snap.endpoint_slices = crate::snapshot::Listing::namespaces(Vec::new(), read, vec![gap.clone()]);
    assert_eq!(findings(&ServiceNoEndpoints, &snap), [], "the engine makes NotEvaluated of it");
    snap.endpoint_slices = crate::snapshot::Listing::missing(gap);
    assert!(ServiceNoEndpoints.diagnose(&snap).is_err());
}

#[test]
fn a_port_that_the_service_lacks_breaks_the_url_alone() {
    let objects = |declared: u16| {
        let mut web = pod("shop", "web", true);
        web["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8080}, {"containerPort": declared}]);
        json!({
            "services": [service("shop", "web", &[8080])], "pods": [web],
            "endpoint_slices": [slice("shop", "web", 1, 0)], "targets": [refused(9102)],
        })
    };
    let found = one(objects(9102));
    assert_eq!(found.variant, "port-add");
    assert_eq!(found.broken(), [ResourceRef::ScrapeUrl { url: "http://web.shop.svc:9102/metrics".into() }]);
    assert!(steps(&found).contains(r#""name":"metrics","port":9102"#), "{}", steps(&found));
    let found = one(objects(8081));
    assert_eq!(found.variant, "port-scraped");
    assert!(steps(&found).contains("targets: [\"web.shop.svc:8080\"]"), "{}", steps(&found));
}

#[test]
fn a_target_port_that_no_container_has_is_named() {
    let mut web = service("shop", "web", &[80]);
    web["spec"]["ports"][0]["targetPort"] = json!("metrics");
    let found = one(json!({
        "services": [web], "pods": [pod("shop", "web", true)], "endpoint_slices": [slice("shop", "web", 1, 0)],
        "targets": [refused(80)],
    }));
    assert_eq!(found.variant, "port-target");
    assert!(steps(&found).contains(r#""path":"/spec/ports/0/targetPort","value":8080"#), "{}", steps(&found));
}

#[test]
fn quiet_where_ports_and_pods_are_fine() {
    let objects = |target: Value| {
        json!({
            "services": [service("shop", "web", &[8080])], "pods": [pod("shop", "web", true)],
            "endpoint_slices": [slice("shop", "web", 1, 0)], "targets": [target],
        })
    };
    none(objects(refused(8080)));
    none(objects(down("web", "http://web.shop.svc:9102/metrics", "server returned HTTP status 404 Not Found")));
}

/// What is deleted of a release that lives comes back with the next deployment.
#[test]
fn a_service_that_somebody_keeps_is_not_to_be_deleted() {
    let said = |labels: Value| {
        let mut canary = service("monitoring", "web-canary", &[80]);
        canary["metadata"]["labels"] = labels;
        canary["spec"]["selector"] = json!({"app": "web", "track": "canary"});
        let found = one(json!({
            "services": [canary, service("monitoring", "web", &[80])], "pods": [pod("monitoring", "web", true)],
            "endpoint_slices": [slice("monitoring", "web", 1, 0)],
            "workloads": [workload("monitoring", "web", json!({"app": "web", "track": "stable"}), None)],
        }));
        assert_eq!(found.variant, "no-workload");
        steps(&found)
    };
    let kept = said(json!({"app.kubernetes.io/managed-by": "Helm"}));
    assert!(kept.contains("Do not delete the Service: Helm") && !kept.contains("can be deleted"), "{kept}");
    let left = said(json!({}));
    assert!(left.contains("can be deleted once nothing names it"), "{left}");
}

/// The operator makes what the Service is for: whatever keeps it from that is the cause, and the Service stays.
#[test]
fn a_service_of_the_operators_server_waits_for_it() {
    let mut front = service("monitoring", "alertmanager-main", &[9093]);
    front["spec"]["selector"] = json!({"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main"});
    let mut snap =
        snapshot(json!({"services": [front], "endpoint_slices": [slice("monitoring", "alertmanager-main", 0, 0)]}));
    let server = |kind: &str, name: &str, spec: Value| {
        let made = json!({"metadata": {"namespace": "monitoring", "name": name}, "spec": spec});
        let made: MonitoringResource = serde_json::from_value(made).expect("a server");
        MonitoringResource { kind: kind.into(), ..made }
    };
    let found = findings(&ServiceNoEndpoints, &snap).remove(0);
    assert!(steps(&found).contains("can be deleted"), "{}", steps(&found));
    let alerting = json!({"alerting": {"alertmanagers": [{"name": "alertmanager-main", "port": "web"}]}});
    snap.monitoring_resources = Listing::cluster(vec![
        server("Prometheus", "k8s", alerting),
        server("Alertmanager", "main", json!({})),
        server("Alertmanager", "other", json!({})),
    ]);
    let found = findings(&ServiceNoEndpoints, &snap).remove(0);
    let set = |name: &str| ResourceRef::workload("StatefulSet", "monitoring", name);
    assert!(found.depends_on.contains(&set("alertmanager-main")), "{:?}", found.depends_on);
    assert!(!found.depends_on.contains(&set("alertmanager-other")), "{:?}", found.depends_on);
    let steps = steps(&found);
    assert!(!steps.contains("can be deleted") && steps.contains("Do not delete the Service"), "{steps}");
    assert!(steps.contains("kubectl get alertmanager main -n monitoring -o yaml"), "{steps}");
}

#[test]
fn a_service_that_the_configuration_names_is_looked_at_where_nobody_tells_the_targets() {
    let unasked = |ready: bool| {
        let mut snap = snapshot(json!({
            "services": [service("shop", "web", &[8080])], "pods": [pod("shop", "web", ready)],
            "endpoint_slices": [slice("shop", "web", usize::from(ready), usize::from(!ready))],
        }));
        *snap.prometheus_config =
            Ok("scrape_configs:\n- job_name: web\n  static_configs: [{targets: ['web.shop.svc:8080']}]\n".into());
        *snap.prometheus_targets = Err(Gap::new("targets", GapCause::Timeout, ""));
        findings(&ServiceNoEndpoints, &snap)
    };
    assert!(unasked(true).is_empty());
    let found = unasked(false);
    assert_eq!((found.len(), found[0].variant, found[0].severity), (1, "not-ready", Severity::Error));
}
