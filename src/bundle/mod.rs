//! A bundle: the answers of a cluster, AWS and the monitoring APIs as files, in their own shape.

mod anonymous;
mod archive;
mod error;
mod foreign;
mod header;
mod names;
mod read;
mod record;
mod rewrite;
mod secrets;
mod tree;
mod write;

pub use anonymous::Replaced;
pub use error::BundleError;
pub use header::Scope;
pub use read::Bundle;
pub use record::{Captured, Recording};
pub use rewrite::{Rewriting, Rewritten};

/// True if a path is a folder or an archive, and so perhaps a bundle.
pub fn may_be_bundle(path: &std::path::Path) -> bool {
    path.is_dir() || archive::is_archive(path)
}

/// Files beyond this are refused, packed or not: a bundle's lists are megabytes, not gigabytes.
const MAX_FILE: u64 = 256 << 20;
