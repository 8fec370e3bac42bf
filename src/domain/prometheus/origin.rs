//! Where a scrape job is configured: an object of the operator, or a line in a ConfigMap and the workload that mounts it.

use crate::domain::kubernetes::{mounts, owner};
use crate::domain::prometheus::targets::prometheus_pod;
use crate::model::Program;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{ConfigMap, Service, Workload};

/// An object of the Prometheus operator from which a scrape job was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Monitor {
    /// Resource name for kubectl: `servicemonitor`, `podmonitor`, `probe`, `scrapeconfig`.
    pub(crate) kind: &'static str,
    /// Namespace.
    pub(crate) namespace: String,
    /// Name.
    pub(crate) name: String,
    /// Which of its endpoints, from 0.
    pub(crate) endpoint: Option<usize>,
}

impl Monitor {
    /// The list in its spec that holds the endpoints; `None` where the fields stand in the spec itself.
    pub(crate) fn list(&self) -> Option<&'static str> {
        match self.kind {
            "servicemonitor" => Some("endpoints"),
            "podmonitor" => Some("podMetricsEndpoints"),
            _ => None,
        }
    }
}

/// Reads the operator's job names: `serviceMonitor/<namespace>/<name>/<endpoint>`.
pub(crate) fn monitor_of(job: &str) -> Option<Monitor> {
    let mut parts = job.split('/');
    let kind = match parts.next()? {
        "serviceMonitor" => "servicemonitor",
        "podMonitor" => "podmonitor",
        "probe" => "probe",
        "scrapeConfig" => "scrapeconfig",
        _ => return None,
    };
    let (namespace, name) = (parts.next()?, parts.next()?);
    let endpoint = parts.next().and_then(|at| at.parse().ok());
    Some(Monitor { kind, namespace: namespace.to_owned(), name: name.to_owned(), endpoint })
}

/// A line of a ConfigMap's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// The ConfigMap.
    pub(crate) config_map: &'a ConfigMap,
    /// Key of its data: the file.
    pub(crate) key: &'a str,
    /// Line number in the file, from 1.
    pub(crate) number: usize,
    /// The line.
    pub(crate) text: &'a str,
}

/// Lines of the stack's scrape configuration that hold `word` by itself, not in a comment. Of several ConfigMaps, one
/// that a workload mounts is meant.
pub(crate) fn lines_with<'a>(snap: &'a Snapshot, word: &str) -> Vec<Line<'a>> {
    all_lines_with(snap, word).into_iter().next().unwrap_or_default()
}

/// The same for each ConfigMap, mounted ones first.
fn all_lines_with<'a>(snap: &'a Snapshot, word: &str) -> Vec<Vec<Line<'a>>> {
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let mut found: Vec<(bool, &str, Vec<Line<'a>>)> = maps
        .filter(|m| snap.scope.is_stack(&m.metadata.namespace))
        .map(|m| (mounted_by(snap, m).is_none(), m.metadata.name.as_str(), lines_of(m, word)))
        .filter(|(_, _, lines)| !lines.is_empty())
        .collect();
    found.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    found.into_iter().map(|(_, _, lines)| lines).collect()
}

/// Text of prometheus.yml or of a file of file_sd; dashboards have `targets` too.
fn is_scrape_configuration(text: &str) -> bool {
    text.contains("scrape_configs")
        || text.contains("static_configs")
        || (text.contains("targets") && !text.contains("\"panels\""))
}

fn lines_of<'a>(config_map: &'a ConfigMap, word: &str) -> Vec<Line<'a>> {
    let files = config_map.data.iter().filter(|(_, text)| is_scrape_configuration(text));
    files
        .flat_map(|(key, text)| text.lines().enumerate().map(move |(at, text)| (key, at + 1, text)))
        .filter(|(_, _, text)| !text.trim_start().starts_with('#') && holds_word(text, word))
        .map(|(key, number, text)| Line { config_map, key, number, text })
        .collect()
}

/// True if `word` stands in `text` and is not a part of a longer name.
fn holds_word(text: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            !before.ends_with(in_name) && !after.starts_with(in_name)
        })
}

/// The line that names a job.
pub(crate) fn job_line<'a>(snap: &'a Snapshot, job: &str) -> Option<Line<'a>> {
    all_lines_with(snap, job).into_iter().flatten().find(|l| {
        let rest = l.text.trim_start().trim_start_matches("- ").trim_start();
        let name = rest.strip_prefix("job_name:").map(|n| n.split(" #").next().unwrap_or(n).trim());
        name.is_some_and(|n| n.trim_matches(['"', '\'']) == job)
    })
}

/// The line of a ConfigMap's file that names `word`; of several ConfigMaps with such a file, one that is mounted.
pub(crate) fn lines_in_file<'a>(snap: &'a Snapshot, file: &str, word: &str) -> Option<Line<'a>> {
    let maps = snap.config_maps.items().unwrap_or_default().iter();
    let of_map = |map: &'a ConfigMap| {
        let (key, text) = map.data.get_key_value(file)?;
        let named = |l: &str| !l.trim_start().starts_with('#') && holds_word(l, word);
        let (at, text) = text.lines().enumerate().find(|(_, l)| named(l))?;
        Some(Line { config_map: map, key, number: at + 1, text })
    };
    let found = maps.filter(|m| snap.scope.is_stack(&m.metadata.namespace)).filter_map(of_map);
    found.min_by_key(|l| (mounted_by(snap, l.config_map).is_none(), l.config_map.metadata.name.clone()))
}

/// Namespace, ConfigMap and key of a file that Prometheus reads at a path, by its mounts.
pub(crate) fn map_of_file(snap: &Snapshot, path: &str) -> Option<(String, String, String)> {
    let pod = prometheus_pod(snap)?;
    let container = pod.spec.containers.iter().find(|c| c.program() == Some(Program::Prometheus))?;
    match mounts::origin(snap, pod, container, path) {
        mounts::Origin::ConfigMap { name, key } => Some((pod.metadata.namespace.clone(), name, key)),
        _ => None,
    }
}

/// A workload as kubectl names it, with what it takes to make it read its configuration again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    /// `deployment/prometheus`.
    pub(crate) name: String,
    /// Namespace.
    pub(crate) namespace: String,
    /// A side-car reloads the configuration when it changes.
    pub(crate) reloads: bool,
}

/// The workload that mounts a ConfigMap; Prometheus' own first.
fn mounted_by<'a>(snap: &'a Snapshot, config_map: &ConfigMap) -> Option<&'a Workload> {
    let own = prometheus_pod(snap).map(|p| snap.owner_ref(p));
    let workloads = snap.workloads.items().unwrap_or_default().iter().filter(|w| mounts::reads(w, config_map));
    workloads.min_by_key(|w| (own != Some(w.reference()), w.metadata.name.clone()))
}

/// The workload that reads a ConfigMap, or Prometheus' own where none mounts it.
pub(crate) fn reader_of(snap: &Snapshot, config_map: Option<&ConfigMap>) -> Option<Reader> {
    let (name, meta, spec) = match config_map.and_then(|m| mounted_by(snap, m)) {
        Some(workload) => (workload.kubectl_name(), &workload.metadata, &workload.spec.template.spec),
        None => {
            let pod = prometheus_pod(snap)?;
            (owner::workload_name(snap, pod)?, &pod.metadata, &pod.spec)
        }
    };
    Some(Reader { name, namespace: meta.namespace.clone(), reloads: owner::reloads(spec) })
}

/// The workload behind a Service as kubectl names it: the owner of its pods.
pub(crate) fn workload_behind(snap: &Snapshot, service: &Service) -> Option<String> {
    let pod = snap.pods_of_service(service).next()?;
    Some(snap.owner_ref(pod).kubectl_name())
}

/// The PrometheusRule from which the operator wrote a file: `…-rulefiles-0/NAMESPACE-NAME-UID.yaml`. A namespace may have
/// dashes too, so only the list of rules tells where it ends.
pub(crate) fn rule_object(snap: &Snapshot, file: &str) -> Option<(String, String)> {
    let (folder, name) = file.rsplit_once('/')?;
    let stem = name.strip_suffix(".yaml").filter(|_| folder.contains("-rulefiles-"))?;
    let objects = snap.prometheus_rule_objects.items().unwrap_or_default().iter().map(|o| &o.metadata);
    // Of the namespaces of applications the names are known, and nothing else.
    let names = snap.prometheus_rule_names.items().unwrap_or_default().iter().map(|o| &o.metadata);
    let found = objects
        .chain(names)
        .filter(|m| !m.uid.is_empty())
        .find(|m| stem == format!("{}-{}-{}", m.namespace, m.name, m.uid));
    found.map(|m| (m.name.clone(), m.namespace.clone()))
}

/// A rule file with rules that come with the stack: they are as their makers want them.
pub(crate) fn is_of_the_stack(snap: &Snapshot, file: &str) -> bool {
    let made = snap.prometheus_rule_names.items().unwrap_or_default().iter().map(|r| &r.metadata);
    let mut of_stack =
        made.filter(|m| m.label("app.kubernetes.io/part-of").is_some_and(|p| p.starts_with("kube-prometheus")));
    of_stack.any(|m| {
        let name = format!("/{}-{}", m.namespace, m.name);
        file.rsplit_once(&name).is_some_and(|(_, rest)| rest.starts_with(['-', '.']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{config_map, snapshot, workload};
    use serde_json::json;

    const CONFIG: &str = "scrape_configs:\n  # - job_name: web\n  - job_name: 'web-canary'\n  - job_name: \"web\"  # the shop\n    static_configs:\n      - targets: ['my-web.shop.svc:80', 'web.shop.svc:80']\n";

    #[test]
    fn finds_the_job_and_the_target_by_whole_words_outside_comments() {
        let snap = snapshot(json!({
            "config_maps": [config_map("monitoring", "a-copy", CONFIG), config_map("monitoring", "prom", CONFIG)],
            "workloads": [workload("monitoring", "prometheus", json!({"app": "prometheus"}), Some("prom"))],
        }));
        let line = job_line(&snap, "web").expect("is there");
        assert_eq!((line.number, line.config_map.metadata.name.as_str()), (4, "prom"), "the mounted one");
        assert_eq!(lines_with(&snap, "web.shop.svc:80").iter().map(|l| l.number).collect::<Vec<_>>(), [6]);
        assert!(lines_with(&snap, "eb.shop.svc:80").is_empty());
        let reader = reader_of(&snap, Some(line.config_map)).expect("mounts it");
        assert_eq!((reader.name.as_str(), reader.reloads), ("deployment/prometheus", false));
    }

    #[test]
    fn reads_the_operators_job_names() {
        let monitor = monitor_of("serviceMonitor/shop/web/0").expect("is one");
        assert_eq!(
            (monitor.kind, monitor.namespace.as_str(), monitor.name.as_str()),
            ("servicemonitor", "shop", "web")
        );
        assert_eq!(monitor_of("web/shop/x"), None);
        assert_eq!(monitor_of("serviceMonitor/shop"), None);
    }

    #[test]
    fn the_operators_file_names_lead_to_the_object() {
        let mut snap = snapshot(json!({}));
        let uid = "0a1b2c3d-0000-4000-8000-00000000abcd";
        let object = json!({"metadata": {"namespace": "flash-ticket", "name": "app-rules", "uid": uid}});
        snap.prometheus_rule_objects =
            crate::snapshot::Listing::cluster(vec![serde_json::from_value(object).expect("a rule")]);
        let file = format!("/etc/prometheus/rules/prometheus-x-rulefiles-0/flash-ticket-app-rules-{uid}.yaml");
        assert_eq!(rule_object(&snap, &file), Some(("app-rules".into(), "flash-ticket".into())));
        assert_eq!(rule_object(&snap, "/etc/prometheus/rules/flash.yml"), None);
        assert_eq!(rule_object(&snapshot(json!({})), &file), None);
    }
}
