//! Nodes.

use super::{Condition, Map, Meta};
use k8s_openapi::api::core::v1::Taint;
use serde::Deserialize;

/// Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    pub metadata: Meta,
    pub spec: NodeSpec,
    pub status: NodeStatus,
}

/// `spec` of a Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    #[serde(rename = "providerID")]
    pub provider_id: Option<String>,
    pub taints: Vec<Taint>,
    pub unschedulable: bool,
}

/// `status` of a Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    pub allocatable: Map,
    pub conditions: Vec<Condition>,
    pub addresses: Vec<NodeAddress>,
    pub node_info: NodeInfo,
}

/// `status.addresses[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    #[serde(rename = "type")]
    pub kind: String,
    pub address: String,
}

/// `status.nodeInfo`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    pub kubelet_version: String,
    pub os_image: String,
    pub architecture: String,
    /// `6.1.158-178.288.amzn2023.x86_64`
    pub kernel_version: String,
    /// `containerd://2.1.4`
    pub container_runtime_version: String,
}

impl Node {
    /// A Fargate virtual node: runs no DaemonSet and takes no EBS volume.
    pub fn is_fargate(&self) -> bool {
        self.metadata.label("eks.amazonaws.com/compute-type") == Some("fargate")
            || self.metadata.name.starts_with("fargate-")
    }

    /// Nothing is heard of its kubelet.
    pub fn is_silent(&self) -> bool {
        self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "Unknown")
    }

    /// A machine of one's own that is a node of an EKS cluster.
    pub fn is_hybrid(&self) -> bool {
        self.metadata.label("eks.amazonaws.com/compute-type") == Some("hybrid")
            || self.spec.provider_id.as_deref().is_some_and(|id| id.starts_with("eks-hybrid:"))
    }

    /// A node that EKS Auto Mode manages.
    pub fn is_auto_mode(&self) -> bool {
        self.metadata.label("eks.amazonaws.com/compute-type") == Some("auto")
    }

    /// Runs Bottlerocket, which has neither a shell nor systemctl for Systems Manager's commands.
    pub fn is_bottlerocket(&self) -> bool {
        self.status.node_info.os_image.starts_with("Bottlerocket")
    }

    /// Karpenter (or EKS Auto Mode) made it: who deletes the node has its instance terminated.
    pub fn is_karpenter(&self) -> bool {
        // The second is Karpenter's label of before its first version.
        let labels = ["karpenter.sh/nodepool", "karpenter.sh/provisioner-name"];
        self.is_auto_mode() || labels.iter().any(|label| self.metadata.label(label).is_some())
    }

    /// Has no shell that anybody could use: its fault is mended by another node.
    pub fn is_sealed(&self) -> bool {
        self.is_fargate() || self.is_auto_mode() || self.is_bottlerocket()
    }

    /// Its processor, as Kubernetes calls it: `amd64`, `arm64`.
    pub fn architecture(&self) -> Option<&str> {
        let said = Some(self.status.node_info.architecture.as_str()).filter(|a| !a.is_empty());
        self.metadata.label("kubernetes.io/arch").or(said)
    }

    /// EC2 instance id from `spec.providerID` (`aws:///zone/i-0123`).
    pub fn instance_id(&self) -> Option<&str> {
        let id = self.spec.provider_id.as_deref()?.strip_prefix("aws://")?.rsplit('/').next()?;
        id.starts_with("i-").then_some(id)
    }

    /// EC2 instance whose shell Systems Manager's commands reach.
    pub fn shell_instance(&self) -> Option<&str> {
        self.instance_id().filter(|_| !self.is_sealed())
    }

    /// Primary address inside the VPC.
    pub fn internal_ip(&self) -> Option<&str> {
        self.status.addresses.iter().find(|a| a.kind == "InternalIP").map(|a| a.address.as_str())
    }

    /// The Ready condition is True.
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
    }
}
