//! A route of the Gateway API, or the Gateway that it hangs on, does not lead to the stack.

mod fix;
#[cfg(test)]
mod tests;

use crate::checks::{Check, check};
use crate::domain::kubernetes::gateway::{self, Cause, GatewayCause};
use crate::model::{CheckMeta, Diagnosis, Evidence, Finding, Gap, ResourceRef, Severity};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Condition, GatewayObject, ParentRef};
use fix::Fix;

check! {
    /// See the check's page.
    GatewayRoute {
        id: "gateway-route", suite: Network, severity: Error,
        title: "a route of the Gateway API does not lead to the stack",
        requires: [Gateways],
        uses: [Crds, Services, Namespaces],
        fix: Fix,
    }
}

impl Check for GatewayRoute {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.gateways()?;
        let routes: Vec<&GatewayObject> = gateway::of_stack(snap).collect();
        if routes.is_empty() {
            return Ok(Diagnosis::NotApplicable("no HTTPRoute leads to the stack".into()));
        }
        let mut found = gateways(snap, &routes);
        found.extend(routes.iter().flat_map(|route| of_route(snap, route)));
        Ok(Diagnosis::Findings(found))
    }
}

/// The Gateways that the stack's routes hang on, each once, with those routes.
fn gateways(snap: &Snapshot, routes: &[&GatewayObject]) -> Vec<Finding> {
    let mut all: Vec<(&GatewayObject, Vec<&GatewayObject>)> = Vec::new();
    for route in routes {
        for parent in gateway::parents(route) {
            let namespace = gateway::namespace_of(parent.namespace.as_deref(), &route.metadata);
            let Ok(Some(own)) = gateway::find(snap, "Gateway", namespace, &parent.name) else { continue };
            match all.iter_mut().find(|(g, _)| std::ptr::eq(*g, own)) {
                Some((_, hanging)) if hanging.iter().any(|r| std::ptr::eq(*r, *route)) => {}
                Some((_, hanging)) => hanging.push(route),
                None => all.push((own, vec![route])),
            }
        }
    }
    all.iter().filter_map(|(own, hanging)| of_gateway(snap, own, hanging)).collect()
}

fn of_gateway(snap: &Snapshot, own: &GatewayObject, hanging: &[&GatewayObject]) -> Option<Finding> {
    let meta = &own.metadata;
    // A listener that no route of the stack asks for is no matter of the stack.
    let fault = gateway::gateway_fault(snap, own, hanging)?;
    // It may be reached in another way: by its Service, or the address of a node.
    let unaddressed = matches!(fault, GatewayCause::Condition(c) if c.reason.as_deref() == Some("AddressNotAssigned"));
    let (class, who) = (&own.spec.gateway_class_name, format!("Gateway {}/{}", meta.namespace, meta.name));
    let why = match fault {
        GatewayCause::NoClass => format!("its GatewayClass {class} does not exist"),
        GatewayCause::Unseen => format!("no controller has taken it (GatewayClass {class})"),
        GatewayCause::Condition(c) => format!("{} is {}{}", c.kind, c.status, said(c)),
        GatewayCause::Listener(name, c) => format!("listener {name}: {} is {}{}", c.kind, c.status, said(c)),
    };
    let routes: Vec<String> = hanging.iter().map(|r| r.metadata.name.clone()).collect();
    let what = if unaddressed { "has no address" } else { "does not serve" };
    let message = format!("{who}, on which HTTPRoute {} hangs, {what}: {why}", routes.join(", "));
    let certain = !unaddressed && is_certain(snap, hanging, own);
    let severity = if certain { Severity::Error } else { Severity::Warning };
    let made = Finding::new(GatewayRoute::META.id, severity, gateway::reference(own), message)
        .key(format!("gateway {}/{}", meta.namespace, meta.name))
        .fix(Fix::of_gateway(snap, own, fault))
        .evidence(
            Evidence::new(
                format!("{who}: status"),
                why,
                "kubectl describe gateways.gateway.networking.k8s.io {{ name }} -n {{ namespace }}",
            )
            .with("name", &meta.name)
            .with("namespace", &meta.namespace),
        );
    Some(made)
}

/// One of the routes hangs on this Gateway alone.
fn is_certain(snap: &Snapshot, hanging: &[&GatewayObject], own: &GatewayObject) -> bool {
    let others = |route: &&&GatewayObject| {
        let mut elsewhere = gateway::parents(route).filter(|p| !gateway::means(route, p, own));
        !elsewhere.any(|p| gateway::fault(snap, route, p).is_none())
    };
    hanging.iter().any(|r| others(&r))
}

/// A route at each of its Gateways; where another one serves it, it is reached there.
fn of_route(snap: &Snapshot, route: &GatewayObject) -> Vec<Finding> {
    let judged: Vec<(&ParentRef, Option<Cause<'_>>)> =
        gateway::parents(route).map(|p| (p, gateway::fault(snap, route, p))).collect();
    let served = judged.iter().any(|(_, fault)| fault.is_none());
    let severity = if served { Severity::Warning } else { Severity::Error };
    let mut all: Vec<Finding> = Vec::new();
    for (parent, fault) in judged {
        let Some(fault) = fault else { continue };
        let made = finding(snap, route, parent, fault, severity);
        // Two listeners of one Gateway may say the same.
        if all.iter().all(|f| f.message != made.message) {
            all.push(made);
        }
    }
    all
}

fn finding(
    snap: &Snapshot,
    route: &GatewayObject,
    parent: &ParentRef,
    fault: Cause<'_>,
    severity: Severity,
) -> Finding {
    let meta = &route.metadata;
    let namespace = gateway::namespace_of(parent.namespace.as_deref(), meta);
    let (who, on) = (format!("HTTPRoute {}/{}", meta.namespace, meta.name), format!("{namespace}/{}", parent.name));
    // The others of several are served.
    let several = route.spec.rules.iter().flat_map(|r| &r.backend_refs).count() > 1;
    let severity = if several && matches!(fault, Cause::Unresolved(_)) { Severity::Warning } else { severity };
    let message = match fault {
        Cause::NoGateway => format!("{who} leads nowhere: Gateway {on}, on which it is to hang, does not exist"),
        Cause::Unseen => format!("{who} leads nowhere: no controller has judged it for Gateway {on}"),
        Cause::NotAccepted(c) => format!("{who} leads nowhere: Gateway {on} does not take it{}", said(c)),
        Cause::Unresolved(c) if several => format!(
            "{who} hangs on Gateway {on}, and one of the backends that it leads to does not resolve{}: requests to that backend get a 500",
            said(c)
        ),
        Cause::Unresolved(c) => {
            format!("{who} hangs on Gateway {on}, and what it leads to does not resolve{}: requests get a 500", said(c))
        }
    };
    let shown = match fault {
        Cause::NoGateway => "no such Gateway".to_owned(),
        Cause::Unseen => format!("no status for Gateway {on}"),
        Cause::NotAccepted(c) | Cause::Unresolved(c) => format!("{} {}{}", c.kind, c.status, said(c)),
    };
    let own = ResourceRef::kubernetes(gateway::GROUP, "Gateway", namespace, &parent.name);
    let made = Finding::new(GatewayRoute::META.id, severity, gateway::reference(route), message)
        .key(format!("route {}/{} {on} {}", meta.namespace, meta.name, kind(fault)))
        .depends_on(own)
        .fix(Fix::of_route(snap, route, parent, fault))
        .evidence(
            Evidence::new(
                format!("{who}: status.parents"),
                shown,
                "kubectl get httproutes.gateway.networking.k8s.io {{ name }} -n {{ namespace }} -o yaml",
            )
            .with("name", &meta.name)
            .with("namespace", &meta.namespace),
        );
    // A Service that is not there for another reason explains it.
    let services = gateway::services(route).map(|(n, b)| ResourceRef::service(n, &b.name));
    match fault {
        Cause::Unresolved(_) => made.depends_on_all(services),
        _ => made,
    }
}

fn kind(fault: Cause<'_>) -> &'static str {
    match fault {
        Cause::NoGateway => "gateway",
        Cause::Unseen => "unseen",
        Cause::NotAccepted(_) => "accepted",
        Cause::Unresolved(_) => "resolved",
    }
}

/// Reason and message of a condition, in brackets.
fn said(condition: &Condition) -> String {
    let parts = [condition.reason.as_deref(), condition.message.as_deref()];
    let all: Vec<&str> = parts.into_iter().flatten().map(str::trim).filter(|t| !t.is_empty()).collect();
    match all.as_slice() {
        [] => String::new(),
        all => format!(" ({})", all.join(": ").trim_end_matches('.')),
    }
}
