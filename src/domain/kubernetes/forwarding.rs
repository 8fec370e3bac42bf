//! Which pod of a Service a port-forward goes to, what became of the one that it went to, and how to go round a kubelet
//! that is not reached.

use crate::domain::kubernetes::nodes::not_ready;
use crate::snapshot::kubernetes::{Node, Pod};

/// What ended, or will end, the connections to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It does not exist any more, or another one has its name.
    Gone,
    /// It was evicted, or ran to its end: the reason of its status.
    Ended(String),
    /// It is being deleted.
    Leaving,
    /// A container ended and was started again, or waits for that.
    Restarted {
        /// The container.
        container: String,
        /// `OOMKilled`, `Error`, `Completed`; empty where it is not known.
        reason: String,
        /// Its exit code.
        exit_code: Option<i32>,
    },
    /// Its node is not ready: nobody hears of it.
    NodeLost {
        /// The node.
        node: String,
        /// What its condition says.
        message: String,
    },
    /// It runs, and is not ready: what its containers wait for, where they do.
    NotReady(Option<String>),
}

impl Fate {
    /// Open connections are dead, or about nobody: a pod that is only not ready still answers.
    pub(crate) fn ends_connections(&self) -> bool {
        !matches!(self, Self::NotReady(_) | Self::Leaving)
    }
}

/// What became of a pod since it was seen as `before`; `None`: it is as well as it was.
pub(crate) fn fate(before: &Pod, pods: &[Pod], nodes: &[Node]) -> Option<Fate> {
    let same = |p: &&Pod| p.metadata.name == before.metadata.name && p.metadata.uid == before.metadata.uid;
    let Some(now) = pods.iter().find(same) else { return Some(Fate::Gone) };
    if now.is_finished() {
        let reason = now.status.reason.clone().unwrap_or_else(|| now.status.phase.clone());
        return Some(Fate::Ended(reason));
    }
    if let Some(lost) = node_of(now, nodes).filter(|n| !n.is_ready()) {
        let message = not_ready(lost).and_then(|c| c.message.clone().or(c.reason.clone())).unwrap_or_default();
        return Some(Fate::NodeLost { node: lost.metadata.name.clone(), message });
    }
    if now.metadata.deletion_timestamp.is_some() {
        return Some(Fate::Leaving);
    }
    for status in &now.status.container_statuses {
        let was = before.status.container_statuses.iter().find(|s| s.name == status.name);
        let again = was.is_some_and(|w| status.restart_count > w.restart_count);
        let is_down = status.state.running.is_none() && was.is_some_and(|w| w.state.running.is_some());
        if again || is_down {
            let ended = status.ended();
            return Some(Fate::Restarted {
                container: status.name.clone(),
                reason: ended.map(|t| t.reason.clone()).unwrap_or_default(),
                exit_code: ended.map(|t| t.exit_code),
            });
        }
    }
    (!now.is_ready() && before.is_ready()).then(|| Fate::NotReady(waits_for(now)))
}

fn waits_for(pod: &Pod) -> Option<String> {
    let mut waiting = pod.statuses().filter_map(|s| s.state.waiting.as_ref());
    waiting.find(|w| !w.reason.is_empty()).map(|w| w.reason.clone())
}

/// The pod that connections go to: `current` as long as it is ready, else a ready one, else one that runs; not one that is
/// leaving or whose node is lost.
pub(crate) fn choose<'a>(pods: &'a [Pod], nodes: &[Node], current: Option<&Pod>) -> Option<&'a Pod> {
    let usable = |p: &&Pod| {
        let lost = node_of(p, nodes).is_some_and(|n| !n.is_ready());
        !p.is_finished() && p.metadata.deletion_timestamp.is_none() && !lost && p.status.phase == "Running"
    };
    let is_current =
        |p: &Pod| current.is_some_and(|c| c.metadata.uid == p.metadata.uid && c.metadata.name == p.metadata.name);
    let rank = |p: &&Pod| (!p.is_ready(), !is_current(p), p.metadata.name.clone());
    pods.iter().filter(usable).min_by_key(rank)
}

fn node_of<'a>(pod: &Pod, nodes: &'a [Node]) -> Option<&'a Node> {
    let name = pod.spec.node_name.as_ref()?;
    nodes.iter().find(|n| n.metadata.name == *name)
}

/// The API server says that it could not talk to a kubelet: `error dialing backend: …`, `dial tcp 10.0.1.5:10250: i/o timeout`.
pub(crate) fn is_kubelet_unreached(said: &str) -> bool {
    let dialled = || said.split_once("dial tcp ").and_then(|(_, rest)| rest.split(": ").next());
    said.contains("error dialing backend") || dialled().is_some_and(|address| address.ends_with(":10250"))
}

/// The instance of a ready node other than this one: a session on it reaches the pods of all nodes. Where there is no
/// other, the node's own: its kubelet may be cut off while the node is well.
pub(crate) fn way_round<'a>(nodes: &'a [Node], node: Option<&str>) -> Option<&'a str> {
    let is_own = |n: &Node| Some(n.metadata.name.as_str()) == node;
    let other = nodes.iter().filter(|n| !is_own(n) && n.is_ready() && !n.is_fargate()).find_map(Node::instance_id);
    other.or_else(|| nodes.iter().find(|n| is_own(n) && n.is_ready()).and_then(Node::instance_id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, uid: &str, change: impl FnOnce(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {"name": name, "namespace": "monitoring", "uid": uid},
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "prometheus", "ready": true, "restartCount": 1, "state": {"running": {}}}]}
        });
        change(&mut pod);
        serde_json::from_value(pod).expect("a pod")
    }

    fn node(name: &str, instance: &str, ready: &str) -> Node {
        let node = json!({"metadata": {"name": name}, "spec": {"providerID": format!("aws:///zone/{instance}")},
            "status": {"conditions": [{"type": "Ready", "status": ready, "message": "Kubelet stopped posting node status."}]}});
        serde_json::from_value(node).expect("a node")
    }

    #[test]
    fn each_end_of_a_pod_is_told_apart() {
        let before = pod("p-0", "1", |_| {});
        let nodes = [node("node-1", "i-1", "True")];
        let now = |change: fn(&mut Value)| fate(&before, &[pod("p-0", "1", change)], &nodes);
        assert_eq!(now(|_| {}), None);
        assert_eq!(fate(&before, &[pod("p-0", "2", |_| {})], &nodes), Some(Fate::Gone), "another one of the same name");
        assert_eq!(now(|p| p["metadata"]["deletionTimestamp"] = json!("2026-11-21T00:00:00Z")), Some(Fate::Leaving));
        let evicted = |p: &mut Value| {
            p["status"]["phase"] = json!("Failed");
            p["status"]["reason"] = json!("Evicted");
        };
        assert_eq!(now(evicted), Some(Fate::Ended("Evicted".into())));
        let killed = now(|p| {
            p["status"]["containerStatuses"][0] = json!({"name": "prometheus", "restartCount": 2, "state": {"running": {}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}});
        });
        let expected =
            Fate::Restarted { container: "prometheus".into(), reason: "OOMKilled".into(), exit_code: Some(137) };
        assert_eq!(killed, Some(expected));
        assert_eq!(now(|p| p["status"]["conditions"][0]["status"] = json!("False")), Some(Fate::NotReady(None)));
        let lost = fate(&before, &[pod("p-0", "1", |_| {})], &[node("node-1", "i-1", "Unknown")]);
        assert_eq!(
            lost,
            Some(Fate::NodeLost { node: "node-1".into(), message: "Kubelet stopped posting node status.".into() })
        );
    }

    #[test]
    fn a_ready_pod_is_better_and_the_current_one_is_kept() {
        let pods = [pod("a", "1", |_| {}), pod("b", "2", |_| {})];
        assert_eq!(choose(&pods, &[], None).map(|p| p.metadata.name.as_str()), Some("a"));
        assert_eq!(choose(&pods, &[], Some(&pods[1])).map(|p| p.metadata.name.as_str()), Some("b"));
        let unready = |p: &mut Value| p["status"]["conditions"][0]["status"] = json!("False");
        let pods = [pod("a", "1", unready), pod("b", "2", |_| {})];
        assert_eq!(choose(&pods, &[], Some(&pods[0])).map(|p| p.metadata.name.as_str()), Some("b"));
        let alone = [pod("a", "1", unready)];
        assert_eq!(choose(&alone, &[], None).map(|p| p.metadata.name.as_str()), Some("a"), "it runs, and may answer");
        assert!(choose(&alone, &[node("node-1", "i-1", "Unknown")], None).is_none());
        assert!(choose(&[pod("a", "1", |p| p["status"]["phase"] = json!("Pending"))], &[], None).is_none());
    }

    #[test]
    fn another_node_leads_round_a_kubelet() {
        let said = "Get \"https://10.0.2.1:10250/containerLogs/m/p/c\": dial tcp 10.0.2.1:10250: i/o timeout";
        assert!(is_kubelet_unreached(said));
        assert!(is_kubelet_unreached("error dialing backend: remote error: tls: internal error"));
        assert!(!is_kubelet_unreached("dial tcp 10.0.2.1:9090: connect: connection refused"));
        let nodes = [node("node-1", "i-1", "True"), node("node-2", "i-2", "True"), node("node-3", "i-3", "False")];
        assert_eq!(way_round(&nodes, Some("node-1")), Some("i-2"));
        assert_eq!(way_round(&nodes[..1], Some("node-1")), Some("i-1"));
        assert_eq!(way_round(&nodes[2..], Some("node-3")), None);
    }
}
