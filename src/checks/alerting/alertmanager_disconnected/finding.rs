//! What all findings have: the Prometheus that is meant, and what it says.

use super::AlertmanagerDisconnected;
use crate::checks::support::scrape::api_evidence;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::prometheus::server::servers;
use crate::domain::prometheus::targets::prometheus_pod;
use crate::model::{Evidence, Finding, Program, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

/// The pod of Prometheus that a log is of, else the one that is asked, else any.
pub(super) fn pod<'a>(snap: &'a Snapshot, named: Option<(&str, &str)>) -> Option<&'a Pod> {
    let by_name = named.and_then(|(namespace, name)| snap.pods.find(namespace, name).ok().flatten());
    by_name.or_else(|| prometheus_pod(snap)).or_else(|| {
        let all = snap.pods().unwrap_or_default().iter().filter(|p| snap.scope.is_stack(&p.metadata.namespace));
        let runs = |p: &&Pod| p.spec.containers.iter().any(|c| c.program() == Some(Program::Prometheus));
        all.filter(|p| !p.is_finished()).find(runs)
    })
}

/// The Prometheus that a finding is about.
pub(super) fn subject(snap: &Snapshot, pod: Option<&Pod>) -> ResourceRef {
    let asked = || snap.scope.prometheus.as_ref().map(|p| ResourceRef::service(&p.namespace, &p.service));
    let server = || servers(snap).first().map(|s| s.workload.reference());
    pod.map(|p| snap.owner_ref(p))
        .or_else(server)
        .or_else(asked)
        .unwrap_or_else(|| ResourceRef::service("", "prometheus"))
}

/// The Service of the stack's Alertmanager.
pub(super) fn alertmanager_service(snap: &Snapshot) -> Option<&Service> {
    let at = snap.scope.alertmanager.as_ref()?;
    snap.services.find(&at.namespace, &at.service).ok().flatten()
}

/// A finding about a Prometheus.
pub(super) fn new(snap: &Snapshot, pod: Option<&Pod>, severity: Severity, message: String) -> Finding {
    let made = Finding::new(AlertmanagerDisconnected::META.id, severity, subject(snap, pod), message);
    // It scrapes and evaluates: nothing else stops working by it.
    made.breaks_nothing()
}

/// What Prometheus says of the Alertmanagers that it knows.
pub(super) fn list_evidence(snap: &Snapshot, value: String) -> Evidence {
    api_evidence(snap, "Prometheus /api/v1/alertmanagers".to_owned(), value, "/api/v1/alertmanagers")
}

/// A finding that the failure of Alertmanager, of its pods or of its Service would explain.
pub(super) fn depends_on_alertmanager(snap: &Snapshot, finding: Finding) -> Finding {
    let service = snap.scope.alertmanager.as_ref().map(|c| ResourceRef::service(&c.namespace, &c.service));
    let mut all: Vec<ResourceRef> = service.into_iter().collect();
    for (pod, _) in alertmanager_pods(snap) {
        all.extend([ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name), snap.owner_ref(pod)]);
    }
    all.into_iter().fold(finding, Finding::depends_on)
}
