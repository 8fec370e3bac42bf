//! What a file is, and whether something in it can be judged.

use std::collections::BTreeSet;

use super::dialect::{of_events, of_whole_file};
use super::given::is_encrypted;
use super::grafana;
use crate::lint::charts;
use crate::lint::yaml::Node;
use crate::snapshot::manifests::ManifestFile;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Objects of a cluster, as many.
    Objects(usize),
    /// A configuration of the stack.
    Configuration,
    /// Helm values.
    Values,
    /// Something that is read for passwords and ports at most, and not judged; in words.
    Other(&'static str),
    /// Nothing, or what somebody else reads: the record of a client, a chart's own description.
    Nothing,
}

/// Folders that hold a `Chart.yaml`: what else lies in them are values.
pub(crate) struct Charts<'a>(BTreeSet<&'a str>);

impl<'a> Charts<'a> {
    /// Of all files.
    pub(crate) fn of(files: &'a [ManifestFile]) -> Self {
        Self(files.iter().filter(|f| f.path.ends_with("Chart.yaml")).map(folder).collect())
    }

    /// What one of the files holds.
    pub(crate) fn content(&self, file: &ManifestFile) -> Content {
        of(file, self.0.contains(folder(file)))
    }
}

fn folder(file: &ManifestFile) -> &str {
    file.path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What a file holds; `beside_chart`: it lies where a `Chart.yaml` does.
fn of(file: &ManifestFile, beside_chart: bool) -> Content {
    if !file.objects.is_empty() {
        return Content::Objects(file.objects.len());
    }
    let Some(root) = file.values.first() else { return Content::Nothing };
    if is_encrypted(root) {
        return Content::Other("encrypted by SOPS");
    }
    if of_whole_file(&file.path, root).is_some() || grafana::holds_datasources(root) {
        return Content::Configuration;
    }
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    if file.chart.is_some() || beside_chart || name.contains("values") {
        return Content::Values;
    }
    match foreign(root) {
        Some(what) => Content::Other(what),
        None if are_values(root) && !name.ends_with(".json") => Content::Values,
        None => Content::Other("nothing in it is known here"),
    }
}

/// Values of one of the charts that are known, or of one that contains them.
fn are_values(root: &Node) -> bool {
    let keys: Vec<&str> = root.entries().unwrap_or_default().iter().filter_map(|(k, _)| k.as_str()).collect();
    let known = keys.iter().filter(|key| charts::has_key(key)).count();
    known > 0 && known * 2 >= keys.len()
}

/// Whose file it is, where it is one of a program that goes with the stack, or lies in most repositories.
fn foreign(root: &Node) -> Option<&'static str> {
    let has = |key: &str| root.get(key).is_some();
    let any = |keys: &[&str]| keys.iter().any(|key| has(key));
    let list = |key: &str| root.get(key).and_then(Node::items).is_some();
    let children = |key: &str, wanted: &[&str]| {
        let of = |node: &Node| wanted.iter().any(|w| node.get(w).is_some());
        root.get(key).and_then(Node::entries).is_some_and(|all| all.iter().any(|(_, v)| of(v)))
    };
    let found = if has("apiVersion") && list("providers") {
        "where Grafana finds its dashboards"
    } else if has("apiVersion") && any(&["groups", "contactPoints", "policies", "muteTimes", "deleteRules"]) {
        "what Grafana's own alerting is provisioned with"
    } else if has("apiVersion") && (list("apps") || list("notifiers")) {
        "what Grafana is provisioned with"
    } else if any(&["positions", "clients"]) && has("scrape_configs") {
        "Promtail's configuration"
    } else if has("schema_config") || (any(&["limits_config", "table_manager"]) && any(&["server", "common"])) {
        "Loki's configuration"
    } else if has("blocks_storage") || (has("multitenancy_enabled") && any(&["ingester", "server", "limits"])) {
        "Mimir's configuration"
    } else if root.at(&["storage", "trace"]).is_some() || root.at(&["distributor", "receivers"]).is_some() {
        "Tempo's configuration"
    } else if root.at(&["service", "pipelines"]).is_some() {
        "a configuration of the OpenTelemetry Collector"
    } else if ["metrics", "logs", "traces"].iter().any(|k| root.at(&[k, "configs"]).is_some()) {
        "a configuration of Grafana Agent"
    } else if children("modules", &["prober"]) {
        "the blackbox exporter's configuration: blackbox_exporter --config.check judges it"
    } else if children("modules", &["walk", "metrics", "get"]) || (has("auths") && has("modules")) {
        "the SNMP exporter's configuration"
    } else if list("tests") && any(&["rule_files", "evaluation_interval"]) {
        "tests of rules: promtool test rules runs them"
    } else if has("type") && root.at(&["config", "bucket"]).is_some() {
        "an object store of Thanos"
    } else if of_events(root) {
        "the configuration of an exporter of Kubernetes' events"
    } else if children("services", &["image", "build"]) {
        "a file for Docker Compose"
    } else {
        return None;
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn content(path: &str, text: &str) -> Content {
        let mut file = ManifestFile::new(path, text);
        for document in yaml::documents(text).expect("is YAML") {
            file.add(document, true);
        }
        of(&file, false)
    }

    #[test]
    fn what_is_judged_is_told_from_what_is_not() {
        for (path, text, expected) in [
            ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", Content::Objects(1)),
            ("prometheus.yml", "scrape_configs: []\n", Content::Configuration),
            ("a.json", "{title: a, schemaVersion: 39, panels: []}", Content::Configuration),
            ("ds.yaml", "apiVersion: 1\ndatasources: [{name: a, type: loki}]\n", Content::Configuration),
            ("r.yml", "groups: [{name: a, rules: [{alert: A, expr: up}]}]\n", Content::Configuration),
            ("values-prod.yaml", "replicaCount: 1\n", Content::Values),
            ("prod.yaml", "grafana: {adminPassword: a}\nprometheus: {enabled: true}\n", Content::Values),
            ("prod.yaml", "kube-prometheus-stack: {grafana: {}}\n", Content::Values),
            ("empty.yaml", "", Content::Nothing),
        ] {
            assert_eq!(content(path, text), expected, "{text}");
        }
        for (path, text, expected) in [
            ("loki.yaml", "auth_enabled: false\nschema_config: {configs: []}\n", "Loki"),
            ("promtail.yaml", "clients: [{url: a}]\nscrape_configs: []\n", "Promtail"),
            ("tempo.yaml", "server: {}\nstorage: {trace: {backend: s3}}\n", "Tempo"),
            ("mimir.yaml", "multitenancy_enabled: false\nblocks_storage: {}\n", "Mimir"),
            ("otel.yaml", "receivers: {}\nservice: {pipelines: {}}\n", "OpenTelemetry"),
            ("blackbox.yml", "modules: {http_2xx: {prober: http}}\n", "blackbox"),
            ("t.yml", "rule_files: [a]\ntests: []\n", "promtool"),
            ("p.yaml", "apiVersion: 1\nproviders: []\n", "dashboards"),
            ("c.yaml", "apiVersion: 1\ncontactPoints: []\n", "alerting"),
            ("e.yaml", "route: {routes: [{match: [{receiver: a}]}]}\nreceivers: [{name: a, stdout: {}}]\n", "events"),
            ("compose.yaml", "services: {a: {image: b}}\n", "Compose"),
            ("package.json", "{name: a, version: 1.0.0}", "known"),
            ("ci.yml", "stages: [a]\nbuild: {script: [x]}\n", "known"),
        ] {
            let found = content(path, text);
            assert!(matches!(found, Content::Other(what) if what.contains(expected)), "{text}: {found:?}");
        }
    }
}
