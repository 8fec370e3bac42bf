//! Pods outside of the stack's namespaces that the stack waits for: behind what it scrapes or sends to, and controllers.

use std::collections::BTreeSet;

use crate::domain::aws::{scale_up, secret_makers};
use crate::domain::kubernetes::service_host::in_cluster;
use crate::domain::kubernetes::{external_dns, ingress, mesh, unschedulable};
use crate::domain::loki::agent_log;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// Namespace and name of a pod.
pub(crate) type Place = (String, String);

/// All of them.
pub(crate) fn all(snap: &Snapshot) -> BTreeSet<Place> {
    let mut found = behind_failing_targets(snap);
    found.extend(behind_log_agents(snap));
    found.extend(awaited(snap));
    found
}

/// Pods behind what Prometheus fails to scrape: only these of other namespaces are a matter of the stack.
pub(crate) fn behind_failing_targets(snap: &Snapshot) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    for target in snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default().iter().filter(|t| t.health == "down")
    {
        let Some(url) = url::Url::parse(&target.scrape_url).ok() else { continue };
        let Some(host) = url.host_str() else { continue };
        let place = |p: &Pod| (p.metadata.namespace.clone(), p.metadata.name.clone());
        if let Some(service) = snap.service_by_host(host) {
            found.extend(snap.pods_of_service(service).map(place));
        }
        found.extend(snap.pod_by_ip(host).map(place));
        let label = |name: &str| target.discovered_labels.get(name).cloned();
        if let (Some(namespace), Some(pod)) =
            (label("__meta_kubernetes_namespace"), label("__meta_kubernetes_pod_name"))
        {
            found.insert((namespace, pod));
        }
    }
    found
}

/// Pods of the stores to which log agents cannot send, wherever they run.
pub(crate) fn behind_log_agents(snap: &Snapshot) -> BTreeSet<Place> {
    let failing = agent_log::failing(snap).unwrap_or_default();
    let hosts = failing.iter().filter_map(|f| Some((agent_log::target(&f.text)?.0, f.namespace.as_str())));
    let services = hosts.filter_map(|(host, namespace)| in_cluster(snap, &host, namespace));
    let pods = services.filter_map(|s| {
        let service = snap.services.find(&s.namespace, &s.service).ok().flatten()?;
        Some(snap.pods_of_service(service))
    });
    pods.flatten().map(|p| (p.metadata.namespace.clone(), p.metadata.name.clone())).collect()
}

/// Pods of controllers that the stack waits for: what makes its load balancers, what adds nodes for pods that wait,
/// and what gives side-cars their identity.
pub(crate) fn awaited(snap: &Snapshot) -> BTreeSet<Place> {
    let place = |p: &Pod| (p.metadata.namespace.clone(), p.metadata.name.clone());
    let mut found = BTreeSet::new();
    let balances = ingress::of_stack(snap).next().is_some() || ingress::balanced(snap).next().is_some();
    if balances && let Some(controller) = ingress::controller(snap) {
        found.extend(ingress::controller_pods(snap, controller).into_iter().map(place));
    }
    // Who is to write its name.
    found.extend(external_dns::awaited(snap).map(place));
    // Who is to make a Secret that nobody has made.
    let makers = secret_makers::unattended(snap);
    let judged = makers.iter().filter(|(m, _)| snap.scope.is_judged(&m.metadata.namespace));
    let kinds: BTreeSet<&str> = judged.map(|(m, _)| m.kind.as_str()).collect();
    found.extend(kinds.into_iter().flat_map(|kind| secret_makers::controllers(snap, kind)).map(place));
    let waits = |p: &Pod| unschedulable::concerns(snap, p) && unschedulable::unscheduled(snap, p).is_some();
    if snap.pods.items().unwrap_or_default().iter().any(waits) {
        found.extend(scale_up::makers(snap).map(place));
    }
    // Who gives the side-cars of the stack their identity.
    let own = snap.pods.items().unwrap_or_default().iter().filter(|p| snap.scope.is_judged(&p.metadata.namespace));
    found.extend(own.flat_map(|p| mesh::awaited(snap, p)).map(place));
    found
}
