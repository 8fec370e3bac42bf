//! Snapshots of volumes: who makes them ready to be used.

use crate::domain::kubernetes::image::base_of;
use crate::snapshot::kubernetes::Workload;
use crate::snapshot::{Platform, Snapshot};

/// The controller's image, and the add-on of EKS that brings it.
pub(crate) const CONTROLLER: &str = "snapshot-controller";

/// No snapshot controller is in the cluster of EKS: neither its add-on, nor a workload that runs it. Without it a snapshot
/// never becomes ready, and nobody says why. Not known where the add-ons, or the workloads of kube-system, were not read.
pub(crate) fn lacks_controller(snap: &Snapshot) -> bool {
    let runs = |w: &Workload| w.spec.template.spec.containers.iter().any(|c| base_of(&c.image) == CONTROLLER);
    snap.platform == Platform::Eks
        && snap.eks_addons().is_ok_and(|all| all.iter().all(|a| a.addon_name != CONTROLLER))
        && snap.workloads.covers("kube-system")
        && !snap.workloads.items().unwrap_or_default().iter().any(|w| runs(w) || w.metadata.name.contains(CONTROLLER))
}
