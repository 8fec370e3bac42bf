//! Kubernetes API answers made from a bundle: discovery, lists with paging and selectors, objects, logs, refusals.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::bundle::{Document, Files};
use super::selector::Selector;
use super::wire::{Ask, Reply};

/// Groups that are part of every API server although their names have no dot.
const PLAIN_GROUPS: &[&str] = &["", "apps", "autoscaling", "batch", "policy"];

/// An error of the API: a `Status` object.
#[derive(Debug, Clone)]
pub struct Failure {
    /// HTTP status.
    pub code: u16,
    /// `NotFound`; empty for an answer in plain text.
    pub reason: String,
    /// For people.
    pub message: String,
    /// `{name, group, kind}` of the thing meant.
    pub details: Box<Value>,
}

impl Failure {
    /// A failure with the usual reason of its code.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, reason: reason(code).into(), message: message.into(), details: Box::new(json!({})) }
    }

    /// What a real server says where it knows not even the API group: no `Status`.
    fn page() -> Self {
        Self { reason: String::new(), ..Self::new(404, "404 page not found\n") }
    }

    /// As a real server sends it.
    pub fn reply(&self) -> Reply {
        if self.reason.is_empty() {
            return Reply::text(self.code, self.message.clone());
        }
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details, "code": self.code,
        });
        Reply::json(self.code, &body)
    }

    /// What an `.error.json` says: a `Status`, or `{code | status, reason, message}`.
    pub fn recorded(document: &Value) -> Self {
        let number = |key: &str| document.get(key).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
        let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
        let named = text("reason").or_else(|| text("code"));
        let code = number("code").or_else(|| number("status"));
        let code = code.or_else(|| named.as_deref().and_then(code_of)).unwrap_or(500);
        Self {
            code,
            reason: named.unwrap_or_else(|| reason(code).into()),
            message: text("message").unwrap_or_default(),
            details: Box::new(document.get("details").cloned().unwrap_or_else(|| json!({}))),
        }
    }
}

const REASONS: &[(u16, &str)] = &[
    (400, "BadRequest"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "NotFound"),
    (405, "MethodNotAllowed"),
    (406, "NotAcceptable"),
    (410, "Expired"),
    (429, "TooManyRequests"),
    (500, "InternalError"),
    (503, "ServiceUnavailable"),
    (504, "Timeout"),
];

fn reason(code: u16) -> &'static str {
    REASONS.iter().find(|(c, _)| *c == code).map_or("Unknown", |(_, r)| r)
}

fn code_of(reason: &str) -> Option<u16> {
    REASONS.iter().find(|(_, r)| *r == reason).map(|(c, _)| *c)
}

/// A path below a group and version.
struct Target<'a> {
    /// `/api/v1`, `/apis/apps/v1`.
    prefix: String,
    group: &'a str,
    namespace: Option<&'a str>,
    plural: &'a str,
    name: Option<&'a str>,
    sub: &'a [&'a str],
}

impl<'a> Target<'a> {
    fn parse(parts: &'a [&'a str]) -> Option<Self> {
        let (prefix, group, rest) = match parts {
            ["api", version, rest @ ..] => (format!("/api/{version}"), "", rest),
            ["apis", group, version, rest @ ..] => (format!("/apis/{group}/{version}"), *group, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, rest) = rest.split_first()?;
        let (name, sub) = rest.split_first().map_or((None, rest), |(name, sub)| (Some(*name), sub));
        Some(Self { prefix, group, namespace, plural, name, sub })
    }

    /// `pods`, `deployments.apps`.
    fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    fn details(&self, name: &str) -> Value {
        let mut details = Map::from_iter([("name".to_owned(), json!(name)), ("kind".to_owned(), json!(self.plural))]);
        if !self.group.is_empty() {
            details.insert("group".into(), json!(self.group));
        }
        Value::Object(details)
    }

    fn whole(&self) -> String {
        format!("kubernetes{}/{}", self.prefix, self.plural)
    }

    fn in_namespace(&self, namespace: &str) -> String {
        format!("kubernetes{}/namespaces/{namespace}/{}", self.prefix, self.plural)
    }
}

/// The answer to a GET of anything but a Service proxy.
pub fn answer(files: &Files, ask: &Ask) -> Reply {
    let parts = ask.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["healthz" | "livez" | "readyz", ..] => return Reply::text(200, "ok"),
        ["version" | "api" | "apis"] | ["api", _] | ["apis", _, _] => {
            return match files.document(&format!("kubernetes/{}", parts.join("/"))) {
                Some(document) => accepted(ask).map_or_else(|f| f.reply(), |_| whole(document)),
                None => Failure::page().reply(),
            };
        }
        ["apis", group] => return api_group(files, group),
        _ => {}
    }
    let Some(target) = Target::parse(&parts) else { return Failure::page().reply() };
    let result = match (target.namespace, target.plural, target.name, target.sub) {
        (Some(namespace), "pods", Some(pod), ["log"]) => log(files, ask, namespace, pod),
        (_, _, None, _) => list(files, ask, &target),
        (_, _, Some(name), []) => object(files, ask, &target, name),
        (_, _, Some(_), _) => match files.document(&format!("kubernetes/{}", parts.join("/"))) {
            Some(document) => Ok(whole(document)),
            None => Err(unknown(files, &target)),
        },
    };
    result.unwrap_or_else(|failure| failure.reply())
}

fn whole(document: Document) -> Reply {
    match document {
        Document::Answer(value) => Reply::json(200, &value),
        Document::Refused(value) => Failure::recorded(&value).reply(),
    }
}

fn api_group(files: &Files, group: &str) -> Reply {
    let found = files.answer("kubernetes/apis").and_then(|all| {
        let mut found = all.get("groups")?.as_array()?.iter().find(|g| g["name"] == group)?.clone();
        found["kind"] = json!("APIGroup");
        found["apiVersion"] = json!("v1");
        Some(found)
    });
    found.map_or_else(|| Failure::page().reply(), |group| Reply::json(200, &group))
}

/// The form in which the client wants objects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Full,
    Metadata,
}

/// The first form of the `Accept` header that this server has.
fn accepted(ask: &Ask) -> Result<Form, Failure> {
    let accept = ask.header("accept").unwrap_or("*/*");
    let form = accept.split(',').find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        match parts.find_map(|p| p.strip_prefix("as=")) {
            None => Some(Form::Full),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Form::Metadata),
            Some(_) => None,
        }
    });
    form.ok_or_else(|| Failure::new(406, "only the following media types are accepted: application/json"))
}

fn metadata_only(item: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]})
}

/// The list document for a path, and whether it still has to be filtered by namespace.
fn list_document(files: &Files, target: &Target) -> Result<(Arc<Value>, bool), Failure> {
    if let Some(namespace) = target.namespace {
        match files.document(&target.in_namespace(namespace)) {
            Some(Document::Answer(value)) => return Ok((value, false)),
            Some(Document::Refused(value)) => return Err(Failure::recorded(&value)),
            None => {}
        }
    }
    match files.document(&target.whole()) {
        Some(Document::Answer(value)) => Ok((value, target.namespace.is_some())),
        Some(Document::Refused(value)) => {
            let mut failure = Failure::recorded(&value);
            if let Some(namespace) = target.namespace {
                let there = format!("in the namespace {namespace:?}");
                failure.message = failure.message.replace("at the cluster scope", &there);
            }
            Err(failure)
        }
        None => Err(unknown(files, target)),
    }
}

/// Why there is no such list.
fn unknown(files: &Files, target: &Target) -> Failure {
    let recorded_in_namespaces = || {
        let namespaces = format!("kubernetes{}/namespaces", target.prefix);
        files.names(&namespaces).iter().any(|n| files.document(&target.in_namespace(n)).is_some())
    };
    if target.namespace.is_none() && recorded_in_namespaces() {
        let message = format!(
            "{} is forbidden: User \"kdoctor\" cannot list resource {:?} in API group {:?} at the cluster scope",
            target.resource(),
            target.plural,
            target.group
        );
        return Failure { details: Box::new(json!({"kind": target.plural})), ..Failure::new(403, message) };
    }
    let group = files.answer(&format!("kubernetes{}", target.prefix));
    let known = |g: &Value| g["resources"].as_array().is_some_and(|r| r.iter().any(|r| r["name"] == target.plural));
    if group.as_deref().is_some_and(known) {
        // A real server has an answer here; an invented one would make missing data look healthy.
        return Failure::new(500, format!("the test server has no {}.json in its bundle", target.whole()));
    }
    if group.is_some() || PLAIN_GROUPS.contains(&target.group) || target.group.ends_with(".k8s.io") {
        return Failure::new(404, "the server could not find the requested resource");
    }
    Failure::page()
}

fn selectors(ask: &Ask, target: &Target) -> Result<(Selector, Selector), Failure> {
    let labels = Selector::labels(&ask.param("labelSelector").unwrap_or_default());
    let fields = Selector::fields(&ask.param("fieldSelector").unwrap_or_default(), target.plural);
    Ok((labels.map_err(|m| Failure::new(400, m))?, fields.map_err(|m| Failure::new(400, m))?))
}

fn list(files: &Files, ask: &Ask, target: &Target) -> Result<Reply, Failure> {
    let form = accepted(ask)?;
    let (labels, fields) = selectors(ask, target)?;
    let (document, filter) = list_document(files, target)?;
    let none = Vec::new();
    let all = document["items"].as_array().unwrap_or(&none);
    let mine = |item: &&Value| {
        (!filter || item["metadata"]["namespace"].as_str() == target.namespace)
            && labels.fits_labels(item)
            && fields.fits_fields(item)
    };
    let items: Vec<&Value> = all.iter().filter(mine).collect();
    let version = document["metadata"]["resourceVersion"].as_str().unwrap_or("1");
    let start = ask.param("continue").filter(|t| !t.is_empty()).map_or(Ok(0), |token| offset(&token))?;
    let number = |text: String| text.parse::<usize>().map_err(|e| Failure::new(400, format!("limit {text:?}: {e}")));
    let limit = ask.param("limit").map(number).transpose()?.filter(|n| *n > 0).unwrap_or(usize::MAX);
    let end = start.saturating_add(limit).min(items.len());
    let mut metadata = json!({"resourceVersion": version});
    if end < items.len() {
        metadata["continue"] = json!(token(version, end));
        // A real server does not count what a selector would still drop.
        if labels.is_empty() && fields.is_empty() {
            metadata["remainingItemCount"] = json!(items.len() - end);
        }
    }
    let page = items.get(start..end).unwrap_or_default();
    Ok(match form {
        Form::Full => {
            let (kind, api) = (&document["kind"], &document["apiVersion"]);
            Reply::json(200, &json!({"kind": kind, "apiVersion": api, "metadata": metadata, "items": page}))
        }
        Form::Metadata => {
            let items: Vec<Value> = page.iter().map(|i| metadata_only(i)).collect();
            let (kind, api) = ("PartialObjectMetadataList", "meta.k8s.io/v1");
            Reply::json(200, &json!({"kind": kind, "apiVersion": api, "metadata": metadata, "items": items}))
        }
    })
}

/// Opaque to clients, as a real token: base64 of JSON.
fn token(version: &str, start: usize) -> String {
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": start}).to_string())
}

fn offset(token: &str) -> Result<usize, Failure> {
    let decoded = URL_SAFE_NO_PAD.decode(token).ok().and_then(|b| serde_json::from_slice::<Value>(&b).ok());
    let start = decoded.and_then(|v| v["start"].as_u64()).and_then(|n| usize::try_from(n).ok());
    start.ok_or_else(|| Failure::new(400, "continue key is not valid: illegal base64 data at input byte 0"))
}

/// An object from its own file, or from the list that holds it.
fn find(files: &Files, target: &Target, name: &str) -> Result<Value, Failure> {
    let folder = target.namespace.map_or_else(|| target.whole(), |n| target.in_namespace(n));
    match files.document(&format!("{folder}/{name}")) {
        Some(Document::Answer(value)) => return Ok(Value::clone(&value)),
        Some(Document::Refused(value)) => return Err(Failure::recorded(&value)),
        None => {}
    }
    let (document, filter) = list_document(files, target)?;
    let is_it = |item: &&Value| {
        item["metadata"]["name"] == name && (!filter || item["metadata"]["namespace"].as_str() == target.namespace)
    };
    let found = document["items"].as_array().and_then(|items| items.iter().find(is_it));
    let mut object = found.cloned().ok_or_else(|| Failure {
        details: Box::new(target.details(name)),
        ..Failure::new(404, format!("{} {name:?} not found", target.resource()))
    })?;
    // Items of built-in kinds do not repeat what the list says.
    if object.get("kind").is_none() {
        let kind = document["kind"].as_str().unwrap_or_default();
        object["kind"] = json!(kind.strip_suffix("List").unwrap_or(kind));
        object["apiVersion"] = document["apiVersion"].clone();
    }
    Ok(object)
}

fn object(files: &Files, ask: &Ask, target: &Target, name: &str) -> Result<Reply, Failure> {
    let form = accepted(ask)?;
    let object = find(files, target, name)?;
    Ok(Reply::json(200, &if form == Form::Full { object } else { metadata_only(&object) }))
}

fn log(files: &Files, ask: &Ask, namespace: &str, pod: &str) -> Result<Reply, Failure> {
    let parts = ["api", "v1", "namespaces", namespace, "pods", pod];
    let target = Target::parse(&parts).expect("this is a path of a pod");
    let object = find(files, &target, pod)?;
    let names = |field: &str| -> Vec<String> {
        let all = object["spec"][field].as_array();
        all.into_iter().flatten().filter_map(|c| c["name"].as_str().map(str::to_owned)).collect()
    };
    let (main, init) = (names("containers"), names("initContainers"));
    let container = match (ask.param("container"), &main[..]) {
        (Some(container), _) => container,
        (None, [only]) => only.clone(),
        (None, all) => {
            let all = all.join(" ");
            let message = format!("a container name must be specified for pod {pod}, choose one of: [{all}]");
            return Err(Failure::new(400, message));
        }
    };
    if !main.contains(&container) && !init.contains(&container) {
        return Err(Failure::new(400, format!("container {container} is not valid for pod {pod}")));
    }
    let previous = ask.param("previous").is_some_and(|p| p == "true" || p == "1");
    let suffix = if previous { ".previous" } else { "" };
    let file = format!("kubernetes/api/v1/namespaces/{namespace}/pods/{pod}/log/{container}{suffix}");
    let Some(bytes) = files.bytes(&format!("{file}.log")) else {
        return match files.document(&file) {
            Some(Document::Refused(value)) => Err(Failure::recorded(&value)),
            _ => no_log(&object, pod, &container, previous),
        };
    };
    let number = |name: &str| ask.param(name).and_then(|n| n.parse::<usize>().ok());
    let mut log = number("tailLines").map_or(&bytes[..], |n| tail(&bytes, n));
    if let Some(limit) = number("limitBytes") {
        log = &log[..limit.min(log.len())];
    }
    Ok(Reply::text(200, log))
}

/// A container without a recorded log has not started, or has written nothing.
fn no_log(object: &Value, pod: &str, container: &str, previous: bool) -> Result<Reply, Failure> {
    if previous {
        let message = format!("previous terminated container {container:?} in pod {pod:?} not found");
        return Err(Failure::new(400, message));
    }
    let statuses = ["containerStatuses", "initContainerStatuses"].map(|f| object["status"][f].as_array());
    let status = statuses.into_iter().flatten().flatten().find(|s| s["name"] == container);
    let waits = status.and_then(|s| s["state"]["waiting"]["reason"].as_str());
    let waits = match waits {
        Some("CrashLoopBackOff") | None => return Ok(Reply::text(200, "")),
        Some("ErrImagePull") => "image can't be pulled",
        Some("ImagePullBackOff") => "trying and failing to pull image",
        Some(other) => other,
    };
    let message = format!("container {container:?} in pod {pod:?} is waiting to start: {waits}");
    Err(Failure::new(400, message))
}

/// The last `count` lines.
fn tail(log: &[u8], count: usize) -> &[u8] {
    if count == 0 {
        return &[];
    }
    let body = log.strip_suffix(b"\n").unwrap_or(log);
    let mut breaks = body.iter().enumerate().rev().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1);
    &log[breaks.nth(count - 1).unwrap_or(0)..]
}
