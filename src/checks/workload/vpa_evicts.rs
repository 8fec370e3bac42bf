//! A VerticalPodAutoscaler evicts a pod of the stack again and again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::workload_of_name;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Event;

/// Evictions within an hour that are more than an adjustment.
const OFTEN: u32 = 3;
/// Seconds for which events tell of now.
const RECENT: i64 = 3600;

check! {
    /// See the check's page.
    VpaEvicts {
        id: "vpa-evicts", suite: Workload, severity: Error,
        title: "a VerticalPodAutoscaler evicts pods of the stack again and again",
        requires: [Events, Workloads],
        uses: [],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Initial { namespace: String, vpa: String, workload: String },
}

impl Check for VpaEvicts {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads()?;
        let recent =
            |e: &&Event| e.last_seen().is_some_and(|t| snap.collected_at.as_second() - t.as_second() <= RECENT);
        let judged = |e: &&Event| snap.scope.is_judged(&e.involved_object.namespace);
        let mut evicted: BTreeMap<ResourceRef, Vec<&Event>> = BTreeMap::new();
        for event in snap.events()?.iter().filter(|e| e.reason == "EvictedByVPA").filter(judged).filter(recent) {
            let object = &event.involved_object;
            if let Some(workload) = workload_of_name(snap, &object.namespace, &object.name) {
                evicted.entry(workload.reference()).or_default().push(event);
            }
        }
        let often = evicted.into_iter().filter(|(_, events)| events.iter().map(|e| e.times()).sum::<u32>() >= OFTEN);
        Ok(Diagnosis::Findings(often.filter_map(|(owner, events)| finding(snap, &owner, &events)).collect()))
    }
}

/// The autoscaler that says that it evicted one of the pods.
fn autoscaler<'a>(snap: &'a Snapshot, events: &[&Event]) -> Option<&'a str> {
    let mut said = snap.events.items().unwrap_or_default().iter().filter(|e| e.reason == "EvictedPod");
    let own = said.find(|e| {
        e.involved_object.kind == "VerticalPodAutoscaler"
            && events.iter().any(|p| {
                p.involved_object.namespace == e.involved_object.namespace
                    && e.message.contains(&format!("evicted Pod {} ", p.involved_object.name))
            })
    })?;
    Some(own.involved_object.name.as_str())
}

fn finding(snap: &Snapshot, owner: &ResourceRef, events: &[&Event]) -> Option<Finding> {
    let newest = events.iter().max_by_key(|e| e.last_seen())?;
    let namespace = &newest.involved_object.namespace;
    let workload = workload_of_name(snap, namespace, &newest.involved_object.name)?;
    let times: u32 = events.iter().map(|e| e.times()).sum();
    let vpa = autoscaler(snap, events);
    let who =
        vpa.map_or_else(|| "a VerticalPodAutoscaler".to_owned(), |v| format!("VerticalPodAutoscaler {namespace}/{v}"));
    let is_server = workload.spec.template.spec.containers.iter().any(|c| c.program().is_some());
    let severity = if is_server { Severity::Error } else { Severity::Warning };
    let message = format!("{who} evicted pods of {owner} {times} times within the last hour: each time it starts anew");
    let subject = vpa.map_or_else(|| owner.clone(), |v| reference(namespace, v));
    let made = Finding::new(VpaEvicts::META.id, severity, subject, message).also(owner.clone()).key(owner.key());
    // Between two evictions it works.
    let made = made.breaks_nothing().evidence(event_evidence(newest));
    Some(made.fix(Fix::Initial {
        namespace: namespace.clone(),
        vpa: vpa.unwrap_or("<vpa>").to_owned(),
        workload: workload.kubectl_name(),
    }))
}

fn reference(namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::kubernetes("autoscaling.k8s.io", "VerticalPodAutoscaler", namespace, name)
}
