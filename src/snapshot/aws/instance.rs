//! The instances of the nodes.

use serde::{Deserialize, Serialize};

use crate::snapshot::aws::vpc::GroupPair;

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
