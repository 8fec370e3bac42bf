//! Records what a source answers, as a bundle: whoever reads that is told the same.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::MAX_FILE;
use super::header::{FORMAT, Header, HeaderTarget, Scope, Tool};
use super::secrets::Secrets;
use super::write::{Size, Writer};
use crate::collect::client::{deadline, no_answer};
use crate::collect::layer::Layer;
use crate::collect::source::{FetchError, Request, Source, error_document, file_path};
use crate::model::{GapCause, Target};

/// How much longer than the source's own deadline a call may take, so that its end is seen here.
const SLACK: Duration = Duration::from_millis(500);

/// A source whose answers are kept.
pub struct Recording {
    inner: Arc<dyn Source>,
    secrets: Secrets,
    state: Mutex<State>,
    partial: PathBuf,
}

#[derive(Default)]
struct State {
    /// Taken where the bundle is finished.
    writer: Option<Writer>,
    /// Lists of which pages are still to come, by their place.
    lists: HashMap<String, Pages>,
    left_out: Vec<String>,
    /// Paths that are too long for a file name, by what stands for them.
    whole: HashMap<String, String>,
    /// Why nothing more is written.
    broken: Option<io::Error>,
}

/// The pages of a list that came so far.
struct Pages {
    document: Value,
    /// Why the rest did not come.
    rest: Option<Value>,
}

/// What was kept.
#[derive(Debug)]
pub struct Captured {
    /// How much.
    pub size: Size,
    /// What was left out for its size.
    pub left_out: Vec<String>,
    /// Paths that are too long for a file name, by what stands for them.
    pub(super) whole: HashMap<String, String>,
}

impl Recording {
    /// Keeps what `inner` answers, at `target`: a folder, or by its suffix an archive.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn new(inner: Arc<dyn Source>, target: &Path, at: Timestamp, limit: u64) -> io::Result<Self> {
        let writer = Writer::create(target, at, limit)?;
        let partial = writer.partial().to_owned();
        let state = State { writer: Some(writer), ..State::default() };
        Ok(Self { inner, secrets: Secrets::default(), state: Mutex::new(state), partial })
    }

    /// Writes nothing more: what is there is given up.
    pub fn abandon(&self) {
        self.with(|state| state.writer = None);
    }

    /// Where the bundle lies until it is whole.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Writes what is still open, the manifests and the header, and gives the bundle its name.
    ///
    /// # Errors
    /// Something could not be written; then nothing has the name.
    pub fn finish(&self, at: Timestamp, target: &Target, scope: Scope) -> io::Result<Captured> {
        let mut state = self.state.lock().map_err(|_| io::Error::other("the capture is lost"))?;
        let mut lists: Vec<(String, Pages)> = state.lists.drain().collect();
        lists.sort_by(|a, b| a.0.cmp(&b.0));
        for (path, pages) in lists {
            let rest = pages.rest.unwrap_or_else(|| {
                let message = "the list did not end while it was captured";
                json!({"cause": GapCause::Truncated.as_str(), "message": message})
            });
            state.keep(&format!("{path}.json"), pages.document.to_string().as_bytes());
            state.keep(&format!("{path}.rest.error.json"), rest.to_string().as_bytes());
        }
        for (name, text) in self.inner.manifests() {
            let Ok(bytes) = text else { continue };
            let text = self.secrets.manifest(&name, &String::from_utf8_lossy(&bytes));
            state.keep(&format!("manifests/{name}"), text.as_bytes());
        }
        let writer = match (state.broken.take(), state.writer.take()) {
            (None, Some(writer)) => writer,
            (Some(error), _) => return Err(error),
            (None, None) => return Err(io::Error::other("the capture is finished already")),
        };
        let header = Header {
            format: FORMAT,
            collected_at: at,
            target: self.target(target),
            tool: Some(Tool { name: "kdoctor".into(), version: env!("CARGO_PKG_VERSION").into() }),
            scope: Some(scope),
            entries: BTreeMap::new(),
        };
        let size = writer.finish(header)?;
        let (left_out, whole) = (std::mem::take(&mut state.left_out), std::mem::take(&mut state.whole));
        Ok(Captured { size, left_out, whole })
    }

    fn target(&self, target: &Target) -> HeaderTarget {
        let known = self.inner.known();
        let own = |text: Option<String>| text.map(|text| self.secrets.text(&text));
        // What the source knew before anything was asked: what was found out is found out again.
        HeaderTarget {
            platform: known.is_eks.map(|is_eks| if is_eks { "eks".into() } else { "kubernetes".into() }),
            context: own(known.context),
            cluster: own(known.cluster),
            region: known.region,
            account: known.account,
            server: own(known.server),
            kubernetes: target.kubernetes_version.clone(),
            urls: known.urls.into_iter().map(|(app, url)| (app.to_owned(), self.secrets.text(&url))).collect(),
            aws_unavailable: own(known.aws_unavailable),
        }
    }

    /// Keeps an answer or an error.
    fn keep(&self, request: &Request, answer: &Result<Vec<u8>, FetchError>) {
        let whole = self.secrets.path(request);
        let path = file_path(&whole);
        if path != whole {
            self.with(|state| drop(state.whole.insert(path.clone(), whole)));
        }
        match answer {
            Ok(bytes) if is_list(request) => self.page(request, bytes),
            Ok(bytes) => {
                let suffix = if matches!(request, Request::Log { .. }) { "" } else { ".json" };
                let bytes = self.secrets.answer(request, bytes);
                self.with(|state| state.keep(&format!("{path}{suffix}"), &bytes));
            }
            // The client asks for the list again.
            Err(FetchError::Expired(_)) => {}
            // What a bundle does not hold its copy does not hold either.
            Err(FetchError::Gap(gap)) if gap.is_not_collected() => {}
            Err(error) => {
                let mut document = error_document(request, error);
                self.secrets.value("", &mut document);
                self.with(|state| state.refused(&path, document));
            }
        }
    }

    /// Keeps a page until the list is whole.
    fn page(&self, request: &Request, bytes: &[u8]) {
        let path = request.bundle_path();
        let bytes = self.secrets.answer(request, bytes);
        let Ok(mut page) = serde_json::from_slice::<Value>(&bytes) else {
            // What is no list is read as one, and refused, again.
            return self.with(|state| state.keep(&format!("{path}.json"), &bytes));
        };
        let next = page.pointer("/metadata/continue").and_then(Value::as_str).is_some_and(|next| !next.is_empty());
        let goes_on = next && self.inner.has_pages(request);
        self.with(|state| {
            if let Some(first) = path.strip_suffix(".rest") {
                let Some(mut pages) = state.lists.remove(first) else { return };
                if let (Some(all), Some(more)) = (items(&mut pages.document), items(&mut page)) {
                    all.append(more);
                }
                if goes_on {
                    state.lists.insert(first.to_owned(), pages);
                } else {
                    if let Some(meta) = pages.document.get_mut("metadata").and_then(Value::as_object_mut) {
                        meta.remove("continue");
                        meta.remove("remainingItemCount");
                    }
                    state.keep(&format!("{first}.json"), pages.document.to_string().as_bytes());
                }
            } else if goes_on {
                state.lists.insert(path, Pages { document: page, rest: None });
            } else {
                state.keep(&format!("{path}.json"), &bytes);
            }
        });
    }

    fn with(&self, work: impl FnOnce(&mut State)) {
        // A poisoned lock means a bug that has been told already; `finish` fails then.
        if let Ok(mut state) = self.state.lock() {
            work(&mut state);
        }
    }
}

impl State {
    fn keep(&mut self, name: &str, bytes: &[u8]) {
        let known = self.left_out.iter().any(|left| left == name);
        let is_new = |writer: &&mut Writer| self.broken.is_none() && !known && !writer.has(name);
        let Some(writer) = self.writer.as_mut().filter(is_new) else {
            // The first answer counts: what is asked twice is one file.
            return;
        };
        // Why something did not come is small, and tells it from what was not asked.
        let is_refusal = name.ends_with(".error.json");
        if is_refusal || (bytes.len() as u64 <= MAX_FILE && writer.has_room(bytes.len())) {
            self.broken = writer.add(name, bytes).err();
            return;
        }
        // In its place stands that it is not there, and why.
        self.left_out.push(name.to_owned());
        let place = name.strip_suffix(".json").unwrap_or(name);
        let message = "left out of the capture, which would have become too large (--max-size)";
        let document = json!({"cause": GapCause::Truncated.as_str(), "message": message}).to_string();
        let refused = format!("{place}.error.json");
        if !writer.has(&refused) {
            self.broken = writer.add(&refused, document.as_bytes()).err();
        }
    }

    /// Keeps why something did not come; of a list that came in part, until the end.
    fn refused(&mut self, path: &str, document: Value) {
        match path.strip_suffix(".rest").and_then(|first| self.lists.get_mut(first)) {
            Some(pages) => pages.rest = Some(document),
            None => self.keep(&format!("{path}.error.json"), document.to_string().as_bytes()),
        }
    }
}

fn items(document: &mut Value) -> Option<&mut Vec<Value>> {
    document.get_mut("items").and_then(Value::as_array_mut)
}

/// A request of one page of a list.
fn is_list(request: &Request) -> bool {
    matches!(request, Request::Kubernetes { query, .. } if query.split('&').any(|pair| pair.starts_with("limit=")))
}

#[async_trait]
impl Layer for Recording {
    fn below(&self) -> &dyn Source {
        self.inner.as_ref()
    }

    async fn answer(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        // Here, for what the client gives up is not seen by its source.
        let limit = deadline(self.inner.as_ref(), request);
        let answer = tokio::time::timeout(limit, self.inner.fetch(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(no_answer(request, limit)));
        tokio::task::block_in_place(|| self.keep(request, &answer));
        answer
    }

    fn slack(&self) -> Duration {
        SLACK
    }
}
