//! Every recorded fault of a real Prometheus or Alertmanager through the whole pipeline: it is named as what it is, and
//! where nothing was wrong, nothing is said.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kdoctor::bundle::Bundle;
use kdoctor::checks;
use kdoctor::collect::client::Client;
use kdoctor::collect::{self, Plan};
use kdoctor::diagnose;
use kdoctor::model::{Finding, Report, Severity, Silent};
use serde::Deserialize;
use support::recording::{self, Recording};

/// What must be said of a case: in `fixtures/recordings/expected.json`, by its id.
#[derive(Debug, Deserialize)]
struct Expected {
    /// The check that names the cause.
    check: String,
    /// Words of its message or evidence.
    says: Vec<String>,
}

/// By the id of the case; the first is the root cause.
fn expected() -> BTreeMap<String, Vec<Expected>> {
    let path = recording::root().join("expected.json");
    let text = std::fs::read_to_string(path).expect("fixtures/recordings/expected.json is there");
    serde_json::from_str(&text).expect("fixtures/recordings/expected.json is valid")
}

/// Faults that leave no trace in what kdoctor reads, with the reason: of these nothing may be said, least of all
/// something wrong. In `fixtures/recordings/unseen.json`, by id.
fn unseen() -> BTreeMap<String, String> {
    let path = recording::root().join("unseen.json");
    let text = std::fs::read_to_string(path).expect("fixtures/recordings/unseen.json is there");
    serde_json::from_str(&text).expect("fixtures/recordings/unseen.json is valid")
}

fn diagnose(dir: &Path) -> Report {
    let bundle = Bundle::open(dir).expect("a bundle");
    let plan = Plan::new(diagnose::facts(&checks::registry()), bundle.collected_at());
    let client = Client::new(Arc::new(bundle), Arc::new(Silent));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let snap = runtime.block_on(collect::gather(&client, &plan)).unwrap_or_else(|gap| panic!("{gap}"));
    diagnose::run(&snap, &checks::registry())
}

/// Reports of all cases; the jobs of one Prometheus share theirs.
fn reports() -> Vec<(Recording, Arc<Report>)> {
    let mut shared: BTreeMap<String, Arc<Report>> = BTreeMap::new();
    let mut all = Vec::new();
    for case in recording::all() {
        let key = if case.file.starts_with("scrape/") { case.version.clone() } else { case.id.clone() };
        let report = shared.entry(key).or_insert_with(|| {
            let dir = tempfile::tempdir().expect("a folder");
            recording::write_bundle(&case, dir.path());
            Arc::new(diagnose(dir.path()))
        });
        let report = Arc::clone(report);
        all.push((case, report));
    }
    all
}

/// Findings that concern the case: those that name its job or rule, or all.
fn concerning<'a>(case: &Recording, report: &'a Report) -> Vec<&'a Finding> {
    let word = case.job.clone().or_else(|| {
        // The rules of the scrape recordings share a server too.
        let rule = case.id.split("-scrape-rule-").nth(1)?;
        Some(rule.strip_suffix("-template").unwrap_or(rule).to_owned())
    });
    let about = |f: &&Finding| word.as_ref().is_none_or(|w| names(&format!("{:?} {}", f.subjects, f.message), w));
    report.findings.iter().filter(about).collect()
}

/// True if `word` stands in `text` and is not a part of a longer name.
fn names(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ':');
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(inside) && !text[at + word.len()..].trim_start_matches(':').starts_with(inside)
    })
}

#[test]
fn every_recorded_fault_is_named_as_what_it_is() {
    let (expected, unseen) = (expected(), unseen());
    let mut wrong = Vec::new();
    for (case, report) in reports() {
        let found = concerning(&case, &report);
        let loud: Vec<_> = found.iter().filter(|f| f.severity > Severity::Info).collect();
        let told = || found.iter().map(|f| format!("\n      {}: {}", f.check, f.message)).collect::<String>();
        match expected.get(&case.id) {
            None if !case.negative && !unseen.contains_key(&case.id) => wrong.push(format!(
                "{}: nothing is expected of it ({}); found{}",
                case.id,
                case.expected_root_cause,
                told()
            )),
            None if loud.is_empty() => {}
            None => wrong.push(format!("{}: must be silent; found{}", case.id, told())),
            Some(all) => {
                for (at, want) in all.iter().enumerate() {
                    let says = |f: &&&Finding| {
                        let text = format!("{:?} {} {:?} {:?}", f.subjects, f.message, f.variant, f.evidence);
                        f.check.0 == want.check && want.says.iter().all(|w| text.contains(w.as_str()))
                    };
                    let is_root = |f: &Finding| {
                        report.roots.iter().any(|g| std::ptr::eq(&report.findings[g.root], f))
                            || f.severity == Severity::Info
                    };
                    let mut fitting = found.iter().filter(says);
                    if !fitting.any(|f| at > 0 || is_root(f)) {
                        wrong.push(format!("{} ({}): {want:?}; found{}", case.id, case.expected_root_cause, told()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn nothing_is_expected_of_what_is_not_there() {
    let ids: Vec<String> = recording::all().into_iter().map(|c| c.id).collect();
    let (expected, unseen) = (expected(), unseen());
    for id in expected.keys().chain(unseen.keys()) {
        assert!(ids.contains(id), "{id} is in no line of the index");
    }
    for (id, reason) in &unseen {
        assert!(!expected.contains_key(id), "{id} is expected, and is not");
        assert!(!reason.is_empty(), "{id}: why?");
    }
}
