//! The directions of imports, as docs/architecture.md has them.

use std::path::{Path, PathBuf};

/// Module, and the modules of this crate that it may name.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("snapshot", &["model", "snapshot", "lint"]),
    ("lint", &["lint"]),
    ("checks", &["model", "snapshot", "lint", "checks"]),
    ("collect", &["model", "snapshot", "lint", "collect", "term"]),
    ("bundle", &["model", "snapshot", "collect", "bundle"]),
    ("diagnose", &["model", "snapshot", "checks", "diagnose"]),
    ("render", &["model", "render", "term"]),
    ("term", &["model", "term"]),
    ("cli", &["cli", "diagnose"]),
];

fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("src is there") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths
        .into_iter()
        .map(|p| {
            let name = p.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&p).expect("readable"))
        })
        .collect()
}

/// Lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|l| !l.starts_with("//"))
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for (name, text) in all_sources() {
        let module = name.split(['/', '.']).next().unwrap_or_default();
        let Some((_, allowed)) = MAY_USE.iter().find(|(m, _)| *m == module) else { continue };
        for line in code(&text) {
            for (at, _) in line.match_indices("crate::") {
                let used: String = line[at + 7..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let is_module = MAY_USE.iter().any(|(m, _)| *m == used) || used == "commands";
                if is_module && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{name}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_collect_talks_to_the_outside() {
    let mut wrong = Vec::new();
    for (name, text) in all_sources().into_iter().filter(|(n, _)| !n.starts_with("collect")) {
        for line in code(&text) {
            let outside = ["kube::", "reqwest::", "aws_sdk", "aws_config", "TcpStream", "std::process::Command"];
            let in_test = name == "checks/template.rs" && line.contains("Command::new(\"sh\")");
            if outside.iter().any(|o| line.contains(o)) && !in_test {
                wrong.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn checks_read_no_clock_and_do_no_io() {
    for (name, text) in all_sources() {
        if !["checks/", "snapshot/", "model/", "diagnose/", "render/"].iter().any(|m| name.starts_with(m)) {
            continue;
        }
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code(text) {
            for word in
                ["Timestamp::now", "SystemTime", "Instant", "std::fs", "std::net::Tcp", "std::env::var", "async fn"]
            {
                assert!(!line.contains(word), "{name}: {line}");
            }
        }
    }
}
