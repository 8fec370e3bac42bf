//! Reads from a snapshot what the systems themselves say is wrong. One file per source; no judgement beyond how much a
//! signal weighs.

mod alert_reading;
mod alerts;
mod changes;
mod conditions;
mod events;
mod explain;
mod health;
mod logs;
mod named;
mod pods;
mod records;
mod releases;
mod scrape;
mod server;
#[cfg(test)]
mod testing;

use std::collections::BTreeSet;

pub use changes::{FACTS as CHANGE_FACTS, add as add_changes};
pub use explain::explain;

use crate::domain::kubernetes::{nodes, owner};
use crate::model::{Fact, ResourceRef, Signal};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

/// The facts that signals are read from. What of them is missing is a gap of the report; no verdict depends on it.
pub const FACTS: &[Fact] = &[
    Fact::Nodes,
    Fact::Namespaces,
    Fact::Workloads,
    Fact::Pods,
    Fact::PersistentVolumeClaims,
    Fact::Events,
    Fact::MonitoringResources,
    Fact::OtherServers,
    Fact::Monitors,
    Fact::ApiServices,
    Fact::Jobs,
    Fact::Autoscalers,
    Fact::HelmReleases,
    Fact::Manifests,
    Fact::ComponentLogs,
    Fact::PartLogs,
    Fact::CrashLogs,
    Fact::PrometheusAlerts,
    Fact::PrometheusRules,
    Fact::PrometheusRuntime,
    Fact::PrometheusConfig,
    Fact::PrometheusCounters,
    Fact::PrometheusAlertmanagers,
    Fact::AlertmanagerAlerts,
    Fact::PrometheusTargets,
    Fact::DroppedTargets,
    Fact::EksAddons,
    Fact::EksNodegroups,
    Fact::TargetGroups,
];

/// All signals of a snapshot in a fixed order; what could not be read gives none.
pub fn read(snap: &Snapshot) -> Vec<Signal> {
    let sources: [fn(&Snapshot) -> Vec<Signal>; 10] = [
        alerts::read,
        pods::read,
        conditions::read,
        health::read,
        releases::read,
        records::read,
        scrape::read,
        server::read,
        events::read,
        logs::read,
    ];
    let mut all: Vec<Signal> = sources.into_iter().flat_map(|source| source(snap)).collect();
    all.sort_by_cached_key(|s| (std::cmp::Reverse(s.weight), s.kind, s.subject.key(), s.title.clone(), s.text.clone()));
    all
}

/// Namespaces of the stack and of what it stands on. What happens elsewhere is for those to judge who run it.
fn is_ours(snap: &Snapshot, namespace: &str) -> bool {
    namespace.is_empty()
        || !snap.scope.all.is_empty()
        || snap.scope.is_stack(namespace)
        || snap.scope.parts.contains(namespace)
        || namespace == "kube-system"
}

/// Seconds between a time and the snapshot; 0 for what lies ahead.
fn seconds_ago(snap: &Snapshot, time: jiff::Timestamp) -> i64 {
    snap.seconds_since(time).max(0)
}

/// A pod with what its state can depend on: its owner, the operator's resource behind that, claims, a node that is down.
fn around(snap: &Snapshot, pod: &Pod) -> Vec<ResourceRef> {
    let meta = &pod.metadata;
    let mut all = vec![ResourceRef::pod(&meta.namespace, &meta.name), snap.owner_ref(pod)];
    all.extend(owner::Target::of(snap, pod).operator_ref(&meta.namespace));
    all.extend(pod.claims().map(|claim| ResourceRef::pvc(&meta.namespace, claim)));
    all.extend(nodes::dead_nodes(snap, std::iter::once(pod)));
    all
}

/// Words in a list, each once, in order.
fn once(words: impl IntoIterator<Item = String>) -> String {
    words.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}
