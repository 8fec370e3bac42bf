//! Karpenter moves a pod of the stack again and again, to save nodes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::consolidation::{self, Reason};
use crate::domain::kubernetes::owner::{Target, workload_of_name};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Workload};

/// Moves within an hour that are more than one consolidation.
const OFTEN: u32 = 3;
/// Seconds for which events tell of now.
const RECENT: i64 = 3600;

check! {
    /// See the check's page.
    ConsolidationEvicts {
        id: "consolidation-evicts", suite: Nodes, severity: Error,
        title: "Karpenter moves pods of the stack again and again",
        requires: [Events, Workloads],
        uses: [Pods, MonitoringResources],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Hold {
        namespace: String,
        /// Pods that run now.
        pods: Vec<String>,
        /// The operator's resource, as kubectl takes its kind; empty where there is none.
        operator_kind: String,
        operator_name: String,
        workload: String,
        patch: String,
        managed: String,
    },
}

impl Check for ConsolidationEvicts {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads()?;
        let now = snap.collected_at.as_second();
        let recent = |e: &&Event| e.last_seen().is_some_and(|t| now - t.as_second() <= RECENT);
        let judged = |e: &&Event| snap.scope.is_judged(&e.involved_object.namespace);
        let mut moved: BTreeMap<ResourceRef, Vec<&Event>> = BTreeMap::new();
        for event in snap.events()?.iter().filter(judged).filter(recent) {
            if consolidation::reason(event).is_none() {
                continue;
            }
            let object = &event.involved_object;
            if let Some(workload) = workload_of_name(snap, &object.namespace, &object.name) {
                moved.entry(workload.reference()).or_default().push(event);
            }
        }
        let often = moved.into_values().filter(|events| events.iter().map(|e| e.times()).sum::<u32>() >= OFTEN);
        Ok(Diagnosis::Findings(often.filter_map(|events| finding(snap, &events)).collect()))
    }
}

fn finding(snap: &Snapshot, events: &[&Event]) -> Option<Finding> {
    let newest = events.iter().max_by_key(|e| e.last_seen())?;
    let namespace = &newest.involved_object.namespace;
    let workload = workload_of_name(snap, namespace, &newest.involved_object.name)?;
    // What runs many pods is moved a pod at a time, and serves on.
    if workload.desired() > 1 {
        return None;
    }
    let times: u32 = events.iter().map(|e| e.times()).sum();
    let why = match consolidation::reason(newest)? {
        Reason::Underutilized => "its node was used too little",
        Reason::Empty => "its node was empty but for DaemonSets",
        Reason::Drifted => "its node no longer fits its NodePool",
        Reason::Other => "its node was given up",
    };
    let is_server = workload.spec.template.spec.containers.iter().any(|c| c.program().is_some());
    let severity = if is_server { Severity::Error } else { Severity::Warning };
    let owner = workload.reference();
    let message = format!(
        "Karpenter evicted the pod of {owner} {times} times within the last hour, because {why}: each time it starts anew, and nothing is scraped meanwhile"
    );
    let made = Finding::new(ConsolidationEvicts::META.id, severity, owner, message);
    // Between two moves it works.
    Some(made.breaks_nothing().evidence(event_evidence(newest)).fix(fix(snap, namespace, workload)))
}

fn fix(snap: &Snapshot, namespace: &str, workload: &Workload) -> Fix {
    let annotations = json!({"annotations": {"karpenter.sh/do-not-disrupt": "true"}});
    let pods: Vec<_> = snap.pods_of_workload(workload).filter(|p| p.metadata.deletion_timestamp.is_none()).collect();
    let target = pods.first().map(|p| Target::of(snap, p));
    let kind = target.as_ref().map_or("", Target::operator_kind);
    let spec = match kind {
        "" => json!({"spec": {"template": {"metadata": annotations}}}),
        _ => json!({"spec": {"podMetadata": annotations}}),
    };
    Fix::Hold {
        namespace: namespace.to_owned(),
        pods: pods.iter().map(|p| p.metadata.name.clone()).collect(),
        operator_kind: kind.to_owned(),
        operator_name: target.as_ref().map_or("", Target::operator_name).to_owned(),
        workload: workload.kubectl_name(),
        patch: spec.to_string(),
        managed: target.map(|t| t.managed_by).unwrap_or_default(),
    }
}
