//! What objects of the files say of each other, and what is not so.

use super::given::{full_name, may_meet};
use crate::lint::yaml::Node;
use crate::lint::{Place, Problem};
use crate::snapshot::Snapshot;
use crate::snapshot::manifests::{Manifest, ManifestFile};
use crate::text::near::{suggest, typo};

/// Letters by which a misspelt word differs.
const SLIP: usize = 2;
/// Kinds with a pod template.
const WORKLOADS: [(&str, &str); 3] = [("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")];

/// What an object names and the files do not have, although they have its near relation. A reference to something that is
/// nowhere in the files may be to what the cluster has, and is left alone.
pub(crate) fn broken(snap: &Snapshot, object: &Manifest) -> Vec<Problem> {
    match (object.group(), object.kind.as_str()) {
        ("", "Service") => service(snap, object),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => workload(snap, object),
        ("monitoring.coreos.com", "ServiceMonitor") => monitor(snap, object),
        _ => Vec::new(),
    }
}

fn pairs(labels: Option<&Node>) -> Vec<(&str, &str, Place)> {
    let entries = labels.and_then(Node::entries).unwrap_or_default();
    entries.iter().filter_map(|(k, v)| Some((k.as_str()?, v.as_str()?, v.place))).collect()
}

fn has(labels: &[(&str, &str, Place)], key: &str, value: &str) -> bool {
    labels.iter().any(|(k, v, _)| *k == key && *v == value)
}

/// The one of several label sets that a selector nearly matches, and where the selector differs.
fn nearly<'a, 's>(
    selector: &[(&'s str, &'s str, Place)],
    sets: impl Iterator<Item = (&'a Manifest, Vec<(&'a str, &'a str, Place)>)>,
) -> Option<(&'a Manifest, &'s str, &'s str, Place, &'a str)> {
    let mut best = None;
    for (object, labels) in sets {
        let misses: Vec<_> = selector.iter().filter(|(k, v, _)| !has(&labels, k, v)).collect();
        let [(key, value, place)] = misses.as_slice() else { continue };
        let found = labels.iter().find(|(k, ..)| k == key).map(|(_, v, _)| *v);
        // Pods that an operator makes are in no file: only a slip tells that these labels were meant.
        if let Some(found) = found.filter(|found| typo(value, found, SLIP))
            && best.is_none()
        {
            best = Some((object, *key, *value, *place, found));
        }
    }
    best
}

fn templates<'a>(snap: &'a Snapshot, of: &Manifest) -> Vec<(&'a Manifest, &'a Node)> {
    let all = WORKLOADS.iter().flat_map(|(group, kind)| snap.manifest_objects(group, kind));
    let near = all.filter(|(_, o)| may_meet(o, of));
    near.filter_map(|(_, o)| Some((o, o.node.at(&["spec", "template"])?))).collect()
}

fn service(snap: &Snapshot, service: &Manifest) -> Vec<Problem> {
    let selector = pairs(service.node.at(&["spec", "selector"]));
    if selector.is_empty() {
        return Vec::new();
    }
    let templates = templates(snap, service);
    let matched: Vec<_> =
        templates.iter().filter(|(_, t)| selector.iter().all(|(k, v, _)| has(&pairs_of(t), k, v))).collect();
    if matched.is_empty() {
        let sets = templates.iter().map(|(o, t)| (*o, pairs_of(t)));
        return nearly(&selector, sets)
            .map(|found| mismatch("spec.selector", "the pods of", found))
            .into_iter()
            .collect();
    }
    let named: Vec<&str> = matched.iter().flat_map(|(_, t)| port_names(t)).collect();
    let ports = service.node.at(&["spec", "ports"]).and_then(Node::items).unwrap_or_default();
    let mut found = Vec::new();
    for (at, port) in ports.iter().enumerate() {
        let Some((node, name)) = port.get("targetPort").and_then(|n| Some((n, n.as_str()?))) else { continue };
        if name.parse::<u16>().is_err() && !named.contains(&name) {
            let pods = full_name(matched[0].0);
            let message = format!("no container of {} {pods} has a port called {name:?}", matched[0].0.kind);
            let near = suggest(name, named.iter().copied());
            found.push(Problem::new(node.place, format!("spec.ports[{at}].targetPort"), message).instead(near));
        }
    }
    found
}

fn pairs_of(template: &Node) -> Vec<(&str, &str, Place)> {
    pairs(template.at(&["metadata", "labels"]))
}

fn port_names(template: &Node) -> Vec<&str> {
    let list = |key: &str| template.at(&["spec", key]).and_then(Node::items).unwrap_or_default();
    let containers = list("containers").iter().chain(list("initContainers"));
    let ports = containers.flat_map(|c| c.get("ports").and_then(Node::items).unwrap_or_default());
    ports.filter_map(|p| p.get("name").and_then(Node::as_str)).collect()
}

fn mismatch(path: &str, of: &str, found: (&Manifest, &str, &str, Place, &str)) -> Problem {
    let (object, key, value, place, has) = found;
    let whom = format!("{of} {} {}", object.kind, full_name(object));
    let message = format!("{key}={value} selects nothing in the files: {whom} have {key}={has}");
    Problem::new(place, format!("{path}.{key}"), message).instead(Some(has))
}

fn workload(snap: &Snapshot, object: &Manifest) -> Vec<Problem> {
    let Some(pod) = object.node.at(&["spec", "template", "spec"]) else { return Vec::new() };
    let mut found = Vec::new();
    for (at, volume) in pod.get("volumes").and_then(Node::items).unwrap_or_default().iter().enumerate() {
        let path = format!("spec.template.spec.volumes[{at}]");
        found.extend(map_reference(
            snap,
            object,
            volume.get("configMap"),
            "ConfigMap",
            "name",
            &format!("{path}.configMap"),
        ));
        found.extend(map_reference(
            snap,
            object,
            volume.get("secret"),
            "Secret",
            "secretName",
            &format!("{path}.secret"),
        ));
    }
    found
}

/// A volume of a ConfigMap or Secret: the object of the files has no such key, or is called nearly so.
fn map_reference(
    snap: &Snapshot,
    object: &Manifest,
    source: Option<&Node>,
    kind: &str,
    key: &str,
    path: &str,
) -> Vec<Problem> {
    let Some(source) = source.filter(|s| !s.get("optional").is_some_and(Node::is_true)) else { return Vec::new() };
    let Some((node, name)) = source.get(key).and_then(|n| Some((n, n.as_str()?))) else { return Vec::new() };
    let all: Vec<&Manifest> = snap.manifest_objects("", kind).map(|(_, o)| o).filter(|o| may_meet(o, object)).collect();
    let Some(map) = all.iter().find(|o| o.name == name) else {
        let near = all.iter().map(|o| o.name.as_str()).find(|other| typo(name, other, SLIP));
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
    let wrong = items.iter().enumerate().filter_map(|(at, item)| {
        let node = item.get("key")?;
        let key = node.as_str().filter(|k| !keys.contains(k))?;
        let message = format!("{kind} {} has no key {key:?} (it has {})", full_name(map), keys.join(", "));
        let near = suggest(key, keys.iter().copied());
        Some(Problem::new(node.place, format!("{path}.items[{at}].key"), message).instead(near))
    });
    wrong.collect()
}

fn monitor(snap: &Snapshot, monitor: &Manifest) -> Vec<Problem> {
    let selector = pairs(monitor.node.at(&["spec", "selector", "matchLabels"]));
    let expressions = monitor.node.at(&["spec", "selector", "matchExpressions"]).and_then(Node::items);
    if selector.is_empty() || expressions.is_some_and(|e| !e.is_empty()) {
        return Vec::new();
    }
    let services: Vec<(&ManifestFile, &Manifest)> = snap.manifest_objects("", "Service").collect();
    let matched: Vec<&Manifest> =
        services.iter().map(|(_, s)| *s).filter(|s| selector.iter().all(|(k, v, _)| has(&pairs_in(s), k, v))).collect();
    if matched.is_empty() {
        let sets = services.iter().map(|(_, s)| (*s, pairs_in(s)));
        let found = nearly(&selector, sets).map(|found| mismatch("spec.selector.matchLabels", "the labels of", found));
        return found.into_iter().collect();
    }
    let names: Vec<&str> = matched
        .iter()
        .flat_map(|s| s.node.at(&["spec", "ports"]).and_then(Node::items).unwrap_or_default())
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
        let message = format!("Service {} has no port called {port:?} ({there})", full_name(matched[0]));
        let near = suggest(port, names.iter().copied());
        Some(Problem::new(node.place, format!("spec.endpoints[{at}].port"), message).instead(near))
    });
    wrong.collect()
}

fn pairs_in(object: &Manifest) -> Vec<(&str, &str, Place)> {
    pairs(object.node.at(&["metadata", "labels"]))
}
