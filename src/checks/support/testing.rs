//! What a check finds in a test.

use crate::checks::Check;
use crate::model::{Diagnosis, Finding};
use crate::pages;
use crate::snapshot::Snapshot;

/// What a check finds. Every command of every finding is rendered, so that a missing value fails the test.
pub(crate) fn findings(check: &dyn Check, snap: &Snapshot) -> Vec<Finding> {
    match check.diagnose(snap).expect("everything it needs is there") {
        Diagnosis::NotApplicable(_) => Vec::new(),
        Diagnosis::Findings(findings) => findings.into_iter().map(|f| rendered(check, f)).collect(),
    }
}

/// A finding with its fix.
pub(crate) fn rendered(check: &dyn Check, mut finding: Finding) -> Finding {
    pages::finish(check.meta(), &mut finding).expect("the page and the commands render");
    finding
}

/// All commands and texts of a fix, one a line.
pub(crate) fn steps(finding: &Finding) -> String {
    let fix = &finding.remediation;
    let options = fix.options.iter().flat_map(|o| &o.steps);
    let all = fix.steps.iter().chain(options).chain(&fix.verify);
    all.map(|s| format!("{}\n{}\n", s.text, s.command)).collect()
}

/// The findings of a check.
pub(crate) fn applicable(check: &dyn Check, snap: &Snapshot) -> Vec<Finding> {
    match check.diagnose(snap).expect("can be told") {
        Diagnosis::Findings(findings) => findings,
        Diagnosis::NotApplicable(why) => panic!("not applicable: {why}"),
    }
}
