//! What every object of a built-in kind has: a kind that its API version knows, a name, and ports that there are.

use std::collections::BTreeSet;

use super::fields;
use super::removed::removed;
use crate::lint::yaml::{Node, Value, join};
use crate::lint::{Problem, is_filled_in};
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
    // Kustomize gives other names to what it puts together.
    if !part
        && let Some(node) = object.at(&["metadata", "name"])
        && let Some(name) = node.as_str().filter(|name| !is_filled_in(name) && !may_be(object, name))
    {
        let message =
            format!("{name:?} is no name: small letters, digits, dashes and dots, a letter or digit at its ends");
        let meant = name.to_lowercase().replace(['_', ' '], "-");
        let meant = Some(meant).filter(|meant| may_be(object, meant));
        problems.push(Problem::new(node.place, "metadata.name", message).instead(meant));
    }
    for key in ["spec", "template"] {
        if let Some(node) = object.get(key) {
            ports(node, key, problems);
        }
    }
}

/// A name that an object of its kind may have; roles and what binds them take nearly all.
fn may_be(object: &Node, name: &str) -> bool {
    let of_roles = object.get("apiVersion").and_then(Node::as_str).is_some_and(|api| api.starts_with("rbac."));
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let within = |c: char| ends(c) || matches!(c, '-' | '.');
    // `shell-HOSTNAME` is for a script that writes another word there.
    let is_placeholder = |word: &str| {
        word.len() > 3
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    // `@NAME@` and `<name>` are as well.
    let is_marked = name.contains('<') && name.contains('>') || name.matches('@').count() > 1;
    of_roles
        || is_marked
        || name.split(['-', '.']).any(is_placeholder)
        || (name.len() <= 253 && name.starts_with(ends) && name.ends_with(ends) && name.chars().all(within))
}

/// Kinds of the Prometheus Operator with their versions.
const OF_OPERATOR: &str = "monitoring.coreos.com";
const OPERATOR_KINDS: &[(&str, &[&str])] = &[
    ("Alertmanager", &["v1"]),
    ("AlertmanagerConfig", &["v1alpha1", "v1beta1"]),
    ("PodMonitor", &["v1"]),
    ("Probe", &["v1"]),
    ("Prometheus", &["v1"]),
    ("PrometheusAgent", &["v1alpha1"]),
    ("PrometheusRule", &["v1"]),
    ("ScrapeConfig", &["v1alpha1"]),
    ("ServiceMonitor", &["v1"]),
    ("ThanosRuler", &["v1"]),
];

/// The same of the operator's kinds: their group, their versions, their names.
fn of_operator(api: &Node, node: &Node) -> Option<Problem> {
    let (version, kind) = (api.as_str()?, node.as_str()?);
    let (group, number) = version.rsplit_once('/')?;
    let named = OPERATOR_KINDS.iter().find(|(known, _)| *known == kind);
    let message = format!("{version} has no kind {kind}");
    match named {
        Some((_, versions)) if group == OF_OPERATOR => {
            // What comes after v1 may be of a newer operator; before it is only what is known.
            let is_newer = if versions.contains(&"v1") { !number.starts_with("v1") } else { number != "v1" };
            let is_known = versions.contains(&number) || is_newer;
            let right = format!("{OF_OPERATOR}/{}", versions.first()?);
            (!is_known).then(|| Problem::new(api.place, "apiVersion", message).instead(Some(right)))
        }
        Some((_, versions)) if group != OF_OPERATOR && is_slip(group, OF_OPERATOR, 3) => {
            let right = format!("{OF_OPERATOR}/{}", versions.first()?);
            Some(Problem::new(api.place, "apiVersion", message).instead(Some(right)))
        }
        None if group == OF_OPERATOR => {
            let near = |k: &&&str| kind.eq_ignore_ascii_case(k) || is_slip(kind, k, if kind.len() > 9 { 2 } else { 1 });
            let meant = OPERATOR_KINDS.iter().map(|(known, _)| known).find(near)?;
            Some(Problem::new(node.place, "kind", message).instead(Some(*meant)))
        }
        _ => None,
    }
}

/// True for a kind that is built in or the operator's.
pub(crate) fn is_kind(kind: &str) -> bool {
    fields::kinds().any(|(_, known)| known == kind) || OPERATOR_KINDS.iter().any(|(known, _)| *known == kind)
}

/// True for an API version of a built-in kind, or of the operator.
pub(crate) fn is_version(version: &str) -> bool {
    fields::kinds().any(|(known, _)| known == version)
        || version.strip_prefix(OF_OPERATOR).is_some_and(|v| v.starts_with('/'))
}

/// A kind that is known under another API version, or that is one letter off one of its own.
fn kind(object: &Node) -> Option<Problem> {
    let (api, node) = (object.get("apiVersion")?, object.get("kind")?);
    let (version, kind) = (api.as_str()?, node.as_str()?);
    if fields::is_known(object) || removed(version, kind).is_some() || kind.ends_with("List") {
        return None;
    }
    if let Some(problem) = of_operator(api, node) {
        return Some(problem);
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
            ("monitoring.coreos.com/v1beta1", "ServiceMonitor", Some("monitoring.coreos.com/v1")),
            ("monitoring.coreos.com/v1alpha1", "PrometheusRule", Some("monitoring.coreos.com/v1")),
            ("monitoring.coreos.com/v1", "AlertmanagerConfig", Some("monitoring.coreos.com/v1alpha1")),
            ("monitoring.coreos.io/v1", "PrometheusRule", Some("monitoring.coreos.com/v1")),
            ("monitoring.coreos.com/v1", "ServiceMoniter", Some("ServiceMonitor")),
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
            ("monitoring.coreos.com/v1beta1", "AlertmanagerConfig"),
            ("monitoring.coreos.com/v1", "Prometheus"),
            ("monitoring.coreos.com/v2", "Prometheus"),
            ("monitoring.rhobs/v1", "PrometheusRule"),
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
        let named = |api: &str, kind: &str, name: &str| {
            said(&format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: \"{name}\"}}\n"), false)
        };
        assert_eq!(named("v1", "ConfigMap", "App_1")[0].1.as_deref(), Some("app-1"));
        assert_eq!(named("v1", "ConfigMap", "app-1.x"), []);
        assert_eq!(named("v1", "ConfigMap", "app-${X}"), []);
        assert_eq!(named("v1", "Pod", "shell-HOSTNAME"), []);
        assert_eq!(named("rbac.authorization.k8s.io/v1", "Role", "system:App"), []);
    }
}
