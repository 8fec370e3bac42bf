//! The facts that checks ask for, and the permission that each one takes.
//!
//! A check declares the facts it needs; the collectors gather the union; the least-privilege ClusterRole and IAM policy
//! come from the same table.

use std::fmt;

use super::Program;

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
    /// Files that the user gives.
    Files,
}

const fn list(group: &'static str, resource: &'static str) -> KubernetesAccess {
    KubernetesAccess { group, resource, verbs: &["list"] }
}

/// They say which kinds there are at all.
const CRDS: KubernetesAccess = list("apiextensions.k8s.io", "customresourcedefinitions");

const PROXY: &[KubernetesAccess] = &[
    list("", "services"),
    KubernetesAccess { group: "", resource: "services/proxy", verbs: &["get"] },
    KubernetesAccess { group: "", resource: "pods/portforward", verbs: &["create", "get"] },
];
/// Only with `--probe`.
const PROBES: &[KubernetesAccess] = &[
    KubernetesAccess { group: "", resource: "pods/exec", verbs: &["create", "get"] },
    KubernetesAccess { group: "", resource: "pods/portforward", verbs: &["create", "get"] },
];
const LOGS: &[KubernetesAccess] =
    &[list("", "pods"), KubernetesAccess { group: "", resource: "pods/log", verbs: &["get"] }];

/// Metadata only; but RBAC knows no right to read the metadata of a Secret alone.
const RELEASES: &[KubernetesAccess] = &[list("", "secrets"), list("", "configmaps")];

use Access::{Aws, Files, Kubernetes};

macro_rules! facts {
    ($($name:ident $text:literal $access:expr;)*) => {
        /// One kind of fact, gathered by one collector.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each variant is the API kind, AWS resource or endpoint of its name")]
        pub enum Fact {
            $($name,)*
        }

        impl Fact {
            /// Every fact.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name shown to people.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What reading it takes.
            pub fn access(self) -> Access {
                match self {
                    $(Self::$name => const { $access },)*
                }
            }
        }
    };
}

facts! {
    KubernetesVersion "version of the API server" Kubernetes(&[]);
    Nodes "nodes" Kubernetes(&[list("", "nodes")]);
    Namespaces "namespaces" Kubernetes(&[list("", "namespaces")]);
    StorageClasses "storageclasses" Kubernetes(&[list("storage.k8s.io", "storageclasses")]);
    CsiDrivers "csidrivers" Kubernetes(&[list("storage.k8s.io", "csidrivers")]);
    PersistentVolumes "persistentvolumes" Kubernetes(&[list("", "persistentvolumes")]);
    Services "services" Kubernetes(&[list("", "services")]);
    Workloads "workloads" Kubernetes( &[list("apps", "deployments"), list("apps", "statefulsets"), list("apps", "daemonsets")], );
    Pods "pods" Kubernetes(&[list("", "pods")]);
    PersistentVolumeClaims "persistentvolumeclaims" Kubernetes(&[list("", "persistentvolumeclaims")]);
    Events "events" Kubernetes(&[list("", "events")]);
    EndpointSlices "endpointslices" Kubernetes(&[list("discovery.k8s.io", "endpointslices")]);
    ConfigMaps "configmaps" Kubernetes(&[list("", "configmaps")]);
    ServiceAccounts "serviceaccounts" Kubernetes(&[list("", "serviceaccounts")]);
    NetworkPolicies "networkpolicies" Kubernetes(&[list("networking.k8s.io", "networkpolicies"), list("cilium.io", "ciliumnetworkpolicies"), list("cilium.io", "ciliumclusterwidenetworkpolicies"), list("crd.projectcalico.org", "networkpolicies"), list("crd.projectcalico.org", "globalnetworkpolicies")]);
    VolumeAttachments "volumeattachments" Kubernetes(&[list("storage.k8s.io", "volumeattachments")]);
    CsiNodes "csinodes" Kubernetes(&[list("storage.k8s.io", "csinodes")]);
    ResourceQuotas "resourcequotas" Kubernetes(&[list("", "resourcequotas")]);
    LimitRanges "limitranges" Kubernetes(&[list("", "limitranges")]);
    NodeRequests "pods of all namespaces" Kubernetes(&[list("", "pods")]);
    PodMetrics "pod metrics" Kubernetes(&[list("metrics.k8s.io", "pods")]);
    MonitoringResources "monitoring.coreos.com" Kubernetes( &[list("monitoring.coreos.com", "prometheuses"), list("monitoring.coreos.com", "alertmanagers")], );
    PrometheusRuleObjects "prometheusrules" Kubernetes(&[list("monitoring.coreos.com", "prometheusrules")]);
    PrometheusRuleNames "prometheusrules of all namespaces" Kubernetes(&[list("monitoring.coreos.com", "prometheusrules")]);
    Monitors "servicemonitors and podmonitors" Kubernetes(&[list("monitoring.coreos.com", "servicemonitors"), list("monitoring.coreos.com", "podmonitors")]);
    ProbeResources "probes" Kubernetes(&[list("monitoring.coreos.com", "probes")]);
    ScrapeConfigResources "scrapeconfigs" Kubernetes(&[list("monitoring.coreos.com", "scrapeconfigs")]);
    AlertmanagerConfigResources "alertmanagerconfigs" Kubernetes(&[list("monitoring.coreos.com", "alertmanagerconfigs")]);
    OtherServers "prometheusagents and thanosrulers" Kubernetes(&[list("monitoring.coreos.com", "prometheusagents"), list("monitoring.coreos.com", "thanosrulers")]);
    ApiServices "apiservices" Kubernetes(&[list("apiregistration.k8s.io", "apiservices")]);
    Webhooks "admission webhooks" Kubernetes(&[list("admissionregistration.k8s.io", "validatingwebhookconfigurations"), list("admissionregistration.k8s.io", "mutatingwebhookconfigurations")]);
    Crds "customresourcedefinitions" Kubernetes(&[CRDS]);
    ReplicaSets "replicasets" Kubernetes(&[list("apps", "replicasets")]);
    Jobs "jobs" Kubernetes(&[list("batch", "jobs")]);
    CronJobs "cronjobs" Kubernetes(&[list("batch", "cronjobs")]);
    Autoscalers "horizontalpodautoscalers" Kubernetes(&[list("autoscaling", "horizontalpodautoscalers")]);
    DisruptionBudgets "poddisruptionbudgets" Kubernetes(&[list("policy", "poddisruptionbudgets")]);
    SecurityGroupPolicies "securitygrouppolicies" Kubernetes(&[list("vpcresources.k8s.aws", "securitygrouppolicies")]);
    EniConfigs "eniconfigs" Kubernetes(&[list("crd.k8s.amazonaws.com", "eniconfigs")]);
    NodeMakers "nodepools, nodeclaims and node classes" Kubernetes(&[list("karpenter.sh", "nodepools"), list("karpenter.sh", "nodeclaims"), list("karpenter.k8s.aws", "ec2nodeclasses"), list("eks.amazonaws.com", "nodeclasses"), CRDS]);
    SecretMakers "external secrets, sealed secrets and certificates" Kubernetes(&[list("external-secrets.io", "externalsecrets"), list("external-secrets.io", "secretstores"), list("external-secrets.io", "clustersecretstores"), list("bitnami.com", "sealedsecrets"), list("cert-manager.io", "certificates"), CRDS]);
    Issuing "certificate requests, orders, challenges and issuers" Kubernetes(&[list("cert-manager.io", "certificaterequests"), list("cert-manager.io", "issuers"), list("cert-manager.io", "clusterissuers"), list("acme.cert-manager.io", "orders"), list("acme.cert-manager.io", "challenges"), CRDS]);
    GitOps "applications of Argo CD and Flux" Kubernetes(&[list("argoproj.io", "applications"), list("kustomize.toolkit.fluxcd.io", "kustomizations"), list("helm.toolkit.fluxcd.io", "helmreleases"), CRDS]);
    FluxSources "sources of Flux" Kubernetes(&[list("source.toolkit.fluxcd.io", "gitrepositories"), list("source.toolkit.fluxcd.io", "helmrepositories"), list("source.toolkit.fluxcd.io", "ocirepositories"), list("source.toolkit.fluxcd.io", "buckets"), list("source.toolkit.fluxcd.io", "helmcharts"), CRDS]);
    Gateways "gateways, their classes and httproutes" Kubernetes(&[list("gateway.networking.k8s.io", "gatewayclasses"), list("gateway.networking.k8s.io", "gateways"), list("gateway.networking.k8s.io", "httproutes"), CRDS]);
    ScaledObjects "scaledobjects of KEDA" Kubernetes(&[list("keda.sh", "scaledobjects"), CRDS]);
    Operated "resources of the operators of Grafana, Loki and Tempo" Kubernetes(&[list("grafana.integreatly.org", "grafanas"), list("grafana.integreatly.org", "grafanadashboards"), list("grafana.integreatly.org", "grafanadatasources"), list("loki.grafana.com", "lokistacks"), list("tempo.grafana.com", "tempostacks"), list("tempo.grafana.com", "tempomonolithics"), CRDS]);
    Ingresses "ingresses" Kubernetes(&[list("networking.k8s.io", "ingresses")]);
    IngressClasses "ingressclasses" Kubernetes(&[list("networking.k8s.io", "ingressclasses")]);
    HelmReleases "helm releases" Kubernetes(RELEASES);
    ComponentLogs "logs of the stack" Kubernetes(LOGS);
    PartLogs "logs of other parts" Kubernetes(LOGS);
    CrashLogs "crash logs" Kubernetes(LOGS);
    PrometheusTargets "prometheus targets" Kubernetes(PROXY);
    DroppedTargets "prometheus dropped targets" Kubernetes(PROXY);
    PrometheusAlerts "prometheus alerts" Kubernetes(PROXY);
    PrometheusAlertmanagers "prometheus alertmanagers" Kubernetes(PROXY);
    PrometheusCounters "prometheus failure counters" Kubernetes(PROXY);
    PrometheusFlags "prometheus flags" Kubernetes(PROXY);
    PrometheusReady "prometheus readiness" Kubernetes(PROXY);
    ScrapeSamples "prometheus scrape samples" Kubernetes(PROXY);
    PrometheusConfig "prometheus config" Kubernetes(PROXY);
    PrometheusRules "prometheus rules" Kubernetes(PROXY);
    PrometheusRuntime "prometheus runtimeinfo" Kubernetes(PROXY);
    PrometheusMetricNames "prometheus metric names" Kubernetes(PROXY);
    PrometheusTsdb "prometheus tsdb status" Kubernetes(PROXY);
    PrometheusMetrics "prometheus metrics" Kubernetes(PROXY);
    ContainerMemory "container memory" Kubernetes(PROXY);
    AlertmanagerStatus "alertmanager status" Kubernetes(PROXY);
    AlertmanagerMetrics "alertmanager metrics" Kubernetes(PROXY);
    AlertmanagerSilences "alertmanager silences" Kubernetes(PROXY);
    AlertmanagerReceivers "alertmanager receivers" Kubernetes(PROXY);
    Probes "active probes" Kubernetes(PROBES);
    GrafanaHealth "grafana health" Kubernetes(PROXY);
    GrafanaDatasources "grafana datasources" Kubernetes(PROXY);
    GrafanaDatasourceHealth "grafana datasource health" Kubernetes(PROXY);
    GrafanaDashboards "grafana dashboards" Kubernetes(PROXY);
    AlertmanagerAlerts "alertmanager alerts" Kubernetes(PROXY);
    TargetAnswers "target answers" Kubernetes(PROXY);
    EksCluster "eks cluster" Aws(&["eks:DescribeCluster"]);
    EksAddons "eks add-ons" Aws(&["eks:ListAddons", "eks:DescribeAddon"]);
    EksNodegroups "eks node groups" Aws(&["eks:ListNodegroups", "eks:DescribeNodegroup"]);
    EksUpdates "eks updates" Aws(&["eks:ListUpdates", "eks:DescribeUpdate"]);
    EksFargateProfiles "eks fargate profiles" Aws(&["eks:ListFargateProfiles"]);
    FargateProfiles "eks fargate profile details" Aws(&["eks:ListFargateProfiles", "eks:DescribeFargateProfile"]);
    CallerIdentity "aws caller identity" Aws(&["sts:GetCallerIdentity"]);
    AccessEntries "eks access entries" Aws(&["eks:ListAccessEntries"]);
    PodIdentityAssociations "eks pod identity associations" Aws(&["eks:ListPodIdentityAssociations", "eks:DescribePodIdentityAssociation"]);
    IamOidcProviders "iam oidc providers" Aws(&["iam:ListOpenIDConnectProviders", "iam:GetOpenIDConnectProvider"]);
    IamRoles "iam roles" Aws(&[ "iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:GetPolicy", "iam:GetPolicyVersion", ]);
    Subnets "ec2 subnets" Aws(&["ec2:DescribeSubnets"]);
    RouteTables "ec2 route tables" Aws(&["ec2:DescribeRouteTables"]);
    NatGateways "ec2 nat gateways" Aws(&["ec2:DescribeNatGateways"]);
    InternetGateways "ec2 internet gateways" Aws(&["ec2:DescribeInternetGateways"]);
    NetworkAcls "ec2 network acls" Aws(&["ec2:DescribeNetworkAcls"]);
    SecurityGroups "ec2 security groups" Aws(&["ec2:DescribeSecurityGroups"]);
    Instances "ec2 instances" Aws(&["ec2:DescribeInstances"]);
    VpcEndpoints "ec2 vpc endpoints" Aws(&["ec2:DescribeVpcEndpoints"]);
    Vpcs "ec2 vpcs" Aws(&["ec2:DescribeVpcs"]);
    Addresses "ec2 addresses" Aws(&["ec2:DescribeAddresses"]);
    LoadBalancers "load balancers" Aws(&["elasticloadbalancing:DescribeLoadBalancers"]);
    TargetGroups "target groups" Aws(&["elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth"]);
    AcmCertificates "acm certificates" Aws(&["acm:DescribeCertificate"]);
    Manifests "manifests" Files;
}

impl Fact {
    /// The program whose API answers with it.
    pub fn program(self) -> Option<Program> {
        match self {
            Self::PrometheusTargets
            | Self::DroppedTargets
            | Self::PrometheusAlerts
            | Self::PrometheusAlertmanagers
            | Self::PrometheusCounters
            | Self::PrometheusFlags
            | Self::PrometheusReady
            | Self::ScrapeSamples
            | Self::PrometheusConfig
            | Self::PrometheusRules
            | Self::PrometheusRuntime
            | Self::PrometheusTsdb
            | Self::PrometheusMetricNames
            | Self::PrometheusMetrics
            | Self::ContainerMemory => Some(Program::Prometheus),
            Self::AlertmanagerStatus
            | Self::AlertmanagerMetrics
            | Self::AlertmanagerSilences
            | Self::AlertmanagerReceivers
            | Self::AlertmanagerAlerts => Some(Program::Alertmanager),
            Self::GrafanaHealth
            | Self::GrafanaDatasources
            | Self::GrafanaDatasourceHealth
            | Self::GrafanaDashboards => Some(Program::Grafana),
            _ => None,
        }
    }

    /// True for facts that come from AWS.
    pub fn is_aws(self) -> bool {
        matches!(self.access(), Access::Aws(_))
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
