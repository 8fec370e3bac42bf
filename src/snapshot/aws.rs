//! AWS resources, cut to the fields that some check reads, in the shape the AWS CLI prints.

#![allow(missing_docs, reason = "fields are the AWS API fields of the same name")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// `sts get-caller-identity`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CallerIdentity {
    pub account: String,
    pub arn: String,
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
        self.arn.split(':').nth(1).filter(|p| !p.is_empty()).unwrap_or("aws")
    }

    /// Account id, from the ARN.
    pub fn account(&self) -> Option<&str> {
        self.arn.split(':').nth(4).filter(|a| !a.is_empty())
    }

    /// Region, from the ARN.
    pub fn region(&self) -> Option<&str> {
        self.arn.split(':').nth(3).filter(|r| !r.is_empty())
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

/// `iam get-open-id-connect-provider`, with the ARN of the list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OidcProvider {
    #[serde(skip)]
    pub arn: String,
    /// Without it, it is no answer.
    pub url: String,
    #[serde(rename = "ClientIDList", default)]
    pub client_id_list: Option<Vec<String>>,
}

/// One IAM role with its policies.
#[derive(Debug, Clone, Default)]
pub struct Role {
    pub name: String,
    pub arn: String,
    /// `AssumeRolePolicyDocument`, decoded.
    pub trust_policy: Value,
    /// ARNs of attached managed policies; `None` where they could not be read.
    pub attached_policies: Option<Vec<String>>,
    /// Inline policy documents by name; `None` where they could not be read.
    pub inline_policies: Option<BTreeMap<String, Value>>,
    /// ARN of the permissions boundary.
    pub permissions_boundary: Option<String>,
    /// Documents of attached customer-managed policies, and of the boundary, by ARN, as far as they could be read.
    pub managed_documents: BTreeMap<String, Value>,
}

/// `ec2 describe-subnets`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Subnet {
    pub subnet_id: String,
    pub vpc_id: String,
    pub cidr_block: String,
    pub ipv6_cidr_block_association_set: Vec<Ipv6CidrAssociation>,
    pub availability_zone: String,
    pub map_public_ip_on_launch: bool,
    pub available_ip_address_count: Option<u32>,
    pub tags: Vec<Tag>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipv6CidrAssociation {
    pub ipv6_cidr_block: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// The `Name` tag, empty if there is none.
pub fn name_tag(tags: &[Tag]) -> &str {
    tags.iter().find(|t| t.key == "Name").map_or("", |t| t.value.as_str())
}

/// `ec2 describe-route-tables`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RouteTable {
    pub route_table_id: String,
    pub vpc_id: String,
    pub associations: Vec<RouteTableAssociation>,
    pub routes: Vec<Route>,
    pub tags: Vec<Tag>,
    /// Another account than the cluster's where the VPC's subnets are shared.
    pub owner_id: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RouteTableAssociation {
    pub main: bool,
    pub subnet_id: Option<String>,
    pub association_state: Option<AssociationState>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AssociationState {
    pub state: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Route {
    pub destination_cidr_block: Option<String>,
    pub destination_ipv6_cidr_block: Option<String>,
    pub destination_prefix_list_id: Option<String>,
    pub gateway_id: Option<String>,
    pub nat_gateway_id: Option<String>,
    pub transit_gateway_id: Option<String>,
    pub network_interface_id: Option<String>,
    pub instance_id: Option<String>,
    pub vpc_peering_connection_id: Option<String>,
    pub egress_only_internet_gateway_id: Option<String>,
    pub local_gateway_id: Option<String>,
    pub carrier_gateway_id: Option<String>,
    pub core_network_arn: Option<String>,
    pub state: String,
}

/// `ec2 describe-nat-gateways`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NatGateway {
    pub nat_gateway_id: String,
    pub vpc_id: String,
    pub subnet_id: String,
    pub state: String,
    pub connectivity_type: Option<String>,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub nat_gateway_addresses: Vec<NatGatewayAddress>,
    pub tags: Vec<Tag>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NatGatewayAddress {
    pub public_ip: Option<String>,
}

/// `ec2 describe-internet-gateways`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InternetGateway {
    pub internet_gateway_id: String,
    pub attachments: Vec<GatewayAttachment>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GatewayAttachment {
    pub state: String,
    pub vpc_id: String,
}

/// `ec2 describe-network-acls`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkAcl {
    pub network_acl_id: String,
    pub vpc_id: String,
    pub is_default: bool,
    pub associations: Vec<AclAssociation>,
    pub entries: Vec<AclEntry>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AclAssociation {
    pub subnet_id: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AclEntry {
    pub rule_number: u32,
    pub egress: bool,
    pub protocol: String,
    pub rule_action: String,
    pub cidr_block: Option<String>,
    pub ipv6_cidr_block: Option<String>,
    pub port_range: Option<PortRange>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortRange {
    pub from: u16,
    pub to: u16,
}

/// `ec2 describe-security-groups`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecurityGroup {
    pub group_id: String,
    pub group_name: String,
    pub vpc_id: String,
    pub ip_permissions: Vec<IpPermission>,
    pub ip_permissions_egress: Vec<IpPermission>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpPermission {
    pub ip_protocol: String,
    pub from_port: Option<i32>,
    pub to_port: Option<i32>,
    pub ip_ranges: Vec<IpRange>,
    pub ipv6_ranges: Vec<Ipv6Range>,
    pub user_id_group_pairs: Vec<GroupPair>,
    pub prefix_list_ids: Vec<Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpRange {
    pub cidr_ip: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipv6Range {
    pub cidr_ipv6: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GroupPair {
    pub group_id: String,
}

/// `ec2 describe-instances`, one instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance {
    pub instance_id: String,
    pub subnet_id: Option<String>,
    pub vpc_id: Option<String>,
    pub private_ip_address: Option<String>,
    pub private_dns_name: Option<String>,
    pub public_ip_address: Option<String>,
    pub security_groups: Vec<GroupPair>,
    pub source_dest_check: Option<bool>,
    pub state: Option<InstanceState>,
    pub instance_type: Option<String>,
    pub network_interfaces: Vec<NetworkInterface>,
    pub metadata_options: Option<MetadataOptions>,
}

/// `MetadataOptions` of an instance: who reaches its metadata, and with it the credentials of its role.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MetadataOptions {
    /// `required` or `optional`: whether only version 2 answers.
    pub http_tokens: Option<String>,
    /// Answers reach no further; a pod is one hop further than its node.
    pub http_put_response_hop_limit: Option<i32>,
    /// `enabled` or `disabled`.
    pub http_endpoint: Option<String>,
}

/// `NetworkInterfaces[]` of an instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkInterface {
    pub network_interface_id: String,
    pub subnet_id: Option<String>,
    pub groups: Vec<GroupPair>,
    pub private_ip_addresses: Vec<PrivateAddress>,
    pub ipv4_prefixes: Vec<AddressPrefix>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PrivateAddress {
    pub private_ip_address: String,
}

/// A /28 that the interface hands out to pods.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AddressPrefix {
    pub ipv4_prefix: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceState {
    pub name: String,
}

/// `ec2 describe-vpc-endpoints`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VpcEndpoint {
    pub vpc_endpoint_id: String,
    pub vpc_id: String,
    pub service_name: String,
    pub vpc_endpoint_type: String,
    pub state: String,
    /// Of a gateway endpoint.
    pub route_table_ids: Vec<String>,
    /// Of an interface endpoint.
    pub subnet_ids: Vec<String>,
    /// Of an interface endpoint.
    pub groups: Vec<GroupPair>,
    pub private_dns_enabled: Option<bool>,
    /// JSON, as text.
    pub policy_document: Option<String>,
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

/// `ec2 describe-vpcs`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Vpc {
    pub vpc_id: String,
    pub cidr_block: String,
    pub cidr_block_association_set: Vec<CidrAssociation>,
    pub dhcp_options_id: String,
}

/// `CidrBlockAssociationSet[]` of a VPC.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CidrAssociation {
    pub cidr_block: String,
}

/// `ec2 describe-addresses`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Address {
    pub public_ip: String,
    pub allocation_id: String,
    /// Absent where nothing uses the address.
    pub association_id: Option<String>,
    pub network_interface_id: Option<String>,
    pub tags: Vec<Tag>,
}

/// `elbv2 describe-load-balancers`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoadBalancer {
    pub load_balancer_arn: String,
    pub load_balancer_name: String,
    #[serde(rename = "DNSName")]
    pub dns_name: String,
    pub scheme: String,
    #[serde(rename = "Type")]
    pub kind: String,
    pub vpc_id: String,
    pub state: Option<LoadBalancerState>,
    pub security_groups: Vec<String>,
}

/// `State` of a load balancer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LoadBalancerState {
    pub code: String,
    pub reason: Option<String>,
}

/// `elbv2 describe-target-groups`, with `describe-target-health` of each.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetGroup {
    pub target_group_arn: String,
    pub target_group_name: String,
    pub protocol: String,
    pub port: Option<u16>,
    pub vpc_id: String,
    pub target_type: String,
    pub health_check_protocol: String,
    pub health_check_port: String,
    pub health_check_path: Option<String>,
    pub matcher: Option<HealthMatcher>,
    pub load_balancer_arns: Vec<String>,
    /// `None` where it could not be read.
    #[serde(skip)]
    pub health: Option<Vec<TargetHealth>>,
}

/// `Matcher` of a target group: which answers are healthy.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthMatcher {
    pub http_code: Option<String>,
}

/// `TargetHealthDescriptions[]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetHealth {
    pub target: TargetId,
    pub target_health: TargetState,
}

/// A target: an instance id or an address, and a port.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetId {
    pub id: String,
    pub port: Option<u16>,
}

/// `TargetHealth` of a target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetState {
    /// `healthy`, `unhealthy`, `initial`, `draining`, `unused`, `unavailable`.
    pub state: String,
    pub reason: Option<String>,
    pub description: Option<String>,
}
