//! Certificates of ACM.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `acm describe-certificate`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Certificate {
    pub certificate_arn: String,
    pub domain_name: String,
    pub subject_alternative_names: Vec<String>,
    /// `ISSUED`, `PENDING_VALIDATION`, `EXPIRED`, `FAILED` and others.
    pub status: String,
    pub failure_reason: Option<String>,
    /// `AMAZON_ISSUED`, `IMPORTED`, `PRIVATE`.
    #[serde(rename = "Type")]
    pub kind: String,
    pub not_after: Option<Timestamp>,
    pub domain_validation_options: Vec<DomainValidation>,
}

/// How a domain of a certificate is validated.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DomainValidation {
    pub domain_name: String,
    pub validation_status: String,
    pub resource_record: Option<ValidationRecord>,
}

/// The record that is to stand in the domain's DNS.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ValidationRecord {
    pub name: String,
    #[serde(rename = "Type")]
    pub kind: String,
    pub value: String,
}
