//! The last revision of a workload's template, where none of its pods ever got ready and those of the revision before it
//! did: what a fault that nobody has a reader for most likely came with. What runs well, what only restarted, and what failed
//! before already is not told.

use jiff::Timestamp;

use crate::domain::kubernetes::changes;
use crate::domain::kubernetes::differs::{Differs, differs};
use crate::domain::kubernetes::managed;
use crate::domain::kubernetes::owner::{self, Target};
use crate::domain::kubernetes::releases;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{HelmRelease, Meta, Pod, ReplicaSet, Workload};

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
            let before = older.iter().find(was_there).filter(|_| settled && with_it)?;
            (*before, Ran::Until)
        }
    };
    // Going back takes up an old ReplicaSet: nobody knows when.
    if before.metadata.creation_timestamp.is_some_and(|t| t > at) {
        return None;
    }
    let (old, new) = (&before.spec.template, &newest.spec.template);
    let differs = differs(&old.spec, &new.spec);
    let sums = sums(&old.metadata, &new.metadata);
    if is_restart(&old.metadata, &new.metadata) && differs.is_empty() && sums.is_empty() {
        return None;
    }
    let number = |set: &ReplicaSet| changes::revision(set).to_string();
    // The first of those that came after it: there can be several tries.
    let next = own.iter().take_while(|set| changes::revision(set) > changes::revision(before)).last();
    Some(LastRevision {
        workload: workload.reference(),
        revision: number(newest),
        before: number(before),
        at,
        first: next.and_then(|set| set.metadata.creation_timestamp).unwrap_or(at),
        differs,
        sums,
        ran,
    })
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
        // Going back without a number leads to the revision just before. A StatefulSet's pods have no number: its status
        // says which revision is the new one.
        let is_below = generation(p).zip(generation(pod)).is_some_and(|(other, mine)| other + 1 == mine);
        workload.kind == "StatefulSet" || is_below
    };
    if ready.iter().any(|p| p.metadata.label(HASH) == Some(own)) {
        return None;
    }
    let older: Vec<&&Pod> = ready.iter().filter(|p| p.metadata.label(HASH).is_some()).filter(is_older).collect();
    let before = older.first()?;
    let differs = differs(&before.spec, &pod.spec);
    let sums = sums(&before.metadata, &pod.metadata);
    if is_restart(&before.metadata, &pod.metadata) && differs.is_empty() && sums.is_empty() {
        return None;
    }
    let at = pod.metadata.creation_timestamp?;
    Some(LastRevision {
        workload: workload.reference(),
        revision: String::new(),
        before: String::new(),
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

    /// `kubectl rollout undo` takes back what differs: a template that was read and differs, in more than the sums of what it
    /// reads, which stay as they are.
    pub(crate) fn is_in_template(&self) -> bool {
        !self.differs.is_empty() || self.sums.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    const DAY: &str = "2026-11-20T02:00:00Z";
    const NOW: &str = "2026-11-21T02:30:00Z";

    fn set(name: &str, revision: &str, made: &str, image: &str, ready: u32, restarted: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "n", "creationTimestamp": made,
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [{"kind": "Deployment", "name": "d", "controller": true}]},
            "spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": restarted}},
                "spec": {"containers": [{"name": "c", "image": image}]}}},
            "status": {"readyReplicas": ready}})
    }

    fn found(sets: Vec<Value>, conditions: Value) -> Option<(String, String, Ran, Vec<String>)> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let deployment = json!({"metadata": {"name": "d", "namespace": "n", "creationTimestamp": "2026-11-01T00:00:00Z"},
            "status": {"conditions": conditions}});
        let deployment: Workload = serde_json::from_value(deployment).expect("a workload");
        snap.workloads = Listing::cluster(vec![Workload { kind: "Deployment".into(), ..deployment }]);
        snap.replica_sets = Listing::cluster(serde_json::from_value(Value::Array(sets)).expect("ReplicaSets"));
        let pod = json!({"metadata": {"name": "d-new-x", "namespace": "n", "labels": {"pod-template-hash": "new"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "d-new", "controller": true}]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let last = of(&snap, &pod)?;
        let differs = last.differs.iter().map(ToString::to_string).collect();
        Some((last.revision, last.before, last.ran, differs))
    }

    fn lost(at: &str) -> Value {
        json!([{"type": "Available", "status": "False", "lastTransitionTime": at},
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "ReplicaSet \"d-new\" is progressing."}])
    }

    #[test]
    fn what_ran_or_failed_before_is_not_told() {
        let ran = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
            "message": "ReplicaSet \"d-new\" has successfully progressed."}]);
        let two = |ready: u32| vec![set("d-new", "8", NOW, "a:2", ready, ""), set("d-old", "7", DAY, "a:1", 0, "")];
        assert_eq!(found(two(0), ran), None, "it was complete once");
        assert_eq!(found(two(1), lost(NOW)), None, "one of its pods is ready");
        assert_eq!(found(two(0), lost(DAY)), None, "it was gone a day before");
        assert_eq!(found(two(0), json!([])), None, "nobody knows");
        assert_eq!(found(vec![set("d-new", "1", NOW, "a:2", 0, "")], lost(NOW)), None, "the first");
        let restarted = vec![set("d-new", "8", NOW, "a:1", 0, NOW), set("d-old", "7", DAY, "a:1", 1, "")];
        assert_eq!(found(restarted, lost(NOW)), None, "a restart changes nothing");
        let old = vec![set("d-other", "9", NOW, "a:3", 0, ""), set("d-new", "8", DAY, "a:2", 0, "")];
        assert_eq!(found(old, lost(NOW)), None, "the pod is of an older revision");
    }

    #[test]
    fn a_daemon_set_is_told_by_its_pods() {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let set = json!({"metadata": {"name": "d", "namespace": "n"}});
        let set: Workload = serde_json::from_value(set).expect("a workload");
        snap.workloads = Listing::cluster(vec![Workload { kind: "DaemonSet".into(), ..set }]);
        let pod = |name: &str, generation: &str, image: &str, ready: &str, restarted: &str| {
            json!({"metadata": {"name": name, "namespace": "n", "creationTimestamp": NOW,
                    "annotations": {"kubectl.kubernetes.io/restartedAt": restarted},
                    "labels": {"controller-revision-hash": generation, "pod-template-generation": generation},
                    "ownerReferences": [{"kind": "DaemonSet", "name": "d", "controller": true}]},
                "spec": {"volumes": [{"name": format!("kube-api-access-{name}")}], "containers": [{"name": "c", "image": image}]},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}})
        };
        let mut found = |pods: Value| {
            snap.pods = Listing::cluster(serde_json::from_value(pods).expect("pods"));
            let failing = snap.pods.items().expect("were read")[0].clone();
            of(&snap, &failing).map(|last| (last.ran, last.differs.iter().map(ToString::to_string).collect::<Vec<_>>()))
        };
        let old = pod("b", "1", "a:1", "True", "");
        let image = vec!["image of container c a:1 → a:2".to_owned()];
        assert_eq!(found(json!([pod("a", "2", "a:2", "False", ""), old])), Some((Ran::Runs(1), image)));
        assert_eq!(found(json!([pod("a", "1", "a:1", "False", ""), old])), None, "of one revision");
        assert_eq!(found(json!([pod("a", "2", "a:1", "False", NOW), old])), None, "a restart changes nothing");
        let well = pod("c", "2", "a:2", "True", "");
        assert_eq!(found(json!([pod("a", "2", "a:2", "False", ""), old, well])), None, "one of its pods is ready");
        assert_eq!(found(json!([pod("a", "0", "a:2", "False", ""), old])), None, "of an older revision");
    }

    #[test]
    fn a_revision_that_never_ran_is_told_with_what_differs() {
        let image = vec!["image of container c a:1 → a:2".to_owned()];
        let two = |ready: u32| vec![set("d-new", "8", NOW, "a:2", 0, ""), set("d-old", "7", DAY, "a:1", ready, "")];
        let told = |ran: Ran| Some(("8".to_owned(), "7".to_owned(), ran, image.clone()));
        assert_eq!(found(two(2), json!([])), told(Ran::Runs(2)));
        assert_eq!(found(two(0), lost(NOW)), told(Ran::Until));
        // Several tries: the one that runs is gone back to.
        let mut tries = two(1);
        tries.insert(0, set("d-try", "6", DAY, "a:9", 0, ""));
        assert_eq!(found(tries, json!([])), told(Ran::Runs(1)));
    }
}
