//! Elastic Load Balancing: load balancers, their target groups, and the health of the targets.

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{self, TargetHealthDescription};
use serde_json::{Value, json};

use super::{document, explain};
use crate::collect::source::{AwsCall, FetchError};
use crate::snapshot::aws::{
    HealthMatcher, LoadBalancer, LoadBalancerState, TargetGroup, TargetHealth, TargetId, TargetState,
};

pub(super) async fn send(client: &Client, call: &AwsCall) -> Result<Value, FetchError> {
    match call {
        AwsCall::DescribeLoadBalancers => {
            let found: Vec<LoadBalancer> =
                list!(call, client.describe_load_balancers()).into_iter().map(balancer).collect();
            document(call, json!({"LoadBalancers": found}))
        }
        AwsCall::DescribeTargetGroups => {
            let found: Vec<TargetGroup> = list!(call, client.describe_target_groups()).into_iter().map(group).collect();
            document(call, json!({"TargetGroups": found}))
        }
        AwsCall::DescribeTargetHealth { group } => {
            let request = client.describe_target_health().target_group_arn(group);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            let found = answer.target_health_descriptions.unwrap_or_default();
            let found: Vec<TargetHealth> = found.into_iter().map(health).collect();
            document(call, json!({"TargetHealthDescriptions": found}))
        }
        _ => unreachable!("only calls of load balancers are sent here: {call:?}"),
    }
}

fn balancer(found: types::LoadBalancer) -> LoadBalancer {
    LoadBalancer {
        load_balancer_arn: found.load_balancer_arn.unwrap_or_default(),
        load_balancer_name: found.load_balancer_name.unwrap_or_default(),
        dns_name: found.dns_name.unwrap_or_default(),
        scheme: found.scheme.map(|s| s.as_str().to_owned()).unwrap_or_default(),
        kind: found.r#type.map(|t| t.as_str().to_owned()).unwrap_or_default(),
        vpc_id: found.vpc_id.unwrap_or_default(),
        state: found.state.map(|s| LoadBalancerState {
            code: s.code.map(|c| c.as_str().to_owned()).unwrap_or_default(),
            reason: s.reason,
        }),
        security_groups: found.security_groups.unwrap_or_default(),
    }
}

fn group(found: types::TargetGroup) -> TargetGroup {
    TargetGroup {
        target_group_arn: found.target_group_arn.unwrap_or_default(),
        target_group_name: found.target_group_name.unwrap_or_default(),
        protocol: found.protocol.map(|p| p.as_str().to_owned()).unwrap_or_default(),
        port: found.port.and_then(port),
        vpc_id: found.vpc_id.unwrap_or_default(),
        target_type: found.target_type.map(|t| t.as_str().to_owned()).unwrap_or_default(),
        health_check_protocol: found.health_check_protocol.map(|p| p.as_str().to_owned()).unwrap_or_default(),
        health_check_port: found.health_check_port.unwrap_or_default(),
        health_check_path: found.health_check_path,
        matcher: found.matcher.map(|m| HealthMatcher { http_code: m.http_code }),
        load_balancer_arns: found.load_balancer_arns.unwrap_or_default(),
        health: None,
    }
}

fn health(found: TargetHealthDescription) -> TargetHealth {
    let target = found.target.map(|t| TargetId { id: t.id.unwrap_or_default(), port: t.port.and_then(port) });
    let state = found.target_health.map(|h| TargetState {
        state: h.state.map(|s| s.as_str().to_owned()).unwrap_or_default(),
        reason: h.reason.map(|r| r.as_str().to_owned()),
        description: h.description,
    });
    TargetHealth { target: target.unwrap_or_default(), target_health: state.unwrap_or_default() }
}

fn port(number: i32) -> Option<u16> {
    u16::try_from(number).ok()
}
