//! How bad a fault is, by what it hits.

use crate::domain::kubernetes::owner::is_of_stack;
use crate::domain::prometheus::targets;
use crate::model::Severity;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// How bad a fault of these pods is.
pub(crate) fn severity_of(snap: &Snapshot, pod: &Pod, severity: Severity) -> Severity {
    if is_of_stack(snap, pod) { severity } else { severity.min(Severity::Warning) }
}

/// How bad it is that so many targets of these jobs are down: an error where a job has none left, or where they are a third of
/// everything that is scraped.
pub(crate) fn of_targets(snap: &Snapshot, jobs: &[&str], down: usize) -> Severity {
    let all = targets::all(snap);
    let is_lost = |job: &&str| all.iter().filter(|t| t.job() == *job).all(|t| t.health == "down");
    if jobs.iter().any(is_lost) || down * 3 >= all.len() { Severity::Error } else { Severity::Warning }
}
