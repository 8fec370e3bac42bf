//! Reads a YAML tree against a table of fields, as strictly as Go's `UnmarshalStrict`: unknown fields, fields that come
//! twice, wrong types. What the tables cannot say is in the checks that they name.

use super::go::{self, duration, is_size, url_fault};
use super::yaml::{Node, Value, is_bool, is_number, join, last};
use super::{Place, Problem};
use crate::text::near::near;

/// The newest version that the tables know in full: of a newer one unknown fields are not judged.
pub(crate) const NEWEST: Version = (3, 14);

/// Major and minor of the program that reads the file.
pub type Version = (u16, u16);

/// What is wrong with a word, and what was meant; `None` where it is right.
pub(super) type Fault = Option<(String, Option<String>)>;

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Not looked into.
    Any,
    Str,
    Bool,
    Int,
    /// Not negative.
    Uint,
    Float,
    Duration,
    Size,
    Regex,
    Url,
    /// A string that a function looks at: what is wrong with it, and what was meant.
    Word(fn(&Strict, &str) -> Fault),
    List(&'static Kind),
    /// Keys are free.
    Map(&'static Kind),
    /// Label names and values.
    Labels,
    Struct(&'static Schema),
    /// A list of structs in which an empty item is an error of its own: `empty or null NAME`.
    Items(&'static Schema, &'static str),
}

/// A field of a struct.
#[derive(Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    since: Version,
    /// The version that no longer knows it, and its successor.
    until: Option<(Version, &'static str)>,
}

/// A field that every version knows.
pub(super) const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, since: (0, 0), until: None }
}

/// Stands for every field that a table does not name.
pub(super) const ANY_OTHER: Field = field("*", Kind::Any);

impl Field {
    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The struct that it holds, or each item of it.
    pub(super) fn schema(&self) -> Option<&'static Schema> {
        match self.kind {
            Kind::Struct(schema) | Kind::Items(schema, _) => Some(schema),
            _ => None,
        }
    }

    /// Known since a version.
    pub(super) const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = (major, minor);
        self
    }

    /// Gone with a version.
    pub(super) const fn until(mut self, major: u16, minor: u16, successor: &'static str) -> Self {
        self.until = Some(((major, minor), successor));
        self
    }
}

/// A check of what the table cannot say. It runs only where the fields themselves are right.
pub(super) type StructCheck = fn(&mut Strict, &Object<'_>, &str);

/// The fields of a struct.
pub(super) struct Schema {
    /// What it is in a message: `scrape config`.
    pub(super) what: &'static str,
    /// Its fields, in groups as Go embeds them.
    pub(super) fields: &'static [&'static [Field]],
    /// Fields that people put here, and what is right instead.
    pub(super) hints: &'static [(&'static str, &'static str)],
    /// What else must hold.
    pub(super) check: Option<StructCheck>,
}

impl Schema {
    /// Where a field of it is described.
    pub(super) fn find(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().copied().flatten().find(|f| f.name == name)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().copied().flatten().map(|f| f.name).filter(|name| *name != ANY_OTHER.name)
    }
}

/// A mapping with what `<<` merges into it.
pub(super) struct Object<'a> {
    node: &'a Node,
    entries: Vec<(&'a Node, &'a Node)>,
}

impl<'a> Object<'a> {
    /// `None` where the node is no mapping.
    pub(super) fn of(node: &'a Node) -> Option<Self> {
        node.entries()?;
        let mut entries = Vec::new();
        collect(node, &mut entries, 0);
        Some(Self { node, entries })
    }

    /// Where it begins.
    pub(super) fn place(&self) -> Place {
        self.node.place
    }

    /// A value that is not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(k, _)| k.as_str() == Some(name)).map(|(_, v)| *v).filter(|v| !v.is_null())
    }

    /// True for a field that stands there and says nothing.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.entries.iter().any(|(k, v)| k.as_str() == Some(name) && v.is_null())
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str().filter(|t| !t.is_empty())
    }

    /// Items of a list.
    pub(super) fn items(&self, name: &str) -> &'a [Node] {
        self.get(name).and_then(Node::items).unwrap_or_default()
    }

    /// Another mapping in it.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        self.get(name).and_then(Self::of)
    }

    /// Where a field's name stands, or the mapping.
    pub(super) fn key_place(&self, name: &str) -> Place {
        self.entries.iter().find(|(k, _)| k.as_str() == Some(name)).map_or(self.node.place, |(k, _)| k.place)
    }

    /// Which of these fields are set.
    pub(super) fn set<'n>(&self, names: &[&'n str]) -> Vec<&'n str> {
        names.iter().copied().filter(|n| self.get(n).is_some_and(|v| v.as_str() != Some(""))).collect()
    }

    /// Milliseconds of a duration; `None` where it is missing, zero or wrong.
    pub(super) fn millis(&self, name: &str) -> Option<u64> {
        duration(self.get(name)?.as_str()?).ok().filter(|m| *m > 0)
    }
}

fn collect<'a>(node: &'a Node, into: &mut Vec<(&'a Node, &'a Node)>, depth: usize) {
    let own = node.entries().unwrap_or_default();
    into.extend(own.iter().filter(|(k, _)| !is_merge(k)).map(|(k, v)| (k, v)));
    for (_, merged) in own.iter().filter(|(k, _)| depth < 20 && is_merge(k)) {
        for node in merged.items().unwrap_or(std::slice::from_ref(merged)) {
            collect(node, into, depth + 1);
        }
    }
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.value, Value::Scalar { text, plain: true } if text == "<<")
}

/// Reads, and gathers what is wrong.
pub(super) struct Strict {
    version: Option<Version>,
    /// Label names may only hold letters, digits and underscores.
    pub(super) legacy_names: bool,
    problems: Vec<Problem>,
    /// Structs around the one that is read.
    around: Vec<&'static Schema>,
}

impl Strict {
    /// A reader for a version; unknown versions take what any version takes.
    pub(super) fn new(version: Option<Version>) -> Self {
        Self { version, legacy_names: version.is_some_and(|v| v < (3, 0)), problems: Vec::new(), around: Vec::new() }
    }

    /// True where the version is known and older than this.
    pub(super) fn before(&self, version: Version) -> bool {
        self.version.is_some_and(|v| v < version)
    }

    /// True where the version is known and not older than this.
    pub(super) fn from(&self, version: Version) -> bool {
        self.version.is_some_and(|v| v >= version)
    }

    /// What was found, in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| p.place);
        self.problems.dedup();
        self.problems
    }

    /// Says that something is wrong.
    pub(super) fn report(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(place, path, message));
    }

    /// Says what is wrong and what was meant.
    pub(super) fn report_instead(
        &mut self,
        place: Place,
        path: &str,
        message: impl Into<String>,
        meant: Option<impl Into<String>>,
    ) {
        self.problems.push(Problem::new(place, path, message).instead(meant));
    }

    /// Adds a problem.
    pub(super) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Paths of what was found so far.
    pub(super) fn paths(&self) -> Vec<String> {
        self.problems.iter().map(|p| p.path.clone()).collect()
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// Reads a value.
    pub(super) fn read(&mut self, node: &Node, kind: Kind, path: &str) {
        // Null leaves every field as it is.
        if node.is_null() {
            return;
        }
        match kind {
            Kind::Any => {}
            Kind::List(item) => {
                let Some(items) = self.list(node, path) else { return };
                for (at, node) in items.iter().enumerate() {
                    self.read(node, *item, &format!("{path}[{at}]"));
                }
            }
            Kind::Items(schema, what) => {
                let Some(items) = self.list(node, path) else { return };
                for (at, node) in items.iter().enumerate() {
                    let path = format!("{path}[{at}]");
                    if node.is_null() {
                        self.report(node.place, &path, format!("empty or null {what}"));
                    } else {
                        self.structure(node, schema, &path);
                    }
                }
            }
            Kind::Map(item) => self.map(node, *item, path),
            Kind::Labels => self.labels(node, path),
            Kind::Struct(schema) => self.structure(node, schema, path),
            scalar => self.scalar(node, scalar, path),
        }
    }

    fn list<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n [Node]> {
        if let Some(items) = node.items() {
            return Some(items);
        }
        let name = last(path);
        let (message, meant) = match &node.value {
            Value::Scalar { text, .. } => {
                (format!("{name} must be a list, not the single value {text:?}"), Some(format!("{name}: ['{text}']")))
            }
            _ => (format!("{name} must be a list, not a mapping: its first line needs `- ` in front"), None),
        };
        self.report_instead(node.place, path, message, meant);
        None
    }

    fn wrong(&mut self, node: &Node, path: &str, expected: &str) {
        let message = match node.as_str() {
            Some(text) => format!("{} must be {expected}, not {text:?}", last(path)),
            None => format!("{} must be {expected}, not {}", last(path), node.described()),
        };
        self.report(node.place, path, message);
    }

    fn scalar(&mut self, node: &Node, kind: Kind, path: &str) {
        let Value::Scalar { text, plain } = &node.value else {
            let expected = match kind {
                Kind::Duration => "a duration such as 15s",
                Kind::Bool => "true or false",
                Kind::Int | Kind::Uint | Kind::Float => "a number",
                _ => "a single value",
            };
            return self.wrong(node, path, expected);
        };
        let name = last(path);
        let (message, meant) = match kind {
            Kind::Bool if !(*plain && is_bool(text)) => (format!("{name} must be true or false, not {text:?}"), None),
            Kind::Int if !(*plain && is_number(text)) => {
                (format!("{name} must be a whole number without quotes, not {text:?}"), None)
            }
            Kind::Uint if !(*plain && is_number(text)) || text.starts_with('-') => {
                (format!("{name} must be a whole number from 0, without quotes, not {text:?}"), None)
            }
            Kind::Float if !(*plain && is_number(text)) => {
                (format!("{name} must be a number without quotes, not {text:?}"), None)
            }
            Kind::Duration => match duration(text) {
                Ok(_) => return,
                Err((message, meant)) => (format!("{name}: {message}"), meant),
            },
            Kind::Size if !is_size(text) => {
                let meant = text.chars().all(|c| c.is_ascii_digit()).then(|| format!("{text}B"));
                (format!("{name} must be a size with a unit such as 10MB, not {text:?}"), meant)
            }
            Kind::Regex => match go::anchored_fault(text) {
                None => return,
                Some(fault) => (format!("{name}: error parsing regexp: {fault}"), None),
            },
            Kind::Url => match url_fault(text) {
                None => return,
                Some(fault) => (format!("{name}: {text:?} is no URL: {fault}"), None),
            },
            Kind::Word(check) => match check(self, text) {
                None => return,
                Some(fault) => fault,
            },
            _ => return,
        };
        self.report_instead(node.place, path, message, meant);
    }

    fn map(&mut self, node: &Node, item: Kind, path: &str) {
        let Some(object) = Object::of(node) else { return self.wrong(node, path, "a mapping") };
        self.twice(node, path, "the map");
        for (key, value) in &object.entries {
            let name = text_of(key);
            if key.entries().is_some() || key.items().is_some() {
                self.wrong(key, path, "a mapping of plain names");
            }
            self.read(value, item, &join(path, &name));
        }
    }

    fn labels(&mut self, node: &Node, path: &str) {
        self.map(node, Kind::Str, path);
        for (key, value) in Object::of(node).map(|o| o.entries).unwrap_or_default() {
            if let Some(name) = key.as_str()
                && !self.is_label(name)
            {
                self.report(key.place, path, format!("{name:?} is not a valid label name"));
            }
            if let Some(text) = value.as_str().filter(|t| t.contains(char::REPLACEMENT_CHARACTER)) {
                self.report(value.place, path, format!("{text:?} is not a valid label value: it is not UTF-8"));
            }
        }
    }

    /// True for a label name that the version takes.
    pub(super) fn is_label(&self, name: &str) -> bool {
        if self.legacy_names {
            go::is_legacy_label(name)
        } else {
            !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
        }
    }

    fn structure(&mut self, node: &Node, schema: &'static Schema, path: &str) {
        let Some(object) = Object::of(node) else {
            return self.wrong(node, path, &format!("a mapping ({})", schema.what));
        };
        self.twice(node, path, schema.what);
        // Its fields are not known here.
        if schema.fields.is_empty() {
            return;
        }
        let before = self.count();
        self.around.push(schema);
        for (key, value) in &object.entries {
            self.known(key, value, schema, path);
        }
        self.around.pop();
        // What depends on a field that was misspelt would be a second message for one fault.
        if self.count() == before
            && let Some(check) = schema.check
        {
            check(self, &object, path);
        }
    }

    fn twice(&mut self, node: &Node, path: &str, what: &str) {
        let entries = node.entries().unwrap_or_default();
        for (at, (key, _)) in entries.iter().enumerate() {
            let name = text_of(key);
            if matches!(&key.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~")) {
                self.report(key.place, path, "not valid YAML: did not find expected key before the colon");
            }
            if let Some((first, _)) = entries[..at].iter().find(|(k, _)| text_of(k) == name && k.value == key.value) {
                let message =
                    format!("field {name:?} already set in {what}: it stands in line {} too", first.place.line);
                self.report(key.place, &join(path, &name), message);
            }
        }
    }

    fn known(&mut self, key: &Node, value: &Node, schema: &'static Schema, path: &str) {
        let name = text_of(key);
        let Some(field) = schema.find(&name).or_else(|| schema.find(ANY_OTHER.name)) else {
            return self.unknown(key, &name, schema, path);
        };
        let path = join(path, &name);
        if self.before(field.since) {
            let (major, minor) = field.since;
            let message = format!("unknown field {name:?} in {}: known since {major}.{minor} only", schema.what);
            return self.report(key.place, &path, message);
        }
        if let Some(((major, minor), successor)) = field.until.filter(|(v, _)| self.from(*v)) {
            let meant = (!successor.is_empty()).then_some(successor);
            let message = format!("unknown field {name:?} in {}: removed in {major}.{minor}", schema.what);
            return self.report_instead(key.place, &path, message, meant);
        }
        self.read(value, field.kind, &path);
    }

    fn unknown(&mut self, key: &Node, name: &str, schema: &'static Schema, path: &str) {
        let path = join(path, name);
        let mut message = format!("unknown field {name:?} in {}", schema.what);
        let hint = schema.hints.iter().find(|(n, _)| *n == name).map(|(_, h)| *h);
        let outer = self.around.iter().rev().skip(1).find(|s| s.find(name).is_some());
        let near = near(name, schema.names());
        match (hint, outer) {
            (Some(hint), _) => message.push_str(&format!(": {hint}")),
            (None, Some(outer)) => message.push_str(&format!(": it belongs in {}, further left", outer.what)),
            _ => {}
        }
        // A newer version may have fields that the tables do not.
        let newer = self.version.is_some_and(|v| v > NEWEST);
        if newer && hint.is_none() && outer.is_none() && near.is_none() {
            return;
        }
        let meant = if hint.is_none() && outer.is_none() { near } else { None };
        self.report_instead(key.place, &path, message, meant);
    }
}

/// The key as a text; keys that are none get their kind.
fn text_of(key: &Node) -> String {
    match &key.value {
        Value::Scalar { text, .. } => text.clone(),
        _ => key.kind().to_owned(),
    }
}
