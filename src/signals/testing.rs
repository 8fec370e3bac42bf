//! A small stack for tests: one Prometheus pod that is ready and has a claim.

use std::collections::BTreeMap;

use serde_json::json;

use crate::model::Fact;
use crate::snapshot::monitoring::{FiringAlert, Rule, RuleGroup};
use crate::snapshot::{Listing, Platform, Snapshot};

/// The stack at 03:00, on EKS.
pub(super) fn snapshot() -> Snapshot {
    let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
    snap.platform = Platform::Eks;
    snap.scope.stack = vec!["monitoring".into()];
    let pod = json!({"metadata": {"name": "prometheus-0", "namespace": "monitoring", "ownerReferences": [
            {"kind": "StatefulSet", "name": "prometheus", "controller": true}]},
        "spec": {"containers": [{"name": "prometheus", "image": "prometheus"}, {"name": "config-reloader"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-prometheus-0"}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
            {"name": "config-reloader", "ready": true, "state": {"running": {"startedAt": "2026-11-21T02:00:00Z"}}}]}});
    snap.pods = Listing::cluster(vec![serde_json::from_value(pod).expect("a pod")]);
    debug_assert!(snap.gaps_of(Fact::Pods).is_empty());
    snap
}

/// A firing alert.
pub(super) fn alert(name: &str, labels: &[(&str, &str)]) -> FiringAlert {
    let mut all: BTreeMap<String, String> = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    all.insert("alertname".into(), name.into());
    FiringAlert { labels: all, state: "firing".into(), ..FiringAlert::default() }
}

/// A group with one alerting rule.
pub(super) fn rule(name: &str, query: &str) -> RuleGroup {
    let rule = Rule { name: name.into(), query: query.into(), kind: "alerting".into(), ..Rule::default() };
    RuleGroup { rules: vec![rule], ..RuleGroup::default() }
}
