//! A PodDisruptionBudget that allows no eviction.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::pipeline::plural;
use crate::checks::{Check, check};
use crate::domain::kubernetes::disruption::{self, Blocked, Why};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner::{operator_owner, workload};
use crate::domain::kubernetes::{label_selector, nodes};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{DisruptionBudget, Pod};

check! {
    /// See the check's page.
    PdbBlocks {
        id: "pdb-blocks", suite: Pipeline, severity: Error,
        title: "a PodDisruptionBudget allows no eviction",
        requires: [DisruptionBudgets],
        uses: [Pods, Nodes, Events, Workloads],
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
    Single {
        owner: String,
        /// A second replica can run beside the one that is there.
        scales: bool,
        #[serde(flatten)]
        loosened: Loosened,
    },
    Unhealthy {
        owner: String,
        selector: String,
    },
}

/// The budget as it lets one pod go.
#[derive(Serialize, JsonSchema)]
struct Loosened {
    managed_by: String,
    patch: String,
    patch_back: String,
}

impl Way {
    fn of(snap: &Snapshot, budget: &DisruptionBudget, why: &Why, owner: Option<&ResourceRef>) -> Self {
        let name = owner.map(ResourceRef::kubectl_name).unwrap_or_default();
        let spec = &budget.spec;
        let back =
            serde_json::json!({"spec": {"minAvailable": spec.min_available, "maxUnavailable": spec.max_unavailable}});
        let loosened = Loosened {
            managed_by: managed_by(&budget.metadata),
            patch: serde_json::json!({"spec": {"minAvailable": null, "maxUnavailable": 1}}).to_string(),
            patch_back: back.to_string(),
        };
        match why {
            Why::Unhealthy => {
                let selector = spec.selector.as_ref().map(label_selector::words).unwrap_or_default();
                Self::Unhealthy { owner: name, selector }
            }
            Why::Never if budget.status.expected_pods == 1 => {
                Self::Single { owner: name, scales: owner.is_some_and(|o| runs_twice(snap, o)), loosened }
            }
            Why::Never => Self::Never(loosened),
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
        Why::Never => {
            format!("{} of {} can never be evicted", asks(budget), plural(status.expected_pods as usize, "pod"))
        }
        Why::Unhealthy => format!(
            "{} of {} pods are healthy and {} have to be",
            status.current_healthy, status.expected_pods, status.desired_healthy
        ),
    };
    let waits = if !blocked.nodes.is_empty() {
        let names: Vec<&str> = blocked.nodes.iter().map(|n| n.metadata.name.as_str()).collect();
        format!("; the drain of Node {} waits for it", names.join(", "))
    } else if blocked.is_waited_for() {
        "; evictions are refused because of it".to_owned()
    } else {
        "; a drain or an upgrade of its nodes would wait for ever".to_owned()
    };
    let owner = blocked.pods.first().map(|p| snap.owner_ref(p));
    let unready: Vec<&Pod> = blocked.pods.iter().copied().filter(|p| !p.is_ready()).collect();
    let way = Way::of(snap, budget, &blocked.why, owner.as_ref());
    let mut made = Finding::new(
        PdbBlocks::META.id,
        severity,
        disruption::reference(budget),
        format!("PodDisruptionBudget {namespace}/{name}: {fact}{waits}"),
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

/// A second pod can run beside the first: it has a volume of its own or needs none, no operator takes it away again, and it
/// is none of the programs that answer from what they keep, whose pods would each tell something else.
fn runs_twice(snap: &Snapshot, owner: &ResourceRef) -> bool {
    let Some(workload) = workload(snap, owner) else { return false };
    let spec = &workload.spec.template.spec;
    let shares = spec.volumes.iter().any(|v| v.persistent_volume_claim.is_some())
        || spec.containers.iter().any(|c| c.program().is_some());
    match workload.kind.as_str() {
        "Deployment" => !shares,
        "StatefulSet" => !shares && operator_owner(&workload.metadata).is_none(),
        _ => false,
    }
}
