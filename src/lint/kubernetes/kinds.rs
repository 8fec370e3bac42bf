//! What every object of a built-in kind has: a kind that its API version knows, a name, and ports that there are.

use std::collections::BTreeSet;

use super::fields;
use super::removed::removed;
use crate::lint::Problem;
use crate::lint::yaml::{Node, Value, join};
use crate::text::near::is_slip;

/// Checks kind and API version; of a whole object its name and ports, too.
pub(super) fn check(object: &Node, part: bool, problems: &mut Vec<Problem>) {
    problems.extend(kind(object));
    if !fields::is_known(object) {
        return;
    }
    let has = |key: &str| object.at(&["metadata", key]).and_then(Node::as_str).is_some_and(|name| !name.is_empty());
    if !part && !has("name") && !has("generateName") {
        let node = object.get("metadata").unwrap_or(object);
        problems.push(Problem::new(node.place, "metadata.name", "the name is required and not there"));
    }
    for key in ["spec", "template"] {
        if let Some(node) = object.get(key) {
            ports(node, key, problems);
        }
    }
}

/// A kind that is known under another API version, or that is one letter off one of its own.
fn kind(object: &Node) -> Option<Problem> {
    let (api, node) = (object.get("apiVersion")?, object.get("kind")?);
    let (version, kind) = (api.as_str()?, node.as_str()?);
    if fields::is_known(object) || removed(version, kind).is_some() || kind.ends_with("List") {
        return None;
    }
    let (group, number) = version.rsplit_once('/').unwrap_or(("", version));
    let groups: BTreeSet<&str> = fields::kinds().map(|(api, _)| api.rsplit_once('/').map_or("", |(g, _)| g)).collect();
    // Groups of custom resources have a dot.
    if !groups.contains(group) && group.contains('.') {
        return None;
    }
    let own: Vec<&str> = fields::kinds().filter(|(_, known)| *known == kind).map(|(api, _)| api).collect();
    if let Some(right) = own.last() {
        let same_group = own.iter().any(|api| api.rsplit_once('/').map_or("", |(g, _)| g) == group);
        let is_stable = number.strip_prefix('v').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if same_group && !is_stable {
            return None;
        }
        let message = format!("{version} has no kind {kind}");
        return Some(Problem::new(api.place, "apiVersion", message).instead(Some(*right)));
    }
    let max = if kind.len() > 9 { 2 } else { 1 };
    let of_version = fields::kinds().filter(|(api, _)| *api == version).map(|(_, known)| known);
    let meant = of_version.into_iter().find(|k| kind.eq_ignore_ascii_case(k) || is_slip(kind, k, max))?;
    Some(Problem::new(node.place, "kind", format!("{version} has no kind {kind}")).instead(Some(meant)))
}

/// Fields with a number of a port.
const PORTS: &[&str] = &["containerPort", "hostPort", "port", "targetPort", "endPort"];
/// Fields whose keys people choose.
const FREE: &[&str] = &["annotations", "labels", "matchLabels", "metadata", "nodeSelector", "selector"];

fn ports(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                ports(item, &format!("{path}[{at}]"), problems);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let Some(name) = key.as_str().filter(|name| !FREE.contains(name)) else { continue };
                let path = join(path, name);
                match &value.value {
                    Value::Scalar { text, plain: true } if PORTS.contains(&name) && is_no_port(text) => {
                        let message = format!("{text} is no port: they are from 1 to 65535");
                        problems.push(Problem::new(value.place, path, message));
                    }
                    _ => ports(value, &path, problems),
                }
            }
        }
    }
}

/// A number that is none of a port; 0 is left to the server.
fn is_no_port(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number && !text.parse::<i64>().is_ok_and(|port| (0..=65535).contains(&port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    fn said(text: &str, part: bool) -> Vec<(String, Option<String>)> {
        let mut problems = Vec::new();
        check(&yaml::document(text).expect("is YAML").expect("is not empty"), part, &mut problems);
        problems.into_iter().map(|p| (p.message, p.instead)).collect()
    }

    #[test]
    fn kinds_of_other_versions_and_slips_are_named() {
        for (api, kind, meant) in [
            ("v1", "Deployment", Some("apps/v1")),
            ("apps/v2", "Deployment", Some("apps/v1")),
            ("app/v1", "Deployment", Some("apps/v1")),
            ("apps/v1", "CronJob", Some("batch/v1")),
            ("v1", "Ingress", Some("networking.k8s.io/v1")),
            ("apps/v1", "Deploymnt", Some("Deployment")),
            ("v1", "Configmap", Some("ConfigMap")),
        ] {
            let found = said(&format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\n"), false);
            assert_eq!(found, [(format!("{api} has no kind {kind}"), meant.map(str::to_owned))]);
        }
        for (api, kind) in [
            ("v1", "Event"),
            ("v1", "Endpoints"),
            ("v1", "PodTemplate"),
            ("v1", "Node"),
            ("v1", "List"),
            ("events.k8s.io/v1", "Event"),
            ("apps/v1", "ControllerRevision"),
            ("apps/v1beta1", "Deployment"),
            ("extensions/v1beta1", "Ingress"),
            ("batch/v2alpha1", "CronJob"),
            ("serving.knative.dev/v1", "Service"),
            ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler"),
            ("policy/v1beta1", "PodDisruptionBudget"),
        ] {
            assert_eq!(said(&format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\n"), false), []);
        }
    }

    #[test]
    fn names_and_ports_are_there() {
        let text = "apiVersion: v1\nkind: Service\nspec: {selector: {port: 99999}, ports: [{port: 99999}, {port: 80, targetPort: web}]}\n";
        let found: Vec<String> = said(text, false).into_iter().map(|(message, _)| message).collect();
        assert_eq!(found, ["the name is required and not there", "99999 is no port: they are from 1 to 65535"]);
        assert_eq!(said(text, true).len(), 1);
        assert_eq!(said("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", false), []);
    }
}
