//! What is asked of a source, and where a bundle keeps the answer.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::domain::kubernetes::proxy;
use crate::snapshot::Component;
use crate::snapshot::aws::Updated;
use crate::text::digest;

/// What a file name in a bundle cannot hold.
const IN_NAME: &AsciiSet = &CONTROLS.add(b' ').add(b'/').add(b'\\').add(b'%');

/// What an expression keeps in a file name: RFC 3986's unreserved characters.
const EXPRESSION: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Bytes of a file name, with room for `.error.json`: file systems have 255.
const MAX_NAME: usize = 230;

/// An application of the stack that has an HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum App {
    /// Prometheus.
    Prometheus,
    /// Alertmanager.
    Alertmanager,
    /// Grafana.
    Grafana,
}

impl App {
    /// Folder in a bundle, and the word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::Grafana => "grafana",
        }
    }
}

/// One read-only AWS call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants are the AWS operations of the same name, fields their parameters")]
pub enum AwsCall {
    GetCallerIdentity,
    DescribeCluster { name: String },
    ListAddons { cluster: String },
    DescribeAddon { cluster: String, name: String },
    ListNodegroups { cluster: String },
    DescribeNodegroup { cluster: String, name: String },
    ListUpdates { cluster: String, of: Updated },
    DescribeUpdate { cluster: String, of: Updated, id: String },
    ListFargateProfiles { cluster: String },
    DescribeFargateProfile { cluster: String, name: String },
    ListAccessEntries { cluster: String },
    ListPodIdentityAssociations { cluster: String },
    DescribePodIdentityAssociation { cluster: String, id: String },
    ListOpenIdConnectProviders,
    GetOpenIdConnectProvider { arn: String },
    GetRole { name: String },
    ListAttachedRolePolicies { role: String },
    ListRolePolicies { role: String },
    GetRolePolicy { role: String, policy: String },
    GetPolicy { arn: String },
    GetPolicyVersion { arn: String, version: String },
    DescribeSubnets { vpc: String },
    DescribeRouteTables { vpc: String },
    DescribeNatGateways { vpc: String },
    DescribeInternetGateways { vpc: String },
    DescribeNetworkAcls { vpc: String },
    DescribeSecurityGroups { vpc: String },
    DescribeInstances { vpc: String },
    DescribeVpcEndpoints { vpc: String },
    DescribeVpcs { vpc: String },
    DescribeAddresses,
    DescribeLoadBalancers,
    DescribeTargetGroups,
    DescribeTargetHealth { group: String },
    DescribeCertificate { arn: String },
}

impl AwsCall {
    /// Service and operation as the AWS CLI spells them.
    pub fn cli_name(&self) -> (&'static str, &'static str) {
        match self {
            Self::GetCallerIdentity => ("sts", "get-caller-identity"),
            Self::DescribeCluster { .. } => ("eks", "describe-cluster"),
            Self::ListAddons { .. } => ("eks", "list-addons"),
            Self::DescribeAddon { .. } => ("eks", "describe-addon"),
            Self::ListNodegroups { .. } => ("eks", "list-nodegroups"),
            Self::DescribeNodegroup { .. } => ("eks", "describe-nodegroup"),
            Self::ListUpdates { .. } => ("eks", "list-updates"),
            Self::DescribeUpdate { .. } => ("eks", "describe-update"),
            Self::ListFargateProfiles { .. } => ("eks", "list-fargate-profiles"),
            Self::DescribeFargateProfile { .. } => ("eks", "describe-fargate-profile"),
            Self::ListAccessEntries { .. } => ("eks", "list-access-entries"),
            Self::ListPodIdentityAssociations { .. } => ("eks", "list-pod-identity-associations"),
            Self::DescribePodIdentityAssociation { .. } => ("eks", "describe-pod-identity-association"),
            Self::ListOpenIdConnectProviders => ("iam", "list-open-id-connect-providers"),
            Self::GetOpenIdConnectProvider { .. } => ("iam", "get-open-id-connect-provider"),
            Self::GetRole { .. } => ("iam", "get-role"),
            Self::ListAttachedRolePolicies { .. } => ("iam", "list-attached-role-policies"),
            Self::ListRolePolicies { .. } => ("iam", "list-role-policies"),
            Self::GetRolePolicy { .. } => ("iam", "get-role-policy"),
            Self::GetPolicy { .. } => ("iam", "get-policy"),
            Self::GetPolicyVersion { .. } => ("iam", "get-policy-version"),
            Self::DescribeSubnets { .. } => ("ec2", "describe-subnets"),
            Self::DescribeRouteTables { .. } => ("ec2", "describe-route-tables"),
            Self::DescribeNatGateways { .. } => ("ec2", "describe-nat-gateways"),
            Self::DescribeInternetGateways { .. } => ("ec2", "describe-internet-gateways"),
            Self::DescribeNetworkAcls { .. } => ("ec2", "describe-network-acls"),
            Self::DescribeSecurityGroups { .. } => ("ec2", "describe-security-groups"),
            Self::DescribeInstances { .. } => ("ec2", "describe-instances"),
            Self::DescribeVpcEndpoints { .. } => ("ec2", "describe-vpc-endpoints"),
            Self::DescribeVpcs { .. } => ("ec2", "describe-vpcs"),
            Self::DescribeAddresses => ("ec2", "describe-addresses"),
            Self::DescribeLoadBalancers => ("elbv2", "describe-load-balancers"),
            Self::DescribeTargetGroups => ("elbv2", "describe-target-groups"),
            Self::DescribeTargetHealth { .. } => ("elbv2", "describe-target-health"),
            Self::DescribeCertificate { .. } => ("acm", "describe-certificate"),
        }
    }

    /// IAM action that allows it, e.g. `ec2:DescribeSubnets`.
    pub fn iam_action(&self) -> String {
        let (service, operation) = self.cli_name();
        let operation: String = operation
            .split('-')
            .map(|word| match word {
                // IAM spells this one in capitals.
                "id" if operation.contains("open-id-connect") => "ID".to_owned(),
                _ => {
                    let mut letters = word.chars();
                    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
                }
            })
            .collect();
        // IAM knows both generations of load balancers by one name.
        let service = if service == "elbv2" { "elasticloadbalancing" } else { service };
        format!("{service}:{operation}")
    }

    /// What tells two calls of one operation apart in a bundle.
    fn bundle_key(&self) -> Option<String> {
        match self {
            Self::DescribeAddon { name, .. }
            | Self::DescribeNodegroup { name, .. }
            | Self::DescribeFargateProfile { name, .. }
            | Self::GetRole { name } => Some(name.clone()),
            Self::DescribeTargetHealth { group } => Some(group.clone()),
            Self::DescribePodIdentityAssociation { id, .. } | Self::DescribeUpdate { id, .. } => Some(id.clone()),
            Self::ListUpdates { of: Updated::Addon(name), .. } => Some(format!("addon.{name}")),
            Self::ListUpdates { of: Updated::Nodegroup(name), .. } => Some(format!("nodegroup.{name}")),
            Self::GetOpenIdConnectProvider { arn } => {
                Some(arn.split_once("oidc-provider/").map_or(arn.as_str(), |(_, url)| url).to_owned())
            }
            Self::ListAttachedRolePolicies { role } | Self::ListRolePolicies { role } => Some(role.clone()),
            Self::GetRolePolicy { role, policy } => Some(format!("{role}.{policy}")),
            Self::GetPolicy { arn } | Self::DescribeCertificate { arn } => Some(arn.clone()),
            Self::GetPolicyVersion { arn, version } => Some(format!("{arn}.{version}")),
            _ => None,
        }
    }
}

/// One read of something outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `GET` of a list or object of the Kubernetes API; `query` without the question mark.
    Kubernetes {
        /// `/api/v1/nodes`.
        path: String,
        /// `limit=500&continue=…`.
        query: String,
        /// Only `metadata` of each object is wanted.
        metadata_only: bool,
    },
    /// The end of a container's log.
    Log {
        /// Namespace.
        namespace: String,
        /// Pod.
        pod: String,
        /// Container.
        container: String,
        /// Of the container before its last restart.
        previous: bool,
    },
    /// An AWS call.
    Aws(AwsCall),
    /// A `GET` of an application of the stack.
    App {
        /// Which one.
        app: App,
        /// Where it was found; `None` if only a URL given by the user can reach it.
        at: Option<Component>,
        /// `/api/v1/targets`.
        path: String,
        /// `state=active`.
        query: String,
    },
    /// A command in a container, with what it prints. Only sent for an active probe that was allowed.
    Exec {
        /// Namespace.
        namespace: String,
        /// Pod.
        pod: String,
        /// Container.
        container: String,
        /// Program and arguments; no shell reads them.
        command: Vec<String>,
    },
    /// A port-forward to a pod and a `GET /` through it. Only sent for an active probe that was allowed.
    PortForward {
        /// Namespace.
        namespace: String,
        /// Pod.
        pod: String,
        /// Port of the container.
        port: u16,
    },
    /// A `GET` of a Service through the API server, to see what a scrape URL answers.
    Service {
        /// Namespace.
        namespace: String,
        /// Service.
        service: String,
        /// `http` or `https`.
        scheme: String,
        /// Port.
        port: u16,
        /// Path with its query.
        path: String,
    },
}

impl Request {
    /// A list or object of the Kubernetes API.
    pub fn kubernetes(path: impl Into<String>) -> Self {
        Self::Kubernetes { path: path.into(), query: String::new(), metadata_only: false }
    }

    /// Asks for what changes of a list, not for the list.
    pub(crate) fn is_watch(&self) -> bool {
        matches!(self, Self::Kubernetes { query, .. } if query.split('&').any(|pair| pair == "watch=1"))
    }

    /// What it is called in progress lines and gaps.
    pub fn label(&self) -> String {
        match self {
            Self::Kubernetes { path, .. } if self.is_watch() => format!("changes of {path}"),
            Self::Kubernetes { path, .. } => format!("GET {path}"),
            Self::Log { namespace, pod, container, previous } => {
                let which = if *previous { "previous log" } else { "log" };
                format!("{which} of {namespace}/{pod} container {container}")
            }
            Self::Aws(call) => call.iam_action(),
            Self::App { app, path, .. } => format!("{} {path}", app.as_str()),
            Self::Exec { namespace, pod, command, .. } => format!("exec {} in {namespace}/{pod}", command.join(" ")),
            Self::PortForward { namespace, pod, port } => format!("port-forward {port} of {namespace}/{pod}"),
            Self::Service { namespace, service, path, .. } => format!("GET {path} of service {namespace}/{service}"),
        }
    }

    /// Its place in a bundle, without the `.json`: where it is read, and where a capture writes it.
    pub fn bundle_path(&self) -> String {
        file_path(&self.whole_path())
    }

    /// The same before it is made one that every file system holds.
    pub(crate) fn whole_path(&self) -> String {
        match self {
            Self::Kubernetes { path, query, metadata_only } => {
                let of = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
                let metadata = if *metadata_only { ".metadata" } else { "" };
                let selected = of("labelSelector").map(|selector| format!(".{selector}")).unwrap_or_default();
                // What comes after the first page; a bundle keeps only why it did not come.
                let rest = if of("continue").is_some() { ".rest" } else { "" };
                format!("kubernetes{path}{metadata}{selected}{rest}")
            }
            Self::Log { namespace, pod, container, previous } => {
                let suffix = if *previous { ".previous" } else { "" };
                format!("kubernetes/api/v1/namespaces/{namespace}/pods/{pod}/log/{container}{suffix}.log")
            }
            Self::Aws(call) => {
                let (service, operation) = call.cli_name();
                match call.bundle_key() {
                    // One key is one file name.
                    Some(key) => format!("aws/{service}/{operation}.{}", key.replace(['/', '\\'], "_")),
                    None => format!("aws/{service}/{operation}"),
                }
            }
            // Instant queries: one file per expression.
            Self::App { app: App::Prometheus, path, query, .. } if path == "/api/v1/query" => {
                let expression = query.strip_prefix("query=").unwrap_or(query);
                let expression = percent_decode_str(expression).decode_utf8_lossy();
                format!("prometheus{path}/{}", utf8_percent_encode(&expression, EXPRESSION))
            }
            // What was dropped is an answer of its own.
            Self::App { app: App::Prometheus, path, query, .. }
                if path == "/api/v1/targets" && query.split('&').any(|pair| pair == "state=dropped") =>
            {
                format!("prometheus{path}.dropped")
            }
            Self::App { app, path, .. } => format!("{}{path}", app.as_str()),
            Self::Exec { namespace, pod, container, command } => {
                // One command is one file name.
                let command = command.join(" ");
                let command = utf8_percent_encode(&command, IN_NAME);
                format!("kubernetes/api/v1/namespaces/{namespace}/pods/{pod}/exec/{container}.{command}")
            }
            Self::PortForward { namespace, pod, port } => {
                format!("kubernetes/api/v1/namespaces/{namespace}/pods/{pod}/portforward/{port}")
            }
            Self::Service { namespace, service, scheme, port, path } => {
                format!("kubernetes{}", proxy::of_service(namespace, scheme, service, *port, path))
            }
        }
    }
}

/// A path that every file system and archive can hold: no empty part but the last, none that leads upwards, none that is
/// too long for a file name.
pub(crate) fn file_path(path: &str) -> String {
    let (folder, last) = path.rsplit_once('/').unwrap_or(("", path));
    let parts = folder.split('/').filter(|part| !part.is_empty()).chain([last]);
    parts.map(file_name).collect::<Vec<_>>().join("/")
}

fn file_name(part: &str) -> Cow<'_, str> {
    if part.len() > MAX_NAME {
        let mut end = MAX_NAME - 20;
        while !part.is_char_boundary(end) {
            end -= 1;
        }
        return format!("{}~{}", &part[..end], digest::short(part)).into();
    }
    match part {
        "." | ".." => part.replace('.', "%2E").into(),
        part => part.into(),
    }
}
