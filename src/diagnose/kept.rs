//! Says who keeps what a fix changes in place, whatever check's fix it is of: the next deployment would undo it.

use super::call::Call;
use crate::checks::support::kept::keeper;
use crate::model::{CheckId, Finding, Remediation, Risk, Step, StepKind};
use crate::snapshot::Snapshot;

/// What changes an object so that it lasts.
const CHANGES: &[&str] =
    &["patch", "edit", "label", "annotate", "scale", "set image", "set env", "set resources", "set serviceaccount"];
/// A fix that speaks of the place where the change lasts.
const SPOKEN: &[&str] = &[
    "helm upgrade",
    "flux reconcile",
    " values",
    "manifest",
    "repository",
    "next deployment",
    "next upgrade",
    "next update",
    "next sync",
];

/// Puts a note into a finding's fix where nothing in it speaks of the keeper.
pub(super) fn tell(snap: &Snapshot, finding: &mut Finding) {
    let check = finding.check;
    let fix = &mut finding.remediation;
    if is_spoken_of(fix) {
        return;
    }
    let note = note(snap, check, &fix.steps);
    fix.steps.extend(note);
    for option in &mut fix.options {
        let note = self::note(snap, check, &option.steps);
        option.steps.extend(note);
    }
}

fn is_spoken_of(fix: &Remediation) -> bool {
    fix.all_steps().any(|s| SPOKEN.iter().any(|w| s.text.contains(w) || s.kind.is_shell() && s.command.contains(w)))
}

/// The note about what some steps change.
fn note(snap: &Snapshot, check: CheckId, steps: &[Step]) -> Option<Step> {
    let changing = steps.iter().filter(|s| s.risk != Risk::ReadOnly);
    let calls: Vec<Call> = changing.flat_map(Call::of_step).filter(|c| CHANGES.contains(&c.verb.as_str())).collect();
    // What is stopped and started again is as it was.
    let stopped = |call: &Call| {
        let same = |c: &&Call| c.verb == "scale" && c.names == call.names;
        call.verb == "scale" && calls.iter().filter(same).count() > 1
    };
    let mut lasting = calls.iter().filter(|c| !stopped(c)).flat_map(Call::described);
    let (resource, keeper) = lasting.find_map(|r| Some((keeper(snap, &r)?, r))).map(|(keeper, r)| (r, keeper))?;
    let text =
        format!("{resource} belongs to {keeper}: make the change there as well, or the next deployment undoes it.");
    Some(Step {
        kind: StepKind::Note,
        risk: Risk::ReadOnly,
        text,
        command: String::new(),
        of: check,
        placeholders: Vec::new(),
    })
}
