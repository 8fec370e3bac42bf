//! Containers are ready, and a readiness gate keeps their pod out of its Services.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::line_evidence;
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::ingress::{controller, controller_pods};
use crate::domain::kubernetes::owner::{has_rollout, others_ready};
use crate::domain::kubernetes::readiness_gates::{Shut, shut};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    ReadinessGate {
        id: "readiness-gate", suite: Network, severity: Error,
        title: "a readiness gate keeps a pod out of its Services",
        requires: [Pods],
        uses: [Workloads, CrashLogs, PartLogs],
        fix: Fix,
    }
}

/// Seconds that a load balancer may take to register a target and to find it healthy.
const PATIENCE: i64 = 300;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Target {
        namespace: String,
        group: String,
        /// What answers to a health check that asks another path or port than the pod serves.
        answers: bool,
        /// No listener leads to the target group.
        unused: bool,
        owner: String,
        has_rollout: bool,
    },
    Controller {
        namespace: String,
        /// The controller's Deployment; empty where none was found.
        controller: String,
        controller_namespace: String,
        owner: String,
        has_rollout: bool,
    },
    Other {
        namespace: String,
        pod: String,
        gate: String,
        owner: String,
    },
}

impl Check for ReadinessGate {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let mut all: BTreeMap<(ResourceRef, &str), Vec<(&Pod, Shut<'_>)>> = BTreeMap::new();
        for pod in snap.pods()? {
            let judged = snap.scope.is_judged(&pod.metadata.namespace) && pod.metadata.deletion_timestamp.is_none();
            if let Some(shut) = shut(pod).filter(|shut| judged && is_late(snap, pod, *shut)) {
                all.entry((snap.owner_ref(pod), shut.gate)).or_default().push((pod, shut));
            }
        }
        Ok(Diagnosis::Findings(all.into_iter().map(|((owner, _), pods)| finding(snap, owner, &pods)).collect()))
    }
}

/// A gate that has just shut on an old pod may open by itself as well.
fn is_late(snap: &Snapshot, pod: &Pod, shut: Shut<'_>) -> bool {
    let all = [pod.condition("ContainersReady"), pod.condition("Ready"), shut.condition];
    let mut since = all.into_iter().flatten().filter_map(|c| c.last_transition_time);
    since.all(|t| snap.seconds_since(t) >= PATIENCE)
}

fn finding(snap: &Snapshot, owner: ResourceRef, pods: &[(&Pod, Shut<'_>)]) -> Finding {
    let (pod, shut) = pods[0];
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    let own: Vec<&Pod> = pods.iter().map(|(p, _)| *p).collect();
    let replaced = others_ready(snap, &owner, &own);
    let who = match pods {
        [_] => format!("pod {namespace}/{name}"),
        many => format!("{} pods of {owner}", many.len()),
    };
    let why = why(snap, shut);
    let message = format!(
        "the containers of {who} are ready, and readiness gate {} keeps it out of its Services: {why}",
        shut.gate
    );
    let severity = severity_of(snap, pod, if replaced { Severity::Warning } else { Severity::Error });
    let said = shut.condition.map_or_else(
        || "nobody has set this condition".to_owned(),
        |c| [c.reason.as_deref(), c.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": "),
    );
    let mut made = Finding::new(ReadinessGate::META.id, severity, owner.clone(), message)
        .key(format!("{} {}", owner.key(), shut.gate))
        .breaks_nothing()
        .evidence(
            Evidence::new(
                format!("Pod {namespace}/{name}, condition {}", shut.gate),
                said,
                "kubectl get pod {{ pod }} -n {{ namespace }} -o jsonpath='{range .status.conditions[*]}{.type}{\"=\"}{.status}{\" \"}{.reason}{\" \"}{.message}{\"\\n\"}{end}'",
            )
            .with("namespace", namespace)
            .with("pod", name),
        );
    for pod in &own {
        let reference = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        made = made.also(reference.clone()).breaks(reference);
    }
    if !replaced {
        made = made.breaks(owner.clone());
    }
    if let Some(group) = shut.binding() {
        made = made.depends_on(ResourceRef::aws("elasticloadbalancing", "targetgroup", group));
        made = with_controller(snap, made, shut);
    }
    made.fix(fix(snap, &owner, pod, shut))
}

/// The controller is deeper where it does not run; what it said before it ended shows that.
fn with_controller(snap: &Snapshot, made: Finding, shut: Shut<'_>) -> Finding {
    let Some(own) = controller(snap) else { return made };
    let made = made.depends_on(own.reference());
    if shut.condition.is_some() || own.ready() > 0 {
        return made;
    }
    let pods: Vec<String> = controller_pods(snap, own).iter().map(|p| p.metadata.name.clone()).collect();
    let logs = snap.crash_logs.iter().flatten().chain(snap.part_logs.iter().flatten());
    let mut logs = logs.filter(|l| l.namespace == own.metadata.namespace && pods.contains(&l.pod));
    let last = logs.find_map(|l| Some((l, l.text.lines().rev().find(|t| !t.trim().is_empty())?)));
    let seen = last.map(|(l, line)| line_evidence(l, line.trim()));
    made.also(own.reference()).evidence_all(seen)
}

fn why(snap: &Snapshot, shut: Shut<'_>) -> String {
    match (shut.binding(), shut.condition) {
        (Some(_), None) => match controller(snap) {
            Some(own) if own.ready() == 0 => {
                format!(
                    "the AWS Load Balancer Controller ({}), which is to register it, has no ready pod",
                    own.reference()
                )
            }
            _ => "the AWS Load Balancer Controller has not registered it".to_owned(),
        },
        (None, None) => "nobody has set it".to_owned(),
        (group, Some(condition)) => {
            let said = condition.message.as_deref().filter(|m| !m.is_empty()).or(condition.reason.as_deref());
            let of = group.map(|g| format!("the target group of TargetGroupBinding {g} says ")).unwrap_or_default();
            let code = condition.reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
            format!("{of}{}{code}", said.unwrap_or("no more"))
        }
    }
}

fn fix(snap: &Snapshot, owner: &ResourceRef, pod: &Pod, shut: Shut<'_>) -> Fix {
    let (namespace, name) = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
    let rolls = has_rollout(snap, owner);
    let owner = owner.kubectl_name();
    match (shut.binding(), shut.condition) {
        (Some(group), Some(condition)) => Fix::Target {
            namespace,
            group: group.to_owned(),
            answers: matches!(
                condition.reason.as_deref(),
                Some("Target.ResponseCodeMismatch" | "Target.FailedHealthChecks")
            ),
            unused: condition.reason.as_deref() == Some("Target.NotInUse"),
            owner,
            has_rollout: rolls,
        },
        (Some(_), None) => {
            let own = controller(snap);
            Fix::Controller {
                namespace,
                controller: own.map(|w| w.kubectl_name()).unwrap_or_default(),
                controller_namespace: own.map(|w| w.metadata.namespace.clone()).unwrap_or_default(),
                owner,
                has_rollout: rolls,
            }
        }
        (None, _) => Fix::Other { namespace, pod: name, gate: shut.gate.to_owned(), owner },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{applicable, findings, steps};
    use crate::domain::testing::workload::{pod, snapshot};
    use serde_json::{Value, json};

    fn gated(since: &str, condition: Option<Value>) -> Value {
        let kind = "target-health.elbv2.k8s.aws/k8s-monitori-prom-1a2b";
        let mut made = pod(json!({"name": "prometheus", "ready": true}));
        made["spec"]["readinessGates"] = json!([{"conditionType": kind}]);
        let mut all = vec![
            json!({"type": "ContainersReady", "status": "True", "lastTransitionTime": since}),
            json!({"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady"}),
        ];
        all.extend(condition.map(|mut c| {
            c["type"] = kind.into();
            c
        }));
        made["status"]["conditions"] = all.into();
        made
    }

    #[test]
    fn the_target_group_says_why() {
        let failed =
            json!({"status": "False", "reason": "Target.FailedHealthChecks", "message": "Health checks failed"});
        let at = "2026-11-21T11:00:00Z";
        let found = findings(&ReadinessGate, &snapshot(json!([gated(at, Some(failed.clone()))]))).remove(0);
        assert!(
            found.message.ends_with("k8s-monitori-prom-1a2b says Health checks failed (Target.FailedHealthChecks)"),
            "{}",
            found.message
        );
        let arn = "\"$(kubectl get targetgroupbinding k8s-monitori-prom-1a2b -n monitoring -o jsonpath=";
        assert!(steps(&found).contains(arn), "{}", steps(&found));
        assert_eq!(applicable(&ReadinessGate, &snapshot(json!([gated("2026-11-21T11:58:00Z", Some(failed))]))), []);
        let open = json!({"status": "True"});
        assert_eq!(applicable(&ReadinessGate, &snapshot(json!([gated(at, Some(open))]))), []);
    }

    #[test]
    fn a_gate_that_has_just_shut_has_time_to_open() {
        let shut =
            |at: &str| json!({"status": "False", "reason": "Target.FailedHealthChecks", "lastTransitionTime": at});
        let snap = |at: &str| snapshot(json!([gated("2026-11-21T11:00:00Z", Some(shut(at)))]));
        assert_eq!(applicable(&ReadinessGate, &snap("2026-11-21T11:59:50Z")), []);
        assert_eq!(findings(&ReadinessGate, &snap("2026-11-21T11:50:00Z")).len(), 1);
        let mut ready = gated("2026-11-21T11:00:00Z", None);
        ready["status"]["conditions"][1]["lastTransitionTime"] = "2026-11-21T11:59:50Z".into();
        assert_eq!(applicable(&ReadinessGate, &snapshot(json!([ready]))), []);
    }

    #[test]
    fn a_gate_that_nobody_opens_waits_for_the_controller() {
        let found = findings(&ReadinessGate, &snapshot(json!([gated("2026-11-21T11:00:00Z", None)])));
        assert!(
            found[0].message.ends_with("the AWS Load Balancer Controller has not registered it"),
            "{}",
            found[0].message
        );
    }
}
