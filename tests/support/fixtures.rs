//! The bundles below fixtures/.

#![allow(dead_code, unreachable_pub, reason = "some tests name it as a module of theirs, and use a part")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// `fixtures/`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// One of them, by its path in it.
pub fn fixture(name: &str) -> PathBuf {
    root().join(name)
}

/// All of them, by their paths in it.
pub fn all() -> Vec<String> {
    let mut all = Vec::new();
    for group in ["demo", "incidents", "healthy", "cases"] {
        for entry in std::fs::read_dir(root().join(group)).expect("fixtures are there") {
            let name = entry.expect("a folder entry").file_name().into_string().expect("UTF-8 names");
            all.push(format!("{group}/{name}"));
        }
    }
    all.sort();
    all
}

/// Whether this one of many is tried: in CI one of so many, always the same ones; all with `KDOCTOR_FIXTURES=all`.
pub fn is_chosen(what: &impl Hash, one_of: u64) -> bool {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    std::env::var("KDOCTOR_FIXTURES").is_ok_and(|v| v == "all") || hasher.finish().is_multiple_of(one_of)
}

/// The fixtures that are tried where one of so many is enough.
pub fn sample(one_of: u64) -> Vec<String> {
    all().into_iter().filter(|name| is_chosen(name, one_of)).collect()
}

/// Copies a folder; gives the files that were made.
pub fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    std::fs::create_dir_all(to).expect("a folder");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from).expect("a bundle") {
        let path = entry.expect("a folder entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            files.extend(copy(&path, &target));
        } else {
            std::fs::copy(&path, &target).expect("a copy");
            files.push(target);
        }
    }
    files
}
