//! Reads a bundle from a .tar, .tar.gz or .tar.zst of a stranger. Nothing is ever written under a name that the archive
//! chose, and everything has a bound.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Mutex;

use tar::{Entry, EntryType};
use thiserror::Error;

use super::MAX_FILE;
use super::names;

/// Bytes of all entries together.
const MAX_TOTAL: u64 = 4 << 30;
/// Entries, folders included: a capture of a large cluster has some thousand.
const MAX_ENTRIES: usize = 100_000;
/// Bytes of a name, wherever the archive keeps it.
const MAX_NAME: u64 = 4 << 10;
/// Unpacked bytes of one packed byte; JSON of many equal objects comes to a hundred.
const MAX_RATIO: u64 = 500;
/// Unpacked bytes that no ratio is asked of.
const FREE: u64 = 32 << 20;
/// Logarithm of the memory that zstd may take to unpack.
const WINDOW_LOG: u32 = 27;

/// Why an archive is refused.
#[derive(Debug, Error)]
pub(super) enum Refused {
    /// Something else.
    #[error("is neither a folder nor a .tar, .tar.gz or .tar.zst archive")]
    NotAnArchive,
    /// It cannot be read, or ends too early.
    #[error("cannot be unpacked: {0}")]
    Broken(String),
    /// One entry is not what a bundle holds.
    #[error("entry {name}: {reason}")]
    Entry {
        /// As the archive has it.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no end.
    #[error("has more than {MAX_ENTRIES} entries")]
    Count,
    /// The system says no.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// How an archive is packed.
pub(super) enum Packing {
    Gzip,
    Zstd,
    None,
}

impl Packing {
    /// By its name, for one that is to be written.
    pub(super) fn named(name: &str) -> Option<Self> {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        if ends(&[".tar.zst", ".tzst"]) {
            Some(Self::Zstd)
        } else if ends(&[".tar.gz", ".tgz"]) {
            Some(Self::Gzip)
        } else {
            ends(&[".tar"]).then_some(Self::None)
        }
    }

    /// By the first bytes of one that is read: names lie.
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ if start.get(257..262) == Some(b"ustar") => Some(Self::None),
            _ => None,
        }
    }
}

/// True if a file begins as an archive does.
pub(super) fn is_archive(path: &Path) -> bool {
    let is_file = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    let start = || {
        let mut start = Vec::new();
        File::open(path)?.take(512).read_to_end(&mut start)?;
        io::Result::Ok(start)
    };
    is_file && start().is_ok_and(|start| Packing::of(&start).is_some())
}

/// The entries of an archive, in a file that has no name and goes with the program.
pub(super) struct Archive {
    spool: Mutex<File>,
    places: HashMap<String, Range<u64>>,
}

impl Archive {
    /// Unpacks a file.
    ///
    /// # Errors
    /// [`Refused`], naming the entry.
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let packed = Rc::new(Cell::new(0));
        let mut file = BufReader::new(Counted { inner: File::open(path)?, count: Rc::clone(&packed) });
        let plain: Box<dyn Read> = match Packing::of(file.fill_buf()?) {
            Some(Packing::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Some(Packing::Zstd) => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Box::new(decoder)
            }
            Some(Packing::None) => Box::new(file),
            None => return Err(Refused::NotAnArchive),
        };
        unpack(Bounded { inner: plain, packed, unpacked: 0 })
    }

    /// The names of its files.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.places.keys()
    }

    /// True if it holds this file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// A file.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.places.get(name) else { return Ok(None) };
        let mut spool = self.spool.lock().map_err(|_| io::Error::other("the unpacked archive is lost"))?;
        spool.seek(SeekFrom::Start(place.start))?;
        let mut bytes = Vec::new();
        Read::take(&mut *spool, place.end - place.start).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Counts what is read of the packed file.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Ends where more comes out than is good, or than can honestly have gone in.
struct Bounded {
    inner: Box<dyn Read>,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        if self.unpacked > MAX_TOTAL {
            return Err(io::Error::other(format!("it unpacks to more than {} MiB", MAX_TOTAL >> 20)));
        }
        if self.unpacked > FREE && self.unpacked / MAX_RATIO > self.packed.get() {
            return Err(io::Error::other(format!("it unpacks to more than {MAX_RATIO} times its size")));
        }
        Ok(read)
    }
}

/// What the archive says of the entry that comes next.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    fault: Option<&'static str>,
}

fn unpack(plain: Bounded) -> Result<Archive, Refused> {
    let broken = |error: io::Error| Refused::Broken(error.to_string());
    let mut spool = tempfile::tempfile()?;
    let mut places = HashMap::new();
    let mut at = 0;
    let mut ahead = Ahead::default();
    // A bundle has none. Support bundles of other programs do: they are left out.
    let mut link: Option<Refused> = None;
    let mut archive = tar::Archive::new(plain);
    // Raw: long names are read here, with a bound that the library does not have.
    for (number, entry) in archive.entries().map_err(broken)?.raw(true).enumerate() {
        if number == MAX_ENTRIES {
            return Err(Refused::Count);
        }
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => ahead.name = Some(long_name(&mut entry)?),
            EntryType::XHeader => pax(&long_name(&mut entry)?, &mut ahead),
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            _ => {
                let told = std::mem::take(&mut ahead);
                let raw = told.name.unwrap_or_else(|| entry.path_bytes().into_owned());
                let shown = String::from_utf8_lossy(&raw).chars().take(200).collect::<String>();
                let refuse = |reason: String| Refused::Entry { name: format!("{shown:?}"), reason };
                let name = clean(&raw).map_err(|reason| refuse(reason.into()))?;
                if let Some(reason) = told.fault.or(unfit(kind)) {
                    let refused = refuse(reason.into());
                    if !matches!(kind, EntryType::Link | EntryType::Symlink) {
                        return Err(refused);
                    }
                    link.get_or_insert(refused);
                    continue;
                }
                if kind == EntryType::Directory {
                    continue;
                }
                if name.is_empty() {
                    return Err(refuse("it has no name".into()));
                }
                let size = store(&mut entry, &mut spool).map_err(|e| refuse(e.to_string()))?;
                if places.insert(name, at..at + size).is_some() {
                    return Err(refuse("the archive holds it twice".into()));
                }
                at += size;
            }
        }
    }
    if ahead.name.is_some() {
        return Err(Refused::Broken("it ends after the name of a file".into()));
    }
    let top = names::top(places.keys()).map_err(Refused::Broken)?;
    if let Some(link) = link.filter(|_| places.contains_key(&format!("{top}{}", names::HEADER))) {
        return Err(link);
    }
    if !top.is_empty() {
        places = places.into_iter().filter_map(|(name, at)| Some((name.strip_prefix(&top)?.to_owned(), at))).collect();
    }
    Ok(Archive { spool: Mutex::new(spool), places })
}

/// Writes an entry to the spool; gives its size.
fn store(entry: &mut Entry<'_, impl Read>, spool: &mut File) -> io::Result<u64> {
    let size = entry.size();
    if size > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAX_FILE >> 20)));
    }
    let copied = io::copy(entry, spool)?;
    if copied < size {
        return Err(io::Error::other("the archive ends in it"));
    }
    spool.flush()?;
    Ok(copied)
}

/// The content of an entry that names the next one.
fn long_name(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, Refused> {
    let mut name = Vec::new();
    entry.take(MAX_NAME + 1).read_to_end(&mut name).map_err(|e| Refused::Broken(e.to_string()))?;
    if name.len() as u64 > MAX_NAME {
        return Err(Refused::Broken(format!("a name or its extension is longer than {MAX_NAME} bytes")));
    }
    Ok(name)
}

/// Reads `LENGTH KEY=VALUE\n` records.
fn pax(records: &[u8], ahead: &mut Ahead) {
    let mut rest = records;
    while let Some(blank) = rest.iter().position(|b| *b == b' ') {
        let length = std::str::from_utf8(&rest[..blank]).ok().and_then(|l| l.parse::<usize>().ok());
        let Some(record) = length.and_then(|length| rest.get(blank + 1..length)) else { break };
        rest = &rest[blank + 1 + record.len()..];
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let Some(sign) = record.iter().position(|b| *b == b'=') else { continue };
        match (&record[..sign], &record[sign + 1..]) {
            (b"path", path) => ahead.name = Some(path.to_vec()),
            // The size of a file beyond 8 GiB; readers that differ in it see different archives.
            (b"size", _) => ahead.fault = Some("its size stands in an extension"),
            (key, _) if key.starts_with(b"GNU.sparse") => ahead.fault = Some("it is a sparse file"),
            _ => {}
        }
    }
}

/// What a bundle never holds.
fn unfit(kind: EntryType) -> Option<&'static str> {
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => None,
        EntryType::Link | EntryType::Symlink => Some("it is a link; a bundle holds files alone"),
        EntryType::Char | EntryType::Block => Some("it is a device; a bundle holds files alone"),
        EntryType::Fifo => Some("it is a pipe; a bundle holds files alone"),
        EntryType::GNUSparse => Some("it is a sparse file"),
        _ => Some("it is no file but of a kind that is not known"),
    }
}

/// A name without `.` and double slashes; empty for the top folder.
fn clean(raw: &[u8]) -> Result<String, &'static str> {
    let raw = raw.strip_suffix(b"\0").unwrap_or(raw);
    let name = std::str::from_utf8(raw).map_err(|_| "its name is not UTF-8")?;
    if name.starts_with(['/', '\\']) || name.as_bytes().get(1) == Some(&b':') {
        return Err("its path is absolute");
    }
    if name.contains('\0') {
        return Err("its name holds a NUL");
    }
    if name.split(['/', '\\']).any(|part| part == "..") {
        return Err("its path leads out of the bundle (..)");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_refused() {
        assert_eq!(clean(b"./a//b/c.json").as_deref(), Ok("a/b/c.json"));
        assert_eq!(clean(b"./").as_deref(), Ok(""));
        for bad in [&b"/etc/passwd"[..], b"a/../b", b"..", b"C:/x", b"\\x", b"a\\..\\b", b"a\0b", b"\xff"] {
            assert!(clean(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn extensions_are_read_as_far_as_they_are_whole() {
        let mut ahead = Ahead::default();
        pax(b"12 path=a/b\n20 ctime=1700000000\n", &mut ahead);
        assert_eq!(ahead.name.as_deref(), Some(&b"a/b"[..]));
        for broken in [&b"9999999999999999999999 path=a\n"[..], b"3", b"0 path=a", b"1 x", b" ", b"12 path=a"] {
            let mut ahead = Ahead::default();
            pax(broken, &mut ahead);
            assert!(ahead.name.is_none(), "{broken:?}");
        }
        let mut ahead = Ahead::default();
        pax(b"10 size=5\n", &mut ahead);
        assert!(ahead.fault.is_some());
    }
}
