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

/// 0 nothing at or above `fail_on` · 1 findings at or above it · 3 with `strict`, a check could not be evaluated.
/// Findings whose fingerprint is `known` do not count.
pub fn exit_code(report: &Report, known: &BTreeSet<String>, fail_on: FailOn, strict: bool) -> u8 {
    let worst = report.findings.iter().filter(|f| !known.contains(&f.fingerprint)).map(|f| f.severity).max();
    if fail_on.threshold().is_some_and(|t| worst.is_some_and(|w| w >= t)) {
        return 1;
    }
    if fail_on == FailOn::Signal && report.signals.iter().any(Signal::is_open) {
        return 1;
    }
    let unseen = |outcome: &Outcome| matches!(outcome, Outcome::NotEvaluated(_) | Outcome::Failed(_));
    let unread = report.target.manifests.is_some_and(|m| m.unread > 0);
    if strict && (unread || report.runs.iter().any(|r| unseen(&r.outcome))) {
        return 3;
    }
    0
}
