//! The facts that checks ask for, and the permission that each one takes.
//!
//! A check declares the facts it needs; the collectors gather the union; the least-privilege ClusterRole and IAM policy
//! come from the same table.

use std::fmt;

/// One kind of fact, gathered by one collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is the API kind, AWS resource or endpoint of its name")]
pub enum Fact {
    Nodes,
    StorageClasses,
    CsiDrivers,
    PersistentVolumes,
    Services,
    Workloads,
    Pods,
    PersistentVolumeClaims,
    Events,
    EndpointSlices,
    ConfigMaps,
    ServiceAccounts,
    NetworkPolicies,
    ResourceQuotas,
    NodeRequests,
    MonitoringResources,
    AlertmanagerLogs,
    CrashLogs,
    PrometheusTargets,
    PrometheusConfig,
    PrometheusRules,
    PrometheusRuntime,
    PrometheusMetricNames,
    AlertmanagerStatus,
    AlertmanagerMetrics,
    AlertmanagerSilences,
    AlertmanagerReceivers,
    TargetAnswers,
    EksCluster,
    EksAddons,
    EksNodegroups,
    EksFargateProfiles,
    PodIdentityAssociations,
    IamOidcProviders,
    IamRoles,
    Subnets,
    RouteTables,
    NatGateways,
    InternetGateways,
    NetworkAcls,
    SecurityGroups,
    Instances,
    VpcEndpoints,
}

/// A `get`/`list` on one Kubernetes resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesAccess {
    /// API group, empty for core.
    pub group: &'static str,
    /// Plural resource, with subresource where one is meant.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
}

/// What reading a fact takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Kubernetes RBAC.
    Kubernetes(&'static [KubernetesAccess]),
    /// IAM actions.
    Aws(&'static [&'static str]),
}

const fn list(group: &'static str, resource: &'static str) -> KubernetesAccess {
    KubernetesAccess { group, resource, verbs: &["list"] }
}

const PROXY: &[KubernetesAccess] = &[
    list("", "services"),
    KubernetesAccess { group: "", resource: "services/proxy", verbs: &["get"] },
    KubernetesAccess { group: "", resource: "pods/portforward", verbs: &["create", "get"] },
];
const LOGS: &[KubernetesAccess] =
    &[list("", "pods"), KubernetesAccess { group: "", resource: "pods/log", verbs: &["get"] }];

impl Fact {
    /// Every fact.
    pub const ALL: &'static [Self] = &[
        Self::Nodes,
        Self::StorageClasses,
        Self::CsiDrivers,
        Self::PersistentVolumes,
        Self::Services,
        Self::Workloads,
        Self::Pods,
        Self::PersistentVolumeClaims,
        Self::Events,
        Self::EndpointSlices,
        Self::ConfigMaps,
        Self::ServiceAccounts,
        Self::NetworkPolicies,
        Self::ResourceQuotas,
        Self::NodeRequests,
        Self::MonitoringResources,
        Self::AlertmanagerLogs,
        Self::CrashLogs,
        Self::PrometheusTargets,
        Self::PrometheusConfig,
        Self::PrometheusRules,
        Self::PrometheusRuntime,
        Self::PrometheusMetricNames,
        Self::AlertmanagerStatus,
        Self::AlertmanagerMetrics,
        Self::AlertmanagerSilences,
        Self::AlertmanagerReceivers,
        Self::TargetAnswers,
        Self::EksCluster,
        Self::EksAddons,
        Self::EksNodegroups,
        Self::EksFargateProfiles,
        Self::PodIdentityAssociations,
        Self::IamOidcProviders,
        Self::IamRoles,
        Self::Subnets,
        Self::RouteTables,
        Self::NatGateways,
        Self::InternetGateways,
        Self::NetworkAcls,
        Self::SecurityGroups,
        Self::Instances,
        Self::VpcEndpoints,
    ];

    /// The name shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::StorageClasses => "storageclasses",
            Self::CsiDrivers => "csidrivers",
            Self::PersistentVolumes => "persistentvolumes",
            Self::Services => "services",
            Self::Workloads => "workloads",
            Self::Pods => "pods",
            Self::PersistentVolumeClaims => "persistentvolumeclaims",
            Self::Events => "events",
            Self::EndpointSlices => "endpointslices",
            Self::ConfigMaps => "configmaps",
            Self::ServiceAccounts => "serviceaccounts",
            Self::NetworkPolicies => "networkpolicies",
            Self::ResourceQuotas => "resourcequotas",
            Self::NodeRequests => "pods of all namespaces",
            Self::MonitoringResources => "monitoring.coreos.com",
            Self::AlertmanagerLogs => "alertmanager logs",
            Self::CrashLogs => "crash logs",
            Self::PrometheusTargets => "prometheus targets",
            Self::PrometheusConfig => "prometheus config",
            Self::PrometheusRules => "prometheus rules",
            Self::PrometheusRuntime => "prometheus runtimeinfo",
            Self::PrometheusMetricNames => "prometheus metric names",
            Self::AlertmanagerStatus => "alertmanager status",
            Self::AlertmanagerMetrics => "alertmanager metrics",
            Self::AlertmanagerSilences => "alertmanager silences",
            Self::AlertmanagerReceivers => "alertmanager receivers",
            Self::TargetAnswers => "target answers",
            Self::EksCluster => "eks cluster",
            Self::EksAddons => "eks add-ons",
            Self::EksNodegroups => "eks node groups",
            Self::EksFargateProfiles => "eks fargate profiles",
            Self::PodIdentityAssociations => "eks pod identity associations",
            Self::IamOidcProviders => "iam oidc providers",
            Self::IamRoles => "iam roles",
            Self::Subnets => "ec2 subnets",
            Self::RouteTables => "ec2 route tables",
            Self::NatGateways => "ec2 nat gateways",
            Self::InternetGateways => "ec2 internet gateways",
            Self::NetworkAcls => "ec2 network acls",
            Self::SecurityGroups => "ec2 security groups",
            Self::Instances => "ec2 instances",
            Self::VpcEndpoints => "ec2 vpc endpoints",
        }
    }

    /// True for facts that come from AWS.
    pub fn is_aws(self) -> bool {
        matches!(self.access(), Access::Aws(_))
    }

    /// What reading it takes.
    pub fn access(self) -> Access {
        use Access::{Aws, Kubernetes};
        match self {
            Self::Nodes => Kubernetes(const { &[list("", "nodes")] }),
            Self::StorageClasses => Kubernetes(const { &[list("storage.k8s.io", "storageclasses")] }),
            Self::CsiDrivers => Kubernetes(const { &[list("storage.k8s.io", "csidrivers")] }),
            Self::PersistentVolumes => Kubernetes(const { &[list("", "persistentvolumes")] }),
            Self::Services => Kubernetes(const { &[list("", "services")] }),
            Self::Workloads => Kubernetes(
                const { &[list("apps", "deployments"), list("apps", "statefulsets"), list("apps", "daemonsets")] },
            ),
            Self::Pods | Self::NodeRequests => Kubernetes(const { &[list("", "pods")] }),
            Self::PersistentVolumeClaims => Kubernetes(const { &[list("", "persistentvolumeclaims")] }),
            Self::Events => Kubernetes(const { &[list("", "events")] }),
            Self::EndpointSlices => Kubernetes(const { &[list("discovery.k8s.io", "endpointslices")] }),
            Self::ConfigMaps => Kubernetes(const { &[list("", "configmaps")] }),
            Self::ServiceAccounts => Kubernetes(const { &[list("", "serviceaccounts")] }),
            Self::NetworkPolicies => Kubernetes(const { &[list("networking.k8s.io", "networkpolicies")] }),
            Self::ResourceQuotas => Kubernetes(const { &[list("", "resourcequotas")] }),
            Self::MonitoringResources => Kubernetes(
                const { &[list("monitoring.coreos.com", "prometheuses"), list("monitoring.coreos.com", "alertmanagers")] },
            ),
            Self::AlertmanagerLogs | Self::CrashLogs => Kubernetes(LOGS),
            Self::PrometheusTargets
            | Self::PrometheusConfig
            | Self::PrometheusRules
            | Self::PrometheusRuntime
            | Self::PrometheusMetricNames
            | Self::AlertmanagerStatus
            | Self::AlertmanagerMetrics
            | Self::AlertmanagerSilences
            | Self::AlertmanagerReceivers
            | Self::TargetAnswers => Kubernetes(PROXY),
            Self::EksCluster => Aws(&["eks:DescribeCluster"]),
            Self::EksAddons => Aws(&["eks:ListAddons", "eks:DescribeAddon"]),
            Self::EksNodegroups => Aws(&["eks:ListNodegroups", "eks:DescribeNodegroup"]),
            Self::EksFargateProfiles => Aws(&["eks:ListFargateProfiles"]),
            Self::PodIdentityAssociations => {
                Aws(&["eks:ListPodIdentityAssociations", "eks:DescribePodIdentityAssociation"])
            }
            Self::IamOidcProviders => Aws(&["iam:ListOpenIDConnectProviders", "iam:GetOpenIDConnectProvider"]),
            Self::IamRoles => Aws(&[
                "iam:GetRole",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
                "iam:GetRolePolicy",
                "iam:GetPolicy",
                "iam:GetPolicyVersion",
            ]),
            Self::Subnets => Aws(&["ec2:DescribeSubnets"]),
            Self::RouteTables => Aws(&["ec2:DescribeRouteTables"]),
            Self::NatGateways => Aws(&["ec2:DescribeNatGateways"]),
            Self::InternetGateways => Aws(&["ec2:DescribeInternetGateways"]),
            Self::NetworkAcls => Aws(&["ec2:DescribeNetworkAcls"]),
            Self::SecurityGroups => Aws(&["ec2:DescribeSecurityGroups"]),
            Self::Instances => Aws(&["ec2:DescribeInstances"]),
            Self::VpcEndpoints => Aws(&["ec2:DescribeVpcEndpoints"]),
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
