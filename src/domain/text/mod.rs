//! What texts say: log lines, windows of time, secrets in free text.

pub(crate) mod answer;
pub(crate) mod api_error;
pub(crate) mod api_host;
pub(crate) mod between;
pub(crate) mod complaint;
pub(crate) mod dial;
pub(crate) mod disk_error;
pub(crate) mod lasting;
pub(crate) mod listening;
pub(crate) mod log_line;
pub(crate) mod message_size;
pub(crate) mod object_store;
pub(crate) mod passing;
pub(crate) mod redact;
pub(crate) mod send_error;
pub(crate) mod shape;
pub(crate) mod shorten;
pub(crate) mod stack;
pub(crate) mod tls_error;
pub(crate) mod unreached;
pub(crate) mod windows;
