use super::*;
use crate::checks::support::testing::{findings, steps};
use crate::domain::testing::snapshot;
use serde_json::json;

fn with(rules: serde_json::Value) -> Snapshot {
    let mut snap = snapshot(json!({}));
    let groups = json!([{"name": "g", "file": "/r/a.yml", "interval": 30, "rules": rules}]);
    *snap.prometheus_rules = Ok(serde_json::from_value(groups).expect("are rule groups"));
    let names = ["up", "kube_node_status_allocatable", "http_requests_total"];
    *snap.prometheus_metric_names = Ok(names.into_iter().map(str::to_owned).collect());
    snap
}

#[test]
fn what_is_there_is_quiet_and_what_nobody_can_tell_is_a_line() {
    let snap = with(json!([
        {"name": "A", "type": "alerting", "query": "http_requests_total > 1"},
        {"name": "B", "type": "alerting", "query": "absent(orders_total)"},
        {"name": "C", "type": "alerting", "health": "err", "query": "nosuch:x:rate5m > 1"},
        {"name": "a:b", "type": "recording", "query": "sum(nosuch_total)"},
    ]));
    assert!(findings(&RuleWithoutData, &snap).is_empty());
    let snap = with(json!([{"name": "A", "type": "alerting", "query": "increase(payments_failed_total[5m]) > 1"}]));
    let found = findings(&RuleWithoutData, &snap);
    assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Info, "supply"));
    assert!(found[0].message.contains("may never have happened"), "{}", found[0].message);
}

#[test]
fn a_gauge_whose_family_is_there_is_dropped_by_somebody() {
    let snap = with(json!([{"name": "A", "type": "alerting", "query": "kube_node_status_capacity == 0"}]));
    let found = findings(&RuleWithoutData, &snap);
    assert!(found[0].message.contains("others of kube_node_* are there"), "{}", found[0].message);
    let steps = steps(&found[0]);
    assert!(steps.contains("metric_relabel_configs") && !steps.contains("for the second time"), "{steps}");
}

#[test]
fn a_renamed_metric_is_corrected_and_a_missing_record_is_asked_for() {
    let snap = with(json!([
        {"name": "A", "type": "alerting", "query": "kube_node_status_allocatable_cpu_cores < 1"},
        {"name": "B", "type": "alerting", "query": "flash:errors:rate5m > 1"},
    ]));
    let found = findings(&RuleWithoutData, &snap);
    let variants: Vec<_> = found.iter().map(|f| (f.variant, f.severity)).collect();
    assert_eq!(variants, [("correct", Severity::Warning), ("record", Severity::Warning)]);
    assert!(steps(&found[0]).contains("kube_node_status_allocatable{resource=\"cpu\"}"), "{}", steps(&found[0]));
}
