//! EKS add-ons: which workloads they bring, and what their health issues say.

use crate::domain::aws::ebs;
use crate::domain::kubernetes::eks_addons::WORKLOADS;
use crate::domain::text::between::between;
use crate::snapshot::Snapshot;
use crate::snapshot::aws::{Addon, HealthIssue};
use crate::snapshot::kubernetes::Workload;

/// The add-on without which there is no Pod Identity.
pub(crate) const POD_IDENTITY_AGENT: &str = "eks-pod-identity-agent";

/// Seconds for which a workload may be without all its pods: a rollout takes some.
pub(crate) const ROLLOUT: i64 = 300;

/// A rule of RBAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) verbs: Vec<String>,
}

/// The rules that a refusal says would be given to an add-on by somebody who does not have them:
/// `{APIGroups:["networking.k8s.io"], Resources:["ingresses"], Verbs:["create" "delete"]}`.
pub(crate) fn rights(message: &str) -> Vec<Rule> {
    let list = |rule: &str, name: &str| -> Vec<String> {
        let words = between(rule, &format!("{name}:["), "]").unwrap_or_default();
        words.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rules = message.split('{').skip(1).filter_map(|part| part.split('}').next());
    let rules = rules.map(|rule| Rule {
        groups: list(rule, "APIGroups"),
        resources: list(rule, "Resources"),
        verbs: list(rule, "Verbs"),
    });
    rules.filter(|r| !r.resources.is_empty() && !r.verbs.is_empty()).collect()
}

/// The agent of Pod Identity is known to be absent: it comes as an add-on, as a DaemonSet of one's own, or with Auto Mode.
pub(crate) fn lacks_agent(snap: &Snapshot) -> bool {
    let (Ok(addons), Ok(cluster)) = (snap.eks_addons(), snap.eks_cluster()) else { return false };
    let is_own = |name: &str| name.contains(POD_IDENTITY_AGENT);
    let could_see = snap.workloads.covers("kube-system") || snap.pods.covers("kube-system");
    could_see
        && !addons.iter().any(|a| a.addon_name == POD_IDENTITY_AGENT)
        && !cluster.is_auto_mode()
        && !snap.workloads.items().unwrap_or_default().iter().any(|w| is_own(&w.metadata.name))
        && !snap.pods.items().unwrap_or_default().iter().any(|p| is_own(&p.metadata.name))
}

/// The AWS-managed policy that the role of an add-on needs, below `arn:…:iam::aws:policy/`.
pub(crate) fn policy(name: &str) -> Option<&'static str> {
    Some(match name {
        ebs::ADDON => ebs::POLICY,
        "aws-efs-csi-driver" => "service-role/AmazonEFSCSIDriverPolicy",
        "aws-fsx-csi-driver" => "AmazonFSxFullAccess",
        "vpc-cni" => "AmazonEKS_CNI_Policy",
        "amazon-cloudwatch-observability" => "CloudWatchAgentServerPolicy",
        _ => return None,
    })
}

/// The ServiceAccount of an add-on that works with a role of its own.
pub(crate) fn account(name: &str) -> Option<&'static str> {
    Some(match name {
        ebs::ADDON => "ebs-csi-controller-sa",
        "aws-efs-csi-driver" => "efs-csi-controller-sa",
        "aws-fsx-csi-driver" => "fsx-csi-controller-sa",
        "vpc-cni" => "aws-node",
        "amazon-cloudwatch-observability" => "cloudwatch-agent",
        _ => return None,
    })
}

/// The configuration values that an add-on has with others put in: an update replaces all of them. `None` where what it has
/// cannot be read (it may be YAML).
pub(crate) fn with_values(addon: Option<&Addon>, added: &serde_json::Value) -> Option<String> {
    let now = addon.and_then(|a| a.configuration_values.as_deref()).unwrap_or_default().trim();
    let mut values = if now.is_empty() { serde_json::json!({}) } else { serde_json::from_str(now).ok()? };
    merge(&mut values, added);
    Some(values.to_string())
}

fn merge(values: &mut serde_json::Value, added: &serde_json::Value) {
    match (values.as_object_mut(), added.as_object()) {
        (Some(values), Some(added)) => {
            for (key, value) in added {
                merge(values.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        _ => values.clone_from(added),
    }
}

/// Namespace of an add-on's workloads.
pub(crate) fn namespace(name: &str) -> &'static str {
    WORKLOADS.iter().find(|(known, ..)| *known == name).map_or("kube-system", |(_, namespace, _)| namespace)
}

/// Workloads of an add-on among those that were read: by their names, or because its health issues name them.
pub(crate) fn workloads<'a>(snap: &'a Snapshot, name: &str, addon: Option<&Addon>) -> Vec<&'a Workload> {
    let known = WORKLOADS.iter().find(|(known, ..)| *known == name);
    let named = |w: &Workload| {
        addon.is_some_and(|a| a.health.issues.iter().flat_map(|i| &i.resource_ids).any(|id| *id == w.metadata.name))
    };
    let all = snap.workloads.items().unwrap_or_default().iter();
    all.filter(|w| match known {
        Some((_, namespace, names)) => w.metadata.namespace == *namespace && names.contains(&w.metadata.name.as_str()),
        None => named(w) && w.metadata.label("app.kubernetes.io/managed-by") != Some("Helm"),
    })
    .collect()
}

/// EKS holds against it that it lacks pods, and nothing else.
pub(crate) fn only_counts(addon: &Addon) -> bool {
    let issues = &addon.health.issues;
    addon.status == "DEGRADED" && !issues.is_empty() && issues.iter().all(|i| i.code == "InsufficientNumberOfReplicas")
}

/// The object that the API server finds invalid, as kubectl takes it: `DaemonSet.apps "ebs-csi-node" is invalid: …`. It is to be
/// shown, which a Secret is not.
pub(crate) fn invalid(message: &str) -> Option<String> {
    let (before, name) = message.split_once("\" is invalid")?.0.rsplit_once('"')?;
    let kind = before.split_whitespace().last()?;
    let kind = kind.to_ascii_lowercase();
    (kind != "secret").then(|| format!("{kind}/{name}"))
}

/// A field that the add-on and somebody else both claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// Kind as kubectl takes it: `deployment.apps`.
    pub(crate) kind: String,
    /// Name of the object.
    pub(crate) name: String,
    /// `.spec.replicas`.
    pub(crate) field: String,
}

/// The fields in conflict: `DaemonSet.apps aws-node - .spec.template…` after `Conflicts:`.
pub(crate) fn conflicts(issue: &HealthIssue) -> Vec<Conflict> {
    let Some((_, list)) = issue.message.split_once("Conflicts:") else { return Vec::new() };
    let each = list.split(['\n', ';']).flat_map(|line| line.split(", ")).filter_map(|line| {
        let (object, field) = line.trim().split_once(" - ")?;
        let (kind, name) = object.trim().split_once(' ')?;
        Some(Conflict { kind: kind.to_ascii_lowercase(), name: name.to_owned(), field: field.trim().to_owned() })
    });
    each.collect()
}

/// A health issue in one line, whole in what decides.
pub(crate) fn issue_text(issue: &HealthIssue) -> String {
    let message: String = issue.message.split_whitespace().collect::<Vec<_>>().join(" ");
    let conflicts = conflicts(issue);
    let message = match conflicts.is_empty() {
        true => message,
        // The objects and fields say more than the sentence before them.
        false => {
            let fields: Vec<String> = conflicts.iter().map(|c| format!("{} {} {}", c.kind, c.name, c.field)).collect();
            format!("fields are in conflict: {}", fields.join(", "))
        }
    };
    if message.is_empty() { issue.code.clone() } else { format!("{}: {message}", issue.code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_object_that_is_not_valid() {
        let said = "DaemonSet.apps \"ebs-csi-node-windows\" is invalid: spec.template.spec.containers[1].livenessProbe.httpGet: \
                    Forbidden: may not specify more than 1 handler type";
        assert_eq!(invalid(said).as_deref(), Some("daemonset.apps/ebs-csi-node-windows"));
        assert_eq!(invalid("The add-on is unhealthy"), None);
        assert_eq!(invalid("Secret \"agent-cert\" is invalid: type: Invalid value: field is immutable"), None);
    }

    #[test]
    fn the_rights_that_a_refusal_names() {
        let said = "clusterroles.rbac.authorization.k8s.io \"m\" is forbidden: user \"eks:addon-manager\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"networking.k8s.io\"], Resources:[\"ingresses\"], Verbs:[\"create\" \"delete\"]}";
        let rule = |groups: &str, resources: &str, verbs: &[&str]| Rule {
            groups: vec![groups.into()],
            resources: vec![resources.into()],
            verbs: verbs.iter().map(|v| (*v).to_owned()).collect(),
        };
        assert_eq!(rights(said), [rule("networking.k8s.io", "ingresses", &["create", "delete"])]);
        assert!(rights("no such thing").is_empty());
    }

    #[test]
    fn reads_the_fields_in_conflict() {
        let message = "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:\nConfigMap coredns - .data.Corefile\nDeployment.apps coredns - .spec.template.spec.containers[name=\"coredns\"].image";
        let issue =
            HealthIssue { code: "ConfigurationConflict".into(), message: message.into(), ..HealthIssue::default() };
        let found = conflicts(&issue);
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].kind.as_str(), found[1].name.as_str()), ("deployment.apps", "coredns"));
        let text = issue_text(&issue);
        assert!(
            text.starts_with("ConfigurationConflict: fields are in conflict: configmap coredns .data.Corefile, "),
            "{text}"
        );
        assert!(conflicts(&HealthIssue { message: "no list".into(), ..HealthIssue::default() }).is_empty());
    }
}
