//! Resources of the VPC CNI: security groups and subnets that pods have of their own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

use super::Meta;
use super::meta::null_default;

/// SecurityGroupPolicy (`vpcresources.k8s.aws`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SecurityGroupPolicy {
    pub metadata: Meta,
    pub spec: SecurityGroupPolicySpec,
}

/// `spec` of a SecurityGroupPolicy; with both selectors, a pod has to match both.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityGroupPolicySpec {
    pub pod_selector: Option<LabelSelector>,
    pub service_account_selector: Option<LabelSelector>,
    pub security_groups: GroupIds,
}

/// `spec.securityGroups`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupIds {
    #[serde(deserialize_with = "null_default")]
    pub group_ids: Vec<String>,
}

/// ENIConfig (`crd.k8s.amazonaws.com`): the subnet of the pods on nodes that name it, mostly by their zone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EniConfig {
    pub metadata: Meta,
    pub spec: EniConfigSpec,
}

/// `spec` of an ENIConfig.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EniConfigSpec {
    pub subnet: String,
    #[serde(deserialize_with = "null_default")]
    pub security_groups: Vec<String>,
}

objects!(SecurityGroupPolicy, EniConfig);
