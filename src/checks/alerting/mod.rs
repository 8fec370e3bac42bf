//! Alertmanager and its receivers.

mod alertmanager_cluster;
pub(crate) mod alertmanager_config;
mod alertmanager_notify;
mod alerts_muted;
pub(crate) mod config;
mod fix;
mod group;
mod labels;
mod load;
pub(crate) mod log;
pub(crate) mod reason;
mod templates;
mod tree;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &alertmanager_config::AlertmanagerConfig,
    &alertmanager_cluster::AlertmanagerCluster,
    &alerts_muted::AlertsMuted,
    &alertmanager_notify::AlertmanagerNotify,
];
