//! What Prometheus says of itself and its targets, and where its jobs come from.

pub(crate) mod authorizer;
pub(crate) mod coverage;
pub(crate) mod discovery_jobs;
pub(crate) mod discovery_log;
pub(crate) mod exporter_log;
pub(crate) mod joined;
pub(crate) mod memory;
pub(crate) mod no_result;
pub(crate) mod notifier;
pub(crate) mod oom;
pub(crate) mod operator;
pub(crate) mod origin;
pub(crate) mod ports;
pub(crate) mod reads;
pub(crate) mod relabel;
pub(crate) mod reloader;
pub(crate) mod remote_write;
pub(crate) mod renamed;
pub(crate) mod running_config;
pub(crate) mod scrape_error;
pub(crate) mod server;
pub(crate) mod server_state;
pub(crate) mod targets;
pub(crate) mod thanos;
pub(crate) mod tsdb;
pub(crate) mod wal;
