//! A claim of the stack is being deleted while a pod still uses it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::{Target, workload};
use crate::domain::text::windows::minute;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{PersistentVolume, PersistentVolumeClaim, Pod};

/// What keeps a claim as long as a pod uses it.
const PROTECTION: &str = "kubernetes.io/pvc-protection";

check! {
    /// See the check's page.
    ClaimDeleted {
        id: "claim-deleted", suite: Storage, severity: Error,
        title: "a claim is being deleted while a pod uses it",
        requires: [PersistentVolumeClaims, Pods],
        uses: [PersistentVolumes, Workloads, MonitoringResources, Namespaces],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Keep {
        namespace: String,
        claim: String,
        volume: String,
        /// The volume would go with its claim.
        is_lost: bool,
        pod: String,
        /// The workload, where no operator makes it and it can be scaled.
        workload: String,
        replicas: u32,
        /// Starts the operator's pods again.
        start_patch: String,
        /// Nobody recreates the claim: it was not made from a template.
        claim_manifest: Option<Manifest>,
        #[serde(flatten)]
        kept: Kept,
    },
}

/// The claim as it has to be made again.
#[derive(Serialize, JsonSchema)]
struct Manifest {
    class: String,
    mode: String,
    size: String,
}

impl Check for ClaimDeleted {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods = snap.pods()?;
        let going = snap.persistent_volume_claims()?.iter().filter(|c| {
            snap.scope.is_stack(&c.metadata.namespace)
                && c.metadata.deletion_timestamp.is_some()
                && c.metadata.finalizers.iter().any(|f| f == PROTECTION)
        });
        let found = going.filter_map(|claim| {
            let uses = |p: &&Pod| {
                p.metadata.namespace == claim.metadata.namespace
                    && p.metadata.deletion_timestamp.is_none()
                    && !matches!(p.status.phase.as_str(), "Succeeded" | "Failed")
                    && p.claims().any(|c| c == claim.metadata.name)
            };
            finding(snap, claim, pods.iter().find(uses)?)
        });
        Ok(Diagnosis::Findings(found.collect()))
    }
}

/// `None` where all that uses it goes as well.
fn finding(snap: &Snapshot, claim: &PersistentVolumeClaim, pod: &Pod) -> Option<Finding> {
    let (namespace, name) = (&claim.metadata.namespace, &claim.metadata.name);
    let ends = snap.namespaces.items().unwrap_or_default();
    if ends.iter().any(|n| &n.metadata.name == namespace && n.metadata.deletion_timestamp.is_some()) {
        return None;
    }
    let owner = snap.owner_ref(pod);
    if workload(snap, &owner).is_some_and(|w| w.metadata.deletion_timestamp.is_some()) {
        return None;
    }
    let volumes = snap.persistent_volumes.items().unwrap_or_default();
    let volume = volumes.iter().find(|v| Some(&v.metadata.name) == claim.spec.volume_name.as_ref());
    let is_lost = volume.is_none_or(|v| v.spec.persistent_volume_reclaim_policy.as_deref() != Some("Retain"));
    let since = claim.metadata.deletion_timestamp.map(minute);
    let effect = match (is_lost, volume.is_some()) {
        (true, true) => "its volume goes with it (reclaim policy Delete), and the data are lost",
        (true, false) => "its volume may go with it, and the data with that",
        (false, _) => "the next pod waits for a claim that is gone (the volume itself stays: reclaim policy Retain)",
    };
    let message = format!(
        "PersistentVolumeClaim {namespace}/{name} was deleted ({}), and only pod {}, which uses it, still keeps it: when that pod ends, {effect}",
        since.unwrap_or_default(),
        pod.metadata.name
    );
    let severity = if is_lost { Severity::Error } else { Severity::Warning };
    let made = Finding::new(ClaimDeleted::META.id, severity, ResourceRef::pvc(namespace, name), message)
        .breaks_nothing()
        .evidence(claim_evidence(claim));
    let made = volume.map(volume_evidence).into_iter().fold(made, Finding::evidence);
    Some(made.fix(fix(snap, claim, pod, is_lost)))
}

fn fix(snap: &Snapshot, claim: &PersistentVolumeClaim, pod: &Pod, is_lost: bool) -> Fix {
    let target = Target::of(snap, pod);
    let from_template = target.stateful && claim.metadata.name.ends_with(&format!("-{}", pod.metadata.name));
    let size = claim.spec.resources.requests.get("storage").cloned().unwrap_or_default();
    let manifest = || Manifest {
        class: claim.spec.storage_class_name.clone().unwrap_or_default(),
        mode: claim.spec.access_modes.first().cloned().unwrap_or_else(|| "ReadWriteOnce".to_owned()),
        size,
    };
    let scales = target.custom.is_none() && ["deployment/", "statefulset/"].iter().any(|k| target.name.starts_with(k));
    Fix::Keep {
        namespace: claim.metadata.namespace.clone(),
        claim: claim.metadata.name.clone(),
        volume: claim.spec.volume_name.clone().unwrap_or_else(|| "<volume>".to_owned()),
        is_lost,
        pod: pod.metadata.name.clone(),
        workload: if scales { target.name.clone() } else { String::new() },
        replicas: target.replicas,
        start_patch: json!({"spec": {"replicas": target.replicas}}).to_string(),
        claim_manifest: (!from_template).then(manifest),
        kept: Kept::of(&target),
    }
}

fn claim_evidence(claim: &PersistentVolumeClaim) -> Evidence {
    let (namespace, name) = (&claim.metadata.namespace, &claim.metadata.name);
    let since = claim.metadata.deletion_timestamp.map(|t| t.to_string()).unwrap_or_default();
    Evidence::new(
        format!("PersistentVolumeClaim {namespace}/{name} metadata"),
        format!("deletionTimestamp {since}; finalizers {}", claim.metadata.finalizers.join(", ")),
        "kubectl get pvc {{ name }} -n {{ namespace }} -o yaml",
    )
    .with("namespace", namespace)
    .with("name", name)
}

fn volume_evidence(volume: &PersistentVolume) -> Evidence {
    let policy = volume.spec.persistent_volume_reclaim_policy.as_deref().unwrap_or("not set");
    let id = volume.ebs_id().map(|id| format!("; {id}")).unwrap_or_default();
    Evidence::new(
        format!("PersistentVolume {}", volume.metadata.name),
        format!("persistentVolumeReclaimPolicy {policy}{id}"),
        "kubectl get pv {{ name }} -o yaml",
    )
    .with("name", &volume.metadata.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    #[test]
    fn what_cannot_be_scaled_is_ended_by_its_pod() {
        let owner = json!([{"kind": "Job", "name": "backup", "controller": true}]);
        let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
        let mut snap = snapshot(json!({"pods": [{
            "metadata": {"name": "backup-x", "namespace": "monitoring", "ownerReferences": owner},
            "spec": {"containers": [{"name": "backup"}], "volumes": volumes}, "status": {"phase": "Running"}}]}));
        let claim = json!([{"metadata": {"name": "data", "namespace": "monitoring", "finalizers": [PROTECTION],
            "deletionTimestamp": "2026-11-21T01:00:00Z"}, "spec": {"volumeName": "pv-1"}, "status": {"phase": "Bound"}}]);
        snap.persistent_volume_claims = Listing::cluster(serde_json::from_value(claim).expect("claims"));
        let text = steps(&findings(&ClaimDeleted, &snap)[0]);
        assert!(text.contains("kubectl delete pod backup-x -n monitoring"), "{text}");
        assert!(!text.contains("kubectl scale"), "{text}");
    }
}
