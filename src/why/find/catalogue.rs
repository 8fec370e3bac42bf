//! The names of everything that has a chain.

use std::collections::BTreeSet;

use super::{Kind, Thing, panel_name};
use crate::domain::alertmanager::config;
use crate::domain::alertmanager::tree::Tree;
use crate::domain::grafana::dashboards::text_of;
use crate::domain::prometheus::operator::chain::loaded_jobs;
use crate::domain::prometheus::targets;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Meta;
use crate::why::{alert, grafana, target};

/// Pods that a StatefulSet wants and whose names are made up: more than anybody asks for.
const WANTED: u32 = 1000;

/// Everything that has a chain, each once, in order.
pub(in crate::why) fn everything(snap: &Snapshot) -> Vec<Thing> {
    let mut all: BTreeSet<Thing> = BTreeSet::new();
    let mut add = |kind: Kind, namespace: &str, name: &str| {
        if !name.is_empty() {
            all.insert(Thing { kind, namespace: namespace.to_owned(), name: name.to_owned() });
        }
    };
    objects(snap, &mut add);
    monitoring(snap, &mut add);
    all.into_iter().collect()
}

fn objects(snap: &Snapshot, add: &mut impl FnMut(Kind, &str, &str)) {
    let mut of = |kind: Kind, meta: &Meta| add(kind, &meta.namespace, &meta.name);
    snap.pods.items().unwrap_or_default().iter().for_each(|o| of(Kind::Pod, &o.metadata));
    snap.services.items().unwrap_or_default().iter().for_each(|o| of(Kind::Service, &o.metadata));
    snap.persistent_volume_claims.items().unwrap_or_default().iter().for_each(|o| of(Kind::Claim, &o.metadata));
    snap.nodes.items().unwrap_or_default().iter().for_each(|o| of(Kind::Node, &o.metadata));
    for workload in snap.workloads.items().unwrap_or_default() {
        let kind = match workload.kind.as_str() {
            "Deployment" => Kind::Deployment,
            "StatefulSet" => Kind::StatefulSet,
            _ => Kind::DaemonSet,
        };
        of(kind, &workload.metadata);
    }
    for monitor in snap.monitors.items().unwrap_or_default() {
        let kind = if monitor.kind == "PodMonitor" { Kind::PodMonitor } else { Kind::ServiceMonitor };
        of(kind, &monitor.metadata);
    }
    // A pod that a StatefulSet wants has its name before it is there.
    for set in snap.workloads.items().unwrap_or_default().iter().filter(|w| w.kind == "StatefulSet") {
        for at in 0..set.desired().min(WANTED) {
            add(Kind::Pod, &set.metadata.namespace, &format!("{}-{at}", set.metadata.name));
        }
    }
}

fn monitoring(snap: &Snapshot, add: &mut impl FnMut(Kind, &str, &str)) {
    let groups = snap.prometheus_rules.as_ref().map(Vec::as_slice).unwrap_or_default();
    let rules = groups.iter().flat_map(|g| &g.rules).filter(|r| r.kind != "recording");
    rules.for_each(|r| add(Kind::Alert, "", &r.name));
    snap.prometheus_alerts.iter().flatten().for_each(|a| add(Kind::Alert, "", a.name()));
    for held in snap.alertmanager_alerts.iter().flatten().flat_map(|g| &g.alerts) {
        add(Kind::Alert, "", held.labels.get("alertname").map_or("", String::as_str));
    }
    for object in snap.prometheus_rule_objects.items().unwrap_or_default() {
        alert::alerts_of(&object.spec).for_each(|name| add(Kind::Alert, "", name));
    }
    for found in targets::all(snap) {
        target::names(found).for_each(|name| add(Kind::Target, "", name));
    }
    loaded_jobs(snap).into_iter().flatten().for_each(|job| add(Kind::Target, "", &job));
    let tree = config::loaded(snap).and_then(Tree::read);
    tree.iter().flat_map(|t| t.receivers.keys()).for_each(|name| add(Kind::Receiver, "", name));
    snap.alertmanager_receivers.iter().flatten().for_each(|name| add(Kind::Receiver, "", name));
    for dashboard in grafana::dashboards(snap) {
        for panel in dashboard.panels() {
            add(Kind::Panel, "", &panel_name(&dashboard.title, &text_of(panel, "title")));
        }
    }
    for datasource in grafana::all_datasources(snap) {
        add(Kind::Datasource, datasource.instance.namespace(), &datasource.name);
    }
}
