//! Who is in the gossip cluster of Alertmanager, by its own status.

use std::net::IpAddr;

use crate::domain::kubernetes::arguments;
use crate::domain::kubernetes::service_host::in_cluster;
use crate::model::{Program, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Container, Pod};
use crate::snapshot::monitoring::GossipPeer;

/// The Alertmanager that was asked, and the members that it sees, itself among them.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    /// The pod that answered.
    pub(crate) asked: &'a Pod,
    /// Its container.
    pub(crate) container: &'a Container,
    peers: &'a [GossipPeer],
}

/// A member that belongs to another Alertmanager.
#[derive(Debug)]
pub(crate) struct Stranger<'a> {
    /// Its pod.
    pub(crate) pod: &'a Pod,
    /// What makes the pod.
    pub(crate) owner: ResourceRef,
}

/// The members by `/api/v2/status`; `None` where it has no cluster, or none of the pods that were read is the one that answered.
pub(crate) fn members(snap: &Snapshot) -> Option<Members<'_>> {
    let cluster = &snap.alertmanager_status().ok()?.cluster;
    let peers = cluster.peers.as_deref().unwrap_or_default();
    let own = peers.iter().find(|p| p.name == cluster.name && !p.name.is_empty())?;
    let asked = snap.pod_by_ip(host(&own.address))?;
    Some(Members { asked, container: of_pod(asked)?, peers })
}

impl<'a> Members<'a> {
    /// Another one than who was asked is among them.
    pub(crate) fn are_several(&self) -> bool {
        self.peers.len() > 1
    }

    /// The pod is among them.
    pub(crate) fn has(&self, pod: &Pod) -> bool {
        self.peers.iter().any(|p| pod.status.pod_ip.as_deref() == Some(host(&p.address)))
    }

    /// Those that another workload makes, and that nobody named as a peer: the address of a pod that is gone was given to them.
    pub(crate) fn strangers(&self, snap: &'a Snapshot) -> Vec<Stranger<'a>> {
        let own = snap.owner_ref(self.asked);
        // With a label, only those of the same label hear each other.
        if arguments::flag(self.container, "cluster.label").is_some_and(|label| !label.is_empty()) {
            return Vec::new();
        }
        let pods = self.peers.iter().filter_map(|p| snap.pod_by_ip(host(&p.address)));
        let mut others: Vec<(&Pod, &Container)> = pods.filter_map(|pod| Some((pod, of_pod(pod)?))).collect();
        // Who names one that belongs here, or is named by it, belongs here too.
        let mut here = vec![(self.asked, self.container)];
        let mut at = 0;
        while let Some(&(pod, container)) = here.get(at) {
            let joins = |(other, of_other): &(&Pod, &Container)| {
                snap.owner_ref(other) == own || names(snap, pod, container, other) || names(snap, other, of_other, pod)
            };
            let (joined, left): (Vec<_>, Vec<_>) = others.into_iter().partition(joins);
            here.extend(joined);
            others = left;
            at += 1;
        }
        others.into_iter().map(|(pod, _)| Stranger { pod, owner: snap.owner_ref(pod) }).collect()
    }
}

/// One is told of the other as a peer: by the name of its pod, by a Service that is the other's, or by its address.
fn names(snap: &Snapshot, pod: &Pod, container: &Container, other: &Pod) -> bool {
    let namespace = &pod.metadata.namespace;
    arguments::flags(container, "cluster.peer").any(|peer| {
        let host = host(peer);
        let first = host.split('.').next().unwrap_or_default();
        if other.status.pod_ip.as_deref() == Some(host) || first == other.metadata.name {
            return true;
        }
        // That of another pod leads there, and a name that is none of the cluster's may lead anywhere.
        if snap.pods.items().unwrap_or_default().iter().any(|p| p.metadata.name == first) {
            return false;
        }
        let Some(asked) = in_cluster(snap, host, namespace) else { return host.parse::<IpAddr>().is_err() };
        // `POD.SERVICE` is that pod alone.
        if asked.service != first {
            return false;
        }
        match snap.services.find(&asked.namespace, &asked.service) {
            // What leads to addresses that somebody wrote may lead to any.
            Ok(Some(service)) if service.spec.selector.is_empty() => true,
            Ok(Some(service)) => snap.pods_of_service(service).any(|p| p.metadata.name == other.metadata.name),
            Ok(None) => false,
            Err(_) => true,
        }
    })
}

/// The container that runs Alertmanager.
fn of_pod(pod: &Pod) -> Option<&Container> {
    pod.spec.containers.iter().find(|c| c.program() == Some(Program::Alertmanager))
}

/// Without its port and the brackets of IPv6.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::testing::snapshot;
    use crate::snapshot::monitoring::{AlertmanagerStatus, GossipCluster};

    fn replica(namespace: &str, name: &str, ip: &str, args: &[&str]) -> Value {
        let set = name.rsplit_once('-').map_or(name, |(set, _)| set);
        json!({"metadata": {"name": name, "namespace": namespace, "labels": {"app": set},
                "ownerReferences": [{"kind": "StatefulSet", "name": set, "controller": true}]},
            "spec": {"containers": [{"name": "alertmanager", "image": "prom/alertmanager:v0.28.1", "args": args}]},
            "status": {"phase": "Running", "podIP": ip}})
    }

    fn strange(args: &[&str], of_other: &[&str]) -> Vec<String> {
        let mut snap = snapshot(json!({
            "pods": [replica("monitoring", "am-0", "10.0.0.1", args), replica("monitoring", "am-1", "10.0.0.2", args),
                replica("monitoring", "other-0", "10.0.0.3", of_other)],
            "services": [{"metadata": {"name": "all", "namespace": "monitoring"}, "spec": {"selector": {"app": "other"}}}],
        }));
        let peer = |name: &str, ip: &str| GossipPeer { name: name.into(), address: format!("{ip}:9094") };
        let peers = vec![peer("A", "10.0.0.1"), peer("B", "10.0.0.2"), peer("C", "10.0.0.3"), peer("D", "10.0.0.9")];
        let cluster = GossipCluster { name: "A".into(), peers: Some(peers) };
        *snap.alertmanager_status = Ok(AlertmanagerStatus { cluster, ..AlertmanagerStatus::default() });
        let members = members(&snap).expect("a cluster");
        assert!(members.has(&snap.pods.items().expect("pods")[1]));
        members.strangers(&snap).into_iter().map(|s| s.pod.metadata.name.clone()).collect()
    }

    #[test]
    fn whoever_nobody_named_is_a_stranger() {
        let own = ["--cluster.peer=am-0.am:9094", "--cluster.peer=am-1.am:9094"];
        assert_eq!(strange(&own, &["--cluster.peer=other-0.other:9094"]), ["other-0"]);
        assert!(strange(&["--cluster.peer=other-0.other:9094"], &[]).is_empty(), "named by its pod");
        assert!(strange(&["--cluster.peer=all:9094"], &[]).is_empty(), "named by its Service");
        assert!(strange(&own, &["--cluster.peer=am-0.am:9094"]).is_empty(), "it names us");
        assert!(strange(&["--cluster.label=ours"], &[]).is_empty(), "with a label it is meant");
    }
}
