//! What makes nodes for Karpenter and for EKS Auto Mode: NodePools, their node classes, and the nodes that were asked for.

use serde::Deserialize;
use serde_json::Value;

use super::meta::null_default;
use super::{Condition, Map, Meta};

/// NodePool, NodeClaim (`karpenter.sh`), EC2NodeClass (`karpenter.k8s.aws`) or NodeClass (`eks.amazonaws.com`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeMaker {
    /// Set by the collector: `NodePool`, `NodeClaim`, `EC2NodeClass`, `NodeClass`.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: NodeMakerSpec,
    pub status: NodeMakerStatus,
}

/// `spec` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeMakerSpec {
    /// Of a NodePool.
    pub template: NodeTemplate,
    /// Of a NodeClaim.
    pub node_class_ref: Option<NodeClassRef>,
    /// Of a node class: the node's role by name, and what is looked for by tag, id or name.
    pub role: Option<String>,
    pub instance_profile: Option<String>,
    pub subnet_selector_terms: Value,
    pub security_group_selector_terms: Value,
    pub ami_selector_terms: Value,
    /// Of an EC2NodeClass: `AL2023`, `Custom` …
    pub ami_family: Option<String>,
    /// What the volumes of its instances are: of a NodeClass of EKS Auto Mode, and of an EC2NodeClass.
    pub ephemeral_storage: Value,
    pub block_device_mappings: Value,
}

/// `spec.template` of a NodePool.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeTemplate {
    pub spec: NodeTemplateSpec,
}

/// `spec.template.spec` of a NodePool.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeTemplateSpec {
    pub node_class_ref: Option<NodeClassRef>,
}

/// `nodeClassRef`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeClassRef {
    pub group: String,
    pub kind: String,
    pub name: String,
}

/// `status` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeMakerStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// Of a NodeClaim.
    #[serde(rename = "providerID")]
    pub provider_id: String,
    pub node_name: String,
    #[serde(deserialize_with = "null_default")]
    pub resources: Map,
    /// Of a NodeClass of EKS Auto Mode: where pods have their addresses, if not in the subnets of the nodes.
    #[serde(deserialize_with = "null_default")]
    pub pod_subnets: Vec<ClassSubnet>,
}

/// A subnet that a node class has found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClassSubnet {
    pub id: String,
    pub zone: String,
}

impl NodeMaker {
    /// A condition by its type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == kind)
    }

    /// The class by which a NodePool or a NodeClaim makes its instances.
    pub fn class_ref(&self) -> Option<&NodeClassRef> {
        self.spec.node_class_ref.as_ref().or(self.spec.template.spec.node_class_ref.as_ref())
    }

    /// The NodePool of a NodeClaim.
    pub fn pool(&self) -> Option<&str> {
        self.metadata.label("karpenter.sh/nodepool")
    }
}

objects!(NodeMaker);
