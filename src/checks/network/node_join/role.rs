//! The role of a node group's nodes is in none of the cluster's lists: their kubelets are refused.

use std::collections::BTreeMap;

use super::{Fix, NodeJoin};
use crate::checks::support::place::Place;
use crate::domain::aws::access::{self, Admits};
use crate::domain::aws::node_group;
use crate::model::{Evidence, Finding, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Cluster, Nodegroup};
use crate::snapshot::kubernetes::Node;

/// The name by which the API server knows a node, as the map aws-auth says it.
const USER: &str = "system:node:{{EC2PrivateDNSName}}";

/// One finding for each role that is not let in.
pub(super) fn findings(snap: &Snapshot, cluster: &Cluster) -> Vec<Finding> {
    let nodes = snap.nodes.items().unwrap_or_default();
    if !nodes.iter().any(Node::is_silent) && !snap.eks_nodegroups.iter().flatten().any(|g| g.join_failure().is_some()) {
        return Vec::new();
    }
    let Ok(groups) = snap.eks_nodegroups() else { return Vec::new() };
    let mut by_role: BTreeMap<&str, Lost<'_>> = BTreeMap::new();
    for group in groups.iter().filter(|g| !g.node_role.is_empty()) {
        let own = node_group::nodes_of(snap, &group.nodegroup_name);
        let (silent, others): (Vec<&Node>, Vec<&Node>) = own.partition(|n| n.is_silent());
        let lost = by_role.entry(&group.node_role).or_default();
        // A kubelet that is heard of is let in.
        lost.is_heard |= others.iter().any(|n| n.is_ready());
        if !silent.is_empty() || (others.is_empty() && group.join_failure().is_some()) {
            lost.groups.push(group);
            lost.nodes.extend(silent);
        }
    }
    by_role.retain(|_, lost| !lost.groups.is_empty() && !lost.is_heard);
    let refused = by_role.into_iter().filter_map(|(role, lost)| {
        let by = access::admits(snap, role);
        (by == Admits::No).then(|| finding(snap, cluster, role, &lost))
    });
    refused.collect()
}

/// Groups whose nodes are not heard of, or never joined.
#[derive(Default)]
struct Lost<'a> {
    groups: Vec<&'a Nodegroup>,
    nodes: Vec<&'a Node>,
    is_heard: bool,
}

fn finding(snap: &Snapshot, cluster: &Cluster, role: &str, lost: &Lost<'_>) -> Finding {
    let Place { cluster: name, .. } = Place::of(snap);
    let by_entries = access::has_entries(cluster);
    let groups: Vec<&str> = lost.groups.iter().map(|g| g.nodegroup_name.as_str()).collect();
    let who = match lost.nodes.as_slice() {
        [] => format!("instances of node group {} do not join", groups.join(", ")),
        [one] => format!("node {} is not heard of any more", one.metadata.name),
        many => format!("{} nodes are not heard of any more", many.len()),
    };
    let lists = match (by_entries, access::has_map(cluster)) {
        (true, true) => "neither an access entry nor a line in aws-auth",
        (true, false) => "no access entry",
        (false, _) => "no line in aws-auth",
    };
    let message = format!(
        "{who}: cluster {name} refuses their kubelets, for their role {role} (node group {}) has {lists}",
        groups.join(", ")
    );
    let subject = ResourceRef::aws_arn("eks", "cluster", &cluster.name, &cluster.arn);
    let mut made = Finding::new(NodeJoin::META.id, Severity::Error, subject, message).key(format!("role {role}"));
    if by_entries {
        let entries = snap.access_entries.as_deref().unwrap_or_default();
        let shown: Vec<&str> = entries.iter().map(String::as_str).take(12).collect();
        made = made.evidence(
            Evidence::new(
                format!("EKS cluster {name}, access entries"),
                if shown.is_empty() { "none".to_owned() } else { shown.join(", ") },
                "aws eks list-access-entries --cluster-name {{ cluster }}",
            )
            .with("cluster", &name),
        );
    }
    if access::has_map(cluster) {
        let map = access::map(snap).ok().flatten();
        let roles = map.map(access::roles_of).unwrap_or_default();
        let roles: Vec<&str> = roles.lines().filter(|l| l.contains("rolearn")).map(str::trim).collect();
        let value = match (map, roles.as_slice()) {
            (None, _) => "not found".to_owned(),
            (_, []) => "mapRoles names no role".to_owned(),
            (_, lines) => lines.join("\n"),
        };
        made = made.evidence(Evidence::new(
            "ConfigMap kube-system/aws-auth, mapRoles",
            value,
            "kubectl get configmap aws-auth -n kube-system -o yaml",
        ));
    }
    for group in &groups {
        made = made.breaks(ResourceRef::aws("eks", "nodegroup", *group));
    }
    for node in &lost.nodes {
        made = made.breaks(ResourceRef::node(&node.metadata.name));
    }
    let windows = lost.groups.iter().any(|g| g.ami_type.starts_with("WINDOWS"));
    let entry = match (by_entries, windows) {
        (false, _) => "",
        (true, true) => "EC2_WINDOWS",
        (true, false) => "EC2_LINUX",
    };
    made.fix(Fix::Role { cluster: name, role: role.to_owned(), entry, user: USER })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    const GROUP: &str = "eks.amazonaws.com/nodegroup";

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::snapshot::{Listing, Platform};

    fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("test data")
    }

    const ROLE: &str = "arn:aws:iam::111122223333:role/eks/workers";

    /// Nodes of one group in this state, a cluster that knows identities in this way, its entries and the roles of its map.
    fn with(status: &[&str], mode: &str, entries: &[&str], map: Option<&str>) -> Snapshot {
        let mut snap = Snapshot::empty("2026-01-01T12:00:00Z".parse().expect("a time"));
        snap.platform = Platform::Eks;
        *snap.eks_cluster = Ok(from(json!({"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c",
            "accessConfig": {"authenticationMode": mode}, "resourcesVpcConfig": {"vpcId": "vpc-1"}})));
        let node = |(at, status): (usize, &&str)| {
            json!({"metadata": {"name": format!("n{at}"), "labels": {GROUP: "ng"}},
                "status": {"conditions": [{"type": "Ready", "status": status}]}})
        };
        snap.nodes = Listing::cluster(from(status.iter().enumerate().map(node).collect()));
        *snap.eks_nodegroups =
            Ok(from(json!([{"nodegroupName": "ng", "nodeRole": ROLE, "amiType": "AL2023_x86_64_STANDARD"}])));
        *snap.access_entries = Ok(entries.iter().map(|e| (*e).to_owned()).collect());
        let maps = map.map(
            |roles| json!({"metadata": {"namespace": "kube-system", "name": "aws-auth"}, "data": {"mapRoles": roles}}),
        );
        snap.config_maps = Listing::cluster(from(maps.into_iter().collect()));
        snap
    }

    #[test]
    fn a_role_in_no_list_is_named() {
        let others = "- rolearn: arn:aws:iam::111122223333:role/devops\n  username: devops\n";
        let by_map = findings(&NodeJoin, &with(&["Unknown", "Unknown"], "CONFIG_MAP", &[], Some(others)));
        assert_eq!(by_map.len(), 1);
        assert!(
            by_map[0].message.contains("2 nodes are not heard of any more")
                && by_map[0].message.contains("no line in aws-auth"),
            "{}",
            by_map[0].message
        );
        let text = steps(&by_map[0]);
        assert!(text.contains("eksctl create iamidentitymapping") && text.contains("EC2PrivateDNSName"), "{text}");
        let entries = ["arn:aws:iam::111122223333:role/admin"];
        let by_entry = findings(&NodeJoin, &with(&["Unknown"], "API", &entries, None));
        assert!(steps(&by_entry[0]).contains("--type EC2_LINUX"), "{}", steps(&by_entry[0]));
    }

    #[test]
    fn is_quiet_where_a_list_has_it_or_a_node_is_heard_of() {
        let mapped = "- rolearn: arn:aws:iam::111122223333:role/workers\n  groups: [system:nodes]\n";
        let longer = "- rolearn: arn:aws:iam::111122223333:role/workers-old\n";
        for (status, mode, entries, map) in [
            (vec!["Unknown"], "API", vec![ROLE], None),
            (vec!["Unknown"], "API_AND_CONFIG_MAP", vec![], Some(mapped)),
            (vec!["Unknown"], "CONFIG_MAP", vec![], Some(mapped)),
            (vec!["Unknown", "True"], "API", vec![], None),
            (vec!["True"], "API", vec![], None),
            (vec!["False"], "API", vec![], None),
        ] {
            assert_eq!(findings(&NodeJoin, &with(&status, mode, &entries, map)), [], "{status:?} {mode} {entries:?}");
        }
        assert_eq!(findings(&NodeJoin, &with(&["Unknown"], "CONFIG_MAP", &[], Some(longer))).len(), 1);
    }
}
