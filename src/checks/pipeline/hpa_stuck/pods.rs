//! What an autoscaler cannot do for its pods' sake: one that is somebody else's, or none of its own that is ready.

use super::base;
use super::fix::Way;
use crate::domain::kubernetes::api_services::{self, METRICS};
use crate::domain::kubernetes::autoscaling::{self, Stuck, named};
use crate::domain::kubernetes::endpoints::trouble;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::{label_selector, owner};
use crate::model::{Evidence, Finding, ResourceRef};
use crate::snapshot::kubernetes::{Autoscaler, Pod, annotation};
use crate::snapshot::{Snapshot, journal};

/// The pod without a request is none of those that are scaled.
pub(super) fn of_another(snap: &Snapshot, hpa: &Autoscaler, stuck: &Stuck, pod: &Pod) -> Finding {
    let of = autoscaling::target(hpa);
    let (resource, container) = match stuck {
        Stuck::NoRequest { resource, container, .. } => (resource.as_str(), container.as_deref().unwrap_or_default()),
        _ => ("cpu", ""),
    };
    let owner = Some(snap.owner_ref(pod)).filter(|o| !owner::is_kind(o, &["Pod"]));
    // What decides is said by the autoscaler itself; the labels only show it.
    let workload = journal::aside(|| owner::workload(snap, &of));
    let selector = workload.and_then(|w| w.spec.selector.as_ref()).map(label_selector::words).unwrap_or_default();
    let of_test = pod.metadata.annotations.get(annotation::HELM_HOOK).is_some_and(|h| h.contains("test"));
    let whose = match &owner {
        Some(owner) => format!("which is of {owner}"),
        None if of_test => "which a test of a Helm release made".to_owned(),
        None => "which none of its ReplicaSets made".to_owned(),
    };
    let by = if selector.is_empty() { String::new() } else { format!(" ({selector})") };
    let ended = if pod.is_finished() { " and has ended" } else { "" };
    let message = format!(
        "HorizontalPodAutoscaler {} cannot scale by {resource}: the selector of {of}{by} also catches Pod {}, {whose}{ended}, and its container {container} has no {resource} request",
        named(hpa),
        pod.metadata.name
    );
    let way = Way::OtherPod {
        pod: pod.metadata.name.clone(),
        owner: owner.map(|o| o.kubectl_name()).unwrap_or_default(),
        of_test,
        finished: pod.is_finished(),
        target: of.kubectl_name(),
        selector,
        managed_by: managed_by(&pod.metadata),
    };
    let labels: Vec<String> = pod.metadata.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    base(hpa, way, message).evidence(
        Evidence::new(
            format!("Pod {}/{}", pod.metadata.namespace, pod.metadata.name),
            format!("labels {}", labels.join(",")),
            "kubectl get pod {{ pod }} -n {{ namespace }} --show-labels",
        )
        .with("pod", &pod.metadata.name)
        .with("namespace", &pod.metadata.namespace),
    )
}

/// The metrics of pods that are not ready are left aside: what is wrong is theirs.
pub(super) fn none_ready(snap: &Snapshot, hpa: &Autoscaler, pods: &[&Pod]) -> Finding {
    let of = autoscaling::target(hpa);
    let why = pods.iter().find_map(|p| trouble(snap, p)).map(|t| format!(" ({t})")).unwrap_or_default();
    let (which, verb) = match pods.len() {
        1 => (format!("the pod of {of}"), "is not ready"),
        count => (format!("none of the {count} pods of {of}"), "is ready"),
    };
    let message = format!("HorizontalPodAutoscaler {} gets no values: {which} {verb}{why}", named(hpa));
    let first = pods[0];
    let way =
        Way::NoValues { pod: first.metadata.name.clone(), crashed: first.statuses().any(|s| s.restart_count > 0) };
    let made = base(hpa, way, message).depends_on(of).depends_on(api_services::reference(METRICS));
    pods.iter().fold(made, |made, p| made.depends_on(ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)))
}
