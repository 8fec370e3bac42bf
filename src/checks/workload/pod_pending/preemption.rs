//! A pod that was put off its node to make room for one of a higher priority.

use super::way::Way;
use crate::checks::support::seen::event_evidence;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::unschedulable::{RECENT, Reason};
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Pod};

/// What the scheduler did.
pub(super) struct Preempted<'a> {
    event: &'a Event,
    /// Who came instead, where it is known.
    by: Option<&'a Pod>,
    target: Target<'a>,
}

/// The last preemption of a pod that finds no room since.
pub(super) fn of<'a>(snap: &'a Snapshot, pod: &'a Pod, reason: Reason) -> Option<Preempted<'a>> {
    if !matches!(reason, Reason::Resources | Reason::TooManyPods) {
        return None;
    }
    let owner = snap.owner_ref(pod);
    let target = Target::of(snap, pod);
    let workload = target.name.rsplit('/').next().unwrap_or_default().to_owned();
    let is_own = |e: &&Event| {
        let object = &e.involved_object;
        // Pods of a Deployment come again under another name.
        let same = object.name == pod.metadata.name
            || object.name.strip_prefix(workload.as_str()).is_some_and(|rest| rest.split('-').count() == 3);
        e.reason == "Preempted" && object.kind == "Pod" && object.namespace == pod.metadata.namespace && same
    };
    let recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    let events = snap.events.items().unwrap_or_default().iter();
    let event = events.filter(is_own).filter(recent).max_by_key(|e| e.last_seen())?;
    let uid = event.message.strip_prefix("Preempted by pod ")?.split(' ').next()?;
    let by = snap.pods.items().unwrap_or_default().iter().find(|p| p.metadata.uid == uid);
    let by = by.filter(|p| snap.owner_ref(p) != owner);
    Some(Preempted { event, by, target })
}

impl Preempted<'_> {
    /// As the beginning of a sentence about the pod.
    pub(super) fn words(&self) -> String {
        let by = self.by.map_or_else(
            || "a pod of a higher priority".to_owned(),
            |p| format!("pod {}/{}, whose priority is higher", p.metadata.namespace, p.metadata.name),
        );
        format!("the scheduler put it off its node for {by}")
    }

    fn node(&self) -> &str {
        self.event.message.split_once(" on node ").map_or("<node>", |(_, node)| node.trim())
    }

    /// What the scheduler said of it.
    pub(super) fn evidence(&self) -> Evidence {
        event_evidence(self.event)
    }

    /// What keeps it from being put off again.
    pub(super) fn way(&self, settable: bool) -> Way {
        Way::Preempted {
            on_node: format!("spec.nodeName={}", self.node()),
            custom_kind: self.target.custom.map(|(kind, _)| kind),
            custom_name: self.target.custom.map(|(_, name)| name.to_owned()),
            custom_patch: r#"{"spec":{"priorityClassName":"monitoring"}}"#,
            settable,
            patch: r#"{"spec":{"template":{"spec":{"priorityClassName":"monitoring"}}}}"#,
            managed: self.target.managed_by.clone(),
        }
    }
}
