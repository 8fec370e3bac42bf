//! How a certificate of cert-manager is issued: requests, orders, challenges, and who issues.

use serde::Deserialize;

use super::meta::null_default;
use super::{Condition, Meta};

/// CertificateRequest, Issuer, ClusterIssuer (`cert-manager.io`), Order or Challenge (`acme.cert-manager.io`). Keys and
/// tokens are not read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Issuing {
    /// Set by the collector.
    #[serde(skip)]
    pub kind: String,
    pub metadata: Meta,
    pub spec: IssuingSpec,
    pub status: IssuingStatus,
}

/// `spec` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuingSpec {
    pub issuer_ref: IssuerRef,
    /// Of a Challenge: `DNS-01` or `HTTP-01`.
    #[serde(rename = "type")]
    pub challenge: String,
    /// Of a Challenge.
    pub dns_name: String,
}

/// `spec.issuerRef` of a Certificate and of what is made for it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IssuerRef {
    pub name: String,
    /// `Issuer` where empty.
    pub kind: String,
    /// cert-manager's own where empty.
    pub group: String,
}

/// `status` of any of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IssuingStatus {
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    /// Of an Order or a Challenge: `pending`, `valid`, `invalid`, `errored`.
    #[serde(deserialize_with = "null_default")]
    pub state: String,
    /// Of an Order or a Challenge: what it met last.
    #[serde(deserialize_with = "null_default")]
    pub reason: String,
}

objects!(Issuing);
