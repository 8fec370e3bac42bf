//! What a step that replaces a Deployment's pods has to reckon with.

use crate::domain::kubernetes::managed::managed_by;
use crate::domain::kubernetes::rollout::waits_for_itself;
use crate::snapshot::Snapshot;

/// A Deployment whose new pod waits for what its old one holds, in words; `None` where a restart goes through.
pub(crate) fn hazard(snap: &Snapshot, namespace: &str, name: &str) -> Option<String> {
    let (workload, claim) = waits_for_itself(snap, namespace, name)?;
    let kept = match managed_by(&workload.metadata) {
        keeper if keeper.is_empty() => String::new(),
        keeper => format!(" It belongs to {keeper}: set the strategy there too."),
    };
    Some(format!(
        "Let the old pod go before the new one comes: {} mounts claim {claim}, which only one of them can have, and a rolling update would wait for it.{kept}",
        workload.kubectl_name()
    ))
}
