//! Rule files and the spec of a PrometheusRule, as strict as `promtool check rules`.

pub(crate) mod promql;

use super::go::{is_legacy_metric, template};
use super::strict::{Kind, Object, Schema, Strict, Version, field};
use super::yaml::{Node, document};
use super::{Place, Problem, helm, within};

/// Who reads the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Major and minor of Prometheus, where they are known.
    pub version: Option<Version>,
    /// The spec of a PrometheusRule, which has fields for Thanos too.
    pub resource: bool,
    /// What is switched on, where the arguments are known.
    pub features: Option<Features>,
}

/// Parts of PromQL that are there only where a flag says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`
    pub experimental_functions: bool,
    /// `promql-duration-expr`
    pub duration_expressions: bool,
}

const MANIFEST: &str = "this is a PrometheusRule manifest, which only the operator reads; a rule file begins with groups: (what stands below spec:)";

static FILE: Schema = Schema {
    what: "the rule file",
    fields: &[&[field("groups", Kind::List(&Kind::Struct(&GROUP)))]],
    hints: &[
        ("apiVersion", MANIFEST),
        ("kind", MANIFEST),
        ("metadata", MANIFEST),
        ("spec", MANIFEST),
        ("rules", "rules stand in a group: groups: with a list of name: and rules:"),
        ("name", "groups stand in the list groups:"),
    ],
    check: None,
};

static GROUP: Schema = Schema {
    what: "rule group",
    fields: &[&[
        field("name", Kind::Str),
        field("interval", Kind::Duration),
        field("query_offset", Kind::Duration).since(2, 53),
        field("limit", Kind::Int),
        field("rules", Kind::List(&Kind::Struct(&RULE))),
        field("labels", Kind::Map(&Kind::Str)).since(3, 0),
    ]],
    hints: &[
        ("alert", "rules stand in the list rules: of the group"),
        ("expr", "rules stand in the list rules: of the group"),
    ],
    check: None,
};

static RULE: Schema = Schema {
    what: "rule",
    fields: &[&[
        field("record", Kind::Str),
        field("alert", Kind::Str),
        field("expr", Kind::Str),
        field("for", Kind::Duration),
        field("keep_firing_for", Kind::Duration).since(2, 42),
        field("labels", Kind::Map(&Kind::Str)),
        field("annotations", Kind::Map(&Kind::Str)),
    ]],
    hints: &[
        ("severity", "it belongs under labels:"),
        ("summary", "it belongs under annotations:"),
        ("description", "it belongs under annotations:"),
        ("runbook_url", "it belongs under annotations:"),
        ("rules", "it belongs in the group, further left"),
    ],
    check: None,
};

/// What is wrong with rules; nothing for valid ones. An empty file is valid.
pub fn lint(text: &str, options: Options) -> Vec<Problem> {
    let root = match document(text) {
        Ok(Some(root)) => root,
        Ok(None) => return Vec::new(),
        Err(problem) => return helm::explain(text, true, vec![problem]),
    };
    helm::explain(text, true, lint_node(root, text, options))
}

/// The same for rules that stand inside of the document of a text.
pub fn lint_node(mut root: Node, text: &str, options: Options) -> Vec<Problem> {
    if options.resource {
        without_what_the_operator_drops(&mut root, options.version);
    }
    let mut strict = Strict::new(options.version);
    strict.read(&root, Kind::Struct(&FILE), "");
    let broken = strict.paths();
    let reader = Reader { strict: &mut strict, text, version: options.version, features: options.features, broken };
    reader.groups(&root);
    strict.finish()
}

/// True where the rules load all the same, and fail each time they are evaluated.
pub fn load(problems: &[Problem]) -> bool {
    !problems.is_empty() && problems.iter().all(|p| p.message.contains(promql::NO_RESULT))
}

/// True if a text is meant to be a rule file.
pub fn is_rules(text: &str) -> bool {
    let groups = text.lines().any(|l| l.strip_prefix("groups").is_some_and(|r| r.trim_start().starts_with(':')));
    let of_rules = |l: &str| {
        let l = l.trim_start().trim_start_matches("- ").trim_start();
        ["rules:", "alert:", "record:", "expr:"].iter().any(|k| l.starts_with(k))
    };
    // Dashboards' and other programs' files have groups too.
    groups && text.lines().any(of_rules)
}

/// True for rules of Loki, which some set-ups keep where those of Prometheus are.
pub fn is_logql(text: &str) -> bool {
    ["|=", "|~", "| json", "| logfmt", "| pattern", "} !="].iter().any(|sign| text.contains(sign))
}

/// Fields that only the operator and Thanos know, and those that the operator leaves out for an older Prometheus.
fn without_what_the_operator_drops(root: &mut Node, version: Option<Version>) {
    let old = |since: Version| version.is_some_and(|v| v < since);
    let is_dropped = |field: Option<&str>| match field {
        Some("partial_response_strategy") => true,
        Some("keep_firing_for") => old((2, 42)),
        Some("query_offset") => old((2, 53)),
        Some("limit") => old((2, 31)),
        _ => false,
    };
    each_mapping(root, "groups", &mut |group| {
        if let super::yaml::Value::Mapping(fields) = &mut group.value {
            // Of a group only: rules have labels in every version.
            let labels = |key: Option<&str>| key == Some("labels") && old((3, 0));
            fields.retain(|(k, _)| !is_dropped(k.as_str()) && !labels(k.as_str()));
        }
        each_mapping(group, "rules", &mut |rule| {
            if let super::yaml::Value::Mapping(fields) = &mut rule.value {
                fields.retain(|(k, _)| !is_dropped(k.as_str()));
            }
        });
    });
}

/// Calls `change` for each item of a list of a mapping.
fn each_mapping(node: &mut Node, list: &str, change: &mut dyn FnMut(&mut Node)) {
    let super::yaml::Value::Mapping(entries) = &mut node.value else { return };
    for (_, items) in entries.iter_mut().filter(|(k, _)| k.as_str() == Some(list)) {
        if let super::yaml::Value::Sequence(items) = &mut items.value {
            items.iter_mut().for_each(&mut *change);
        }
    }
}

/// Functions that Prometheus adds to templates, those of all versions.
const FUNCTIONS: &[&str] = &[
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "args",
    "reReplaceAll",
    "safeHtml",
    "match",
    "title",
    "toUpper",
    "toLower",
    "graphLink",
    "tableLink",
    "sortByLabel",
    "stripPort",
    "stripDomain",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "pathPrefix",
    "externalURL",
    "parseDuration",
    "urlQueryEscape",
    "tmpl",
];
/// Variables that Prometheus defines.
const VARIABLES: &[&str] = &["$", "$labels", "$externalLabels", "$externalURL", "$value"];

struct Reader<'a> {
    strict: &'a mut Strict,
    /// The text that holds the rules.
    text: &'a str,
    version: Option<Version>,
    features: Option<Features>,
    /// Paths with a fault in their fields: what follows from it is not said again.
    broken: Vec<String>,
}

impl Reader<'_> {
    fn groups(mut self, root: &Node) {
        let Some(file) = Object::of(root) else { return };
        let mut seen: Vec<(String, Place)> = Vec::new();
        for (at, node) in file.items("groups").iter().enumerate().filter(|(_, n)| !n.is_null()) {
            let path = format!("groups[{at}]");
            let group = Object::of(node);
            let name = group.as_ref().and_then(|g| g.text("name")).unwrap_or_default();
            if name.is_empty() && !self.is_broken(&format!("{path}.name")) {
                self.strict.report(node.place, &path, "Groupname must not be empty: every group needs a name");
            } else if let Some((_, first)) = seen.iter().find(|(n, _)| n == name) {
                let message = format!(
                    "groupname: {name:?} is repeated in the same file: the other begins in line {}",
                    first.line
                );
                self.strict.report(node.place, &path, message);
            }
            seen.push((name.to_owned(), node.place));
            let Some(group) = group else { continue };
            self.labels(&group, "labels", &format!("group {name:?}"), &path);
            for (number, rule) in group.items("rules").iter().enumerate().filter(|(_, r)| !r.is_null()) {
                self.rule(rule, name, number + 1, &format!("{path}.rules[{number}]"));
            }
        }
    }

    fn is_broken(&self, path: &str) -> bool {
        self.broken.iter().any(|b| b.strip_prefix(path).is_some_and(|r| r.is_empty() || r.starts_with(['.', '['])))
    }

    fn rule(&mut self, node: &Node, group: &str, number: usize, path: &str) {
        if self.is_broken(path) {
            return;
        }
        let empty = Object::of(node);
        let text = |name: &str| empty.as_ref().and_then(|r| r.text(name));
        let (record, alert) = (text("record"), text("alert"));
        let who = format!("group {group:?}, rule {number}, {:?}", alert.or(record).unwrap_or_default());
        let mut say = |place: Place, message: String| self.strict.report(place, path, format!("{who}: {message}"));
        let Some(rule) = &empty else {
            return say(node.place, "one of 'record' or 'alert' must be set".into());
        };
        match (record, alert) {
            (Some(_), Some(_)) => {
                say(
                    rule.key_place("record"),
                    "only one of 'record' and 'alert' must be set: make two rules of it".into(),
                );
            }
            (None, None) => say(node.place, "one of 'record' or 'alert' must be set".into()),
            _ => {}
        }
        let expr = rule.get("expr").filter(|e| e.as_str().is_some_and(|t| !t.is_empty()));
        if expr.is_none() {
            say(node.place, "field 'expr' must be set in rule".into());
        }
        if let Some(record) = record {
            let place = rule.key_place("record");
            for name in ["annotations", "for", "keep_firing_for"] {
                let set = match name {
                    "annotations" => rule.get(name).and_then(Node::entries).is_some_and(|e| !e.is_empty()),
                    _ => rule.millis(name).is_some(),
                };
                if set {
                    say(rule.key_place(name), format!("invalid field '{name}' in recording rule"));
                }
            }
            if record.contains(['{', '}']) {
                say(place, format!("braces present in the recording rule name; should it be in expr?: {record}"));
            } else if self.version.is_some_and(|v| v < (3, 0)) && !is_legacy_metric(record) {
                say(place, format!("invalid recording rule name: {record} (letters, digits, _ and : only)"));
            }
        }
        if let Some(expr) = expr {
            self.expression(expr, &who, path);
        }
        self.labels(rule, "labels", &who, path);
        self.labels(rule, "annotations", &who, path);
        if alert.is_some() {
            self.templates(rule, "labels", &who, path);
            self.templates(rule, "annotations", &who, path);
        }
    }

    fn expression(&mut self, expr: &Node, who: &str, path: &str) {
        let text = expr.as_str().unwrap_or_default();
        let Some((message, meant)) = promql::fault(text, self.version, self.features) else { return };
        let told = promql::position::told(text, &message);
        let at = told.as_ref().and_then(|told| within::of_byte(self.text, text, expr.place, told.at));
        let message = told.map_or(message, |told| told.message);
        let message = format!("{who}: could not parse expression: {message}");
        self.strict.add(Problem::new(expr.place, path, message).instead(meant).pointing(at));
    }

    fn labels(&mut self, object: &Object<'_>, field: &str, who: &str, path: &str) {
        for (key, _) in object.get(field).and_then(Node::entries).unwrap_or_default() {
            let Some(name) = key.as_str() else { continue };
            let reserved = field == "labels" && name == "__name__";
            if name != "<<" && (reserved || !self.strict.is_label(name)) {
                let what = field.trim_end_matches('s');
                self.strict.report(key.place, path, format!("{who}: invalid {what} name: {name}"));
            }
        }
    }

    fn templates(&mut self, rule: &Object<'_>, field: &str, who: &str, path: &str) {
        for (key, value) in rule.get(field).and_then(Node::entries).unwrap_or_default() {
            let (Some(name), Some(text)) = (key.as_str(), value.as_str()) else { continue };
            let Err(fault) = template::parse(text, FUNCTIONS, VARIABLES) else { continue };
            let what = field.trim_end_matches('s');
            let meant = fault.unknown.and_then(|u| u.meant(FUNCTIONS, VARIABLES));
            let place = Place { line: value.place.line + fault.place.line - 1, ..value.place };
            let place = if fault.place.line > 1 { Place { column: 1, ..place } } else { place };
            let message = format!("{who}: {what} {name:?}: template: {}", fault.message);
            self.strict.report_instead(place, path, message, meant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str, version: Option<Version>) -> Vec<String> {
        lint(text, Options { version, ..Options::default() })
            .into_iter()
            .map(|p| format!("{}: {}", p.place, p.message))
            .collect()
    }

    const GOOD: &str = "groups:\n- name: a\n  interval: 30s\n  rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n  - alert: Down\n    expr: |\n      up{job=~\"a.+\"} == 0\n      and on() vector(1)\n    for: 5m\n    labels: {severity: page}\n    annotations:\n      summary: '{{ $labels.instance }} is {{ $value | humanize }}'\n";

    #[test]
    fn takes_good_rules() {
        assert_eq!(messages(GOOD, None), [""; 0]);
        assert_eq!(messages(GOOD, Some((2, 42))), [""; 0]);
        assert_eq!(messages("", None), [""; 0]);
        assert_eq!(messages("groups: []\n", None), [""; 0]);
    }

    #[test]
    fn knows_versions() {
        let text = GOOD.replace("job:up:sum", "job.up-sum");
        assert_eq!(messages(&text, Some((3, 5))), [""; 0]);
        assert!(messages(&text, Some((2, 55)))[0].contains("invalid recording rule name: job.up-sum"));
        let text = GOOD.replace("  interval: 30s\n", "  labels: {team: a}\n");
        assert_eq!(messages(&text, None), [""; 0]);
        assert!(messages(&text, Some((2, 42)))[0].contains("unknown field \"labels\" in rule group: known since 3.0"));
    }

    #[test]
    fn names_group_rule_and_what_was_meant() {
        let text = GOOD.replace("sum by (job) (up)", "rate(up)").replace("$labels", "$label");
        let problems = lint(&text, Options::default());
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].message.contains("group \"a\", rule 1, \"job:up:sum\""), "{problems:?}");
        assert!(problems[0].message.contains("expected type range vector in call to function"), "{problems:?}");
        assert_eq!((problems[0].place.line, problems[0].instead.as_deref()), (6, Some("rate(up[5m])")));
        assert_eq!(problems[1].instead.as_deref(), Some("$labels"));
    }

    #[test]
    fn a_manifest_is_no_rule_file() {
        let text =
            "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: x}\nspec:\n  groups: []\n";
        let found = messages(text, None);
        assert_eq!(found.len(), 4);
        assert!(found[0].contains("PrometheusRule manifest"));
    }
}
