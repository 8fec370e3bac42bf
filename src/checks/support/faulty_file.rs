//! What is said of a file of a ConfigMap that Prometheus refuses: the place, and how the change takes effect.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::edits::SHOWN;
use crate::checks::support::origin::path_of_key;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::File;
use crate::domain::prometheus::server::Server;
use crate::lint::{Problem, frame, yaml};
use crate::model::Evidence;
use crate::snapshot::kubernetes::ConfigMap;

/// `prometheus.yml line 12: unknown field "metric_path" (metrics_path?)`, and how many more there are.
pub(crate) fn headline(file: &str, problems: &[Problem]) -> String {
    let Some(first) = problems.first() else { return String::new() };
    let more = match problems.len() - 1 {
        0 => String::new(),
        1 => "; 1 more problem".to_owned(),
        n => format!("; {n} more problems"),
    };
    format!("{file} line {}: {}{more}", first.place.line, sentence(first))
}

/// The message with what was meant.
pub(crate) fn sentence(problem: &Problem) -> String {
    match &problem.instead {
        Some(meant) => format!("{} ({meant}?)", problem.message),
        None => problem.message.clone(),
    }
}

/// The job that a problem stands in.
pub(crate) fn job_of(text: &str, problem: &Problem) -> Option<String> {
    let number = problem.path.strip_prefix("scrape_configs[")?.split(']').next()?.parse::<usize>().ok()?;
    let root = yaml::document(text).ok()??;
    Some(root.get("scrape_configs")?.items()?.get(number)?.get("job_name")?.as_str()?.to_owned())
}

/// Group and rule that a problem of rules stands in, where its message does not say: `group "a", rule 2, "Down": `.
pub(crate) fn rule_of(text: &str, problem: &Problem) -> Option<String> {
    if problem.message.starts_with("group") {
        return None;
    }
    let root = yaml::document(text).ok()??;
    let number = |after: &str| number(problem, after);
    let group = root.get("groups")?.items()?.get(number("groups[")?)?;
    let name = group.get("name").and_then(yaml::Node::as_str).unwrap_or_default();
    let rule = number(".rules[").and_then(|at| Some((at, group.get("rules")?.items()?.get(at)?)));
    Some(match rule {
        Some((at, rule)) => {
            let own = ["alert", "record"].iter().find_map(|k| rule.get(k)?.as_str()).unwrap_or_default();
            format!("group {name:?}, rule {}, {own:?}: ", at + 1)
        }
        None => format!("group {name:?}: "),
    })
}

/// The expression of the rule that a problem stands in, on one line.
pub(crate) fn expression_of(text: &str, problem: &Problem) -> Option<String> {
    let root = yaml::document(text).ok()??;
    let group = root.get("groups")?.items()?.get(number(problem, "groups[")?)?;
    let rule = group.get("rules")?.items()?.get(number(problem, ".rules[")?)?;
    Some(rule.get("expr")?.as_str()?.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Where a problem stands in a list: `groups[2].rules[1]`.
fn number(problem: &Problem, after: &str) -> Option<usize> {
    problem.path.split_once(after)?.1.split(']').next()?.parse().ok()
}

/// The file around the first problems.
pub(crate) fn evidence(file: &File<'_>, problems: &[Problem]) -> Vec<Evidence> {
    let meta = &file.map.metadata;
    let of_problem = |problem: &Problem| {
        let source = format!(
            "ConfigMap {}/{}, key {}, line {}: {}",
            meta.namespace, meta.name, file.key, problem.place, problem.message
        );
        let template =
            "kubectl get configmap {{ config_map }} -n {{ config_namespace }} -o jsonpath={{ config_jsonpath }}";
        Evidence::new(source, frame(file.text, problem.caret()), template)
            .with("config_map", &meta.name)
            .with("config_namespace", &meta.namespace)
            .with("config_jsonpath", path_of_key(file.key))
    };
    problems.iter().take(SHOWN).map(of_problem).collect()
}

/// The ConfigMap that holds a file, who keeps it and who reads it; nothing of them for a file that was given.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Holder {
    config_map: Option<String>,
    config_namespace: Option<String>,
    config_key: String,
    config_jsonpath: String,
    managed_by: String,
    reader: Option<String>,
    reader_namespace: Option<String>,
    reloads: bool,
}

impl Holder {
    /// Of a key that a server reads.
    pub(crate) fn of(server: Server<'_>, map: Option<&ConfigMap>, key: &str) -> Self {
        let meta = map.map(|m| &m.metadata);
        Self {
            config_map: meta.map(|m| m.name.clone()),
            config_namespace: meta.map(|m| m.namespace.clone()),
            config_key: key.to_owned(),
            config_jsonpath: path_of_key(key),
            managed_by: meta.map(managed_by).unwrap_or_default(),
            reader: Some(server.target()),
            reader_namespace: Some(server.namespace().to_owned()),
            reloads: server.reloads(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::prometheus;

    #[test]
    fn the_expression_of_a_faulty_rule_is_on_one_line() {
        let text = "groups:\n- name: a\n  rules:\n  - alert: Down\n    expr: |\n      up ==\n        by (job) 0\n";
        let problems = crate::lint::rules::lint(text, crate::lint::rules::Options::default());
        let said = problems.first().and_then(|problem| expression_of(text, problem));
        assert_eq!(said.as_deref(), Some("up == by (job) 0"), "{problems:?}");
    }

    #[test]
    fn the_headline_has_line_and_meaning() {
        let text = "scrape_configs:\n- job_name: a\n  metric_path: /live\n  honor_label: true\n";
        let found = headline("f", &prometheus::lint(text, prometheus::Options::default()));
        assert_eq!(found, "f line 3: unknown field \"metric_path\" in scrape config (metrics_path?); 1 more problem");
        let problems = prometheus::lint(text, prometheus::Options::default());
        assert_eq!(job_of(text, &problems[0]).as_deref(), Some("a"));
    }
}
