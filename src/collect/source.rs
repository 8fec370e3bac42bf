//! Where facts come from: one interface for the live cluster and for a bundle on disk.
//!
//! A source answers requests with documents in the shape the outside uses (Kubernetes API answers, AWS CLI output,
//! Prometheus API answers). Everything after that is the same code, so a bundle gives the same report as the cluster
//! that it was captured from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

use crate::domain::kubernetes::proxy;
use crate::model::{Gap, GapCause};
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
            Self::GetPolicy { arn } => Some(arn.clone()),
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

/// Why a request got no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The other side knows the operation and says that the thing does not exist.
    NotFound(String),
    /// The continue token of a list is too old (410): start again.
    Expired(String),
    /// Nothing could be seen.
    Gap(Gap),
}

impl FetchError {
    /// As a gap: for things that must exist.
    pub fn into_gap(self, what: &str) -> Gap {
        match self {
            Self::Gap(gap) => gap,
            Self::NotFound(message) => Gap::new(what, GapCause::BadAnswer, format!("not found: {message}")),
            Self::Expired(message) => Gap::new(what, GapCause::Truncated, message),
        }
    }
}

/// A cluster, or a bundle of one.
#[async_trait]
pub trait Source: Send + Sync {
    /// Answers one request. The caller sets the deadline.
    ///
    /// # Errors
    /// See [`FetchError`].
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError>;

    /// True if the list at `path` (cluster-wide) is at hand as a whole, so that reading it per namespace only costs.
    fn has_whole_list(&self, _path: &str) -> bool {
        false
    }

    /// False where the list of which a request asks for a page comes whole, whatever its `metadata.continue` says.
    fn has_pages(&self, _request: &Request) -> bool {
        true
    }

    /// Names and texts of the manifests that were captured with the answers.
    fn manifests(&self) -> Vec<(String, std::io::Result<Vec<u8>>)> {
        Vec::new()
    }

    /// Longest time that one call may take.
    fn deadline(&self) -> Duration;

    /// What is known of the cluster before anything is asked: from the kubeconfig, flags or the bundle's header.
    fn known(&self) -> Known;
}

/// What is known of the cluster before anything is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// kubeconfig context.
    pub context: Option<String>,
    /// EKS cluster name.
    pub cluster: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// AWS profile of the kubeconfig.
    pub profile: Option<String>,
    /// AWS account id.
    pub account: Option<String>,
    /// Host of the API server.
    pub server: Option<String>,
    /// The API server's URL: by it clusters are told apart.
    pub endpoint: Option<String>,
    /// The kubeconfig or the bundle's header says that this is EKS (`Some(true)`) or that it is not.
    pub is_eks: Option<bool>,
    /// URLs that the user gave for parts of the stack, without their passwords.
    pub urls: BTreeMap<&'static str, String>,
    /// Why AWS cannot be asked, if that is known at once (built without it, no credentials configured).
    pub aws_unavailable: Option<String>,
}

/// Reads an error document: a Kubernetes Status, or `{code, message}` of a bundle's `.error.json`.
pub(crate) fn error_from_document(request: &Request, document: &Value) -> FetchError {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let message = text("message").to_owned();
    // Written by hand, a number may be a text.
    let as_number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let number = |key: &str| document.get(key).and_then(as_number);
    let reason = [text("reason"), text("code")].into_iter().find(|r| !r.is_empty()).unwrap_or_default();
    let status = number("code").or_else(|| number("status")).or_else(|| number("statusCode"));
    if let Some(error) = captured_error(request, document) {
        return error;
    }
    match request {
        Request::Aws(call) => aws_error(call, if reason.is_empty() { code_of(status) } else { reason }, &message),
        _ => http_error(request, status.and_then(|s| u16::try_from(s).ok()).unwrap_or(0), reason, &message),
    }
}

/// The code that a status alone stands for. That something does not exist is never told by a status: a proxy or a wrong
/// endpoint says 404 as well.
fn code_of(status: Option<u64>) -> &'static str {
    match status {
        Some(401) => "UnrecognizedClientException",
        Some(403) => "AccessDenied",
        Some(429) => "Throttling",
        _ => "",
    }
}

/// An error as a capture keeps it; [`error_from_document`] reads it.
pub(crate) fn error_document(request: &Request, error: &FetchError) -> Value {
    let gap = match error {
        FetchError::NotFound(message) => return json!({"cause": "not-found", "message": message}),
        FetchError::Expired(message) => return json!({"cause": "expired", "message": message}),
        FetchError::Gap(gap) => gap,
    };
    let mut document = json!({"cause": gap.cause.as_str(), "message": gap.message});
    if let GapCause::Forbidden { permission } = &gap.cause {
        document["permission"] = permission.as_str().into();
    }
    if !gap.hint.is_empty() {
        document["hint"] = gap.hint.as_str().into();
    }
    if gap.what != request.label() {
        document["what"] = gap.what.as_str().into();
    }
    document
}

/// `{cause, message, hint}`.
fn captured_error(request: &Request, document: &Value) -> Option<FetchError> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let message = text("message").unwrap_or_default().to_owned();
    let cause = match text("cause")? {
        "not-found" => return Some(FetchError::NotFound(message)),
        "expired" => return Some(FetchError::Expired(message)),
        "forbidden" => {
            GapCause::Forbidden { permission: text("permission").map_or_else(|| permission_of(request), str::to_owned) }
        }
        word => GapCause::of_word(word)?,
    };
    let what = text("what").map_or_else(|| request.label(), str::to_owned);
    Some(FetchError::Gap(Gap::new(what, cause, message).hint(text("hint").unwrap_or_default())))
}

/// An AWS error by its code, as the services name them.
pub(crate) fn aws_error(call: &AwsCall, code: &str, message: &str) -> FetchError {
    let what = call.iam_action();
    let told = if code.is_empty() { message.to_owned() } else { format!("{code}: {message}") };
    match code {
        "ResourceNotFoundException" | "NoSuchEntity" | "NoSuchEntityException" => FetchError::NotFound(message.into()),
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "Client.UnauthorizedOperation" => {
            let hint = format!("allow {what} for the identity that runs kdoctor");
            FetchError::Gap(Gap::new(&what, GapCause::Forbidden { permission: what.clone() }, message).hint(hint))
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException" => FetchError::Gap(
            Gap::new(&what, GapCause::Unauthorized, told)
                .hint("log in again (aws sso login, or refresh the credentials of the profile)"),
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            FetchError::Gap(Gap::new(&what, GapCause::Throttled, told).hint("run it again later"))
        }
        _ => FetchError::Gap(Gap::new(&what, GapCause::BadAnswer, told)),
    }
}

/// An HTTP error by its status.
pub(crate) fn http_error(request: &Request, status: u16, reason: &str, message: &str) -> FetchError {
    let what = request.label();
    let one_line = message.lines().next().unwrap_or_default().chars().take(300).collect::<String>();
    let gap = |cause, hint: &str| FetchError::Gap(Gap::new(&what, cause, one_line.clone()).hint(hint));
    // Without a reason it is Grafana that speaks, not the API server.
    if matches!(request, Request::App { app: App::Grafana, .. }) && matches!((status, reason), (401 | 403, "")) {
        return gap(
            GapCause::NotConfigured,
            "set KDOCTOR_GRAFANA_TOKEN, or give --grafana-token, with that of a service account of role Admin",
        );
    }
    match (status, reason) {
        (404, _) | (0, "NotFound") => FetchError::NotFound(one_line),
        (410, _) | (0, "Expired" | "Gone") => FetchError::Expired(one_line),
        (403, _) | (0, "Forbidden") => {
            let permission = permission_of(request);
            let hint = format!("grant {permission} to the identity that runs kdoctor");
            gap(GapCause::Forbidden { permission }, &hint)
        }
        (401, _) | (0, "Unauthorized") => {
            gap(GapCause::Unauthorized, "the credentials were refused: log in again, or choose another --context")
        }
        (429, _) | (0, "TooManyRequests") => {
            gap(GapCause::Throttled, "the API server is overloaded: run it again later")
        }
        (504, _) | (0, "Timeout") => gap(GapCause::Timeout, "raise --timeout"),
        (502 | 503, _) => gap(GapCause::Unreachable, ""),
        _ if status > 0 => {
            let message = format!("HTTP {status}: {one_line}");
            FetchError::Gap(Gap::new(&what, GapCause::BadAnswer, message))
        }
        _ => FetchError::Gap(Gap::new(&what, GapCause::BadAnswer, one_line)),
    }
}

/// The RBAC permission that a request takes, in words: `list pods in namespace monitoring`.
fn permission_of(request: &Request) -> String {
    let in_namespace = |ns: &str| format!(" in namespace {ns}");
    match request {
        Request::Kubernetes { path, .. } => {
            let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
            let (group, rest) = match parts.as_slice() {
                ["api", _, rest @ ..] => ("", rest),
                ["apis", group, _, rest @ ..] => (*group, rest),
                other => ("", other),
            };
            let (place, rest) = match rest {
                ["namespaces", ns, rest @ ..] if !rest.is_empty() => (in_namespace(ns), rest),
                rest => (" at cluster scope".to_owned(), rest),
            };
            let resource = rest.first().copied().unwrap_or("?");
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let verb = if rest.len() > 1 { "get" } else { "list" };
            format!("{verb} {resource}{group}{place}")
        }
        Request::Log { namespace, .. } => format!("get pods/log{}", in_namespace(namespace)),
        Request::Exec { namespace, .. } => format!("create pods/exec{}", in_namespace(namespace)),
        Request::PortForward { namespace, .. } => format!("create pods/portforward{}", in_namespace(namespace)),
        Request::App { at: Some(at), .. } => format!("get services/proxy{}", in_namespace(&at.namespace)),
        Request::Service { namespace, .. } => format!("get services/proxy{}", in_namespace(namespace)),
        Request::App { app, .. } => format!("access to {}", app.as_str()),
        Request::Aws(call) => call.iam_action(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_iam_actions_as_policies_do() {
        assert_eq!(AwsCall::ListOpenIdConnectProviders.iam_action(), "iam:ListOpenIDConnectProviders");
        assert_eq!(AwsCall::DescribeNatGateways { vpc: String::new() }.iam_action(), "ec2:DescribeNatGateways");
        assert_eq!(AwsCall::GetCallerIdentity.iam_action(), "sts:GetCallerIdentity");
    }

    #[test]
    fn names_the_missing_permission() {
        let request = Request::kubernetes("/apis/apps/v1/namespaces/shop/deployments");
        assert_eq!(permission_of(&request), "list deployments.apps in namespace shop");
        assert_eq!(permission_of(&Request::kubernetes("/api/v1/nodes")), "list nodes at cluster scope");
    }

    #[test]
    fn an_error_is_read_as_it_was_written() {
        let request = Request::kubernetes("/api/v1/nodes");
        let forbidden = GapCause::Forbidden { permission: "list nodes at cluster scope".into() };
        for error in [
            FetchError::NotFound("no".into()),
            FetchError::Gap(Gap::new(request.label(), forbidden, "no").hint("grant it")),
            FetchError::Gap(Gap::new("another call", GapCause::Timeout, "no answer within 10 s")),
        ] {
            assert_eq!(error_from_document(&request, &error_document(&request, &error)), error);
        }
    }

    #[test]
    fn every_request_has_a_file_name() {
        let query = format!("query={}", "a".repeat(400));
        let long = Request::App { app: App::Prometheus, at: None, path: "/api/v1/query".into(), query };
        let path = long.bundle_path();
        assert!(path.len() < 260 && path.starts_with("prometheus/api/v1/query/aaa"), "{path}");
        let service = |path: &str| Request::Service {
            namespace: "shop".into(),
            service: "app".into(),
            scheme: "http".into(),
            port: 80,
            path: path.into(),
        };
        let proxy = "kubernetes/api/v1/namespaces/shop/services/http:app:80/proxy";
        assert_eq!(service("//metrics").bundle_path(), format!("{proxy}/metrics"));
        assert_eq!(service("/../../x").bundle_path(), format!("{proxy}/%2E%2E/%2E%2E/x"));
        assert_eq!(service("/").bundle_path(), format!("{proxy}/"));
    }

    #[test]
    fn parts_of_a_list_do_not_lie_where_the_list_does() {
        let of = |query: &str, metadata_only| {
            Request::Kubernetes { path: "/api/v1/secrets".into(), query: query.into(), metadata_only }.bundle_path()
        };
        assert_eq!(of("limit=500", false), "kubernetes/api/v1/secrets");
        assert_eq!(of("limit=500&continue=x", false), "kubernetes/api/v1/secrets.rest");
        assert_eq!(of("labelSelector=owner%3Dhelm&limit=500", true), "kubernetes/api/v1/secrets.metadata.owner%3Dhelm");
    }

    #[test]
    fn an_unknown_operation_is_a_gap_and_not_absence() {
        let call = AwsCall::ListAddons { cluster: "c".into() };
        assert!(matches!(aws_error(&call, "UnknownOperation", "404 html"), FetchError::Gap(_)));
        assert!(matches!(aws_error(&call, "ResourceNotFoundException", "no"), FetchError::NotFound(_)));
    }
}
