//! An agent on a node says in a condition that a part of it is broken.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::instance::Instance;
use crate::checks::support::seen::event_evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::network_plugin;
use crate::domain::kubernetes::node_problems::{self, Part, Problem};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::Pod;

check! {
    /// See the check's page.
    NodeCondition {
        id: "node-condition", suite: Nodes, severity: Error,
        title: "an agent says that a part of a node is broken",
        requires: [Nodes, Pods],
        uses: [Events],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Fix {
    Replace {
        node: String,
        kernel: bool,
        network: bool,
        storage: bool,
        #[serde(flatten)]
        instance: Instance,
    },
    Stale {
        node: String,
        /// The agent's pod there.
        agent: Option<String>,
        agent_namespace: String,
    },
}

/// Names of disks that are the node's own.
const OWN_DISKS: &[&str] = &["nvme0n1", "xvda", "sda"];

impl Check for NodeCondition {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.pods()?;
        let problems = snap.nodes()?.iter().flat_map(|n| node_problems::of(snap, n));
        Ok(Diagnosis::Findings(problems.filter_map(|p| finding(snap, &p)).collect()))
    }
}

fn finding(snap: &Snapshot, problem: &Problem<'_>) -> Option<Finding> {
    let judged = |p: &&Pod| snap.scope.is_judged(&p.metadata.namespace) && !p.is_finished();
    let here: Vec<&Pod> = problem.here(snap).filter(judged).collect();
    let mut refused = problem.refused(snap);
    refused.retain(|p| snap.scope.is_judged(&p.metadata.namespace));
    if here.is_empty() && refused.is_empty() {
        return None;
    }
    let name = &problem.node.metadata.name;
    let own = ResourceRef::node(name);
    let condition = problem.condition;
    let said = condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or_default();
    let reason = condition.reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
    let said = redact(said);
    let head = format!("{}={}{reason}: {}", condition.kind, condition.status, said.trim_end_matches('.'));
    let evidence = Evidence::new(
        format!("Node {name}, condition {}", condition.kind),
        head.clone(),
        "kubectl describe node {{ node }}",
    )
    .with("node", name);
    let key = condition.kind.clone();
    if problem.is_disproved(snap) {
        let text = format!(
            "node {name} has the condition {}, but pods were started there since and all are ready: it may be over",
            shorten(&head, 200)
        );
        let agent = problem.agent(snap);
        let made = Finding::new(NodeCondition::META.id, Severity::Info, own, text).key(key).breaks_nothing();
        return Some(made.evidence(evidence).fix(Fix::Stale {
            node: name.clone(),
            agent: agent.map(|p| p.metadata.name.clone()),
            agent_namespace: agent.map(|p| p.metadata.namespace.clone()).unwrap_or_default(),
        }));
    }
    let parts = here.iter().filter(|p| owner_of(&p.metadata).is_none_or(|(kind, _)| kind != "DaemonSet"));
    // A container that crashes or finds no image says itself why.
    let has_own_reason = |p: &Pod| p.statuses().any(|s| s.state.waiting.is_some() || s.state.terminated.is_some());
    let unready: Vec<&Pod> = parts.filter(|p| !p.is_ready()).copied().collect();
    let failing = unready.len();
    let told = refused.is_empty() && unready.iter().all(|p| has_own_reason(p));
    let severity = if told { Severity::Warning } else { Severity::Error };
    let pods = match (here.len(), failing) {
        _ if refused.len() == 1 => "its kubelet has refused a pod of the stack since".to_owned(),
        _ if !refused.is_empty() => format!("its kubelet has refused {} pods of the stack since", refused.len()),
        (1, 0) => "1 pod of the stack runs there".to_owned(),
        (n, 0) => format!("{n} pods of the stack run there"),
        (1, _) => "the pod of the stack there is not ready".to_owned(),
        (n, 1) => format!("1 of {n} pods of the stack there is not ready"),
        (n, failing) => format!("{failing} of {n} pods of the stack there are not ready"),
    };
    let text = format!("{} of node {name} is said to be broken: {}; {pods}", word(problem.part), shorten(&head, 300));
    let silent = unready.iter().filter(|p| !has_own_reason(p));
    let mut made = Finding::new(NodeCondition::META.id, severity, own, text)
        .key(key)
        .also_all(silent.map(|p| ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)))
        .evidence(evidence);
    if let Some(event) = problem.repeated(snap) {
        made = made.evidence(event_evidence(event));
    }
    if problem.part == Part::Network {
        // What the agent reads is the network plugin's state: why that does not run is deeper.
        let agents = network_plugin::agents(snap, name);
        made = agents.fold(made, |made, p| {
            made.depends_on(ResourceRef::pod(&p.metadata.namespace, &p.metadata.name)).depends_on(snap.owner_ref(p))
        });
    }
    let storage = matches!(condition.kind.as_str(), "ReadonlyFilesystem" | "FilesystemCorruptionProblem");
    // The disk of a claim goes with its pod, and what starts again and again has a cause that a new node has, too.
    let of_claim = storage && !OWN_DISKS.iter().any(|disk| said.contains(disk));
    let instance = Instance::of(problem.node);
    let instance = if of_claim || condition.kind.starts_with("Frequent") { instance.kept() } else { instance };
    Some(made.fix(Fix::Replace {
        node: name.clone(),
        kernel: condition.reason.as_deref() == Some("ForkFailedOutOfPIDs"),
        network: problem.part == Part::Network,
        storage,
        instance,
    }))
}

/// The part as the beginning of a sentence.
fn word(part: Part) -> &'static str {
    match part {
        Part::Kernel => "the kernel",
        Part::Network => "the network",
        Part::Storage => "the storage",
        Part::Runtime => "the container runtime",
        Part::Kubelet => "the kubelet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::workload::{pod, snapshot};
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    fn with(condition: Value, ready: bool) -> Snapshot {
        let mut object = pod(json!({"name": "prometheus", "ready": ready,
            "state": {"running": {"startedAt": "2026-11-21T10:00:00Z"}}}));
        object["status"]["conditions"] = json!([{"type": "Ready", "status": if ready { "True" } else { "False" }}]);
        let mut snap = snapshot(json!([object]));
        let node = json!([{"metadata": {"name": "node-a", "labels": {"eks.amazonaws.com/nodegroup": "workers"}},
            "spec": {"providerID": "aws:///eu-west-1a/i-0a1b2c3d4e5f60718"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, condition]}}]);
        snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
        snap
    }

    fn pids(since: &str) -> Value {
        json!({"type": "KernelReady", "status": "False", "reason": "ForkFailedOutOfPIDs", "lastTransitionTime": since,
            "message": "A fork or exec call has failed due to the system being out of process IDs or memory."})
    }

    #[test]
    fn what_an_agent_says_of_a_node_of_the_stack_is_told() {
        let found = findings(&NodeCondition, &with(pids("2026-11-21T11:00:00Z"), true));
        assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Warning, "replace"));
        assert!(found[0].message.contains("KernelReady=False (ForkFailedOutOfPIDs)"), "{}", found[0].message);
        let text = steps(&found[0]);
        assert!(text.contains("process_count") && text.contains("terminate-instance-in-auto-scaling-group"), "{text}");
        let found = findings(&NodeCondition, &with(pids("2026-11-21T11:00:00Z"), false));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
    }

    #[test]
    fn what_pods_disprove_is_worth_knowing_and_replaces_nothing() {
        let found = findings(&NodeCondition, &with(pids("2026-11-21T09:00:00Z"), true));
        assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Info, "stale"));
        assert!(!steps(&found[0]).contains("drain"));
    }

    #[test]
    fn nodes_that_are_well_or_without_the_stack_are_left_alone() {
        let well = json!({"type": "KernelReady", "status": "True", "lastTransitionTime": "2026-11-21T11:00:00Z"});
        assert_eq!(findings(&NodeCondition, &with(well, true)), []);
        let mut elsewhere = with(pids("2026-11-21T11:00:00Z"), true);
        elsewhere.pods = Listing::cluster(Vec::new());
        assert_eq!(findings(&NodeCondition, &elsewhere), []);
    }
}
