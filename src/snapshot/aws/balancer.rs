//! Load balancers and their targets.

use serde::{Deserialize, Serialize};

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
