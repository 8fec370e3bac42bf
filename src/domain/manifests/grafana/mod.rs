//! What the files provision Grafana with: datasources and dashboards, and what they name of each other and of Services.

mod named;

use std::collections::{BTreeMap, BTreeSet};

use super::given::{full_name, labels_with, may_meet};
use super::values;
use crate::domain::grafana::provisioned::generated_uid;
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

/// True for a document that provisions datasources.
pub(crate) fn holds_datasources(root: &Node) -> bool {
    listed(root.get("datasources")).is_some()
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
            let Some((node, org)) = default_of(item) else { continue };
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

    /// Its defaults, where another ConfigMap that the same side-car reads has one already.
    pub(crate) fn defaults_beside(&self, other: &Listed<'_>) -> Vec<Problem> {
        let (Some(own), Some(map)) = (self.object, other.object) else { return Vec::new() };
        if !self.is_read_with(other) {
            return Vec::new();
        }
        let beside = |item: &Node| {
            let (node, org) = default_of(item)?;
            let first = other.items.iter().find(|i| default_of(i).is_some_and(|(_, o)| o == org))?;
            // The same datasource once more is provisioned once.
            if name_of(first) == name_of(item) {
                return None;
            }
            let kept = format!("{} of ConfigMap {} is it", name_of(first), full_name(map));
            let message = format!("datasource {} is the default beside another: {kept}", name_of(item));
            let path = format!("{}.isDefault", self.field);
            (own.name != map.name).then(|| Problem::new(node.place, path, message).instead(Some("false")))
        };
        self.items.iter().filter_map(beside).collect()
    }

    /// Both come from ConfigMaps of one namespace with the same label of a side-car, in files of one folder: what lies in
    /// others may be for another cluster.
    fn is_read_with(&self, other: &Listed<'_>) -> bool {
        let folder = |file: &ManifestFile| file.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let labels = |l: &Listed<'_>| {
            let pairs = l.object.into_iter().flat_map(|o| labels_with(o, "datasource"));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<BTreeSet<_>>()
        };
        let namespace = |l: &Listed<'_>| l.object.map(|o| o.namespace.clone());
        let plain = self.values.is_none() && other.values.is_none();
        plain
            && folder(self.file) == folder(other.file)
            && namespace(self) == namespace(other)
            && !labels(self).is_disjoint(&labels(other))
    }
}

/// The mark of a default, with its organisation; `None` for what is none.
fn default_of(item: &Node) -> Option<(&Node, &str)> {
    let node = field(item, ["isDefault", "is_default"]).filter(|n| n.is_true())?;
    let org = field(item, ["orgId", "org_id"]).and_then(Node::as_str).filter(|o| *o != "0").unwrap_or("1");
    Some((node, org))
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

/// A Grafana of the files that has no other datasources than those of the files.
struct Closed<'a> {
    workload: &'a Manifest,
    /// ConfigMaps that it mounts.
    maps: Vec<&'a str>,
    /// Uids and names.
    known: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

/// Images of Grafana by their last part.
const IMAGES: [&str; 3] = ["grafana", "grafana-oss", "grafana-enterprise"];

impl<'a> Closed<'a> {
    /// The one Grafana of the files, if all that it is provisioned with is in them and it keeps nothing else.
    fn of(snap: &'a Snapshot, lists: &[Listed<'a>]) -> Option<Self> {
        let all = ["Deployment", "StatefulSet"].into_iter().flat_map(|kind| snap.manifest_objects("apps", kind));
        let mut grafanas = all.filter_map(|(_, object)| Some((object, container(object)?)));
        let (workload, own) = grafanas.next().filter(|_| snap.files_alone)?;
        if grafanas.next().is_some() {
            return None;
        }
        let pod = workload.node.at(&["spec", "template", "spec"])?;
        let volumes = pod.get("volumes").and_then(Node::items)?;
        let plain = |v: &Node| {
            let mut keys = v.entries().unwrap_or_default().iter().filter_map(|(k, _)| k.as_str());
            keys.all(|k| matches!(k, "name" | "configMap" | "emptyDir" | "secret"))
        };
        let variables = own.get("env").and_then(Node::items).unwrap_or_default();
        let other = variables.iter().any(|v| name_of(v).starts_with("GF_DATABASE")) || own.get("envFrom").is_some();
        let beside = ["containers", "initContainers"].iter().flat_map(|k| pod.get(k).and_then(Node::items));
        let sidecar = beside.flatten().any(|c| image(c).contains("sidecar"));
        let claims = workload.node.at(&["spec", "volumeClaimTemplates"]).is_some();
        if claims || other || sidecar || !volumes.iter().all(plain) {
            return None;
        }
        let mounts = own.get("volumeMounts").and_then(Node::items)?;
        let volume = |mount: &Node| volumes.iter().find(|v| name_of(v) == name_of(mount));
        let map_of = |mount: &Node| volume(mount)?.at(&["configMap", "name"])?.as_str();
        let maps: Vec<&'a str> = mounts.iter().filter_map(map_of).collect();
        let (mut known, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        for mount in mounts {
            let path = mount.get("mountPath").and_then(Node::as_str)?.trim_end_matches('/');
            let provisions = path.contains("/provisioning/datasources") || path.ends_with("/provisioning");
            if !provisions && path != "/etc/grafana" {
                continue;
            }
            let map = map_of(mount)?;
            let is_it = |o: &Manifest| o.name == map && may_meet(o, workload);
            let list: Vec<&Listed<'_>> = lists.iter().filter(|l| l.object.is_some_and(is_it)).collect();
            if list.is_empty() {
                return None;
            }
            for item in list.iter().flat_map(|l| &l.items) {
                let uid = item.get("uid").and_then(Node::as_str).filter(|u| !u.is_empty());
                known.insert(uid.map_or_else(|| generated_uid(name_of(item)), str::to_owned));
                known.insert(name_of(item).to_owned());
                kinds.insert(item.get("type").and_then(Node::as_str).unwrap_or_default().to_owned());
            }
        }
        // A database elsewhere keeps what is made by hand.
        let data = |(_, map): (&ManifestFile, &'a Manifest)| {
            let own = maps.contains(&map.name.as_str()) && may_meet(map, workload);
            map.node.get("data").and_then(Node::entries).filter(|_| own)
        };
        let texts = snap.manifest_objects("", "ConfigMap").filter_map(data).flatten();
        let database = texts.into_iter().any(|(_, v)| v.as_str().is_some_and(|t| t.contains("[database]")));
        (!known.is_empty() && !database).then_some(Self { workload, maps, known, kinds })
    }
}

fn image(container: &Node) -> &str {
    container.get("image").and_then(Node::as_str).unwrap_or_default()
}

/// The container that runs Grafana.
fn container(workload: &Manifest) -> Option<&Node> {
    let containers = workload.node.at(&["spec", "template", "spec", "containers"])?.items()?;
    let name = |image: &str| image.rsplit('/').next().unwrap_or_default().split([':', '@']).next().map(str::to_owned);
    containers.iter().find(|c| name(image(c)).is_some_and(|n| IMAGES.contains(&n.as_str())))
}
