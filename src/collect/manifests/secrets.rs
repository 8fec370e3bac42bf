//! Manifests without the secrets in them.

use super::documents::documents;
use crate::lint::yaml::{Node, Value};
use crate::lint::{Place, web};
use crate::snapshot::kubernetes::DEFAULT_PASSWORDS;
use crate::snapshot::kubernetes::annotation::LAST_APPLIED;
use crate::snapshot::manifests::BLANK;
use crate::text::redact::token;

/// The text of a manifest without the secrets in it; what cannot be read as one stays as it is.
pub(crate) fn without_secrets(name: &str, text: &str) -> String {
    match documents(name, text) {
        // The blank would be an alias of YAML. Whether a hash is one can still be judged.
        Ok(mut documents) => {
            let blank = blank_secrets(text, &mut documents).replace(BLANK, &token(0));
            web::without_users(&blank, web::censored)
        }
        Err(_) => without_data(text),
    }
}

/// The same of a text that is no YAML, by its lines: what stands below `data` and `stringData` of a Secret.
fn without_data(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut is_secret = false;
    // The indent of the key whose values are left out.
    let mut below: Option<usize> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if bare.starts_with("---") {
            (is_secret, below) = (false, None);
        }
        is_secret |= bare.strip_prefix("kind:").is_some_and(|kind| kind.trim().trim_matches(['"', '\'']) == "Secret");
        if below.is_some_and(|key| indent <= key && !bare.is_empty()) {
            below = None;
        }
        let key = ["data:", "stringData:"].into_iter().find(|key| bare.starts_with(key)).filter(|_| is_secret);
        match key {
            _ if below.is_some() && !bare.is_empty() => out.push(format!("{}# redacted", &line[..indent])),
            Some(key) => {
                below = Some(indent);
                out.push(format!("{}{key} # redacted", &line[..indent]));
            }
            None => out.push(line.to_owned()),
        }
    }
    out.join("\n") + "\n"
}

/// What may be secret in a part of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hide {
    /// Values of environment variables with telling names.
    Object,
    /// Values of keys with telling names.
    Values,
    /// Everything.
    All,
}

/// Replaces secrets in the documents, and gives the text without them.
pub(super) fn blank_secrets(text: &str, documents: &mut [Node]) -> String {
    let mut hidden = Vec::new();
    let mut places = Vec::new();
    for document in documents.iter_mut() {
        let hide = hide_in(document);
        blank(document, hide, &mut hidden);
        collect(document, &mut places);
    }
    if hidden.is_empty() {
        return text.to_owned();
    }
    if places.iter().all(|p| p.line == 1) {
        // One line, or places that are not known: nothing of it is worth an excerpt.
        return String::new();
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let count = lines.len();
    places.sort_unstable();
    for from in hidden {
        let next = places.get(places.partition_point(|p| *p <= from)).map_or(count + 1, |p| p.line);
        for number in from.line..next.max(from.line + 1).min(count + 1) {
            let line = &mut lines[number - 1];
            if number == from.line {
                let kept: String = line.chars().take(from.column - 1).collect();
                *line = format!("{kept}{BLANK}");
            } else if !line.starts_with("---") && !line.trim().is_empty() {
                let indent: String = line.chars().take_while(|c| *c == ' ').collect();
                *line = format!("{indent}{BLANK}");
            }
        }
    }
    lines.join("\n")
}

fn hide_in(document: &Node) -> Hide {
    let kind = document.get("kind").and_then(Node::as_str).unwrap_or_default();
    match (document.get("apiVersion"), kind) {
        (Some(_), "HelmRelease" | "HelmChart" | "Application" | "ApplicationSet" | "Grafana") => Hide::Values,
        (Some(_), kind) if !kind.is_empty() => Hide::Object,
        _ => Hide::Values,
    }
}

pub(super) fn blank(node: &mut Node, hide: Hide, hidden: &mut Vec<Place>) {
    let is_secret = node.get("kind").and_then(Node::as_str) == Some("Secret") && node.get("apiVersion").is_some();
    let variable = node.get("name").and_then(Node::as_str).is_some_and(tells);
    match &mut node.value {
        Value::Scalar { text, .. } if hide == Hide::All && DEFAULT_PASSWORDS.contains(&text.as_str()) => {}
        Value::Scalar { text, plain } if hide == Hide::All && !text.is_empty() => {
            (*text, *plain) = (BLANK.to_owned(), false);
            hidden.push(node.place);
        }
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| blank(item, hide, hidden)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let key = key.as_str().unwrap_or_default();
                let whole = hide == Hide::All
                    || key == LAST_APPLIED
                    || (is_secret && matches!(key, "data" | "stringData"))
                    || (value.as_str().is_some()
                        && ((variable && key == "value") || (hide == Hide::Values && tells(key))));
                blank(value, if whole { Hide::All } else { hide }, hidden);
            }
        }
    }
}

fn collect(node: &Node, places: &mut Vec<Place>) {
    places.push(node.place);
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, places)),
        Value::Mapping(entries) => entries.iter().for_each(|(k, v)| {
            collect(k, places);
            collect(v, places);
        }),
    }
}

/// True for a name that a secret goes by; names of Secrets and files are none.
fn tells(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let words = [
        "password",
        "passwd",
        "passphrase",
        "token",
        "secret",
        "credential",
        "apikey",
        "accesskey",
        "privatekey",
        "servicekey",
        "routingkey",
        "webhook",
        "apiurl",
    ];
    let references = ["name", "ref", "path", "file", "existingsecret", "secrets", "enabled", "namespace"];
    words.iter().any(|w| name.contains(w)) && !references.iter().any(|r| name.ends_with(r))
}
