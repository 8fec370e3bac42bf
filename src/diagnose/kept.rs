//! Says who keeps what a fix changes in place, whatever check's fix it is of: the next deployment would undo it.

use super::call::Call;
use crate::checks::support::kept::keeper;
use crate::model::{CheckId, Finding, Risk, Step, StepKind};
use crate::snapshot::Snapshot;

/// What changes an object so that it lasts.
const CHANGES: &[&str] =
    &["patch", "edit", "label", "annotate", "scale", "set image", "set env", "set resources", "set serviceaccount"];
/// A step that speaks of the place where the change lasts.
const SPOKEN: &[&str] = &[
    "helm upgrade",
    "flux reconcile",
    "values of",
    "in its values",
    "in the values",
    "chart's values",
    "its manifests",
    "in the repository",
    "belongs to",
    "next deployment",
    "next upgrade",
    "next update",
    "next sync",
];

/// Puts a note into a finding's fix where nothing in it speaks of the keeper.
pub(super) fn tell(snap: &Snapshot, finding: &mut Finding) {
    let check = finding.check;
    let fix = &mut finding.remediation;
    let is_shared = is_spoken_of(&fix.steps);
    // Each option is a way of its own, after what all share.
    let everywhere = !fix.options.is_empty() && fix.options.iter().all(|o| is_spoken_of(&o.steps));
    if is_shared || everywhere {
        return;
    }
    let note = note(snap, check, &fix.steps);
    let told = note.as_ref().map(|n| n.text.clone());
    fix.steps.extend(note);
    for option in fix.options.iter_mut().filter(|o| !is_spoken_of(&o.steps)) {
        let note = self::note(snap, check, &option.steps);
        option.steps.extend(note.filter(|n| Some(&n.text) != told.as_ref()));
    }
}

fn is_spoken_of(steps: &[Step]) -> bool {
    let speaks = |text: &str| {
        let text = text.to_ascii_lowercase();
        SPOKEN.iter().any(|w| text.contains(w))
    };
    steps.iter().any(|s| speaks(&s.text) || s.kind.is_shell() && speaks(&s.command))
}

/// The note about what some steps change.
fn note(snap: &Snapshot, check: CheckId, steps: &[Step]) -> Option<Step> {
    let changing = steps.iter().filter(|s| s.risk != Risk::ReadOnly);
    let calls: Vec<Call> = changing.flat_map(Call::of_step).filter(|c| CHANGES.contains(&c.verb.as_str())).collect();
    // What is stopped and started again is as it was.
    let stopped = |call: &Call| {
        let same =
            |c: &&Call| c.counts && (&c.kind, &c.namespace, &c.names) == (&call.kind, &call.namespace, &call.names);
        call.counts && calls.iter().filter(same).count() > 1
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
        keeps: false,
        of: check,
        placeholders: Vec::new(),
    })
}
