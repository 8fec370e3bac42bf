//! What the containers of a pod ask for, against what they may have.

use crate::lint::Problem;
use crate::lint::yaml::Node;
use crate::snapshot::manifests::Manifest;
use crate::snapshot::parse_quantity;

/// Where a kind has its pod.
const PODS: [(&str, &str, &[&str]); 6] = [
    ("apps", "Deployment", &["spec", "template", "spec"]),
    ("apps", "StatefulSet", &["spec", "template", "spec"]),
    ("apps", "DaemonSet", &["spec", "template", "spec"]),
    ("batch", "Job", &["spec", "template", "spec"]),
    ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
    ("", "Pod", &["spec"]),
];

/// Requests above their limits, which an API server refuses.
pub(crate) fn above_limits(object: &Manifest) -> Vec<Problem> {
    let known = PODS.iter().find(|(group, kind, _)| *group == object.group() && *kind == object.kind);
    let Some((pod, steps)) = known.and_then(|(.., steps)| Some((object.node.at(steps)?, steps))) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for list in ["initContainers", "containers"] {
        for (at, container) in pod.get(list).and_then(Node::items).unwrap_or_default().iter().enumerate() {
            let requests = container.at(&["resources", "requests"]).and_then(Node::entries).unwrap_or_default();
            for (key, asked) in requests {
                let Some((key, text)) = key.as_str().zip(asked.as_str()) else { continue };
                let limit = container.at(&["resources", "limits", key]).and_then(Node::as_str);
                let above = |limit: &&str| parse_quantity(text) > parse_quantity(limit);
                // What cannot be read is said elsewhere.
                let readable = |limit: &&str| parse_quantity(limit).is_some();
                if let Some(limit) = limit.filter(|l| readable(l) && above(l)) {
                    let message = format!("{text} is more than the limit of {limit}");
                    let path = format!("{}.{list}[{at}].resources.requests.{key}", steps.join("."));
                    found.push(Problem::new(asked.place, path, message));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::yaml;

    #[test]
    fn requests_are_within_their_limits() {
        let said = |resources: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: a, resources: {resources}}}]}}\n"
            );
            let node = yaml::document(&text).expect("is YAML").expect("is not empty");
            above_limits(&Manifest::of(node).expect("is an object")).len()
        };
        assert_eq!(said("{requests: {memory: 128Mi, cpu: 1}, limits: {memory: 64Mi, cpu: 500m}}"), 2);
        assert_eq!(said("{requests: {memory: 64Mi, cpu: 500m}, limits: {memory: 64Mi, cpu: 1}}"), 0);
        assert_eq!(said("{requests: {memory: 64Mi}, limits: {cpu: 1}}"), 0);
        assert_eq!(said("{requests: {memory: 64Mi}, limits: {memory: $LIMIT}}"), 0);
    }
}
