//! What the operators of Grafana, Loki and Tempo say of resources of which they make nothing, or not all.

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Operated};

/// Seconds that an operator may take.
const SETTLING: i64 = 300;

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The Secret with the place and the keys of its object store is missing, or lacks a field.
    StoreSecret,
    /// No Grafana has the labels that it asks for, in a namespace that it may go into.
    NoInstance,
    /// What it says stands for itself.
    Said,
}

/// A resource that is not what it asks for.
#[derive(Debug)]
pub(crate) struct Failing<'a> {
    pub(crate) object: &'a Operated,
    pub(crate) how: How,
    pub(crate) reason: String,
    pub(crate) said: String,
}

/// Those that fail for longer than a change takes.
pub(crate) fn failing<'a>(snap: &Snapshot, all: &'a [Operated]) -> Vec<Failing<'a>> {
    let lives = all.iter().filter(|o| o.metadata.deletion_timestamp.is_none());
    lives.filter_map(|object| of_object(snap, object)).collect()
}

fn of_object<'a>(snap: &Snapshot, object: &'a Operated) -> Option<Failing<'a>> {
    let lasts = |at: Option<jiff::Timestamp>| at.is_none_or(|t| snap.seconds_since(t) >= SETTLING);
    if !lasts(object.metadata.creation_timestamp) {
        return None;
    }
    if let Some(condition) = object.status.conditions.iter().find(|c| fails(c) && lasts(c.last_transition_time)) {
        let reason = condition.reason.clone().unwrap_or_default();
        let how = match () {
            () if condition.kind == "NoMatchingInstance" => How::NoInstance,
            () if reason.contains("ObjectStorageSecret") => How::StoreSecret,
            // Tempo's operator has one reason for all that is wrong with its store; TempoMonolithic names no Secret here.
            () if reason == "InvalidStorageConfig" && !object.spec.storage.secret.name.is_empty() => How::StoreSecret,
            () => How::Said,
        };
        return Some(Failing { object, how, reason, said: condition.message.clone().unwrap_or_default() });
    }
    let status = &object.status;
    if status.conditions.is_empty() && status.no_matching_instances {
        return Some(Failing { object, how: How::NoInstance, reason: String::new(), said: String::new() });
    }
    // Two that write at once: the second tries again.
    let collided = status.last_message.contains("the object has been modified");
    (status.stage_status == "failed" && !collided).then(|| Failing {
        object,
        how: How::Said,
        reason: format!("stage {}", status.stage),
        said: status.last_message.clone(),
    })
}

/// A Grafana of which its operator says that it is all there: what is to go into others waits for them.
pub(crate) fn is_complete(grafana: &Operated) -> bool {
    grafana.status.stage == "complete" && grafana.status.stage_status == "success"
}

/// `Ready` is False while something starts, and says nothing of a fault.
fn fails(condition: &Condition) -> bool {
    match condition.kind.as_str() {
        "Degraded" | "Failed" | "ConfigurationError" | "NoMatchingInstance" | "InvalidSpec" => {
            condition.status == "True"
        }
        kind => kind.ends_with("Synchronized") && condition.status == "False",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(status: Value, age: &str) -> Vec<(How, String)> {
        let snap = Snapshot::empty("2026-11-21T02:55:00Z".parse().expect("a time"));
        let object: Operated = serde_json::from_value(json!({
            "metadata": {"namespace": "logging", "name": "l", "creationTimestamp": age}, "status": status}))
        .expect("an object");
        failing(&snap, &[object]).into_iter().map(|f| (f.how, f.said)).collect()
    }

    const OLD: &str = "2026-11-20T02:55:00Z";

    #[test]
    fn conditions_that_say_of_a_fault_are_told_and_starts_are_not() {
        let one = |kind: &str, status: &str, reason: &str| json!({"conditions": [{"type": kind, "status": status, "reason": reason, "message": "said", "lastTransitionTime": OLD}]});
        let how = |status: Value| of(status, OLD).first().map(|(how, _)| *how);
        assert_eq!(how(one("Degraded", "True", "MissingObjectStorageSecret")), Some(How::StoreSecret));
        assert_eq!(how(one("Failed", "True", "FailedComponents")), Some(How::Said));
        assert_eq!(
            how(one("ConfigurationError", "True", "InvalidStorageConfig")),
            Some(How::Said),
            "no Secret is named"
        );
        assert_eq!(how(one("DashboardSynchronized", "False", "ApplyFailed")), Some(How::Said));
        assert_eq!(how(one("NoMatchingInstance", "True", "EmptyAPIReply")), Some(How::NoInstance));
        assert_eq!(how(json!({"NoMatchingInstances": true})), Some(How::NoInstance));
        assert_eq!(
            how(json!({"stage": "config", "stageStatus": "failed", "lastMessage": "no such secret"})),
            Some(How::Said)
        );
        for well in [
            one("Degraded", "False", "MissingObjectStorageSecret"),
            one("Ready", "False", "PendingComponents"),
            one("Pending", "True", "PendingComponents"),
            one("ConfigurationError", "False", "InvalidStorageConfig"),
            one("Warning", "True", "StorageNeedsSchemaUpdate"),
            one("DashboardSynchronized", "True", "ApplySuccessful"),
            json!({"stage": "complete", "stageStatus": "success"}),
            json!({"stage": "deployment", "stageStatus": "failed", "lastMessage":
                "Operation cannot be fulfilled on deployments.apps \"g\": the object has been modified"}),
            json!({}),
        ] {
            assert!(of(well.clone(), OLD).is_empty(), "{well}");
        }
        assert!(of(one("Degraded", "True", "x"), "2026-11-21T02:53:00Z").is_empty(), "made just now");
    }
}
