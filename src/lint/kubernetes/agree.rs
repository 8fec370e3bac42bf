//! What parts of one object must agree on: selector and labels, mounts and volumes, the ports of a Service and its type.

use crate::lint::Problem;
use crate::lint::yaml::Node;

/// Checks a workload.
pub(super) fn check(object: &Node, problems: &mut Vec<Problem>) {
    let kind = object.get("kind").and_then(Node::as_str).unwrap_or_default();
    let group = object.get("apiVersion").and_then(Node::as_str).unwrap_or_default();
    let Some(spec) = object.get("spec") else { return };
    match (group, kind) {
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            selector(spec, problems);
            mounts(spec.at(&["template", "spec"]), "spec.template.spec", Some(spec), problems);
        }
        ("batch/v1", "Job") => mounts(spec.at(&["template", "spec"]), "spec.template.spec", None, problems),
        ("batch/v1", "CronJob") => {
            let path = "spec.jobTemplate.spec.template.spec";
            mounts(spec.at(&["jobTemplate", "spec", "template", "spec"]), path, None, problems);
        }
        ("v1", "Pod") => mounts(Some(spec), "spec", None, problems),
        ("v1", "Service") => ports(spec, problems),
        _ => {}
    }
}

fn selector(spec: &Node, problems: &mut Vec<Problem>) {
    let wanted = spec.at(&["selector", "matchLabels"]).and_then(Node::entries).unwrap_or_default();
    let labels = spec.at(&["template", "metadata", "labels"]);
    for (key, value) in wanted {
        let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
        let has = labels.and_then(|l| l.get(key)).and_then(Node::as_str);
        if has != Some(text) {
            let found = has.map_or_else(|| format!("it has no {key}"), |has| format!("{key}={has}"));
            let message = format!("{key}={text} is not among the labels of the pod template ({found})");
            problems.push(Problem::new(value.place, format!("spec.selector.matchLabels.{key}"), message));
        }
    }
}

fn names<'a>(list: Option<&'a Node>, name: &[&str]) -> Vec<&'a str> {
    let items = list.and_then(Node::items).unwrap_or_default().iter();
    items.filter_map(|item| item.at(name).and_then(Node::as_str)).collect()
}

fn mounts(pod: Option<&Node>, path: &str, set: Option<&Node>, problems: &mut Vec<Problem>) {
    let Some(pod) = pod else { return };
    let mut volumes = names(pod.get("volumes"), &["name"]);
    volumes.extend(names(set.and_then(|s| s.get("volumeClaimTemplates")), &["metadata", "name"]));
    for list in ["initContainers", "containers"] {
        for (at, container) in pod.get(list).and_then(Node::items).unwrap_or_default().iter().enumerate() {
            let mounts = container.get("volumeMounts").and_then(Node::items).unwrap_or_default();
            for (number, mount) in mounts.iter().enumerate() {
                let Some((node, name)) = mount.get("name").and_then(|n| Some((n, n.as_str()?))) else { continue };
                if !volumes.contains(&name) {
                    let there = if volumes.is_empty() {
                        "there is none".to_owned()
                    } else {
                        format!("there is {}", volumes.join(", "))
                    };
                    let message = format!("no volume is called {name:?} ({there})");
                    let path = format!("{path}.{list}[{at}].volumeMounts[{number}].name");
                    problems.push(Problem::new(node.place, path, message));
                }
            }
        }
    }
}

fn ports(spec: &Node, problems: &mut Vec<Problem>) {
    let ports = spec.get("ports").and_then(Node::items).unwrap_or_default();
    let kind = match spec.get("type").map(Node::as_str) {
        None | Some(Some("")) => "ClusterIP",
        Some(kind) => kind.unwrap_or_default(),
    };
    if matches!(kind, "ClusterIP" | "ExternalName") {
        for (at, port) in ports.iter().enumerate() {
            let set = |n: &&Node| n.as_str().is_some_and(|p| p.parse::<u16>().is_ok_and(|p| p > 0));
            if let Some(node) = port.get("nodePort").filter(set) {
                let message = format!("a nodePort may not be used when the type is {kind:?}");
                problems.push(Problem::new(node.place, format!("spec.ports[{at}].nodePort"), message));
            }
        }
    }
    if ports.len() < 2 {
        return;
    }
    for (at, port) in ports.iter().enumerate().filter(|(_, p)| p.entries().is_some() && p.get("name").is_none()) {
        let message = "a Service with several ports needs a name for each";
        problems.push(Problem::new(port.place, format!("spec.ports[{at}].name"), message));
    }
}
