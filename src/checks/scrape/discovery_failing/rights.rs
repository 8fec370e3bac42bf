//! What RBAC has to allow.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::Discovery;
use crate::domain::prometheus::discovery_jobs;

/// Resources of one API group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(super) struct Rule {
    group: String,
    resources: Vec<String>,
}

/// What is missing in one namespace, or in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(super) struct Scope {
    /// Null: the cluster.
    namespace: Option<String>,
    rules: Vec<Rule>,
}

/// One question to `kubectl auth can-i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Question {
    resource: String,
    namespace: Option<String>,
    everywhere: bool,
}

impl Discovery<'_> {
    /// What to allow: what was refused, and what the same discovery asks for next.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        let mut scopes: BTreeMap<Option<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for denied in self.denied() {
            let groups = scopes.entry(denied.namespace.clone()).or_default();
            groups.entry(denied.group.clone()).or_default().insert(denied.resource.clone());
            let companions = discovery_jobs::companions(&denied.resource).iter().map(|c| (*c).to_owned());
            if denied.resource == "endpoints" || denied.resource == "endpointslices" {
                groups.entry(String::new()).or_default().extend(companions);
            }
        }
        let rules = |groups: BTreeMap<String, BTreeSet<String>>| {
            let all = groups.into_iter();
            all.map(|(group, resources)| Rule { group, resources: resources.into_iter().collect() }).collect()
        };
        scopes.into_iter().map(|(namespace, groups)| Scope { namespace, rules: rules(groups) }).collect()
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        let mut all = Vec::new();
        for scope in self.scopes() {
            for rule in &scope.rules {
                for resource in &rule.resources {
                    let name =
                        if rule.group.is_empty() { resource.clone() } else { format!("{resource}.{}", rule.group) };
                    let everywhere = scope.namespace.is_none() && resource != "nodes" && resource != "namespaces";
                    all.push(Question { resource: name, namespace: scope.namespace.clone(), everywhere });
                }
            }
        }
        all
    }
}
