//! Who asks, and what IAM knows of providers and roles.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `sts get-caller-identity`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CallerIdentity {
    pub account: String,
    pub arn: String,
}

/// `iam get-open-id-connect-provider`, with the ARN of the list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OidcProvider {
    #[serde(skip)]
    pub arn: String,
    /// Without it, it is no answer.
    pub url: String,
    #[serde(rename = "ClientIDList", default)]
    pub client_id_list: Option<Vec<String>>,
}

/// One IAM role with its policies.
#[derive(Debug, Clone, Default)]
pub struct Role {
    pub name: String,
    pub arn: String,
    /// `AssumeRolePolicyDocument`, decoded.
    pub trust_policy: Value,
    /// ARNs of attached managed policies; `None` where they could not be read.
    pub attached_policies: Option<Vec<String>>,
    /// Inline policy documents by name; `None` where they could not be read.
    pub inline_policies: Option<BTreeMap<String, Value>>,
    /// ARN of the permissions boundary.
    pub permissions_boundary: Option<String>,
    /// Documents of attached customer-managed policies, and of the boundary, by ARN, as far as they could be read.
    pub managed_documents: BTreeMap<String, Value>,
}
