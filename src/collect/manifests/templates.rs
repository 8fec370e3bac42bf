//! Files that something has still to fill in: templates of Helm and others, and variables.

use regex::Regex;

use crate::lint::Place;
use crate::lint::yaml::{self, Node, Value};
use crate::text::pattern::pattern;

/// What fills in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    /// Helm.
    Helm,
    /// Another program with the templates of Go.
    Go,
    /// `templatefile` of Terraform.
    Terraform,
    /// Ansible and others with the templates of Jinja.
    Jinja,
    /// What replaces variables.
    Variables,
}

impl Language {
    /// What a file of it is.
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Helm => "a Helm template",
            Self::Go => "a template of Go",
            Self::Terraform => "a template of Terraform",
            Self::Jinja => "a template of Jinja",
            Self::Variables => "no YAML before its variables are replaced",
        }
    }

    /// What to do with it.
    pub(super) fn hint(self, chart: &str) -> String {
        match self {
            Self::Helm => format!("render them first: helm template {chart} | kdoctor preflight -f -"),
            Self::Variables => "replace them first: envsubst < FILE | kdoctor preflight -f -".to_owned(),
            Self::Go | Self::Terraform | Self::Jinja => {
                "render it first with the program that it is for, and give what it becomes: kdoctor preflight -f FILE"
                    .to_owned()
            }
        }
    }
}

/// What has still to fill in a text that is no YAML; `None` where it is simply broken. Other languages use the braces in
/// strings, too.
pub(super) fn language(text: &str, fault: Place) -> Option<Language> {
    let words = [".Values", ".Release.", ".Chart.", ".Capabilities", "include \"", "toYaml", "tpl "];
    let in_braces = |line: &str| line.split("{{").skip(1).any(|rest| words.iter().any(|w| rest.contains(w)));
    let begins = |with: &[&str]| text.lines().any(|l| with.iter().any(|w| l.trim_start().starts_with(w)));
    let faulty = text.lines().nth(fault.line - 1).unwrap_or_default();
    let before = fault.line.checked_sub(2).and_then(|at| text.lines().nth(at)).unwrap_or_default();
    let is_expression = |line: &str| line.contains("${") && !variable().is_match(line);
    if text.lines().any(in_braces) {
        Some(Language::Helm)
    } else if begins(&["{% ", "{%- ", "{# "]) {
        Some(Language::Jinja)
    } else if begins(&["%{ if ", "%{ for ", "%{if ", "%{for ", "%{~ if ", "%{~ for "]) {
        Some(Language::Terraform)
    } else if text.trim_start().starts_with("{{") {
        Some(if text.contains("{{ template") { Language::Helm } else { Language::Go })
    } else if faulty.contains("{{") {
        Some(Language::Helm)
    } else if is_expression(faulty) || is_expression(before) {
        Some(Language::Terraform)
    } else {
        None
    }
}

/// A document that is YAML only by chance: `{{ x }}` reads as a mapping whose key is a mapping; or an object whose own name
/// is left to Helm. Braces in other texts are for the program that reads them.
pub(super) fn is_template(document: &Node) -> bool {
    let of_helm = |node: &Node| {
        let text = node.as_str().unwrap_or_default().trim_start();
        text.starts_with("{{") && [".Values", ".Release.", ".Chart.", "include "].iter().any(|w| text.contains(w))
    };
    let own: [&[&str]; 4] = [&["apiVersion"], &["kind"], &["metadata", "name"], &["metadata", "namespace"]];
    has_keys_of_braces(document) || own.iter().any(|path| document.at(path).is_some_and(of_helm))
}

fn has_keys_of_braces(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { .. } => false,
        Value::Sequence(items) => items.iter().any(has_keys_of_braces),
        Value::Mapping(entries) => {
            entries.iter().any(|(k, v)| k.entries().is_some() || has_keys_of_braces(k) || has_keys_of_braces(v))
        }
    }
}

/// `${NAME}`, `${NAME:=default}`.
fn variable() -> &'static Regex {
    pattern!(r"\$\{([A-Za-z_]\w*(?::?[=?+-][^{}\n]*)?)\}")
}

/// True where a text has variables that are replaced before it is read.
pub(super) fn has_variables(text: &str) -> bool {
    variable().is_match(text)
}

/// Stand for the braces of a variable while a text is read: YAML takes those for its own.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// The documents of a text that is YAML but for the braces of its variables: Flux and `envsubst` replace them before.
pub(super) fn with_variables(text: &str) -> Option<Vec<Node>> {
    if !has_variables(text) || text.contains([OPEN, CLOSE]) {
        return None;
    }
    let stood = variable().replace_all(text, |found: &regex::Captures<'_>| format!("${OPEN}{}{CLOSE}", &found[1]));
    let mut documents = yaml::documents(&stood).ok()?;
    documents.iter_mut().for_each(restore);
    Some(documents)
}

fn restore(node: &mut Node) {
    match &mut node.value {
        Value::Scalar { text, .. } if text.contains(OPEN) => *text = text.replace(OPEN, "{").replace(CLOSE, "}"),
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter_mut().for_each(restore),
        Value::Mapping(entries) => entries.iter_mut().for_each(|(k, v)| {
            restore(k);
            restore(v);
        }),
    }
}

/// Why a text is no manifest at all, whatever a reader of YAML makes of it.
pub(super) fn no_manifest(text: &str) -> Option<(Place, String)> {
    let first = text.trim_start();
    if ["<!DOCTYPE", "<!doctype", "<html", "<?xml"].iter().any(|begin| first.starts_with(begin)) {
        let message = "is a page in HTML or XML, and no manifest: was an error downloaded in its place?";
        return Some((Place { line: 1, column: 1 }, message.to_owned()));
    }
    let ours = text.lines().position(|line| line.starts_with("<<<<<<< "))?;
    let message = "a conflict of git was left in the file; resolve it, nothing of the file was read";
    text.lines()
        .skip(ours)
        .any(|line| line == "=======")
        .then(|| (Place { line: ours + 1, column: 1 }, message.to_owned()))
}

/// What a file of another language is, by its name.
const OTHERS: [(&[&str], &str); 5] = [
    (&[".alloy", ".river"], "is a configuration of Alloy, which is not judged: alloy validate FILE"),
    (&[".jsonnet", ".libsonnet"], "is Jsonnet; render it first: jsonnet FILE | kdoctor preflight -f -"),
    (&[".tf", ".tfvars", ".hcl"], "is for Terraform, which is not judged"),
    (&[".tpl", ".tmpl", ".gotmpl", ".j2"], "is a template; render it first, and give what it becomes"),
    (&[".toml", ".ini", ".conf", ".env"], "is no YAML and no JSON, and is not judged"),
];

/// Why a file that was named is not read at all.
pub(super) fn of_others(path: &str) -> Option<&'static str> {
    OTHERS.iter().find(|(ends, _)| ends.iter().any(|end| path.ends_with(end))).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_told_by_their_language() {
        let place = |line| Place { line, column: 1 };
        for (text, line, expected) in [
            ("{{- /* see http://x */ -}}\na: b\n", 1, Some(Language::Go)),
            ("{{- if .Values.x }}\na: b\n{{- end }}\n", 1, Some(Language::Helm)),
            ("a:\n{% for x in y %}\n- {{ x }}\n{% endfor %}\n", 2, Some(Language::Jinja)),
            ("a:\n%{ for x in y }\n- ${x}\n%{ endfor }\n", 2, Some(Language::Terraform)),
            ("a: 1\nb: ${ can(x) ? true : false }\n", 2, Some(Language::Terraform)),
            ("a: [1\nb: 2\n", 1, None),
        ] {
            assert_eq!(language(text, place(line)), expected, "{text}");
        }
    }

    #[test]
    fn pages_and_conflicts_are_no_manifests() {
        let line = |text: &str| no_manifest(text).map(|(place, _)| place.line);
        assert_eq!(line("<!DOCTYPE html>\n<html>404: Not Found</html>"), Some(1));
        assert_eq!(line("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n"), Some(2));
        assert_eq!(line("a: |\n  <<<<<<< HEAD\n  =======\n"), None);
    }

    #[test]
    fn braces_of_variables_are_no_braces_of_yaml() {
        let text = "a: [x.${DOMAIN}:80, ${B:=c d}]\nb: 1\n";
        assert!(yaml::documents(text).is_err());
        let read = with_variables(text).expect("is read");
        let items = read[0].get("a").and_then(Node::items).expect("a list");
        let texts: Vec<&str> = items.iter().filter_map(Node::as_str).collect();
        assert_eq!(texts, ["x.${DOMAIN}:80", "${B:=c d}"]);
        assert_eq!(read[0].get("b").map(|n| n.place), Some(Place { line: 2, column: 4 }));
        assert!(with_variables("a: [1\n").is_none() && with_variables("a: [${B}\n").is_none());
    }
}
