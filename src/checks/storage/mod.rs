//! Volumes, classes, the EBS CSI driver and its IAM.

mod claims;
mod ebs;
mod ebs_csi_addon_missing;
mod ebs_csi_role;
mod oidc_provider_missing;
mod prometheus_storage;
mod pvc_pending;
mod storage_class_missing;
mod trust;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[
    &pvc_pending::PvcPending,
    &storage_class_missing::StorageClassMissing,
    &ebs_csi_addon_missing::EbsCsiAddonMissing,
    &oidc_provider_missing::OidcProviderMissing,
    &ebs_csi_role::EbsCsiRole,
    &prometheus_storage::PrometheusStorage,
];
