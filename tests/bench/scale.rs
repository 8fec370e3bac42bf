//! The whole binary over bundles of 1, 2, 4 and 8 times the size, one kind of object at a time: as a table in Markdown,
//! with the time of all processors together. Linux only.
//! `cargo bench --no-default-features --bench scale [-- KIND]`; `KDOCTOR_SCALE=100` sets the smallest number.

#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::Path;

#[path = "../support/fixtures.rs"]
mod fixtures;
#[path = "../support/grown.rs"]
mod grown;
#[path = "../support/usage.rs"]
mod usage;

const TIMES: [usize; 5] = [0, 1, 2, 4, 8];
/// Each is run so often; the one that took least counts.
const RUNS: usize = 3;

fn main() {
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let base = std::env::var("KDOCTOR_SCALE").ok().and_then(|n| n.parse().ok()).unwrap_or(250);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scale");
    let head: Vec<String> = TIMES.iter().map(|n| format!("+{}", n * base)).collect();
    println!("| kind | {} |\n| --- |{}", head.join(" | "), " --- |".repeat(TIMES.len()));
    for (kind, grow) in grown::KINDS.iter().filter(|(kind, _)| kind.contains(&only)) {
        row(kind, |times| {
            let mut bundle = grown::Grown::of("healthy/kube-prometheus-stack", &folder);
            grow(&mut bundle, times * base);
            bundle.write();
            vec!["monitoring".into(), "--from".into(), folder.display().to_string()]
        });
    }
    if "documents of preflight".contains(&only) {
        row("documents of preflight", |times| {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            let file = folder.join("services.yaml");
            std::fs::write(&file, grown::manifests(times * base + 1)).expect("a written file");
            vec!["preflight".into(), "-f".into(), file.display().to_string()]
        });
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// Measures one kind at each size.
fn row(kind: &str, arguments: impl Fn(usize) -> Vec<String>) {
    let cells: Vec<String> = TIMES.iter().map(|times| measured(&arguments(*times))).collect();
    println!("| {kind} | {} |", cells.join(" | "));
}

/// The processor time and the memory of the run that took least, and how long the report is.
fn measured(arguments: &[String]) -> String {
    let Some(usage::Usage { time, memory, lines }) = usage::least(arguments, RUNS) else { return String::new() };
    format!("{}.{:02} s, {} MiB, {lines} lines", time / 100, time % 100, memory / 1024)
}
