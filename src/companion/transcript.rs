//! The transcripts in the state folder: where a new one is made, which there are, and which one is meant.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use etcetera::BaseStrategy;
use jiff::Timestamp;

use crate::term::suggest;

/// What the first line of a transcript begins with.
pub(super) const TITLE: &str = "# kdoctor: ";
/// What its last line begins with, unless it was cut off.
pub(super) const ENDED: &str = "Ended ";
/// The same after Ctrl-C.
pub(super) const INTERRUPTED: &str = "Interrupted ";
/// A larger file is no transcript.
const MAX: u64 = 64 << 20;

/// The folder of what is kept from one run to the next.
///
/// # Errors
/// There is no home folder.
pub fn state() -> anyhow::Result<PathBuf> {
    let base = etcetera::choose_base_strategy().context("there is no home folder")?;
    Ok(base.state_dir().unwrap_or_else(|| base.data_dir()).join("kdoctor"))
}

/// The folder of the transcripts.
///
/// # Errors
/// There is no home folder.
pub fn folder() -> anyhow::Result<PathBuf> {
    Ok(state()?.join("transcripts"))
}

/// A transcript that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name without `.md`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What was looked at.
    pub about: String,
    /// How it ended.
    pub ending: String,
}

/// Makes a new transcript that only its owner can read.
pub(super) fn create(folder: &Path, place: &str, now: Timestamp) -> io::Result<(PathBuf, File)> {
    make_folder(folder)?;
    let letters = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let place: String = place.rsplit(['/', '@']).next().unwrap_or_default().chars().map(letters).take(48).collect();
    let stem = format!("{}-{}", now.strftime("%Y-%m-%dT%H-%M-%SZ"), place.trim_matches('-'));
    let stem = stem.trim_end_matches('-');
    let names = std::iter::once(stem.to_owned()).chain((2..100).map(|n| format!("{stem}-{n}")));
    for name in names {
        let path = folder.join(format!("{name}.md"));
        match private(OpenOptions::new().create_new(true)).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (path, file)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Opens the file that was asked for; what stands in it stays.
pub(super) fn open(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().create(true)).open(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.append(true)
}

/// Makes a folder that only its owner can read.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// All transcripts, the newest first.
///
/// # Errors
/// The folder cannot be read.
pub fn all() -> anyhow::Result<Vec<Kept>> {
    let folder = folder()?;
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("{} cannot be read", folder.display()))?,
    };
    let mut all: Vec<Kept> = entries.flatten().filter_map(|entry| kept(&entry.path())).collect();
    all.sort_by(|a, b| b.name.cmp(&a.name));
    Ok(all)
}

fn kept(path: &Path) -> Option<Kept> {
    let name = path.file_name()?.to_str()?.strip_suffix(".md")?.to_owned();
    let text = read(path).ok()?;
    let about = text.lines().next()?.strip_prefix(TITLE)?.to_owned();
    let last = text.lines().rev().find(|l| l.starts_with(ENDED) || l.starts_with(INTERRUPTED));
    let ending = match last {
        Some(line) if line.starts_with(ENDED) => "ended",
        Some(_) => "interrupted",
        None => "unfinished",
    };
    let ending = ending.to_owned();
    Some(Kept { name, path: path.to_owned(), about, ending })
}

/// The text of a transcript.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
    if size > MAX {
        bail!("{} is too large for a transcript", path.display());
    }
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The one that is meant: `last`, a name, or the beginning of one.
///
/// # Errors
/// There is none, or several begin like that.
pub fn find(all: Vec<Kept>, wanted: &str) -> anyhow::Result<Kept> {
    let name = wanted.trim_end_matches(".md");
    if all.is_empty() {
        bail!("there is no transcript yet: kdoctor fix, monitoring -i and watch write them");
    }
    let is_it = |kept: &&Kept| name == "last" || kept.name == name;
    if let Some(kept) = all.iter().find(is_it) {
        return Ok(kept.clone());
    }
    let begin: Vec<&Kept> = all.iter().filter(|kept| kept.name.starts_with(name)).collect();
    match begin.as_slice() {
        [only] => Ok((*only).clone()),
        [] => match suggest(name, all.iter().map(|k| k.name.as_str())) {
            Some(near) => bail!("there is no transcript {name:?}; did you mean {near:?}?"),
            None => bail!("there is no transcript {name:?}; kdoctor transcript shows all"),
        },
        several => bail!("{} transcripts begin with {name:?}; kdoctor transcript shows all", several.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_as(name: &str) -> Kept {
        Kept { name: name.into(), path: PathBuf::new(), about: String::new(), ending: String::new() }
    }

    #[test]
    fn one_is_found_by_its_name_or_its_begin() {
        let all = || vec![kept_as("2026-11-28T10-00-00Z-shop"), kept_as("2026-11-27T09-00-00Z-shop")];
        let name = |wanted: &str| find(all(), wanted).map(|k| k.name).map_err(|e| e.to_string());
        assert_eq!(name("last"), Ok("2026-11-28T10-00-00Z-shop".into()));
        assert_eq!(name("2026-11-27"), Ok("2026-11-27T09-00-00Z-shop".into()));
        assert!(name("2026").is_err_and(|e| e.contains("2 transcripts")));
        assert!(find(Vec::new(), "last").is_err_and(|e| e.to_string().contains("no transcript yet")));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_it_and_none_is_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("a/b");
        let now: Timestamp = "2026-11-28T10:00:00Z".parse().expect("a time");
        let (first, _) = create(&folder, "arn:aws:eks:eu-west-1:1:cluster/shop eu", now).expect("makes");
        let (second, _) = create(&folder, "arn:aws:eks:eu-west-1:1:cluster/shop eu", now).expect("makes");
        assert!(first.ends_with("2026-11-28T10-00-00Z-shop-eu.md") && first != second);
        let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!((mode(&first), mode(&folder)), (0o600, 0o700));
    }
}
