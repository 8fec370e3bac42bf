//! JUnit XML: one test case for each check.

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::{fails, told};
use crate::model::{CheckRun, Finding, Outcome, Report, Severity};
use crate::term::sanitize;

/// The report as test results: findings at or above `from` are failures, what could not be evaluated is skipped.
///
/// # Errors
/// The XML could not be written.
pub fn junit(report: &Report, from: Option<Severity>) -> anyhow::Result<String> {
    let mut document = Junit::new("kdoctor");
    let mut suite: Option<TestSuite> = None;
    for run in &report.runs {
        let name = format!("kdoctor.{}", run.check.suite);
        if suite.as_ref().is_none_or(|s| s.name.as_str() != name)
            && let Some(done) = suite.replace(TestSuite::new(name))
        {
            document.add_test_suite(done);
        }
        if let Some(suite) = &mut suite {
            suite.add_test_case(case(report, run, from));
        }
    }
    document.add_test_suites(suite);
    Ok(without_sum(&document.to_string()?))
}

/// The schema of Jenkins' xUnit has no number of skipped tests at the top, and refuses a file with one.
fn without_sum(xml: &str) -> String {
    let Some((head, rest)) = xml.split_once(" skipped=\"") else { return xml.to_owned() };
    let is_top = head.ends_with('"') && !head.contains("<testsuite ");
    let after = rest.split_once('"').map_or("", |(_, after)| after);
    if is_top { format!("{head}{after}") } else { xml.to_owned() }
}

fn case(report: &Report, run: &CheckRun, from: Option<Severity>) -> TestCase {
    let of_check: Vec<&Finding> = report.counted().filter(|f| f.check == run.check.id).collect();
    let failing: Vec<&&Finding> = of_check.iter().filter(|f| fails(f, from)).collect();
    let status = match (&run.outcome, failing.first()) {
        (_, Some(first)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let all: Vec<String> = failing.iter().map(|f| told(f)).collect();
            status
                .set_type(first.severity.to_string())
                .set_message(sanitize(&first.message))
                .set_description(all.join("\n\n"));
            status
        }
        (Outcome::NotEvaluated(gap), None) => skipped(&gap.to_string()),
        (Outcome::NotApplicable(why), None) => skipped(&format!("not applicable: {why}")),
        (Outcome::Failed(bug), None) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(sanitize(bug));
            status
        }
        (Outcome::Pass | Outcome::Findings(_), None) => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(run.check.id.0, status);
    case.set_classname(format!("kdoctor.{}", run.check.suite));
    let below: Vec<String> = of_check.iter().filter(|f| !fails(f, from)).map(|f| told(f)).collect();
    if !below.is_empty() {
        case.set_system_out(below.join("\n\n"));
    }
    case
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(sanitize(why));
    status
}
