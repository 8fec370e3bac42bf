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
pub mod manifests;
pub mod monitoring;
pub mod probe;
mod quantity;
mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use jiff::Timestamp;

use crate::model::{Fact, Gap, GapCause, Program, Target, Thresholds};
use kubernetes::Object;
pub use quantity::{format_bytes, format_cpu, parse_quantity};
pub use reading::{Reading, Text};

/// A fact that is there, or the reason why it is not.
pub type Fetched<T> = Result<T, Gap>;

/// Which namespaces a list covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Every namespace, or a cluster-scoped kind.
    Cluster,
    /// These namespaces were read.
    Namespaces(BTreeSet<String>),
}

/// A list with what it covers and what of it is missing.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    items: Vec<T>,
    coverage: Coverage,
    gaps: Vec<Gap>,
    /// Places of the items by what they are about; made at the first look-up.
    index: OnceLock<Index>,
}

/// Namespace, name, places in the list.
type Index = HashMap<String, HashMap<String, Vec<usize>>>;

impl<T> Listing<T> {
    fn new(items: Vec<T>, coverage: Coverage, gaps: Vec<Gap>) -> Self {
        Self { items, coverage, gaps, index: OnceLock::new() }
    }

    /// The same with objects of places that the list does not cover: that others are not there is not known.
    #[must_use]
    pub fn with_more(mut self, more: impl IntoIterator<Item = T>) -> Self {
        self.items.extend(more);
        self.index = OnceLock::new();
        self
    }

    /// A list read as a whole.
    pub fn cluster(items: Vec<T>) -> Self {
        Self::new(items, Coverage::Cluster, Vec::new())
    }

    /// A list of some namespaces; `gaps` holds those that could not be read.
    pub fn namespaces(items: Vec<T>, read: BTreeSet<String>, gaps: Vec<Gap>) -> Self {
        Self::new(items, Coverage::Namespaces(read), gaps)
    }

    /// A list that could not be read at all.
    pub fn missing(gap: Gap) -> Self {
        Self::new(Vec::new(), Coverage::Namespaces(BTreeSet::new()), vec![gap])
    }

    /// Adds a gap: a part that could not be read.
    #[must_use]
    pub fn with_gap(mut self, gap: Option<Gap>) -> Self {
        self.gaps.extend(gap);
        self
    }

    /// Changes each item or leaves it out.
    #[must_use]
    pub fn filter_map<U>(self, change: impl FnMut(T) -> Option<U>) -> Listing<U> {
        let items = self.items.into_iter().filter_map(change).collect();
        Listing::new(items, self.coverage, self.gaps)
    }

    /// Changes each item.
    #[must_use]
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listing<U> {
        Listing::new(self.items.into_iter().map(change).collect(), self.coverage, self.gaps)
    }

    /// Two lists as one; it covers what both cover.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.joined(other, |own, other| match (own, other) {
            (Coverage::Cluster, both) | (both, Coverage::Cluster) => both,
            (Coverage::Namespaces(a), Coverage::Namespaces(b)) => Coverage::Namespaces(&a & &b),
        })
    }

    /// With those of other namespaces; it covers what either covers.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        self.joined(other, |own, other| match (own, other) {
            (Coverage::Namespaces(a), Coverage::Namespaces(b)) => Coverage::Namespaces(&a | &b),
            _ => Coverage::Cluster,
        })
    }

    fn joined(mut self, other: Self, covered: impl FnOnce(Coverage, Coverage) -> Coverage) -> Self {
        self.items.extend(other.items);
        self.gaps.extend(other.gaps);
        Self::new(self.items, covered(self.coverage, other.coverage), self.gaps)
    }

    /// What was read; an error only if nothing was. Of lists that were joined ([`Self::merge`]) one may be missing.
    ///
    /// # Errors
    /// The first gap, if no namespace could be read.
    pub fn items(&self) -> Fetched<&[T]> {
        self.gaps.iter().for_each(journal::note);
        match (&self.coverage, self.gaps.first()) {
            (Coverage::Namespaces(read), Some(gap)) if read.is_empty() && self.items.is_empty() => Err(gap.clone()),
            _ => Ok(&self.items),
        }
    }

    /// True where `namespace` was read: what is not in the list does not exist there.
    pub fn covers(&self, namespace: &str) -> bool {
        let covers = self.holds_all_of(namespace);
        if !covers {
            journal::note(&self.gap_of(namespace));
        }
        covers
    }

    fn holds_all_of(&self, namespace: &str) -> bool {
        // Of a list that broke off nobody knows what the rest holds.
        if self.gaps.iter().any(|g| g.cause == GapCause::Truncated) {
            return false;
        }
        match &self.coverage {
            Coverage::Cluster => true,
            Coverage::Namespaces(read) => read.contains(namespace),
        }
    }

    /// An error unless `namespace` was read.
    ///
    /// # Errors
    /// The gap of that namespace.
    pub fn covered(&self, namespace: &str) -> Fetched<()> {
        if self.covers(namespace) {
            return Ok(());
        }
        Err(self.gap_of(namespace))
    }

    /// Why `namespace` is not known as a whole.
    fn gap_of(&self, namespace: &str) -> Gap {
        let of_it = self.gaps.iter().find(|g| g.namespace.as_deref() == Some(namespace));
        of_it.or(self.gaps.first()).cloned().unwrap_or_else(|| {
            Gap::new(format!("namespace {namespace}"), GapCause::NotCollected, "outside the namespaces of this run")
                .in_namespace(namespace)
        })
    }

    /// True where nothing is outside of what was read, so that "nobody has it" can be said.
    pub fn is_whole(&self) -> bool {
        self.gaps.iter().for_each(journal::note);
        self.coverage == Coverage::Cluster && self.gaps.is_empty()
    }

    /// Parts that could not be read.
    pub fn gaps(&self) -> &[Gap] {
        self.gaps.iter().for_each(journal::note);
        &self.gaps
    }
}

impl<T: Object> Listing<T> {
    fn places(&self, namespace: &str, name: &str) -> &[usize] {
        let index = self.index.get_or_init(|| {
            let mut index = Index::new();
            for (at, item) in self.items.iter().enumerate() {
                let (namespace, name) = item.key();
                index.entry(namespace.to_owned()).or_default().entry(name.to_owned()).or_default().push(at);
            }
            index
        });
        index.get(namespace).and_then(|names| names.get(name)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Items about something: the events of an object, the slices of a Service; of other kinds the object itself.
    pub fn about(&self, namespace: &str, name: &str) -> impl Iterator<Item = &T> {
        match namespace {
            "" => self.gaps.iter().for_each(journal::note),
            _ => _ = self.covers(namespace),
        }
        self.places(namespace, name).iter().map(|at| &self.items[*at])
    }

    /// An object by namespace and name. `Ok(None)` means that it does not exist.
    ///
    /// # Errors
    /// A gap, if `namespace` was not read and the object was not seen either.
    pub fn find(&self, namespace: &str, name: &str) -> Fetched<Option<&T>> {
        let is_it = |o: &&T| o.meta().namespace == namespace && o.meta().name == name;
        // What a list is looked up by may be something else than the names of its objects.
        let found = if T::IS_KEYED_BY_NAME {
            self.places(namespace, name).iter().map(|at| &self.items[*at]).find(is_it)
        } else {
            self.items.iter().find(is_it)
        };
        if found.is_some() {
            return Ok(found);
        }
        self.covered(namespace).map(|()| None)
    }

    /// A cluster-scoped object by name.
    ///
    /// # Errors
    /// A gap, if the list could not be read.
    pub fn named(&self, name: &str) -> Fetched<Option<&T>> {
        self.find("", name)
    }
}

/// A fact nobody asked for.
pub fn not_collected(fact: Fact) -> Gap {
    Gap::new(fact.as_str(), GapCause::NotCollected, "no selected check asked for it")
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self::missing(Gap::new("list", GapCause::NotCollected, "not collected"))
    }
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

            /// What is missing of a fact.
            pub fn gaps_of(&self, fact: Fact) -> Vec<&Gap> {
                let mut gaps = Vec::new();
                $(if fact == Fact::$lf { gaps.extend(&self.$list.gaps); })*
                $(if fact == Fact::$ff { gaps.extend(self.$fact.gaps()); })*
                if fact == Fact::Events {
                    gaps.extend(&self.unread_node_events);
                }
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

/// Whether the cluster is EKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Platform {
    /// An EKS cluster.
    Eks,
    /// Another cluster: AWS checks do not apply.
    Other,
    /// Could not be told (no node could be read and the kubeconfig does not say).
    #[default]
    Unknown,
}

/// The API server did not let anybody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRefusal {
    /// What it said, or why it could not be reached.
    pub gap: Gap,
    /// The host that the kubeconfig names, where there is one.
    pub server: Option<String>,
}

/// Which namespaces a run looks at, and where the stack's parts are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Namespaces of the monitoring stack, the main one first.
    pub stack: Vec<String>,
    /// A part of the stack was seen; else the namespace is the named or the usual one.
    pub discovered: bool,
    /// The user named the namespace.
    pub named: bool,
    /// Lists that tell where the stack is and that could not be read.
    pub gaps: Vec<Gap>,
    /// Namespaces whose Services Prometheus scrapes.
    pub scraped: BTreeSet<String>,
    /// Namespaces outside of the stack in which operators, log agents or log stores run.
    pub parts: BTreeSet<String>,
    /// Namespaces of programs that the stack hangs on and that nobody runs for it alone (DNS records, the network plugin): they are
    /// read, and what else is in them is not judged.
    pub guests: BTreeSet<String>,
    /// Every namespace, where all of them are to be judged; empty otherwise.
    pub all: BTreeSet<String>,
    /// The Service through which Prometheus is asked.
    pub prometheus: Option<Component>,
    /// The Service through which Alertmanager is asked.
    pub alertmanager: Option<Component>,
    /// The Service through which Grafana is asked.
    pub grafana: Option<Component>,
    /// URLs that the user gave instead, by `prometheus`, `alertmanager` and `grafana`.
    pub given: BTreeMap<&'static str, String>,
}

impl Scope {
    /// All namespaces that are read in full, kube-system for the CSI, DNS and CNI parts included.
    pub fn namespaces(&self) -> BTreeSet<String> {
        let beside = self.scraped.iter().chain(&self.parts).chain(&self.guests).chain(&self.all).cloned();
        self.stack.iter().cloned().chain(beside).chain(["kube-system".to_owned()]).collect()
    }

    /// True for a namespace whose pods and volumes are judged: of the stack, of its log stores, agents and operators beside
    /// it, or any where all are.
    pub fn is_judged(&self, namespace: &str) -> bool {
        !self.all.is_empty() || self.is_stack(namespace) || self.parts.contains(namespace)
    }

    /// Why nobody knows where the stack is: none was found, and a list that would show it could not be read. What was
    /// looked at instead, the usual namespace, says nothing of it then.
    pub fn unknown(&self) -> Option<&Gap> {
        if self.discovered || self.named { None } else { self.gaps.first() }
    }

    /// True for a namespace of the monitoring stack.
    pub fn is_stack(&self, namespace: &str) -> bool {
        self.stack.iter().any(|n| n == namespace)
    }
}

/// A part of the stack that has an HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Namespace of its Service.
    pub namespace: String,
    /// Name of its Service.
    pub service: String,
    /// Port of the Service.
    pub port: u16,
    /// `http` or `https`, by the port's name.
    pub scheme: &'static str,
    /// Path prefix (`--web.route-prefix`), without trailing slash; empty mostly.
    pub prefix: String,
}
