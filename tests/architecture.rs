//! The directions of imports, as docs/architecture.md has them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A folder or file below `src`, and the folders and files that it may name. The longest entry that fits counts, for
/// the importer as for what it imports; what has no entry is free.
const MAY_USE: &[(&str, &[&str])] = &[
    ("text", &["text"]),
    ("model", &["model"]),
    ("lint", &["text", "lint"]),
    ("term", &["text", "model", "term"]),
    ("snapshot", &["text", "model", "lint", "snapshot"]),
    ("domain/text", &["text", "model", "lint", "snapshot", "domain/text"]),
    ("domain/kubernetes", &["text", "model", "lint", "snapshot", "domain/text", "domain/kubernetes"]),
    ("domain/aws", &["text", "model", "lint", "snapshot", "domain/text", "domain/kubernetes", "domain/aws"]),
    (
        "domain/prometheus",
        &["text", "model", "lint", "snapshot", "domain/text", "domain/kubernetes", "domain/aws", "domain/prometheus"],
    ),
    (
        "domain/alertmanager",
        &["text", "model", "lint", "snapshot", "domain/text", "domain/kubernetes", "domain/aws", "domain/alertmanager"],
    ),
    (
        "domain/crash",
        &["text", "model", "lint", "snapshot", "domain/text", "domain/kubernetes", "domain/aws", "domain/crash"],
    ),
    (
        "domain/loki",
        &["text", "model", "lint", "snapshot", "domain/text", "domain/kubernetes", "domain/aws", "domain/loki"],
    ),
    (
        "domain/grafana",
        &[
            "text",
            "model",
            "lint",
            "snapshot",
            "domain/text",
            "domain/kubernetes",
            "domain/prometheus",
            "domain/grafana",
        ],
    ),
    ("domain/traffic", &["text", "model", "lint", "snapshot", "domain"]),
    ("domain/testing", &["model", "snapshot", "domain/testing"]),
    ("domain", &["text", "model", "lint", "snapshot", "domain"]),
    ("checks/support", &["text", "model", "lint", "snapshot", "domain", "checks/support", "checks"]),
    ("checks", &["text", "model", "lint", "snapshot", "domain", "checks/support", "checks"]),
    ("collect", &["text", "model", "lint", "snapshot", "domain", "collect", "term"]),
    ("bundle", &["text", "model", "lint", "snapshot", "domain", "collect", "bundle"]),
    ("pages", &["model", "pages"]),
    ("signals", &["text", "model", "snapshot", "domain", "signals"]),
    ("diagnose", &["text", "model", "snapshot", "checks", "signals", "pages", "diagnose"]),
    ("why", &["text", "model", "lint", "snapshot", "domain", "pages", "why"]),
    ("history", &["model", "history"]),
    ("render", &["model", "history", "render", "term"]),
    ("cli", &["cli", "diagnose"]),
    ("config", &["text", "model", "collect", "diagnose", "config"]),
];

const SUITES: &[&str] = &[
    "access", "alerting", "grafana", "logs", "network", "nodes", "operator", "pipeline", "scrape", "storage",
    "workload",
];

/// The longest of the names that `path` lies in.
fn place<'a>(path: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let holds = |name: &&str| path.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    names.filter(holds).max_by_key(|name| name.len())
}

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

/// Paths of this crate that a source names: `domain/kubernetes/owner/Target`.
fn imports(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for line in code(text) {
        for (at, _) in line.match_indices("crate::") {
            let in_path = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
            let path: String = line[at + 7..].chars().take_while(in_path).collect();
            all.push(path.trim_end_matches(':').replace("::", "/"));
        }
    }
    all
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    let known = || MAY_USE.iter().map(|(name, _)| *name).chain(["commands", "companion"]);
    for (name, text) in all_sources() {
        let own = name.trim_end_matches(".rs");
        let Some(from) = place(own, MAY_USE.iter().map(|(name, _)| *name)) else { continue };
        let allowed = MAY_USE.iter().find(|(name, _)| *name == from).map_or(&[][..], |(_, allowed)| *allowed);
        for path in imports(&text) {
            // Builders of snapshots for tests; and the tests of a check look at its page, too.
            if path.starts_with("domain/testing") || (path == "pages" && name.starts_with("checks")) {
                continue;
            }
            if place(&path, known()).is_some() && place(&path, allowed.iter().copied()).is_none() {
                wrong.push(format!("{name}: crate::{path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A check's folder or file below its suite: `storage/pvc_pending`.
fn check_of(path: &str) -> Option<(&str, &str)> {
    let (suite, rest) = path.strip_prefix("checks/")?.split_once('/')?;
    let check = rest.split('/').next()?.trim_end_matches(".rs");
    (SUITES.contains(&suite) && check != "mod").then_some((suite, check))
}

#[test]
fn no_check_imports_another() {
    let mut wrong = Vec::new();
    for (name, text) in all_sources() {
        let Some(own) = check_of(&name) else { continue };
        for path in imports(&text) {
            if check_of(&path).is_some_and(|other| other != own) {
                wrong.push(format!("{name}: crate::{path}"));
            }
        }
        let up = if name.ends_with("mod.rs") { "super::" } else { "super::super::" };
        for line in code(text.split("#[cfg(test)]").next().unwrap_or_default()) {
            if line.starts_with(&format!("use {up}")) && !own.1.is_empty() && name.matches('/').count() < 3 {
                wrong.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the paths of a text begin with behind a prefix: `a` and `b` of `super::{a::X, b}`, `c` of `super::c::Y`.
fn behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        // The folder above the check's own.
        if rest.starts_with("super::") || code[..at].ends_with("super::") {
            continue;
        }
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let end = group.find(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth < 0
        });
        let mut depth = 0;
        let parts = group[..end.unwrap_or(group.len())].split(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        found.extend(parts.map(word));
    }
    found
}

#[test]
fn groups_of_imports_are_read() {
    let code = "use super::{a::{X, Y}, b}; use super::c::Z; super::super::d();";
    assert_eq!(behind(code, "super::").into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

/// The files of a check's folder: which of them each imports, by whole paths and by `super`. The folder's `mod.rs` stands on top.
type Parts = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

fn parts() -> BTreeMap<String, Parts> {
    let mut folders: BTreeMap<String, Parts> = BTreeMap::new();
    for (name, text) in all_sources() {
        let Some((folder, file)) = name.rsplit_once('/').filter(|(f, _)| f.matches('/').count() == 2) else { continue };
        if check_of(&name).is_none() || file == "tests.rs" {
            continue;
        }
        let text: String = code(text.split("#[cfg(test)]").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
        let whole = behind(&text, &format!("crate::{}::", folder.replace('/', "::")));
        let near = if file == "mod.rs" { BTreeSet::new() } else { behind(&text, "super::") };
        folders.entry(folder.to_owned()).or_default().insert(file.trim_end_matches(".rs").to_owned(), (whole, near));
    }
    folders
}

#[test]
fn the_parts_of_a_check_import_each_other_in_no_circle() {
    let mut wrong = Vec::new();
    for (folder, files) in parts() {
        // Of `super` what is no file is an item of the `mod.rs`.
        let named = |(whole, near): &(BTreeSet<String>, BTreeSet<String>)| {
            whole.union(near).filter(|i| files.contains_key(*i)).cloned().collect::<Vec<_>>()
        };
        for (file, own) in files.iter().filter(|(file, _)| *file != "mod") {
            let above: Vec<_> = own.0.iter().filter(|i| !files.contains_key(*i)).collect();
            if !above.is_empty() {
                wrong.push(format!("{folder}/{file}.rs imports its mod.rs: {above:?}"));
            }
            let mut seen = BTreeSet::new();
            let mut open = named(own);
            while let Some(next) = open.pop() {
                if next == *file {
                    wrong.push(format!("{folder}/{file}.rs imports itself by way of others"));
                    break;
                }
                if seen.insert(next.clone()) {
                    open.extend(files.get(&next).into_iter().flat_map(named));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn domain_is_without_prose_and_templates() {
    let mut wrong = Vec::new();
    for (name, text) in all_sources().into_iter().filter(|(n, _)| n.starts_with("domain")) {
        for line in code(&text) {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let named = words.into_iter().find(|w| ["Finding", "Evidence", "Params", "Severity"].contains(w));
            if named.is_some() || line.contains("{% ") {
                wrong.push(format!("{name}: {line}"));
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
            let outside = [
                "kube::",
                "reqwest::",
                "aws_sdk",
                "aws_config",
                "TcpStream",
                "std::process::Command",
                "std::process::{",
            ];
            // The companion runs what a person says yes to.
            if name.starts_with("companion/process/") && line.contains("std::process::") {
                continue;
            }
            let in_test = name == "pages/template.rs" && line.contains("Command::new(\"sh\")");
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
        if ![
            "checks/",
            "domain/",
            "snapshot/",
            "model/",
            "signals/",
            "pages/",
            "diagnose/",
            "history/",
            "render/",
            "why/",
        ]
        .iter()
        .any(|m| name.starts_with(m))
        {
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

/// An annotation that the snapshot drops reads as absent: readers name it in the table of what is kept.
#[test]
fn annotations_are_read_by_the_names_that_are_kept() {
    let mut wrong = Vec::new();
    for (name, text) in all_sources() {
        for line in code(text.split("#[cfg(test)]").next().unwrap_or_default()) {
            if line.contains("annotations.get(\"") || line.contains("annotations.contains_key(\"") {
                wrong.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
