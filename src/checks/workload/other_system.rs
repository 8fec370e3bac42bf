//! Pods made for Linux are put on nodes of Windows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::system;
use crate::domain::text::windows::GRACE;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    OtherSystem {
        id: "other-system", suite: Workload, severity: Error,
        title: "pods made for Linux are put on nodes of Windows",
        requires: [Pods, Nodes],
        uses: [Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Select {
        namespace: String,
        owner: String,
        has_rollout: bool,
        /// What is patched; nothing where it cannot be changed in place.
        patched: Option<String>,
        patch: String,
        #[serde(flatten)]
        kept: Kept,
    },
}

impl Check for OtherSystem {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.nodes()?;
        let mut all: BTreeMap<ResourceRef, Vec<&Pod>> = BTreeMap::new();
        let judged = |p: &&Pod| snap.scope.is_judged(&p.metadata.namespace) && !p.is_finished();
        let old = |p: &&Pod| snap.age_seconds(&p.metadata) >= GRACE;
        for pod in snap.pods()?.iter().filter(judged).filter(old).filter(|p| system::is_astray(snap, p)) {
            all.entry(snap.owner_ref(pod)).or_default().push(pod);
        }
        Ok(Diagnosis::Findings(all.into_iter().map(|(owner, pods)| finding(snap, &owner, &pods)).collect()))
    }
}

fn finding(snap: &Snapshot, owner: &ResourceRef, pods: &[&Pod]) -> Finding {
    let first = pods[0];
    let node = first.spec.node_name.clone().unwrap_or_default();
    let who = match pods {
        [pod] => format!("pod {}/{} of {owner} is on node {node}", pod.metadata.namespace, pod.metadata.name),
        many => format!("{} pods of {owner} are on nodes (node {node} among them)", many.len()),
    };
    let is_are = if pods.len() == 1 { "which runs Windows" } else { "that run Windows" };
    let text =
        format!("{who}, {is_are}: nothing in {owner} asks for Linux, and nothing says that it is meant for Windows");
    let severity = severity_of(snap, first, Severity::Error);
    let mut made = Finding::new(OtherSystem::META.id, severity, owner.clone(), text)
        .key(owner.key())
        .breaks(owner.clone())
        .evidence(Evidence::new(
            format!("Node {node}, label kubernetes.io/os"),
            "windows",
            "kubectl get nodes -L kubernetes.io/os,node.kubernetes.io/windows-build",
        ));
    for pod in pods {
        let own = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        made = made.also(own.clone()).breaks(own);
    }
    let target = Target::of(snap, first);
    let (patched, patch) = patch(&target);
    made.fix(Fix::Select {
        namespace: first.metadata.namespace.clone(),
        owner: owner.kubectl_name(),
        has_rollout: target.has_rollout,
        kept: Kept::of(&target),
        patched,
        patch,
    })
}

/// What is patched, and the patch.
fn patch(target: &Target<'_>) -> (Option<String>, String) {
    let select = json!({"nodeSelector": {"kubernetes.io/os": "linux"}});
    target.patched(&select, &json!({"spec": select}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::workload::{pod, snapshot};
    use crate::snapshot::Listing;

    #[test]
    fn a_pod_for_linux_on_windows_is_told_and_given_a_selector() {
        let mut snap = snapshot(json!([pod(json!({"name": "prometheus", "ready": false}))]));
        let node = |os: &str| {
            let nodes = json!([{"metadata": {"name": "node-a", "labels": {"kubernetes.io/os": os}}}]);
            Listing::cluster(serde_json::from_value(nodes).expect("nodes"))
        };
        assert_eq!(findings(&OtherSystem, &snap), []);
        snap.nodes = node("windows");
        let found = findings(&OtherSystem, &snap);
        assert_eq!(found.len(), 1);
        let text = steps(&found[0]);
        assert!(
            text.contains("kubectl patch deployment/prom -n monitoring") && text.contains("kubernetes.io/os"),
            "{text}"
        );
        snap.nodes = node("linux");
        assert_eq!(findings(&OtherSystem, &snap), []);
    }
}
