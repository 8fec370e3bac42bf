//! Writes a bundle: a folder or an archive that has its name only when it is whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tempfile::{TempDir, TempPath};

use super::archive::Packing;
use super::header::{Header, Written};
use super::names::HEADER;

/// Level of zstd: lists shrink to a twentieth, faster than a network brings them.
const LEVEL: i32 = 9;
/// How a file that is not whole is called.
const PARTIAL: &str = ".partial";

/// A bundle that is being written.
pub(super) struct Writer {
    sink: Sink,
    target: PathBuf,
    at: Timestamp,
    entries: BTreeMap<String, Written>,
    total: u64,
    limit: u64,
}

enum Sink {
    Folder(TempDir),
    Archive { tar: tar::Builder<Packer>, path: TempPath },
}

enum Packer {
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
    Gzip(GzEncoder<BufWriter<File>>),
    None(BufWriter<File>),
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::None(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::None(out) => out.flush(),
        }
    }
}

impl Packer {
    fn new(packing: Packing, file: File) -> io::Result<Self> {
        let out = BufWriter::new(file);
        Ok(match packing {
            Packing::Zstd => Self::Zstd(zstd::Encoder::new(out, LEVEL)?),
            Packing::Gzip => Self::Gzip(GzEncoder::new(out, Compression::default())),
            Packing::None => Self::None(out),
        })
    }

    fn finish(self) -> io::Result<File> {
        let out = match self {
            Self::Zstd(out) => out.finish()?,
            Self::Gzip(out) => out.finish()?,
            Self::None(out) => out,
        };
        out.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Writer {
    /// Begins a bundle beside the place where it will be: a folder, or by its suffix an archive. `limit` is for the bytes of
    /// all files before they are packed.
    ///
    /// # Errors
    /// There is something already, or nothing can be written there.
    pub(super) fn create(target: &Path, at: Timestamp, limit: u64) -> io::Result<Self> {
        let (beside, name) = place(target)?;
        let mut partial = tempfile::Builder::new();
        let prefix = format!(".{name}.");
        partial.prefix(&prefix).suffix(PARTIAL);
        let sink = if let Some(packing) = Packing::named(&name) {
            if target.exists() && !target.is_file() {
                return Err(io::Error::other("it is there already, and is no file"));
            }
            // For its owner alone, and so is what it becomes.
            let (file, path) = partial.tempfile_in(beside)?.into_parts();
            Sink::Archive { tar: tar::Builder::new(Packer::new(packing, file)?), path }
        } else {
            let is_free = !target.exists() || (target.is_dir() && fs::read_dir(target)?.next().is_none());
            if !is_free {
                return Err(io::Error::other(
                    "it is there already; give a new folder, or a name that ends in .tar.zst",
                ));
            }
            private_folder(&mut partial);
            Sink::Folder(partial.tempdir_in(beside)?)
        };
        Ok(Self { sink, target: target.to_owned(), at, entries: BTreeMap::new(), total: 0, limit })
    }

    /// Where it lies until it is whole.
    pub(super) fn partial(&self) -> &Path {
        match &self.sink {
            Sink::Folder(dir) => dir.path(),
            Sink::Archive { path, .. } => path,
        }
    }

    /// True if the bundle holds the file already.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// True if so many bytes more are still within the limit.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.total + bytes as u64 <= self.limit
    }

    /// Writes a file.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.put(name, bytes)?;
        self.total += bytes.len() as u64;
        self.entries.insert(name.to_owned(), Written::of(bytes));
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Folder(dir) => {
                let path = dir.path().join(name);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                private(&path)?.write_all(bytes)
            }
            Sink::Archive { tar, .. } => {
                let mut header = tar::Header::new_gnu();
                header.set_mode(0o600);
                header.set_mtime(u64::try_from(self.at.as_second()).unwrap_or_default());
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, name, bytes)
            }
        }
    }

    /// Writes the header, which makes it whole, and gives the bundle its name. Returns its files and their bytes.
    ///
    /// # Errors
    /// What the system says; then nothing has the name.
    pub(super) fn finish(mut self, mut header: Header) -> io::Result<Size> {
        header.entries = std::mem::take(&mut self.entries);
        let size = Size { files: header.entries.len(), bytes: self.total, packed: 0 };
        let text = serde_json::to_vec_pretty(&header)?;
        self.put(HEADER, &text)?;
        match self.sink {
            Sink::Folder(dir) => {
                fs::rename(dir.path(), &self.target)?;
                // It has gone from its place: there is nothing to remove.
                let _ = dir.keep();
                Ok(size)
            }
            Sink::Archive { tar, path } => {
                let file = tar.into_inner()?.finish()?;
                file.sync_all()?;
                let packed = file.metadata()?.len();
                path.persist(&self.target).map_err(|e| e.error)?;
                Ok(Size { packed, ..size })
            }
        }
    }
}

/// A folder beside the place of a bundle, for what is not to last.
///
/// # Errors
/// Nothing can be written there.
pub(super) fn folder_beside(target: &Path) -> io::Result<TempDir> {
    let (beside, name) = place(target)?;
    let mut partial = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    partial.prefix(&prefix).suffix(PARTIAL);
    private_folder(&mut partial);
    partial.tempdir_in(beside)
}

/// The folder in which a bundle lies, and its name there.
fn place(target: &Path) -> io::Result<(PathBuf, String)> {
    let name = target.file_name().ok_or_else(|| io::Error::other("it has no name"))?.to_string_lossy().into_owned();
    let beside = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok((beside, name))
}

/// How large a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the archive; none of a folder.
    pub packed: u64,
}

#[cfg(unix)]
fn private_folder(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(0o700));
}

#[cfg(not(unix))]
fn private_folder(_: &mut tempfile::Builder<'_, '_>) {}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
