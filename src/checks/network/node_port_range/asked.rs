//! Node ports that manifests and Helm values ask for.

use std::collections::BTreeMap;

use crate::domain::manifests::values::{self, Values};
use crate::lint::Place;
use crate::lint::yaml::{Node, Value};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};

/// Types of Services that have node ports.
const WITH_NODE_PORTS: [&str; 2] = ["NodePort", "LoadBalancer"];

/// A node port that somebody wrote down.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// The file.
    pub(super) file: &'a ManifestFile,
    /// Where the number is.
    pub(super) place: Place,
    /// Path of the number: `spec.ports[0].nodePort`.
    pub(super) path: String,
    /// Its key: `nodePort`.
    pub(super) key: &'a str,
    /// The number.
    pub(super) wanted: i64,
    /// `TCP` unless it says something else.
    pub(super) protocol: &'a str,
    /// Ports that it leads to, those of the program first.
    pub(super) ports: Vec<i64>,
    /// The Service, or `None` in Helm values, which leave its name to the chart.
    pub(super) service: Option<&'a Manifest>,
    /// The values are part of an object that installs the chart: the object is applied, not the chart.
    pub(super) embedded: bool,
    /// The Service is known to be of a type that has node ports.
    pub(super) sure: bool,
}

/// All that the files ask for, in their order.
pub(super) fn all(snap: &Snapshot) -> Vec<Asked<'_>> {
    let mut found = Vec::new();
    // An overlay may leave the type to its base: the first that says it does so for all of one name.
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, service) in snap.manifest_objects("", "Service") {
        if let Some(kind) = own_type(service) {
            types.entry(&service.name).or_insert(kind);
        }
    }
    for (file, service) in snap.manifest_objects("", "Service") {
        let kind = own_type(service).or_else(|| types.get(service.name.as_str()).copied());
        of_service(kind, file, service, &mut found);
    }
    for file in snap.manifests.items().unwrap_or_default() {
        for Values { node, path, .. } in values::all(file) {
            let mut walk = Walk { snap, file, prefix: path, above: Vec::new(), keys: Vec::new(), found: &mut found };
            walk.node(node, path, false);
        }
    }
    found
}

fn of_service<'a>(kind: Option<&str>, file: &'a ManifestFile, service: &'a Manifest, found: &mut Vec<Asked<'a>>) {
    let Some(kind) = kind.filter(|t| WITH_NODE_PORTS.contains(t)) else { return };
    let ports = service.node.at(&["spec", "ports"]).and_then(Node::items).unwrap_or_default();
    let mut ask = |node: &'a Node, key, path, port: Option<&'a Node>| {
        let Some(wanted) = number(node) else { return };
        let of_port = |key| port.and_then(|p| p.get(key));
        found.push(Asked {
            file,
            place: node.place,
            path,
            key,
            wanted,
            protocol: of_port("protocol").and_then(Node::as_str).unwrap_or("TCP"),
            ports: ["targetPort", "port"].iter().filter_map(|key| number(of_port(key)?)).collect(),
            service: Some(service),
            embedded: false,
            sure: true,
        });
    };
    for (at, port) in ports.iter().enumerate() {
        if let Some(node) = port.get("nodePort") {
            ask(node, "nodePort", format!("spec.ports[{at}].nodePort"), Some(port));
        }
    }
    let health = service.node.at(&["spec", "healthCheckNodePort"]);
    if let Some(node) = health.filter(|_| kind == "LoadBalancer") {
        ask(node, "healthCheckNodePort", "spec.healthCheckNodePort".to_owned(), None);
    }
}

/// The type that a Service itself says.
fn own_type(service: &Manifest) -> Option<&str> {
    service.node.at(&["spec", "type"]).and_then(Node::as_str)
}

/// A number above 0, which stands for "choose one".
fn number(node: &Node) -> Option<i64> {
    node.as_str()?.trim().parse().ok().filter(|n| *n > 0)
}

struct Walk<'a, 'f> {
    snap: &'a Snapshot,
    file: &'a ManifestFile,
    prefix: &'a str,
    /// Mappings on the way down.
    above: Vec<&'a Node>,
    keys: Vec<&'a str>,
    found: &'f mut Vec<Asked<'a>>,
}

impl<'a> Walk<'a, '_> {
    /// `inside`: below `nodePorts`, where every number is one.
    fn node(&mut self, node: &'a Node, path: &str, inside: bool) {
        match &node.value {
            Value::Scalar { .. } => {}
            Value::Sequence(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.node(item, &format!("{path}[{at}]"), inside);
                }
            }
            Value::Mapping(entries) => {
                // What is switched off asks for nothing.
                if node.get("enabled").and_then(Node::as_str) == Some("false") {
                    return;
                }
                self.above.push(node);
                for (key, value) in entries {
                    let Some(key) = key.as_str() else { continue };
                    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    self.keys.push(key);
                    match number(value).filter(|_| inside || names_node_port(key)) {
                        Some(wanted) => self.ask(node, value, key, path, wanted),
                        None => self.node(value, &path, inside || key == "nodePorts"),
                    }
                    self.keys.pop();
                }
                self.above.pop();
            }
        }
    }

    fn ask(&mut self, parent: &'a Node, value: &'a Node, key: &'a str, path: String, wanted: i64) {
        let kind = self.service_type();
        if kind.is_some_and(|k| !WITH_NODE_PORTS.contains(&k)) {
            return;
        }
        let sibling = |key| parent.get(key);
        self.found.push(Asked {
            file: self.file,
            place: value.place,
            path,
            key,
            wanted,
            protocol: sibling("protocol").and_then(Node::as_str).unwrap_or("TCP"),
            ports: ["targetPort", "port", "servicePort"].iter().filter_map(|key| number(sibling(key)?)).collect(),
            service: None,
            embedded: !self.prefix.is_empty(),
            sure: kind.is_some(),
        });
    }

    /// The type of the Service that a key is about: the nearest one above, else that of another values file.
    fn service_type(&self) -> Option<&'a str> {
        let nearest = self.above.iter().rev().find_map(|node| type_in(node));
        let others = self.snap.manifests.items().unwrap_or_default().iter().flat_map(|f| &f.values);
        nearest.or_else(|| {
            let mut others = others.filter(|_| self.prefix.is_empty());
            others.find_map(|o| (0..self.keys.len()).rev().find_map(|depth| type_in(o.at(&self.keys[..depth])?)))
        })
    }
}

fn type_in(node: &Node) -> Option<&str> {
    let known = |kind: &&str| WITH_NODE_PORTS.contains(kind) || matches!(*kind, "ClusterIP" | "ExternalName");
    let paths: [&[&str]; 3] = [&["type"], &["serviceType"], &["service", "type"]];
    paths.iter().find_map(|path| node.at(path).and_then(Node::as_str).filter(known))
}

/// `nodePort`, `httpNodePort`, `node_port`.
fn names_node_port(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    plain.to_ascii_lowercase().ends_with("nodeport")
}
