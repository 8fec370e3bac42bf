//! How a check ended.

use super::{Finding, Gap};

/// What a check says of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum Diagnosis {
    /// Looked at everything it needs; these are the faults (none: all is well).
    Findings(Vec<Finding>),
    /// The check has no subject here, and why.
    NotApplicable(String),
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Everything needed was seen and nothing is wrong.
    Pass,
    /// Something is wrong: this many findings.
    Findings(usize),
    /// Nothing here that the check is about.
    NotApplicable(String),
    /// Something needed could not be seen.
    NotEvaluated(Gap),
    /// The check itself is at fault.
    Failed(String),
}

impl Outcome {
    /// The word used in outputs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Findings(_) => "findings",
            Self::NotApplicable(_) => "not_applicable",
            Self::NotEvaluated(_) => "not_evaluated",
            Self::Failed(_) => "failed",
        }
    }
}
