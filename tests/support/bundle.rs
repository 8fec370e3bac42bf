//! Reads the files of a bundle folder for the test servers, apart from kdoctor's own reader so that each checks the other.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What a bundle holds of one call.
#[derive(Debug, Clone)]
pub enum Document {
    /// The answer.
    Answer(Arc<Value>),
    /// The call had failed: the content of `.error.json`.
    Refused(Arc<Value>),
}

/// A bundle folder. What was read once is kept: a long list is asked for page by page.
pub struct Files {
    root: PathBuf,
    read: Mutex<HashMap<String, Option<Document>>>,
    /// Nothing is kept: the folder may change.
    fresh: bool,
}

impl Files {
    /// The folder that holds `kubernetes/`, `aws/` and so on; panics if it is not there.
    pub fn open(root: &Path) -> Self {
        assert!(root.is_dir(), "the bundle {} is not a folder", root.display());
        Self { root: root.to_owned(), read: Mutex::default(), fresh: false }
    }

    /// The same of a folder that changes.
    pub fn fresh(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    /// A document by its name without suffix: `kubernetes/api/v1/pods`.
    pub fn document(&self, name: &str) -> Option<Document> {
        let mut read = self.read.lock().expect("no holder of the lock panics");
        if let Some(known) = read.get(name).filter(|_| !self.fresh) {
            return known.clone();
        }
        let parse = |bytes: Vec<u8>, wrap: fn(Arc<Value>) -> Document| match serde_json::from_slice(&bytes) {
            Ok(value) => wrap(Arc::new(value)),
            Err(e) => Document::Refused(Arc::new(json!({"code": 500, "message": format!("{name}.json: {e}")}))),
        };
        let found = self
            .bytes(&format!("{name}.json"))
            .map(|b| parse(b, Document::Answer))
            .or_else(|| self.bytes(&format!("{name}.error.json")).map(|b| parse(b, Document::Refused)));
        read.insert(name.to_owned(), found.clone());
        found
    }

    /// The answer of that name, if the call had not failed.
    pub fn answer(&self, name: &str) -> Option<Arc<Value>> {
        match self.document(name) {
            Some(Document::Answer(value)) => Some(value),
            _ => None,
        }
    }

    /// A file, also if it is compressed as `<name>.gz`.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name)?;
        if let Ok(bytes) = std::fs::read(&path) {
            return Some(bytes);
        }
        let packed = std::fs::read(format!("{}.gz", path.display())).ok()?;
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut out)
            .unwrap_or_else(|e| panic!("{}.gz: {e}", path.display()));
        Some(out)
    }

    /// The names in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Some(entries) = self.path(folder).and_then(|p| std::fs::read_dir(p).ok()) else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The path of a name that stays inside the bundle.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let inside = name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        inside.then(|| self.root.join(name))
    }
}
