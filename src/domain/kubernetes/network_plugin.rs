//! The pods that give the other pods of a node their network.

use crate::domain::kubernetes::proxy_log;
use crate::domain::kubernetes::sandbox;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::{Snapshot, journal};

/// A network plugin, as its pods show it.
struct Plugin {
    /// What its messages say.
    word: &'static str,
    /// A part of its image.
    image: &'static str,
    /// Its container.
    container: &'static str,
    /// How the names of its pods begin.
    pods: &'static str,
}

/// The one that EKS brings.
const VPC_CNI: Plugin = Plugin { word: "aws-cni", image: "amazon-k8s-cni", container: "aws-node", pods: "aws-node" };

/// All that are known.
const PLUGINS: &[Plugin] = &[
    Plugin { word: "calico", image: "calico/node", container: "calico-node", pods: "calico-node" },
    Plugin { word: "cilium", image: "cilium/cilium", container: "cilium-agent", pods: "cilium" },
    VPC_CNI,
    Plugin { word: "flannel", image: "flannel/flannel", container: "kube-flannel", pods: "flannel" },
    Plugin { word: "weave", image: "weave-kube", container: "weave", pods: "weave-net" },
    Plugin { word: "antrea", image: "antrea/antrea", container: "antrea-agent", pods: "antrea-agent" },
    Plugin { word: "kindnet", image: "kindnetd", container: "kindnet-cni", pods: "kindnet" },
    Plugin { word: "ovn", image: "ovn-kubernetes", container: "ovnkube-node", pods: "ovnkube-node" },
];

/// Those that stand before or behind the others in a chain, and give no address themselves.
const CHAINED: &[Plugin] = &[
    Plugin { word: "multus", image: "multus-cni", container: "kube-multus", pods: "kube-multus" },
    Plugin { word: "istio-cni", image: "istio/install-cni", container: "install-cni", pods: "istio-cni" },
    Plugin { word: "linkerd-cni", image: "linkerd/cni-plugin", container: "install-cni", pods: "linkerd-cni" },
];

/// Kinds of policies beside those of Kubernetes and of Cilium. Of those of Calico only what is simple is evaluated.
const OTHER_POLICIES: &[&str] = &[
    "globalnetworkpolicies.crd.projectcalico.org",
    "networkpolicies.crd.projectcalico.org",
    "clusternetworkpolicies.policy.networking.k8s.io",
    "adminnetworkpolicies.policy.networking.k8s.io",
    "baselineadminnetworkpolicies.policy.networking.k8s.io",
    "applicationnetworkpolicies.networking.k8s.aws",
    "clusternetworkpolicies.networking.k8s.aws",
];

/// Kinds of policies that this cluster knows and nobody evaluates here, as kubectl takes them.
pub(crate) fn other_policies(snap: &Snapshot) -> Option<String> {
    // It only adds where to look.
    let crds = journal::aside(|| snap.crds.items()).unwrap_or_default();
    let is_known = |name: &&&str| crds.iter().any(|c| c.metadata.name == **name);
    let found: Vec<&str> = OTHER_POLICIES.iter().filter(is_known).copied().collect();
    (!found.is_empty()).then(|| found.join(","))
}

impl Plugin {
    fn has(&self, pod: &Pod) -> bool {
        let names = |c: &Container, mark: &str| c.image.contains(mark) || c.name == mark;
        pod.spec.containers.iter().any(|c| names(c, self.image) || names(c, self.container))
    }

    /// The pod is the part that runs on each node, and not another one of the same image.
    fn runs_in(&self, pod: &Pod) -> bool {
        pod.metadata.controller().is_some_and(|o| o.kind == "DaemonSet")
            && (pod.metadata.name.starts_with(self.pods)
                || pod.spec.containers.iter().any(|c| c.name == self.container))
    }
}

/// The pod of the network plugin on a node: of the one that a message is of, else of any.
pub(crate) fn pod_on<'a>(snap: &'a Snapshot, node: &str, message: &str) -> Option<&'a Pod> {
    let of = |plugin: &Plugin| on(snap, node).find(|p| plugin.has(p));
    let lower = message.to_ascii_lowercase();
    // Of several in a chain the message names the one that fails.
    if let Some(kind) = sandbox::plugin(&lower) {
        let mut own = PLUGINS.iter().chain(CHAINED).filter(|plugin| kind.contains(plugin.word)).peekable();
        if own.peek().is_some() {
            return own.find_map(of);
        }
    }
    let named = PLUGINS.iter().filter(|plugin| lower.contains(plugin.word)).find_map(of);
    named.or_else(|| PLUGINS.iter().find_map(of))
}

/// What a plugin that is known by its type is called, where none of its pods is seen on a node on which others are.
pub(crate) fn left_behind<'m>(snap: &Snapshot, node: &str, message: &'m str) -> Option<&'m str> {
    let kind = sandbox::plugin(message)?;
    // Wherever these run, their namespace is read; those of a chain may be where nothing was looked at.
    let known = PLUGINS.iter().any(|plugin| kind.to_ascii_lowercase().contains(plugin.word));
    let others = on(snap, node).any(|p| PLUGINS.iter().any(|plugin| plugin.has(p)));
    (known && others && pod_on(snap, node, message).is_none()).then_some(kind)
}

/// The pods of DaemonSets on a node that give the others their network.
pub(crate) fn agents<'a>(snap: &'a Snapshot, node: &str) -> impl Iterator<Item = &'a Pod> {
    on(snap, node).filter(|pod| PLUGINS.iter().any(|plugin| plugin.runs_in(pod)))
}

/// Those of other plugins than the VPC CNI that run and have not been ready for this long: what keeps them is not in their state.
pub(crate) fn unready(snap: &Snapshot, seconds: i64) -> Vec<&Pod> {
    // A plugin brings other DaemonSets along, such as a proxy.
    let is_agent = |p: &Plugin, pod: &Pod| p.runs_in(pod) && pod.spec.containers.iter().any(|c| c.name == p.container);
    let others = |pod: &&Pod| PLUGINS.iter().any(|p| p.word != VPC_CNI.word && is_agent(p, pod)) && !VPC_CNI.has(pod);
    let waits = |pod: &&Pod| pod.statuses().any(|s| s.state.waiting.is_some());
    let since = |pod: &Pod| pod.condition("Ready").filter(|c| c.status == "False")?.last_transition_time;
    let long = |pod: &&Pod| since(pod).is_some_and(|t| snap.seconds_since(t) >= seconds);
    let pods = snap.pods.items().unwrap_or_default().iter();
    let running = pods.filter(|p| p.status.phase == "Running" && p.metadata.deletion_timestamp.is_none());
    running.filter(others).filter(|p| !waits(p)).filter(long).collect()
}

/// The nodes with whose agents Calico has no BGP session: `BIRD is not ready: BGP not established with 10.0.1.5,10.0.1.6`.
pub(crate) fn bgp_peers(message: &str) -> Option<Vec<&str>> {
    let (_, rest) = message.split_once("BGP not established with ")?;
    let peers: Vec<&str> = rest.lines().next()?.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
    (!peers.is_empty()).then_some(peers)
}

/// The plugin of this name runs in the cluster.
pub(crate) fn runs(snap: &Snapshot, word: &str) -> bool {
    let pods = snap.pods.items().unwrap_or_default();
    PLUGINS.iter().filter(|plugin| plugin.word == word).any(|plugin| pods.iter().any(|pod| plugin.has(pod)))
}

/// Cilium does the work of kube-proxy, by its own configuration, and kube-proxy runs nowhere.
pub(crate) fn replaces_kube_proxy(snap: &Snapshot) -> bool {
    let map = journal::aside(|| snap.config_maps.find("kube-system", "cilium-config").ok().flatten());
    let set = map.and_then(|m| m.data.get("kube-proxy-replacement")).map(String::as_str);
    let Ok(pods) = journal::aside(|| snap.pods.items()) else { return false };
    let runs = pods.iter().any(proxy_log::is_proxy);
    matches!(set, Some("true" | "strict")) && !runs
}

/// The agent of the network plugin on a node: its pod, and its container.
pub(crate) fn agent_on<'a>(snap: &'a Snapshot, node: &str) -> Option<(&'a Pod, &'static str)> {
    let of = |plugin: &'static Plugin| on(snap, node).find(|p| plugin.runs_in(p) && plugin.has(p)).map(|p| (p, plugin));
    let all: Vec<(&Pod, &Plugin)> = PLUGINS.iter().filter_map(of).collect();
    // Of several in a chain the one that fails is meant.
    let failing = all.iter().find(|(pod, _)| !pod.is_ready());
    failing.or(all.first()).map(|(pod, plugin)| (*pod, plugin.container))
}

/// The network plugin of a node that has no pod of the VPC CNI.
#[derive(Clone, Copy)]
pub(crate) struct Other<'a> {
    /// Its agent there, and its container.
    pub(crate) agent: Option<(&'a Pod, &'static str)>,
    /// Where its DaemonSet is.
    pub(crate) namespace: &'a str,
    /// The name of that.
    pub(crate) daemon_set: &'a str,
}

/// Another plugin than the VPC CNI that gives the pods of a node their network.
pub(crate) fn other_on<'a>(snap: &'a Snapshot, node: &str) -> Option<Other<'a>> {
    if vpc_cni(snap, node).is_some() {
        return None;
    }
    let agent = agent_on(snap, node);
    let by_agent =
        agent.and_then(|(p, _)| Some((p.metadata.namespace.as_str(), p.metadata.controller()?.name.as_str())));
    let (namespace, daemon_set) = by_agent.or_else(|| other_set(snap))?;
    Some(Other { agent, namespace, daemon_set })
}

/// The DaemonSet of the network plugin where it is not the VPC CNI: its namespace and name, by its pods on any node.
fn other_set(snap: &Snapshot) -> Option<(&str, &str)> {
    let pods = snap.pods.items().unwrap_or_default();
    let own = |pod: &&Pod| {
        PLUGINS.iter().any(|p| p.runs_in(pod) && pod.spec.containers.iter().any(|c| c.name == p.container))
    };
    if pods.iter().any(|p| VPC_CNI.has(p)) {
        return None;
    }
    let pod = pods.iter().find(own)?;
    Some((&pod.metadata.namespace, &pod.metadata.controller()?.name))
}

/// The pod of the VPC CNI on a node.
pub(crate) fn vpc_cni<'a>(snap: &'a Snapshot, node: &str) -> Option<&'a Pod> {
    on(snap, node).find(|p| p.metadata.namespace == "kube-system" && VPC_CNI.has(p))
}

fn on<'a>(snap: &'a Snapshot, node: &str) -> impl Iterator<Item = &'a Pod> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    pods.filter(move |p| p.spec.node_name.as_deref() == Some(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_plugin_that_a_message_names_is_the_one_that_fails() {
        let pod = |name: &str, container: &str, image: &str| {
            json!({"metadata": {"name": name, "namespace": "kube-system"},
                "spec": {"nodeName": "a", "containers": [{"name": container, "image": image}]}})
        };
        let snap = crate::domain::testing::workload::snapshot(json!([
            pod("aws-node-1", "aws-node", "amazon-k8s-cni:v1"),
            pod("kube-multus-1", "kube-multus", "multus-cni:v4")
        ]));
        let read = |kind: &str| {
            let message = format!("plugin type=\"{kind}\" name=\"aws-cni\" failed (add): it does not answer");
            let pod = pod_on(&snap, "a", &message).map(|p| p.metadata.name.clone());
            (pod, left_behind(&snap, "a", &message).map(str::to_owned))
        };
        assert_eq!(read("cilium-cni"), (None, Some("cilium-cni".to_owned())));
        assert_eq!(read("multus"), (Some("kube-multus-1".to_owned()), None));
        assert_eq!(read("aws-cni"), (Some("aws-node-1".to_owned()), None));
        assert_eq!(read("istio-cni"), (None, None), "its namespace may not have been read");
        assert_eq!(read("egress-cni").1, None, "a part of another plugin");
    }

    #[test]
    fn peers_of_bgp_are_read() {
        let said = "Readiness probe failed: 2026-11-21 02:53:49.866 [INFO][230] confd/health.go 180: Number of node(s) with BGP peering established = 0\ncalico/node is not ready: BIRD is not ready: BGP not established with 10.0.1.5,10.0.1.6\n";
        assert_eq!(bgp_peers(said), Some(vec!["10.0.1.5", "10.0.1.6"]));
        assert_eq!(bgp_peers("calico/node is not ready: felix is not ready: readiness probe reporting 503"), None);
    }

    #[test]
    fn agents_are_known_by_their_names_and_their_containers() {
        let is_agent = |name: &str, container: &str, image: &str, owner: &str| {
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "kube-system",
                    "ownerReferences": [{"kind": owner, "name": "x", "uid": "1", "apiVersion": "apps/v1", "controller": true}]},
                "spec": {"nodeName": "a", "containers": [{"name": container, "image": image}]}}))
            .expect("a pod");
            PLUGINS.iter().any(|plugin| plugin.runs_in(&pod))
        };
        assert!(is_agent("aws-node-abcde", "agent", "mirror/cni:1", "DaemonSet"));
        assert!(is_agent("kube-flannel-ds-abcde", "kube-flannel", "flannel/flannel:1", "DaemonSet"));
        assert!(!is_agent("cilium-operator-1", "cilium-operator", "cilium/operator:1", "ReplicaSet"));
        assert!(!is_agent("ovnkube-master-1", "ovnkube-master", "ovn-kubernetes:1", "DaemonSet"));
    }
}
