//! A managed node group failed, or EKS says that it is not well: its nodes are missing.

mod fix;

use fix::Fix;

use crate::checks::support::place::Place;
use crate::checks::{Check, check};
use crate::domain::aws::node_group::{self, Cause, Launch};
use crate::domain::kubernetes::disruption;
use crate::domain::kubernetes::unschedulable::unscheduled;
use crate::domain::text::shorten::shorten;
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::aws::{HealthIssue, Nodegroup};
use crate::snapshot::kubernetes::{Node, Pod};
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    NodegroupFailed {
        id: "nodegroup-failed", suite: Nodes, severity: Error,
        title: "a node group failed or is degraded",
        requires: [EksNodegroups],
        uses: [Nodes, Pods, Events, EksCluster, Subnets, DisruptionBudgets],
        fix: Fix,
    }
}

impl Check for NodegroupFailed {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("not on EKS".into()));
        }
        let failed = snap.eks_nodegroups()?.iter().filter(|g| node_group::is_failed(g));
        Ok(Diagnosis::Findings(failed.map(|group| finding(snap, group)).collect()))
    }
}

/// The issue that says most: one that names a cause before one that only says that nodes are missing.
fn telling(group: &Nodegroup) -> Option<(&HealthIssue, Cause)> {
    let all = group.health.issues.iter().map(|i| (i, node_group::fault(i)));
    all.min_by_key(|(_, fault)| match fault {
        Cause::Internal | Cause::Other => 2,
        Cause::Join | Cause::Launch(Launch::Other) => 1,
        _ => 0,
    })
}

fn finding(snap: &Snapshot, group: &Nodegroup) -> Finding {
    let name = &group.nodegroup_name;
    let nodes: Vec<&Node> = node_group::nodes_of(snap, name).collect();
    let ready = nodes.iter().filter(|n| n.is_ready()).count();
    let waiting = waiting_for(snap, group);
    let fault = telling(group).map_or(Cause::Other, |(_, fault)| fault);
    let severity = match group.status.as_str() {
        "DELETE_FAILED" => Severity::Warning,
        // Where nodes could not be read nobody knows how many there are.
        _ if ready == 0 && snap.nodes.is_whole() => Severity::Error,
        _ if !waiting.is_empty() => Severity::Error,
        _ if fault == Cause::Access && ready < nodes.len() => Severity::Error,
        _ => Severity::Warning,
    };
    let place = Place::of(snap);
    let own = node_group::reference(group);
    let mut made = Finding::new(NodegroupFailed::META.id, severity, own.clone(), message(snap, group, ready, &waiting))
        .breaks(own.clone())
        // Why its instances do not join is another check's to say.
        .depends_on(own)
        .fix(Fix::of(snap, group, fault, &place))
        .evidence(health_evidence(group, &place));
    made.key = format!("{name} {}", made.variant);
    for node in nodes.iter().filter(|n| !n.is_ready()) {
        let node = ResourceRef::node(&node.metadata.name);
        // Nodes whose role the cluster does not let in are not heard of: that is deeper than each of them.
        made = if fault == Cause::Access { made.breaks(node) } else { made.depends_on(node) };
    }
    for subnet in subnets_in_doubt(group, fault) {
        made = made.depends_on(ResourceRef::aws("ec2", "subnet", subnet));
    }
    if fault == Cause::Role
        && let Some(role) = group.node_role.rsplit('/').next()
    {
        made = made.depends_on(ResourceRef::aws("iam", "role", role));
    }
    // Its update waits for pods that a budget lets nobody evict.
    if group.health.issues.iter().any(|i| i.code.contains("PodEviction") || i.message.contains("PodEviction")) {
        let budgets = snap.disruption_budgets.items().unwrap_or_default().iter();
        let blocking = budgets.filter(|b| disruption::blocked(snap, b).is_some_and(|b| b.is_waited_for()));
        made = blocking.map(disruption::reference).fold(made, Finding::depends_on);
    }
    if snap.nodes.items().is_ok() {
        made = made.evidence(nodes_evidence(name, &nodes, ready));
    }
    made
}

/// Subnets whose own fault would explain it.
fn subnets_in_doubt(group: &Nodegroup, fault: Cause) -> &[String] {
    if matches!(fault, Cause::Addresses | Cause::Join) { &group.subnets } else { &[] }
}

fn message(snap: &Snapshot, group: &Nodegroup, ready: usize, waiting: &[&Pod]) -> String {
    let cluster = Place::of(snap).cluster;
    let name = &group.nodegroup_name;
    let why = match telling(group) {
        Some((issue, Cause::Join)) if group.ami_type == "CUSTOM" => {
            format!(
                "{} (its image is not EKS' own, so that its user data alone tell instances which cluster to join)",
                text(issue)
            )
        }
        Some((issue, _)) => text(issue),
        None => "EKS gives no reason".to_owned(),
    };
    let desired = group.scaling_config.desired_size.map(|d| format!(" of {d}")).unwrap_or_default();
    let nodes = match snap.nodes.is_whole() {
        true => format!("; {ready}{desired} nodes are Ready"),
        false => String::new(),
    };
    let pods = match waiting {
        [] => String::new(),
        [one] => format!(", and pod {}/{} waits for one", one.metadata.namespace, one.metadata.name),
        many => format!(", and {} pods wait for one", many.len()),
    };
    let status = if group.status == "ACTIVE" { "has health issues" } else { "is" };
    let status = if group.status == "ACTIVE" { status.to_owned() } else { format!("{status} {}", group.status) };
    format!("node group {name} of cluster {cluster} {status}: {why}{nodes}{pods}")
}

/// A health issue in one line: its code, and its message without the list of instances.
fn text(issue: &HealthIssue) -> String {
    let message = shorten(&issue.message, 500);
    let message = message.trim_end_matches('.');
    if message.is_empty() { issue.code.clone() } else { format!("{}: {message}", issue.code) }
}

/// Pods that no node takes and that the group's nodes were meant for.
fn waiting_for<'a>(snap: &'a Snapshot, group: &Nodegroup) -> Vec<&'a Pod> {
    let pods = snap.pods.items().unwrap_or_default().iter();
    let pending = pods.filter(|p| p.status.phase == "Pending" && p.spec.node_name.is_none());
    pending
        .filter(|p| unscheduled(snap, p).is_some())
        .filter(|p| node_group::meant_for(snap, p).iter().any(|g| g.nodegroup_name == group.nodegroup_name))
        .collect()
}

fn health_evidence(group: &Nodegroup, place: &Place) -> Evidence {
    let issue = |i: &HealthIssue| match i.resource_ids.as_slice() {
        [] => text(i),
        ids => format!("{} ({})", text(i), ids.join(", ")),
    };
    let issues: Vec<String> = group.health.issues.iter().map(issue).collect();
    Evidence::new(
        format!("eks:DescribeNodegroup {}, status and health", group.nodegroup_name),
        format!("status {}\n{}", group.status, issues.join("\n")).trim().to_owned(),
        "aws eks describe-nodegroup --cluster-name {{ cluster }} --nodegroup-name {{ group }} --query 'nodegroup.[status,health]'",
    )
    .with("cluster", &place.cluster)
    .with("group", &group.nodegroup_name)
}

fn nodes_evidence(name: &str, nodes: &[&Node], ready: usize) -> Evidence {
    let value = match nodes {
        [] => "none".to_owned(),
        all => format!("{ready} of {} are Ready", all.len()),
    };
    let selector = format!("eks.amazonaws.com/nodegroup={name}");
    Evidence::new(format!("nodes of the group ({selector})"), value, "kubectl get nodes -l {{ selector }}")
        .with("selector", selector)
}

#[cfg(test)]
mod tests;
