//! Keys of the values of well-known charts: Helm leaves out what a chart does not have, without a word.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::Problem;
use super::yaml::{Node, join};
use crate::text::near::is_slip;

/// Made by `tests/tools/chart_values.py` of the history of the charts.
const CHARTS: &str = include_str!("charts.json");

/// Charts that a chart contains, by the key of their values.
const PARTS: &[(&str, &str, &str)] =
    &[("kube-prometheus-stack", "grafana", "grafana"), ("prometheus", "alertmanager", "alertmanager")];

/// Levels of keys that are known.
const DEPTH: usize = 4;

#[derive(Deserialize)]
struct Chart {
    /// Keys by the path of their map.
    maps: BTreeMap<String, Vec<String>>,
    /// Every key that some version has somewhere: none of them is a slip.
    words: Vec<String>,
}

fn charts() -> &'static BTreeMap<String, Chart> {
    static READ: OnceLock<BTreeMap<String, Chart>> = OnceLock::new();
    READ.get_or_init(|| serde_json::from_str(CHARTS).expect("the file is part of the program and tested"))
}

/// Misspelt keys of the values of a chart; nothing for a chart that is not known. `path`: where the values stand.
pub fn lint(values: &Node, path: &str, chart: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Some((name, own)) = charts().get_key_value(chart) {
        let reader = Reader { name, own };
        reader.map(values, "", path, 0, &mut found);
    }
    found
}

/// True for a chart's name, and for a key at the top of the values of one.
pub(crate) fn has_key(key: &str) -> bool {
    charts().iter().any(|(name, chart)| name == key || chart.maps.get("").is_some_and(|k| k.iter().any(|k| k == key)))
}

struct Reader {
    name: &'static str,
    own: &'static Chart,
}

impl Reader {
    fn map(&self, node: &Node, at: &str, path: &str, depth: usize, found: &mut Vec<Problem>) {
        let known = self.keys(at);
        for (key, value) in node.entries().unwrap_or_default() {
            let Some(name) = key.as_str() else { continue };
            let below = join(path, name);
            if !known.contains(&name) && !self.has_word(name) {
                found.extend(self.slip(node, (key, name), (&join(at, name), &below), &known));
            } else if depth < DEPTH && !name.contains('.') {
                self.map(value, &join(at, name), &below, depth + 1, found);
            }
        }
    }

    fn slip(
        &self,
        node: &Node,
        (key, name): (&Node, &str),
        (own, path): (&str, &str),
        known: &[&'static str],
    ) -> Option<Problem> {
        let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
        let same = |k: &&&str| plain(k) == plain(name);
        let slip = |k: &&&str| name.len() > 4 && is_slip(name, k, if name.len() > 9 { 2 } else { 1 });
        let meant = known.iter().find(same).or_else(|| known.iter().find(slip))?;
        // Misspelt beside the right one it may be anything.
        if node.get(meant).is_some() {
            return None;
        }
        let message = format!("the chart {} has no value {own:?}", self.name);
        Some(Problem::new(key.place, path, message).instead(Some(*meant)))
    }

    /// Keys that a map of the chart has, with those of a chart that it contains; none where its keys are free.
    fn keys(&self, at: &str) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = self.own.maps.get(at).into_iter().flatten().map(String::as_str).collect();
        for (part, below) in self.parts(at) {
            all.extend(part.maps.get(below).into_iter().flatten().map(String::as_str));
        }
        all
    }

    /// Charts that it contains at a path, with the rest of the path.
    fn parts<'p>(&self, at: &'p str) -> Vec<(&'static Chart, &'p str)> {
        let own = PARTS.iter().filter(|(chart, ..)| *chart == self.name);
        let found = own.filter_map(|(_, key, chart)| {
            let rest = at.strip_prefix(key)?;
            let below = if rest.is_empty() { rest } else { rest.strip_prefix('.')? };
            Some((charts().get(*chart)?, below))
        });
        found.collect()
    }

    fn has_word(&self, name: &str) -> bool {
        let parts = PARTS.iter().filter(|(chart, ..)| *chart == self.name).filter_map(|(_, _, c)| charts().get(*c));
        std::iter::once(self.own).chain(parts).any(|chart| chart.words.iter().any(|w| w == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn said(chart: &str, text: &str) -> Vec<(String, Option<String>)> {
        let values = yaml::document(text).expect("is YAML").expect("is not empty");
        lint(&values, "", chart).into_iter().map(|p| (p.path, p.instead)).collect()
    }

    #[test]
    fn every_chart_is_there() {
        let names: Vec<&str> = charts().keys().map(String::as_str).collect();
        assert_eq!(names, ["alertmanager", "grafana", "kube-prometheus-stack", "loki", "prometheus"]);
    }

    #[test]
    fn keys_that_a_chart_has_or_that_are_free_are_quiet() {
        for (chart, text) in [
            (
                "kube-prometheus-stack",
                "grafana:\n  adminPassword: x\n  grafana.ini: {server: {root_urll: x}}\n  persistence: {enabled: true, size: 1Gi}\n  env: {GF_SERVER: x}\n  sidecar: {dashboards: {enabled: true}}\nprometheus: {prometheusSpec: {retentions: 1d}}\nkubeEtcd: {enabled: false}\n",
            ),
            (
                "prometheus",
                "server: {persistentVolume: {size: 1Gi}, extraFlags: [a]}\nserverFiles: {x.yml: {}}\nalertmanager: {enabled: false}\n",
            ),
            (
                "grafana",
                "adminUser: a\ndatasources: {datasources.yaml: {}}\nserviceMonitor: {enabled: true}\nmyOwnAnchor: 1\n",
            ),
            (
                "loki",
                "loki: {auth_enabled: false, storage: {type: s3}, schemaConfig: {configs: []}}\ndeploymentMode: SingleBinary\n",
            ),
            ("nginx", "replicaCont: 1\n"),
        ] {
            assert_eq!(said(chart, text), Vec::new(), "{chart}");
        }
    }

    #[test]
    fn misspelt_keys_are_named_with_what_is_meant() {
        for (chart, text, path, meant) in [
            ("kube-prometheus-stack", "grafana: {adminPasword: x}", "grafana.adminPasword", "adminPassword"),
            ("kube-prometheus-stack", "name_space_override: x", "name_space_override", "namespaceOverride"),
            ("kube-prometheus-stack", "prometheus: {promtheusSpec: {}}", "prometheus.promtheusSpec", "prometheusSpec"),
            ("kube-prometheus-stack", "alertmanger: {enabled: false}", "alertmanger", "alertmanager"),
            ("prometheus", "server: {persistantVolume: {size: 1Gi}}", "server.persistantVolume", "persistentVolume"),
            ("grafana", "persistance: {enabled: true}", "persistance", "persistence"),
        ] {
            assert_eq!(said(chart, text), [(path.to_owned(), Some(meant.to_owned()))], "{text}");
        }
        assert_eq!(said("grafana", "persistance: {}\npersistence: {}"), Vec::new());
    }
}
