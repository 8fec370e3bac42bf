//! What the files provision Grafana with: datasources and dashboards, and what they name of each other and of Services.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::given::{self, full_name, may_meet};
use super::references::SLIP;
use super::values;
use crate::domain::grafana::import;
use crate::domain::grafana::provisioned::generated_uid;
use crate::domain::grafana::url::Written;
use crate::lint::yaml::{Node, join};
use crate::lint::{Problem, within};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::text::near::typo;

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

/// What the files have that datasources and dashboards name.
pub(crate) struct Grafana<'a> {
    lists: Vec<Listed<'a>>,
    services: Vec<&'a Manifest>,
    /// Something fills in what the import dialogue would have.
    filled_in: bool,
    closed: Option<Closed<'a>>,
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

impl<'a> Grafana<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let lists = lists(snap);
        let services = snap.manifest_objects("", "Service").map(|(_, o)| o).collect();
        let filled_in = given::objects(snap).any(|(_, o)| {
            o.group() == "grafana.integreatly.org"
                || (o.group() == "kustomize.toolkit.fluxcd.io" && o.node.at(&["spec", "postBuild"]).is_some())
        });
        let closed = Closed::of(snap, &lists);
        Self { lists, services, filled_in, closed }
    }

    /// What a ConfigMap with datasources or dashboards names and the files do not have.
    pub(crate) fn broken(&self, file: &ManifestFile, object: &Manifest) -> Vec<Problem> {
        if object.kind != "ConfigMap" || !object.group().is_empty() {
            return Vec::new();
        }
        let own = self.lists.iter().filter(|l| l.object.is_some_and(|o| std::ptr::eq(o, object)));
        let mut found: Vec<Problem> =
            own.flat_map(|l| l.items.iter().filter_map(|item| self.url(object, item, &l.field))).collect();
        self.dashboards(file, object, &mut found);
        found
    }

    /// The URL of a datasource: a Service of the files that lacks the port, or that is nearly called so.
    fn url(&self, object: &Manifest, item: &Node, field: &str) -> Option<Problem> {
        let node = item.get("url")?;
        let written = Written::parse(node.as_str()?)?;
        let labels: Vec<&str> = written.host.trim_end_matches('.').split('.').collect();
        let (name, namespace) = match labels.as_slice() {
            [name] => (*name, object.namespace.as_str()),
            [name, namespace] => (*name, *namespace),
            [name, namespace, "svc", ..] => (*name, *namespace),
            _ => return None,
        };
        // Of a name with one dot only a Service with that namespace tells that it is none of the world.
        let near = |s: &&&Manifest| s.namespace == namespace || (labels.len() == 1 && may_meet(s, object));
        let path = format!("{field}.url");
        let of = name_of(item);
        let Some(service) = self.services.iter().filter(near).find(|s| s.name == name) else {
            let meant = self.services.iter().filter(near).find(|s| typo(name, &s.name, SLIP))?;
            let message = format!("the files hold no Service {name}, which datasource {of} asks");
            let instead = node.as_str()?.replacen(name, &meant.name, 1);
            return Some(Problem::new(node.place, path, message).instead(Some(instead)));
        };
        let text = |key: &str| service.node.at(&["spec", key]).and_then(Node::as_str);
        if text("clusterIP") == Some("None") || text("type") == Some("ExternalName") {
            return None;
        }
        let ports = service.node.at(&["spec", "ports"]).and_then(Node::items)?;
        let there: Vec<&str> = ports.iter().filter_map(|p| p.get("port").and_then(Node::as_str)).collect();
        let port = written.port.to_string();
        if there.is_empty() || there.contains(&port.as_str()) {
            return None;
        }
        let message = format!(
            "Service {} has no port {port}, which datasource {of} asks (it has {})",
            full_name(service),
            there.join(", ")
        );
        let only = if let [one] = there.as_slice() { one.parse().ok() } else { None };
        let instead = only.filter(|_| !written.has_login).map(|port| Written { port, ..written.clone() }.text());
        Some(Problem::new(node.place, path, message).instead(instead))
    }

    fn dashboards(&self, file: &ManifestFile, object: &Manifest, found: &mut Vec<Problem>) {
        let labels = object.node.at(&["metadata", "labels"]).and_then(Node::entries).unwrap_or_default();
        let labelled = labels.iter().any(|(k, _)| k.as_str().is_some_and(|k| k.contains("dashboard")));
        let closed = self
            .closed
            .as_ref()
            .filter(|c| c.maps.contains(&object.name.as_str()) && may_meet(c.workload, object) && !self.filled_in);
        if self.filled_in || !(labelled || closed.is_some()) {
            return;
        }
        for (key, value) in object.node.get("data").and_then(Node::entries).unwrap_or_default() {
            let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
            if !key.ends_with(".json") || !text.contains("\"datasource\"") {
                continue;
            }
            let Ok(json) = serde_json::from_str::<Json>(text) else { continue };
            let json = json.get("dashboard").filter(|d| d.is_object()).unwrap_or(&json);
            let mut named = BTreeMap::new();
            references(json, 0, &mut named);
            for (written, kind) in named {
                let Some(why) = self.lost(json, closed, written, kind) else { continue };
                let at = text.find(&format!("\"{written}\"")).map_or(0, |at| at + 1);
                let place = within::of_byte(&file.text, text, value.place, at).unwrap_or(value.place);
                let title = json.get("title").and_then(Json::as_str).unwrap_or(key);
                let message = format!("dashboard {title:?} asks for datasource {written}, {why}");
                found.push(Problem::new(place, format!("data.{key}"), message));
            }
        }
    }

    /// Why a reference leads nowhere.
    fn lost(&self, json: &Json, closed: Option<&Closed<'_>>, written: &str, kind: &str) -> Option<String> {
        if written.contains('$') {
            import::left_by_import(json, written)?;
            return Some("which only the import dialogue fills in".to_owned());
        }
        let closed = closed?;
        let special = ["", "grafana", "default", "__expr__", "-100"].contains(&written)
            || written.starts_with("--")
            || written.contains('[');
        if special || closed.known.contains(written) || !closed.kinds.contains(kind) {
            return None;
        }
        let known: Vec<&str> = closed.known.iter().map(String::as_str).collect();
        Some(format!(
            "which {} {} is not provisioned with, and it keeps none that are made by hand (it has {})",
            closed.workload.kind,
            full_name(closed.workload),
            known.join(", ")
        ))
    }
}

/// Uids and names of datasources in a dashboard, with their types.
fn references<'j>(json: &'j Json, depth: usize, found: &mut BTreeMap<&'j str, &'j str>) {
    if depth > 12 {
        return;
    }
    match json {
        Json::Array(items) => items.iter().for_each(|item| references(item, depth + 1, found)),
        Json::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    // Annotations and inputs are filled in by Grafana.
                    ("annotations" | "__inputs" | "__requires", _) => {}
                    ("datasource", Json::String(name)) => {
                        found.insert(name, "");
                    }
                    ("datasource", Json::Object(one)) => {
                        let text = |key: &str| one.get(key).and_then(Json::as_str).unwrap_or_default();
                        found.insert(text("uid"), text("type"));
                    }
                    _ => references(value, depth + 1, found),
                }
            }
        }
        _ => {}
    }
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
