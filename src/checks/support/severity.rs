//! How bad a fault is, by what it hits.

use crate::domain::kubernetes::owner::is_of_stack;
use crate::model::Severity;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// How bad a fault of these pods is.
pub(crate) fn severity_of(snap: &Snapshot, pod: &Pod, severity: Severity) -> Severity {
    if is_of_stack(snap, pod) { severity } else { severity.min(Severity::Warning) }
}
