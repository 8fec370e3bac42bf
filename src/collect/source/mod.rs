//! Where facts come from: one interface for the live cluster and for a bundle on disk.
//!
//! A source answers requests with documents in the shape the outside uses (Kubernetes API answers, AWS CLI output,
//! Prometheus API answers). Everything after that is the same code, so a bundle gives the same report as the cluster
//! that it was captured from.

mod refused;
mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{Gap, GapCause};
#[cfg(feature = "aws")]
pub(crate) use refused::aws_error;
pub(crate) use refused::{error_document, error_from_document, http_error};
pub(crate) use request::file_path;
pub use request::{App, AwsCall, Request};

/// Why a request got no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The other side knows the operation and says that the thing does not exist.
    NotFound(String),
    /// The continue token of a list is too old (410): start again.
    Expired(String),
    /// Nothing could be seen.
    Gap(Gap),
}

impl FetchError {
    /// As a gap: for things that must exist.
    pub fn into_gap(self, what: &str) -> Gap {
        match self {
            Self::Gap(gap) => gap,
            Self::NotFound(message) => Gap::new(what, GapCause::BadAnswer, format!("not found: {message}")),
            Self::Expired(message) => Gap::new(what, GapCause::Truncated, message),
        }
    }
}

/// A cluster, or a bundle of one.
#[async_trait]
pub trait Source: Send + Sync {
    /// Answers one request. The caller sets the deadline.
    ///
    /// # Errors
    /// See [`FetchError`].
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError>;

    /// True if the list at `path` (cluster-wide) is at hand as a whole, so that reading it per namespace only costs.
    fn has_whole_list(&self, _path: &str) -> bool {
        false
    }

    /// False where the list of which a request asks for a page comes whole, whatever its `metadata.continue` says.
    fn has_pages(&self, _request: &Request) -> bool {
        true
    }

    /// Names and texts of the manifests that were captured with the answers.
    fn manifests(&self) -> Vec<(String, std::io::Result<Vec<u8>>)> {
        Vec::new()
    }

    /// Longest time that one call may take.
    fn deadline(&self) -> Duration;

    /// What is known of the cluster before anything is asked: from the kubeconfig, flags or the bundle's header.
    fn known(&self) -> Known;
}

/// What is known of the cluster before anything is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// kubeconfig context.
    pub context: Option<String>,
    /// EKS cluster name.
    pub cluster: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// AWS profile of the kubeconfig.
    pub profile: Option<String>,
    /// AWS account id.
    pub account: Option<String>,
    /// Host of the API server.
    pub server: Option<String>,
    /// The API server's URL: by it clusters are told apart.
    pub endpoint: Option<String>,
    /// The kubeconfig or the bundle's header says that this is EKS (`Some(true)`) or that it is not.
    pub is_eks: Option<bool>,
    /// URLs that the user gave for parts of the stack, without their passwords.
    pub urls: BTreeMap<&'static str, String>,
    /// Why AWS cannot be asked, if that is known at once (built without it, no credentials configured).
    pub aws_unavailable: Option<String>,
}
