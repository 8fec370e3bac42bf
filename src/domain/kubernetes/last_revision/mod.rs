//! The last revision of a workload's template, where none of its pods ever got ready and those of the revision before it
//! did: what a fault that nobody has a reader for most likely came with. What runs well, what only restarted, and what failed
//! before already is not told.

use jiff::Timestamp;

use crate::domain::kubernetes::changes;
use crate::domain::kubernetes::differs::{Differs, Field, Part, differs};
use crate::domain::kubernetes::managed;
use crate::domain::kubernetes::owner::{self, Target};
use crate::domain::kubernetes::releases;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{HelmRelease, Meta, Pod, PodSpec, ReplicaSet, Workload};

/// Seconds around a change that belong to it.
const TOGETHER: i64 = 120;
/// Seconds within which an upgrade by Helm has written what it changes.
const UPGRADE: i64 = 600;
/// Seconds after which a workload that was there has settled.
const SETTLED: i64 = 1800;
/// The label of a pod that says of which revision of a StatefulSet or DaemonSet it is.
const HASH: &str = "controller-revision-hash";
/// The same of a DaemonSet, as a number.
const GENERATION: &str = "pod-template-generation";
/// `kubectl rollout restart` writes it.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// Stakater's Reloader writes it where a ConfigMap or a Secret was changed.
const RELOADED: &str = "reloader.stakater.com/last-reloaded-from";
/// What charts write so that a change of a ConfigMap or Secret makes new pods.
const CHECKSUM: &str = "checksum/";

/// A revision that never ran.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LastRevision {
    /// The workload.
    pub(crate) workload: ResourceRef,
    /// Its number; empty where it has none.
    pub(crate) revision: String,
    /// The number of that which ran; empty likewise.
    pub(crate) before: String,
    /// The ControllerRevision of that which ran; empty for a Deployment.
    pub(crate) hash: String,
    /// When it was made; where it has no number, when the pod was that fails.
    pub(crate) at: Timestamp,
    /// When the first was made of those that came after the one that ran.
    pub(crate) first: Timestamp,
    /// What differs from that which ran, of what is read of it; nothing where the older one was not read.
    pub(crate) differs: Vec<Differs>,
    /// Sums of configuration that differ: `checksum/config`.
    pub(crate) sums: Vec<String>,
    /// How it is known that the older one ran.
    pub(crate) ran: Ran,
}

/// How it is known that the revision before ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ran {
    /// So many pods of it are ready now.
    Runs(usize),
    /// The workload was available until the new one came.
    Until,
}

/// That of the workload of a pod that fails.
pub(crate) fn of(snap: &Snapshot, pod: &Pod) -> Option<LastRevision> {
    let owner = snap.owner_ref(pod);
    let workload = owner::workload(snap, &owner)?;
    match workload.kind.as_str() {
        "Deployment" => of_deployment(snap, workload, pod),
        "StatefulSet" => {
            let status = &workload.status;
            let new =
                status.update_revision.as_deref().filter(|new| status.current_revision.as_deref() != Some(new))?;
            (pod.metadata.label(HASH)? == new).then(|| of_hash(snap, workload, pod)).flatten()
        }
        "DaemonSet" => of_hash(snap, workload, pod),
        _ => None,
    }
}

fn of_deployment(snap: &Snapshot, workload: &Workload, pod: &Pod) -> Option<LastRevision> {
    let meta = &workload.metadata;
    let own = changes::revisions(snap, &meta.namespace, &meta.name)?;
    let (newest, older) = own.split_first()?;
    let of_newest = pod.metadata.controller().is_some_and(|o| o.kind == "ReplicaSet" && o.name == newest.metadata.name);
    let at = newest.metadata.creation_timestamp?;
    let condition = |kind: &str| workload.status.conditions.iter().find(|c| c.kind == kind);
    // It says so once a revision was complete, and names it.
    let ran_once = condition("Progressing").is_some_and(|c| {
        c.reason.as_deref() == Some("NewReplicaSetAvailable")
            && c.message.as_deref().is_some_and(|m| m.contains(&newest.metadata.name))
    });
    // What is held rolls nothing out.
    if workload.spec.paused || !of_newest || ran_once || newest.status.ready_replicas > 0 {
        return None;
    }
    let runs = older.iter().find(|set| set.status.ready_replicas > 0);
    let (before, ran) = match runs {
        Some(set) => (*set, Ran::Runs(set.status.ready_replicas as usize)),
        None => {
            // With the new revision the last ready pod went; a workload that was broken before went earlier.
            let lost = condition("Available").filter(|c| c.status == "False")?.last_transition_time?;
            let settled = lost.as_second() - meta.creation_timestamp?.as_second() >= SETTLED;
            let with_it = (-TOGETHER..=SETTLED).contains(&(lost.as_second() - at.as_second()));
            // One that was made while it was lost is a try, too.
            let was_there = |set: &&&ReplicaSet| {
                set.metadata.creation_timestamp.is_some_and(|made| made.as_second() < lost.as_second() - TOGETHER)
            };
            // Where pods of before are there and not ready either, it is not the revision.
            let is_alone = older.iter().all(|set| set.status.replicas == 0);
            let before = older.iter().find(was_there).filter(|_| settled && with_it && is_alone)?;
            (*before, Ran::Until)
        }
    };
    // Going back takes up an old ReplicaSet: nobody knows when.
    if before.metadata.creation_timestamp.is_some_and(|t| t > at) {
        return None;
    }
    let (old, new) = (&before.spec.template, &newest.spec.template);
    let (differs, sums) = changed((&old.metadata, &old.spec), (&new.metadata, &new.spec))?;
    let number = |set: &ReplicaSet| changes::revision(set).to_string();
    // The first of those that came after it: there can be several tries.
    let next = own.iter().take_while(|set| changes::revision(set) > changes::revision(before)).last();
    Some(LastRevision {
        workload: workload.reference(),
        revision: number(newest),
        before: number(before),
        hash: String::new(),
        at,
        first: next.and_then(|set| set.metadata.creation_timestamp).unwrap_or(at),
        differs,
        sums,
        ran,
    })
}

/// What differs between two templates, and the sums that do; `None` where the later one was written for a restart alone.
fn changed(before: (&Meta, &PodSpec), after: (&Meta, &PodSpec)) -> Option<(Vec<Differs>, Vec<String>)> {
    let (differs, sums) = (differs(before.1, after.1), sums(before.0, after.0));
    let is_nothing = is_restart(before.0, after.0) && differs.is_empty() && sums.is_empty();
    (!is_nothing).then_some((differs, sums))
}

/// The template was written anew for a restart.
fn is_restart(before: &Meta, after: &Meta) -> bool {
    [RESTARTED, RELOADED].iter().any(|name| before.annotations.get(*name) != after.annotations.get(*name))
}

/// Annotations of the template that stand for what it reads.
fn sums(before: &Meta, after: &Meta) -> Vec<String> {
    let all = after.annotations.iter().filter(|(name, _)| name.starts_with(CHECKSUM));
    all.filter(|(name, sum)| before.annotations.get(*name).is_some_and(|old| old != *sum))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Of a StatefulSet or a DaemonSet: pods of an older revision are ready, and none of the pod's own.
fn of_hash(snap: &Snapshot, workload: &Workload, pod: &Pod) -> Option<LastRevision> {
    let own = pod.metadata.label(HASH)?;
    let ready: Vec<&Pod> =
        snap.pods_of_workload(workload).filter(|p| p.is_ready() && p.metadata.deletion_timestamp.is_none()).collect();
    let is_older = |p: &&&Pod| {
        let generation = |p: &Pod| p.metadata.label(GENERATION).and_then(|g| g.parse::<u64>().ok());
        // A StatefulSet's pods have no number: its status says which revision is the new one.
        let is_below = generation(p).zip(generation(pod)).is_some_and(|(other, mine)| other < mine);
        workload.kind == "StatefulSet" || is_below
    };
    if ready.iter().any(|p| p.metadata.label(HASH) == Some(own)) {
        return None;
    }
    let older: Vec<&&Pod> = ready.iter().filter(|p| p.metadata.label(HASH).is_some()).filter(is_older).collect();
    let before = older.first()?;
    let (differs, sums) = changed((&before.metadata, &before.spec), (&pod.metadata, &pod.spec))?;
    let at = pod.metadata.creation_timestamp?;
    // A StatefulSet's pods have the whole name.
    let ran = before.metadata.label(HASH)?;
    let hash =
        if workload.kind == "StatefulSet" { ran.to_owned() } else { format!("{}-{ran}", workload.metadata.name) };
    Some(LastRevision {
        workload: workload.reference(),
        revision: String::new(),
        before: String::new(),
        hash,
        at,
        first: at,
        sums,
        ran: Ran::Runs(older.len()),
        differs,
    })
}

/// A revision of a Helm release to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HelmBack {
    pub(crate) release: String,
    pub(crate) namespace: String,
    pub(crate) revision: u32,
}

impl LastRevision {
    /// The revision of the Helm release of before, where an upgrade made this one and is over.
    pub(crate) fn helm(&self, snap: &Snapshot, target: &Target<'_>) -> Option<HelmBack> {
        if releases::is_of_gitops(target.meta) {
            return None;
        }
        let (name, namespace) = managed::release(target.meta)?;
        let all = snap.helm_releases.items().ok()?;
        let own = || all.iter().filter(|r| r.name == name && r.metadata.namespace == namespace);
        let began = |r: &HelmRelease| r.metadata.creation_timestamp.or(r.changed_at).map(Timestamp::as_second);
        let newest = own().max_by_key(|r| r.revision)?;
        let is_over = matches!(newest.status.as_str(), "deployed" | "failed");
        let near = (0..=UPGRADE).contains(&(self.at.as_second() - began(newest)? + TOGETHER));
        // Helm counts each of several tries as deployed: what ran is older than the first of them.
        let until = if self.first == self.at { self.at.as_second() + TOGETHER } else { self.first.as_second() };
        let first = own().filter(|r| began(r).is_some_and(|began| began <= until)).max_by_key(|r| r.revision)?;
        let back: &HelmRelease = releases::last_deployed(all, first).filter(|_| is_over && near)?;
        Some(HelmBack { release: name.to_owned(), namespace: namespace.to_owned(), revision: back.revision })
    }

    /// One of its containers has another image.
    pub(crate) fn has_new_image(&self) -> bool {
        self.differs.iter().any(|d| matches!(d.part, Part::Container { field: Field::Image, .. }))
    }

    /// That container has another image.
    pub(crate) fn has_new_image_of(&self, container: &str) -> bool {
        let is_it =
            |d: &Differs| matches!(&d.part, Part::Container { name, field: Field::Image, .. } if name == container);
        self.differs.iter().any(is_it)
    }

    /// `kubectl rollout undo` takes back what differs: a template that was read and differs, in more than the sums of what it
    /// reads, which stay as they are.
    pub(crate) fn is_in_template(&self) -> bool {
        !self.differs.is_empty() || self.sums.is_empty()
    }
}

#[cfg(test)]
mod tests;
