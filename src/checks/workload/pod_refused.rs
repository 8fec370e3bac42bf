//! A node's kubelet refuses the pods of a workload that were bound to it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::instance::Instance;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::{Target, others_ready, workload};
use crate::domain::kubernetes::refused_pod::{self, Refusal};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Workload};

/// Pods that one command names.
const NAMED: usize = 10;

check! {
    /// See the check's page.
    PodRefused {
        id: "pod-refused", suite: Workload, severity: Error,
        title: "a node refuses the pods of a workload",
        requires: [Pods, Workloads],
        uses: [Nodes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Pinned {
        namespace: String,
        owner: String,
        node: String,
        /// Takes the node's name out of the template.
        patch: String,
        pods: Vec<String>,
        managed: String,
    },
    Again {
        namespace: String,
        node: String,
        pods: Vec<String>,
    },
    Disk {
        namespace: String,
        node: String,
        /// It is full, and works.
        full: bool,
        pods: Vec<String>,
        #[serde(flatten)]
        instance: Instance,
    },
    Sysctl {
        namespace: String,
        owner: String,
        /// What keeps the template: the operator's resource, or the owner itself.
        kept_in: String,
        node: String,
        sysctl: String,
        pods: Vec<String>,
        managed: String,
    },
    Profile {
        namespace: String,
        owner: String,
        kept_in: String,
        node: String,
        profile: String,
        pods: Vec<String>,
        managed: String,
    },
}

impl Check for PodRefused {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut all: BTreeMap<ResourceRef, Vec<&Pod>> = BTreeMap::new();
        for pod in snap.pods()? {
            let alive = pod.metadata.deletion_timestamp.is_none();
            if alive && snap.scope.is_judged(&pod.metadata.namespace) && refused_pod::of(pod).is_some() {
                all.entry(snap.owner_ref(pod)).or_default().push(pod);
            }
        }
        let findings = all.into_iter().filter_map(|(owner, pods)| {
            let short = workload(snap, &owner).filter(|w| w.ready() < w.desired())?;
            finding(snap, short, pods)
        });
        Ok(Diagnosis::Findings(findings.collect()))
    }
}

/// What lies around of refusals that are over is no fault: the newest pod of the workload has to be one, and its successor may be
/// of the same second.
fn finding(snap: &Snapshot, owner: &Workload, mut pods: Vec<&Pod>) -> Option<Finding> {
    pods.sort_by_key(|p| (std::cmp::Reverse(p.metadata.creation_timestamp), &p.metadata.name));
    let first = *pods.first()?;
    let at = first.metadata.creation_timestamp;
    if snap.pods_of_workload(owner).any(|p| p.metadata.creation_timestamp >= at && refused_pod::of(p).is_none()) {
        return None;
    }
    let refusal = refused_pod::of(first)?;
    let node = first.spec.node_name.clone().unwrap_or_else(|| "<node>".to_owned());
    let reference = owner.reference();
    let many = match pods.len() {
        1 => format!("pod {} of {reference}", first.metadata.name),
        n => format!("{n} pods of {reference}, one after the other,"),
    };
    let message = format!("node {node} refuses {many} {}", why(&refusal, owner, first));
    let replaced = others_ready(snap, &reference, &pods);
    let severity = severity_of(snap, first, if replaced { Severity::Warning } else { Severity::Error });
    let show =
        "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{.status.reason}{\": \"}{.status.message}{\"\\n\"}'";
    let mut made = Finding::new(PodRefused::META.id, severity, reference.clone(), message)
        .also(ResourceRef::node(&node))
        .evidence(
            Evidence::new(
                format!("Pod {}/{}, refused by node {node}", first.metadata.namespace, first.metadata.name),
                format!("{}: {}", first.status.reason.as_deref().unwrap_or_default(), refused_pod::said(first)),
                show,
            )
            .with("namespace", &first.metadata.namespace)
            .with("pod", &first.metadata.name),
        )
        // The node is well, as far as this tells.
        .breaks_nothing();
    for pod in &pods {
        made = made.breaks(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    if !replaced {
        made = made.breaks(reference);
    }
    if matches!(refusal, Refusal::Disk { .. }) {
        made = made.depends_on(ResourceRef::node(&node));
    }
    Some(made.fix(fix(snap, owner, refusal, node, &pods)))
}

fn why(refusal: &Refusal, owner: &Workload, pod: &Pod) -> String {
    let pinned = if is_pinned(owner) {
        ", which their template names (nodeName), so that no scheduler looks for another"
    } else {
        ""
    };
    match refusal {
        Refusal::Room(resource) => {
            format!("for lack of {resource}{pinned}: {}", refused_pod::said(pod))
        }
        Refusal::Labels => format!("because its labels do not fit the pod's selector{pinned}"),
        Refusal::Sysctl(name) => format!("because it lets no pod set the kernel's {name}"),
        Refusal::AppArmor(name) if name.is_empty() => {
            format!("for an AppArmor profile that it cannot enforce: {}", refused_pod::said(pod))
        }
        Refusal::AppArmor(name) => format!("because the AppArmor profile {name} is not loaded there"),
        Refusal::Disk { full: true } => {
            format!("because its disk is full and its kubelet cannot write what it needs: {}", refused_pod::said(pod))
        }
        Refusal::Disk { full: false } => {
            format!("because its disk takes no writes and its kubelet cannot go on: {}", refused_pod::said(pod))
        }
        Refusal::Other => format!("{pinned}: {}", refused_pod::said(pod)).trim_start_matches([',', ' ']).to_owned(),
    }
}

fn is_pinned(owner: &Workload) -> bool {
    owner.spec.template.spec.node_name.is_some()
}

fn fix(snap: &Snapshot, owner: &Workload, refusal: Refusal, node: String, pods: &[&Pod]) -> Fix {
    let kept = Target::of(snap, pods[0]);
    let kept_in = match kept.custom {
        Some((kind, name)) => format!("{kind}/{name}"),
        None => owner.kubectl_name(),
    };
    let (namespace, managed) = (owner.metadata.namespace.clone(), kept.managed_by);
    let pods: Vec<String> = pods.iter().take(NAMED).map(|p| p.metadata.name.clone()).collect();
    let target = owner.kubectl_name();
    match refusal {
        Refusal::Sysctl(sysctl) => Fix::Sysctl { namespace, owner: target, kept_in, node, sysctl, pods, managed },
        Refusal::AppArmor(profile) => Fix::Profile { namespace, owner: target, kept_in, node, profile, pods, managed },
        Refusal::Disk { full } => match snap.nodes.named(&node).ok().flatten() {
            Some(own) => {
                let instance = Instance::of(own);
                let instance = if full { instance.kept() } else { instance };
                Fix::Disk { namespace, node, full, pods, instance }
            }
            None => Fix::Again { namespace, node, pods },
        },
        _ if is_pinned(owner) => {
            let patch = json!([{"op": "remove", "path": "/spec/template/spec/nodeName"}]).to_string();
            Fix::Pinned { namespace, owner: target, node, patch, pods, managed }
        }
        _ => Fix::Again { namespace, node, pods },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::workload::{pod, snapshot};
    use serde_json::Value;

    fn refused(name: &str, created: &str, reason: &str) -> Value {
        let mut made = pod(json!({"name": "prometheus", "state": {"waiting": {"reason": "ContainerCreating"}}}));
        made["metadata"]["name"] = format!("prom-6d5f9c7b8-{name}").into();
        made["metadata"]["creationTimestamp"] = created.into();
        let said =
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 1750, capacity: 1930";
        made["status"] = json!({"phase": "Failed", "reason": reason, "message": said});
        made
    }

    fn with(ready: u32, pinned: bool, pods: Value) -> Snapshot {
        let mut snap = snapshot(pods);
        let mut owner = snap.workloads.items().expect("workloads")[0].clone();
        owner.status.ready_replicas = ready;
        owner.spec.template.spec.node_name = pinned.then(|| "node-a".to_owned());
        snap.workloads = crate::snapshot::Listing::cluster(vec![owner]);
        snap
    }

    #[test]
    fn a_template_with_a_node_asks_no_scheduler() {
        let pods = [
            refused("aaaaa", "2026-11-21T11:50:00Z", "OutOfcpu"),
            refused("bbbbb", "2026-11-21T11:58:00Z", "OutOfcpu"),
        ];
        let found = findings(&PodRefused, &with(0, true, json!(pods)));
        assert!(found[0].message.contains("refuses 2 pods of Deployment monitoring/prom"), "{}", found[0].message);
        assert!(steps(&found[0]).contains("/spec/template/spec/nodeName"), "{}", steps(&found[0]));
    }

    #[test]
    fn a_command_names_few_of_many_pods() {
        let pods: Vec<Value> =
            (10..60).map(|n| refused(&format!("aaa{n}"), "2026-11-21T11:50:00Z", "OutOfcpu")).collect();
        let found = findings(&PodRefused, &with(0, false, json!(pods)));
        assert_eq!(steps(&found[0]).matches("prom-6d5f9c7b8-aaa").count(), NAMED, "{}", steps(&found[0]));
    }

    #[test]
    fn refusals_that_are_over_are_left_alone() {
        let old = refused("aaaaa", "2026-11-21T09:50:00Z", "OutOfcpu");
        assert_eq!(findings(&PodRefused, &with(1, false, json!([old]))), []);
        let next = pod(json!({"name": "prometheus", "ready": false}));
        assert_eq!(findings(&PodRefused, &with(0, false, json!([old, next]))), []);
        let mut same = pod(json!({"name": "prometheus", "ready": false}));
        same["metadata"]["creationTimestamp"] = "2026-11-21T11:58:00Z".into();
        let before = refused("aaaaa", "2026-11-21T11:58:00Z", "OutOfcpu");
        assert_eq!(findings(&PodRefused, &with(0, false, json!([before, same]))), []);
        let evicted = refused("aaaaa", "2026-11-21T11:58:00Z", "Evicted");
        assert_eq!(findings(&PodRefused, &with(0, false, json!([evicted]))), []);
    }
}
