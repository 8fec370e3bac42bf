//! NetworkPolicies and ResourceQuotas.

use super::{Map, Meta};
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use serde::Deserialize;

/// NetworkPolicy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NetworkPolicy {
    pub metadata: Meta,
    pub spec: Option<NetworkPolicySpec>,
}

/// ResourceQuota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResourceQuota {
    pub metadata: Meta,
    pub status: QuotaStatus,
}

/// `status` of a ResourceQuota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    pub hard: Map,
    pub used: Map,
}
