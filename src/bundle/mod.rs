//! A bundle: the answers of a cluster, AWS and the monitoring APIs as files, in their own shape.

mod read;

pub use read::{Bundle, BundleError};
