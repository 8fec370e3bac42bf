//! What makes Secrets from somewhere else: External Secrets, Sealed Secrets, certificates of cert-manager.

use jiff::Timestamp;
use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, IssuerRef, Meta};

/// ExternalSecret, SecretStore, ClusterSecretStore (`external-secrets.io`), SealedSecret (`bitnami.com`) or Certificate
/// (`cert-manager.io`). Values are in none of them, or encrypted, and are not read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SecretMaker {
    /// Set by the collector.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: SecretMakerSpec,
    pub status: SecretMakerStatus,
}

/// `spec` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretMakerSpec {
    /// Of an ExternalSecret.
    pub target: MadeSecret,
    pub secret_store_ref: StoreRef,
    /// Of a store.
    pub provider: Option<Provider>,
    /// Of a SealedSecret.
    pub template: SealedTemplate,
    /// Of a Certificate.
    pub secret_name: Option<String>,
    pub issuer_ref: IssuerRef,
}

/// `spec.target` of an ExternalSecret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MadeSecret {
    pub name: Option<String>,
}

/// `spec.secretStoreRef` of an ExternalSecret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct StoreRef {
    pub name: String,
    /// `SecretStore` where empty.
    pub kind: String,
}

/// `spec.provider` of a store: only that of AWS is read, and nothing of it that could be secret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Provider {
    pub aws: Option<AwsProvider>,
}

/// `spec.provider.aws` of a store.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AwsProvider {
    /// `SecretsManager` or `ParameterStore`.
    pub service: String,
    pub region: String,
}

/// `spec.template` of a SealedSecret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SealedTemplate {
    pub metadata: MadeSecret,
}

/// `status` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretMakerStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// Of a Certificate: since when the one in the Secret is valid, and until when.
    #[serde(deserialize_with = "null_default")]
    pub not_before: Option<Timestamp>,
    #[serde(deserialize_with = "null_default")]
    pub not_after: Option<Timestamp>,
}

impl SecretMaker {
    /// The Secret that it makes; `None` of a store.
    pub fn secret(&self) -> Option<&str> {
        let own = self.metadata.name.as_str();
        match self.kind.as_str() {
            "ExternalSecret" => Some(self.spec.target.name.as_deref().unwrap_or(own)),
            "SealedSecret" => Some(self.spec.template.metadata.name.as_deref().unwrap_or(own)),
            "Certificate" => self.spec.secret_name.as_deref(),
            _ => None,
        }
    }
}

objects!(SecretMaker);
