//! A document of a file with one of its lines changed: what an edit would make of it.

use crate::lint::yaml::{self, Node};
use crate::lint::{Place, within};
use crate::snapshot::manifests::{BLANK, Inside, ManifestFile, Original};

/// The document around a place of a changed text, read again. Lines keep their numbers; other documents are left out. `None`
/// where it is no YAML any more.
pub(crate) fn reread(file: &ManifestFile, text: &str, at: Place) -> Option<ManifestFile> {
    let text = alone(text, at.line);
    // What was blanked out would be an alias.
    let documents = yaml::documents(&text.replace(BLANK, "redacted")).ok()?;
    let mut copy = ManifestFile::new(file.path.as_str(), text);
    for document in documents {
        copy.add(document, true);
    }
    for inside in &file.inside {
        let Some(object) = file.objects.get(inside.object) else { continue };
        let Some(number) = copy.objects.iter().position(|o| o.place() == object.place()) else { continue };
        let node = at_path(&copy.objects[number].node, &inside.path).and_then(|node| read(&copy.text, node));
        copy.inside.extend(node.map(|node| Inside { object: number, node, ..inside.clone() }));
    }
    Some(copy)
}

/// What the program would read of a file of which lines were changed: the lines that are as they were, as they really are.
pub(crate) fn original(file: &ManifestFile, changed: &str) -> Original {
    let Some(real) = file.original.judged() else { return Original::default() };
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (real, shown, changed) = (lines(real), lines(&file.text), lines(changed));
    if real.len() != shown.len() || shown.len() != changed.len() {
        return Original::default();
    }
    let kept = changed.iter().zip(&shown).zip(&real).map(|((new, old), real)| if new == old { real } else { new });
    Original::keep(&kept.map(String::as_str).collect::<Vec<_>>().join("\n"))
}

/// The document with a line, at its own lines.
fn alone(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let ends = |l: &str| l.starts_with("---");
    let at = line.saturating_sub(1).min(lines.len());
    let from = lines[..at].iter().rposition(|l| ends(l)).unwrap_or_default();
    let to = lines[at..].iter().skip(1).position(|l| ends(l)).map_or(lines.len(), |n| at + 1 + n);
    format!("{}{}\n", "\n".repeat(from), lines[from..to].join("\n"))
}

/// What a node holds as a document: itself, or the text that it is.
fn read(text: &str, node: &Node) -> Option<Node> {
    match node.as_str() {
        Some(inner) => within::documents(text, inner, node.place).ok()?.into_iter().next(),
        None => Some(node.clone()),
    }
}

/// The node at `spec.sources[0].helm.values`; keys may have dots.
fn at_path<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    if path.is_empty() {
        return Some(node);
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (number, rest) = rest.split_once(']')?;
        let item = node.items()?.get(number.parse::<usize>().ok()?)?;
        return at_path(item, rest.strip_prefix('.').unwrap_or(rest));
    }
    node.entries()?.iter().find_map(|(key, value)| {
        let rest = path.strip_prefix(key.as_str()?)?;
        if rest.is_empty() || rest.starts_with('[') {
            return at_path(value, rest);
        }
        at_path(value, rest.strip_prefix('.')?)
    })
}
