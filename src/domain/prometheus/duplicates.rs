//! Two series where a match expects one: what tells them apart, and whether two targets say the same thing.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::prometheus::origin::monitor_of;
use crate::domain::prometheus::reads::reads;
use crate::domain::prometheus::targets;
use crate::snapshot::Snapshot;
use crate::snapshot::monitoring::{RuleGroup, ScrapeTarget};

/// Labels that say which target a series comes from.
const OF_TARGET: &[&str] = &["container", "endpoint", "instance", "job", "node", "pod", "prometheus", "service"];
/// Recording rules that are followed at most, one through the other.
const DEPTH: usize = 8;

/// The same thing, as two targets tell it.
#[derive(Debug)]
pub(crate) struct Twice<'a> {
    pub(crate) metric: String,
    pub(crate) targets: [&'a ScrapeTarget; 2],
}

/// The labels of one series.
type Series = BTreeMap<String, String>;

/// Of `found duplicate series for the match group {…} on the right hand-side of the operation: [{…}, {…}];many-to-many …`:
/// the targets of both series, where they are of kube-state-metrics and nothing but the target differs.
pub(crate) fn twice<'a>(snap: &'a Snapshot, error: &str) -> Option<Twice<'a>> {
    let [a, b] = both(error)?;
    let metric = a.get("__name__").filter(|m| m.starts_with("kube_") && b.get("__name__") == Some(m))?;
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = names.into_iter().filter(|n| a.get(*n) != b.get(*n));
    let by_target = differ.map(String::as_str).all(|name| OF_TARGET.contains(&name));
    let of = |series: &Series| {
        let (instance, job) = (series.get("instance")?, series.get("job"));
        targets::all(snap).iter().find(|t| t.labels.get("instance") == Some(instance) && t.labels.get("job") == job)
    };
    // One that is gone leaves its series for five minutes more.
    let (first, second) = (of(&a)?, of(&b)?);
    let two = by_target && first.scrape_url != second.scrape_url;
    // What runs in the stack's own namespace is the one that is meant.
    let is_own = |t: &ScrapeTarget| {
        let namespace = t.discovered_labels.get("__meta_kubernetes_namespace").or(t.labels.get("namespace"));
        monitor_of(&t.scrape_pool).map(|m| m.namespace).or(namespace.cloned()).is_some_and(|n| snap.scope.is_stack(&n))
    };
    let targets = if is_own(second) && !is_own(first) { [second, first] } else { [first, second] };
    two.then(|| Twice { metric: metric.clone(), targets })
}

/// The Services that the two series of such an error came through, where their labels say it: namespace and name.
pub(crate) fn services(error: &str) -> BTreeSet<(String, String)> {
    let of = |series: Series| Some((series.get("namespace")?.clone(), series.get("service")?.clone()));
    both(error).into_iter().flatten().filter_map(of).collect()
}

fn both(error: &str) -> Option<[Series; 2]> {
    let (_, rest) = error.split_once(" hand-side of the operation: [{")?;
    let (first, rest) = rest.split_once("}, {")?;
    let (second, _) = rest.split_once("}]")?;
    Some([series(first), series(second)])
}

/// `a="b", c="d"`.
fn series(text: &str) -> Series {
    let pairs = text.trim_end_matches('"').split("\", ").filter_map(|pair| pair.split_once("=\""));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Alerts that read what a rule records, be it through other recording rules.
pub(crate) fn alerts_on<'g>(groups: &'g [RuleGroup], record: &str) -> BTreeSet<&'g str> {
    let rules: Vec<_> = groups.iter().flat_map(|g| &g.rules).collect();
    let mut known: BTreeSet<&str> = BTreeSet::from([record]);
    let mut alerts = BTreeSet::new();
    for _ in 0..DEPTH {
        let before = known.len();
        for rule in &rules {
            // The parser is asked only where one of the names occurs at all.
            let named = known.iter().any(|name| rule.query.contains(name));
            if !named || !reads(&rule.query).iter().any(|r| known.contains(r.metric.as_str())) {
                continue;
            }
            match rule.kind.as_str() {
                "recording" => known.insert(&rule.name),
                _ => alerts.insert(rule.name.as_str()),
            };
        }
        if known.len() == before {
            break;
        }
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ERROR: &str = r#"found duplicate series for the match group {pod="a"} on the right hand-side of the operation: [{__name__="kube_pod_owner", instance="10.0.0.1:8080", job="ksm", owner_name="x, y", pod="a", service="one"}, {__name__="kube_pod_owner", instance="10.0.0.2:8080", job="ksm", owner_name="x, y", pod="a", service="two"}];many-to-many matching not allowed: matching labels must be unique on one side"#;

    fn snap() -> Snapshot {
        let mut snap = Snapshot::empty("2026-11-21T02:00:00Z".parse().expect("a time"));
        let target = |ip: &str| json!({"labels": {"instance": format!("{ip}:8080"), "job": "ksm"}, "scrapeUrl": format!("http://{ip}:8080/metrics"), "scrapePool": ip, "health": "up"});
        let all = json!([target("10.0.0.1"), target("10.0.0.2")]);
        *snap.prometheus_targets = Ok(serde_json::from_value(all).expect("are targets"));
        snap
    }

    #[test]
    fn the_same_object_of_two_targets_is_found() {
        let snap = snap();
        let found = twice(&snap, ERROR).expect("is twice");
        assert_eq!(found.metric, "kube_pod_owner");
        assert_eq!(found.targets.map(|t| t.scrape_pool.as_str()), ["10.0.0.1", "10.0.0.2"]);
        assert!(twice(&snap, &ERROR.replacen("x, y", "z", 1)).is_none(), "two owners");
        assert!(twice(&snap, &ERROR.replace("10.0.0.2", "10.0.0.3")).is_none(), "gone already");
        assert!(
            twice(&snap, &ERROR.replace("kube_pod_owner", "http_requests_total")).is_none(),
            "each measures itself"
        );
    }

    #[test]
    fn alerts_are_followed_through_records() {
        let groups: Vec<RuleGroup> =
            serde_json::from_value(json!([{"name": "g", "file": "f", "interval": 30, "rules": [
                {"name": "A", "type": "alerting", "query": "b:ratio > 1"},
                {"name": "b:ratio", "type": "recording", "query": "a:sum / 2"},
                {"name": "C", "type": "alerting", "query": "a:sums > 1"},
            ]}]))
            .expect("are groups");
        assert_eq!(alerts_on(&groups, "a:sum").into_iter().collect::<Vec<_>>(), ["A"]);
    }
}
