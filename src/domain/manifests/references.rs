//! What objects of the files say of each other, and what is not so.

use std::collections::{BTreeMap, BTreeSet};

use super::given::{full_name, may_meet};
use crate::lint::yaml::Node;
use crate::lint::{Place, Problem};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::Manifest;
use crate::text::near::{is_slip, suggest, typo};

/// Letters by which a misspelt word differs.
pub(super) const SLIP: usize = 2;

/// A misspelt word stands for another; that of an object of the same name is meant however short it is.
pub(super) fn is_meant(word: &str, other: &str, same_name: bool) -> bool {
    typo(word, other, SLIP) || (same_name && is_slip(word, other, SLIP))
}
/// Kinds with a pod template.
const WORKLOADS: [(&str, &str); 8] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("", "ReplicationController"),
    ("batch", "Job"),
    ("argoproj.io", "Rollout"),
    ("apps.openshift.io", "DeploymentConfig"),
];

/// What the objects of the files have that others refer to, found by label and by name.
pub(crate) struct References<'a> {
    templates: Labelled<'a>,
    services: Labelled<'a>,
    /// ConfigMaps and Secrets by kind.
    maps: BTreeMap<&'static str, Vec<&'a Manifest>>,
}

/// A label as it is written.
type Pair<'a> = (&'a str, &'a str, Place);

/// Something with labels.
struct Entry<'a> {
    object: &'a Manifest,
    /// The pod template of a workload, the Service itself.
    node: &'a Node,
    labels: Vec<Pair<'a>>,
}

#[derive(Default)]
struct Labelled<'a> {
    all: Vec<Entry<'a>>,
    by_pair: BTreeMap<(&'a str, &'a str), Vec<usize>>,
    by_key: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Labelled<'a> {
    fn add(&mut self, object: &'a Manifest, node: &'a Node) {
        let labels = pairs(node.at(&["metadata", "labels"]));
        for (key, value, _) in &labels {
            self.by_pair.entry((key, value)).or_default().push(self.all.len());
            self.by_key.entry(key).or_default().push(self.all.len());
        }
        self.all.push(Entry { object, node, labels });
    }

    fn with<'s>(&'s self, (key, value, _): &Pair<'s>) -> &'s [usize] {
        self.by_pair.get(&(*key, *value)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Those that have every pair of a selector.
    fn matching<'s>(&'s self, selector: &[Pair<'s>], may_be: impl Fn(&Manifest) -> bool) -> Vec<&'s Entry<'a>> {
        let fewest = selector.iter().map(|pair| self.with(pair)).min_by_key(|found| found.len()).unwrap_or_default();
        let all = fewest.iter().map(|at| &self.all[*at]);
        all.filter(|e| may_be(e.object) && selector.iter().all(|(k, v, _)| has(&e.labels, k, v))).collect()
    }

    /// The first that a selector misses by a slip in one pair, and the selector's problem.
    fn nearly<'s>(
        &'s self,
        selector: &[Pair<'s>],
        may_be: impl Fn(&Manifest) -> bool,
        (own, path): (&str, &str),
        of: &str,
    ) -> Option<Problem> {
        // Who lacks one pair has one of any two.
        let near: BTreeSet<usize> = match selector {
            [(key, ..)] => self.by_key.get(key).into_iter().flatten().copied().collect(),
            [one, other, ..] => self.with(one).iter().chain(self.with(other)).copied().collect(),
            [] => return None,
        };
        near.into_iter().map(|at| &self.all[at]).filter(|entry| may_be(entry.object)).find_map(|entry| {
            let mut misses = selector.iter().filter(|(k, v, _)| !has(&entry.labels, k, v));
            let (Some((key, value, place)), None) = (misses.next(), misses.next()) else { return None };
            let (_, found, _) = entry.labels.iter().find(|(k, ..)| k == key)?;
            // Pods that an operator makes are in no file: only a slip tells that these labels were meant.
            is_meant(value, found, entry.object.name == own).then(|| {
                let whom = format!("{of} {} {}", entry.object.kind, full_name(entry.object));
                let message = format!("{key}={value} selects nothing in the files: {whom} have {key}={found}");
                Problem::new(*place, format!("{path}.{key}"), message).instead(Some(*found))
            })
        })
    }
}

impl<'a> References<'a> {
    /// Of all files.
    pub(crate) fn of(snap: &'a Snapshot) -> Self {
        let (mut templates, mut services) = (Labelled::default(), Labelled::default());
        for (_, object) in WORKLOADS.iter().flat_map(|(group, kind)| snap.manifest_objects(group, kind)) {
            if let Some(template) = object.node.at(&["spec", "template"]) {
                templates.add(object, template);
            }
        }
        snap.manifest_objects("", "Pod").for_each(|(_, pod)| templates.add(pod, &pod.node));
        snap.manifest_objects("", "Service").for_each(|(_, service)| services.add(service, &service.node));
        let of_kind = |kind| (kind, snap.manifest_objects("", kind).map(|(_, o)| o).collect());
        Self { templates, services, maps: ["ConfigMap", "Secret"].map(of_kind).into() }
    }

    /// What an object names and the files do not have, although they have its near relation. A reference to something that
    /// is nowhere in the files may be to what the cluster has, and is left alone.
    pub(crate) fn broken<'s>(&'s self, object: &'s Manifest) -> Vec<Problem> {
        match (object.group(), object.kind.as_str()) {
            ("", "Service") => self.service(object),
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => self.workload(object),
            ("monitoring.coreos.com", "ServiceMonitor") => self.monitor(object),
            _ => Vec::new(),
        }
    }

    fn service<'s>(&'s self, service: &'s Manifest) -> Vec<Problem> {
        let selector = pairs(service.node.at(&["spec", "selector"]));
        if selector.is_empty() {
            return Vec::new();
        }
        let near = |object: &Manifest| may_meet(object, service);
        let matched = self.templates.matching(&selector, near);
        let Some(first) = matched.first() else {
            return self
                .templates
                .nearly(&selector, near, (&service.name, "spec.selector"), "the pods of")
                .into_iter()
                .collect();
        };
        let named: Vec<&str> = matched.iter().flat_map(|e| port_names(e.node)).collect();
        let ports = service.node.at(&["spec", "ports"]).and_then(Node::items).unwrap_or_default();
        let mut found = Vec::new();
        for (at, port) in ports.iter().enumerate() {
            let Some((node, name)) = port.get("targetPort").and_then(|n| Some((n, n.as_str()?))) else { continue };
            if name.parse::<u16>().is_err() && !named.contains(&name) {
                let pods = full_name(first.object);
                let message = format!("no container of {} {pods} has a port called {name:?}", first.object.kind);
                let near = suggest(name, named.iter().copied());
                found.push(Problem::new(node.place, format!("spec.ports[{at}].targetPort"), message).instead(near));
            }
        }
        found
    }

    fn workload(&self, object: &Manifest) -> Vec<Problem> {
        let Some(pod) = object.node.at(&["spec", "template", "spec"]) else { return Vec::new() };
        let mut found = Vec::new();
        for (at, volume) in pod.get("volumes").and_then(Node::items).unwrap_or_default().iter().enumerate() {
            for (source, kind, key) in [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")] {
                let path = format!("spec.template.spec.volumes[{at}].{source}");
                found.extend(self.map_reference(object, volume.get(source), kind, key, &path));
            }
        }
        for list in ["initContainers", "containers"] {
            for (at, container) in pod.get(list).and_then(Node::items).unwrap_or_default().iter().enumerate() {
                found.extend(self.environment(object, container, &format!("spec.template.spec.{list}[{at}]")));
            }
        }
        found
    }

    /// What the environment of a container is taken from.
    fn environment(&self, object: &Manifest, container: &Node, path: &str) -> Vec<Problem> {
        let items = |key: &str| container.get(key).and_then(Node::items).unwrap_or_default().iter().enumerate();
        let mut found = Vec::new();
        for (at, from) in items("envFrom") {
            for (source, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
                let path = format!("{path}.envFrom[{at}].{source}");
                found.extend(self.map_reference(object, from.get(source), kind, "name", &path));
            }
        }
        for (at, variable) in items("env") {
            for (source, kind) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
                let path = format!("{path}.env[{at}].valueFrom.{source}");
                let from = variable.at(&["valueFrom", source]);
                found.extend(self.map_reference(object, from, kind, "name", &path));
            }
        }
        found
    }

    /// A volume of a ConfigMap or Secret: the object of the files has no such key, or is called nearly so.
    fn map_reference(
        &self,
        object: &Manifest,
        source: Option<&Node>,
        kind: &str,
        key: &str,
        path: &str,
    ) -> Vec<Problem> {
        let Some(source) = source.filter(|s| !s.get("optional").is_some_and(Node::is_true)) else { return Vec::new() };
        let Some((node, name)) = source.get(key).and_then(|n| Some((n, n.as_str()?))) else { return Vec::new() };
        let maps = self.maps.get(kind).map(Vec::as_slice).unwrap_or_default();
        let all = maps.iter().filter(|o| may_meet(o, object));
        let Some(map) = all.clone().find(|o| o.name == name) else {
            let near = all.map(|o| o.name.as_str()).find(|other| typo(name, other, SLIP));
            let elsewhere = maps.iter().find(|o| o.name == name && is_near(&o.namespace, &object.namespace));
            if let Some(other) = elsewhere.filter(|_| near.is_none()) {
                let message = format!(
                    "the {kind} {name} of the files is in namespace {}, and the pods are in {}",
                    other.namespace, object.namespace
                );
                return vec![Problem::new(node.place, format!("{path}.{key}"), message)];
            }
            let problem = near.map(|near| {
                let message = format!("the files hold no {kind} {name}");
                Problem::new(node.place, format!("{path}.{key}"), message).instead(Some(near))
            });
            return problem.into_iter().collect();
        };
        let keys: Vec<&str> = ["data", "binaryData", "stringData"]
            .iter()
            .flat_map(|part| map.node.get(part).and_then(Node::entries).unwrap_or_default())
            .filter_map(|(k, _)| k.as_str())
            .collect();
        let items = source.get("items").and_then(Node::items).unwrap_or_default();
        // One key, of a variable.
        let is_one = source.get("key").is_some();
        let items = if is_one { std::slice::from_ref(source) } else { items };
        let wrong = items.iter().enumerate().filter_map(|(at, item)| {
            let node = item.get("key")?;
            let key = node.as_str().filter(|k| !keys.contains(k))?;
            let message = format!("{kind} {} has no key {key:?} (it has {})", full_name(map), keys.join(", "));
            let near = suggest(key, keys.iter().copied());
            let path = if is_one { format!("{path}.key") } else { format!("{path}.items[{at}].key") };
            Some(Problem::new(node.place, path, message).instead(near))
        });
        wrong.collect()
    }

    fn monitor<'s>(&'s self, monitor: &'s Manifest) -> Vec<Problem> {
        let selector = pairs(monitor.node.at(&["spec", "selector", "matchLabels"]));
        let expressions = monitor.node.at(&["spec", "selector", "matchExpressions"]).and_then(Node::items);
        if selector.is_empty() || expressions.is_some_and(|e| !e.is_empty()) {
            return Vec::new();
        }
        let anywhere = |_: &Manifest| true;
        let matched = self.services.matching(&selector, anywhere);
        let Some(first) = matched.first() else {
            let own = (monitor.name.as_str(), "spec.selector.matchLabels");
            let found = self.services.nearly(&selector, anywhere, own, "the labels of");
            return found.into_iter().collect();
        };
        let names: Vec<&str> = matched
            .iter()
            .flat_map(|e| e.node.at(&["spec", "ports"]).and_then(Node::items).unwrap_or_default())
            .filter_map(|p| p.get("name").and_then(Node::as_str))
            .collect();
        let endpoints = monitor.node.at(&["spec", "endpoints"]).and_then(Node::items).unwrap_or_default();
        let wrong = endpoints.iter().enumerate().filter_map(|(at, endpoint)| {
            let node = endpoint.get("port")?;
            let port = node.as_str().filter(|p| !names.contains(p))?;
            let there = if names.is_empty() {
                "its ports have no names".to_owned()
            } else {
                format!("it has {}", names.join(", "))
            };
            let message = format!("Service {} has no port called {port:?} ({there})", full_name(first.object));
            let near = suggest(port, names.iter().copied());
            Some(Problem::new(node.place, format!("spec.endpoints[{at}].port"), message).instead(near))
        });
        wrong.collect()
    }
}

/// Two namespaces that differ by a letter, of which one is most likely meant for the other.
pub(super) fn is_near(one: &str, other: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    one.len().min(other.len()) > 3 && digits(one) == digits(other) && is_slip(one, other, 1) && !is_counted(one, other)
}

/// Names of a series: `team-a` and `team-b`, `test` and `tests`. A letter at the end that is there twice is a slip.
fn is_counted(one: &str, other: &str) -> bool {
    let differ = one.split('-').zip(other.split('-')).find(|(a, b)| a != b);
    let Some((short, long)) = differ.map(|(a, b)| if a.len() <= b.len() { (a, b) } else { (b, a) }) else {
        return false;
    };
    let Some(last) = long.chars().last() else { return false };
    match long.len() - short.len() {
        0 => {
            short.chars().count() > 0
                && short[..short.len() - short.chars().last().map_or(0, char::len_utf8)]
                    == long[..long.len() - last.len_utf8()]
        }
        _ => long.strip_suffix(last) == Some(short) && !short.ends_with(last),
    }
}

fn pairs(labels: Option<&Node>) -> Vec<Pair<'_>> {
    let entries = labels.and_then(Node::entries).unwrap_or_default();
    entries.iter().filter_map(|(k, v)| Some((k.as_str()?, v.as_str()?, v.place))).collect()
}

fn has(labels: &[Pair<'_>], key: &str, value: &str) -> bool {
    labels.iter().any(|(k, v, _)| *k == key && *v == value)
}

fn port_names(template: &Node) -> Vec<&str> {
    let list = |key: &str| template.at(&["spec", key]).and_then(Node::items).unwrap_or_default();
    let containers = list("containers").iter().chain(list("initContainers"));
    let ports = containers.flat_map(|c| c.get("ports").and_then(Node::items).unwrap_or_default());
    ports.filter_map(|p| p.get("name").and_then(Node::as_str)).collect()
}
