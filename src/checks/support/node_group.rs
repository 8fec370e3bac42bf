//! Node groups as commands make them again.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::domain::aws::node_group::nodes_of;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Nodegroup, NodegroupTaint};

/// A node group that failed to be created, to be deleted and made again.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Again {
    name: String,
    /// Instances of it are nodes, which work again with what they lacked; or nobody knows, where not all nodes were read.
    joined: bool,
    /// Fewer of them than it was to have.
    fewer: bool,
    /// The words after `aws eks create-nodegroup`.
    create: Vec<String>,
}

/// The groups among these that failed to be created: they do not recover by themselves.
pub(crate) fn again<'a>(snap: &Snapshot, groups: impl Iterator<Item = &'a Nodegroup>) -> Vec<Again> {
    let place = Place::of(snap);
    let failed = groups.filter(|g| g.status == "CREATE_FAILED");
    let whole = snap.nodes.items().is_ok() && snap.nodes.gaps().is_empty();
    let one = |g: &Nodegroup| {
        let nodes = nodes_of(snap, &g.nodegroup_name).count();
        let wanted = g.scaling_config.desired_size.and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        Again {
            name: g.nodegroup_name.clone(),
            joined: nodes > 0 || !whole,
            fewer: whole && nodes > 0 && nodes < wanted,
            create: create(g, &place, &g.nodegroup_name, &g.subnets),
        }
    };
    failed.map(one).collect()
}

/// The words after `aws eks create-nodegroup` that make the group again as it was meant.
pub(crate) fn create(group: &Nodegroup, place: &Place, name: &str, subnets: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |flag: &str, values: Vec<String>| {
        if !values.is_empty() && values.iter().all(|v| !v.is_empty()) {
            words.push(flag.to_owned());
            words.extend(values);
        }
    };
    add("--cluster-name", vec![place.cluster.clone()]);
    add("--nodegroup-name", vec![name.to_owned()]);
    add("--node-role", vec![group.node_role.clone()]);
    add("--subnets", subnets.to_vec());
    let scaling = &group.scaling_config;
    let sizes = [("minSize", scaling.min_size), ("maxSize", scaling.max_size), ("desiredSize", scaling.desired_size)];
    let sizes: Vec<String> = sizes.iter().filter_map(|(k, v)| Some(format!("{k}={}", (*v)?))).collect();
    add("--scaling-config", vec![sizes.join(",")]);
    let template = group.launch_template.as_ref().filter(|t| !t.id.is_empty());
    match template {
        Some(t) => add("--launch-template", vec![format!("id={},version={}", t.id, t.version)]),
        None => {
            add("--disk-size", group.disk_size.map(|d| d.to_string()).into_iter().collect());
        }
    }
    add("--instance-types", group.instance_types.clone());
    // An image of the launch template has no type of its own.
    add("--ami-type", vec![group.ami_type.clone()].into_iter().filter(|t| t != "CUSTOM").collect());
    add("--capacity-type", vec![group.capacity_type.clone()]);
    let labels: Vec<String> = group.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    add("--labels", vec![labels.join(",")]);
    let taint = |t: &NodegroupTaint| {
        let value = t.value.as_deref().filter(|v| !v.is_empty()).map(|v| format!("value={v},")).unwrap_or_default();
        format!("key={},{value}effect={}", t.key, t.effect)
    };
    add("--taints", group.taints.iter().map(taint).collect());
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::snapshot::Listing;

    #[test]
    fn a_group_whose_instances_are_nodes_is_not_deleted_for_it() {
        let mut snap = Snapshot::empty(jiff::Timestamp::UNIX_EPOCH);
        let groups = json!([
            {"nodegroupName": "db", "status": "CREATE_FAILED"},
            {"nodegroupName": "web", "status": "CREATE_FAILED"},
            {"nodegroupName": "old", "status": "DEGRADED"},
        ]);
        let groups: Vec<Nodegroup> = serde_json::from_value(groups).expect("groups");
        let node = json!([{"metadata": {"name": "n", "labels": {"eks.amazonaws.com/nodegroup": "db"}},
            "status": {"conditions": [{"type": "Ready", "status": "False"}]}}]);
        snap.nodes = Listing::cluster(serde_json::from_value(node).expect("nodes"));
        let found: Vec<(String, bool)> = again(&snap, groups.iter()).into_iter().map(|g| (g.name, g.joined)).collect();
        assert_eq!(found, [("db".to_owned(), true), ("web".to_owned(), false)]);
        let sized = json!([{"nodegroupName": "db", "status": "CREATE_FAILED", "scalingConfig": {"desiredSize": 2}}]);
        let sized: Vec<Nodegroup> = serde_json::from_value(sized).expect("groups");
        assert!(again(&snap, sized.iter()).iter().all(|g| g.joined && g.fewer));
    }
}
