//! Alertmanager's configuration, its route tree and what its log says of deliveries.

pub(crate) mod bridge;
pub(crate) mod config;
pub(crate) mod group;
pub(crate) mod inhibit;
pub(crate) mod labels;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod members;
pub(crate) mod notify_error;
pub(crate) mod old_api;
pub(crate) mod pods;
pub(crate) mod repeat;
pub(crate) mod templates;
pub(crate) mod tree;
