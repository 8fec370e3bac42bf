//! The EBS CSI driver is not installed.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    EbsCsiAddonMissing {
        id: "ebs-csi-addon-missing", suite: Storage, page: "storage/ebs_csi_addon_missing.md", severity: Error,
        title: "the EBS CSI driver is not installed",
        requires: [PersistentVolumeClaims, StorageClasses, CsiDrivers, Workloads],
        uses: [PersistentVolumes, Pods, Nodes, Events, EksCluster, EksAddons, IamOidcProviders],
    }
}

impl Check for EbsCsiAddonMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
