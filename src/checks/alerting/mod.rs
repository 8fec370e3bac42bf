//! Alertmanager and its receivers.

mod alert_coverage;
mod alert_never_fires;
mod alertmanager_cluster;
pub(crate) mod alertmanager_config;
mod alertmanager_disconnected;
mod alertmanager_notify;
mod alertmanager_storage;
mod alerts_muted;
mod ruler_disconnected;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &alertmanager_config::AlertmanagerConfig,
    &alertmanager_cluster::AlertmanagerCluster,
    &alertmanager_disconnected::AlertmanagerDisconnected,
    &alertmanager_storage::AlertmanagerStorage,
    &alerts_muted::AlertsMuted,
    &alertmanager_notify::AlertmanagerNotify,
    &ruler_disconnected::RulerDisconnected,
    &alert_never_fires::AlertNeverFires,
    &alert_coverage::AlertCoverage,
];
