//! One resource, as the field names it: what findings are about and what they depend on.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// An AWS resource. `id` is the name or id that the AWS CLI takes. The ARN says the same again where it is known: it
/// counts neither for equality nor for order.
#[derive(Debug, Clone)]
pub struct AwsResource {
    /// Service prefix as in an ARN: `eks`, `ec2`, `iam`.
    pub service: String,
    /// Resource type as in an ARN: `addon`, `route-table`, `oidc-provider`, `role`, `subnet`.
    pub kind: String,
    /// Name or id: `aws-ebs-csi-driver`, `rtb-0123`.
    pub id: String,
    /// Full ARN where it is known.
    pub arn: Option<String>,
}

impl AwsResource {
    fn identity(&self) -> (&str, &str, &str) {
        (&self.service, &self.kind, &self.id)
    }
}

impl PartialEq for AwsResource {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for AwsResource {}

impl PartialOrd for AwsResource {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AwsResource {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for AwsResource {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// A resource that can be broken: a node of the cause graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceRef {
    /// A Kubernetes object. `namespace` is empty for cluster-scoped kinds.
    Kubernetes {
        /// API group, empty for the core group.
        group: String,
        /// Kind, e.g. `PersistentVolumeClaim`.
        kind: String,
        /// Namespace, empty for cluster-scoped kinds.
        namespace: String,
        /// Object name.
        name: String,
    },
    /// An AWS resource.
    Aws(AwsResource),
    /// A Prometheus scrape job.
    ScrapeJob {
        /// Value of the `job` label.
        job: String,
    },
    /// A URL that Prometheus scrapes: what answers there, not who serves it.
    ScrapeUrl {
        /// The full scrape URL.
        url: String,
    },
    /// A recording or alerting rule, or a whole group where `rule` is empty.
    Rule {
        /// Group.
        group: String,
        /// Name of the record or alert.
        rule: String,
    },
    /// An Alertmanager integration of a receiver, e.g. `slack`.
    Receiver {
        /// Receiver name, or the integration where the name is not known.
        name: String,
    },
    /// A datasource of a Grafana.
    Datasource {
        /// Namespace of the Grafana.
        namespace: String,
        /// Name of the datasource.
        name: String,
    },
    /// A dashboard of Grafana.
    Dashboard {
        /// Its uid, or its title where it has none.
        name: String,
    },
    /// A file that the user gave, or what stands at one place of it.
    File {
        /// The file as it was given.
        path: String,
        /// Path of the field in it: `grafana.service.nodePort`; empty for the whole file.
        field: String,
    },
}

impl ResourceRef {
    /// A Kubernetes object of the given API group (empty for core).
    pub fn kubernetes(
        group: impl Into<String>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self::Kubernetes { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// A Pod.
    pub fn pod(namespace: &str, name: &str) -> Self {
        Self::kubernetes("", "Pod", namespace, name)
    }

    /// A Deployment, StatefulSet, DaemonSet or ReplicaSet.
    pub fn workload(kind: &str, namespace: &str, name: &str) -> Self {
        Self::kubernetes("apps", kind, namespace, name)
    }

    /// A Node.
    pub fn node(name: &str) -> Self {
        Self::kubernetes("", "Node", "", name)
    }

    /// A port of something that is well otherwise: of a node, of all nodes but one.
    pub fn port(of: &str, port: u16) -> Self {
        Self::kubernetes("", "Port", "", format!("{of}:{port}"))
    }

    /// A Namespace.
    pub fn namespace(name: &str) -> Self {
        Self::kubernetes("", "Namespace", "", name)
    }

    /// A Secret.
    pub fn secret(namespace: &str, name: &str) -> Self {
        Self::kubernetes("", "Secret", namespace, name)
    }

    /// A PersistentVolume.
    pub fn persistent_volume(name: &str) -> Self {
        Self::kubernetes("", "PersistentVolume", "", name)
    }

    /// A NetworkPolicy.
    pub fn network_policy(namespace: &str, name: &str) -> Self {
        Self::kubernetes("networking.k8s.io", "NetworkPolicy", namespace, name)
    }

    /// A scrape job of Prometheus.
    pub fn scrape_job(job: impl Into<String>) -> Self {
        Self::ScrapeJob { job: job.into() }
    }

    /// A URL that Prometheus scrapes.
    pub fn scrape_url(url: impl Into<String>) -> Self {
        Self::ScrapeUrl { url: url.into() }
    }

    /// A receiver of Alertmanager.
    pub fn receiver(name: impl Into<String>) -> Self {
        Self::Receiver { name: name.into() }
    }

    /// A PersistentVolumeClaim.
    pub fn pvc(namespace: &str, name: &str) -> Self {
        Self::kubernetes("", "PersistentVolumeClaim", namespace, name)
    }

    /// A Service.
    pub fn service(namespace: &str, name: &str) -> Self {
        Self::kubernetes("", "Service", namespace, name)
    }

    /// A ConfigMap.
    pub fn config_map(namespace: &str, name: &str) -> Self {
        Self::kubernetes("", "ConfigMap", namespace, name)
    }

    /// A ServiceAccount.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::kubernetes("", "ServiceAccount", namespace, name)
    }

    /// A CustomResourceDefinition.
    pub fn crd(name: &str) -> Self {
        Self::kubernetes("apiextensions.k8s.io", "CustomResourceDefinition", "", name)
    }

    /// A StorageClass.
    pub fn storage_class(name: &str) -> Self {
        Self::kubernetes("storage.k8s.io", "StorageClass", "", name)
    }

    /// The default StorageClass, whichever it is: what a claim without a class depends on.
    pub fn default_storage_class() -> Self {
        Self::storage_class("(default)")
    }

    /// A CSIDriver.
    pub fn csi_driver(name: &str) -> Self {
        Self::kubernetes("storage.k8s.io", "CSIDriver", "", name)
    }

    /// An AWS resource without a known ARN.
    pub fn aws(service: &str, kind: &str, id: impl Into<String>) -> Self {
        Self::Aws(AwsResource { service: service.into(), kind: kind.into(), id: id.into(), arn: None })
    }

    /// An AWS resource with its ARN.
    pub fn aws_arn(service: &str, kind: &str, id: impl Into<String>, arn: impl Into<String>) -> Self {
        Self::Aws(AwsResource { service: service.into(), kind: kind.into(), id: id.into(), arn: Some(arn.into()) })
    }

    /// A file that the user gave, or a field of it.
    pub fn file(path: impl Into<String>, field: impl Into<String>) -> Self {
        Self::File { path: path.into(), field: field.into() }
    }

    /// `deployment/prometheus`: as kubectl takes a Kubernetes object; the name of anything else.
    pub fn kubectl_name(&self) -> String {
        match self {
            Self::Kubernetes { kind, name, .. } => format!("{}/{name}", kind.to_ascii_lowercase()),
            other => other.name(),
        }
    }

    /// Identity for the cause graph and for fingerprints: stable, without the ARN.
    pub fn key(&self) -> String {
        match self {
            Self::Kubernetes { group, kind, namespace, name } => format!("k8s/{group}/{kind}/{namespace}/{name}"),
            Self::Aws(aws) => format!("aws/{}/{}/{}", aws.service, aws.kind, aws.id),
            Self::ScrapeJob { job } => format!("scrape/{job}"),
            Self::ScrapeUrl { url } => format!("url/{url}"),
            Self::Rule { group, rule } => format!("rule/{group}/{rule}"),
            Self::Receiver { name } => format!("receiver/{name}"),
            Self::Datasource { namespace, name } => format!("datasource/{namespace}/{name}"),
            Self::Dashboard { name } => format!("dashboard/{name}"),
            Self::File { path, field } => format!("file/{path}/{field}"),
        }
    }

    /// The kind alone, for counting: `Pod`, `EKS add-on`, `scrape job`.
    pub fn kind_label(&self) -> String {
        match self {
            Self::Kubernetes { kind, .. } => kind.clone(),
            Self::Aws(aws) => match (aws.service.as_str(), aws.kind.as_str()) {
                ("eks", "addon") => "EKS add-on".into(),
                ("iam", "oidc-provider") => "IAM OIDC provider".into(),
                ("iam", "role") => "IAM role".into(),
                ("ec2", "route-table") => "route table".into(),
                ("ec2", "natgateway") => "NAT gateway".into(),
                ("ec2", "network-acl") => "network ACL".into(),
                ("ec2", "security-group") => "security group".into(),
                (service, kind) => format!("{service} {kind}"),
            },
            Self::ScrapeJob { .. } => "scrape job".into(),
            Self::ScrapeUrl { .. } => "scrape URL".into(),
            Self::Rule { rule, .. } => if rule.is_empty() { "rule group" } else { "rule" }.into(),
            Self::Receiver { .. } => "receiver".into(),
            Self::Datasource { .. } => "datasource".into(),
            Self::Dashboard { .. } => "dashboard".into(),
            Self::File { .. } => "file".into(),
        }
    }

    /// The name without the kind: `monitoring/prometheus`, `rtb-0123`.
    pub fn name(&self) -> String {
        match self {
            Self::Kubernetes { namespace, name, .. } if namespace.is_empty() => name.clone(),
            Self::Kubernetes { namespace, name, .. } => format!("{namespace}/{name}"),
            Self::Aws(aws) => aws.id.clone(),
            Self::ScrapeJob { job } => job.clone(),
            Self::ScrapeUrl { url } => url.clone(),
            Self::Rule { group, rule } if rule.is_empty() => group.clone(),
            Self::Rule { group, rule } if group.is_empty() => rule.clone(),
            Self::Rule { group, rule } => format!("{group}/{rule}"),
            Self::Datasource { namespace, name } => format!("{namespace}/{name}"),
            Self::Receiver { name } | Self::Dashboard { name } => name.clone(),
            Self::File { path, field } if field.is_empty() => path.clone(),
            Self::File { path, field } => format!("{path} {field}"),
        }
    }
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind_label(), self.name())
    }
}
