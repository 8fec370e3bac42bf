//! Events, lines of logs and states of containers as evidence.

use crate::domain::kubernetes::own_address::OwnAddress;
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::kubernetes::{Container, Event, Meta, Pod, Service};
use crate::snapshot::monitoring::ContainerLog;

const SHOW_LOG: &str = "kubectl logs -n {{ namespace }} {{ pod }}{% if container %} -c {{ container }}{% endif %}{% if previous %} --previous{% endif %} --tail=200";

/// A line of a container's log; of the container before its last restart where `previous`.
pub(crate) fn log_evidence(namespace: &str, pod: &str, container: &str, previous: bool, line: &str) -> Evidence {
    Evidence::new(format!("log of pod {namespace}/{pod}"), redact(line), SHOW_LOG)
        .with("namespace", namespace)
        .with("pod", pod)
        .with("container", container)
        .with("previous", previous)
}

/// A line of a log that was read.
pub(crate) fn line_evidence(log: &ContainerLog, line: &str) -> Evidence {
    log_evidence(&log.namespace, &log.pod, &log.container, log.previous, line)
}

/// What a program counts itself, since its start.
pub(crate) fn own_metrics(program: &str, value: String, pod: &Pod, container: &Container) -> Evidence {
    const SHOW: &str = "{% if path %}kubectl get --raw {{ path }}{% else %}kubectl exec -n {{ namespace }} {{ pod }} -c {{ container }} -- wget -qO- {{ url }}{% endif %}";
    let address = OwnAddress::of_pod(pod, container);
    let path = (address.tls || container.lacks_wget()).then(|| address.through_api_server(pod, "/metrics"));
    let whose = if program.ends_with('s') { "'" } else { "'s" };
    Evidence::new(format!("{program}{whose} own metrics, since its start"), value, SHOW)
        .with("namespace", &pod.metadata.namespace)
        .with("pod", &pod.metadata.name)
        .with("container", &container.name)
        .with("path", path)
        .with("url", format!("{}/metrics", address.url()))
}

/// A Service, or one part of it.
pub(crate) fn service_evidence(service: &Service, part: &str, value: impl Into<String>) -> Evidence {
    let Meta { namespace, name, .. } = &service.metadata;
    let source = format!("Service {namespace}/{name} {part}");
    Evidence::new(source.trim_end(), value, "kubectl get service {{ name }} -n {{ namespace }} -o yaml")
        .with("namespace", namespace)
        .with("name", name)
}

/// An event, with how often it was seen.
pub(crate) fn event_evidence(event: &Event) -> Evidence {
    let object = &event.involved_object;
    let times = match event.times() {
        1 => String::new(),
        n => format!(" (seen {n} times)"),
    };
    // Events of what has no namespace lie in this one.
    let (place, namespace) = match object.namespace.as_str() {
        "" => (String::new(), "default"),
        namespace => (format!("{namespace}/"), namespace),
    };
    Evidence::new(
        format!("event {} of {} {place}{}", event.reason, object.kind, object.name),
        format!("{}{times}", event.message.trim()),
        "kubectl get events -n {{ namespace }} --field-selector involvedObject.name={{ name }}",
    )
    .with("namespace", namespace)
    .with("name", &object.name)
}

/// Words of an event, with how often it was seen.
pub(crate) fn event_quote(event: &Event, said: &str) -> Evidence {
    let object = &event.involved_object;
    Evidence::new(
        format!(
            "event {} of {} {}/{} (seen {} times)",
            event.reason,
            object.kind,
            object.namespace,
            object.name,
            event.times()
        ),
        said,
        "kubectl get events -n {{ namespace }} --field-selector involvedObject.name={{ name }}",
    )
    .with("namespace", &object.namespace)
    .with("name", &object.name)
}

/// What the condition ReplicaFailure of a workload says: it makes no pods.
pub(crate) fn replica_failure(workload: &ResourceRef, said: &str) -> Evidence {
    let namespace = match workload {
        ResourceRef::Kubernetes { namespace, .. } => namespace.as_str(),
        _ => "",
    };
    Evidence::new(
        format!("{workload}, condition ReplicaFailure"),
        said,
        "kubectl describe {{ name }} -n {{ namespace }}",
    )
    .with("namespace", namespace)
    .with("name", workload.kubectl_name())
}

/// What the containers of a pod do.
pub(crate) fn pod_evidence(pod: &Pod) -> Evidence {
    let meta = &pod.metadata;
    Evidence::new(
        format!("Pod {}/{}", meta.namespace, meta.name),
        container_states(pod).join("\n"),
        "kubectl get pod {{ pod }} -n {{ namespace }} -o wide",
    )
    .with("namespace", &meta.namespace)
    .with("pod", &meta.name)
}

/// What each container of a pod does, and how often it was started again.
pub(crate) fn container_states(pod: &Pod) -> Vec<String> {
    pod.statuses()
        .map(|s| {
            let running = if s.ready { "ready" } else { "not ready" };
            let state = s.state.waiting.as_ref().map_or(running, |w| w.reason.as_str());
            format!("container {}: {state}, {} restarts", s.name, s.restart_count)
        })
        .collect()
}
