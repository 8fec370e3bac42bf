//! What reading facts takes, as a ClusterRole and as an IAM policy.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Access, Fact};

/// The rights that some facts take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Verbs by API group and resource.
    rules: BTreeMap<(&'static str, &'static str), Vec<&'static str>>,
    /// IAM actions, in order.
    actions: Vec<&'static str>,
}

impl Rights {
    /// Those of these facts. Without any of AWS no IAM action is among them.
    pub fn of(facts: impl IntoIterator<Item = Fact>) -> Self {
        let mut own = Self::default();
        for fact in facts {
            match fact.access() {
                Access::Kubernetes(all) => {
                    for access in all {
                        let verbs = own.rules.entry((access.group, access.resource)).or_default();
                        verbs.extend(access.verbs.iter().filter(|v| !verbs.contains(v)).collect::<Vec<_>>());
                    }
                }
                Access::Aws(all) => own.actions.extend(all),
                Access::Files => {}
            }
        }
        if !own.actions.is_empty() {
            // Whose the credentials are is asked before anything else.
            own.actions.push("sts:GetCallerIdentity");
        }
        own.actions.sort_unstable();
        own.actions.dedup();
        own
    }

    /// What may be listed may also be watched.
    #[must_use]
    pub fn with_watch(mut self) -> Self {
        for verbs in self.rules.values_mut().filter(|verbs| verbs.contains(&"list")) {
            verbs.push("watch");
        }
        self
    }

    /// The rules of a ClusterRole, in YAML.
    pub fn rules(&self) -> String {
        let mut out = String::new();
        for ((group, resource), verbs) in &self.rules {
            let _ = writeln!(
                out,
                "  - apiGroups: [\"{group}\"]\n    resources: [{resource}]\n    verbs: [{}]",
                verbs.join(", ")
            );
        }
        out
    }

    /// A ClusterRole of this name, in YAML.
    pub fn cluster_role(&self, name: &str) -> String {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: {name}\nrules:\n{}",
            self.rules()
        )
    }

    /// An IAM policy, in JSON.
    pub fn iam_policy(&self) -> String {
        let policy = serde_json::json!({"Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": self.actions, "Resource": "*"}]});
        format!("{policy:#}\n")
    }

    /// Nothing of AWS is read.
    pub fn is_without_aws(&self) -> bool {
        self.actions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_facts_are_joined() {
        let rights = Rights::of([Fact::Pods, Fact::PartLogs, Fact::EksCluster]);
        let role = rights.cluster_role("kdoctor");
        assert!(role.contains("resources: [pods]\n    verbs: [list]"), "{role}");
        assert!(role.contains("resources: [pods/log]\n    verbs: [get]"), "{role}");
        let watching = rights.clone().with_watch().cluster_role("kdoctor");
        assert!(watching.contains("verbs: [list, watch]") && watching.contains("verbs: [get]"), "{watching}");
        let policy = rights.iam_policy();
        assert!(policy.contains("eks:DescribeCluster") && policy.contains("sts:GetCallerIdentity"), "{policy}");
        assert!(Rights::of([Fact::Nodes]).is_without_aws());
    }
}
