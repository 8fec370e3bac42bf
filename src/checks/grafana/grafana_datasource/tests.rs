use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::grafana::{datasource_map, grafana, snapshot};
use crate::domain::testing::{pod, service, slice};
use crate::snapshot::grafana;
use serde_json::{Value, json};

/// Grafana with one datasource, a Prometheus that answers, and a Service of the same name in another namespace.
fn with(entry: &str, change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    findings(&GrafanaDatasource, &snapshot(objects(entry, change)))
}

fn objects(entry: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut objects = json!({
        "workloads": [grafana(json!({}))],
        "config_maps": [datasource_map(entry)],
        "services": [service("monitoring", "prometheus", &[9090]), service("loki", "loki", &[3100])],
        "pods": [pod("monitoring", "prometheus", true), pod("loki", "loki", true)],
        "endpoint_slices": [slice("monitoring", "prometheus", 1, 0), slice("loki", "loki", 1, 0)],
    });
    change(&mut objects);
    objects
}

fn entry(url: &str) -> String {
    format!("- {{name: Prometheus, type: prometheus, access: proxy, url: '{url}', isDefault: true}}")
}

#[test]
fn what_answers_or_cannot_be_judged_is_quiet() {
    for url in [
        "http://prometheus:9090",
        "http://prometheus.monitoring.svc:9090/",
        "http://172.20.0.9:9090",
        "http://$PROM_HOST:9090",
        "${PROMETHEUS_URL}",
        "https://aps-workspaces.ap-northeast-2.amazonaws.com/workspaces/ws-1",
        "https://prometheus.example.com",
        "http://10.1.2.3:9090",
    ] {
        assert_eq!(with(&entry(url), |_| {}), [], "{url}");
    }
    let direct = "- {name: P, type: prometheus, access: direct, url: 'http://localhost:9090'}";
    assert_eq!(with(direct, |_| {}), []);
    let influx = "- {name: I, type: influxdb, url: 'http://nowhere:8086'}";
    assert_eq!(with(influx, |_| {}), []);
}

#[test]
fn a_service_that_does_not_exist_is_told_with_the_one_that_is_meant() {
    for (url, new) in [
        ("http://promtheus:9090", "http://prometheus:9090"),
        (
            "http://prometheus-server.monitoring.svc.cluster.local:9090/",
            "http://prometheus.monitoring.svc.cluster.local:9090/",
        ),
        ("http://prometheus.observability.svc:9090", "http://prometheus.monitoring.svc:9090"),
        ("http://kps-kube-prometheus-stack-prometheus:9090", "http://prometheus:9090"),
    ] {
        let found = with(&entry(url), |_| {});
        assert_eq!(found.len(), 1, "{url}");
        assert_eq!(found[0].variant, "url");
        assert!(found[0].depends_on.is_empty());
        let text = steps(&found[0]);
        assert!(text.contains(&format!("url: \"{new}\"  # was \"{url}\"")), "{text}");
        assert!(text.contains("kubectl edit configmap grafana-datasources -n monitoring"), "{text}");
        assert!(text.contains("kubectl rollout restart deployment/grafana -n monitoring"), "{text}");
    }
    // A bare name is looked for in Grafana's namespace.
    let found = with("- {name: Loki, type: loki, url: 'http://loki:3100'}", |_| {});
    assert!(steps(&found[0]).contains("http://loki.loki:3100"), "{}", steps(&found[0]));
    let thanos = with(&entry("http://thanos-query:9090"), |_| {});
    assert_eq!(thanos[0].variant, "service-missing");
    assert_eq!(thanos[0].depends_on, [ResourceRef::service("monitoring", "thanos-query")]);
}

#[test]
fn the_containers_port_is_not_the_services() {
    let found = with(&entry("http://prometheus:9090"), |o| {
        o["services"][0]["spec"]["ports"] = json!([{"port": 80, "targetPort": 9090}, {"port": 81, "targetPort": 8080}]);
    });
    assert!(found[0].message.contains("on port 9090, and it offers 80, 81"), "{}", found[0].message);
    assert!(steps(&found[0]).contains("url: \"http://prometheus\"  #"), "{}", steps(&found[0]));
    // The name of a headless Service is that of its pods.
    let headless = with(&entry("http://prometheus:8080"), |o| o["services"][0]["spec"]["clusterIP"] = json!("None"));
    assert_eq!(headless, []);
}

#[test]
fn loopback_is_grafanas_own_container_unless_a_side_car_serves_it() {
    let found = with(&entry("http://localhost:9090"), |_| {});
    assert!(steps(&found[0]).contains("url: \"http://prometheus:9090\""), "{}", steps(&found[0]));
    let beside = with(&entry("http://127.0.0.1:9090"), |o| {
        let proxy = json!({"name": "sigv4", "image": "proxy", "ports": [{"containerPort": 9090}]});
        o["workloads"][0]["spec"]["template"]["spec"]["containers"].as_array_mut().expect("a list").push(proxy);
    });
    assert_eq!(beside, []);
}

#[test]
fn nobody_behind_the_service_is_a_symptom_of_that() {
    let found = with(&entry("http://prometheus:9090"), |o| {
        o["pods"][0] = pod("monitoring", "prometheus", false);
        o["endpoint_slices"][0] = slice("monitoring", "prometheus", 0, 1);
    });
    assert_eq!(found[0].variant, "no-endpoints");
    assert!(found[0].depends_on.contains(&ResourceRef::service("monitoring", "prometheus")));
    assert!(found[0].depends_on.iter().any(|r| r.kind_label() == "Deployment"), "{:?}", found[0].depends_on);
    assert!(!steps(&found[0]).contains("edit configmap"));
    let unread = with(&entry("http://prometheus:9090"), |o| {
        o["endpoint_slices"] = json!([slice("monitoring", "prometheus", 1, 1)]);
    });
    assert_eq!(unread, []);
}

#[test]
fn scheme_and_prefix_are_compared_with_what_is_served() {
    let probe = |o: &mut Value| {
        let container = &mut o["pods"][0]["spec"]["containers"][0];
        container["readinessProbe"] = json!({"httpGet": {"path": "/-/ready", "port": 9090}});
        container["args"] = json!(["--web.route-prefix=/prom"]);
    };
    let scheme = with(&entry("https://prometheus:9090/prom"), probe);
    assert!(steps(&scheme[0]).contains("url: \"http://prometheus:9090/prom\""), "{}", steps(&scheme[0]));
    let prefix = with(&entry("http://prometheus:9090"), probe);
    assert!(prefix[0].message.contains("it serves /prom"), "{}", prefix[0].message);
    assert_eq!(with(&entry("http://prometheus:9090/prom/"), probe), []);
}

#[test]
fn what_grafana_says_of_a_datasource_counts() {
    let say = |message: &str| {
        let mut snap = snapshot(objects(&entry("http://prometheus:9090"), |o| {
            let services = o["services"].as_array_mut().expect("a list");
            services.push(service("monitoring", "grafana", &[3000]));
        }));
        let uid = "PBFA97CFB590B2093".to_owned();
        let status = if message.is_empty() { "OK" } else { "ERROR" };
        *snap.grafana_datasource_health =
            Ok(vec![grafana::DatasourceHealth { uid, status: status.into(), message: message.into() }]);
        findings(&GrafanaDatasource, &snap)
    };
    assert_eq!(say(""), []);
    assert_eq!(
        say("401 Unauthorized - There was an error returned querying the Prometheus API.")[0].variant,
        "refused"
    );
    assert_eq!(say("Post \"http://prometheus:9090/api/v1/query\": context deadline exceeded")[0].variant, "timeout");
    let tls = say("http: server gave HTTP response to HTTPS client");
    assert_eq!(tls[0].variant, "url");
    assert!(tls[0].depends_on.contains(&ResourceRef::service("monitoring", "prometheus")));
}

#[test]
fn without_the_services_nothing_is_said() {
    let mut snap = snapshot(objects(&entry("http://nowhere:9090"), |_| {}));
    snap.services = crate::snapshot::Listing::namespaces(Vec::new(), ["tools".to_owned()].into(), Vec::new());
    assert!(GrafanaDatasource.diagnose(&snap).is_err());
}

#[test]
fn a_login_in_the_url_is_not_shown() {
    let found = with(&entry("http://admin:s3cret@promtheus:9090"), |_| {});
    let all = format!("{:?} {}", found[0], steps(&found[0]));
    assert!(!all.contains("s3cret"), "{all}");
}

/// kube-prometheus-stack provisions the datasource of Alertmanager also where it installs none.
#[test]
fn what_a_chart_provisions_for_a_part_that_is_off_is_a_warning() {
    let of = |name: &str, chart: &str| {
        let entry = format!("- {{name: {name}, type: alertmanager, url: 'http://stack-am.monitoring.svc:9093'}}");
        let mut found = with(&entry, |o| o["config_maps"][0]["metadata"]["labels"] = json!({"chart": chart}));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    let own = of("Alertmanager", "kube-prometheus-stack-75.1.0");
    assert_eq!((own.variant, own.severity), ("service-missing", Severity::Warning));
    let text = steps(&own);
    assert!(text.contains("`grafana.sidecar.datasources.alertmanager.enabled: false`"), "{text}");
    assert!(!text.contains("kubectl edit configmap"), "{text}");
    for other in [of("Other", "kube-prometheus-stack-75.1.0"), of("Alertmanager", "grafana-9.2.1")] {
        assert_eq!((other.variant, other.severity), ("service-missing", Severity::Error));
        assert!(steps(&other).contains("kubectl edit configmap"), "{}", steps(&other));
    }
}

/// Whoever asks without the datasource's own login or certificate is refused as before, after the right fix too.
#[test]
fn what_is_verified_can_succeed() {
    let verified = |message: &str| {
        let mut snap = snapshot(objects(&entry("http://prometheus:9090"), |o| {
            let services = o["services"].as_array_mut().expect("a list");
            services.push(service("monitoring", "grafana", &[3000]));
        }));
        let uid = "PBFA97CFB590B2093".to_owned();
        *snap.grafana_datasource_health =
            Ok(vec![grafana::DatasourceHealth { uid, status: "ERROR".into(), message: message.into() }]);
        let found = findings(&GrafanaDatasource, &snap).remove(0);
        let commands: Vec<String> = found.remediation.verify.into_iter().map(|s| s.command).collect();
        (found.variant, commands.join("\n"))
    };
    for (message, variant) in [
        ("401 Unauthorized - There was an error returned querying the Prometheus API.", "refused"),
        ("401 Unauthorized: no org id", "refused"),
        ("Get \"http://prometheus:9090\": tls: failed to verify certificate: x509: unknown authority", "tls"),
    ] {
        let (found, commands) = verified(message);
        assert_eq!(found, variant, "{message}");
        assert!(commands.starts_with("kubectl logs -n monitoring deployment/grafana -c grafana"), "{commands}");
        assert!(!commands.contains("wget") && !commands.contains("--raw"), "{commands}");
    }
    let (_, slow) = verified("Post \"http://prometheus:9090/api/v1/query\": context deadline exceeded");
    assert!(slow.contains("wget -qO-") && slow.contains("kubectl get --raw"), "{slow}");
}
