//! From a report to an exit code; the same for every output.

use std::collections::BTreeSet;

use crate::model::{Outcome, Report, Severity, Signal};

/// From which severity on a finding fails the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Only errors.
    Error,
    /// Warnings, errors, and signals of weight that no root cause explains.
    Signal,
    /// Warnings and errors.
    Warning,
    /// Nothing: findings never fail the run.
    Never,
}

impl FailOn {
    /// The severity from which on a finding fails the run.
    pub fn threshold(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning | Self::Signal => Some(Severity::Warning),
            Self::Never => None,
        }
    }
}

/// 0 nothing at or above `fail_on` · 1 findings at or above it · 2 nothing could be evaluated · 3 with `strict`, a check could not be evaluated.
/// Findings whose fingerprint is `known` do not count, and none that is muted.
pub fn exit_code(report: &Report, known: &BTreeSet<String>, fail_on: FailOn, strict: bool) -> u8 {
    let worst = report.counted().filter(|f| !known.contains(&f.fingerprint)).map(|f| f.severity).max();
    if fail_on.threshold().is_some_and(|t| worst.is_some_and(|w| w >= t)) {
        return 1;
    }
    if fail_on == FailOn::Signal && report.signals.iter().any(Signal::is_open) {
        return 1;
    }
    if judged_nothing(report) {
        return 2;
    }
    let unread = report.target.manifests.as_ref().is_some_and(|m| m.unread > 0);
    if strict && (unread || report.runs.iter().any(|r| unseen(&r.outcome))) {
        return 3;
    }
    0
}

/// Not one check could be evaluated, and none found anything wrong: nobody may take this for a pass. A note is no judgement.
pub fn judged_nothing(report: &Report) -> bool {
    !report.findings.iter().any(|f| f.severity > Severity::Info) && report.runs.iter().all(|r| unseen(&r.outcome))
}

fn unseen(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotEvaluated(_) | Outcome::Failed(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;
    use crate::diagnose;
    use crate::snapshot::Snapshot;

    #[test]
    fn a_gate_does_not_pass_on_nothing() {
        let snap = Snapshot::empty("2026-11-21T00:00:00Z".parse().expect("a time"));
        let report = diagnose::run(&snap, &checks::registry());
        assert!(judged_nothing(&report));
        assert_eq!(exit_code(&report, &BTreeSet::new(), FailOn::Error, false), 2);
        assert_eq!(exit_code(&report, &BTreeSet::new(), FailOn::Error, true), 2);
        // A note is no judgement.
        let mut noted = report;
        let about = crate::model::ResourceRef::pod("monitoring", "prometheus-0");
        noted.findings.push(crate::model::Finding::new(noted.runs[0].check.id, Severity::Info, about, "a note"));
        assert_eq!(exit_code(&noted, &BTreeSet::new(), FailOn::Error, false), 2);
    }
}
