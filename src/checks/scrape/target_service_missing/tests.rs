//! What `target-service-missing` finds, and what leaves it quiet.

use std::collections::BTreeSet;

use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::{config_map, down, no_such_host, service, snapshot, up, workload};
use crate::model::{Evidence, GapCause, ResourceRef, Severity};
use crate::snapshot::Listing;
use serde_json::{Value, json};

fn lost(job: &str, url: &str) -> Value {
    let host = Address::parse(url).expect("is a URL").host;
    down(job, url, &no_such_host(url, &host))
}

fn variants(snap: &Snapshot) -> Vec<(&'static str, String)> {
    findings(&TargetServiceMissing, snap).iter().map(|f| (f.variant, f.message.clone())).collect()
}

#[test]
fn proposes_the_spelling_that_exists_where_the_configuration_names_it() {
    let yaml = "scrape_configs:\n  - job_name: cart\n    static_configs:\n      - targets: ['cart-svc.shop.svc.cluster.local:8080']\n";
    let snap = snapshot(json!({
        "services": [service("shop", "cart", &[8080])],
        "targets": [lost("cart", "http://cart-svc.shop.svc.cluster.local:8080/metrics")],
        "config_maps": [config_map("monitoring", "prom-config", yaml)],
        "workloads": [workload("monitoring", "prom", json!({"app": "prom"}), Some("prom-config"))],
    }));
    let found = findings(&TargetServiceMissing, &snap);
    assert_eq!((found.len(), found[0].variant, found[0].severity), (1, "rename", Severity::Error));
    assert_eq!(found[0].subject(), &ResourceRef::config_map("monitoring", "prom-config"));
    assert_eq!(found[0].broken(), [ResourceRef::service("shop", "cart-svc")]);
    let steps = steps(&found[0]);
    assert!(steps.contains("targets: [\"cart.shop.svc.cluster.local:8080\"]"), "{steps}");
    assert!(steps.contains("kubectl edit configmap prom-config -n monitoring"), "{steps}");
    assert!(steps.contains("kubectl rollout restart deployment/prom -n monitoring"), "{steps}");
    assert!(found[0].evidence.iter().any(|e| e.source.ends_with("prometheus.yml:4")), "{:?}", found[0].evidence);
}

#[test]
fn a_managed_configuration_is_changed_at_its_source() {
    let mut map = config_map("monitoring", "prom-config", "scrape_configs:\n - targets: ['cart-svc.shop:80']\n");
    map["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "prom"});
    let snap = snapshot(json!({
        "services": [service("shop", "cart", &[80])], "targets": [lost("cart", "http://cart-svc.shop:80/metrics")], "config_maps": [map],
    }));
    let steps = steps(&findings(&TargetServiceMissing, &snap)[0]);
    assert!(steps.contains("Helm release prom") && steps.contains("cart.shop:80"), "{steps}");
}

#[test]
fn proposes_the_namespace_that_is_nearly_the_same() {
    let snap = snapshot(json!({
        "services": [service("shops", "cart", &[80]), service("shop", "other", &[80])],
        "targets": [lost("cart", "http://cart.shop.svc:80/metrics")],
    }));
    let found = variants(&snap);
    assert_eq!(found[0].0, "rename");
    assert!(found[0].1.contains("shops/cart does"), "{found:?}");
}

#[test]
fn another_application_with_a_similar_name_is_not_proposed() {
    for (services, url) in [
        (json!([service("shop", "flash-api", &[80])]), "http://flash-pay.shop.svc:80/live"),
        (json!([service("shop", "cart", &[9090])]), "http://cart-svc.shop.svc:80/metrics"),
        (json!([service("shop", "worker-1", &[80])]), "http://worker-2.shop.svc:80/metrics"),
        (json!([service("team-a", "api", &[80]), service("team-b", "x", &[80])]), "http://api.team-b.svc:80/metrics"),
        (
            json!([service("shop", "cart-server", &[80]), service("shop", "cart-metrics", &[80])]),
            "http://cart.shop.svc:80/metrics",
        ),
    ] {
        let found = variants(&snapshot(json!({"services": services, "targets": [lost("x", url)]})));
        assert_eq!(found.len(), 1, "{url}");
        assert_eq!(found[0].0, "not-deployed", "{url} {found:?}");
    }
}

#[test]
fn a_service_that_is_scraped_already_is_not_proposed() {
    let snap = snapshot(json!({
        "services": [service("shop", "cart", &[80])],
        "targets": [lost("old", "http://cart-svc.shop.svc:80/metrics"), up("cart", "http://cart.shop.svc:80/metrics")],
    }));
    assert_eq!(variants(&snap)[0].0, "not-deployed");
}

#[test]
fn a_workload_without_a_service_gets_one_with_its_own_labels() {
    let snap = snapshot(json!({
        "services": [service("shop", "other", &[80])],
        "workloads": [workload("shop", "pay", json!({"app": "pay", "tier": "x: y"}), None)],
        "targets": [lost("pay", "http://pay.shop.svc:8080/metrics")],
    }));
    let found = findings(&TargetServiceMissing, &snap);
    assert_eq!(found[0].variant, "no-service");
    let steps = steps(&found[0]);
    assert!(steps.contains("app: pay") && steps.contains("tier: \"x: y\"") && steps.contains("port: 8080"), "{steps}");
    assert!(!steps.contains("rollout restart"), "nothing changes for Prometheus: {steps}");
}

#[test]
fn quiet_for_public_names_and_for_services_that_exist() {
    let snap = snapshot(json!({
        "services": [service("shop", "db", &[80])],
        "targets": [
            lost("ext", "https://metrics.example.com/metrics"), lost("two", "http://example.com/metrics"),
            lost("headless", "http://db-0.db.shop.svc.cluster.local:80/metrics"), lost("ip", "http://10.0.0.1/metrics"),
            down("slow", "http://gone.shop.svc/metrics", "Get \"http://gone.shop.svc/metrics\": context deadline exceeded"),
        ],
    }));
    assert_eq!(variants(&snap), []);
}

#[test]
fn two_missing_services_are_two_findings() {
    let snap = snapshot(json!({
        "targets": [lost("a", "http://a.shop.svc:80/metrics"), lost("b", "http://b.shop.svc:80/metrics"), lost("b2", "http://b.shop.svc:81/metrics")],
    }));
    let found = findings(&TargetServiceMissing, &snap);
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].key, found[1].key);
    assert!(found[1].message.starts_with("each of jobs b, b2"), "{}", found[1].message);
}

#[test]
fn a_namespace_that_was_not_read_is_a_gap() {
    let mut snap = snapshot(json!({"targets": [lost("a", "http://a.shop.svc.cluster.local:80/metrics")]}));
    let gap = Gap::new("services", GapCause::Forbidden { permission: "list services".into() }, "");
    snap.services = Listing::namespaces(Vec::new(), BTreeSet::from(["monitoring".to_owned()]), vec![gap]);
    assert!(TargetServiceMissing.diagnose(&snap).is_err());
}

/// Where Prometheus cannot be asked, its configuration still names Services; that all others are well is not known.
#[test]
fn what_the_configuration_names_is_looked_for_where_nobody_tells_the_targets() {
    let unasked = |services: Value| {
        let mut snap = snapshot(json!({"services": services}));
        let yaml = "scrape_configs:\n- job_name: cart\n  static_configs: [{targets: ['cart-svc.shop.svc:8080', 'db.shop.svc:9187']}]\n";
        *snap.prometheus_config = Ok(yaml.into());
        *snap.prometheus_targets = Err(crate::model::Gap::new("targets", GapCause::Timeout, ""));
        snap
    };
    let quiet = unasked(json!([service("shop", "cart-svc", &[8080]), service("shop", "db", &[9187])]));
    assert!(TargetServiceMissing.diagnose(&quiet).is_err(), "nobody knows how the targets are");
    let found = findings(
        &TargetServiceMissing,
        &unasked(json!([service("shop", "cart", &[8080]), service("shop", "db", &[9187])])),
    );
    assert_eq!((found.len(), found[0].variant, found[0].severity), (1, "rename", Severity::Warning));
    assert!(found[0].message.contains("names Service shop/cart-svc, which does not exist"), "{}", found[0].message);
    let told = |e: &Evidence| e.source.starts_with("Prometheus /api/v1/targets");
    assert!(!found[0].evidence.iter().any(told), "nobody has asked for them: {:?}", found[0].evidence);
}
