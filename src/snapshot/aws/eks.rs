//! The cluster in EKS: its add-ons, node groups and Fargate profiles, and what was changed of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::arn;

/// `eks describe-cluster`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cluster {
    pub name: String,
    pub arn: String,
    pub version: String,
    pub status: String,
    pub endpoint: String,
    pub identity: ClusterIdentity,
    pub resources_vpc_config: VpcConfig,
    pub kubernetes_network_config: KubernetesNetworkConfig,
    pub compute_config: Option<ComputeConfig>,
    pub storage_config: Option<StorageConfig>,
    pub access_config: AccessConfig,
    pub role_arn: String,
    pub health: AddonHealth,
}

/// `accessConfig` of a cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessConfig {
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub authentication_mode: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterIdentity {
    pub oidc: Oidc,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Oidc {
    pub issuer: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VpcConfig {
    pub vpc_id: String,
    pub subnet_ids: Vec<String>,
    pub security_group_ids: Vec<String>,
    pub cluster_security_group_id: String,
    pub endpoint_public_access: Option<bool>,
    pub endpoint_private_access: Option<bool>,
    pub public_access_cidrs: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KubernetesNetworkConfig {
    pub ip_family: String,
}

/// EKS Auto Mode's compute.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComputeConfig {
    pub enabled: Option<bool>,
    /// The built-in pools that are switched on: `general-purpose`, `system`.
    pub node_pools: Vec<String>,
    pub node_role_arn: Option<String>,
}

/// EKS Auto Mode's storage.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StorageConfig {
    pub block_storage: ComputeConfig,
}

impl Cluster {
    /// EKS Auto Mode makes its nodes.
    pub fn is_auto_mode(&self) -> bool {
        self.compute_config.as_ref().and_then(|c| c.enabled).unwrap_or(false)
    }

    /// EKS Auto Mode provides block storage (provisioner `ebs.csi.eks.amazonaws.com`).
    pub fn auto_mode_storage(&self) -> bool {
        self.storage_config.as_ref().and_then(|s| s.block_storage.enabled).unwrap_or(false)
    }

    /// OIDC issuer without the scheme: `oidc.eks.<region>.amazonaws.com/id/<id>`.
    pub fn issuer_host_path(&self) -> &str {
        self.identity.oidc.issuer.trim_start_matches("https://")
    }

    /// AWS partition of the cluster: `aws`, `aws-cn`, `aws-us-gov`.
    pub fn partition(&self) -> &str {
        arn::partition(&self.arn).unwrap_or("aws")
    }

    /// Account id, from the ARN.
    pub fn account(&self) -> Option<&str> {
        arn::account(&self.arn)
    }

    /// Region, from the ARN.
    pub fn region(&self) -> Option<&str> {
        arn::region(&self.arn)
    }
}

/// `eks describe-addon`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Addon {
    pub addon_name: String,
    pub status: String,
    pub addon_version: String,
    pub addon_arn: String,
    /// RFC 3339, as the CLI prints it.
    pub modified_at: Option<String>,
    pub service_account_role_arn: Option<String>,
    pub health: AddonHealth,
    pub pod_identity_associations: Vec<String>,
    /// JSON, as the user gave it.
    pub configuration_values: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AddonHealth {
    pub issues: Vec<HealthIssue>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthIssue {
    pub code: String,
    pub message: String,
    pub resource_ids: Vec<String>,
}

/// `eks describe-nodegroup`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Nodegroup {
    pub nodegroup_name: String,
    pub status: String,
    pub nodegroup_arn: String,
    pub version: String,
    pub release_version: String,
    pub subnets: Vec<String>,
    pub node_role: String,
    pub instance_types: Vec<String>,
    pub ami_type: String,
    /// `ON_DEMAND`, `SPOT` or `CAPACITY_BLOCK`.
    pub capacity_type: String,
    pub disk_size: Option<i32>,
    /// RFC 3339, as the CLI prints it.
    pub modified_at: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<NodegroupTaint>,
    pub launch_template: Option<LaunchTemplate>,
    pub resources: NodegroupResources,
    pub tags: BTreeMap<String, String>,
    pub health: AddonHealth,
    pub scaling_config: ScalingConfig,
}

/// `taints[]` of a node group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodegroupTaint {
    pub key: String,
    pub value: Option<String>,
    /// `NO_SCHEDULE`, `NO_EXECUTE` or `PREFER_NO_SCHEDULE`.
    pub effect: String,
}

/// `launchTemplate` of a node group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchTemplate {
    pub name: String,
    pub id: String,
    pub version: String,
}

/// `resources` of a node group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodegroupResources {
    pub auto_scaling_groups: Vec<AutoScalingGroup>,
}

/// `resources.autoScalingGroups[]` of a node group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoScalingGroup {
    pub name: String,
}

/// `scalingConfig` of a node group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalingConfig {
    pub min_size: Option<i32>,
    pub max_size: Option<i32>,
    pub desired_size: Option<i32>,
}

impl Nodegroup {
    /// What EKS says of instances that started and never became nodes.
    pub fn join_failure(&self) -> Option<&HealthIssue> {
        self.health
            .issues
            .iter()
            .find(|i| i.code == "NodeCreationFailure" || i.message.contains("failed to join the kubernetes cluster"))
    }
}

/// What an update of EKS is of: the name of an add-on or of a node group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated {
    Addon(String),
    Nodegroup(String),
}

/// `eks describe-update`, with what it is of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Update {
    #[serde(skip)]
    pub of: Option<Updated>,
    pub id: String,
    /// `InProgress`, `Failed`, `Cancelled` or `Successful`.
    pub status: String,
    /// `VersionUpdate`, `ConfigUpdate`, `AddonUpdate` …
    #[serde(rename = "type")]
    pub kind: String,
    pub params: Vec<UpdateParam>,
    /// RFC 3339, as the CLI prints it.
    pub created_at: Option<String>,
    pub errors: Vec<UpdateError>,
}

/// `params[]` of an update: what it changes, and to what.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdateParam {
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
}

/// `errors[]` of an update.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateError {
    pub error_code: String,
    pub error_message: String,
}

/// `eks list-pod-identity-associations`, with the role where `describe-pod-identity-association` gave it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodIdentityAssociation {
    pub cluster_name: String,
    pub namespace: String,
    pub service_account: String,
    pub association_arn: String,
    pub association_id: String,
    pub role_arn: Option<String>,
}

impl PodIdentityAssociation {
    /// It is the one of a ServiceAccount.
    pub fn is_of(&self, namespace: &str, account: &str) -> bool {
        self.namespace == namespace && self.service_account == account
    }
}

/// `eks describe-fargate-profile`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FargateProfile {
    pub fargate_profile_name: String,
    pub status: String,
    pub pod_execution_role_arn: String,
    pub subnets: Vec<String>,
    pub selectors: Vec<FargateSelector>,
}

/// `selectors[]` of a Fargate profile.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FargateSelector {
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
}
