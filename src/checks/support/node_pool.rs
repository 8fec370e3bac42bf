//! The NodePool that a fix changes, or makes beside one that takes no change.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::aws::node_pool::is_built_in;
use crate::snapshot::Snapshot;

/// Values of the shared step `own-node-pool`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Pool {
    pool: String,
    /// EKS Auto Mode brings it.
    built_in: bool,
    /// The name of a pool beside it.
    own_pool: String,
}

impl Pool {
    /// Of a pool by its name.
    pub(crate) fn of(snap: &Snapshot, pool: String) -> Self {
        Self { built_in: is_built_in(snap, &pool), own_pool: format!("{pool}-own"), pool }
    }
}
