//! A StorageClass that is asked for does not exist.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    StorageClassMissing {
        id: "storage-class-missing", suite: Storage, page: "storage/storage_class_missing.md", severity: Error,
        title: "a StorageClass that is asked for does not exist",
        requires: [StorageClasses, PersistentVolumeClaims],
        uses: [Workloads, MonitoringResources, PersistentVolumes, CsiDrivers, EksCluster, EksAddons],
    }
}

impl Check for StorageClassMissing {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
