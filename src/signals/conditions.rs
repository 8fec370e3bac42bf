//! Conditions that say that something does not work: of nodes, the operator's resources, APIServices, Namespaces,
//! autoscalers and Jobs.

use jiff::Timestamp;

use super::{is_ours, seconds_ago};
use crate::domain::aws::node_pool;
use crate::domain::kubernetes::gateway::{self, Cause, GatewayCause};
use crate::domain::kubernetes::{leaving, nodes};
use crate::domain::text::redact::redact;
use crate::model::{Evidence, ResourceRef, Signal, SignalKind, Weight};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, Meta};

/// Seconds that a Namespace may take to end.
const ENDING: i64 = 600;
/// Seconds after which a Job that failed is history.
const DAY: i64 = 86_400;

/// Reads them.
pub(super) fn read(snap: &Snapshot) -> Vec<Signal> {
    [
        of_nodes(snap),
        of_node_makers(snap),
        of_operator(snap),
        of_monitors(snap),
        of_routes(snap),
        of_apis(snap),
        of_namespaces(snap),
        of_autoscalers(snap),
        of_jobs(snap),
    ]
    .concat()
}

fn of_nodes(snap: &Snapshot) -> Vec<Signal> {
    let mut all = Vec::new();
    for node in snap.nodes.items().unwrap_or_default() {
        let pressure = node.status.conditions.iter().filter(|c| c.kind.ends_with("Pressure") && c.status == "True");
        for condition in nodes::not_ready(node).into_iter().chain(pressure) {
            let name = &node.metadata.name;
            let said = if condition.kind == "Ready" { "NotReady".to_owned() } else { condition.kind.clone() };
            let fresh = seconds_ago(snap, node.metadata.creation_timestamp.unwrap_or(Timestamp::UNIX_EPOCH)) < 300;
            let evidence =
                shown(condition, format!("node {name}"), "kubectl describe node {{ name }}").with("name", name);
            let signal =
                Signal::new(SignalKind::Condition, ResourceRef::node(name), format!("node {name} {said}"), evidence)
                    .text(message(condition))
                    .since(condition.last_transition_time);
            let calm = fresh || (condition.kind == "Ready" && leaving::node(snap, node));
            all.push(if calm { signal.weight(Weight::Note) } else { signal });
        }
    }
    all
}

/// NodePools and node classes that are not ready, claims that are not launched.
fn of_node_makers(snap: &Snapshot) -> Vec<Signal> {
    let all = snap.node_makers.items().unwrap_or_default().iter();
    let failing = all.filter_map(|o| {
        let wanted = if o.kind == "NodeClaim" { "Launched" } else { "Ready" };
        Some((o, o.condition(wanted).filter(|c| c.status == "False")?))
    });
    failing
        .map(|(o, c)| {
            let pools = o.pool().map(node_pool::pool_reference);
            of_object(node_pool::group(o), &o.kind, node_pool::resource(o), &o.metadata, c).about(pools)
        })
        .collect()
}

/// The condition as evidence.
fn shown(condition: &Condition, source: String, template: &'static str) -> Evidence {
    Evidence::new(format!("{source}: condition {}", condition.kind), message(condition), template)
}

/// Reason and message, secrets hidden.
fn message(condition: &Condition) -> String {
    let reason = condition.reason.as_deref().unwrap_or_default();
    let said = condition.message.as_deref().map(redact).unwrap_or_default();
    match (reason, said.as_str()) {
        ("", said) => said.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, said) => format!("{reason}: {said}"),
    }
}

/// A condition of an object, as a signal.
fn of_object(group: &str, kind: &str, resource: &str, meta: &Meta, condition: &Condition) -> Signal {
    let subject = ResourceRef::kubernetes(group, kind, &meta.namespace, &meta.name);
    let said = if condition.status == "True" {
        condition.kind.clone()
    } else {
        format!("{} {}", condition.kind, condition.status)
    };
    let title = format!("{kind} {} {said}", subject.name());
    let evidence = shown(
        condition,
        format!("{kind} {}", subject.name()),
        "kubectl get {{ resource }} {{ name }}{% if namespace %} -n {{ namespace }}{% endif %} -o yaml",
    )
    .with("resource", if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") })
    .with("namespace", &meta.namespace)
    .with("name", &meta.name);
    Signal::new(SignalKind::Condition, subject, title, evidence)
        .text(message(condition))
        .since(condition.last_transition_time)
}

/// Prometheus, Alertmanager …: `Available` and `Reconciled`.
fn of_operator(snap: &Snapshot) -> Vec<Signal> {
    let all = [snap.monitoring_resources.items(), snap.other_servers.items()].into_iter().flatten().flatten();
    let ours = all.filter(|r| is_ours(snap, &r.metadata.namespace));
    ours.flat_map(|r| {
        let bad = r.status.conditions.iter().filter(|c| c.status == "False");
        bad.map(|c| {
            let meta = &r.metadata;
            let resource = r.kind.to_ascii_lowercase();
            let made = r.set();
            let pods = snap.pods.items().unwrap_or_default().iter().filter(|p| snap.owner_ref(p) == made);
            let around: Vec<ResourceRef> = pods.flat_map(|p| super::around(snap, p)).collect();
            let signal = of_object("monitoring.coreos.com", &r.kind, &resource, meta, c).about([made]).about(around);
            let young = c.last_transition_time.is_some_and(|t| seconds_ago(snap, t) < 300);
            if young { signal.weight(Weight::Note) } else { signal }
        })
        .collect::<Vec<_>>()
    })
    .collect()
}

/// ServiceMonitors and PodMonitors that a server selected and did not take.
fn of_monitors(snap: &Snapshot) -> Vec<Signal> {
    let mut all = Vec::new();
    for monitor in snap.monitors.items().unwrap_or_default() {
        let refused = monitor.status.bindings.iter().flat_map(|b| &b.conditions);
        if let Some(condition) = refused.into_iter().find(|c| c.kind == "Accepted" && c.status == "False") {
            let resource = monitor.kind.to_ascii_lowercase();
            all.push(of_object("monitoring.coreos.com", &monitor.kind, &resource, &monitor.metadata, condition));
        }
    }
    all
}

/// Routes to the stack that a Gateway does not take or that lead nowhere, and Gateways that do not serve them.
fn of_routes(snap: &Snapshot) -> Vec<Signal> {
    let mut all = Vec::new();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let routes: Vec<_> = gateway::of_stack(snap).collect();
    for route in &routes {
        for parent in gateway::parents(route) {
            if let Some(Cause::NotAccepted(c) | Cause::Unresolved(c)) = gateway::fault(snap, route, parent) {
                all.push(of_object(gateway::GROUP, &route.kind, "httproutes", &route.metadata, c));
            }
            let namespace = gateway::namespace_of(parent.namespace.as_deref(), &route.metadata);
            let Ok(Some(own)) = gateway::find(snap, "Gateway", namespace, &parent.name) else { continue };
            let named = (own.metadata.namespace.as_str(), own.metadata.name.as_str());
            if seen.contains(&named) {
                continue;
            }
            seen.push(named);
            if let Some(GatewayCause::Condition(c) | GatewayCause::Listener(_, c)) =
                gateway::gateway_fault(snap, own, &routes)
            {
                all.push(of_object(gateway::GROUP, &own.kind, "gateways", &own.metadata, c));
            }
        }
    }
    all
}

fn of_apis(snap: &Snapshot) -> Vec<Signal> {
    let all = snap.api_services.items().unwrap_or_default().iter();
    all.filter_map(|api| {
        let condition = api.available().filter(|c| c.status != "True")?;
        let service = api.spec.service.as_ref().map(|s| ResourceRef::service(&s.namespace, &s.name));
        let pods: Vec<ResourceRef> = api
            .spec
            .service
            .as_ref()
            .and_then(|s| snap.services.find(&s.namespace, &s.name).ok().flatten())
            .map(|s| snap.pods_of_service(s).flat_map(|p| super::around(snap, p)).collect())
            .unwrap_or_default();
        let signal = of_object("apiregistration.k8s.io", "APIService", "apiservice", &api.metadata, condition);
        Some(signal.about(service).about(pods))
    })
    .collect()
}

fn of_namespaces(snap: &Snapshot) -> Vec<Signal> {
    let all = snap.namespaces.items().unwrap_or_default().iter().filter(|n| n.is_terminating());
    all.filter_map(|namespace| {
        let meta = &namespace.metadata;
        let since = meta.deletion_timestamp;
        if since.is_some_and(|t| seconds_ago(snap, t) < ENDING) {
            return None;
        }
        let holds = namespace.status.conditions.iter().find(|c| c.status == "True" && c.kind.contains("Remaining"));
        let holds = holds.or(namespace.status.conditions.iter().find(|c| c.status == "True"));
        let evidence = Evidence::new(
            format!("Namespace {}: status", meta.name),
            holds.map_or("Terminating".into(), message),
            "kubectl get namespace {{ name }} -o yaml",
        )
        .with("name", &meta.name);
        let subject = ResourceRef::kubernetes("", "Namespace", "", &meta.name);
        let signal = Signal::new(
            SignalKind::Condition,
            subject,
            format!("Namespace {} is stuck Terminating", meta.name),
            evidence,
        )
        .text(holds.map_or(String::new(), message))
        .since(since);
        Some(signal)
    })
    .collect()
}

/// Checks that say why an autoscaler gets nowhere.
pub(super) const SCALING: &[&str] = &["metrics-server", "hpa-stuck", "apiservice-unavailable", "metrics-adapter"];

/// `ScalingActive` and `AbleToScale`; `ScalingActive` is rightly False where the target is scaled to none.
fn of_autoscalers(snap: &Snapshot) -> Vec<Signal> {
    let mut all = Vec::new();
    for scaler in snap.autoscalers.items().unwrap_or_default() {
        let bad = scaler.status.conditions.iter().find(|c| {
            matches!(c.kind.as_str(), "ScalingActive" | "AbleToScale")
                && c.status == "False"
                && c.reason.as_deref() != Some("ScalingDisabled")
        });
        let Some(condition) = bad else { continue };
        let target = &scaler.spec.scale_target_ref;
        let target = ResourceRef::kubernetes("apps", &target.kind, &scaler.metadata.namespace, &target.name);
        all.push(
            of_object("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscaler", &scaler.metadata, condition)
                .about([target])
                .explained_by_checks(SCALING),
        );
    }
    all
}

/// Jobs of the stack that failed within a day; of a CronJob the next run may do.
fn of_jobs(snap: &Snapshot) -> Vec<Signal> {
    let mut all = Vec::new();
    for job in snap.jobs.items().unwrap_or_default() {
        let failed = job.status.conditions.iter().find(|c| c.kind == "Failed" && c.status == "True");
        let Some(condition) = failed.filter(|_| is_ours(snap, &job.metadata.namespace)) else { continue };
        let old = condition.last_transition_time.is_some_and(|t| seconds_ago(snap, t) > DAY);
        let again = job.metadata.controller().is_some_and(|o| o.kind == "CronJob");
        let signal = of_object("batch", "Job", "job", &job.metadata, condition);
        all.push(if old || again { signal.weight(Weight::Note) } else { signal });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::snapshot;
    use crate::snapshot::Listing;
    use serde_json::{Value, json};

    fn list<T: serde::de::DeserializeOwned>(object: Value) -> Listing<T> {
        Listing::cluster(vec![serde_json::from_value(object).expect("an object")])
    }

    #[test]
    fn an_api_that_is_not_available_weighs() {
        let mut snap = snapshot();
        snap.api_services = list(json!({"metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {"service": {"namespace": "kube-system", "name": "metrics-server"}},
            "status": {"conditions": [{"type": "Available", "status": "False", "reason": "FailedDiscoveryCheck"}]}}));
        let found = of_apis(&snap).remove(0);
        assert_eq!(found.title, "APIService v1beta1.metrics.k8s.io Available False");
        assert!(found.about.contains(&ResourceRef::service("kube-system", "metrics-server")));
    }

    #[test]
    fn a_namespace_has_time_to_end() {
        let ending = |at: &str| {
            let mut snap = snapshot();
            snap.namespaces =
                list(json!({"metadata": {"name": "old", "deletionTimestamp": at}, "status": {"phase": "Terminating"}}));
            of_namespaces(&snap).len()
        };
        assert_eq!(ending("2026-11-21T02:59:00Z"), 0);
        assert_eq!(ending("2026-11-20T02:59:00Z"), 1);
    }

    #[test]
    fn an_autoscaler_of_nothing_is_fine() {
        let scaler = |reason: &str| {
            let mut snap = snapshot();
            snap.autoscalers = list(json!({"metadata": {"name": "web", "namespace": "shop"},
                "status": {"conditions": [{"type": "ScalingActive", "status": "False", "reason": reason}]}}));
            of_autoscalers(&snap).len()
        };
        assert_eq!((scaler("ScalingDisabled"), scaler("FailedGetResourceMetric")), (0, 1));
    }
}
