//! A PersistentVolumeClaim of the stack is Pending.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    PvcPending {
        id: "pvc-pending", suite: Storage, page: "storage/pvc_pending.md", severity: Error,
        title: "a PersistentVolumeClaim of the stack is Pending",
        requires: [PersistentVolumeClaims, StorageClasses],
        uses: [Events, Pods, PersistentVolumes, CsiDrivers, EksCluster],
    }
}

impl Check for PvcPending {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
