//! What stands between a manifest and a running stack: admission, aggregated APIs, Helm, scaling, eviction.

mod admission_denied;
mod api_server_throttles;
mod api_storage_full;
mod apiservice_unavailable;
mod conversion_webhook;
mod gitops_sync;
mod helm_leftover;
mod helm_refused;
mod helm_release_stuck;
mod hpa_stuck;
mod kind_not_served;
mod metrics_adapter;
mod metrics_server;
mod monitoring_components;
mod monitoring_unreachable;
mod namespace_terminating;
mod pdb_blocks;
mod webhook_broken;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &webhook_broken::WebhookBroken,
    &conversion_webhook::ConversionWebhook,
    &metrics_server::MetricsServer,
    &apiservice_unavailable::ApiServiceUnavailable,
    &hpa_stuck::HpaStuck,
    &namespace_terminating::NamespaceTerminating,
    &pdb_blocks::PdbBlocks,
    &helm_release_stuck::HelmReleaseStuck,
    &helm_leftover::HelmLeftover,
    &monitoring_components::MonitoringComponents,
    &monitoring_unreachable::MonitoringUnreachable,
    &admission_denied::AdmissionDenied,
    &helm_refused::HelmRefused,
    &gitops_sync::GitOpsSync,
    &metrics_adapter::MetricsAdapter,
    &kind_not_served::KindNotServed,
    &api_server_throttles::ApiServerThrottles,
    &api_storage_full::ApiStorageFull,
];
