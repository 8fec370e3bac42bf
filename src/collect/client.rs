//! Asks a source with a bound on concurrency, a deadline on every call, paging, and lenient but honest parsing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::source::{FetchError, Request, Source, error_from_document};
use crate::model::{Gap, GapCause, Observer};
use crate::snapshot::Listing;
use crate::snapshot::kubernetes::{Object, ObjectName};

/// Calls in flight at once: enough to hide latency, few enough for API priority and fairness.
const CONCURRENCY: usize = 12;
/// Longest time for a command in a container.
const EXEC_DEADLINE: Duration = Duration::from_secs(20);
/// Objects per page, as kubectl asks for.
const PAGE: usize = 500;
/// Pages of one list at most: the largest clusters have 150,000 pods.
const MAX_PAGES: usize = 500;
/// One list takes at most so many times as long as one call may.
const MAX_LIST_DEADLINES: u32 = 6;

/// A list of names or objects may not exist on every server (custom resources).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    /// The API is part of every cluster: 404 is a gap.
    Gap,
    /// The API is optional: 404 means an empty list.
    Empty,
}

/// Asks a source.
pub struct Client {
    source: Arc<dyn Source>,
    permits: Semaphore,
    observer: Arc<dyn Observer>,
    calls: AtomicUsize,
}

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMeta,
    items: Option<Vec<T>>,
}

#[derive(Deserialize, Default)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

impl Client {
    /// A client of `source`.
    pub fn new(source: Arc<dyn Source>, observer: Arc<dyn Observer>) -> Self {
        Self { source, permits: Semaphore::new(CONCURRENCY), observer, calls: AtomicUsize::new(0) }
    }

    /// The source itself.
    pub fn source(&self) -> &dyn Source {
        self.source.as_ref()
    }

    /// Calls made so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// One answer as bytes.
    ///
    /// # Errors
    /// See [`FetchError`]; a call over the deadline is a `Timeout` gap.
    pub async fn bytes(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let label = request.label();
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.observer.started(&label);
        let deadline = deadline(self.source(), request);
        let result = timeout(deadline, self.source.fetch(request)).await;
        let result = result.unwrap_or_else(|_| Err(no_answer(request, deadline)));
        let result = result.and_then(|bytes| not_the_api_server(request, bytes));
        let error = match &result {
            Err(FetchError::Gap(gap)) if !gap.is_not_collected() => Some(gap.to_string()),
            _ => None,
        };
        self.observer.finished(&label, error.as_deref());
        result
    }

    /// One answer as text.
    ///
    /// # Errors
    /// As [`Client::bytes`].
    pub async fn text(&self, request: &Request) -> Result<String, FetchError> {
        Ok(String::from_utf8_lossy(&self.bytes(request).await?).into_owned())
    }

    /// One JSON answer.
    ///
    /// # Errors
    /// As [`Client::bytes`]; a `BadAnswer` gap if it is not JSON of the expected form.
    pub async fn json<T: DeserializeOwned + Send + 'static>(&self, request: &Request) -> Result<T, FetchError> {
        let bytes = self.bytes(request).await?;
        parse(request, bytes).await
    }

    /// All pages of one list.
    ///
    /// # Errors
    /// As [`Client::json`].
    async fn pages<T>(&self, path: &str, filter: &str, metadata_only: bool) -> Result<(Vec<T>, Option<Gap>), FetchError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut restarts = 0;
        let start = Instant::now();
        'restart: loop {
            let mut items = Vec::new();
            let mut bad = None;
            let mut query = format!("{filter}limit={PAGE}");
            let mut seen = BTreeSet::new();
            loop {
                let request = Request::Kubernetes { path: path.to_owned(), query: query.clone(), metadata_only };
                let answer = async { parse_page::<T>(&request, self.bytes(&request).await?).await };
                match answer.await {
                    Ok((page, next, gap)) => {
                        items.extend(page);
                        bad = bad.or(gap);
                        let next = next.filter(|n| !n.is_empty() && self.source.has_pages(&request));
                        let Some(next) = next else { return Ok((items, bad)) };
                        // No list runs as long as the server likes.
                        let late = start.elapsed() > self.source.deadline() * MAX_LIST_DEADLINES;
                        if late || seen.len() == MAX_PAGES || !seen.insert(next.clone()) {
                            let message =
                                format!("the list does not end: only the first {} objects were read", items.len());
                            return Ok((items, Some(Gap::new(request.label(), GapCause::Truncated, message))));
                        }
                        query = format!("{filter}limit={PAGE}&continue={}", url_encode(&next));
                    }
                    // The list changed too much between two pages: take it again from the start, once.
                    Err(FetchError::Expired(_)) if restarts == 0 => {
                        restarts += 1;
                        continue 'restart;
                    }
                    // Later pages failed: what was read is true, the rest is not known.
                    Err(error) if !items.is_empty() => {
                        let mut gap = error.into_gap(&request.label());
                        gap.message = format!("only the first {} objects were read; {}", items.len(), gap.message);
                        gap.cause = GapCause::Truncated;
                        return Ok((items, Some(gap)));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// A list at cluster scope: `/api/v1/nodes`.
    pub async fn cluster_list<T>(&self, path: &str, absent: IfAbsent) -> Listing<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.cluster_list_as(path, absent, false).await
    }

    /// The metadata of all objects at cluster scope.
    pub async fn cluster_names(&self, path: &str, absent: IfAbsent) -> Listing<ObjectName> {
        self.cluster_list_as(path, absent, true).await
    }

    /// The metadata of the objects in which Helm keeps its releases.
    pub async fn helm_storage(&self, path: &str) -> Listing<ObjectName> {
        match self.pages(path, "labelSelector=owner%3Dhelm&", true).await {
            Ok((items, gap)) => Listing::cluster(items).with_gap(gap),
            Err(error) => Listing::missing(error.into_gap(&format!("GET {path}"))),
        }
    }

    async fn cluster_list_as<T>(&self, path: &str, absent: IfAbsent, metadata_only: bool) -> Listing<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        match self.pages(path, "", metadata_only).await {
            Ok((items, gap)) => Listing::cluster(items).with_gap(gap),
            Err(FetchError::NotFound(_)) if absent == IfAbsent::Empty => Listing::cluster(Vec::new()),
            Err(error) => Listing::missing(error.into_gap(&format!("GET {path}"))),
        }
    }

    /// A list in some namespaces: `namespaced_list("/api/v1", "pods", …)`. One call where the source holds the whole
    /// list anyway.
    pub async fn namespaced_list<T>(
        &self,
        prefix: &str,
        resource: &str,
        namespaces: &BTreeSet<String>,
        absent: IfAbsent,
    ) -> Listing<T>
    where
        T: Object + DeserializeOwned + Send + 'static,
    {
        let whole = format!("{prefix}/{resource}");
        if self.source.has_whole_list(&whole) {
            return match self.pages::<T>(&whole, "", false).await {
                Ok((mut items, gap)) => {
                    items.retain(|o| namespaces.contains(&o.meta().namespace));
                    Listing::namespaces(items, namespaces.clone(), Vec::from_iter(gap))
                }
                Err(error) => Listing::missing(error.into_gap(&format!("GET {whole}"))),
            };
        }
        let reads = namespaces.iter().map(|namespace| {
            let path = format!("{prefix}/namespaces/{namespace}/{resource}");
            async move { (namespace, self.pages::<T>(&path, "", false).await, path) }
        });
        let mut items = Vec::new();
        let mut read = BTreeSet::new();
        let mut gaps = Vec::new();
        for (namespace, result, path) in futures::future::join_all(reads).await {
            match result {
                Ok((part, gap)) => {
                    items.extend(part);
                    gaps.extend(gap.map(|g| g.in_namespace(namespace)));
                    read.insert(namespace.clone());
                }
                Err(FetchError::NotFound(_)) if absent == IfAbsent::Empty => {
                    read.insert(namespace.clone());
                }
                Err(error) => gaps.push(error.into_gap(&format!("GET {path}")).in_namespace(namespace)),
            }
        }
        Listing::namespaces(items, read, gaps)
    }

    /// A list at cluster scope, else in the namespaces that may be read.
    pub async fn wide_list<T>(
        &self,
        prefix: &str,
        resource: &str,
        fallback: &BTreeSet<String>,
        absent: IfAbsent,
    ) -> Listing<T>
    where
        T: Object + DeserializeOwned + Send + 'static,
    {
        let listing = self.cluster_list(&format!("{prefix}/{resource}"), absent).await;
        let refused = listing.items().is_err();
        if !refused {
            return listing;
        }
        let narrow = self.namespaced_list(prefix, resource, fallback, absent).await;
        if narrow.items().is_err() {
            return listing;
        }
        // The gap of the wide list stays: what lies outside the fallback is not known.
        let gap = listing.gaps().first().cloned();
        narrow.with_gap(gap)
    }
}

/// Longest time that one call may take.
pub(crate) fn deadline(source: &dyn Source, request: &Request) -> Duration {
    match request {
        // A tool in the container waits by itself, DNS several times.
        Request::Exec { .. } => source.deadline().max(EXEC_DEADLINE),
        _ => source.deadline(),
    }
}

/// Why a call over its deadline has no answer.
pub(crate) fn no_answer(request: &Request, deadline: Duration) -> FetchError {
    let message = format!("no answer within {} s", deadline.as_secs_f32());
    FetchError::Gap(Gap::new(request.label(), GapCause::Timeout, message).hint("raise --timeout"))
}

/// A value of a query string.
pub(super) fn url_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn bad_answer(request: &Request, bytes: &[u8], error: &serde_json::Error) -> FetchError {
    let start: String =
        String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).chars().filter(|c| !c.is_control()).collect();
    let message = format!("the answer is not the documented JSON ({error}); it begins with {start:?}");
    FetchError::Gap(Gap::new(request.label(), GapCause::BadAnswer, message))
}

/// Parses off the async threads: pages can be megabytes.
async fn parse<T: DeserializeOwned + Send + 'static>(request: &Request, bytes: Vec<u8>) -> Result<T, FetchError> {
    let request = request.clone();
    let parsed = tokio::task::spawn_blocking(move || {
        serde_json::from_slice(&bytes).map_err(|error| error_document(&request, &bytes, &error))
    });
    parsed.await.expect("parsing does not panic")
}

type PageParts<T> = (Vec<T>, Option<String>, Option<Gap>);

async fn parse_page<T: DeserializeOwned + Send + 'static>(
    request: &Request,
    bytes: Vec<u8>,
) -> Result<PageParts<T>, FetchError> {
    let request = request.clone();
    let parsed = tokio::task::spawn_blocking(move || match read_page(&bytes) {
        Ok(Page { metadata, items: Some(items) }) => Ok((items, metadata.next, None)),
        // `"items": null` is how Go prints an empty list; anything else without items is not a list.
        Ok(Page { metadata, items: None }) if has_null_items(&bytes) => Ok((Vec::new(), metadata.next, None)),
        Ok(_) => Err(not_a_list(&request, &bytes)),
        Err(error) => parse_leniently(&request, &bytes, &error),
    });
    parsed.await.expect("parsing does not panic")
}

/// Reads a page; the items of a long one side by side.
fn read_page<T: DeserializeOwned + Send>(bytes: &[u8]) -> serde_json::Result<Page<T>> {
    /// A list of this size takes milliseconds.
    const LONG: usize = 1 << 20;
    if bytes.len() < LONG {
        return serde_json::from_slice(bytes);
    }
    let Page { metadata, items } = serde_json::from_slice::<Page<&RawValue>>(bytes)?;
    let items = items.map(|all| all.par_iter().map(|item| serde_json::from_str(item.get())).collect());
    Ok(Page { metadata, items: items.transpose()? })
}

/// What the API server says on the way to a program (`etcdserver: leader changed`) is not the program's answer.
fn not_the_api_server(request: &Request, bytes: Vec<u8>) -> Result<Vec<u8>, FetchError> {
    /// A `Status` is small.
    const LONGEST: usize = 64 << 10;
    if !matches!(request, Request::App { .. } | Request::Service { .. }) || bytes.len() > LONGEST {
        return Ok(bytes);
    }
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(said) if said["kind"] == "Status" && said["apiVersion"] == "v1" && said["status"] == "Failure" => {
            Err(error_from_document(request, &said))
        }
        _ => Ok(bytes),
    }
}

fn has_null_items(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok_and(|v| v.get("items").is_some_and(Value::is_null))
}

fn not_a_list(request: &Request, bytes: &[u8]) -> FetchError {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value.get("kind").and_then(Value::as_str) == Some("Status") => {
            error_from_document(request, &value)
        }
        _ => FetchError::Gap(Gap::new(request.label(), GapCause::BadAnswer, "the answer has no list of items")),
    }
}

fn error_document(request: &Request, bytes: &[u8], error: &serde_json::Error) -> FetchError {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value.get("kind").and_then(Value::as_str) == Some("Status") => {
            error_from_document(request, &value)
        }
        _ => bad_answer(request, bytes, error),
    }
}

/// Reads a page item by item, with JSON nulls taken as absent; items that still do not fit are a gap, not a loss of all.
fn parse_leniently<T: DeserializeOwned>(
    request: &Request,
    bytes: &[u8],
    error: &serde_json::Error,
) -> Result<PageParts<T>, FetchError> {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return Err(bad_answer(request, bytes, error)) };
    let next = value.pointer("/metadata/continue").and_then(Value::as_str).map(str::to_owned);
    let Some(Value::Array(raw)) = value.get_mut("items").map(Value::take) else {
        return Err(not_a_list(request, bytes));
    };
    let mut items = Vec::new();
    let mut gap = None;
    for mut item in raw {
        strip_nulls(&mut item);
        let name = item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("?").to_owned();
        match serde_json::from_value(item) {
            Ok(item) => items.push(item),
            Err(error) => {
                let message = format!("object {name} could not be read: {error}");
                gap = gap.or(Some(Gap::new(request.label(), GapCause::Truncated, message)));
            }
        }
    }
    Ok((items, next, gap))
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::collect::source::{App, Known};
    use crate::model::Silent;
    use crate::snapshot::kubernetes::Pod;

    /// Pages without end, each with a token of its own or all with the same.
    struct Endless {
        same: AtomicBool,
        asked: AtomicUsize,
        whole: bool,
    }

    #[async_trait::async_trait]
    impl Source for Endless {
        async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
            let at = self.asked.fetch_add(1, Ordering::Relaxed);
            Ok(match request {
                Request::App { .. } => {
                    br#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcdserver: leader changed","code":500}"#.to_vec()
                }
                _ => {
                    let token = if self.same.load(Ordering::Relaxed) { 0 } else { at };
                    format!(r#"{{"metadata":{{"continue":"t{token}"}},"items":[{{"metadata":{{"name":"p{at}"}}}}]}}"#).into_bytes()
                }
            })
        }

        fn has_pages(&self, _: &Request) -> bool {
            !self.whole
        }

        fn deadline(&self) -> Duration {
            Duration::from_secs(60)
        }

        fn known(&self) -> Known {
            Known::default()
        }
    }

    fn client(same: bool, whole: bool) -> Client {
        Client::new(Arc::new(Endless { same: same.into(), asked: AtomicUsize::new(0), whole }), Arc::new(Silent))
    }

    #[tokio::test]
    async fn a_list_that_does_not_end_is_a_gap() {
        for (same, calls) in [(true, 2), (false, MAX_PAGES + 1)] {
            let client = client(same, false);
            let list: Listing<Pod> = client.cluster_list("/api/v1/pods", IfAbsent::Gap).await;
            assert_eq!(client.calls(), calls);
            assert!(!list.is_whole() && list.gaps()[0].cause == GapCause::Truncated, "{:?}", list.gaps());
            assert!(!list.covers("any"));
        }
        // What a file says of further pages leads nowhere.
        let client = client(false, true);
        let list: Listing<Pod> = client.cluster_list("/api/v1/pods", IfAbsent::Gap).await;
        assert!(list.is_whole() && client.calls() == 1);
    }

    #[tokio::test]
    async fn the_api_server_does_not_answer_for_a_program() {
        let request = Request::App { app: App::Grafana, at: None, path: "/api/health".into(), query: String::new() };
        let answer = client(false, false).json::<Value>(&request).await;
        assert!(matches!(&answer, Err(FetchError::Gap(gap)) if gap.message.contains("leader changed")), "{answer:?}");
    }
}
