//! What the files provision Grafana with: datasources and dashboards, and what they name of each other and of Services.

mod closed;
mod named;

use std::collections::BTreeMap;

use super::values;
use crate::lint::yaml::{Node, join};
use crate::lint::{Problem, within};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};
pub(crate) use named::Grafana;

/// A list of datasources.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    /// The file that holds it.
    pub(crate) file: &'a ManifestFile,
    /// The object that holds it.
    pub(crate) object: Option<&'a Manifest>,
    /// Where it stands.
    pub(crate) field: String,
    /// The Helm values that it stands in.
    pub(crate) values: Option<values::Values<'a>>,
    items: Vec<Node>,
}

/// All lists of datasources in the files.
pub(crate) fn lists(snap: &Snapshot) -> Vec<Listed<'_>> {
    let mut found = Vec::new();
    for file in snap.manifests.items().unwrap_or_default() {
        for root in &file.values {
            found.extend(listed(root.get("datasources")).map(|items| Listed {
                file,
                object: None,
                field: "datasources".to_owned(),
                values: None,
                items,
            }));
        }
        for object in file.objects.iter().filter(|o| o.kind == "ConfigMap" && o.group().is_empty()) {
            of_config_map(file, object, &mut found);
        }
        for values in values::all(file) {
            of_values(file, values, values.node, values.path, 0, &mut found);
        }
    }
    found
}

/// The datasources of a list, where it is one.
fn listed(node: Option<&Node>) -> Option<Vec<Node>> {
    let items = node?.items()?;
    let is_one = |n: &Node| ["name", "type"].iter().all(|key| n.get(key).is_some_and(|v| v.as_str().is_some()));
    (!items.is_empty() && items.iter().all(is_one)).then(|| items.to_vec())
}

fn of_config_map<'a>(file: &'a ManifestFile, object: &'a Manifest, found: &mut Vec<Listed<'a>>) {
    for (key, value) in object.node.get("data").and_then(Node::entries).unwrap_or_default() {
        let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
        let is_file = (key.ends_with(".yaml") || key.ends_with(".yml")) && text.contains("datasources");
        if !is_file {
            continue;
        }
        let documents = within::documents(&file.text, text, value.place).unwrap_or_default();
        let items = documents.iter().find_map(|d| listed(d.get("datasources")));
        let field = format!("data.{key}");
        found.extend(items.map(|items| Listed { file, object: Some(object), field, values: None, items }));
    }
}

/// Depth at which charts have them.
const DEPTH: usize = 3;

fn of_values<'a>(
    file: &'a ManifestFile,
    values: values::Values<'a>,
    node: &'a Node,
    path: &str,
    depth: usize,
    found: &mut Vec<Listed<'a>>,
) {
    let mut add = |items: Option<Vec<Node>>, field: String| {
        found.extend(items.map(|items| Listed { file, object: values.object, field, values: Some(values), items }));
    };
    for (key, value) in node.entries().unwrap_or_default() {
        let Some(key) = key.as_str() else { continue };
        let path = join(path, key);
        match key {
            "additionalDataSources" => add(listed(Some(value)), path),
            "datasources" => {
                for (name, content) in value.entries().unwrap_or_default() {
                    let field = join(&path, name.as_str().unwrap_or_default());
                    add(listed(content.get("datasources")), field);
                }
            }
            _ => {}
        }
    }
    if depth < DEPTH {
        for (key, value) in node.entries().unwrap_or_default() {
            let Some(key) = key.as_str().filter(|k| !matches!(*k, "datasources" | "additionalDataSources")) else {
                continue;
            };
            of_values(file, values, value, &join(path, key), depth + 1, found);
        }
    }
}

fn field<'n>(item: &'n Node, names: [&str; 2]) -> Option<&'n Node> {
    names.iter().find_map(|name| item.get(name))
}

fn name_of(item: &Node) -> &str {
    item.get("name").and_then(Node::as_str).unwrap_or_default()
}

impl Listed<'_> {
    /// Datasources that are the default of an organisation beside another.
    pub(crate) fn second_defaults(&self, snap: &Snapshot) -> Vec<Problem> {
        let mut first: BTreeMap<&str, String> = BTreeMap::new();
        if self.field.ends_with("grafana.additionalDataSources") && chart_has_default(snap) {
            let own = "the Prometheus of kube-prometheus-stack is it (grafana.sidecar.datasources.isDefaultDatasource)";
            first.insert("1", own.to_owned());
        }
        let mut found = Vec::new();
        for item in &self.items {
            let Some(node) = field(item, ["isDefault", "is_default"]).filter(|n| n.is_true()) else { continue };
            let org = field(item, ["orgId", "org_id"]).and_then(Node::as_str).filter(|o| *o != "0").unwrap_or("1");
            if let Some(other) = first.get(org) {
                let message = format!("datasource {} is the default beside another: {other}", name_of(item));
                found.push(
                    Problem::new(node.place, format!("{}.isDefault", self.field), message).instead(Some("false")),
                );
            } else {
                first.insert(org, format!("{} is it (line {})", name_of(item), node.place.line));
            }
        }
        found
    }
}

/// kube-prometheus-stack makes its own Prometheus the default, unless some values of the files say otherwise.
fn chart_has_default(snap: &Snapshot) -> bool {
    let files = snap.manifests.items().unwrap_or_default();
    !files.iter().flat_map(values::all).any(|values| switched_off(values.node, 0))
}

fn switched_off(node: &Node, depth: usize) -> bool {
    let off = |path: &[&str]| node.at(path).and_then(Node::as_str) == Some("false");
    let own = ["enabled", "defaultDatasourceEnabled", "isDefaultDatasource"];
    off(&["grafana", "enabled"])
        || off(&["grafana", "sidecar", "enabled"])
        || own.iter().any(|key| off(&["grafana", "sidecar", "datasources", key]))
        || (depth < DEPTH && node.entries().unwrap_or_default().iter().any(|(_, v)| switched_off(v, depth + 1)))
}
