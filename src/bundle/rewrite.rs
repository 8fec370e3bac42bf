//! Writes a bundle again without what is somebody's: names are known only when everything was read.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use tempfile::TempDir;

use super::anonymous::{Anonymous, Reading, Replaced};
use super::header::Header;
use super::names::HEADER;
use super::read::Bundle;
use super::record::Captured;
use super::write::{Size, Writer, folder_beside};
use crate::collect::source::file_path;

/// How the name of a file ends behind its path.
const ENDS: &[&str] = &[".error.json", ".json", ""];

/// A bundle that is written again.
pub struct Rewriting {
    writer: Mutex<Option<Writer>>,
    /// Where the writer's own lies until it is whole.
    partial: PathBuf,
    /// Goes with this, whatever happens.
    folder: TempDir,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// How much.
    pub size: Size,
    /// What was replaced in it.
    pub replaced: Replaced,
}

impl Rewriting {
    /// At `target`: a folder, or by its suffix an archive.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn new(target: &Path, at: Timestamp) -> io::Result<Self> {
        // What is too much was left out of what is written again.
        let writer = Writer::create(target, at, u64::MAX)?;
        let partial = writer.partial().to_owned();
        Ok(Self { writer: Mutex::new(Some(writer)), partial, folder: folder_beside(target)? })
    }

    /// Where the capture with all names has to lie.
    pub fn first(&self) -> PathBuf {
        self.folder.path().join("first")
    }

    /// Writes nothing more: what is there is given up, and removed.
    pub fn abandon(&self) {
        if let Ok(mut writer) = self.writer.lock() {
            *writer = None;
        }
        // The writer is gone from here while it finishes. Nothing else can be done about what cannot be removed.
        let _ = std::fs::remove_file(&self.partial).or_else(|_| std::fs::remove_dir_all(&self.partial));
        let _ = std::fs::remove_dir_all(self.folder.path());
    }

    /// Writes what was captured first.
    ///
    /// # Errors
    /// Something could not be read or written; then nothing has the name.
    pub fn write(&self, captured: &Captured) -> io::Result<Rewritten> {
        let bundle = Bundle::open(&self.first()).map_err(io::Error::other)?;
        let mut header = bundle.header_alone()?;
        let mut reading = Reading::default();
        reading.file(HEADER, header.to_string().as_bytes());
        for name in bundle.files() {
            reading.file(&name, &bundle.file(&name)?);
        }
        let mut anonymous = reading.done();
        for name in bundle.files() {
            let bytes = anonymous.file(&name, &bundle.file(&name)?);
            let place = place(&mut anonymous, &name, &captured.whole);
            self.with(|writer| if writer.has(&place) { Ok(()) } else { writer.add(&place, &bytes) })?;
        }
        anonymous.value(&mut header);
        let header: Header = serde_json::from_value(header)?;
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take()).ok_or_else(given_up)?;
        Ok(Rewritten { size: writer.finish(header)?, replaced: anonymous.replaced() })
    }

    fn with(&self, work: impl FnOnce(&mut Writer) -> io::Result<()>) -> io::Result<()> {
        let mut writer = self.writer.lock().map_err(|_| given_up())?;
        work(writer.as_mut().ok_or_else(given_up)?)
    }
}

fn given_up() -> io::Error {
    io::Error::other("it was given up")
}

/// Where a file is looked for by who reads the new names.
fn place(anonymous: &mut Anonymous, name: &str, whole: &HashMap<String, String>) -> String {
    let known = ENDS.iter().find_map(|end| Some((whole.get(name.strip_suffix(end)?)?.as_str(), *end)));
    let plain = || ENDS.iter().find_map(|end| Some((name.strip_suffix(end)?, *end))).unwrap_or((name, ""));
    let (path, end) = known.unwrap_or_else(plain);
    format!("{}{end}", file_path(&anonymous.text(path)))
}
