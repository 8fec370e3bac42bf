//! Ingresses and their classes.

use serde::Deserialize;

use super::meta::null_default;
use super::{Map, Meta};

/// Ingress. Its annotations that start with `alb.ingress.kubernetes.io/` or `kubernetes.io/ingress` are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ingress {
    pub metadata: Meta,
    pub spec: IngressSpec,
    pub status: IngressStatus,
}

impl Ingress {
    /// The class that it names: `spec.ingressClassName`, or the annotation that came before it.
    pub fn class(&self) -> Option<&str> {
        let annotation = self.metadata.annotations.get(super::annotation::INGRESS_CLASS);
        self.spec.ingress_class_name.as_ref().or(annotation).map(String::as_str)
    }
}

/// `spec` of an Ingress.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    pub ingress_class_name: Option<String>,
    pub default_backend: Option<Backend>,
    #[serde(deserialize_with = "null_default")]
    pub rules: Vec<IngressRule>,
    #[serde(deserialize_with = "null_default")]
    pub tls: Vec<IngressTls>,
}

/// `spec.rules[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    pub host: Option<String>,
    pub http: Option<HttpRule>,
}

/// `spec.rules[].http`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct HttpRule {
    #[serde(deserialize_with = "null_default")]
    pub paths: Vec<HttpPath>,
}

/// `spec.rules[].http.paths[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpPath {
    pub path: Option<String>,
    pub path_type: Option<String>,
    pub backend: Backend,
}

/// Where a path leads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Backend {
    pub service: Option<BackendService>,
}

/// `backend.service`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BackendService {
    pub name: String,
    pub port: BackendPort,
}

/// `backend.service.port`: a name or a number.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BackendPort {
    pub name: Option<String>,
    pub number: Option<u16>,
}

/// `spec.tls[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    #[serde(deserialize_with = "null_default")]
    pub hosts: Vec<String>,
    pub secret_name: Option<String>,
}

/// `status` of an Ingress.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressStatus {
    pub load_balancer: LoadBalancerStatus,
}

/// `status.loadBalancer`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    #[serde(deserialize_with = "null_default")]
    pub ingress: Vec<LoadBalancerAddress>,
}

/// `status.loadBalancer.ingress[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancerAddress {
    pub hostname: Option<String>,
    pub ip: Option<String>,
}

/// IngressClass.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressClass {
    pub metadata: Meta,
    pub spec: IngressClassSpec,
}

/// `spec` of an IngressClass.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressClassSpec {
    pub controller: String,
    #[serde(deserialize_with = "null_default")]
    pub parameters: Map,
}

impl IngressClass {
    /// Marked as the cluster's default.
    pub fn is_default(&self) -> bool {
        self.metadata.annotations.get(super::annotation::DEFAULT_INGRESS_CLASS).is_some_and(|v| v == "true")
    }
}

objects!(Ingress, IngressClass);
