//! A must-gather of OpenShift, and what is laid out like it: `oc adm must-gather`, `oc adm inspect`. Lists and single objects in
//! YAML below `namespaces/` and `cluster-scoped-resources/`, logs below their pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Mapped;
use crate::lint::yaml;
use crate::snapshot::manifests::Manifest;
use crate::text::pattern::pattern;

/// Where it keeps what belongs to namespaces, and what belongs to none.
const NAMESPACES: &str = "namespaces/";
const CLUSTER: &str = "cluster-scoped-resources/";

/// Resources of the cluster that are asked for as a whole. Of all others only those objects are there that some operator names
/// as its own: that is no list of what the cluster has.
const WHOLE: &[(&str, &[&str])] = &[
    ("core", &["nodes", "persistentvolumes"]),
    ("apiregistration.k8s.io", &["apiservices"]),
    ("certificates.k8s.io", &["certificatesigningrequests"]),
    ("storage.k8s.io", &["storageclasses", "csidrivers", "csinodes", "volumeattachments", "volumeattributesclasses"]),
    ("snapshot.storage.k8s.io", &["volumesnapshotclasses", "volumesnapshotcontents"]),
];

/// Objects by the API that serves them, their plural and their namespace.
type Lists = BTreeMap<(String, String, Option<String>), Vec<Value>>;

/// The folder of the image that gathered, with the slash at its end: the one with most namespaces, where several did.
pub(super) fn top(names: &[String]) -> Option<String> {
    let mut tops: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        let at = if name.starts_with(NAMESPACES) { Some(0) } else { name.find("/namespaces/").map(|at| at + 1) };
        let Some((top, inside)) = at.map(|at| name.split_at(at)) else { continue };
        // Of others only the word is the same.
        if let ["namespaces", _, "core", "pods.yaml" | "pods.json"] = inside.split('/').collect::<Vec<_>>().as_slice() {
            *tops.entry(top).or_default() += 1;
        }
    }
    tops.into_iter().max_by_key(|(_, count)| *count).map(|(top, _)| top.to_owned())
}

impl Mapped<'_> {
    /// Puts its files where a bundle has them.
    pub(super) fn must_gather(&mut self, names: &[String], top: &str) {
        let inside: Vec<(&String, &str)> = names.iter().filter_map(|n| Some((n, n.strip_prefix(top)?))).collect();
        // What was asked of a namespace alone has of the cluster only what the namespace leads to.
        let whole = inside.iter().any(|(_, path)| path.starts_with("cluster-scoped-resources/core/nodes/"));
        let mut lists = Lists::new();
        for (name, path) in inside {
            if let Some(path) = path.strip_prefix(NAMESPACES) {
                self.of_namespace(name, path, &mut lists);
            } else if let Some(path) = path.strip_prefix(CLUSTER).filter(|_| whole) {
                self.of_cluster(name, path, &mut lists);
            }
        }
        for ((api, resource, namespace), items) in lists {
            self.listed(json!({ "items": items }), &api, &resource, namespace.as_deref());
        }
    }

    fn of_namespace(&mut self, name: &str, path: &str, lists: &mut Lists) {
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [namespace, "pods", pod, container, _, "logs", file] => {
                self.gathered_log(name, namespace, pod, container, file)
            }
            [_, "pods", ..] => {}
            [namespace, group, file] => {
                if let (Some(resource), Some(document)) = (stem(file), self.yaml(name)) {
                    self.gathered(document, group, resource, Some(namespace), lists);
                }
            }
            // What a namespace has of Kubernetes' own kinds is in its lists: single ones are there because something names them.
            [namespace, group, resource, file] if stem(file).is_some() && !is_built_in(group) => {
                if let Some(document) = self.yaml(name) {
                    self.gathered(document, group, resource, Some(namespace), lists);
                }
            }
            _ => {}
        }
    }

    fn of_cluster(&mut self, name: &str, path: &str, lists: &mut Lists) {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, resource) = match parts.as_slice() {
            [group, resource, file] if stem(file).is_some() => (*group, *resource),
            [group, file] => match stem(file) {
                Some(resource) => (*group, resource),
                None => return,
            },
            _ => return,
        };
        let is_whole = WHOLE.iter().any(|(of, all)| *of == group && all.contains(&resource));
        if let Some(document) = self.yaml(name).filter(|d| is_whole || is_list(d)) {
            self.gathered(document, group, resource, None, lists);
        }
    }

    /// A list as it is, or an object of one.
    fn gathered(&mut self, document: Value, group: &str, resource: &str, namespace: Option<&str>, lists: &mut Lists) {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let is_list = is_list(&document);
        let items = document.get("items").and_then(Value::as_array);
        // A list of mixed kinds says no API but that of lists.
        let first = items.and_then(|items| text(items.first()?, "apiVersion"));
        let version = first.or_else(|| text(&document, "apiVersion"));
        let api = match (group, version.as_deref().and_then(|v| v.split_once('/'))) {
            ("core", None) => "api/v1".to_owned(),
            (group, Some((own, version))) if own == group => format!("apis/{group}/{version}"),
            _ => return,
        };
        // Nobody looks into Secrets, and of namespaces only those are there that were asked for.
        if group == "core" && matches!(resource, "secrets" | "namespaces") {
            return;
        }
        let key = (api, resource.to_owned(), namespace.map(str::to_owned));
        let list = lists.entry(key).or_default();
        match items {
            Some(items) if is_list => list.extend(items.iter().cloned()),
            None if is_list => {}
            // It may stand in the list as well.
            _ if list.iter().any(|there| name_of(there) == name_of(&document)) => {}
            _ => list.push(document),
        }
    }

    fn gathered_log(&mut self, name: &str, namespace: &str, pod: &str, container: &str, file: &str) {
        let file = match file {
            "current.log" => format!("{container}.log"),
            "previous.log" => format!("{container}.previous.log"),
            _ => return,
        };
        let text = self.text(name).unwrap_or_default();
        // It asks for the time before each line, which no program writes.
        let time = pattern!(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d) ");
        let lines: Vec<&str> =
            text.lines().map(|line| time.find(line).map_or(line, |found| &line[found.end()..])).collect();
        if !lines.is_empty() {
            self.log(namespace, pod, &file, &lines);
        }
    }

    fn yaml(&self, name: &str) -> Option<Value> {
        let of_yaml = || Manifest::of(yaml::document(&self.text(name)?).ok()??)?.as_object();
        self.json(name).or_else(of_yaml)
    }
}

fn is_list(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
}

fn name_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/name")?.as_str()
}

/// A group of Kubernetes itself.
fn is_built_in(group: &str) -> bool {
    !group.contains('.')
        || matches!(group, "networking.k8s.io" | "discovery.k8s.io" | "events.k8s.io" | "rbac.authorization.k8s.io")
}

/// The name of a file of YAML or JSON.
fn stem(file: &str) -> Option<&str> {
    [".yaml", ".yml", ".json"].into_iter().find_map(|end| file.strip_suffix(end))
}
