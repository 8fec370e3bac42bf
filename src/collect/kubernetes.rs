//! Kubernetes lists and logs.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::Plan;
use super::client::{Client, IfAbsent};
use super::source::{FetchError, Request};
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::kubernetes::{Container, MonitoringResource, Pod, Workload};
use crate::snapshot::monitoring::ContainerLog;
use crate::snapshot::{Listing, Snapshot};

/// Containers whose logs are read at most: a broken stack has a handful, a broken cluster thousands.
const MAX_LOGS: usize = 20;

/// Cluster-scoped lists, and Services, which are small and show where the stack is.
pub(super) async fn cluster_scope(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let fallback: BTreeSet<String> =
        [plan.namespace.clone().unwrap_or_else(|| "monitoring".into()), "kube-system".into()].into();
    macro_rules! list {
        ($fact:ident, $path:expr) => {
            async {
                if plan.wants(Fact::$fact) {
                    client.cluster_list($path, IfAbsent::Gap).await
                } else {
                    Listing::missing(crate::snapshot::not_collected(Fact::$fact))
                }
            }
        };
    }
    // Nodes, Services and the operator's resources are always read: they tell the platform and the stack.
    let (nodes, classes, drivers, volumes, services, resources) = futures::join!(
        client.cluster_list("/api/v1/nodes", IfAbsent::Gap),
        list!(StorageClasses, "/apis/storage.k8s.io/v1/storageclasses"),
        list!(CsiDrivers, "/apis/storage.k8s.io/v1/csidrivers"),
        list!(PersistentVolumes, "/api/v1/persistentvolumes"),
        client.wide_list("/api/v1", "services", &fallback, IfAbsent::Gap),
        monitoring_resources(client, &fallback)
    );
    snap.nodes = nodes;
    snap.storage_classes = classes;
    snap.csi_drivers = drivers;
    snap.persistent_volumes = volumes;
    snap.services = services;
    snap.monitoring_resources = resources;
}

async fn monitoring_resources(client: &Client, fallback: &BTreeSet<String>) -> Listing<MonitoringResource> {
    let prefix = "/apis/monitoring.coreos.com/v1";
    let (prometheuses, alertmanagers) = futures::join!(
        client.wide_list::<MonitoringResource>(prefix, "prometheuses", fallback, IfAbsent::Empty),
        client.wide_list::<MonitoringResource>(prefix, "alertmanagers", fallback, IfAbsent::Empty)
    );
    let tag = |kind: &str| {
        let kind = kind.to_owned();
        move |mut r: MonitoringResource| {
            r.kind.clone_from(&kind);
            r
        }
    };
    prometheuses.map(tag("Prometheus")).merge(alertmanagers.map(tag("Alertmanager")))
}

/// Lists of the namespaces in scope.
pub(super) async fn namespaced(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let scope = snap.scope.namespaces();
    let stack: BTreeSet<String> = snap.scope.stack.iter().cloned().collect();
    let stack_and_system: BTreeSet<String> = stack.iter().cloned().chain(["kube-system".to_owned()]).collect();
    macro_rules! list {
        ($fact:ident, $prefix:expr, $resource:expr, $namespaces:expr) => {
            async {
                if plan.wants(Fact::$fact) {
                    client.namespaced_list($prefix, $resource, $namespaces, IfAbsent::Gap).await
                } else {
                    Listing::missing(crate::snapshot::not_collected(Fact::$fact))
                }
            }
        };
    }
    let workloads = async {
        if plan.wants(Fact::Workloads) {
            workloads(client, &scope).await
        } else {
            Listing::missing(crate::snapshot::not_collected(Fact::Workloads))
        }
    };
    let rules = async {
        if plan.wants(Fact::PrometheusRuleObjects) {
            let prefix = "/apis/monitoring.coreos.com/v1";
            client.namespaced_list(prefix, "prometheusrules", &scope, IfAbsent::Empty).await
        } else {
            Listing::missing(crate::snapshot::not_collected(Fact::PrometheusRuleObjects))
        }
    };
    let (pods, claims, events, slices, maps, accounts, policies, quotas, workloads, rules) = futures::join!(
        list!(Pods, "/api/v1", "pods", &scope),
        list!(PersistentVolumeClaims, "/api/v1", "persistentvolumeclaims", &scope),
        list!(Events, "/api/v1", "events", &scope),
        list!(EndpointSlices, "/apis/discovery.k8s.io/v1", "endpointslices", &scope),
        list!(ConfigMaps, "/api/v1", "configmaps", &stack),
        list!(ServiceAccounts, "/api/v1", "serviceaccounts", &stack_and_system),
        list!(NetworkPolicies, "/apis/networking.k8s.io/v1", "networkpolicies", &scope),
        list!(ResourceQuotas, "/api/v1", "resourcequotas", &scope),
        workloads,
        rules
    );
    snap.pods = pods;
    snap.persistent_volume_claims = claims;
    snap.events = events;
    snap.endpoint_slices = slices;
    snap.config_maps = maps;
    snap.service_accounts = accounts;
    snap.network_policies = policies;
    snap.resource_quotas = quotas;
    snap.workloads = workloads;
    snap.prometheus_rule_objects = rules;
    room(client, plan, snap).await;
}

/// What all pods ask of the nodes, read only where a pod in scope finds no node: the list is the largest of a cluster.
async fn room(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if !plan.wants(Fact::NodeRequests) {
        return;
    }
    let unscheduled = snap.pods.items().unwrap_or_default().iter().any(|p| {
        p.condition("PodScheduled")
            .is_some_and(|c| c.status == "False" && c.message.as_deref().is_some_and(|m| m.contains("Insufficient")))
    });
    snap.node_requests = if unscheduled {
        client.cluster_list("/api/v1/pods", IfAbsent::Gap).await
    } else {
        Listing::cluster(Vec::new())
    };
}

async fn workloads(client: &Client, scope: &BTreeSet<String>) -> Listing<Workload> {
    let prefix = "/apis/apps/v1";
    let (deployments, sets, daemons) = futures::join!(
        client.namespaced_list::<Workload>(prefix, "deployments", scope, IfAbsent::Gap),
        client.namespaced_list::<Workload>(prefix, "statefulsets", scope, IfAbsent::Gap),
        client.namespaced_list::<Workload>(prefix, "daemonsets", scope, IfAbsent::Gap)
    );
    let tag = |kind: &str| {
        let kind = kind.to_owned();
        move |mut w: Workload| {
            w.kind.clone_from(&kind);
            w
        }
    };
    deployments.map(tag("Deployment")).merge(sets.map(tag("StatefulSet"))).merge(daemons.map(tag("DaemonSet")))
}

/// The end of the stack's logs, and of the previous logs of failing containers of the stack.
pub(super) async fn logs(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if plan.wants(Fact::ComponentLogs) {
        snap.component_logs = component_logs(client, snap).await;
    }
    if plan.wants(Fact::CrashLogs) {
        snap.crash_logs = crash_logs(client, snap).await;
    }
}

/// Logs of containers that run: what they complain of.
async fn component_logs(client: &Client, snap: &Snapshot) -> Result<Vec<ContainerLog>, Gap> {
    let pods = snap.pods()?.iter().filter(|p| snap.scope.is_stack(&p.metadata.namespace));
    let running = pods.filter(|p| p.status.phase == "Running");
    let wanted = running.flat_map(|pod| pod.spec.containers.iter().map(move |container| (pod, container)));
    let wanted = wanted.filter(|(_, container)| container.program().is_some());
    read_logs(client, wanted.map(|(pod, container)| (pod, container, false)).collect()).await
}

async fn crash_logs(client: &Client, snap: &Snapshot) -> Result<Vec<ContainerLog>, Gap> {
    let mut wanted = Vec::new();
    for pod in snap.pods()?.iter().filter(|p| p.metadata.namespace != "kube-system") {
        let statuses = pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
        for status in statuses.filter(|s| s.restart_count > 0 && !s.ready) {
            let mut containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
            wanted.extend(containers.find(|c| c.name == status.name).map(|container| (pod, container, true)));
        }
    }
    read_logs(client, wanted).await
}

/// Reads logs; some of them missing is normal (rotated, container gone), all of them missing is a gap.
async fn read_logs(client: &Client, mut wanted: Vec<(&Pod, &Container, bool)>) -> Result<Vec<ContainerLog>, Gap> {
    wanted.truncate(MAX_LOGS);
    let requests: Vec<Request> =
        wanted.iter().map(|(pod, container, previous)| log_request(pod, container, *previous)).collect();
    let answers = join_all(requests.iter().map(|request| client.text(request))).await;
    let mut logs = Vec::new();
    let mut first = None;
    for (((pod, container, previous), request), answer) in wanted.into_iter().zip(&requests).zip(answers) {
        match answer {
            Ok(text) => logs.push(ContainerLog {
                namespace: pod.metadata.namespace.clone(),
                pod: pod.metadata.name.clone(),
                container: container.name.clone(),
                program: container.program(),
                previous,
                text: tail(&text).to_owned(),
            }),
            // 400: the container has no previous log.
            Err(FetchError::Gap(gap)) if gap.cause == GapCause::BadAnswer => {}
            Err(FetchError::NotFound(_)) => {}
            Err(error) => first = first.or(Some(error.into_gap(&request.label()))),
        }
    }
    match first {
        Some(gap) if logs.is_empty() => Err(gap),
        _ => Ok(logs),
    }
}

fn log_request(pod: &Pod, container: &Container, previous: bool) -> Request {
    Request::Log {
        namespace: pod.metadata.namespace.clone(),
        pod: pod.metadata.name.clone(),
        container: container.name.clone(),
        previous,
    }
}

/// The part of a log that a live source would have given.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(super::live::LOG_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let text = &text[start..];
    let skip = text.lines().count().saturating_sub(super::live::LOG_LINES);
    match text.match_indices('\n').nth(skip.wrapping_sub(1)) {
        Some((at, _)) if skip > 0 => &text[at + 1..],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_to_its_last_lines() {
        let text: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let cut = tail(&text);
        assert_eq!(cut.lines().count(), super::super::live::LOG_LINES);
        assert!(cut.ends_with("line 999\n"));
        assert_eq!(tail("short"), "short");
    }
}
