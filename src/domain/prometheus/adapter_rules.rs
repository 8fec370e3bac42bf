//! What prometheus-adapter is told to make of which series.

use crate::domain::kubernetes::mounts::Mounts;
use crate::domain::kubernetes::parts::{self, Part};
use crate::lint::yaml::{self, Node};
use crate::snapshot::Snapshot;

/// Labels from which the rule for a series takes the objects that its values belong to (`pod`, `namespace`); empty where it
/// takes them by a template. `None` where no rule for it was seen.
pub(crate) fn labels(snap: &Snapshot, series: &str) -> Option<Vec<String>> {
    let adapters = parts::all(snap).into_iter().filter(|(part, _)| *part == Part::Adapter).map(|(_, w)| w);
    let files = adapters.flat_map(|workload| {
        let containers = workload.spec.template.spec.containers.iter();
        containers.flat_map(move |c| Mounts::of(snap, workload, c).files())
    });
    files.into_iter().filter_map(|f| yaml::document(f.text).ok().flatten()).find_map(|root| of_file(&root, series))
}

fn of_file(root: &Node, series: &str) -> Option<Vec<String>> {
    let all = ["rules", "externalRules"].into_iter().filter_map(|key| root.get(key)?.items());
    let mut rules = all.flatten();
    let rule = rules.find(|r| r.get("seriesQuery").and_then(Node::as_str).is_some_and(|q| names(q, series)))?;
    let overrides = rule.at(&["resources", "overrides"]).and_then(Node::entries).unwrap_or_default();
    Some(overrides.iter().filter_map(|(label, _)| label.as_str().map(str::to_owned)).collect())
}

/// A query begins with the whole name of the series.
fn names(query: &str, series: &str) -> bool {
    let rest = query.trim().strip_prefix(series);
    rest.is_some_and(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_a_series_is_found() {
        let text = "rules:\n- seriesQuery: 'http_requests_total{namespace!=\"\"}'\n  resources:\n    overrides:\n      kubernetes_namespace: {resource: namespace}\n      kubernetes_pod_name: {resource: pod}\n- seriesQuery: 'up'\n  resources: {template: <<.Resource>>}\n";
        let root = yaml::document(text).expect("YAML").expect("a document");
        let found = of_file(&root, "http_requests_total").expect("a rule");
        assert_eq!(found, ["kubernetes_namespace", "kubernetes_pod_name"]);
        assert_eq!(of_file(&root, "up"), Some(Vec::new()));
        assert_eq!(of_file(&root, "http_requests"), None, "another name");
    }
}
