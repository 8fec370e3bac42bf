//! NetworkPolicies, ResourceQuotas and LimitRanges.

use super::meta::null_default;
use super::{Map, Meta};
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use serde::Deserialize;

/// NetworkPolicy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NetworkPolicy {
    pub metadata: Meta,
    pub spec: Option<NetworkPolicySpec>,
    /// What kind of policy it was made from, where it is none of Kubernetes.
    #[serde(skip)]
    pub origin: Option<PolicyOrigin>,
}

/// Kinds of policies that plugins bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyOrigin {
    /// CiliumNetworkPolicy.
    Cilium,
    /// CiliumClusterwideNetworkPolicy.
    CiliumCluster,
    /// NetworkPolicy of Calico; and one of its rules denies.
    Calico { denies: bool },
    /// GlobalNetworkPolicy of Calico; and one of its rules denies.
    CalicoGlobal { denies: bool },
}

/// NetworkPolicy or GlobalNetworkPolicy of Calico (`crd.projectcalico.org`), as stored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CalicoPolicy {
    pub metadata: Meta,
    pub spec: Option<serde_json::Value>,
}

/// CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy (`cilium.io`), as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CiliumPolicy {
    pub metadata: Meta,
    pub spec: Option<serde_json::Value>,
    pub specs: Option<Vec<serde_json::Value>>,
}

objects!(CiliumPolicy, CalicoPolicy);

/// ResourceQuota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResourceQuota {
    pub metadata: Meta,
    pub spec: QuotaSpec,
    pub status: QuotaStatus,
}

/// `spec` of a ResourceQuota: which pods it is about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuotaSpec {
    #[serde(deserialize_with = "null_default")]
    pub scopes: Vec<String>,
    pub scope_selector: Option<serde_json::Value>,
}

impl ResourceQuota {
    /// It is about some pods of the namespace alone.
    pub fn is_scoped(&self) -> bool {
        !self.spec.scopes.is_empty() || self.spec.scope_selector.is_some()
    }
}

/// `status` of a ResourceQuota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    pub hard: Map,
    pub used: Map,
}

/// LimitRange.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LimitRange {
    pub metadata: Meta,
    pub spec: LimitRangeSpec,
}

/// `spec` of a LimitRange.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LimitRangeSpec {
    #[serde(deserialize_with = "null_default")]
    pub limits: Vec<LimitItem>,
}

/// `spec.limits[]`: what containers, pods or claims may ask for, and what containers get that ask for nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitItem {
    /// `Container`, `Pod`, `PersistentVolumeClaim`.
    #[serde(rename = "type")]
    pub kind: String,
    pub max: Map,
    pub min: Map,
    pub max_limit_request_ratio: Map,
    /// Limits of containers that name none.
    pub default: Map,
}

objects!(LimitRange);
