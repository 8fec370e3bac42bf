//! Alertmanager's configuration, read as strictly as Alertmanager reads it when it starts or reloads.

mod fields;
mod interval;
pub mod matcher;
mod rules;
mod schema;
mod template;

use std::collections::BTreeSet;

use super::yaml::{self, Node, Value};
use super::{Place, Problem};
pub use interval::Interval;

/// Every field that some part of the configuration knows, each once.
pub fn field_names() -> BTreeSet<&'static str> {
    let mut all = BTreeSet::new();
    schema::CONFIG.names(&mut all);
    all
}

/// A version of Alertmanager, as far as configurations differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    /// Reads `0.25.0`, `v0.25.0`, `v0.25.0-debian`; `None` for tags that are no version.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_start_matches('v').split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        Some(Self { major, minor })
    }

    /// Newer than what this program knows the fields of.
    fn is_newer_than_known(self) -> bool {
        self.major > 0 || self.minor > schema::NEWEST
    }

    fn knows(self, since: u16) -> bool {
        self.major > 0 || self.minor >= since
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Alertmanager refuses the file.
    pub refused: Vec<Problem>,
    /// It refuses the file, unless it is newer than what this program knows.
    pub doubtful: Vec<Problem>,
    /// It loads the file, and fails when it sends a notification.
    pub at_send: Vec<Problem>,
}

/// Reads a configuration for a version of Alertmanager; for an unknown version every known field is accepted.
pub fn check(text: &str, version: Option<Version>) -> Verdict {
    let mut verdict = Verdict::default();
    let root = match read(text) {
        Ok(Some(root)) => root,
        Ok(None) => {
            let why = "the configuration is empty: no route provided";
            verdict.refused.push(Problem::new(Place { line: 1, column: 1 }, "", why));
            return verdict;
        }
        Err(problem) => {
            verdict.refused.push(syntax(text, problem));
            return verdict;
        }
    };
    check_node(&root, version)
}

/// The same for a configuration that stands inside of another document.
pub fn check_node(root: &Node, version: Option<Version>) -> Verdict {
    let mut verdict = Verdict::default();
    fields::check(root, version, &mut verdict);
    // Alertmanager stops at the fields too; what it would say next may not be true of the corrected file.
    if verdict.refused.is_empty() {
        rules::check(root, version, &mut verdict);
        templates(root, version, &mut verdict);
    }
    verdict
}

/// The first document of a configuration with its merge keys (`<<`) resolved; `Ok(None)` where it is empty.
///
/// # Errors
/// The fault, if it is not YAML.
pub fn read(text: &str) -> Result<Option<Node>, Problem> {
    // A file saved with a byte order mark is read like any other.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Alertmanager reads the first document only.
    Ok(yaml::document(text)?.map(merged))
}

/// People deserve more than the scanner's words.
fn syntax(text: &str, problem: Problem) -> Problem {
    if ["tab character", "quote"].iter().any(|w| problem.message.contains(w)) {
        return problem;
    }
    // A bracket that the reader knows to be open is at the fault itself.
    let until = problem.place.line + usize::from(problem.message.contains("is not closed"));
    unclosed(text, until).unwrap_or(problem)
}

/// A bracket that is open where the scanner gave up is the fault, not what follows it.
fn unclosed(text: &str, until: usize) -> Option<Problem> {
    let mut open: Vec<(char, Place)> = Vec::new();
    for (at, line) in text.lines().enumerate().take(until.saturating_sub(1)) {
        let mut quote = None;
        let mut before = ' ';
        for (column, letter) in line.chars().enumerate() {
            match (quote, letter) {
                (None, '#') if before.is_whitespace() => break,
                (None, '\'' | '"') if !before.is_alphanumeric() => quote = Some(letter),
                (Some(open), _) if open == letter => quote = None,
                (None, '[' | '{') if !open.is_empty() || matches!(before, ' ' | '-') => {
                    open.push((letter, Place { line: at + 1, column: column + 1 }));
                }
                (None, ']' | '}') => _ = open.pop(),
                _ => {}
            }
            before = letter;
        }
    }
    let (letter, place) = open.pop()?;
    Some(Problem::new(place, "", format!("not valid YAML: the bracket `{letter}` is not closed")))
}

fn merged(node: Node) -> Node {
    let value = match node.value {
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(merged).collect()),
        Value::Mapping(entries) => {
            let (merges, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key.as_str() == Some("<<"));
            let mut all: Vec<(Node, Node)> = own.into_iter().map(|(key, value)| (key, merged(value))).collect();
            for (_, source) in merges {
                let sources = match source.value {
                    Value::Sequence(items) => items,
                    value => vec![Node { place: source.place, value }],
                };
                for (key, value) in sources
                    .into_iter()
                    .filter_map(|s| match merged(s).value {
                        Value::Mapping(entries) => Some(entries),
                        _ => None,
                    })
                    .flatten()
                {
                    if !all.iter().any(|(known, _)| known.as_str() == key.as_str()) {
                        all.push((key, value));
                    }
                }
            }
            Value::Mapping(all)
        }
        scalar => scalar,
    };
    Node { place: node.place, value }
}

/// A template file of the configuration.
pub fn check_template(text: &str, version: Option<Version>) -> Verdict {
    let mut verdict = Verdict::default();
    if let Err(fault) = template::parse(text, version) {
        let found = if fault.doubtful { &mut verdict.doubtful } else { &mut verdict.refused };
        found.push(fault.problem);
    }
    verdict
}

/// Settings of receivers that are no templates though they may hold braces.
const NO_TEMPLATES: &[&str] = &["http_config", "payload", "sigv4", "tls_config"];

/// Templates in the settings of receivers: Alertmanager reads them when it sends.
fn templates(root: &Node, version: Option<Version>, verdict: &mut Verdict) {
    each_template(root, &mut |node, path, text| {
        if let Err(fault) = template::parse(text, version) {
            let problem = Problem { place: node.place, path: path.to_owned(), ..fault.problem };
            let found = if fault.doubtful { &mut verdict.doubtful } else { &mut verdict.at_send };
            found.push(problem);
        }
    });
}

/// Names of templates that the settings of receivers use and that are not Alertmanager's own: receiver, path, name.
pub fn used_templates(root: &Node) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    each_template(root, &mut |_, path, text| {
        let Ok(names) = template::parse(text, None) else { return };
        let receiver = path.split(['[', ']']).nth(1).and_then(|i| i.parse::<usize>().ok());
        let receivers = root.get("receivers").and_then(Node::items).unwrap_or_default();
        let name = receiver.and_then(|i| receivers.get(i)?.get("name")?.as_str()).unwrap_or_default();
        let own = |n: &&String| !n.contains(".default.") && !n.starts_with("__") && !names.defined.contains(*n);
        found.extend(names.used.iter().filter(own).map(|n| (name.to_owned(), path.to_owned(), n.clone())));
    });
    found
}

/// Names that a template file defines.
pub fn defined_templates(text: &str) -> BTreeSet<String> {
    template::parse(text, None).map(|names| names.defined).unwrap_or_default()
}

fn each_template(root: &Node, act: &mut dyn FnMut(&Node, &str, &str)) {
    for (at, receiver) in root.get("receivers").and_then(Node::items).unwrap_or_default().iter().enumerate() {
        for (key, list) in receiver.entries().unwrap_or_default() {
            let Some(kind) = key.as_str().filter(|k| k.ends_with("_configs")) else { continue };
            for (index, entry) in list.items().unwrap_or_default().iter().enumerate() {
                settings(entry, &format!("receivers[{at}].{kind}[{index}]"), act);
            }
        }
    }
}

fn settings(node: &Node, path: &str, act: &mut dyn FnMut(&Node, &str, &str)) {
    match &node.value {
        Value::Scalar { text, .. } if text.contains("{{") => act(node, path, text),
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                settings(item, &format!("{path}[{at}]"), act);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let key = key.as_str().unwrap_or_default();
                if !NO_TEMPLATES.contains(&key) {
                    settings(value, &format!("{path}.{key}"), act);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "alertmanager/tests.rs"]
mod tests;
