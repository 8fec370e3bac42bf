//! The chart that values are for: as the user says, by who installs it, by the `Chart.yaml` beside them, or by their keys.

use super::given;
use super::values::Values;
use crate::lint::Problem;
use crate::lint::charts::lint;
use crate::lint::yaml::{self, Node, join};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// Keys of values that their chart does not have, although it has their near relation.
pub(crate) fn misspelt(
    snap: &Snapshot,
    charts: &[&ManifestFile],
    file: &ManifestFile,
    values: &Values<'_>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    for (chart, key) in charts_of(snap, charts, file, values) {
        let (node, path) = match key {
            None => (Some(values.node), values.path.to_owned()),
            Some(key) => (values.node.get(&key), join(values.path, &key)),
        };
        if let Some(node) = node {
            found.extend(lint(node, &path, &chart));
        }
    }
    found
}

/// Charts that values are for, each with the key below which its own stand.
pub(super) fn charts_of(
    snap: &Snapshot,
    charts: &[&ManifestFile],
    file: &ManifestFile,
    values: &Values<'_>,
) -> Vec<(String, Option<String>)> {
    let named = match values.object {
        Some(object) => of_object(snap, object, values.path),
        None => file.chart.clone(),
    };
    if let Some(chart) = named {
        let chart = chart.rsplit('/').next().unwrap_or_default().to_owned();
        return vec![(chart, None)];
    }
    if values.object.is_none() {
        let beside = dependencies(charts, file);
        if !beside.is_empty() {
            return beside;
        }
    }
    let is_stack = values.node.at(&["prometheus", "prometheusSpec"]).is_some_and(|spec| spec.entries().is_some());
    if is_stack { vec![("kube-prometheus-stack".to_owned(), None)] } else { Vec::new() }
}

/// The chart that an object installs; of a ConfigMap the one whose release takes its values from there.
fn of_object(snap: &Snapshot, object: &Manifest, path: &str) -> Option<String> {
    let text = |node: &Node, at: &[&str]| node.at(at).and_then(Node::as_str).map(str::to_owned);
    match object.kind.as_str() {
        "HelmRelease" => text(&object.node, &["spec", "chart", "spec", "chart"]),
        "HelmChart" => text(&object.node, &["spec", "chart"]),
        "Application" => source(object.node.get("spec")?, path),
        "ApplicationSet" => source(object.node.at(&["spec", "template", "spec"])?, path),
        "Kustomization" => {
            let charts = object.node.get("helmCharts").and_then(Node::items)?;
            text(charts.get(number(path, "helmCharts[")?)?, &["name"])
        }
        "ConfigMap" => {
            let takes = |release: &&Manifest| {
                let from = release.node.at(&["spec", "valuesFrom"]).and_then(Node::items).unwrap_or_default();
                given::may_meet(release, object)
                    && from.iter().any(|f| text(f, &["name"]).as_ref() == Some(&object.name))
            };
            let mut releases =
                snap.manifest_objects("helm.toolkit.fluxcd.io", "HelmRelease").map(|(_, o)| o).filter(takes);
            text(&releases.next()?.node, &["spec", "chart", "spec", "chart"])
        }
        _ => None,
    }
}

/// The chart of the source of an Application that values belong to.
fn source(spec: &Node, path: &str) -> Option<String> {
    let source = match number(path, "sources[") {
        Some(number) => spec.get("sources").and_then(Node::items)?.get(number)?,
        None => spec.get("source")?,
    };
    source.get("chart").and_then(Node::as_str).map(str::to_owned)
}

/// The number in `sources[1].helm`.
fn number(path: &str, list: &str) -> Option<usize> {
    path.split_once(list)?.1.split(']').next()?.parse().ok()
}

/// The `Chart.yaml` files.
pub(crate) fn files(snap: &Snapshot) -> Vec<&ManifestFile> {
    let is_chart = |f: &&ManifestFile| f.path.rsplit('/').next() == Some("Chart.yaml");
    snap.manifests.items().unwrap_or_default().iter().filter(is_chart).collect()
}

/// Charts that the one in the same folder depends on, with their keys.
fn dependencies(charts: &[&ManifestFile], file: &ManifestFile) -> Vec<(String, Option<String>)> {
    let folder = |file: &ManifestFile| file.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let Some(chart) = charts.iter().find(|c| folder(c) == folder(file)) else { return Vec::new() };
    let Ok(Some(root)) = yaml::document(&chart.text) else { return Vec::new() };
    let list = root.get("dependencies").and_then(Node::items).unwrap_or_default();
    let of = |dependency: &Node| {
        let text = |key: &str| dependency.get(key).and_then(Node::as_str).map(str::to_owned);
        let name = text("name")?;
        Some((name.clone(), Some(text("alias").unwrap_or(name))))
    };
    list.iter().filter_map(of).collect()
}
