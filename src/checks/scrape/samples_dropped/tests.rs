use super::twice::lasting;
use super::*;
use crate::checks::support::testing::findings;
use crate::domain::testing::{snapshot, up};
use crate::snapshot::monitoring::{ContainerLog, TargetSamples};
use serde_json::json;

fn with(log: &str, samples: f64) -> Snapshot {
    let mut target = up("web", "http://web.shop.svc:80/metrics");
    target["labels"] = json!({"job": "web"});
    let mut snap = snapshot(json!({"targets": [target]}));
    *snap.component_logs = Ok(vec![ContainerLog {
        namespace: "monitoring".into(),
        pod: "prometheus-0".into(),
        container: "prometheus".into(),
        program: Some(Program::Prometheus),
        image: String::new(),
        previous: false,
        text: log.into(),
    }]);
    let samples = vec![TargetSamples { instance: "web.shop.svc:80".into(), samples }];
    *snap.scrape_samples = Ok([("web".to_owned(), samples)].into());
    snap
}

#[test]
fn old_lines_and_targets_with_samples_are_quiet() {
    let old = r#"time=2026-11-20T22:00:00Z level=WARN msg="Error on ingesting out-of-order samples" scrape_pool=web target=http://web.shop.svc:80/metrics num_dropped=1"#;
    assert!(findings(&SamplesDropped, &with(old, 3.0)).is_empty());
    assert!(findings(&SamplesDropped, &with("level=info msg=\"Server is ready\"", 3.0)).is_empty());
}

#[test]
fn two_jobs_with_the_same_labels_are_named_both() {
    let log = r#"time=2026-11-21T01:59:00Z level=WARN msg="Error on ingesting samples with different value but same timestamp" scrape_pool=web target=http://web.shop.svc:80/metrics num_dropped=2"#;
    let mut snap = with(log, 3.0);
    let target = |job: &str| {
        let mut made = up(job, "http://web.shop.svc:80/metrics");
        made["labels"] = json!({"job": "web", "instance": "web"});
        serde_json::from_value(made).expect("a target")
    };
    *snap.prometheus_targets = Ok(vec![target("serviceMonitor/shop/web/0"), target("web")]);
    let found = findings(&SamplesDropped, &snap);
    assert_eq!((found.len(), found[0].variant), (1, "twice"));
    assert!(found[0].message.contains("web and serviceMonitor/shop/web/0"), "{}", found[0].message);
}

/// A Service of which only one address is scraped twice is not left out whole.
#[test]
fn what_the_other_job_does_not_scrape_stays() {
    let with_targets = |shared: &[&str]| {
        let mut snap = snapshot(json!({}));
        let made = |job: &str, at: &str| {
            let mut made = up(job, &format!("http://{at}/metrics"));
            made["labels"] = json!({"job": "web", "instance": at});
            made["discoveredLabels"] = json!({"__meta_consul_service": "web", "__meta_consul_service_port": "80"});
            serde_json::from_value(made).expect("a target")
        };
        let consul = ["10.0.0.1:80", "10.0.0.2:80"].iter().map(|at| made("consul", at));
        let targets = consul.chain(shared.iter().map(|at| made("serviceMonitor/shop/web/0", at))).collect();
        *snap.prometheus_targets = Ok(targets);
        lasting(&snap, &targets::all(&snap)[0], "serviceMonitor/shop/web/0").map(|(labels, _)| labels)
    };
    let all = with_targets(&["10.0.0.1:80", "10.0.0.2:80"]);
    assert_eq!(all, Some(vec!["__meta_consul_service", "__meta_consul_service_port"]));
    assert_eq!(with_targets(&["10.0.0.1:80"]), None);
}

#[test]
fn where_prometheus_cannot_be_asked_its_log_names_both_jobs() {
    let line = |job: &str, address: &str| {
        format!(
            "time=2026-11-21T01:59:00Z level=WARN msg=\"Error on ingesting samples with different value but same timestamp\" scrape_pool={job} target=http://{address}/metrics num_dropped=2\n"
        )
    };
    let seen = |other: &str| {
        let log = line("serviceMonitor/shop/web/0", "10.0.0.7:80") + &line("consul", other);
        let mut snap = with(&log, 3.0);
        *snap.prometheus_targets = Err(Gap::new("targets", crate::model::GapCause::Timeout, ""));
        let found = findings(&SamplesDropped, &snap);
        found.iter().map(|f| (f.variant, f.message.clone())).collect::<Vec<_>>()
    };
    let found = seen("10.0.0.7:80");
    let named = "two jobs scrape the same address, http://10.0.0.7:80/metrics: consul and serviceMonitor/shop/web/0";
    assert!(found.iter().all(|(v, m)| *v == "twice" && m.starts_with(named)), "{found:?}");
    assert_eq!(seen("10.0.0.8:80").iter().map(|f| f.0).collect::<Vec<_>>(), ["duplicate", "duplicate"]);
}

#[test]
fn losses_are_told_apart_and_said_once() {
    let line = |msg: &str| {
        format!(
            "ts=2026-11-21T01:55:00Z level=warn msg=\"{msg}\" scrape_pool=web target=http://web.shop.svc:80/metrics num_dropped=2\n"
        )
    };
    let log = line("Error on ingesting samples with different value but same timestamp").repeat(3)
        + &line("Error on ingesting out-of-order samples");
    let found = findings(&SamplesDropped, &with(&log, 3.0));
    assert_eq!(found.iter().map(|f| f.variant).collect::<Vec<_>>(), ["duplicate", "timestamps"]);
    // Once, and minutes ago.
    assert_eq!(found.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Warning, Severity::Info]);
    assert_eq!(findings(&SamplesDropped, &with("", 0.0))[0].variant, "empty");
}
