//! What a pod asks for and what the nodes have left.

use std::collections::BTreeMap;

use crate::domain::kubernetes::nodes::open_to;
use crate::snapshot::kubernetes::{Meta, Node, Pod, Resources};
use crate::snapshot::{Snapshot, format_bytes, format_cpu, parse_quantity};

/// Requests of a pod: the sum over its containers, or the largest init container if that is more.
pub(crate) fn requests(pod: &Pod, resource: &str) -> f64 {
    let init = pod.spec.init_containers.iter().map(|c| (&c.resources, c.restart_policy.as_deref()));
    scheduled(pod.spec.containers.iter().map(|c| &c.resources), init, resource)
}

/// What the scheduler accounts for for a pod.
fn scheduled<'a>(
    containers: impl Iterator<Item = &'a Resources>,
    init: impl Iterator<Item = (&'a Resources, Option<&'a str>)>,
    resource: &str,
) -> f64 {
    let of = |r: &Resources| {
        r.requests.get(resource).or(r.limits.get(resource)).and_then(|q| parse_quantity(q)).unwrap_or(0.0)
    };
    let running: f64 = containers.map(of).sum();
    let (mut sidecars, mut largest) = (0.0, 0.0_f64);
    for (resources, restart) in init {
        let asked = of(resources);
        largest = largest.max(asked);
        // Sidecars (init containers that restart always) run beside the others.
        if restart == Some("Always") {
            sidecars += asked;
        }
    }
    (running + sidecars).max(largest)
}

/// The node with most of a resource left: name and amount. `None` where the pods of all namespaces could not be read.
pub(crate) fn largest_free(snap: &Snapshot, pod: &Pod, resource: &str) -> Option<(String, f64)> {
    largest_free_without(snap, pod, resource, |_| false)
}

/// As [`largest_free`], as if the pods that `gone` names were not there: those that the new one replaces.
pub(crate) fn largest_free_without(
    snap: &Snapshot,
    pod: &Pod,
    resource: &str,
    gone: impl Fn(&Meta) -> bool,
) -> Option<(String, f64)> {
    let left = left_without(snap, pod, resource, gone)?.into_iter().map(|l| (l.node, l.free));
    left.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// What a node has of a resource for pods, and what is left of it.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) node: String,
    pub(crate) all: f64,
    pub(crate) free: f64,
}

/// What each node that is open to a pod has left. `None` where the pods of all namespaces could not be read.
pub(crate) fn left(snap: &Snapshot, pod: &Pod, resource: &str) -> Option<Vec<Left>> {
    left_without(snap, pod, resource, |_| false)
}

fn left_without(snap: &Snapshot, pod: &Pod, resource: &str, gone: impl Fn(&Meta) -> bool) -> Option<Vec<Left>> {
    let used = used(snap, resource, gone)?;
    let of_node = |node: &Node| {
        let all = parse_quantity(node.status.allocatable.get(resource)?)?;
        let name = node.metadata.name.as_str();
        let free = (all - used.get(name).copied().unwrap_or(0.0)).max(0.0);
        Some(Left { node: name.to_owned(), all, free })
    };
    Some(open_to(snap, pod).filter_map(of_node).collect())
}

/// What pods have asked for of a resource, by node; `None` where the pods of all namespaces could not be read.
fn used<'a>(snap: &'a Snapshot, resource: &str, gone: impl Fn(&Meta) -> bool) -> Option<BTreeMap<&'a str, f64>> {
    let pods = snap.node_requests().ok()?;
    if !snap.node_requests.gaps().is_empty() || pods.is_empty() {
        return None;
    }
    let mut used: BTreeMap<&str, f64> = BTreeMap::new();
    for pod in pods.iter().filter(|p| !matches!(p.status.phase.as_str(), "Succeeded" | "Failed") && !gone(&p.metadata))
    {
        let Some(node) = pod.spec.node_name.as_deref() else { continue };
        let init = pod.spec.init_containers.iter().map(|c| (&c.resources, c.restart_policy.as_deref()));
        *used.entry(node).or_default() += scheduled(pod.spec.containers.iter().map(|c| &c.resources), init, resource);
    }
    Some(used)
}

/// One of some nodes has room for what a pod asks for of CPU and memory, whatever else keeps the pod from it.
pub(crate) fn any_has_room<'a>(snap: &Snapshot, pod: &Pod, nodes: impl Iterator<Item = &'a Node>) -> bool {
    let mut nodes = nodes.peekable();
    // Counting what all pods ask for takes a while.
    if nodes.peek().is_none() {
        return false;
    }
    let none = |_: &Meta| false;
    let (Some(cpu), Some(memory)) = (used(snap, "cpu", none), used(snap, "memory", none)) else { return false };
    nodes.any(|node| {
        [("cpu", &cpu), ("memory", &memory)].iter().all(|(resource, used)| {
            let total = node.status.allocatable.get(*resource).and_then(|q| parse_quantity(q));
            let taken = used.get(node.metadata.name.as_str()).copied().unwrap_or(0.0);
            total.is_some_and(|total| total - taken >= requests(pod, resource))
        })
    })
}

/// The node with most of a resource in all: name and amount.
pub(crate) fn largest_node(snap: &Snapshot, pod: &Pod, resource: &str) -> Option<(String, f64)> {
    open_to(snap, pod)
        .filter_map(|n| Some((n.metadata.name.clone(), parse_quantity(n.status.allocatable.get(resource)?)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// An amount as a manifest would say it.
pub(crate) fn amount(resource: &str, value: f64) -> String {
    if resource == "cpu" { format_cpu(value) } else { format_bytes(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::Container;

    fn container(memory: &str, restart: Option<&str>) -> Container {
        let requests = [("memory".to_owned(), memory.to_owned())].into();
        Container {
            resources: Resources { requests, ..Resources::default() },
            restart_policy: restart.map(str::to_owned),
            ..Container::default()
        }
    }

    #[test]
    fn sidecars_of_other_pods_take_their_part_of_a_node() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let node = serde_json::json!([{"metadata": {"name": "a"}, "status": {
            "allocatable": {"memory": "4Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}}]);
        snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
        let asks = |memory: &str| serde_json::json!({"requests": {"memory": memory}});
        let other = serde_json::json!([{"metadata": {"name": "p"}, "spec": {"nodeName": "a",
            "containers": [{"resources": asks("1Gi")}],
            "initContainers": [{"resources": asks("512Mi"), "restartPolicy": "Always"}, {"resources": asks("1Gi")}]}}]);
        snap.node_requests = Listing::cluster(serde_json::from_value(other).expect("pods"));
        let free = |gone: bool| largest_free_without(&snap, &Pod::default(), "memory", |_| gone).map(|(_, f)| f);
        assert_eq!(free(false).map(|f| amount("memory", f)).as_deref(), Some("2.5Gi"));
        assert_eq!(free(true).map(|f| amount("memory", f)).as_deref(), Some("4Gi"));
    }

    #[test]
    fn a_pod_asks_for_what_runs_at_once() {
        let mut pod = Pod::default();
        pod.spec.containers = vec![container("1Gi", None), container("512Mi", None)];
        pod.spec.init_containers = vec![container("1Gi", None), container("256Mi", Some("Always"))];
        assert_eq!(amount("memory", requests(&pod, "memory")), "1.8Gi");
        pod.spec.init_containers = vec![container("4Gi", None)];
        assert_eq!(amount("memory", requests(&pod, "memory")), "4Gi");
    }
}
