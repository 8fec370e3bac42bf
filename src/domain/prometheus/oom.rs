//! Containers that were killed for their memory.

use crate::domain::prometheus::memory::{Measured, limit_of};
pub(crate) use crate::domain::text::windows::{DAY, RECENT, WEEK};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, ContainerStatus, Pod, Terminated};

/// Restarts from which a kill is no accident.
pub(crate) const REPEATED: u32 = 3;

/// How much a kill matters today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recency {
    /// Within the hour, or the container is down since.
    Now,
    /// Within the day, and more than once.
    Repeated,
    /// Within the week.
    Past,
}

/// A container that was killed for its memory.
pub(crate) struct Kill<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) status: &'a ContainerStatus,
    pub(crate) end: &'a Terminated,
    /// How long ago and how often.
    pub(crate) recency: Recency,
}

/// The containers of a pod that were killed for their memory lately.
pub(crate) fn kills<'a>(snap: &'a Snapshot, pod: &'a Pod) -> Vec<Kill<'a>> {
    if pod.is_finished() {
        return Vec::new();
    }
    let of = |status: &'a ContainerStatus| {
        let container = pod.all_containers().find(|c| c.name == status.name)?;
        let end = status.ended()?;
        let is_oom = end.reason == "OOMKilled"
            || is_oom_at_start(end)
            || (end.exit_code == 137 && shows_oom(snap, pod, container));
        let recency = is_oom.then(|| recency(snap, status, end))??;
        Some(Kill { pod, container, status, end, recency })
    };
    pod.statuses().filter_map(of).collect()
}

/// True where this check already speaks of a container.
pub(crate) fn is_reported(snap: &Snapshot, pod: &Pod, container: &str) -> bool {
    kills(snap, pod).iter().any(|k| k.container.name == container && k.recency != Recency::Past)
}

fn recency(snap: &Snapshot, status: &ContainerStatus, end: &Terminated) -> Option<Recency> {
    let age = end.finished_at.map(|t| snap.seconds_since(t));
    let is_down = status.state.waiting.is_some() || status.state.terminated.is_some();
    match age {
        _ if is_down => Some(Recency::Now),
        Some(age) if age <= RECENT => Some(Recency::Now),
        Some(age) if age <= DAY && status.restart_count >= REPEATED => Some(Recency::Repeated),
        Some(age) if age <= WEEK => Some(Recency::Past),
        _ => None,
    }
}

/// The limit is too low for the runtime to start the container at all: it says so in the message of the end.
fn is_oom_at_start(end: &Terminated) -> bool {
    end.message.as_deref().is_some_and(|m| m.contains("container init was OOM-killed"))
}

/// SIGKILL has many senders (a failed liveness probe, an eviction); the kernel's own word, or a working set at the limit,
/// shows that memory was the reason.
fn shows_oom(snap: &Snapshot, pod: &Pod, container: &Container) -> bool {
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    if events.iter().any(|e| e.reason == "Killing" && e.message.contains("liveness probe")) {
        return false;
    }
    let kernel = snap.events_of_nodes().any(|e| {
        let of_node = e.involved_object.kind == "Node"
            && pod.spec.node_name.as_deref() == Some(e.involved_object.name.as_str())
            && e.is_within(RECENT, snap.collected_at);
        let program = container.program().map(|p| format!("{p:?}").to_lowercase());
        let named = |name: &str| e.message.contains(&format!("({name})")) || e.message.contains(&format!(" {name},"));
        of_node
            && matches!(e.reason.as_str(), "OOMKilling" | "SystemOOM")
            && (named(&container.name) || program.is_some_and(|p| named(&p)))
    });
    let measured = Measured::of(snap, &[pod], container);
    let at_limit = limit_of(container).zip(measured.peak).is_some_and(|(limit, peak)| peak >= limit * 0.98);
    kernel || at_limit
}
