//! The fixes, and what they name.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::gateway::{self, Cause, GatewayCause};
use crate::domain::kubernetes::label_selector;
use crate::domain::kubernetes::managed::managed_by;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{BackendRef, GatewayObject, Listener, ParentRef};
use crate::text::near::near_name;

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
pub(super) enum Fix {
    Grant {
        #[serde(flatten)]
        of: Route,
        /// Where the Service lies, and the grant has to.
        service_namespace: String,
        service: String,
        grant: String,
    },
    Backend {
        #[serde(flatten)]
        of: Route,
        service_namespace: String,
        /// What the Service or its port is called most likely; empty where nothing is near.
        near: String,
    },
    Attach {
        #[serde(flatten)]
        of: Route,
        gateway: String,
        gateway_namespace: String,
        gateway_managed: String,
        /// Each listener, and which routes it takes.
        listeners: Vec<String>,
        /// The Gateway takes routes of other namespaces only.
        closed: bool,
    },
    NoGateway {
        #[serde(flatten)]
        of: Route,
        gateway: String,
    },
    Certificate {
        gateway: String,
        namespace: String,
        secret: String,
        secret_namespace: String,
        /// The Secret lies elsewhere and nobody grants it.
        granted: bool,
        managed: String,
    },
    Class {
        gateway: String,
        namespace: String,
        class: String,
        controller: String,
        managed: String,
    },
    Look {
        gateway: String,
        namespace: String,
        class: String,
        managed: String,
    },
}

/// The route that is to be changed.
#[derive(Serialize, JsonSchema)]
pub(super) struct Route {
    route: String,
    namespace: String,
    managed: String,
}

impl Route {
    fn of(route: &GatewayObject) -> Self {
        Self {
            route: route.metadata.name.clone(),
            namespace: route.metadata.namespace.clone(),
            managed: managed_by(&route.metadata),
        }
    }
}

impl Fix {
    pub(super) fn of_route(snap: &Snapshot, route: &GatewayObject, parent: &ParentRef, fault: Cause<'_>) -> Self {
        let of = Route::of(route);
        let namespace = gateway::namespace_of(parent.namespace.as_deref(), &route.metadata);
        let own = gateway::find(snap, "Gateway", namespace, &parent.name).ok().flatten();
        match fault {
            Cause::NoGateway => Self::NoGateway { of, gateway: format!("{namespace}/{}", parent.name) },
            Cause::Unseen => Self::Look {
                gateway: parent.name.clone(),
                namespace: namespace.to_owned(),
                class: own.map(|g| g.spec.gateway_class_name.clone()).unwrap_or_default(),
                managed: String::new(),
            },
            Cause::NotAccepted(_) => {
                let asked = own.map(|g| gateway::asked(g, parent)).unwrap_or_default();
                let admits = |l: &&Listener| own.and_then(|g| gateway::admits(snap, g, l, &route.metadata.namespace));
                Self::Attach {
                    of,
                    gateway: parent.name.clone(),
                    gateway_namespace: namespace.to_owned(),
                    gateway_managed: own.map(|g| managed_by(&g.metadata)).unwrap_or_default(),
                    listeners: own.iter().flat_map(|g| &g.spec.listeners).map(described).collect(),
                    closed: !asked.is_empty() && asked.iter().all(|l| admits(l) == Some(false)),
                }
            }
            Cause::Unresolved(condition) => match condition.reason.as_deref() {
                Some("RefNotPermitted") => match foreign(route, condition.message.as_deref().unwrap_or_default()) {
                    Some((service_namespace, service)) => Self::Grant {
                        grant: format!("{}-to-{}", route.metadata.namespace, service.name),
                        service_namespace: service_namespace.to_owned(),
                        service: service.name.clone(),
                        of,
                    },
                    None => backend(snap, route, of),
                },
                _ => backend(snap, route, of),
            },
        }
    }

    pub(super) fn of_gateway(snap: &Snapshot, own: &GatewayObject, fault: GatewayCause<'_>) -> Self {
        let (gateway, namespace) = (own.metadata.name.clone(), own.metadata.namespace.clone());
        let (class, managed) = (own.spec.gateway_class_name.clone(), managed_by(&own.metadata));
        match fault {
            GatewayCause::NoClass | GatewayCause::Unseen => {
                let known = gateway::class(snap, own).ok().flatten();
                let controller = known.map(|c| c.spec.controller_name.clone()).unwrap_or_default();
                Self::Class { gateway, namespace, class, controller, managed }
            }
            GatewayCause::Listener(name, condition)
                if matches!(condition.reason.as_deref(), Some("InvalidCertificateRef" | "RefNotPermitted")) =>
            {
                let listener = own.spec.listeners.iter().find(|l| l.name == name);
                match listener.and_then(|l| l.tls.certificate_refs.first()) {
                    Some(secret) => Self::Certificate {
                        secret_namespace: gateway::namespace_of(secret.namespace.as_deref(), &own.metadata).to_owned(),
                        secret: secret.name.clone(),
                        granted: condition.reason.as_deref() != Some("RefNotPermitted"),
                        gateway,
                        namespace,
                        managed,
                    },
                    None => Self::Look { gateway, namespace, class, managed },
                }
            }
            _ => Self::Look { gateway, namespace, class, managed },
        }
    }
}

/// The Service of a route that lies in another namespace: the one that the condition names, or the first.
fn foreign<'a>(route: &'a GatewayObject, said: &str) -> Option<(&'a str, &'a BackendRef)> {
    let all = || gateway::services(route).filter(|(namespace, _)| *namespace != route.metadata.namespace);
    // `backend ref to Service monitoring/grafana not permitted`; a name may be the beginning of another one.
    let part = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '/' | '.');
    let words: Vec<&str> = said.split(part).map(|w| w.trim_end_matches('.')).collect();
    let is_named = |(namespace, service): &(&str, &BackendRef)| {
        words.contains(&service.name.as_str()) || words.contains(&format!("{namespace}/{}", service.name).as_str())
    };
    all().find(is_named).or_else(|| all().next())
}

/// What of the backends is not there, as far as the Services were read.
fn backend(snap: &Snapshot, route: &GatewayObject, of: Route) -> Fix {
    let mut first = None;
    for (namespace, backend) in gateway::services(route) {
        first = first.or(Some(namespace));
        let near = match snap.services.find(namespace, &backend.name) {
            Ok(None) => {
                let all = snap.services.items().unwrap_or_default().iter();
                let here: Vec<&str> =
                    all.filter(|s| s.metadata.namespace == namespace).map(|s| s.metadata.name.as_str()).collect();
                let near = near_name(&backend.name, here).map(|n| format!("; there is Service {n}"));
                format!("Service {} does not exist{}", backend.name, near.unwrap_or_default())
            }
            Ok(Some(service)) => {
                let ports: Vec<u16> = service.spec.ports.iter().map(|p| p.port).collect();
                match backend.port {
                    Some(port) if service.spec.external_name.is_none() && !ports.contains(&port) => {
                        let there: Vec<String> = ports.iter().map(u16::to_string).collect();
                        format!("Service {} has no port {port}, but {}", backend.name, there.join(", "))
                    }
                    _ => continue,
                }
            }
            Err(_) => continue,
        };
        return Fix::Backend { of, service_namespace: namespace.to_owned(), near };
    }
    let service_namespace = first.unwrap_or(&route.metadata.namespace).to_owned();
    Fix::Backend { of, service_namespace, near: String::new() }
}

/// A listener and which routes it takes, in words.
fn described(listener: &Listener) -> String {
    let rule = &listener.allowed_routes.namespaces;
    let from = match rule.from.as_deref() {
        Some("All") => "of all namespaces".to_owned(),
        Some("Selector") => format!("of namespaces with {}", label_selector::words(&rule.selector)),
        _ => "of its own namespace".to_owned(),
    };
    let host = listener.hostname.as_deref().map(|h| format!(", for {h}")).unwrap_or_default();
    format!("{} ({} {}) takes routes {from}{host}", listener.name, listener.protocol, listener.port)
}
