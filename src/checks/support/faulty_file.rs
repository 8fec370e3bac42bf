//! What is said of a file of a ConfigMap that Prometheus refuses: the place, the lines as they should be, how the change
//! takes effect.

use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::mounts::File;
use crate::domain::prometheus::server::Server;
use crate::lint::{Problem, frame, yaml};
use crate::model::{Evidence, Params};
use crate::snapshot::kubernetes::ConfigMap;

/// Problems whose lines are shown.
const SHOWN: usize = 5;

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
    let number = |after: &str| -> Option<usize> { problem.path.split_once(after)?.1.split(']').next()?.parse().ok() };
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

/// The lines of a file as they should be, where that can be told.
pub(crate) fn edits(text: &str, problems: &[Problem]) -> String {
    let mut out = Vec::new();
    for problem in problems.iter().take(SHOWN) {
        let Some(line) = text.lines().nth(problem.place.line - 1) else { continue };
        let Some(new) = corrected(line, problem) else { continue };
        out.push(format!("# line {}, now: {}\n{new}", problem.place.line, line.trim()));
    }
    out.join("\n")
}

/// A line with what was meant in place of what is wrong.
fn corrected(line: &str, problem: &Problem) -> Option<String> {
    let meant = problem.instead.as_deref()?;
    let from = line.char_indices().nth(problem.place.column - 1)?.0;
    let (before, rest) = line.split_at(from);
    let name = problem.path.rsplit('.').next()?.split('[').next()?;
    // A key: it is renamed.
    if let Some(after) = rest.strip_prefix(name).filter(|a| a.trim_start().starts_with(':')) {
        return Some(format!("{before}{meant}{after}"));
    }
    let length = token(before, rest)?;
    let (old, after) = rest.split_at(length);
    if meant.starts_with(&format!("{name}: ")) {
        return Some(format!("{}{}{after}", before, meant.strip_prefix(&format!("{name}: "))?));
    }
    let quote = old.chars().next().filter(|c| matches!(c, '"' | '\''));
    let bare = quote.map_or(old, |q| old.trim_matches(q));
    let fault = ["could not parse expression: ", "template: "];
    let fault = fault.iter().find_map(|f| problem.message.split_once(f)).map_or("", |(_, f)| f);
    let named = ["undefined variable", "unknown function", "function \""].iter().any(|w| fault.starts_with(w));
    let fault = if named { fault } else { "" };
    let part = fault.split('"').skip(1).step_by(2).find(|w| !w.is_empty() && bare != *w && bare.contains(*w));
    let new = part.map_or_else(|| meant.to_owned(), |word| bare.replace(word, meant));
    Some(match quote {
        Some(q) if !new.contains(q) => format!("{before}{q}{new}{q}{after}"),
        Some(_) => return None,
        None => format!("{before}{new}{after}"),
    })
}

/// Length of the scalar that a line goes on with; none for a block text.
fn token(before: &str, rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    if matches!(first, '|' | '>' | '[' | '{' | '&' | '*' | '!') {
        return None;
    }
    if matches!(first, '"' | '\'') {
        return rest[1..].find(first).map(|at| at + 2);
    }
    let flow = before.contains(['[', '{']);
    let end = if flow { rest.find([',', ']', '}']) } else { rest.find(" #") };
    Some(rest[..end.unwrap_or(rest.len())].trim_end().len())
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
        Evidence::new(source, frame(file.text, problem.place), template)
            .with("config_map", &meta.name)
            .with("config_namespace", &meta.namespace)
            .with("config_jsonpath", jsonpath(file.key))
    };
    problems.iter().take(SHOWN).map(of_problem).collect()
}

/// The JSONPath of a key of a ConfigMap.
fn jsonpath(key: &str) -> String {
    format!("{{.data.{}}}", key.replace('.', "\\."))
}

/// Values for the pages: the ConfigMap, who keeps it, who reads it.
pub(crate) fn set_params(params: &mut Params, server: Server<'_>, map: Option<&ConfigMap>, key: &str) {
    let meta = map.map(|m| &m.metadata);
    params.set("config_map", meta.map(|m| m.name.as_str()));
    params.set("config_namespace", meta.map(|m| m.namespace.as_str()));
    params.set("config_key", key);
    params.set("config_jsonpath", jsonpath(key));
    params.set("managed_by", meta.map(managed_by).unwrap_or_default());
    params.set("reader", server.target());
    params.set("reader_namespace", server.namespace());
    params.set("reloads", server.reloads());
    params.set("lifecycle", server.has_flag("web.enable-lifecycle"));
    params.set("operator_resource", server.operator_resource());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{prometheus, rules};

    fn first(text: &str) -> (String, String) {
        let problems = if text.contains("groups:") {
            rules::lint(text, rules::Options::default())
        } else {
            prometheus::lint(text, prometheus::Options::default())
        };
        (headline("f", &problems), edits(text, &problems))
    }

    #[test]
    fn lines_are_corrected_in_place() {
        for (text, expected) in [
            (
                "groups:\n- name: a\n  rules:\n  - record: a\n    expr: rate(x) / rate(y[1m])\n",
                "    expr: rate(x[5m]) / rate(y[1m])",
            ),
            ("scrape_configs:\n- job_name: a\n  metric_path: /live  # health\n", "  metrics_path: /live  # health"),
            ("global:\n  scrape_interval: 15sec # often\n", "  scrape_interval: 15s # often"),
            (
                "global: {scrape_interval: \"15\", scrape_timeout: 5s}\n",
                "global: {scrape_interval: \"15s\", scrape_timeout: 5s}",
            ),
            ("rule_files: /a/*.yml\n", "rule_files: ['/a/*.yml']"),
            (
                "scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: ['http://web:80/live', b]\n",
                "  - targets: ['web:80', b]",
            ),
            (
                "groups:\n- name: a\n  rules:\n  - {alert: a, expr: up, annotations: {s: '{{ $label.x }} down'}}\n",
                "  - {alert: a, expr: up, annotations: {s: '{{ $labels.x }} down'}}",
            ),
            ("groups:\n- name: a\n  rules:\n  - record: a\n    expr: sum(rate(x))\n", "    expr: sum(rate(x[5m]))"),
            (
                "groups:\n- name: a\n  rules:\n  - record: a\n    expr: sum(ratee(x[5m]))\n",
                "    expr: sum(rate(x[5m]))",
            ),
        ] {
            let (_, edit) = first(text);
            assert_eq!(edit.lines().last(), Some(expected), "{text}");
        }
        let block = |expr: &str| format!("groups:\n- name: a\n  rules:\n  - record: a\n    expr: |\n      {expr}\n");
        assert_eq!(first(&block("rate(x)")).1.lines().last(), Some("      rate(x[5m])"));
        assert_eq!(first(&block("rate(x)\n      > 1")).1, "");
    }

    #[test]
    fn the_headline_has_line_and_meaning() {
        let text = "scrape_configs:\n- job_name: a\n  metric_path: /live\n  honor_label: true\n";
        let found = first(text).0;
        assert_eq!(found, "f line 3: unknown field \"metric_path\" in scrape config (metrics_path?); 1 more problem");
        let problems = prometheus::lint(text, prometheus::Options::default());
        assert_eq!(job_of(text, &problems[0]).as_deref(), Some("a"));
    }
}
