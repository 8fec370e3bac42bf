//! Pods wait for nodes, and the autoscaler says why it adds none.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::node_pool::Pool;
use crate::checks::support::place::Place;
use crate::checks::support::seen::{event_evidence, line_evidence};
use crate::checks::{Check, check};
use crate::domain::aws::node_pool;
use crate::domain::aws::scale_up::{self, Cause, ClusterAutoscaler};
use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::owner;
use crate::domain::kubernetes::unschedulable::concerns;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, Placeholder, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Nodegroup;
use crate::snapshot::kubernetes::{Event, Pod};

check! {
    /// See the check's page.
    ScaleUpRefused {
        id: "scale-up-refused", suite: Nodes, severity: Error,
        title: "the autoscaler adds no node for pods that wait",
        requires: [Pods, Events],
        uses: [EksNodegroups, Subnets, PartLogs, EksCluster, NodeMakers, Workloads],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    /// A pod that waits.
    namespace: String,
    pod: String,
    #[serde(flatten)]
    way: Way,
}

/// What keeps a node from being added.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    AtMaximum {
        group: Placeholder,
        scaling: String,
        cluster: String,
    },
    Backoff {
        autoscaler: String,
        autoscaler_namespace: String,
    },
    NoGroup {
        autoscaler: String,
        autoscaler_namespace: String,
        /// The tags by which it looks for its groups.
        tags: String,
        /// The cluster that it looks for, where that is another one.
        other: String,
        cluster: String,
        /// A tag of this cluster's own.
        tag: String,
        managed: String,
    },
    Limit {
        #[serde(flatten)]
        pool: Pool,
    },
    NoInstanceType {
        #[serde(flatten)]
        pool: Pool,
    },
    Label {
        #[serde(flatten)]
        pool: Pool,
        label: String,
    },
    Taint {
        pool: String,
        taint: String,
    },
    NoPool {
        auto: bool,
    },
}

impl Check for ScaleUpRefused {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.events()?;
        // Pods that wait for different node groups have different causes.
        let mut groups: BTreeMap<_, Vec<(&Pod, &Event)>> = BTreeMap::new();
        for pod in snap.pods()?.iter().filter(|p| concerns(snap, p)) {
            if let Some((event, reason)) = scale_up::refused(snap, pod) {
                let culprits = scale_up::culprits(snap, pod, &reason);
                groups.entry((reason, culprits)).or_default().push((pod, event));
            }
        }
        Ok(Diagnosis::Findings(
            groups.iter().map(|((reason, culprits), pods)| finding(snap, reason, culprits, pods)).collect(),
        ))
    }
}

fn finding(snap: &Snapshot, reason: &Cause, culprits: &[ResourceRef], pods: &[(&Pod, &Event)]) -> Finding {
    let (pod, event) = pods[0];
    let who = match pods {
        [_] => format!("pod {}/{} waits for a node", pod.metadata.namespace, pod.metadata.name),
        many => format!("{} pods wait for a node", many.len()),
    };
    let names: Vec<String> = culprits.iter().map(ToString::to_string).collect();
    let failed = backoff_line(snap);
    let why = match reason {
        Cause::AtMaximum => format!("{} may have no more ({})", names.join(", "), sizes(snap, pod)),
        Cause::Backoff => match &failed {
            Some((_, line)) => format!("cluster-autoscaler failed to add one and waits before it tries again: {line}"),
            None => "cluster-autoscaler failed to add one and waits before it tries again".to_owned(),
        },
        Cause::NoGroup => {
            let tags = scale_up::discovery_tags(snap);
            match other_cluster(snap, &tags) {
                Some(other) => format!(
                    "cluster-autoscaler knows no node group: it looks for those of cluster {other}, and this is {}",
                    Place::of(snap).cluster
                ),
                None if tags.is_empty() => "cluster-autoscaler knows no node group".to_owned(),
                None => format!("cluster-autoscaler knows no node group: none has the tags {}", tags.join(", ")),
            }
        }
        Cause::Limit(pool) => format!("NodePool {pool} of Karpenter is at its limits"),
        Cause::NoInstanceType(pool) => format!("NodePool {pool} of Karpenter has no instance type that it fits"),
        Cause::Label(pool, label) => {
            format!("NodePool {pool} of Karpenter makes no nodes with the label {label} that it asks for")
        }
        Cause::Taint(pool, taint) => {
            format!("it does not tolerate the taint {taint} of the nodes that NodePool {pool} of Karpenter makes")
        }
        Cause::NoPool if names.iter().any(|n| n.starts_with("NodePool ")) => {
            format!("Karpenter can use none of its NodePools ({})", names.join(", "))
        }
        Cause::NoPool => "Karpenter finds no NodePool that it can use".to_owned(),
    };
    let subject = culprits[0].clone();
    let mut made =
        Finding::new(ScaleUpRefused::META.id, Severity::Error, subject, format!("{who}, and none is added: {why}"))
            .also_all(culprits.iter().cloned())
            .key(format!("{reason:?}").to_ascii_lowercase())
            .fix(fix(snap, reason, pod))
            .evidence(event_evidence(event));
    let stuck: Vec<&str> = node_pool::stuck(snap).into_iter().flat_map(|s| s.pools).collect();
    for culprit in culprits {
        made = made.breaks(culprit.clone());
        // A pool that is not ready is deeper than what it does not do.
        if stuck.iter().any(|pool| node_pool::pool_reference(pool) == *culprit) {
            made = made.depends_on(culprit.clone());
        }
    }
    if let (Cause::Backoff, Some((log, line))) = (reason, failed) {
        made = made.evidence(line_evidence(log, line));
        // Credentials that it lacks are deeper.
        let own = ClusterAutoscaler::of(snap);
        made = made.depends_on(ResourceRef::service_account(&own.namespace, &own.account));
    }
    if *reason == Cause::NoGroup {
        made.evidence.extend(discovery_evidence(snap));
    }
    if *reason == Cause::AtMaximum {
        made = made.evidence_all(scale_up::full_groups(snap, pod).into_iter().map(|g| group_evidence(snap, g)));
    }
    made
}

/// The cluster whose groups it looks for, where that is not this one.
fn other_cluster<'a>(snap: &Snapshot, tags: &'a [String]) -> Option<&'a str> {
    let own = snap.target.cluster.as_deref().filter(|name| !name.is_empty())?;
    scale_up::discovered_cluster(tags).filter(|name| *name != own)
}

/// What cluster-autoscaler's log says of its last failure.
fn backoff_line(snap: &Snapshot) -> Option<(&crate::snapshot::monitoring::ContainerLog, &str)> {
    const FAILED: &[&str] = &[
        "Failed to scale up",
        "failed to increase",
        "Could not launch",
        "InsufficientInstanceCapacity",
        "scale-up timed out",
        "LimitExceeded",
    ];
    let logs = snap.part_logs.iter().flatten().filter(|l| l.image.contains("cluster-autoscaler") && !l.previous);
    let mut found = logs.filter_map(|log| {
        let line = log.text.lines().rev().find(|l| FAILED.iter().any(|f| l.contains(f)))?;
        Some((log, line.trim()))
    });
    found.next()
}

/// `ng-1: 3 of at most 3`.
fn sizes(snap: &Snapshot, pod: &Pod) -> String {
    let all: Vec<String> = scale_up::full_groups(snap, pod).into_iter().map(size_of).collect();
    if all.is_empty() { "its largest size is reached".to_owned() } else { all.join(", ") }
}

fn size_of(group: &Nodegroup) -> String {
    let size = |n: Option<i32>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let (desired, max) = (group.scaling_config.desired_size, group.scaling_config.max_size);
    format!("{}: {} of at most {}", group.nodegroup_name, size(desired), size(max))
}

/// How it looks for its groups.
fn discovery_evidence(snap: &Snapshot) -> Option<Evidence> {
    let tags = scale_up::discovery_tags(snap);
    let ClusterAutoscaler { owner, namespace, .. } = ClusterAutoscaler::of(snap);
    let seen = Evidence::new(
        format!("{owner}, --node-group-auto-discovery"),
        format!("groups with the tags {}", tags.join(", ")),
        "kubectl get {{ workload }} -n {{ namespace }} -o yaml",
    );
    (!tags.is_empty()).then(|| seen.with("workload", owner.kubectl_name()).with("namespace", namespace))
}

fn group_evidence(snap: &Snapshot, group: &Nodegroup) -> Evidence {
    let place = Place::of(snap);
    Evidence::new(
        "eks:DescribeNodegroup, scalingConfig",
        size_of(group),
        "aws eks describe-nodegroup --cluster-name {{ cluster }} --nodegroup-name {{ group }} --query nodegroup.scalingConfig",
    )
    .with("group", &group.nodegroup_name)
    .with("cluster", place.cluster)
}

fn fix(snap: &Snapshot, reason: &Cause, pod: &Pod) -> Fix {
    let way = match reason {
        Cause::AtMaximum => {
            let groups = scale_up::full_groups(snap, pod);
            let larger = groups.first().and_then(|g| g.scaling_config.max_size).map(|n| n + 1);
            let place = Place::of(snap);
            Way::AtMaximum {
                group: Placeholder::new("node-group").candidates(groups.iter().map(|g| g.nodegroup_name.clone())),
                scaling: larger.map_or_else(|| "maxSize=<one-more>".to_owned(), |n| format!("maxSize={n}")),
                cluster: place.cluster,
            }
        }
        Cause::Backoff => {
            let ClusterAutoscaler { owner, namespace, .. } = ClusterAutoscaler::of(snap);
            Way::Backoff { autoscaler: owner.kubectl_name(), autoscaler_namespace: namespace }
        }
        Cause::NoGroup => {
            let ClusterAutoscaler { owner, namespace, .. } = ClusterAutoscaler::of(snap);
            let Place { cluster, .. } = Place::of(snap);
            let tags = scale_up::discovery_tags(snap);
            Way::NoGroup {
                managed: owner::workload(snap, &owner).map(|w| managed_by(&w.metadata)).unwrap_or_default(),
                autoscaler: owner.kubectl_name(),
                autoscaler_namespace: namespace,
                other: other_cluster(snap, &tags).unwrap_or_default().to_owned(),
                tag: format!("k8s.io/cluster-autoscaler/{cluster}"),
                tags: tags.join(", "),
                cluster,
            }
        }
        Cause::Limit(pool) => Way::Limit { pool: Pool::of(snap, pool.clone()) },
        Cause::NoInstanceType(pool) => Way::NoInstanceType { pool: Pool::of(snap, pool.clone()) },
        Cause::Label(pool, label) => Way::Label { pool: Pool::of(snap, pool.clone()), label: label.clone() },
        Cause::Taint(pool, taint) => Way::Taint { pool: pool.clone(), taint: taint.clone() },
        Cause::NoPool => {
            let nodes = snap.nodes.items().unwrap_or_default();
            let of_cluster = snap.eks_cluster().is_ok_and(|c| c.is_auto_mode());
            Way::NoPool { auto: of_cluster || nodes.iter().any(crate::snapshot::kubernetes::Node::is_auto_mode) }
        }
    };
    Fix { namespace: pod.metadata.namespace.clone(), pod: pod.metadata.name.clone(), way }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;

    fn snap(reason: &str, message: &str) -> Snapshot {
        let mut snap = snapshot(json!({
            "pods": [{"metadata": {"name": "prometheus-0", "namespace": "monitoring", "creationTimestamp": "2026-11-21T01:00:00Z"},
                "spec": {"containers": [{"name": "prometheus"}]}, "status": {"phase": "Pending"}}],
            "events": [{"reason": reason, "message": message, "lastTimestamp": "2026-11-21T01:59:00Z",
                "involvedObject": {"kind": "Pod", "namespace": "monitoring", "name": "prometheus-0"}}],
        }));
        *snap.eks_nodegroups = Ok(serde_json::from_value(json!([{"nodegroupName": "ng-1",
            "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 3}}]))
        .expect("groups"));
        snap
    }

    #[test]
    fn the_pods_own_requirements_are_another_matter() {
        let own = "pod didn't trigger scale-up: 1 node(s) had volume node affinity conflict";
        assert!(findings(&ScaleUpRefused, &snap("NotTriggerScaleUp", own)).is_empty());
        let triggered = "pod triggered scale-up: [{ng-1 2->3 (max: 3)}]";
        assert!(findings(&ScaleUpRefused, &snap("TriggeredScaleUp", triggered)).is_empty());
    }

    #[test]
    fn groups_and_pools_are_named() {
        let full = "pod didn't trigger scale-up: 1 max node group size reached";
        let found = findings(&ScaleUpRefused, &snap("NotTriggerScaleUp", full));
        assert!(found[0].message.contains("ng-1: 3 of at most 3"), "{}", found[0].message);
        assert!(
            steps(&found[0]).contains("--nodegroup-name ng-1 --scaling-config 'maxSize=4'"),
            "{}",
            steps(&found[0])
        );
        let limit = "Failed to schedule pod, all available instance types exceed limits for nodepool: \"default\"";
        let found = findings(&ScaleUpRefused, &snap("FailedScheduling", limit));
        assert!(steps(&found[0]).contains("kubectl patch nodepool default"), "{}", steps(&found[0]));
    }

    #[test]
    fn a_pool_that_auto_mode_brings_gets_another_beside_it() {
        let none = "Failed to schedule pod, incompatible with nodepool \"general-purpose\", daemonset overhead={}, no instance type has enough resources";
        let mut snap = snap("FailedScheduling", none);
        let own = findings(&ScaleUpRefused, &snap);
        assert!(steps(&own[0]).contains("kubectl edit nodepool general-purpose"), "{}", steps(&own[0]));
        let nodes = json!([{"metadata": {"name": "n", "labels": {"eks.amazonaws.com/compute-type": "auto"}}}]);
        snap.nodes = crate::snapshot::Listing::cluster(serde_json::from_value(nodes).expect("nodes"));
        let found = findings(&ScaleUpRefused, &snap);
        let text = steps(&found[0]);
        assert!(!text.contains("kubectl edit nodepool"), "{text}");
        assert!(text.contains("name: general-purpose-own") && text.contains("kind: NodeClass"), "{text}");
    }
}
