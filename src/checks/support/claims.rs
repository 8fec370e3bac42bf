//! Claims and events as evidence.

use crate::model::Evidence;
use crate::snapshot::kubernetes::{Event, PersistentVolumeClaim};

/// A claim as evidence: what it asks for and its phase.
pub(crate) fn claim_evidence(claim: &PersistentVolumeClaim) -> Evidence {
    let class = match claim.class() {
        Some("") => "no class (static)".to_owned(),
        Some(name) => format!("storageClassName {name}"),
        None => "no storageClassName".to_owned(),
    };
    Evidence::new(
        format!("PersistentVolumeClaim {}/{}", claim.metadata.namespace, claim.metadata.name),
        format!("phase {}, {class}", claim.status.phase),
        "kubectl get pvc -n {{ namespace }} {{ name }} -o yaml",
    )
    .with("namespace", &claim.metadata.namespace)
    .with("name", &claim.metadata.name)
}

/// An event as evidence.
pub(crate) fn event_evidence(event: &Event) -> Evidence {
    let object = &event.involved_object;
    let times = match event.times() {
        1 => String::new(),
        n => format!(" (seen {n} times)"),
    };
    Evidence::new(
        format!("event {} of {} {}/{}", event.reason, object.kind, object.namespace, object.name),
        format!("{}{times}", event.message.trim()),
        "kubectl get events -n {{ namespace }} --field-selector involvedObject.name={{ name }}",
    )
    .with("namespace", &object.namespace)
    .with("name", &object.name)
}
