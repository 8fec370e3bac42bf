//! Pages and demos are embedded: a new file must lead to a new build. So are the words of the code: a capture without names
//! leaves those alone by which something is told (`src/bundle/anonymous`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[path = "src/bundle/anonymous/split.rs"]
mod split;

/// Where things are told from each other by name.
const TELLS: &[&str] =
    &["bundle", "checks", "collect", "diagnose", "domain", "lint", "model", "signals", "snapshot", "text", "why"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=checks");
    println!("cargo::rerun-if-changed=fixtures/demo");
    println!("cargo::rerun-if-changed=build.rs");
    let mut words = BTreeSet::new();
    for folder in TELLS {
        let folder = format!("src/{folder}");
        println!("cargo::rerun-if-changed={folder}");
        of_folder(Path::new(&folder), &mut words)?;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("words_of_the_code.txt"), words.into_iter().collect::<Vec<_>>().join(" "))
}

fn of_folder(folder: &Path, words: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Names in tests are made up as people make them up.
        if name.starts_with("test") || name.ends_with("_tests.rs") {
            continue;
        }
        if path.is_dir() {
            of_folder(&path, words)?;
        } else if name.ends_with(".rs") {
            of_code(&fs::read_to_string(&path)?, words);
        }
    }
    Ok(())
}

/// The words of a file; not those of its comments and its tests.
fn of_code(text: &str, words: &mut BTreeSet<String>) {
    let code = text.split("mod tests {").next().unwrap_or_default();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let line = line.replace("\\n", " ");
        words.extend(split::words(&line).map(split::stem).filter(|word| word.len() > 2));
    }
}
