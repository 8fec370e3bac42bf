//! How a report is printed: options, placeholders, what has to be fixed first.

use jiff::Timestamp;
use kdoctor::model::{
    CheckId, Evidence, Finding, FixOption, Linked, Placeholder, Remediation, Report, ResourceRef, Risk, RootGroup,
    Severity, Stats, Step, StepKind, Target,
};
use kdoctor::render;
use kdoctor::term::Printer;

fn step(check: &'static str, command: &str, placeholders: Vec<Placeholder>) -> Step {
    Step {
        kind: StepKind::Command,
        risk: Risk::Change,
        text: format!("Do {command}."),
        command: command.into(),
        keeps: false,
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
        muted_roots: Vec::new(),
        mutes: Vec::new(),
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

/// Some root causes of each of these checks, with a change as their fix.
fn roots(checks: &[(&'static str, usize)]) -> Report {
    let mut made = report();
    made.findings.clear();
    for (check, count) in checks {
        for at in 0..*count {
            let fix = Remediation {
                steps: vec![
                    Step { risk: Risk::ReadOnly, ..step(check, "look", Vec::new()) },
                    step(check, &format!("mend {check} {at}"), Vec::new()),
                ],
                ..Remediation::default()
            };
            let mut one = finding(check, fix);
            one.message = format!("{check} {at} is broken: evil *<b>* {}", "and says so at length ".repeat(10));
            made.findings.push(one);
        }
    }
    let all = made.findings.len();
    made.links = vec![Linked::default(); all];
    made.roots = (0..all).map(|root| RootGroup { root, prerequisites: Vec::new(), explains: Vec::new() }).collect();
    made
}

fn plain(report: &Report, verbose: bool, short: bool) -> String {
    let printer = Printer { color: false, width: Some(80), progress: false };
    render::table(report, &render::TableOptions::new(&printer, verbose).short(short))
}

#[test]
fn several_root_causes_begin_with_what_to_do_first() {
    let text = plain(&roots(&[("one", 1), ("two", 1)]), false, false);
    let (overview, details) = text.split_once("\n\n1. error[one]\n").expect("details follow");
    for expected in
        ["what to do first", "1. error[one] one 0 is broken", "   mend one 0", "2. error[two]", "   mend two 0"]
    {
        assert!(overview.contains(expected), "{expected}: {overview}");
    }
    assert!(!overview.contains("look") && details.contains("look"), "{text}");
    assert!(!plain(&roots(&[("one", 1)]), false, false).contains("what to do first"));
}

#[test]
fn what_keeps_a_copy_comes_before_the_change() {
    let mut made = roots(&[("one", 1), ("two", 1)]);
    let copy = &mut made.findings[0].remediation.steps[0];
    (copy.keeps, copy.command) = (true, "save > copy".to_owned());
    let text = plain(&made, false, true);
    assert!(text.contains("Do look.\n   save > copy") && !text.contains("mend one 0"), "{text}");
    assert!(text.contains("mend two 0"), "{text}");
}

#[test]
fn nothing_is_a_symptom_of_itself() {
    let mut made = roots(&[("one", 1)]);
    let mut same = finding("two", Remediation::default());
    same.subjects.clone_from(&made.findings[0].subjects);
    made.findings.extend([same, finding("three", Remediation::default())]);
    made.links = vec![Linked::default(); 3];
    made.roots[0].explains = vec![1];
    let text = plain(&made, false, false);
    assert!(!text.contains("which explains"), "{text}");
    assert!(text.contains("explains what else is said of it\n     two: Pod n/one\n"), "{text}");
    made.roots[0].explains = vec![1, 2];
    let text = plain(&made, false, false);
    assert!(text.contains(", which explains 1 symptom\n") && text.contains("explains 1 Pod\n"), "{text}");
}

#[test]
fn the_short_form_is_the_overview_alone() {
    let text = plain(&roots(&[("one", 1)]), false, true);
    assert!(text.contains("1. error[one]") && text.contains("   mend one 0"), "{text}");
    assert!(!text.contains("fix:") && text.lines().count() < 10, "{text}");
}

#[test]
fn many_alike_are_counted_unless_all_are_wanted() {
    let many = roots(&[("one", 2000), ("two", 2)]);
    let text = plain(&many, false, false);
    assert!(text.contains("error[one] 1995 more: Pod n/one"), "{text}");
    assert!(text.contains("2002. error[two]"), "{text}");
    assert!(text.lines().count() < 150, "{}", text.lines().count());
    assert!(plain(&many, true, false).contains("mend one 1999"));
    let page = render::markdown(&many, render::MarkdownOptions::default());
    assert!(page.lines().count() < 300, "{}", page.lines().count());
}

#[test]
fn what_a_message_quotes_is_not_said_again() {
    let mut made = roots(&[("one", 1)]);
    let said = "could not find a server in the whole of the cluster";
    made.findings[0].message = format!("one is broken: {said}");
    made.findings[0].evidence =
        vec![Evidence::new("event of one", said, ""), Evidence::new("its log", "another thing altogether", "")];
    let text = plain(&made, false, false);
    assert_eq!(text.matches("find a server").count(), 1, "{text}");
    assert!(text.contains("event of one") && text.contains("another thing altogether"), "{text}");
}

#[test]
fn markdown_unfolds_and_holds_no_markup_from_outside() {
    let page = render::markdown(&roots(&[("one", 1)]), render::MarkdownOptions::default());
    insta::assert_snapshot!(page);
    assert!(!page.contains("<b>"), "{page}");
    let short = render::markdown(&roots(&[("one", 1)]), render::MarkdownOptions { short: true, verbose: false });
    assert!(!short.contains("<details>") && short.contains("mend one 0"), "{short}");
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

/// `a` explains `b`, which explains `c`.
fn chain(message: &str) -> Report {
    let mut report = report();
    report.findings = vec![
        finding("a", Remediation::default()),
        finding("b", Remediation::default()),
        finding("c", Remediation::default()),
    ];
    report.findings[0].message = message.to_owned();
    let caused_by = |causes: Vec<usize>| Linked { caused_by: causes, needed_by: Vec::new() };
    report.links = vec![caused_by(Vec::new()), caused_by(vec![0]), caused_by(vec![1])];
    report.roots = vec![RootGroup { root: 0, prerequisites: Vec::new(), explains: vec![1, 2] }];
    report
}

fn page(report: &Report) -> String {
    render::html(report, None, true).expect("a page")
}

#[test]
fn on_a_page_what_a_cluster_says_stays_text() {
    let page = page(&chain("<script>alert(1)</script>\u{1b}[2J\u{202e}"));
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert_eq!(page.matches("<script>").count(), 1, "its own");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
}

#[test]
fn a_page_asks_nothing_of_the_outside_and_its_policy_lets_it_work() {
    use base64::Engine;
    use sha2::Digest;
    let page = page(&chain("x"));
    for outside in ["src=", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let between = |open: &str, close: &str| {
        let (_, rest) = page.split_once(open).expect("is there");
        rest.split_once(close).expect("ends").0.to_owned()
    };
    for part in [between("<style>", "</style>"), between("<script>", "</script>")] {
        let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(part.as_bytes()));
        assert!(page.contains(&format!("sha256-{}", hash.replace('/', "&#x2f;"))), "the policy forbids it");
    }
}

#[test]
fn on_a_page_causes_stand_left_of_what_they_explain() {
    let page = page(&chain("x"));
    let boxes = page.match_indices("<rect x=\"").map(|(at, mark)| &page[at + mark.len()..]);
    let boxes: Vec<&str> = boxes.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(boxes, ["0", "280", "560"]);
    assert_eq!(page.matches("<path class=\"causes\"").count(), 2);
}

/// Two fixes that end with the same look ask for it once, after everything else.
#[test]
fn what_shows_that_it_worked_is_asked_once() {
    let mut report = report();
    let same = step("need", "see", Vec::new());
    report.findings[0].remediation.verify[0].text.clone_from(&same.text);
    report.findings[1].remediation.verify = vec![same, step("need", "see-first", Vec::new())];
    let commands: Vec<&str> = report.verification(&report.roots[0]).into_iter().map(|s| s.command.as_str()).collect();
    assert_eq!(commands, ["see-first", "see"]);
}
