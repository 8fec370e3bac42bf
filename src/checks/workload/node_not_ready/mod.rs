//! A node that runs parts of the stack is not Ready, or is not for moments again and again.

mod flapping;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::instance::Instance;
use crate::checks::support::seen::{container_states, event_evidence};
use crate::checks::{Check, check};
use crate::domain::kubernetes::cluster_dns;
use crate::domain::kubernetes::index::owner_of;
use crate::domain::kubernetes::leaving;
use crate::domain::kubernetes::network_plugin;
use crate::domain::kubernetes::nodes::{could_take, nominated, not_ready};
use crate::domain::kubernetes::scheduling::{self, Signal};
use crate::domain::kubernetes::unschedulable::{concerns, unscheduled};
use crate::domain::text::redact::redact;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::GRACE;
use crate::model::{Cause, CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Event, Node, Pod};

/// Seconds that a new node may take to become Ready.
const NEW: i64 = 300;

check! {
    /// See the check's page.
    NodeNotReady {
        id: "node-not-ready", suite: Workload, severity: Error,
        title: "a node that runs the stack is not Ready",
        requires: [Nodes, Pods],
        uses: [EksCluster, Events, PersistentVolumes, PersistentVolumeClaims, PartLogs, Instances],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    namespace: String,
    node: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Lost {
        /// Pods of it have volumes.
        stateful: bool,
        /// Its instance was stopped, or is about to be.
        stopped: bool,
        /// It is stopped, and no group replaces it meanwhile.
        startable: bool,
        /// Its memory was used up before.
        starved: bool,
        #[serde(flatten)]
        instance: Instance,
    },
    NotReady(Instance),
    Flapping(Instance),
    Network {
        /// The pod of the network plugin there.
        network_pod: Option<String>,
    },
    OtherNetwork {
        /// The pod of the network plugin there, which is not the VPC CNI, and the container that gives pods their network.
        network_pod: Option<String>,
        container: String,
        /// Its container that fails, where another one does.
        failing: Option<String>,
        network_namespace: String,
        daemon_set: String,
    },
}

impl Check for NodeNotReady {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        let pods = snap.pods()?;
        let late = snap.nodes()?.iter().filter_map(|n| Some((n, not_ready(n).filter(|c| is_late(snap, n, c))?)));
        let findings = late.filter_map(|(node, ready)| {
            let here = pods.iter().filter(|p| p.spec.node_name.as_deref() == Some(node.metadata.name.as_str()));
            let of_stack: Vec<&Pod> =
                here.filter(|p| snap.scope.is_judged(&p.metadata.namespace) && !p.is_finished()).collect();
            // Pods that could go nowhere else wait for it as well.
            let waiting = waiting_for(snap, node);
            let since = ready.last_transition_time.map_or(0, |t| t.as_second());
            (!of_stack.is_empty() || !waiting.is_empty())
                .then(|| (finding(snap, node, ready, &of_stack, &waiting), since))
        });
        let findings = together(findings.collect()).into_iter();
        Ok(Diagnosis::Findings(findings.chain(flapping::findings(snap, pods)).collect()))
    }
}

/// Seconds between two nodes after which they are not lost together.
const TOGETHER: i64 = 900;

/// Nodes that are lost at one time and in one way are one finding about them all, with the steps of each. Those that were lost
/// hours apart have each a cause of its own.
fn together(mut all: Vec<(Finding, i64)>) -> Vec<Finding> {
    all.sort_by_key(|(f, since)| (f.variant, *since));
    // Which group each is of: a longer pause begins another one.
    let mut groups: Vec<Vec<Finding>> = Vec::new();
    let mut last: Option<(&'static str, i64)> = None;
    for (finding, since) in all {
        let goes_on = last.is_some_and(|(variant, at)| variant == finding.variant && since - at <= TOGETHER);
        last = Some((finding.variant, since));
        match groups.last_mut().filter(|_| goes_on) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    let mut made: Vec<Finding> = groups.into_iter().flat_map(joined).collect();
    made.sort_by_key(|f| std::cmp::Reverse(f.severity));
    made
}

/// Nodes that were lost together.
fn joined(group: Vec<Finding>) -> Vec<Finding> {
    if group.len() < 2 {
        return group;
    }
    let mut names: Vec<String> = group.iter().map(|f| f.subject().name()).collect();
    names.sort();
    let message = format!("{} nodes that the stack needs are not Ready: {}", names.len(), names.join(", "));
    let key = format!("ready {} {}", group[0].variant, names[0]);
    group.into_iter().map(|f| f.cause(Cause::keyed(key.clone(), message.clone()))).collect()
}

/// New nodes, those whose state has just changed, and those that are taken away are given time.
fn is_late(snap: &Snapshot, node: &Node, ready: &Condition) -> bool {
    let is_new = node.metadata.creation_timestamp.is_some() && snap.age_seconds(&node.metadata) < NEW;
    let since = ready.last_transition_time.map(|t| snap.seconds_since(t));
    !is_new && since.is_none_or(|s| s >= GRACE) && !leaving::node(snap, node)
}

/// Pods without a node for which this one was made, or that only nodes which are not Ready could take, this one among them.
fn waiting_for<'a>(snap: &'a Snapshot, node: &Node) -> Vec<&'a Pod> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let waiting = pods.filter(|p| concerns(snap, p) && unscheduled(snap, p).is_some());
    waiting
        .filter(|p| {
            if nominated(snap, p).is_some_and(|n| n.metadata.name == node.metadata.name) {
                return true;
            }
            let near = could_take(snap, p);
            let kept = near
                .iter()
                .all(|n| scheduling::kept_by(p, n) == Some(Signal::NotReady) || !scheduling::tolerates(p, n));
            kept && near.iter().any(|n| n.metadata.name == node.metadata.name && scheduling::kept_by(p, n).is_some())
        })
        .collect()
}

/// The kubelet waits for the network plugin.
fn waits_for_network(ready: &Condition) -> bool {
    let said = ready.message.as_deref().unwrap_or_default();
    said.contains("NetworkPluginNotReady") || said.contains("cni plugin not initialized") || said.contains("cni config")
}

/// The way to get the network plugin of a node to run.
fn network_way(snap: &Snapshot, node: &str) -> Way {
    let Some(other) = network_plugin::other_on(snap, node) else {
        return Way::Network { network_pod: network_plugin::vpc_cni(snap, node).map(|p| p.metadata.name.clone()) };
    };
    let container = other.agent.map_or("<container>", |(_, container)| container);
    let waits =
        |p: &Pod| p.statuses().find(|s| s.state.waiting.is_some() && s.restart_count > 0).map(|s| s.name.clone());
    Way::OtherNetwork {
        network_pod: other.agent.map(|(p, _)| p.metadata.name.clone()),
        container: container.to_owned(),
        failing: other.agent.and_then(|(p, _)| waits(p)).filter(|name| name != container),
        network_namespace: other.namespace.to_owned(),
        daemon_set: other.daemon_set.to_owned(),
    }
}

/// State, restarts and last words of the network plugin.
fn network_evidence(snap: &Snapshot, node: &str) -> Evidence {
    if let Some(other) = network_plugin::other_on(snap, node) {
        let states = |(pod, _)| container_states(pod).join("\n");
        let state = other.agent.map_or_else(|| "no pod of it is there".to_owned(), states);
        let command = "kubectl get pods -n {{ namespace }} -o wide --field-selector spec.nodeName={{ node }}";
        return Evidence::new(format!("{} on node {node}", other.daemon_set), state, command)
            .with("namespace", other.namespace)
            .with("node", node);
    }
    let template =
        "kubectl get pods -n kube-system -l k8s-app=aws-node -o wide --field-selector spec.nodeName={{ node }}";
    let source = format!("aws-node on node {node}");
    let Some(pod) = network_plugin::vpc_cni(snap, node) else {
        return Evidence::new(source, "no pod of it is there", template).with("node", node);
    };
    let mut lines = container_states(pod);
    let logs = snap.part_logs.iter().flatten();
    let own = logs.filter(|l| l.is_of(&pod.metadata));
    lines.extend(
        own.filter_map(|l| l.text.lines().rev().find(|t| !t.trim().is_empty())).map(|t| redact(t).to_string()).take(2),
    );
    Evidence::new(source, lines.join("\n"), template).with("node", node)
}

/// A DaemonSet's pod belongs to the node: the stack lacks nothing but this node's data.
fn is_of_daemon_set(pod: &Pod) -> bool {
    owner_of(&pod.metadata).is_some_and(|(kind, _)| kind == "DaemonSet")
}

fn finding(snap: &Snapshot, node: &Node, ready: &Condition, pods: &[&Pod], waiting: &[&Pod]) -> Finding {
    let name = &node.metadata.name;
    let parts: Vec<&Pod> = pods.iter().copied().filter(|p| !is_of_daemon_set(p)).collect();
    let (severity, shown) = match parts.as_slice() {
        [] if waiting.is_empty() => (Severity::Warning, pods.to_vec()),
        [] => (Severity::Error, waiting.to_vec()),
        _ => (Severity::Error, parts.clone()),
    };
    let names: Vec<String> = shown.iter().map(|p| format!("{}/{}", p.metadata.namespace, p.metadata.name)).collect();
    let said = ready.message.as_deref().or(ready.reason.as_deref()).unwrap_or_default();
    let value = format!("Ready={} {}", ready.status, said.trim_end_matches('.'));
    let minutes = ready.last_transition_time.map(|t| snap.seconds_since(t) / 60);
    let since = minutes.filter(|m| *m > 0).map(|m| format!(" for {}", duration(m))).unwrap_or_default();
    let noun = if names.len() == 1 { "pod" } else { "pods" };
    let is = if since.is_empty() { "is not" } else { "has not been" };
    let does = match (parts.is_empty(), waiting.is_empty()) {
        (true, false) if names.len() == 1 => format!("{noun} {} waits for it", names.join(", ")),
        (true, false) => format!("{noun} {} wait for it", names.join(", ")),
        _ => format!("runs {noun} {}", names.join(", ")),
    };
    let zone = lost_zone(snap, node)
        .map(|z| format!("; no node of zone {z} is Ready, those of other zones are"))
        .unwrap_or_default();
    let (stopped, startable, why) = match instance_state(snap, node) {
        Some((id, state @ ("stopped" | "stopping"))) => {
            (true, state == "stopped", format!(": its instance {id} was stopped (state {state})"))
        }
        _ => (false, false, String::new()),
    };
    let before = before(snap, node, ready);
    let told = before.iter().map(|e| shorten(&format!("{} ({})", e.reason, e.message), 120)).collect::<Vec<_>>();
    let told = if told.is_empty() { String::new() } else { format!("; before that: {}", told.join(", ")) };
    let message = format!("node {name} {is} Ready{since} ({}), and {does}{zone}{why}{told}", value.trim());
    let starved = before.iter().any(|e| is_of_memory(e));
    let mut made = Finding::new(NodeNotReady::META.id, severity, ResourceRef::node(name), message)
        .key(format!("{name} ready"))
        .breaks(ResourceRef::node(name))
        .evidence(
            Evidence::new(format!("Node {name}, condition Ready"), value.trim(), "kubectl describe node {{ node }}")
                .with("node", name),
        )
        // Why it never became Ready is another check's to say.
        .depends_on(ResourceRef::node(name));
    made = before.iter().map(|e| event_evidence(e)).fold(made, Finding::evidence);
    if waits_for_network(ready) {
        made = made.evidence(network_evidence(snap, name));
        let agent = network_plugin::agent_on(snap, name).map(|(pod, _)| pod);
        if let Some(pod) = network_plugin::vpc_cni(snap, name).or(agent) {
            made = made.depends_on(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
        }
    }
    for pod in pods.iter().chain(waiting) {
        made = made.breaks(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    // What all names are looked up by lies there, too.
    let servers = snap.pods.items().unwrap_or_default().iter().filter(|p| cluster_dns::is_server(p) && !p.is_ready());
    for pod in servers.filter(|p| p.spec.node_name.as_deref() == Some(name.as_str())) {
        made = made.breaks(ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name));
    }
    let owners: BTreeSet<ResourceRef> =
        parts.iter().map(|p| snap.owner_ref(p)).filter(|o| !runs_elsewhere(snap, o, name)).collect();
    made = owners.into_iter().fold(made, Finding::breaks);
    let way = match ready.status == "False" {
        true if waits_for_network(ready) => network_way(snap, name),
        // A kubelet that still speaks can end its pods in order.
        true => Way::NotReady(Instance::of(node)),
        false => Way::Lost {
            stateful: shown.iter().any(|p| p.claims().next().is_some()),
            stopped,
            startable: startable && !is_replaced(node),
            starved,
            instance: Instance::of(node),
        },
    };
    let namespace = shown.first().map(|p| p.metadata.namespace.clone()).unwrap_or_default();
    made.fix(Fix { namespace, node: name.clone(), way })
}

/// Seconds before a node was lost in which what was said of it may have led to that.
const BEFORE: i64 = 1800;
/// Events of that time that are told.
const TOLD: usize = 3;

/// What the kubelet or the node's monitors said of a node shortly before it was lost, the newest of each kind.
fn before<'a>(snap: &'a Snapshot, node: &Node, ready: &Condition) -> Vec<&'a Event> {
    let Some(lost) = ready.last_transition_time.map(|t| t.as_second()) else { return Vec::new() };
    let near = |e: &&Event| e.last_seen().is_some_and(|t| (0..=BEFORE).contains(&(lost - t.as_second())));
    let mut all: Vec<&Event> = snap.events_about("Node", &node.metadata, i64::MAX).into_iter().filter(near).collect();
    // That it is lost, and that others noticed it, came after.
    all.retain(|e| {
        e.kind == "Warning" && !matches!(e.reason.as_str(), "NodeNotReady" | "Rebooted" | "InvalidDiskCapacity")
    });
    all.sort_by_key(|e| (!is_of_memory(e), std::cmp::Reverse(e.last_seen())));
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    all.retain(|e| is_of_memory(e) || kinds.insert(&e.reason));
    all.truncate(TOLD);
    all
}

/// The kernel ended a process because the node had no memory left: at the limit of a container, the node has.
fn is_of_memory(event: &Event) -> bool {
    let at_limit = || ["Memory cgroup", "constraint=CONSTRAINT_MEMCG"].iter().any(|w| event.message.contains(w));
    matches!(event.reason.as_str(), "SystemOOM" | "OOMKilling") && !at_limit()
}

/// A managed group or Karpenter takes a stopped instance for lost, and replaces it.
fn is_replaced(node: &Node) -> bool {
    node.is_karpenter() || node.metadata.label("eks.amazonaws.com/nodegroup").is_some()
}

/// The instance of a node, and its state.
fn instance_state<'a>(snap: &'a Snapshot, node: &'a Node) -> Option<(&'a str, &'a str)> {
    let id = node.instance_id()?;
    let all = snap.instances.as_ref().ok()?;
    let own = all.iter().find(|i| i.instance_id == id)?;
    Some((id, own.state.as_ref()?.name.as_str()))
}

/// Another pod of the workload is ready on another node.
fn runs_elsewhere(snap: &Snapshot, owner: &ResourceRef, node: &str) -> bool {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let others = pods.filter(|p| p.spec.node_name.as_deref().is_some_and(|n| n != node) && p.is_ready());
    others.into_iter().any(|p| snap.owner_ref(p) == *owner)
}

/// The zone of a node, if all of its nodes, several of them, are lost while other zones have nodes that are well.
fn lost_zone<'a>(snap: &Snapshot, node: &'a Node) -> Option<&'a str> {
    let zone = node.metadata.label("topology.kubernetes.io/zone")?;
    let all = snap.nodes.items().unwrap_or_default();
    let (here, elsewhere): (Vec<&Node>, Vec<&Node>) =
        all.iter().partition(|n| n.metadata.label("topology.kubernetes.io/zone") == Some(zone));
    let lost = here.len() > 1 && here.iter().all(|n| !n.is_ready());
    (lost && elsewhere.iter().any(|n| n.is_ready())).then_some(zone)
}

fn duration(minutes: i64) -> String {
    match minutes {
        1 => "1 minute".into(),
        m if m < 120 => format!("{m} minutes"),
        m if m < 2880 => format!("{} hours", m / 60),
        m => format!("{} days", m / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{self, applicable as findings, steps};
    use crate::domain::testing::workload::{event, pod, snapshot};
    use crate::pages;
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    fn with(ready: Value, created: &str, owner: &str) -> Snapshot {
        let mut object = pod(json!({"name": "prometheus", "ready": true}));
        object["metadata"]["ownerReferences"][0]["kind"] = json!(owner);
        let mut snap = snapshot(json!([object]));
        let node = json!([{"metadata": {"name": "node-a", "creationTimestamp": created,
                "labels": {"eks.amazonaws.com/nodegroup": "workers"}},
            "spec": {"providerID": "aws:///eu-west-1a/i-0a1b2c3d4e5f60718"}, "status": {"conditions": [ready]}}]);
        snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
        snap
    }

    fn ready(status: &str, since: &str) -> Value {
        json!({"type": "Ready", "status": status, "lastTransitionTime": since, "message": "Kubelet stopped posting node status."})
    }

    const OLD: &str = "2026-11-01T10:00:00Z";

    #[test]
    fn nodes_that_are_well_new_or_just_changed_are_left_alone() {
        let of = |ready, created| findings(&NodeNotReady, &with(ready, created, "ReplicaSet"));
        assert_eq!(of(ready("True", OLD), OLD), []);
        assert_eq!(of(ready("False", "2026-11-21T11:58:00Z"), "2026-11-21T11:57:00Z"), []);
        assert_eq!(of(ready("Unknown", "2026-11-21T11:59:30Z"), OLD), []);
        // Nothing of the stack runs there.
        let mut elsewhere = with(ready("Unknown", OLD), OLD, "ReplicaSet");
        elsewhere.pods = Listing::cluster(Vec::new());
        assert_eq!(findings(&NodeNotReady, &elsewhere), []);
    }

    #[test]
    fn nodes_that_are_lost_together_share_their_cause() {
        let mut snap = with(ready("Unknown", "2026-11-21T11:50:00Z"), OLD, "ReplicaSet");
        let mut nodes = snap.nodes.items().expect("they were read").to_vec();
        let mut pods = snap.pods.items().expect("they were read").to_vec();
        let (mut node, mut other) = (nodes[0].clone(), pods[0].clone());
        node.metadata.name = "node-b".to_owned();
        other.metadata.name = "prometheus-b".to_owned();
        other.spec.node_name = Some("node-b".to_owned());
        nodes.push(node);
        pods.push(other);
        (snap.nodes, snap.pods) = (Listing::cluster(nodes), Listing::cluster(pods));
        let found = findings(&NodeNotReady, &snap);
        let told: Vec<&str> = found.iter().filter_map(|f| f.cause.as_ref()).map(|c| c.message.as_str()).collect();
        assert_eq!(told, ["2 nodes that the stack needs are not Ready: node-a, node-b"; 2]);
        let mut apart = snap.nodes.items().expect("they were read").to_vec();
        apart[1].status.conditions[0].last_transition_time = Some("2026-11-21T08:00:00Z".parse().expect("a time"));
        snap.nodes = Listing::cluster(apart);
        let found = findings(&NodeNotReady, &snap);
        assert_eq!((found.len(), found.iter().filter(|f| f.cause.is_some()).count()), (2, 0));
    }

    #[test]
    fn a_stopped_instance_is_started_only_where_no_group_replaces_it() {
        let starts = |state: &str, grouped: bool| {
            let mut snap = with(ready("Unknown", "2026-11-21T11:50:00Z"), OLD, "ReplicaSet");
            let all = json!([{"InstanceId": "i-0a1b2c3d4e5f60718", "State": {"Name": state}}]);
            *snap.instances = Ok(serde_json::from_value(all).expect("instances"));
            let mut nodes = snap.nodes.items().expect("they were read").to_vec();
            if !grouped {
                nodes[0].metadata.labels.clear();
            }
            snap.nodes = Listing::cluster(nodes);
            steps(&testing::findings(&NodeNotReady, &snap)[0]).contains("start-instances")
        };
        assert!(starts("stopped", false));
        assert!(!starts("stopped", true), "the group replaces it");
        assert!(!starts("stopping", false), "it is refused");
    }

    #[test]
    fn a_lost_node_breaks_its_pods_and_their_workload() {
        let snap = with(ready("Unknown", "2026-11-21T11:50:00Z"), OLD, "ReplicaSet");
        let found = findings(&NodeNotReady, &snap);
        assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Error, "lost"));
        assert!(found[0].message.contains("for 10 minutes"), "{}", found[0].message);
        let broken: Vec<String> = found[0].broken().iter().map(ToString::to_string).collect();
        assert_eq!(broken, ["Node node-a", "Pod monitoring/prom-6d5f9c7b8-x2x2x", "Deployment monitoring/prom"]);
        let fix = pages::fix(&NodeNotReady::META, "lost", &found[0].params).expect("renders");
        let commands: Vec<&str> = fix.steps.iter().map(|s| s.command.as_str()).collect();
        let all = commands.join("\n");
        assert!(
            all.contains("describe-instance-status") && all.contains("--instance-ids i-0a1b2c3d4e5f60718"),
            "{all}"
        );
        assert!(all.contains("terminate-instance-in-auto-scaling-group --instance-id i-0a1b2c3d4e5f60718"), "{all}");
        assert!(!all.contains("10250") && !all.contains("drain"), "{all}");
    }

    /// Karpenter and Auto Mode make and end their instances themselves.
    #[test]
    fn an_instance_that_no_group_keeps_is_not_terminated() {
        for labels in [json!({"karpenter.sh/nodepool": "default"}), json!({"eks.amazonaws.com/compute-type": "auto"})] {
            for status in ["Unknown", "False"] {
                let mut snap = with(ready(status, OLD), OLD, "ReplicaSet");
                let node = json!([{"metadata": {"name": "node-a", "creationTimestamp": OLD, "labels": labels},
                    "spec": {"providerID": "aws:///eu-west-1a/i-0a1b2c3d4e5f60718"},
                    "status": {"conditions": [ready(status, OLD)]}}]);
                snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
                let text = steps(&testing::findings(&NodeNotReady, &snap)[0]);
                assert!(text.contains("kubectl delete node node-a"), "{text}");
                assert!(!text.contains("terminate-instance"), "{text}");
            }
        }
    }

    #[test]
    fn what_preceded_is_told() {
        let told = |last: &str, kind: &str| {
            let mut snap = with(ready("Unknown", "2026-11-21T11:50:00Z"), OLD, "ReplicaSet");
            let event = json!([{"metadata": {"name": "e", "namespace": "default"}, "type": kind, "reason": "SystemOOM",
                "message": "System OOM encountered, victim process: java, pid: 1443322", "count": 1,
                "lastTimestamp": last, "involvedObject": {"kind": "Node", "name": "node-a"}}]);
            snap.events = Listing::cluster(serde_json::from_value(event).expect("events"));
            let found = testing::findings(&NodeNotReady, &snap);
            (found[0].message.contains("before that: SystemOOM"), steps(&found[0]).contains("resources.limits.memory"))
        };
        assert_eq!(told("2026-11-21T11:48:00Z", "Warning"), (true, true));
        assert_eq!(told("2026-11-21T10:48:00Z", "Warning"), (false, false), "an hour before is another matter");
        assert_eq!(told("2026-11-21T11:55:00Z", "Warning"), (false, false), "it came after");
    }

    #[test]
    fn a_daemon_set_alone_is_worth_a_warning() {
        let found = findings(&NodeNotReady, &with(ready("False", OLD), OLD, "DaemonSet"));
        assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Warning, "not-ready"));
    }

    #[test]
    fn a_pod_waits_for_the_node_that_was_made_for_it() {
        let waits = |said: &str| {
            let mut snap = with(ready("Unknown", OLD), OLD, "ReplicaSet");
            let mut pods = snap.pods.items().expect("they were read").to_vec();
            pods[0].spec.node_name = None;
            pods[0].status.phase = "Pending".to_owned();
            snap.pods = Listing::cluster(pods);
            // Another node could take it, and has no room.
            let mut nodes = snap.nodes.items().expect("they were read").to_vec();
            let mut other = nodes[0].clone();
            other.metadata.name = "node-b".to_owned();
            other.status.conditions[0].status = "True".to_owned();
            nodes.push(other);
            snap.nodes = Listing::cluster(nodes);
            let full = event("FailedScheduling", "0/2 nodes are available: 1 Insufficient memory.");
            snap.events = Listing::cluster(vec![full, event("Nominated", said)]);
            findings(&NodeNotReady, &snap)
        };
        let found = waits("Pod should schedule on: nodeclaim/default-26pwv, node/node-a");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Error));
        assert!(found[0].message.contains("waits for it"), "{}", found[0].message);
        assert_eq!(waits("Pod should schedule on: nodeclaim/default-26pwv, node/node-b"), []);
    }
}
