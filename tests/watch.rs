//! What changes from one report to the next: `--since`, and the live view of a cluster that changes.

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::kdoctor;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `kdoctor monitoring --from` a fixture with further arguments.
fn monitoring(name: &str, args: &[&str]) -> std::process::Output {
    kdoctor().args(["monitoring", "--from"]).arg(fixture(name)).args(args).output().expect("kdoctor runs")
}

#[test]
fn since_tells_what_is_new_and_resolved_beside_the_report() {
    let dir = tempfile::tempdir().expect("a folder");
    let old = dir.path().join("old.json");
    let to = format!("json={}", old.display());
    let since = old.display().to_string();
    assert_eq!(monitoring("demo/ebs-csi-missing", &["-o", &to]).status.code(), Some(1));

    let same = monitoring("demo/ebs-csi-missing", &["--since", &since]);
    let out = text(&same.stdout);
    assert_eq!(same.status.code(), Some(1), "--since changes no exit code");
    assert!(out.contains("\nsince 2026-11-21T02:54:26Z: 0 new, 0 resolved, "), "{out}");

    let other = monitoring("incidents/targets-down", &["--since", &since, "-o", "json"]);
    let report: Value = serde_json::from_slice(&other.stdout).expect("JSON");
    let checks = |list: &str| {
        let all = report["since"][list].as_array().expect("a list").iter();
        all.map(|f| f["check"].as_str().expect("a check").to_owned()).collect::<Vec<_>>()
    };
    assert!(checks("appeared").contains(&"target-down".to_owned()), "{report:#}");
    assert!(checks("resolved").contains(&"pvc-pending".to_owned()), "{:#}", report["since"]);
    let markdown = text(&monitoring("incidents/targets-down", &["--since", &since, "-o", "markdown"]).stdout);
    assert!(
        markdown.contains("\n### since 2026-11-21T02:54:26Z: ") && markdown.contains("- new `error[target-down]`"),
        "{markdown}"
    );
    let missing = monitoring("demo/ebs-csi-missing", &["--since", "nowhere.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stdout.is_empty(), "no report without its comparison");
}

#[test]
fn what_could_not_be_looked_at_is_not_resolved() {
    let dir = tempfile::tempdir().expect("a folder");
    let old = dir.path().join("old.json");
    let to = format!("json={}", old.display());
    monitoring("demo/ebs-csi-missing", &["-o", &to]);
    // The same cluster, and claims that nobody may list any more.
    let bundle = dir.path().join("bundle");
    copy(&fixture("demo/ebs-csi-missing"), &bundle);
    let api = bundle.join("kubernetes/api/v1");
    std::fs::remove_file(api.join("persistentvolumeclaims.json")).expect("the fixture holds claims");
    let refused = json!({"code": 403, "reason": "Forbidden", "message": "persistentvolumeclaims is forbidden"});
    std::fs::write(api.join("persistentvolumeclaims.error.json"), refused.to_string()).expect("writable");
    let output = kdoctor()
        .args(["monitoring", "-o", "json", "--from"])
        .arg(&bundle)
        .arg("--since")
        .arg(&old)
        .output()
        .expect("kdoctor runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let has =
        |list: &str, check: &str| report["since"][list].as_array().expect("a list").iter().any(|f| f["check"] == check);
    assert!(has("out_of_sight", "pvc-pending") && !has("resolved", "pvc-pending"), "{:#}", report["since"]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("writable");
        }
    }
}
