//! Every check over every fixture: what fires, what stays quiet, what cannot be told.

#[path = "matrix/advice.rs"]
mod advice;
#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/planted.rs"]
mod planted;
#[path = "matrix/ways.rs"]
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use fixtures::root;
use kdoctor::bundle::Bundle;
use kdoctor::checks::{self, Check};
use kdoctor::collect::client::Client;
use kdoctor::collect::{self, Plan};
use kdoctor::diagnose;
use kdoctor::model::{Diagnosis, Fact, Gap, GapCause, Outcome, Report, Severity, Silent, Suite};
use kdoctor::pages;
use kdoctor::render::TableOptions;
use kdoctor::snapshot::Snapshot;
use kdoctor::term::Printer;
use planted::{Planted, SECRET};
use serde::Deserialize;

fn snapshot(fixture: &str) -> Snapshot {
    snapshot_at(&root().join(fixture))
}

fn snapshot_at(path: &Path) -> Snapshot {
    let fixture = path.display();
    let bundle = Bundle::open(path).unwrap_or_else(|e| panic!("{fixture}: {e}"));
    let plan = Plan::new(diagnose::facts(&checks::registry()), bundle.collected_at());
    let client = Client::new(Arc::new(bundle), Arc::new(Silent));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(collect::gather(&client, &plan)).unwrap_or_else(|gap| panic!("{fixture}: {gap}"))
}

/// The report of each fixture, made once for all tests.
fn report(fixture: &str) -> &'static Report {
    static REPORTS: OnceLock<BTreeMap<String, Report>> = OnceLock::new();
    let reports = REPORTS.get_or_init(|| {
        let names = fixtures::all();
        let (next, made) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let report = diagnose::run(&snapshot(name), &checks::registry());
                        made.lock().expect("no thread panics with it").insert(name.clone(), report);
                    }
                });
            }
        });
        made.into_inner().expect("no thread panicked with it")
    });
    reports.get(fixture).unwrap_or_else(|| panic!("there is no fixture {fixture}"))
}

fn outcome_of<'a>(report: &'a Report, check: &str) -> &'a Outcome {
    let run = report.runs.iter().find(|r| r.check.id.0 == check);
    &run.unwrap_or_else(|| panic!("no check {check}")).outcome
}

#[derive(Deserialize)]
struct Case {
    fixture: String,
    /// The check whose file it is in.
    #[serde(skip)]
    check: String,
    expect: String,
    contains: Vec<String>,
}

/// What `fixtures/expect/<check-id>.json` say.
fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root().join("expect")).expect("fixtures/expect is there") {
        let path = entry.expect("a folder entry").path();
        let check = path.file_stem().and_then(|s| s.to_str()).expect("UTF-8 names").to_owned();
        let text = std::fs::read_to_string(&path).expect("readable");
        let cases: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        all.extend(cases.into_iter().map(|case| Case { check: check.clone(), ..case }));
    }
    all.sort_by(|a, b| (&a.check, &a.fixture).cmp(&(&b.check, &b.fixture)));
    all
}

#[test]
fn each_case_has_the_verdict_it_must_have() {
    let mut wrong = Vec::new();
    for case in cases() {
        let report = report(&case.fixture);
        let found: Vec<_> = report.findings.iter().filter(|f| f.check.0 == case.check).collect();
        let above_info = found.iter().filter(|f| f.severity > Severity::Info).count();
        let outcome = outcome_of(report, &case.check);
        let holds = match case.expect.as_str() {
            "fires" => above_info > 0,
            "clear" => found.is_empty() && matches!(outcome, Outcome::Pass | Outcome::NotApplicable(_)),
            "info" => !found.is_empty() && above_info == 0,
            "not_evaluated" => matches!(outcome, Outcome::NotEvaluated(_)),
            other => panic!("unknown expectation {other}"),
        };
        let all = format!("{found:#?} {outcome:?}");
        let lacks: Vec<_> = case.contains.iter().filter(|c| !all.contains(c.as_str())).collect();
        if !holds || !lacks.is_empty() {
            wrong.push(format!(
                "{} on {}: expected {}, got {outcome:?}; lacks {lacks:?}",
                case.check, case.fixture, case.expect
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_check_fires_somewhere_and_is_quiet_somewhere() {
    let cases = cases();
    for check in checks::registry() {
        let id = check.meta().id.0;
        // What is only worth knowing fires as information.
        let loud = if check.meta().severity == Severity::Info { "info" } else { "fires" };
        for expect in [loud, "clear"] {
            assert!(cases.iter().any(|c| c.check == id && c.expect == expect), "{id} has no case that {expect}");
        }
    }
    let named: BTreeSet<&str> = cases.iter().map(|c| c.fixture.as_str()).collect();
    for fixture in fixtures::all().iter().filter(|f| f.starts_with("cases/")) {
        assert!(named.contains(fixture.as_str()), "{fixture} is in no case");
    }
}

/// One snapshot for each fixture, so that a change shows where it belongs.
#[test]
fn all_is_well_is_said_only_where_nothing_is_unexplained() {
    let plain = TableOptions::new(&Printer { color: false, width: None, progress: false }, false);
    for fixture in fixtures::all() {
        let report = report(&fixture);
        let open: Vec<&str> = report.signals.iter().filter(|s| s.is_open()).map(|s| s.title.as_str()).collect();
        let text = kdoctor::render::table(report, &plain);
        let first = text.lines().next().unwrap_or_default();
        if fixture.starts_with("healthy/") {
            assert!(open.is_empty(), "{fixture}: {open:?}");
        }
        assert!(open.is_empty() || !first.contains("no problem found"), "{fixture}: {first}; {open:?}");
        if report.roots.is_empty() && !open.is_empty() {
            assert!(text.contains("no known cause for") && text.contains("unexplained"), "{fixture}: {text}");
        }
    }
}

#[test]
fn every_fixture_is_judged_as_reviewed() {
    let mut wrong = Vec::new();
    let mut expected = BTreeSet::new();
    for fixture in fixtures::all() {
        let name = fixture.replace('/', "__");
        expected.insert(format!("{name}.snap"));
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("snapshots/matrix");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let lines = verdicts(report(&fixture));
        let holds = std::panic::catch_unwind(AssertUnwindSafe(|| {
            settings.bind(|| insta::assert_snapshot!(name, lines.join("\n")));
        }));
        if holds.is_err() {
            wrong.push(fixture);
        }
    }
    assert!(wrong.is_empty(), "not as reviewed: {}", wrong.join(" "));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/matrix");
    let there = std::fs::read_dir(folder).expect("snapshots are there").map(|e| e.expect("an entry").file_name());
    let there = there.map(|name| name.into_string().expect("UTF-8 names")).filter(|name| name.ends_with(".snap"));
    let over: Vec<String> = there.filter(|name| !expected.contains(name)).collect();
    assert!(over.is_empty(), "snapshots without a fixture: {over:?}");
}

/// How each check ended, but for those that passed.
fn verdicts(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let mut unread = Vec::new();
    for run in &report.runs {
        let text = match &run.outcome {
            Outcome::Pass => continue,
            // A small fixture lacks most answers: one line says which checks that silences.
            Outcome::NotEvaluated(gap) if gap.is_not_collected() => {
                unread.push(run.check.id.0);
                continue;
            }
            Outcome::Findings(_) => {
                let of_check = report.findings.iter().enumerate().filter(|(_, f)| f.check == run.check.id);
                let shown = of_check.map(|(at, f)| {
                    let root = if report.roots.iter().any(|g| g.root == at) { "ROOT " } else { "" };
                    format!(
                        "{root}{} {}",
                        f.severity,
                        f.subjects.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
                    )
                });
                shown.collect::<Vec<_>>().join("\n      ")
            }
            // Most fixtures are of a cluster and hold no files.
            Outcome::NotApplicable(_) if run.check.suite == Suite::Manifests => continue,
            Outcome::NotApplicable(why) => format!("not applicable: {why}"),
            Outcome::NotEvaluated(gap) => format!("not evaluated: {gap}"),
            Outcome::Failed(bug) => format!("FAILED: {bug}"),
        };
        lines.push(format!("{}: {text}", run.check.id));
    }
    let open = report.signals.iter().filter(|s| s.is_open());
    lines.extend(open.map(|s| format!("unexplained: {}", s.title)));
    if !unread.is_empty() {
        lines.push(format!("not read: {}", unread.join(" ")));
    }
    lines
}

/// The root checks of a fixture, and all checks that found something.
fn causes(fixture: &str) -> (Vec<&'static str>, BTreeSet<&'static str>) {
    let report = report(fixture);
    let roots = report.roots.iter().map(|g| report.findings[g.root].check.0).collect();
    (roots, report.findings.iter().map(|f| f.check.0).collect())
}

#[test]
fn a_chain_of_symptoms_has_one_root() {
    for (fixture, root, symptoms) in [
        // No driver: no volume, no pod, no endpoint, no data in Grafana.
        (
            "demo/ebs-csi-missing",
            "ebs-csi-addon-missing",
            &["oidc-provider-missing", "pvc-pending", "pod-pending", "service-no-endpoints", "grafana-datasource"][..],
        ),
        // A second default: Grafana crashes, its Service is empty, its target is down.
        (
            "cases/crash-loop-second-default-datasource",
            "grafana-default-datasource",
            &["crash-loop", "service-no-endpoints", "target-down"],
        ),
        (
            "incidents/prometheus-crashloop-config",
            "prometheus-config",
            &["crash-loop", "service-no-endpoints", "grafana-datasource"],
        ),
        ("incidents/nodeport-range", "node-port-range", &["grafana-datasource"]),
        // A node dies: its Prometheus has no node to go to, and Grafana no data.
        (
            "cases/node-lost",
            "node-not-ready",
            &["pod-pending", "service-no-endpoints", "grafana-datasource", "port-forward"],
        ),
        ("cases/network-policy-api-server-egress", "network-policy-blocks", &["crash-loop"]),
        ("cases/prometheus-sub-path-missing", "config-error", &["service-no-endpoints"]),
        ("cases/dns-second-node-group", "security-group-blocks", &["dns", "target-down"]),
    ] {
        let (roots, found) = causes(fixture);
        assert_eq!(roots, [root], "{fixture}");
        assert!(symptoms.iter().all(|s| found.contains(s)), "{fixture}: {found:?}");
    }
}

#[test]
fn faults_that_have_nothing_to_do_with_each_other_stay_apart() {
    let (mut roots, _) = causes("incidents/alerts-muted");
    roots.sort_unstable();
    assert_eq!(roots, ["alerts-muted", "service-no-endpoints"]);
    let (roots, _) = causes("incidents/targets-down");
    assert_eq!(roots.len(), 6, "{roots:?}");
}

#[test]
fn healthy_clusters_are_silent() {
    for fixture in fixtures::all().iter().filter(|f| f.starts_with("healthy/")) {
        let report = report(fixture);
        assert!(report.findings.is_empty(), "{fixture}: {:#?}", report.findings);
        assert!(report.roots.is_empty());
    }
}

/// Without a fact that it requires, a check says "not evaluated"; it never says that all is well.
#[test]
fn a_missing_fact_is_never_a_pass() {
    let snapshots: Vec<Snapshot> =
        ["healthy/plain", "demo/ebs-csi-missing", "incidents/targets-down"].map(snapshot).into();
    for check in checks::registry() {
        for fact in check.meta().requires {
            for full in &snapshots {
                let mut snap = full.clone();
                let gap = Gap::new(fact.as_str(), GapCause::Timeout, "dropped by the test");
                snap.forget(*fact, &gap);
                let report = diagnose::run(&snap, &[check]);
                let outcome = &report.runs[0].outcome;
                assert!(
                    !matches!(outcome, Outcome::Pass | Outcome::Failed(_)),
                    "{} without {fact}: {outcome:?}",
                    check.meta().id
                );
            }
        }
    }
}

/// With nothing but gaps no check passes, finds anything, or fails.
#[test]
fn an_empty_snapshot_gives_no_verdict_at_all() {
    let snap = Snapshot::empty(snapshot("healthy/plain").collected_at);
    let report = diagnose::run(&snap, &checks::registry());
    for run in &report.runs {
        assert!(matches!(run.outcome, Outcome::NotEvaluated(_)), "{}: {:?}", run.check.id, run.outcome);
    }
}

/// Losing optional facts must not make a check fail or invent a finding on a healthy cluster.
#[test]
fn losing_any_single_fact_raises_no_alarm_on_a_healthy_cluster() {
    for fixture in ["healthy/plain", "healthy/kube-prometheus-stack"] {
        let full = snapshot(fixture);
        for fact in kdoctor::model::Fact::ALL {
            let mut snap = full.clone();
            snap.forget(*fact, &Gap::new(fact.as_str(), GapCause::Timeout, "dropped by the test"));
            let report = diagnose::run(&snap, &checks::registry());
            let alarms: Vec<_> = report.findings.iter().filter(|f| f.severity > Severity::Info).collect();
            assert!(alarms.is_empty(), "{fixture} without {fact}: {alarms:#?}");
            assert!(!report.runs.iter().any(|r| matches!(r.outcome, Outcome::Failed(_))), "{fixture} without {fact}");
        }
    }
}

/// Any one answer lost, refused or replaced by a login page leaves a healthy cluster without an alarm.
#[test]
fn losing_any_single_answer_raises_no_alarm_on_a_healthy_cluster() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let files = fixtures::copy(&root().join("healthy/plain"), dir.path());
    assert!(files.len() > 50, "{}", files.len());
    let refused = r#"{"kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"no"}"#;
    let denied = r#"{"code":"AccessDenied","message":"no"}"#;
    for file in files.iter().filter(|f| !f.ends_with("kdoctor.json")) {
        let saved = std::fs::read(file).expect("readable");
        let name = file.to_string_lossy().into_owned();
        let plain = name.trim_end_matches(".gz").trim_end_matches(".json");
        let (error, page) = (format!("{plain}.error.json"), format!("{plain}.json"));
        let error_text = if name.contains("/aws/") { denied } else { refused };
        for (made, text) in [(None, ""), (Some(&error), error_text), (Some(&page), "<html>log in</html>")] {
            std::fs::remove_file(file).expect("removable");
            if let Some(made) = made {
                std::fs::write(made, text).expect("writable");
            }
            let report = diagnose::run(&snapshot_at(dir.path()), &checks::registry());
            let alarms: Vec<_> = report.findings.iter().filter(|f| f.severity > Severity::Info).collect();
            assert!(alarms.is_empty(), "{name} replaced by {made:?}: {alarms:#?}");
            if let Some(made) = made {
                std::fs::remove_file(made).expect("removable");
            }
            std::fs::write(file, &saved).expect("writable");
        }
    }
}

/// A verdict does not depend on which other checks run beside it: without the facts that it does not declare, each
/// check says what it says in the full run.
#[test]
fn a_verdict_does_not_depend_on_the_other_checks() {
    let mut wrong = Vec::new();
    for fixture in fixtures::all() {
        let full = snapshot(&fixture);
        for check in checks::registry() {
            let meta = check.meta();
            let undeclared = Fact::ALL.iter().filter(|f| !meta.requires.contains(f) && !meta.uses.contains(f));
            let undeclared: Vec<Fact> = undeclared.copied().collect();
            let said = check.diagnose(&full);
            let says_the_same_without = |facts: &[Fact]| says_the_same(&said, &check.diagnose(&without(&full, facts)));
            if !says_the_same_without(&undeclared) {
                let read = undeclared.iter().filter(|f| !says_the_same_without(&[**f]));
                let read: Vec<&str> = read.map(|f| f.as_str()).collect();
                wrong.push(format!("{} on {fixture} reads what it does not declare: {}", meta.id, read.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn without(full: &Snapshot, facts: &[Fact]) -> Snapshot {
    let mut snap = full.clone();
    for fact in facts {
        snap.forget(*fact, &kdoctor::snapshot::not_collected(*fact));
    }
    snap
}

fn says_the_same(one: &Result<Diagnosis, Gap>, other: &Result<Diagnosis, Gap>) -> bool {
    match (one, other) {
        (Ok(Diagnosis::Findings(one)), Ok(Diagnosis::Findings(other))) => one == other,
        (Ok(Diagnosis::NotApplicable(one)), Ok(Diagnosis::NotApplicable(other))) => one == other,
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

#[test]
fn no_report_shows_a_planted_secret() {
    let printer = kdoctor::term::Printer { color: false, width: None, progress: false };
    let (mut shown, mut masked) = (Vec::new(), BTreeSet::new());
    for fixture in fixtures::all() {
        let bundle = Bundle::open(&root().join(&fixture)).unwrap_or_else(|e| panic!("{fixture}: {e}"));
        let plan = Plan::new(diagnose::facts(&checks::registry()), bundle.collected_at());
        let client = Client::new(Arc::new(Planted(bundle)), Arc::new(Silent));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let Ok(snap) = runtime.block_on(collect::gather(&client, &plan)) else { continue };
        let report = diagnose::run(&snap, &checks::registry());
        let table = kdoctor::render::table(&report, &kdoctor::render::TableOptions::new(&printer, true));
        let json = kdoctor::render::json(&report, None).expect("renders");
        for line in table.lines().chain(json.lines()).filter(|l| l.contains(SECRET)) {
            shown.push(format!("{fixture}: {}", line.trim().chars().take(300).collect::<String>()));
        }
        masked.extend(report.findings.iter().filter(|f| format!("{f:?}").contains("<redacted>")).map(|f| f.check.0));
    }
    assert!(shown.is_empty(), "{} lines:\n{}", shown.len(), shown[..shown.len().min(40)].join("\n"));
    assert!(masked.len() > 15, "the plants reach few checks: {masked:?}");
}

/// Commands of every fixture are whole shell commands: they parse, and no template or empty value is left in them.
#[test]
fn every_command_is_complete() {
    let mut seen = 0;
    let mut distinct = BTreeSet::new();
    for fixture in fixtures::all() {
        let report = report(&fixture);
        for finding in &report.findings {
            let fix = &finding.remediation;
            assert!(!fix.steps.is_empty() || !fix.options.is_empty(), "{fixture}: {} has no step", finding.check);
            let commands = fix.all_steps().filter(|s| s.kind.is_shell()).map(|s| &s.command);
            for command in commands.chain(finding.evidence.iter().map(|e| &e.reproduce)) {
                seen += 1;
                let words =
                    shlex::split(command).unwrap_or_else(|| panic!("{fixture}: not a shell command: {command}"));
                assert!(!words.is_empty(), "{fixture}: {} has an empty command", finding.check);
                assert!(!command.contains("{{") && !command.contains("{%"), "{fixture}: template left in {command}");
                // The group of Services is the empty one.
                let empty = command.replace("group: \"\"", "group: core");
                let empty = shlex::split(&empty).unwrap_or_default();
                assert!(!empty.iter().any(String::is_empty), "{fixture}: empty value in {command}");
                assert!(!words.iter().any(|w| w.starts_with("<-")), "{fixture}: an option is no value: {command}");
                assert!(!words.iter().any(|w| w.ends_with("/") && w.contains("configmap/")), "{fixture}: {command}");
                assert_eq!(open_pattern(command), None, "{fixture}: zsh looks for files of this name: {command}");
                distinct.insert(command.clone());
            }
        }
    }
    assert!(seen > 200, "only {seen} commands were looked at");
    let elsewhere = pages::Invocation {
        context: Some("prod eu".into()),
        kubeconfig: Some("/tmp/k 1".into()),
        profile: Some("o'ps".into()),
        region: Some("eu-west-1".into()),
    };
    // One shell for all: each within a function of its own.
    let functions = distinct.iter().flat_map(|c| [c.clone(), pages::in_context(c, &elsewhere)]);
    let script: String = functions.enumerate().map(|(at, c)| format!("f{at}() {{\n{c}\n}}\n")).collect();
    if !is_bash(&script) {
        let bad: Vec<_> =
            distinct.iter().filter(|c| !is_bash(c) || !is_bash(&pages::in_context(c, &elsewhere))).collect();
        panic!("bash does not read this: {bad:#?}");
    }
}

/// A word that a shell takes for a pattern of file names: zsh refuses the command where no file has such a name.
fn open_pattern(command: &str) -> Option<String> {
    // What a here-document holds is no word.
    let command = command.split("<<").next().unwrap_or_default();
    let mut bare = String::new();
    let mut all = command.chars().peekable();
    while let Some(letter) = all.next() {
        match letter {
            '\\' => {
                all.next();
            }
            '\'' => {
                all.by_ref().find(|c| *c == '\'');
            }
            '"' => {
                while let Some(inner) = all.next().filter(|c| *c != '"') {
                    if inner == '\\' {
                        all.next();
                    }
                }
            }
            '$' if all.peek() == Some(&'{') => {
                all.by_ref().find(|c| *c == '}');
            }
            '$' if all.peek() == Some(&'?') => {
                all.next();
            }
            other => bare.push(other),
        }
    }
    let is_word_of_the_shell = |w: &str| matches!(w, "[" | "[[" | "{");
    let mut words = bare.split_whitespace().filter(|w| !is_word_of_the_shell(w));
    words.find(|w| w.contains(['[', '*', '?', '{'])).map(str::to_owned)
}

#[test]
fn an_open_pattern_is_seen() {
    for shut in [
        "kubectl get pods -o custom-columns='N:.spec.containers[*].name'",
        "kubectl get pods -o jsonpath='{.items[*]}' | grep \"[a-z]*\"",
        "if [ \"$?\" = 0 ]; then { echo ${A[0]} \\*; }; fi",
    ] {
        assert_eq!(open_pattern(shut), None, "{shut}");
    }
    assert!(open_pattern("kubectl get pods -o custom-columns=N:.spec.containers[*].name").is_some());
    assert!(open_pattern("kubectl get pods -o jsonpath={.items}").is_some());
}

/// `bash -n` reads it without an error, and without a warning about a here-document that does not end.
fn is_bash(command: &str) -> bool {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::io::Write::write_all(&mut file, command.as_bytes()).expect("writable");
    let output = std::process::Command::new("bash").arg("-n").arg(file.path()).output().expect("bash runs");
    output.status.success() && output.stderr.is_empty()
}

/// Each fix of each page is shown by a fixture, but for those listed, which were there before this test: a new one is not
/// added to the list, and one that is shown leaves it.
#[test]
fn every_fix_is_shown_by_some_fixture() {
    let mut shown = BTreeSet::new();
    for fixture in fixtures::all() {
        let report = report(&fixture);
        shown.extend(report.findings.iter().map(|f| format!("{}/{}", f.check, f.variant)));
    }
    let mut missing = Vec::new();
    for check in checks::registry() {
        let page = pages::of(check.meta()).expect("it has a page");
        let all = page.variants().into_iter().map(|variant| format!("{}/{variant}", check.meta().id));
        missing.extend(all.filter(|fix| !shown.contains(fix)));
    }
    missing.sort();
    let listed: Vec<&str> = include_str!("fixes_without_fixture.txt").lines().collect();
    let new: Vec<_> = missing.iter().filter(|m| !listed.contains(&m.as_str())).collect();
    let over: Vec<_> = listed.iter().filter(|l| !missing.iter().any(|m| m == *l)).collect();
    assert!(
        new.is_empty() && over.is_empty(),
        "tests/fixes_without_fixture.txt: without a fixture: {new:#?}; shown by one: {over:#?}"
    );
}

/// Each step and each verification says in words what it is for.
#[test]
fn every_step_says_what_it_is_for() {
    let mut bare = BTreeSet::new();
    for fixture in fixtures::all() {
        let report = report(&fixture);
        for finding in &report.findings {
            let fix = &finding.remediation;
            for step in fix.all_steps().filter(|s| s.text.is_empty()) {
                bare.insert(format!("{} {}: {}", finding.check, finding.variant, step.command));
            }
        }
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

/// Names that a cluster can hold, or that a hostile bundle can claim, stay one word of the command.
#[test]
fn hostile_names_do_not_break_out_of_commands() {
    let hostile = "x'; rm -rf $(id) `id` \" \n\u{1b}[31m& | >";
    let mut snap = snapshot("demo/ebs-csi-missing");
    rename(&mut snap, hostile);
    let report = diagnose::run(&snap, &checks::registry());
    assert!(report.findings.len() >= 3, "the hostile names changed the verdict");
    for finding in &report.findings {
        for command in
            finding.remediation.all_steps().map(|s| &s.command).chain(finding.evidence.iter().map(|e| &e.reproduce))
        {
            assert!(!command.chars().any(|c| c.is_control() && c != '\n'), "control character in {command:?}");
            let words = shlex::split(command).unwrap_or_else(|| panic!("not a shell command: {command}"));
            assert!(!words.iter().any(|w| w == "rm" || w == "-rf"), "{command}");
        }
    }
    let options = kdoctor::render::TableOptions::new(
        &kdoctor::term::Printer { color: false, width: Some(80), progress: false },
        true,
    );
    let text = kdoctor::render::table(&report, &options);
    let written = [
        ("table", text),
        (
            "markdown",
            kdoctor::render::markdown(&report, kdoctor::render::MarkdownOptions { verbose: true, short: false }),
        ),
        ("html", kdoctor::render::html(&report, None, true).expect("a page")),
        ("junit", kdoctor::render::ci::junit(&report, None).expect("XML")),
        ("github", kdoctor::render::ci::github(&report)),
        ("gitlab", kdoctor::render::ci::gitlab(&report)),
        ("sarif", kdoctor::render::ci::sarif(&report, &[])),
    ];
    for (format, text) in written {
        let obeyed = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(obeyed, None, "{format}: a control character reaches the terminal");
    }
}

/// Puts a hostile name on everything that commands are built from.
fn rename(snap: &mut Snapshot, name: &str) {
    let claims: Vec<_> = snap.persistent_volume_claims().expect("claims").to_vec();
    let claims = claims.into_iter().map(|mut c| {
        c.metadata.name = format!("{name}{}", c.metadata.name);
        c
    });
    snap.persistent_volume_claims = kdoctor::snapshot::Listing::cluster(claims.collect());
    let pods: Vec<_> = snap.pods().expect("pods").to_vec();
    let pods = pods.into_iter().map(|mut p| {
        p.metadata.name = format!("{name}{}", p.metadata.name);
        for volume in &mut p.spec.volumes {
            if let Some(claim) = &mut volume.persistent_volume_claim {
                claim.claim_name = format!("{name}{}", claim.claim_name);
            }
        }
        p
    });
    snap.pods = kdoctor::snapshot::Listing::cluster(pods.collect());
    snap.target.cluster = Some(name.to_owned());
    if let Ok(cluster) = snap.eks_cluster.as_mut() {
        cluster.name = name.to_owned();
    }
}

/// Pages, registry and folders match one to one.
#[test]
fn every_check_has_its_page_and_every_page_its_check() {
    let pages_root = Path::new(env!("CARGO_MANIFEST_DIR")).join("checks");
    let mut pages = BTreeSet::new();
    for suite in std::fs::read_dir(&pages_root).expect("checks/ is there") {
        let suite = suite.expect("a folder entry").path();
        if suite.ends_with("_shared") {
            continue;
        }
        for page in std::fs::read_dir(&suite).expect("a suite folder") {
            let path = page.expect("a folder entry").path();
            let stem = path.file_stem().and_then(|s| s.to_str()).expect("UTF-8 names").replace('_', "-");
            pages.insert((suite.file_name().and_then(|s| s.to_str()).expect("UTF-8 names").to_owned(), stem));
        }
    }
    let registered: BTreeSet<(String, String)> =
        checks::registry().iter().map(|c| (c.meta().suite.to_string(), c.meta().id.to_string())).collect();
    assert_eq!(pages, registered);
    let ids: BTreeSet<&str> = checks::registry().iter().map(|c| c.meta().id.0).collect();
    assert_eq!(ids.len(), checks::registry().len(), "an id is used twice");
    for check in checks::registry() {
        page_is_whole(check);
    }
}

fn page_is_whole(check: &dyn Check) {
    let meta = check.meta();
    let page = pages::of(meta).expect("it has a page");
    assert_eq!(page.get("id"), Some(meta.id.0));
    assert_eq!(page.get("title"), Some(meta.title), "{}", meta.id);
    assert_eq!(page.get("severity"), Some(meta.severity.as_str()), "{}", meta.id);
    assert_eq!(page.get("suite"), Some(meta.suite.as_str()), "{}", meta.id);
    assert!(page.get("since").is_some(), "{}", meta.id);
    let headings = page.headings();
    for wanted in ["Symptom", "Cause", "Fix", "Verify", "References"] {
        assert!(headings.contains(&wanted), "{} lacks ## {wanted}", meta.id);
    }
    assert!(!page.variants().is_empty(), "{} has no fix", meta.id);
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/checks")
        .join(meta.suite.as_str())
        .join(meta.id.0.replace('-', "_"));
    let found = file.with_extension("rs").is_file() || file.join("mod.rs").is_file();
    assert!(found, "{} is not at {}", meta.id, file.display());
}
