//! AWS resources, cut to the fields that some check reads, in the shape the AWS CLI prints.

#![allow(missing_docs, reason = "fields are the AWS API fields of the same name")]

pub mod arn;
mod balancer;
mod certificate;
mod eks;
mod iam;
mod instance;
mod vpc;

use serde::{Deserialize, Serialize};

pub use balancer::*;
pub use certificate::*;
pub use eks::*;
pub use iam::*;
pub use instance::*;
pub use vpc::*;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// The `Name` tag, empty if there is none.
pub fn name_tag(tags: &[Tag]) -> &str {
    tags.iter().find(|t| t.key == "Name").map_or("", |t| t.value.as_str())
}
