//! How a report is printed: options, placeholders, what has to be fixed first.

use jiff::Timestamp;
use kdoctor::model::{
    CheckId, Finding, FixOption, Linked, Placeholder, Remediation, Report, ResourceRef, Risk, RootGroup, Severity,
    Stats, Step, StepKind, Target,
};
use kdoctor::render;
use kdoctor::term::Printer;

fn step(check: &'static str, command: &str, placeholders: Vec<Placeholder>) -> Step {
    Step {
        kind: StepKind::Command,
        risk: Risk::Change,
        text: format!("Do {command}."),
        command: command.into(),
        of: CheckId(check),
        placeholders,
    }
}

fn finding(check: &'static str, remediation: Remediation) -> Finding {
    let mut made = Finding::new(CheckId(check), Severity::Error, ResourceRef::pod("n", check), check);
    made.fingerprint = check.into();
    made.remediation = remediation;
    made
}

/// A root with two options and a way back, and what it needs first.
fn report() -> Report {
    let subnet = Placeholder::new("subnet-id").candidates(["subnet-1", "subnet-2"]);
    let role = Placeholder::new("role").how("aws iam list-roles");
    let option = |title: &str, placeholder: Placeholder| {
        let command = format!("use '<{}>'", placeholder.name);
        FixOption { title: title.into(), steps: vec![step("root", &command, vec![placeholder])] }
    };
    let root = Remediation {
        title: "Mend it".into(),
        steps: vec![step("root", "look", Vec::new())],
        options: vec![option("By subnet", subnet), option("By role", role)],
        verify: vec![step("root", "see", Vec::new())],
        rollback: vec![step("root", "back", Vec::new())],
    };
    let need = Remediation {
        title: "Prepare it".into(),
        steps: vec![step("need", "prepare", Vec::new())],
        verify: vec![step("need", "see-first", Vec::new())],
        ..Remediation::default()
    };
    Report {
        signals: Vec::new(),
        target: Target::default(),
        collected_at: Timestamp::UNIX_EPOCH,
        findings: vec![finding("root", root), finding("need", need)],
        links: vec![Linked::default(), Linked { caused_by: Vec::new(), needed_by: vec![0] }],
        roots: vec![RootGroup { root: 0, prerequisites: vec![1], explains: Vec::new() }],
        runs: Vec::new(),
        gaps: Vec::new(),
        stats: Stats::default(),
    }
}

#[test]
fn options_are_lettered_and_what_is_needed_comes_first() {
    let printer = Printer { color: false, width: Some(80), progress: false };
    insta::assert_snapshot!(render::table(&report(), &render::TableOptions::new(&printer, false)));
}

#[test]
fn json_keeps_steps_joined_and_says_whose_they_are() {
    let text = render::json(&report(), None).expect("plain data");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let fix = &json["findings"][0]["remediation"];
    let steps: Vec<_> = fix["steps"].as_array().expect("steps").iter().map(|s| (&s["check"], &s["command"])).collect();
    assert_eq!(
        format!("{steps:?}"),
        r#"[(String("need"), String("prepare")), (String("root"), String("look")), (String("root"), String("use '<subnet-id>'")), (String("root"), String("use '<role>'"))]"#
    );
    assert!(fix["steps"][1].get("option").is_none(), "{fix}");
    assert_eq!(fix["steps"][2]["option"], "By subnet");
    assert_eq!(fix["steps"][2]["placeholders"][0]["candidates"][1], "subnet-2");
    assert_eq!(json["findings"][1]["remediation"]["steps"].as_array().map(Vec::len), Some(1));
}
