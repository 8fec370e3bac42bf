//! A part of the monitoring stack that is not complete.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::back::{self, Back};
use crate::checks::support::pipeline::plural;
use crate::checks::{Check, check};
use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::leaving;
use crate::domain::kubernetes::nodes::dead_nodes;
use crate::domain::kubernetes::owner::Target;
use crate::domain::kubernetes::parts::{self, Part};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Workload};

/// Seconds that new pods have to become ready.
const STARTING: i64 = 300;
/// Nodes that are named.
const NAMED: usize = 3;

check! {
    /// See the check's page.
    MonitoringComponents {
        id: "monitoring-components", suite: Pipeline, severity: Warning,
        title: "a part of the monitoring stack is not complete",
        requires: [Workloads],
        uses: [Pods, Nodes, Services, ReplicaSets, HelmReleases, MonitoringResources, EksAddons],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    NotReady {
        namespace: String,
        workload: String,
        #[serde(flatten)]
        back: Box<Back>,
    },
    KeptAway {
        namespace: String,
        workload: String,
        taint: String,
    },
    Twice {
        namespace: String,
        workload: String,
        other: String,
        other_namespace: String,
    },
    Shards {
        namespace: String,
        workload: String,
        total: u32,
        missing: Vec<String>,
        /// The other shards, which run.
        others: Vec<Other>,
    },
}

/// Another shard.
#[derive(Serialize, JsonSchema)]
struct Other {
    namespace: String,
    workload: String,
}

impl Other {
    fn of(workload: &Workload) -> Self {
        Self { namespace: workload.metadata.namespace.clone(), workload: workload.kubectl_name() }
    }
}

impl Check for MonitoringComponents {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.workloads()?;
        let all = parts::all(snap);
        if all.is_empty() {
            return Ok(Diagnosis::NotApplicable(
                "no part of a monitoring stack runs in the namespaces that were read".into(),
            ));
        }
        let reduced = all.iter().filter_map(|(part, w)| reduced(snap, *part, w));
        let agents = all.iter().filter(|(part, w)| *part == Part::NodeExporter && w.kind == "DaemonSet");
        let kept_away = agents.filter_map(|(_, w)| kept_away(snap, w));
        Ok(Diagnosis::Findings(reduced.chain(kept_away).chain(twice(&all)).chain(shards(snap, &all)).collect()))
    }
}

fn base(severity: Severity, workload: &Workload, message: String) -> Finding {
    let evidence = Evidence::new(
        workload.reference().to_string(),
        format!("{} of {} ready", workload.ready(), workload.desired()),
        "kubectl get {{ workload }} -n {{ namespace }} -o wide",
    );
    Finding::new(MonitoringComponents::META.id, severity, workload.reference(), message)
        .breaks_nothing()
        .evidence(evidence.with("workload", workload.kubectl_name()).with("namespace", &workload.metadata.namespace))
}

/// Pods of a part that have not been ready for longer than a start takes, and are not about to go.
fn reduced(snap: &Snapshot, part: Part, workload: &Workload) -> Option<Finding> {
    let (ready, desired) = (workload.ready(), workload.desired());
    // Zero replicas are switched off on purpose.
    if desired == 0 || ready >= desired {
        return None;
    }
    let pods: Vec<&Pod> = snap.pods_of_workload(workload).filter(|p| !p.is_ready()).collect();
    let starting = |p: &&Pod| snap.age_seconds(&p.metadata) < STARTING || leaving::pod(snap, p);
    if snap.age_seconds(&workload.metadata) < STARTING || (!pods.is_empty() && pods.iter().all(starting)) {
        return None;
    }
    // What the others still do goes on.
    let severity = if ready == 0 || part == Part::NodeExporter { Severity::Warning } else { Severity::Info };
    let last = back::first_unready(snap, &pods);
    let change = last.as_ref().map(|(_, last)| format!("; {}", back::words(last))).unwrap_or_default();
    let message = format!(
        "{} runs with {ready} of {} ready ({}){change}",
        part.name(),
        plural(desired as usize, "pod"),
        workload.reference()
    );
    let back = last.as_ref().map(|(pod, last)| Back::of(snap, pod, &Target::of(snap, pod), Some(last)));
    let fix = Fix::NotReady {
        namespace: workload.metadata.namespace.clone(),
        workload: workload.kubectl_name(),
        back: Box::new(back.unwrap_or_default()),
    };
    let mut made = base(severity, workload, message).fix(fix).key(format!("ready {}", workload.reference().key()));
    for pod in &pods {
        made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    made = made.depends_on(workload.reference());
    // A Service that such a check names is empty for the same reason.
    for service in snap.services.items().unwrap_or_default() {
        if crate::domain::kubernetes::index::selects(&service.spec.selector, &workload.spec.template.metadata.labels)
            && service.metadata.namespace == workload.metadata.namespace
        {
            made = made.depends_on(ResourceRef::service(&service.metadata.namespace, &service.metadata.name));
        }
    }
    made = dead_nodes(snap, pods.into_iter()).into_iter().fold(made, Finding::depends_on);
    Some(made)
}

/// Nodes without node-exporter because of a taint.
fn kept_away(snap: &Snapshot, workload: &Workload) -> Option<Finding> {
    let nodes = parts::kept_away(snap, workload);
    let (_, taint) = nodes.first()?;
    let names: Vec<&str> = nodes.iter().take(NAMED).map(|(n, _)| n.metadata.name.as_str()).collect();
    let more = if nodes.len() > NAMED { " and others" } else { "" };
    let message = format!(
        "node-exporter does not run on {} ({}{more}): it does not tolerate {taint}",
        plural(nodes.len(), "node"),
        names.join(", ")
    );
    let fix = Fix::KeptAway {
        namespace: workload.metadata.namespace.clone(),
        workload: workload.kubectl_name(),
        taint: taint.clone(),
    };
    Some(base(Severity::Info, workload, message).fix(fix).key(format!("nodes {}", workload.reference().key())))
}

/// Two of a kind of which one is enough for a cluster.
fn twice(all: &[(Part, &Workload)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for kind in [Part::KubeStateMetrics, Part::NodeExporter] {
        let running: Vec<&Workload> =
            all.iter().filter(|(part, w)| *part == kind && w.ready() > 0 && !is_shard(w)).map(|(_, w)| *w).collect();
        let [first, second, ..] = running.as_slice() else { continue };
        let message = format!(
            "{} runs twice, as {} and as {}: what is scraped of both counts double in sums",
            kind.name(),
            first.reference(),
            second.reference()
        );
        let fix = Fix::Twice {
            namespace: first.metadata.namespace.clone(),
            workload: first.kubectl_name(),
            other: second.kubectl_name(),
            other_namespace: second.metadata.namespace.clone(),
        };
        let made = base(Severity::Info, first, message).also(second.reference()).fix(fix);
        found.push(made.key(format!("twice {}", kind.name())));
    }
    found
}

/// kube-state-metrics whose work is shared by more shards than run: what the others had is not measured.
fn shards(snap: &Snapshot, all: &[(Part, &Workload)]) -> Vec<Finding> {
    let mut by_total: BTreeMap<u32, BTreeMap<u32, &Workload>> = BTreeMap::new();
    for (_, workload) in all.iter().filter(|(part, w)| *part == Part::KubeStateMetrics && w.desired() > 0) {
        let number = |name: &str| {
            let mut containers = workload.spec.template.spec.containers.iter();
            containers.find_map(|c| arguments::flag(c, name)?.parse::<u32>().ok())
        };
        // A StatefulSet counts its pods itself (`--pod`), and names no shard.
        if let (Some(shard), Some(total)) = (number("shard"), number("total-shards")) {
            by_total.entry(total).or_default().insert(shard, workload);
        }
    }
    let lacking = by_total.into_iter().filter_map(|(total, shards)| {
        let missing: Vec<String> = (0..total).filter(|s| !shards.contains_key(s)).map(|s| s.to_string()).collect();
        let first = *shards.values().next()?;
        // Shards lie beside each other; where not all was read, the one that is not seen may be there.
        if !snap.workloads.covers(&first.metadata.namespace) {
            return None;
        }
        let message = format!(
            "kube-state-metrics has only a part of all objects: {} not there, of {total} that are counted from 0 ({} has --total-shards={total})",
            match missing.as_slice() {
                [] => return None,
                [one] => format!("shard {one} is"),
                many => format!("shards {} are", many.join(", ")),
            },
            first.reference()
        );
        let fix = Fix::Shards {
            namespace: first.metadata.namespace.clone(),
            workload: first.kubectl_name(),
            total,
            missing,
            others: shards.values().skip(1).map(|w| Other::of(w)).collect(),
        };
        Some(base(Severity::Warning, first, message).fix(fix).key(format!("shards {total}")))
    });
    lacking.collect()
}

/// One of several that share the work, or that look at some nodes or namespaces only.
fn is_shard(workload: &Workload) -> bool {
    let spec = &workload.spec.template.spec;
    let args = spec.containers.iter().flat_map(|c| &c.args);
    let partial = [
        "--shard",
        "--total-shards",
        "--pod=",
        "--namespaces",
        "--resources",
        "--custom-resource-state-only",
        "--node=",
    ];
    args.into_iter().any(|a| partial.iter().any(|p| a.starts_with(p)))
        || !spec.node_selector.is_empty()
            && workload.kind == "DaemonSet"
            && spec.node_selector.keys().any(|k| k != "kubernetes.io/os")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;
    use serde_json::json;

    #[test]
    fn a_shard_that_was_not_read_is_not_missing() {
        let shard = |n: u32| {
            let args = json!([format!("--shard={n}"), "--total-shards=3"]);
            let image = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0";
            json!({"metadata": {"namespace": "monitoring", "name": format!("kube-state-metrics-{n}"),
                    "labels": {"app.kubernetes.io/name": "kube-state-metrics"}},
                "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "kube-state-metrics", "image": image, "args": args}]}}},
                "status": {"readyReplicas": 1, "availableReplicas": 1, "replicas": 1}})
        };
        let mut snap = snapshot(json!({"workloads": [shard(0), shard(1)]}));
        let told = steps(&findings(&MonitoringComponents, &snap)[0]);
        assert!(told.contains("kubectl scale deployment/kube-state-metrics-1 -n monitoring --replicas=0"), "{told}");
        assert!(!told.contains("scale deployment/kube-state-metrics-0"), "{told}");
        let all = snap.workloads.items().expect("they were read").to_vec();
        snap.workloads = Listing::namespaces(all, ["other".to_owned()].into(), Vec::new());
        assert!(findings(&MonitoringComponents, &snap).is_empty());
    }
}
