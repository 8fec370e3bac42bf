//! The newest revision of a workload runs and never became ready, while pods of the one before serve.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::back::{self, Back};
use crate::checks::support::kept::Kept;
use crate::checks::support::probes::readiness_path;
use crate::checks::support::seen::{log_evidence, pod_evidence};
use crate::checks::support::severity::severity_of;
use crate::checks::{Check, check};
use crate::domain::kubernetes::complains::Complains;
use crate::domain::kubernetes::endpoints;
use crate::domain::kubernetes::index::selects;
use crate::domain::kubernetes::last_revision::{LastRevision, Ran};
use crate::domain::kubernetes::listening::Elsewhere;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::parts::Part;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::Pod;
use crate::snapshot::{Snapshot, journal};

check! {
    /// See the check's page.
    RolloutStuck {
        id: "rollout-stuck", suite: Workload, severity: Warning,
        title: "the newest revision of a workload never became ready",
        requires: [Pods, Workloads],
        uses: [ReplicaSets, Events, Services, Nodes, HelmReleases, MonitoringResources, EksAddons, ComponentLogs, PartLogs, CrashLogs, ConfigMaps],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    NeverReady {
        namespace: String,
        pod: String,
        container: String,
        owner: String,
        /// What makes the workload, and would take a change of it back; empty where nothing does.
        maker: String,
        /// The readiness probe in words, and its URL through the API server.
        probe: Option<String>,
        probe_path: Option<String>,
        /// Where it says that it listens, where that is not where its probe asks; and where that does.
        listens: String,
        asked: Option<u16>,
        #[serde(flatten)]
        back: Box<Back>,
        #[serde(flatten)]
        kept: Kept,
    },
}

impl Check for RolloutStuck {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads()?;
        let judged = snap.pods()?.iter().filter(|p| snap.scope.is_judged(&p.metadata.namespace));
        let mut groups: BTreeMap<ResourceRef, (LastRevision, Vec<&Pod>)> = BTreeMap::new();
        for pod in judged {
            let Some(last) = back::of_unready(snap, pod).filter(|l| !is_told_elsewhere(snap, pod, l)) else { continue };
            groups.entry(last.workload.clone()).or_insert_with(|| (last, Vec::new())).1.push(pod);
        }
        Ok(Diagnosis::Findings(groups.into_values().map(|(last, pods)| finding(snap, &last, &pods)).collect()))
    }
}

/// Where nothing of before runs, whoever looks at its Service, or at the parts of the stack, says the same.
fn is_told_elsewhere(snap: &Snapshot, pod: &Pod, last: &LastRevision) -> bool {
    if last.ran != Ran::Until {
        return false;
    }
    let services = snap.services.items().unwrap_or_default();
    let meta = &pod.metadata;
    let is_behind =
        services.iter().any(|s| s.metadata.namespace == meta.namespace && selects(&s.spec.selector, &meta.labels));
    is_behind
        || snap
            .workloads
            .items()
            .unwrap_or_default()
            .iter()
            .any(|w| w.reference() == last.workload && Part::of(w).is_some())
}

fn finding(snap: &Snapshot, last: &LastRevision, pods: &[&Pod]) -> Finding {
    let first = pods[0];
    let meta = &first.metadata;
    let name = &meta.name;
    let who = match pods.len() {
        1 => format!("pod {name} of {} runs and is", last.workload),
        many => format!("{many} pods of {} run and are", last.workload),
    };
    // Both only add to what is told.
    let trouble = journal::aside(|| endpoints::trouble(snap, first));
    let container = endpoints::unready_container(first);
    let elsewhere = journal::aside(|| Elsewhere::of(snap, first, &container?.name, trouble.as_deref()?));
    let complains = journal::aside(|| Complains::of(snap, first, container?));
    let more = elsewhere.as_ref().map(Elsewhere::words).or(complains.map(|c| c.words()));
    let told: Vec<String> = trouble.into_iter().chain(more).collect();
    let trouble = if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) };
    let message = format!("{who} not ready{trouble}; {}", back::words(last));
    let worst = if last.ran == Ran::Until { Severity::Error } else { Severity::Warning };
    let severity = severity_of(snap, first, worst);
    let mut made = Finding::new(RolloutStuck::META.id, severity, last.workload.clone(), message);
    for pod in pods {
        let pod = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        made = made.also(pod.clone()).depends_on(pod.clone()).breaks(pod);
    }
    made = made.depends_on(last.workload.clone()).key(last.workload.key()).evidence(pod_evidence(first));
    if let Some(message) = journal::aside(|| endpoints::unhealthy(snap, first)) {
        let source = format!("event Unhealthy of Pod {}/{name}", meta.namespace);
        let show = "kubectl get events -n {{ namespace }} --field-selector involvedObject.name={{ name }}";
        made =
            made.evidence(Evidence::new(source, message, show).with("namespace", &meta.namespace).with("name", name));
    }
    made = back::evidence(last).into_iter().fold(made, Finding::evidence);
    if let Some((elsewhere, container)) = elsewhere.as_ref().zip(container) {
        made = made.evidence(log_evidence(&meta.namespace, name, &container.name, false, &elsewhere.line));
    }
    let target = Target::of(snap, first);
    made.fix(Fix::NeverReady {
        namespace: meta.namespace.clone(),
        pod: name.clone(),
        container: container.map(|c| c.name.clone()).unwrap_or_default(),
        owner: target.name.clone(),
        maker: maker(&target),
        probe: container.and_then(endpoints::probe_words),
        probe_path: container.and_then(|c| readiness_path(first, c)),
        listens: elsewhere.as_ref().map(Elsewhere::ports).unwrap_or_default(),
        asked: elsewhere.as_ref().map(|e| e.asked),
        back: Box::new(Back::of(snap, first, &target, Some(last))),
        kept: Kept::of(&target),
    })
}

/// The resource of an operator, or the add-on.
fn maker(target: &Target<'_>) -> String {
    let addon = target.addon.map(|name| format!("the EKS add-on {name}"));
    let owner = target.meta.controller().map(|o| format!("{} {}", o.kind, o.name));
    addon.or(owner).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::Workload;

    fn snapshot(deployment: &Value, sets: &Value, pod: &Value) -> Snapshot {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        snap.scope.stack = vec!["monitoring".into()];
        let deployment: Workload = serde_json::from_value(deployment.clone()).expect("a workload");
        snap.workloads = Listing::cluster(vec![Workload { kind: "Deployment".into(), ..deployment }]);
        snap.replica_sets = Listing::cluster(serde_json::from_value(sets.clone()).expect("ReplicaSets"));
        snap.pods = Listing::cluster(vec![serde_json::from_value(pod.clone()).expect("a pod")]);
        snap
    }

    fn set(name: &str, revision: &str, made: &str, image: &str, ready: u32) -> Value {
        json!({"metadata": {"namespace": "monitoring", "name": name, "creationTimestamp": made,
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [{"kind": "Deployment", "name": "proxy", "controller": true}]},
            "spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": image}]}}},
            "status": {"replicas": 1, "readyReplicas": ready}})
    }

    /// The Deployment, its ReplicaSets, and the pod of the newest.
    fn stuck(made: &str) -> (Value, Value, Value) {
        let deployment = json!({"metadata": {"namespace": "monitoring", "name": "proxy", "creationTimestamp": "2026-11-01T00:00:00Z"}});
        let sets = json!([
            set("proxy-new", "8", made, "proxy:7", 0),
            set("proxy-old", "7", "2026-11-02T00:00:00Z", "proxy:5", 1)
        ]);
        let pod = json!({"metadata": {"namespace": "monitoring", "name": "proxy-new-x", "creationTimestamp": made,
                "labels": {"pod-template-hash": "new"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "proxy-new", "controller": true}]},
            "spec": {"nodeName": "n1", "containers": [{"name": "proxy", "image": "proxy:7",
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 4180}}}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [{"name": "proxy", "ready": false, "state": {"running": {"startedAt": made}}}]}});
        (deployment, sets, pod)
    }

    const MADE: &str = "2026-11-21T02:00:00Z";

    #[test]
    fn quiet_for_what_is_on_its_way_or_explained_by_itself() {
        let quiet = |change: fn(&mut Value, &mut Value, &mut Value), made: &str| {
            let (mut deployment, mut sets, mut pod) = stuck(made);
            change(&mut deployment, &mut sets, &mut pod);
            findings(&RolloutStuck, &snapshot(&deployment, &sets, &pod)).is_empty()
        };
        assert!(!quiet(|_, _, _| {}, MADE));
        assert!(quiet(|_, _, _| {}, "2026-11-21T02:55:00Z"), "it is young");
        assert!(quiet(|deployment, _, _| deployment["spec"] = json!({"paused": true}), MADE), "it is held");
        assert!(quiet(|_, sets, _| sets[1]["status"]["readyReplicas"] = json!(0), MADE), "nobody knows that it ran");
        assert!(quiet(|_, sets, _| sets[0]["status"]["readyReplicas"] = json!(1), MADE), "one of its pods is ready");
        let waits = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let crashes = |pod: &mut Value| pod["status"]["containerStatuses"][0]["state"] = waits.clone();
        let (deployment, sets, mut pod) = stuck(MADE);
        crashes(&mut pod);
        assert!(findings(&RolloutStuck, &snapshot(&deployment, &sets, &pod)).is_empty(), "it ends again and again");
        assert!(quiet(|_, _, pod| pod["metadata"]["deletionTimestamp"] = json!(MADE), MADE), "it is about to go");
        assert!(
            quiet(
                |_, _, pod| pod["spec"]["volumes"] =
                    json!([{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]),
                "2026-11-21T02:45:00Z"
            ),
            "it reads its data first"
        );
        let (mut deployment, sets, pod) = stuck(MADE);
        deployment["metadata"]["ownerReferences"] = json!([{"kind": "Grafana", "name": "g", "controller": true}]);
        let made = steps(&findings(&RolloutStuck, &snapshot(&deployment, &sets, &pod))[0]);
        assert!(
            !made.contains("rollout undo") && !made.contains("kubectl edit") && made.contains("Grafana g makes"),
            "{made}"
        );
        assert!(quiet(|_, _, pod| pod["metadata"]["namespace"] = json!("shop"), MADE), "it is of others");
    }

    #[test]
    fn the_revision_that_never_became_ready_is_told_with_the_way_back() {
        let (deployment, sets, pod) = stuck(MADE);
        let found = findings(&RolloutStuck, &snapshot(&deployment, &sets, &pod)).remove(0);
        assert!(
            found
                .message
                .contains("while a pod of revision 7 runs; revision 8, made 2026-11-21 02:00 UTC, differs in image of container proxy proxy:5 → proxy:7"),
            "{}",
            found.message
        );
        let steps = steps(&found);
        for wanted in [
            "kubectl rollout undo deployment/proxy -n monitoring --to-revision=7",
            "http:proxy-new-x:4180/proxy/ready",
            "kubectl logs -n monitoring proxy-new-x -c proxy",
        ] {
            assert!(steps.contains(wanted), "{wanted}\n{steps}");
        }
    }
}
