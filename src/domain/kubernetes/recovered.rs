//! Whether what an event says of an object is over: the object has been well since, or its controller has done since what it
//! could not do. An event tells of the past, and stays for an hour.

use jiff::Timestamp;

use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Event};

/// Conditions that say that an object works.
const WELL: &[&str] = &["Ready", "Available", "Reconciled", "Synced", "Accepted", "Programmed"];
/// Kinds whose condition says of each try how it went: that they are ready is of now, however long it has been so. Others may
/// stay ready while they fail, as a Certificate that is not renewed.
const OF_LAST_TRY: &[&str] =
    &["HelmRelease", "Kustomization", "ExternalSecret", "SecretStore", "ClusterSecretStore", "SealedSecret"];
/// Reasons of events with which controllers say that they have done what they were to do.
const DONE: &[&str] = &[
    "SuccessfullyReconciled",
    "EnsuredLoadBalancer",
    "UpdatedLoadBalancer",
    "SuccessfulCreate",
    "ReconciliationSucceeded",
    "InstallSucceeded",
    "UpgradeSucceeded",
    "OperationCompleted",
    "ScaledObjectReady",
    "Unsealed",
    "Updated",
];

/// Kinds that bring others, whose errors they repeat.
const BRINGS: &[&str] = &["HelmRelease", "Kustomization", "Application"];

/// What the event says is over.
pub(crate) fn is_over(snap: &Snapshot, event: &Event) -> bool {
    event.last_seen().is_some_and(|said| is_well_since(snap, event, said) || is_done_since(snap, event, said))
}

/// The same of an event that repeats what another program said: by what Argo CD and Flux say of themselves, and by events.
pub(crate) fn is_done(snap: &Snapshot, event: &Event) -> bool {
    let brings = BRINGS.contains(&event.involved_object.kind.as_str());
    event.last_seen().is_some_and(|said| brings && is_well_since(snap, event, said) || is_done_since(snap, event, said))
}

/// The conditions of the object say that it works, and have said so since.
fn is_well_since(snap: &Snapshot, event: &Event, said: Timestamp) -> bool {
    let kind = event.involved_object.kind.as_str();
    let conditions = conditions(snap, event);
    let says_well = |c: &&Condition| WELL.contains(&c.kind.as_str()) || c.kind.ends_with("Synchronized");
    let telling: Vec<&Condition> = conditions.iter().filter(says_well).collect();
    let since = telling.iter().filter_map(|c| c.last_transition_time).max();
    let is_well = !telling.is_empty() && telling.iter().all(|c| c.status == "True");
    is_well && (OF_LAST_TRY.contains(&kind) || since.is_some_and(|at| at >= said)) || is_synced_since(snap, event, said)
}

/// Argo CD keeps no condition of what went well: its last sync tells.
fn is_synced_since(snap: &Snapshot, event: &Event, said: Timestamp) -> bool {
    let about = &event.involved_object;
    about.kind == "Application"
        && snap.git_ops.about(&about.namespace, &about.name).any(|o| {
            let last = &o.status.operation_state;
            o.kind == about.kind && last.phase == "Succeeded" && last.finished_at.is_some_and(|at| at >= said)
        })
}

/// An event of the same object that says so.
fn is_done_since(snap: &Snapshot, event: &Event, said: Timestamp) -> bool {
    let about = &event.involved_object;
    snap.events.about(&about.namespace, &about.name).any(|later| {
        let object = &later.involved_object;
        later.kind != "Warning"
            && object.kind == about.kind
            && later.is_of(about.uid.as_deref().unwrap_or_default())
            && DONE.contains(&later.reason.as_str())
            && later.last_seen().is_some_and(|at| at > said)
    })
}

/// The conditions of the object that an event is about, where objects of its kind are read; none where it is gone.
fn conditions<'a>(snap: &'a Snapshot, event: &Event) -> &'a [Condition] {
    let about = &event.involved_object;
    macro_rules! of {
        ($list:ident) => {
            snap.$list
                .about(&about.namespace, &about.name)
                .find(|o| o.kind == about.kind && event.is_of(&o.metadata.uid))
                .map(|o| o.status.conditions.as_slice())
        };
    }
    let found = match about.kind.as_str() {
        "HelmRelease" | "Kustomization" => of!(git_ops),
        "ExternalSecret" | "SealedSecret" | "Certificate" | "SecretStore" | "ClusterSecretStore" => of!(secret_makers),
        "Issuer" | "ClusterIssuer" | "CertificateRequest" => of!(issuing),
        "Grafana" | "GrafanaDashboard" | "GrafanaDatasource" | "LokiStack" | "TempoStack" | "TempoMonolithic" => {
            of!(operated)
        }
        "Gateway" | "GatewayClass" => of!(gateways),
        "Prometheus" | "Alertmanager" => of!(monitoring_resources),
        "PrometheusAgent" | "ThanosRuler" => of!(other_servers),
        "ScaledObject" => {
            let mut all = snap.scaled_objects.about(&about.namespace, &about.name);
            all.find(|o| event.is_of(&o.metadata.uid)).map(|o| o.status.conditions.as_slice())
        }
        _ => None,
    };
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::Listing;
    use crate::snapshot::kubernetes::{MonitoringResource, SecretMaker};

    const SAID: &str = "2026-11-21T02:30:00Z";

    fn event(kind: &str, of: &str, reason: &str, at: &str) -> Event {
        serde_json::from_value(json!({"metadata": {"name": "e", "namespace": "monitoring"}, "type": of, "reason": reason,
            "message": "m", "lastTimestamp": at, "involvedObject": {"kind": kind, "namespace": "monitoring", "name": "own"}}))
        .expect("an event")
    }

    fn snapshot() -> Snapshot {
        let mut snap = Snapshot::empty("2026-11-21T03:00:00Z".parse().expect("is a time"));
        snap.events = Listing::cluster(Vec::new());
        snap
    }

    fn conditions(all: &[(&str, &str, &str)]) -> Value {
        let all: Vec<Value> = all
            .iter()
            .map(|(kind, status, at)| json!({"type": kind, "status": status, "lastTransitionTime": at}))
            .collect();
        json!({"metadata": {"name": "own", "namespace": "monitoring"}, "status": {"conditions": all}})
    }

    fn of_maker(kind: &str, all: &[(&str, &str, &str)]) -> bool {
        let mut snap = snapshot();
        let read: SecretMaker = serde_json::from_value(conditions(all)).expect("an object");
        snap.secret_makers = Listing::cluster(vec![SecretMaker { kind: kind.to_owned(), ..read }]);
        is_over(&snap, &event(kind, "Warning", "Failed", SAID))
    }

    #[test]
    fn what_has_been_ready_since_is_over() {
        assert!(of_maker("Certificate", &[("Ready", "True", "2026-11-21T02:40:00Z")]));
        assert!(!of_maker("Certificate", &[("Ready", "True", "2026-11-20T02:40:00Z")]), "it was ready while it failed");
        assert!(!of_maker("Certificate", &[("Ready", "False", "2026-11-21T02:40:00Z")]));
        assert!(of_maker("ExternalSecret", &[("Ready", "True", "2026-11-20T02:40:00Z")]), "the last try went well");
        assert!(!of_maker("ExternalSecret", &[]));
    }

    #[test]
    fn all_that_an_object_says_counts() {
        let of = |reconciled: &str| {
            let mut snap = snapshot();
            let all =
                [("Available", "True", "2026-11-20T02:40:00Z"), ("Reconciled", reconciled, "2026-11-21T02:40:00Z")];
            let read: MonitoringResource = serde_json::from_value(conditions(&all)).expect("an object");
            snap.monitoring_resources =
                Listing::cluster(vec![MonitoringResource { kind: "Prometheus".to_owned(), ..read }]);
            is_over(&snap, &event("Prometheus", "Warning", "ReconcileFailed", SAID))
        };
        assert_eq!((of("True"), of("False")), (true, false));
    }

    #[test]
    fn what_was_done_since_is_over() {
        let of = |kind: &str, reason: &str, at: &str| {
            let mut snap = snapshot();
            snap.events = Listing::cluster(vec![event(kind, "Normal", reason, at)]);
            is_over(&snap, &event("Ingress", "Warning", "FailedDeployModel", SAID))
        };
        assert!(of("Ingress", "SuccessfullyReconciled", "2026-11-21T02:31:00Z"));
        assert!(!of("Ingress", "SuccessfullyReconciled", "2026-11-21T02:29:00Z"), "it failed after that");
        assert!(!of("Service", "SuccessfullyReconciled", "2026-11-21T02:31:00Z"), "of another object");
        assert!(!of("Ingress", "Sync", "2026-11-21T02:31:00Z"), "it was only looked at");
    }
}
