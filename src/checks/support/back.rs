//! The revision of a workload that never ran, in words and as evidence, and the way back to the one that did.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::changes;
use crate::domain::kubernetes::differs;
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::last_revision::{self, LastRevision, Ran};
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::kubernetes::owner::Target;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::minute;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, journal};

/// Letters of what differs that are shown.
const DIFFERENCE: usize = 300;
/// Seconds after which a pod that runs should be ready; what has data reads them first.
const LATE: i64 = 600;
const LATE_WITH_DATA: i64 = 1800;

/// The way back to the revision that ran, for the shared steps `revision-undone`.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Back {
    /// What was changed; empty where no way back is known.
    changed: String,
    /// The number of the revision that ran; empty where it has none.
    ran_revision: String,
    /// The ControllerRevision that has the number, where it is not known.
    ran_hash: String,
    /// The workload whose last change `kubectl rollout undo` takes back; empty where it does not.
    undo: String,
    /// The upgrade by Helm that changed it, and the revision to go back to.
    back_release: String,
    back_namespace: String,
    back_revision: u32,
    /// The claim whose data the newer image may have changed.
    back_claim: String,
    /// Who else keeps the workload, and would bring the change again; empty where nobody does.
    back_keeper: String,
    /// The pod that its StatefulSet waits for.
    back_pod: String,
}

impl Back {
    /// Of a pod of the revision that never ran.
    pub(crate) fn of(snap: &Snapshot, pod: &Pod, target: &Target<'_>, last: Option<&LastRevision>) -> Self {
        let Some(last) = last.filter(|_| target.addon.is_none()) else { return Self::default() };
        let helm = journal::aside(|| last.helm(snap, target));
        let undo = helm.is_none() && !is_remade(target) && last.is_in_template();
        if helm.is_none() && !undo {
            return Self::default();
        }
        let claim = pod.claims().next().filter(|_| last.has_new_image());
        Self {
            changed: difference(last),
            ran_revision: last.before.clone(),
            ran_hash: last.hash.clone(),
            undo: if undo { target.name.clone() } else { String::new() },
            back_release: helm.as_ref().map(|h| h.release.clone()).unwrap_or_default(),
            back_namespace: helm.as_ref().map(|h| h.namespace.clone()).unwrap_or_default(),
            back_revision: helm.as_ref().map_or(0, |h| h.revision),
            back_claim: claim.unwrap_or_default().to_owned(),
            back_keeper: if helm.is_none() { target.managed_by.clone() } else { String::new() },
            back_pod: if target.stateful { pod.metadata.name.clone() } else { String::new() },
        }
    }
}

/// Another object makes the workload, and undoes what is changed of it.
pub(crate) fn is_remade(target: &Target<'_>) -> bool {
    target.custom.is_some() || target.meta.controller().is_some()
}

/// The first of these pods of which [`of_unready`] tells, with its revision. It only adds what was changed.
pub(crate) fn first_unready<'a>(snap: &Snapshot, pods: &[&'a Pod]) -> Option<(&'a Pod, LastRevision)> {
    journal::aside(|| pods.iter().find_map(|p| Some((*p, of_unready(snap, p)?))))
}

/// The revision of a pod that runs and should have been ready by now, where no pod of it ever was. Quiet for one that is young, on
/// its way out, still being made or initialized, or that waits for its mesh or for a node that is gone.
pub(crate) fn of_unready(snap: &Snapshot, pod: &Pod) -> Option<LastRevision> {
    let late = if pod.claims().next().is_some() { LATE_WITH_DATA } else { LATE };
    let is_over = pod.is_finished() || pod.metadata.deletion_timestamp.is_some() || pod.is_ready();
    if is_over || snap.age_seconds(&pod.metadata) < late || !runs(pod) || endpoints::mesh_of(pod).is_some() {
        return None;
    }
    if !dead_nodes(snap, std::iter::once(pod)).is_empty() {
        return None;
    }
    last_revision::of(snap, pod)
}

/// All its containers run, and one of them is not ready.
fn runs(pod: &Pod) -> bool {
    let all = &pod.status.container_statuses;
    pod.status.phase == "Running"
        && all.iter().all(|s| s.state.running.is_some())
        && all.iter().any(|s| !s.ready)
        && endpoints::unready_container(pod).is_some()
}

/// `revision 8`.
fn revision(last: &LastRevision) -> String {
    if last.revision.is_empty() { "the newest revision".to_owned() } else { format!("revision {}", last.revision) }
}

/// What differs, in a few words.
fn difference(last: &LastRevision) -> String {
    let sums = last.sums.join(", ");
    match (differs::words(&last.differs), last.sums.is_empty()) {
        (Some(words), true) => shorten(&words, DIFFERENCE),
        (Some(words), false) => shorten(&format!("{words}; what it reads ({sums})"), DIFFERENCE),
        (None, false) => format!("only what it reads ({sums})"),
        (None, true) => "something that is not read here".to_owned(),
    }
}

/// The revision as a part of a sentence.
pub(crate) fn words(last: &LastRevision) -> String {
    let (revision, what, at) = (revision(last), difference(last), minute(last.at));
    match &last.ran {
        Ran::Runs(pods) => {
            let (pods, run) = if *pods == 1 { ("a pod".to_owned(), "runs") } else { (format!("{pods} pods"), "run") };
            let before = match last.before.as_str() {
                "" => "the one before".to_owned(),
                number => format!("revision {number}"),
            };
            let differs = match last.revision.as_str() {
                "" => format!("{revision} differs in {what} (this pod was made {at})"),
                _ => format!("{revision}, made {at}, differs in {what}"),
            };
            format!("no pod of {revision} is ready, while {pods} of {before} {run}; {differs}")
        }
        Ran::Until => format!("it was available until {revision} was made ({at}), which differs in {what}"),
    }
}

/// The change, as evidence.
pub(crate) fn evidence(last: &LastRevision) -> Option<Evidence> {
    let ResourceRef::Kubernetes { namespace, .. } = &last.workload else { return None };
    let of = if last.revision.is_empty() { "pod " } else { "" };
    let value = format!("{of}made {}: {}", minute(last.at), difference(last));
    let show = "kubectl rollout history {{ target }} -n {{ namespace }}";
    let made = Evidence::new(changes::source(&last.workload, &revision(last)), value, show);
    Some(made.with("target", last.workload.kubectl_name()).with("namespace", namespace))
}
