//! A pod that is being deleted does not end, though its node is well: a StatefulSet waits for it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::support::seen::event_evidence;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::kubernetes::owner::others_ready;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Pod};

check! {
    /// See the check's page.
    PodNotEnding {
        id: "pod-not-ending", suite: Workload, severity: Error,
        title: "a pod that is being deleted does not end",
        requires: [Pods],
        uses: [Nodes, Events],
        fix: Fix,
    }
}

/// Seconds beyond its own grace period that a pod may take: unmounting and detaching count in.
const PATIENCE: i64 = 300;
/// What the kubelet says when it cannot end a pod.
const SAID: &[&str] = &["FailedKillPod", "FailedUnMount", "FailedUnmount", "FailedUnmountDevice", "FailedPreStopHook"];

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Finalizers {
        namespace: String,
        pod: String,
        finalizers: String,
        /// Takes them away.
        patch: String,
    },
    Kubelet {
        namespace: String,
        pod: String,
        node: String,
        /// The node's EC2 instance; empty where it has none.
        instance: String,
        region: String,
        /// It has a volume that one pod at a time may write.
        writes: bool,
    },
    Gone {
        namespace: String,
        pod: String,
        node: String,
    },
}

impl Check for PodNotEnding {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let judged = snap.pods()?.iter().filter(|p| snap.scope.is_judged(&p.metadata.namespace));
        let findings = judged.filter_map(|pod| {
            let since = pod.metadata.deletion_timestamp.filter(|t| seconds(snap, *t) >= PATIENCE)?;
            // A node that is lost holds all its pods: that is told of the node.
            dead_nodes(snap, std::iter::once(pod)).is_empty().then(|| finding(snap, pod, since))
        });
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn seconds(snap: &Snapshot, at: Timestamp) -> i64 {
    snap.collected_at.as_second() - at.as_second()
}

fn finding(snap: &Snapshot, pod: &Pod, since: Timestamp) -> Finding {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    let (reference, owner) = (ResourceRef::pod(namespace, name), snap.owner_ref(pod));
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let said = events.iter().find(|e| SAID.contains(&e.reason.as_str())).copied();
    let fix = fix(snap, pod);
    let why = match &fix {
        Fix::Finalizers { finalizers, .. } => format!("nobody takes away its finalizer {finalizers}"),
        Fix::Gone { node, .. } => format!("its node {node} does not exist any more"),
        Fix::Kubelet { node, .. } => match said {
            Some(event) => format!("the kubelet of node {node} cannot end it: {}", shorten(event.message.trim(), 200)),
            None => format!("the kubelet of node {node} has not ended it, and says no more"),
        },
    };
    let replaced = others_ready(snap, &owner, &[pod]);
    let waits =
        if owner.kind_label() == "StatefulSet" { ", and its StatefulSet makes no other until it is gone" } else { "" };
    let minutes = seconds(snap, since) / 60;
    let message =
        format!("pod {namespace}/{name} is being deleted and should have ended {minutes} minutes ago: {why}{waits}");
    let severity = severity_of(snap, pod, if replaced { Severity::Warning } else { Severity::Error });
    let deleted = Evidence::new(
        format!("Pod {namespace}/{name}, deletionTimestamp"),
        since.to_string(),
        "kubectl get pod -n {{ namespace }} {{ pod }} -o jsonpath='{.metadata.deletionTimestamp}{\" \"}{.metadata.finalizers}{\"\\n\"}'",
    );
    let made = Finding::new(PodNotEnding::META.id, severity, reference.clone(), message)
        .key(owner.key())
        .breaks(reference)
        .evidence(deleted.with("namespace", namespace).with("pod", name))
        .evidence_all(said.map(event_evidence as fn(&Event) -> Evidence));
    if replaced { made.fix(fix) } else { made.breaks(owner).fix(fix) }
}

fn fix(snap: &Snapshot, pod: &Pod) -> Fix {
    let (namespace, name) = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    if !pod.metadata.finalizers.is_empty() {
        let patch = r#"{"metadata":{"finalizers":null}}"#.to_owned();
        return Fix::Finalizers { namespace, pod: name, finalizers: pod.metadata.finalizers.join(", "), patch };
    }
    let node = pod.spec.node_name.clone().unwrap_or_else(|| "<node>".to_owned());
    let found = snap.nodes.named(&node);
    if matches!(found, Ok(None)) {
        return Fix::Gone { namespace, pod: name, node };
    }
    let instance = found.ok().flatten().filter(|n| !n.is_auto_mode()).and_then(|n| n.instance_id()).unwrap_or_default();
    Fix::Kubelet {
        namespace,
        pod: name,
        node,
        instance: instance.to_owned(),
        region: Place::of(snap).region,
        writes: pod.claims().next().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{applicable, findings, steps};
    use crate::domain::testing::workload::{event, pod, snapshot};
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    fn deleted(at: &str, more: Value) -> Value {
        let mut made = pod(json!({"name": "prometheus", "ready": false}));
        made["metadata"]["deletionTimestamp"] = at.into();
        made["metadata"]["finalizers"] = more;
        made
    }

    #[test]
    fn a_pod_has_time_to_end() {
        assert_eq!(applicable(&PodNotEnding, &snapshot(json!([deleted("2026-11-21T11:57:00Z", json!([]))]))), []);
        let late = snapshot(json!([deleted("2026-11-21T12:20:00Z", json!([]))]));
        assert_eq!(applicable(&PodNotEnding, &late), [], "its grace period is not over");
    }

    #[test]
    fn the_kubelet_says_why_it_cannot_end_a_pod() {
        let mut snap = snapshot(json!([deleted("2026-11-21T11:20:00Z", json!([]))]));
        let said = "error killing pod: failed to \"KillContainer\" for \"prometheus\" with KillContainerError";
        snap.events = Listing::cluster(vec![event("FailedKillPod", said)]);
        let found = findings(&PodNotEnding, &snap).remove(0);
        assert!(
            found.message.contains("the kubelet of node node-a cannot end it: error killing pod"),
            "{}",
            found.message
        );
        assert!(steps(&found).contains("--grace-period=0 --force"), "{}", steps(&found));
    }

    #[test]
    fn finalizers_and_nodes_that_are_gone() {
        let snap = snapshot(json!([deleted("2026-11-21T11:20:00Z", json!(["example.com/drain"]))]));
        assert!(findings(&PodNotEnding, &snap)[0].message.contains("its finalizer example.com/drain"));
        let mut snap = snapshot(json!([deleted("2026-11-21T11:20:00Z", json!([]))]));
        snap.nodes = Listing::cluster(Vec::new());
        assert!(findings(&PodNotEnding, &snap)[0].message.contains("its node node-a does not exist any more"));
    }
}
