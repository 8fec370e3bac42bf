//! Lists beyond the stack's own objects: what selects, guards, scales and releases them.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::Plan;
use super::client::{Client, IfAbsent};
use super::kinds::{Kind, Kinds, OfKind};
use super::kubernetes::Wanted;
use crate::domain::kubernetes::autoscaling::{self, Stuck};
use crate::domain::kubernetes::{calico, cilium, gitops, network_plugin};
use crate::model::{Fact, Gap};
use crate::snapshot::kubernetes::{
    AlertmanagerConfigResource, ApiService, Autoscaler, CalicoPolicy, CiliumPolicy, CronJob, DisruptionBudget,
    EniConfig, Event, HelmRelease, Ingress, IngressClass, Job, Monitor, MonitoringResource, NetworkPolicy, Object,
    ObjectName, Pod, ProbeResource, ReplicaSet, ScrapeConfigResource, SecurityGroupPolicy, WebhookConfiguration,
};
use crate::snapshot::{Listing, Snapshot, not_collected};

/// The operator's API group.
const OPERATOR: &str = "/apis/monitoring.coreos.com";

/// Objects of kinds that a cluster need not have.
const BY_DEFINITION: &[Fact] = &[
    Fact::NodeMakers,
    Fact::SecretMakers,
    Fact::Issuing,
    Fact::GitOps,
    Fact::FluxSources,
    Fact::Operated,
    Fact::Gateways,
    Fact::ScaledObjects,
];

/// What makes nodes for Karpenter and EKS Auto Mode.
const NODE_MAKERS: &[Kind] = &[
    Kind::all("karpenter.sh", &["v1"], "nodepools", "NodePool"),
    Kind::all("karpenter.sh", &["v1"], "nodeclaims", "NodeClaim"),
    Kind::all("karpenter.k8s.aws", &["v1"], "ec2nodeclasses", "EC2NodeClass"),
    Kind::all("eks.amazonaws.com", &["v1"], "nodeclasses", "NodeClass"),
];

/// What KEDA scales by.
const SCALED_OBJECTS: Kind = Kind::all("keda.sh", &["v1alpha1"], "scaledobjects", "ScaledObject");

/// What brings objects from a repository. They lie anywhere.
const GIT_OPS: &[Kind] = &[
    Kind::all("argoproj.io", &["v1alpha1"], "applications", "Application"),
    Kind::all("kustomize.toolkit.fluxcd.io", &["v1", "v1beta2"], "kustomizations", "Kustomization"),
    Kind::all("helm.toolkit.fluxcd.io", &["v2", "v2beta2"], "helmreleases", "HelmRelease"),
];

/// Where Flux fetches what it brings.
const FLUX_SOURCES: &[Kind] = &[
    Kind::all("source.toolkit.fluxcd.io", &["v1", "v1beta2"], "gitrepositories", "GitRepository"),
    Kind::all("source.toolkit.fluxcd.io", &["v1", "v1beta2"], "helmrepositories", "HelmRepository"),
    Kind::all("source.toolkit.fluxcd.io", &["v1", "v1beta2"], "ocirepositories", "OCIRepository"),
    Kind::all("source.toolkit.fluxcd.io", &["v1", "v1beta2"], "buckets", "Bucket"),
    Kind::all("source.toolkit.fluxcd.io", &["v1", "v1beta2"], "helmcharts", "HelmChart"),
];

/// What the operators of Grafana, Loki and Tempo make parts of.
const OPERATED: &[Kind] = &[
    Kind::all("grafana.integreatly.org", &["v1beta1"], "grafanas", "Grafana"),
    Kind::all("grafana.integreatly.org", &["v1beta1"], "grafanadashboards", "GrafanaDashboard"),
    Kind::all("grafana.integreatly.org", &["v1beta1"], "grafanadatasources", "GrafanaDatasource"),
    Kind::all("loki.grafana.com", &["v1"], "lokistacks", "LokiStack"),
    Kind::all("tempo.grafana.com", &["v1alpha1"], "tempostacks", "TempoStack"),
    Kind::all("tempo.grafana.com", &["v1alpha1"], "tempomonolithics", "TempoMonolithic"),
];

/// The versions of External Secrets: another since 2025, and for a while both are served.
const EXTERNAL: &[&str] = &["v1", "v1beta1"];

/// What makes Secrets from somewhere else.
const SECRET_MAKERS: &[Kind] = &[
    Kind::wide("external-secrets.io", EXTERNAL, "externalsecrets", "ExternalSecret"),
    Kind::wide("external-secrets.io", EXTERNAL, "secretstores", "SecretStore"),
    Kind::all("external-secrets.io", EXTERNAL, "clustersecretstores", "ClusterSecretStore"),
    Kind::wide("bitnami.com", &["v1alpha1"], "sealedsecrets", "SealedSecret"),
    Kind::wide("cert-manager.io", &["v1"], "certificates", "Certificate"),
];

/// How certificates of cert-manager are issued, and by whom.
const ISSUING: &[Kind] = &[
    Kind::wide("cert-manager.io", &["v1"], "certificaterequests", "CertificateRequest"),
    Kind::wide("cert-manager.io", &["v1"], "issuers", "Issuer"),
    Kind::all("cert-manager.io", &["v1"], "clusterissuers", "ClusterIssuer"),
    Kind::wide("acme.cert-manager.io", &["v1"], "orders", "Order"),
    Kind::wide("acme.cert-manager.io", &["v1"], "challenges", "Challenge"),
];

/// The versions of the Gateway API: clusters of before 2023 serve the second alone.
const GATEWAY: &[&str] = &["v1", "v1beta1"];

/// The objects of the Gateway API. A route that leads to the stack, and the Gateway that it hangs on, lie anywhere.
const GATEWAYS: &[Kind] = &[
    Kind::all("gateway.networking.k8s.io", GATEWAY, "gatewayclasses", "GatewayClass"),
    Kind::wide("gateway.networking.k8s.io", GATEWAY, "gateways", "Gateway"),
    Kind::wide("gateway.networking.k8s.io", GATEWAY, "httproutes", "HTTPRoute"),
];

/// Some of them are wanted.
fn by_definition(plan: &Plan) -> bool {
    BY_DEFINITION.iter().any(|fact| plan.wants(*fact))
}

/// Asks only for what is wanted.
async fn wanted<T>(plan: &Plan, fact: Fact, list: impl Future<Output = Listing<T>>) -> Listing<T> {
    if plan.facts.contains(&fact) { list.await } else { Listing::missing(not_collected(fact)) }
}

/// The operator's resources. They say in which namespaces targets are wanted, so they are read before those.
pub(super) async fn operator_resources(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let scope = snap.scope.namespaces();
    operator(client, plan, &scope).await.store(snap);
    let monitored = monitored_namespaces(snap);
    snap.scope.scraped.extend(monitored);
}

/// Namespaces read at most because a monitor finds no target there.
const MAX_MONITORED: usize = 15;

/// Namespaces in which monitors look for targets, where Prometheus has none of theirs.
fn monitored_namespaces(snap: &Snapshot) -> BTreeSet<String> {
    let active: BTreeSet<&str> =
        snap.prometheus_targets().map(|t| t.iter().map(|t| t.job()).collect()).unwrap_or_default();
    let monitors = snap.monitors.items().unwrap_or_default().iter();
    let idle = monitors.filter(|m| {
        let kind = if m.kind == "PodMonitor" { "podMonitor" } else { "serviceMonitor" };
        let pool = format!("{kind}/{}/{}/", m.metadata.namespace, m.metadata.name);
        !active.iter().any(|job| job.starts_with(&pool))
    });
    let wanted = idle.flat_map(|m| match m.spec.namespace_selector.match_names.as_slice() {
        [] => vec![m.metadata.namespace.clone()],
        names => names.to_vec(),
    });
    let outside: BTreeSet<String> = wanted.filter(|n| !snap.scope.is_stack(n) && n != "kube-system").collect();
    outside.into_iter().take(MAX_MONITORED).collect()
}

/// Reads the rest.
pub(super) async fn gather(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let scope = snap.scope.namespaces();
    let lists = Wanted::of(snap);
    let (cluster, namespaced, cni) =
        futures::join!(cluster(client, plan), namespaced(client, plan, &scope, &lists), cni(client, plan, &lists));
    (snap.security_group_policies, snap.eni_configs) = cni;
    cluster.store(snap);
    namespaced.store(snap);
    let kinds = if by_definition(plan) { Kinds::of(client, snap).await } else { Kinds::default() };
    snap.scaled_objects = wanted(plan, Fact::ScaledObjects, kinds.read(client, SCALED_OBJECTS, &scope)).await;
    scaled_events(client, plan, snap).await;
    scaled_pods(client, plan, snap).await;
    let (nodes, secrets, issuing, git_ops, sources, operated, gateways, policies) = futures::join!(
        wanted(plan, Fact::NodeMakers, kinds.several(client, NODE_MAKERS, &scope)),
        wanted(plan, Fact::SecretMakers, kinds.several(client, SECRET_MAKERS, &scope)),
        wanted(plan, Fact::Issuing, kinds.several(client, ISSUING, &scope)),
        wanted(plan, Fact::GitOps, kinds.several(client, GIT_OPS, &scope)),
        wanted(plan, Fact::FluxSources, kinds.several(client, FLUX_SOURCES, &scope)),
        wanted(plan, Fact::Operated, kinds.several(client, OPERATED, &scope)),
        wanted(plan, Fact::Gateways, kinds.several(client, GATEWAYS, &scope)),
        plugin_policies(client, plan, snap, &scope)
    );
    (snap.node_makers, snap.secret_makers, snap.git_ops) = (nodes, secrets, git_ops);
    (snap.issuing, snap.gateways, snap.operated) = (issuing, gateways, operated);
    snap.flux_sources = sources;
    sync_events(client, plan, snap).await;
    let known = std::mem::take(&mut snap.network_policies);
    snap.network_policies = known.with_more(policies.0).with_gap(policies.1);
}

/// Namespaces that are looked into at most for the events of objects that bring something to the stack.
const MAX_PLACES: usize = 4;

/// What KEDA says of the ScaledObjects whose autoscalers get no metric: it stands in the events of their namespaces.
async fn scaled_events(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let is_stuck = |h: &&Autoscaler| {
        let mut conditions = h.status.conditions.iter();
        h.metadata.name.starts_with("keda-hpa-") && conditions.any(|c| c.kind == "ScalingActive" && c.status == "False")
    };
    let stuck = snap.autoscalers.items().unwrap_or_default().iter().filter(is_stuck).map(|h| &h.metadata);
    // Of those that are not ready there is no autoscaler.
    let scaled = snap.scaled_objects.items().unwrap_or_default().iter();
    let not_ready = scaled.filter(|o| o.not_ready().is_some()).map(|o| &o.metadata);
    let places = stuck.chain(not_ready).map(|m| m.namespace.clone()).collect();
    events_of(client, plan, snap, "ScaledObject", places).await;
}

/// The pods that autoscalers complain of, where their namespaces are not read else: whose they are, and whether they are ready.
/// They only add to what the autoscaler says.
async fn scaled_pods(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let known = snap.scope.namespaces();
    let all = snap.autoscalers.items().unwrap_or_default().iter().filter(|h| !known.contains(&h.metadata.namespace));
    let stuck: Vec<(Autoscaler, Stuck)> = all
        .filter_map(|h| Some((h.clone(), autoscaling::stuck(snap, h)?.0)))
        .filter(|(_, stuck)| matches!(stuck, Stuck::NoValues | Stuck::NoRequest { pod: Some(_), .. }))
        .collect();
    let places: BTreeSet<String> = stuck
        .iter()
        .map(|(h, _)| h.metadata.namespace.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .take(MAX_PLACES)
        .collect();
    if places.is_empty() || !plan.wants(Fact::Pods) || !snap.scope.all.is_empty() {
        return;
    }
    let found = client.namespaced_list::<Pod>("/api/v1", "pods", &places, IfAbsent::Empty).await;
    let is_wanted = |p: &&Pod| stuck.iter().any(|(h, stuck)| autoscaling::is_about(snap, h, stuck, p));
    let more: Vec<Pod> =
        found.items().unwrap_or_default().iter().filter(is_wanted).cloned().map(Pod::with_own_claims).collect();
    let pods = std::mem::take(&mut snap.pods);
    snap.pods = pods.with_more(more);
}

/// How often Argo CD began a sync of what differs again after each, where the object does not count it.
async fn sync_events(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let all = snap.git_ops.items().unwrap_or_default().iter();
    let places = all.filter(|o| gitops::counts_in_events(snap, o)).map(|o| o.metadata.namespace.clone()).collect();
    events_of(client, plan, snap, "Application", places).await;
}

/// Adds the events of one kind of objects in namespaces that are not read else: they only add to what the objects say.
async fn events_of(client: &Client, plan: &Plan, snap: &mut Snapshot, kind: &'static str, places: BTreeSet<String>) {
    let known = snap.scope.namespaces();
    let places: BTreeSet<String> = places.into_iter().filter(|n| !known.contains(n)).take(MAX_PLACES).collect();
    if places.is_empty() || !plan.wants(Fact::Events) || !snap.scope.all.is_empty() {
        return;
    }
    let found = client.namespaced_list::<Event>("/api/v1", "events", &places, IfAbsent::Empty).await;
    let own = found.filter_map(|e| (e.involved_object.kind == kind).then_some(e));
    let events = std::mem::take(&mut snap.events);
    snap.events = events.with_more(own.items().unwrap_or_default().iter().cloned());
    // Of other kinds nothing is known there.
    snap.events_of_kind.insert(kind, own);
}

struct Operator {
    rules: Listing<ObjectName>,
    monitors: Listing<Monitor>,
    probes: Listing<ProbeResource>,
    scrape_configs: Listing<ScrapeConfigResource>,
    configs: Listing<AlertmanagerConfigResource>,
    servers: Listing<MonitoringResource>,
}

async fn operator(client: &Client, plan: &Plan, scope: &BTreeSet<String>) -> Operator {
    let v1 = format!("{OPERATOR}/v1");
    let alpha = format!("{OPERATOR}/v1alpha1");
    let monitors = async {
        let (services, pods) = futures::join!(
            wide::<Monitor>(client, &v1, "servicemonitors", scope),
            wide::<Monitor>(client, &v1, "podmonitors", scope)
        );
        services.map(|m| m.of_kind("ServiceMonitor")).merge(pods.map(|m| m.of_kind("PodMonitor")))
    };
    let servers = async {
        let (agents, rulers) = futures::join!(
            wide::<MonitoringResource>(client, &alpha, "prometheusagents", scope),
            wide::<MonitoringResource>(client, &v1, "thanosrulers", scope)
        );
        agents.map(|r| r.of_kind("PrometheusAgent")).merge(rulers.map(|r| r.of_kind("ThanosRuler")))
    };
    let names = format!("{v1}/prometheusrules");
    let (rules, monitors, probes, scrape_configs, configs, servers) = futures::join!(
        async {
            // Who wants the objects has to know in which namespaces there are any.
            if plan.wants(Fact::PrometheusRuleNames) || plan.wants(Fact::PrometheusRuleObjects) {
                client.cluster_names(&names, IfAbsent::Empty).await
            } else {
                Listing::missing(not_collected(Fact::PrometheusRuleNames))
            }
        },
        wanted(plan, Fact::Monitors, monitors),
        wanted(plan, Fact::ProbeResources, wide(client, &v1, "probes", scope)),
        wanted(plan, Fact::ScrapeConfigResources, wide(client, &alpha, "scrapeconfigs", scope)),
        wanted(plan, Fact::AlertmanagerConfigResources, wide(client, &alpha, "alertmanagerconfigs", scope)),
        wanted(plan, Fact::OtherServers, servers),
    );
    Operator { rules, monitors, probes, scrape_configs, configs, servers }
}

/// Custom resources: where the cluster does not know them, there are none.
async fn wide<T>(client: &Client, prefix: &str, resource: &str, scope: &BTreeSet<String>) -> Listing<T>
where
    T: Object + DeserializeOwned + Send + 'static,
{
    client.wide_list(prefix, resource, scope, IfAbsent::Empty).await
}

struct Cluster {
    api_services: Listing<ApiService>,
    webhooks: Listing<WebhookConfiguration>,
    crds: Listing<ObjectName>,
    classes: Listing<IngressClass>,
}

async fn cluster(client: &Client, plan: &Plan) -> Cluster {
    let admission = "/apis/admissionregistration.k8s.io/v1";
    let webhooks = async {
        let path = |kind: &str| format!("{admission}/{kind}webhookconfigurations");
        let (validating, mutating) = (path("validating"), path("mutating"));
        let (validating, mutating) = futures::join!(
            client.cluster_list::<WebhookConfiguration>(&validating, IfAbsent::Gap),
            client.cluster_list::<WebhookConfiguration>(&mutating, IfAbsent::Gap)
        );
        let validating = validating.map(|w| w.of_kind("ValidatingWebhookConfiguration"));
        validating.merge(mutating.map(|w| w.of_kind("MutatingWebhookConfiguration")))
    };
    let (api_services, webhooks, crds, classes) = futures::join!(
        wanted(
            plan,
            Fact::ApiServices,
            client.cluster_list("/apis/apiregistration.k8s.io/v1/apiservices", IfAbsent::Gap)
        ),
        wanted(plan, Fact::Webhooks, webhooks),
        async {
            // They also say of which kinds there can be objects at all.
            if plan.wants(Fact::Crds) || by_definition(plan) {
                let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
                client.cluster_names(path, IfAbsent::Gap).await
            } else {
                Listing::missing(not_collected(Fact::Crds))
            }
        },
        wanted(
            plan,
            Fact::IngressClasses,
            client.cluster_list("/apis/networking.k8s.io/v1/ingressclasses", IfAbsent::Gap)
        ),
    );
    Cluster { api_services, webhooks, crds, classes }
}

/// Resources of the VPC CNI.
async fn cni(client: &Client, plan: &Plan, lists: &Wanted) -> (Listing<SecurityGroupPolicy>, Listing<EniConfig>) {
    let absent = IfAbsent::Empty;
    futures::join!(
        wanted(
            plan,
            Fact::SecurityGroupPolicies,
            lists.list(client, "/apis/vpcresources.k8s.aws/v1beta1", "securitygrouppolicies", absent)
        ),
        wanted(plan, Fact::EniConfigs, client.cluster_list("/apis/crd.k8s.amazonaws.com/v1alpha1/eniconfigs", absent)),
    )
}

/// What the policies of Cilium and Calico say, as far as those of Kubernetes can say it; a gap where they are there and
/// cannot be read.
async fn plugin_policies(
    client: &Client,
    plan: &Plan,
    snap: &Snapshot,
    scope: &BTreeSet<String>,
) -> (Vec<NetworkPolicy>, Option<Gap>) {
    let (crds, is_whole) = (snap.crds.items().unwrap_or_default(), snap.crds.is_whole());
    // Where not all definitions can be read, the kind itself is asked for.
    let is_there = |name: &str| {
        let may_be = !is_whole || crds.iter().any(|c| c.metadata.name == name);
        plan.wants(Fact::NetworkPolicies) && may_be
    };
    // Then a refusal says something only where the plugin runs: RBAC comes before the question whether there is such a kind.
    let counts = |plugin: &str| is_whole || network_plugin::runs(snap, plugin);
    let (mut made, mut gap) = (Vec::new(), None);
    let namespaces: Vec<&str> = scope.iter().map(String::as_str).collect();
    for (name, resource) in [
        ("ciliumnetworkpolicies.cilium.io", "ciliumnetworkpolicies"),
        ("ciliumclusterwidenetworkpolicies.cilium.io", "ciliumclusterwidenetworkpolicies"),
    ] {
        if !is_there(name) {
            continue;
        }
        let path = format!("/apis/cilium.io/v2/{resource}");
        let all = client.cluster_list::<CiliumPolicy>(&path, IfAbsent::Empty).await;
        let own = all.items().unwrap_or_default().iter().flat_map(|p| cilium::translated(p, &namespaces));
        made.extend(own.filter(|p| scope.contains(&p.metadata.namespace)));
        gap = gap.or(all.gaps().first().filter(|_| counts("cilium")).cloned());
    }
    for resource in ["networkpolicies", "globalnetworkpolicies"] {
        if !is_there(&format!("{resource}.crd.projectcalico.org")) {
            continue;
        }
        let path = format!("/apis/crd.projectcalico.org/v1/{resource}");
        let all = client.cluster_list::<CalicoPolicy>(&path, IfAbsent::Empty).await;
        let own = all.items().unwrap_or_default().iter().flat_map(|p| calico::translated(p, &namespaces));
        made.extend(own.filter(|p| scope.contains(&p.metadata.namespace)));
        gap = gap.or(all.gaps().first().filter(|_| counts("calico")).cloned());
    }
    (made, gap)
}

struct Namespaced {
    sets: Listing<ReplicaSet>,
    jobs: Listing<Job>,
    cron_jobs: Listing<CronJob>,
    autoscalers: Listing<Autoscaler>,
    budgets: Listing<DisruptionBudget>,
    ingresses: Listing<Ingress>,
    releases: Listing<HelmRelease>,
}

async fn namespaced(client: &Client, plan: &Plan, scope: &BTreeSet<String>, lists: &Wanted) -> Namespaced {
    let gap = IfAbsent::Gap;
    let (sets, jobs, cron_jobs, autoscalers, budgets, ingresses, releases) = futures::join!(
        wanted(plan, Fact::ReplicaSets, lists.list(client, "/apis/apps/v1", "replicasets", gap)),
        wanted(plan, Fact::Jobs, lists.list(client, "/apis/batch/v1", "jobs", gap)),
        wanted(plan, Fact::CronJobs, lists.list(client, "/apis/batch/v1", "cronjobs", gap)),
        // What scales or is drained lies anywhere.
        wanted(
            plan,
            Fact::Autoscalers,
            client.wide_list("/apis/autoscaling/v2", "horizontalpodautoscalers", scope, gap)
        ),
        wanted(plan, Fact::DisruptionBudgets, client.wide_list("/apis/policy/v1", "poddisruptionbudgets", scope, gap)),
        wanted(plan, Fact::Ingresses, lists.list(client, "/apis/networking.k8s.io/v1", "ingresses", gap)),
        wanted(plan, Fact::HelmReleases, releases(client)),
    );
    Namespaced { sets, jobs, cron_jobs, autoscalers, budgets, ingresses, releases }
}

/// By the labels that Helm sets. Only metadata is asked for, so that no Secret's data is ever sent.
async fn releases(client: &Client) -> Listing<HelmRelease> {
    let (secrets, maps) =
        futures::join!(client.helm_storage("/api/v1/secrets"), client.helm_storage("/api/v1/configmaps"));
    let secrets = secrets.filter_map(|o| HelmRelease::of(o, "Secret"));
    let maps = maps.filter_map(|o| HelmRelease::of(o, "ConfigMap"));
    // ConfigMaps hold releases only where someone chose so: that they cannot be read says nothing.
    if maps.items().is_err() { secrets } else { secrets.merge(maps) }
}

impl Operator {
    fn store(self, snap: &mut Snapshot) {
        snap.prometheus_rule_names = self.rules;
        snap.monitors = self.monitors;
        snap.probe_resources = self.probes;
        snap.scrape_config_resources = self.scrape_configs;
        snap.alertmanager_config_resources = self.configs;
        snap.other_servers = self.servers;
    }
}

impl Cluster {
    fn store(self, snap: &mut Snapshot) {
        snap.api_services = self.api_services;
        snap.webhooks = self.webhooks;
        snap.crds = self.crds;
        snap.ingress_classes = self.classes;
    }
}

impl Namespaced {
    fn store(self, snap: &mut Snapshot) {
        snap.replica_sets = self.sets;
        snap.jobs = self.jobs;
        snap.cron_jobs = self.cron_jobs;
        snap.autoscalers = self.autoscalers;
        snap.disruption_budgets = self.budgets;
        snap.ingresses = self.ingresses;
        snap.helm_releases = self.releases;
    }
}
