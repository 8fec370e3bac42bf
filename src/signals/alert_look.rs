//! Where to look behind an alert that nothing explains: what its rule measures, who counts that, and what shows more of it.

use crate::domain::prometheus::condition::Condition;
use crate::domain::prometheus::reads::Read;
use crate::domain::prometheus::targets::prometheus_path;
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::monitoring::FiringAlert;
use crate::snapshot::{Platform, Snapshot};

/// The commands: where each series stands, else all alerts; then what shows more of the subject.
const SHOW: &str = "{% if path %}kubectl get --raw {{ path }}{% endif %}{% if look == 'log' %}

kubectl logs {{ name }} -n {{ namespace }} --all-containers --since=1h --tail=200{% elif look == 'object' %}

kubectl describe {{ kind }} {{ name }}{% if namespace %} -n {{ namespace }}{% endif %}{% elif look == 'readyz' %}

kubectl get --raw '/readyz?verbose'{% elif look == 'apiservices' %}

kubectl get apiservices{% elif look == 'dns' %}

kubectl logs -n kube-system -l k8s-app=kube-dns --all-containers --since=1h --tail=200 --prefix{% endif %}";

/// Prefixes of what programs count of themselves.
const OWN: &[&str] = &[
    "alertmanager_",
    "config_reloader_",
    "cortex_",
    "grafana_",
    "kube_state_metrics_",
    "loki_",
    "otelcol_",
    "prometheus_",
    "promtail_",
    "reloader_",
    "tempo_",
    "thanos_",
    "vm_",
];

/// Who counts what an alert reads, and which command shows more.
struct Counted {
    by: String,
    look: &'static str,
}

/// Evidence of an alert, with the commands that show what is behind it; `path`: what shows all alerts.
pub(super) fn evidence(
    snap: &Snapshot,
    alert: &FiringAlert,
    rule: (&str, &[Read]),
    subject: &ResourceRef,
    path: Option<&str>,
) -> Evidence {
    let told = ["description", "message", "summary"].iter().find_map(|name| alert.annotations.get(*name));
    let measured = Condition::of(rule.0).and_then(|condition| {
        let asked: String = url::form_urlencoded::byte_serialize(condition.query()?.as_bytes()).collect();
        prometheus_path(snap, &format!("/api/v1/query?query={asked}"))
    });
    let look = counted(snap, alert, rule.1, subject).map_or("", |c| c.look);
    let (kind, namespace, name) = match (look, subject) {
        ("log", _) => ("", alert.label("namespace"), alert.label("pod")),
        (_, ResourceRef::Kubernetes { kind, namespace, name, .. }) => {
            (kind.as_str(), namespace.as_str(), name.as_str())
        }
        _ => ("", "", ""),
    };
    Evidence::new(format!("alert {}", alert.name()), told.map_or(String::new(), |t| redact(t)), SHOW)
        .with("path", measured.as_deref().or(path).unwrap_or_default())
        .with("look", look)
        .with("kind", kind.to_ascii_lowercase())
        .with("namespace", namespace)
        .with("name", name)
}

/// What its rule says, and who counts that: for an alert of which nothing else is known.
pub(super) fn words(snap: &Snapshot, alert: &FiringAlert, rule: (&str, &[Read]), subject: &ResourceRef) -> String {
    let (expression, read) = rule;
    let condition = match Condition::of(expression) {
        Some(condition) => {
            let metrics: Vec<&str> = read.iter().map(|r| r.metric.as_str()).filter(|m| !m.is_empty()).collect();
            redact(&condition.words(&alert.value, &metrics))
        }
        None if expression.is_empty() => return String::new(),
        None => format!("its expression: {}", redact(expression)),
    };
    match counted(snap, alert, read, subject) {
        Some(counted) => format!("{condition}; {}", counted.by),
        None => condition,
    }
}

fn counted(snap: &Snapshot, alert: &FiringAlert, read: &[Read], subject: &ResourceRef) -> Option<Counted> {
    let metric = read.iter().map(|r| r.metric.as_str()).find(|m| !m.is_empty())?;
    // What a rule recorded has the metric in the middle of its name.
    let is = |prefix: &str| metric.split(':').any(|part| part.starts_with(prefix));
    let of_object = |kinds: &[&str]| match subject {
        ResourceRef::Kubernetes { kind, .. } => kinds.is_empty() || kinds.contains(&kind.as_str()),
        _ => false,
    };
    let found = |by: &str, look: &'static str| Some(Counted { by: by.to_owned(), look });
    let by_aws = if snap.platform == Platform::Eks { ", which AWS runs" } else { "" };
    match () {
        () if is("aggregator_") => found(
            "the API server counts it for an API that another program serves: see which one is not available",
            "apiservices",
        ),
        () if is("apiserver_") || is("etcd_") => Some(Counted {
            by: format!(
                "the API server{by_aws}, counts it itself: see whether it is well, and by the labels who asks and for what"
            ),
            look: "readyz",
        }),
        () if is("coredns_") => found("CoreDNS counts it itself, and its log says more", "dns"),
        () if is("kubelet_") && of_object(&["Node"]) => {
            found("the kubelet counts it itself: see the conditions, the events and the load of the node", "object")
        }
        () if is("node_") && of_object(&["Node"]) => {
            found("node-exporter reads it from the node: see the conditions, the events and what runs there", "object")
        }
        () if is("container_") && of_object(&["Pod"]) => {
            found("the kubelet counts it of the container: see its limits and its last state", "object")
        }
        () if is("kube_") && of_object(&[]) => {
            found("it is a field of the object: see its status and events", "object")
        }
        () if OWN.iter().any(|o| is(o)) && !alert.label("pod").is_empty() && !alert.label("namespace").is_empty() => {
            found("the program counts it itself, and its log says more", "log")
        }
        () => None,
    }
}
