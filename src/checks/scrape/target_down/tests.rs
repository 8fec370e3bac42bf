//! What `target-down` finds, and what leaves it quiet.

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{down, no_such_host, pod, service, snapshot, target, up};
use serde_json::json;

fn found(targets: serde_json::Value) -> Vec<Finding> {
    findings(&TargetDown, &snapshot(json!({"targets": targets})))
}

#[test]
fn quiet_for_targets_that_are_up_or_not_scraped_yet() {
    let unknown = json!({"scrapePool": "new", "scrapeUrl": "http://a:1/metrics", "health": "unknown"});
    assert_eq!(found(json!([up("web", "http://10.0.0.1/metrics"), unknown])), []);
}

#[test]
fn without_prometheus_nothing_is_said() {
    let mut snap = snapshot(json!({}));
    *snap.prometheus_targets = Err(Gap::new("x", crate::model::GapCause::Timeout, ""));
    assert!(TargetDown.diagnose(&snap).is_err());
}

#[test]
fn one_finding_for_each_job_and_family() {
    let refused = |ip: &str| {
        down(
            "web",
            &format!("http://{ip}:80/metrics"),
            &format!("Get \"http://{ip}:80/metrics\": dial tcp {ip}:80: connect: connection refused"),
        )
    };
    let slow =
        down("web", "http://10.0.0.3:80/metrics", "Get \"http://10.0.0.3:80/metrics\": context deadline exceeded");
    let node = |n: u8| up("node", &format!("http://10.0.1.{n}:9100/metrics"));
    let well = up("web", "http://10.0.0.4:80/metrics");
    let others: [serde_json::Value; 4] = [node(1), node(2), node(3), node(4)];
    let [first, second] = [refused("10.0.0.1"), refused("10.0.0.2")];
    let [a, b, c, d] = others;
    let all = found(json!([first, second, slow, well, a, b, c, d]));
    let messages: Vec<&str> = all.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(
        messages[0],
        "2 of 4 targets of job web are down: connection refused (http://10.0.0.1:80/metrics and 1 more)"
    );
    assert!(all.iter().all(|f| f.severity == Severity::Warning), "one target is up");
    assert_ne!(all[0].key, all[1].key);
    let third = found(json!([refused("10.0.0.1"), up("web", "http://10.0.0.4:80/metrics"), node(1)]));
    assert_eq!(third[0].severity, Severity::Error, "a third of all that is scraped");
}

#[test]
fn every_family_has_a_fix_that_renders() {
    let url = "https://10.0.0.1:8443/metrics";
    for (error, variant, shows) in [
        ("Get \"https://10.0.0.1:8443/metrics\": context deadline exceeded", "timeout", "securitygrouppolicy"),
        (
            "Get \"https://10.0.0.1:8443/metrics\": dial tcp 10.0.0.1:8443: connect: connection refused",
            "refused",
            "10.0.0.1 is neither",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": dial tcp: lookup x.example.com on 10.0.0.2:53: no such host",
            "no-such-host",
            "nslookup",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": dial tcp: lookup x on 10.0.0.2:53: server misbehaving",
            "dns",
            "k8s-app=kube-dns",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": dial tcp 10.0.0.1:8443: connect: no route to host",
            "no-route",
            "grep -F -- 10.0.0.1",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": read tcp 10.0.1.5:1->10.0.0.1:8443: read: connection reset by peer",
            "reset",
            "peerauthentication",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "certificate-authority",
            "ca_file",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": x509: certificate has expired or is not yet valid: current time",
            "certificate-expired",
            "cert-manager",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": x509: certificate is not valid for any names, but wanted to match a",
            "certificate-name",
            "server_name",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": remote error: tls: certificate required",
            "certificate-client",
            "cert_file",
        ),
        (
            "Get \"https://10.0.0.1:8443/metrics\": http: server gave HTTP response to HTTPS client",
            "scheme",
            "scheme: http",
        ),
        ("Get \"https://10.0.0.1:8443/metrics\": remote error: tls: handshake failure", "tls", "server_name"),
        (
            "Get \"https://10.0.0.1:8443/metrics\": net/http: HTTP/1.x transport connection broken: malformed HTTP status code \"wrong\"",
            "not-http",
            "redis_exporter",
        ),
        ("server returned HTTP status 401 Unauthorized", "unauthorized", "password_file"),
        ("server returned HTTP status 403 Forbidden", "forbidden", "certain addresses"),
        ("server returned HTTP status 404 Not Found", "not-found", "metrics_path"),
        ("server returned HTTP status 503 Service Unavailable", "server-error", "in front"),
        ("server returned HTTP status 429 Too Many Requests", "status", "429"),
        ("Get \"https://10.0.0.1:8443/metrics\": stopped after 10 redirects", "redirect", "in a circle"),
        ("label_limit exceeded (metric: x, number of labels: 9, limit: 4)", "limits", "label_limit:"),
        ("sample limit exceeded", "limits", "sample_limit:"),
        ("target_limit exceeded (number of targets: 24, limit: 20)", "target-limit", "target_limit: 30"),
        ("data does not end with # EOF", "bad-line", "promtool check metrics"),
        ("proto: wrong wireType = 0 for field Metric", "protobuf", "scrape_protocols"),
        (
            "Get \"https://10.0.0.1:8443/metrics\": unable to read basic auth password file /etc/p: open /etc/p: no such file or directory",
            "credentials",
            "cannot read /etc/p",
        ),
        (
            "expected a valid start token, got \"{\" (\"INVALID\") while parsing: \"{\"",
            "not-metrics",
            "target-not-metrics",
        ),
        ("something new", "other", "something new"),
    ] {
        let found = found(json!([down("web", url, error)]));
        assert_eq!((found.len(), found[0].variant, found[0].severity), (1, variant, Severity::Error), "{error}");
        assert!(steps(&found[0]).contains(shows), "{variant}: {}", steps(&found[0]));
    }
}

#[test]
fn a_monitor_of_the_operator_is_what_is_edited() {
    let job = "serviceMonitor/shop/web/0";
    let found = found(json!([down(job, "http://10.0.0.1/metrics", "server returned HTTP status 404 Not Found")]));
    let steps = steps(&found[0]);
    assert!(steps.contains("kubectl edit servicemonitor web -n shop"), "{steps}");
    assert!(steps.contains("endpoints:\n    - path:") && !steps.contains("rollout restart"), "{steps}");
}

#[test]
fn the_kubelet_asks_for_a_permission_of_prometheus() {
    let mut prometheus = pod("monitoring", "prometheus", true);
    prometheus["spec"]["serviceAccountName"] = json!("prom");
    let snap = snapshot(json!({
        "services": [service("monitoring", "prometheus", &[9090])], "pods": [prometheus],
        "targets": [down("kubelet", "https://10.0.3.4:10250/metrics/cadvisor", "server returned HTTP status 403 Forbidden")]
    }));
    let found = findings(&TargetDown, &snap);
    let steps = steps(&found[0]);
    assert!(
        steps.contains("kubectl auth can-i get nodes --subresource=metrics --as=system:serviceaccount:monitoring:prom"),
        "{steps}"
    );
    assert!(steps.contains("resources: [\"nodes/metrics\"]") && steps.contains("name: prom-scrape"), "{steps}");
}

#[test]
fn the_hidden_control_plane_of_eks_is_information_only() {
    let targets = json!([
        down(
            "kube-scheduler",
            "https://10.0.0.1:10259/metrics",
            "Get \"https://10.0.0.1:10259/metrics\": dial tcp 10.0.0.1:10259: connect: connection refused"
        ),
        down(
            "serviceMonitor/monitoring/kps-kube-controller-manager/0",
            "https://10.0.0.1:10257/metrics",
            "context deadline exceeded"
        ),
        down(
            "kcm-kube-controller-manager",
            "https://172.20.0.1:443/apis/metrics.eks.amazonaws.com/v1/kcm/container/metrics",
            "server returned HTTP status 403 Forbidden"
        ),
    ]);
    let mut snap = snapshot(json!({"targets": targets}));
    let severities =
        |snap: &Snapshot| findings(&TargetDown, snap).iter().map(|f| (f.variant, f.severity)).collect::<Vec<_>>();
    let all = severities(&snap);
    assert_eq!(all.iter().filter(|f| **f == ("control-plane", Severity::Info)).count(), 2, "{all:?}");
    assert!(all.contains(&("forbidden", Severity::Error)), "the API that EKS offers is real: {all:?}");
    snap.platform = crate::snapshot::Platform::Other;
    assert!(severities(&snap).iter().all(|(_, s)| *s == Severity::Error));
}

#[test]
fn depends_on_what_is_behind_the_url() {
    let discovered = target(json!({
        "scrapePool": "web", "scrapeUrl": "http://10.0.0.7:8080/metrics", "health": "down",
        "lastError": "Get \"http://10.0.0.7:8080/metrics\": dial tcp 10.0.0.7:8080: connect: connection refused",
        "discoveredLabels": {
            "__address__": "10.0.0.7:8080", "__meta_kubernetes_namespace": "shop",
            "__meta_kubernetes_service_name": "web", "__meta_kubernetes_pod_name": "web-5d9-abcde"
        }
    }));
    let mut snap = snapshot(json!({"services": [service("shop", "web", &[80])]}));
    *snap.prometheus_targets = Ok(vec![discovered]);
    let found = findings(&TargetDown, &snap);
    let depends: Vec<String> = found[0].depends_on.iter().map(ResourceRef::key).collect();
    assert!(depends.contains(&"k8s//Service/shop/web".to_owned()), "{depends:?}");
    assert!(depends.contains(&"k8s//Pod/shop/web-5d9-abcde".to_owned()), "{depends:?}");
}

#[test]
fn an_answer_that_is_not_metrics_depends_on_the_url_alone() {
    let url = "http://web.shop.svc:80/live";
    let snap = snapshot(json!({
        "services": [service("shop", "web", &[80])], "targets": [down("web", url, "\"INVALID\" is not a valid start token")]
    }));
    assert_eq!(findings(&TargetDown, &snap)[0].depends_on, [ResourceRef::ScrapeUrl { url: url.into() }]);
}

#[test]
fn a_redirect_is_named_with_where_it_leads() {
    let error = "Get \"https://10.1.0.16:3000/metrics\": http: server gave HTTP response to HTTPS client";
    let found = found(json!([down("rails", "http://10.1.0.16:3000/metrics", error)]));
    assert_eq!(found[0].variant, "redirect-without-tls");
    assert!(found[0].message.contains("on the same port, which speaks no TLS"), "{}", found[0].message);
    let text = steps(&found[0]);
    assert!(text.contains("redirects to https://10.1.0.16:3000/metrics"), "{text}");
    assert!(!text.contains("scheme: https\n"), "https would fail in the same way: {text}");
}

#[test]
fn hostile_names_stay_one_word() {
    let url = "http://a.b.svc.cluster.local:80/$(reboot)?x=';id;'";
    let found = found(json!([down("x'; reboot #{{ y }}", url, &no_such_host(url, "a.b.svc.cluster.local"))]));
    let shown = &found[0].evidence[0].reproduce;
    let words = shlex::split(shown).expect("is shell");
    assert_eq!(words.len(), 4, "{shown}");
    assert!(!words[3].contains(';'), "percent-encoded: {shown}");
}

/// Whoever asks for a certificate of Prometheus gets none by not looking at its own.
#[test]
fn a_client_certificate_is_not_a_matter_of_trust() {
    let said = |error: &str| {
        let error = format!("Get \"https://10.0.0.1:8443/metrics\": {error}");
        steps(&found(json!([down("web", "https://10.0.0.1:8443/metrics", &error)]))[0])
    };
    let asked = said("remote error: tls: certificate required");
    assert!(asked.contains("cert_file") && !asked.contains("insecure_skip_verify"), "{asked}");
    let unknown = said("tls: failed to verify certificate: x509: certificate signed by unknown authority");
    assert!(unknown.contains("insecure_skip_verify"), "{unknown}");
}

/// The CRD takes a number: in quotes it would be a text.
#[test]
fn a_limit_of_a_monitor_is_a_number() {
    let found = found(json!([down("serviceMonitor/shop/web/0", "http://10.0.0.1/metrics", "sample limit exceeded")]));
    let steps = steps(&found[0]);
    assert!(steps.contains("sampleLimit: <above what the target offers>"), "{steps}");
}

#[test]
fn what_cannot_be_gathered_is_told_by_the_exporter_itself() {
    let of = |times: [&str; 2]| {
        let line = |at: &str| {
            format!(
                "ts=2026-11-21T01:{at}Z caller=log.go:124 level=error msg=\"error gathering metrics: 1 error(s) occurred: collected metric x was collected before with the same name and label values\"\n"
            )
        };
        let discovered = target(json!({
            "scrapePool": "web", "scrapeUrl": "http://10.0.0.7:8080/metrics", "health": "down",
            "lastError": "server returned HTTP status 500 Internal Server Error",
            "discoveredLabels": {"__address__": "10.0.0.7:8080", "__meta_kubernetes_namespace": "shop",
                "__meta_kubernetes_pod_name": "web-5d9-abcde"}
        }));
        let mut snap = snapshot(json!({"pods": [pod("shop", "web", true)]}));
        *snap.prometheus_targets = Ok(vec![discovered]);
        *snap.part_logs = Ok(vec![crate::snapshot::monitoring::ContainerLog {
            namespace: "shop".into(),
            pod: "web-5d9-abcde".into(),
            container: "web".into(),
            text: times.map(line).concat().as_str().into(),
            ..Default::default()
        }]);
        findings(&TargetDown, &snap).remove(0)
    };
    let found = of(["58:00", "59:00"]);
    assert_eq!(found.variant, "server-error");
    assert!(found.message.contains("says why: 1 error(s) occurred: collected metric x"), "{}", found.message);
    assert!(!of(["08:00", "09:00"]).message.contains("says why"), "long ago");
}
