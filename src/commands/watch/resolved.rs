//! Whether nothing is left to wait for.

use std::collections::BTreeSet;

use crate::diagnose::{FailOn, exit_code};
use crate::history::Board;
use crate::model::{GapCause, Outcome, Report};
use crate::render::live::severity;

/// Nothing at or above `fail_on` is there, nothing of it is only out of sight, and no check lost its sight for a reason that
/// passes: what it would find is not known.
pub(super) fn is_resolved(board: &Board, report: &Report, fail_on: FailOn) -> bool {
    let bad = |name: &str| fail_on.threshold().is_some_and(|t| severity(name).is_none_or(|s| s >= t));
    let is_hidden = board.entries().iter().any(|e| e.hidden.is_some() && bad(&e.finding.severity));
    board.blind().is_none() && !is_hidden && !has_lost_sight(report) && gate(report, fail_on)
}

fn gate(report: &Report, fail_on: FailOn) -> bool {
    exit_code(report, &BTreeSet::new(), fail_on, false) == 0
}

fn has_lost_sight(report: &Report) -> bool {
    let passes = |cause: &GapCause| {
        matches!(cause, GapCause::Timeout | GapCause::Unreachable | GapCause::Unauthorized | GapCause::Throttled)
    };
    report.runs.iter().any(|run| matches!(&run.outcome, Outcome::NotEvaluated(gap) if passes(&gap.cause)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::checks;
    use crate::history::Past;
    use crate::model::{CheckRun, Gap, Stats, Target};

    /// A check that looked, and one that ended like this.
    fn report(outcome: Outcome) -> Report {
        let check = *checks::find("pvc-pending").expect("is there").meta();
        let run = |outcome| CheckRun { check, unseen: Vec::new(), outcome };
        Report {
            target: Target::default(),
            collected_at: Timestamp::UNIX_EPOCH,
            roots: Vec::new(),
            links: Vec::new(),
            findings: Vec::new(),
            muted_roots: Vec::new(),
            mutes: Vec::new(),
            signals: Vec::new(),
            runs: vec![run(Outcome::Pass), run(outcome)],
            gaps: Vec::new(),
            stats: Stats::default(),
        }
    }

    fn resolved(outcome: Outcome) -> bool {
        let report = report(outcome);
        let mut board = Board::default();
        board.saw(Timestamp::UNIX_EPOCH, &Past::of(&report));
        is_resolved(&board, &report, FailOn::Error)
    }

    #[test]
    fn a_first_look_that_saw_nothing_resolves_nothing() {
        assert!(resolved(Outcome::Pass));
        for cause in [GapCause::Timeout, GapCause::Unreachable, GapCause::Unauthorized, GapCause::Throttled] {
            let gap = Gap::new("GET /api/v1/persistentvolumeclaims", cause.clone(), "no answer");
            assert!(!resolved(Outcome::NotEvaluated(gap)), "{cause:?}");
        }
        // No waiting mends a right that nobody has.
        let refused = GapCause::Forbidden { permission: "list pods".into() };
        assert!(resolved(Outcome::NotEvaluated(Gap::new("GET /api/v1/pods", refused, "no"))));
    }
}
