//! What stands behind a Service: a finding about who asks it may follow from that.

use crate::model::{Finding, ResourceRef};
use crate::snapshot::Snapshot;

/// A finding that may follow from a Service, whether it is there or not, from its pods and from who owns them.
pub(crate) fn depends_on_service(snap: &Snapshot, made: Finding, namespace: &str, service: &str) -> Finding {
    let made = made.depends_on(ResourceRef::service(namespace, service));
    let found = snap.services.find(namespace, service).ok().flatten();
    found.into_iter().flat_map(|s| snap.pods_of_service(s)).fold(made, |made, pod| {
        let meta = &pod.metadata;
        made.depends_on(ResourceRef::pod(&meta.namespace, &meta.name)).depends_on(snap.owner_ref(pod))
    })
}
