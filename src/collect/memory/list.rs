//! One list of Kubernetes objects as it was read, page by page, and what has changed of it since.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Deserializer, Value};

use crate::collect::client::url_encode;
use crate::collect::source::Request;

/// Which list: its path, what it is filtered by (`labelSelector=…&`), and whether it holds metadata alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) path: String,
    filter: String,
    metadata_only: bool,
}

impl Name {
    /// The list of which a request wants a page, and the token of that page; the first one has none.
    pub(super) fn of(request: &Request) -> Option<(Self, Option<String>)> {
        let Request::Kubernetes { path, query, metadata_only } = request else { return None };
        let (filter, page) = query.split_once("limit=")?;
        let token = page.split_once("&continue=").map(|(_, token)| token.to_owned());
        Some((Self { path: path.clone(), filter: filter.to_owned(), metadata_only: *metadata_only }, token))
    }

    /// Asks for what changed since a version, and for what changes within the next `seconds`.
    pub(super) fn changes(&self, since: &str, seconds: u64) -> Request {
        let query = format!(
            "{}watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            self.filter,
            url_encode(since)
        );
        Request::Kubernetes { path: self.path.clone(), query, metadata_only: self.metadata_only }
    }
}

/// A page of a list, its objects by their names.
#[derive(Debug)]
pub(super) struct Page {
    kind: String,
    api_version: String,
    version: String,
    next: Option<String>,
    items: Vec<(String, Box<[u8]>)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "apiVersion")]
    api_version: String,
    metadata: Meta,
    items: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default, rename = "resourceVersion")]
    version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

impl Page {
    /// Reads it; `None` where it is no list, or one that nobody can say the changes of.
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let Document { kind, api_version, metadata, items } = serde_json::from_slice(answer).ok()?;
        // What has no version is made up at each request, as metrics are.
        if matches!(metadata.version.as_str(), "" | "0") || !kind.ends_with("List") {
            return None;
        }
        // `"items": null` is how Go prints an empty list.
        let items = items.unwrap_or_default().iter().map(named).collect::<Option<Vec<_>>>()?;
        let next = metadata.next.filter(|next| !next.is_empty());
        Some(Self { kind, api_version, version: metadata.version, next, items })
    }
}

/// An object's namespace and name, in the server's order, and its text.
fn named(object: &Value) -> Option<(String, Box<[u8]>)> {
    let text = |key: &str| object["metadata"][key].as_str();
    let name = format!("{}/{}", text("namespace").unwrap_or_default(), text("name")?);
    Some((name, serde_json::to_vec(object).ok()?.into()))
}

/// A list as it was at a version.
#[derive(Debug)]
pub(super) struct List {
    kind: String,
    api_version: String,
    version: String,
    /// The token of the page that is still to come.
    next: Option<String>,
    items: BTreeMap<String, Box<[u8]>>,
    bytes: usize,
}

/// What happened to an object.
enum Change {
    Put(String, Box<[u8]>),
    Gone(String),
}

impl List {
    /// A list of which this is the first page.
    pub(super) fn begin(page: Page) -> Self {
        let Page { kind, api_version, version, next, items } = page;
        let mut list = Self { kind, api_version, version, next, items: BTreeMap::new(), bytes: 0 };
        list.put_all(items);
        list
    }

    /// The list with the page of this token. `None` where it is not the next one, or not of the same moment.
    pub(super) fn and(mut self, token: &str, page: Page) -> Option<Self> {
        let is_next = self.next.as_deref().is_some_and(|next| url_encode(next) == token);
        if !is_next || page.version != self.version {
            return None;
        }
        self.next = page.next;
        self.put_all(page.items);
        Some(self)
    }

    /// All pages are there.
    pub(super) fn is_whole(&self) -> bool {
        self.next.is_none()
    }

    /// The moment that it shows.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Bytes that its objects take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn put_all(&mut self, items: Vec<(String, Box<[u8]>)>) {
        for (name, text) in items {
            self.put(name, text);
        }
    }

    fn put(&mut self, name: String, text: Box<[u8]>) {
        self.bytes += text.len();
        if let Some(old) = self.items.insert(name, text) {
            self.bytes -= old.len();
        }
    }

    /// Takes in the events of a watch, all of them or none. False where something else came: that the version is too old,
    /// or what is no event.
    pub(super) fn follow(&mut self, events: &[u8]) -> bool {
        let Some((changes, version)) = changes(events) else { return false };
        for change in changes {
            match change {
                Change::Put(name, text) => self.put(name, text),
                Change::Gone(name) => {
                    let old = self.items.remove(&name);
                    self.bytes -= old.map_or(0, |old| old.len());
                }
            }
        }
        self.version = version.unwrap_or_else(|| std::mem::take(&mut self.version));
        true
    }

    /// The list as the server would send it in one page.
    pub(super) fn document(&self) -> Vec<u8> {
        let text = |text: &str| Value::from(text).to_string();
        let (kind, api, version) = (text(&self.kind), text(&self.api_version), text(&self.version));
        let head = format!(
            "{{\"kind\":{kind},\"apiVersion\":{api},\"metadata\":{{\"resourceVersion\":{version}}},\"items\":["
        );
        let mut out = Vec::with_capacity(head.len() + self.bytes + self.items.len() + 2);
        out.extend_from_slice(head.as_bytes());
        for (at, item) in self.items.values().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(item);
        }
        out.extend_from_slice(b"]}");
        out
    }
}

/// The changes that a watch tells, and the version after them.
fn changes(events: &[u8]) -> Option<(Vec<Change>, Option<String>)> {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
        object: Value,
    }
    let mut changes = Vec::new();
    let mut version = None;
    for event in Deserializer::from_slice(events).into_iter::<Event>() {
        let Event { kind, object } = event.ok()?;
        version = Some(object["metadata"]["resourceVersion"].as_str().filter(|v| !v.is_empty())?.to_owned());
        match kind.as_str() {
            "ADDED" | "MODIFIED" => {
                let (name, text) = named(&object)?;
                changes.push(Change::Put(name, text));
            }
            "DELETED" => changes.push(Change::Gone(named(&object)?.0)),
            "BOOKMARK" => {}
            _ => return None,
        }
    }
    Some((changes, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(version: &str, next: &str, names: &[&str]) -> Page {
        let items: Vec<Value> = names.iter().map(|n| serde_json::json!({"metadata": {"name": n}})).collect();
        let document = serde_json::json!({"kind": "NodeList", "apiVersion": "v1", "items": items,
            "metadata": {"resourceVersion": version, "continue": next}});
        Page::read(document.to_string().as_bytes()).expect("a list")
    }

    fn event(kind: &str, name: &str, version: &str) -> String {
        serde_json::json!({"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}})
            .to_string()
    }

    fn names(list: &List) -> Vec<String> {
        let document: Value = serde_json::from_slice(&list.document()).expect("JSON");
        let items = document["items"].as_array().expect("items").iter();
        items.map(|i| i["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn pages_are_put_together_where_they_are_of_one_moment() {
        let first = || List::begin(page("7", "a/b", &["x", "z"]));
        assert!(!first().is_whole());
        assert!(first().and("other", page("7", "", &["y"])).is_none(), "not the page that is to come");
        assert!(first().and("a%2Fb", page("9", "", &["y"])).is_none(), "of another moment");
        let list = first().and("a%2Fb", page("7", "", &["y"])).filter(List::is_whole).expect("all of it");
        assert_eq!((names(&list), list.version()), (vec!["x".into(), "y".into(), "z".into()], "7"));
    }

    #[test]
    fn events_are_taken_in_all_or_none() {
        let mut list = List::begin(page("7", "", &["x", "y"]));
        let events = [event("DELETED", "x", "8"), event("ADDED", "w", "9"), event("MODIFIED", "y", "11")].join("\n");
        assert!(list.follow(events.as_bytes()));
        assert_eq!((names(&list), list.version()), (vec!["w".into(), "y".into()], "11"));
        assert!(list.follow(event("BOOKMARK", "", "20").as_bytes()) && list.version() == "20");
        assert!(list.follow(b"") && list.version() == "20", "nothing changed");
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"metadata":{}}}"#;
        for wrong in [gone, "{\"type\":\"ADDED\"", "{\"kind\":\"NodeList\",\"items\":[]}", "<html>"] {
            let events = format!("{}\n{wrong}", event("DELETED", "y", "21"));
            assert!(!list.follow(events.as_bytes()), "{wrong}");
        }
        assert_eq!((names(&list), list.version()), (vec!["w".into(), "y".into()], "20"));
        let whole: usize = list.items.values().map(|text| text.len()).sum();
        assert_eq!(list.bytes(), whole);
    }

    #[test]
    fn what_has_no_version_is_not_kept() {
        for document in [
            r#"{"kind":"PodMetricsList","metadata":{},"items":[]}"#,
            r#"{"kind":"Status","metadata":{"resourceVersion":"1"}}"#,
            r#"{"kind":"List","metadata":{"resourceVersion":""},"items":[]}"#,
        ] {
            assert!(Page::read(document.as_bytes()).is_none(), "{document}");
        }
    }

    #[test]
    fn a_list_is_known_by_its_request() {
        let list = |query: &str| Request::Kubernetes { path: "/a".into(), query: query.into(), metadata_only: true };
        let (name, token) = Name::of(&list("labelSelector=o%3Dh&limit=500&continue=x%3D")).expect("a list");
        assert_eq!(token.as_deref(), Some("x%3D"));
        assert_eq!(Name::of(&list("labelSelector=o%3Dh&limit=500")), Some((name.clone(), None)));
        assert_eq!(Name::of(&list("")), None);
        let watch = "labelSelector=o%3Dh&watch=1&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion=7";
        assert_eq!(name.changes("7", 1), list(watch));
        assert_eq!(Name::of(&name.changes("7", 1)), None);
    }
}
