//! Who would undo a change of a pod's workload.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::changes::meta_of;
use crate::domain::kubernetes::managed::{managed_by, of_tiller, release};
use crate::domain::kubernetes::owner::{Target, maker};
use crate::model::ResourceRef;
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::ConfigMap;

/// Values of the shared step `workload-kept`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Kept {
    /// The operator's resource, as kubectl takes its kind; empty where there is none.
    operator_kind: String,
    operator_name: String,
    /// Who else keeps it; empty where nobody does.
    managed: String,
}

impl Kept {
    /// Of what has to be changed to change a pod.
    pub(crate) fn of(target: &Target<'_>) -> Self {
        Self {
            operator_kind: target.operator_kind().to_owned(),
            operator_name: target.operator_name().to_owned(),
            managed: target.managed_by.clone(),
        }
    }
}

/// Values of the shared note `config-map-kept`, and of what edits the ConfigMap.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct KeptMap {
    /// The resource that an operator makes the ConfigMap from, as kubectl takes it; empty where nobody does.
    map_made_from: Vec<String>,
    /// Who else keeps it; empty where nobody does.
    map_managed: String,
}

impl KeptMap {
    /// Of a ConfigMap; of none where it was not read.
    pub(crate) fn of(map: Option<&ConfigMap>) -> Self {
        let Some(meta) = map.map(|m| &m.metadata) else { return Self::default() };
        match maker(meta) {
            Some((kind, name)) => {
                let map_made_from = vec![kind.to_ascii_lowercase(), name.to_owned()];
                Self { map_made_from, map_managed: String::new() }
            }
            None => Self { map_managed: managed_by(meta), ..Self::default() },
        }
    }
}

/// Where the parts of the cluster run.
const SYSTEM: &str = "kube-system";

/// Who keeps an object as it is, where it was read and somebody does.
pub(crate) fn keeper(snap: &Snapshot, resource: &ResourceRef) -> Option<String> {
    // Nobody deploys a release of Helm 2 again.
    let meta = meta_of(snap, resource).filter(|m| of_tiller(m).is_none())?;
    let keeper = managed_by(meta);
    // EKS makes its own parts of charts, too: they have labels of a chart, and no release.
    let of_eks = meta.namespace == SYSTEM && release(meta).is_none() && keeper.starts_with("Helm");
    (!keeper.is_empty() && !of_eks).then_some(keeper)
}
