//! A pod of the stack finds no node.

use crate::checks::{Check, check};
use crate::model::{CheckMeta, Diagnosis, Gap};
use crate::snapshot::Snapshot;

check! {
    /// See the check's page.
    PodPending {
        id: "pod-pending", suite: Workload, page: "workload/pod_pending.md", severity: Error,
        title: "a pod of the stack finds no node",
        requires: [Pods],
        uses: [PersistentVolumeClaims, Nodes, Events, NodeRequests, ResourceQuotas, Workloads],
    }
}

impl Check for PodPending {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, _snap: &Snapshot) -> Result<Diagnosis, Gap> {
        Ok(Diagnosis::NotApplicable("not built yet".into()))
    }
}
