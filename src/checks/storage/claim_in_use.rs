//! A claim for one pod at a time is held by another pod than the one that waits for it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{Target, has_rollout, is_kind, workload};
use crate::domain::kubernetes::unschedulable::{self, unscheduled};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Workload};

/// The access mode.
const MODE: &str = "ReadWriteOncePod";

check! {
    /// See the check's page.
    ClaimInUse {
        id: "claim-in-use", suite: Storage, severity: Error,
        title: "a claim for one pod is held by another one",
        requires: [Pods, PersistentVolumeClaims],
        uses: [Workloads, Events],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    owner: String,
    has_rollout: bool,
    pod: String,
    holder: String,
    claim: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Rollout {
        /// Has a rollout stop the old pod first.
        patch: &'static str,
        managed: String,
    },
    /// Pods of one workload, which all name the claim.
    Replicas {
        /// `kubectl scale` lasts.
        scales: bool,
    },
    Holder {
        holder_owner: String,
        /// What waits can be scaled to nothing, and stays so.
        waiting_scales: bool,
        /// Its workload can be scaled to nothing, and stays so.
        scales: bool,
        /// Nobody makes it again.
        bare: bool,
    },
}

impl Check for ClaimInUse {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.persistent_volume_claims()?;
        let mut all: BTreeMap<String, Finding> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| unschedulable::concerns(snap, p)) {
            let said = unscheduled(snap, pod).filter(|m| unschedulable::is_claim_in_use(m));
            if let Some(message) = said
                && let Some(found) = finding(snap, pod, &message)
            {
                all.entry(found.key.clone()).or_insert(found);
            }
        }
        Ok(Diagnosis::Findings(all.into_values().collect()))
    }
}

fn finding(snap: &Snapshot, pod: &Pod, message: &str) -> Option<Finding> {
    let meta = &pod.metadata;
    let namespace = &meta.namespace;
    let single = |name: &&str| {
        let claim = snap.persistent_volume_claims.find(namespace, name).ok().flatten();
        claim.is_some_and(|c| c.spec.access_modes.iter().any(|m| m == MODE))
    };
    let claim = pod.claims().find(single)?.to_owned();
    let holds = |p: &&Pod| {
        p.metadata.namespace == *namespace
            && p.metadata.name != meta.name
            && p.spec.node_name.is_some()
            && !p.is_finished()
            // One that ends lets the claim go by itself.
            && p.metadata.deletion_timestamp.is_none()
            && p.claims().any(|c| c == claim)
    };
    let holder = snap.pods.items().unwrap_or_default().iter().find(holds)?;
    let (owner, other) = (snap.owner_ref(pod), snap.owner_ref(holder));
    let way = way(snap, pod, holder);
    let why = match &way {
        Way::Rollout { .. } => format!("and the rollout of {owner} keeps the old pod until the new one is ready"),
        Way::Replicas { .. } => format!("and pod {} of the same {} has it", holder.metadata.name, kind(&owner)),
        Way::Holder { bare: true, .. } => format!("and pod {} has it", holder.metadata.name),
        Way::Holder { .. } => format!("and pod {} of {other} has it", holder.metadata.name),
    };
    let text = format!("claim {namespace}/{claim} is {MODE}, {why}: pod {} waits forever", meta.name);
    // The old pod serves meanwhile.
    let severity =
        if holder.is_ready() && owner == other { Severity::Warning } else { severity_of(snap, pod, Severity::Error) };
    let reference = ResourceRef::pod(namespace, &meta.name);
    let made = Finding::new(ClaimInUse::META.id, severity, reference.clone(), text)
        .key(format!("{} {claim}", owner.key()))
        .also(owner.clone())
        .breaks(reference)
        .breaks(owner.clone())
        .evidence(
            Evidence::new(
                format!("Pod {namespace}/{}, condition PodScheduled", meta.name),
                message,
                "kubectl describe pod {{ pod }} -n {{ namespace }}",
            )
            .with("namespace", namespace)
            .with("pod", &meta.name),
        );
    Some(made.fix(Fix {
        namespace: namespace.clone(),
        owner: owner.kubectl_name(),
        has_rollout: has_rollout(snap, &owner),
        pod: meta.name.clone(),
        holder: holder.metadata.name.clone(),
        claim,
        way,
    }))
}

/// What keeps the two apart: one after the other of a rollout, one beside the other, or two workloads.
fn way(snap: &Snapshot, pod: &Pod, holder: &Pod) -> Way {
    let (owner, other) = (snap.owner_ref(pod), snap.owner_ref(holder));
    let can_scale = |pod: &Pod, owner: &ResourceRef| {
        Target::of(snap, pod).in_place() && is_kind(owner, &["Deployment", "StatefulSet"])
    };
    let scales = can_scale(holder, &other);
    if owner != other {
        let bare = is_kind(&other, &["Pod"]);
        // One that has other pods serves with those.
        let is_alone = workload(snap, &owner).is_some_and(|w| w.desired() <= 1)
            && (!is_kind(&owner, &["StatefulSet"]) || pod.metadata.name.ends_with("-0"));
        let waiting_scales = is_alone && can_scale(pod, &owner);
        return Way::Holder { holder_owner: other.kubectl_name(), waiting_scales, scales, bare };
    }
    let made_by = |p: &Pod| p.metadata.controller().map(|o| o.name.clone());
    let rolls = |w: &&Workload| w.kind == "Deployment" && made_by(pod) != made_by(holder);
    match workload(snap, &owner).filter(rolls) {
        Some(known) if known.spec.strategy.kind.as_deref() != Some("Recreate") => Way::Rollout {
            patch: r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#,
            managed: managed_by(&known.metadata),
        },
        _ => Way::Replicas { scales },
    }
}

fn kind(owner: &ResourceRef) -> &str {
    match owner {
        ResourceRef::Kubernetes { kind, .. } => kind,
        _ => "workload",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use serde_json::{Value, json};

    fn pod(name: &str, owner: (&str, &str), node: Option<&str>) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "monitoring",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": owner.0, "name": owner.1, "controller": true}]},
            "spec": {"nodeName": node, "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "message": "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod."}]}})
    }

    fn found(holder: Value, waits: Value) -> Vec<Finding> {
        let mut snap = snapshot(json!({}));
        let set: Workload = {
            let mut set: Workload =
                serde_json::from_value(json!({"metadata": {"name": "tempo", "namespace": "monitoring"}}))
                    .expect("a set");
            set.kind = "StatefulSet".to_owned();
            set
        };
        snap.workloads = crate::snapshot::Listing::cluster(vec![set]);
        let claim = json!({"metadata": {"name": "data", "namespace": "monitoring"}, "spec": {"accessModes": [MODE]}});
        snap.persistent_volume_claims =
            crate::snapshot::Listing::cluster(vec![serde_json::from_value(claim).expect("a claim")]);
        let pods = [holder, waits].map(|p| serde_json::from_value(p).expect("a pod"));
        snap.pods = crate::snapshot::Listing::cluster(pods.into());
        findings(&ClaimInUse, &snap)
    }

    #[test]
    fn what_waits_is_never_scaled_to_nothing() {
        let set = ("StatefulSet", "tempo");
        let own = found(pod("tempo-0", set, Some("a")), pod("tempo-1", set, None));
        assert_eq!(own.iter().map(|f| f.variant).collect::<Vec<_>>(), ["replicas"]);
        assert!(!steps(&own[0]).contains("--replicas=0"), "{}", steps(&own[0]));
        let job = found(pod("backup-x", ("Job", "backup"), Some("a")), pod("tempo-1", set, None));
        assert_eq!(job[0].variant, "holder");
        assert!(!steps(&job[0]).contains("kubectl scale"), "{}", steps(&job[0]));
    }

    #[test]
    fn one_that_ends_lets_go_by_itself() {
        let set = ("StatefulSet", "tempo");
        let mut holder = pod("tempo-0", set, Some("a"));
        holder["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(found(holder, pod("tempo-1", set, None)).is_empty());
    }
}
