//! Alertmanager and its receivers.

mod alertmanager_cluster;
pub(crate) mod alertmanager_config;
mod alertmanager_notify;
mod alerts_muted;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &alertmanager_config::AlertmanagerConfig,
    &alertmanager_cluster::AlertmanagerCluster,
    &alerts_muted::AlertsMuted,
    &alertmanager_notify::AlertmanagerNotify,
];
