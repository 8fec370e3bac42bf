//! Why a bundle cannot be read at all.

use std::path::PathBuf;

use thiserror::Error;

/// Why a bundle cannot be read at all.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Nothing there, or neither a folder nor an archive.
    #[error("{path}: {reason}")]
    NotABundle {
        /// The path given.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// `kdoctor.json` cannot be used.
    #[error("{path}/kdoctor.json: {reason}")]
    Header {
        /// The bundle.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}
