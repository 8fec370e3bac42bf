//! What AWS says of EKS add-ons, node groups and load balancer targets.

use super::around;
use crate::domain::aws::{addon, addon_part};
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{HealthIssue, TargetGroup, TargetHealth};

/// States on the way to another.
const ON_THE_WAY: &[&str] = &["ACTIVE", "UPDATING", "CREATING", "DELETING", ""];

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    let cluster = snap.target.cluster.clone().unwrap_or_default();
    let addons = snap.eks_addons().map(Vec::as_slice).unwrap_or_default().iter().filter_map(|addon| {
        let said = said(&addon.status, &addon.health.issues)?;
        let evidence = Evidence::new(
            format!("EKS add-on {}: health", addon.addon_name),
            said.clone(),
            "aws eks describe-addon --cluster-name {{ cluster }} --addon-name {{ name }}",
        );
        let subject = ResourceRef::aws("eks", "addon", &addon.addon_name);
        let title = format!("EKS add-on {} {}", addon.addon_name, addon.status);
        // EKS counts late, and pods of nodes that are off: what is seen of the pods themselves says more.
        let weight = if addon::only_counts(addon) && addon_part::has_its_pods(snap, addon) {
            Weight::Note
        } else {
            Weight::Weighs
        };
        Some((subject, title, evidence, said, addon.addon_name.clone(), weight))
    });
    let groups = snap.eks_nodegroups().map(Vec::as_slice).unwrap_or_default().iter().filter_map(|group| {
        let said = said(&group.status, &group.health.issues)?;
        let evidence = Evidence::new(
            format!("EKS node group {}: health", group.nodegroup_name),
            said.clone(),
            "aws eks describe-nodegroup --cluster-name {{ cluster }} --nodegroup-name {{ name }}",
        );
        let subject = ResourceRef::aws("eks", "nodegroup", &group.nodegroup_name);
        let title = format!("EKS node group {} {}", group.nodegroup_name, group.status);
        Some((subject, title, evidence, said, group.nodegroup_name.clone(), Weight::Weighs))
    });
    addons
        .chain(groups)
        .map(|(subject, title, evidence, said, name, weight)| {
            let evidence = evidence.with("cluster", &cluster).with("name", name);
            let judges = judges(&subject.name());
            Signal::new(SignalKind::Health, subject, title, evidence)
                .text(said)
                .weight(weight)
                .explained_by_checks(judges)
        })
        .chain(target_groups(snap))
        .collect()
}

/// Checks that judge what an add-on brings.
fn judges(addon: &str) -> &'static [&'static str] {
    match addon {
        "aws-ebs-csi-driver" => &["addon-degraded", "ebs-csi-role"],
        "coredns" => &["addon-degraded", "dns"],
        "eks-pod-identity-agent" => &["pod-identity-injection"],
        _ => &[],
    }
}

/// Targets in scope that a load balancer sends nothing to.
fn target_groups(snap: &Snapshot) -> Vec<Signal> {
    let groups = snap.target_groups().map(Vec::as_slice).unwrap_or_default();
    groups.iter().filter_map(|g| target_group(snap, g)).collect()
}

fn target_group(snap: &Snapshot, group: &TargetGroup) -> Option<Signal> {
    let bad = group.health.iter().flatten().filter(|h| h.target_health.state == "unhealthy");
    let bad: Vec<&TargetHealth> = bad.filter(|h| snap.pod_by_ip(&h.target.id).is_some()).collect();
    let first = &bad.first()?.target_health;
    let told = [first.reason.as_deref(), first.description.as_deref()].into_iter().flatten().map(redact);
    let told = told.collect::<Vec<_>>().join(": ");
    let evidence = Evidence::new(
        format!("health of the targets of {}", group.target_group_name),
        told.clone(),
        "aws elbv2 describe-target-health --target-group-arn {{ arn }}",
    )
    .with("arn", &group.target_group_arn);
    let path = group.health_check_path.as_deref().unwrap_or_default();
    let codes = group.matcher.as_ref().and_then(|m| m.http_code.as_deref()).unwrap_or_default();
    let subject = ResourceRef::aws("elasticloadbalancing", "targetgroup", &group.target_group_name);
    let targets = if bad.len() == 1 { "target" } else { "targets" };
    let title = format!("{} unhealthy {targets} of target group {}", bad.len(), group.target_group_name);
    let pods = bad.iter().filter_map(|h| snap.pod_by_ip(&h.target.id));
    Some(
        Signal::new(SignalKind::Health, subject, title, evidence)
            .text(told)
            .about(pods.flat_map(|p| around(snap, p)))
            .explained_by_checks(&["ingress"])
            .next(format!("its health check asks {path} and wants {codes}: compare with what the pod answers there")),
    )
}

/// What is wrong, in EKS' own words; `None` where nothing is.
fn said(status: &str, issues: &[HealthIssue]) -> Option<String> {
    if issues.is_empty() && ON_THE_WAY.contains(&status) {
        return None;
    }
    let issue = |i: &HealthIssue| format!("{}: {}", i.code, redact(&i.message));
    Some(issues.iter().map(issue).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_runs_is_no_fault() {
        assert_eq!(said("UPDATING", &[]), None);
        assert_eq!(said("DEGRADED", &[]).as_deref(), Some(""));
        let issue = HealthIssue { code: "AccessDenied".into(), message: "no".into(), ..HealthIssue::default() };
        assert_eq!(said("ACTIVE", &[issue]).as_deref(), Some("AccessDenied: no"));
    }
}
