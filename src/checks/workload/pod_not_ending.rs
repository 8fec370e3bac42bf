//! A pod that is being deleted does not end, though its node is well: a StatefulSet waits for it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::checks::support::seen::event_evidence;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::kubernetes::owner::others_ready;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Event, Pod};
use crate::snapshot::{Platform, Snapshot};

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
/// The Job controller's own: it counts the pod before it takes this away.
const COUNTED: &str = "batch.kubernetes.io/job-tracking";
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
        /// It has a volume that one pod at a time may write.
        writes: bool,
    },
    Replace {
        namespace: String,
        pod: String,
        node: String,
        /// Karpenter or EKS Auto Mode made it.
        karpenter: bool,
        instance: String,
        writes: bool,
    },
    Fargate {
        namespace: String,
        pod: String,
        node: String,
        writes: bool,
    },
    Unread {
        namespace: String,
        pod: String,
        node: String,
    },
    Job {
        namespace: String,
        pod: String,
        /// Its Job; empty where it has none.
        job: String,
    },
    Gone {
        namespace: String,
        pod: String,
        node: String,
        /// An instance of EC2 had that name.
        eks: bool,
        writes: bool,
        finalizers: String,
    },
}

impl Check for PodNotEnding {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let judged = snap.pods()?.iter().filter(|p| snap.scope.is_judged(&p.metadata.namespace));
        let findings = judged.filter_map(|pod| {
            let since = pod.metadata.deletion_timestamp.filter(|t| snap.seconds_since(*t) >= PATIENCE)?;
            // A node that is lost holds all its pods: that is told of the node.
            if !dead_nodes(snap, std::iter::once(pod)).is_empty() {
                return None;
            }
            Some(finding(snap, pod, since, fix(snap, pod)?))
        });
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

fn finding(snap: &Snapshot, pod: &Pod, since: Timestamp, fix: Fix) -> Finding {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    let (reference, owner) = (ResourceRef::pod(namespace, name), snap.owner_ref(pod));
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let said = events.iter().find(|e| SAID.contains(&e.reason.as_str())).copied();
    let why = why(&fix, said);
    let replaced = others_ready(snap, &owner, &[pod]);
    let waits =
        if owner.kind_label() == "StatefulSet" { ", and its StatefulSet makes no other until it is gone" } else { "" };
    let minutes = snap.seconds_since(since) / 60;
    let message =
        format!("pod {namespace}/{name} is being deleted and should have ended {minutes} minutes ago: {why}{waits}");
    let severity = severity_of(snap, pod, if replaced { Severity::Warning } else { Severity::Error });
    let deleted = Evidence::new(
        format!("Pod {namespace}/{name}, deletionTimestamp"),
        since.to_string(),
        "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.metadata.deletionTimestamp}{\" \"}{.metadata.finalizers}{\"\\n\"}'",
    );
    let made = Finding::new(PodNotEnding::META.id, severity, reference.clone(), message)
        .key(owner.key())
        .breaks(reference)
        .evidence(deleted.with("namespace", namespace).with("pod", name))
        .evidence_all(said.map(event_evidence as fn(&Event) -> Evidence));
    if replaced { made.fix(fix) } else { made.breaks(owner).fix(fix) }
}

fn why(fix: &Fix, said: Option<&Event>) -> String {
    let kubelet = said.map(|event| shorten(event.message.trim(), 200));
    match fix {
        Fix::Finalizers { finalizers, .. } => format!("nobody takes away its finalizer {finalizers}"),
        Fix::Job { .. } => format!("the Job controller has not taken away its finalizer {COUNTED}"),
        Fix::Gone { node, .. } => format!("its node {node} does not exist any more"),
        Fix::Unread { node, .. } => match kubelet {
            Some(said) => format!("the kubelet of node {node} said that it cannot end it: {said}"),
            None => format!("its node {node} could not be read"),
        },
        Fix::Kubelet { node, .. } | Fix::Replace { node, .. } | Fix::Fargate { node, .. } => match kubelet {
            Some(said) => format!("the kubelet of node {node} cannot end it: {said}"),
            None => format!("the kubelet of node {node} has not ended it, and says no more"),
        },
    }
}

/// Finalizers are what is left once the containers have ended. A pod without a node has no processes that could keep it.
fn fix(snap: &Snapshot, pod: &Pod) -> Option<Fix> {
    let ended = pod.statuses().all(|s| s.state.running.is_none() && s.state.waiting.is_none());
    if ended && !pod.metadata.finalizers.is_empty() {
        return Some(by_finalizers(pod));
    }
    let node = pod.spec.node_name.clone()?;
    Some(by_node(snap, pod, node))
}

fn by_finalizers(pod: &Pod) -> Fix {
    let (namespace, name) = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    let all = pod.metadata.finalizers.iter().map(String::as_str);
    let (kept, foreign): (Vec<&str>, Vec<&str>) = all.partition(|f| *f == COUNTED);
    if foreign.is_empty() {
        let owner = pod.metadata.owner_references.iter().find(|o| o.kind == "Job");
        return Fix::Job { namespace, pod: name, job: owner.map(|o| o.name.clone()).unwrap_or_default() };
    }
    let left = if kept.is_empty() { Value::Null } else { json!(kept) };
    let patch = json!({"metadata": {"finalizers": left}}).to_string();
    Fix::Finalizers { namespace, pod: name, finalizers: foreign.join(", "), patch }
}

fn by_node(snap: &Snapshot, pod: &Pod, node: String) -> Fix {
    let (namespace, name) = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    let writes = pod.claims().next().is_some();
    let Ok(found) = snap.nodes.named(&node) else {
        return Fix::Unread { namespace, pod: name, node };
    };
    let Some(found) = found else {
        let eks = snap.platform == Platform::Eks && !node.starts_with("fargate-");
        let finalizers = pod.metadata.finalizers.join(", ");
        return Fix::Gone { namespace, pod: name, node, eks, writes, finalizers };
    };
    if found.is_fargate() {
        return Fix::Fargate { namespace, pod: name, node, writes };
    }
    let instance = found.instance_id().unwrap_or_default().to_owned();
    if found.is_sealed() {
        let karpenter = found.is_karpenter();
        return Fix::Replace { namespace, pod: name, node, karpenter, instance, writes };
    }
    Fix::Kubelet { namespace, pod: name, node, instance, writes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{applicable, findings, steps};
    use crate::domain::testing::workload::{event, pod, snapshot};
    use crate::model::GapCause;
    use crate::snapshot::Listing;

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

    #[test]
    fn nothing_is_taken_by_force_from_a_node_that_nobody_read() {
        let mut snap = snapshot(json!([deleted("2026-11-21T11:20:00Z", json!([]))]));
        snap.nodes = Listing::missing(Gap::new("nodes", GapCause::Timeout, "no answer"));
        let found = findings(&PodNotEnding, &snap).remove(0);
        assert!(found.message.contains("its node node-a could not be read"), "{}", found.message);
        assert!(!steps(&found).contains("--force"), "{}", steps(&found));
    }

    #[test]
    fn a_container_that_runs_is_the_nodes_to_end() {
        let mut running = deleted("2026-11-21T11:20:00Z", json!(["example.com/drain"]));
        running["status"]["containerStatuses"][0]["state"] = json!({"running": {"startedAt": "2026-11-21T10:00:00Z"}});
        let found = findings(&PodNotEnding, &snapshot(json!([running]))).remove(0);
        assert!(found.message.contains("the kubelet of node node-a has not ended it"), "{}", found.message);
    }

    #[test]
    fn the_finalizer_of_the_job_controller_stays() {
        let found = |all: Value| {
            let snap = snapshot(json!([deleted("2026-11-21T11:20:00Z", all)]));
            findings(&PodNotEnding, &snap).remove(0)
        };
        let own = found(json!([COUNTED]));
        assert!(own.message.contains("the Job controller has not taken away"), "{}", own.message);
        assert!(!steps(&own).contains("patch"), "{}", steps(&own));
        let both = found(json!([COUNTED, "example.com/drain"]));
        assert!(steps(&both).contains(r#"{"finalizers":["batch.kubernetes.io/job-tracking"]}"#), "{}", steps(&both));
    }

    #[test]
    fn a_node_without_a_shell_is_replaced() {
        let with = |meta: Value, system: &str| {
            let mut snap = snapshot(json!([deleted("2026-11-21T11:20:00Z", json!([]))]));
            let node = json!({"metadata": meta, "spec": {"providerID": "aws:///zone/i-0123"}, "status": {
                "nodeInfo": {"osImage": system}, "conditions": [{"type": "Ready", "status": "True"}]}});
            snap.nodes = Listing::cluster(vec![serde_json::from_value(node).expect("a node")]);
            steps(&findings(&PodNotEnding, &snap).remove(0))
        };
        let sealed = with(json!({"name": "node-a"}), "Bottlerocket OS 1.40.0 (aws-k8s-1.33)");
        assert!(!sealed.contains("systemctl") && sealed.contains("terminate-instances"), "{sealed}");
        let auto = json!({"name": "node-a", "labels": {"eks.amazonaws.com/compute-type": "auto"}});
        let auto = with(auto, "Bottlerocket (EKS Auto, Standard)");
        assert!(auto.contains("kubectl delete node node-a") && !auto.contains("terminate-instances"), "{auto}");
        let fargate = json!({"name": "node-a", "labels": {"eks.amazonaws.com/compute-type": "fargate"}});
        let fargate = with(fargate, "Amazon Linux 2");
        assert!(!fargate.contains("drain") && !fargate.contains("systemctl"), "{fargate}");
        let open = with(json!({"name": "node-a"}), "Amazon Linux 2023");
        assert!(open.contains("systemctl") && open.contains("--skip-wait-for-delete-timeout=60"), "{open}");
    }
}
