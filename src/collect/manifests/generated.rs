//! Files that are not there yet: what lies beside them says that something makes them.

use std::path::Path;

use crate::collect::files;

/// Such files are no larger.
const MAX_FILE: u64 = 256 << 10;
/// Folders above that are looked into at most.
const ABOVE: usize = 8;
/// Files whose lines are commands that make others.
const MAKERS: &[&str] =
    &["Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "Taskfile.yml", "Taskfile.yaml"];

/// True where a file of the name is left out of the repository on purpose, or where a maker of files speaks of it, beside the
/// folder that should hold it or above it.
pub(super) fn is_made(folder: &Path, named: &str) -> bool {
    let name = named.rsplit('/').next().unwrap_or(named);
    // Of a folder its name alone says too little.
    if !name.contains('.') || name.starts_with('.') {
        return false;
    }
    let target = folder.join(named);
    let start = target.parent().filter(|at| at.is_dir()).unwrap_or(folder);
    for above in start.ancestors().take(ABOVE) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let ignored = read(above, ".gitignore").is_some_and(|text| text.lines().any(|line| takes(line, name)));
        if ignored || MAKERS.iter().any(|maker| read(above, maker).is_some_and(|text| speaks_of(&text, name))) {
            return true;
        }
        if above.join(".git").exists() {
            return false;
        }
    }
    false
}

fn read(folder: &Path, name: &str) -> Option<String> {
    let path = folder.join(name);
    let text = path.is_file().then(|| files::read(&path, MAX_FILE).ok())??;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A line of `.gitignore` that leaves out a file of the name; patterns of all files say nothing of one.
fn takes(line: &str, name: &str) -> bool {
    let pattern = line.trim().trim_end_matches('/');
    let last = pattern.rsplit('/').next().unwrap_or(pattern);
    if pattern.starts_with(['#', '!']) || last.is_empty() {
        return false;
    }
    match last.split_once('*') {
        None => last == name,
        Some(("", ending)) => ending.matches('.').count() > 1 && !ending.contains('*') && name.ends_with(ending),
        Some((start, ending)) => !ending.contains('*') && name.starts_with(start) && name.ends_with(ending),
    }
}

/// A line that writes a file of the name, or the rule of one: those that only apply it say nothing of where it comes from.
fn speaks_of(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let writes = |line: &str| {
        [">", "tee ", " -o ", "--output", "-O ", "cp ", "mv ", "curl ", "wget "].iter().any(|w| line.contains(w))
    };
    text.lines().any(|line| {
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let whole = !before.chars().next_back().is_some_and(is_part) && !after.chars().next().is_some_and(is_part);
            let is_rule = !line.starts_with([' ', '\t', '#']) && after.trim_start().starts_with(':');
            whole && (is_rule || writes(line))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_leave_a_file_out() {
        for line in ["secret.yaml", "/config/secret.yaml", "secret*.yaml", "sec*"] {
            assert!(takes(line, "secret.yaml"), "{line}");
        }
        assert!(takes("*.generated.yaml", "a.generated.yaml"));
        for line in ["# secret.yaml", "!secret.yaml", "*.yaml", "*", "other.yaml", ""] {
            assert!(!takes(line, "secret.yaml"), "{line}");
        }
    }

    #[test]
    fn words_that_name_a_file() {
        assert!(speaks_of("\tkubectl create > config/kserve.yaml\n", "kserve.yaml"));
        assert!(speaks_of("config/kserve.yaml: x", "kserve.yaml"));
        assert!(!speaks_of("\tkubectl apply -f kserve.yaml\n", "kserve.yaml"));
        assert!(!speaks_of("my-kserve.yaml", "kserve.yaml"));
        assert!(!speaks_of("kserve.yaml.tmpl", "kserve.yaml"));
    }
}
