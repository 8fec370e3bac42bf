//! Faults put into files that are right: `kdoctor preflight` names each with its line. And the files as they were are quiet.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use support::kdoctor;

/// A set of files with one fault, as `fixtures/preflight/faults.json` holds them.
#[derive(Deserialize)]
struct Seeded {
    fault: String,
    files: BTreeMap<String, String>,
    /// More arguments; of `--from` the fixture.
    args: Vec<String>,
    check: String,
    line: Option<u64>,
    says: String,
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = std::fs::read_to_string(fixtures().join("preflight").join(name)).expect("is there");
    serde_json::from_str(&text).expect("is JSON")
}

/// The report of a run over files.
fn judged(files: &BTreeMap<String, String>, args: &[String]) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files.iter().filter(|(name, _)| *name != "-") {
        std::fs::write(folder.path().join(name), text).expect("writable");
    }
    let piped = files.get("-");
    let mut command = kdoctor();
    command.current_dir(folder.path()).args(["preflight", "-o", "json", "-f", if piped.is_some() { "-" } else { "." }]);
    for (at, word) in args.iter().enumerate() {
        let of_fixture = at > 0 && args[at - 1] == "--from";
        if of_fixture {
            command.arg(fixtures().join(word))
        } else {
            command.arg(word)
        };
    }
    if let Some(text) = piped {
        command.write_stdin(text.clone());
    }
    let output = command.output().expect("kdoctor runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_seeded_fault_is_found_with_its_line() {
    let all: Vec<Seeded> = read("faults.json");
    assert!(all.len() >= 60, "{}", all.len());
    let mut missed = Vec::new();
    for seeded in &all {
        let report = judged(&seeded.files, &seeded.args);
        let found = report["findings"].as_array().cloned().unwrap_or_default();
        let names = |finding: &Value| {
            let lines = finding["locations"].as_array().cloned().unwrap_or_default();
            let there = seeded.line.is_none_or(|line| lines.iter().any(|l| l["line"] == line));
            let said = finding["message"].as_str().is_some_and(|m| m.contains(&seeded.says));
            finding["check"] == seeded.check && there && said
        };
        if !found.iter().any(names) {
            missed.push(format!("{}: {found:#?}", seeded.fault));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_same_files_without_a_fault_are_quiet() {
    let all: BTreeMap<String, BTreeMap<String, String>> = read("right.json");
    assert!(all.len() >= 15, "{}", all.len());
    for (name, files) in &all {
        let report = judged(files, &[]);
        assert_eq!(report["findings"], Value::Array(Vec::new()), "{name}");
    }
}
