//! A VerticalPodAutoscaler evicts a pod of the stack again and again.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::eviction::{self, Often};
use crate::domain::kubernetes::owner::has_rollout;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Event;

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
    Initial { namespace: String, vpa: String, workload: String, has_rollout: bool },
}

impl Check for VpaEvicts {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let often = eviction::often(snap, |e| e.reason == "EvictedByVPA")?;
        Ok(Diagnosis::Findings(often.iter().map(|o| finding(snap, o)).collect()))
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

fn finding(snap: &Snapshot, often: &Often<'_>) -> Finding {
    let namespace = &often.workload.metadata.namespace;
    let (owner, times) = (often.workload.reference(), often.times);
    let vpa = autoscaler(snap, &often.events);
    let who =
        vpa.map_or_else(|| "a VerticalPodAutoscaler".to_owned(), |v| format!("VerticalPodAutoscaler {namespace}/{v}"));
    let severity = if often.is_server() { Severity::Error } else { Severity::Warning };
    let message = format!("{who} evicted pods of {owner} {times} times within the last hour: each time it starts over");
    let subject = vpa.map_or_else(|| owner.clone(), |v| reference(namespace, v));
    let made = Finding::new(VpaEvicts::META.id, severity, subject, message).also(owner.clone()).key(owner.key());
    // Between two evictions it works.
    made.breaks_nothing().evidence(event_evidence(often.newest)).fix(Fix::Initial {
        namespace: namespace.clone(),
        vpa: vpa.unwrap_or("<vpa>").to_owned(),
        workload: often.workload.kubectl_name(),
        has_rollout: has_rollout(snap, &owner),
    })
}

fn reference(namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::kubernetes("autoscaling.k8s.io", "VerticalPodAutoscaler", namespace, name)
}
