//! The Gateway API: Gateways, their classes, and the routes that hang on them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta};

/// GatewayClass, Gateway or HTTPRoute (`gateway.networking.k8s.io`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GatewayObject {
    /// Set by the collector: `GatewayClass`, `Gateway`, `HTTPRoute`.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: GatewaySpec,
    pub status: GatewayStatus,
}

/// `spec` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Of a GatewayClass.
    pub controller_name: String,
    /// Of a Gateway.
    pub gateway_class_name: String,
    /// Of a Gateway.
    #[serde(deserialize_with = "null_default")]
    pub listeners: Vec<Listener>,
    /// Of a route: the Gateways that it wants to hang on.
    #[serde(deserialize_with = "null_default")]
    pub parent_refs: Vec<ParentRef>,
    /// Of a route.
    #[serde(deserialize_with = "null_default")]
    pub rules: Vec<RouteRule>,
}

/// `spec.listeners[]` of a Gateway.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listener {
    pub name: String,
    pub port: u16,
    pub protocol: String,
    pub hostname: Option<String>,
    pub allowed_routes: AllowedRoutes,
    pub tls: ListenerTls,
}

/// `allowedRoutes` of a listener.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    pub namespaces: RouteNamespaces,
}

/// `allowedRoutes.namespaces`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RouteNamespaces {
    /// `Same` where it is not set, `All` or `Selector`.
    pub from: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub selector: LabelSelector,
}

/// `tls` of a listener.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerTls {
    #[serde(deserialize_with = "null_default")]
    pub certificate_refs: Vec<BackendRef>,
}

/// `spec.parentRefs[]` of a route, and `parentRef` of its status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// `Gateway` where it is not set.
    pub kind: Option<String>,
    /// The route's own where it is not set.
    pub namespace: Option<String>,
    pub name: String,
    /// A listener by its name; all where it is not set.
    pub section_name: Option<String>,
    pub port: Option<u16>,
}

/// `spec.rules[]` of a route.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteRule {
    #[serde(deserialize_with = "null_default")]
    pub backend_refs: Vec<BackendRef>,
}

/// `backendRefs[]` of a rule, and `certificateRefs[]` of a listener.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BackendRef {
    /// `Service` where a backend does not set it, `Secret` where a certificate does not.
    pub kind: Option<String>,
    /// That of the object where it is not set.
    pub namespace: Option<String>,
    pub name: String,
    pub port: Option<u16>,
}

/// `status` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GatewayStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// Of a Gateway.
    #[serde(deserialize_with = "null_default")]
    pub listeners: Vec<ListenerStatus>,
    /// Of a route: what each controller says for each Gateway.
    #[serde(deserialize_with = "null_default")]
    pub parents: Vec<ParentStatus>,
}

/// `status.listeners[]` of a Gateway.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListenerStatus {
    pub name: String,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// `status.parents[]` of a route.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentStatus {
    pub parent_ref: ParentRef,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

objects!(GatewayObject);
