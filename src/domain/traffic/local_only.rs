//! Services that lead to pods of the caller's own node alone (`internalTrafficPolicy: Local`), asked from a node that has none.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::domain::kubernetes::owner::is_kind;
use crate::domain::text::dial::Dial;
use crate::domain::text::log_line::is_within;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Pod, Service};

/// Seconds for which a line of a log tells of now.
const NOW: i64 = 900;

/// A pod that asks such a Service in vain.
pub(crate) struct Stranded<'a> {
    pub(crate) service: &'a Service,
    pub(crate) pod: &'a Pod,
    /// Container and text that say so; no container for what an API answers.
    pub(crate) container: &'a str,
    pub(crate) said: &'a str,
    /// The DaemonSet whose pods it leads to, which the caller's node lacks.
    pub(crate) agents: Option<ResourceRef>,
}

/// One for each Service and pod.
pub(crate) fn all(snap: &Snapshot) -> Vec<Stranded<'_>> {
    let services = snap.services.items().unwrap_or_default().iter();
    let local: Vec<&Service> = services
        .filter(|s| s.spec.internal_traffic_policy.as_deref() == Some("Local") && !s.spec.selector.is_empty())
        .collect();
    if local.is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<(String, String), Stranded<'_>> = BTreeMap::new();
    for (pod, container, text, ip) in told(snap) {
        let of_ip = |s: &&&Service| s.spec.cluster_ip.as_deref() == Some(ip.to_string().as_str());
        let Some(service) = local.iter().find(of_ip).copied() else { continue };
        let here = |p: &Pod| p.spec.node_name == pod.spec.node_name;
        // Without any ready pod at all it is not this policy; and where the node has one that is not ready, it is that pod.
        let is_any = snap.pods_of_service(service).any(Pod::is_ready);
        if is_any && !snap.pods_of_service(service).any(here) {
            let agents = snap.pods_of_service(service).map(|p| snap.owner_ref(p)).find(|o| is_kind(o, &["DaemonSet"]));
            let name = |m: &crate::snapshot::kubernetes::Meta| format!("{}/{}", m.namespace, m.name);
            let key = (name(&service.metadata), name(&pod.metadata));
            found.entry(key).or_insert(Stranded { service, pod, container, said: text, agents });
        }
    }
    found.into_values().collect()
}

/// What logs and Grafana say of addresses that are not reached, the newest line of each log first.
fn told(snap: &Snapshot) -> impl Iterator<Item = (&Pod, &str, &str, IpAddr)> {
    let dialled = |text: &str| Some(Dial::read(text)?.address()?.0);
    let logs = snap.component_logs.iter().flatten().chain(snap.part_logs.iter().flatten());
    let logged = logs.filter(|l| !l.previous).flat_map(move |log| {
        let pod = snap.pod_of_log(log);
        let lines = log.text.lines().rev().filter_map(move |line| Some((line, dialled(line)?)));
        let recent = lines.filter(move |(line, _)| is_within(line, snap.collected_at, NOW));
        recent.filter_map(move |(line, ip)| Some((pod?, log.container.as_str(), line, ip)))
    });
    let grafana = snap.scope.grafana.as_ref().and_then(|c| {
        let service = snap.services.find(&c.namespace, &c.service).ok()??;
        snap.pods_of_service(service).next()
    });
    let health = snap.grafana_datasource_health().map(Vec::as_slice).unwrap_or_default().iter();
    let answered = health.filter_map(move |h| Some((grafana?, "", h.message.as_str(), dialled(&h.message)?)));
    logged.chain(answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use crate::snapshot::monitoring::ContainerLog;
    use serde_json::{Value, json};

    fn agent(name: &str, node: &str, kind: &str, ready: bool) -> Value {
        json!({"metadata": {"name": name, "namespace": "m", "labels": {"app": "agent"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": "agent", "controller": true}]},
            "spec": {"nodeName": node},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}})
    }

    fn found(agents: Vec<Value>) -> Vec<Option<ResourceRef>> {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("a time"));
        let caller = json!({"metadata": {"name": "web", "namespace": "m"}, "spec": {"nodeName": "a"}});
        let pods = agents.into_iter().chain([caller]).map(|p| serde_json::from_value(p).expect("a pod"));
        snap.pods = Listing::cluster(pods.collect());
        let service = json!({"metadata": {"name": "agent", "namespace": "m"},
            "spec": {"clusterIP": "172.20.1.1", "selector": {"app": "agent"}, "internalTrafficPolicy": "Local"}});
        snap.services = Listing::cluster(vec![serde_json::from_value(service).expect("a Service")]);
        *snap.component_logs = Ok(vec![ContainerLog {
            program: None,
            namespace: "m".into(),
            pod: "web".into(),
            container: "web".into(),
            image: "web:v1".into(),
            previous: false,
            text: "2026-11-21T02:58:00Z dial tcp 172.20.1.1:4317: connect: connection refused".into(),
        }]);
        all(&snap).into_iter().map(|s| s.agents).collect()
    }

    #[test]
    fn a_pod_of_the_node_that_is_not_ready_is_not_the_policy() {
        let far = agent("agent-b", "b", "DaemonSet", true);
        assert!(found(vec![far.clone(), agent("agent-a", "a", "DaemonSet", false)]).is_empty());
        assert!(found(vec![far.clone(), agent("agent-a", "a", "DaemonSet", true)]).is_empty());
        let lacking = found(vec![far]);
        assert!(matches!(lacking.as_slice(), [Some(_)]), "{lacking:?}");
        assert_eq!(found(vec![agent("agent-b", "b", "ReplicaSet", true)]), [None]);
    }
}
