//! Answers requests from the files of a bundle.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use include_dir::Dir;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::foreign::{self, Foreign};
use super::header::{Header, Scope};
use super::names::HEADER;
use super::tree::Tree;
use super::{BundleError, MAX_FILE};
use crate::collect::files;
use crate::collect::source::{FetchError, Known, Request, Source, error_from_document, http_error};
use crate::model::{Gap, GapCause};

/// The same for what is packed in an archive again.
const MAX_PACKED_TWICE: u64 = 32 << 20;

/// Where the manifests are.
const MANIFESTS: &str = "manifests/";

/// A bundle.
pub struct Bundle {
    tree: Tree,
    header: Header,
}

impl Bundle {
    /// Opens a folder or an archive.
    ///
    /// # Errors
    /// [`BundleError`], naming the path and what to do.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let tree = Tree::open(path)?;
        if !tree.has(HEADER)
            && let Some(Foreign { files, header }) = foreign::read(&tree)
        {
            return Ok(Self { tree: Tree::Mapped(files), header });
        }
        let header = Header::read(&tree, path)?;
        Ok(Self { tree, header })
    }

    /// Opens a bundle that is part of the binary.
    ///
    /// # Errors
    /// [`BundleError`] if its header is broken.
    pub fn embedded(dir: &'static Dir<'static>) -> Result<Self, BundleError> {
        let tree = Tree::Embedded(dir);
        let header = Header::read(&tree, dir.path())?;
        Ok(Self { tree, header })
    }

    /// When it was collected.
    pub fn collected_at(&self) -> Timestamp {
        self.header.collected_at
    }

    /// What was asked for when it was collected, where that is known.
    pub fn scope(&self) -> Option<&Scope> {
        self.header.scope.as_ref()
    }

    /// The files that are not as they were written, and those that are gone; known of bundles that kdoctor captured.
    pub fn altered(&self) -> Vec<String> {
        self.header.altered(&self.tree)
    }

    /// The header without what it says of files.
    pub(super) fn header_alone(&self) -> serde_json::Result<Value> {
        let mut header = serde_json::to_value(&self.header)?;
        header.as_object_mut().map(|fields| fields.remove("entries"));
        Ok(header)
    }

    /// The names of all files but the header.
    pub(super) fn files(&self) -> Vec<String> {
        self.tree.below("").into_iter().filter(|name| name != HEADER).collect()
    }

    /// A file as it is.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn file(&self, name: &str) -> std::io::Result<Vec<u8>> {
        Ok(self.tree.raw(name)?.unwrap_or_default())
    }

    fn answer(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        for path in candidates(request) {
            if let Some(found) = self.document(&path, request)? {
                return Ok(found);
            }
        }
        if let Request::Kubernetes { path, .. } = request
            && self.lacks_group(path)
        {
            return Err(FetchError::NotFound("the server does not know this API".into()));
        }
        Err(FetchError::Gap(
            Gap::new(request.label(), GapCause::NotCollected, "the bundle does not hold it")
                .hint("capture it again, with the permission to read this if that was missing"),
        ))
    }

    /// The recorded discovery (`/apis`) says that the server does not know the API group of `path`.
    fn lacks_group(&self, path: &str) -> bool {
        #[derive(Deserialize)]
        struct Groups {
            groups: Vec<Group>,
        }
        #[derive(Deserialize)]
        struct Group {
            name: String,
        }
        let Some(group) = path.strip_prefix("/apis/").and_then(|rest| rest.split('/').next()) else { return false };
        let Ok(Some(known)) = self.document("kubernetes/apis", &Request::kubernetes("/apis")) else { return false };
        serde_json::from_slice::<Groups>(&known).is_ok_and(|k| k.groups.iter().all(|g| g.name != group))
    }

    /// A document by its name without suffix: the answer, the recorded error, or nothing.
    fn document(&self, name: &str, request: &Request) -> Result<Option<Vec<u8>>, FetchError> {
        let bad = |file: &str, error: &dyn Display| unreadable(request, file, error);
        if name.ends_with(".log")
            && let Some(bytes) = self.tree.raw(name).map_err(|e| bad(name, &e))?
        {
            return Ok(Some(bytes));
        }
        let plain = format!("{name}.json");
        if let Some(bytes) = self.tree.raw(&plain).map_err(|e| bad(&plain, &e))? {
            return Ok(Some(bytes));
        }
        let packed = format!("{name}.json.gz");
        if let Some(bytes) = self.tree.raw(&packed).map_err(|e| bad(&packed, &e))? {
            // What is packed twice escapes the ratio of the archive.
            let limit = if matches!(self.tree, Tree::Archive(_)) { MAX_PACKED_TWICE } else { MAX_FILE };
            return unpack(&bytes, limit).map(Some).map_err(|e| bad(&packed, &e));
        }
        self.refusal(name, request)
    }

    /// The error that stands for a document.
    fn refusal(&self, name: &str, request: &Request) -> Result<Option<Vec<u8>>, FetchError> {
        let refused = format!("{name}.error.json");
        let Some(bytes) = self.tree.raw(&refused).map_err(|e| unreadable(request, &refused, &e))? else {
            return Ok(None);
        };
        let document: Value = serde_json::from_slice(&bytes).map_err(|e| unreadable(request, &refused, &e))?;
        Err(error_from_document(request, &document))
    }
}

fn unreadable(request: &Request, file: &str, error: &dyn Display) -> FetchError {
    FetchError::Gap(Gap::new(request.label(), GapCause::BadAnswer, format!("{file}: {error}")))
}

fn unpack(bytes: &[u8], limit: u64) -> std::io::Result<Vec<u8>> {
    files::all(flate2::read::GzDecoder::new(bytes), limit)
        .map_err(|error| std::io::Error::other(format!("unpacked, it {error}")))
}

/// Names under which a request's answer may lie, best first.
fn candidates(request: &Request) -> Vec<String> {
    let mut all = vec![request.bundle_path()];
    let Request::Kubernetes { path, query, metadata_only } = request else { return all };
    if query.contains("continue=") {
        return all;
    }
    // Whole objects hold their metadata; a whole list holds the selected ones.
    if *metadata_only || query.contains("labelSelector=") {
        all.push(Request::kubernetes(path).bundle_path());
    }
    // A namespaced list is a part of the cluster-wide one.
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if let Some(at) = parts.iter().position(|p| *p == "namespaces")
        && parts.len() == at + 3
    {
        let wide: Vec<&str> = parts[..at].iter().chain(&parts[at + 2..]).copied().collect();
        all.push(format!("kubernetes/{}", wide.join("/")));
    }
    all
}

#[async_trait]
impl Source for Bundle {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        // Files are read on the blocking pool by being cheap here: names are indexed, contents are local.
        let bytes = tokio::task::block_in_place(|| self.answer(request))?;
        Ok(match request {
            Request::App { .. } | Request::Service { .. } => unwrap_body(request, bytes)?,
            _ => bytes,
        })
    }

    fn has_whole_list(&self, path: &str) -> bool {
        let name = format!("kubernetes{path}");
        self.tree.has(&format!("{name}.json")) || self.tree.has(&format!("{name}.json.gz"))
    }

    fn has_pages(&self, request: &Request) -> bool {
        // A list that was captured in part says why its rest is missing.
        let path = request.bundle_path();
        self.tree.has(&format!("{}.rest.error.json", path.strip_suffix(".rest").unwrap_or(&path)))
    }

    fn manifests(&self) -> Vec<(String, std::io::Result<Vec<u8>>)> {
        let read = |name: String| {
            let text = self.tree.raw(&name).map(Option::unwrap_or_default);
            (name.strip_prefix(MANIFESTS).unwrap_or(&name).to_owned(), text)
        };
        tokio::task::block_in_place(|| self.tree.below(MANIFESTS).into_iter().map(read).collect())
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn known(&self) -> Known {
        let target = &self.header.target;
        Known {
            context: target.context.clone(),
            cluster: target.cluster.clone(),
            region: target.region.clone(),
            profile: None,
            account: target.account.clone(),
            server: target.server.clone(),
            endpoint: None,
            is_eks: target.platform.as_deref().filter(|p| !p.is_empty()).map(|p| p == "eks"),
            urls: ["prometheus", "alertmanager", "grafana"]
                .into_iter()
                .filter_map(|app| Some((app, target.urls.get(app)?.clone())))
                .collect(),
            aws_unavailable: target.aws_unavailable.clone(),
        }
    }
}

/// Answers that are not JSON are kept as `{"status": 200, "body": "…"}`.
fn unwrap_body(request: &Request, bytes: Vec<u8>) -> Result<Vec<u8>, FetchError> {
    #[derive(Deserialize)]
    struct Wrapped {
        status: u16,
        body: String,
    }
    match serde_json::from_slice::<Wrapped>(&bytes) {
        Ok(Wrapped { status, body }) if status < 400 => Ok(body.into_bytes()),
        Ok(Wrapped { status, body }) => Err(http_error(request, status, "", &body)),
        Err(_) => Ok(bytes),
    }
}
