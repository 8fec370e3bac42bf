//! The files of a bundle, wherever they are: in a folder, in an archive, in the binary.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use include_dir::Dir;

use super::archive::Archive;
use super::names::{self, HEADER};
use super::{BundleError, MAX_FILE};
use crate::collect::files;

/// Files by their names, `/` between folders.
pub(super) enum Tree {
    /// Below a folder.
    Folder {
        /// The folder.
        root: PathBuf,
        /// What lies below it.
        names: HashSet<String>,
    },
    /// Unpacked from an archive.
    Archive(Archive),
    /// Part of the program.
    Embedded(&'static Dir<'static>),
    /// Another program's, put where a bundle has them.
    Mapped(HashMap<String, Vec<u8>>),
}

impl Tree {
    /// Opens a folder or an archive.
    ///
    /// # Errors
    /// [`BundleError`], naming the path and what to do.
    pub(super) fn open(path: &Path) -> Result<Self, BundleError> {
        let fail = |reason: String| BundleError::NotABundle { path: path.to_owned(), reason };
        let meta = std::fs::metadata(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
        if meta.is_dir() {
            return Self::folder(path).map_err(fail);
        }
        if !meta.is_file() {
            return Err(fail("is no file but a pipe, a socket or a device".into()));
        }
        Archive::open(path).map(Self::Archive).map_err(|e| fail(e.to_string()))
    }

    fn folder(path: &Path) -> Result<Self, String> {
        let mut names = HashSet::new();
        walk(path, String::new(), 0, &mut names).map_err(|e| format!("cannot be listed: {e}"))?;
        // An archive that was unpacked lies in a folder of its own.
        if names.contains(HEADER) {
            return Ok(Self::Folder { root: path.to_owned(), names });
        }
        let nearest = names.iter().filter(|n| n.matches('/').count() == 1);
        let top = names::top(nearest)?;
        let names = names.into_iter().filter_map(|n| Some(n.strip_prefix(&top)?.to_owned())).collect();
        Ok(Self::Folder { root: path.join(&top), names })
    }

    /// Names of the files whose name starts so, sorted.
    pub(super) fn below(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<String> = match self {
            Self::Folder { names, .. } => names.iter().filter(|n| n.starts_with(prefix)).cloned().collect(),
            Self::Archive(archive) => archive.names().filter(|n| n.starts_with(prefix)).cloned().collect(),
            Self::Mapped(files) => files.keys().filter(|n| n.starts_with(prefix)).cloned().collect(),
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

    /// True if there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder { names, .. } => names.contains(name),
            Self::Archive(archive) => archive.has(name),
            Self::Embedded(dir) => dir.get_file(dir.path().join(name)).is_some(),
            Self::Mapped(files) => files.contains_key(name),
        }
    }

    /// A file as it is, but for the mark of byte order that editors put before a text: no reader here takes it.
    ///
    /// # Errors
    /// What the system says; that it is too large.
    pub(super) fn raw(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        if !self.has(name) {
            return Ok(None);
        }
        let bytes = match self {
            Self::Folder { root, .. } => files::read(&root.join(name), MAX_FILE).map(Some)?,
            Self::Archive(archive) => archive.read(name)?,
            Self::Embedded(dir) => dir.get_file(dir.path().join(name)).map(|f| f.contents().to_vec()),
            Self::Mapped(files) => files.get(name).cloned(),
        };
        Ok(bytes.map(|bytes| match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(text) => text.to_vec(),
            None => bytes,
        }))
    }
}

/// Lists the files below a folder as `/`-separated names. Links are not followed: a bundle may come from a stranger.
fn walk(dir: &Path, prefix: String, depth: usize, names: &mut HashSet<String>) -> io::Result<()> {
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

fn embedded(dir: &'static Dir<'static>, all: &mut Vec<&'static Path>) {
    all.extend(dir.files().map(include_dir::File::path));
    dir.dirs().for_each(|inner| embedded(inner, all));
}
