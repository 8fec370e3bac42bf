use super::*;
use crate::checks::support::testing::{applicable, findings, steps};
use crate::domain::testing::snapshot as cluster;
use crate::snapshot::Listing;
use serde_json::{Value, json};

const OLD: &str = "2026-11-21T01:00:00Z";

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "said.", "observedGeneration": 1,
        "lastTransitionTime": OLD})
}

fn object(kind: &str, value: Value) -> GatewayObject {
    let read: GatewayObject = serde_json::from_value(value).expect("is an object");
    GatewayObject { kind: kind.to_owned(), ..read }
}

/// A class, a Gateway in namespace `edge`, and a route in namespace `edge` to Grafana.
fn snapshot(route: &[Value], gateway: &[Value]) -> Snapshot {
    let mut snap = cluster(json!({"services": [
        {"metadata": {"name": "grafana", "namespace": "monitoring"}, "spec": {"ports": [{"port": 80}]}}]}));
    let meta = |name: &str, namespace: &str| json!({"name": name, "namespace": namespace, "uid": name, "generation": 1, "creationTimestamp": OLD});
    let parents = json!([{"parentRef": {"name": "public"}, "conditions": route}]);
    snap.gateways = Listing::cluster(vec![
        object("GatewayClass", json!({"metadata": {"name": "eg"}, "spec": {"controllerName": "example.com/one"}})),
        object(
            "Gateway",
            json!({"metadata": meta("public", "edge"),
                "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
                "status": {"conditions": gateway}}),
        ),
        object(
            "HTTPRoute",
            json!({"metadata": meta("grafana", "edge"), "spec": {"parentRefs": [{"name": "public"}], "rules": [
                {"backendRefs": [{"name": "grafana", "namespace": "monitoring", "port": 80}]}]},
                "status": {"parents": if route.is_empty() { json!([]) } else { parents }}}),
        ),
    ]);
    snap
}

fn well() -> Vec<Value> {
    vec![condition("Accepted", "True", "Accepted"), condition("Programmed", "True", "Programmed")]
}

#[test]
fn a_service_elsewhere_wants_a_grant() {
    let route = [condition("Accepted", "True", "Accepted"), condition("ResolvedRefs", "False", "RefNotPermitted")];
    let found = findings(&GatewayRoute, &snapshot(&route, &well())).remove(0);
    assert!(found.message.contains("does not resolve (RefNotPermitted: said)"), "{}", found.message);
    let steps = steps(&found);
    assert!(steps.contains("kind: ReferenceGrant") && steps.contains("namespace: edge"), "{steps}");
}

#[test]
fn a_port_that_is_not_there_is_named() {
    let route = [condition("ResolvedRefs", "False", "BackendNotFound")];
    let mut snap = snapshot(&route, &well());
    snap.services = Listing::cluster(vec![
        serde_json::from_value(
            json!({"metadata": {"name": "grafana", "namespace": "monitoring"}, "spec": {"ports": [{"port": 3000}]}}),
        )
        .expect("is a Service"),
    ]);
    let found = findings(&GatewayRoute, &snap).remove(0);
    assert!(steps(&found).contains("Service grafana has no port 80, but 3000"), "{}", steps(&found));
}

#[test]
fn what_is_well_or_young_or_of_an_earlier_version_is_quiet() {
    let good = [condition("Accepted", "True", "Accepted"), condition("ResolvedRefs", "True", "ResolvedRefs")];
    assert_eq!(applicable(&GatewayRoute, &snapshot(&good, &well())), []);
    let mut young = condition("ResolvedRefs", "False", "BackendNotFound");
    young["lastTransitionTime"] = "2026-11-21T01:59:00Z".into();
    assert_eq!(applicable(&GatewayRoute, &snapshot(&[young], &well())), []);
    let mut earlier = condition("ResolvedRefs", "False", "BackendNotFound");
    earlier["observedGeneration"] = 0.into();
    assert_eq!(applicable(&GatewayRoute, &snapshot(&[earlier], &well())), []);
}

#[test]
fn a_gateway_that_nobody_takes_is_the_cause() {
    let waiting = json!({"type": "Accepted", "status": "Unknown", "reason": "Pending",
        "message": "Waiting for controller", "lastTransitionTime": "1970-01-01T00:00:00Z"});
    let found = findings(&GatewayRoute, &snapshot(&[], &[waiting]));
    let gateway = found.iter().find(|f| f.message.starts_with("Gateway edge/public")).expect("is about the Gateway");
    assert!(gateway.message.ends_with("no controller has taken it (GatewayClass eg)"), "{}", gateway.message);
    let route = found.iter().find(|f| f.message.starts_with("HTTPRoute")).expect("is about the route");
    assert!(route.depends_on.contains(gateway.subject()));
}

#[test]
fn a_listener_that_takes_its_own_namespace_alone_is_told() {
    let route = [condition("Accepted", "False", "NotAllowedByListeners")];
    let mut snap = snapshot(&route, &well());
    snap.gateways = snap.gateways.map(|mut object| {
        if object.kind == "HTTPRoute" {
            object.metadata.namespace = "monitoring".into();
            object.spec.parent_refs[0].namespace = Some("edge".into());
            object.status.parents[0].parent_ref.namespace = Some("edge".into());
        }
        object
    });
    let found = findings(&GatewayRoute, &snap).remove(0);
    let steps = steps(&found);
    assert!(steps.contains("http (HTTP 80) takes routes of its own namespace"), "{steps}");
    assert!(steps.contains("kubectl edit gateways.gateway.networking.k8s.io public -n edge"), "{steps}");
}

#[test]
fn older_words_and_other_listeners_do_not_stop_a_gateway() {
    let good = [condition("Accepted", "True", "Accepted"), condition("ResolvedRefs", "True", "ResolvedRefs")];
    let older = [condition("Scheduled", "True", "Scheduled"), condition("Ready", "True", "Ready")];
    assert_eq!(applicable(&GatewayRoute, &snapshot(&good, &older)), []);
    let invalid = [condition("Accepted", "False", "ListenersNotValid")];
    let mut snap = snapshot(&good, &invalid);
    snap.gateways = snap.gateways.map(|mut object| {
        if object.kind == "Gateway" {
            let bad = condition("ResolvedRefs", "False", "InvalidCertificateRef");
            object.status.listeners =
                serde_json::from_value(json!([{"name": "https", "conditions": [bad]}])).expect("are listeners");
        }
        if object.kind == "HTTPRoute" {
            object.spec.parent_refs[0].section_name = Some("http".into());
            object.status.parents[0].parent_ref.section_name = Some("http".into());
        }
        object
    });
    assert_eq!(applicable(&GatewayRoute, &snap), []);
    let found = findings(&GatewayRoute, &snapshot(&good, &[condition("Programmed", "False", "AddressNotAssigned")]));
    assert!(found[0].severity == Severity::Warning && found[0].message.contains("has no address"));
}

#[test]
fn a_route_of_others_is_no_matter_of_the_stack() {
    let mut snap = snapshot(&[condition("Accepted", "False", "NoMatchingParent")], &well());
    snap.gateways = snap.gateways.map(|mut object| {
        object.spec.rules.clear();
        object
    });
    snap.crds = Listing::cluster(Vec::new());
    assert!(matches!(GatewayRoute.diagnose(&snap), Ok(Diagnosis::NotApplicable(_))));
}
