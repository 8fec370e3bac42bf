//! The readers of Prometheus' files agree with promtool on every file that promtool was asked about, both ways.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing it does not expect")]

use std::path::PathBuf;

use kdoctor::lint::{Problem, Version, prometheus, rules};
use serde::Deserialize;

/// What promtool said of a file, most of which are those of the recordings.
#[derive(Deserialize)]
struct Recorded {
    file: String,
    version: String,
    ok: bool,
    what: String,
    line: Option<usize>,
}

/// What promtool, or the source of Prometheus where no promtool was at hand, says of a text.
#[derive(Deserialize)]
struct Handmade {
    name: String,
    rules: bool,
    version: String,
    ok: bool,
    what: String,
    text: String,
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn version(text: &str) -> Version {
    let (major, minor) = text.split_once('.').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}

fn lint(text: &str, of_rules: bool, version: Option<Version>) -> Vec<Problem> {
    if of_rules {
        rules::lint(text, rules::Options { version, ..rules::Options::default() })
    } else {
        prometheus::lint(text, prometheus::Options { version, agent: false })
    }
}

#[test]
fn recorded_files() {
    let recorded: Vec<Recorded> = read("promtool/index.json");
    assert!(recorded.len() > 150);
    let mut wrong = Vec::new();
    for r in &recorded {
        let text = std::fs::read_to_string(path(&r.file)).unwrap();
        let found = lint(&text, r.file.ends_with("rules.yml"), Some(version(&r.version)));
        if found.is_empty() != r.ok {
            wrong.push(format!("{} {}: promtool: {:?}, found: {found:?}", r.file, r.version, r.what));
        }
        // libyaml names the line where the list or mapping around the fault begins.
        let around = r.what.contains("did not find expected");
        let near = |p: &Problem, line: usize| p.place.line.abs_diff(line) <= 1 || around && p.place.line > line;
        if let Some(line) = r.line.filter(|_| !r.ok)
            && !found.iter().any(|p| near(p, line))
        {
            wrong.push(format!("{} {}: promtool says line {line}: {:?}, found: {found:?}", r.file, r.version, r.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn handmade_files() {
    let handmade: Vec<Handmade> = read("promtool/handmade.json");
    assert!(handmade.len() > 300);
    let wrong: Vec<String> = handmade
        .iter()
        .map(|h| (h, lint(&h.text, h.rules, Some(version(&h.version)))))
        .filter(|(h, found)| found.is_empty() != h.ok)
        .map(|(h, found)| format!("{}: promtool: {:?}, found: {found:?}", h.name, h.what))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What some version takes is no problem where the version is not known.
#[test]
fn an_unknown_version_takes_what_any_version_takes() {
    let valid = read::<Recorded>("promtool/index.json").into_iter().filter(|r| r.ok);
    let recorded =
        valid.map(|r| (std::fs::read_to_string(path(&r.file)).unwrap(), r.file.ends_with("rules.yml"), r.file));
    let handmade =
        read::<Handmade>("promtool/handmade.json").into_iter().filter(|h| h.ok).map(|h| (h.text, h.rules, h.name));
    for (text, of_rules, name) in recorded.chain(handmade) {
        assert_eq!(lint(&text, of_rules, None), [], "{name}");
    }
}
