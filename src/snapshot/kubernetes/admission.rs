//! What extends the API server: admission webhooks and aggregated APIs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta};

/// ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WebhookConfiguration {
    /// Set by the collector: `ValidatingWebhookConfiguration`, `MutatingWebhookConfiguration`.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    #[serde(deserialize_with = "null_default")]
    pub webhooks: Vec<Webhook>,
}

/// `webhooks[]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    pub name: String,
    pub client_config: WebhookClient,
    /// `Fail` (the default) or `Ignore`.
    pub failure_policy: Option<String>,
    pub timeout_seconds: Option<u32>,
    #[serde(deserialize_with = "null_default")]
    pub rules: Vec<WebhookRule>,
    pub namespace_selector: Option<LabelSelector>,
    pub object_selector: Option<LabelSelector>,
}

impl Webhook {
    /// What it guards cannot be written while it does not answer.
    pub fn blocks(&self) -> bool {
        self.failure_policy.as_deref() != Some("Ignore")
    }
}

/// `clientConfig`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebhookClient {
    pub service: Option<ServiceReference>,
    pub url: Option<String>,
    /// PEM, base64: certificates, no secret.
    pub ca_bundle: Option<String>,
}

/// A Service that the API server calls.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceReference {
    pub namespace: String,
    pub name: String,
    pub path: Option<String>,
    /// 443 where unset.
    pub port: Option<u16>,
}

/// `rules[]`: what the webhook is asked about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebhookRule {
    #[serde(deserialize_with = "null_default")]
    pub operations: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub api_groups: Vec<String>,
    #[serde(deserialize_with = "null_default")]
    pub resources: Vec<String>,
    pub scope: Option<String>,
}

/// APIService: an API that another server answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ApiService {
    pub metadata: Meta,
    pub spec: ApiServiceSpec,
    pub status: ApiServiceStatus,
}

/// `spec` of an APIService; no `service`: the API server answers itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiServiceSpec {
    pub group: String,
    pub version: String,
    pub service: Option<ServiceReference>,
    #[serde(rename = "insecureSkipTLSVerify")]
    pub insecure_skip_tls_verify: bool,
    pub ca_bundle: Option<String>,
}

/// `status` of an APIService.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ApiServiceStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

impl ApiService {
    /// The condition `Available`.
    pub fn available(&self) -> Option<&Condition> {
        self.status.conditions.iter().find(|c| c.kind == "Available")
    }
}

objects!(WebhookConfiguration, ApiService);
