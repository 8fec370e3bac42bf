//! Pods of a cluster whose nodes are all Fargate's: a node is made for each pod that a profile selects, and takes no other.

use crate::checks::support::place::Place;
use crate::model::Evidence;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::FargateSelector;
use crate::snapshot::kubernetes::{Meta, Pod, Workload};
use crate::text::glob::fits;

/// With it, a pod is left to the nodes of EC2. EKS gives it to CoreDNS.
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// Takes the annotation out of a workload's template.
pub(super) const ANNOTATION_PATCH: &str =
    r#"[{"op":"remove","path":"/spec/template/metadata/annotations/eks.amazonaws.com~1compute-type"}]"#;

/// Every node that is known is Fargate's, and nothing is there that could make another one: no node group, no Karpenter, no
/// Auto Mode.
pub(super) fn is_only_kind(snap: &Snapshot) -> bool {
    let nodes = snap.nodes.items().unwrap_or_default();
    let makes_nodes =
        |w: &Workload| ["karpenter", "autoscaler"].iter().any(|program| w.metadata.name.contains(program));
    // Without any node, it has to be known that no node group makes one.
    let has_profiles =
        snap.eks_nodegroups.is_ok() && snap.fargate_profiles.as_ref().is_ok_and(|profiles| !profiles.is_empty());
    snap.nodes.is_whole()
        && (!nodes.is_empty() || has_profiles)
        && nodes.iter().all(|n| n.is_fargate())
        && !snap.eks_nodegroups.as_ref().is_ok_and(|groups| !groups.is_empty())
        && !snap.eks_cluster.as_ref().is_ok_and(|c| c.auto_mode_storage())
        && !snap.workloads.items().unwrap_or_default().iter().any(makes_nodes)
}

/// The pod asks for a node of EC2.
pub(super) fn asks_for_ec2(pod: &Pod) -> bool {
    pod.metadata.annotations.get(COMPUTE_TYPE).is_some_and(|v| v == "ec2")
}

/// The role with which EKS runs the pods of a profile that is there.
pub(super) fn execution_role(snap: &Snapshot) -> String {
    let profiles = snap.fargate_profiles.as_deref().unwrap_or_default();
    let known = profiles.iter().map(|p| &p.pod_execution_role_arn).find(|arn| !arn.is_empty());
    known.cloned().unwrap_or_else(|| "<pod-execution-role-arn>".to_owned())
}

/// The profile that selects a pod.
pub(super) fn profile(snap: &Snapshot, pod: &Pod) -> Option<String> {
    let profiles = snap.fargate_profiles.as_deref().unwrap_or_default();
    let own = profiles.iter().find(|p| p.selectors.iter().any(|s| selects(s, &pod.metadata)));
    own.map(|p| p.fargate_profile_name.clone())
}

/// The template of a workload has the annotation; a pod may have it from elsewhere.
pub(super) fn is_in_template(workload: Option<&Workload>) -> bool {
    workload.is_some_and(|w| w.spec.template.metadata.annotations.contains_key(COMPUTE_TYPE))
}

/// The profiles, and the namespaces that they select.
pub(super) fn evidence(snap: &Snapshot) -> Evidence {
    let Place { cluster, .. } = Place::of(snap);
    let all = snap.fargate_profiles.as_deref().unwrap_or_default().iter().map(|p| {
        let namespaces: Vec<&str> = p.selectors.iter().map(|s| s.namespace.as_str()).collect();
        format!("{}: {}", p.fargate_profile_name, namespaces.join(", "))
    });
    let lines: Vec<String> = all.collect();
    let seen = if lines.is_empty() { "none is known".to_owned() } else { lines.join("\n") };
    let show = "aws eks list-fargate-profiles --cluster-name {{ cluster }}";
    Evidence::new("Fargate profiles, and the namespaces that they select", seen, show).with("cluster", cluster)
}

/// Namespace, which may hold wildcards, and labels are those of the pod.
fn selects(selector: &FargateSelector, meta: &Meta) -> bool {
    fits(&selector.namespace, &meta.namespace) && selector.labels.iter().all(|(k, v)| meta.label(k) == Some(v.as_str()))
}

/// Why none is made for it.
pub(super) fn why(snap: &Snapshot, pod: &Pod) -> String {
    if asks_for_ec2(pod) {
        return format!("its annotation {COMPUTE_TYPE}: ec2 leaves it to nodes of EC2");
    }
    let namespace = &pod.metadata.namespace;
    let Ok(profiles) = snap.fargate_profiles.as_deref() else {
        return format!("no Fargate profile took it (namespace {namespace})");
    };
    match profiles.iter().find(|p| p.selectors.iter().any(|s| selects(s, &pod.metadata))) {
        Some(profile) => format!(
            "Fargate profile {} selects it, but not when it was made: a pod that is there already gets no node of its own",
            profile.fargate_profile_name
        ),
        None => format!("no Fargate profile selects it (namespace {namespace})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_select_by_namespace_and_labels() {
        let selector =
            FargateSelector { namespace: "team-*".into(), labels: [("tier".to_owned(), "web".to_owned())].into() };
        let meta = |namespace: &str, tier: &str| Meta {
            namespace: namespace.into(),
            labels: [("tier".to_owned(), tier.to_owned())].into(),
            ..Meta::default()
        };
        assert!(selects(&selector, &meta("team-a", "web")));
        assert!(!selects(&selector, &meta("team-a", "db")) && !selects(&selector, &meta("monitoring", "web")));
    }

    /// A patch that removes what is not there fails.
    #[test]
    fn only_a_template_that_has_the_annotation_is_patched() {
        let with = |annotations: serde_json::Value| {
            let made = serde_json::json!({"metadata": {"name": "coredns"}, "spec": {"template": {"metadata": {"annotations": annotations}}}});
            let workload: Workload = serde_json::from_value(made).expect("a workload");
            is_in_template(Some(&workload))
        };
        assert!(with(serde_json::json!({COMPUTE_TYPE: "ec2"})));
        assert!(!with(serde_json::json!({})) && !is_in_template(None));
    }
}
