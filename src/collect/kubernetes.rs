//! Kubernetes lists.

use std::collections::BTreeSet;

use super::Plan;
use super::client::{Client, IfAbsent};
use crate::domain::kubernetes::foundation;
use crate::domain::prometheus::configured;
use crate::model::Fact;
use crate::snapshot::kubernetes::{ConfigMap, ContainerStatus, Event, MonitoringResource, Node, Object, Pod, Workload};
use crate::snapshot::{Listing, Platform, Snapshot};

/// Cluster-scoped lists, and Services, which are small and show where the stack is.
pub(super) async fn cluster_scope(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let fallback: BTreeSet<String> =
        [plan.namespace.clone().unwrap_or_else(|| "monitoring".into()), "kube-system".into()].into();
    macro_rules! list {
        ($fact:ident, $path:expr) => {
            async {
                if plan.wants(Fact::$fact) {
                    client.cluster_list($path, IfAbsent::Gap).await
                } else {
                    Listing::missing(crate::snapshot::not_collected(Fact::$fact))
                }
            }
        };
    }
    // Nodes, Services and the operator's resources are always read: they tell the platform and the stack.
    let namespaces = async {
        if plan.wants(Fact::Namespaces) {
            client.cluster_list("/api/v1/namespaces", IfAbsent::Gap).await
        } else {
            Listing::missing(crate::snapshot::not_collected(Fact::Namespaces))
        }
    };
    let (nodes, namespaces, classes, drivers, volumes, services, resources) = futures::join!(
        client.cluster_list("/api/v1/nodes", IfAbsent::Gap),
        namespaces,
        list!(StorageClasses, "/apis/storage.k8s.io/v1/storageclasses"),
        list!(CsiDrivers, "/apis/storage.k8s.io/v1/csidrivers"),
        list!(PersistentVolumes, "/api/v1/persistentvolumes"),
        client.wide_list("/api/v1", "services", &fallback, IfAbsent::Gap),
        monitoring_resources(client, &fallback)
    );
    snap.nodes = nodes;
    snap.namespaces = namespaces;
    snap.storage_classes = classes;
    snap.csi_drivers = drivers;
    snap.persistent_volumes = volumes;
    snap.services = services;
    snap.monitoring_resources = resources;
}

async fn monitoring_resources(client: &Client, fallback: &BTreeSet<String>) -> Listing<MonitoringResource> {
    let prefix = "/apis/monitoring.coreos.com/v1";
    let (prometheuses, alertmanagers) = futures::join!(
        client.wide_list::<MonitoringResource>(prefix, "prometheuses", fallback, IfAbsent::Empty),
        client.wide_list::<MonitoringResource>(prefix, "alertmanagers", fallback, IfAbsent::Empty)
    );
    let tag = |kind: &str| {
        let kind = kind.to_owned();
        move |mut r: MonitoringResource| {
            r.kind.clone_from(&kind);
            r
        }
    };
    prometheuses.map(tag("Prometheus")).merge(alertmanagers.map(tag("Alertmanager")))
}

/// Which namespaces a list is read in.
pub(super) enum Wanted {
    /// These.
    Some(BTreeSet<String>),
    /// Every one: one list of the cluster, or those of the namespaces that may be read.
    All(BTreeSet<String>),
}

impl Wanted {
    pub(super) fn of(snap: &Snapshot) -> Self {
        let namespaces = snap.scope.namespaces();
        if snap.scope.all.is_empty() { Self::Some(namespaces) } else { Self::All(namespaces) }
    }

    pub(super) async fn list<T>(&self, client: &Client, prefix: &str, resource: &str, absent: IfAbsent) -> Listing<T>
    where
        T: Object + serde::de::DeserializeOwned + Send + 'static,
    {
        match self {
            Self::Some(namespaces) => client.namespaced_list(prefix, resource, namespaces, absent).await,
            Self::All(namespaces) => client.wide_list(prefix, resource, namespaces, absent).await,
        }
    }
}

/// Namespaces that are read at most because a configuration names Services there.
const MAX_CONFIGURED: usize = 15;

/// Where Prometheus cannot be asked for its targets, the ConfigMaps, read before all else: its configuration in one of them says
/// in which other namespaces it scrapes Services.
async fn maps_first(client: &Client, plan: &Plan, snap: &mut Snapshot, maps: &Wanted) -> Option<Listing<ConfigMap>> {
    if !plan.wants(Fact::ConfigMaps) || !plan.wants(Fact::PrometheusTargets) || snap.prometheus_targets().is_ok() {
        return None;
    }
    let read = maps.list(client, "/api/v1", "configmaps", IfAbsent::Gap).await;
    let named = configured::namespaces(snap, read.items().unwrap_or_default()).into_iter();
    let outside: Vec<String> = named.filter(|n| !snap.scope.is_stack(n) && is_there(snap, n)).collect();
    snap.scope.scraped.extend(outside.into_iter().take(MAX_CONFIGURED));
    Some(read)
}

/// A namespace that may be there: it is listed, or nobody could list them.
fn is_there(snap: &Snapshot, namespace: &str) -> bool {
    let all = snap.namespaces.items().unwrap_or_default();
    all.is_empty() || all.iter().any(|n| n.metadata.name == namespace)
}

/// Lists of the namespaces in scope.
pub(super) async fn namespaced(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let stack: BTreeSet<String> = snap.scope.stack.iter().cloned().collect();
    // The agents' configurations, too.
    let with_parts = Wanted::Some(stack.iter().chain(&snap.scope.parts).cloned().collect());
    let read = maps_first(client, plan, snap, &with_parts).await;
    let scope = Wanted::of(snap);
    let small = Wanted::Some(stack.iter().cloned().chain(["kube-system".to_owned()]).collect());
    // A store or an agent beside the stack has its role by its own account.
    let with_roles = stack.iter().chain(&snap.scope.parts).chain(&snap.scope.guests).cloned();
    let with_roles = with_roles.chain(["kube-system".to_owned()]);
    let with_roles = Wanted::Some(with_roles.collect());
    let with_files = with_files(plan, snap);
    macro_rules! list {
        ($fact:ident, $prefix:expr, $resource:expr, $namespaces:expr) => {
            async {
                if plan.wants(Fact::$fact) {
                    $namespaces.list(client, $prefix, $resource, IfAbsent::Gap).await
                } else {
                    Listing::missing(crate::snapshot::not_collected(Fact::$fact))
                }
            }
        };
    }
    let workloads = async {
        if plan.wants(Fact::Workloads) {
            workloads(client, &scope).await
        } else {
            Listing::missing(crate::snapshot::not_collected(Fact::Workloads))
        }
    };
    let maps = async {
        match read {
            Some(read) => read,
            None => list!(ConfigMaps, "/api/v1", "configmaps", with_parts).await,
        }
    };
    let rules = async {
        if plan.wants(Fact::PrometheusRuleObjects) {
            let prefix = "/apis/monitoring.coreos.com/v1";
            // A Prometheus of the operator selects them anywhere.
            let outside = match (&scope, snap.prometheus_rule_names.items()) {
                (Wanted::Some(read), Ok(all)) => all.iter().any(|rule| !read.contains(&rule.metadata.namespace)),
                _ => false,
            };
            let path = format!("{prefix}/prometheusrules");
            let all = if outside { Some(client.cluster_list(&path, IfAbsent::Empty).await) } else { None };
            match all.filter(|list| list.items().is_ok()) {
                Some(list) => list,
                None => scope.list(client, prefix, "prometheusrules", IfAbsent::Empty).await,
            }
        } else {
            Listing::missing(crate::snapshot::not_collected(Fact::PrometheusRuleObjects))
        }
    };
    let (pods, claims, events, slices, maps, accounts, policies, quotas, ranges, metrics, workloads, rules) = futures::join!(
        list!(Pods, "/api/v1", "pods", scope),
        list!(PersistentVolumeClaims, "/api/v1", "persistentvolumeclaims", scope),
        list!(Events, "/api/v1", "events", scope),
        list!(EndpointSlices, "/apis/discovery.k8s.io/v1", "endpointslices", scope),
        maps,
        list!(ServiceAccounts, "/api/v1", "serviceaccounts", with_roles),
        list!(NetworkPolicies, "/apis/networking.k8s.io/v1", "networkpolicies", scope),
        list!(ResourceQuotas, "/api/v1", "resourcequotas", with_files),
        list!(LimitRanges, "/api/v1", "limitranges", with_files),
        list!(PodMetrics, "/apis/metrics.k8s.io/v1beta1", "pods", small),
        workloads,
        rules
    );
    snap.pods = pods.map(Pod::with_own_claims);
    snap.persistent_volume_claims = claims;
    let beside = of_nodes(client, plan, snap).await;
    // A gap of theirs is none of the events of the stack: who looks at nodes meets it.
    snap.unread_node_events = beside.gaps().first().cloned();
    let more = beside.items().unwrap_or_default().iter().filter(|e| e.is_of_nodes());
    snap.events = events.with_more(more.cloned());
    snap.endpoint_slices = slices;
    snap.config_maps = maps;
    snap.service_accounts = accounts;
    snap.network_policies = policies;
    snap.resource_quotas = quotas;
    snap.limit_ranges = ranges;
    snap.pod_metrics = metrics;
    snap.workloads = workloads;
    snap.prometheus_rule_objects = rules;
    room(client, plan, snap).await;
    attachments(client, plan, snap).await;
}

/// What is judged, and where the files go that are about to be applied.
fn with_files(plan: &Plan, snap: &Snapshot) -> Wanted {
    let files = plan.manifests.iter().filter(|_| plan.before_install).flat_map(|m| m.items().unwrap_or_default());
    let named = files.flat_map(|f| &f.objects).map(|o| o.namespace.clone()).filter(|n| !n.is_empty());
    match Wanted::of(snap) {
        Wanted::Some(namespaces) => Wanted::Some(namespaces.into_iter().chain(named).collect()),
        all => all,
    }
}

/// The ConfigMaps of kube-system as well, where EKS does not hear of a node, or its instances do not join: one of them is the
/// map of the identities that it lets in; and where a part that the stack stands on is not ready and has a file from one. What
/// keeps them from being read is no gap of the stack's own.
pub(super) async fn maps_below(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let place = "kube-system".to_owned();
    let nodes = snap.nodes.items().unwrap_or_default();
    let fails_to_join = || snap.eks_nodegroups.iter().flatten().any(|group| group.join_failure().is_some());
    let is_lost = || snap.platform == Platform::Eks && (nodes.iter().any(Node::is_silent) || fails_to_join());
    let fails = |p: &Pod| p.metadata.namespace == place && p.status.phase == "Running" && !p.is_ready();
    let has_file = |p: &Pod| p.spec.volumes.iter().any(|v| v.config_map.is_some());
    let of_part = |p: &Pod| fails(p) && has_file(p) && foundation::is_part(p);
    let pods = snap.pods.items().unwrap_or_default();
    if !plan.wants(Fact::ConfigMaps) || snap.config_maps.covers(&place) || !(is_lost() || pods.iter().any(of_part)) {
        return;
    }
    let read: Listing<ConfigMap> =
        client.namespaced_list("/api/v1", "configmaps", &[place].into(), IfAbsent::Gap).await;
    if read.gaps().is_empty() {
        let maps = std::mem::replace(&mut snap.config_maps, Listing::cluster(Vec::new()));
        snap.config_maps = maps.beside(read);
    }
}

/// Events about nodes: they lie in the namespace `default`.
async fn of_nodes(client: &Client, plan: &Plan, snap: &Snapshot) -> Listing<Event> {
    let place = "default".to_owned();
    let is_read = !snap.scope.all.is_empty() || snap.scope.namespaces().contains(&place);
    if !plan.wants(Fact::Events) || is_read {
        return Listing::cluster(Vec::new());
    }
    client.namespaced_list("/api/v1", "events", &[place].into(), IfAbsent::Empty).await
}

/// Where volumes are attached, read only where a pod in scope waits for one: a large cluster has thousands.
async fn attachments(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    let waits = |p: &Pod| {
        let limit =
            p.condition("PodScheduled").and_then(|c| c.message.as_deref()).is_some_and(|m| m.contains("volume"));
        p.status.phase == "Pending" && p.claims().next().is_some() && (p.spec.node_name.is_some() || limit)
    };
    let wanted = snap.pods.items().unwrap_or_default().iter().any(waits);
    let prefix = "/apis/storage.k8s.io/v1";
    if plan.wants(Fact::VolumeAttachments) {
        let path = format!("{prefix}/volumeattachments");
        snap.volume_attachments =
            if wanted { client.cluster_list(&path, IfAbsent::Gap).await } else { nothing_wanted(&snap.pods) };
    }
    // A volume that is yet to be made is made for a node, too.
    let wants_volume = |p: &Pod| p.status.phase == "Pending" && p.claims().next().is_some();
    let wanted = wanted || snap.pods.items().unwrap_or_default().iter().any(wants_volume);
    if plan.wants(Fact::CsiNodes) {
        let path = format!("{prefix}/csinodes");
        snap.csi_nodes =
            if wanted { client.cluster_list(&path, IfAbsent::Gap).await } else { nothing_wanted(&snap.pods) };
    }
}

/// The list that is read only where some pod asks for it, where none does: empty as far as the pods are known.
fn nothing_wanted<T>(pods: &Listing<Pod>) -> Listing<T> {
    pods.gaps().iter().fold(Listing::cluster(Vec::new()), |list, gap| list.with_gap(Some(gap.clone())))
}

/// What all pods ask of the nodes, read only where a pod in scope finds no room, no port or needs more memory: the list is the
/// largest of a cluster.
async fn room(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if !plan.wants(Fact::NodeRequests) {
        return;
    }
    let unscheduled = snap.pods.items().unwrap_or_default().iter().any(|p| {
        p.condition("PodScheduled").is_some_and(|c| {
            c.status == "False"
                && c.message.as_deref().is_some_and(|m| {
                    m.contains("Insufficient") || m.contains("Too many pods") || m.contains("free ports")
                })
        })
    });
    let in_scope = |p: &&Pod| snap.scope.is_judged(&p.metadata.namespace) || p.metadata.namespace == "kube-system";
    let out_of_memory = snap
        .pods
        .items()
        .unwrap_or_default()
        .iter()
        .filter(in_scope)
        .any(|p| p.status.reason.as_deref() == Some("Evicted") || p.statuses().any(ContainerStatus::oom_killed));
    snap.node_requests = if unscheduled || out_of_memory {
        client.cluster_list("/api/v1/pods", IfAbsent::Gap).await
    } else {
        nothing_wanted(&snap.pods)
    };
}

async fn workloads(client: &Client, scope: &Wanted) -> Listing<Workload> {
    let prefix = "/apis/apps/v1";
    let (deployments, sets, daemons) = futures::join!(
        scope.list::<Workload>(client, prefix, "deployments", IfAbsent::Gap),
        scope.list::<Workload>(client, prefix, "statefulsets", IfAbsent::Gap),
        scope.list::<Workload>(client, prefix, "daemonsets", IfAbsent::Gap)
    );
    let tag = |kind: &str| {
        let kind = kind.to_owned();
        move |mut w: Workload| {
            w.kind.clone_from(&kind);
            w
        }
    };
    deployments.map(tag("Deployment")).merge(sets.map(tag("StatefulSet"))).merge(daemons.map(tag("DaemonSet")))
}
