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
    let folders: Vec<&str> = named.rsplit_once('/').map_or(Vec::new(), |(folders, _)| folders.split('/').collect());
    let is_left_out = |line: &str| {
        takes(line, name) || (line.trim_end().ends_with('/') && folders.iter().any(|folder| takes(line, folder)))
    };
    let target = folder.join(named);
    let start = target.parent().filter(|at| at.is_dir()).unwrap_or(folder);
    for above in start.ancestors().take(ABOVE) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let ignored = read(above, ".gitignore").is_some_and(|text| text.lines().any(is_left_out));
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

/// A command that writes a file of the name, or the rule of one: those that only apply or copy it say nothing of where it comes from.
fn speaks_of(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let whole = !before.chars().next_back().is_some_and(is_part) && !after.chars().next().is_some_and(is_part);
            let is_rule = !line.starts_with([' ', '\t']) && after.trim_start().starts_with(':');
            whole && (is_rule || is_written(before, after))
        })
    })
}

/// What stands before and behind a file in a command says that it is made: an output leads to it, or it is the last word of a
/// copy or a download.
fn is_written(before: &str, after: &str) -> bool {
    const OUTPUTS: [&str; 3] = ["--output", "--output-file", "--output-document"];
    const COPIES: [&str; 4] = ["cp", "mv", "ln", "wget"];
    let command = before.rsplit(['|', ';', '&']).next().unwrap_or(before);
    let folder = |c: char| c.is_whitespace() || matches!(c, '>' | '=' | '"' | '\'');
    // Without the folder that the file is in.
    let up_to = command.trim_end_matches(|c: char| !folder(c)).trim_end_matches(['"', '\'']);
    let up_to = up_to.trim_end();
    if up_to.ends_with('>') {
        return true;
    }
    let words: Vec<&str> = up_to.trim_end_matches('=').split_whitespace().collect();
    let is_program = |names: &[&str]| words.iter().any(|word| names.contains(&word.trim_start_matches(['@', '-'])));
    let is_short = |word: &str| word.starts_with('-') && !word.starts_with("--") && word.ends_with(['o', 'O']);
    let is_output = words.last().is_some_and(|last| OUTPUTS.contains(last) || is_short(last));
    let behind = after.trim_start_matches(['"', '\'']).trim_start();
    let is_last = behind.chars().next().is_none_or(|c| matches!(c, ';' | '&' | '\\'));
    is_output || is_program(&["tee"]) || (is_last && is_program(&COPIES))
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
        for line in [
            "curl -sLo config/kserve.yaml https://x/y",
            "sops -d a.enc | tee \"$DIR/kserve.yaml\"",
            "@cp a.tmpl kserve.yaml",
        ] {
            assert!(speaks_of(&format!("\t{line}\n"), "kserve.yaml"), "{line}");
        }
        for line in [
            "kubectl apply -f kserve.yaml",
            "kubectl apply -f kserve.yaml -o yaml > /dev/null",
            "cp kserve.yaml build/",
            "# > kserve.yaml",
        ] {
            assert!(!speaks_of(&format!("\t{line}\n"), "kserve.yaml"), "{line}");
        }
        assert!(!speaks_of("my-kserve.yaml", "kserve.yaml"));
        assert!(!speaks_of("kserve.yaml.tmpl", "kserve.yaml"));
    }
}
