//! A pod that was put off its node to make room for one of a higher priority.

use super::way::Way;
use crate::checks::support::seen::event_evidence;
use crate::domain::kubernetes::owner::{Target, is_kind};
use crate::domain::kubernetes::unschedulable::{Cause, RECENT};
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Pod};

/// What the scheduler did.
pub(super) struct Preempted<'a> {
    event: &'a Event,
    /// Who came instead, where it is known.
    by: Option<&'a Pod>,
    /// It is of a DaemonSet, which wants a pod on the node whatever runs there.
    is_daemon: bool,
    target: Target<'a>,
}

/// The last preemption of a pod that finds no room since.
pub(super) fn of<'a>(snap: &'a Snapshot, pod: &'a Pod, reason: Cause) -> Option<Preempted<'a>> {
    if !matches!(reason, Cause::Resources | Cause::TooManyPods) {
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
    let mut own: Vec<(&Event, Preemptor<'_>)> =
        events.filter(is_own).filter(recent).filter_map(|e| Some((e, Preemptor::read(&e.message)?))).collect();
    own.sort_by_key(|(event, _)| event.last_seen());
    // The node of the last time, and the pod that came there, may be gone already.
    let by = own.iter().rev().find_map(|(_, by)| by.pod(snap)).filter(|p| snap.owner_ref(p) != owner);
    let (event, _) = own.pop()?;
    let is_daemon = by.is_some_and(|p| is_kind(&snap.owner_ref(p), &["DaemonSet"]));
    Some(Preempted { event, by, is_daemon, target })
}

/// Who came instead, as the scheduler names it: by its uid, older ones by namespace and name, or not at all.
enum Preemptor<'a> {
    Uid(&'a str),
    Name(&'a str, &'a str),
    Unnamed,
}

impl<'a> Preemptor<'a> {
    fn read(message: &'a str) -> Option<Self> {
        let rest = message.strip_prefix("Preempted by ")?;
        let first = |text: &'a str| text.split(' ').next().filter(|word| !word.is_empty());
        match rest.strip_prefix("pod ") {
            Some(rest) => first(rest).map(Self::Uid),
            None => {
                let named = first(rest)?.split_once('/');
                Some(named.map_or(Self::Unnamed, |(namespace, name)| Self::Name(namespace, name)))
            }
        }
    }

    fn pod<'s>(&self, snap: &'s Snapshot) -> Option<&'s Pod> {
        snap.pods.items().unwrap_or_default().iter().find(|p| match self {
            Self::Uid(uid) => p.metadata.uid == *uid,
            Self::Name(namespace, name) => p.metadata.namespace == *namespace && p.metadata.name == *name,
            Self::Unnamed => false,
        })
    }
}

impl Preempted<'_> {
    /// As the beginning of a sentence about the pod.
    pub(super) fn words(&self) -> String {
        let by = self.by.map_or_else(
            || "a pod of a higher priority".to_owned(),
            |p| {
                let of = if self.is_daemon { " of a DaemonSet" } else { "" };
                let priority = self.system().map_or_else(
                    || "whose priority is higher".to_owned(),
                    |class| format!("whose priority {class} is above all that can be given"),
                );
                format!("pod {}/{}{of}, {priority}", p.metadata.namespace, p.metadata.name)
            },
        );
        format!("the scheduler put it off its node for {by}")
    }

    /// The class of who came instead, where it is one of the system, above which no class can be made.
    fn system(&self) -> Option<&str> {
        self.by?.spec.priority_class_name.as_deref().filter(|class| class.starts_with("system-"))
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
            outranked: self.system().is_some(),
            is_daemon: self.is_daemon,
            patch: r#"{"spec":{"template":{"spec":{"priorityClassName":"monitoring"}}}}"#,
            managed: self.target.managed_by.clone(),
        }
    }
}
