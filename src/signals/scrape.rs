//! Scrape pools whose targets are down, and pools of the operator whose targets are all dropped.

use std::collections::BTreeMap;

use super::around;
use crate::domain::prometheus::origin::monitor_of;
use crate::domain::prometheus::targets::{
    Address, is_hidden_control_plane, is_leaving, is_out_of_reach, prometheus_path,
};
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::kubernetes::{Monitor, Service};
use crate::snapshot::monitoring::ScrapeTarget;
use crate::snapshot::{Platform, Snapshot};

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    let mut pools: BTreeMap<&str, Vec<&ScrapeTarget>> = BTreeMap::new();
    for target in snap.prometheus_targets().map(Vec::as_slice).unwrap_or_default() {
        pools.entry(target.job()).or_default().push(target);
    }
    let mut all: Vec<Signal> = pools.iter().filter_map(|(job, targets)| down(snap, job, targets)).collect();
    let counts = snap.dropped_targets().into_iter().flatten();
    all.extend(
        counts.filter(|(job, _)| !pools.contains_key(job.as_str())).filter_map(|(job, n)| dropped(snap, job, *n)),
    );
    all
}

fn shown(snap: &Snapshot, job: &str, value: String) -> Evidence {
    let path = prometheus_path(snap, "/api/v1/targets?state=active").unwrap_or_default();
    Evidence::new(format!("targets of scrape job {job}"), value, "{% if path %}kubectl get --raw {{ path }}{% endif %}")
        .with("path", path)
}

fn down(snap: &Snapshot, job: &str, targets: &[&ScrapeTarget]) -> Option<Signal> {
    let down = targets.iter().copied().filter(|t| t.health == "down" && !is_leaving(snap, t));
    let down: Vec<&ScrapeTarget> = down.collect();
    let first = down.first()?;
    let hidden =
        |t: &&ScrapeTarget| Address::parse(&t.scrape_url).is_some_and(|a| is_hidden_control_plane(snap, t, &a));
    let label = |t: &ScrapeTarget, name: &str| t.labels.get(name).cloned().unwrap_or_default();
    let mut about = Vec::new();
    for target in &down {
        let (namespace, pod, service) = (label(target, "namespace"), label(target, "pod"), label(target, "service"));
        if let Ok(Some(pod)) = snap.pods.find(&namespace, &pod) {
            about.extend(around(snap, pod));
        }
        if !service.is_empty() {
            about.push(ResourceRef::service(&namespace, &service));
        }
        about.push(ResourceRef::ScrapeUrl { url: target.scrape_url.clone() });
    }
    let error = redact(&first.last_error);
    let title = format!("{} of {} targets of {job} down", down.len(), targets.len());
    let signal = Signal::new(
        SignalKind::Scrape,
        ResourceRef::ScrapeJob { job: job.to_owned() },
        title,
        shown(snap, job, error.clone()),
    )
    .text(error)
    .about(about);
    Some(if down.iter().all(hidden) { signal.weight(Weight::Note) } else { signal })
}

/// The operator made the pool, so someone wants targets in it. Of hand-written jobs, most drop nearly all they find.
fn dropped(snap: &Snapshot, job: &str, count: u64) -> Option<Signal> {
    let monitor = monitor_of(job)?;
    if count == 0 {
        return None;
    }
    let hidden = snap.platform == Platform::Eks
        && (is_out_of_reach(snap, &monitor.name) || monitor.name.ends_with("-kube-proxy"));
    let kind = match monitor.kind {
        "servicemonitor" => "ServiceMonitor",
        "podmonitor" => "PodMonitor",
        "probe" => "Probe",
        _ => "ScrapeConfig",
    };
    let subject = ResourceRef::kubernetes("monitoring.coreos.com", kind, &monitor.namespace, &monitor.name);
    let title = format!("scrape pool {job} has no target: all {count} that were found are dropped");
    let signal =
        Signal::new(SignalKind::Scrape, subject, title, shown(snap, job, format!("0 active, {count} dropped")))
            .about([ResourceRef::ScrapeJob { job: job.to_owned() }])
            .about(behind(snap, kind, &monitor.namespace, &monitor.name))
            .next("compare its selector, namespaceSelector and port with the Service's labels and ports");
    Some(if hidden { signal.weight(Weight::Note) } else { signal })
}

/// The Services that a ServiceMonitor selects by plain labels, and their pods: without a ready one, all is dropped.
fn behind(snap: &Snapshot, kind: &str, namespace: &str, name: &str) -> Vec<ResourceRef> {
    let monitors = snap.monitors.items().unwrap_or_default().iter();
    let own = |m: &&Monitor| m.kind == kind && m.metadata.namespace == namespace && m.metadata.name == name;
    let Some(spec) = monitors.filter(|_| kind == "ServiceMonitor").find(own).map(|m| &m.spec) else {
        return Vec::new();
    };
    let Some(wanted) = &spec.selector.match_labels else { return Vec::new() };
    let services = snap.services.items().unwrap_or_default().iter();
    let selected = services.filter(|s| {
        spec.namespace_selector.selects(&s.metadata.namespace, namespace)
            && wanted.iter().all(|(k, v)| s.metadata.labels.get(k) == Some(v))
    });
    let each = |s: &Service| {
        let service = ResourceRef::service(&s.metadata.namespace, &s.metadata.name);
        snap.pods_of_service(s).flat_map(|p| around(snap, p)).chain([service]).collect::<Vec<_>>()
    };
    selected.flat_map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;

    #[test]
    fn only_pools_of_the_operator_must_not_drop_all() {
        let mut snap = snapshot();
        *snap.prometheus_targets = Ok(Vec::new());
        *snap.dropped_targets = Ok(BTreeMap::from([
            ("kubernetes-pods".to_owned(), 40),
            ("serviceMonitor/shop/web/0".to_owned(), 12),
            ("serviceMonitor/monitoring/stack-kube-scheduler/0".to_owned(), 8),
            ("serviceMonitor/shop/empty/0".to_owned(), 0),
        ]));
        let found: Vec<(String, Weight)> = read(&snap).into_iter().map(|s| (s.subject.name(), s.weight)).collect();
        assert_eq!(
            found,
            [("monitoring/stack-kube-scheduler".to_owned(), Weight::Note), ("shop/web".to_owned(), Weight::Weighs)]
        );
    }
}
