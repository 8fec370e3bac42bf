//! Volumes, classes, the EBS CSI driver and its IAM.

mod claim_deleted;
mod claim_in_use;
mod csi_node_missing;
mod default_storage_class;
mod ebs_csi_addon_missing;
mod ebs_csi_role;
mod efs_mount;
mod oidc_provider_missing;
mod pod_identity_injection;
mod prometheus_cardinality;
mod prometheus_persistence;
mod prometheus_replaying;
mod prometheus_storage;
mod pvc_pending;
mod storage_class_missing;
mod storage_class_unserved;
mod thanos;
mod tsdb_retention;
mod victoria_metrics;
mod volume_attach;
mod volume_mount;
mod volume_resize;
pub(super) mod volume_zone_conflict;

use crate::checks::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &pvc_pending::PvcPending,
    &claim_in_use::ClaimInUse,
    &storage_class_missing::StorageClassMissing,
    &storage_class_unserved::StorageClassUnserved,
    &default_storage_class::DefaultStorageClass,
    &csi_node_missing::CsiNodeMissing,
    &volume_zone_conflict::VolumeZoneConflict,
    &volume_attach::VolumeAttach,
    &volume_mount::VolumeMount,
    &efs_mount::EfsMount,
    &volume_resize::VolumeResize,
    &claim_deleted::ClaimDeleted,
    &ebs_csi_addon_missing::EbsCsiAddonMissing,
    &oidc_provider_missing::OidcProviderMissing,
    &ebs_csi_role::EbsCsiRole,
    &prometheus_storage::PrometheusStorage,
    &prometheus_replaying::PrometheusReplaying,
    &prometheus_persistence::PrometheusPersistence,
    &prometheus_cardinality::PrometheusCardinality,
    &thanos::Thanos,
    &victoria_metrics::VictoriaMetrics,
    &tsdb_retention::TsdbRetention,
    &pod_identity_injection::PodIdentityInjection,
];
