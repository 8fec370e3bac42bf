//! A claim for one pod at a time is held by another pod than the one that waits for it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{has_rollout, workload};
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
    Holder {
        claim: String,
        holder_owner: String,
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
            && p.claims().any(|c| c == claim)
    };
    let holder = snap.pods.items().unwrap_or_default().iter().find(holds)?;
    let (owner, other) = (snap.owner_ref(pod), snap.owner_ref(holder));
    let known = workload(snap, &owner);
    let rolls = owner == other && known.is_some_and(|w| w.kind == "Deployment");
    let why = match rolls {
        true => format!("and the rollout of {owner} keeps the old pod until the new one is ready"),
        false => format!("and pod {} of {other} has it", holder.metadata.name),
    };
    let text = format!("claim {namespace}/{claim} is {MODE}, {why}: pod {} waits for ever", meta.name);
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
                "kubectl describe pod -n {{ namespace }} {{ pod }}",
            )
            .with("namespace", namespace)
            .with("pod", &meta.name),
        );
    let way = match rolls {
        true => Way::Rollout {
            patch: r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#,
            managed: known.map(|w: &Workload| managed_by(&w.metadata)).unwrap_or_default(),
        },
        false => Way::Holder { claim, holder_owner: other.kubectl_name() },
    };
    Some(made.fix(Fix {
        namespace: namespace.clone(),
        owner: owner.kubectl_name(),
        has_rollout: has_rollout(snap, &owner),
        pod: meta.name.clone(),
        holder: holder.metadata.name.clone(),
        way,
    }))
}
