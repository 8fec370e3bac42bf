//! What the Gateway API says of the routes that lead to the stack: who took them, and what of them does not hold.

use crate::domain::kubernetes::label_selector::selects;
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{BackendRef, Condition, GatewayObject, Listener, Meta, ParentRef};

/// Seconds that a controller may take to judge what was written.
const PATIENCE: i64 = 300;

/// Their API group.
pub(crate) const GROUP: &str = "gateway.networking.k8s.io";

/// One as a resource.
pub(crate) fn reference(object: &GatewayObject) -> ResourceRef {
    ResourceRef::kubernetes(GROUP, &object.kind, &object.metadata.namespace, &object.metadata.name)
}

fn of_kind<'a>(snap: &'a Snapshot, kind: &'static str) -> impl Iterator<Item = &'a GatewayObject> {
    snap.gateways.items().unwrap_or_default().iter().filter(move |o| o.kind == kind)
}

/// A Gateway or a route by its name; `Err` where it may be somewhere that was not read.
pub(crate) fn find<'a>(
    snap: &'a Snapshot,
    kind: &'static str,
    namespace: &str,
    name: &str,
) -> Result<Option<&'a GatewayObject>, ()> {
    let found = of_kind(snap, kind).find(|o| o.metadata.namespace == namespace && o.metadata.name == name);
    if found.is_none() && !snap.gateways.covers(namespace) {
        return Err(());
    }
    Ok(found)
}

/// The namespace that a reference of an object means.
pub(crate) fn namespace_of<'a>(written: Option<&'a str>, own: &'a Meta) -> &'a str {
    written.filter(|n| !n.is_empty()).unwrap_or(&own.namespace)
}

/// The Services that a route leads to, with their namespaces.
pub(crate) fn services(route: &GatewayObject) -> impl Iterator<Item = (&str, &BackendRef)> {
    let all = route.spec.rules.iter().flat_map(|r| &r.backend_refs);
    let services = all.filter(|b| b.kind.as_deref().is_none_or(|k| k == "Service"));
    services.map(|b| (namespace_of(b.namespace.as_deref(), &route.metadata), b))
}

/// Routes that lie in the stack's namespaces or lead to a Service there, and are not about to go.
pub(crate) fn of_stack(snap: &Snapshot) -> impl Iterator<Item = &GatewayObject> {
    of_kind(snap, "HTTPRoute").filter(|r| {
        r.metadata.deletion_timestamp.is_none()
            && (snap.scope.is_stack(&r.metadata.namespace) || services(r).any(|(n, _)| snap.scope.is_stack(n)))
    })
}

/// The Gateways that a route wants to hang on; of a mesh it hangs on a Service.
pub(crate) fn parents(route: &GatewayObject) -> impl Iterator<Item = &ParentRef> {
    route.spec.parent_refs.iter().filter(|p| p.kind.as_deref().is_none_or(|k| k == "Gateway"))
}

/// A route's reference to a Gateway means this one.
pub(crate) fn means(route: &GatewayObject, parent: &ParentRef, gateway: &GatewayObject) -> bool {
    let own = &gateway.metadata;
    parent.name == own.name && namespace_of(parent.namespace.as_deref(), &route.metadata) == own.namespace
}

/// What is wrong with a route at one of its Gateways.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// The Gateway does not exist.
    NoGateway,
    /// No controller has judged it.
    Unseen,
    /// The Gateway does not take it.
    NotAccepted(&'a Condition),
    /// It leads to something that is not there, or that it may not lead to.
    Unresolved(&'a Condition),
}

/// What is wrong with a route at one of its Gateways; `None` where all is well or nothing can be said.
pub(crate) fn fault<'a>(snap: &'a Snapshot, route: &'a GatewayObject, parent: &ParentRef) -> Option<Cause<'a>> {
    if snap.age_seconds(&route.metadata) < PATIENCE {
        return None;
    }
    let namespace = namespace_of(parent.namespace.as_deref(), &route.metadata);
    let Some(gateway) = find(snap, "Gateway", namespace, &parent.name).ok()? else { return Some(Cause::NoGateway) };
    if snap.age_seconds(&gateway.metadata) < PATIENCE {
        return None;
    }
    let is_it = |p: &ParentRef| {
        p.name == parent.name
            && namespace_of(p.namespace.as_deref(), &route.metadata) == namespace
            && p.section_name == parent.section_name
            && (p.port.is_none() || p.port == parent.port)
    };
    let bad = |conditions: &'a [Condition]| {
        let failing = |kind: &str| failing(snap, &route.metadata, conditions, kind);
        failing("Accepted").map(Cause::NotAccepted).or_else(|| failing("ResolvedRefs").map(Cause::Unresolved))
    };
    let said: Vec<Option<Cause<'a>>> =
        route.status.parents.iter().filter(|p| is_it(&p.parent_ref)).map(|p| bad(&p.conditions)).collect();
    match said.as_slice() {
        // It was changed, perhaps just now, since anybody judged it.
        [] if is_newer(route) => None,
        [] => Some(Cause::Unseen),
        // What a controller of before wrote may be left over beside what the present one says.
        all if all.iter().any(Option::is_none) => None,
        all => all[0],
    }
}

/// All that is said of a route is said of an earlier version of it.
fn is_newer(route: &GatewayObject) -> bool {
    let conditions = route.status.parents.iter().flat_map(|p| &p.conditions);
    let newest = conditions.filter_map(|c| c.observed_generation).max();
    newest.zip(route.metadata.generation).is_some_and(|(seen, now)| seen < now)
}

/// A condition that is False of what stands in the object now, and has been for a while.
fn failing<'a>(snap: &Snapshot, meta: &Meta, all: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    all.iter().find(|c| c.kind == kind && c.status == "False" && is_of_now(snap, meta, c))
}

fn is_of_now(snap: &Snapshot, meta: &Meta, condition: &Condition) -> bool {
    let newer = condition.observed_generation.zip(meta.generation).is_some_and(|(seen, now)| seen < now);
    let old = condition.last_transition_time.is_none_or(|t| snap.seconds_since(t) >= PATIENCE);
    !newer && old
}

/// What is wrong with a Gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GatewayCause<'a> {
    /// Its class does not exist.
    NoClass,
    /// No controller has taken it.
    Unseen,
    /// Its controller refuses it, or cannot make what it asks for.
    Condition(&'a Condition),
    /// The same of one of its listeners.
    Listener(&'a str, &'a Condition),
}

/// What is wrong with a Gateway, the deepest first, or with those of its listeners that these routes ask for.
pub(crate) fn gateway_fault<'a>(
    snap: &'a Snapshot,
    gateway: &'a GatewayObject,
    routes: &[&GatewayObject],
) -> Option<GatewayCause<'a>> {
    let meta = &gateway.metadata;
    if snap.age_seconds(meta) < PATIENCE || meta.deletion_timestamp.is_some() {
        return None;
    }
    if matches!(class(snap, gateway), Ok(None)) {
        return Some(GatewayCause::NoClass);
    }
    // The API server writes `Unknown`, Pending, "Waiting for controller" when the object is made. Not every version of a
    // controller writes Accepted: before, it was Scheduled and Ready.
    if gateway.status.conditions.iter().all(|c| c.status == "Unknown") {
        return Some(GatewayCause::Unseen);
    }
    let is_asked = |name: &str| {
        let asks = |r: &GatewayObject| {
            let mut to_it = parents(r).filter(|p| means(r, p, gateway));
            to_it.any(|p| asked(gateway, p).iter().any(|l| l.name == name))
        };
        routes.iter().any(|r| asks(r))
    };
    let listener = |asked: bool| {
        gateway.status.listeners.iter().filter(|l| is_asked(&l.name) == asked).find_map(|l| {
            let kinds = ["Accepted", "ResolvedRefs", "Programmed"];
            let bad = kinds.iter().find_map(|k| failing(snap, meta, &l.conditions, k));
            let torn = || l.conditions.iter().find(|c| c.kind == "Conflicted" && c.status == "True");
            bad.or_else(torn).map(|c| GatewayCause::Listener(&l.name, c))
        })
    };
    let own = |kind: &str| failing(snap, meta, &gateway.status.conditions, kind);
    // That its listeners are not valid says nothing of why.
    let said = own("Accepted").or_else(|| own("Programmed"));
    let vague = said.is_some_and(|c| matches!(c.reason.as_deref(), Some("ListenersNotValid" | "Invalid")));
    match said {
        Some(condition) if !vague => Some(GatewayCause::Condition(condition)),
        // Where others of its listeners are the ones, those that are asked for serve.
        _ => listener(true).or_else(|| said.filter(|_| listener(false).is_none()).map(GatewayCause::Condition)),
    }
}

/// The class of a Gateway; `Err` where the classes could not be read.
pub(crate) fn class<'a>(snap: &'a Snapshot, gateway: &GatewayObject) -> Result<Option<&'a GatewayObject>, ()> {
    find(snap, "GatewayClass", "", &gateway.spec.gateway_class_name)
}

/// The listeners of a Gateway that a route asks for.
pub(crate) fn asked<'a>(gateway: &'a GatewayObject, parent: &ParentRef) -> Vec<&'a Listener> {
    let is_asked = |l: &&Listener| {
        parent.section_name.as_deref().is_none_or(|s| s == l.name) && parent.port.is_none_or(|p| p == l.port)
    };
    gateway.spec.listeners.iter().filter(is_asked).collect()
}

/// A listener lets routes of a namespace hang on it, by what it says itself; `None` where labels decide that are not known.
pub(crate) fn admits(snap: &Snapshot, gateway: &GatewayObject, listener: &Listener, namespace: &str) -> Option<bool> {
    let rule = &listener.allowed_routes.namespaces;
    match rule.from.as_deref() {
        Some("All") => Some(true),
        Some("Selector") => {
            let own = &snap.namespaces.items().ok()?.iter().find(|n| n.metadata.name == namespace)?.metadata;
            Some(selects(&rule.selector, &own.labels))
        }
        _ => Some(gateway.metadata.namespace == namespace),
    }
}
