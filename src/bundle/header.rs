//! `kdoctor.json`: what a bundle is of, when it was taken, and what was put into it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BundleError;
use super::names::HEADER;
use super::tree::Tree;
use crate::text::digest::sha256;

/// The bundle format that this version reads and writes.
pub(super) const FORMAT: u64 = 1;

/// The header.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Header {
    /// Version of the layout.
    pub(super) format: u64,
    /// When it was taken.
    pub(super) collected_at: Timestamp,
    /// What it is of.
    #[serde(default)]
    pub(super) target: HeaderTarget,
    /// What took it, where that was a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tool: Option<Tool>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<Scope>,
    /// The files by their names, as they were written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) entries: BTreeMap<String, Written>,
}

/// What the bundle is of.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct HeaderTarget {
    /// `eks` or anything else; empty where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<String>,
    /// kubeconfig context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<String>,
    /// EKS cluster name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<String>,
    /// AWS region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    /// AWS account id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    /// Host of the API server that the kubeconfig named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<String>,
    /// Version of the API server; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kubernetes: Option<String>,
    /// URLs that were given for parts of the stack.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) urls: BTreeMap<String, String>,
    /// Why AWS could not be asked at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aws_unavailable: Option<String>,
}

/// What took a bundle.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Tool {
    /// `kdoctor`.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
}

/// What was asked for: without flags of its own, whoever reads the bundle looks at the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Scope {
    /// The namespace that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Every namespace was read.
    pub all_namespaces: bool,
    /// Probes ran.
    pub probes: bool,
    /// The checks or suites whose facts were read; all where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// The checks or suites whose facts were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
}

/// One file as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Written {
    /// Bytes.
    pub(super) bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub(super) sha256: String,
}

impl Written {
    /// Of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

impl Header {
    /// Reads it.
    ///
    /// # Errors
    /// It is not there, or is not what it should be.
    pub(super) fn read(tree: &Tree, path: &Path) -> Result<Self, BundleError> {
        let fail = |reason: String| BundleError::Header { path: path.to_owned(), reason };
        let bytes = tree.raw(HEADER).map_err(|e| fail(format!("cannot be read: {e}")))?.ok_or_else(|| {
            let known = "nor a dump of kubectl cluster-info dump or a support bundle of troubleshoot.sh";
            fail(format!("missing: this is not a bundle (or not its top folder), {known}"))
        })?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|e| fail(format!("line {} column {}: not valid JSON: {e}", e.line(), e.column())))?;
        // The format comes first: a newer one may have other fields.
        match value.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(other) => {
                return Err(fail(format!(
                    "format {other} is not supported (this kdoctor reads {FORMAT}); update kdoctor"
                )));
            }
            None => return Err(fail("the field `format` is missing or not a number".into())),
        }
        serde_json::from_value(value).map_err(|e| fail(e.to_string()))
    }

    /// The files that are not as they were written, and those that are gone.
    pub(super) fn altered(&self, tree: &Tree) -> Vec<String> {
        let same = |(name, written): &(&String, &Written)| matches!(tree.raw(name), Ok(Some(bytes)) if Written::of(&bytes) == **written);
        self.entries.iter().filter(|entry| !same(entry)).map(|(name, _)| name.clone()).collect()
    }
}
