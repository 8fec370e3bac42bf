//! Who would undo a change of a pod's workload.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::kubernetes::owner::Target;

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
