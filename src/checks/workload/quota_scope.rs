//! The API server takes pods of a kind only where a ResourceQuota admits them, and the namespace has none.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::owner::has_rollout;
use crate::domain::kubernetes::quota_scope::{self, Scope};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Workload};

/// Pods that the quota admits beside those that are wanted, for a rollout.
const SPARE: u32 = 10;

check! {
    /// See the check's page.
    QuotaScope {
        id: "quota-scope", suite: Workload, severity: Error,
        title: "no ResourceQuota admits pods of this kind in the namespace",
        requires: [Workloads, Events],
        uses: [Pods],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Priority {
        namespace: String,
        owner: String,
        /// `kubectl rollout status` tells of it.
        has_rollout: bool,
        classes: Vec<String>,
        /// Of the quota, and how many pods it admits.
        name: String,
        pods: String,
    },
    Scope {
        namespace: String,
        owner: String,
        has_rollout: bool,
        scope: String,
        name: String,
        pods: String,
    },
}

/// A workload that lacks pods, and the event that tells why.
type Lacking<'a> = (&'a Workload, Option<&'a Event>);

impl Check for QuotaScope {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.events()?;
        let workloads = snap.workloads()?.iter().filter(|w| {
            snap.scope.is_judged(&w.metadata.namespace)
                && w.ready() < w.desired()
                && w.metadata.deletion_timestamp.is_none()
        });
        let mut all: BTreeMap<(String, Scope), Vec<Lacking<'_>>> = BTreeMap::new();
        for workload in workloads {
            if let Some((scope, event)) = quota_scope::lacking(snap, workload) {
                all.entry((workload.metadata.namespace.clone(), scope)).or_default().push((workload, event));
            }
        }
        Ok(Diagnosis::Findings(
            all.iter().map(|((namespace, scope), refused)| finding(snap, namespace, scope, refused)).collect(),
        ))
    }
}

fn finding(snap: &Snapshot, namespace: &str, scope: &Scope, refused: &[(&Workload, Option<&Event>)]) -> Finding {
    let (first, _) = &refused[0];
    let own = first.reference();
    let what = match refused {
        [_] => format!("{own} has {} of {} pods", first.ready(), first.desired()),
        many => format!("{} workloads of namespace {namespace} lack pods", many.len()),
    };
    let text = format!(
        "{what}: the API server takes pods of scope {scope} only where a ResourceQuota admits them, and namespace {namespace} has none"
    );
    let mut made =
        Finding::new(QuotaScope::META.id, Severity::Error, own.clone(), text).key(format!("{namespace} {scope}"));
    for (workload, event) in refused {
        let own = workload.reference();
        made = made.also(own.clone()).breaks(own);
        made = match event {
            Some(event) => made.evidence(event_evidence(event)),
            None => made.evidence(
                Evidence::new(
                    format!("{} {namespace}/{}", workload.kind, workload.metadata.name),
                    "its condition ReplicaFailure says so",
                    "kubectl describe {{ target }} -n {{ namespace }}",
                )
                .with("namespace", namespace)
                .with("target", workload.kubectl_name()),
            ),
        };
    }
    let wanted: u32 = refused.iter().map(|(w, ..)| w.desired()).sum();
    let has_rollout = has_rollout(snap, &own);
    let (namespace, owner) = (namespace.to_owned(), first.kubectl_name());
    let pods = (wanted * 2 + SPARE).to_string();
    let fix = match scope {
        Scope::Priority(classes) => {
            let name = format!("{}-pods", classes.first().map_or("critical", String::as_str));
            Fix::Priority { namespace, owner, has_rollout, classes: classes.clone(), name, pods }
        }
        Scope::Other(scope) => Fix::Scope {
            namespace,
            owner,
            has_rollout,
            scope: scope.clone(),
            name: format!("{}-pods", scope.to_ascii_lowercase()),
            pods,
        },
    };
    made.fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use serde_json::json;

    #[test]
    fn each_scope_has_its_own_quota() {
        let refused = |name: &str, class: &str| {
            let message = format!("insufficient quota to match these scopes: [{{PriorityClass In [{class}]}}]");
            json!({"metadata": {"namespace": "monitoring", "name": name},
                "spec": {"replicas": 1, "template": {"spec": {"priorityClassName": class, "containers": []}}},
                "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}]}})
        };
        let snap = snapshot(json!({"workloads": [refused("agent", "system-node-critical"),
            refused("operator", "system-cluster-critical"), refused("second", "system-cluster-critical")]}));
        let found = findings(&QuotaScope, &snap);
        let told: Vec<String> = found.iter().map(steps).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("name: system-cluster-critical-pods"), "{}", told[0]);
        assert!(told[1].contains("- system-node-critical"), "{}", told[1]);
    }
}
