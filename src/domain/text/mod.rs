//! What texts say: names that resemble each other, log lines, secrets in free text.

pub(crate) mod log_line;
pub(crate) mod near;
pub(crate) mod redact;
