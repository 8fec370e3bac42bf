//! Objects of the operator: whether a server selects them, and what they find.

use super::{ANSWERS, OBJECTS, of_target, one_of, rank};
use crate::domain::prometheus::operator::chain::{self, End};
use crate::domain::prometheus::operator::selection::{self, Kind};
use crate::domain::prometheus::targets;
use crate::snapshot::kubernetes::{Meta, Monitor, Service};
use crate::snapshot::monitoring::ScrapeTarget;
use crate::snapshot::{Fetched, Snapshot};
use crate::why::build::{Builder, Claims, Seen, broken, right, untold};
use crate::why::shown;
use crate::why::words::few;

pub(super) fn link(snap: &Snapshot, kind: &str, namespace: &str, name: &str) -> Fetched<Seen> {
    let Some(kind) = Kind::parse(kind) else { return Ok(untold(format!("{kind} {namespace}/{name}"))) };
    let all = selection::objects(snap, kind)?;
    if all.is_empty() {
        return Ok(untold(format!("{} {namespace}/{name}; no object of the kind was seen", kind.as_str())));
    }
    let Some(object) = all.into_iter().find(|m| m.namespace == namespace && m.name == name) else {
        return Ok(broken(format!("{} {namespace}/{name} does not exist", kind.as_str())));
    };
    selected(snap, kind, object)
}

/// Whether a server selects an object of the operator.
fn selected(snap: &Snapshot, kind: Kind, object: &Meta) -> Fetched<Seen> {
    let servers = selection::selecting(snap, kind, object)?;
    let shown = shown::written(kind.kubectl(), object);
    let named = format!("{} {}/{}", kind.as_str(), object.namespace, object.name);
    Ok(match servers.first() {
        Some(server) => right(format!("{named}, selected by {}", server.reference())).with(shown),
        None => broken(format!("no server selects {named}")).with(shown),
    })
}

pub(super) fn find<'a>(snap: &'a Snapshot, namespace: &str, name: &str) -> Option<&'a Monitor> {
    let all = snap.monitors.items().unwrap_or_default();
    all.iter().find(|m| m.metadata.namespace == namespace && m.metadata.name == name)
}

/// The chain of a ServiceMonitor or PodMonitor.
pub(in crate::why) fn chain(b: &mut Builder<'_>, monitor: &Monitor) {
    let snap = b.snap;
    let Some(kind) = Kind::parse(&monitor.kind) else { return };
    let meta = &monitor.metadata;
    let jobs: Vec<String> = (0..monitor.spec.endpoints.len().max(1))
        .flat_map(|at| chain::job_names(kind, &meta.namespace, &meta.name, at))
        .collect();
    let mut own: Vec<&ScrapeTarget> = targets::all(snap).iter().filter(|t| jobs.iter().any(|j| j == t.job())).collect();
    own.sort_by_key(|t| (rank(t), t.scrape_url.clone()));
    if let Some(target) = own.first() {
        b.note(one_of(&own));
        of_target(b, target);
        return;
    }
    let about = vec![kind.reference(&meta.namespace, &meta.name)];
    b.link("selected", about.clone(), Claims::Of(OBJECTS), || selected(snap, kind, meta));
    ends(b, monitor);
    b.link("targets", about, Claims::Of(ANSWERS), || {
        snap.prometheus_targets()?;
        let shown = shown::api(snap.scope.prometheus.as_ref(), "/api/v1/targets?state=active");
        Ok(broken("Prometheus has no target of it").with(shown))
    });
}

/// From a monitor to what it finds.
pub(super) fn ends(b: &mut Builder<'_>, monitor: &Monitor) {
    let snap = b.snap;
    let Some(server) = Kind::parse(&monitor.kind)
        .and_then(|kind| selection::selecting(snap, kind, &monitor.metadata).ok())
        .and_then(|all| all.into_iter().next())
        .or_else(|| chain::answering(snap))
    else {
        return;
    };
    let Some(endpoint) = monitor.spec.endpoints.first() else { return };
    let meta = &monitor.metadata;
    let about = Kind::parse(&monitor.kind).map(|k| k.reference(&meta.namespace, &meta.name)).into_iter().collect();
    b.link("services", about, Claims::Of(&["monitor-without-targets"]), || {
        let shown = shown::written(&monitor.kind.to_ascii_lowercase(), meta);
        let names = |all: &[&Service]| few(all.iter().map(|s| s.metadata.name.as_str()), 3);
        Ok(match chain::walk(snap, server, monitor, endpoint) {
            End::NoService(_) => broken("no Service meets its selector in the namespaces that it looks at").with(shown),
            End::NoPort { services, .. } => {
                broken(format!("{} has no port of that name", names(&services))).with(shown)
            }
            End::NoTargetPort { services, .. } => {
                broken(format!("no container behind {} has that target port", names(&services))).with(shown)
            }
            End::NoNamedTarget { service, target, .. } => {
                let name = &service.metadata.name;
                broken(format!("{name} leads to a port named {target}, which no container has")).with(shown)
            }
            End::NoEndpoints(services) => broken(format!("{} has no address", names(&services))).with(shown),
            End::NoPod => broken("no pod meets its selector").with(shown),
            End::NoPodPort { .. } => broken("no container of its pods has a port of that name").with(shown),
            End::Found => right("its selector and its port lead to something").with(shown),
            End::Unknown => untold("whether its selector leads to something cannot be told").with(shown),
        })
    });
}
