//! A webhook whose pod has the address of its node, and the port of the kubelet: the API server reaches the kubelet.

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::checks::support::host_network;
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::nodes::KUBELET_PORT;
use crate::domain::kubernetes::{owner, service_port};
use crate::snapshot::Snapshot;

/// The pod, and what gives it a port of its own.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct KubeletPort {
    served_by: String,
    served_namespace: String,
    node: String,
    /// A JSON patch; empty where the port stands in no argument.
    port_patch: String,
    /// `None` where none is known to be free.
    new_port: Option<u16>,
    kept_by: String,
    chart_values: String,
}

impl KubeletPort {
    /// Of the pod behind a group's Service: one on Fargate, or in the network of its node, that is asked at the kubelet's port.
    pub(super) fn of(snap: &Snapshot, group: &Group<'_>) -> Option<Self> {
        let called = group.hooks[0].service()?;
        let service = snap.services.find(&called.namespace, &called.name).ok()??;
        let pod = snap.pods_of_service(service).next()?;
        let node = snap.node_of(pod)?;
        let wanted = called.port.unwrap_or(443);
        let port = service.spec.ports.iter().find(|p| p.port == wanted)?;
        let shares = pod.spec.host_network || node.is_fargate();
        if !shares || service_port::target(port, pod) != Some(KUBELET_PORT) {
            return None;
        }
        let owner = snap.owner_ref(pod);
        let workload = owner::workload(snap, &owner);
        let new_port = host_network::free_port(snap);
        Some(Self {
            served_by: owner.kubectl_name(),
            served_namespace: pod.metadata.namespace.clone(),
            node: node.metadata.name.clone(),
            port_patch: workload
                // A Service that names the port by its number would have to change as well.
                .filter(|_| port.target_port.is_string())
                .and_then(|w| host_network::port_patch(w, KUBELET_PORT, new_port?))
                .unwrap_or_default(),
            new_port,
            kept_by: workload.map(|w| managed_by(&w.metadata)).unwrap_or_default(),
            chart_values: host_network::chart_values(pod).to_owned(),
        })
    }

    /// What the API server meets, as a sentence.
    pub(super) fn why(&self, called: &str) -> String {
        format!(
            "the API server meets the kubelet in the place of {called}: its pod has the address of node {}, and port {KUBELET_PORT} is the kubelet's there",
            self.node
        )
    }
}
