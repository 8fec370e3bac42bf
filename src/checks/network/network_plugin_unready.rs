//! The network plugin runs on a node and is not ready there.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::seen::event_evidence;
use crate::checks::support::traffic::evidence;
use crate::checks::{Check, check};
use crate::domain::kubernetes::network_plugin;
use crate::domain::kubernetes::network_policy::Policies;
use crate::domain::text::shorten::shorten;
use crate::domain::text::windows::RECENT;
use crate::domain::traffic::blocked::blocks;
use crate::domain::traffic::flows::{self, Flow, Map};
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::kubernetes::{Event, Pod};
use crate::snapshot::{Platform, Snapshot};

/// Seconds that an agent may take to become ready: it waits for its datastore and its peers.
const STARTS: i64 = 300;
/// Connections that are shown.
const SHOWN: usize = 3;

check! {
    /// See the check's page.
    NetworkPluginUnready {
        id: "network-plugin-unready", suite: Network, severity: Error,
        title: "the network plugin is not ready on a node",
        requires: [Pods],
        uses: [Events, Nodes, PrometheusTargets, ComponentLogs, CrashLogs, PartLogs, Services, NetworkPolicies, Namespaces, EksCluster],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// One of the agents.
    namespace: String,
    pod: String,
    owner: String,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    Bgp { eks: bool },
    Other,
}

impl Check for NetworkPluginUnready {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.pods()?;
        let mut all: BTreeMap<ResourceRef, Vec<&Pod>> = BTreeMap::new();
        for pod in network_plugin::unready(snap, STARTS) {
            all.entry(snap.owner_ref(pod)).or_default().push(pod);
        }
        if all.is_empty() {
            return Ok(Diagnosis::Findings(Vec::new()));
        }
        let map = Map::new(snap, false);
        let failing = flows::failing(snap, &map).unwrap_or_default();
        Ok(Diagnosis::Findings(all.iter().map(|(owner, pods)| finding(snap, owner, pods, &failing)).collect()))
    }
}

/// What the kubelet met last when it asked whether the agent is ready.
fn said<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<&'a Event> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    events.into_iter().find(|e| e.reason == "Unhealthy" && e.message.starts_with("Readiness"))
}

fn finding(snap: &Snapshot, owner: &ResourceRef, pods: &[&Pod], failing: &[Flow<'_>]) -> Finding {
    let nodes: BTreeSet<&str> = pods.iter().filter_map(|p| p.spec.node_name.as_deref()).collect();
    let first = pods[0];
    let event = pods.iter().find_map(|p| said(snap, p));
    let peers = event.and_then(|e| network_plugin::bgp_peers(&e.message));
    let names = nodes.iter().copied().collect::<Vec<_>>().join(", ");
    let place = if nodes.len() == 1 { format!("node {names}") } else { format!("{} nodes ({names})", nodes.len()) };
    let why = match (&peers, event) {
        (Some(peers), _) => format!(": it has no BGP session with {}", peers.join(", ")),
        (None, Some(event)) => {
            let last = event.message.trim().lines().last().unwrap_or_default();
            format!(": {}", shorten(last, 240))
        }
        (None, None) => String::new(),
    };
    let policies = Policies::of(snap);
    let on_node = |p: &Pod| p.spec.node_name.as_deref().is_some_and(|n| nodes.contains(n));
    // Between two pods of different nodes, neither of which is in the network of its node.
    let crosses = |f: &&Flow<'_>| {
        let far = |p: &Pod| p.spec.node_name != f.from.spec.node_name && !p.spec.host_network;
        let mut ends = f.to.ends.iter().filter_map(|e| e.peer.pod);
        !f.from.spec.host_network && ends.any(|p| far(p) && (on_node(p) || on_node(f.from)))
    };
    let free = |f: &&Flow<'_>| blocks(&policies, f.from, &f.to).is_empty();
    let lost: Vec<&Flow<'_>> = failing.iter().filter(crosses).filter(free).collect();
    let follows = match lost.as_slice() {
        [] => String::new(),
        [one] => format!("; between nodes {}", one.symptom),
        [one, more @ ..] => format!("; between nodes {}, and {} more connections fail", one.symptom, more.len()),
    };
    let severity = if lost.is_empty() { Severity::Warning } else { Severity::Error };
    let text = format!("{owner}, the network plugin, is not ready on {place}{why}{follows}");
    let mut made = Finding::new(NetworkPluginUnready::META.id, severity, owner.clone(), text)
        .key(owner.key())
        .breaks(owner.clone())
        .depends_on(owner.clone());
    for pod in pods {
        let own = ResourceRef::pod(&pod.metadata.namespace, &pod.metadata.name);
        // What is wrong with the pod itself, or with its node, is deeper.
        made = made.also(own.clone()).breaks(own.clone()).depends_on(own);
    }
    made = nodes.iter().fold(made, |made, n| made.depends_on(ResourceRef::node(n)));
    // A peer that is not there any more, or does not run, ends the session.
    for node in snap.nodes.items().unwrap_or_default() {
        let is_peer = |address: &str| peers.iter().flatten().any(|p| *p == address);
        if node.status.addresses.iter().any(|a| is_peer(&a.address)) {
            made = made.depends_on(ResourceRef::node(&node.metadata.name));
        }
    }
    made = made.evidence_all(event.map(event_evidence));
    for flow in &lost {
        made = flow.breaks.iter().cloned().fold(made, Finding::breaks);
    }
    made = made.evidence_all(lost.iter().take(SHOWN).map(|f| evidence(snap, &f.seen)));
    made.fix(Fix {
        namespace: first.metadata.namespace.clone(),
        pod: first.metadata.name.clone(),
        owner: owner.kubectl_name(),
        way: match peers {
            Some(_) => Way::Bgp { eks: snap.platform == Platform::Eks },
            None => Way::Other,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::workload::{event, snapshot};
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    fn with(ready: &str, since: &str, image: &str, message: &str) -> Snapshot {
        let agent: Value = json!({"metadata": {"name": "calico-node-x2k9d", "namespace": "calico-system", "uid": "u2",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "calico-node", "controller": true}]},
            "spec": {"nodeName": "node-a", "hostNetwork": true, "containers": [{"name": "calico-node", "image": image}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}],
                "containerStatuses": [{"name": "calico-node", "ready": ready == "True", "state": {"running": {}}}]}});
        let mut snap = snapshot(json!([agent]));
        let mut told = event("Unhealthy", message);
        told.involved_object.namespace = "calico-system".to_owned();
        told.involved_object.name = "calico-node-x2k9d".to_owned();
        told.involved_object.uid = Some("u2".to_owned());
        snap.events = Listing::cluster(vec![told]);
        snap
    }

    const BGP: &str =
        "Readiness probe failed: calico/node is not ready: BIRD is not ready: BGP not established with 10.0.1.5";

    #[test]
    fn an_agent_that_is_not_ready_is_told_with_its_peers() {
        let found = findings(&NetworkPluginUnready, &with("False", "2026-11-21T11:00:00Z", "calico/node:v3", BGP));
        assert_eq!((found.len(), found[0].severity, found[0].variant), (1, Severity::Warning, "bgp"));
        assert!(found[0].message.contains("no BGP session with 10.0.1.5"), "{}", found[0].message);
        let felix =
            "Readiness probe failed: calico/node is not ready: felix is not ready: readiness probe reporting 503";
        let found = findings(&NetworkPluginUnready, &with("False", "2026-11-21T11:00:00Z", "calico/node:v3", felix));
        assert_eq!(found[0].variant, "other");
        assert!(steps(&found[0]).contains("kubectl logs -n calico-system calico-node-x2k9d"));
    }

    #[test]
    fn agents_that_are_ready_or_start_are_left_alone() {
        assert_eq!(findings(&NetworkPluginUnready, &with("True", "2026-11-21T11:00:00Z", "calico/node:v3", BGP)), []);
        assert_eq!(findings(&NetworkPluginUnready, &with("False", "2026-11-21T11:58:00Z", "calico/node:v3", BGP)), []);
    }
}
