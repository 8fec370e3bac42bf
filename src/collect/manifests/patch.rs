//! JSON patches of Kustomize (RFC 6902): what they put into an object, as a part of that object.

use crate::lint::yaml::{Node, Value};
use crate::lint::{Place, Problem};
use crate::snapshot::manifests::Manifest;

/// What may be done.
const OPERATIONS: [&str; 6] = ["add", "remove", "replace", "move", "copy", "test"];
/// Kinds whose API a target need not name.
const KINDS: [(&str, &[&str]); 4] = [
    ("apps/v1", &["Deployment", "StatefulSet", "DaemonSet"]),
    ("v1", &["Service", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim"]),
    ("networking.k8s.io/v1", &["Ingress", "NetworkPolicy"]),
    ("batch/v1", &["CronJob", "Job"]),
];

/// True for a document that is a list of operations.
pub(super) fn is_operations(document: &Node) -> bool {
    document
        .items()
        .is_some_and(|items| items.first().is_some_and(|i| i.get("op").is_some() || i.get("path").is_some()))
}

/// The part of the target that the operations write; `None` where no kind is named, or nothing is written.
///
/// # Errors
/// An operation that Kustomize refuses.
pub(super) fn part(operations: &Node, target: Option<&Node>) -> Result<Option<Manifest>, Problem> {
    let mut root = mapping(operations.place);
    let mut writes = false;
    for operation in operations.items().unwrap_or_default() {
        let (path, value) = read(operation)?;
        if let Some(value) = value {
            put(&mut root, &path, value, operation.place);
            writes = true;
        }
    }
    let text = |key: &str| target.and_then(|t| t.get(key)).and_then(Node::as_str);
    // A target may be a pattern for names.
    let (Some(kind), Some(api_version), true) = (text("kind"), text("kind").and_then(|k| api_of(k, &text)), writes)
    else {
        return Ok(None);
    };
    let name = text("name").unwrap_or_default();
    for (key, value) in [("apiVersion", api_version.as_str()), ("kind", kind)] {
        let value = Node { place: root.place, value: Value::Scalar { text: value.to_owned(), plain: false } };
        put(&mut root, &[key.to_owned()], &value, operations.place);
    }
    let namespace = text("namespace").unwrap_or_default().to_owned();
    Ok(Some(Manifest { api_version, kind: kind.to_owned(), namespace, name: name.to_owned(), node: root }))
}

fn api_of<'a>(kind: &str, text: &impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let known = KINDS.iter().find(|(_, kinds)| kinds.contains(&kind)).map(|(api, _)| (*api).to_owned());
    match (text("group"), text("version")) {
        // The group of a Namespace has no name.
        (Some(""), Some(version)) => Some(version.to_owned()),
        (Some(group), Some(version)) => Some(format!("{group}/{version}")),
        _ => known,
    }
}

/// The steps of an operation's path, and what it writes there.
fn read(operation: &Node) -> Result<(Vec<String>, Option<&Node>), Problem> {
    let say = |node: &Node, message: String| Problem::new(node.place, "", message);
    let op = operation.get("op").ok_or_else(|| say(operation, "an operation of a JSON patch has no op".into()))?;
    let name = op.as_str().unwrap_or_default();
    if !OPERATIONS.contains(&name) {
        let known = OPERATIONS.join(", ");
        return Err(say(op, format!("a JSON patch has no operation {name:?} (it has {known})")));
    }
    let path =
        operation.get("path").ok_or_else(|| say(operation, "an operation of a JSON patch has no path".into()))?;
    let text = path.as_str().unwrap_or_default();
    let Some(steps) = text.strip_prefix('/') else {
        return Err(say(path, format!("the path of a JSON patch begins with a slash: {text:?} does not")));
    };
    let writes = matches!(name, "add" | "replace");
    if writes && operation.get("value").is_none() {
        return Err(say(operation, format!("the operation {name:?} of a JSON patch needs a value")));
    }
    let steps = steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    Ok((steps, operation.get("value").filter(|_| writes)))
}

/// Puts a value where a path says; what a list has before it is not known.
fn put(node: &mut Node, path: &[String], value: &Node, place: Place) {
    let Some((step, rest)) = path.split_first() else {
        *node = value.clone();
        return;
    };
    let is_item = step == "-" || step.bytes().all(|b| b.is_ascii_digit());
    let is_empty = node.entries().is_some_and(<[_]>::is_empty);
    if is_item && is_empty {
        node.value = Value::Sequence(Vec::new());
    }
    match &mut node.value {
        Value::Sequence(items) if is_item => {
            let at = step.parse::<usize>().unwrap_or(usize::MAX).min(items.len());
            if at == items.len() {
                items.push(mapping(place));
            }
            put(&mut items[at], rest, value, place);
        }
        Value::Mapping(entries) => put(entry(entries, step, place), rest, value, place),
        _ => {}
    }
}

pub(super) fn mapping(place: Place) -> Node {
    Node { place, value: Value::Mapping(Vec::new()) }
}

/// The value of a key, a mapping where there was none.
pub(super) fn entry<'n>(entries: &'n mut Vec<(Node, Node)>, key: &str, place: Place) -> &'n mut Node {
    let at = entries.iter().position(|(k, _)| k.as_str() == Some(key)).unwrap_or_else(|| {
        let value = Value::Scalar { text: key.to_owned(), plain: false };
        entries.push((Node { place, value }, mapping(place)));
        entries.len() - 1
    });
    &mut entries[at].1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::kubernetes;
    use crate::lint::yaml;

    fn node(text: &str) -> Node {
        yaml::document(text).expect("is YAML").expect("is not empty")
    }

    #[test]
    fn what_operations_write_is_judged_as_a_part_of_the_target() {
        let target = node("{kind: Deployment, name: grafana}");
        let patch = node(
            "- op: replace\n  path: /spec/replicas\n  value: \"2\"\n- op: add\n  path: /spec/template/spec/containers/0/arg\n  value: [a]\n- op: remove\n  path: /spec/paused\n- op: add\n  path: /metadata/annotations/a.b~1c\n  value: x\n",
        );
        assert!(is_operations(&patch));
        let part = part(&patch, Some(&target)).expect("is a patch").expect("has a target");
        assert_eq!((part.kind.as_str(), part.name.as_str()), ("Deployment", "grafana"));
        assert_eq!(part.node.at(&["metadata", "annotations", "a.b/c"]).and_then(Node::as_str), Some("x"));
        let found: Vec<(usize, String)> =
            kubernetes::lint(&part.node, true).into_iter().map(|p| (p.place.line, p.path)).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|(line, path)| *line == 3 && path.contains("replicas")), "{found:?}");
    }

    #[test]
    fn the_group_without_a_name_is_one() {
        let target = node("{group: \"\", version: v1, kind: Namespace}");
        let patch = node("- {op: add, path: /metadata/labels, value: {a: b}}");
        let part = part(&patch, Some(&target)).expect("is a patch").expect("has a target");
        assert_eq!(part.api_version, "v1");
        assert!(kubernetes::lint(&part.node, true).is_empty());
    }

    #[test]
    fn operations_that_kustomize_refuses_are_told() {
        for (text, expected) in [
            ("- {op: repalce, path: /a, value: 1}", "no operation \"repalce\""),
            ("- {op: add, path: spec/a, value: 1}", "begins with a slash"),
            ("- {op: add, path: /a}", "needs a value"),
        ] {
            let problem = part(&node(text), None).expect_err("is refused");
            assert!(problem.message.contains(expected), "{}", problem.message);
        }
        assert!(part(&node("- {op: add, path: /a, value: 1}"), None).expect("is a patch").is_none());
        assert!(!is_operations(&node("- a: 1")));
    }
}
