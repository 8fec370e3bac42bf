//! Severities that a team gives to checks. They apply before findings are linked: what is only worth knowing is no root.

use std::collections::BTreeMap;

use super::engine;
use crate::checks::Check;
use crate::model::{Finding, Report, Severity};
use crate::snapshot::Snapshot;

/// Severities of checks, where they differ from those of the checks themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grades(BTreeMap<String, Severity>);

impl Grades {
    /// By the checks' ids.
    pub fn new(grades: BTreeMap<String, Severity>) -> Self {
        Self(grades)
    }

    /// [`super::run`] with these severities.
    pub fn run(&self, snap: &Snapshot, checks: &[&dyn Check]) -> Report {
        engine::run_graded(snap, checks, self)
    }

    /// [`super::run_checks`] with these severities.
    pub fn run_checks(&self, snap: &Snapshot, checks: &[&dyn Check]) -> Report {
        engine::run_checks_graded(snap, checks, self)
    }

    /// [`super::run_files`] with these severities.
    pub fn run_files(&self, snap: &mut Snapshot, checks: &[&dyn Check], cluster_too: bool) -> Report {
        engine::run_files_graded(snap, checks, cluster_too, self)
    }

    /// What a check finds is of the severity that it was given; what it says for information stays that.
    pub(super) fn apply(&self, finding: &mut Finding) {
        if let Some(severity) = self.0.get(finding.check.0)
            && finding.severity > Severity::Info
        {
            finding.severity = *severity;
        }
    }
}
