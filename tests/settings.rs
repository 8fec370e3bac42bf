//! `kdoctor.toml`: where it is found, what goes before it, and what it mutes.

mod support;

use std::process::Output;

use serde_json::Value;
use support::{fixtures, kdoctor};
use tempfile::TempDir;

/// A folder with settings, and one below it in which kdoctor runs.
struct Team {
    dir: TempDir,
}

impl Team {
    fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join("a/b")).expect("a folder");
        std::fs::write(dir.path().join("kdoctor.toml"), settings).expect("a file");
        Self { dir }
    }

    fn run(&self, args: &[&str]) -> Output {
        kdoctor().args(args).current_dir(self.dir.path().join("a/b")).output().expect("kdoctor runs")
    }

    fn report(&self, args: &[&str]) -> Value {
        let output = self.run(&[&["monitoring", "-o", "json"], args].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", told(&output)))
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn fixture(name: &str) -> String {
    fixtures::fixture(name).display().to_string()
}

fn findings(report: &Value) -> Vec<&Value> {
    report["findings"].as_array().into_iter().flatten().collect()
}

#[test]
fn the_nearest_file_above_counts_and_flags_go_before_it() {
    let team = Team::new("fail-on = \"never\"\n");
    let code = |args: &[&str]| team.run(&[&["monitoring", "--demo"], args].concat()).status.code();
    assert_eq!(code(&[]), Some(0));
    assert!(told(&team.run(&["monitoring", "--demo"])).contains("kdoctor: settings of "));
    assert_eq!(code(&["--fail-on", "error"]), Some(1));
    // What is said by a flag is said, also where it is the default.
    assert_eq!(code(&["--no-config"]), Some(1));
    std::fs::write(team.dir.path().join("a/kdoctor.toml"), "strict = true\n").expect("a file");
    assert_eq!(code(&[]), Some(1), "the nearer one counts alone");
    let other = team.dir.path().join("kdoctor.toml").display().to_string();
    assert_eq!(code(&["--config", &other]), Some(0));
    let missing = team.run(&["monitoring", "--demo", "--config", "nowhere.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(told(&missing).contains("nowhere.toml"), "{}", told(&missing));
}

#[test]
fn a_file_chooses_checks_unless_flags_do() {
    let team = Team::new("only = [\"storage\"]\nskip = [\"pvc-pending\"]\n");
    let ran = |args: &[&str]| -> Vec<String> {
        let report = team.report(&[&["--demo"], args].concat());
        let runs = report["runs"].as_array().expect("runs").iter();
        runs.map(|run| run["check"].as_str().expect("a check").to_owned()).collect()
    };
    let of_file = ran(&[]);
    assert!(of_file.contains(&"ebs-csi-addon-missing".to_owned()) && !of_file.contains(&"pvc-pending".to_owned()));
    assert_eq!(ran(&["--only", "pvc-pending"]), ["pvc-pending"]);
}

#[test]
fn severities_of_checks_are_the_teams() {
    let team = Team::new("[severity]\nebs-csi-addon-missing = \"warning\"\n");
    let args = ["--demo", "--only", "ebs-csi-addon-missing"];
    let report = team.report(&args);
    assert_eq!(findings(&report)[0]["severity"], "warning");
    assert_eq!((&report["summary"]["errors"], &report["summary"]["warnings"]), (&0.into(), &1.into()));
    assert_eq!(team.run(&[&["monitoring"][..], &args].concat()).status.code(), Some(0));
}

/// A mute for each finding of a report.
fn all_muted(report: &Value) -> String {
    let mute = |finding: &&Value| {
        format!("[[mute]]\ncheck = {}\nsubject = \"*\"\nreason = \"known since May\"\n", finding["check"])
    };
    let mut mutes: Vec<String> = findings(report).iter().map(mute).collect();
    mutes.sort();
    mutes.dedup();
    mutes.concat()
}

#[test]
fn what_is_muted_stays_in_the_report_and_does_not_count() {
    for name in ["demo/ebs-csi-missing", "incidents/prometheus-oomkilled", "incidents/targets-down"] {
        let path = fixture(name);
        let before = Team::new("").report(&["--from", &path]);
        let team = Team::new(&all_muted(&before));
        let after = team.report(&["--from", &path]);
        let of = |report: &Value, key: &str| -> Vec<String> {
            let mut all: Vec<String> = findings(report).iter().map(|f| format!("{} {}", f["id"], f[key])).collect();
            all.sort();
            all
        };
        for key in ["root", "explains", "caused_by", "needed_by", "severity"] {
            assert_eq!(of(&before, key), of(&after, key), "{name}: {key}");
        }
        let explained = |report: &Value| -> Vec<Value> {
            let signals = report["signals"].as_array().expect("signals").iter();
            signals.map(|s| s["explained_by"].clone()).collect()
        };
        assert_eq!(explained(&before), explained(&after), "{name}");
        assert!(findings(&after).iter().all(|f| f["muted"]["reason"] == "known since May"), "{name}");
        let count = findings(&after).len();
        let summary = &after["summary"];
        assert_eq!((&summary["roots"], &summary["errors"], &summary["muted"]), (&0.into(), &0.into(), &count.into()));
        let output = team.run(&["monitoring", "--from", &path, "--fail-on", "warning"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{text}");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.contains(&format!("{count} finding")) && first.ends_with(" muted"), "{first}");
        assert!(!text.contains("1. error["), "{text}");
    }
}

#[test]
fn a_muted_root_hides_nothing_that_is_not_muted() {
    let mute = "[[mute]]\ncheck = \"ebs-csi-addon-missing\"\nsubject = \"*\"\nreason = \"being built\"\n";
    let team = Team::new(mute);
    let output = team.run(&["monitoring", "--demo"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "its victims still count: {text}");
    assert!(text.contains("(muted: being built)") && text.contains("; 1 finding muted"), "{text}");
    assert!(!told(&output).contains("mute of"), "{}", told(&output));
}

#[test]
fn mutes_that_are_over_or_of_no_use_are_told() {
    let mute = |check: &str, subject: &str, until: &str| {
        format!("[[mute]]\ncheck = \"{check}\"\nsubject = \"{subject}\"\nreason = \"r\"\n{until}\n")
    };
    let args = ["--demo", "--only", "storage"];
    let all = [
        mute("ebs-csi-addon-missing", "*", "until = 2026-11-20"),
        mute("pvc-pending", "PersistentVolumeClaim nowhere/*", ""),
        mute("nat-egress", "*", ""),
    ]
    .concat();
    let team = Team::new(&all);
    let output = team.run(&[&["monitoring"][..], &args].concat());
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains(
            "kdoctor.toml:1: the mute of ebs-csi-addon-missing for \"*\" ended on 2026-11-20; the finding counts again"
        ),
        "{told}"
    );
    assert!(told.contains("kdoctor.toml:6: the mute of pvc-pending for \"PersistentVolumeClaim nowhere/*\" is about no finding: remove it"), "{told}");
    assert!(!told.contains("nat-egress"), "its check did not run: {told}");
    let report = team.report(&args);
    let states: Vec<&str> =
        report["mutes"].as_array().expect("mutes").iter().filter_map(|m| m["state"].as_str()).collect();
    assert_eq!(states, ["expired", "unused", "not-judged"]);
    assert_eq!(report["summary"]["muted"], 0);
    // On its last day it still counts.
    let team = Team::new(&mute("ebs-csi-addon-missing", "*", "until = 2026-11-21"));
    assert_eq!(team.report(&["--demo", "--only", "ebs-csi-addon-missing"])["summary"]["muted"], 1);
}

#[test]
fn what_is_wrong_in_the_file_is_named_by_its_place() {
    let team = Team::new("fail-on = \"error\"\nnamespce = \"a\"\n[[mute]]\ncheck = \"pvc-pendin\"\nsubject = \"*\"\n");
    let output = team.run(&["monitoring", "--demo", "-o", "json"]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for line in [
        "kdoctor.toml:2:1: \"namespce\" is no setting; did you mean \"namespace\"?",
        "kdoctor.toml:3:1: a mute needs a reason",
        "kdoctor.toml:4:9: no check is called \"pvc-pendin\"; did you mean \"pvc-pending\"?",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON also where there is no report");
    assert!(document["error"]["message"].as_str().is_some_and(|m| m.contains("kdoctor.toml:2:1")), "{document}");
    // Commands that take no settings do not read them.
    assert_eq!(team.run(&["list"]).status.code(), Some(0));
}

#[test]
fn a_context_in_the_file_makes_no_preflight_ask_a_cluster() {
    let team = Team::new("context = \"nowhere\"\nnamespace = \"nowhere\"\n");
    let file = team.dir.path().join("a/b/service.yaml");
    std::fs::write(file, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n")
        .expect("a file");
    let output = team.run(&["preflight", "-f", "service.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    // Nor does it say anything of a bundle.
    assert_eq!(team.run(&["monitoring", "--demo"]).status.code(), Some(1));
    let live = team.run(&["monitoring"]);
    assert_eq!(live.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&live.stdout).contains("monitoring-stack"), "{}", told(&live));
}
