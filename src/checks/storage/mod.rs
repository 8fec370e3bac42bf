//! Volumes, classes, the EBS CSI driver and its IAM.

mod ebs_csi_addon_missing;
mod ebs_csi_role;
mod oidc_provider_missing;
mod pvc_pending;
mod storage_class_missing;

use super::Check;

/// The checks of this suite.
pub(super) const CHECKS: &[&dyn Check] = &[&ebs_csi_addon_missing::EbsCsiAddonMissing, &ebs_csi_role::EbsCsiRole, &oidc_provider_missing::OidcProviderMissing, &pvc_pending::PvcPending, &storage_class_missing::StorageClassMissing, ];
