//! Rules that would record a metric, are written somewhere, and are not loaded.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::kubernetes::mounts::{File, Mounts, Seen, reads};
use crate::domain::kubernetes::owner::operator_owner;
use crate::domain::prometheus::operator::chain;
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::server::{Server, servers};
use crate::lint::rules::is_rules;
use crate::lint::yaml::{self, Node};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Meta};

/// Seconds until a new object has to be there: operator, kubelet and reloader take their time.
const YOUNG: i64 = 300;

/// Where a rule is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Written<'a> {
    /// In a PrometheusRule.
    Object(&'a Meta),
    /// In a key of a ConfigMap.
    File(&'a ConfigMap, &'a str),
}

impl Written<'_> {
    /// As a resource.
    pub(crate) fn reference(&self) -> ResourceRef {
        match self {
            Self::Object(meta) => Kind::PrometheusRule.reference(&meta.namespace, &meta.name),
            Self::File(map, _) => map.reference(),
        }
    }
}

/// Why Prometheus has not loaded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// No server of the operator selects the object.
    Unselected,
    /// Another server selects it: kind, namespace and name.
    Elsewhere(String),
    /// It is selected, or mounted and named, and not loaded all the same.
    NotLoaded,
    /// No Prometheus mounts the ConfigMap.
    NotMounted,
    /// It is mounted, and no pattern of `rule_files` names its file.
    NotNamed,
}

/// A rule that would record a metric.
#[derive(Debug, Clone)]
pub(crate) struct Recorder<'a> {
    /// The metric.
    pub(crate) metric: String,
    pub(crate) group: String,
    pub(crate) written: Written<'a>,
    pub(crate) why: Why,
}

/// The rules that would record some of these metrics, the first of each; none where a rule that is loaded does, or where nobody
/// knows which rules are loaded.
pub(crate) fn unloaded<'a>(snap: &'a Snapshot, metrics: &BTreeSet<&str>) -> Vec<Recorder<'a>> {
    let Ok(loaded) = snap.prometheus_rules() else { return Vec::new() };
    let is_loaded = |m: &str| loaded.iter().flat_map(|g| &g.rules).any(|r| r.kind == "recording" && r.name == m);
    let wanted: BTreeSet<&str> = metrics.iter().copied().filter(|m| !is_loaded(m)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut found = of_objects(snap, &wanted);
    found.extend(of_files(snap, &wanted));
    let mut known = BTreeSet::new();
    found.retain(|r| known.insert(r.metric.clone()));
    found
}

/// Nobody wrote it lately: operator, kubelet and reloader had the time.
pub(crate) fn is_settled(snap: &Snapshot, meta: &Meta) -> bool {
    let written = meta.managed_fields.iter().filter_map(|w| w.at).max();
    let since = written.map_or(i64::MAX, |t| snap.seconds_since(t));
    snap.age_seconds(meta).min(since) >= YOUNG
}

fn of_objects<'a>(snap: &'a Snapshot, wanted: &BTreeSet<&str>) -> Vec<Recorder<'a>> {
    let mut found = Vec::new();
    let all = snap.prometheus_rule_objects.items().unwrap_or_default().iter();
    // What was just made or changed is on its way.
    for object in all.filter(|o| is_settled(snap, &o.metadata)) {
        let meta = &object.metadata;
        let list = |value: &'a Value, key: &str| value.get(key).and_then(Value::as_array).map(Vec::as_slice);
        for group in list(&object.spec, "groups").unwrap_or_default() {
            let records = list(group, "rules").unwrap_or_default().iter().filter_map(|r| r.get("record")?.as_str());
            for metric in records.filter(|m| wanted.contains(m)) {
                let Some(why) = why_unselected(snap, meta) else { continue };
                let group = group.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                found.push(Recorder { metric: metric.to_owned(), group, written: Written::Object(meta), why });
            }
        }
    }
    found
}

/// Which server selects an object; `None` where that is not known, or where no server of the operator could: others read such
/// objects as well (VictoriaMetrics' operator, Alloy).
fn why_unselected(snap: &Snapshot, meta: &Meta) -> Option<Why> {
    if selection::servers(snap, Kind::PrometheusRule).ok()?.is_empty() {
        return None;
    }
    let servers = selection::selecting(snap, Kind::PrometheusRule, meta).ok()?;
    let Some(other) = servers.first() else { return Some(Why::Unselected) };
    let answering = chain::answering(snap)?.reference();
    Some(if servers.iter().any(|s| s.reference() == answering) {
        Why::NotLoaded
    } else {
        Why::Elsewhere(format!("{} {}/{}", other.kind, other.metadata.namespace, other.metadata.name))
    })
}

fn of_files<'a>(snap: &'a Snapshot, wanted: &BTreeSet<&str>) -> Vec<Recorder<'a>> {
    let servers = servers(snap);
    // Without a server nobody reads files, and of several it is not known whose they are.
    let [server] = servers.as_slice() else { return Vec::new() };
    let mounts = server.mounts(snap);
    let mounted = mounts.files();
    let named = named_files(*server, &mounts);
    let mut found = Vec::new();
    for map in snap.config_maps.items().unwrap_or_default() {
        // Others may be for programs with a language of their own.
        let meta = &map.metadata;
        let is_beside =
            meta.namespace == server.namespace() && operator_owner(meta).is_none() && is_settled(snap, meta);
        let asks = |text: &str| wanted.iter().any(|metric| text.contains(metric)) && is_rules(text);
        for (key, text) in map.data.iter().filter(|(_, text)| is_beside && asks(text)) {
            let is_it = |f: &File<'_>| std::ptr::eq(f.map, map) && f.key == key;
            let why = match &named {
                _ if !mounted.iter().any(is_it) && is_of_another(snap, map, *server) => continue,
                _ if !mounted.iter().any(is_it) => Why::NotMounted,
                Some(named) if !named.iter().any(is_it) => Why::NotNamed,
                _ => Why::NotLoaded,
            };
            let records = records(text).into_iter().filter(|(_, metric)| wanted.contains(metric.as_str()));
            found.extend(records.map(|(group, metric)| Recorder {
                metric,
                group,
                written: Written::File(map, key),
                why: why.clone(),
            }));
        }
    }
    found
}

/// Another workload mounts it, or a side-car may read it by a label.
fn is_of_another(snap: &Snapshot, map: &ConfigMap, server: Server<'_>) -> bool {
    let by_label = map.metadata.labels.keys().any(|key| key.contains("rule"));
    let workloads = snap.workloads.items().unwrap_or_default().iter();
    let mut others = workloads.filter(|w| !std::ptr::eq(*w, server.workload));
    by_label || others.any(|w| reads(w, map))
}

/// Group and metric of each rule of a file that records.
fn records(text: &str) -> Vec<(String, String)> {
    let Ok(Some(root)) = yaml::document(text) else { return Vec::new() };
    let items = |node: &Node, key: &str| node.get(key).and_then(Node::items).map(<[Node]>::to_vec).unwrap_or_default();
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::as_str).map(str::to_owned);
    let groups = items(&root, "groups").into_iter();
    groups
        .flat_map(|group| {
            let name = text(&group, "name").unwrap_or_default();
            let rules = items(&group, "rules").into_iter();
            rules.filter_map(move |rule| Some((name.clone(), text(&rule, "record")?))).collect::<Vec<_>>()
        })
        .collect()
}

/// The files that `rule_files` of a server's configuration names; `None` where the configuration is not known.
pub(crate) fn named_files<'a>(server: Server<'_>, mounts: &Mounts<'a>) -> Option<Vec<File<'a>>> {
    let config = server.config_file().and_then(|path| match mounts.look(path) {
        Seen::File(file) => Some(file),
        _ => None,
    })?;
    let root = yaml::document(config.text).ok().flatten()?;
    let folder = config.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let patterns = root.get("rule_files").and_then(Node::items).unwrap_or_default().iter().filter_map(Node::as_str);
    let mut files: Vec<File<'a>> = patterns
        .map(|p| if p.starts_with('/') { p.to_owned() } else { format!("{folder}/{p}") })
        .filter_map(|p| mounts.matching(&p))
        .flatten()
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Some(files)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;

    const RULES: &str = "groups:\n- name: api\n  rules:\n  - record: 'job:requests:rate5m'\n    expr: sum(x)\n  - alert: A\n    expr: up\n";

    #[test]
    fn the_records_of_a_file() {
        assert_eq!(records(RULES), [("api".to_owned(), "job:requests:rate5m".to_owned())]);
        assert!(records("groups: {").is_empty());
    }

    fn of_map(mount: bool, labels: Value, config: &str) -> Option<Why> {
        made("2026-11-20T00:00:00Z", mount, labels, config)
    }

    fn made(at: &str, mount: bool, labels: Value, config: &str) -> Option<Why> {
        let mounts = json!([{"name": "c", "mountPath": "/etc/prometheus"}, {"name": "r", "mountPath": "/etc/rules"}]);
        let mut volumes = vec![json!({"name": "c", "configMap": {"name": "config"}})];
        if mount {
            volumes.push(json!({"name": "r", "configMap": {"name": "rules"}}));
        }
        let spec = json!({"containers": [{"name": "prometheus", "image": "prom/prometheus:v3.5.0",
            "args": ["--config.file=/etc/prometheus/prometheus.yml"], "volumeMounts": mounts}], "volumes": volumes});
        let mut snap = snapshot(json!({
            "workloads": [{"metadata": {"namespace": "monitoring", "name": "prometheus"},
                "spec": {"replicas": 1, "template": {"spec": spec}}}],
            "config_maps": [
                {"metadata": {"namespace": "monitoring", "name": "config"}, "data": {"prometheus.yml": config}},
                {"metadata": {"namespace": "monitoring", "name": "rules", "labels": labels, "creationTimestamp": at}, "data": {"api.yml": RULES}}]}));
        *snap.prometheus_rules = Ok(Vec::new());
        let found = unloaded(&snap, &BTreeSet::from(["job:requests:rate5m", "other"]));
        found.into_iter().next().map(|r| r.why)
    }

    #[test]
    fn why_a_file_is_not_loaded() {
        let named = "rule_files: [/etc/rules/*.yml]\n";
        assert_eq!(of_map(false, json!({}), named), Some(Why::NotMounted));
        assert_eq!(of_map(true, json!({}), "rule_files: [/etc/other/*.yml]\n"), Some(Why::NotNamed));
        assert_eq!(of_map(true, json!({}), named), Some(Why::NotLoaded));
        assert_eq!(of_map(false, json!({"loki_rule": ""}), named), None, "a side-car of Loki reads it");
        assert_eq!(of_map(true, json!({}), "rule_files: [/etc/*/*.yml]\n"), Some(Why::NotLoaded));
        let now = snapshot(json!({})).collected_at.to_string();
        assert_eq!(made(&now, true, json!({}), named), None, "the kubelet and the reloader take their time");
    }
}
