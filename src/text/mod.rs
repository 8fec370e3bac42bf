//! Free text, below everything else: what is secret in it, and which words resemble each other.

pub(crate) mod credential;
pub(crate) mod digest;
pub(crate) mod glob;
pub(crate) mod near;
pub(crate) mod pattern;
pub(crate) mod redact;
