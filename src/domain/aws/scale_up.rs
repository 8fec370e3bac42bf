//! Why an autoscaler adds no node for a pod: the words of cluster-autoscaler and of Karpenter.

use crate::domain::aws::{node_group, node_pool};
use crate::domain::kubernetes::image;
use crate::domain::text::between::between;
use crate::domain::text::windows::RECENT;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Nodegroup;
use crate::snapshot::kubernetes::{Event, Pod};
use crate::text::pattern::pattern;

/// Why no node is added.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The node groups that fit are as large as they may be.
    AtMaximum,
    /// The last attempt failed, and the autoscaler waits before the next.
    Backoff,
    /// cluster-autoscaler knows no node group at all.
    NoGroup,
    /// The NodePool may have no more CPU or memory.
    Limit(String),
    /// The NodePool has no instance type for it.
    NoInstanceType(String),
    /// The NodePool does not know a label that the pod asks for.
    Label(String, String),
    /// The pod does not tolerate a taint of the NodePool.
    Taint(String, String),
    /// There is no NodePool, or none that is ready.
    NoPool,
}

impl Cause {
    /// Reads a message of an autoscaler; `None` where it is the scheduler's, or the pod's own requirements are the reason.
    pub(crate) fn read(message: &str) -> Option<Self> {
        if message.contains("didn't trigger scale-up") {
            let has = |part: &str| message.contains(part);
            return match (has("max node group size reached"), has("in backoff after failed scale-up")) {
                (true, _) => Some(Self::AtMaximum),
                (false, true) => Some(Self::Backoff),
                // It names what each group lacks: of none there is nothing to name.
                (false, false) => message.trim_end().ends_with("scale-up:").then_some(Self::NoGroup),
            };
        }
        if ["no nodepools found", "no provisioners found", "nodepools not found"].iter().any(|n| message.contains(n)) {
            return Some(Self::NoPool);
        }
        if !message.contains("nodepool") && !message.contains("provisioner") {
            return None;
        }
        let pool = pool(message);
        if message.contains("exceed limits") || message.contains("limits exceeded") {
            return Some(Self::Limit(pool));
        }
        let plain = message.replace("\\\"", "\"");
        if let Some(label) = between(&plain, "label \"", "\" does not have known values") {
            return Some(Self::Label(pool, label.to_owned()));
        }
        if let Some(taint) = between(&plain, "did not tolerate taint (taint=", ")") {
            return Some(Self::Taint(pool, taint.to_owned()));
        }
        if let Some((_, rest)) = message.split_once("did not tolerate ") {
            let taint = rest.split([',', ';', ' ']).next().unwrap_or_default();
            return Some(Self::Taint(pool, taint.to_owned()));
        }
        let none = ["no instance type", "filtered out all available instance types"];
        none.iter().any(|n| message.contains(n)).then_some(Self::NoInstanceType(pool))
    }

    /// Some other NodePool may say more: which of a message's is told is a matter of this weight.
    fn pool(&self) -> Option<&str> {
        match self {
            Self::Limit(pool) | Self::NoInstanceType(pool) | Self::Label(pool, _) | Self::Taint(pool, _) => Some(pool),
            Self::AtMaximum | Self::Backoff | Self::NoGroup | Self::NoPool => None,
        }
    }
}

/// Pods of what would add a node: cluster-autoscaler, Karpenter.
pub(crate) fn makers(snap: &Snapshot) -> impl Iterator<Item = &Pod> {
    let is_maker = |p: &&Pod| {
        let images = p.spec.containers.iter().map(|c| image::base_of(&c.image));
        images
            .into_iter()
            .any(|i| i == "cluster-autoscaler" || (i == "controller" && p.metadata.name.starts_with("karpenter")))
    };
    snap.pods.items().unwrap_or_default().iter().filter(is_maker).filter(|p| !p.is_finished())
}

/// cluster-autoscaler as it is there; under its usual names where its pod was not read.
pub(crate) struct ClusterAutoscaler {
    pub(crate) owner: ResourceRef,
    pub(crate) namespace: String,
    pub(crate) account: String,
}

impl ClusterAutoscaler {
    pub(crate) fn of(snap: &Snapshot) -> Self {
        const USUAL: &str = "cluster-autoscaler";
        let own = |p: &&Pod| p.spec.containers.iter().any(|c| image::base_of(&c.image) == USUAL);
        let pod = makers(snap).find(own);
        let namespace = pod.map_or("kube-system", |p| p.metadata.namespace.as_str()).to_owned();
        Self {
            owner: pod.map_or_else(|| ResourceRef::workload("Deployment", &namespace, USUAL), |p| snap.owner_ref(p)),
            account: pod.and_then(|p| p.spec.service_account_name.clone()).unwrap_or_else(|| USUAL.to_owned()),
            namespace,
        }
    }
}

/// The tags by which cluster-autoscaler looks for its groups: those of `--node-group-auto-discovery=asg:tag=a,b`.
pub(crate) fn discovery_tags(snap: &Snapshot) -> Vec<String> {
    const FLAG: &str = "--node-group-auto-discovery=asg:tag=";
    let containers = makers(snap).flat_map(|p| &p.spec.containers);
    let mut words = containers.flat_map(|c| c.command.iter().chain(&c.args));
    let tags = words.find_map(|w| w.strip_prefix(FLAG)).unwrap_or_default();
    tags.split(',').map(|t| t.split('=').next().unwrap_or(t).trim().to_owned()).filter(|t| !t.is_empty()).collect()
}

/// Of those tags, the one that names a cluster.
pub(crate) fn discovered_cluster(tags: &[String]) -> Option<&str> {
    let mut names = tags.iter().rev().filter_map(|t| {
        t.strip_prefix("k8s.io/cluster-autoscaler/").or_else(|| t.strip_prefix("kubernetes.io/cluster/"))
    });
    names.find(|n| *n != "enabled")
}

/// The same, where none of them is ready: then none adds a node.
pub(crate) fn makers_down(snap: &Snapshot) -> Vec<&Pod> {
    let all: Vec<&Pod> = makers(snap).collect();
    if all.iter().any(|p| p.is_ready()) { Vec::new() } else { all }
}

fn pool(message: &str) -> String {
    let pool = pattern!(r#"(?:nodepool|provisioner):? \\?"?([a-z0-9][a-z0-9.-]*)"#);
    pool.captures(message).map(|c| c[1].to_owned()).unwrap_or_else(|| "default".to_owned())
}

/// What an autoscaler said last of a pod.
pub(crate) fn refused<'a>(snap: &'a Snapshot, pod: &Pod) -> Option<(&'a Event, Cause)> {
    let events = snap.events_about("Pod", &pod.metadata, RECENT);
    let own = |e: &&&Event| {
        matches!(e.reason.as_str(), "NotTriggerScaleUp" | "TriggeredScaleUp" | "FailedScheduling" | "Nominated")
    };
    let spoken = events.iter().filter(own).find(|e| {
        // The scheduler's own events have the same reason.
        e.reason != "FailedScheduling" || Cause::read(&e.message).is_some()
    })?;
    Some((*spoken, Cause::read(&spoken.message)?))
}

/// The node groups that would take the pod and are as large as they may be.
pub(crate) fn full_groups<'a>(snap: &'a Snapshot, pod: &Pod) -> Vec<&'a Nodegroup> {
    let full = |g: &&Nodegroup| {
        let sizes = &g.scaling_config;
        sizes.desired_size.zip(sizes.max_size).is_some_and(|(desired, max)| desired >= max)
    };
    node_group::that_fit(snap, pod).into_iter().filter(full).collect()
}

/// What adds no node: node groups, NodePools, or the autoscaler itself.
pub(crate) fn culprits(snap: &Snapshot, pod: &Pod, reason: &Cause) -> Vec<ResourceRef> {
    if let Some(pool) = reason.pool() {
        return vec![ResourceRef::kubernetes("karpenter.sh", "NodePool", "", pool)];
    }
    if *reason == Cause::NoPool {
        let all = snap.node_makers.items().unwrap_or_default().iter().filter(|o| o.kind == "NodePool");
        let pools: Vec<ResourceRef> = all.map(|p| node_pool::pool_reference(&p.metadata.name)).collect();
        let controller = makers(snap).find(|p| p.metadata.name.starts_with("karpenter")).map(|p| snap.owner_ref(p));
        let nobody =
            || vec![controller.unwrap_or_else(|| ResourceRef::workload("Deployment", "kube-system", "karpenter"))];
        return if pools.is_empty() { nobody() } else { pools };
    }
    let groups: Vec<ResourceRef> = full_groups(snap, pod).into_iter().map(node_group::reference).collect();
    if *reason == Cause::AtMaximum && !groups.is_empty() {
        return groups;
    }
    vec![ClusterAutoscaler::of(snap).owner]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_that_it_looks_for() {
        let tags = ["k8s.io/cluster-autoscaler/enabled", "k8s.io/cluster-autoscaler/blue"].map(str::to_owned);
        assert_eq!(discovered_cluster(&tags), Some("blue"));
        assert_eq!(discovered_cluster(&tags[..1]), None);
    }

    #[test]
    fn the_autoscalers_words() {
        for (text, wanted) in [
            (
                "pod didn't trigger scale-up: 1 max node group size reached, 2 node(s) didn't match Pod's node affinity/selector",
                Some(Cause::AtMaximum),
            ),
            ("pod didn't trigger scale-up: 1 in backoff after failed scale-up", Some(Cause::Backoff)),
            ("pod didn't trigger scale-up: 1 node(s) had volume node affinity conflict", None),
            ("pod didn't trigger scale-up: ", Some(Cause::NoGroup)),
            (
                "Failed to schedule pod, all available instance types exceed limits for nodepool: \"default\"",
                Some(Cause::Limit("default".into())),
            ),
            (
                "Could not schedule pod, incompatible with nodepool \"default\", daemonset overhead={\"cpu\":\"675m\"}, incompatible requirements, label \"nodegroup\" does not have known values",
                Some(Cause::Label("default".into(), "nodegroup".into())),
            ),
            (
                "Failed to schedule pod, incompatible with nodepool \"gpu\", daemonset overhead={}, did not tolerate taint (taint=dedicated=gpu:NoSchedule)",
                Some(Cause::Taint("gpu".into(), "dedicated=gpu:NoSchedule".into())),
            ),
            (
                "Failed to schedule pod, incompatible with nodepool \"default\", no instance type satisfied resources {\"cpu\":\"30\"}",
                Some(Cause::NoInstanceType("default".into())),
            ),
            ("Failed to schedule pod, no nodepools found", Some(Cause::NoPool)),
            ("0/3 nodes are available: 3 Insufficient memory.", None),
        ] {
            assert_eq!(Cause::read(text), wanted, "{text}");
        }
    }
}
