//! Containers that are not started, as the kubelet tells them.

use super::held::{config_map, container_of};
use crate::domain::kubernetes::mounts::{self, Holder};
use crate::domain::kubernetes::start_error::Cause;
use crate::domain::text::windows::{GRACE, RECENT};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Event, Pod};

/// Seconds after which the kubelet has tried a mount again, and said so.
const ATTEMPT: i64 = 150;
/// Attempts of the kubelet, some ten seconds apart, after which a name that is held does not pass by itself.
const HELD: u32 = 20;

/// A container that is not started.
pub(super) struct Stop<'a> {
    pub(super) pod: &'a Pod,
    pub(super) container: &'a Container,
    pub(super) fault: Cause,
    /// What was said, and by whom.
    pub(super) said: String,
    pub(super) source: &'static str,
}

/// The containers of a pod that are not started.
pub(super) fn stops<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<Stop<'a>> {
    // A Secret that an operator makes comes a moment after the pod.
    let young = pod.metadata.creation_timestamp.is_some() && snap.age_seconds(&pod.metadata) < GRACE;
    let mut found: Vec<Stop<'a>> = pod.statuses().filter(|_| !young).filter_map(|s| of_status(snap, pod, s)).collect();
    if found.is_empty() && is_in_the_making(snap, pod) {
        found.extend(of_events(snap, pod).or_else(|| of_volumes(snap, pod)));
    }
    found
}

/// A container that the kubelet refuses to make, or that the runtime refuses to start.
fn of_status<'a>(snap: &Snapshot, pod: &'a Pod, status: &ContainerStatus) -> Option<Stop<'a>> {
    let container = pod.all_containers().find(|c| c.name == status.name)?;
    let waiting = status.state.waiting.as_ref()?;
    let is_refused =
        matches!(waiting.reason.as_str(), "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError");
    if is_refused {
        let said = waiting.message.clone().unwrap_or_default();
        let fault = Cause::of(&said).or_else(|| held_for_long(snap, pod, &said))?;
        return Some(Stop { pod, container, fault, said, source: "waits" });
    }
    // Between two attempts the container's last end has the runtime's word.
    let end = status.last_state.terminated.as_ref()?;
    let said = end.message.clone()?;
    let fault = Cause::of_end(&end.reason, &said)?;
    Some(Stop { pod, container, fault, said, source: "ended" })
}

/// An attempt of before holds the container's name, and the kubelet has tried often since.
fn held_for_long(snap: &Snapshot, pod: &Pod, said: &str) -> Option<Cause> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
    let times: u32 = events.filter(|e| Cause::is_held(&e.message)).map(Event::times).sum();
    (Cause::is_held(said) && times >= HELD).then_some(Cause::Slow)
}

/// A pod with a node whose containers are being made for longer than that takes.
pub(super) fn is_in_the_making(snap: &Snapshot, pod: &Pod) -> bool {
    let making = |s: &ContainerStatus| {
        s.state.waiting.as_ref().is_some_and(|w| matches!(w.reason.as_str(), "ContainerCreating" | "PodInitializing"))
    };
    let started = pod.statuses().any(|s| s.state.running.is_some() || s.state.terminated.is_some());
    pod.status.phase == "Pending"
        && pod.spec.node_name.is_some()
        && snap.age_seconds(&pod.metadata) >= GRACE
        && !started
        && pod.statuses().all(making)
}

/// A mount that fails, by the kubelet's events.
fn of_events<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<Stop<'a>> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let failed = events.into_iter().filter(|e| e.reason == "FailedMount" && e.message.contains("SetUp failed"));
    failed
        .filter_map(|e| {
            let fault = Cause::of(&e.message)?;
            let about_configuration = matches!(fault, Cause::Missing { .. } | Cause::MissingKey { .. });
            // It was made since: the kubelet tries again within two minutes.
            if !about_configuration || is_there(snap, pod, &fault) || may_be_over(snap, pod, &fault, e) {
                return None;
            }
            let container = container_of(pod, &fault).or(pod.spec.containers.first())?;
            Some(Stop { pod, container, fault, said: e.message.clone(), source: "event" })
        })
        .next()
}

/// A volume whose ConfigMap does not exist, where the events are gone.
fn of_volumes<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Option<Stop<'a>> {
    let maps = mounts::config_maps(&pod.spec).filter(|m| !m.optional);
    let mut missing = maps.filter(|m| matches!(snap.config_maps.find(&pod.metadata.namespace, m.name), Ok(None)));
    let name = missing.next()?.name.to_owned();
    let said = format!("ConfigMap {name} does not exist");
    let fault = Cause::Missing { holder: Holder::ConfigMap, name };
    let container = container_of(pod, &fault).or(pod.spec.containers.first())?;
    Some(Stop { pod, container, fault, said, source: "volume" })
}

/// The object cannot be looked for, and the event is older than the kubelet's next attempt: it may have been made since.
fn may_be_over(snap: &Snapshot, pod: &Pod, fault: &Cause, event: &Event) -> bool {
    let is_map = matches!(fault, Cause::Missing { holder, .. } | Cause::MissingKey { holder, .. } if *holder == Holder::ConfigMap);
    let old = !event.is_within(ATTEMPT, snap.collected_at);
    is_map && old && !snap.config_maps.covers(&pod.metadata.namespace)
}

fn is_there(snap: &Snapshot, pod: &Pod, fault: &Cause) -> bool {
    let map = config_map(snap, pod, fault);
    match fault {
        Cause::Missing { .. } => map.is_some(),
        Cause::MissingKey { key, .. } => map.is_some_and(|m| mounts::has_key(m, key)),
        _ => false,
    }
}
