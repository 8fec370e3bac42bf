//! Four times as much takes about four times as long, and not sixteen times: of what once grew with the square.
//! `tests/bench/scale.rs` measures every kind.
#![cfg(target_os = "linux")]

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/grown.rs"]
mod grown;
#[path = "support/usage.rs"]
mod usage;

use std::path::Path;

/// What once grew with the square, and the smaller number of its objects: enough of them that they cost more than the
/// difference between two runs of the same. The larger number is four times that.
const KINDS: [(&str, usize); 2] = [("pods that are pending", 500), ("Services with EndpointSlices", 2_500)];
/// The smaller number of documents.
const DOCUMENTS: usize = 500;
/// Between the four of what is linear and the sixteen of a square.
const LIMIT: u64 = 9;
/// Hundredths of a second: what takes less is counted as this, for the kernel's clock is no finer than a few of them.
const FLOOR: u64 = 15;

fn holds(kind: &str, count: usize, arguments: impl Fn(usize) -> Vec<String>) {
    let time = |count: usize| usage::least(&arguments(count), 2).expect("a run").time;
    let (none, few, many) = (time(0), time(count), time(4 * count));
    assert!(many > none, "{kind}: {none}, {few} and {many} hundredths of a second measure nothing");
    let (few, many) = (few.saturating_sub(none).max(FLOOR), many - none);
    assert!(many <= LIMIT * few, "{kind}: {count} take {few} hundredths of a second, four times as many {many}");
}

#[test]
fn four_times_as_much_takes_four_times_as_long() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("growth");
    for (kind, few) in KINDS {
        let (_, grow) = grown::KINDS.iter().find(|(name, _)| *name == kind).expect("a kind that grows");
        holds(kind, few, |count| {
            let mut bundle = grown::Grown::of("healthy/kube-prometheus-stack", &folder);
            grow(&mut bundle, count);
            bundle.write();
            vec!["monitoring".into(), "--from".into(), folder.display().to_string()]
        });
    }
    holds("documents of preflight", DOCUMENTS, |count| {
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("services.yaml");
        std::fs::write(&file, grown::manifests(count + 1)).expect("a written file");
        vec!["preflight".into(), "-f".into(), file.display().to_string()]
    });
    let _ = std::fs::remove_dir_all(&folder);
}
