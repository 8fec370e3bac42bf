//! A pod: owner → admission → scheduling → node → volume → image → start → ready.

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::shown;
use crate::domain::kubernetes::endpoints::{probe_words, trouble, unready_container};
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::nodes::not_ready;
use crate::domain::kubernetes::owner::{self, Target};
use crate::domain::kubernetes::sandbox::Cause;
use crate::domain::kubernetes::unschedulable::{for_fargate, unscheduled};
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::{RECENT, STARTING};
use crate::model::{Gap, ResourceRef};
use crate::snapshot::kubernetes::{ContainerStatus, Pod, Workload};
use crate::snapshot::{Fetched, Snapshot};

/// Letters of a message that is quoted in a link.
pub(super) const QUOTED: usize = 220;

const MAKERS: &[&str] = &["operator-refuses", "operators-compete", "statefulset-recreated"];
const ADMISSION: &[&str] = &["admission-denied", "webhook-broken", "pod-pending"];
const SCHEDULING: &[&str] = &["pod-pending", "volume-zone-conflict", "scale-up-refused", "nodegroup-failed"];
pub(super) const VOLUMES: &[&str] = &[
    "csi-node-missing",
    "efs-mount",
    "prometheus-storage",
    "pvc-pending",
    "volume-attach",
    "volume-resize",
    "volume-zone-conflict",
];
const STARTS: &[&str] = &["config-error", "crash-loop", "ip-exhaustion", "oom-killed"];

/// The chain of a pod that is there.
pub(super) fn chain(b: &mut Builder<'_>, pod: &Pod) {
    let snap = b.snap;
    let meta = &pod.metadata;
    let own = ResourceRef::pod(&meta.namespace, &meta.name);
    let owner = snap.owner_ref(pod);
    let makers = [owner.clone()].into_iter().chain(Target::of(snap, pod).operator_ref(&meta.namespace)).collect();
    b.link("owner", makers, Claims::Of(MAKERS), || made_by(snap, pod));
    b.link("admission", Vec::new(), Claims::Of(&[]), || Ok(right("the API server took it")));
    let both = || vec![own.clone(), owner.clone()];
    b.link("scheduling", both(), Claims::Of(SCHEDULING), || Ok(scheduled(snap, pod)));
    if let Some(node) = pod.spec.node_name.as_deref().filter(|n| !n.is_empty()) {
        b.link("node", vec![ResourceRef::node(node)], Claims::Of(&["node-not-ready"]), || on_node(snap, node));
    }
    let claims = pod.claims().map(|c| ResourceRef::pvc(&meta.namespace, c)).chain(both()).collect();
    b.link("volume", claims, Claims::Of(VOLUMES), || volumes(snap, pod));
    b.link("image", both(), Claims::Of(&["image-pull"]), || Ok(image(pod)));
    b.link("start", both(), Claims::Of(STARTS), || Ok(started(snap, pod)));
    b.link("ready", both(), Claims::Of(&["prometheus-replaying"]), || Ok(ready(snap, pod)));
}

/// The chain of a pod that its workload wants and that is not there.
pub(super) fn missing(b: &mut Builder<'_>, workload: &Workload) {
    let snap = b.snap;
    let owner = workload.reference();
    let kind = workload.kind.as_str();
    let text = format!("{kind} {} wants {} and has {}", workload.metadata.name, pods(workload.desired()), {
        snap.pods_of_workload(workload).count()
    });
    b.link("owner", vec![owner.clone()], Claims::Of(MAKERS), || {
        Ok(right(text).with(shown::object(&kind.to_ascii_lowercase(), &workload.metadata)))
    });
    b.link("admission", vec![owner], Claims::Of(ADMISSION), || {
        snap.events.covered(&workload.metadata.namespace)?;
        Ok(refused(snap, workload))
    });
    for title in ["scheduling", "volume", "image", "start", "ready"] {
        b.link(title, Vec::new(), Claims::Of(&[]), || Ok(idle("there is no pod yet")));
    }
}

/// The chain of a pod of which nobody knows whether it is there.
pub(super) fn unseen(b: &mut Builder<'_>, namespace: &str, name: &str, gap: Gap) {
    b.link("pod", vec![ResourceRef::pod(namespace, name)], Claims::Of(&[]), || Err(gap));
}

fn refused(snap: &Snapshot, workload: &Workload) -> Seen {
    let kind = workload.kind.as_str();
    let of_sets = snap.replica_sets.items().unwrap_or_default().iter().map(|s| &s.metadata).filter(|m| {
        m.namespace == workload.metadata.namespace && m.controller().is_some_and(|o| o.name == workload.metadata.name)
    });
    let events = of_sets.flat_map(|m| snap.events_about("ReplicaSet", m, RECENT));
    let said = snap.events_about(kind, &workload.metadata, RECENT).into_iter().chain(events);
    let failed = said.into_iter().find(|e| e.reason == "FailedCreate").map(|e| shorten(&e.message, QUOTED));
    if failed.is_none() && workload.ready() > 0 {
        let were = if workload.ready() == 1 { "was" } else { "were" };
        return untold(format!("its status counts {} that {were} not seen", pods(workload.ready())));
    }
    let text = failed.unwrap_or_else(|| "no pod was made, and no event says why".to_owned());
    broken(text).with(shown::described(&kind.to_ascii_lowercase(), &workload.metadata))
}

pub(super) fn pods(count: u32) -> String {
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}

fn made_by(snap: &Snapshot, pod: &Pod) -> Fetched<Seen> {
    let Some((kind, name)) = owner_of(&pod.metadata) else {
        return Ok(right("no controller: nothing makes it again once it is gone"));
    };
    if !matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        return Ok(right(format!("{kind} {name}")));
    }
    snap.workloads.covered(&pod.metadata.namespace)?;
    let Some(workload) = owner::workload(snap, &snap.owner_ref(pod)) else {
        return Ok(broken(format!("its {kind} {name} does not exist any more")));
    };
    let by = match Target::of(snap, pod).custom {
        Some((kind, name)) => format!(", made by the operator from {kind}/{name}"),
        None => String::new(),
    };
    let text = format!("{kind} {name}, {} of {} ready{by}", workload.ready(), pods(workload.desired()));
    Ok(right(text).with(shown::object(&kind.to_ascii_lowercase(), &workload.metadata)))
}

fn is_scheduled(pod: &Pod) -> bool {
    pod.spec.node_name.as_deref().is_some_and(|n| !n.is_empty())
}

fn scheduled(snap: &Snapshot, pod: &Pod) -> Seen {
    if let Some(node) = pod.spec.node_name.as_deref().filter(|n| !n.is_empty()) {
        return right(format!("node {node}"));
    }
    if for_fargate(pod) {
        return idle("its DaemonSet made it for a Fargate node, which runs none");
    }
    match unscheduled(snap, pod) {
        Some(said) if !said.is_empty() => {
            broken(format!("no node takes it: {}", shorten(&said, QUOTED))).with(shown::described("pod", &pod.metadata))
        }
        Some(_) => broken("no node takes it").with(shown::described("pod", &pod.metadata)),
        None => idle("the scheduler has not said anything of it yet").with(shown::described("pod", &pod.metadata)),
    }
}

pub(super) fn on_node(snap: &Snapshot, name: &str) -> Fetched<Seen> {
    let Some(node) = snap.nodes.named(name)? else {
        return Ok(broken(format!("node {name} does not exist any more")));
    };
    let shown = shown::described("node", &node.metadata);
    if let Some(condition) = not_ready(node) {
        let said = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or_default();
        return Ok(broken(format!("node {name} is not Ready: {}", shorten(said, QUOTED))).with(shown));
    }
    if !node.is_ready() {
        return Ok(broken(format!("node {name} does not say that it is Ready")).with(shown));
    }
    Ok(right(format!("Ready, kubelet {}", node.status.node_info.kubelet_version)))
}

/// Nobody expects it to be ready yet.
pub(super) fn is_young(snap: &Snapshot, pod: &Pod) -> bool {
    snap.age_seconds(&pod.metadata) < STARTING && pod.metadata.creation_timestamp.is_some()
}

fn has_started(pod: &Pod) -> bool {
    let begun = |s: &ContainerStatus| s.state.running.is_some() || s.ended().is_some();
    pod.status.container_statuses.iter().any(begun)
}

fn volumes(snap: &Snapshot, pod: &Pod) -> Fetched<Seen> {
    let meta = &pod.metadata;
    let mut bound = Vec::new();
    for name in pod.claims() {
        let Some(claim) = snap.persistent_volume_claims.find(&meta.namespace, name)? else {
            return Ok(
                broken(format!("PersistentVolumeClaim {name} does not exist")).with(shown::described("pod", meta))
            );
        };
        if claim.status.phase != "Bound" {
            return Ok(broken(format!("PersistentVolumeClaim {name} is {}", claim.status.phase))
                .with(shown::described("pvc", &claim.metadata)));
        }
        bound.push(name);
    }
    let failed = |reason: &str| matches!(reason, "FailedMount" | "FailedAttachVolume" | "FailedMapVolume");
    if is_scheduled(pod) && !has_started(pod) {
        let said = snap.events_about("Pod", meta, RECENT).into_iter().find(|e| failed(&e.reason));
        if let Some(event) = said {
            return Ok(broken(shorten(&event.message, QUOTED)).with(shown::described("pod", meta)));
        }
    }
    Ok(match (bound.as_slice(), has_started(pod)) {
        ([], _) => right("it mounts no claim"),
        (names, true) => right(format!("{} bound and mounted", names.join(", "))),
        (names, false) => right(format!("{} bound", names.join(", "))),
    })
}

fn image(pod: &Pod) -> Seen {
    let waits = pod.statuses().find_map(|s| {
        let waiting = s.state.waiting.as_ref()?;
        let pull = waiting.reason.contains("Image") && waiting.reason != "PodInitializing";
        (pull || waiting.reason == "RegistryUnavailable").then_some((s, waiting))
    });
    if let Some((status, waiting)) = waits {
        let said = shorten(waiting.message.as_deref().unwrap_or_default(), QUOTED);
        return broken(format!("{} of {}: {said}", waiting.reason, status.image).trim_end_matches(": "))
            .with(shown::described("pod", &pod.metadata));
    }
    let pulled = pod.statuses().filter(|s| !s.image_id.is_empty()).count();
    match (pulled, pod.spec.containers.len()) {
        (0, _) => idle("nothing was pulled yet"),
        _ if has_started(pod) => right(images(pod)),
        _ => idle("not all images were pulled yet"),
    }
}

fn images(pod: &Pod) -> String {
    let all: Vec<&str> = pod.spec.containers.iter().map(|c| c.image.as_str()).collect();
    match all.as_slice() {
        [first, _, _, ..] => format!("{first} and {} more", all.len() - 1),
        few => few.join(", "),
    }
}

fn started(snap: &Snapshot, pod: &Pod) -> Seen {
    if pod.status.phase == "Succeeded" {
        return right("it ran to its end");
    }
    if pod.status.phase == "Failed" {
        let why = [pod.status.reason.as_deref(), pod.status.message.as_deref()].into_iter().flatten();
        let why = shorten(&why.collect::<Vec<_>>().join(": "), QUOTED);
        return broken(format!("it failed: {why}").trim_end_matches(": ")).with(shown::described("pod", &pod.metadata));
    }
    if let Some(seen) = pod.statuses().find_map(|s| fails(pod, s)) {
        return seen;
    }
    let sandbox = || {
        let said = snap.events_about("Pod", &pod.metadata, RECENT).into_iter();
        said.into_iter().find(|e| e.reason == "FailedCreatePodSandBox").map(|e| e.message.as_str())
    };
    if let Some(said) = Some(()).filter(|()| is_scheduled(pod) && !has_started(pod)).and_then(|()| sandbox()) {
        let what = match Cause::read(said) {
            Some(Cause::Plugin | Cause::Binary) => "the node cannot set up its network",
            Some(Cause::Image) => "the node cannot pull the image of its sandbox",
            Some(Cause::NoAddress) => "the network plugin has no address for it",
            Some(Cause::Token) => "the API refuses the token of the node's network plugin",
            Some(Cause::Runtime(_)) => "the container runtime of the node does not make its sandbox",
            Some(Cause::Other) | None => "its sandbox is not made",
        };
        return broken(format!("{what}: {}", shorten(said, QUOTED))).with(shown::described("pod", &pod.metadata));
    }
    let all = &pod.status.container_statuses;
    let running = all.iter().filter(|s| s.state.running.is_some()).count();
    if all.is_empty() || running < all.len() {
        let waits = pod.statuses().find_map(|s| s.state.waiting.as_ref()).map(|w| w.reason.as_str());
        return idle(match waits.filter(|r| !r.is_empty()) {
            Some(reason) => format!("not yet: {reason}"),
            None => "not yet".to_owned(),
        });
    }
    let restarts: u32 = all.iter().map(|s| s.restart_count).sum();
    let containers = if running == 1 { "1 container runs".to_owned() } else { format!("{running} containers run") };
    right(match restarts {
        0 => containers,
        1 => format!("{containers}, after 1 restart"),
        n => format!("{containers}, after {n} restarts"),
    })
}

/// What keeps a container from running.
fn fails(pod: &Pod, status: &ContainerStatus) -> Option<Seen> {
    let restarts = match status.restart_count {
        0 => String::new(),
        1 => ", 1 restart".to_owned(),
        n => format!(", {n} restarts"),
    };
    let is_init = pod.status.init_container_statuses.iter().any(|s| s.name == status.name);
    let ended = |t: &crate::snapshot::kubernetes::Terminated| {
        format!("container {} ended with {} (exit code {}){restarts}", status.name, t.reason, t.exit_code)
    };
    let waiting = status.state.waiting.as_ref().map(|w| w.reason.as_str()).unwrap_or_default();
    if let Some(ended) = status.state.terminated.as_ref().filter(|t| t.exit_code != 0).map(ended) {
        return Some(broken(ended).with(shown::log(&pod.metadata, &status.name, false)));
    }
    match waiting {
        "CrashLoopBackOff" => {
            let how = status.last_state.terminated.as_ref().map(ended);
            let text = how.unwrap_or_else(|| format!("container {} is crash-looping{restarts}", status.name));
            Some(broken(text).with(shown::log(&pod.metadata, &status.name, true)))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" | "StartError" => {
            let said = status.state.waiting.as_ref().and_then(|w| w.message.as_deref()).unwrap_or_default();
            let what = if is_init { "init container" } else { "container" };
            let text = format!("{what} {}: {waiting}: {}", status.name, shorten(said, QUOTED));
            Some(broken(text).with(shown::described("pod", &pod.metadata)))
        }
        _ => None,
    }
}

fn ready(snap: &Snapshot, pod: &Pod) -> Seen {
    if pod.is_finished() {
        return idle("it has ended");
    }
    if pod.is_ready() {
        let probe = pod.spec.containers.iter().find_map(probe_words);
        return right(probe.map_or("Ready; no readiness probe".to_owned(), |p| format!("Ready; its probe is {p}")));
    }
    if !has_started(pod) {
        return idle("it has not started");
    }
    if is_young(snap, pod) {
        return idle(format!("it is starting, since {} s", snap.age_seconds(&pod.metadata)));
    }
    let who = unready_container(pod).map_or("it".to_owned(), |c| format!("container {}", c.name));
    let why = trouble(snap, pod).map(|t| format!(": {}", shorten(&t, QUOTED))).unwrap_or_default();
    broken(format!("{who} is not ready{why}")).with(shown::described("pod", &pod.metadata))
}
