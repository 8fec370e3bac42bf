//! Everything a run knows: facts that were seen and gaps where nothing could be seen. Checks read it and nothing else.
//!
//! Every accessor returns `Err(Gap)` for a fact that is missing, so that a check that uses `?` ends as "not evaluated"
//! and never as "all is well". `collected_at` is the only clock.

macro_rules! objects {
    ($($kind:ident),*) => {
        $(impl $crate::snapshot::kubernetes::Object for $kind {
            fn meta(&self) -> &$crate::snapshot::kubernetes::Meta {
                &self.metadata
            }
        })*
    };
}

pub mod aws;
pub mod grafana;
pub mod journal;
pub mod kubernetes;
mod listing;
pub mod manifests;
pub mod monitoring;
pub mod probe;
mod quantity;
mod reading;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::{Fact, Gap, GapCause, Program, Target, Thresholds};
pub use listing::{Coverage, Listing};
pub use quantity::{format_bytes, format_cpu, parse_quantity};
pub use reading::{Reading, Text};
pub use scope::{ApiRefusal, Component, Platform, Scope};

/// A fact that is there, or the reason why it is not.
pub type Fetched<T> = Result<T, Gap>;

/// A fact nobody asked for.
pub fn not_collected(fact: Fact) -> Gap {
    Gap::new(fact.as_str(), GapCause::NotCollected, "no selected check asked for it")
}

macro_rules! snapshot {
    (
        lists { $($(#[$ld:meta])* $list:ident : $lt:ty = $lf:ident),* $(,)? }
        facts { $($(#[$fd:meta])* $fact:ident : $ft:ty = $ff:ident),* $(,)? }
    ) => {
        /// The facts and gaps of one run.
        #[derive(Debug, Clone)]
        pub struct Snapshot {
            /// When it was taken; nothing downstream reads another clock.
            pub collected_at: Timestamp,
            /// What was looked at.
            pub target: Target,
            /// Which part is monitoring stack.
            pub scope: Scope,
            /// Whether this is an EKS cluster.
            pub platform: Platform,
            /// Why the API server could not be asked at all; what of the cluster is known comes from AWS then.
            pub api_refusal: Option<ApiRefusal>,
            /// Only files were read, as the user asked for: what a cluster would add is not missing.
            pub files_alone: bool,
            /// Bounds that a team sets.
            pub thresholds: Thresholds,
            /// Why the events of nodes could not be read, which lie beside the namespaces of the run.
            pub unread_node_events: Option<Gap>,
            /// Events of one kind of objects alone, in namespaces that are not read else.
            pub events_of_kind: BTreeMap<&'static str, Listing<kubernetes::Event>>,
            $($(#[$ld])* pub $list: Listing<$lt>,)*
            $($(#[$fd])* pub $fact: Reading<$ft>,)*
        }

        impl Snapshot {
            /// A snapshot in which nothing was collected yet.
            pub fn empty(collected_at: Timestamp) -> Self {
                Self {
                    collected_at,
                    target: Target::default(),
                    scope: Scope::default(),
                    platform: Platform::Unknown,
                    api_refusal: None,
                    files_alone: false,
                    thresholds: Thresholds::default(),
                    unread_node_events: None,
                    events_of_kind: BTreeMap::new(),
                    $($list: Listing::missing(not_collected(Fact::$lf)),)*
                    $($fact: Err(not_collected(Fact::$ff)).into(),)*
                }
            }

            $(
                $(#[$ld])*
                ///
                /// # Errors
                /// The gap, if it could not be read at all.
                pub fn $list(&self) -> Fetched<&[$lt]> {
                    self.$list.items()
                }
            )*
            $(
                $(#[$fd])*
                ///
                /// # Errors
                /// The gap, if it could not be read.
                pub fn $fact(&self) -> Fetched<&$ft> {
                    self.$fact.as_ref().map_err(Clone::clone)
                }
            )*

            /// What is missing of a fact as a whole, whichever part of it one looks at.
            pub fn gaps_of_whole(&self, fact: Fact) -> Vec<&Gap> {
                let mut gaps = Vec::new();
                $(if fact == Fact::$lf { gaps.extend(&self.$list.gaps); })*
                $(if fact == Fact::$ff { gaps.extend(self.$fact.gaps()); })*
                if fact == Fact::Events {
                    gaps.extend(&self.unread_node_events);
                }
                gaps
            }

            /// What is missing of a fact: of logs, also each one that could not be read.
            pub fn gaps_of(&self, fact: Fact) -> Vec<&Gap> {
                let mut gaps = self.gaps_of_whole(fact);
                let logs = match fact {
                    Fact::ComponentLogs => self.component_logs.iter().flatten(),
                    Fact::PartLogs => self.part_logs.iter().flatten(),
                    Fact::CrashLogs => self.crash_logs.iter().flatten(),
                    _ => return gaps,
                };
                gaps.extend(logs.filter_map(|l| l.text.gap()));
                gaps
            }

            /// Replaces a fact by a gap: what a run would know if it could not be read.
            pub fn forget(&mut self, fact: Fact, gap: &Gap) {
                $(if fact == Fact::$lf { self.$list = Listing::missing(gap.clone()); })*
                $(if fact == Fact::$ff { self.$fact = Err(gap.clone()).into(); })*
            }
        }
    };
}

snapshot! {
    lists {
        /// Nodes.
        nodes: kubernetes::Node = Nodes,
        /// Namespaces with their labels and state.
        namespaces: kubernetes::Namespace = Namespaces,
        /// StorageClasses.
        storage_classes: kubernetes::StorageClass = StorageClasses,
        /// CSIDrivers.
        csi_drivers: kubernetes::CsiDriver = CsiDrivers,
        /// PersistentVolumes.
        persistent_volumes: kubernetes::PersistentVolume = PersistentVolumes,
        /// Services of the whole cluster, or of the namespaces that may be read.
        services: kubernetes::Service = Services,
        /// Deployments, StatefulSets and DaemonSets of the namespaces in scope.
        workloads: kubernetes::Workload = Workloads,
        /// Pods of the namespaces in scope.
        pods: kubernetes::Pod = Pods,
        /// PersistentVolumeClaims of the namespaces in scope.
        persistent_volume_claims: kubernetes::PersistentVolumeClaim = PersistentVolumeClaims,
        /// Events of the namespaces in scope.
        events: kubernetes::Event = Events,
        /// EndpointSlices of the namespaces in scope.
        endpoint_slices: kubernetes::EndpointSlice = EndpointSlices,
        /// ConfigMaps of the stack's namespaces.
        config_maps: kubernetes::ConfigMap = ConfigMaps,
        /// ServiceAccounts of kube-system and the stack's namespaces.
        service_accounts: kubernetes::ServiceAccount = ServiceAccounts,
        /// NetworkPolicies of the namespaces in scope.
        network_policies: kubernetes::NetworkPolicy = NetworkPolicies,
        /// ResourceQuotas of the namespaces in scope.
        resource_quotas: kubernetes::ResourceQuota = ResourceQuotas,
        /// LimitRanges of the namespaces in scope.
        limit_ranges: kubernetes::LimitRange = LimitRanges,
        /// Volumes that are to be on a node; empty where no pod in scope waits for a volume.
        volume_attachments: kubernetes::VolumeAttachment = VolumeAttachments,
        /// CSI drivers of each node; empty where no pod in scope waits for a volume.
        csi_nodes: kubernetes::CsiNode = CsiNodes,
        /// All pods with what they ask of their nodes; empty where every pod in scope found a node.
        node_requests: kubernetes::PodOnNode = NodeRequests,
        /// What active probes found, where they were asked for and allowed.
        probes: probe::Probe = Probes,
        /// What the pods of kube-system and the stack's namespaces use now, by the metrics API.
        pod_metrics: kubernetes::PodMetrics = PodMetrics,
        /// Prometheus and Alertmanager resources of the operator.
        monitoring_resources: kubernetes::MonitoringResource = MonitoringResources,
        /// Files with manifests and Helm values that the user gave; what of them could not be read is a gap.
        manifests: manifests::ManifestFile = Manifests,
        /// PrometheusRules of the cluster, or of the namespaces that may be read; empty where there is no operator.
        prometheus_rule_objects: kubernetes::PrometheusRule = PrometheusRuleObjects,
        /// Metadata of the PrometheusRules of all namespaces.
        prometheus_rule_names: kubernetes::ObjectName = PrometheusRuleNames,
        /// ServiceMonitors and PodMonitors of all namespaces; empty where there is no operator.
        monitors: kubernetes::Monitor = Monitors,
        /// Probes of the operator, of all namespaces.
        probe_resources: kubernetes::ProbeResource = ProbeResources,
        /// ScrapeConfigs of the operator, of all namespaces.
        scrape_config_resources: kubernetes::ScrapeConfigResource = ScrapeConfigResources,
        /// AlertmanagerConfigs of the operator, of all namespaces.
        alertmanager_config_resources: kubernetes::AlertmanagerConfigResource = AlertmanagerConfigResources,
        /// PrometheusAgents and ThanosRulers of the operator, of all namespaces.
        other_servers: kubernetes::MonitoringResource = OtherServers,
        /// APIs that the API server takes from others, and its own.
        api_services: kubernetes::ApiService = ApiServices,
        /// Validating and mutating admission webhooks.
        webhooks: kubernetes::WebhookConfiguration = Webhooks,
        /// Metadata of the CustomResourceDefinitions, with the versions that their annotations tell.
        crds: kubernetes::ObjectName = Crds,
        /// ReplicaSets of the namespaces in scope.
        replica_sets: kubernetes::ReplicaSet = ReplicaSets,
        /// Jobs of the namespaces in scope.
        jobs: kubernetes::Job = Jobs,
        /// CronJobs of the namespaces in scope.
        cron_jobs: kubernetes::CronJob = CronJobs,
        /// HorizontalPodAutoscalers of the cluster, or of the namespaces that may be read.
        autoscalers: kubernetes::Autoscaler = Autoscalers,
        /// PodDisruptionBudgets of the cluster, or of the namespaces that may be read.
        disruption_budgets: kubernetes::DisruptionBudget = DisruptionBudgets,
        /// SecurityGroupPolicies of the VPC CNI: pods with security groups of their own; empty where the kind is not there.
        security_group_policies: kubernetes::SecurityGroupPolicy = SecurityGroupPolicies,
        /// ENIConfigs of the VPC CNI, with which pods have subnets of their own; empty where the kind is not there.
        eni_configs: kubernetes::EniConfig = EniConfigs,
        /// NodePools, NodeClaims and node classes of Karpenter and of EKS Auto Mode; empty where the kinds are not there.
        node_makers: kubernetes::NodeMaker = NodeMakers,
        /// What makes Secrets from somewhere else: ExternalSecrets and their stores, SealedSecrets, Certificates; empty where the
        /// kinds are not there.
        secret_makers: kubernetes::SecretMaker = SecretMakers,
        /// How certificates of cert-manager are issued, and by whom; empty where the kinds are not there.
        issuing: kubernetes::Issuing = Issuing,
        /// What brings objects from a repository: Applications of Argo CD, Kustomizations and HelmReleases of Flux; empty where
        /// the kinds are not there.
        git_ops: kubernetes::GitOpsObject = GitOps,
        /// Where Flux fetches what it brings: repositories, buckets and charts; empty where the kinds are not there.
        flux_sources: kubernetes::FluxSource = FluxSources,
        /// GatewayClasses, Gateways and HTTPRoutes of the Gateway API; empty where the kinds are not there.
        gateways: kubernetes::GatewayObject = Gateways,
        /// ScaledObjects of KEDA; empty where the kind is not there.
        scaled_objects: kubernetes::ScaledObject = ScaledObjects,
        /// Resources of the operators of Grafana, Loki and Tempo; empty where the kinds are not there.
        operated: kubernetes::Operated = Operated,
        /// Ingresses of the namespaces in scope.
        ingresses: kubernetes::Ingress = Ingresses,
        /// IngressClasses.
        ingress_classes: kubernetes::IngressClass = IngressClasses,
        /// All revisions of the Helm releases, by labels alone.
        helm_releases: kubernetes::HelmRelease = HelmReleases,
    }
    facts {
        /// The API server's version: `v1.36.2-eks-3025e55`.
        kubernetes_version: String = KubernetesVersion,
        /// Current logs of the Prometheus, Alertmanager and Grafana containers, their end.
        component_logs: Vec<monitoring::ContainerLog> = ComponentLogs,
        /// Current logs, their end, of the other parts of the stack and of the parts of the cluster that it stands on: operator,
        /// side-cars, exporters, DNS, CNI, CSI, autoscalers, log agents and stores.
        part_logs: Vec<monitoring::ContainerLog> = PartLogs,
        /// Previous logs of failing containers, their end.
        crash_logs: Vec<monitoring::ContainerLog> = CrashLogs,
        /// Targets that relabelling dropped, by scrape pool; a pool with none is there with 0.
        dropped_targets: BTreeMap<String, u64> = DroppedTargets,
        /// Active targets of Prometheus.
        prometheus_targets: Vec<monitoring::ScrapeTarget> = PrometheusTargets,
        /// Configuration that Prometheus runs with, YAML.
        prometheus_config: String = PrometheusConfig,
        /// Rule groups of Prometheus.
        prometheus_rules: Vec<monitoring::RuleGroup> = PrometheusRules,
        /// Alerts of Prometheus that fire or are pending.
        prometheus_alerts: Vec<monitoring::FiringAlert> = PrometheusAlerts,
        /// Alertmanagers that Prometheus sends to, and those that relabelling dropped.
        prometheus_alertmanagers: monitoring::DiscoveredAlertmanagers = PrometheusAlertmanagers,
        /// Failure counters that Prometheus recorded of itself and its replicas.
        prometheus_counters: Vec<monitoring::Sample> = PrometheusCounters,
        /// Prometheus' command-line flags.
        prometheus_flags: BTreeMap<String, String> = PrometheusFlags,
        /// Whether Prometheus says that it is ready, and what it says instead.
        prometheus_ready: monitoring::Readiness = PrometheusReady,
        /// Samples that each target's last scrape gave, by job.
        scrape_samples: BTreeMap<String, Vec<monitoring::TargetSamples>> = ScrapeSamples,
        /// Version and runtime information of Prometheus.
        prometheus_runtime: monitoring::PrometheusRuntime = PrometheusRuntime,
        /// Names of the metrics that Prometheus holds.
        prometheus_metric_names: BTreeSet<String> = PrometheusMetricNames,
        /// Series in Prometheus' head, and what most of them are.
        prometheus_tsdb: monitoring::TsdbStatus = PrometheusTsdb,
        /// Prometheus' own metrics.
        prometheus_metrics: Vec<monitoring::Sample> = PrometheusMetrics,
        /// Working sets of the stack's containers by cAdvisor's metrics, now and at most within a day.
        container_memory: Vec<monitoring::ContainerMemory> = ContainerMemory,
        /// Alertmanager's status with its configuration.
        alertmanager_status: monitoring::AlertmanagerStatus = AlertmanagerStatus,
        /// Alertmanager's own metrics.
        alertmanager_metrics: Vec<monitoring::Sample> = AlertmanagerMetrics,
        /// Alertmanager's silences.
        alertmanager_silences: Vec<monitoring::Silence> = AlertmanagerSilences,
        /// Names of Alertmanager's receivers.
        alertmanager_receivers: Vec<String> = AlertmanagerReceivers,
        /// Grafana's version and the state of its database.
        grafana_health: grafana::Health = GrafanaHealth,
        /// Grafana's datasources.
        grafana_datasources: Vec<grafana::Datasource> = GrafanaDatasources,
        /// What Grafana says of its Prometheus, Loki and Tempo datasources.
        grafana_datasource_health: Vec<grafana::DatasourceHealth> = GrafanaDatasourceHealth,
        /// Grafana's dashboards.
        grafana_dashboards: Vec<grafana::Dashboard> = GrafanaDashboards,
        /// Alertmanager's alerts in the groups in which it notifies, one entry for each receiver.
        alertmanager_alerts: Vec<monitoring::AlertGroup> = AlertmanagerAlerts,
        /// What scrape URLs answered that Prometheus could not read.
        target_answers: Vec<monitoring::TargetAnswer> = TargetAnswers,
        /// The EKS cluster.
        eks_cluster: aws::Cluster = EksCluster,
        /// Its add-ons.
        eks_addons: Vec<aws::Addon> = EksAddons,
        /// Its managed node groups.
        eks_nodegroups: Vec<aws::Nodegroup> = EksNodegroups,
        /// Names of its Fargate profiles.
        eks_fargate_profiles: Vec<String> = EksFargateProfiles,
        /// Its Fargate profiles with what they select.
        fargate_profiles: Vec<aws::FargateProfile> = FargateProfiles,
        /// ARNs of the IAM principals that may log in.
        access_entries: Vec<String> = AccessEntries,
        /// Updates of its add-ons and node groups that were begun a short time ago.
        eks_updates: Vec<aws::Update> = EksUpdates,
        /// The VPC of the cluster.
        vpcs: Vec<aws::Vpc> = Vpcs,
        /// Elastic IP addresses of the account in the region.
        addresses: Vec<aws::Address> = Addresses,
        /// Load balancers of the VPC.
        load_balancers: Vec<aws::LoadBalancer> = LoadBalancers,
        /// Target groups of the VPC with the health of their targets.
        target_groups: Vec<aws::TargetGroup> = TargetGroups,
        /// Who asks AWS.
        caller_identity: aws::CallerIdentity = CallerIdentity,
        /// Its Pod Identity associations.
        pod_identity_associations: Vec<aws::PodIdentityAssociation> = PodIdentityAssociations,
        /// OIDC providers of the account.
        iam_oidc_providers: Vec<aws::OidcProvider> = IamOidcProviders,
        /// Roles that service accounts and add-ons name. `Err` of one role: it could not be read; `Ok(None)`: it does not exist.
        iam_roles: BTreeMap<String, Fetched<Option<aws::Role>>> = IamRoles,
        /// Certificates of ACM that load balancers of the stack are to show, by their ARNs.
        acm_certificates: BTreeMap<String, Fetched<Option<aws::Certificate>>> = AcmCertificates,
        /// Subnets of the cluster's VPC.
        subnets: Vec<aws::Subnet> = Subnets,
        /// Route tables of the cluster's VPC.
        route_tables: Vec<aws::RouteTable> = RouteTables,
        /// NAT gateways of the cluster's VPC.
        nat_gateways: Vec<aws::NatGateway> = NatGateways,
        /// Internet gateways of the cluster's VPC.
        internet_gateways: Vec<aws::InternetGateway> = InternetGateways,
        /// Network ACLs of the cluster's VPC.
        network_acls: Vec<aws::NetworkAcl> = NetworkAcls,
        /// Security groups of the cluster's VPC.
        security_groups: Vec<aws::SecurityGroup> = SecurityGroups,
        /// EC2 instances of the cluster's nodes.
        instances: Vec<aws::Instance> = Instances,
        /// VPC endpoints of the cluster's VPC.
        vpc_endpoints: Vec<aws::VpcEndpoint> = VpcEndpoints,
    }
}

impl Snapshot {
    /// True for facts that this run cannot have, however much it may read: AWS off EKS, the API of a program that the
    /// stack does not consist of, files and probes that nobody gave or asked for.
    pub fn has_nothing_of(&self, fact: Fact) -> bool {
        let never_asked = |g: &&Gap| matches!(g.cause, GapCause::NotCollected | GapCause::NotConfigured);
        let no_service = |at: &Option<Component>| {
            at.is_none() && self.services.gaps.is_empty() && self.gaps_of(fact).iter().all(never_asked)
        };
        match fact {
            Fact::Probes | Fact::Manifests => self.gaps_of(fact).iter().all(never_asked),
            _ if fact.is_aws() => self.platform == Platform::Other,
            _ => match fact.program() {
                Some(Program::Prometheus) => no_service(&self.scope.prometheus),
                Some(Program::Alertmanager) => no_service(&self.scope.alertmanager),
                Some(Program::Grafana) => no_service(&self.scope.grafana),
                None => false,
            },
        }
    }
}

impl Snapshot {
    /// Takes this for the version of the API server.
    pub fn set_kubernetes_version(&mut self, version: String) {
        self.target.kubernetes_version = Some(version.clone());
        self.kubernetes_version = Ok(version).into();
    }

    /// Gaps that count for nothing: of facts that this run cannot have.
    pub fn gaps_of_nothing(&self) -> Vec<&Gap> {
        Fact::ALL.iter().filter(|f| self.has_nothing_of(**f)).flat_map(|f| self.gaps_of(*f)).collect()
    }
}
