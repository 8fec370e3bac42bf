//! The IAM role of the EBS CSI controller does not work.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    EbsCsiRole {
        id: "ebs-csi-role", suite: Storage, page: "storage/ebs_csi_role.md", severity: Error,
        title: "the IAM role of the EBS CSI controller does not work",
        requires: [EksCluster, ServiceAccounts, PodIdentityAssociations, IamRoles, Workloads],
        uses: [Events, StorageClasses, EksAddons, EksNodegroups, PersistentVolumeClaims, IamOidcProviders],
    }
}

impl Check for EbsCsiRole {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
