//! Says of a root cause which pods of other namespaces meet the same: checks look at the stack, and the cause may be wider.

use crate::checks::support::beside::{Met, quoted};
use crate::model::{Evidence, Report};
use crate::pages;
use crate::snapshot::Snapshot;

/// Adds it to each root that quotes such an event.
pub(super) fn tell(snap: &Snapshot, report: &mut Report) {
    let mut met: Option<Met<'_>> = None;
    for root in &report.roots {
        let finding = &mut report.findings[root.root];
        if finding.evidence.iter().any(|e| quoted(e).is_some()) {
            let made = met.get_or_insert_with(|| Met::of(snap)).elsewhere(finding);
            finding.evidence.extend(made.map(|evidence| {
                let reproduce = pages::command(evidence.reproduce_template, &evidence.params).unwrap_or_default();
                Evidence { reproduce, ..evidence }
            }));
        }
    }
}
