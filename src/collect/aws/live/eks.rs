//! EKS: the cluster, its add-ons, node groups, Fargate profiles and pod identities.

use aws_sdk_eks::Client;
use aws_sdk_eks::types;
use serde_json::{Value, json};

use super::{document, explain, required};
use crate::collect::source::{AwsCall, FetchError};
use crate::snapshot::aws::{
    AccessConfig, Addon, AddonHealth, AutoScalingGroup, Cluster, ClusterIdentity, ComputeConfig, FargateProfile,
    FargateSelector, HealthIssue, KubernetesNetworkConfig, LaunchTemplate, Nodegroup, NodegroupResources,
    NodegroupTaint, Oidc, PodIdentityAssociation, ScalingConfig, StorageConfig, Update, UpdateError, UpdateParam,
    Updated, VpcConfig,
};

/// Joins the pages of a list. EKS sends the list even where it is empty, so a page without one is not from EKS.
macro_rules! json_list {
    ($call:expr, $request:expr, $field:ident, $name:literal) => {{
        let mut pages = $request.into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| explain($call, &e))?;
            items.extend(required($call, $name, page.$field)?);
        }
        items
    }};
}

pub(super) async fn send(client: &Client, call: &AwsCall) -> Result<Value, FetchError> {
    match call {
        AwsCall::ListAddons { cluster } => {
            let request = client.list_addons().cluster_name(cluster);
            document(call, json!({"addons": json_list!(call, request, addons, "addons")}))
        }
        AwsCall::ListNodegroups { cluster } => {
            let request = client.list_nodegroups().cluster_name(cluster);
            document(call, json!({"nodegroups": json_list!(call, request, nodegroups, "nodegroups")}))
        }
        AwsCall::ListFargateProfiles { cluster } => {
            let request = client.list_fargate_profiles().cluster_name(cluster);
            let names = json_list!(call, request, fargate_profile_names, "fargateProfileNames");
            document(call, json!({"fargateProfileNames": names}))
        }
        AwsCall::ListUpdates { cluster, of } => {
            let (addon, group) = names(of);
            let request = client.list_updates().name(cluster).set_addon_name(addon).set_nodegroup_name(group);
            document(call, json!({"updateIds": json_list!(call, request, update_ids, "updateIds")}))
        }
        AwsCall::ListAccessEntries { cluster } => {
            let request = client.list_access_entries().cluster_name(cluster);
            document(call, json!({"accessEntries": json_list!(call, request, access_entries, "accessEntries")}))
        }
        AwsCall::ListPodIdentityAssociations { cluster } => {
            let request = client.list_pod_identity_associations().cluster_name(cluster);
            let found = json_list!(call, request, associations, "associations");
            let found: Vec<_> = found.into_iter().map(association_summary).collect();
            document(call, json!({"associations": found}))
        }
        _ => describe(client, call).await,
    }
}

async fn describe(client: &Client, call: &AwsCall) -> Result<Value, FetchError> {
    match call {
        AwsCall::DescribeCluster { name } => {
            let answer = client.describe_cluster().name(name).send().await.map_err(|e| explain(call, &e))?;
            document(call, json!({"cluster": cluster(required(call, "cluster", answer.cluster)?)}))
        }
        AwsCall::DescribeAddon { cluster, name } => {
            let request = client.describe_addon().cluster_name(cluster).addon_name(name);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            document(call, json!({"addon": addon(required(call, "addon", answer.addon)?)}))
        }
        AwsCall::DescribeNodegroup { cluster, name } => {
            let request = client.describe_nodegroup().cluster_name(cluster).nodegroup_name(name);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            document(call, json!({"nodegroup": nodegroup(required(call, "nodegroup", answer.nodegroup)?)}))
        }
        AwsCall::DescribeUpdate { cluster, of, id } => {
            let (addon, group) = names(of);
            let request = client.describe_update().name(cluster).update_id(id);
            let request = request.set_addon_name(addon).set_nodegroup_name(group);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            document(call, json!({"update": update(required(call, "update", answer.update)?)}))
        }
        AwsCall::DescribeFargateProfile { cluster, name } => {
            let request = client.describe_fargate_profile().cluster_name(cluster).fargate_profile_name(name);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            let profile = required(call, "fargateProfile", answer.fargate_profile)?;
            document(call, json!({"fargateProfile": fargate_profile(profile)}))
        }
        AwsCall::DescribePodIdentityAssociation { cluster, id } => {
            let request = client.describe_pod_identity_association().cluster_name(cluster).association_id(id);
            let answer = request.send().await.map_err(|e| explain(call, &e))?;
            document(call, json!({"association": association(required(call, "association", answer.association)?)}))
        }
        _ => unreachable!("only EKS calls are sent here: {call:?}"),
    }
}

/// The parameters for an add-on and for a node group.
fn names(of: &Updated) -> (Option<String>, Option<String>) {
    match of {
        Updated::Addon(name) => (Some(name.clone()), None),
        Updated::Nodegroup(name) => (None, Some(name.clone())),
    }
}

fn update(u: types::Update) -> Update {
    let param = |p: types::UpdateParam| UpdateParam {
        kind: p.r#type.map_or(String::new(), |t| t.as_str().to_owned()),
        value: p.value.unwrap_or_default(),
    };
    let error = |e: types::ErrorDetail| UpdateError {
        error_code: e.error_code.map_or(String::new(), |c| c.as_str().to_owned()),
        error_message: e.error_message.unwrap_or_default(),
    };
    Update {
        of: None,
        id: u.id.unwrap_or_default(),
        status: u.status.map_or(String::new(), |s| s.as_str().to_owned()),
        kind: u.r#type.map_or(String::new(), |t| t.as_str().to_owned()),
        params: u.params.unwrap_or_default().into_iter().map(param).collect(),
        created_at: u.created_at.map(|t| t.to_string()),
        errors: u.errors.unwrap_or_default().into_iter().map(error).collect(),
    }
}

fn fargate_profile(p: types::FargateProfile) -> FargateProfile {
    let selector = |s: types::FargateProfileSelector| FargateSelector {
        namespace: s.namespace.unwrap_or_default(),
        labels: s.labels.unwrap_or_default().into_iter().collect(),
    };
    FargateProfile {
        fargate_profile_name: p.fargate_profile_name.unwrap_or_default(),
        status: p.status.map_or(String::new(), |s| s.as_str().to_owned()),
        pod_execution_role_arn: p.pod_execution_role_arn.unwrap_or_default(),
        subnets: p.subnets.unwrap_or_default(),
        selectors: p.selectors.unwrap_or_default().into_iter().map(selector).collect(),
    }
}

fn cluster(c: types::Cluster) -> Cluster {
    let issue = |i: types::ClusterIssue| health_issue(i.code.as_ref().map(|c| c.as_str()), i.message, i.resource_ids);
    let issues = c.health.and_then(|h| h.issues).unwrap_or_default();
    Cluster {
        name: c.name.unwrap_or_default(),
        arn: c.arn.unwrap_or_default(),
        version: c.version.unwrap_or_default(),
        status: c.status.map_or(String::new(), |s| s.as_str().to_owned()),
        endpoint: c.endpoint.unwrap_or_default(),
        identity: ClusterIdentity {
            oidc: Oidc { issuer: c.identity.and_then(|i| i.oidc).and_then(|o| o.issuer).unwrap_or_default() },
        },
        resources_vpc_config: c.resources_vpc_config.map(vpc_config).unwrap_or_default(),
        kubernetes_network_config: KubernetesNetworkConfig {
            ip_family: c
                .kubernetes_network_config
                .and_then(|n| n.ip_family)
                .map_or(String::new(), |f| f.as_str().to_owned()),
        },
        compute_config: c.compute_config.map(|c| ComputeConfig {
            enabled: c.enabled,
            node_pools: c.node_pools.unwrap_or_default(),
            node_role_arn: c.node_role_arn,
        }),
        storage_config: c.storage_config.map(|s| StorageConfig {
            block_storage: ComputeConfig {
                enabled: s.block_storage.and_then(|b| b.enabled),
                ..ComputeConfig::default()
            },
        }),
        access_config: AccessConfig {
            authentication_mode: c
                .access_config
                .and_then(|a| a.authentication_mode)
                .map_or(String::new(), |m| m.as_str().to_owned()),
        },
        role_arn: c.role_arn.unwrap_or_default(),
        health: AddonHealth { issues: issues.into_iter().map(issue).collect() },
    }
}

fn vpc_config(v: types::VpcConfigResponse) -> VpcConfig {
    VpcConfig {
        vpc_id: v.vpc_id.unwrap_or_default(),
        subnet_ids: v.subnet_ids.unwrap_or_default(),
        security_group_ids: v.security_group_ids.unwrap_or_default(),
        cluster_security_group_id: v.cluster_security_group_id.unwrap_or_default(),
        endpoint_public_access: Some(v.endpoint_public_access),
        endpoint_private_access: Some(v.endpoint_private_access),
        public_access_cidrs: v.public_access_cidrs.unwrap_or_default(),
    }
}

/// Clusters, add-ons and node groups report their health alike, in types of their own.
fn health_issue(code: Option<&str>, message: Option<String>, resource_ids: Option<Vec<String>>) -> HealthIssue {
    HealthIssue {
        code: code.unwrap_or_default().to_owned(),
        message: message.unwrap_or_default(),
        resource_ids: resource_ids.unwrap_or_default(),
    }
}

fn addon(a: types::Addon) -> Addon {
    let issue = |i: types::AddonIssue| health_issue(i.code.as_ref().map(|c| c.as_str()), i.message, i.resource_ids);
    let issues = a.health.and_then(|h| h.issues).unwrap_or_default();
    Addon {
        addon_name: a.addon_name.unwrap_or_default(),
        status: a.status.map_or(String::new(), |s| s.as_str().to_owned()),
        addon_version: a.addon_version.unwrap_or_default(),
        addon_arn: a.addon_arn.unwrap_or_default(),
        modified_at: a.modified_at.map(|t| t.to_string()),
        service_account_role_arn: a.service_account_role_arn,
        health: AddonHealth { issues: issues.into_iter().map(issue).collect() },
        pod_identity_associations: a.pod_identity_associations.unwrap_or_default(),
        configuration_values: a.configuration_values,
    }
}

fn nodegroup(n: types::Nodegroup) -> Nodegroup {
    let issue = |i: types::Issue| health_issue(i.code.as_ref().map(|c| c.as_str()), i.message, i.resource_ids);
    let issues = n.health.and_then(|h| h.issues).unwrap_or_default();
    Nodegroup {
        nodegroup_name: n.nodegroup_name.unwrap_or_default(),
        status: n.status.map_or(String::new(), |s| s.as_str().to_owned()),
        nodegroup_arn: n.nodegroup_arn.unwrap_or_default(),
        version: n.version.unwrap_or_default(),
        release_version: n.release_version.unwrap_or_default(),
        subnets: n.subnets.unwrap_or_default(),
        node_role: n.node_role.unwrap_or_default(),
        instance_types: n.instance_types.unwrap_or_default(),
        ami_type: n.ami_type.map_or(String::new(), |t| t.as_str().to_owned()),
        capacity_type: n.capacity_type.map_or(String::new(), |t| t.as_str().to_owned()),
        disk_size: n.disk_size,
        modified_at: n.modified_at.map(|t| t.to_string()),
        labels: n.labels.unwrap_or_default().into_iter().collect(),
        taints: n.taints.unwrap_or_default().into_iter().map(taint).collect(),
        launch_template: n.launch_template.map(launch_template),
        resources: NodegroupResources { auto_scaling_groups: scaling_groups(n.resources) },
        tags: n.tags.unwrap_or_default().into_iter().collect(),
        health: AddonHealth { issues: issues.into_iter().map(issue).collect() },
        scaling_config: n.scaling_config.map(scaling).unwrap_or_default(),
    }
}

fn taint(t: types::Taint) -> NodegroupTaint {
    NodegroupTaint {
        key: t.key.unwrap_or_default(),
        value: t.value,
        effect: t.effect.map_or(String::new(), |e| e.as_str().to_owned()),
    }
}

fn launch_template(t: types::LaunchTemplateSpecification) -> LaunchTemplate {
    LaunchTemplate {
        name: t.name.unwrap_or_default(),
        id: t.id.unwrap_or_default(),
        version: t.version.unwrap_or_default(),
    }
}

fn scaling_groups(r: Option<types::NodegroupResources>) -> Vec<AutoScalingGroup> {
    let groups = r.and_then(|r| r.auto_scaling_groups).unwrap_or_default();
    groups.into_iter().map(|g| AutoScalingGroup { name: g.name.unwrap_or_default() }).collect()
}

fn scaling(s: types::NodegroupScalingConfig) -> ScalingConfig {
    ScalingConfig { min_size: s.min_size, max_size: s.max_size, desired_size: s.desired_size }
}

fn association_summary(a: types::PodIdentityAssociationSummary) -> PodIdentityAssociation {
    PodIdentityAssociation {
        cluster_name: a.cluster_name.unwrap_or_default(),
        namespace: a.namespace.unwrap_or_default(),
        service_account: a.service_account.unwrap_or_default(),
        association_arn: a.association_arn.unwrap_or_default(),
        association_id: a.association_id.unwrap_or_default(),
        // The list does not tell; only the description does.
        role_arn: None,
    }
}

fn association(a: types::PodIdentityAssociation) -> PodIdentityAssociation {
    PodIdentityAssociation {
        cluster_name: a.cluster_name.unwrap_or_default(),
        namespace: a.namespace.unwrap_or_default(),
        service_account: a.service_account.unwrap_or_default(),
        association_arn: a.association_arn.unwrap_or_default(),
        association_id: a.association_id.unwrap_or_default(),
        role_arn: a.role_arn,
    }
}
