//! Data that Helm values keep where it goes with its pod.

use super::{At, BOARDS, EMPTY_DIR, LOGS, SAMPLES, SILENCES, Set, Shape, alone, sends, storage};
use crate::domain::manifests::charts::charts_of;
use crate::domain::manifests::values::{self, Values};
use crate::lint::Problem;
use crate::lint::yaml::{Node, join};
use crate::snapshot::manifests::ManifestFile;

impl<'a> Set<'a> {
    /// What values keep so.
    pub(super) fn of_values(&self, file: &'a ManifestFile, values: &Values<'a>) -> Vec<(Shape, Problem)> {
        let mut found = Vec::new();
        let covered = |path: &str| values.object.is_some_and(|object| self.overlaid.covers(object, path));
        let whole = self.is_whole(file, values);
        for (spec, path) in values::server_specs(values) {
            // `prometheus` and what stands beside it.
            let above = path.strip_suffix(".prometheusSpec").unwrap_or(&path);
            let stack = self.above(values, above);
            let off = stack.is_some_and(|(stack, _)| is_off(stack.get("prometheus")));
            let agent = stack.is_some_and(|(s, _)| s.at(&["prometheus", "agentMode"]).is_some_and(Node::is_true));
            if !off && !agent && !sends(spec) && !covered(&join(&path, "storageSpec")) {
                let at = storage(spec, "storageSpec", &path, whole && !self.said_elsewhere(values, "storageSpec"));
                found.extend(at.map(|at| (Shape::Stack, at.problem("Prometheus", SAMPLES))));
            }
            let Some((stack, above)) = stack else { continue };
            let Some(spec) = stack.at(&["alertmanager", "alertmanagerSpec"]).filter(|s| s.entries().is_some()) else {
                continue;
            };
            let path = join(above, "alertmanager.alertmanagerSpec");
            if !is_off(stack.get("alertmanager")) && alone(spec) && !covered(&join(&path, "storage")) {
                let at = storage(spec, "storage", &path, whole);
                found.extend(at.map(|at| (Shape::StackAlertmanager, at.problem("Alertmanager", SILENCES))));
            }
        }
        for (chart, key) in charts_of(self.snap, &self.charts, file, values) {
            let (node, path) = match &key {
                None => (Some(values.node), values.path.to_owned()),
                Some(key) => (values.node.get(key), join(values.path, key)),
            };
            let Some(node) = node.filter(|n| !is_off(Some(n))) else { continue };
            let made = match chart.as_str() {
                "prometheus" => server(node, &path).map(|p| (Shape::Server, p)),
                "grafana" => self.grafana(node, &path, whole).map(|p| (Shape::Persistence, p)),
                "loki" | "loki-stack" | "loki-single-binary" => {
                    loki(&chart, node, &path, whole).map(|p| (Shape::Persistence, p))
                }
                _ => None,
            };
            found.extend(made.filter(|(_, p)| !covered(&p.path)));
        }
        found
    }

    /// The mapping that holds `prometheus`, with its path.
    fn above<'n>(&self, values: &Values<'n>, prometheus: &'n str) -> Option<(&'n Node, &'n str)> {
        let path = prometheus.strip_suffix("prometheus")?.trim_end_matches('.');
        let inside = path.strip_prefix(values.path)?.trim_start_matches('.');
        let steps: Vec<&str> = inside.split('.').filter(|s| !s.is_empty()).collect();
        Some((values.node.at(&steps)?, path))
    }

    /// No other values are laid over these, as far as the files tell: what they do not say is the chart's own.
    fn is_whole(&self, file: &ManifestFile, values: &Values<'_>) -> bool {
        let Some(object) = values.object else {
            // Files of values are laid over each other, those of a folder or of one chart most of all.
            let folder = |f: &ManifestFile| f.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
            let beside = |f: &&ManifestFile| {
                f.objects.is_empty()
                    && !f.values.is_empty()
                    && f.original.judged().is_none()
                    && f.path != file.path
                    && (f.chart.is_some() || folder(f) == folder(file) || has_specs(f))
            };
            let has_others = self.snap.manifests.items().unwrap_or_default().iter().any(|f| beside(&f));
            return !has_others && file.path != "-";
        };
        // What the object says elsewhere is laid over it.
        let elsewhere =
            |v: &Values<'_>| v.object.is_some_and(|o| std::ptr::eq(o, object)) && !std::ptr::eq(v.node, values.node);
        if values.path.ends_with("parameters") || values::all(file).any(|v| elsewhere(&v)) {
            return false;
        }
        let spec = object.node.get("spec");
        let text = |path: &[&str]| spec.and_then(|s| s.at(path)).is_some();
        match object.kind.as_str() {
            "HelmRelease" => (text(&["chart", "spec", "chart"]) || text(&["chartRef"])) && !text(&["valuesFrom"]),
            "Application" => {
                let sources = spec.and_then(|s| s.get("sources")).and_then(Node::items).unwrap_or_default().iter();
                let all: Vec<&Node> = spec.and_then(|s| s.get("source")).into_iter().chain(sources).collect();
                all.iter().all(|s| s.at(&["helm", "valueFiles"]).is_none() && s.get("ref").is_none())
            }
            "HelmChart" => true,
            _ => false,
        }
    }

    /// Other values of the set speak of the same.
    fn said_elsewhere(&self, values: &Values<'_>, key: &str) -> bool {
        let all = self.snap.manifests.items().unwrap_or_default().iter().flat_map(values::all);
        all.filter(|v| !std::ptr::eq(v.node, values.node))
            .any(|v| values::server_specs(&v).iter().any(|(spec, _)| spec.get(key).is_some()))
    }

    /// `persistence` of the chart grafana, which is off unless told otherwise.
    fn grafana(&self, node: &Node, path: &str, whole: bool) -> Option<Problem> {
        let keys = ["dashboards", "dashboardProviders", "dashboardsConfigMaps", "envFromSecret", "envFromSecrets"];
        let filled =
            |key: &str| node.get(key).is_some_and(|n| n.entries().is_none_or(|e| !e.is_empty()) && !n.is_null());
        let sidecar = ["sidecar", "dashboards", "enabled"];
        let env = node.get("env").and_then(Node::entries).unwrap_or_default();
        let on_server = node.at(&["grafana.ini", "database"]).is_some()
            || env.iter().any(|(k, _)| k.as_str().is_some_and(|k| k.starts_with("GF_DATABASE_")));
        if keys.into_iter().any(filled) || node.at(&sidecar).is_some_and(Node::is_true) || on_server {
            return None;
        }
        let at = switch(node, path, whole)?;
        Some(at.problem("Grafana", BOARDS))
    }
}

/// Values of kube-prometheus-stack.
fn has_specs(file: &ManifestFile) -> bool {
    values::all(file).any(|v| !values::server_specs(&v).is_empty())
}

/// `persistence` of a chart whose default is none.
fn switch(node: &Node, path: &str, whole: bool) -> Option<At> {
    let field = join(path, "persistence.enabled");
    match node.at(&["persistence", "enabled"]) {
        Some(n) if n.as_str() == Some("false") => Some(At { place: n.place, path: field, on: EMPTY_DIR, lacks: None }),
        Some(_) => None,
        None if whole => Some(At { place: node.place, path: field, on: EMPTY_DIR, lacks: Some("persistence.enabled") }),
        None => None,
    }
}

/// A part of values that is switched off.
fn is_off(node: Option<&Node>) -> bool {
    node.and_then(|n| n.get("enabled")).and_then(Node::as_str) == Some("false")
}

/// `server` of the chart prometheus, whose volume is on unless told otherwise.
fn server(node: &Node, path: &str) -> Option<Problem> {
    let server = node.get("server")?;
    let off = server.at(&["persistentVolume", "enabled"]).filter(|n| n.as_str() == Some("false"))?;
    let flags = ["extraFlags", "defaultFlagsOverride"].into_iter().filter_map(|key| server.get(key)?.items());
    let agent = flags.flatten().any(|f| f.as_str().is_some_and(|f| f.contains("agent")));
    let filled = |key: &str| server.get(key).is_some_and(|n| n.items().is_none_or(|i| !i.is_empty()) && !n.is_null());
    if agent || filled("remoteWrite") || filled("sidecarContainers") || is_off(Some(server)) {
        return None;
    }
    let at = At { place: off.place, path: join(path, "server.persistentVolume.enabled"), on: EMPTY_DIR, lacks: None };
    Some(at.problem("Prometheus", SAMPLES))
}

/// Loki with its chunks in files and no volume for them.
fn loki(chart: &str, node: &Node, path: &str, whole: bool) -> Option<Problem> {
    let (node, at) = if chart == "loki-stack" {
        let own = node.get("loki").unwrap_or(node);
        if is_off(Some(own)) {
            return None;
        }
        (own, switch(own, &join(path, "loki"), whole)?)
    } else {
        let own = node.get("singleBinary")?;
        // The other ways to run it keep nothing in this part, and none of its pods is made.
        let mode = node.get("deploymentMode").and_then(Node::as_str);
        let is_made = own.get("replicas").and_then(Node::as_str) != Some("0");
        if !is_made || mode.is_some_and(|mode| !mode.contains("SingleBinary")) {
            return None;
        }
        (node, switch(own, &join(path, "singleBinary"), false)?)
    };
    (!names_store(node)).then(|| at.problem("Loki", LOGS))
}

/// Values of Loki that name an object store.
fn names_store(node: &Node) -> bool {
    const STORES: [&str; 8] = ["s3", "aws", "gcs", "azure", "swift", "bos", "cos", "alibabacloud"];
    let filled = |n: &Node| n.entries().is_none_or(|e| !e.is_empty()) && !n.is_null();
    let here = node.entries().unwrap_or_default().iter().any(|(key, value)| {
        let key = key.as_str().unwrap_or_default();
        let chosen = matches!(key, "type" | "object_store" | "shared_store" | "store");
        (STORES.contains(&key) && filled(value))
            || (chosen && value.as_str().is_some_and(|v| STORES.contains(&v)))
            || (key == "minio" && value.get("enabled").is_some_and(Node::is_true))
            || names_store(value)
    });
    here || node.items().unwrap_or_default().iter().any(names_store)
}
