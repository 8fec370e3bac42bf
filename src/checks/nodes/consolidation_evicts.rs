//! Karpenter moves a pod of the stack again and again, to save nodes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::checks::support::kept::Kept;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::aws::consolidation::{self, Cause};
use crate::domain::kubernetes::eviction::{self, Often};
use crate::domain::kubernetes::owner::{Target, has_rollout};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Workload;

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
        workload: String,
        has_rollout: bool,
        patch: String,
        #[serde(flatten)]
        kept: Kept,
    },
}

impl Check for ConsolidationEvicts {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let often = eviction::often(snap, |e| consolidation::reason(e).is_some())?;
        // What runs many pods is moved a pod at a time, and serves on.
        let alone = often.iter().filter(|o| o.workload.desired() <= 1);
        Ok(Diagnosis::Findings(alone.filter_map(|o| finding(snap, o)).collect()))
    }
}

fn finding(snap: &Snapshot, often: &Often<'_>) -> Option<Finding> {
    let why = match consolidation::reason(often.newest)? {
        Cause::Underutilized => "its node was used too little",
        Cause::Empty => "its node was empty but for DaemonSets",
        Cause::Drifted => "its node no longer fits its NodePool",
        Cause::Other => "its node was given up",
    };
    let severity = if often.is_server() { Severity::Error } else { Severity::Warning };
    let (owner, times) = (often.workload.reference(), often.times);
    let message = format!(
        "Karpenter evicted the pod of {owner} {times} times within the last hour, because {why}: each time it starts over, and does no work meanwhile"
    );
    let made = Finding::new(ConsolidationEvicts::META.id, severity, owner, message);
    // Between two moves it works.
    Some(made.breaks_nothing().evidence(event_evidence(often.newest)).fix(fix(snap, often.workload)))
}

fn fix(snap: &Snapshot, workload: &Workload) -> Fix {
    let annotations = json!({"annotations": {"karpenter.sh/do-not-disrupt": "true"}});
    let pods: Vec<_> = snap.pods_of_workload(workload).filter(|p| p.metadata.deletion_timestamp.is_none()).collect();
    let target = pods.first().map(|p| Target::of(snap, p));
    let spec = match target.as_ref().map_or("", Target::operator_kind) {
        "" => json!({"spec": {"template": {"metadata": annotations}}}),
        _ => json!({"spec": {"podMetadata": annotations}}),
    };
    Fix::Hold {
        namespace: workload.metadata.namespace.clone(),
        pods: pods.iter().map(|p| p.metadata.name.clone()).collect(),
        workload: workload.kubectl_name(),
        has_rollout: has_rollout(snap, &workload.reference()),
        patch: spec.to_string(),
        kept: target.as_ref().map(Kept::of).unwrap_or_default(),
    }
}
