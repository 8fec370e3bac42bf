//! Services through which the kubelets are scraped. The operator makes one (`--kubelet-service`) and keeps its addresses; nobody
//! deletes it with the operator, and its addresses stay as they were.

use std::collections::BTreeSet;

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::{managed, releases};
use crate::domain::prometheus::operator::deployment;
use crate::domain::prometheus::targets;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Monitor, Service};
use crate::snapshot::monitoring::ScrapeTarget;

/// One that no operator keeps, and that Prometheus scrapes through.
#[derive(Debug)]
pub(crate) struct Left<'a> {
    pub(crate) service: &'a Service,
    /// Targets that are found through it, and how many of them are down.
    pub(crate) targets: usize,
    pub(crate) down: usize,
}

/// `namespace/name` of those that the operators keep.
pub(crate) fn kept(snap: &Snapshot) -> BTreeSet<String> {
    let operators = deployment::operators(snap);
    operators.iter().filter_map(|o| arguments::flag(o.container, "kubelet-service")).map(str::to_owned).collect()
}

/// Whether a monitor asks for such a Service: by the labels that the operator gives it, old or new.
pub(crate) fn is_meant(monitor: &Monitor) -> bool {
    let wanted = monitor.spec.selector.match_labels.as_ref();
    let has = |key: &str| wanted.and_then(|l| l.get(key)).is_some_and(|v| v == "kubelet");
    monitor.kind == "ServiceMonitor" && (has("k8s-app") || has("app.kubernetes.io/name"))
}

/// Those that are left of an operator that is gone. Empty where it is not known what the operators keep.
pub(crate) fn left(snap: &Snapshot) -> Vec<Left<'_>> {
    let kept = kept(snap);
    // Operators are looked for wherever parts of a stack run.
    if kept.is_empty() || !snap.workloads.gaps().is_empty() {
        return Vec::new();
    }
    let services = snap.services.items().unwrap_or_default().iter();
    let orphans: Vec<&Service> = services.filter(|s| is_of_kubelets(s) && !kept.contains(&full_name(s))).collect();
    if orphans.is_empty() {
        return Vec::new();
    }
    // Nobody suffers from one that is not scraped.
    let targets = targets::all(snap);
    // Without them nothing would be scraped at all: through the kept ones the kubelets have to be up.
    let works = |name: &String| {
        let of_it = |t: &&ScrapeTarget| {
            let label = |name: &str| t.labels.get(name).map(String::as_str).unwrap_or_default();
            format!("{}/{}", label("namespace"), label("service")) == *name
        };
        targets.iter().filter(of_it).any(|t| t.health == "up")
    };
    if !kept.iter().any(works) {
        return Vec::new();
    }
    let scraped = orphans.into_iter().map(|service| {
        let of_it = |t: &&ScrapeTarget| {
            let label = |name: &str| t.labels.get(name).map(String::as_str);
            label("service") == Some(&service.metadata.name) && label("namespace") == Some(&service.metadata.namespace)
        };
        let mine: Vec<_> = targets.iter().filter(of_it).collect();
        Left { service, targets: mine.len(), down: mine.iter().filter(|t| t.health == "down").count() }
    });
    scraped.filter(|l| l.targets > 0).collect()
}

/// Those that the operator of a release kept which is gone: they bear its name, and that of no other release. Empty where it is
/// not known what the operators keep.
pub(crate) fn of_gone<'a>(snap: &'a Snapshot, release: &str) -> Vec<&'a Service> {
    if !snap.workloads.gaps().is_empty() || !snap.scope.gaps.is_empty() || !snap.helm_releases.is_whole() {
        return Vec::new();
    }
    let kept = kept(snap);
    let bears = |service: &Service, name: &str| {
        service.metadata.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    };
    let releases = snap.helm_releases.items().unwrap_or_default();
    let of_another = |s: &Service| releases.iter().any(|r| r.status != "uninstalled" && bears(s, &r.name));
    let services = snap.services.items().unwrap_or_default().iter();
    let own = services.filter(|s| is_of_kubelets(s) && bears(s, release));
    own.filter(|s| !kept.contains(&full_name(s)) && !of_another(s)).collect()
}

fn full_name(service: &Service) -> String {
    format!("{}/{}", service.metadata.namespace, service.metadata.name)
}

/// As the operator makes them: without a selector, with its label, of no chart and no repository.
fn is_of_kubelets(service: &Service) -> bool {
    let meta = &service.metadata;
    meta.label("k8s-app") == Some("kubelet")
        && service.spec.selector.is_empty()
        && meta.deletion_timestamp.is_none()
        && managed::release(meta).is_none()
        && !releases::is_of_gitops(meta)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::HelmRelease;

    #[test]
    fn the_service_that_is_left_bears_the_name_of_its_release_and_of_no_other() {
        let service = |name: &str| json!({"metadata": {"namespace": "kube-system", "name": name, "labels": {"k8s-app": "kubelet"}}, "spec": {"ports": []}});
        let operator = json!({"metadata": {"namespace": "monitoring", "name": "op"}, "spec": {"template": {"spec": {"containers": [
            {"name": "op", "image": "quay.io/prometheus-operator/prometheus-operator:v0.80.0", "args": ["--kubelet-service=kube-system/stack-kept"]}]}}}});
        let mut snap = snapshot(json!({
            "services": [service("stack-kubelet"), service("stack-two-kubelet"), service("stack-kept"), service("stacks-kubelet")],
            "workloads": [operator]}));
        let names = |snap: &Snapshot| -> Vec<String> {
            of_gone(snap, "stack").iter().map(|s| s.metadata.name.clone()).collect()
        };
        let release =
            |status: &str| HelmRelease { name: "stack-two".into(), status: status.into(), ..HelmRelease::default() };
        snap.helm_releases = Listing::cluster(vec![release("deployed")]);
        assert_eq!(names(&snap), ["stack-kubelet"]);
        snap.helm_releases = Listing::cluster(vec![release("uninstalled")]);
        assert_eq!(names(&snap), ["stack-kubelet", "stack-two-kubelet"]);
    }

    #[test]
    fn what_an_operator_keeps_is_not_left() {
        let service = |name: &str| json!({"metadata": {"namespace": "kube-system", "name": name, "labels": {"k8s-app": "kubelet"}}, "spec": {"ports": []}});
        let target = |service: &str, health: &str| json!({"labels": {"namespace": "kube-system", "service": service}, "scrapeUrl": "https://10.0.0.1:10250/metrics", "scrapePool": "kubelet", "health": health});
        let operator = json!({"metadata": {"namespace": "monitoring", "name": "op"}, "spec": {"template": {"spec": {"containers": [
            {"name": "op", "image": "quay.io/prometheus-operator/prometheus-operator:v0.80.0", "args": ["--kubelet-service=kube-system/new"]}]}}}});
        let snap = snapshot(json!({
            "services": [service("new"), service("old"), service("unused")],
            "workloads": [operator],
            "targets": [target("new", "up"), target("old", "down")]}));
        let left: Vec<_> = left(&snap).iter().map(|l| (l.service.metadata.name.clone(), l.targets, l.down)).collect();
        assert_eq!(left, [("old".to_owned(), 1, 1)]);
    }
}
