//! Reads a bundle folder, or one that is embedded in the binary, as a source.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use include_dir::Dir;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::collect::files;
use crate::collect::source::{App, FetchError, Known, Request, Source, error_from_document};
use crate::model::{Gap, GapCause};

/// The bundle format that this version reads.
const FORMAT: u64 = 1;
/// What an expression keeps in a file name: RFC 3986's unreserved characters.
const FILE_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Where the manifests are.
const MANIFESTS: &str = "manifests/";
/// Files beyond this are refused, packed or not: a bundle's lists are megabytes, not gigabytes.
const MAX_FILE: u64 = 256 << 20;

/// Why a bundle cannot be read at all.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Nothing there, or no folder.
    #[error("{path}: {reason}")]
    NotABundle {
        /// The path given.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// `kdoctor.json` cannot be used.
    #[error("{path}/kdoctor.json: {reason}")]
    Header {
        /// The bundle.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
struct Header {
    format: u64,
    collected_at: Timestamp,
    #[serde(default)]
    target: HeaderTarget,
}

#[derive(Debug, Default, Deserialize)]
struct HeaderTarget {
    platform: Option<String>,
    context: Option<String>,
    cluster: Option<String>,
    region: Option<String>,
    account: Option<String>,
    /// Host of the API server that the kubeconfig named.
    server: Option<String>,
}

enum Files {
    Folder { root: PathBuf, names: HashSet<String> },
    Embedded(&'static Dir<'static>),
}

/// A bundle.
pub struct Bundle {
    files: Files,
    header: Header,
}

impl Bundle {
    /// Opens a folder.
    ///
    /// # Errors
    /// [`BundleError`], naming the path and what to do.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let fail = |reason: String| BundleError::NotABundle { path: path.to_owned(), reason };
        let meta = std::fs::metadata(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
        if !meta.is_dir() {
            return Err(fail("is not a folder; unpack the bundle and give the folder that holds kdoctor.json".into()));
        }
        let mut names = HashSet::new();
        walk(path, String::new(), 0, &mut names).map_err(|e| fail(format!("cannot be listed: {e}")))?;
        let files = Files::Folder { root: path.to_owned(), names };
        let header = read_header(&files, path)?;
        Ok(Self { files, header })
    }

    /// Opens a bundle that is part of the binary.
    ///
    /// # Errors
    /// [`BundleError`] if its header is broken.
    pub fn embedded(dir: &'static Dir<'static>) -> Result<Self, BundleError> {
        let files = Files::Embedded(dir);
        let header = read_header(&files, dir.path())?;
        Ok(Self { files, header })
    }

    /// When it was collected.
    pub fn collected_at(&self) -> Timestamp {
        self.header.collected_at
    }

    fn answer(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        for path in candidates(request) {
            if let Some(found) = self.files.read(&path, request)? {
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
                .hint("capture it again with the permission to read this"),
        ))
    }
}

impl Bundle {
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
        let Ok(Some(known)) = self.files.read("kubernetes/apis", &Request::kubernetes("/apis")) else { return false };
        serde_json::from_slice::<Groups>(&known).is_ok_and(|k| k.groups.iter().all(|g| g.name != group))
    }
}

fn read_header(files: &Files, path: &Path) -> Result<Header, BundleError> {
    let fail = |reason: String| BundleError::Header { path: path.to_owned(), reason };
    let bytes = files
        .raw("kdoctor.json")
        .map_err(|e| fail(format!("cannot be read: {e}")))?
        .ok_or_else(|| fail("missing: this is not a bundle (or not its top folder)".into()))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| fail(format!("line {} column {}: not valid JSON: {e}", e.line(), e.column())))?;
    // The format comes first: a newer one may have other fields.
    match value.get("format").and_then(Value::as_u64) {
        Some(FORMAT) => {}
        Some(other) => {
            return Err(fail(format!("format {other} is not supported (this kdoctor reads {FORMAT}); update kdoctor")));
        }
        None => return Err(fail("the field `format` is missing or not a number".into())),
    }
    let header: Header = serde_json::from_value(value).map_err(|e| fail(e.to_string()))?;
    debug_assert_eq!(header.format, FORMAT);
    Ok(header)
}

/// Lists the files below a folder as `/`-separated names. Links are not followed: a bundle may come from a stranger.
fn walk(dir: &Path, prefix: String, depth: usize, names: &mut HashSet<String>) -> std::io::Result<()> {
    // The deepest path of the layout has 12 parts.
    if depth > 16 {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type()?;
        let full = format!("{prefix}{name}");
        if kind.is_dir() {
            walk(&entry.path(), format!("{full}/"), depth + 1, names)?;
        } else if kind.is_file() {
            names.insert(full);
        }
    }
    Ok(())
}

impl Files {
    /// Names of the files whose name starts so, sorted.
    fn below(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<String> = match self {
            Self::Folder { names, .. } => names.iter().filter(|n| n.starts_with(prefix)).cloned().collect(),
            Self::Embedded(dir) => {
                let mut all = Vec::new();
                embedded(dir, &mut all);
                let inside = all.iter().filter_map(|p| p.strip_prefix(dir.path()).ok()?.to_str());
                inside.filter(|n| n.starts_with(prefix)).map(str::to_owned).collect()
            }
        };
        found.sort();
        found
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder { names, .. } => names.contains(name),
            Self::Embedded(dir) => dir.get_file(dir.path().join(name)).is_some(),
        }
    }

    fn raw(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        if !self.has(name) {
            return Ok(None);
        }
        match self {
            Self::Folder { root, .. } => files::read(&root.join(name), MAX_FILE).map(Some),
            Self::Embedded(dir) => Ok(dir.get_file(dir.path().join(name)).map(|f| f.contents().to_vec())),
        }
    }

    /// A document by its name without suffix: the answer, the recorded error, or nothing.
    fn read(&self, name: &str, request: &Request) -> Result<Option<Vec<u8>>, FetchError> {
        let bad = |file: &str, error: &dyn std::fmt::Display| {
            FetchError::Gap(Gap::new(request.label(), GapCause::BadAnswer, format!("{file}: {error}")))
        };
        if name.ends_with(".log")
            && let Some(bytes) = self.raw(name).map_err(|e| bad(name, &e))?
        {
            return Ok(Some(bytes));
        }
        let plain = format!("{name}.json");
        if let Some(bytes) = self.raw(&plain).map_err(|e| bad(&plain, &e))? {
            return Ok(Some(bytes));
        }
        let packed = format!("{name}.json.gz");
        if let Some(bytes) = self.raw(&packed).map_err(|e| bad(&packed, &e))? {
            return unpack(&bytes).map(Some).map_err(|e| bad(&packed, &e));
        }
        let refused = format!("{name}.error.json");
        let Some(bytes) = self.raw(&refused).map_err(|e| bad(&refused, &e))? else { return Ok(None) };
        let document: Value = serde_json::from_slice(&bytes).map_err(|e| bad(&refused, &e))?;
        Err(error_from_document(request, &document))
    }
}

fn embedded(dir: &'static Dir<'static>, all: &mut Vec<&'static Path>) {
    all.extend(dir.files().map(include_dir::File::path));
    dir.dirs().for_each(|inner| embedded(inner, all));
}

fn unpack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    files::all(flate2::read::GzDecoder::new(bytes), MAX_FILE)
        .map_err(|error| std::io::Error::other(format!("unpacked, it {error}")))
}

/// Names under which a request's answer may lie, best first.
fn candidates(request: &Request) -> Vec<String> {
    let path = request.bundle_path();
    match request {
        // Instant queries: one file per expression.
        Request::App { app: App::Prometheus, path: api, query, .. } if api == "/api/v1/query" => {
            let expression = query.strip_prefix("query=").unwrap_or(query);
            let expression = percent_decode_str(expression).decode_utf8_lossy();
            vec![format!("{path}/{}", utf8_percent_encode(&expression, FILE_NAME))]
        }
        // A namespaced list, or its part of the cluster-wide one.
        Request::Kubernetes { path: api, .. } => {
            let mut all = vec![path];
            let parts: Vec<&str> = api.trim_matches('/').split('/').collect();
            if let Some(at) = parts.iter().position(|p| *p == "namespaces")
                && parts.len() == at + 3
            {
                let wide: Vec<&str> = parts[..at].iter().chain(&parts[at + 2..]).copied().collect();
                all.push(format!("kubernetes/{}", wide.join("/")));
            }
            all
        }
        _ => vec![path],
    }
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
        self.files.has(&format!("{name}.json")) || self.files.has(&format!("{name}.json.gz"))
    }

    fn has_pages(&self) -> bool {
        false
    }

    fn manifests(&self) -> Vec<(String, std::io::Result<Vec<u8>>)> {
        let read = |name: String| {
            let text = self.files.raw(&name).map(Option::unwrap_or_default);
            (name.strip_prefix(MANIFESTS).unwrap_or(&name).to_owned(), text)
        };
        tokio::task::block_in_place(|| self.files.below(MANIFESTS).into_iter().map(read).collect())
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
            is_eks: target.platform.as_deref().filter(|p| !p.is_empty()).map(|p| p == "eks"),
            ..Known::default()
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
        Ok(Wrapped { status, body }) => Err(crate::collect::source::http_error(request, status, "", &body)),
        Err(_) => Ok(bytes),
    }
}
