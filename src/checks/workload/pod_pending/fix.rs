//! What gives a pod its node, and what its commands hold.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::detail::{Detail, trunk_failure};
use super::{cache, fargate};
use crate::checks::support::place::Place;
use crate::checks::workload::pod_pending::way::{Nodes, Way};
use crate::domain::aws::scale_up::ClusterAutoscaler;
use crate::domain::aws::{ebs, vpc_cni};
use crate::domain::kubernetes::held_update::is_ordered;
use crate::domain::kubernetes::owner::{Settable, has_rollout, is_settable, workload};
use crate::domain::kubernetes::unschedulable::{Cause, scarce_extended};
use crate::domain::kubernetes::{network_plugin, scheduling};
use crate::model::{Placeholder, ResourceRef};
use crate::snapshot::aws::{Cluster, Nodegroup};
use crate::snapshot::kubernetes::{Container, PersistentVolumeClaim, Pod};
use crate::snapshot::{Platform, Snapshot, journal, parse_quantity};
use crate::text::near;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    namespace: String,
    owner: String,
    has_rollout: bool,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    pub(super) fn of(snap: &Snapshot, owner: &ResourceRef, namespace: &str, way: Way) -> Self {
        Self {
            namespace: namespace.to_owned(),
            owner: owner.kubectl_name(),
            has_rollout: has_rollout(snap, owner),
            way,
        }
    }
}

/// A pod that finds no node, and what was seen of it.
pub(super) struct Asked<'a> {
    pub(super) snap: &'a Snapshot,
    pub(super) owner: &'a ResourceRef,
    pub(super) pod: &'a Pod,
    pub(super) detail: &'a Detail,
    pub(super) message: &'a str,
}

impl Asked<'_> {
    /// The way to a node.
    pub(super) fn way(&self, reason: Cause, claims: &[&PersistentVolumeClaim]) -> Way {
        let detail = self.detail;
        let nodes = || Nodes { nodes: detail.nodes.clone() };
        let (settable, operator) = (self.settable() == Settable::Yes, self.settable() == Settable::ByOperator);
        let (pod, room) = (self.pod.metadata.name.clone(), detail.text());
        match reason {
            Cause::Volume => Way::Volume { claims: claims.iter().map(|c| c.metadata.name.clone()).collect() },
            Cause::VolumeZone => Way::Zone,
            Cause::Resources => self.resources(room),
            Cause::Extended => self.extended(),
            Cause::Fargate => self.fargate(),
            Cause::TooManyPods => {
                let prefixes = self.snap.platform == Platform::Eks && !vpc_cni::is_on(self.snap, vpc_cni::PREFIXES);
                Way::TooManyPods { prefixes }
            }
            Cause::Taint => self.taint(settable, operator),
            Cause::Cordoned => Way::Cordoned(nodes()),
            Cause::NotReady => Way::NotReady(nodes()),
            Cause::Leaving => {
                let ClusterAutoscaler { owner, namespace, .. } = ClusterAutoscaler::of(self.snap);
                Way::NodeLeaving {
                    karpenter: detail.signals.iter().any(|k| k.starts_with("karpenter.sh/")),
                    autoscaler: owner.kubectl_name(),
                    autoscaler_namespace: namespace,
                }
            }
            Cause::Starting => self.starting(),
            Cause::Pressure => Way::NodePressure(nodes()),
            Cause::Selector => Way::Selector {
                pod,
                room,
                settable,
                operator,
                labels: own_labels(self.pod),
                group: self.failed_group(),
            },
            Cause::PodAffinity => Way::PodAffinity { pod },
            Cause::Ports => Way::Ports { room },
            Cause::VolumeLimit => Way::VolumeLimit,
            Cause::NoNodes => self.no_nodes(),
            Cause::Other => Way::Other { pod },
        }
    }

    /// The node group that is meant, where it failed.
    fn failed_group(&self) -> String {
        let wanted = &self.pod.spec.node_selector;
        let mut groups = self.snap.eks_nodegroups.iter().flatten().filter(|g| g.status.ends_with("FAILED"));
        let has = |g: &Nodegroup, key: &str, value: &str| {
            g.labels.get(key).is_some_and(|v| v == value)
                || (key == "eks.amazonaws.com/nodegroup" && value == g.nodegroup_name)
        };
        let found = groups.find(|g| !wanted.is_empty() && wanted.iter().all(|(key, value)| has(g, key, value)));
        found.map(|g| g.nodegroup_name.clone()).unwrap_or_default()
    }

    /// The claim that the pod mounts does not exist.
    pub(super) fn without_claim(&self, claim: &str) -> Way {
        let namespace = &self.pod.metadata.namespace;
        // What is named is a hint, and decides nothing.
        let all = journal::aside(|| self.snap.persistent_volume_claims.items().unwrap_or_default());
        let names = all.iter().filter(|c| c.metadata.namespace == *namespace).map(|c| c.metadata.name.as_str());
        let first = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
        let program = first(claim);
        // `flash-tickets-grafana` for `grafana-data`: of the same program, in another order of words.
        let same = |name: &&str| program.len() > 3 && name.split('-').any(|word| word == program);
        let meant = near::near_name(claim, names.clone()).or_else(|| {
            let mut found = names.filter(same);
            found.next().filter(|_| found.next().is_none())
        });
        Way::ClaimMissing {
            claim: claim.to_owned(),
            meant: meant.unwrap_or_default().to_owned(),
            bare: self.owner.kind_label() == "Pod",
        }
    }

    fn resources(&self, room: String) -> Way {
        let short = if self.detail.short.is_empty() { &["cpu", "memory"][..] } else { &self.detail.short[..] };
        let set = workload(self.snap, self.owner).filter(|w| w.kind == "StatefulSet" && is_ordered(self.snap, w));
        let cache = cache::of(self.pod).filter(|_| short.contains(&"memory"));
        Way::Resources {
            room,
            container: largest_container(self.pod),
            less: short.iter().map(|r| format!("{r}=<{r}>")).collect::<Vec<_>>().join(","),
            too_large: self.detail.too_large.clone(),
            // A lower request alone lets it run, and then fill its node.
            settable: self.settable() == Settable::Yes && cache.is_none(),
            cache: cache.map(|(filled, _)| filled),
            cache_values: cache.map_or("", |(_, values)| values),
            operator: self.settable() == Settable::ByOperator,
            held_pod: set.map(|_| self.pod.metadata.name.clone()),
        }
    }

    fn settable(&self) -> Settable {
        is_settable(self.snap, self.owner)
    }

    fn extended(&self) -> Way {
        let resource = scarce_extended(self.message).unwrap_or_default();
        let column = resource.replace('.', "\\.");
        Way::ExtendedResource {
            resource: resource.to_owned(),
            resource_path: format!("custom-columns=NAME:.metadata.name,OFFERS:.status.allocatable.{column}"),
            is_branch: resource.ends_with("/pod-eni"),
            trunk_denied: trunk_failure(self.snap, resource)
                .is_some_and(|e| e.message.contains("UnauthorizedOperation")),
            cluster_role: Place::cluster_role(self.snap),
            policy_arn: Place::of(self.snap).policy_arn(vpc_cni::BRANCH_POLICY),
        }
    }

    /// The subnets that the cluster names.
    fn subnets(&self) -> Vec<String> {
        // Values of a command: no verdict hangs on them.
        let cluster = journal::aside(|| self.snap.eks_cluster().ok());
        let known = cluster.map(|c| c.resources_vpc_config.subnet_ids.clone()).filter(|all| !all.is_empty());
        known.unwrap_or_else(|| vec!["<subnet-id>".to_owned()])
    }

    fn fargate(&self) -> Way {
        let Place { cluster, .. } = Place::of(self.snap);
        Way::Fargate {
            cluster,
            annotated: fargate::asks_for_ec2(self.pod),
            in_template: fargate::is_in_template(workload(self.snap, self.owner)),
            profile: fargate::profile(self.snap, self.pod),
            subnets: self.subnets(),
            rolls: self.settable() != Settable::No,
            annotation_patch: fargate::ANNOTATION_PATCH,
            execution_role: fargate::execution_role(self.snap),
        }
    }

    fn taint(&self, settable: bool, operator: bool) -> Way {
        let taint = self.detail.taint.as_ref();
        Way::Taint {
            taint_key: taint.map(|t| t.key.clone()).unwrap_or_default(),
            taint_value: taint.and_then(|t| t.value.clone()).unwrap_or_default(),
            taint_effect: taint.map(|t| t.effect.clone()).unwrap_or_default(),
            taint_word: taint.map(scheduling::taint_text).unwrap_or_default(),
            nodes: self.detail.nodes.clone(),
            settable,
            operator,
        }
    }

    fn starting(&self) -> Way {
        let Detail { nodes, signals, .. } = self.detail;
        let of_cilium = signals.iter().any(|k| k.starts_with("node.cilium.io/"));
        let is_its = |p: &&Pod| p.spec.containers.iter().any(|c| c.name == "cilium-agent");
        let agents: Vec<&Pod> = match nodes.first().filter(|_| of_cilium) {
            Some(node) => network_plugin::agents(self.snap, node).filter(is_its).collect(),
            None => Vec::new(),
        };
        let well = agents.iter().all(|p| p.is_ready());
        Way::NodeStarting {
            ready_agents: agents.iter().filter(|_| well).map(|p| p.metadata.name.clone()).collect(),
            agents_namespace: agents.first().map(|p| p.metadata.namespace.clone()).unwrap_or_default(),
            nodes: nodes.clone(),
            first_node: nodes.first().cloned().unwrap_or_default(),
            drivers: signals.iter().filter_map(|k| agent(k)).collect::<Vec<_>>().join(", "),
            ebs: signals.iter().any(|k| k.starts_with(ebs::DRIVER)),
            cloud: signals.iter().any(|k| k.starts_with("node.cloudprovider.kubernetes.io/")),
            eks: self.snap.platform == Platform::Eks,
        }
    }

    /// Roles of Auto Mode's nodes that the cluster admits, by their names. One of a node group or of Karpenter is admitted as
    /// such and cannot be one of Auto Mode too, and the role cannot be changed later: in doubt none is offered.
    fn admitted_node_roles(&self) -> Vec<String> {
        let Ok(groups) = journal::aside(|| self.snap.eks_nodegroups.as_ref()) else { return Vec::new() };
        let of_groups: Vec<&str> = groups.iter().map(|g| g.node_role.as_str()).collect();
        // They only fill in what is asked for.
        let entries = journal::aside(|| self.snap.access_entries.as_deref().unwrap_or_default());
        let is_node = |arn: &&String| {
            let name = arn.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
            let is_auto = name.contains("auto") && name.contains("node") && !name.contains("karpenter");
            arn.contains(":role/") && !arn.contains("/aws-service-role/") && is_auto
        };
        entries.iter().filter(is_node).filter(|arn| !of_groups.contains(&arn.as_str())).cloned().collect()
    }

    /// Without a role for the nodes the API refuses the pools.
    fn no_pools(&self, place: Place) -> Way {
        let config = self.snap.eks_cluster.as_ref().ok().and_then(|c| c.compute_config.as_ref());
        let role = config.and_then(|c| c.node_role_arn.as_deref()).filter(|r| !r.is_empty());
        let known = role.is_some();
        let admitted = self.admitted_node_roles();
        let offered = role.map_or(admitted, |r| vec![r.to_owned()]);
        let role = Placeholder::new("node-role").how("aws iam list-roles --query 'Roles[].Arn'").candidates(offered);
        let compute = json!({"enabled": true, "nodePools": ["general-purpose", "system"], "nodeRoleArn": role.shown()});
        Way::NoPools { compute: compute.to_string(), role, role_known: known, cluster: place.cluster }
    }

    fn no_nodes(&self) -> Way {
        let empty = self.snap.eks_nodegroups.iter().flatten().find(|g| g.scaling_config.desired_size == Some(0));
        let max = empty.and_then(|g| g.scaling_config.max_size).unwrap_or(0).max(1);
        let place = Place::of(self.snap);
        if lacks_pools(self.snap) {
            return self.no_pools(place);
        }
        let Place { cluster, .. } = place;
        Way::NoNodes {
            empty_group: empty.map(|g| g.nodegroup_name.clone()),
            scaling: format!("minSize=0,maxSize={max},desiredSize=1"),
            cluster,
            on_eks: self.snap.platform == Platform::Eks,
        }
    }
}

/// EKS Auto Mode is to make the nodes of a cluster that has no node group, and no NodePool says which: none is switched on
/// and none was made.
pub(super) fn lacks_pools(snap: &Snapshot) -> bool {
    let auto = snap.eks_cluster.as_ref().is_ok_and(Cluster::is_auto_mode);
    let no_groups = snap.eks_nodegroups.as_ref().is_ok_and(Vec::is_empty);
    auto && no_groups && snap.node_makers().is_ok_and(|all| all.iter().all(|o| o.kind != "NodePool"))
}

/// The labels that the pod's selector asks for, if people give all of them: those of Kubernetes, EKS and Karpenter say what a
/// node is, and are not set by hand.
fn own_labels(pod: &Pod) -> Vec<String> {
    let selector = &pod.spec.node_selector;
    let given = ["kubernetes.io", "k8s.io", "eks.amazonaws.com", "karpenter.sh", "k8s.aws", "eksctl.io"];
    let is_given =
        |key: &String| key.split_once('/').is_some_and(|(domain, _)| given.iter().any(|g| domain.ends_with(g)));
    if selector.keys().any(is_given) {
        return Vec::new();
    }
    selector.iter().map(|(k, v)| format!("{k}={v}")).collect()
}

/// The driver or agent that has to come up on the node before its taint goes.
fn agent(key: &str) -> Option<&str> {
    let (domain, name) = key.split_once('/')?;
    (name.ends_with("not-ready") && !domain.ends_with("kubernetes.io")).then_some(domain)
}

/// The container that asks for most memory.
fn largest_container(pod: &Pod) -> String {
    let asked = |c: &Container| c.resources.requests.get("memory").and_then(|q| parse_quantity(q)).unwrap_or(0.0);
    let largest = pod.spec.containers.iter().max_by(|a, b| asked(a).total_cmp(&asked(b)));
    largest.map_or_else(|| "<container>".to_owned(), |c| c.name.clone())
}
