//! What all findings have: the Prometheus that is meant, where its configuration is kept, and the commands that show it.

use super::AlertmanagerDisconnected;
use crate::checks::support::scrape::api_evidence;
use crate::domain::alertmanager::pods::alertmanager_pods;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{self, Target};
use crate::domain::prometheus::running_config;
use crate::domain::prometheus::server::servers;
use crate::domain::prometheus::targets::{prometheus_path, prometheus_pod};
use crate::model::{Evidence, Finding, Params, Program, ResourceRef, Severity};
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

/// A finding with the values that the page needs of each.
pub(super) fn new(snap: &Snapshot, pod: Option<&Pod>, severity: Severity, message: String) -> Finding {
    let mut made = Finding::new(AlertmanagerDisconnected::META.id, severity, subject(snap, pod), message);
    // It scrapes and evaluates: nothing else stops working by it.
    made.breaks = Some(Vec::new());
    set_prometheus(snap, pod, &mut made.params);
    set_alertmanager(snap, &mut made.params);
    let query =
        "/api/v1/query?query=sum%20by%20(alertmanager)%20(increase(prometheus_notifications_errors_total%5B5m%5D))";
    made.params.set("errors_path", prometheus_path(snap, query));
    made.params.set("errors_url", format!("<prometheus-url>{query}"));
    made.params.set("list_path", prometheus_path(snap, "/api/v1/alertmanagers"));
    made.params.set("args_path", "{.spec.containers[*].args}");
    made.params.set("list_url", "<prometheus-url>/api/v1/alertmanagers");
    for name in ["url", "host", "host_port", "detail", "path_prefix", "right", "issuer", "rule", "wanted", "patch"] {
        made.params.set(name, "");
    }
    for name in ["changes_config", "expired", "has_service", "port_missing"] {
        made.params.set(name, false);
    }
    made
}

fn set_prometheus(snap: &Snapshot, pod: Option<&Pod>, params: &mut Params) {
    let target = pod.map(|p| Target::of(snap, p));
    let custom = target.as_ref().and_then(|t| t.custom).filter(|(kind, _)| *kind == "prometheus");
    let file = running_config::in_file(snap);
    let container = pod.and_then(|p| p.spec.containers.iter().find(|c| c.program() == Some(Program::Prometheus)));
    let kept = match (&custom, file) {
        (None, Some((map, _, _))) => managed_by(&map.metadata),
        _ => target.as_ref().map(|t| t.managed_by.clone()).unwrap_or_default(),
    };
    params.set("namespace", pod.map_or("<namespace>", |p| p.metadata.namespace.as_str()));
    params.set("pod", pod.map_or("<prometheus-pod>", |p| p.metadata.name.as_str()));
    params.set("workload", target.as_ref().map_or("<deployment or statefulset of Prometheus>", |t| t.name.as_str()));
    params.set("container", container.map_or("prometheus", |c| c.name.as_str()));
    params.set("custom", custom.map(|(_, name)| name));
    params.set("config_map", file.map(|(map, _, _)| map.metadata.name.as_str()));
    params.set("config_key", file.map_or("prometheus.yml", |(_, key, _)| key));
    params.set("reloads", pod.is_some_and(|p| owner::reloads(&p.spec)));
    params.set("managed_by", kept);
}

fn set_alertmanager(snap: &Snapshot, params: &mut Params) {
    let service = alertmanager_service(snap);
    let at = snap.scope.alertmanager.as_ref();
    let port = at.map_or(9093, |c| c.port);
    let name = service.and_then(|s| s.spec.ports.iter().find(|p| p.port == port)).and_then(|p| p.name.clone());
    params.set("am_known", service.is_some());
    params.set("am_namespace", at.map_or("<namespace>", |c| c.namespace.as_str()));
    params.set("am_service", at.map_or("<alertmanager-service>", |c| c.service.as_str()));
    params.set("am_port", port);
    params.set("am_port_name", name.unwrap_or_else(|| port.to_string()));
    params.set("am_prefix", at.map_or("", |c| c.prefix.as_str()));
    let host = at.map(|c| format!("{}.{}.svc:{port}", c.service, c.namespace));
    params.set("am_target", host.unwrap_or_else(|| "<alertmanager-service>.<namespace>.svc:9093".into()));
    params.set("am_selector", at.map(|c| format!("kubernetes.io/service-name={}", c.service)));
    let pod = alertmanager_pods(snap).into_iter().next();
    params.set("am_pod", pod.map_or("<alertmanager-pod>", |(p, _)| p.metadata.name.as_str()));
    params.set("am_container", pod.map_or("alertmanager", |(_, c)| c));
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
