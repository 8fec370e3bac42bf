//! The reader of Alertmanager's configuration against `amtool check-config` of two versions: what one refuses, both do.

use std::path::{Path, PathBuf};

use kdoctor::lint::alertmanager::{Version, check, check_template};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    version: String,
    config: String,
    template: Option<String>,
    accepted: bool,
    says: String,
}

/// A configuration made from a good one by one change, or written in full.
#[derive(Deserialize)]
struct Edit {
    name: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    text: Option<String>,
    /// Accepted, by version; a version that is not listed was not asked.
    accepted: std::collections::BTreeMap<String, bool>,
}

#[derive(Deserialize)]
struct Edits {
    base: String,
    cases: Vec<Edit>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Whether kdoctor would leave a configuration and its template alone, and what it says first.
fn verdict(config: &str, template: Option<&str>, version: &str) -> (bool, String) {
    let version = Version::parse(version);
    assert!(version.is_some());
    let mut found = check(config, version);
    if let Some(template) = template {
        found.refused.extend(check_template(template, version).refused);
    }
    assert!(found.doubtful.is_empty(), "nothing is doubtful in a known version: {found:?}");
    let first = found.refused.first().map(|p| format!("{} {}", p.place, p.message));
    (first.is_none(), first.unwrap_or_default())
}

#[test]
fn agrees_on_every_recorded_file() {
    let cases: Vec<Case> = serde_json::from_str(&read("amtool/index.json")).expect("an index");
    assert!(cases.len() > 50);
    let mut wrong = Vec::new();
    for case in &cases {
        let template = case.template.as_deref().map(read);
        let (accepted, why) = verdict(&read(&case.config), template.as_deref(), &case.version);
        if accepted != case.accepted {
            wrong.push(format!("{} {}: amtool says {:?}, kdoctor {why:?}", case.version, case.config, case.says));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn agrees_on_every_edit_of_a_good_file() {
    let edits: Edits = serde_json::from_str(&read("amtool/edits.json")).expect("edits");
    let mut wrong = Vec::new();
    for edit in &edits.cases {
        let text = edit.text.clone().unwrap_or_else(|| edits.base.replacen(&edit.from, &edit.to, 1));
        for (version, accepted) in &edit.accepted {
            let (ours, why) = verdict(&text, None, version);
            if ours != *accepted {
                wrong.push(format!("{version} {}: amtool accepts: {accepted}, kdoctor {why:?}", edit.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
