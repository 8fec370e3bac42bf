//! Pods that are taken only where a ResourceQuota speaks of their scope: the admission configuration `limitedResources` of the
//! API server. GKE has it for the system's priority classes, clusters of platform teams for their own.

use std::fmt;

use crate::domain::text::between::between;
use crate::domain::text::windows::RECENT;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Event, Workload};

/// How the API server begins to say it.
const SAYS: &str = "insufficient quota to match these scopes: ";

/// The scope that a quota has to speak of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Priority classes: one of these.
    Priority(Vec<String>),
    /// `BestEffort`, `CrossNamespacePodAffinity` and others.
    Other(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Priority(classes) => write!(f, "PriorityClass {}", classes.join(", ")),
            Self::Other(scope) => f.write_str(scope),
        }
    }
}

/// A refusal for want of a quota.
pub(crate) fn is_lacking(message: &str) -> bool {
    message.contains(SAYS)
}

/// `[{PriorityClass In [system-node-critical system-cluster-critical]}]`.
fn read(message: &str) -> Option<Scope> {
    let inside = between(message, SAYS, "}")?;
    let mut words = inside.trim_start_matches(['[', '{']).split_whitespace();
    let scope = words.next()?;
    if scope != "PriorityClass" {
        return Some(Scope::Other(scope.to_owned()));
    }
    let values = between(message, " In [", "]").unwrap_or_default();
    Some(Scope::Priority(values.split_whitespace().map(str::to_owned).collect()))
}

/// Why a workload's pods are refused, if it is that, with the event that says so; of priority classes the one that it asks for.
pub(crate) fn lacking<'a>(snap: &'a Snapshot, workload: &Workload) -> Option<(Scope, Option<&'a Event>)> {
    let meta = &workload.metadata;
    let failure = workload.status.conditions.iter().find(|c| c.kind == "ReplicaFailure" && c.status == "True");
    let of_set = |name: &str| {
        let hash = name.strip_prefix(meta.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
    };
    let is_own = |e: &&Event| {
        let object = &e.involved_object;
        let same = object.kind == workload.kind && object.name == meta.name;
        let by_set = workload.kind == "Deployment" && object.kind == "ReplicaSet" && of_set(&object.name);
        object.namespace == meta.namespace && (same || by_set) && e.reason == "FailedCreate"
    };
    let recent = |e: &&Event| e.is_within(RECENT, snap.collected_at);
    let events = snap.events.items().unwrap_or_default().iter().filter(is_own).filter(recent);
    let event = events.filter(|e| e.times() > 1).max_by_key(|e| e.last_seen());
    let said = failure.and_then(|c| c.message.as_deref()).or(event.map(|e| e.message.as_str()))?;
    let scope = match read(said)? {
        Scope::Priority(mut all) => {
            if let Some(own) = &workload.spec.template.spec.priority_class_name {
                all.retain(|c| c == own);
            }
            Scope::Priority(if all.is_empty() { vec!["<priority-class>".to_owned()] } else { all })
        }
        other => other,
    };
    Some((scope, event.filter(|e| is_lacking(&e.message))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_from_the_refusal() {
        let critical = "Error creating: insufficient quota to match these scopes: [{PriorityClass In [system-node-critical system-cluster-critical]}]";
        let classes = ["system-node-critical", "system-cluster-critical"].map(str::to_owned).to_vec();
        assert_eq!(read(critical), Some(Scope::Priority(classes)));
        let affinity = "insufficient quota to match these scopes: [{CrossNamespacePodAffinity Exists []}]";
        assert_eq!(read(affinity), Some(Scope::Other("CrossNamespacePodAffinity".to_owned())));
        assert_eq!(read("exceeded quota: compute"), None);
    }
}
