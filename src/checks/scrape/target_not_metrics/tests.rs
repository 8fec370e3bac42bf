//! What `target-not-metrics` finds, and what leaves it quiet.

use serde_json::{Value, json};

use super::answer::SHOWN;
use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{down, pod, service, snapshot, up};
use crate::model::Severity;
use crate::snapshot::monitoring::TargetAnswer;

const LIVE: &str = "http://web.shop.svc.cluster.local:80/live";
const START_TOKEN: &str = r#"expected a valid start token, got "{" ("INVALID") while parsing: "{""#;
const BLANK: &str =
    "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target";

fn shop(targets: Value) -> Snapshot {
    snapshot(json!({"services": [service("shop", "web", &[80])], "targets": targets}))
}

fn answering(error: &str, body: &str) -> Snapshot {
    let mut snap = shop(json!([down("web", LIVE, error)]));
    *snap.target_answers = Ok(vec![TargetAnswer { url: LIVE.into(), body: body.into() }]);
    snap
}

fn one(snap: &Snapshot) -> Finding {
    let mut found = findings(&TargetNotMetrics, snap);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn json_is_about_the_service_and_breaks_the_url() {
    let found = one(&shop(json!([down("web", LIVE, START_TOKEN)])));
    assert_eq!(found.subject(), &ResourceRef::service("shop", "web"));
    assert_eq!(found.broken(), [ResourceRef::ScrapeUrl { url: LIVE.into() }]);
    assert_eq!((found.variant, found.severity), ("not-metrics", Severity::Error));
    let steps = steps(&found);
    assert!(steps.contains("/api/v1/namespaces/shop/services/http:web:80/proxy/live"), "{steps}");
    assert!(steps.contains("module: [http_2xx]") && steps.contains("`fallback_scrape_protocol` is no fix"), "{steps}");
    assert!(steps.contains(&format!("- \"{LIVE}\"")) && steps.contains("# - job_name: web"), "{steps}");
}

#[test]
fn old_prometheus_does_not_say_what_it_read() {
    let found = one(&shop(json!([down("web", LIVE, r#""INVALID" is not a valid start token"#)])));
    assert!(found.message.contains("something else than metrics at /live"), "{}", found.message);
}

#[test]
fn the_answer_tells_what_the_error_does_not() {
    let error = r#""INVALID" is not a valid start token"#;
    assert!(one(&answering(error, "{\"status\":\"ok\"}")).message.contains("answers JSON"));
    assert!(one(&answering(error, "<!doctype html>")).message.contains("answers HTML"));
    assert!(one(&answering(error, "OK\n")).message.contains("plain text"));
    // Metrics with one bad line are target-down's.
    assert_eq!(findings(&TargetNotMetrics, &answering(error, "# HELP a b\na 1\n1bad 2\n")), []);
}

#[test]
fn a_missing_content_type_may_hide_metrics_or_json() {
    let metrics = "http://web.shop.svc:80/metrics";
    let unknown = one(&shop(json!([down("web", metrics, BLANK)])));
    assert_eq!(unknown.variant, "content-type");
    assert!(unknown.message.contains("fallback_scrape_protocol"), "{}", unknown.message);
    assert_eq!(one(&shop(json!([down("web", LIVE, BLANK)]))).variant, "not-metrics", "nobody keeps metrics at /live");
    assert!(steps(&unknown).contains("fallback_scrape_protocol: PrometheusText0.0.4"));
    assert_eq!(one(&answering(BLANK, "up 1\n")).variant, "content-type");
    assert_eq!(one(&answering(BLANK, "{\"status\":\"ok\"}")).variant, "not-metrics");
    let html = r#"received unsupported Content-Type "text/html; charset=utf-8" and no fallback_scrape_protocol specified for target"#;
    assert_eq!(one(&shop(json!([down("web", LIVE, html)]))).variant, "not-metrics");
    let octets = r#"received unsupported Content-Type "application/octet-stream" and no fallback_scrape_protocol specified for target"#;
    assert_eq!(one(&shop(json!([down("web", metrics, octets)]))).variant, "content-type");
}

#[test]
fn a_path_that_works_for_another_job_is_proposed() {
    let found =
        one(&shop(json!([down("web-live", LIVE, START_TOKEN), up("web", "http://web.shop.svc:80/internal/metrics")])));
    assert_eq!(found.variant, "path");
    assert!(steps(&found).contains("metrics_path: \"/internal/metrics\""), "{}", steps(&found));
}

#[test]
fn a_path_that_the_annotations_name_is_proposed() {
    let mut web = pod("shop", "web", true);
    web["metadata"]["annotations"] = json!({"prometheus.io/path": "/stats", "prometheus.io/port": "9999"});
    let snap = snapshot(json!({
        "services": [service("shop", "web", &[80])], "pods": [web], "targets": [down("web", LIVE, START_TOKEN)]
    }));
    let found = one(&snap);
    assert_eq!(found.variant, "path");
    let steps = steps(&found);
    assert!(steps.contains("metrics_path: \"/stats\"") && steps.contains("web.shop.svc.cluster.local:80"), "{steps}");
}

#[test]
fn a_monitor_gets_a_probe_of_the_operator() {
    let found = one(&shop(json!([down("serviceMonitor/shop/web/0", LIVE, START_TOKEN)])));
    let steps = steps(&found);
    assert!(steps.contains("kind: Probe") && steps.contains("kubectl edit servicemonitor web -n shop"), "{steps}");
    assert!(!steps.contains("# - job_name"), "{steps}");
}

/// A ServiceMonitor's targets are pods, which come and go with their addresses.
#[test]
fn a_probe_asks_the_service_by_its_name() {
    let pods = ["10.0.0.1", "10.0.0.2"].map(|address| {
        let mut target = down("serviceMonitor/shop/web/0", &format!("http://{address}:8080/live"), START_TOKEN);
        target["discoveredLabels"] =
            json!({"__address__": format!("{address}:8080"), "__meta_kubernetes_namespace": "shop", "__meta_kubernetes_service_name": "web"});
        target
    });
    let found = one(&shop(json!(pods)));
    let steps = steps(&found);
    assert_eq!(steps.matches("http://web.shop.svc:80/live").count(), 1, "{steps}");
    assert!(!steps.contains("- \"http://10.0.0."), "{steps}");
}

#[test]
fn replicas_without_a_service_are_one_finding() {
    let targets = json!([
        down("pods", "http://10.0.0.1:80/live", START_TOKEN),
        down("pods", "http://10.0.0.2:80/live", START_TOKEN),
        down("pods", "http://10.0.0.2:80/health", START_TOKEN),
    ]);
    let found = findings(&TargetNotMetrics, &snapshot(json!({"targets": targets})));
    let mut subjects: Vec<usize> = found.iter().map(|f| f.subjects.len()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, [1, 2]);
}

#[test]
fn quiet_for_other_failures_and_bad_lines() {
    let targets = json!([
        down("a", LIVE, "server returned HTTP status 404 Not Found"),
        down("b", LIVE, r#"strconv.ParseFloat: parsing "length": invalid syntax while parsing: "queue length""#),
        down("c", LIVE, "data does not end with # EOF"),
        up("d", LIVE),
    ]);
    assert_eq!(findings(&TargetNotMetrics, &shop(targets)), []);
}

#[test]
fn hostile_answers_are_shown_short() {
    let found = one(&answering(START_TOKEN, &format!("{{\"x\":\"{}\"}}", "ä".repeat(5000))));
    let shown = found.evidence.iter().find(|e| e.source.starts_with("answer of")).expect("is shown");
    assert!(shown.value.chars().count() <= SHOWN + 1 && shown.value.ends_with('…'));
}

#[test]
fn a_port_that_is_called_by_its_metrics_is_proposed() {
    let at = |port: &str| {
        let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}, {"name": port, "port": 9187}]);
        let page = down("web", "http://web.shop.svc.cluster.local:80/metrics", START_TOKEN);
        let web = json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}});
        let pod = json!({"metadata": {"namespace": "shop", "name": "web-0", "labels": {"app": "web"}}, "status": {"phase": "Running"}});
        one(&snapshot(json!({"services": [web], "pods": [pod], "targets": [page]})))
    };
    let found = at("metrics");
    assert_eq!(found.variant, "path");
    assert!(steps(&found).contains(":9187/proxy/metrics"), "{}", steps(&found));
    assert_eq!(at("admin").variant, "not-metrics");
}
