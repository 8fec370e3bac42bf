//! A PodDisruptionBudget that allows no eviction.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::{Check, check};
use crate::domain::kubernetes::disruption::{self, Blocked, Why};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{operator_owner, workload};
use crate::domain::kubernetes::{label_selector, nodes, volumes};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{DisruptionBudget, Pod};

/// Pods that are named.
const NAMED: usize = 3;

check! {
    /// See the check's page.
    PdbBlocks {
        id: "pdb-blocks", suite: Pipeline, severity: Error,
        title: "a PodDisruptionBudget allows no eviction",
        requires: [DisruptionBudgets],
        uses: [Pods, Nodes, Events, Workloads, PersistentVolumeClaims, PersistentVolumes],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    name: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Never(Loosened),
    Single(Loosened),
    Second {
        owner: String,
        /// An operator makes its pods, as `owner` asks for.
        operated: bool,
        #[serde(flatten)]
        loosened: Loosened,
    },
    Unhealthy {
        owner: String,
        selector: String,
        /// Pods that are not ready.
        unready: Vec<String>,
        /// One of them could go at once.
        frees: bool,
        policy_back: String,
    },
}

/// The budget as it lets one pod go.
#[derive(Serialize, JsonSchema)]
struct Loosened {
    managed_by: String,
    patch: String,
    patch_back: String,
    #[serde(flatten)]
    tied: Tied,
}

/// A pod that would not come back: its volume is where no other node takes pods. All empty where there is none.
#[derive(Default, Serialize, JsonSchema)]
struct Tied {
    pod: String,
    node: String,
    /// The zone of its volume; empty for a disk of the node itself.
    zone: String,
}

impl Tied {
    fn of(snap: &Snapshot, blocked: &Blocked<'_>) -> Self {
        let mut moving = blocked.moving().filter_map(|p| Some((p, volumes::tied_to_its_node(snap, p)?)));
        let Some((pod, volume)) = moving.next() else { return Self::default() };
        let zone = volumes::place_of(volume).filter(|_| !volumes::is_local(volume)).unwrap_or_default();
        Self { pod: pod.metadata.name.clone(), node: pod.spec.node_name.clone().unwrap_or_default(), zone }
    }

    /// As the end of the message; empty where every pod can go elsewhere.
    fn words(&self) -> String {
        match (self.pod.as_str(), self.zone.as_str()) {
            ("", _) => String::new(),
            (pod, "") => format!("; Pod {pod} can run nowhere else: its volume is a disk of Node {}", self.node),
            (pod, zone) => {
                format!("; Pod {pod} would stay Pending: its volume is in {zone}, where no other node takes pods now")
            }
        }
    }
}

impl Way {
    fn of(snap: &Snapshot, budget: &DisruptionBudget, blocked: &Blocked<'_>, owner: Option<&ResourceRef>) -> Self {
        let spec = &budget.spec;
        let back =
            serde_json::json!({"spec": {"minAvailable": spec.min_available, "maxUnavailable": spec.max_unavailable}});
        let loosened = || Loosened {
            managed_by: managed_by(&budget.metadata),
            patch: serde_json::json!({"spec": {"minAvailable": null, "maxUnavailable": 1}}).to_string(),
            patch_back: back.to_string(),
            tied: Tied::of(snap, blocked),
        };
        match blocked.why {
            Why::Unhealthy => Self::unhealthy(budget, blocked, owner),
            Why::Never if budget.status.expected_pods == 1 => {
                let second = owner.filter(|_| disruption::lets_one_of_two_go(spec)).and_then(|o| second(snap, o));
                match second {
                    Some((owner, operated)) => Self::Second { owner, operated, loosened: loosened() },
                    None => Self::Single(loosened()),
                }
            }
            Why::Never => Self::Never(loosened()),
        }
    }

    fn unhealthy(budget: &DisruptionBudget, blocked: &Blocked<'_>, owner: Option<&ResourceRef>) -> Self {
        let policy = budget.spec.unhealthy_pod_eviction_policy.as_deref();
        Self::Unhealthy {
            owner: owner.map(ResourceRef::kubectl_name).unwrap_or_default(),
            selector: budget.spec.selector.as_ref().map(label_selector::words).unwrap_or_default(),
            unready: blocked.unready().take(NAMED).map(|p| p.metadata.name.clone()).collect(),
            frees: policy != Some("AlwaysAllow") && blocked.waits_for_unready(),
            policy_back: serde_json::json!({"spec": {"unhealthyPodEvictionPolicy": policy}}).to_string(),
        }
    }
}

impl Check for PdbBlocks {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let all = snap.disruption_budgets()?.iter();
        let blocked = all.filter_map(|b| Some((b, disruption::blocked(snap, b)?)));
        Ok(Diagnosis::Findings(blocked.filter_map(|(b, blocked)| finding(snap, b, &blocked)).collect()))
    }
}

/// How bad it is; `None` where nothing waits and it is only for now.
fn severity(budget: &DisruptionBudget, blocked: &Blocked<'_>) -> Option<Severity> {
    let is_one = budget.status.expected_pods == 1;
    let is_zero = budget
        .spec
        .max_unavailable
        .as_ref()
        .is_some_and(|m| matches!(m, k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(0)));
    match blocked.why {
        _ if blocked.is_waited_for() => Some(Severity::Error),
        // One pod that must not be evicted, or none ever: it may be meant.
        Why::Never if is_one || is_zero => Some(Severity::Info),
        Why::Never => Some(Severity::Warning),
        Why::Unhealthy => None,
    }
}

/// What it asks for, as it is written.
fn asks(budget: &DisruptionBudget) -> String {
    let text = |value: &k8s_openapi::apimachinery::pkg::util::intstr::IntOrString| match value {
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(number) => number.to_string(),
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String(text) => text.clone(),
    };
    match (&budget.spec.min_available, &budget.spec.max_unavailable) {
        (Some(min), _) => format!("minAvailable {}", text(min)),
        (None, Some(max)) => format!("maxUnavailable {}", text(max)),
        (None, None) => "minAvailable 1".to_owned(),
    }
}

fn finding(snap: &Snapshot, budget: &DisruptionBudget, blocked: &Blocked<'_>) -> Option<Finding> {
    let severity = severity(budget, blocked)?;
    let (namespace, name) = (&budget.metadata.namespace, &budget.metadata.name);
    let status = &budget.status;
    let fact = match blocked.why {
        Why::Never => match status.expected_pods {
            1 => format!("its only pod can never be evicted ({})", asks(budget)),
            pods => format!("none of its {pods} pods can ever be evicted ({})", asks(budget)),
        },
        Why::Unhealthy => format!(
            "{} of {} pods are healthy and {} have to be{}",
            status.current_healthy,
            status.expected_pods,
            status.desired_healthy,
            not_ready(blocked)
        ),
    };
    let waits = if !blocked.nodes.is_empty() {
        let names: Vec<&str> = blocked.nodes.iter().map(|n| n.metadata.name.as_str()).collect();
        format!("; the drain of Node {} waits for it", names.join(", "))
    } else if blocked.is_waited_for() {
        "; evictions are refused because of it".to_owned()
    } else {
        "; a drain or an upgrade of its nodes would wait forever".to_owned()
    };
    let owner = blocked.pods.first().map(|p| snap.owner_ref(p));
    let unready: Vec<&Pod> = blocked.unready().collect();
    let way = Way::of(snap, budget, blocked, owner.as_ref());
    let tied = match &way {
        Way::Never(l) | Way::Single(l) | Way::Second { loosened: l, .. } => l.tied.words(),
        Way::Unhealthy { .. } => String::new(),
    };
    let mut made = Finding::new(
        PdbBlocks::META.id,
        severity,
        disruption::reference(budget),
        format!("PodDisruptionBudget {namespace}/{name}: {fact}{waits}{tied}"),
    )
    .fix(Fix { namespace: namespace.clone(), name: name.clone(), way })
    .evidence(
        Evidence::new(
            format!("PodDisruptionBudget {namespace}/{name}"),
            format!(
                "{}; {} of {} healthy, {} have to be, {} disruptions allowed",
                asks(budget),
                status.current_healthy,
                status.expected_pods,
                status.desired_healthy,
                status.disruptions_allowed
            ),
            "kubectl get pdb {{ name }} -n {{ namespace }} -o yaml",
        )
        .with("namespace", namespace)
        .with("name", name),
    );
    for node in &blocked.nodes {
        made = made.evidence(
            Evidence::new(
                format!("Node {}", node.metadata.name),
                "cordoned, with pods of this budget",
                "kubectl get pods -A -o wide --field-selector spec.nodeName={{ node }}",
            )
            .with("node", &node.metadata.name),
        );
    }
    for event in blocked.events.iter().take(2) {
        made = made.evidence(crate::checks::support::seen::event_evidence(event));
    }
    if blocked.why == Why::Unhealthy {
        for pod in &unready {
            made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
        made = owner.into_iter().fold(made, Finding::depends_on);
        made = nodes::dead_nodes(snap, unready.into_iter()).into_iter().fold(made, Finding::depends_on);
    }
    Some(made)
}

/// The pods that are not ready, in words; empty where none was read.
fn not_ready(blocked: &Blocked<'_>) -> String {
    let names: Vec<&str> = blocked.unready().map(|p| p.metadata.name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(" (Pod {one} is not ready)"),
        [first @ .., _] if names.len() > NAMED => {
            format!(" (Pods {} and {} more are not ready)", first[..NAMED].join(", "), names.len() - NAMED)
        }
        all => format!(" (Pods {} are not ready)", all.join(", ")),
    }
}

/// What runs a second pod beside the first when it is told so, and whether an operator does. `None` where the second would
/// share a volume with the first, or is one of the programs that answer from what they keep, whose pods would each tell
/// something else. Those of the operator are made to run twice: each scrapes for itself.
fn second(snap: &Snapshot, owner: &ResourceRef) -> Option<(String, bool)> {
    let workload = workload(snap, owner)?;
    if let Some((kind, name)) = operator_owner(&workload.metadata) {
        return Some((format!("{kind}/{name}"), true));
    }
    let spec = &workload.spec.template.spec;
    let shares = spec.volumes.iter().any(|v| v.persistent_volume_claim.is_some())
        || spec.containers.iter().any(|c| c.program().is_some());
    let scales = matches!(workload.kind.as_str(), "Deployment" | "StatefulSet") && !shares;
    scales.then(|| (owner.kubectl_name(), false))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::snapshot::Listing;

    /// A budget whose pods are these: name, node, ready.
    fn snap(budget: Value, pods: &[(&str, &str, bool)]) -> Snapshot {
        let pod = |(name, node, ready): &(&str, &str, bool)| {
            json!({"metadata": {"name": name, "namespace": "m", "labels": {"app": "x"}},
                "spec": {"nodeName": node, "containers": [], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if *ready { "True" } else { "False" }}]}})
        };
        let mut snap = snapshot(json!({"pods": pods.iter().map(pod).collect::<Vec<_>>()}));
        let node = |name: &str, zone: &str, drained: bool| {
            json!({"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
                "spec": {"unschedulable": drained}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        };
        let nodes = json!([node("n1", "zone-a", true), node("n2", "zone-b", false)]);
        snap.nodes = Listing::cluster(serde_json::from_value(nodes).expect("nodes"));
        snap.disruption_budgets = Listing::cluster(serde_json::from_value(json!([budget])).expect("budgets"));
        let claims = json!([{"metadata": {"name": "data", "namespace": "m"}, "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}}]);
        snap.persistent_volume_claims = Listing::cluster(serde_json::from_value(claims).expect("claims"));
        snap.persistent_volumes = Listing::cluster(Vec::new());
        snap
    }

    fn volume(zone: &str) -> Value {
        json!([{"metadata": {"name": "v"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}]}}}}])
    }

    fn budget(healthy: u32, expected: u32, desired: u32) -> Value {
        json!({"metadata": {"name": "b", "namespace": "m"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}},
            "status": {"currentHealthy": healthy, "expectedPods": expected, "desiredHealthy": desired}})
    }

    #[test]
    fn a_pod_that_could_not_come_back_wants_a_node_in_its_zone_first() {
        let mut tied = snap(budget(1, 1, 1), &[("p", "n1", true)]);
        assert!(!steps(&findings(&PdbBlocks, &tied)[0]).contains("zone"));
        tied.persistent_volumes = Listing::cluster(serde_json::from_value(volume("zone-a")).expect("volumes"));
        let found = findings(&PdbBlocks, &tied);
        assert!(
            found[0].message.ends_with("its volume is in zone-a, where no other node takes pods now"),
            "{}",
            found[0].message
        );
        let steps = steps(&found[0]);
        let first = steps.find("kubectl get nodes -L").expect("looks at the nodes");
        assert!(first < steps.find("kubectl patch pdb").expect("loosens the budget"), "{steps}");
    }

    #[test]
    fn the_eviction_of_unready_pods_is_allowed_only_where_it_lets_one_go() {
        let policy = "AlwaysAllow";
        let elsewhere = findings(&PdbBlocks, &snap(budget(1, 2, 1), &[("a", "n1", true), ("b", "n2", false)]));
        assert!(!steps(&elsewhere[0]).contains(policy) && elsewhere[0].message.contains("(Pod b is not ready)"));
        assert!(steps(&elsewhere[0]).contains("kubectl describe pod b -n m"));
        let drained = findings(&PdbBlocks, &snap(budget(1, 2, 1), &[("a", "n2", true), ("b", "n1", false)]));
        assert!(steps(&drained[0]).contains(policy));
    }
}
