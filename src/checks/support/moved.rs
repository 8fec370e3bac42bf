//! The data of an EBS volume, taken to another zone under the name of its claim.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::volume::operator_up;
use crate::domain::kubernetes::owner::{Target, is_kind};
use crate::model::Placeholder;
use crate::snapshot::kubernetes::{PersistentVolume, Pod};
use crate::snapshot::{Snapshot, journal};

/// Values of the shared steps `volume-moved`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Moved {
    /// The id of the EBS volume; empty where it is none, and nothing can be moved.
    volume_id: String,
    old_volume: String,
    new_volume: String,
    new_zone: Placeholder,
    /// The operator's resource that has to be scaled; empty where the workload itself is.
    operator_kind: &'static str,
    operator_name: String,
    operator_up: String,
    /// `kubectl scale` knows the workload, and how many it runs.
    scales: bool,
    replicas: u32,
    kept_by: String,
}

impl Moved {
    /// Of a pod's volume, to a zone.
    pub(crate) fn of(snap: &Snapshot, pod: &Pod, volume: &PersistentVolume, new_zone: Placeholder) -> Self {
        // What keeps the workload only says how it is stopped.
        let target = journal::aside(|| Target::of(snap, pod));
        let name = &volume.metadata.name;
        Self {
            volume_id: volume.ebs_id().unwrap_or_default().to_owned(),
            old_volume: name.clone(),
            new_volume: format!("{name}-restored"),
            new_zone,
            operator_kind: target.operator_kind(),
            operator_name: target.operator_name().to_owned(),
            operator_up: operator_up(&target),
            scales: is_kind(&target.owner, &["Deployment", "StatefulSet"]),
            replicas: target.replicas,
            kept_by: target.managed_by.clone(),
        }
    }
}
